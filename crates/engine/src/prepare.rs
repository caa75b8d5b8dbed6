//! The private copy of a model that the engine gets.
//!
//! An engine tells us about its operators only by name, may trust what a file says of shapes, and may know neither
//! symbolic dimensions that we know nor functions that a model brings along. So it gets a copy in which every
//! node's name is its index, inputs are concrete, everything that the engine can infer itself is left out,
//! functions are inlined, and the rest is said in plain words (`plain`). The computation is the same.

use std::collections::HashSet;

use crate::{Operators, inline, names, plain};
use oplat_graph::onnx::messages::{
    Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TensorType,
    TypeProto, TypeValue, ValueInfoProto, data_type,
};
use oplat_graph::onnx::{Model, bodies, for_each_node, tensor};
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::{Input, Load};

/// A model ready for the engine.
pub struct Prepared {
    pub proto: ModelProto,
    /// What must be fed, in the model's order, with nothing left open.
    pub inputs: Vec<Input>,
    /// Bytes of all initialisers.
    pub weights_bytes: u64,
}

/// Makes the private copy.
///
/// Fails with the name of an input or function that can't be made concrete, or of a node whose operator the engine hasn't.
pub fn prepare(model: &Model, load: &Load, engine: &dyn Operators) -> Result<Prepared> {
    let Prepared { mut proto, inputs, weights_bytes } = named(model, load)?;
    if let Some(graph) = proto.graph.as_mut() {
        graph.output.iter_mut().for_each(|output| output.r#type = None);
        forget_shapes(graph);
    }
    engine.claim(&mut proto);
    inline::functions(&mut proto)?;
    plain::rewrite(&mut proto, engine).map_err(|e| in_users_words(model, e))?;
    refuse_foreign(model, &proto, engine)?;
    engine.correct(&mut proto).map_err(|e| in_users_words(model, e))?;
    proto.metadata_props.clear();
    proto.training_info.clear();
    Ok(Prepared { proto, inputs, weights_bytes })
}

/// A copy for an engine that reads ONNX as it is: only its nodes are named by their index, and its inputs are concrete.
///
/// Fails with the name of an input that can't be made concrete.
pub fn named(model: &Model, load: &Load) -> Result<Prepared> {
    let weights_bytes = weights(model.graph()).saturating_add(in_functions(model));
    let mut proto = model.proto.clone();
    let Some(graph) = proto.graph.as_mut() else { return Err(Error::input("the model holds no graph")) };
    let initialised: HashSet<String> = graph.initializer.iter().filter_map(|t| t.name.clone()).collect();
    graph.input.retain(|i| !i.name.as_ref().is_some_and(|n| initialised.contains(n)));
    for asked in &load.inputs {
        if !graph.input.iter().any(|i| i.name.as_deref() == Some(&asked.name)) {
            let known: Vec<_> = graph.input.iter().filter_map(|i| i.name.as_deref()).collect();
            return Err(Error::input(format!(
                "the model has no input {:?}: its inputs are {}",
                asked.name,
                known.join(", ")
            )));
        }
    }
    let inputs = graph.input.iter_mut().map(|i| concrete(i, load)).collect::<Result<Vec<_>>>()?;
    name_nodes(graph);
    Ok(Prepared { proto, inputs, weights_bytes })
}

/// Fails for an operator of another domain that the engine hasn't. Engines look operators up by their names alone, and would
/// run a standard one that has the same.
fn refuse_foreign(model: &Model, copy: &ModelProto, engine: &dyn Operators) -> Result<()> {
    let mut foreign = None;
    for_each_node(copy.graph.as_ref().unwrap_or(&GraphProto::default()), &mut |node| {
        let (domain, op) = (node.domain(), node.op_type());
        let known = matches!(domain, "" | "ai.onnx") || engine.runs(domain, op);
        if !known && foreign.is_none() {
            foreign = Some((node.name().to_owned(), format!("{domain}.{op}")));
        }
    });
    foreign.map_or(Ok(()), |(name, op)| {
        let what =
            format!("node {name:?} ({op}): the engine has no such operator; `inspect` and `swap` still work");
        Err(in_users_words(model, Error::input(what)))
    })
}

/// The error with the user's names of nodes.
fn in_users_words(model: &Model, error: Error) -> Error {
    let mut labels = vec![];
    for_each_node(model.graph(), &mut |node| labels.push(oplat_graph::onnx::label(node).to_owned()));
    Error { message: names::restore(&error.message, |i| labels.get(i).cloned()), ..error }
}

/// Names every node, those of bodies included, by its index.
fn name_nodes(graph: &mut GraphProto) {
    let mut index = 0;
    oplat_graph::onnx::for_each_node_mut(graph, &mut |node| {
        node.name = Some(names::encode(index, 0));
        node.doc_string = None;
        index += 1;
    });
}

/// Drops what a file says about inner shapes: it may be symbolic, stale or wrong, and an engine would believe it.
fn forget_shapes(graph: &mut GraphProto) {
    graph.value_info.clear();
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                for output in &mut body.output {
                    output.r#type = None;
                }
                forget_shapes(body);
            }
        }
    }
}

