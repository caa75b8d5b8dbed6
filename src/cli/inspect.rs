//! `oplat inspect`: what the model applies where, and what only looks like an activation.
//!
//! Sites come from the file alone. A worker of each engine loads the model as well, for shapes and multiply-accumulates and
//! to say whether the engine can run it, and what it makes of it; a model that no engine runs is inspected all the same.

mod engines;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flags::TableOrJson;
use super::inputs::{self, DimFlag, Feed, InputFlag};
use super::model::{self, Chosen};
use super::{note, output};
use crate::error::Result;
use crate::escape;
use crate::experiment::planned_engines;
use crate::files::{Destination, Kind, is_json};
use crate::onnx::extent::Extent;
use crate::onnx::index::Index;
use crate::onnx::{Model, external, for_each_node, inline};
use crate::protocol::{EngineChoice, Input, Loaded};
use crate::report::grid::Grid;
use crate::report::{self, facts, json, text};
use crate::swap::{self, Found};
use crate::units;
use crate::{limits, record};
use engines::{Answer, InEngine};

/// The schema that `--format json` prints.
pub const SCHEMA: &str = "oplat.inspect/1";

/// Files of it, in any version.
const KIND: Kind = Kind { what: "what `inspect` wrote", is: |file| is_json(file, "oplat.inspect") };

/// How a reason begins for a model that the engine wasn't given.
const NOT_TRIED: &str = "not tried";

/// What the user typed.
#[derive(clap::Args)]
pub struct Args {
    /// An ONNX file; failing that `models/FILE`, failing that the built-in model of that name
    #[arg(value_name = "MODEL")]
    model: String,
    /// Shape (and element type) of an input; may be repeated
    #[arg(long, value_name = "NAME=1x3x320x320[:f32]")]
    input: Vec<InputFlag>,
    /// Size of a named dimension; may be repeated. A batch dimension is 1 unless given
    #[arg(long, value_name = "NAME=N")]
    dim: Vec<DimFlag>,
    /// The engines that try to load it: `tract`, `ort` (ONNX Runtime, whose library is looked for) or `ort=LIBRARY`
    #[arg(long, value_delimiter = ',', value_name = "ENGINE,…", default_value = EngineChoice::DEFAULT)]
    engine: Vec<String>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TableOrJson,
    /// Write to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What was found in a model (`oplat.inspect/1`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inspection {
    pub schema: String,
    pub model: record::Model,
    /// Opset of the standard operators, and who wrote the file as far as it says.
    pub opset: i64,
    pub producer: String,
    /// The engine with its version, and why it can't run the model (null if it can); of several the first one's.
    pub engine: Option<String>,
    pub refused: Option<String>,
    /// What became of the model in each engine, in the order given.
    #[serde(default)]
    pub engines: Vec<InEngine>,
    /// Nodes by operator, those of bodies included.
    pub operators: BTreeMap<String, usize>,
    pub sites: Vec<InspectedSite>,
    pub not_sites: Vec<LookAlike>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InspectedSite {
    pub node: String,
    pub activation: String,
    /// Null for one that is a tensor (the slopes of PReLU).
    pub parameters: BTreeMap<String, Option<f64>>,
    pub nodes: Vec<String>,
    /// Empty where neither the engine nor the file says.
    pub output_shape: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LookAlike {
    pub node: String,
    pub op: String,
    /// `gate`, `decode`, `shared` or `other`.
    pub kind: String,
    pub reason: String,
}

/// Prints what is in a model.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let kind = match args.format {
        TableOrJson::Table => &report::REPORT,
        TableOrJson::Json => &KIND,
    };
    let (output, inputs) = (args.output.as_deref(), [PathBuf::from(&args.model)]);
    let destination = output.map(|path| Destination::replacing(path, kind, &inputs)).transpose()?;
    let planned = planned_engines(&args.engine).map_err(|e| e.context("--engine"))?;
    let chosen = model::resolve(&args.model, &args.input, &mut |text| note(text))?;
    let feed = feed(&chosen, &args.input, &args.dim);
    let inspection = inspect(&chosen, &engines::ask(planned, &chosen, feed)?)?;
    let text = match args.format {
        TableOrJson::Table => table(&inspection, &inputs::open(&chosen.model)),
        TableOrJson::Json => json::document(&inspection)?,
    };
    output::deliver(destination.as_ref(), &text, out)
}

