//! Figures of nodes as Netron shows them: a file of metrics that is dropped on the open model.

use serde::Serialize;
use serde_json::Value;

use super::heat::{self, Heat, Metric, OnGraph};
use super::{NamedRecord, facts, json};
use crate::error::Result;

/// What Netron knows such a file by.
pub const SIGNATURE: &str = "netron:attachment";
/// The first entry of the metadata, by which we know our own.
pub const MARK: &str = "oplat";

#[derive(Serialize)]
struct Attachment {
    signature: &'static str,
    metadata: Vec<Entry>,
    metrics: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    kind: &'static str,
    target: String,
    name: String,
    value: Value,
}

impl Entry {
    /// Netron looks nodes up by the first line of their names.
    fn node(node: &str, name: String, value: impl Into<Value>) -> Self {
        let target = node.split('\n').next().unwrap_or_default().to_owned();
        Self { kind: "node", target, name, value: value.into() }
    }

    fn model(name: String, value: impl Into<Value>) -> Self {
        Self { kind: "model", target: String::new(), name, value: value.into() }
    }
}

pub fn render(records: &[NamedRecord], show: &OnGraph) -> Result<String> {
    let record = heat::one(records)?;
    let heats = Heat::all(record, show, |_| true)?;
    let mut metadata = vec![Entry::model(MARK.into(), about(record, &heats))];
    if let Some(first) = heats.first() {
        let told = heat::elsewhere(first.variant).into_iter();
        metadata.extend(told.map(|(node, host)| Entry::node(node, "computed with".into(), host)));
    }
    let mut metrics = vec![];
    for heat in &heats {
        let name = heat.metric.title();
        metrics.extend(heat.nodes.iter().map(|(node, value)| Entry::node(node, name.into(), *value)));
        if heat.metric == Metric::Ratio {
            metadata.push(Entry::model("ratio of".into(), heat.of(record)));
        } else {
            let all = heat.nodes.iter().map(|(_, value)| value).sum::<f64>() + heat.of_no_node;
            metrics.push(Entry::model(format!("{name}, all ops"), (all * 1e6).round() / 1e6));
        }
        if heat.of_no_node > 0.0 {
            metrics.push(Entry::model(format!("{name}, of no node"), heat.of_no_node));
        }
    }
    json::document(&Attachment { signature: SIGNATURE, metadata, metrics })
}

/// What the figures are of.
fn about(record: &crate::record::Record, heats: &[Heat]) -> String {
    let variant = heats.first().map_or(String::new(), |heat| facts::label(record, heat.variant));
    let engine = heats.first().map_or(&record.engine, |heat| facts::engine(record, heat.variant));
    let engine = format!("{} {}", engine.name, engine.version);
    let e = &record.environment;
    let machine = e.cpu.as_ref().unwrap_or(&e.host);
    let parts = [&variant, &engine, machine, &record.started_at];
    let told: Vec<&str> = parts.into_iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    told.join(" | ")
}
