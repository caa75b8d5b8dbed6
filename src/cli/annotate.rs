//! `oplat report --annotate`: the figures of a record in the model that was measured, as metadata of its nodes.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::inputs::InputFlag;
use super::{model, note, output};
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::onnx::messages::StringStringEntryProto;
use crate::onnx::{self, Model, for_each_node_mut, mark};
use crate::record::{self, Record, Variant};
use crate::report::{Heat, Metric, OnGraph};
use crate::units;

/// The format's version since which nodes have metadata.
const METADATA_SINCE: i64 = 10;

/// Writes the model with the figures, and says at how many nodes they are. `files` are those of the record.
pub fn run(
    named: &str,
    record: &Record,
    show: &OnGraph,
    to: &Path,
    files: &[PathBuf],
    out: &mut dyn Write,
) -> Result<()> {
    // A built-in model is made for the shape of its input.
    let own = models(record).iter().find(|model| model.name == named).unwrap_or(&record.model);
    let shapes = own.inputs.iter().map(|input| InputFlag::new(&input.name, &input.shape));
    let chosen = model::resolve(named, &shapes.collect::<Vec<_>>(), &mut |text| note(text))?.whole()?;
    let inputs: Vec<PathBuf> = chosen.files().into_iter().chain(files.iter().cloned()).collect();
    let destination = Destination::replacing(to, &mark::KIND, &inputs)?;
    let measured = measured(record, &chosen.describe()).map_err(|e| e.context(named))?;
    let own = |variant: &Variant| variant.model.as_deref().is_none_or(|model| model == measured.name);
    let heats = Heat::all(record, show, own)?;
    let mut annotated = chosen.model;
    let told = annotate(&mut annotated, record, &heats);
    if let Some(before) = raise(&mut annotated) {
        note(&format!(
            "metadata of nodes need a newer format: its version is {METADATA_SINCE} now, not {before}"
        ));
    }
    if let [first, more @ ..] = told.lost.as_slice() {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        note(&format!("no node of the file has this name, figures left out: {first}{more}"));
    }
    annotated.write_to(&destination)?;
    let of: Vec<String> =
        heats.iter().map(|heat| format!("{} of {}", heat.metric.key().0, heat.of(record))).collect();
    let nodes = units::count(told.nodes, "node");
    output::told(&destination, &format!("{}: {nodes} with {}", to.display(), of.join("; ")), out)
}

fn models(record: &Record) -> &[record::Model] {
    if record.models.is_empty() { std::slice::from_ref(&record.model) } else { &record.models }
}

/// The record's model that this is. Fails if it is none of them.
fn measured<'r>(record: &'r Record, found: &record::Model) -> Result<&'r record::Model> {
    let all = models(record);
    let is = |model: &&record::Model| !model.sha256.is_empty() && model.sha256 == found.sha256;
    all.iter().find(is).ok_or_else(|| {
        let start = |model: &record::Model| model.sha256.chars().take(12).collect::<String>();
        let known: Vec<String> = all.iter().map(|m| format!("{} ({}…)", m.name, start(m))).collect();
        let own = all.iter().find(|model| model.source == model::BUILT_IN);
        let remedy =
            own.map_or("the very file".into(), |own| format!("{}, the built-in model's name", own.name));
        Error::input(format!(
            "not the model that was measured: its SHA-256 begins with {}, the record has {}; give {remedy}",
            start(found),
            known.join(", ")
        ))
    })
}

/// Raises the version if nodes can't have metadata in it; gives what it was.
fn raise(model: &mut Model) -> Option<i64> {
    let before = model.proto.ir_version.unwrap_or_default();
    let needed = before < METADATA_SINCE;
    needed.then(|| model.proto.ir_version = Some(METADATA_SINCE)).map(|()| before)
}

/// At how many nodes there are figures, and which of the record's aren't there.
struct Told<'r> {
    nodes: usize,
    lost: Vec<&'r str>,
}

/// Adds the figures to the first node of each name, in place of earlier ones.
fn annotate<'r>(model: &mut Model, record: &Record, heats: &[Heat<'r>]) -> Told<'r> {
    let mut figures: HashMap<&'r str, Vec<StringStringEntryProto>> = HashMap::new();
    for heat in heats {
        let (key, unit) = heat.metric.key();
        for (node, value) in &heat.nodes {
            let value = Some(format!("{value}{unit} ({})", heat.of(record)));
            let entry = StringStringEntryProto { key: Some(key.into()), value };
            figures.entry(node).or_default().push(entry);
        }
    }
    let mut nodes = 0;
    for_each_node_mut(model.graph_mut(), &mut |node| {
        let ours = |entry: &StringStringEntryProto| {
            entry.key.as_deref().is_some_and(|key| Metric::ALL.iter().any(|m| m.key().0 == key))
        };
        node.metadata_props.retain(|entry| !ours(entry));
        if let Some(figures) = figures.remove(onnx::label(node)) {
            node.metadata_props.extend(figures);
            nodes += 1;
        }
    });
    let mut lost: Vec<&str> = figures.into_keys().collect();
    lost.sort_unstable();
    Told { nodes, lost }
}
