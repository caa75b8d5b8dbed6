//! Operators of ONNX Runtime: what their types say of them, and what stands behind a node that they take in.

use std::collections::HashMap;

use oplat_engine::attribution::Role;
use oplat_engine::own;
use oplat_graph::onnx::bodies;
use oplat_graph::onnx::index::{Index, Source, Use};
use oplat_graph::onnx::messages::{GraphProto, NodeProto};
use oplat_ground::protocol::Op;
use oplat_kernels::Isa;

use crate::operators;

/// Operators with what they are and do: those that compute the same nodes in an order that hangs on that alone, since it must be
/// the same in every session.
pub fn order<T>(ops: &mut [(T, Op)]) {
    fn key(op: &Op) -> impl Ord {
        (op.onnx.last(), &op.onnx, &op.op, &op.inputs, &op.outputs)
    }
    ops.sort_by(|(_, a), (_, b)| key(a).cmp(&key(b)));
}

/// Says of an operator of ours which activation it is, and by which kernel; `node` is what it computes in the copy.
pub fn show_own(op: &mut Op, node: &NodeProto) {
    if op.op != own::OPERATOR || node.op_type() != own::OPERATOR {
        return;
    }
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name() == name);
    let text = |name: &str| {
        let text = attribute(name).and_then(|a| a.s.as_deref()).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    };
    let floats = attribute(own::PARAMETERS).map_or(&[][..], |a| &a.floats);
    let kernel = operators::kernel(&text(own::ACTIVATION), floats);
    op.op = text(own::SHOWN);
    op.generic_kernel = kernel.as_ref().is_some_and(|kernel| kernel.isa() == Isa::Portable);
    op.kernel = kernel.map(|kernel| kernel.to_string());
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

/// What ONNX Runtime writes before the names of values that it makes in another type.
pub const BEFORE: [&str; 3] = ["InsertedPrecisionFreeCast_", "InsertedCast_", "fused "];

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
