//! Two vectors in step.
//!
//! A function is a chain of dependent instructions. Written for one vector after the other, a chain fills the
//! scheduler of a small processor, which waits for results while the next vector's instructions stand behind
//! it; an in-order processor waits anyhow. With each step taken for two vectors there is always something to do.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::functions::Function;
use super::lanes::Lanes;
use super::math;

#[derive(Clone, Copy)]
pub struct Pair<L>(L, L);

impl<L: Lanes> Pair<L> {
    #[inline(always)]
    fn each_half(self, f: impl Fn(L) -> L) -> Self {
        Self(f(self.0), f(self.1))
    }
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(L, L) -> L) -> Self {
        Self(f(self.0, other.0), f(self.1, other.1))
    }
}

macro_rules! sign {
    ($trait:ident, $method:ident) => {
        impl<L: Lanes> $trait for Pair<L> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.with(other, L::$method)
            }
        }
    };
}
sign!(Add, add);
sign!(Sub, sub);
sign!(Mul, mul);
sign!(Div, div);

impl<L: Lanes> Neg for Pair<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.each_half(L::neg)
    }
}

impl<L: Lanes> Lanes for Pair<L> {
    type Mask = (L::Mask, L::Mask);
    type Isa = L::Isa;
    const COUNT: usize = 2 * L::COUNT;

    #[inline(always)]
    fn isa(self) -> L::Isa {
        self.0.isa()
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        self.each_half(|half| half.splat(value))
    }
    #[inline(always)]
    unsafe fn load(isa: L::Isa, from: *const f32) -> Self {
        // SAFETY: the caller's promise, for each half.
        unsafe { Self(L::load(isa, from), L::load(isa, from.add(L::COUNT))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe {
            self.0.store(to);
            self.1.store(to.add(L::COUNT));
        }
    }
    const FUSES: bool = L::FUSES;
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        let (a, b) = L::in_step(self.0.fma(b.0, c.0), self.1.fma(b.1, c.1));
        Self(a, b)
    }
    #[inline(always)]
    fn in_step(a: Self, b: Self) -> (Self, Self) {
        let ((a0, b0), (a1, b1)) = (L::in_step(a.0, b.0), L::in_step(a.1, b.1));
        (Self(a0, a1), Self(b0, b1))
    }
    #[inline(always)]
    fn fma_exact(self, b: Self, c: Self) -> Self {
        Self(self.0.fma_exact(b.0, c.0), self.1.fma_exact(b.1, c.1))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.each_half(L::sqrt)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.each_half(L::abs)
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        self.with(sign, L::copysign)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.with(other, L::max)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.with(other, L::min)
    }
    #[inline(always)]
    fn positive(self) -> Self {
        self.each_half(L::positive)
    }
    #[inline(always)]
    fn less(self, other: Self) -> Self::Mask {
        (self.0.less(other.0), self.1.less(other.1))
    }
    #[inline(always)]
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
        Self(L::select(mask.0, a.0, b.0), L::select(mask.1, a.1, b.1))
    }
    #[inline(always)]
    fn select_negative(x: Self, a: Self, b: Self) -> Self {
        Self(L::select_negative(x.0, a.0, b.0), L::select_negative(x.1, a.1, b.1))
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        self.each_half(L::exponent)
    }
    #[inline(always)]
    fn exponent_halves(self) -> (Self, Self) {
        let (a, b) = (self.0.exponent_halves(), self.1.exponent_halves());
        (Self(a.0, b.0), Self(a.1, b.1))
    }
    #[inline(always)]
    fn negate_if_odd(self, integer: Self) -> Self {
        self.with(integer, L::negate_if_odd)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.with(other, L::larger)
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        self.0.larger(self.1).within(limit)
    }
    #[inline(always)]
    fn anywhere(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
        L::anywhere(isa, f, xs);
    }
    const ESTIMATE_BITS: u32 = L::ESTIMATE_BITS;
    #[inline(always)]
    fn estimate(self) -> Self {
        self.each_half(L::estimate)
    }
    const LOOKS_UP: bool = L::LOOKS_UP;
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        self.each_half(|half| half.look_up(table))
    }
    const ROUND: f32 = L::ROUND;
    #[inline(always)]
    fn exp_parts(rounded: Self, r: Self) -> (Self, Self) {
        if !L::LOOKS_UP {
            return (math::exp_of_rest(r), rounded.exponent());
        }
        let (a, b) = (L::exp_parts(rounded.0, r.0), L::exp_parts(rounded.1, r.1));
        (Self(a.0, b.0), Self(a.1, b.1))
    }
    #[inline(always)]
    fn each(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.each(&f), self.1.each(&f))
    }
}
