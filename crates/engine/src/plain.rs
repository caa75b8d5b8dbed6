//! The private copy in plain words: what the ONNX specification says more than one way, said in the way that every engine
//! reads, and operators that only ONNX Runtime has, in standard ones.
//!
//! The computation stays the same. Every node that is made carries the index of the node that it stands for.

use std::collections::{HashMap, HashSet};

use crate::Operators;
use crate::made::Maker;
use oplat_graph::activation::{Activation, Exporter};
use oplat_graph::onnx::build::{self, Names};
use oplat_graph::onnx::formula::Expr;
use oplat_graph::onnx::index::{Index, ValueId};
use oplat_graph::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, attribute_type,
    data_type,
};
use oplat_graph::onnx::{Model, bodies, tensor};
use oplat_graph::sites::fused::{self, Fused};
use oplat_ground::error::{Error, Result};

/// A dense tensor that a sparse one stands for has at most so many elements.
const MOST_ELEMENTS: u64 = 1 << 28;
/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// Rewrites the copy, whose nodes are named by their indices; what the engine runs as it is stays. Fails for a sparse
/// initialiser that makes no sense, and for an operator that can't be said in standard ones, naming it.
pub fn rewrite(model: &mut ModelProto, engine: &dyn Operators) -> Result<()> {
    let mut parts = Maker::of(model.graph.as_ref().unwrap_or(&GraphProto::default()));
    if model.graph.as_ref().is_some_and(|graph| holds_others(graph, engine)) {
        open(model, engine, &mut parts)?;
    }
    if let Some(graph) = model.graph.as_mut() {
        plain(graph, &mut parts)?;
    }
    Ok(())
}

fn plain(graph: &mut GraphProto, parts: &mut Maker) -> Result<()> {
    for sparse in std::mem::take(&mut graph.sparse_initializer) {
        graph.initializer.push(dense(&sparse)?);
    }
    hand_on(graph, parts);
    for node in &mut graph.node {
        // An optional input that is left out at the end need not be said.
        while node.input.last().is_some_and(String::is_empty) {
            node.input.pop();
        }
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            plain(body, parts)?;
        }
    }
    Ok(())
}

/// The tensor that a sparse one stands for: zeros but for the values at the indices, which count elements or, with two
/// dimensions, list coordinates.
fn dense(sparse: &SparseTensorProto) -> Result<TensorProto> {
    let values = sparse.values.clone().unwrap_or_default();
    let name = values.name().to_owned();
    let wrong =
        |what: &str| Error::input(format!("sparse initialiser {name}: {what}: export the model again"));
    let shape = TensorProto { dims: sparse.dims.clone(), ..TensorProto::default() };
    let count = tensor::elements(&shape)
        .filter(|&n| n <= MOST_ELEMENTS)
        .ok_or_else(|| wrong("it is too large"))? as usize;
    let given = tensor::numbers(&values, None, count).ok_or_else(|| wrong("its values can't be read"))?;
    let indices = sparse.indices.as_ref().ok_or_else(|| wrong("it has no indices"))?;
    let listed = tensor::numbers(indices, None, given.len().saturating_mul(sparse.dims.len().max(1)));
    let listed = listed.ok_or_else(|| wrong("its indices can't be read"))?;
    let rank = if indices.dims.len() == 2 { sparse.dims.len() } else { 1 };
    if rank == 0 || listed.len() != given.len() * rank {
        return Err(wrong("it has other numbers of values and indices"));
    }
    let mut all = vec![0.0; count];
    for (at, value) in listed.chunks_exact(rank).zip(given) {
        let flat = if rank == 1 {
            at[0] as usize
        } else {
            at.iter().zip(&sparse.dims).fold(0, |flat, (&i, &d)| flat * d as usize + i as usize)
        };
        *all.get_mut(flat).ok_or_else(|| wrong("an index is outside"))? = value;
    }
    let kind = values.data_type();
    Ok(TensorProto { name: Some(name), ..tensor::from_values(&all, sparse.dims.clone(), kind) })
}

