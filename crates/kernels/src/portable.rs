//! One float at a time, for processors without an instruction set of their own here. The compiler may still
//! make vectors of it.

use super::functions::Function;
use super::lanes::Lanes;

impl Lanes for f32 {
    type Mask = bool;
    /// Every processor has it.
    type Isa = ();
    const COUNT: usize = 1;

    #[inline(always)]
    fn isa(self) {}
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        value
    }
    #[inline(always)]
    unsafe fn load(_: (), from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.read() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.write(self) }
    }
    const FUSES: bool = false;
    /// Not `mul_add`, which is a slow function call where the processor lacks the instruction.
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        self * b + c
    }
    /// The product of two single floats is exact as a double.
    #[inline(always)]
    fn fma_exact(self, b: Self, c: Self) -> Self {
        (f64::from(self) * f64::from(b) + f64::from(c)) as f32
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        f32::copysign(self, sign)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self < other { other } else { self }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    #[inline(always)]
    fn less(self, other: Self) -> bool {
        self < other
    }
    #[inline(always)]
    fn select(mask: bool, a: Self, b: Self) -> Self {
        if mask { a } else { b }
    }
    #[inline(always)]
    fn select_negative(x: Self, a: Self, b: Self) -> Self {
        if x.is_sign_negative() { a } else { b }
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        f32::from_bits(self.to_bits() << 23)
    }
    #[inline(always)]
    fn exponent_halves(self) -> (Self, Self) {
        let bits = self.to_bits();
        let half = bits >> 1;
        (f32::from_bits(half << 23), f32::from_bits(bits.wrapping_sub(half) << 23))
    }
    #[inline(always)]
    fn negate_if_odd(self, integer: Self) -> Self {
        f32::from_bits(self.to_bits() ^ integer.to_bits() << 31)
    }
    #[inline(never)]
    fn anywhere(_: (), f: impl Function, xs: &mut [f32]) {
        super::pass::anywhere::<Self>((), f, xs);
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        let (a, b) = (f32::abs(self), f32::abs(other));
        if a > b || a.is_nan() { a } else { b }
    }
    #[inline(always)]
    fn within(self, limit: f32) -> bool {
        f32::abs(self) <= limit
    }
}
