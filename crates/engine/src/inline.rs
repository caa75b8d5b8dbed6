//! Model-local functions, inlined: the engine doesn't know them.
//!
//! Every node of a function's body takes the index of the node that calls it, so that whatever the engine
//! says of it is said of the call.

use std::collections::HashMap;

use crate::names;
use oplat_graph::onnx::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
};
use oplat_ground::error::{Error, Result};

/// Deepest nesting of calls; ONNX forbids recursion, a hostile file may not care.
const MAX_DEPTH: usize = 64;
/// Most nodes that inlining may make.
const MAX_NODES: usize = 1_000_000;

/// Replaces every call of a function that the model defines by the function's nodes.
///
/// Fails for functions that call themselves, that leave out an input they need, or that import another
/// version of the standard operators than the model does, naming the function.
pub fn functions(model: &mut ModelProto) -> Result<()> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions = std::mem::take(&mut model.functions);
    let by_key = functions.iter().map(|f| (key(&f.domain, &f.name, &f.overload), f)).collect();
    let mut inliner = Inliner { functions: by_key, opset: standard(&model.opset_import), made: 0 };
    if let Some(graph) = model.graph.as_mut() {
        inliner.graph(graph, 0)?;
    }
    Ok(())
}

type Key = (String, String, String);

fn key(domain: &Option<String>, name: &Option<String>, overload: &Option<String>) -> Key {
    (
        domain.clone().unwrap_or_default(),
        name.clone().unwrap_or_default(),
        overload.clone().unwrap_or_default(),
    )
}

fn standard(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|o| matches!(o.domain.as_deref(), None | Some("" | "ai.onnx")))?.version
}

struct Inliner<'f> {
    functions: HashMap<Key, &'f FunctionProto>,
    opset: Option<i64>,
    /// Nodes made so far: also what makes their names and those of their values unique.
    made: usize,
}

impl Inliner<'_> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Result<()> {
        graph.node = self.nodes(std::mem::take(&mut graph.node), depth)?;
        Ok(())
    }

    fn nodes(&mut self, nodes: Vec<NodeProto>, depth: usize) -> Result<Vec<NodeProto>> {
        let mut inlined = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            if let Some(&function) = self.functions.get(&key(&node.domain, &node.op_type, &node.overload)) {
                inlined.extend(self.call(&node, function, depth)?);
            } else {
                for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
                    self.graph(body, depth)?;
                }
                inlined.push(node);
            }
        }
        Ok(inlined)
    }

    fn call(&mut self, call: &NodeProto, function: &FunctionProto, depth: usize) -> Result<Vec<NodeProto>> {
        let name = function.name.as_deref().unwrap_or("");
        if depth >= MAX_DEPTH || self.made > MAX_NODES {
            return Err(Error::input(format!(
                "function {name} calls itself, or is nested too deeply to inline"
            )));
        }
        if let (Some(theirs), Some(ours)) = (standard(&function.opset_import), self.opset)
            && theirs != ours
        {
            return Err(Error::input(format!(
                "function {name} is written for opset {theirs} and the model for {ours}: export it with one opset"
            )));
        }
        let index = call.name.as_deref().and_then(names::decode).unwrap_or(0);
        let actual = |formals: &[String], actuals: &[String]| -> Vec<(String, String)> {
            let padded = actuals.iter().cloned().chain(std::iter::repeat(String::new()));
            formals.iter().cloned().zip(padded).collect()
        };
        let mut values: HashMap<String, String> = actual(&function.input, &call.input).into_iter().collect();
        // An output that the call leaves out still needs a name inside.
        let outputs =
            actual(&function.output, &call.output).into_iter().filter(|(_, actual)| !actual.is_empty());
        let mut passed_on = vec![];
        for (formal, actual) in outputs {
            match values.get(&formal) {
                Some(input) => passed_on.push((input.clone(), actual)),
                None => drop(values.insert(formal, actual)),
            }
        }
        let mut scope = Scope { values, prefix: format!("{}/{}/", names::encode(index, self.made), name) };
        let mut nodes = Vec::with_capacity(function.node.len());
        for node in &function.node {
            nodes.push(self.instance(node, index, &mut scope, call, function));
        }
        for (input, output) in passed_on {
            self.made += 1;
            nodes.push(NodeProto {
                input: vec![input],
                output: vec![output],
                name: Some(names::encode(index, self.made)),
                op_type: Some("Identity".into()),
                ..Default::default()
            });
        }
        self.nodes(nodes, depth + 1)
    }

    /// A node of a function's body, as the call makes it.
    fn instance(
        &mut self,
        node: &NodeProto,
        index: usize,
        scope: &mut Scope,
        call: &NodeProto,
        function: &FunctionProto,
    ) -> NodeProto {
        self.made += 1;
        let mut node = node.clone();
        node.name = Some(names::encode(index, self.made));
        node.doc_string = None;
        for value in node.input.iter_mut().chain(&mut node.output) {
            *value = scope.name(value);
        }
        let attributes = std::mem::take(&mut node.attribute);
        node.attribute = attributes.into_iter().filter_map(|a| bind(a, call, function)).collect();
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            self.body(body, index, scope, call, function);
        }
        node
    }

    fn body(
        &mut self,
        graph: &mut GraphProto,
        index: usize,
        scope: &mut Scope,
        call: &NodeProto,
        function: &FunctionProto,
    ) {
        graph.value_info.clear();
        let initialisers = graph.initializer.iter_mut().filter_map(|t| t.name.as_mut());
        let ends = graph.input.iter_mut().chain(&mut graph.output).filter_map(|v| v.name.as_mut());
        for name in initialisers.chain(ends) {
            *name = scope.name(name);
        }
        for node in &mut graph.node {
            *node = self.instance(node, index, scope, call, function);
        }
    }
}

/// What a function's names mean in one call.
struct Scope {
    values: HashMap<String, String>,
    prefix: String,
}

impl Scope {
    fn name(&mut self, inner: &str) -> String {
        if inner.is_empty() {
            return String::new();
        }
        let prefix = &self.prefix;
        self.values.entry(inner.to_owned()).or_insert_with(|| format!("{prefix}{inner}")).clone()
    }
}

/// An attribute that refers to one of the function's, with the call's value or the default; `None` without.
fn bind(attribute: AttributeProto, call: &NodeProto, function: &FunctionProto) -> Option<AttributeProto> {
    let Some(reference) = attribute.ref_attr_name.as_deref().filter(|r| !r.is_empty()) else {
        return Some(attribute);
    };
    let given = call.attribute.iter().chain(&function.attribute_proto);
    let value = given.into_iter().find(|a| a.name.as_deref() == Some(reference))?;
    Some(AttributeProto { name: attribute.name, ref_attr_name: None, ..value.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_graph::onnx::messages::attribute_type;

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
