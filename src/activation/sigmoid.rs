//! Sigmoids and their relatives: bounded functions, and the softplus whose derivative is one.

use super::{Form, Kind, Parameter, Place};

/// 1 / (1 + e⁻ˣ), without overflow.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// ln(1 + eˣ), without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The hard sigmoid of PyTorch and of hard swish: x/6 + 1/2 between 0 and 1.
pub(super) fn hard_sigmoid(x: f64) -> f64 {
    (x / 6.0 + 0.5).clamp(0.0, 1.0)
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "sigmoid",
        aliases: &["logistic"],
        formula: "1 / (1 + exp(-x))",
        source: "ONNX Sigmoid",
        parameters: &[],
        value: |x, _| sigmoid(x),
        recognised: &[],
        exported: &[Form::since(1, "Sigmoid(x)")],
        place: Place::BetweenLinear,
    },
    Kind {
        name: "hard_sigmoid",
        aliases: &[],
        formula: "min(max(alpha x + beta, 0), 1)",
        source: "ONNX HardSigmoid, with PyTorch's alpha of 1/6; arXiv 1905.02244",
        parameters: &[
            Parameter { name: "alpha", default: 1.0 / 6.0 },
            Parameter { name: "beta", default: 0.5 },
        ],
        value: |x, p| (p[0] * x + p[1]).clamp(0.0, 1.0),
        recognised: &[
            "Clip(x + 3, 0, 6) / 6",
            "Min(Relu(x + 3), 6) / 6",
            "Min(Max(x + 3, 0), 6) / 6",
            "Clip(x / 6 + 0.5, 0, 1)",
        ],
        exported: &[Form::since(1, "HardSigmoid(x, alpha=alpha, beta=beta)")],
        place: Place::BetweenLinear,
    },
    Kind {
        name: "tanh",
        aliases: &[],
        formula: "tanh(x)",
        source: "ONNX Tanh",
        parameters: &[],
        value: |x, _| x.tanh(),
        recognised: &[],
        exported: &[Form::since(1, "Tanh(x)")],
        place: Place::BetweenLinear,
    },
    Kind {
        name: "softsign",
        aliases: &[],
        formula: "x / (1 + |x|)",
        source: "ONNX Softsign",
        parameters: &[],
        value: |x, _| x / (1.0 + x.abs()),
        recognised: &["Softsign(x)"],
        exported: &[Form::since(1, "x / (Abs(x) + 1)")],
        place: Place::Anywhere,
    },
    Kind {
        name: "softplus",
        aliases: &[],
        formula: "ln(1 + exp(beta x)) / beta",
        source: "ONNX Softplus",
        parameters: &[Parameter { name: "beta", default: 1.0 }],
        value: |x, p| softplus(p[0] * x) / p[0],
        recognised: &["Log(Exp(beta * x) + 1) / beta"],
        exported: &[Form::since(1, "Softplus(x * beta) / beta")],
        place: Place::Anywhere,
    },
];
