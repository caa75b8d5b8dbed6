//! Gaussian error linear units.

use super::sigmoid::{sigmoid, sigmoid_slope};
use super::{Exporter, Form, Kind};
use crate::onnx::erf::erfc;

/// √(2/π)
const C: f64 = 0.797_884_560_802_865_4;

/// The share of a standard normal that lies below x.
fn normal(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Twice the argument of the tanh: since 1 + tanh(u) is 2 sigmoid(2u), nothing cancels.
fn doubled(x: f64) -> f64 {
    2.0 * C * (x + 0.044715 * x.powi(3))
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "gelu",
        aliases: &["gelu_erf"],
        formula: "x (1 + erf(x / sqrt 2)) / 2",
        derivative: "(1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi)",
        source: "arXiv 1606.08415; ONNX Gelu",
        value: |x, _| x * normal(x),
        slope: |x, _| normal(x) + x * (-x * x / 2.0).exp() * C / 2.0,
        range: [-0.169_971_207_48, f64::INFINITY],
        exported: &[
            Form::since(20, "Gelu(x, approximate=\"none\")"),
            Form::since(9, "x * (Erf(x / 1.4142135623730951) + 1) * 0.5"),
        ],
        ..Kind::PLAIN
    },
    Kind {
        name: "gelu_tanh",
        aliases: &["gelu_new", "fast_gelu"],
        formula: "x (1 + tanh(0.798 x + 0.0357 x^3)) / 2",
        derivative: "(1 + tanh(u)) / 2 + x (1 - tanh(u)^2) u' / 2, \
                     with u = sqrt(2/pi) (x + 0.044715 x^3)",
        source: "arXiv 1606.08415, section 2; ONNX Gelu with approximate=tanh",
        value: |x, _| x * sigmoid(doubled(x)),
        slope: |x, _| {
            let inner = 2.0 * C * (1.0 + 3.0 * 0.044715 * x * x);
            sigmoid(doubled(x)) + x * sigmoid_slope(doubled(x)) * inner
        },
        range: [-0.170_040_750_57, f64::INFINITY],
        exported: &[
            Form::since(20, "Gelu(x, approximate=\"tanh\")"),
            Form {
                only: Some(Exporter::Dynamo),
                ..Form::since(7, "x * (0.5 * (Tanh(0.7978845608028654 * (x + 0.044715 * Pow(x, 3))) + 1))")
            },
            Form::since(7, "0.5 * (x * (1 + Tanh(0.7978845608028654 * (x + 0.044715 * (x * (x * x))))))"),
        ],
        ..Kind::PLAIN
    },
];
