//! What `oplat acts --format json` prints.

use serde::Serialize;

use super::made::Made;
use super::{exporter_name, is_default};
use crate::activation::{Activation, Form, kinds};
use crate::engines;
use crate::error::Result;
use crate::report::json;
use crate::swap;

/// The schema of the document.
pub const SCHEMA: &str = "oplat.acts/1";

#[cfg(test)]
pub fn schema() -> schemars::Schema {
    crate::cli::schemas::written::<Document>()
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Document<'a> {
    schema: &'static str,
    activations: Vec<Description<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Description<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
    formula: &'a str,
    derivative: &'a str,
    parameters: Vec<Parameter<'a>>,
    /// Infimum and supremum, null for an infinite one; null for other parameters than the default ones.
    range: Option<[Option<f64>; 2]>,
    smooth: bool,
    kinks: Vec<f64>,
    /// Null for other parameters than the default ones.
    monotonic: Option<bool>,
    transcendentals: u32,
    capabilities: Capabilities<'a>,
    beyond: Option<&'a str>,
    forms: Vec<ExportedForm<'a>>,
    engines: Vec<Made>,
    source: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Parameter<'a> {
    name: &'a str,
    default: f64,
    value: Option<f64>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Capabilities<'a> {
    recognised: bool,
    swapped_in: bool,
    kernel: bool,
    alone: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ExportedForm<'a> {
    formula: &'a str,
    opset: i64,
    exporter: Option<&'a str>,
    f32_only: bool,
}

fn description(activation: &Activation) -> Description<'static> {
    let kind = activation.kind;
    let parameters = kind.parameters.iter().zip(&activation.parameters);
    let written = |form: &'static Form| ExportedForm {
        formula: form.formula,
        opset: form.since,
        exporter: form.only.map(exporter_name),
        f32_only: form.f32_only,
    };
    Description {
        name: kind.name,
        aliases: kind.aliases,
        formula: kind.formula,
        derivative: kind.derivative,
        parameters: parameters
            .map(|(p, value)| Parameter { name: p.name, default: p.default, value: *value })
            .collect(),
        range: is_default(activation).then(|| kind.range.map(|bound| bound.is_finite().then_some(bound))),
        smooth: activation.kinks().is_empty(),
        kinks: activation.kinks(),
        monotonic: is_default(activation).then_some(kind.monotonic),
        transcendentals: kind.transcendentals(),
        capabilities: Capabilities {
            recognised: kind.is_found(),
            swapped_in: kind.unswappable_because.is_none(),
            kernel: swap::runs_kernel(&engines::default().about().1, &Activation::new(kind)),
            alone: kind.unswappable_because,
        },
        beyond: kind.not_elementwise_because,
        forms: kind.exported.iter().map(written).collect(),
        engines: vec![Made::of(activation, engines::default())],
        source: kind.source,
    }
}

/// All activations that are named, or all there are.
pub fn document(named: &[Activation]) -> Result<String> {
    let all: Vec<Activation>;
    let shown = if named.is_empty() {
        all = kinds().map(Activation::new).collect();
        &all
    } else {
        named
    };
    let document = Document { schema: SCHEMA, activations: shown.iter().map(description).collect() };
    json::document(&document)
}
