//! Periodic functions.

use super::{Form, Kind, Parameter, Place};

pub const KINDS: &[Kind] = &[Kind {
    name: "sine",
    aliases: &["sin", "siren"],
    formula: "sin(omega x)",
    source: "arXiv 2006.09661 (SIREN); ONNX Sin",
    parameters: &[Parameter { name: "omega", default: 30.0 }],
    value: |x, p| (p[0] * x).sin(),
    recognised: &[],
    exported: &[Form::since(7, "Sin(x * omega)")],
    place: Place::AfterLinear,
}];
