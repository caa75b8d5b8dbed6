//! Swapping inside the functions that a model brings along.
//!
//! A function may be called often, and not all of its calls swapped. So those that are get a copy of it; calls that are
//! swapped alike share one, and a function that nothing calls any more goes.

use std::collections::{BTreeMap, BTreeSet};

use super::rewrite::{Plan, Put};
use super::{DOMAIN, Site};
use crate::onnx::Model;
use crate::onnx::inline::Functions;
use crate::onnx::messages::{
    FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};
use crate::onnx::{for_each_node, for_each_node_mut, label};
use oplat_ground::error::{Error, Result};

/// The sites to swap in one call of a function, and in the calls inside it.
#[derive(Default)]
struct Inside<'s> {
    own: Vec<(usize, &'s Site, Put<'s>)>,
    /// By the index of the call.
    calls: BTreeMap<usize, Inside<'s>>,
}

/// The model with copies of the functions in which the sites stand, each with its number among the sites and what comes to
/// it, and calls of them. All nodes keep their indices.
pub fn rewrite(plan: &mut Plan, sites: &[(usize, &Site, Put)]) -> Result<Model> {
    let mut model = plan.model.clone();
    if sites.is_empty() {
        return Ok(model);
    }
    let mut all = Inside::default();
    for &(i, site, put) in sites {
        let calls = site.within.iter().flat_map(|within| &within.calls);
        calls.fold(&mut all, |inside, &call| inside.calls.entry(call).or_default()).own.push((i, site, put));
    }
    let functions = &plan.model.proto.functions;
    let before = called(&model);
    let mut copies = Copies { plan, functions, made: vec![] };
    let mut nodes = vec![];
    for_each_node(model.graph(), &mut |node| nodes.push(node.clone()));
    let renamed = copies.calls(&nodes, &all.calls)?;
    let made = copies.made;
    let mut index = 0;
    for_each_node_mut(model.graph_mut(), &mut |node| {
        if let Some(name) = renamed.get(&index) {
            node.op_type = Some(name.clone());
        }
        index += 1;
    });
    model.proto.functions.extend(made);
    let after = called(&model);
    let mut at = 0;
    model.proto.functions.retain(|_| {
        let stays = after.contains(&at) || !before.contains(&at);
        at += 1;
        stays
    });
    Ok(model)
}

fn called(model: &Model) -> BTreeSet<usize> {
    Functions::of(&model.proto).called(&model.graph().node)
}

struct Copies<'p, 'm, 'f> {
    plan: &'p mut Plan<'m>,
    functions: &'f [FunctionProto],
    made: Vec<FunctionProto>,
}

