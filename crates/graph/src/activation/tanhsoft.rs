//! Products and quotients of tanh, exponential and softplus that a search over formulas found.

use super::samples::Samples;
use super::sigmoid::{sigmoid, softplus, tanh_slope};
use super::{Form, Kind, Parameter};

/// The derivative of x ln(1 + eˣ), which the EIS functions divide by something.
fn numerator_slope(x: f64) -> f64 {
    softplus(x) + x * sigmoid(x)
}

/// The denominator x + δe⁻ˣ and its derivative, both times `scale`: eˣ where that is small and e⁻ˣ overflows.
fn eis1_denominator(x: f64, delta: f64) -> (f64, f64, f64) {
    let scale = if x < 0.0 { x.exp() } else { 1.0 };
    let decay = if x < 0.0 { delta } else { delta * (-x).exp() };
    (x * scale + decay, scale - decay, scale)
}

/// Where the functions' parameters are read off: a quarter on either side of 0.
const NEAR: f64 = 0.25;

fn fit_tanhsoft1(samples: &Samples) -> Option<Vec<f64>> {
    Some(vec![(samples.at(NEAR) / softplus(NEAR)).atanh() / NEAR])
}

/// β and γ: the tanh's arguments are βe^γx.
fn fit_tanhsoft2(samples: &Samples) -> Option<Vec<f64>> {
    let [right, left] = [NEAR, -NEAR].map(|x| (samples.at(x) / x).atanh());
    Some(vec![right.signum() * (right * left).sqrt(), (right / left).ln() / (2.0 * NEAR)])
}

fn fit_eis1(samples: &Samples) -> Option<Vec<f64>> {
    Some(vec![(NEAR * softplus(NEAR) / samples.at(NEAR) - NEAR) * NEAR.exp()])
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "tanhsoft1",
        formula: "tanh(alpha x) ln(1 + exp(x))",
        derivative: "alpha (1 - tanh(alpha x)^2) ln(1 + exp(x)) + tanh(alpha x) sigmoid(x)",
        source: "arXiv 2009.03863",
        parameters: &[Parameter::new("alpha", 0.87)],
        value: |x, p| (p[0] * x).tanh() * softplus(x),
        slope: |x, p| p[0] * tanh_slope(p[0] * x) * softplus(x) + (p[0] * x).tanh() * sigmoid(x),
        range: [-0.223_784_874_60, f64::INFINITY],
        fit: Some(fit_tanhsoft1),
        exported: &[Form::since(1, "Tanh(x * alpha) * Softplus(x)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "tanhsoft2",
        formula: "x tanh(beta exp(gamma x))",
        derivative: "tanh(u) + gamma x u (1 - tanh(u)^2), with u = beta exp(gamma x)",
        source: "arXiv 2009.03863",
        parameters: &[Parameter::new("beta", 0.6), Parameter::new("gamma", 1.0)],
        value: |x, p| x * (p[0] * (p[1] * x).exp()).tanh(),
        slope: |x, p| {
            // Beyond 400 the tanh is 1 and its derivative 0, and u may be infinite.
            let u = (p[0] * (p[1] * x).exp()).clamp(-400.0, 400.0);
            u.tanh() + p[1] * x * u * tanh_slope(u)
        },
        range: [-0.217_316_752_62, f64::INFINITY],
        fit: Some(fit_tanhsoft2),
        exported: &[Form::since(1, "x * Tanh(Exp(x * gamma) * beta)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "eis1",
        formula: "x ln(1 + exp(x)) / (x + delta exp(-x))",
        derivative: "(ln(1 + exp(x)) + x sigmoid(x)) / d - f(x) (1 - delta exp(-x)) / d, \
                     with d = x + delta exp(-x)",
        source: "arXiv 2009.13501",
        parameters: &[Parameter::new("delta", 1.16)],
        value: |x, p| {
            let (below, _, scale) = eis1_denominator(x, p[0]);
            x * softplus(x) * scale / below
        },
        slope: |x, p| {
            let (below, slope, scale) = eis1_denominator(x, p[0]);
            numerator_slope(x) * scale / below - x * softplus(x) * scale / below * slope / below
        },
        range: [-0.173_763_585_58, f64::INFINITY],
        fit: Some(fit_eis1),
        exported: &[Form::since(1, "x * Softplus(x) / (x + Exp(Neg(x)) * delta)")],
        ..Kind::PLAIN
    },
    Kind {
        name: "eis2",
        formula: "x ln(1 + exp(x)) / sqrt(1 + x^2)",
        derivative: "ln(1 + exp(x)) / sqrt(1 + x^2)^3 + x sigmoid(x) / sqrt(1 + x^2)",
        source: "arXiv 2009.13501",
        value: |x, _| x * softplus(x) / (1.0 + x * x).sqrt(),
        slope: |x, _| {
            let root = (1.0 + x * x).sqrt();
            softplus(x) / root.powi(3) + x * sigmoid(x) / root
        },
        range: [-0.232_155_236_81, f64::INFINITY],
        exported: &[Form::since(1, "x * Softplus(x) / Sqrt(x * x + 1)")],
        ..Kind::PLAIN
    },
];
