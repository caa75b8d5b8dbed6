//! Writing a model again with other activations at its sites.
//!
//! Everything else stays as it was: fields, nodes, names, weights. A site keeps its name and the name of its
//! value, so that readers, outputs and other tools find it where it was.

use std::collections::{HashMap, HashSet};

use super::Lowering;
use super::find::{Found, Site};
use super::lowering::{self, Functions};
use super::{Skipped, Variant, VariantSite};
use crate::activation::{Activation, Exporter};
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::index::{Index, Source};
use crate::onnx::messages::{GraphProto, NodeProto, TensorProto, data_type};
use crate::onnx::{Model, bodies, for_each_node, tensor};
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
    if let Some(why) = to.kind.alone {
        return Err(Error::input(format!("{} can't be swapped in: {why}", to.kind.name)));
    }
    let exporter = exporter(model);
    let as_kernel = lowering == Lowering::Kernel && lowering::has_kernel(to);
    let mut functions = Functions::of(model);
    let mut skipped = skipped(found);
    let mut swapped = vec![];
    let mut names = Names::of(model.graph());
    let mut model_nodes = vec![];
    for_each_node(model.graph(), &mut |node| model_nodes.push(node));
    let mut edit = Edit::default();
    let mut weights = vec![];
    for (i, site) in found.sites.iter().enumerate() {
        if selected.contains(&i) {
            let text = to.exported(model.opset(), exporter, site.data_type)?;
            let formula = Expr::parse(text).map_err(Error::input)?;
            if formula.mentions("channels") && site.channels.is_none() {
                edit.nodes_of.extend(site.nodes.iter().map(|&n| (n, i)));
                let op = model_nodes.get(site.node).and_then(|n| n.op_type.clone()).unwrap_or_default();
                let reason = format!("{} needs a feature map of a known number of channels", to.kind.name);
                skipped.push(Skipped { node: site.name.clone(), op, reason });
                continue;
            }
            swapped.push(i);
            let last = model_nodes.get(site.node).copied();
            let last = last.ok_or_else(|| Error::input(format!("{}: no site of this model", site.name)))?;
            let mut nodes = if as_kernel && lowering::has_type(site.data_type) {
                let output = last.output.first().map_or("", String::as_str);
                let ends = [&site.name, &site.input, output];
                let call = lowering::kernel_node(&mut functions, to, &formula, site.data_type, ends)?;
                vec![NodeProto { name: last.name.clone(), ..call }]
            } else {
                site_nodes(model.opset(), site, last, to, &formula, &mut names)?
            };
            // Older files would have to list them among their inputs.
            if model.proto.ir_version.is_some_and(|v| v >= 4) {
                weights.extend(take_weights(&mut nodes));
            }
            if let Some(new) = nodes.last_mut() {
                // What the file says about the site's node (source, device) still holds.
                new.metadata_props.clone_from(&last.metadata_props);
                new.doc_string.clone_from(&last.doc_string);
                new.device_configurations.clone_from(&last.device_configurations);
            }
            edit.swap(i, site, nodes);
        } else {
            edit.nodes_of.extend(site.nodes.iter().map(|&n| (n, i)));
        }
    }
    if let (true, Some(first)) = (swapped.is_empty() && !selected.is_empty(), skipped.last()) {
        return Err(Error::input(format!("{}: {}", first.node, first.reason)));
    }
    let orphans = orphans(model, &edit.removed);
    edit.removed.extend(&orphans.nodes);

    let mut rewritten = model.clone();
    let mut writer = Writer {
        edit: &mut edit,
        orphans: &orphans,
        read: 0,
        written: 0,
        sites: vec![vec![]; found.sites.len()],
    };
    writer.graph(rewritten.graph_mut());
    let nodes = writer.sites;
    rewritten.graph_mut().initializer.extend(weights);
    functions.put_into(&mut rewritten);
    let sites = found.sites.iter().zip(nodes).enumerate().map(|(i, (site, nodes))| {
        let selected = swapped.contains(&i);
        let from = site.activation.to_string();
        let to = if selected { to.to_string() } else { from.clone() };
        VariantSite { node: site.name.clone(), from, to, selected, nodes }
    });
    let sites = sites.collect();
    Ok(Variant { model: rewritten, sites, skipped })
}

