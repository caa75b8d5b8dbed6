//! Vectors of x86-64: AVX2 with FMA, and AVX-512.

use std::arch::asm;
use std::arch::x86_64::*;

use super::functions::Function;
use super::lanes::{Lanes, signs};
use super::tables::{POWERS, SHORT_EXP};

/// Eight floats.
#[derive(Clone, Copy)]
pub struct Avx2(__m256);

/// Sixteen floats.
#[derive(Clone, Copy)]
pub struct Avx512(__m512);

#[target_feature(enable = "avx2,fma")]
pub fn avx2(f: impl Function, xs: &mut [f32]) {
    super::pass::<Avx2>(f, xs);
}

#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn avx2_anywhere(f: impl Function, xs: &mut [f32]) {
    super::anywhere::<Avx2>(f, xs);
}

/// No instruction, but the compiler takes it for one that needs both.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn avx2_in_step(mut a: Avx2, mut b: Avx2) -> (Avx2, Avx2) {
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

#[target_feature(enable = "avx512f,avx512dq")]
pub fn avx512(f: impl Function, xs: &mut [f32]) {
    super::pass::<Avx512>(f, xs);
}

#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq")]
fn avx512_anywhere(f: impl Function, xs: &mut [f32]) {
    super::anywhere::<Avx512>(f, xs);
}

#[inline]
#[target_feature(enable = "avx")]
pub fn clean_vectors() {
    _mm256_zeroupper();
}

/// # Safety
/// The processor must have AVX. The compiler must not know, or it would clean up at the end.
#[inline]
pub unsafe fn use_vectors() {
    // SAFETY: the register is given up, and the flags stay.
    unsafe { asm!("vorps ymm15, ymm15, ymm15", out("xmm15") _, options(nomem, nostack, preserves_flags)) };
}

/// Whether the upper halves are in use; `None` where the processor doesn't keep account.
pub fn vectors_in_use() -> Option<bool> {
    const AVX_STATE: u32 = 1 << 2;
    let keeps_account = is_x86_feature_detected!("xsavec") && __cpuid_count(0xd, 1).eax & 1 << 2 != 0;
    keeps_account.then(|| {
        let state: u32;
        // SAFETY: the processor has the instruction, and this register of it.
        unsafe { asm!("xgetbv", in("ecx") 1, out("eax") state, out("edx") _, options(nomem, nostack)) };
        state & AVX_STATE != 0
    })
}

signs!(Avx2: _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps);
signs!(Avx512: _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps);

impl std::ops::Neg for Avx2 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: a vector exists only where its instruction set does.
        Self(unsafe { _mm256_xor_ps(self.0, _mm256_set1_ps(-0.0)) })
    }
}

impl std::ops::Neg for Avx512 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::of_bits(
            // SAFETY: a vector exists only where its instruction set does.
            unsafe { _mm512_xor_si512(self.bits(), _mm512_set1_epi32(i32::MIN)) },
        )
    }
}

// SAFETY of all that follows: a vector exists only where its instruction set does; loads and stores pass on
// their caller's promise.

impl Avx2 {
    #[inline(always)]
    fn bits(self) -> __m256i {
        unsafe { _mm256_castps_si256(self.0) }
    }
    #[inline(always)]
    fn of_bits(bits: __m256i) -> Self {
        Self(unsafe { _mm256_castsi256_ps(bits) })
    }
}

impl Lanes for Avx2 {
    type Mask = __m256;
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
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
    /// A bit faster than the sum, whose result takes longer.
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
    fn anywhere(f: impl Function, xs: &mut [f32]) {
        unsafe { avx2_anywhere(f, xs) };
    }
    /// As integers, whose order is that of magnitudes, with NaN the largest.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self::of_bits(unsafe { _mm256_max_epi32(self.abs().bits(), other.abs().bits()) })
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        unsafe {
            let beyond = _mm256_cmpgt_epi32(self.abs().bits(), Self::splat(limit).bits());
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
        unsafe { avx2_in_step(a, b) }
    }
}

