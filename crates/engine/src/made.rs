//! Nodes that the private copy gets in place of the model's: each stands for one of these, and carries its index.

use crate::names;
use oplat_graph::onnx::for_each_node;
use oplat_graph::onnx::messages::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type};

/// Makes nodes with names that no other has.
pub struct Maker {
    last: usize,
}

impl Maker {
    /// For a graph whose nodes are named by their indices: their parts are counted on from there.
    pub fn of(graph: &GraphProto) -> Self {
        let mut last = 0;
        for_each_node(graph, &mut |node| last = last.max(names::part(node.name()).unwrap_or(0)));
        Self { last }
    }

    /// A name for a node that stands for the one of this name.
    pub fn name(&mut self, of: &str) -> String {
        self.last += 1;
        names::encode(names::decode(of).unwrap_or(0), self.last)
    }

    /// A node that stands for the one of this name.
    pub fn node(&mut self, of: &str, op: &str, input: &[&str], output: String) -> NodeProto {
        NodeProto {
            op_type: Some(op.to_owned()),
            name: Some(self.name(of)),
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output],
            ..NodeProto::default()
        }
    }

    /// A constant that is read in place of the node of this name.
    pub fn constant(&mut self, of: &str, value: TensorProto, output: String) -> NodeProto {
        let attribute = AttributeProto {
            name: Some("value".to_owned()),
            r#type: Some(attribute_type::TENSOR),
            t: Some(value),
            ..AttributeProto::default()
        };
        NodeProto { attribute: vec![attribute], ..self.node(of, "Constant", &[], output) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_on_from_those_that_are_there() {
        let node = |name| NodeProto { name: Some(name), ..NodeProto::default() };
        let graph = GraphProto {
            node: vec![node(names::encode(3, 7)), node(names::encode(9, 0))],
            ..GraphProto::default()
        };
        let mut maker = Maker::of(&graph);
        assert_eq!(maker.name(&names::encode(9, 0)), names::encode(9, 8));
        let made = maker.node(&names::encode(3, 7), "Relu", &["x"], "y".to_owned());
        assert_eq!((made.name(), made.op_type()), (names::encode(3, 9).as_str(), "Relu"));
    }
}
