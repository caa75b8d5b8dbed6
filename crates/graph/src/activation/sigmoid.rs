//! Sigmoids and their relatives: bounded functions, and the softplus whose derivative is one.

use super::samples::Samples;
use super::{Exporter, Form, Kind, Parameter, Place};

/// 1 / (1 + e⁻ˣ), without overflow.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Its derivative.
pub(super) fn sigmoid_slope(x: f64) -> f64 {
    sigmoid(x) * sigmoid(-x)
}

/// ln(1 + eˣ), without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The derivative of tanh, 1 / cosh²(x), without cancellation.
pub(super) fn tanh_slope(x: f64) -> f64 {
    let e = (-2.0 * x.abs()).exp();
    4.0 * e / ((1.0 + e) * (1.0 + e))
}

/// The hard sigmoid of PyTorch and of hard swish: x/6 + 1/2 between 0 and 1.
pub(super) fn hard_sigmoid(x: f64) -> f64 {
    (x / 6.0 + 0.5).clamp(0.0, 1.0)
}

/// ln(p / (1 - p)), of which the sigmoid is p.
pub(super) fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// The line of a hard sigmoid, through the first and the last point where it is neither 0 nor 1. One that begins at 0 is a
/// clamp, as of colours.
fn fit_hard_sigmoid(samples: &Samples) -> Option<Vec<f64>> {
    let mut inside = samples.pairs().filter(|(_, y)| 0.0 < *y && *y < 1.0);
    let (x0, y0) = inside.next()?;
    let (x1, y1) = inside.last()?;
    let alpha = (y1 - y0) / (x1 - x0);
    let beta = y0 - alpha * x0;
    (beta.abs() > 1e-6).then_some(vec![alpha, beta])
}

/// The β of softplus, which is ln 2 / β at 0.
fn fit_softplus(samples: &Samples) -> Option<Vec<f64>> {
    Some(vec![std::f64::consts::LN_2 / samples.at(0.0)])
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "sigmoid",
        aliases: &["logistic"],
        formula: "1 / (1 + exp(-x))",
        derivative: "sigmoid(x) sigmoid(-x)",
        source: "ONNX Sigmoid",
        value: |x, _| sigmoid(x),
        slope: |x, _| sigmoid_slope(x),
        range: [0.0, 1.0],
        monotonic: true,
        exported: &[Form::since(1, "Sigmoid(x)")],
        place: Place::BetweenLinear,
        ..Kind::PLAIN
    },
    Kind {
        name: "hard_sigmoid",
        formula: "min(max(alpha x + beta, 0), 1)",
        derivative: "alpha if 0 < alpha x + beta < 1, else 0",
        source: "ONNX HardSigmoid; arXiv 1905.02244 (with PyTorch's alpha of 1/6, where ONNX has 0.2)",
        parameters: &[Parameter::new("alpha", 1.0 / 6.0), Parameter::new("beta", 0.5)],
        value: |x, p| (p[0] * x + p[1]).clamp(0.0, 1.0),
        slope: |x, p| if (0.0..1.0).contains(&(p[0] * x + p[1])) { p[0] } else { 0.0 },
        kinks: |p| vec![-p[1] / p[0], (1.0 - p[1]) / p[0]],
        range: [0.0, 1.0],
        monotonic: true,
        fit: Some(fit_hard_sigmoid),
        exported: &[Form::since(1, "HardSigmoid(x, alpha=alpha, beta=beta)")],
        place: Place::BetweenLinear,
        ..Kind::PLAIN
    },
    Kind {
        name: "tanh",
        formula: "tanh(x)",
        derivative: "1 - tanh(x)^2",
        source: "ONNX Tanh",
        value: |x, _| x.tanh(),
        slope: |x, _| tanh_slope(x),
        range: [-1.0, 1.0],
        monotonic: true,
        exported: &[Form::since(1, "Tanh(x)")],
        place: Place::BetweenLinear,
        ..Kind::PLAIN
    },
    Kind {
        name: "softsign",
        formula: "x / (1 + |x|)",
        derivative: "1 / (1 + |x|)^2",
        source: "ONNX Softsign",
        value: |x, _| x / (1.0 + x.abs()),
        slope: |x, _| (1.0 + x.abs()).powi(-2),
        range: [-1.0, 1.0],
        monotonic: true,
        exported: &[Form::since(1, "x / (Abs(x) + 1)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "softplus",
        formula: "ln(1 + exp(beta x)) / beta",
        derivative: "sigmoid(beta x)",
        source: "ONNX Softplus",
        parameters: &[Parameter::new("beta", 1.0)],
        value: |x, p| softplus(p[0] * x) / p[0],
        slope: |x, p| sigmoid(p[0] * x),
        range: [0.0, f64::INFINITY],
        monotonic: true,
        fit: Some(fit_softplus),
        exported: &[
            Form {
                only: Some(Exporter::Dynamo),
                ..Form::since(16, "Where(Greater(x * beta, 20), x, Softplus(x * beta) / beta)")
            },
            Form::since(1, "Softplus(x * beta) / beta"),
        ],
        ..Kind::PLAIN
    },
];
