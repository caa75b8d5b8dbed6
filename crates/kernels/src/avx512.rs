//! Vectors of AVX-512.

use std::arch::x86_64::*;

use super::functions::Function;
use super::isa::Avx512;
use super::lanes::{Lanes, signs};
use super::tables::{POWERS, SHORT_EXP};

/// Sixteen floats.
#[derive(Clone, Copy)]
pub struct F32x16(__m512);

/// The function over a slice.
pub fn pass(isa: Avx512, f: impl Function, xs: &mut [f32]) {
    // SAFETY: the processor has the instruction set.
    unsafe { pass_with_features(isa, f, xs) };
}

#[target_feature(enable = "avx512f,avx512dq")]
fn pass_with_features(isa: Avx512, f: impl Function, xs: &mut [f32]) {
    super::pass::pass::<F32x16>(isa, f, xs);
}

#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq")]
fn anywhere_with_features(isa: Avx512, f: impl Function, xs: &mut [f32]) {
    super::pass::anywhere::<F32x16>(isa, f, xs);
}

signs!(F32x16: _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps);

// SAFETY of all that follows: a vector exists only where its instruction set does; loads and stores pass on
// their caller's promise.

impl std::ops::Neg for F32x16 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::of_bits(unsafe { _mm512_xor_si512(self.bits(), _mm512_set1_epi32(i32::MIN)) })
    }
}

impl F32x16 {
    #[inline(always)]
    fn bits(self) -> __m512i {
        unsafe { _mm512_castps_si512(self.0) }
    }
    #[inline(always)]
    fn of_bits(bits: __m512i) -> Self {
        Self(unsafe { _mm512_castsi512_ps(bits) })
    }
}

impl Lanes for F32x16 {
    type Mask = __mmask16;
    type Isa = Avx512;
    const COUNT: usize = 16;

    #[inline(always)]
    fn isa(self) -> Avx512 {
        unsafe { Avx512::new_unchecked() }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const f32) -> Self {
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
    fn anywhere(isa: Avx512, f: impl Function, xs: &mut [f32]) {
        unsafe { anywhere_with_features(isa, f, xs) };
    }
    /// The instruction passes over a quiet NaN, and gives NaN for a signalling one.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        const LARGER_MAGNITUDE: i32 = 0b1011;
        Self(unsafe { _mm512_range_ps::<LARGER_MAGNITUDE>(self.0, other.0) })
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.abs().0, self.splat(limit).0) == 0 }
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
    /// For an n of i + j/32, its bits moved to those of an exponent are 2ⁱ (1 + j/32); the table has the factor that 2ⁿ
    /// is more.
    #[inline(always)]
    fn exp_parts(rounded: Self, r: Self) -> (Self, Self) {
        let table = rounded.look_up(&POWERS);
        let power = Self::of_bits(unsafe { _mm512_slli_epi32::<18>(rounded.bits()) });
        let slope = r.splat(SHORT_EXP[1]).fma(r, r.splat(SHORT_EXP[0]));
        ((table * r).fma(slope, table), power)
    }
}