/// What the engine is to be fed, or why it can't be given the model.
fn feed(chosen: &Chosen, inputs: &[InputFlag], dims: &[DimFlag]) -> Result<Feed, String> {
    let nodes = inline::size(&chosen.model.proto)? as u64;
    let values = Extent::of(&chosen.model.proto).map_err(|e| e.message)?.values;
    if nodes <= limits::INSPECTED && values > limits::INSPECTED_VALUES {
        let values = units::integer(values);
        return Err(format!("{NOT_TRIED}: with {values} values, loading it would take minutes"));
    }
    if nodes > limits::INSPECTED {
        let nodes = units::integer(nodes);
        let counted = if chosen.model.proto.functions.is_empty() {
            ""
        } else {
            " (those of a function are counted at each call)"
        };
        return Err(format!("{NOT_TRIED}: with {nodes} nodes{counted}, loading it would take minutes"));
    }
    external::check(&chosen.model).map_err(|e| e.message)?;
    inputs::feed(&chosen.model, inputs, dims).map_err(|e| e.message)
}

fn inspect(chosen: &Chosen, answers: &[Answer]) -> Result<Inspection> {
    let found = swap::find(&chosen.model);
    let engines = answers.iter().map(|answer| answer.describe(chosen, &found)).collect::<Result<Vec<_>>>()?;
    // Not every engine tells shapes without a run.
    let mut all = answers.iter().filter_map(|answer| answer.loaded.as_ref().ok());
    let loaded = all.clone().find(|loaded| !loaded.shapes.is_empty()).or_else(|| all.next());
    let first = engines.first();
    let (engine, refused) = (
        first.filter(|first| first.refused.is_none()).and_then(|first| first.engine.clone()),
        first.and_then(|first| first.refused.clone()),
    );
    let (names, operators) = nodes(&chosen.model);
    let proto = &chosen.model.proto;
    let producer = [&proto.producer_name, &proto.producer_version].into_iter().flatten();
    let not_site = |n: swap::NotSite| LookAlike {
        node: n.name,
        op: n.op,
        kind: n.refusal.name().to_owned(),
        reason: n.reason,
    };
    Ok(Inspection {
        schema: SCHEMA.to_owned(),
        model: described(chosen, loaded),
        opset: chosen.model.opset(),
        producer: producer.map(String::as_str).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" "),
        engine,
        refused,
        engines,
        operators,
        sites: sites(chosen, &found, loaded, &names),
        not_sites: found.not_sites.into_iter().map(not_site).collect(),
    })
}

/// The model with its inputs: as the engine says, or failing that as the file declares them.
fn described(chosen: &Chosen, loaded: Option<&Loaded>) -> record::Model {
    let model = chosen.describe();
    let Some(loaded) = loaded else {
        return record::Model { inputs: inputs::known(&chosen.model), ..model };
    };
    let input = |i: &Input| record::Input {
        name: i.name.clone(),
        shape: i.shape.clone(),
        dtype: i.dtype.clone().unwrap_or_default(),
    };
    record::Model { macs: loaded.macs, inputs: loaded.inputs.iter().map(input).collect(), ..model }
}

/// The names of all nodes in order, those of bodies included, and how many there are of each operator.
fn nodes(model: &Model) -> (Vec<String>, BTreeMap<String, usize>) {
    let (mut names, mut operators) = (vec![], BTreeMap::new());
    for_each_node(model.graph(), &mut |node| {
        names.push(crate::onnx::label(node).to_owned());
        let op = node.op_type.as_deref().unwrap_or("");
        let name = match node.domain.as_deref() {
            None | Some("" | "ai.onnx") => op.to_owned(),
            Some(domain) => format!("{domain}.{op}"),
        };
        *operators.entry(name).or_insert(0) += 1;
    });
    (names, operators)
}

fn sites(chosen: &Chosen, found: &Found, loaded: Option<&Loaded>, names: &[String]) -> Vec<InspectedSite> {
    let index = Index::new(&chosen.model);
    let shape = |node: usize| {
        let translated = loaded.and_then(|l| l.shapes.get(node).cloned().flatten());
        let declared = || index.nodes.get(node).and_then(|n| index.shape(*n.outputs.first()?));
        translated.or_else(declared).unwrap_or_default()
    };
    let site = |s: &swap::Site| InspectedSite {
        node: s.name.clone(),
        activation: s.activation.kind.name.to_owned(),
        parameters: s
            .activation
            .kind
            .parameters
            .iter()
            .zip(&s.activation.parameters)
            .map(|(p, value)| (p.name.to_owned(), *value))
            .collect(),
        nodes: s.nodes.iter().filter_map(|&n| names.get(n).cloned()).collect(),
        // What a function's call puts out needn't be what is inside.
        output_shape: if s.within.is_none() { shape(s.node) } else { vec![] },
    };
    found.sites.iter().map(site).collect()
}

