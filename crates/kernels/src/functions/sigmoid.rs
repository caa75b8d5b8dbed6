//! Sigmoids and their relatives: bounded functions, and the softplus whose derivative is one.

use super::{Function, Row, pass_of, split};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{self, LEAST, clamp, exp, exp_of_product, exp_of_product_near};

pub const ROWS: &[Row] = &[
    Row { name: "sigmoid", bound: Bound::ulp(4.0), make: |_| pass_of(Sigmoid) },
    Row {
        name: "hard_sigmoid",
        bound: Bound::ulp(2.0),
        make: |p| pass_of(HardSigmoid::new(*p.first()?, *p.get(1)?)),
    },
    Row { name: "tanh", bound: Bound::ulp(4.0), make: |_| pass_of(Tanh) },
    Row { name: "softsign", bound: Bound::ulp(2.0), make: |_| pass_of(Softsign) },
    Row { name: "softplus", bound: Bound::ulp(4.0), make: |p| pass_of(Softplus::new(*p.first()?)?) },
];

/// 1 / (1 + e⁻ˣ) = n / (1 + n), n = eˣ
#[derive(Clone, Copy)]
struct Sigmoid;

impl Function for Sigmoid {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp(clamp(x, LEAST, 40.0));
        n.scale(n.near_one / (n.value() + x.splat(1.0)))
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = math::exp_for_sigmoid(x);
        near_one.fma(power, x.splat(1.0)).inverse()
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(math::sigmoid_reach::<L>())
    }
}

/// min(max(alpha x + beta, 0), 1)
#[derive(Clone, Copy)]
struct HardSigmoid {
    alpha: [f32; 2],
    beta: [f32; 2],
}

impl HardSigmoid {
    fn new(alpha: f64, beta: f64) -> Self {
        Self { alpha: split(alpha), beta: split(beta) }
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let near = x.fma_exact(x.splat(self.alpha[0]), x.splat(self.beta[0]));
        // So far out the rest changes nothing, and ∞ times 0 would be NaN.
        let rest = clamp(x, -1e30, 1e30).fma(x.splat(self.alpha[1]), x.splat(self.beta[1]));
        clamp(near + rest, 0.0, 1.0)
    }
}

/// tanh x
#[derive(Clone, Copy)]
struct Tanh;

impl Function for Tanh {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        math::tanh(x)
    }
}

/// x / (1 + |x|)
#[derive(Clone, Copy)]
struct Softsign;

impl Function for Softsign {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x / (x.abs() + x.splat(1.0))
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        x * (x.abs() + x.splat(1.0)).inverse()
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(1e30)
    }
}

/// ln(1 + e^(beta x)) / beta = max(x, 0) + ln(1 + n) / beta, n = e^(-beta |x|)
#[derive(Clone, Copy)]
struct Softplus {
    beta: [f32; 2],
    over_beta: [f32; 2],
    end: f32,
}

impl Softplus {
    /// `None` unless beta is positive.
    fn new(beta: f64) -> Option<Self> {
        let made =
            Self { beta: split(-beta), over_beta: split(1.0 / beta), end: (f64::from(LEAST) / -beta) as f32 };
        (beta > 0.0).then_some(made)
    }
}

impl Function for Softplus {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let y = x.abs().min(x.splat(self.end));
        let n = exp_of_product(y, x.splat(self.beta[0]), x.splat(self.beta[1]));
        let (near, rest) = (x.splat(self.over_beta[0]), x.splat(self.over_beta[1]));
        let tail = math::log_1p_over(n.value(), n.near_one.fma_exact(near, n.near_one * rest));
        x.max(x.splat(0.0)) + n.scale(tail)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) =
            exp_of_product_near(x.abs(), x.splat(self.beta[0]), Some(x.splat(self.beta[1])));
        let (near, rest) = (x.splat(self.over_beta[0]), x.splat(self.over_beta[1]));
        let factor = near_one.fma_exact(near, near_one * rest);
        math::log_1p_over(near_one * power, factor).fma(power, x.max(x.splat(0.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.end / 4.0)
    }
}
