//! Sequences that are split off a tensor and of which single elements are taken.
//!
//! tract 0.23.9 has no sequences. Where each element is named by a constant, it is a slice of the tensor.

use std::collections::{HashMap, HashSet};

use oplat_graph::onnx::Model;
use oplat_graph::onnx::build::Names;
use oplat_graph::onnx::constants::Constants;
use oplat_graph::onnx::index::{Index, Node, Use};
use oplat_graph::onnx::messages::{AttributeProto, ModelProto, NodeProto, TensorProto, attribute_type};
use oplat_graph::onnx::tensor;

/// A part of a tensor along an axis.
struct Part {
    of: String,
    axis: i64,
    piece: Piece,
}

enum Piece {
    /// One index; the axis stays, or goes.
    At {
        index: i64,
        stays: bool,
    },
    From {
        start: i64,
        end: i64,
    },
}

/// Rewrites the elements of sequences in the main graph.
pub fn rewrite(model: &mut ModelProto) {
    if !model.graph.iter().flat_map(|g| &g.node).any(|node| node.op_type() == "SplitToSequence") {
        return;
    }
    let copy = Model { proto: model.clone(), dir: None };
    let index = Index::new(&copy);
    let constants = Constants::new(&index);
    let (mut parts, mut gone) = (HashMap::new(), HashSet::new());
    for node in index.nodes.iter().filter(|node| node.is("SplitToSequence")) {
        if let Some(all) = elements(node, &index, &constants) {
            parts.extend(all);
            gone.insert(node.proto.name().to_owned());
        }
    }
    let Some(graph) = model.graph.as_mut() else { return };
    let mut names = Names::of(graph);
    graph.node.retain(|node| !gone.contains(node.name()));
    let mut lists = vec![];
    for node in &mut graph.node {
        if let Some(part) = parts.get(node.name()) {
            put(node, part, &mut lists, &mut names);
        }
    }
    graph.initializer.extend(lists);
}

/// What the nodes are that take elements of a sequence, by name; `None` unless all that read it do, by constants.
fn elements(node: &Node, index: &Index, constants: &Constants) -> Option<Vec<(String, Part)>> {
    let integer = |name: &str, default: i64| node.attribute(name).and_then(|a| a.i).unwrap_or(default);
    let (axis, stays) = (integer("axis", 0), integer("keepdims", 1) != 0);
    let of = index.name(node.inputs.first().copied().flatten()?).to_owned();
    let split = match node.inputs.get(1).copied().flatten() {
        Some(value) => Some(constants.get(value)?),
        None => None,
    };
    let element = |user: &Use| {
        let Use::Node(reader, 0) = *user else { return None };
        let reader = &index.nodes[reader];
        let at = reader.inputs.get(1).copied().flatten().filter(|_| reader.is("SequenceAt"))?;
        let at = constants.get(at)?.single()? as i64;
        let piece = match &split {
            None => Piece::At { index: at, stays },
            Some(sizes) if sizes.dims.is_empty() => {
                let size = sizes.single()? as i64;
                (at >= 0).then_some(Piece::From { start: at * size, end: (at + 1) * size })?
            }
            Some(sizes) => {
                let count = sizes.dims.iter().product::<usize>();
                let all: Vec<i64> =
                    sizes.values.iter().cycle().take(count).map(|&size| size as i64).collect();
                let at = usize::try_from(if at < 0 { at + count as i64 } else { at }).ok()?;
                let start: i64 = all.get(..at)?.iter().sum();
                Piece::From { start, end: start + all.get(at)? }
            }
        };
        Some((reader.proto.name().to_owned(), Part { of: of.clone(), axis, piece }))
    };
    index.uses(*node.outputs.first()?).iter().map(element).collect()
}

fn put(node: &mut NodeProto, part: &Part, lists: &mut Vec<TensorProto>, names: &mut Names) {
    let mut list = |what: &str, values: &[i64], dims: Vec<i64>| {
        let name = names.fresh(format!("{}_{what}", node.name()));
        lists.push(TensorProto { name: Some(name.clone()), dims, ..tensor::from_integers(values) });
        name
    };
    let (op, input, attribute) = match part.piece {
        Piece::At { index, stays } => {
            let dims = if stays { vec![1] } else { vec![] };
            let axis = AttributeProto {
                name: Some("axis".into()),
                r#type: Some(attribute_type::INT),
                i: Some(part.axis),
                ..AttributeProto::default()
            };
            ("Gather", vec![part.of.clone(), list("index", &[index], dims)], vec![axis])
        }
        Piece::From { start, end } => {
            let starts = list("starts", &[start], vec![1]);
            let ends = list("ends", &[end], vec![1]);
            ("Slice", vec![part.of.clone(), starts, ends, list("axes", &[part.axis], vec![1])], vec![])
        }
    };
    *node = NodeProto { op_type: Some(op.into()), input, attribute, ..std::mem::take(node) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_graph::onnx::messages::GraphProto;

    fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            name: Some(output.into()),
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    fn rewritten(split: &[&str], reader: NodeProto) -> GraphProto {
        let list = |name: &str, values: &[i64], dims: Vec<i64>| TensorProto {
            name: Some(name.into()),
            dims,
            ..tensor::from_integers(values)
        };
        let graph = GraphProto {
            node: vec![node("SplitToSequence", split, "s"), reader],
            initializer: vec![
                list("one", &[1], vec![]),
                list("two", &[2], vec![]),
                list("sizes", &[2, 3, 1], vec![3]),
            ],
            ..Default::default()
        };
        let mut model = ModelProto { graph: Some(graph), ..Default::default() };
        rewrite(&mut model);
        model.graph.unwrap()
    }

    #[test]
    fn an_element_is_a_part_of_the_tensor() {
        let numbers = |graph: &GraphProto, i: usize| {
            let name = &graph.node[0].input[i];
            let list = graph.initializer.iter().find(|t| t.name() == name).unwrap();
            tensor::numbers(list, None, 1).unwrap()[0]
        };
        let at = || node("SequenceAt", &["s", "one"], "y");
        let rows: [(&[&str], &str, &[f64]); 3] = [
            (&["x"], "Gather", &[1.0]),
            (&["x", "two"], "Slice", &[2.0, 4.0, 0.0]),
            (&["x", "sizes"], "Slice", &[2.0, 5.0, 0.0]),
        ];
        for (split, op, expected) in rows {
            let graph = rewritten(split, at());
            assert_eq!(
                (graph.node.len(), graph.node[0].op_type(), graph.node[0].input[0].as_str()),
                (1, op, "x")
            );
            let is: Vec<f64> = (1..=expected.len()).map(|i| numbers(&graph, i)).collect();
            assert_eq!(is, expected, "{split:?}");
        }
    }

    #[test]
    fn a_sequence_that_something_else_reads_stays() {
        let graph = rewritten(&["x"], node("SequenceLength", &["s"], "n"));
        assert_eq!(
            graph.node.iter().map(NodeProto::op_type).collect::<Vec<_>>(),
            ["SplitToSequence", "SequenceLength"]
        );
    }
}
