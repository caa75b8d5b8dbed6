//! ONNX files: reading, indexing and writing them without losing a field.

pub mod build;
pub mod constants;
pub mod erf;
pub mod extent;
pub mod external;
mod file;
pub mod formula;
pub mod index;
mod infer;
pub mod inline;
pub mod mark;
pub mod messages;
pub mod operators;
pub mod order;
pub mod tensor;

pub use file::{Model, opset};
use messages::{AttributeProto, GraphProto, NodeProto};

/// Calls `visit` with every node of the graph in file order, a node before the nodes of its bodies
/// (If, Loop, Scan). A node's position in this walk is its *index*: the one way in which the parts of the
/// program name a node to each other, since ONNX names may be missing or double.
pub fn for_each_node<'g>(graph: &'g GraphProto, visit: &mut impl FnMut(&'g NodeProto)) {
    for node in &graph.node {
        visit(node);
        for body in bodies(node) {
            for_each_node(body, visit);
        }
    }
}

/// As [`for_each_node`], with nodes that may be changed.
pub fn for_each_node_mut(graph: &mut GraphProto, visit: &mut impl FnMut(&mut NodeProto)) {
    for node in &mut graph.node {
        visit(node);
        for attribute in &mut node.attribute {
            for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                for_each_node_mut(body, visit);
            }
        }
    }
}

/// The graphs in a node's attributes.
pub fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a: &AttributeProto| a.g.iter().chain(&a.graphs))
}

/// What the user knows a node as: its name, or its first output where it has none.
pub fn label(node: &NodeProto) -> &str {
    match node.name.as_deref() {
        Some(name) if !name.is_empty() => name,
        _ => node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str),
    }
}
