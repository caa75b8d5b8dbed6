//! The elementary functions that the kernels share.
//!
//! Everything rests on one exponential. It is kept in three factors until the end, so that results in the subnormal
//! range are rounded once, and that a function's tail goes on as long as a float can hold it. The polynomials are
//! minimax fits; their errors, given beside them, are below the rounding of a float.

use std::f32::consts::LOG2_E;

use super::lanes::Lanes;
use super::tables::{self, Pieces};

/// The least argument of the exponential: there it is exactly 0. Its `near_one` is below 1 there, so that its
/// product with a number doesn't overflow.
pub const LEAST: f32 = -176.1;

/// 1.5 · 2²³: adding it rounds to an integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first of so few bits that its products with exponents are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// (eʳ - 1 - r) / r² for |r| ≤ ln 2 / 2: eʳ - 1 to a relative 1.4e-8.
const EXP: [f32; 5] = [4.999_999_7e-1, 1.666_654_2e-1, 4.166_720_4e-2, 8.366_692e-3, 1.388_248_9e-3];
/// eʳ for such r, to a relative 9.5e-8.
const NEAR_EXP: [f32; 6] = [1.0, 9.999_997e-1, 4.999_915e-1, 1.666_763_7e-1, 4.189_798_6e-2, 8.290_313e-3];
/// (ln(1 + n) / n - 1) / n for n in [0, 1]: ln(1 + n) to a relative 5.1e-9.
const LOG_1P: [f32; 9] = [
    -4.999_993e-1,
    3.333_051_2e-1,
    -2.495_858_7e-1,
    1.969_54e-1,
    -1.535_539_5e-1,
    1.068_055_3e-1,
    -5.766_442e-2,
    2.020_457_2e-2,
    -3.318_469_7e-3,
];
/// (sin r - r) / r³ in r² for |r| ≤ π/2: the sine to a relative 6.1e-9.
const SIN: [f32; 4] = [-1.666_666e-1, 8.333_066e-3, -1.980_952_2e-4, 2.605_590_2e-6];
/// π in two parts, the first as near as a float can be.
const PI: [f32; 2] = [std::f32::consts::PI, -8.742_278e-8];

/// c₀ + c₁x + …
#[inline(always)]
pub fn polynomial<L: Lanes, const N: usize>(x: L, c: &[f32; N]) -> L {
    let mut sum = x.splat(c[N - 1]);
    for &c in c[..N - 1].iter().rev() {
        sum = sum.fma(x, x.splat(c));
    }
    sum
}

/// A function in pieces, for a number that lies in one.
#[inline(always)]
pub fn piecewise<L: Lanes, const N: usize>(y: L, pieces: &Pieces<N>) -> L {
    let rounded = y.fma(y.splat(1.0 / pieces.step), y.splat(ROUND));
    let rest = (rounded - y.splat(ROUND)).fma(y.splat(-pieces.step), y);
    let mut sum = rounded.look_up(&pieces.terms[N - 1]);
    for terms in pieces.terms[..N - 1].iter().rev() {
        sum = sum.fma(rest, rounded.look_up(terms));
    }
    sum
}

#[inline(always)]
pub fn clamp<L: Lanes>(x: L, low: f32, high: f32) -> L {
    x.max(x.splat(low)).min(x.splat(high))
}

/// 0, but NaN for ±∞: what is added where the formula gives NaN there and the kernel wouldn't.
#[inline(always)]
#[allow(clippy::eq_op)] // ∞ - ∞ is NaN
pub fn unless_infinite<L: Lanes>(x: L) -> L {
    x - x
}

/// x, or 0 · x where that is negative: the positive part, but NaN for -∞, of which the formula multiplies 0.
#[inline(always)]
pub fn unless_negative<L: Lanes>(x: L) -> L {
    let negative = x.less(x.splat(0.0));
    x * L::select(negative, x.splat(0.0), x.splat(1.0))
}

/// An exponential, as a product: `near_one` lies in [0.7, 1.42], `scales` are powers of two, or 0 at `LEAST`.
#[derive(Clone, Copy)]
pub struct Exp<L> {
    pub near_one: L,
    pub scales: (L, L),
}

impl<L: Lanes> Exp<L> {
    #[inline(always)]
    pub fn value(self) -> L {
        self.near_one * self.scales.0 * self.scales.1
    }

    /// A value that holds the factor `near_one` already, times the other factors.
    #[inline(always)]
    pub fn scale(self, value: L) -> L {
        value * self.scales.0 * self.scales.1
    }

