//! Sites: where a model applies an activation, and why what looks like one isn't.
//!
//! A site is what it computes. `flow` tells which values are functions of which, `program` is such a function, `curve` its
//! values and `text` its formula. The registry says which activation it is (`activation::recognise`), `place` whether it
//! stands where an activation would, and `find` puts this together. `fused` knows activations inside other operators,
//! `functions` those inside functions that the model brings along, `own` those that we wrote.

mod curve;
mod find;
mod flow;
mod functions;
pub mod fused;
pub mod own;
mod place;
mod program;
mod text;
mod tree;

use crate::activation::{Activation, Kind};

pub use find::{find, flat};

/// A place where the model applies an activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Name of the node that puts out the activation's value: the site's identity.
    pub name: String,
    pub activation: Activation,
    /// Index of that node.
    pub node: usize,
    /// Indices of all nodes that compute it, ascending, without constants.
    pub nodes: Vec<usize>,
    /// Name of the value that the activation is applied to.
    pub input: String,
    /// ONNX element type of its values.
    pub data_type: i32,
    /// Channels of its values, where they are feature maps (batch, channels, rows, columns) of a known number.
    pub channels: Option<usize>,
    /// How many dimensions of size 1 its value has in front, which its input has not.
    pub raised: usize,
    /// Whether it stands inside an operator that does more.
    pub is_fused: bool,
    /// Where it stands in a function that the model brings along. `node` and `nodes` are the call then.
    pub within: Option<Within>,
}

impl Site {
    /// What sites are sorted by: where they stand in the graph, and there in a function.
    fn place(&self) -> (usize, &[usize], usize) {
        self.within.as_ref().map_or((self.node, &[], 0), |within| (self.node, &within.calls, within.node))
    }
}

/// Where a site stands in a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    /// The calls that lead to it, the outermost first: each a node's index in its function, the first one in the model.
    pub calls: Vec<usize>,
    /// As in [`Site`], inside the function.
    pub node: usize,
    pub nodes: Vec<usize>,
    pub input: String,
}

/// Why a node that computes an activation function is no site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It scales another tensor.
    Gate,
    /// It turns a prediction into a number.
    Decode,
    /// A value inside it is read by something else.
    Shared,
    /// It stands where an activation would, and no activation of the registry computes it.
    Unknown,
    Other,
}

impl Refusal {
    const ALL: [Self; 5] = [Self::Gate, Self::Decode, Self::Shared, Self::Unknown, Self::Other];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Decode => "decode",
            Self::Shared => "shared",
            Self::Unknown => UNKNOWN.name,
            Self::Other => "other",
        }
    }

    /// The reason as a record keeps it: `gate: scales another tensor in /Mul`.
    pub fn with_reason(self, reason: &str) -> String {
        format!("{}: {reason}", self.name())
    }

    /// The refusal in what [`Self::with_reason`] wrote; `None` for a reason without one.
    pub fn of_reason(text: &str) -> Option<Self> {
        let (name, _) = text.split_once(": ")?;
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }
}

/// What a site is whose function isn't in the registry.
pub static UNKNOWN: Kind = Kind {
    name: "unknown",
    formula: "none of the registry's",
    derivative: "not known",
    source: "the model",
    detectable: false,
    unswappable_because: Some("nobody knows what it computes"),
    ..Kind::PLAIN
};

/// A node that computes an activation function and is no site.
#[derive(Clone, Debug, PartialEq)]
pub struct NotSite {
    pub name: String,
    pub node: usize,
    pub op: String,
    pub refusal: Refusal,
    pub reason: String,
    /// The site that it is if somebody asks for it: a function that the registry doesn't have.
    pub if_asked: Option<Box<Site>>,
}

/// What was found in a model, in the order of its graph.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub sites: Vec<Site>,
    pub not_sites: Vec<NotSite>,
}

impl Found {
    /// How many sites there are of each kind, the most frequent first.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = vec![];
        for site in &self.sites {
            let name = site.activation.kind.name;
            match counts.iter_mut().find(|(n, _)| *n == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name, 1)),
            }
        }
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        counts
    }

    /// With those functions that the registry doesn't have as sites for which `asked` says so.
    pub fn with(mut self, asked: impl Fn(&Site) -> bool) -> Self {
        let (sites, others) =
            self.not_sites.into_iter().partition(|n| n.if_asked.as_deref().is_some_and(&asked));
        self.sites.extend(Vec::into_iter(sites).filter_map(|n: NotSite| n.if_asked).map(|site| *site));
        self.sites.sort_by(|a, b| a.place().cmp(&b.place()));
        Self { sites: self.sites, not_sites: others }
    }
}

#[cfg(test)]
mod tests;
