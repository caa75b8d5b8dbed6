//! Taking nodes out of a model and putting others in their place.

use std::collections::{HashMap, HashSet};

use super::Site;
use crate::onnx::index::{Index, Source, Use, ValueId};
use crate::onnx::messages::{GraphProto, NodeProto};
use crate::onnx::{Model, bodies};

/// What is to be done to the nodes of a model, by their index in it.
#[derive(Default)]
pub struct Edit {
    removed: HashSet<usize>,
    /// What comes into the place of a node.
    inserted: HashMap<usize, Inserted>,
    /// Sites of nodes that stay.
    nodes_of: HashMap<usize, Vec<usize>>,
}

/// Nodes for a site, of this number among the sites.
struct Inserted {
    site: usize,
    new: NewNodes,
}

/// The nodes of an activation, and what stands before and behind it in place of the operator that it was a part of.
#[derive(Default)]
pub struct NewNodes {
    pub before: Vec<NodeProto>,
    pub activation: Vec<NodeProto>,
    pub after: Vec<NodeProto>,
}

impl Edit {
    /// Leaves the nodes of a site, of this number among the sites, where they are.
    pub fn keep(&mut self, i: usize, site: &Site) {
        for &node in &site.nodes {
            self.nodes_of.entry(node).or_default().push(i);
        }
    }

    /// Puts other nodes in the place of a site's.
    pub fn swap(&mut self, i: usize, site: &Site, new: NewNodes) {
        self.removed.extend(&site.nodes);
        self.inserted.insert(site.node, Inserted { site: i, new });
    }

    /// The edited model, without constants that nothing reads any more, and the indices of each site's nodes in it.
    pub fn apply(mut self, model: &Model, sites: usize) -> (Model, Vec<Vec<usize>>) {
        let orphans = orphans(model, &self.removed, &self.read_by_new());
        self.removed.extend(&orphans.nodes);
        let mut edited = model.clone();
        let mut writer = Writer {
            edit: &mut self,
            orphans: &orphans,
            graphs: 0,
            read: 0,
            written: 0,
            sites: vec![vec![]; sites],
        };
        writer.graph(edited.graph_mut());
        let sites = writer.sites;
        (edited, sites)
    }

    /// The values that new nodes read.
    fn read_by_new(&self) -> HashSet<&str> {
        let new = self.inserted.values().map(|inserted| &inserted.new);
        let nodes = new.flat_map(|new| new.before.iter().chain(&new.activation).chain(&new.after));
        nodes.flat_map(|node| &node.input).map(String::as_str).collect()
    }
}

/// What nothing reads any more once some nodes are gone.
#[derive(Default)]
struct Orphans {
    /// Indices of nodes that compute constants.
    nodes: HashSet<usize>,
    /// Initialisers, and values that nodes no longer put out: the serial number of the graph (see [`Index::graph`]) and
    /// the name, which branches may share.
    values: HashSet<(usize, String)>,
}

/// The constants that only removed nodes read, and the names that go with them.
fn orphans(model: &Model, removed: &HashSet<usize>, read: &HashSet<&str>) -> Orphans {
    let index = Index::new(model);
    let named = |value: ValueId| (index.graph(value), index.name(value).to_owned());
    let mut orphans = Orphans::default();
    let mut gone = removed.clone();
    let mut open: Vec<usize> = removed.iter().copied().collect();
    while let Some(id) = open.pop() {
        for &input in index.nodes[id].inputs.iter().flatten() {
            let is_read = read.contains(index.name(input)) || !only_these_read(&index, input, &gone);
            if !index.is_constant(input) || is_read {
                continue;
            }
            match index.source(input) {
                Source::Initializer(_) => {
                    orphans.values.insert(named(input));
                }
                Source::Node(producer, _) if bodies(index.nodes[producer].proto).next().is_none() => {
                    let unread = index.nodes[producer]
                        .outputs
                        .iter()
                        .all(|&o| only_these_read(&index, o, &gone) && !read.contains(index.name(o)));
                    if unread && gone.insert(producer) {
                        orphans.nodes.insert(producer);
                        open.push(producer);
                    }
                }
                _ => {}
            }
        }
    }
    for id in gone {
        orphans.values.extend(index.nodes[id].outputs.iter().map(|&o| named(o)));
    }
    // The value of a site itself stays: something reads it, and the new nodes put it out.
    for &output in removed.iter().flat_map(|&id| &index.nodes[id].outputs) {
        if !only_these_read(&index, output, removed) {
            orphans.values.remove(&named(output));
        }
    }
    orphans
}

fn only_these_read(index: &Index, value: ValueId, nodes: &HashSet<usize>) -> bool {
    index.uses(value).iter().all(|user| matches!(user, Use::Node(id, _) if nodes.contains(id)))
}

struct Writer<'e> {
    edit: &'e mut Edit,
    orphans: &'e Orphans,
    /// Graphs and nodes of the original that were passed, and nodes that were written.
    graphs: usize,
    read: usize,
    written: usize,
    /// Indices of each site's nodes in what is written.
    sites: Vec<Vec<usize>>,
}

impl Writer<'_> {
    fn graph(&mut self, graph: &mut GraphProto) {
        let number = self.graphs;
        self.graphs += 1;
        let mut nodes = vec![];
        for mut node in std::mem::take(&mut graph.node) {
            let index = self.read;
            self.read += 1;
            if let Some(Inserted { site, new }) = self.edit.inserted.remove(&index) {
                self.written += new.before.len();
                nodes.extend(new.before);
                for node in new.activation {
                    // Constants are folded into what reads them, by every engine.
                    if node.op_type.as_deref() != Some("Constant") {
                        self.sites[site].push(self.written);
                    }
                    self.written += 1;
                    nodes.push(node);
                }
                self.written += new.after.len();
                nodes.extend(new.after);
            }
            if self.edit.removed.contains(&index) {
                // An activation has no bodies, but a file can give it some.
                bodies(&node).for_each(|body| self.pass(body));
                continue;
            }
            for &site in self.edit.nodes_of.get(&index).into_iter().flatten() {
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
        let gone = |name: &String| self.orphans.values.contains(&(number, name.clone()));
        let stays = |name: &Option<String>| !name.as_ref().is_some_and(gone);
        graph.initializer.retain(|t| stays(&t.name));
        graph.value_info.retain(|v| stays(&v.name));
        graph.quantization_annotation.retain(|a| stays(&a.tensor_name));
        // Older files list initialisers among the inputs; those that went must go there too.
        graph.input.retain(|v| stays(&v.name));
    }

    /// Counts a graph that goes.
    fn pass(&mut self, graph: &GraphProto) {
        self.graphs += 1;
        for node in &graph.node {
            self.read += 1;
            bodies(node).for_each(|body| self.pass(body));
        }
    }
}
