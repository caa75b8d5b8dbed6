//! Self-gated functions: x times something between 0 and 1 of x.

use super::samples::Samples;
use super::sigmoid::{hard_sigmoid, logit, sigmoid, sigmoid_slope, softplus, tanh_slope};
use super::{Exporter, Form, Kind, Parameter};

/// x σ(βx)
fn swish(x: f64, beta: f64) -> f64 {
    x * sigmoid(beta * x)
}

fn swish_slope(x: f64, beta: f64) -> f64 {
    sigmoid(beta * x) + beta * x * sigmoid_slope(beta * x)
}

/// The β of x σ(βx), from the point at which σ says most of it.
fn fit(samples: &Samples) -> Option<Vec<f64>> {
    let gates = samples.pairs().filter(|(x, _)| *x > 0.0).map(|(x, y)| (x, y / x));
    let steep = gates.filter(|(_, gate)| 0.0 < *gate && *gate < 1.0);
    let (x, gate) = steep.min_by(|a, b| {
        let off = |gate: f64| (gate - 0.5).abs() - 0.25;
        off(a.1).abs().total_cmp(&off(b.1).abs())
    })?;
    Some(vec![logit(gate) / x])
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "silu",
        aliases: &["swish", "swish1"],
        formula: "x sigmoid(x)",
        derivative: "sigmoid(x) (1 + x sigmoid(-x))",
        source: "arXiv 1702.03118; ONNX Swish with alpha 1",
        value: |x, _| swish(x, 1.0),
        slope: |x, _| swish_slope(x, 1.0),
        range: [-0.278_464_542_76, f64::INFINITY],
        exported: &[Form::since(1, "x * Sigmoid(x)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "quick_gelu",
        formula: "x sigmoid(1.702 x)",
        derivative: "sigmoid(1.702 x) (1 + 1.702 x sigmoid(-1.702 x))",
        source: "arXiv 1606.08415, section 2",
        value: |x, _| swish(x, 1.702),
        slope: |x, _| swish_slope(x, 1.702),
        range: [-0.163_610_189_63, f64::INFINITY],
        exported: &[Form::since(1, "x * Sigmoid(x * 1.702)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "swish",
        aliases: &["swish_beta"],
        formula: "x sigmoid(beta x)",
        derivative: "sigmoid(beta x) (1 + beta x sigmoid(-beta x))",
        source: "arXiv 1710.05941; ONNX Swish",
        parameters: &[Parameter::new("beta", 1.0)],
        value: |x, p| swish(x, p[0]),
        slope: |x, p| swish_slope(x, p[0]),
        range: [-0.278_464_542_76, f64::INFINITY],
        fit: Some(fit),
        exported: &[Form::since(1, "x * Sigmoid(x * beta)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "hard_swish",
        aliases: &["h_swish"],
        formula: "x min(max(x + 3, 0), 6) / 6",
        derivative: "0 if x < -3, 1 if x > 3, else x/3 + 1/2",
        source: "arXiv 1905.02244; ONNX HardSwish",
        value: |x, _| x * hard_sigmoid(x),
        slope: |x, _| match x {
            ..=-3.0 => 0.0,
            3.0.. => 1.0,
            _ => x / 3.0 + 0.5,
        },
        kinks: |_| vec![-3.0, 3.0],
        range: [-0.375, f64::INFINITY],
        exported: &[
            Form::since(14, "HardSwish(x)"),
            Form::since(1, "x * HardSigmoid(x, alpha=1/6, beta=0.5)"),
        ],
        ..Kind::PLAIN
    },
    Kind {
        name: "mish",
        formula: "x tanh(ln(1 + exp(x)))",
        derivative: "tanh(s) + x (1 - tanh(s)^2) sigmoid(x), with s = ln(1 + exp(x))",
        source: "arXiv 1908.08681; ONNX Mish",
        value: |x, _| x * softplus(x).tanh(),
        slope: |x, _| softplus(x).tanh() + x * tanh_slope(softplus(x)) * sigmoid(x),
        range: [-0.308_843_413_02, f64::INFINITY],
        exported: &[
            Form { formula: "Mish(x)", since: 18, only: Some(Exporter::Dynamo), f32_only: false },
            Form::since(1, "x * Tanh(Softplus(x))"),
        ],
        ..Kind::PLAIN
    },
];
