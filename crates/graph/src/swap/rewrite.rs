//! Writing a model again with other activations at its sites.
//!
//! Everything else stays as it was: fields, nodes, names, weights. A site keeps its name and the name of its
//! value, so that readers, outputs and other tools find it where it was.

use std::collections::{HashMap, HashSet};

use super::Lowering;
use super::edit::{Edit, NewNodes};
use super::lowering::{self, Functions};
use super::{Assignment, Found, NotSite, Site, Skipped, Variant, VariantSite, functions};
use crate::activation::{Activation, Exporter};
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::messages::{AttributeProto, NodeProto, TensorProto, attribute_type, data_type};
use crate::onnx::{Model, for_each_node, tensor};
use crate::sites::fused;
use oplat_ground::error::{Error, Result};

/// The first opset in which `Unsqueeze` takes its axes as an input.
const AXES_ARE_AN_INPUT: i64 = 13;

/// The model as it is, with its sites; `selected` are indices into `found.sites`.
pub fn original(model: &Model, found: &Found, selected: &[usize]) -> Variant {
    let selected: HashSet<usize> = selected.iter().copied().collect();
    let site = |(i, site): (usize, &Site)| VariantSite {
        node: site.name.clone(),
        from: site.activation.to_string(),
        to: site.activation.to_string(),
        selected: selected.contains(&i),
        lowering: None,
        is_part: site.is_fused,
        nodes: if site.within.is_none() { site.nodes.clone() } else { vec![] },
    };
    let sites = found.sites.iter().enumerate().map(site).collect();
    Variant { model: model.clone(), sites, skipped: skipped(found) }
}

/// The model with `to` at the selected sites (indices into `found.sites`): [`assign`] with one activation and one
/// lowering for all.
pub fn rewrite(
    model: &Model,
    found: &Found,
    selected: &[usize],
    to: &Activation,
    lowering: Lowering,
) -> Result<Variant> {
    let assignment = selected.iter().map(|&site| (site, to.clone())).collect();
    assign(model, found, &assignment, &|_| lowering)
}

/// The model with these activations at these sites, each in the lowering that `lowering` says: in the form that the model's
/// own exporter would write, or as our own operator, which brings that form along as a function (and raises the format's
/// version to 8 where it is older). Fails, naming the site, where its opset lacks the operators, and where an activation
/// can't stand at any of its sites. Single sites that can't take theirs are left as they are and said to be skipped.
pub fn assign(
    model: &Model,
    found: &Found,
    assignment: &Assignment,
    lowering: &dyn Fn(&Activation) -> Lowering,
) -> Result<Variant> {
    let mut plan = Plan::new(model);
    plan.skipped = skipped(found);
    let mut inside = vec![];
    for (i, site) in found.sites.iter().enumerate() {
        let put = assignment.get(&i).map(|to| Put::new(to, lowering(to))).transpose()?;
        match put {
            Some(put) if site.within.is_some() => inside.push((i, site, put)),
            Some(put) if plan.swap(i, site, put)? => {}
            _ if site.within.is_some() => {}
            _ => plan.edit.keep(i, site),
        }
    }
    let model = &functions::rewrite(&mut plan, &inside)?;
    plan.check_all_stand(found, assignment)?;
    let (mut rewritten, nodes) = plan.edit.apply(model, found.sites.len());
    rewritten.graph_mut().initializer.extend(plan.weights);
    plan.functions.put_into(&mut rewritten);
    let sites = found.sites.iter().zip(nodes).enumerate().map(|(i, (site, nodes))| {
        let lowering = plan.swapped.get(&i).copied();
        let selected = lowering.is_some();
        let from = site.activation.to_string();
        let to = assignment.get(&i).filter(|_| selected).map_or_else(|| from.clone(), ToString::to_string);
        let is_part = site.is_fused && !selected;
        VariantSite { node: site.name.clone(), from, to, selected, lowering, is_part, nodes }
    });
    Ok(Variant { model: rewritten, sites: sites.collect(), skipped: plan.skipped })
}

/// What comes to a site.
#[derive(Clone, Copy)]
pub(super) struct Put<'a> {
    to: &'a Activation,
    as_kernel: bool,
}

impl<'a> Put<'a> {
    /// Fails for an activation that can't be swapped in.
    fn new(to: &'a Activation, lowering: Lowering) -> Result<Self> {
        match to.kind.unswappable_because {
            Some(why) => Err(Error::input(format!("{} can't be swapped in: {why}", to.kind.name))),
            None => Ok(Self { to, as_kernel: lowering == Lowering::Kernel && lowering::has_kernel(to) }),
        }
    }

