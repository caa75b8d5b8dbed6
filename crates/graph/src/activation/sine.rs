//! Periodic functions.

use super::{Form, Kind, Parameter, Place};

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
    exported: &[Form::since(7, "Sin(x * omega)")],
    place: Place::AfterLinear,
    ..Kind::PLAIN
}];
