//! What ONNX Runtime makes of a model, from the optimised model that it writes: its operators, and which nodes each computes.
//!
//! Its operators are found by name. A node that it left alone has the name that ours gave it; one that it made of several has
//! the name of one of them with something behind it, or that of the value that it puts out (`NAME_nchwc`). What it invents to
//! change the layout of data has neither, and serves the operator that reads it.

use std::collections::HashMap;

use oplat_engine::attribution::{self, EngineOp, Role};
use oplat_engine::{names, own};
use oplat_graph::onnx::index::{Index, Source, Use};
use oplat_graph::onnx::messages::{GraphProto, NodeProto};
use oplat_graph::onnx::{Model, bodies};
use oplat_ground::protocol::Op;
use oplat_kernels::Isa;

use crate::operators;

/// The operators of the optimised model under their names, in the order of the nodes that they compute.
pub fn describe(original: &Model, optimised: &Model) -> Vec<(String, Op)> {
    let index = Index::new(original);
    let values = values(&index);
    let mut nodes: Vec<&NodeProto> =
        optimised.graph().node.iter().filter(|n| n.op_type() != "Constant").collect();
    // The order in the file, and numbers in names, differ from session to session.
    let lasting =
        |names: &[String]| -> Vec<String> { names.iter().map(|name| lasting(name).to_owned()).collect() };
    nodes.sort_by_cached_key(|node| {
        (named_by(node, &values, &index), node.op_type(), lasting(&node.input), lasting(&node.output))
    });
    let readers = readers(optimised.graph(), &nodes);
    let engine_ops: Vec<EngineOp> = nodes
        .iter()
        .zip(readers)
        .map(|(node, readers)| EngineOp {
            name: named_by(node, &values, &index),
            role: role(node.op_type()),
            readers,
        })
        .collect();
    let owned = attribution::attribute(&index, &engine_ops);
    let named = nodes.iter().zip(owned).map(|(node, onnx)| (node.name().to_owned(), op(node, onnx)));
    let mut ops: Vec<(String, Op)> = named.collect();
    order(&mut ops);
    ops
}

/// Puts operators in the order of the nodes that they compute, and those of the same nodes in one that hangs on what they are:
/// it must be the same in every process.
pub fn order(ops: &mut [(String, Op)]) {
    fn key(op: &Op) -> impl Ord {
        (op.onnx.last(), &op.onnx, &op.op, &op.inputs, &op.outputs)
    }
    ops.sort_by(|(_, a), (_, b)| key(a).cmp(&key(b)));
}

/// An operator as its node tells it: one of ours by the activation that it is, and by its kernel.
fn op(node: &NodeProto, onnx: Vec<usize>) -> Op {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name() == name);
    let text = |name: &str| {
        let text = attribute(name).and_then(|a| a.s.as_deref()).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    };
    let own = node.op_type() == own::OPERATOR;
    let floats = attribute(own::PARAMETERS).map_or(&[][..], |a| &a.floats);
    let kernel = own.then(|| operators::kernel(&text(own::ACTIVATION), floats)).flatten();
    Op {
        op: if own { text(own::SHOWN) } else { node.op_type().to_owned() },
        kernel: kernel.as_ref().map(ToString::to_string),
        generic_kernel: kernel.is_some_and(|kernel| kernel.isa() == Isa::Portable),
        onnx,
        fused: fused(node),
        ..Op::default()
    }
}

/// The node of the original that makes each value.
pub fn values<'m>(index: &Index<'m>) -> HashMap<&'m str, usize> {
    let made = |value: usize| match index.source(value) {
        Source::Node(node, _) => Some((index.name(value), node)),
        _ => None,
    };
    (0..index.len()).filter_map(made).collect()
}

/// Which of the nodes read the values of each.
pub fn readers(graph: &GraphProto, nodes: &[&NodeProto]) -> Vec<Vec<usize>> {
    let makers =
        nodes.iter().enumerate().flat_map(|(at, node)| node.output.iter().map(move |o| (o.as_str(), at)));
    let makers: HashMap<&str, usize> = makers.filter(|(name, _)| !name.is_empty()).collect();
    let mut readers = vec![vec![]; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        let inner = bodies(node).flat_map(|body| &body.node).flat_map(|inner| &inner.input);
        for maker in node.input.iter().chain(inner).filter_map(|input| makers.get(input.as_str())) {
            readers[*maker].push(at);
        }
    }
    debug_assert!(graph.node.len() >= nodes.len());
    readers
}

