//! Exponential linear units.

use super::{Form, Kind, Parameter, Place};

/// α and γ of SELU, as the ONNX operator rounds them.
const SELU: [f64; 2] = [1.673_263_192_176_818_8, 1.050_701_022_148_132_3];

pub const KINDS: &[Kind] = &[
    Kind {
        name: "elu",
        aliases: &[],
        formula: "x if x > 0, else alpha (exp(x) - 1)",
        source: "ONNX Elu; arXiv 1511.07289",
        parameters: &[Parameter { name: "alpha", default: 1.0 }],
        value: |x, p| if x > 0.0 { x } else { p[0] * x.exp_m1() },
        recognised: &[],
        exported: &[Form::since(1, "Elu(x, alpha=alpha)")],
        place: Place::Anywhere,
    },
    Kind {
        name: "selu",
        aliases: &[],
        formula: "1.0507 x if x > 0, else 1.0507 * 1.67326 (exp(x) - 1)",
        source: "ONNX Selu; arXiv 1706.02515",
        parameters: &[],
        value: |x, _| SELU[1] * if x > 0.0 { x } else { SELU[0] * x.exp_m1() },
        recognised: &[],
        exported: &[Form::since(1, "Selu(x, alpha=1.6732631921768188, gamma=1.0507010221481323)")],
        place: Place::Anywhere,
    },
    Kind {
        name: "celu",
        aliases: &[],
        formula: "x if x > 0, else alpha (exp(x / alpha) - 1)",
        source: "ONNX Celu; arXiv 1704.07483",
        parameters: &[Parameter { name: "alpha", default: 1.0 }],
        value: |x, p| if x > 0.0 { x } else { p[0] * (x / p[0]).exp_m1() },
        recognised: &[],
        exported: &[
            Form { formula: "Celu(x, alpha=alpha)", since: 12, only: None, f32_only: true },
            Form::since(1, "alpha * Elu(x / alpha, alpha=1)"),
        ],
        place: Place::Anywhere,
    },
];
