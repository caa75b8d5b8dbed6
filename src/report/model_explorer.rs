//! Figures of nodes as Model Explorer shows them: node data with colours, one figure a file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::heat::{self, Heat, Metric, OnGraph};
use super::{NamedRecord, json};
use crate::error::{Error, Result};

/// How all names begin, by which we know our own files.
pub const MARK: &str = "oplat ";

/// Node data of one graph. Nodes are found by their names, whatever the graph is called.
#[derive(Serialize)]
struct NodeData<'r> {
    name: String,
    results: BTreeMap<&'r str, Figure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gradient: Vec<Stop>,
    #[serde(rename = "hideAggregatedStats", skip_serializing_if = "Vec::is_empty")]
    hidden: Vec<&'static str>,
}

#[derive(Serialize)]
struct Figure {
    value: f64,
    #[serde(rename = "bgColor", skip_serializing_if = "Option::is_none")]
    colour: Option<String>,
}

#[derive(Serialize)]
struct Stop {
    stop: f64,
    #[serde(rename = "bgColor")]
    colour: &'static str,
}

pub fn render(records: &[NamedRecord], show: &OnGraph) -> Result<String> {
    let record = heat::one(records)?;
    let heat = match show.metrics.as_slice() {
        [] => Heat::all(record, show, |_| true)?.swap_remove(0),
        [metric] => Heat::new(record, *metric, show, |_| true)?,
        _ => return Err(Error::input("--format model-explorer holds one --metric: make a file of each")),
    };
    let figure = |value: f64| Figure { value, colour: (heat.metric == Metric::Ratio).then(|| colour(value)) };
    let rest = match heat.of_no_node {
        rest if rest > 0.0 => format!(", {rest} of no node"),
        _ => String::new(),
    };
    let gradient = match heat.metric {
        Metric::Ratio => vec![],
        _ => vec![Stop { stop: 0.0, colour: "#ffffff" }, Stop { stop: 1.0, colour: "#f46d43" }],
    };
    json::document(&NodeData {
        name: format!("{MARK}{}: {}{rest}", heat.metric.title(), heat.of(record)),
        results: heat.nodes.iter().map(|&(node, value)| (node, figure(value))).collect(),
        gradient,
        hidden: if heat.metric == Metric::Ratio { vec!["sum"] } else { vec![] },
    })
}

/// White for no difference, orange for twice as slow and more, blue for twice as fast and more.
fn colour(ratio: f64) -> String {
    let far = ratio.log2().clamp(-1.0, 1.0);
    let full: [f64; 3] = if far > 0.0 { [244.0, 109.0, 67.0] } else { [116.0, 173.0, 209.0] };
    let [r, g, b] = full.map(|end| (255.0 + (end - 255.0) * far.abs()).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}