/// The node of the original that an operator is named by: of one with an activation inside, the activation's last.
fn named_by(node: &NodeProto, values: &HashMap<&str, usize>, index: &Index) -> Option<usize> {
    if role(node.op_type()) == Role::Layout && names::decode(node.name()).is_none() {
        return None;
    }
    let of_value = |name: &str| values.get(original_value(name)).copied();
    let named = names::decode(node.name())
        .or_else(|| of_value(node.name()))
        .or_else(|| node.output.iter().find_map(|output| of_value(output)))?;
    let op = index.nodes.get(named)?.op();
    let adds = op == "Conv" && node.input.get(ADDED).is_some_and(|input| !input.is_empty());
    let named = if adds { addition_behind(index, named).unwrap_or(named) } else { named };
    let by_itself = ["Conv", "Gemm", "MatMul"].contains(&op);
    let inside = by_itself && !fused(node).is_empty();
    let behind = inside.then(|| function_behind(index, named)).flatten();
    Some(behind.and_then(|nodes| nodes.last().copied()).unwrap_or(named))
}

/// A name without the number that a session gives it.
fn lasting(name: &str) -> &str {
    name.split("_token_").next().unwrap_or(name)
}

/// What ONNX Runtime writes before the names of values that it makes in another type.
pub const BEFORE: [&str; 3] = ["InsertedPrecisionFreeCast_", "InsertedCast_", "fused "];

/// The value of the original that one is made from, which may be of another layout or type.
fn original_value(name: &str) -> &str {
    let name = lasting(name);
    let name = name.strip_suffix("_nchwc").unwrap_or(name);
    BEFORE.iter().find_map(|before| name.strip_prefix(before)).unwrap_or(name)
}

/// Which input of a convolution it adds to its sums, before its activation.
const ADDED: usize = 3;

/// The addition of another value to a node's, if nothing else reads that.
pub fn addition_behind(index: &Index, node: usize) -> Option<usize> {
    let mut uses = index.nodes[node].outputs.iter().flat_map(|&value| index.uses(value));
    match (uses.next(), uses.next()) {
        (Some(Use::Node(reader, _)), None) => Some(*reader).filter(|&reader| index.nodes[reader].is("Add")),
        _ => None,
    }
}

/// The smallest function right behind a node: the nodes that together take all of its value, and put out that of the last.
pub fn function_behind(index: &Index, node: usize) -> Option<Vec<usize>> {
    const MOST: usize = 8;
    let readers = |node: usize| -> Option<Vec<usize>> {
        let uses = index.nodes[node].outputs.iter().flat_map(|&value| index.uses(value));
        uses.map(|user| if let Use::Node(reader, _) = user { Some(*reader) } else { None }).collect()
    };
    let mut inside: Vec<usize> = vec![];
    while inside.len() < MOST {
        let all = std::iter::once(node).chain(inside.iter().copied());
        let open: Vec<usize> = all
            .filter(|&n| readers(n).is_none_or(|r| r.iter().any(|reader| !inside.contains(reader))))
            .collect();
        if let [last] = open[..]
            && last != node
        {
            inside.retain(|&inner| inner != last);
            inside.push(last);
            return Some(inside);
        }
        let ready = |reader: &usize| {
            let made = index.nodes[*reader].inputs.iter().flatten().filter(|&&v| !index.is_constant(v));
            made.filter_map(|&v| index.producer(v)).all(|maker| maker == node || inside.contains(&maker))
        };
        let next = open.iter().flat_map(|&n| readers(n).unwrap_or_default());
        inside.push(next.into_iter().find(|reader| !inside.contains(reader) && ready(reader))?);
    }
    None
}

/// What an operator of this type is to [`attribution`].
pub fn role(op: &str) -> Role {
    match op {
        "Conv" | "FusedConv" | "Gemm" | "FusedGemm" | "MatMul" | "FusedMatMul" | "ConvTranspose"
        | "QLinearConv" | "MatMulInteger" | "NhwcFusedConv" => Role::Product,
        "QuickGelu" => Role::Pattern { most: 2 },
        "Gelu"
        | "FastGelu"
        | "BiasGelu"
        | "LayerNormalization"
        | "SkipLayerNormalization"
        | "SimplifiedLayerNormalization"
        | "Attention"
        | "MultiHeadAttention" => Role::Pattern { most: usize::MAX },
        "ReorderInput" | "ReorderOutput" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose" | "Cast"
        | "Identity" => Role::Layout,
        "If" | "Loop" | "Scan" => Role::Body,
        _ => Role::Other,
    }
}

