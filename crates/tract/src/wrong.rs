//! What tract 0.23.9 computes wrongly without a word, as ONNX's own node tests show it: refused by name, or put right.
//!
//! Its operators that are translated anew are in `operators`, recurrences in reverse in `recurrence`.

use std::collections::HashSet;

use oplat_engine::names;
use oplat_graph::onnx::index::{Index, Node};
use oplat_graph::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_type, data_type,
};
use oplat_graph::onnx::{Model, bodies, for_each_node, tensor};
use oplat_ground::error::{Error, Result};

/// Parts of nodes made here are numbered from this one on.
const FIRST_PART: usize = 900_000;

/// Fails for a node that tract would compute wrongly, and puts right what can be.
pub fn correct(model: &mut ModelProto) -> Result<()> {
    let mut suspects = false;
    for_each_node(model.graph.as_ref().unwrap_or(&GraphProto::default()), &mut |node| {
        suspects |= ["BitShift", "SpaceToDepth", "ReduceMax", "ReduceMin"].contains(&node.op_type());
    });
    if !suspects {
        return Ok(());
    }
    let copy = Model { proto: model.clone(), dir: None };
    let index = Index::new(&copy);
    for node in &index.nodes {
        if let Some(why) = refused(node, &index) {
            let (name, op) = (node.proto.name(), node.op());
            return Err(Error::input(format!(
                "node {name:?} ({op}): tract {why}; `inspect` and `swap` still work"
            )));
        }
    }
    let extremes = extremes(&index);
    if !extremes.is_empty() && holds_infinity(copy.graph()) {
        let mut next = FIRST_PART;
        model.graph.iter_mut().for_each(|graph| keep_infinity(graph, &extremes, &mut next));
    }
    Ok(())
}

/// What tract does wrong at a node that can't be put right.
fn refused(node: &Node, index: &Index) -> Option<&'static str> {
    let input = node.inputs.first().copied().flatten();
    let kind = input.and_then(|value| index.data_type(value));
    let signed = [data_type::INT8, data_type::INT16, data_type::INT32, data_type::INT64];
    match node.op() {
        "BitShift" if kind.is_some_and(|kind| signed.contains(&kind)) => {
            Some("shifts signed numbers by less than it is told")
        }
        "SpaceToDepth" if node.attribute("mode").and_then(|a| a.s.as_deref()) == Some(b"CRD") => {
            Some("knows only the mode DCR")
        }
        "ReduceMax" | "ReduceMin"
            if input.and_then(|v| index.sizes(v)).is_some_and(|s| s.contains(&Some(0))) =>
        {
            Some("finds a finite extreme among no numbers")
        }
        _ => None,
    }
}

/// The names of nodes that take the largest or smallest of single floats.
fn extremes(index: &Index) -> HashSet<String> {
    let is_float = |node: &Node| {
        let input = node.inputs.first().copied().flatten();
        input.and_then(|value| index.data_type(value)) == Some(data_type::FLOAT)
    };
    let nodes =
        index.nodes.iter().filter(|node| ["ReduceMax", "ReduceMin"].contains(&node.op()) && is_float(node));
    nodes.map(|node| node.proto.name().to_owned()).collect()
}

/// Whether a single float that the file holds is infinite, as in masks.
fn holds_infinity(graph: &GraphProto) -> bool {
    let in_tensor = |t: &TensorProto| {
        let infinite =
            |raw: &[u8]| raw.as_chunks::<4>().0.iter().any(|b| f32::from_le_bytes(*b).is_infinite());
        t.data_type == Some(data_type::FLOAT)
            && (t.raw_data.as_deref().is_some_and(infinite) || t.float_data.iter().any(|v| v.is_infinite()))
    };
    let in_attribute = |a: &AttributeProto| {
        a.t.as_ref().is_some_and(in_tensor)
            || a.f.is_some_and(f32::is_infinite)
            || a.floats.iter().any(|v| v.is_infinite())
    };
    graph.initializer.iter().any(in_tensor)
        || graph
            .node
            .iter()
            .any(|node| node.attribute.iter().any(in_attribute) || bodies(node).any(holds_infinity))
}

/// Of infinite numbers alone, tract finds the largest finite one: that is put back to the infinite one.
fn keep_infinity(graph: &mut GraphProto, extremes: &HashSet<String>, next: &mut usize) {
    let mut nodes = vec![];
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            keep_infinity(body, extremes, next);
        }
        let (Some(output), true) = (node.output.first().cloned(), extremes.contains(node.name())) else {
            nodes.push(node);
            continue;
        };
        let index = names::decode(node.name()).unwrap_or(0);
        let mut made = |op: &str, input: [&str; 3], value: Option<f32>, output: String| {
            *next += 1;
            NodeProto {
                op_type: Some(op.into()),
                name: Some(names::encode(index, *next)),
                input: input.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                output: vec![output],
                attribute: value.map(constant).into_iter().collect(),
                ..NodeProto::default()
            }
        };
        let sign = if node.op_type() == "ReduceMax" { -1.0 } else { 1.0 };
        let [found, most, infinite, is_most] =
            ["found", "most", "infinite", "is_most"].map(|what| format!("{output}_oplat_{what}"));
        node.output[0].clone_from(&found);
        nodes.push(node);
        nodes.push(made("Constant", [""; 3], Some(sign * f32::MAX), most.clone()));
        nodes.push(made("Constant", [""; 3], Some(sign * f32::INFINITY), infinite.clone()));
        nodes.push(made("Equal", [&found, &most, ""], None, is_most.clone()));
        nodes.push(made("Where", [&is_most, &infinite, &found], None, output));
    }
    graph.node = nodes;
}

fn constant(value: f32) -> AttributeProto {
    AttributeProto {
        name: Some("value".into()),
        r#type: Some(attribute_type::TENSOR),
        t: Some(tensor::from_scalar(value.into(), data_type::FLOAT)),
        ..AttributeProto::default()
    }
}
