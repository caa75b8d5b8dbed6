//! Writing a model again with other activations at its sites.
//!
//! Everything else stays as it was: fields, nodes, names, weights. A site keeps its name and the name of its
//! value, so that readers, outputs and other tools find it where it was.

use super::Lowering;
use super::edit::Edit;
use super::find::{Found, NotSite, Site};
use super::lowering::{self, Functions};
use super::{Skipped, Variant, VariantSite};
use crate::activation::{Activation, Exporter};
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::messages::{NodeProto, TensorProto, data_type};
use crate::onnx::{Model, for_each_node, tensor};
use oplat_ground::error::{Error, Result};

/// The model as it is, with its sites; `selected` are indices into `found.sites`.
pub fn original(model: &Model, found: &Found, selected: &[usize]) -> Variant {
    let site = |(i, site): (usize, &Site)| VariantSite {
        node: site.name.clone(),
        from: site.activation.to_string(),
        to: site.activation.to_string(),
        selected: selected.contains(&i),
        nodes: site.nodes.clone(),
    };
    let sites = found.sites.iter().enumerate().map(site).collect();
    Variant { model: model.clone(), sites, skipped: skipped(found) }
}

/// The model with `to` at the selected sites (indices into `found.sites`), in the form that its own exporter
/// would write, or as our own operator, which brings that form along as a function (and raises the format's
/// version to 8 where it is older). Fails, naming the site, where its opset lacks the operators. Sites that
/// can't take it are left as they are and said to be skipped.
pub fn rewrite(
    model: &Model,
    found: &Found,
    selected: &[usize],
    to: &Activation,
    lowering: Lowering,
) -> Result<Variant> {
    if let Some(why) = to.kind.unswappable_because {
        return Err(Error::input(format!("{} can't be swapped in: {why}", to.kind.name)));
    }
    let mut plan = Plan::new(model, found, to, lowering);
    for (i, site) in found.sites.iter().enumerate() {
        if !(selected.contains(&i) && plan.swap(i, site)?) {
            plan.edit.keep(i, site);
        }
    }
    if let (true, Some(first)) = (plan.swapped.is_empty() && !selected.is_empty(), plan.skipped.last()) {
        return Err(Error::input(format!("{}: {}", first.node, first.reason)));
    }
    let (mut rewritten, nodes) = plan.edit.apply(model, found.sites.len());
    rewritten.graph_mut().initializer.extend(plan.weights);
    plan.functions.put_into(&mut rewritten);
    let sites = found.sites.iter().zip(nodes).enumerate().map(|(i, (site, nodes))| {
        let selected = plan.swapped.contains(&i);
        let from = site.activation.to_string();
        let to = if selected { to.to_string() } else { from.clone() };
        VariantSite { node: site.name.clone(), from, to, selected, nodes }
    });
    Ok(Variant { model: rewritten, sites: sites.collect(), skipped: plan.skipped })
}

/// One activation for the sites of a model, while it is decided site by site.
struct Plan<'m> {
    model: &'m Model,
    /// All nodes of the model, by index.
    nodes: Vec<&'m NodeProto>,
    to: &'m Activation,
    exporter: Exporter,
    as_kernel: bool,
    names: Names,
    functions: Functions,
    edit: Edit,
    /// What the new nodes read beside values of the model.
    weights: Vec<TensorProto>,
    /// Indices of the sites that get the activation.
    swapped: Vec<usize>,
    skipped: Vec<Skipped>,
}

impl<'m> Plan<'m> {
    fn new(model: &'m Model, found: &Found, to: &'m Activation, lowering: Lowering) -> Self {
        let mut nodes = vec![];
        for_each_node(model.graph(), &mut |node| nodes.push(node));
        Self {
            model,
            nodes,
            to,
            exporter: exporter(model),
            as_kernel: lowering == Lowering::Kernel && lowering::has_kernel(to),
            names: Names::of(model.graph()),
            functions: Functions::of(model),
            edit: Edit::default(),
            weights: vec![],
            swapped: vec![],
            skipped: skipped(found),
        }
    }

    /// Puts the activation in at a site; `false` where it can't stand there, which it notes.
    fn swap(&mut self, i: usize, site: &Site) -> Result<bool> {
        let text = self.to.exported(self.model.opset(), self.exporter, site.data_type)?;
        let formula = Expr::parse(text).map_err(Error::input)?;
        if formula.mentions("channels") && site.channels.is_none() {
            self.skip(site, "needs a feature map of a known number of channels");
            return Ok(false);
        }
        let last = self.nodes.get(site.node).copied();
        let last = last.ok_or_else(|| Error::input(format!("{}: no site of this model", site.name)))?;
        let mut nodes = self.nodes_for(site, last, &formula)?;
        // Older files would have to list them among their inputs.
        if self.model.proto.ir_version.is_some_and(|v| v >= 4) {
            self.weights.extend(take_weights(&mut nodes));
        }
        if let Some(new) = nodes.last_mut() {
            keep_notes(last, new);
        }
        self.edit.swap(i, site, nodes);
        self.swapped.push(i);
        Ok(true)
    }

    fn skip(&mut self, site: &Site, why: &str) {
        let op = self.nodes.get(site.node).and_then(|n| n.op_type.clone()).unwrap_or_default();
        let reason = format!("{} {why}", self.to.kind.name);
        self.skipped.push(Skipped { node: site.name.clone(), op, refusal: None, reason });
    }

    /// The nodes that take the place of `last`, the node that puts out the site's value.
    fn nodes_for(&mut self, site: &Site, last: &NodeProto, formula: &Expr) -> Result<Vec<NodeProto>> {
        let output = last.output.first().map_or("", String::as_str);
        if self.as_kernel && lowering::has_type(site.data_type) {
            let ends = [&site.name, &site.input, output];
            let call = lowering::kernel_node(&mut self.functions, self.to, formula, site.data_type, ends)?;
            return Ok(vec![NodeProto { name: last.name.clone(), ..call }]);
        }
        let spot = build::Site {
            input: &site.input,
            output,
            node: last.name.clone(),
            prefix: &site.name,
            data_type: site.data_type,
            opset: self.model.opset(),
            parameter: &|name| self.to.parameter(name).or_else(|| size(site.channels, name)),
        };
        build::nodes(formula, &spot, &mut self.names).ok_or_else(|| {
            Error::input(format!("{}: {} has a parameter without a value", site.name, self.to))
        })
    }
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
