//! ACON: smooth maxima of two linear functions, and the one that computes its own switch.

use super::samples::Samples;
use super::sigmoid::{logit, sigmoid, sigmoid_slope};
use super::{Form, Kind, Learnt, Parameter};

/// (p1 - p2) x σ(β (p1 - p2) x) + p2 x
fn acon(x: f64, p1: f64, p2: f64, beta: f64) -> f64 {
    let difference = (p1 - p2) * x;
    difference * sigmoid(beta * difference) + p2 * x
}

fn acon_slope(x: f64, p1: f64, p2: f64, beta: f64) -> f64 {
    let u = beta * (p1 - p2) * x;
    (p1 - p2) * (sigmoid(u) + u * sigmoid_slope(u)) + p2
}

/// p1 and p2 are the slopes of the tails, β follows from the point at which the function lies between them.
fn fit(samples: &Samples) -> Option<Vec<f64>> {
    let [p1, p2] = [80.0, -80.0].map(|x| samples.at(x) / x);
    let gates = samples.pairs().filter(|(x, _)| *x > 0.0).map(|(x, y)| (x, (y / x - p2) / (p1 - p2)));
    let between = gates.filter(|(_, gate)| 0.0 < *gate && *gate < 1.0);
    let (x, gate) = between.min_by(|a, b| (a.1 - 0.75).abs().total_cmp(&(b.1 - 0.75).abs()))?;
    Some(vec![p1, p2, logit(gate) / (x * (p1 - p2))])
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "acon_c",
        aliases: &["acon"],
        formula: "p2 x + d x sigmoid(beta d x), d = p1-p2",
        derivative: "d (sigmoid(u) + u sigmoid(u) sigmoid(-u)) + p2, with u = beta d x and d = p1 - p2",
        source: "arXiv 2009.04759 (all three are learnt for each channel)",
        parameters: &[Parameter::new("p1", 1.2), Parameter::new("p2", -0.8), Parameter::new("beta", 1.0)],
        value: |x, p| acon(x, p[0], p[1], p[2]),
        slope: |x, p| acon_slope(x, p[0], p[1], p[2]),
        range: [-0.010_033_648_59, f64::INFINITY],
        fit: Some(fit),
        learnt: Learnt::Always,
        exported: &[Form::since(1, "x * (p1 - p2) * Sigmoid(x * (p1 - p2) * beta) + x * p2")],
        ..Kind::PLAIN
    },
    Kind {
        name: "meta_acon",
        aliases: &["meta_acon_c"],
        formula: "acon_c with beta a small network of x",
        derivative: "that of acon_c, where beta is held",
        source: "arXiv 2009.04759",
        // As for an element whose beta, which lies between 0 and 1, is 1/2.
        value: |x, _| acon(x, 1.2, -0.8, 0.5),
        slope: |x, _| acon_slope(x, 1.2, -0.8, 0.5),
        range: [-0.020_067_297_18, f64::INFINITY],
        exported: &[Form::since(
            1,
            "x * difference(1, channels, 1, 1) * Sigmoid(Sigmoid(Conv(Conv(\
             ReduceMean(ReduceMean(x, axes=[2], keepdims=1), axes=[3], keepdims=1), \
             fc1(hidden, channels, 1, 1), fc1_bias(hidden)), fc2(channels, hidden, 1, 1), fc2_bias(channels))) \
             * (x * difference(1, channels, 1, 1))) + x * p2(1, channels, 1, 1)",
        )],
        detectable: false,
        not_elementwise_because: Some(
            "beta comes from the means of all channels, through seeded weights (hidden: a sixteenth of the \
             channels, at least 16); values are for beta 1/2, p1 1.2 and p2 -0.8",
        ),
        ..Kind::PLAIN
    },
];
