//! Gaussian error linear units.

use super::{Form, Kind, Place};
use crate::onnx::formula::erf;

/// √(2/π)
const C: f64 = 0.797_884_560_802_865_4;

pub const KINDS: &[Kind] = &[
    Kind {
        name: "gelu",
        aliases: &["gelu_erf"],
        formula: "x (1 + erf(x / sqrt 2)) / 2",
        source: "arXiv 1606.08415; ONNX Gelu",
        parameters: &[],
        value: |x, _| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        recognised: &["com.microsoft.Gelu(x)"],
        exported: &[
            Form::since(20, "Gelu(x, approximate=\"none\")"),
            Form::since(9, "x * (Erf(x / 1.4142135623730951) + 1) * 0.5"),
        ],
        place: Place::Anywhere,
    },
    Kind {
        name: "gelu_tanh",
        aliases: &["gelu_new", "fast_gelu"],
        formula: "x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2",
        source: "arXiv 1606.08415, section 2; ONNX Gelu with approximate=tanh",
        parameters: &[],
        value: |x, _| 0.5 * x * (1.0 + (C * (x + 0.044715 * x.powi(3))).tanh()),
        recognised: &[
            "com.microsoft.FastGelu(x)",
            "0.5 * x * (1 + Tanh(0.7978845608028654 * (x + 0.044715 * Pow(x, 3))))",
            "0.5 * x * (1 + Tanh(0.7978845608028654 * x * (1 + 0.044715 * x * x)))",
            "0.5 * x * (1 + Tanh(0.7978845608028654 * x * (1 + 0.044715 * Pow(x, 2))))",
        ],
        exported: &[
            Form::since(20, "Gelu(x, approximate=\"tanh\")"),
            Form::since(7, "0.5 * (x * (1 + Tanh(0.7978845608028654 * (x + 0.044715 * (x * (x * x))))))"),
        ],
        place: Place::Anywhere,
    },
];
