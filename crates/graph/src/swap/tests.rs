//! What is put into a network is found in it again.

use proptest::prelude::*;

use super::*;
use crate::activation::samples::Samples;
use crate::activation::{Activation, Exporter, Kind, Parameter, kinds};
use crate::onnx::messages::NodeProto;

/// A convolution, a ReLU and a convolution, as this exporter would name them.
fn network(opset: i64, exporter: Exporter) -> Model {
    let mut model = behind_convolution(&Activation::parse("relu").unwrap(), 4).unwrap();
    model.proto.opset_import[0].version = Some(opset);
    let graph = model.graph_mut();
    graph.node.push(NodeProto {
        op_type: Some("Conv".into()),
        name: Some("after".into()),
        input: vec!["y".into(), "weights".into()],
        output: vec!["z".into()],
        ..Default::default()
    });
    graph.output[0].name = Some("z".into());
    if exporter == Exporter::Dynamo {
        for node in &mut graph.node {
            node.name = node.name.take().map(|name| format!("node_{name}"));
        }
    }
    model
}

/// The kind with other parameters than its default ones: multiples of them, or these numbers where they are 0.
fn with_parameters(kind: &'static Kind, factors: &[f32]) -> Activation {
    let parameter = |(p, &factor): (&Parameter, &f32)| {
        let default = if p.default == 0.0 { 1.0 } else { p.default };
        Some(f64::from(default as f32 * factor))
    };
    Activation { kind, parameters: kind.parameters.iter().zip(factors).map(parameter).collect() }
}

/// What an exported activation is in a file, where it is one that another kind is, too.
fn in_a_file(activation: &Activation) -> &'static str {
    let is = |value: f64, tolerance: f64| {
        activation.parameters[0].is_some_and(|p| (p / value - 1.0).abs() <= tolerance)
    };
    match activation.kind.name {
        // A factor of 1 isn't written, and others are compared as half floats.
        "swish" if is(1.0, 0.0) => "silu",
        "swish" if is(1.702, 6e-4) => "quick_gelu",
        name => name,
    }
}

fn found_again(model: &Model, to: &Activation, lowering: Lowering) -> std::result::Result<(), String> {
    let before = find(model);
    let variant = rewrite(model, &before, &[0], to, lowering).map_err(|e| e.message)?;
    let after = find(&variant.model);
    let [site] = after.sites.as_slice() else { return Err(format!("{:?}", after.counts())) };
    let as_kernel = lowering == Lowering::Kernel && has_kernel(to);
    let wanted = if as_kernel { to.kind.name } else { in_a_file(to) };
    if site.activation.kind.name != wanted {
        return Err(format!("it is {}", site.activation));
    }
    if site.name != before.sites[0].name || site.nodes != variant.sites[0].nodes {
        return Err(format!("it is at {} {:?}, not {:?}", site.name, site.nodes, variant.sites[0]));
    }
    let close =
        |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= 1e-3 * b.abs());
    let mut parameters = site.activation.parameters.iter().zip(&to.parameters);
    if wanted == to.kind.name && !parameters.all(|(&is, &should)| close(is, should)) {
        return Err(format!("it is {}", site.activation));
    }
    let far = Samples::of(|x| to.value(x)).distance(|x| site.activation.value(x));
    if !as_kernel && far > 2e-3 {
        return Err(format!("it is {}, {far} away", site.activation));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_activation_that_is_put_in_is_found_as_itself(
        factors in proptest::collection::vec((0.25f32..4.0, any::<bool>()), 10),
        opset in 13i64..23,
        dynamo: bool,
    ) {
        let exporter = if dynamo { Exporter::Dynamo } else { Exporter::TorchScript };
        let model = network(opset, exporter);
        prop_assert_eq!(super::exporter(&model), exporter);
        // So near to 1 a swish is a SiLU, and rightly found as that.
        let apart = |(f, negative): (f32, bool)| (if (f - 1.0).abs() < 0.01 { 1.01 } else { f }, negative);
        let factors: Vec<f32> = factors.into_iter().map(apart).map(|(f, negative)| if negative { -f } else { f }).collect();
        for kind in kinds().filter(|k| k.is_found() && k.unswappable_because.is_none()) {
            for to in [Activation::new(kind), with_parameters(kind, &factors)] {
                for lowering in [Lowering::Exported, Lowering::Kernel] {
                    let found = found_again(&model, &to, lowering);
                    prop_assert!(found.is_ok(), "{} {:?} in opset {}: {:?}", to, lowering, opset, found);
                }
            }
        }
    }
}

/// Branches that each have an initialiser of one name: what goes with the activation of one stays in the other.
#[test]
fn a_constant_of_a_sibling_branch_stays() {
    use crate::onnx::messages::{
        AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto, data_type,
    };
    use crate::onnx::{bodies, tensor};
    let named = |name: &str| ValueInfoProto { name: Some(name.to_owned()), ..Default::default() };
    let node = |op: &str, name: &str, input: &[&str], output: &str| NodeProto {
        op_type: Some(op.to_owned()),
        name: Some(name.to_owned()),
        input: input.iter().map(|&i| i.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    };
    let constant = |name: &str, dims: Vec<i64>| {
        let values = vec![0.25; dims.iter().product::<i64>() as usize];
        TensorProto { name: Some(name.to_owned()), ..tensor::from_values(&values, dims, data_type::FLOAT) }
    };
    let branch = |op: &str, at: &str| {
        let product = node("MatMul", &format!("{at}_product"), &["a", "w"], &format!("{at}_m"));
        let last = node(op, &format!("{at}_last"), &[&format!("{at}_m"), "slope"], at);
        let graph = GraphProto {
            node: vec![product, last],
            initializer: vec![constant("slope", vec![1])],
            output: vec![named(at)],
            ..Default::default()
        };
        AttributeProto { name: Some(format!("{at}_branch")), g: Some(graph), ..Default::default() }
    };
    let choice = NodeProto {
        attribute: vec![branch("Mul", "else"), branch("PRelu", "then")],
        ..node("If", "if", &["c"], "y")
    };
    let graph = GraphProto {
        node: vec![choice],
        initializer: vec![constant("w", vec![2, 2])],
        input: vec![named("a"), named("c")],
        output: vec![named("y")],
        ..Default::default()
    };
    let mut model = network(17, Exporter::TorchScript);
    model.proto = ModelProto { graph: Some(graph), ..model.proto };
    let found = find(&model);
    assert_eq!(found.sites.len(), 1, "{found:?}");
    let variant =
        rewrite(&model, &found, &[0], &Activation::parse("mish").unwrap(), Lowering::Exported).unwrap();
    let left: Vec<usize> =
        bodies(&variant.model.graph().node[0]).map(|body| body.initializer.len()).collect();
    assert_eq!(left, [1, 0], "the PRelu's own slope is gone, that of the Mul is not");
}