fn skipped(found: &Found) -> Vec<Skipped> {
    let skipped = |n: &super::NotSite| {
        let reason = format!("{}: {}", n.refusal.name(), n.reason);
        Skipped { node: n.name.clone(), op: n.op.clone(), reason }
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

/// The nodes that take the place of `last`, the node that puts out the site's value.
fn site_nodes(
    opset: i64,
    site: &Site,
    last: &NodeProto,
    to: &Activation,
    formula: &Expr,
    names: &mut Names,
) -> Result<Vec<NodeProto>> {
    let spot = build::Site {
        input: &site.input,
        output: last.output.first().map_or("", String::as_str),
        node: last.name.clone(),
        prefix: &site.name,
        data_type: site.data_type,
        opset,
        parameter: &|name| to.parameter(name).or_else(|| size(site.channels, name)),
    };
    build::nodes(formula, &spot, names)
        .ok_or_else(|| Error::input(format!("{}: {to} has a parameter without a value", site.name)))
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

/// What is to be done to the nodes of a model, by their index in it.
#[derive(Default)]
struct Edit {
    removed: HashSet<usize>,
    /// New nodes in the place of one, and their site.
    inserted: HashMap<usize, (usize, Vec<NodeProto>)>,
    /// Sites of nodes that stay.
    nodes_of: HashMap<usize, usize>,
}

impl Edit {
    fn swap(&mut self, i: usize, site: &Site, nodes: Vec<NodeProto>) {
        self.removed.extend(&site.nodes);
        self.inserted.insert(site.node, (i, nodes));
    }
}

/// What nothing reads any more once some nodes are gone.
#[derive(Default)]
struct Orphans {
    /// Indices of nodes that compute constants.
    nodes: HashSet<usize>,
    /// Names of initialisers, and of values that nodes no longer put out.
    values: HashSet<String>,
}

/// The constants that only removed nodes read, and the names that go with them.
fn orphans(model: &Model, removed: &HashSet<usize>) -> Orphans {
    use crate::onnx::index::Use;
    let index = Index::new(model);
    let mut orphans = Orphans::default();
    let mut gone = removed.clone();
    let mut open: Vec<usize> = removed.iter().copied().collect();
    while let Some(id) = open.pop() {
        for &input in index.nodes[id].inputs.iter().flatten() {
            let unread = index.uses(input).iter().all(|u| matches!(u, Use::Node(n, _) if gone.contains(n)));
            if !unread || !index.is_constant(input) {
                continue;
            }
            match index.source(input) {
                Source::Initializer(_) => {
                    orphans.values.insert(index.name(input).to_owned());
                }
                Source::Node(producer, _) if bodies(index.nodes[producer].proto).next().is_none() => {
                    let all_unread = index.nodes[producer].outputs.iter().all(|&o| {
                        index.uses(o).iter().all(|u| matches!(u, Use::Node(n, _) if gone.contains(n)))
                    });
                    if all_unread && gone.insert(producer) {
                        orphans.nodes.insert(producer);
                        open.push(producer);
                    }
                }
                _ => {}
            }
        }
    }
    for id in gone {
        orphans.values.extend(index.nodes[id].outputs.iter().map(|&o| index.name(o).to_owned()));
    }
    // The value of a site itself stays.
    for &id in removed {
        for &output in &index.nodes[id].outputs {
            let read =
                index.uses(output).iter().any(|u| !matches!(u, Use::Node(n, _) if removed.contains(n)));
            if read {
                orphans.values.remove(index.name(output));
            }
        }
    }
    orphans
}

struct Writer<'e> {
    edit: &'e mut Edit,
    orphans: &'e Orphans,
    /// Nodes of the original that were passed, and nodes that were written.
    read: usize,
    written: usize,
    /// Indices of each site's nodes in what is written.
    sites: Vec<Vec<usize>>,
}

impl Writer<'_> {
    fn graph(&mut self, graph: &mut GraphProto) {
        let mut nodes = vec![];
        for mut node in std::mem::take(&mut graph.node) {
            let index = self.read;
            self.read += 1;
            if let Some((site, new)) = self.edit.inserted.remove(&index) {
                for node in new {
                    // Constants are folded into what reads them, by every engine.
                    if node.op_type.as_deref() != Some("Constant") {
                        self.sites[site].push(self.written);
                    }
                    self.written += 1;
                    nodes.push(node);
                }
            }
            if self.edit.removed.contains(&index) {
                continue;
            }
            if let Some(&site) = self.edit.nodes_of.get(&index) {
                self.sites[site].push(self.written);
            }
            self.written += 1;
            for attribute in &mut node.attribute {
                for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.graph(body);
                }
            }
            nodes.push(node);
        }
        graph.node = nodes;
        let stays = |name: &Option<String>| name.as_ref().is_none_or(|n| !self.orphans.values.contains(n));
        graph.initializer.retain(|t| stays(&t.name));
        graph.value_info.retain(|v| stays(&v.name));
        graph.quantization_annotation.retain(|a| stays(&a.tensor_name));
        // Older files list initialisers among the inputs; those that went must go there too.
        graph.input.retain(|v| stays(&v.name));
    }
}