    /// There are no kernels for some types.
    pub fn lowering_at(self, site: &Site) -> Lowering {
        match self.as_kernel && lowering::has_type(site.data_type) {
            true => Lowering::Kernel,
            false => Lowering::Exported,
        }
    }
}

/// The sites of a model with what comes to them, while it is decided site by site.
pub(super) struct Plan<'m> {
    pub model: &'m Model,
    /// All nodes of the model, by index.
    nodes: Vec<&'m NodeProto>,
    pub exporter: Exporter,
    names: Names,
    pub functions: Functions,
    pub edit: Edit,
    /// What the new nodes read beside values of the model.
    weights: Vec<TensorProto>,
    /// The sites that get the activation, by index, and how each does.
    pub swapped: HashMap<usize, Lowering>,
    pub skipped: Vec<Skipped>,
}

impl<'m> Plan<'m> {
    pub fn new(model: &'m Model) -> Self {
        let mut nodes = vec![];
        for_each_node(model.graph(), &mut |node| nodes.push(node));
        Self {
            model,
            nodes,
            exporter: exporter(model),
            names: Names::of(model.graph()),
            functions: Functions::of(model),
            edit: Edit::default(),
            weights: vec![],
            swapped: HashMap::new(),
            skipped: vec![],
        }
    }

    /// Puts an activation in at a site; `false` where it can't stand there, which it notes.
    pub fn swap(&mut self, i: usize, site: &Site, put: Put) -> Result<bool> {
        let text = put.to.exported(self.model.opset(), self.exporter, site.data_type)?;
        let formula = Expr::parse(text).map_err(Error::input)?;
        if formula.mentions("channels") && site.channels.is_none() {
            self.skip(
                site,
                &format!("{} needs a feature map of a known number of channels", put.to.kind.name),
            );
            return Ok(false);
        }
        let last = self.nodes.get(site.node).copied();
        let last = last.ok_or_else(|| Error::input(format!("{}: no site of this model", site.name)))?;
        let mut new = self.opened(site, last);
        let spot = Spot {
            input: new.input.clone().unwrap_or_else(|| site.input.clone()),
            output: new.output.clone().or_else(|| last.output.first().cloned()).unwrap_or_default(),
            node: last.name.clone(),
        };
        new.nodes.activation = self.nodes_for(site, &spot, put, &formula)?;
        // Older files would have to list them among their inputs.
        if self.model.proto.ir_version.is_some_and(|v| v >= 4) {
            self.weights.extend(take_weights(&mut new.nodes.activation));
        }
        if let Some(new) = new.nodes.activation.last_mut() {
            keep_notes(last, new);
        }
        self.edit.swap(i, site, new.nodes);
        self.swapped.insert(i, put.lowering_at(site));
        Ok(true)
    }

    fn skip(&mut self, site: &Site, reason: &str) {
        let op = self.nodes.get(site.node).and_then(|n| n.op_type.clone()).unwrap_or_default();
        let reason = reason.to_owned();
        self.skipped.push(Skipped { node: site.name.clone(), op, refusal: None, reason });
    }

    /// What stands around the activation of a site, in place of `last`: the node that puts out its value.
    fn opened(&mut self, site: &Site, last: &NodeProto) -> Around {
        let mut around = Around::default();
        if let Some(fused) = fused::look_into(last).filter(|_| site.is_fused) {
            let opened = fused.open(last, &mut self.names);
            let [input, output] = opened.ends;
            (around.input, around.output) = (Some(input), Some(output));
            around.nodes = NewNodes { before: opened.before, activation: vec![], after: opened.after };
        }
        if site.raised > 0 {
            let before = unsqueeze(site, self.model.opset(), &mut self.names);
            around.input = before.last().and_then(|node| node.output.first().cloned());
            around.nodes.before.extend(before);
        }
        around
    }

    /// Fails for an activation that none of its sites could take.
    fn check_all_stand(&self, found: &Found, assignment: &Assignment) -> Result<()> {
        let stands =
            |to: &Activation| assignment.iter().any(|(i, other)| other == to && self.swapped.contains_key(i));
        let Some((&i, _)) = assignment.iter().find(|(_, to)| !stands(to)) else { return Ok(()) };
        let name = found.sites.get(i).map_or("", |site| &site.name);
        let skipped = self.skipped.iter().rev().find(|skipped| skipped.node == name);
        let reason = skipped.map_or("no site of this model", |skipped| &skipped.reason);
        Err(Error::input(format!("{name}: {reason}")))
    }

