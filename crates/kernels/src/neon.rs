//! Vectors of NEON.

use std::arch::aarch64::*;
use std::arch::asm;

use super::functions::Function;
use super::isa::Neon;
use super::lanes::{Lanes, signs};

/// Four floats.
#[derive(Clone, Copy)]
pub struct F32x4(float32x4_t);

/// The function over a slice.
pub fn pass(isa: Neon, f: impl Function, xs: &mut [f32]) {
    // SAFETY: the processor has the instruction set.
    unsafe { pass_with_features(isa, f, xs) };
}

#[target_feature(enable = "neon")]
fn pass_with_features(isa: Neon, f: impl Function, xs: &mut [f32]) {
    super::pass::pass::<F32x4>(isa, f, xs);
}

#[cold]
#[inline(never)]
#[target_feature(enable = "neon")]
fn anywhere_with_features(isa: Neon, f: impl Function, xs: &mut [f32]) {
    super::pass::anywhere::<F32x4>(isa, f, xs);
}

/// No instruction: text for the assembler, which the compiler takes for one that reads and writes both.
#[inline]
#[target_feature(enable = "neon")]
fn in_step(mut a: F32x4, mut b: F32x4) -> (F32x4, F32x4) {
    // SAFETY: it does nothing.
    unsafe {
        asm!(
            "/* {0:v} {1:v} */",
            inout(vreg) a.0,
            inout(vreg) b.0,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    (a, b)
}

signs!(F32x4: vaddq_f32, vsubq_f32, vmulq_f32, vdivq_f32);

// SAFETY of all that follows: a vector exists only where NEON does; loads and stores pass on their caller's
// promise.

impl std::ops::Neg for F32x4 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(unsafe { vnegq_f32(self.0) })
    }
}

impl F32x4 {
    #[inline(always)]
    fn bits(self) -> uint32x4_t {
        unsafe { vreinterpretq_u32_f32(self.0) }
    }
    #[inline(always)]
    fn of_bits(bits: uint32x4_t) -> Self {
        Self(unsafe { vreinterpretq_f32_u32(bits) })
    }
}

impl Lanes for F32x4 {
    type Mask = uint32x4_t;
    type Isa = Neon;
    const COUNT: usize = 4;

    #[inline(always)]
    fn isa(self) -> Neon {
        unsafe { Neon::new_unchecked() }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { vdupq_n_f32(value) })
    }
    #[inline(always)]
    unsafe fn load(_: Neon, from: *const f32) -> Self {
        Self(unsafe { vld1q_f32(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { vsqrtq_f32(self.0) })
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { vabsq_f32(self.0) })
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Self(unsafe { vbslq_f32(vdupq_n_u32(1 << 31), sign.0, self.0) })
    }
    /// Not the instruction, which orders zeros by their sign.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.less(other), other, self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(other.less(self), other, self)
    }
    #[inline(always)]
    fn less(self, other: Self) -> uint32x4_t {
        unsafe { vcltq_f32(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: uint32x4_t, a: Self, b: Self) -> Self {
        Self(unsafe { vbslq_f32(mask, a.0, b.0) })
    }
    #[inline(always)]
    fn select_negative(x: Self, a: Self, b: Self) -> Self {
        let negative = unsafe { vcltzq_s32(vreinterpretq_s32_f32(x.0)) };
        Self::select(negative, a, b)
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        Self::of_bits(unsafe { vshlq_n_u32::<23>(self.bits()) })
    }
    #[inline(always)]
    fn exponent_halves(self) -> (Self, Self) {
        let bits = self.bits();
        unsafe {
            let half = vshrq_n_u32::<1>(bits);
            let rest = vsubq_u32(bits, half);
            (Self::of_bits(vshlq_n_u32::<23>(half)), Self::of_bits(vshlq_n_u32::<23>(rest)))
        }
    }
    #[inline(always)]
    fn negate_if_odd(self, integer: Self) -> Self {
        Self::of_bits(unsafe { veorq_u32(self.bits(), vshlq_n_u32::<31>(integer.bits())) })
    }
    #[inline(always)]
    fn anywhere(isa: Neon, f: impl Function, xs: &mut [f32]) {
        unsafe { anywhere_with_features(isa, f, xs) };
    }
    #[inline(always)]
    fn in_step(a: Self, b: Self) -> (Self, Self) {
        unsafe { in_step(a, b) }
    }
    /// The maximum of anything and NaN is NaN.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self(unsafe { vmaxq_f32(self.abs().0, other.abs().0) })
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        unsafe { vminvq_u32(vcleq_f32(self.abs().0, vdupq_n_f32(limit))) != 0 }
    }
}