/// An input that is handed straight on as an output, or a value put out twice, goes through a node of its own.
fn hand_on(graph: &mut GraphProto, parts: &mut Maker) {
    let mut names = Names::of(graph);
    let mut taken: HashSet<String> = graph.input.iter().filter_map(|v| v.name.clone()).collect();
    taken.extend(graph.initializer.iter().filter_map(|t| t.name.clone()));
    // A copy is a part of what writes the value, or of what reads an input.
    let mut belongs: HashMap<String, String> = HashMap::new();
    for node in &graph.node {
        for value in node.output.iter().chain(&node.input) {
            belongs.entry(value.clone()).or_insert_with(|| node.name().to_owned());
        }
    }
    for output in &mut graph.output {
        let Some(name) = output.name.clone() else { continue };
        if taken.insert(name.clone()) {
            continue;
        }
        let of = belongs.get(&name).map_or("", String::as_str);
        let copy = names.fresh(format!("{name}_out"));
        let identity = parts.node(of, "Identity", &[&name], copy.clone());
        graph.node.push(identity);
        output.name = Some(copy);
    }
}

/// Whether a graph holds an operator that only ONNX Runtime has and that is taken apart here.
fn holds_others(graph: &GraphProto, engine: &dyn Operators) -> bool {
    graph
        .node
        .iter()
        .any(|node| is_other(node, engine) || bodies(node).any(|body| holds_others(body, engine)))
}

fn is_other(node: &NodeProto, engine: &dyn Operators) -> bool {
    let fused = ["FusedConv", "FusedGemm", "FusedMatMul"];
    let known = fused::look_into(node).is_some() || fused.contains(&node.op_type());
    node.domain() == MICROSOFT && known && !engine.runs(MICROSOFT, node.op_type())
}

/// What is known of values, to take nodes apart.
struct Known<'i, 'm> {
    index: &'i Index<'m>,
    by_name: HashMap<&'m str, ValueId>,
    opset: i64,
    engine: &'i dyn Operators,
}

impl Known<'_, '_> {
    fn value(&self, name: &str) -> Option<ValueId> {
        self.by_name.get(name).copied()
    }
}

fn open(model: &mut ModelProto, engine: &dyn Operators, parts: &mut Maker) -> Result<()> {
    let copy = Model { proto: model.clone(), dir: None };
    let index = Index::new(&copy);
    // Values of sibling bodies may have one name; they are of one type, then.
    let by_name = (0..index.len()).map(|value| (index.name(value), value)).collect();
    let known = Known { index: &index, by_name, opset: copy.opset(), engine };
    let mut names = Names::of(copy.graph());
    let Some(graph) = model.graph.as_mut() else { return Ok(()) };
    open_graph(graph, &known, &mut names, parts)
}

fn open_graph(graph: &mut GraphProto, known: &Known, names: &mut Names, parts: &mut Maker) -> Result<()> {
    let mut nodes = vec![];
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            open_graph(body, known, names, parts)?;
        }
        let name = node.name().to_owned();
        let opened = if !is_other(&node, known.engine) {
            nodes.push(node);
            continue;
        } else if let Some(fused) = fused::look_into(&node) {
            opened(&node, &fused, known, names)?
        } else if node.op_type() == "FusedMatMul" {
            product(&node, known, names)?
        } else {
            // Without an activation it is the standard operator.
            node.op_type = Some(node.op_type().trim_start_matches("Fused").to_owned());
            node.domain = None;
            node.attribute.retain(|a| !a.name().starts_with("activation"));
            vec![node]
        };
        for new in opened {
            let name = Some(parts.name(&name));
            nodes.push(NodeProto { name, ..new });
        }
    }
    graph.node = nodes;
    Ok(())
}

/// The operators that one with an activation inside is made of.
fn opened(node: &NodeProto, fused: &Fused, known: &Known, names: &mut Names) -> Result<Vec<NodeProto>> {
    let refused = |why: String| Error::input(format!("node {} ({}): {why}", node.name(), node.op_type()));
    if let Some(why) = fused.closed_because() {
        return Err(refused(format!("an activation {why}")));
    }
    let activation = fused.activation.as_ref();
    let activation =
        activation.ok_or_else(|| refused("it holds an activation that oplat doesn't know".to_owned()))?;
    let typed = node.input.get(fused.typed_by()).and_then(|name| known.value(name));
    let kind = typed.and_then(|value| known.index.data_type(value)).unwrap_or(data_type::FLOAT);
    let opened = fused.open(node, names);
    let [input, output] = &opened.ends;
    let between = exported(activation, input, output, kind, known.opset, names)?;
    Ok(opened.before.into_iter().chain(between).chain(opened.after).collect())
}

