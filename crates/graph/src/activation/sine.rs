//! Periodic functions.

use super::samples::Samples;
use super::{Form, Kind, Parameter, Place};

/// The frequency, from a point so near to 0 that no network's sine turns before it.
fn fit(samples: &Samples) -> Option<Vec<f64>> {
    let near = 2f64.powi(-14);
    Some(vec![samples.at(near).asin() / near])
}

pub const KINDS: &[Kind] = &[Kind {
    name: "sine",
    aliases: &["sin", "siren"],
    formula: "sin(omega x)",
    derivative: "omega cos(omega x)",
    source: "arXiv 2006.09661; ONNX Sin (the periodic activation of SIREN)",
    parameters: &[Parameter::new("omega", 30.0)],
    value: |x, p| (p[0] * x).sin(),
    slope: |x, p| p[0] * (p[0] * x).cos(),
    range: [-1.0, 1.0],
    fit: Some(fit),
    exported: &[Form::since(7, "Sin(x * omega)")],
    place: Place::AfterLinear,
    ..Kind::PLAIN
}];
