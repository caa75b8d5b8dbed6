//! Self-gated functions: x times something between 0 and 1 of x.

use super::{Function, Row, ends, pass_of, reach, split};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{
    self, LEAST, NEARER, clamp, exp, exp_of_minus_nearer, exp_of_product, exp_of_product_near,
};

pub const ROWS: &[Row] = &[
    Row { name: "silu", bound: Bound::ulp(4.0), make: |_| pass_of(Silu) },
    Row { name: "quick_gelu", bound: Bound::ulp(4.0), make: |_| pass_of(Swish::new(1.702)) },
    Row { name: "swish", bound: Bound::ulp(4.0), make: |p| pass_of(Swish::new(*p.first()?)) },
    Row { name: "hard_swish", bound: Bound::ulp(4.0), make: |_| pass_of(HardSwish) },
    Row { name: "mish", bound: Bound::ulp(6.0), make: |_| pass_of(Mish) },
];

/// x n / (1 + n), n = eˣ
#[derive(Clone, Copy)]
struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp(clamp(x, LEAST, 40.0));
        n.scale(n.near_one / (n.value() + x.splat(1.0)) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = math::exp_for_sigmoid(x);
        x.over(near_one.fma(power, x.splat(1.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(math::sigmoid_reach::<L>())
    }
}

/// x n / (1 + n), n = e^(beta x)
#[derive(Clone, Copy)]
struct Swish {
    beta: [f32; 2],
    reach: f32,
    /// Where beta x is `LEAST` and 40, the lesser first.
    ends: [f32; 2],
}

impl Swish {
    fn new(beta: f64) -> Self {
        Self { beta: split(beta), reach: reach(beta), ends: ends(beta, 40.0) }
    }
}

impl Function for Swish {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let inner = clamp(x, self.ends[0], self.ends[1]);
        let n = exp_of_product(inner, x.splat(self.beta[0]), x.splat(self.beta[1]));
        n.scale(n.near_one / (n.value() + x.splat(1.0)) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = exp_of_product_near(x, x.splat(-self.beta[0]), Some(x.splat(-self.beta[1])));
        x.over(near_one.fma(power, x.splat(1.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}

/// x · min(max(x + 3, 0), 6) / 6: the sum is exact where it is small.
#[derive(Clone, Copy)]
struct HardSwish;

impl Function for HardSwish {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x * (clamp(x + x.splat(3.0), 0.0, 6.0) * x.splat(1.0 / 6.0))
    }
}

/// x n (n + 2) / (n (n + 2) + 2), n = eˣ: tanh(ln(1 + n)), multiplied out.
#[derive(Clone, Copy)]
struct Mish;

impl Function for Mish {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp(clamp(x, LEAST, 20.0));
        let value = n.value();
        let sum = value + x.splat(2.0);
        n.scale(n.near_one * sum / value.fma(sum, x.splat(2.0)) * x)
    }
    /// x (m + ½) / (m² + m + ½), m = e⁻ˣ
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = exp_of_minus_nearer(x);
        let m = near_one * power;
        let above = m + x.splat(0.5);
        (x * above).over(m.fma(m, above))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEARER)
    }
}