    /// The nodes of the activation at a site.
    fn nodes_for(&mut self, site: &Site, at: &Spot, put: Put, formula: &Expr) -> Result<Vec<NodeProto>> {
        if put.lowering_at(site) == Lowering::Kernel {
            let ends = [&site.name, &at.input, &at.output].map(String::as_str);
            let call = lowering::kernel_node(&mut self.functions, put.to, formula, site.data_type, ends)?;
            return Ok(vec![NodeProto { name: at.node.clone(), ..call }]);
        }
        let spot = build::Site {
            input: &at.input,
            output: &at.output,
            node: at.node.clone(),
            prefix: &site.name,
            data_type: site.data_type,
            opset: self.model.opset(),
            parameter: &|name| put.to.parameter(name).or_else(|| size(site.channels, name)),
        };
        build::nodes(formula, &spot, &mut self.names)
            .ok_or_else(|| Error::input(format!("{}: {} has a parameter without a value", site.name, put.to)))
    }
}

/// Where an activation is written: its ends, and the name of its last node.
struct Spot {
    input: String,
    output: String,
    node: Option<String>,
}

/// What stands around an activation, and its ends where these aren't the site's.
#[derive(Default)]
struct Around {
    input: Option<String>,
    output: Option<String>,
    nodes: NewNodes,
}

/// The node that gives a site's input the dimensions that its value has in front, and the axes that it reads.
fn unsqueeze(site: &Site, opset: i64, names: &mut Names) -> Vec<NodeProto> {
    let name = names.fresh(format!("{}/Unsqueeze", site.name));
    let output = names.fresh(format!("{name}_output_0"));
    let axes: Vec<i64> = (0..site.raised as i64).collect();
    let node = NodeProto {
        op_type: Some("Unsqueeze".into()),
        name: Some(name.clone()),
        input: vec![site.input.clone()],
        output: vec![output],
        ..Default::default()
    };
    if opset < AXES_ARE_AN_INPUT {
        let axes = AttributeProto {
            name: Some("axes".into()),
            r#type: Some(attribute_type::INTS),
            ints: axes,
            ..Default::default()
        };
        return vec![NodeProto { attribute: vec![axes], ..node }];
    }
    let constant = build::constant(&name, tensor::from_integers(&axes), names);
    let input = vec![site.input.clone(), constant.output[0].clone()];
    vec![constant, NodeProto { input, ..node }]
}

/// What the file says about a site's node (source, device) still holds of the one in its place.
fn keep_notes(old: &NodeProto, new: &mut NodeProto) {
    new.metadata_props.clone_from(&old.metadata_props);
    new.doc_string.clone_from(&old.doc_string);
    new.device_configurations.clone_from(&old.device_configurations);
}

fn skipped(found: &Found) -> Vec<Skipped> {
    let skipped = |n: &NotSite| Skipped {
        node: n.name.clone(),
        op: n.op.clone(),
        refusal: Some(n.refusal),
        reason: n.reason.clone(),
    };
    found.not_sites.iter().map(skipped).collect()
}

/// Who wrote the model's nodes: the dynamo exporter notes where in the source they come from, or names them
/// in its own style.
pub fn exporter(model: &Model) -> Exporter {
    let (mut nodes, mut dynamo) = (0, 0);
    for_each_node(model.graph(), &mut |node| {
        let noted =
            node.metadata_props.iter().any(|p| p.key.as_deref().is_some_and(|k| k.starts_with("pkg.torch.")));
        let styled = node.name.as_deref().is_some_and(|n| n.starts_with("node_"));
        nodes += 1;
        dynamo += usize::from(noted || styled);
    });
    if dynamo * 2 > nodes { Exporter::Dynamo } else { Exporter::TorchScript }
}

/// The sizes of weights that activations bring along: the site's channels, and those of a small network on them.
pub(super) fn size(channels: Option<usize>, name: &str) -> Option<f64> {
    let channels = channels?;
    match name {
        "channels" => Some(channels as f64),
        "hidden" => Some((channels / 16).max(16) as f64),
        _ => None,
    }
}

/// Takes the weights out of the nodes that an activation brings along, as the initialisers that they are in an
/// exported model; single numbers stay where they are.
fn take_weights(nodes: &mut Vec<NodeProto>) -> Vec<TensorProto> {
    let mut weights = vec![];
    nodes.retain_mut(|node| {
        let tensor = node.attribute.first_mut().map(|a| &mut a.t);
        let Some(tensor) = tensor.filter(|t| t.as_ref().is_some_and(is_weights)) else { return true };
        weights.extend(tensor.take().map(|t| TensorProto { name: node.output.first().cloned(), ..t }));
        false
    });
    weights
}

fn is_weights(tensor: &TensorProto) -> bool {
    tensor.data_type != Some(data_type::INT64) && tensor::elements(tensor).is_some_and(|n| n > 1)
}
