//! Which op computes which site: from the engine's ops and their ONNX nodes to the user's names.
//!
//! A site is never silently missing: it has ops of its own, or it was merged into another op (folded). Only one that
//! the engine dropped (an identity) has neither, and one inside a function that the model brings along.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::onnx;
use crate::protocol::{self, Loaded};
use crate::record::{Op, Site};
use crate::swap::{Variant, VariantSite};

/// The engine's ops under the user's names, and what became of the sites. Times and memory are filled in later.
pub fn attribute(variant: &Variant, loaded: &Loaded) -> (Vec<Op>, Vec<Site>) {
    let names = names(variant);
    let engine_ops = &loaded.ops;
    let mut ops: Vec<Op> =
        engine_ops.iter().enumerate().map(|(index, op)| named(index, op, &names)).collect();
    let by_node = by_node(engine_ops);
    let place = |site: &VariantSite| {
        let mut placed = place(site, engine_ops, &by_node, &mut ops);
        // The engine's ops may see the same elements in another shape than the model does.
        let shape = site.nodes.last().and_then(|&node| loaded.shapes.get(node)?.clone());
        placed.shape = shape.unwrap_or(placed.shape);
        placed
    };
    let sites = variant.sites.iter().map(place).collect();
    (ops, sites)
}

/// How many of a model's sites have no op of their own, since the engine merged them into others.
pub fn folded(variant: &Variant, loaded: &Loaded) -> usize {
    attribute(variant, loaded).1.iter().filter(|site| site.folded_into.is_some()).count()
}

/// Gives sites without an op the shape that the same site has elsewhere: an activation keeps its shape.
pub fn share_shapes<'a>(variants: impl Iterator<Item = &'a mut Vec<Site>>) {
    let mut variants: Vec<&mut Vec<Site>> = variants.collect();
    let known: std::collections::HashMap<String, Vec<usize>> = variants
        .iter()
        .rev()
        .flat_map(|sites| sites.iter())
        .filter(|s| !s.shape.is_empty())
        .map(|s| (s.node.clone(), s.shape.clone()))
        .collect();
    for site in variants.iter_mut().flat_map(|sites| sites.iter_mut()).filter(|s| s.shape.is_empty()) {
        site.shape = known.get(&site.node).cloned().unwrap_or_default();
    }
}

fn names(variant: &Variant) -> Vec<String> {
    let mut names = vec![];
    onnx::for_each_node(variant.model.graph(), &mut |node| names.push(onnx::label(node).to_owned()));
    names
}

fn named(index: usize, op: &protocol::Op, names: &[String]) -> Op {
    let onnx: Vec<String> = op.onnx.iter().filter_map(|&node| names.get(node).cloned()).collect();
    Op {
        index,
        op: op.op.clone(),
        kernel: op.kernel.clone(),
        generic_kernel: op.generic_kernel,
        node: onnx.last().cloned().unwrap_or_default(),
        onnx,
        inputs: op.inputs.clone(),
        outputs: op.outputs.clone(),
        elements: op.elements,
        ..Op::default()
    }
}

/// A site of which no op is known, as of a variant that was never loaded.
pub fn unplaced(site: &VariantSite) -> Site {
    Site {
        node: site.node.clone(),
        from: site.from.clone(),
        to: site.to.clone(),
        lowering: site.lowering,
        shape: vec![],
        folded_into: None,
    }
}

/// Which ops compute each node.
fn by_node(ops: &[protocol::Op]) -> HashMap<usize, Vec<usize>> {
    let mut by_node: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, op) in ops.iter().enumerate() {
        op.onnx.iter().for_each(|&node| by_node.entry(node).or_default().push(index));
    }
    by_node
}

/// Finds the ops of a site and marks them.
fn place(
    site: &VariantSite,
    engine_ops: &[protocol::Op],
    by_node: &HashMap<usize, Vec<usize>>,
    ops: &mut [Op],
) -> Site {
    let nodes: HashSet<usize> = site.nodes.iter().copied().collect();
    // What is a part of something larger has no op of its own that can be told.
    let own = |&op: &usize| !site.is_part && engine_ops[op].onnx.iter().all(|node| nodes.contains(node));
    let of_node = |node: &usize| by_node.get(node).into_iter().flatten().copied();
    // The op that puts out the site's value, but computes other nodes too.
    let host_by = |node: &usize| of_node(node).find(|op| !own(op));
    let (mut last_own, mut found) = (None, unplaced(site));
    let touching: BTreeSet<usize> = site.nodes.iter().flat_map(of_node).collect();
    for op in touching.into_iter().filter(own) {
        ops[op].site = Some(site.node.clone());
        last_own = Some(&engine_ops[op]);
    }
    let host = site.nodes.last().and_then(host_by);
    // The engine may have rewritten the node of the value itself: then any other node of the site tells.
    let host = host.or_else(|| site.nodes.iter().rev().find_map(host_by).filter(|_| last_own.is_none()));
    if let Some(host) = host {
        ops[host].folded.push(site.node.clone());
    }
    match last_own {
        Some(op) => found.shape = shape(op),
        None => {
            found.folded_into = host;
            found.shape = host.map(|host| shape(&engine_ops[host])).unwrap_or_default();
        }
    }
    found
}