fn exported(
    activation: &Activation,
    input: &str,
    output: &str,
    data_type: i32,
    opset: i64,
    names: &mut Names,
) -> Result<Vec<NodeProto>> {
    let text = activation.exported(opset, Exporter::TorchScript, data_type)?;
    let formula = Expr::parse(text).map_err(Error::input)?;
    let parameter = |name: &str| activation.parameter(name);
    let site =
        build::Site { input, output, node: None, prefix: output, data_type, opset, parameter: &parameter };
    let nodes = build::nodes(&formula, &site, names);
    nodes.ok_or_else(|| Error::input(format!("{activation} has a parameter without a value")))
}

/// A matrix product that transposes its inputs and scales its output, as the three operators that it is.
fn product(node: &NodeProto, known: &Known, names: &mut Names) -> Result<Vec<NodeProto>> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name() == name);
    let is_set = |name: &str| attribute(name).and_then(|a| a.i).unwrap_or(0) != 0;
    if is_set("transBatchA") || is_set("transBatchB") {
        return Err(Error::input(format!("node {} (FusedMatMul): it transposes batches", node.name())));
    }
    let alpha = attribute("alpha").and_then(|a| a.f).unwrap_or(1.0);
    let output = node.output.first().cloned().unwrap_or_default();
    let mut nodes = vec![];
    let mut input = vec![];
    for (i, flag) in ["transA", "transB"].into_iter().enumerate() {
        let name = node.input.get(i).cloned().unwrap_or_default();
        if !is_set(flag) {
            input.push(name);
            continue;
        }
        let rank = known.value(&name).and_then(|value| known.index.rank(value)).filter(|&rank| rank >= 2);
        let rank = rank.ok_or_else(|| {
            Error::input(format!(
                "node {} (FusedMatMul): the file doesn't say how many dimensions {name} has",
                node.name()
            ))
        })?;
        let mut perm: Vec<i64> = (0..rank as i64).collect();
        perm.swap(rank - 1, rank - 2);
        let turned = names.fresh(format!("{output}_{flag}"));
        let perm = AttributeProto {
            name: Some("perm".into()),
            r#type: Some(attribute_type::INTS),
            ints: perm,
            ..AttributeProto::default()
        };
        nodes.push(NodeProto { attribute: vec![perm], ..operator("Transpose", vec![name], turned.clone()) });
        input.push(turned);
    }
    if alpha == 1.0 {
        nodes.push(operator("MatMul", input, output));
        return Ok(nodes);
    }
    let kind = known.value(&input[0]).and_then(|v| known.index.data_type(v)).unwrap_or(data_type::FLOAT);
    let [unscaled, scale] = ["unscaled", "alpha"].map(|what| names.fresh(format!("{output}_{what}")));
    let constant = AttributeProto {
        name: Some("value".into()),
        r#type: Some(attribute_type::TENSOR),
        t: Some(tensor::from_scalar(alpha.into(), kind)),
        ..AttributeProto::default()
    };
    nodes.push(operator("MatMul", input, unscaled.clone()));
    nodes.push(NodeProto { attribute: vec![constant], ..operator("Constant", vec![], scale.clone()) });
    nodes.push(operator("Mul", vec![unscaled, scale], output));
    Ok(nodes)
}