impl Avx512 {
    #[inline(always)]
    fn bits(self) -> __m512i {
        unsafe { _mm512_castps_si512(self.0) }
    }
    #[inline(always)]
    fn of_bits(bits: __m512i) -> Self {
        Self(unsafe { _mm512_castsi512_ps(bits) })
    }
}

impl Lanes for Avx512 {
    type Mask = __mmask16;
    const COUNT: usize = 16;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { _mm512_abs_ps(self.0) })
    }
    /// The sign bit of one and the others of the other: one instruction.
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Self::of_bits(unsafe {
            let mask = _mm512_set1_epi32(i32::MIN);
            _mm512_ternarylogic_epi32::<0xCA>(mask, sign.bits(), self.bits())
        })
    }
    /// The instruction gives its second operand where one is NaN or both are zero.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn positive(self) -> Self {
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.0, _mm512_setzero_ps());
            Self(_mm512_maskz_mov_ps(positive, self.0))
        }
    }
    #[inline(always)]
    fn less(self, other: Self) -> __mmask16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __mmask16, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_mask_blend_ps(mask, b.0, a.0) })
    }
    #[inline(always)]
    fn select_negative(x: Self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_mask_blend_ps(_mm512_movepi32_mask(x.bits()), b.0, a.0) })
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        Self::of_bits(unsafe { _mm512_slli_epi32::<23>(self.bits()) })
    }
    #[inline(always)]
    fn exponent_halves(self) -> (Self, Self) {
        let bits = self.bits();
        unsafe {
            let half = _mm512_srli_epi32::<1>(bits);
            let rest = _mm512_sub_epi32(bits, half);
            (Self::of_bits(_mm512_slli_epi32::<23>(half)), Self::of_bits(_mm512_slli_epi32::<23>(rest)))
        }
    }
    #[inline(always)]
    fn negate_if_odd(self, integer: Self) -> Self {
        Self::of_bits(unsafe { _mm512_xor_si512(self.bits(), _mm512_slli_epi32::<31>(integer.bits())) })
    }
    #[inline(always)]
    fn anywhere(f: impl Function, xs: &mut [f32]) {
        unsafe { avx512_anywhere(f, xs) };
    }
    /// The instruction passes over a quiet NaN, and gives NaN for a signalling one.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        const LARGER_MAGNITUDE: i32 = 0b1011;
        Self(unsafe { _mm512_range_ps::<LARGER_MAGNITUDE>(self.0, other.0) })
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.abs().0, Self::splat(limit).0) == 0 }
    }

    const ESTIMATE_BITS: u32 = 14;
    #[inline(always)]
    fn estimate(self) -> Self {
        Self(unsafe { _mm512_rcp14_ps(self.0) })
    }

    const LOOKS_UP: bool = true;
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        // SAFETY too: the table has two vectors.
        let low = unsafe { _mm512_loadu_ps(table.as_ptr()) };
        let high = unsafe { _mm512_loadu_ps(table.as_ptr().add(16)) };
        Self(unsafe { _mm512_permutex2var_ps(low, self.bits(), high) })
    }

    /// Steps of 1/32 octave.
    const ROUND: f32 = 393_216.0 + 127.0;
    /// The bits of n, moved to those of an exponent, are its power of two times 1 and its fraction; the table
    /// has what that lacks.
    #[inline(always)]
    fn exp_parts(rounded: Self, r: Self) -> (Self, Self) {
        let table = rounded.look_up(&POWERS);
        let power = Self::of_bits(unsafe { _mm512_slli_epi32::<18>(rounded.bits()) });
        let slope = Self::splat(SHORT_EXP[1]).fma(r, Self::splat(SHORT_EXP[0]));
        ((table * r).fma(slope, table), power)
    }
}
