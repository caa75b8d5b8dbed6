//! Exponential linear units.

use super::{Function, Row, pass_of};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::one_minus_exp_of_negative;

pub const ROWS: &[Row] = &[
    Row {
        name: "elu",
        bound: Bound::ulp(4.0),
        make: |p| pass_of(Elu { above: 1.0, below: *p.first()? as f32 }),
    },
    Row { name: "selu", bound: Bound::ulp(4.0), make: |_| pass_of(SELU) },
    Row { name: "celu", bound: Bound::ulp(4.0), make: |p| pass_of(Celu::new(*p.first()?)?) },
];

/// As the ONNX operator rounds its parameters.
const SELU: Elu = Elu { above: 1.050_701, below: (1.050_701_022_148_132_3 * 1.673_263_192_176_818_8) as f32 };

/// above · x if x ≥ 0, else below (eˣ - 1): ELU and SELU. (ELU multiplies by 1, too: where the compiler sees that some
/// floats stay, it stores only the others, which is slow.)
#[derive(Clone, Copy)]
struct Elu {
    above: f32,
    below: f32,
}

impl Function for Elu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let below = one_minus_exp_of_negative(x) * x.splat(-self.below);
        L::select_negative(x, below, x * x.splat(self.above))
    }
}

/// x if x ≥ 0, else alpha (e^(x / alpha) - 1)
#[derive(Clone, Copy)]
struct Celu {
    alpha: f32,
    inner: f32,
}

impl Celu {
    /// `None` unless alpha is positive.
    fn new(alpha: f64) -> Option<Self> {
        (alpha > 0.0).then_some(Self { alpha: alpha as f32, inner: (1.0 / alpha) as f32 })
    }
}

impl Function for Celu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let below = one_minus_exp_of_negative(x * x.splat(self.inner)) * x.splat(-self.alpha);
        L::select_negative(x, below, x.max(x.splat(0.0)))
    }
}
