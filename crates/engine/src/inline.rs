//! Model-local functions, inlined: the engine doesn't know them.
//!
//! Every node of a function's body takes the index of the node that calls it, so that whatever the engine
//! says of it is said of the call.

use crate::names;
use oplat_graph::onnx::for_each_node_mut;
use oplat_graph::onnx::inline::{self, standard};
use oplat_graph::onnx::messages::ModelProto;
use oplat_ground::error::{Error, Result};

/// Replaces every call of a function that the model defines by the function's nodes; the model's own nodes are named by their
/// indices.
///
/// Fails for functions that call themselves, or that import another version of the standard operators than the model does,
/// naming the function.
pub fn functions(model: &mut ModelProto) -> Result<()> {
    if model.functions.is_empty() {
        return Ok(());
    }
    if let Some(function) = inline::of_another_opset(model) {
        let [theirs, ours] =
            [&function.opset_import, &model.opset_import].map(|imports| standard(imports).unwrap_or(1));
        return Err(Error::input(format!(
            "function {} is written for opset {theirs} and the model for {ours}: export it with one opset",
            function.name()
        )));
    }
    let inlined = inline::inline(model, &|_| true).map_err(Error::input)?;
    *model = inlined.model;
    model.functions.clear();
    let mut part = 0;
    if let Some(graph) = model.graph.as_mut() {
        for_each_node_mut(graph, &mut |node| {
            if names::exact(node.name()).is_none() {
                part += 1;
                // Its name begins with that of the outermost call.
                node.name = Some(names::encode(names::decode(node.name()).unwrap_or(0), part));
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_graph::onnx::messages::{AttributeProto, FunctionProto, GraphProto, NodeProto, attribute_type};

    fn node(op: &str, input: &[&str], output: &[&str]) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            input: input.iter().map(|s| (*s).into()).collect(),
            output: output.iter().map(|s| (*s).into()).collect(),
            ..Default::default()
        }
    }

    fn function(name: &str, node: Vec<NodeProto>) -> FunctionProto {
        FunctionProto {
            name: Some(name.into()),
            domain: Some("local".into()),
            input: vec!["a".into()],
            output: vec!["b".into()],
            node,
            ..Default::default()
        }
    }

    fn call(name: &str, index: usize, input: &str, output: &str) -> NodeProto {
        NodeProto {
            domain: Some("local".into()),
            name: Some(names::encode(index, 0)),
            ..node(name, &[input], &[output])
        }
    }

    fn model(functions: Vec<FunctionProto>, node: Vec<NodeProto>) -> ModelProto {
        ModelProto { functions, graph: Some(GraphProto { node, ..Default::default() }), ..Default::default() }
    }

    #[test]
    fn nested_calls_become_nodes_of_the_outermost_caller() {
        let silu = function("silu", vec![node("Sigmoid", &["a"], &["s"]), node("Mul", &["a", "s"], &["b"])]);
        let mut inner = call("silu", 0, "a", "t");
        inner.name = Some("whatever".into());
        let block = function("block", vec![inner, node("Relu", &["t"], &["b"])]);
        let mut m = model(vec![silu, block], vec![call("block", 4, "x", "y"), call("silu", 5, "y", "z")]);
        functions(&mut m).unwrap();
        let graph = m.graph.unwrap();
        let ops: Vec<_> = graph.node.iter().map(|n| n.op_type.as_deref().unwrap()).collect();
        assert_eq!(ops, ["Sigmoid", "Mul", "Relu", "Sigmoid", "Mul"]);
        let owners: Vec<_> = graph.node.iter().map(|n| names::decode(n.name.as_deref().unwrap())).collect();
        assert_eq!(owners, [Some(4), Some(4), Some(4), Some(5), Some(5)]);
        assert_eq!((&graph.node[0].input[0], &graph.node[2].output[0]), (&"x".to_owned(), &"y".to_owned()));
        assert_eq!(graph.node[1].input[1], graph.node[0].output[0]);
        assert_ne!(graph.node[0].output[0], graph.node[3].output[0], "each call has values of its own");
    }

    #[test]
    fn attributes_come_from_the_call_or_the_default() {
        let attribute = |name: &str, f| AttributeProto {
            name: Some(name.into()),
            f: Some(f),
            r#type: Some(attribute_type::FLOAT),
            ..Default::default()
        };
        let mut leaky = node("LeakyRelu", &["a"], &["b"]);
        leaky.attribute.push(AttributeProto {
            name: Some("alpha".into()),
            ref_attr_name: Some("slope".into()),
            ..Default::default()
        });
        let mut f = function("f", vec![leaky]);
        f.attribute_proto.push(attribute("slope", 0.5));
        let mut with = call("f", 0, "x", "y");
        with.attribute.push(attribute("slope", 0.25));
        let mut m = model(vec![f], vec![with, call("f", 1, "y", "z")]);
        functions(&mut m).unwrap();
        let alphas: Vec<_> = m.graph.unwrap().node.iter().map(|n| n.attribute[0].f).collect();
        assert_eq!(alphas, [Some(0.25), Some(0.5)]);
    }

    #[test]
    fn a_function_that_calls_itself_is_an_error() {
        let f = function("loop", vec![call("loop", 0, "a", "b")]);
        let error = functions(&mut model(vec![f], vec![call("loop", 0, "x", "y")])).unwrap_err();
        assert!(error.message.contains("loop"), "{error}");
    }
}
