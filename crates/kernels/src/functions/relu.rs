//! Piecewise linear functions.

use std::sync::Arc;

use super::{Function, Row, pass_of};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::clamp;
use crate::pass::Pass;

pub const ROWS: &[Row] = &[
    Row { name: "relu", bound: Bound::ulp(0.0), make: |_| pass_of(Relu) },
    Row { name: "relu6", bound: Bound::ulp(0.0), make: |_| pass_of(Clip { low: 0.0, high: 6.0 }) },
    Row { name: "hard_tanh", bound: Bound::ulp(0.0), make: |_| pass_of(Clip { low: -1.0, high: 1.0 }) },
    Row { name: "leaky_relu", bound: Bound::ulp(2.0), make: |p| leaky_relu(*p.first()? as f32) },
    Row { name: "step", bound: Bound::ulp(0.0), make: |_| pass_of(Step) },
];

/// max(x, 0)
#[derive(Clone, Copy)]
struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x.positive()
    }
}

/// min(max(x, low), high)
#[derive(Clone, Copy)]
struct Clip {
    low: f32,
    high: f32,
}

impl Function for Clip {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        clamp(x, self.low, self.high)
    }
}

fn leaky_relu(alpha: f32) -> Option<Arc<dyn Pass>> {
    if alpha > 0.0 && alpha <= 1.0 { pass_of(Leak { alpha }) } else { pass_of(LeakyRelu { alpha }) }
}

/// x if x ≥ 0, else alpha x
#[derive(Clone, Copy)]
struct LeakyRelu {
    alpha: f32,
}

impl Function for LeakyRelu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        // A product for all: where the compiler sees that some floats stay, it stores only the others, which is slow.
        x * L::select(x.less(x.splat(0.0)), x.splat(self.alpha), x.splat(1.0))
    }
}

/// The same where alpha is positive and at most 1: max(x, alpha x)
#[derive(Clone, Copy)]
struct Leak {
    alpha: f32,
}

impl Function for Leak {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x.max(x * x.splat(self.alpha))
    }
}

/// 1 if x > 0, else 0
#[derive(Clone, Copy)]
struct Step;

impl Function for Step {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        L::select(x.splat(0.0).less(x), x.splat(1.0), x.splat(0.0))
    }
}
