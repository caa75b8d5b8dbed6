//! The activation functions, each written once for vectors of any width.
//!
//! A file holds a family, as the registry's file of the same name does: formulas, and a row for each activation. To
//! add a kernel, write both there and, for a new file, a line in `FAMILIES`.

mod acon;
mod elu;
mod gelu;
mod pade;
mod relu;
mod sigmoid;
mod sine;
mod swish;
mod tanhsoft;

use std::sync::Arc;

use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{LEAST, NEAR};
use crate::pass::Pass;

const FAMILIES: &[&[Row]] = &[
    relu::ROWS,
    elu::ROWS,
    sigmoid::ROWS,
    swish::ROWS,
    gelu::ROWS,
    sine::ROWS,
    tanhsoft::ROWS,
    pade::ROWS,
    acon::ROWS,
];

/// An activation function with its parameters.
pub trait Function: Copy + Send + Sync + 'static {
    /// f(x), for any numbers.
    fn at<L: Lanes>(self, x: L) -> L;
    /// The same, cheaper, for magnitudes up to `reach`, where there are no tails and nothing overflows. NaN must stay
    /// NaN here, too.
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        self.at(x)
    }
    /// `None` where `near` is the same as `at`.
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        None
    }
}

/// An activation's kernel.
pub struct Row {
    /// The activation's name in the registry.
    pub name: &'static str,
    pub bound: Bound,
    /// From the activation's parameters, in the registry's order; `None` for parameters that it can't have.
    pub make: fn(&[f64]) -> Option<Arc<dyn Pass>>,
}

/// The kernels of all activations.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

fn pass_of(f: impl Function) -> Option<Arc<dyn Pass>> {
    Some(Arc::new(f))
}

/// A number as the nearest float and what is left of it.
const fn split(value: f64) -> [f32; 2] {
    let near = value as f32;
    [near, (value - near as f64) as f32]
}

/// How far x goes while factor · x stays within ± `NEAR`.
fn reach(factor: f64) -> f32 {
    (f64::from(NEAR) / factor.abs()).min(1e30) as f32
}

/// Where factor · x is `LEAST` and `high`, the lesser first.
fn ends(factor: f64, high: f64) -> [f32; 2] {
    let ends = [f64::from(LEAST) / factor, high / factor].map(|end| end as f32);
    if factor < 0.0 { [ends[1], ends[0]] } else { ends }
}
