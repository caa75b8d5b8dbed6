//! Exponential linear units.

use super::samples::Samples;
use super::{Form, Kind, Parameter};

/// α and γ of SELU, as the ONNX operator rounds them.
const SELU: [f64; 2] = [1.673_263_192_176_818_8, 1.050_701_022_148_132_3];

/// The α of ELU, which is -α at minus infinity.
fn fit_elu(samples: &Samples) -> Option<Vec<f64>> {
    Some(vec![samples.ratio(-80.0, -1.0)?])
}

/// The α of CELU, by bisection at -1: of its values there, those above -1 are of positive α, those below of negative.
fn fit_celu(samples: &Samples) -> Option<Vec<f64>> {
    let wanted = samples.at(-1.0);
    let sign = if wanted > -1.0 { 1.0 } else { -1.0 };
    let at = |size: f64| sign * size * (-sign / size).exp_m1();
    let (mut low, mut high) = (1e-3f64, 1e3f64);
    for _ in 0..80 {
        let middle = (low * high).sqrt();
        // For either sign, it comes nearer to -1 as α grows.
        let nearer = (at(middle) + 1.0).abs() < (wanted + 1.0).abs();
        if nearer { high = middle } else { low = middle }
    }
    Some(vec![sign * (low * high).sqrt()])
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "elu",
        formula: "x; below 0: alpha (exp(x) - 1)",
        derivative: "1 if x > 0, else alpha exp(x)",
        source: "ONNX Elu; arXiv 1511.07289",
        parameters: &[Parameter::new("alpha", 1.0)],
        value: |x, p| if x > 0.0 { x } else { p[0] * x.exp_m1() },
        slope: |x, p| if x > 0.0 { 1.0 } else { p[0] * x.exp() },
        kinks: |p| if p[0] == 1.0 { vec![] } else { vec![0.0] },
        range: [-1.0, f64::INFINITY],
        monotonic: true,
        fit: Some(fit_elu),
        told_by: &["Elu"],
        exported: &[Form::since(1, "Elu(x, alpha=alpha)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "selu",
        formula: "1.0507 x; below 0: 1.7581 (exp(x) - 1)",
        derivative: "1.0507 if x > 0, else 1.7581 exp(x)",
        source: "ONNX Selu; arXiv 1706.02515",
        value: |x, _| SELU[1] * if x > 0.0 { x } else { SELU[0] * x.exp_m1() },
        slope: |x, _| SELU[1] * if x > 0.0 { 1.0 } else { SELU[0] * x.exp() },
        kinks: |_| vec![0.0],
        range: [-SELU[0] * SELU[1], f64::INFINITY],
        monotonic: true,
        exported: &[Form::since(1, "Selu(x, alpha=1.6732631921768188, gamma=1.0507010221481323)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "celu",
        formula: "x; below 0: alpha (exp(x / alpha) - 1)",
        derivative: "1 if x > 0, else exp(x/alpha)",
        source: "ONNX Celu; arXiv 1704.07483",
        parameters: &[Parameter::new("alpha", 1.0)],
        value: |x, p| if x > 0.0 { x } else { p[0] * (x / p[0]).exp_m1() },
        slope: |x, p| if x > 0.0 { 1.0 } else { (x / p[0]).exp() },
        range: [-1.0, f64::INFINITY],
        monotonic: true,
        fit: Some(fit_celu),
        told_by: &["Celu"],
        exported: &[
            Form { formula: "Celu(x, alpha=alpha)", since: 12, only: None, f32_only: true },
            Form::since(1, "alpha * Elu(x / alpha, alpha=1)"),
        ],
        ..Kind::PLAIN
    },
];