/// Bytes of all initialisers and constants, those of bodies included.
fn weights(graph: &GraphProto) -> u64 {
    let own = |g: &GraphProto| -> u64 {
        let sparse = g.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        g.initializer.iter().chain(sparse).filter_map(bytes).fold(0, u64::saturating_add)
    };
    // A file may say what it likes of its dimensions.
    let mut sum = own(graph);
    for_each_node(graph, &mut |node| {
        sum = bodies(node).map(own).fold(sum, u64::saturating_add).saturating_add(in_node(node));
    });
    sum
}

/// Bytes of the tensors that a node holds itself: a Constant node's weights.
fn in_node(node: &NodeProto) -> u64 {
    let tensors = node.attribute.iter().flat_map(|a| a.t.iter().chain(&a.tensors));
    tensors.filter_map(bytes).fold(0, u64::saturating_add)
}

fn in_functions(model: &Model) -> u64 {
    model.proto.functions.iter().flat_map(|f| &f.node).map(in_node).fold(0, u64::saturating_add)
}

fn bytes(tensor: &TensorProto) -> Option<u64> {
    tensor::elements(tensor)?.checked_mul(tensor::element_bytes(tensor.data_type?)? as u64)
}

/// Writes the shape and type that `load` asks for into an input's declaration.
fn concrete(input: &mut ValueInfoProto, load: &Load) -> Result<Input> {
    let name = input.name.clone().unwrap_or_default();
    let asked = load.inputs.iter().find(|i| i.name == name);
    let declared = match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => tensor,
        _ => {
            return Err(Error::input(format!(
                "input {name:?} is not a tensor: the engine can't be fed with it"
            )));
        }
    };
    let kind = match asked.and_then(|i| i.dtype.as_deref()) {
        Some(text) => tensor::parse_type(text).ok_or_else(|| {
            Error::input(format!("input {name:?}: unknown element type {text:?} (f32, f16, i64, bool, …)"))
        })?,
        None => declared.elem_type.unwrap_or(data_type::FLOAT),
    };
    let dtype = tensor::type_name(kind).ok_or_else(|| {
        Error::input(format!("input {name:?} has ONNX element type {kind}, which can't be made up"))
    })?;
    let declared_dims = declared.shape.as_ref().map(|s| s.dim.as_slice());
    let shape = match asked {
        Some(asked) => {
            if let Some(dims) = declared_dims
                && dims.len() != asked.shape.len()
            {
                return Err(Error::input(format!(
                    "input {name:?} has {} dimensions, not {}",
                    dims.len(),
                    asked.shape.len()
                )));
            }
            asked.shape.clone()
        }
        None => declared_dims
            .ok_or_else(|| {
                Error::input(format!("input {name:?} has no shape: give it with --input {name}=1x…"))
            })?
            .iter()
            .enumerate()
            .map(|(axis, dim)| known(dim, load).ok_or_else(|| unknown(&name, axis, dim)))
            .collect::<Result<Vec<_>>>()?,
    };
    let dim =
        shape.iter().map(|&n| Dimension { value: Some(DimensionValue::Value(n as i64)), denotation: None });
    input.r#type = Some(TypeProto {
        value: Some(TypeValue::Tensor(TensorType {
            elem_type: Some(kind),
            shape: Some(TensorShapeProto { dim: dim.collect() }),
        })),
        denotation: None,
    });
    Ok(Input { name, shape, dtype: Some(dtype.to_owned()) })
}

