//! What is a site and what is none, by the values that a graph computes.

use super::*;
use crate::onnx::Model;
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::messages::{AttributeProto, FunctionProto, NodeProto, data_type};
use crate::swap::behind_convolution;

mod equivalent;
mod spellings;

/// A convolution, nodes that compute a formula of its result `x`, and a convolution; of eight channels.
fn network(formula: &str) -> Model {
    network_of(&Expr::parse(formula).unwrap(), 17)
}

fn network_of(formula: &Expr, opset: i64) -> Model {
    let mut model = behind_convolution(&Activation::parse("relu").unwrap(), 8).unwrap();
    model.proto.opset_import[0].version = Some(opset);
    let graph = model.graph_mut();
    graph.node.truncate(1);
    let mut names = Names::of(graph);
    let site = build::Site {
        input: "before",
        output: "act",
        node: Some("act".into()),
        prefix: "act",
        data_type: data_type::FLOAT,
        opset,
        parameter: &|_| None,
    };
    graph.node.extend(build::nodes(formula, &site, &mut names).unwrap());
    graph.node.push(NodeProto {
        op_type: Some("Conv".into()),
        name: Some("after".into()),
        input: vec!["act".into(), "weights".into()],
        output: vec!["z".into()],
        ..Default::default()
    });
    graph.output[0].name = Some("z".into());
    model
}

/// `silu`, `relu, relu6`, `unknown: x + Sin(x)`, or nothing.
fn told(found: &Found) -> String {
    let sites = found.sites.iter().map(|site| site.activation.to_string());
    let others = found.not_sites.iter().map(|n| match n.refusal {
        Refusal::Unknown => {
            let formula = n.reason.strip_prefix("computes ").unwrap();
            format!("unknown: {}", formula.rsplit_once(": ").unwrap().0)
        }
        _ => n.refusal.name().to_owned(),
    });
    sites.chain(others).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    let mut wrong = vec![];
    for &(formula, expected) in rows {
        let is = told(&find(&network(formula)));
        if is != expected {
            wrong.push(format!("{formula}\n  is told as `{is}`, not `{expected}`"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn a_recorded_reason_gives_its_refusal_back() {
    for refusal in Refusal::ALL {
        let text = refusal.with_reason("stands in /a: b");
        assert_eq!(text, format!("{}: stands in /a: b", refusal.name()));
        assert_eq!(Refusal::of_reason(&text), Some(refusal));
    }
    for text in ["", "gate", "frelu needs a feature map of a known number of channels", "a gate: no"] {
        assert_eq!(Refusal::of_reason(text), None, "{text}");
    }
}

fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(output.into()),
        input: input.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

/// The network with other nodes between its convolutions; the last one puts out `act`.
fn network_of_nodes(nodes: Vec<NodeProto>) -> Model {
    let mut model = network("Relu(x)");
    let graph = model.graph_mut();
    let last = graph.node.pop().unwrap();
    graph.node.truncate(1);
    graph.node.extend(nodes);
    graph.node.push(last);
    model
}

#[test]
fn functions_whose_calls_double_are_left_as_they_are() {
    let call = |i: usize, input: &str, output: &str| NodeProto {
        domain: Some("local".into()),
        ..node(&format!("f{i}"), &[input], output)
    };
    for last in ["Tanh", "Softmax"] {
        let mut model = network_of_nodes(vec![node("Relu", &["before"], "r"), call(0, "r", "act")]);
        model.proto.functions = (0..40)
            .map(|i| FunctionProto {
                name: Some(format!("f{i}")),
                domain: Some("local".into()),
                input: vec!["a".into()],
                output: vec!["b".into()],
                node: match i {
                    39 => vec![node(last, &["a"], "b")],
                    _ => vec![call(i + 1, "a", "t"), call(i + 1, "t", "b")],
                },
                ..Default::default()
            })
            .collect();
        let found = find(&model);
        assert_eq!((told(&found).as_str(), found.sites[0].name.as_str()), ("relu", "r"));
    }
}

#[test]
fn zeros_of_a_values_shape_are_zeros() {
    let model = network_of_nodes(vec![
        node("Shape", &["before"], "shape"),
        node("ConstantOfShape", &["shape"], "zeros"),
        node("Max", &["before", "zeros"], "act"),
    ]);
    assert_eq!(told(&find(&model)), "relu");
}

#[test]
fn what_is_made_of_shapes_is_no_site() {
    let float = AttributeProto { name: Some("to".into()), i: Some(1), ..Default::default() };
    let mut model = network("Relu(x)");
    model.graph_mut().node.extend([
        node("Shape", &["before"], "shape"),
        NodeProto { attribute: vec![float], ..node("Cast", &["shape"], "sizes") },
        node("Relu", &["sizes"], "some_sizes"),
    ]);
    assert_eq!(told(&find(&model)), "relu", "that of the network");
}

#[test]
fn a_gate_is_one_only_of_another_tensor() {
    let whole = AttributeProto { name: Some("to".into()), i: Some(6), ..Default::default() };
    let float = AttributeProto { i: Some(1), ..whole.clone() };
    let rounded = network_of_nodes(vec![
        node("Sigmoid", &["before"], "s"),
        NodeProto { attribute: vec![whole], ..node("Cast", &["s"], "i") },
        NodeProto { attribute: vec![float], ..node("Cast", &["i"], "f") },
        node("Mul", &["before", "f"], "act"),
    ]);
    assert_eq!(told(&find(&rounded)), "decode");
    let scaled = network_of_nodes(vec![
        node("GlobalAveragePool", &["before"], "pool"),
        node("Conv", &["pool", "weights"], "g"),
        node("Sigmoid", &["g"], "s"),
        node("Mul", &["before", "s"], "act"),
    ]);
    let found = find(&scaled);
    assert_eq!(
        (told(&found).as_str(), found.not_sites[0].reason.as_str()),
        ("gate", "scales another tensor in act")
    );
}

#[test]
fn whole_numbers_are_no_sites() {
    let whole = AttributeProto { name: Some("to".into()), i: Some(7), ..Default::default() };
    let float = AttributeProto { i: Some(1), ..whole.clone() };
    let model = network_of_nodes(vec![
        NodeProto { attribute: vec![whole], ..node("Cast", &["before"], "i") },
        node("Relu", &["i"], "r"),
        NodeProto { attribute: vec![float], ..node("Cast", &["r"], "act") },
    ]);
    assert_eq!(told(&find(&model)), "");
}

#[test]
fn a_piece_that_something_else_reads_is_told_with_its_whole() {
    let model = network_of_nodes(vec![
        node("Sigmoid", &["before"], "s"),
        node("Mul", &["before", "s"], "m"),
        node("Conv", &["s", "weights"], "other"),
        node("Add", &["m", "other"], "act"),
    ]);
    let found = find(&model);
    assert_eq!(told(&found), "shared");
    assert_eq!(found.not_sites[0].reason, "is a silu whose s is also read by other");
}