    #[inline(always)]
    fn new(reduced: L, integer: L) -> Self {
        Self { near_one: exp_of_rest_closely(reduced), scales: integer.exponent_halves() }
    }
}

/// Adding it rounds, and adds the bias of two exponents.
const ROUND_HALVES: f32 = ROUND + 254.0;
/// The same with the bias of one.
pub const ROUND_ONE: f32 = ROUND + 127.0;

/// eˣ for x in [`LEAST`, 88].
#[inline(always)]
pub fn exp<L: Lanes>(x: L) -> Exp<L> {
    let integer = x.fma(x.splat(LOG2_E), x.splat(ROUND_HALVES));
    let n = integer - x.splat(ROUND_HALVES);
    let r = n.fma(x.splat(-LN_2[0]), x);
    let r = n.fma(x.splat(-LN_2[1]), r);
    Exp::new(r, integer)
}

/// e^(x·(factor + rest)) for a product in [`LEAST`, 88], as exact as if the product weren't rounded: that would put a
/// tail at e⁻⁸⁷ off by 40 units in the last place.
#[inline(always)]
pub fn exp_of_product<L: Lanes>(x: L, factor: L, rest: L) -> Exp<L> {
    let integer = (x * factor).fma(x.splat(LOG2_E), x.splat(ROUND_HALVES));
    let n = integer - x.splat(ROUND_HALVES);
    let r = x.fma_exact(factor, n * x.splat(-LN_2[0]));
    let r = n.fma(x.splat(-LN_2[1]), r);
    let r = x.fma(rest, r);
    Exp::new(r, integer)
}

/// eʳ for |r| ≤ ln 2 / 2.
#[inline(always)]
pub fn exp_of_rest<L: Lanes>(r: L) -> L {
    // A product and a sum that aren't fused are rounded twice, which takes a term more.
    if L::FUSES { polynomial(r, &NEAR_EXP) } else { exp_of_rest_closely(r) }
}

/// The same by the longer polynomial.
#[inline(always)]
pub fn exp_of_rest_closely<L: Lanes>(r: L) -> L {
    polynomial(r, &EXP).fma(r, r.splat(1.0)).fma(r, r.splat(1.0))
}

/// The largest |x| for `exp_of_minus_near` and its kin.
pub const NEAR: f32 = 80.0;
/// The nearest float to ln 2, and what it lacks.
const LN_2_NEAR: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_3e-9];

/// e⁻ˣ for |x| ≤ `NEAR`, as a factor near 1 and one of about a power of two.
#[inline(always)]
pub fn exp_of_minus_near<L: Lanes>(x: L) -> (L, L) {
    let rounded = x.fma(x.splat(-LOG2_E), x.splat(L::ROUND));
    let n = rounded - x.splat(L::ROUND);
    let r = n.fma_exact(x.splat(-LN_2_NEAR[0]), -x);
    L::exp_parts(rounded, n.fma(x.splat(-LN_2_NEAR[1]), r))
}

/// The same with a smaller error, for functions that magnify it.
#[inline(always)]
pub fn exp_of_minus_near_closely<L: Lanes>(x: L) -> (L, L) {
    if L::LOOKS_UP {
        return exp_of_minus_near(x);
    }
    let rounded = x.fma(x.splat(-LOG2_E), x.splat(ROUND_ONE));
    let n = rounded - x.splat(ROUND_ONE);
    let r = n.fma_exact(x.splat(-LN_2_NEAR[0]), -x);
    (exp_of_rest_closely(n.fma(x.splat(-LN_2_NEAR[1]), r)), rounded.exponent())
}

/// The largest |x| for `exp_of_minus_nearer`.
pub const NEARER: f32 = 40.0;

/// As `exp_of_minus_near` for |x| ≤ `NEARER`: it goes without the last term, and is off by up to a unit in the last
/// place more.
#[inline(always)]
pub fn exp_of_minus_nearer<L: Lanes>(x: L) -> (L, L) {
    let rounded = x.fma(x.splat(-LOG2_E), x.splat(L::ROUND));
    let n = rounded - x.splat(L::ROUND);
    L::exp_parts(rounded, n.fma_exact(x.splat(-LN_2_NEAR[0]), -x))
}

/// e⁻ˣ for |x| ≤ `sigmoid_reach`, as far as the exponential is exact enough: with finer steps even without the last
/// term.
#[inline(always)]
pub fn exp_for_sigmoid<L: Lanes>(x: L) -> (L, L) {
    if L::LOOKS_UP { exp_of_minus_nearer(x) } else { exp_of_minus_near(x) }
}