fn operator(op: &str, input: Vec<String>, output: String) -> NodeProto {
    NodeProto { op_type: Some(op.to_owned()), input, output: vec![output], ..NodeProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;
    use oplat_graph::onnx::messages::ValueInfoProto;

    /// An engine that has the standard operators.
    struct Standard;

    impl Operators for Standard {
        fn claim(&self, _: &mut ModelProto) {}

        fn runs(&self, _: &str, _: &str) -> bool {
            false
        }
    }

    fn sparse(values: &[f64], indices: &[i64], index_dims: &[i64], dims: &[i64]) -> SparseTensorProto {
        let values = TensorProto {
            name: Some("w".into()),
            ..tensor::from_values(values, vec![values.len() as i64], 1)
        };
        let indices = TensorProto { dims: index_dims.to_vec(), ..tensor::from_integers(indices) };
        SparseTensorProto { values: Some(values), indices: Some(indices), dims: dims.to_vec() }
    }

    fn read(tensor: &TensorProto) -> Vec<f64> {
        tensor::numbers(tensor, None, 100).unwrap()
    }

    #[test]
    fn a_sparse_tensor_is_filled_up_by_either_sort_of_index() {
        let flat = dense(&sparse(&[5.0, 6.0], &[1, 5], &[2], &[2, 3])).unwrap();
        assert_eq!(read(&flat), [0.0, 5.0, 0.0, 0.0, 0.0, 6.0]);
        let listed = dense(&sparse(&[5.0, 6.0], &[0, 1, 1, 2], &[2, 2], &[2, 3])).unwrap();
        assert_eq!((read(&listed), listed.name()), (read(&flat), "w"));
        for wrong in [
            sparse(&[5.0], &[9], &[1], &[2, 3]),
            sparse(&[5.0], &[0, 1], &[2], &[2, 3]),
            sparse(&[1.0], &[0], &[1], &[1 << 40]),
        ] {
            assert!(dense(&wrong).unwrap_err().message.contains("sparse initialiser w"));
        }
    }

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.into()), ..Default::default() }
    }

    #[test]
    fn what_is_handed_on_goes_through_a_node_and_what_is_left_out_is_not_said() {
        let node = NodeProto {
            name: Some(names::encode(4, 0)),
            ..operator("Conv", vec!["x".into(), "w".into(), String::new()], "y".into())
        };
        let graph = GraphProto {
            node: vec![node],
            input: vec![value("x"), value("mask")],
            output: vec![value("y"), value("mask"), value("y")],
            ..Default::default()
        };
        let mut model = ModelProto { graph: Some(graph), ..Default::default() };
        rewrite(&mut model, &Standard).unwrap();
        let graph = model.graph.unwrap();
        assert_eq!(graph.node[0].input, ["x", "w"]);
        let outputs: Vec<&str> = graph.output.iter().map(|v| v.name.as_deref().unwrap()).collect();
        assert_eq!(outputs, ["y", "mask_out", "y_out"]);
        let copies: Vec<_> = graph.node[1..].iter().map(|n| (n.op_type(), n.input[0].as_str())).collect();
        assert_eq!(copies, [("Identity", "mask"), ("Identity", "y")]);
        assert_eq!(names::decode(graph.node[2].name()), Some(4), "a part of what writes the value");
    }

    #[test]
    fn operators_of_onnx_runtime_become_standard_ones_of_their_index() {
        let fused = |op: &str, input: &[&str], output: &str, attribute: Vec<AttributeProto>| NodeProto {
            name: Some(names::encode(7, 0)),
            domain: Some(MICROSOFT.into()),
            attribute,
            ..operator(op, input.iter().map(|s| (*s).to_owned()).collect(), output.to_owned())
        };
        let text = AttributeProto {
            name: Some("activation".into()),
            s: Some("Relu".to_owned().into()),
            ..Default::default()
        };
        let turned = AttributeProto { name: Some("transB".into()), i: Some(1), ..Default::default() };
        let weights = |name: &str| TensorProto {
            name: Some(name.into()),
            ..tensor::from_values(&[0.0; 16], vec![4, 4], 1)
        };
        let graph = GraphProto {
            node: vec![
                fused("FusedConv", &["x", "w", "", "z"], "y", vec![text]),
                fused("FusedMatMul", &["y", "m"], "p", vec![turned, build::float_attribute("alpha", 0.5)]),
                fused("FusedGemm", &["p", "w"], "q", vec![]),
            ],
            initializer: vec![weights("w"), weights("m")],
            input: vec![value("x"), value("z")],
            output: vec![value("q")],
            ..Default::default()
        };
        let mut model = ModelProto { graph: Some(graph), ..Default::default() };
        rewrite(&mut model, &Standard).unwrap();
        let graph = model.graph.unwrap();
        let ops: Vec<&str> = graph.node.iter().map(NodeProto::op_type).collect();
        assert_eq!(ops, ["Conv", "Add", "Relu", "Transpose", "MatMul", "Constant", "Mul", "Gemm"]);
        assert!(graph.node.iter().all(|n| names::decode(n.name()) == Some(7) && n.domain().is_empty()));
        let names: HashSet<&str> = graph.node.iter().map(NodeProto::name).collect();
        assert_eq!(names.len(), graph.node.len());
    }
}