/// The activation that an operator has inside, by what it says of itself.
fn fused(node: &NodeProto) -> Vec<String> {
    let named = node.attribute.iter().filter(|a| a.name() == "activation");
    let text = |s: &[u8]| String::from_utf8_lossy(s).to_lowercase();
    named.filter_map(|a| a.s.as_deref().map(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_graph::onnx::messages::{AttributeProto, ModelProto, TensorProto, ValueInfoProto};

    fn node(op: &str, name: &str, input: &str, output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            name: Some(name.into()),
            input: vec![input.into()],
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    fn model(node: Vec<NodeProto>) -> Model {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..ValueInfoProto::default() };
        let graph = GraphProto {
            node,
            input: vec![value("x"), value("y")],
            output: vec![value("z")],
            initializer: vec![TensorProto { name: Some("w".into()), ..TensorProto::default() }],
            ..GraphProto::default()
        };
        Model { proto: ModelProto { graph: Some(graph), ..ModelProto::default() }, dir: None }
    }

    #[test]
    fn operators_have_one_order_whatever_a_session_calls_them() {
        let mut mul = node("Mul", "", "a", "z");
        mul.input.push("b".into());
        let original = model(vec![node("Sigmoid", "", "x", "a"), node("Sigmoid", "", "y", "b"), mul]);
        let own = |node: usize| names::encode(node, 0);
        // Two changes of layout before one operator; a session numbers and orders them as it likes.
        let session = |numbers: [usize; 2], turned: bool| {
            let reorder = |which: usize| {
                let (from, to) = [("a", "c"), ("b", "d")][which];
                let from = format!("{from}_nchwc_token_{}", numbers[1 - which]);
                node("ReorderOutput", &format!("ReorderOutput_token_{}", numbers[which]), &from, to)
            };
            let mut mul = node("Mul", &own(2), "c", "z");
            mul.input.push("d".into());
            let own_ones = [("x", "a"), ("y", "b")].into_iter().enumerate();
            let own_ones =
                own_ones.map(|(at, (from, to))| node("Sigmoid", &own(at), from, &format!("{to}_nchwc")));
            let mut nodes = vec![reorder(0), reorder(1), mul];
            nodes.splice(0..0, own_ones);
            if turned {
                nodes.swap(2, 3);
            }
            let described = describe(&original, &model(nodes));
            let which = |name: &str| numbers.iter().position(|n| name.ends_with(&format!("_token_{n}")));
            described.iter().map(|(name, op)| (which(name), op.op.clone())).collect::<Vec<_>>()
        };
        let expected = session([7, 3], false);
        assert_eq!(
            expected.iter().map(|(which, _)| *which).collect::<Vec<_>>(),
            [None, None, None, Some(0), Some(1)]
        );
        for (numbers, turned) in [([7, 3], true), ([1, 2], false), ([2, 1], true)] {
            assert_eq!(session(numbers, turned), expected);
        }
    }

    #[test]
    fn a_convolution_that_adds_a_branch_has_the_addition_and_the_activation_behind_it() {
        let two = |op: &str, a: &str, b: &str, output: &str| {
            let mut node = node(op, "", a, output);
            node.input.push(b.into());
            node
        };
        let lines = vec![
            two("Conv", "x", "w", "c"),
            two("Add", "c", "y", "s"),
            node("Relu", "", "s", "r"),
            two("Conv", "r", "w", "z"),
        ];
        let original = model(lines);
        let conv = |inputs: &[&str], name: &str, output: &str, activation: Option<&str>| NodeProto {
            op_type: Some("Conv".into()),
            name: Some(name.into()),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.into()],
            attribute: activation
                .map(|text| AttributeProto {
                    name: Some("activation".into()),
                    s: Some(text.to_owned().into()),
                    ..AttributeProto::default()
                })
                .into_iter()
                .collect(),
            ..NodeProto::default()
        };
        let head = || conv(&["r_nchwc", "w"], "z_nchwc", "z", None);
        let onnx =
            |nodes| describe(&original, &model(nodes)).into_iter().map(|(_, op)| op.onnx).collect::<Vec<_>>();
        let merged = conv(&["x", "w", "", "y"], "c_nchwc", "r_nchwc", Some("Relu"));
        assert_eq!(onnx(vec![merged, head()]), [vec![0, 1, 2], vec![3]]);
        // Another activation has an operator of its own.
        let adds = conv(&["x", "w", "", "y"], "c_nchwc", "s_nchwc", None);
        let relu = node("Relu", &names::encode(2, 0), "s_nchwc", "r_nchwc");
        assert_eq!(onnx(vec![adds, relu, head()]), [vec![0, 1], vec![2], vec![3]]);
    }
}
