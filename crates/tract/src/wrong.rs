//! What tract 0.23.9 computes wrongly without a word, as ONNX's own node tests show it: refused by name, or put right.
//!
//! Its operators that are translated anew are in `operators`, recurrences in reverse in `recurrence`.

use std::collections::{HashMap, HashSet};

use oplat_engine::made::Maker;
use oplat_graph::onnx::index::{Index, Node, Use};
use oplat_graph::onnx::messages::{AttributeProto, GraphProto, ModelProto, TensorProto, data_type};
use oplat_graph::onnx::{Model, bodies, for_each_node, tensor};
use oplat_ground::error::{Error, Result};

/// Fails for a node that tract would compute wrongly, and puts right what can be.
pub fn correct(model: &mut ModelProto) -> Result<()> {
    let mut suspects = false;
    for_each_node(model.graph.as_ref().unwrap_or(&GraphProto::default()), &mut |node| {
        suspects |=
            ["BitShift", "SpaceToDepth", "ReduceMax", "ReduceMin", "Softplus"].contains(&node.op_type());
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
    let Some(graph) = model.graph.as_mut() else { return Ok(()) };
    let mut made = Maker::of(graph);
    let extremes = extremes(&index);
    if !extremes.is_empty() && holds_infinity(copy.graph()) {
        keep_infinity(graph, &extremes, &mut made);
    }
    bound_softplus(graph, &overflowing(&index), &mut made);
    Ok(())
}

/// The Softplus nodes that may overflow, by name, with the element type of their values. Where only a Tanh reads one, as in
/// Mish, it is 1 of infinity as of any large number.
fn overflowing(index: &Index) -> HashMap<String, i32> {
    let into_tanh = |node: &Node| {
        let uses = node.outputs.first().map_or(&[][..], |&output| index.uses(output));
        let is_tanh = |user: &Use| matches!(*user, Use::Node(id, _) if index.nodes[id].is("Tanh"));
        !uses.is_empty() && uses.iter().all(is_tanh)
    };
    let nodes = index.nodes.iter().filter(|node| node.is("Softplus") && !into_tanh(node));
    let kind = |node: &Node| index.data_type(node.inputs.first().copied().flatten()?);
    nodes.map(|node| (node.proto.name().to_owned(), kind(node).unwrap_or(data_type::FLOAT))).collect()
}

/// ln(1 + eˣ) is infinite in tract where eˣ is. It gets no larger numbers than it can bear, and beyond, its value is x.
fn bound_softplus(graph: &mut GraphProto, nodes: &HashMap<String, i32>, made: &mut Maker) {
    let mut written = vec![];
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            bound_softplus(body, nodes, made);
        }
        let (Some(&kind), Some(output), Some(x)) =
            (nodes.get(node.name()), node.output.first().cloned(), node.input.first().cloned())
        else {
            written.push(node);
            continue;
        };
        let bound = match kind {
            data_type::FLOAT16 => 10.0,
            data_type::DOUBLE => 700.0,
            _ => 80.0,
        };
        let of = node.name().to_owned();
        let [most, bounded, below] =
            ["most", "bounded", "below"].map(|what| format!("{output}_oplat_{what}"));
        written.push(made.constant(&of, tensor::from_scalar(bound, kind), most.clone()));
        written.push(made.node(&of, "Min", &[&x, &most], bounded.clone()));
        node.input[0] = bounded;
        node.output[0].clone_from(&below);
        written.push(node);
        written.push(made.node(&of, "Max", &[&below, &x], output));
    }
    graph.node = written;
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
fn keep_infinity(graph: &mut GraphProto, extremes: &HashSet<String>, made: &mut Maker) {
    let mut nodes = vec![];
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            keep_infinity(body, extremes, made);
        }
        let (Some(output), true) = (node.output.first().cloned(), extremes.contains(node.name())) else {
            nodes.push(node);
            continue;
        };
        let of = node.name().to_owned();
        let sign = if node.op_type() == "ReduceMax" { -1.0 } else { 1.0 };
        let [found, most, infinite, is_most] =
            ["found", "most", "infinite", "is_most"].map(|what| format!("{output}_oplat_{what}"));
        node.output[0].clone_from(&found);
        nodes.push(node);
        let float = |value: f32| tensor::from_scalar(value.into(), data_type::FLOAT);
        nodes.push(made.constant(&of, float(sign * f32::MAX), most.clone()));
        nodes.push(made.constant(&of, float(sign * f32::INFINITY), infinite.clone()));
        nodes.push(made.node(&of, "Equal", &[&found, &most], is_most.clone()));
        nodes.push(made.node(&of, "Where", &[&is_most, &infinite, &found], output));
    }
    graph.node = nodes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_engine::names;
    use oplat_graph::activation::Activation;
    use oplat_graph::onnx::messages::NodeProto;
    use oplat_graph::swap::{self, Lowering};

    fn operators(activation: &str) -> Vec<String> {
        let activation = Activation::parse(activation).unwrap();
        let mut model = swap::alone(&activation, &[1, 8, 4, 4], Lowering::Exported).unwrap().proto;
        correct(&mut model).unwrap();
        let ops = model.graph.unwrap().node.into_iter().filter_map(|node| node.op_type);
        ops.filter(|op| op != "Constant").collect()
    }

    #[test]
    fn softplus_is_bounded_unless_a_tanh_bounds_it() {
        assert_eq!(operators("softplus"), ["Min", "Softplus", "Max"]);
        assert_eq!(operators("mish"), ["Softplus", "Tanh", "Mul"]);
    }

    #[test]
    fn extremes_are_kept_infinite_only_where_there_are_infinite_numbers() {
        let value = |v: f32| TensorProto {
            name: Some("mask".into()),
            ..tensor::from_values(&[v.into(), 0.0], vec![1, 2], data_type::FLOAT)
        };
        for (mask, expected) in [(f32::NEG_INFINITY, 5), (-1e9, 1)] {
            let max = NodeProto {
                op_type: Some("ReduceMax".into()),
                name: Some(names::encode(0, 0)),
                input: vec!["mask".into()],
                output: vec!["y".into()],
                ..Default::default()
            };
            let graph = GraphProto { node: vec![max], initializer: vec![value(mask)], ..Default::default() };
            let mut model = ModelProto { graph: Some(graph), ..Default::default() };
            correct(&mut model).unwrap();
            let graph = model.graph.unwrap();
            assert_eq!(graph.node.len(), expected);
            assert_eq!(graph.node.last().unwrap().output, ["y"]);
        }
    }
}
