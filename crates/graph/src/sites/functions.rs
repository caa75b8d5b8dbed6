//! Sites inside functions that a model brings along: a site for each call.
//!
//! The model is looked at with its functions' nodes in place of their calls, and what is found is told by the calls that
//! the model really has. A function that computes an activation and nothing else stays one node.

use super::program;
use super::{Found, NotSite, Refusal, Site, Within, own};
use crate::onnx::Model;
use crate::onnx::inline::{self, Functions, Origin};
use crate::onnx::messages::FunctionProto;
use std::collections::HashMap;

/// A model with functions opened.
pub struct Opened {
    pub model: Model,
    origins: Vec<Origin>,
    local: HashMap<(Vec<usize>, String), String>,
}

/// The model with the functions opened that do more than one activation; `None` if it has none, or if their calls don't end.
pub fn opened(model: &Model) -> Option<Opened> {
    let functions = Functions::of(&model.proto);
    let opens = |f: &FunctionProto| f.domain() != own::DOMAIN && !program::is_one_step(f, &functions);
    let opened: Vec<[&str; 3]> = model
        .proto
        .functions
        .iter()
        .filter(|f| opens(f))
        .map(|f| [f.domain(), f.name(), f.overload()])
        .collect();
    if opened.is_empty() {
        return None;
    }
    let is_opened = |f: &FunctionProto| opened.contains(&[f.domain(), f.name(), f.overload()]);
    let inlined = inline::inline(&model.proto, &is_opened).ok()?;
    let copy = Model { proto: inlined.model, dir: model.dir.clone() };
    Some(Opened { model: copy, origins: inlined.origins, local: inlined.local })
}

impl Opened {
    /// What was found in the opened model, told by the nodes of the model itself.
    pub fn closed(&self, found: Found) -> Found {
        let mut closed = Found::default();
        let found = self.within_borders(found);
        closed.sites = found.sites.iter().filter_map(|site| self.site(site)).collect();
        closed.not_sites.extend(found.not_sites.into_iter().map(|n| self.not_site(n)));
        closed.sites.sort_by(|a, b| a.place().cmp(&b.place()));
        closed.not_sites.sort_by_key(|n| n.node);
        closed
    }

    /// Without the sites whose nodes are not all in one function.
    pub fn within_borders(&self, mut found: Found) -> Found {
        let mut ops = vec![];
        crate::onnx::for_each_node(self.model.graph(), &mut |n| ops.push(n.op_type()));
        let refused = |site: Site| NotSite {
            name: site.name,
            node: site.node,
            op: ops.get(site.node).map_or(String::new(), |op| (*op).to_owned()),
            refusal: Refusal::Other,
            reason: format!("is a {} that reaches across the border of a function", site.activation),
            if_asked: None,
        };
        let (within, across): (Vec<Site>, _) = found.sites.into_iter().partition(|s| self.site(s).is_some());
        found.not_sites.extend(across.into_iter().map(refused));
        Found { sites: within, not_sites: found.not_sites }
    }

    /// The opened model, with those functions alone that are still called; `None` where their nodes may mean something else in it, as
    /// they are written for another version of the standard operators.
    pub fn flat(self, model: &Model) -> Option<Model> {
        let mut flat = self.model;
        inline::of_another_opset(&model.proto).is_none().then(|| {
            let called = Functions::of(&flat.proto).called(&flat.graph().node);
            let mut number = 0..;
            flat.proto.functions.retain(|_| number.next().is_some_and(|number| called.contains(&number)));
            flat
        })
    }

    /// The node of the model itself: the outermost call.
    fn outermost(&self, node: usize) -> usize {
        let origin = &self.origins[node];
        origin.calls.first().copied().unwrap_or(origin.node)
    }

    fn not_site(&self, not: NotSite) -> NotSite {
        let if_asked = not.if_asked.and_then(|site| self.site(&site)).map(Box::new);
        NotSite { node: self.outermost(not.node), if_asked, ..not }
    }

    /// The site in the model itself; `None` where not all of its nodes are in one function.
    fn site(&self, site: &Site) -> Option<Site> {
        let calls = &self.origins[site.node].calls;
        let nodes = site.nodes.iter().map(|&n| {
            let origin = &self.origins[n];
            (origin.calls == *calls).then_some(origin.node)
        });
        let nodes: Vec<usize> = nodes.collect::<Option<_>>()?;
        let node = self.origins[site.node].node;
        if calls.is_empty() {
            return Some(Site { node, nodes, ..site.clone() });
        }
        let input = self.local.get(&(calls.clone(), site.input.clone()))?.clone();
        let within = Within { calls: calls.clone(), node, nodes, input };
        let call = self.outermost(site.node);
        Some(Site { node: call, nodes: vec![call], within: Some(within), ..site.clone() })
    }
}
