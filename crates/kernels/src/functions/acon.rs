//! ACON: smooth maxima of two linear functions.

use super::{Function, Row, ends, pass_of, reach, split};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{clamp, exp_of_product, exp_of_product_near};

pub const ROWS: &[Row] = &[Row {
    name: "acon_c",
    // The scale is that of its lines: (|d| + |p2|) |x|.
    bound: Bound::with_zeros(4.0, 0.0, 3.0),
    make: |p| pass_of(AconC::new(*p.first()?, *p.get(1)?, *p.get(2)?)),
}];

/// d x σ(beta d x) + p2 x, d = p1 - p2
#[derive(Clone, Copy)]
struct AconC {
    /// Halves, so that no product overflows where the sum doesn't.
    d: f32,
    p2: f32,
    inner: [f32; 2],
    reach: f32,
    /// Where beta d x is `LEAST` and 40, the lesser first.
    ends: [f32; 2],
}

impl AconC {
    fn new(p1: f64, p2: f64, beta: f64) -> Self {
        let (d, inner) = (p1 - p2, beta * (p1 - p2));
        Self {
            d: (d / 2.0) as f32,
            p2: (p2 / 2.0) as f32,
            inner: split(inner),
            reach: reach(inner),
            ends: ends(inner, 40.0),
        }
    }
}

impl Function for AconC {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = clamp(x, self.ends[0], self.ends[1]);
        let n = exp_of_product(n, x.splat(self.inner[0]), x.splat(self.inner[1]));
        let sigmoid = n.scale(n.near_one / (n.value() + x.splat(1.0)));
        let half = (x * x.splat(self.d)).fma(sigmoid, x * x.splat(self.p2));
        half + half
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) =
            exp_of_product_near(x, x.splat(-self.inner[0]), Some(x.splat(-self.inner[1])));
        let sigmoid = near_one.fma(power, x.splat(1.0)).inverse();
        let half = (x * x.splat(self.d)).fma(sigmoid, x * x.splat(self.p2));
        half + half
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}
