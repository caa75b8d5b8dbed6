//! Piecewise linear functions.

use super::samples::Samples;
use super::{Form, Kind, Learnt, Parameter, Place};

/// x where it is positive, else a fraction of it.
fn leaky(x: f64, slope: f64) -> f64 {
    if x >= 0.0 { x } else { slope * x }
}

fn leaky_slope(x: f64, slope: f64) -> f64 {
    if x >= 0.0 { 1.0 } else { slope }
}

/// The slope below 0 of a function that has one there. Of -1, it is the absolute value, which nobody means by these.
fn fit_slope(samples: &Samples) -> Option<Vec<f64>> {
    let slope = samples.ratio(-8.0, -8.0)?;
    ((slope + 1.0).abs() > 1e-6).then_some(vec![slope])
}

/// 1 between two bounds, 0 outside.
fn inside(x: f64, low: f64, high: f64) -> f64 {
    f64::from(low < x && x < high)
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "identity",
        aliases: &["linear", "none"],
        formula: "x",
        derivative: "1",
        source: "ONNX Identity",
        value: |x, _| x,
        slope: |_, _| 1.0,
        monotonic: true,
        exported: &[Form::since(1, "Identity(x)")],
        // In a file it is nothing.
        detectable: false,
        ..Kind::PLAIN
    },
    Kind {
        name: "step",
        aliases: &["binary_step", "heaviside"],
        formula: "1 if x > 0, else 0",
        derivative: "0",
        source: "Rosenblatt 1958",
        value: |x, _| f64::from(x > 0.0),
        slope: |_, _| 0.0,
        kinks: |_| vec![0.0],
        range: [0.0, 1.0],
        monotonic: true,
        exported: &[Form::since(9, "Where(Greater(x, 0), 1, 0)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "relu",
        formula: "max(x, 0)",
        derivative: "1 if x > 0, else 0",
        source: "ONNX Relu",
        value: |x, _| if x <= 0.0 { 0.0 } else { x },
        slope: |x, _| f64::from(x > 0.0),
        kinks: |_| vec![0.0],
        range: [0.0, f64::INFINITY],
        monotonic: true,
        exported: &[Form::since(1, "Relu(x)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "relu6",
        formula: "min(max(x, 0), 6)",
        derivative: "1 if 0 < x < 6, else 0",
        source: "ONNX Clip; arXiv 1704.04861",
        value: |x, _| x.clamp(0.0, 6.0),
        slope: |x, _| inside(x, 0.0, 6.0),
        kinks: |_| vec![0.0, 6.0],
        range: [0.0, 6.0],
        monotonic: true,
        exported: &[Form::since(1, "Clip(x, 0, 6)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "hard_tanh",
        aliases: &["clip"],
        formula: "min(max(x, -1), 1)",
        derivative: "1 if -1 < x < 1, else 0",
        source: "ONNX Clip",
        value: |x, _| x.clamp(-1.0, 1.0),
        slope: |x, _| inside(x, -1.0, 1.0),
        kinks: |_| vec![-1.0, 1.0],
        range: [-1.0, 1.0],
        monotonic: true,
        exported: &[Form::since(1, "Clip(x, -1, 1)")],
        place: Place::BetweenLinear,
        ..Kind::PLAIN
    },
    Kind {
        name: "leaky_relu",
        aliases: &["leaky", "lrelu"],
        formula: "x; below 0: alpha x",
        derivative: "1 if x > 0, else alpha",
        source: "ONNX LeakyRelu",
        parameters: &[Parameter::new("alpha", 0.01)],
        value: |x, p| leaky(x, p[0]),
        slope: |x, p| leaky_slope(x, p[0]),
        kinks: |_| vec![0.0],
        monotonic: true,
        fit: Some(fit_slope),
        told_by: &["LeakyRelu"],
        exported: &[Form::since(1, "LeakyRelu(x, alpha=alpha)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "prelu",
        aliases: &["parametric_relu"],
        formula: "x; below 0: slope x",
        derivative: "1 if x > 0, else slope",
        source: "ONNX PRelu; arXiv 1502.01852 (the slope is learnt, one for all or one for each channel)",
        parameters: &[Parameter::new("slope", 0.25)],
        value: |x, p| leaky(x, p[0]),
        slope: |x, p| leaky_slope(x, p[0]),
        kinks: |_| vec![0.0],
        monotonic: true,
        fit: Some(fit_slope),
        // Keras writes it as relu(x) - slope relu(-x).
        told_by: &["PRelu", "Relu"],
        learnt: Learnt::Sometimes,
        exported: &[Form::since(7, "PRelu(x, slope)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "rrelu",
        aliases: &["randomized_leaky_relu"],
        formula: "x; below 0: (lower + upper) / 2 x",
        derivative: "1 if x > 0, else (lower + upper) / 2",
        source: "arXiv 1505.00853 (at inference: in training, the slope is drawn between the two)",
        parameters: &[Parameter::new("lower", 1.0 / 8.0), Parameter::new("upper", 1.0 / 3.0)],
        value: |x, p| leaky(x, (p[0] + p[1]) / 2.0),
        slope: |x, p| leaky_slope(x, (p[0] + p[1]) / 2.0),
        kinks: |_| vec![0.0],
        monotonic: true,
        exported: &[Form::since(1, "LeakyRelu(x, alpha=(lower + upper) / 2)")],
        // In a file it is a leaky ReLU, and found as one.
        detectable: false,
        ..Kind::PLAIN
    },
];
