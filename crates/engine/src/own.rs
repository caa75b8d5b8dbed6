//! Our kernels as operators of an engine: which nodes of a private copy they compute, and what such a node says.
//!
//! Engines look operators up without their domain, or would inline a function that the model brings along. So the private copy
//! calls all of ours by one name that is nobody else's.

use std::collections::HashSet;

use oplat_graph::activation::Activation;
use oplat_graph::onnx::messages::{AttributeProto, ModelProto, NodeProto, attribute_type};
use oplat_graph::onnx::{for_each_node, for_each_node_mut};
use oplat_graph::swap;
use oplat_ground::protocol::Abilities;

/// What the private copy calls an operator of ours.
pub const OPERATOR: &str = "oplat.Kernel";
/// The node's own name for it: `oplat.Mish`.
pub const SHOWN: &str = "operator";
/// The activation's name in the registry.
pub const ACTIVATION: &str = "activation";
/// The activation's parameters, in the registry's order.
pub const PARAMETERS: &str = "parameters";

/// Claims the nodes that our kernels compute in this engine, and drops the functions of our domain that nothing calls any more.
/// An activation that has no kernel, or that the engine merges, is left to its function.
pub fn claim(model: &mut ModelProto, engine: &Abilities) {
    let own = |node: &mut NodeProto| {
        let runs = |activation: &Activation| swap::runs_kernel(engine, activation);
        if let Some(activation) = swap::read(node).filter(runs) {
            rename(node, &activation);
        }
    };
    if let Some(graph) = model.graph.as_mut() {
        for_each_node_mut(graph, &mut |node| own(node));
    }
    model.functions.iter_mut().flat_map(|f| &mut f.node).for_each(own);
    drop_uncalled(model);
}

fn rename(node: &mut NodeProto, activation: &Activation) {
    let attribute = |name: &str, kind| AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind),
        ..Default::default()
    };
    let text = |name, text: &str| AttributeProto {
        s: Some(text.to_owned().into()),
        ..attribute(name, attribute_type::STRING)
    };
    let shown = node.op_type.as_deref().and_then(|op| op.split('_').next()).unwrap_or("");
    let floats = activation.parameters.iter().flatten().map(|&p| p as f32).collect();
    node.attribute = vec![
        text(SHOWN, &format!("{}.{shown}", swap::DOMAIN)),
        text(ACTIVATION, activation.kind.name),
        AttributeProto { floats, ..attribute(PARAMETERS, attribute_type::FLOATS) },
    ];
    node.op_type = Some(OPERATOR.to_owned());
}

fn drop_uncalled(model: &mut ModelProto) {
    let mut called = HashSet::new();
    let mut call = |node: &NodeProto| {
        if node.domain() == swap::DOMAIN {
            called.insert(node.op_type().to_owned());
        }
    };
    if let Some(graph) = &model.graph {
        for_each_node(graph, &mut |node| call(node));
    }
    model.functions.iter().flat_map(|f| &f.node).for_each(&mut call);
    model.functions.retain(|f| f.domain() != swap::DOMAIN || called.contains(f.name()));
}

/// Parameters as the author wrote them: the shortest numbers that are these single floats.
pub fn parameters(floats: &[f32]) -> Vec<f64> {
    floats.iter().map(|p| p.to_string().parse().unwrap_or(f64::from(*p))).collect()
}
