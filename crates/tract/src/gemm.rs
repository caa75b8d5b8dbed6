//! Matrix products of half floats.
//!
//! tract 0.23.9 makes single floats of a `Gemm` of half floats and refuses it for that. As a product and a sum, it runs.

use std::collections::HashSet;

use oplat_engine::made::Maker;
use oplat_graph::onnx::index::Index;
use oplat_graph::onnx::messages::{AttributeProto, ModelProto, NodeProto, attribute_type, data_type};
use oplat_graph::onnx::{Model, tensor};

/// Takes `Gemm` nodes of half floats in the main graph apart.
pub fn rewrite(model: &mut ModelProto) {
    if !model.graph.iter().flat_map(|g| &g.node).any(|node| node.op_type() == "Gemm") {
        return;
    }
    let copy = Model { proto: model.clone(), dir: None };
    let index = Index::new(&copy);
    let half = index.nodes.iter().filter(|node| {
        let input = node.inputs.get(1).copied().flatten();
        node.is("Gemm") && input.and_then(|v| index.data_type(v)) == Some(data_type::FLOAT16)
    });
    let half: HashSet<&str> = half.map(|node| node.proto.name()).collect();
    let Some(graph) = model.graph.as_mut() else { return };
    let mut maker = Maker::of(graph);
    let nodes = std::mem::take(&mut graph.node).into_iter();
    graph.node = nodes
        .flat_map(|node| if half.contains(node.name()) { apart(&node, &mut maker) } else { vec![node] })
        .collect();
}

fn apart(node: &NodeProto, maker: &mut Maker) -> Vec<NodeProto> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name() == name);
    let is_set = |name: &str| attribute(name).and_then(|a| a.i).unwrap_or(0) != 0;
    let factor = |name: &str| attribute(name).and_then(|a| a.f).unwrap_or(1.0);
    let output = node.output.first().cloned().unwrap_or_default();
    let mut made = Parts { nodes: vec![], of: node.name(), maker, output: &output };
    let mut product = vec![];
    for (i, flag) in ["transA", "transB"].into_iter().enumerate() {
        let input = node.input.get(i).cloned().unwrap_or_default();
        product.push(if is_set(flag) { made.turned(input, flag) } else { input });
    }
    let product = made.node("MatMul", product, "product", vec![]);
    let product = made.scaled(product, factor("alpha"), "alpha");
    match node.input.get(2).filter(|name| !name.is_empty()) {
        Some(bias) => {
            let bias = made.scaled(bias.clone(), factor("beta"), "beta");
            made.node("Add", vec![product, bias], "sum", vec![]);
        }
        None => {
            made.node("Identity", vec![product], "sum", vec![]);
        }
    }
    let mut nodes = made.nodes;
    if let Some(last) = nodes.last_mut() {
        last.output = vec![output];
    }
    nodes
}

/// The nodes that one is taken apart to.
struct Parts<'n> {
    nodes: Vec<NodeProto>,
    of: &'n str,
    maker: &'n mut Maker,
    output: &'n str,
}

impl Parts<'_> {
    /// Adds a node and returns the name of its value.
    fn node(&mut self, op: &str, input: Vec<String>, what: &str, attribute: Vec<AttributeProto>) -> String {
        let value = format!("{}_oplat_{what}", self.output);
        let input: Vec<&str> = input.iter().map(String::as_str).collect();
        let node = self.maker.node(self.of, op, &input, value.clone());
        self.nodes.push(NodeProto { attribute, ..node });
        value
    }

    fn turned(&mut self, input: String, what: &str) -> String {
        let perm = AttributeProto {
            name: Some("perm".into()),
            r#type: Some(attribute_type::INTS),
            ints: vec![1, 0],
            ..AttributeProto::default()
        };
        self.node("Transpose", vec![input], what, vec![perm])
    }

    fn scaled(&mut self, input: String, factor: f32, what: &str) -> String {
        if factor == 1.0 {
            return input;
        }
        let constant = format!("{}_oplat_{what}", self.output);
        let value = tensor::from_scalar(factor.into(), data_type::FLOAT16);
        self.nodes.push(self.maker.constant(self.of, value, constant.clone()));
        self.node("Mul", vec![input, constant], &format!("times_{what}"), vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_engine::names;
    use oplat_graph::onnx::build::float_attribute;
    use oplat_graph::onnx::messages::{GraphProto, TensorProto};

    fn operators(kind: i32, attribute: Vec<AttributeProto>) -> Vec<String> {
        let weights =
            TensorProto { name: Some("w".into()), ..tensor::from_values(&[0.0; 4], vec![2, 2], kind) };
        let gemm = NodeProto {
            op_type: Some("Gemm".into()),
            name: Some(names::encode(3, 0)),
            input: ["x", "w", "w"].map(str::to_owned).to_vec(),
            output: vec!["y".into()],
            attribute,
            ..NodeProto::default()
        };
        let graph = GraphProto { node: vec![gemm], initializer: vec![weights], ..GraphProto::default() };
        let mut model = ModelProto { graph: Some(graph), ..ModelProto::default() };
        rewrite(&mut model);
        let graph = model.graph.unwrap();
        assert_eq!(graph.node.last().unwrap().output, ["y"]);
        assert!(graph.node.iter().all(|node| names::decode(node.name()) == Some(3)));
        graph.node.into_iter().filter_map(|node| node.op_type).collect()
    }

    #[test]
    fn only_half_floats_are_taken_apart() {
        let turned = AttributeProto { name: Some("transB".into()), i: Some(1), ..AttributeProto::default() };
        assert_eq!(operators(data_type::FLOAT, vec![turned.clone()]), ["Gemm"]);
        assert_eq!(operators(data_type::FLOAT16, vec![turned]), ["Transpose", "MatMul", "Add"]);
        let scaled = vec![float_attribute("alpha", 0.5)];
        assert_eq!(operators(data_type::FLOAT16, scaled), ["MatMul", "Constant", "Mul", "Add"]);
    }
}
