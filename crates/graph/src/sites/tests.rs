//! What is a site and what is none, by the values that a graph computes.

use super::*;
use crate::onnx::Model;
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::messages::{NodeProto, data_type};
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