fn known(dim: &Dimension, load: &Load) -> Option<usize> {
    match dim.value.as_ref()? {
        DimensionValue::Value(n) => usize::try_from(*n).ok(),
        DimensionValue::Param(param) => {
            let (_, value) = load.dims.iter().find(|(name, _)| name == param)?;
            usize::try_from(*value).ok()
        }
    }
}

fn unknown(input: &str, axis: usize, dim: &Dimension) -> Error {
    match &dim.value {
        Some(DimensionValue::Param(param)) if !param.is_empty() => Error::input(format!(
            "input {input:?} has an unknown dimension {param:?}: give it with --dim {param}=N"
        )),
        _ => Error::input(format!(
            "dimension {axis} of input {input:?} is unknown: give the shape with --input {input}=1x…"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let dim = |value| Dimension { value: Some(value), denotation: None };
        let tensor = TensorType {
            elem_type: Some(data_type::FLOAT),
            shape: Some(TensorShapeProto {
                dim: vec![dim(DimensionValue::Param("batch".into())), dim(DimensionValue::Value(3))],
            }),
        };
        let value = |name: &str| ValueInfoProto {
            name: Some(name.into()),
            r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor.clone())), denotation: None }),
            ..Default::default()
        };
        let node = NodeProto {
            input: vec!["x".into()],
            output: vec!["y".into()],
            op_type: Some("Relu".into()),
            name: Some("a.b#c".into()),
            ..Default::default()
        };
        let graph = GraphProto {
            node: vec![node],
            input: vec![value("x")],
            output: vec![value("y")],
            value_info: vec![value("y")],
            ..Default::default()
        };
        Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, dir: None }
    }

    /// An engine that has the standard operators.
    struct Standard;

    impl Operators for Standard {
        fn claim(&self, _: &mut ModelProto) {}

        fn runs(&self, _: &str, _: &str) -> bool {
            false
        }
    }

    #[test]
    fn an_operator_of_another_domain_is_refused_by_its_name() {
        let mut foreign = model();
        foreign.graph_mut().node[0].domain = Some("my.plugin".into());
        let error = prepare(&foreign, &load(&[("batch", 2)]), &Standard).err().unwrap();
        let expected = "node \"a.b#c\" (my.plugin.Relu): the engine has no such operator; `inspect` and `swap` still work";
        assert_eq!(error.message, expected);
    }

    fn load(dims: &[(&str, i64)]) -> Load {
        Load { dims: dims.iter().map(|&(n, v)| (n.to_owned(), v)).collect(), ..Load::default() }
    }

    #[test]
    fn nothing_is_left_open_and_nothing_is_believed() {
        let prepared = prepare(&model(), &load(&[("batch", 2)]), &Standard).unwrap();
        assert_eq!(
            prepared.inputs,
            [Input { name: "x".into(), shape: vec![2, 3], dtype: Some("f32".into()) }]
        );
        let graph = prepared.proto.graph.unwrap();
        assert_eq!(graph.node[0].name.as_deref(), Some(names::encode(0, 0).as_str()));
        assert!(graph.value_info.is_empty() && graph.output[0].r#type.is_none());
    }

    #[test]
    fn impossible_weights_are_counted_without_a_panic() {
        let huge =
            TensorProto { dims: vec![1 << 62], data_type: Some(data_type::FLOAT), ..Default::default() };
        let large = TensorProto { dims: vec![1 << 61], ..huge.clone() };
        let graph = GraphProto { initializer: vec![huge, large.clone(), large], ..Default::default() };
        assert_eq!(
            weights(&graph),
            u64::MAX,
            "what can't be counted is left out, and a sum ends at the most"
        );
    }

    #[test]
    fn an_open_dimension_is_named_with_its_remedy() {
        let error = prepare(&model(), &load(&[]), &Standard).err().unwrap();
        assert!(error.message.contains("--dim batch=N"), "{error}");
        let mut wrong = load(&[]);
        wrong.inputs = vec![Input { name: "z".into(), shape: vec![1, 3], dtype: None }];
        assert!(prepare(&model(), &wrong, &Standard).err().unwrap().message.contains("its inputs are x"));
        wrong.inputs[0].name = "x".into();
        wrong.inputs[0].shape = vec![1];
        assert!(prepare(&model(), &wrong, &Standard).err().unwrap().message.contains("2 dimensions, not 1"));
    }
}