#[inline(always)]
pub fn sigmoid_reach<L: Lanes>() -> f32 {
    if L::LOOKS_UP { 16.0 } else { NEAR }
}

/// e^(x·(factor + rest)) for a product within ±87, as `exp_of_product`, and in two factors as above.
#[inline(always)]
pub fn exp_of_product_near<L: Lanes>(x: L, factor: L, rest: Option<L>) -> (L, L) {
    let rounded = (x * factor).fma(x.splat(LOG2_E), x.splat(L::ROUND));
    let n = rounded - x.splat(L::ROUND);
    let r = x.fma_exact(factor, n * x.splat(-LN_2[0]));
    let r = n.fma(x.splat(-LN_2[1]), r);
    let r = if let Some(rest) = rest { x.fma(rest, r) } else { r };
    L::exp_parts(rounded, r)
}

/// 1 - eˣ for x ≤ 0, exact near 0, and +0 for ±0; any number for positive x.
#[inline(always)]
pub fn one_minus_exp_of_negative<L: Lanes>(x: L) -> L {
    let x = x.max(x.splat(-20.0));
    let integer = x.fma(x.splat(LOG2_E), x.splat(ROUND_ONE));
    let n = integer - x.splat(ROUND_ONE);
    let r = n.fma(x.splat(-LN_2_NEAR[0]), x);
    let m1 = (polynomial(r, &EXP) * r).fma(r, r);
    let scale = integer.exponent();
    (-m1).fma(scale, x.splat(1.0) - scale)
}

/// ln(1 + n) / n for n in [0, 1], times `factor`. The term 1 comes in last: its product with `factor` is rounded once.
#[inline(always)]
pub fn log_1p_over<L: Lanes>(n: L, factor: L) -> L {
    (factor * n).fma(polynomial(n, &LOG_1P), factor)
}

/// 2 tanh(x/2) / x as a quotient of polynomials in x²: tanh x, made of it, is off by a relative 7.7e-9 for |x| ≤
/// `TANH_END`. Both polynomials start with 1.3 and not with 1: roundings are then smaller beside the values near 1/4.
const TANH_OF_HALF: ([f32; 3], [f32; 4]) =
    ([1.3, 3.870_981_6e-2, 1.486_144_9e-4], [1.3, 1.470_431_1e-1, 1.568_920_4e-3, 1.599_486e-6]);
/// From there on the tangent rounds to ±1.
const TANH_END: f32 = 9.01;

/// tanh x = 2t / (1 + t²), t = tanh(x/2): where the result is nearly ±1, it hardly changes with t, whose error no
/// longer counts. (That of a quotient of polynomials for tanh x itself would.)
#[inline(always)]
pub fn tanh<L: Lanes>(x: L) -> L {
    if L::LOOKS_UP {
        return piecewise(x.abs().min(x.splat(9.3)), &tables::TANH).copysign(x);
    }
    let x = clamp(x, -TANH_END, TANH_END);
    let square = x * x;
    let twice = x * polynomial(square, &TANH_OF_HALF.0);
    let above = twice * x.splat(0.5);
    let below = polynomial(square, &TANH_OF_HALF.1);
    // A division after all: the processor has time for it while it computes the polynomials of the next vector.
    let tangent = twice * below / below.fma(below, above * above);
    // Where steps aren't fused it may come out above 1.
    if L::FUSES { tangent } else { clamp(tangent, -1.0, 1.0) }
}

/// How far x·factor goes in `sin_of_product`.
pub const SIN_NEAR: f32 = 1e4;

/// sin(x·(factor + rest)) for a product within ± `SIN_NEAR`.
#[inline(always)]
pub fn sin_of_product<L: Lanes>(x: L, factor: f32, rest: f32) -> L {
    let z = x * x.splat(factor);
    let integer = z.fma(x.splat(std::f32::consts::FRAC_1_PI), x.splat(ROUND));
    let n = integer - x.splat(ROUND);
    // Exact: both are multiples of the same small power of two, and nearly equal.
    let r = n.fma_exact(x.splat(-PI[0]), z);
    // What the product was rounded up by, and what the factor and π lack; +0 where x is ±0, whose sign stays.
    let rounded = (-x).fma_exact(x.splat(factor), z);
    let r = r - n.fma(x.splat(PI[1]), (-x).fma(x.splat(rest), rounded));
    let square = r * r;
    (polynomial(square, &SIN).fma(square, x.splat(1.0)) * r).negate_if_odd(integer)
}