impl Copies<'_, '_, '_> {
    /// What the functions that some nodes call are called now, by the index of the node.
    fn calls(
        &mut self,
        nodes: &[NodeProto],
        calls: &BTreeMap<usize, Inside>,
    ) -> Result<BTreeMap<usize, String>> {
        let mut renamed = BTreeMap::new();
        for (&index, inside) in calls {
            let call = nodes.get(index).ok_or_else(|| Error::input("no site of this model"))?;
            let key = |f: &&FunctionProto| {
                (f.domain(), f.name(), f.overload()) == (call.domain(), call.op_type(), call.overload())
            };
            let function =
                self.functions.iter().find(key).ok_or_else(|| Error::input("no function of this model"))?;
            renamed.insert(index, self.copy(function, inside)?);
        }
        Ok(renamed)
    }

    /// The name of a copy of a function with sites in it swapped.
    fn copy(&mut self, function: &FunctionProto, inside: &Inside) -> Result<String> {
        let mut nodes = vec![];
        function.node.iter().for_each(|node| visit(node, &mut nodes));
        let renamed = self.calls(&nodes, &inside.calls)?;
        let mut model = as_model(function);
        let mut index = 0;
        for_each_node_mut(model.graph_mut(), &mut |node| {
            if let Some(name) = renamed.get(&index) {
                node.op_type = Some(name.clone());
            }
            index += 1;
        });
        let (rewritten, ours) = self.swapped(&model, inside)?;
        let mut copy = FunctionProto { node: rewritten, ..function.clone() };
        let imported = copy.opset_import.iter().any(|o| o.domain.as_deref() == Some(DOMAIN));
        if ours && !imported {
            copy.opset_import.push(OperatorSetIdProto { domain: Some(DOMAIN.to_owned()), version: Some(1) });
        }
        // None of its sites could be swapped.
        if copy == *function {
            return Ok(function.name().to_owned());
        }
        let same = |other: &&FunctionProto| {
            FunctionProto { name: copy.name.clone(), ..(*other).clone() } == copy && other.name != copy.name
        };
        if let Some(other) = self.made.iter().find(same) {
            return Ok(other.name().to_owned());
        }
        let name = self.fresh(function);
        self.made.push(FunctionProto { name: Some(name.clone()), ..copy });
        Ok(name)
    }

    /// The nodes of a function with its own sites swapped, and whether a kernel of ours is among them.
    fn swapped(&mut self, model: &Model, inside: &Inside) -> Result<(Vec<NodeProto>, bool)> {
        let mut plan = Plan::new(model);
        plan.exporter = self.plan.exporter;
        std::mem::swap(&mut plan.functions, &mut self.plan.functions);
        let mut nodes = vec![];
        for_each_node(model.graph(), &mut |node| nodes.push(node));
        let mut swapped = vec![];
        for (number, &(i, site, put)) in inside.own.iter().enumerate() {
            let Some(within) = &site.within else { continue };
            // Under a name of the function's own, so that calls that are swapped alike come to the same copy.
            let own_name = nodes.get(within.node).map_or("", |node| label(node));
            let here = Site {
                name: own_name.to_owned(),
                node: within.node,
                nodes: within.nodes.clone(),
                input: within.input.clone(),
                within: None,
                ..site.clone()
            };
            if plan.swap(number, &here, put)? {
                swapped.push((i, put.lowering_at(&here)));
            } else if let Some(skipped) = plan.skipped.last_mut() {
                skipped.node.clone_from(&site.name);
            }
        }
        std::mem::swap(&mut plan.functions, &mut self.plan.functions);
        self.plan.skipped.append(&mut plan.skipped);
        self.plan.swapped.extend(swapped);
        let (mut rewritten, _) = plan.edit.apply(model, inside.own.len());
        let nodes = std::mem::take(&mut rewritten.graph_mut().node);
        let ours = nodes.iter().any(|node| node.domain() == DOMAIN);
        Ok((nodes, ours))
    }

    /// A name for a copy of a function, which no function of its domain has.
    fn fresh(&self, function: &FunctionProto) -> String {
        let taken = |name: &str| {
            let all = self.functions.iter().chain(&self.made);
            all.into_iter().any(|f| f.domain() == function.domain() && f.name() == name)
        };
        let numbered = (2..).map(|n| format!("{}_{n}", function.name()));
        numbered.into_iter().find(|name| !taken(name)).unwrap_or_default()
    }
}

fn visit(node: &NodeProto, nodes: &mut Vec<NodeProto>) {
    nodes.push(node.clone());
    for body in crate::onnx::bodies(node) {
        body.node.iter().for_each(|inner| visit(inner, nodes));
    }
}

/// A function as a model of its own, to be edited.
fn as_model(function: &FunctionProto) -> Model {
    let value = |name: &String| ValueInfoProto { name: Some(name.clone()), ..Default::default() };
    let graph = GraphProto {
        node: function.node.clone(),
        input: function.input.iter().map(value).collect(),
        output: function.output.iter().map(value).collect(),
        ..Default::default()
    };
    // Without a version, as one of an older format, it keeps new weights in nodes: functions have no initialisers.
    let proto =
        ModelProto { graph: Some(graph), opset_import: function.opset_import.clone(), ..Default::default() };
    Model { proto, dir: None }
}
