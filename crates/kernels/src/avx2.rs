//! Vectors of AVX2 with FMA.

use std::arch::asm;
use std::arch::x86_64::*;

use super::functions::Function;
use super::isa::Avx2;
use super::lanes::{Lanes, signs};

/// Eight floats.
#[derive(Clone, Copy)]
pub struct F32x8(__m256);

/// The function over a slice.
pub fn pass(isa: Avx2, f: impl Function, xs: &mut [f32]) {
    // SAFETY: the processor has the instruction set.
    unsafe { pass_with_features(isa, f, xs) };
}

#[target_feature(enable = "avx2,fma")]
fn pass_with_features(isa: Avx2, f: impl Function, xs: &mut [f32]) {
    super::pass::pass::<F32x8>(isa, f, xs);
}

#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn anywhere_with_features(isa: Avx2, f: impl Function, xs: &mut [f32]) {
    super::pass::anywhere::<F32x8>(isa, f, xs);
}

/// No instruction: text for the assembler, which the compiler takes for one that reads and writes both.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn in_step(mut a: F32x8, mut b: F32x8) -> (F32x8, F32x8) {
    // SAFETY: it does nothing.
    unsafe {
        asm!(
            "/* {0} {1} */",
            inout(ymm_reg) a.0,
            inout(ymm_reg) b.0,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    (a, b)
}

signs!(F32x8: _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps);

// SAFETY of all that follows: a vector exists only where its instruction set does; loads and stores pass on
// their caller's promise.

impl std::ops::Neg for F32x8 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(unsafe { _mm256_xor_ps(self.0, _mm256_set1_ps(-0.0)) })
    }
}

impl F32x8 {
    #[inline(always)]
    fn bits(self) -> __m256i {
        unsafe { _mm256_castps_si256(self.0) }
    }
    #[inline(always)]
    fn of_bits(bits: __m256i) -> Self {
        Self(unsafe { _mm256_castsi256_ps(bits) })
    }
}

impl Lanes for F32x8 {
    type Mask = __m256;
    type Isa = Avx2;
    const COUNT: usize = 8;

    #[inline(always)]
    fn isa(self) -> Avx2 {
        unsafe { Avx2::new_unchecked() }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(_: Avx2, from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Self(unsafe { _mm256_or_ps(self.abs().0, _mm256_and_ps(sign.0, _mm256_set1_ps(-0.0))) })
    }
    /// The instruction gives its second operand where one is NaN or both are zero.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm256_max_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm256_min_ps(other.0, self.0) })
    }
    /// A bit faster than `max` and a sum, which takes longer to finish.
    #[inline(always)]
    fn positive(self) -> Self {
        unsafe {
            let zero = _mm256_setzero_ps();
            Self(_mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(self.0, zero), self.0))
        }
    }
    #[inline(always)]
    fn less(self, other: Self) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __m256, a: Self, b: Self) -> Self {
        Self(unsafe { _mm256_blendv_ps(b.0, a.0, mask) })
    }
    #[inline(always)]
    fn select_negative(x: Self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm256_blendv_ps(b.0, a.0, x.0) })
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        Self::of_bits(unsafe { _mm256_slli_epi32::<23>(self.bits()) })
    }
    #[inline(always)]
    fn exponent_halves(self) -> (Self, Self) {
        let bits = self.bits();
        unsafe {
            let half = _mm256_srli_epi32::<1>(bits);
            let rest = _mm256_sub_epi32(bits, half);
            (Self::of_bits(_mm256_slli_epi32::<23>(half)), Self::of_bits(_mm256_slli_epi32::<23>(rest)))
        }
    }
    #[inline(always)]
    fn negate_if_odd(self, integer: Self) -> Self {
        Self::of_bits(unsafe { _mm256_xor_si256(self.bits(), _mm256_slli_epi32::<31>(integer.bits())) })
    }
    #[inline(always)]
    fn anywhere(isa: Avx2, f: impl Function, xs: &mut [f32]) {
        unsafe { anywhere_with_features(isa, f, xs) };
    }
    /// As integers, whose order is that of magnitudes, with NaN the largest.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self::of_bits(unsafe { _mm256_max_epi32(self.abs().bits(), other.abs().bits()) })
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        unsafe {
            let beyond = _mm256_cmpgt_epi32(self.abs().bits(), self.splat(limit).bits());
            _mm256_testz_si256(beyond, beyond) != 0
        }
    }

    const ESTIMATE_BITS: u32 = 12;
    #[inline(always)]
    fn estimate(self) -> Self {
        Self(unsafe { _mm256_rcp_ps(self.0) })
    }
    #[inline(always)]
    fn in_step(a: Self, b: Self) -> (Self, Self) {
        unsafe { in_step(a, b) }
    }
}
