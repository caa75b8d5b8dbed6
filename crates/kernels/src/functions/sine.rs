//! Periodic functions.

use super::{Function, Row, pass_of, split};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math;

pub const ROWS: &[Row] = &[Row {
    name: "sine",
    bound: Bound::with_zeros(4.0, 1.0, 0.0),
    make: |p| pass_of(Sine::new(*p.first()?)),
}];

/// sin(omega x), far from 0 float by float in double precision
#[derive(Clone, Copy)]
struct Sine {
    omega: [f32; 2],
    reach: f32,
}

impl Sine {
    fn new(omega: f64) -> Self {
        let reach = f64::from(math::SIN_NEAR) / omega.abs();
        Self { omega: split(omega), reach: reach.min(1e30) as f32 }
    }
}

impl Function for Sine {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let omega = f64::from(self.omega[0]) + f64::from(self.omega[1]);
        x.each(|x| (f64::from(x) * omega).sin() as f32)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        math::sin_of_product(x, self.omega[0], self.omega[1])
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}
