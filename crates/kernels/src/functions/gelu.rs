//! Gaussian error linear units.

use super::{Function, Row, pass_of, split};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{self, clamp, exp_of_product, exp_of_product_near, polynomial};
use crate::tables;

pub const ROWS: &[Row] = &[
    Row { name: "gelu", bound: Bound::ulp(8.0), make: |_| pass_of(Gelu) },
    Row { name: "gelu_tanh", bound: Bound::ulp(8.0), make: |_| pass_of(GeluTanh) },
];

/// x Φ(x): the positive part of x, less y e^(-y²/2) g(y) for y = |x|, with a smooth g (`GELU`).
#[derive(Clone, Copy)]
struct Gelu;

/// Φ(-y) e^(y²/2) for y in [0, 14.6], as a quotient: to a relative 6.0e-9.
const GELU: ([f32; 5], [f32; 6]) = (
    [0.5, 4.384_968e-1, 1.833_848_8e-1, 4.068_376e-2, 4.123_826_5e-3],
    [1.0, 1.674_878_6, 1.203_124_6, 4.698_66e-1, 1.019_854_5e-1, 1.033_678_2e-2],
);

/// The same for y in [0, `GELU_NEAR`], to a relative 1.1e-7.
const NEAR_GELU: ([f32; 4], [f32; 5]) = (
    [0.5, 3.394_216_6e-1, 1.070_036_3e-1, 1.417_511_9e-2],
    [1.0, 1.476_724_3, 8.923_029e-1, 2.677_491_3e-1, 3.554_809_5e-2],
);
const GELU_NEAR: f32 = 7.0;

impl Function for Gelu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let y = x.abs().min(x.splat(14.6));
        let n = exp_of_product(y, y * x.splat(-0.5), x.splat(0.0));
        let (p, q) = GELU;
        let tail = y * n.near_one * polynomial(y, &p) / polynomial(y, &q);
        math::unless_negative(x) - n.scale(tail)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let y = x.abs();
        if L::LOOKS_UP {
            return (-y).fma(math::piecewise(y, &tables::GELU), x.max(x.splat(0.0)));
        }
        let (near_one, power) = exp_of_product_near(y, y * x.splat(-0.5), None);
        let (p, q) = NEAR_GELU;
        let tail = y * near_one * polynomial(y, &p) / polynomial(y, &q);
        (-tail).fma(power, x.max(x.splat(0.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(if L::LOOKS_UP { 6.15 } else { GELU_NEAR })
    }
}

/// x n / (1 + n), n = e^(x (a + b x²)): the tangent written with one exponential.
#[derive(Clone, Copy)]
struct GeluTanh;

/// 2 √(2/π) and that times 0.044715.
const GELU_TANH: [[f32; 2]; 2] = [split(1.595_769_121_605_730_7), split(0.071_354_816_272_600_25)];

impl GeluTanh {
    /// a + b x², and what its roundings took from it: where the tail is small, the exponent is large, and so is the
    /// tail's relative error.
    #[inline(always)]
    fn factor<L: Lanes>(x: L) -> (L, L) {
        let [[a, a_rest], [b, b_rest]] = GELU_TANH;
        let square = x * x;
        let square_rest = x.fma_exact(x, -square);
        let term = square * x.splat(b);
        let term_rest = square.fma_exact(x.splat(b), -term);
        let sum = term + x.splat(a);
        let of_sum = sum - term;
        let sum_rest = (term - (sum - of_sum)) + (x.splat(a) - of_sum);
        let rest = square_rest.fma(x.splat(b), term_rest) + sum_rest;
        (sum, rest + square.fma(x.splat(b_rest), x.splat(a_rest)))
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        // Between these the exponent goes from `LEAST` to 49.
        let inner = clamp(x, -12.964, 8.0);
        let (factor, rest) = Self::factor(inner);
        let n = exp_of_product(inner, factor, rest);
        n.scale(n.near_one / (n.value() + x.splat(1.0)) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (factor, rest) = Self::factor(x);
        let (near_one, power) = exp_of_product_near(-x, factor, Some(rest));
        // A division after all: the processor has time for it while it computes the factor of the next vector.
        x / near_one.fma(power, x.splat(1.0))
    }
    /// There the exponent is 80.
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(9.6)
    }
}
