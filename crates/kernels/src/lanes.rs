//! What a function needs of a vector of single floats: the few operations in which all kernels are written.
//!
//! The operations are those that every instruction set has in one or two instructions. On all of them NaN in `self`
//! stays NaN through `max` and `min`, and zeros of either sign compare equal. A processor may do better than the plain
//! form where it has an instruction for it: fuse a product and a sum, estimate an inverse, look a number up. Results
//! then differ between instruction sets, within the bounds of the kernels.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::functions::Function;
use super::math;

/// A vector of single floats, of an instruction set that not every processor has.
///
/// What makes the operations safe is that a vector is only there where its instruction set is: `load` takes a proof
/// ([`super::isa`]), and everything else a vector, even `splat`. So formulas pass no proof on, and pay for none.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The result of a comparison.
    type Mask: Copy;
    /// The proof of its instruction set.
    type Isa: Copy;
    /// How many floats.
    const COUNT: usize;

    /// The proof that this vector was made from.
    fn isa(self) -> Self::Isa;
    /// A vector like this one, of this value throughout.
    fn splat(self, value: f32) -> Self;
    /// # Safety
    /// `COUNT` floats can be read from `from`.
    unsafe fn load(isa: Self::Isa, from: *const f32) -> Self;
    /// # Safety
    /// `COUNT` floats can be written to `to`.
    unsafe fn store(self, to: *mut f32);

    /// Whether `fma` is one instruction.
    const FUSES: bool = true;
    /// self · b + c, rounded once where the processor has it in one instruction, twice elsewhere.
    fn fma(self, b: Self, c: Self) -> Self;
    /// self · b + c with the product exact, at whatever price.
    #[inline(always)]
    fn fma_exact(self, b: Self, c: Self) -> Self {
        self.fma(b, c)
    }
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// The magnitude of self with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// Self where it is positive or NaN, +0 elsewhere.
    #[inline(always)]
    fn positive(self) -> Self {
        // Of two zeros `max` may give either, of which the sum makes +0.
        self.max(self.splat(0.0)) + self.splat(0.0)
    }
    fn less(self, other: Self) -> Self::Mask;
    /// `a` where the mask is set, `b` elsewhere.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// `a` where the sign of `x` is set, -0 and NaN included, `b` elsewhere.
    fn select_negative(x: Self, a: Self, b: Self) -> Self;

    /// The float whose bits are self's, 23 to the left: 2ⁿ for the integer n + 127 in the low bits.
    fn exponent(self) -> Self;
    /// The same for the halves of that integer, the first rounded down: 2ᵃ and 2ᵇ with a + b = n for the
    /// integer n + 254, and 0 for a half below -126.
    fn exponent_halves(self) -> (Self, Self);
    /// Self with its sign changed where the lowest bit of `integer` is set.
    fn negate_if_odd(self, integer: Self) -> Self;

    /// Of each two floats the one of larger magnitude, with either sign. Where one is NaN, that or the other: a test
    /// that overlooks NaN does no harm, since `near` forms keep it.
    fn larger(self, other: Self) -> Self;
    /// Whether all floats are within ± `limit`, and none is NaN.
    fn within(self, limit: f32) -> bool;
    /// [`super::pass::anywhere`] with the instruction set's features. It is not inlined, so that it takes no registers
    /// from the loop over ordinary numbers.
    fn anywhere(isa: Self::Isa, f: impl Function, xs: &mut [f32]);
    /// self / below, to a unit in the last place, for |self| under 2¹²⁰ and `below` positive, normal and under 2¹²⁰.
    #[inline(always)]
    fn over(self, below: Self) -> Self {
        // From a coarser estimate, what follows takes as long as a division.
        if Self::ESTIMATE_BITS < 14 {
            return self / below;
        }
        let inverse = below.estimate();
        let quotient = self * inverse;
        // Of this sign it is +0 where self is -0, and the quotient stays -0.
        let rest = below.fma(quotient, -self);
        (-rest).fma(inverse, quotient)
    }
    /// 1 / self, to a unit in the last place, for self in [1, 2¹²⁰].
    #[inline(always)]
    fn inverse(self) -> Self {
        let (one, inverse) = (self.splat(1.0), self.estimate());
        let rest = (-self).fma(inverse, one);
        match Self::ESTIMATE_BITS {
            0 => one / self,
            1..14 => rest.fma(rest, rest).fma(inverse, inverse),
            _ => rest.fma(inverse, inverse),
        }
    }
    /// How many bits of `estimate` are right; 0 where the processor has no such instruction.
    const ESTIMATE_BITS: u32 = 0;
    /// About 1 / self.
    #[inline(always)]
    fn estimate(self) -> Self {
        self
    }

    /// Whether `look_up` is one instruction.
    const LOOKS_UP: bool = false;
    /// The float of the table at the place that self's lowest five bits are.
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        self.each(|x| table[(x.to_bits() % 32) as usize])
    }

    /// Adding it rounds a number of octaves to the steps of `exp_parts`: 1.5 · 2²³ steps, and the bias of an exponent.
    const ROUND: f32 = math::ROUND_ONE;
    /// e^(n ln 2 + r) as two factors, one near 1 and one of about a power of two, from n + `ROUND` and r. Here n is an
    /// integer; where `look_up` is one instruction, its steps may be finer.
    #[inline(always)]
    fn exp_parts(rounded: Self, r: Self) -> (Self, Self) {
        (math::exp_of_rest(r), rounded.exponent())
    }

    /// Both, unchanged, but neither is there before the other: the compiler would compute the halves of a
    /// [`super::pair::Pair`] one after the other.
    #[inline(always)]
    fn in_step(a: Self, b: Self) -> (Self, Self) {
        (a, b)
    }

    /// A vector computed float by float, for what is too rare to be worth an instruction.
    #[inline(always)]
    fn each(self, f: impl Fn(f32) -> f32) -> Self {
        let mut floats = [0.0; MOST];
        debug_assert!(Self::COUNT <= MOST);
        // SAFETY: no vector has more floats than the array.
        unsafe { self.store(floats.as_mut_ptr()) };
        floats.iter_mut().for_each(|x| *x = f(*x));
        // SAFETY: as above.
        unsafe { Self::load(self.isa(), floats.as_ptr()) }
    }
}

/// The most floats that a vector holds.
pub const MOST: usize = 16;

/// The arithmetic signs for a vector type that wraps an instruction set's own.
#[allow(unused_macros)] // without SIMD there is nothing to wrap
macro_rules! signs {
    ($type:ident: $add:ident, $sub:ident, $mul:ident, $div:ident) => {
        signs!($type, Add, add, $add);
        signs!($type, Sub, sub, $sub);
        signs!($type, Mul, mul, $mul);
        signs!($type, Div, div, $div);
    };
    ($type:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl std::ops::$trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a vector exists only where its instruction set does.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}
#[allow(unused_imports)] // as above
pub(super) use signs;
