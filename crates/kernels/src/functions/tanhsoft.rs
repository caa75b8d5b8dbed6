//! Products and quotients of tanh, exponential and softplus that a search over formulas found.

use super::{Function, Row, ends, pass_of, reach, split};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{
    self, Exp, LEAST, NEAR, clamp, exp, exp_of_minus_near_closely, exp_of_product, exp_of_product_near,
};

pub const ROWS: &[Row] = &[
    Row {
        name: "tanhsoft1",
        bound: Bound::ulp(8.0),
        make: |p| pass_of(TanhSoft1 { alpha: *p.first()? as f32 }),
    },
    Row {
        name: "tanhsoft2",
        bound: Bound::ulp(8.0),
        make: |p| pass_of(TanhSoft2::new(*p.first()?, *p.get(1)?)),
    },
    Row { name: "eis1", bound: Bound::ulp(8.0), make: |p| pass_of(Eis1::new(*p.first()?)?) },
    Row { name: "eis2", bound: Bound::ulp(8.0), make: |_| pass_of(Eis2) },
];

/// ln(1 + eˣ), from n = e^-|x|.
#[inline(always)]
fn softplus<L: Lanes>(x: L, n: Exp<L>) -> L {
    x.max(x.splat(0.0)) + n.scale(math::log_1p_over(n.value(), n.near_one))
}

/// The same for |x| ≤ `NEAR`, and n.
#[inline(always)]
fn softplus_near<L: Lanes>(x: L) -> (L, L) {
    let (near_one, power) = exp_of_minus_near_closely(x.abs());
    let n = near_one * power;
    (math::log_1p_over(n, near_one).fma(power, x.max(x.splat(0.0))), n)
}

#[inline(always)]
fn exp_of_minus_abs<L: Lanes>(x: L) -> Exp<L> {
    exp((-x.abs()).max(x.splat(LEAST)))
}

/// tanh(alpha x) ln(1 + eˣ)
#[derive(Clone, Copy)]
struct TanhSoft1 {
    alpha: f32,
}

impl Function for TanhSoft1 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        math::tanh(x * x.splat(self.alpha)) * softplus(x, exp_of_minus_abs(x))
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        math::tanh(x * x.splat(self.alpha)) * softplus_near(x).0
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEAR)
    }
}

/// x tanh(beta n), n = e^(gamma x)
#[derive(Clone, Copy)]
struct TanhSoft2 {
    beta: f32,
    gamma: [f32; 2],
    reach: f32,
    /// Where gamma x is `LEAST` and 80, the lesser first.
    ends: [f32; 2],
}

impl TanhSoft2 {
    fn new(beta: f64, gamma: f64) -> Self {
        Self { beta: beta as f32, gamma: split(gamma), reach: reach(gamma), ends: ends(gamma, 80.0) }
    }
}

impl Function for TanhSoft2 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let inner = clamp(x, self.ends[0], self.ends[1]);
        let n = exp_of_product(inner, x.splat(self.gamma[0]), x.splat(self.gamma[1]));
        let u = n.value() * x.splat(self.beta);
        // Where the tangent is its argument, x comes in before the last power of two, which may make the rest 0.
        let tail = n.near_one * x.splat(self.beta) * n.scales.0 * x * n.scales.1;
        L::select(u.abs().less(x.splat(1e-5)), tail, math::tanh(u) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = exp_of_product_near(x, x.splat(self.gamma[0]), Some(x.splat(self.gamma[1])));
        let u = near_one * power * x.splat(self.beta);
        math::tanh(u) * x
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}

/// x ln(1 + eˣ) / (x + delta e⁻ˣ), the quotient extended by eˣ where x is negative.
#[derive(Clone, Copy)]
struct Eis1 {
    delta: f32,
}

impl Eis1 {
    /// `None` where the denominator comes near 0, or crosses it.
    fn new(delta: f64) -> Option<Self> {
        (delta >= 0.5).then_some(Self { delta: delta as f32 })
    }

    /// x and x + delta e⁻ˣ, both times eˣ where x is negative, from n = e^-|x|.
    #[inline(always)]
    fn quotient<L: Lanes>(self, x: L, n: L) -> (L, L) {
        let (negative, delta) = (x.less(x.splat(0.0)), x.splat(self.delta));
        let above = L::select(negative, x * n, x);
        (above, above + L::select(negative, delta, delta * n))
    }
}

impl Function for Eis1 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp_of_minus_abs(x);
        let (above, below) = self.quotient(x, n.value());
        above / below * softplus(x, n)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (softplus, n) = softplus_near(x);
        let (above, below) = self.quotient(x, n);
        above / below * softplus
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEAR)
    }
}

/// x ln(1 + eˣ) / √(1 + x²)
#[derive(Clone, Copy)]
struct Eis2;

impl Function for Eis2 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        // Beyond 1e9 x is its own root's value, and its square might overflow.
        let inner = clamp(x, -1e9, 1e9);
        let root = inner.fma(inner, x.splat(1.0)).sqrt();
        let finite = math::unless_infinite(x) + x.splat(1.0);
        inner / root * softplus(x, exp_of_minus_abs(x)) * finite
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        x.over(x.fma(x, x.splat(1.0)).sqrt()) * softplus_near(x).0
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEAR)
    }
}