/// Dimensions of an op's first output, as in `1x64x40x40xf32`.
fn shape(op: &protocol::Op) -> Vec<usize> {
    op.outputs.first().map(|o| o.split('x').filter_map(|d| d.parse().ok()).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Model;
    use crate::onnx::messages::{GraphProto, ModelProto, NodeProto};

    /// conv, sigmoid, mul (SiLU), conv, relu, add.
    fn variant() -> Variant {
        let node = |name: &str| NodeProto { name: Some(name.into()), ..Default::default() };
        let graph = GraphProto {
            node: ["conv", "sigmoid", "mul", "conv2", "relu", "add"].map(node).to_vec(),
            ..Default::default()
        };
        let proto = ModelProto { graph: Some(graph), ..Default::default() };
        Variant {
            model: Model { proto, dir: None },
            sites: vec![site("mul", "silu", &[1, 2]), site("relu", "relu", &[4])],
            skipped: vec![],
        }
    }

    fn site(node: &str, kind: &str, nodes: &[usize]) -> VariantSite {
        let kind = kind.to_owned();
        VariantSite {
            node: node.into(),
            from: kind.clone(),
            to: kind,
            selected: true,
            lowering: None,
            is_part: false,
            nodes: nodes.to_vec(),
        }
    }

    fn attribute(variant: &Variant, ops: &[protocol::Op]) -> (Vec<Op>, Vec<Site>) {
        super::attribute(variant, &loaded(ops, vec![]))
    }

    fn loaded(ops: &[protocol::Op], shapes: Vec<Option<Vec<usize>>>) -> Loaded {
        Loaded {
            load_ns: 0,
            optimise_ns: 0,
            inputs: vec![],
            ops: ops.to_vec(),
            shapes,
            macs: None,
            rss_bytes: None,
            engine: crate::record::Engine::default(),
            abilities: protocol::Abilities::default(),
        }
    }

    fn op(onnx: &[usize], output: &str) -> protocol::Op {
        protocol::Op { onnx: onnx.to_vec(), outputs: vec![output.into()], ..Default::default() }
    }

    #[test]
    fn a_site_with_ops_of_its_own_owns_them_all() {
        let engine =
            [op(&[0], "1x8x4x4xf32"), op(&[1], "1x8x4x4xf32"), op(&[2], "1x8x2x4xf32"), op(&[3, 4], "2xf32")];
        let (ops, sites) = attribute(&variant(), &engine);
        let owners: Vec<Option<&str>> = ops.iter().map(|o| o.site.as_deref()).collect();
        assert_eq!(owners, [None, Some("mul"), Some("mul"), None]);
        assert_eq!((sites[0].folded_into, sites[0].shape.as_slice()), (None, &[1, 8, 2, 4][..]));
        assert_eq!(ops[2].node, "mul");
    }

    #[test]
    fn a_site_has_the_shape_that_the_model_gives_it() {
        let ops = [op(&[0], "f32"), op(&[1, 2], "8x16xf32")];
        let loaded = loaded(&ops, vec![None, None, Some(vec![1, 8, 4, 4])]);
        assert_eq!(super::attribute(&variant(), &loaded).1[0].shape, [1, 8, 4, 4]);
    }

    #[test]
    fn a_site_merged_into_its_producer_is_folded() {
        let (ops, sites) = attribute(&variant(), &[op(&[0, 1, 2], "1x8xf32"), op(&[3, 4], "1x9xf32")]);
        assert_eq!(ops[0].folded, ["mul"]);
        assert_eq!((sites[0].folded_into, sites[1].folded_into), (Some(0), Some(1)));
        assert_eq!(sites[1].shape, [1, 9]);
        assert_eq!(ops[1].onnx, ["conv2", "relu"]);
        assert!(ops.iter().all(|o| o.site.is_none()));
    }

    #[test]
    fn a_site_inside_a_larger_operator_has_no_op_of_its_own() {
        let mut variant = variant();
        variant.sites[1].is_part = true;
        let (ops, sites) = attribute(&variant, &[op(&[0], "1x8xf32"), op(&[4], "1x9xf32")]);
        assert_eq!((sites[1].folded_into, ops[1].folded.as_slice()), (Some(1), &["relu".to_owned()][..]));
        assert!(ops[1].site.is_none());
    }

    #[test]
    fn a_site_that_is_partly_merged_shows_in_both_places() {
        let (ops, sites) =
            attribute(&variant(), &[op(&[0], "f32"), op(&[1], "1x8xf32"), op(&[2, 5], "1x8xf32")]);
        assert_eq!(ops[1].site.as_deref(), Some("mul"));
        assert_eq!(ops[2].folded, ["mul"]);
        assert_eq!(sites[0].folded_into, None);
    }

    #[test]
    fn a_site_of_which_only_a_part_is_left_is_found_by_it() {
        let (ops, sites) = attribute(&variant(), &[op(&[0, 1], "1x8xf32")]);
        assert_eq!((sites[0].folded_into, ops[0].folded.as_slice()), (Some(0), &["mul".to_owned()][..]));
    }

    #[test]
    fn a_site_that_the_engine_dropped_has_no_op_and_the_shape_of_the_others() {
        let (_, sites) = attribute(&variant(), &[op(&[0], "1x8xf32"), op(&[3, 4], "1x9xf32")]);
        assert_eq!((sites[0].folded_into, sites[0].shape.len()), (None, 0));
        let (_, other) = attribute(&variant(), &[op(&[0, 1, 2], "1x7xf32")]);
        let mut all = [sites, other];
        share_shapes(all.iter_mut());
        assert_eq!((all[0][0].shape.as_slice(), all[1][1].shape.as_slice()), (&[1, 7][..], &[1, 9][..]));
    }
}