/// `open` are the inputs whose shape the file leaves open; those are shown whose shape the engine doesn't say.
fn table(inspection: &Inspection, open: &[String]) -> String {
    let mut lines = vec![inputs_line(inspection, open)];
    lines.push(file_line(inspection));
    lines.extend(engines_lines(inspection));
    let lines: String = lines.iter().map(|line| format!("{}\n", escape::line(line))).collect();
    let mut parts = vec![lines, counts_line(inspection)];
    if !inspection.sites.is_empty() {
        parts.push(sites_table(&inspection.sites));
    }
    if !inspection.not_sites.is_empty() {
        parts.push(not_sites_table(&inspection.not_sites));
    }
    parts.push(operators_line(inspection));
    parts.join("\n")
}

/// What became of it in each engine.
fn engines_lines(inspection: &Inspection) -> Vec<String> {
    if let Some(reason) = inspection.refused.as_ref().filter(|reason| reason.starts_with(NOT_TRIED)) {
        return vec![format!("! the engine was {reason}")];
    }
    let several = inspection.engines.len() > 1;
    let line = |engine: &InEngine| match &engine.refused {
        Some(reason) if several => Some(format!("! {} can't run it: {reason}", engine.id)),
        Some(reason) => Some(format!("! the engine can't run it: {reason}")),
        None => engine.line(inspection.sites.len()),
    };
    inspection.engines.iter().filter_map(line).collect()
}

fn inputs_line(inspection: &Inspection, open: &[String]) -> String {
    let model = &inspection.model;
    let input = |i: &record::Input| format!("{} {} {}", i.name, units::shape(&i.shape), i.dtype);
    let open = open.iter().filter(|name| !model.inputs.iter().any(|i| i.name == **name));
    let open = open.map(|name| format!("{name} of open shape"));
    let inputs: Vec<String> = model.inputs.iter().map(input).chain(open).collect();
    format!("{} ({})  {}", model.name, model.source, inputs.join(", "))
}

fn file_line(inspection: &Inspection) -> String {
    let Inspection { model, opset, producer, .. } = inspection;
    let producer = if producer.is_empty() { "unknown" } else { producer };
    let parameters = units::integer(model.parameters);
    let macs = model.macs.map(|macs| format!(" | {} M MACs", units::integer(macs.div_ceil(1_000_000))));
    format!("opset {opset} by {producer} | {parameters} parameters{}", macs.unwrap_or_default())
}

fn counts_line(inspection: &Inspection) -> String {
    let by_kind = listed(inspection.sites.iter().map(|site| site.activation.as_str()));
    let by_kind = if by_kind.is_empty() { String::new() } else { format!(": {by_kind}") };
    let kept = listed(inspection.not_sites.iter().map(|other| other.kind.as_str()));
    let kept = if kept.is_empty() { String::new() } else { format!("; not sites: {kept}") };
    format!("{}{by_kind}{kept}\n", units::count(inspection.sites.len(), "site"))
}

fn sites_table(sites: &[InspectedSite]) -> String {
    let short = |node: &String| node.rsplit('/').next().unwrap_or(node).to_owned();
    let mut grid = Grid::new().name("site").name("activation").name("output").name("computed by");
    for site in sites {
        grid.row([
            site.node.clone(),
            spelled(site),
            if site.output_shape.is_empty() { "?".to_owned() } else { units::shape(&site.output_shape) },
            site.nodes.iter().map(short).collect::<Vec<_>>().join(", "),
        ]);
    }
    text::table(&grid)
}

fn not_sites_table(others: &[LookAlike]) -> String {
    let mut grid = Grid::new().name("not a site").name("op").name("is a").name("since it");
    for other in others {
        grid.row([other.node.clone(), other.op.clone(), other.kind.clone(), other.reason.clone()]);
    }
    text::table(&grid)
}

fn operators_line(inspection: &Inspection) -> String {
    let mut operators: Vec<_> = inspection.operators.iter().collect();
    operators.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let operators: Vec<_> = operators.iter().map(|(op, n)| format!("{n} {op}")).collect();
    text::wrap(&format!("operators: {}", operators.join(", ")), "           ")
}

fn spelled(site: &InspectedSite) -> String {
    let values = site.parameters.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={}", *value as f32),
        None => format!("{name} is a tensor"),
    });
    let values: Vec<String> = values.collect();
    if values.is_empty() {
        site.activation.clone()
    } else {
        format!("{} ({})", site.activation, values.join(", "))
    }
}

/// `17 silu, 1 relu`, the most frequent first.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let counts = facts::counted(names);
    counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}
