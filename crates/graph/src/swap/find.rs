//! Finding the sites of a model, and saying why what looks like one isn't.

use std::collections::{HashMap, HashSet};

use super::lowering;
use super::place::{self, Purpose};
use crate::activation::{self, Activation, Kind, Place};
use crate::onnx::index::{Index, Use};
use crate::onnx::pattern::{self, Bound, Match};
use crate::onnx::{Model, formula::Expr};

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
    Other,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::Gate, Self::Decode, Self::Shared, Self::Other];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Decode => "decode",
            Self::Shared => "shared",
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

/// A node that computes an activation function and is no site.
#[derive(Clone, Debug, PartialEq)]
pub struct NotSite {
    pub name: String,
    pub node: usize,
    pub op: String,
    pub refusal: Refusal,
    pub reason: String,
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
}

struct Candidate {
    kind: &'static Kind,
    /// Position of the kind in the registry.
    rank: usize,
    node: usize,
    found: Match,
}

/// Finds the sites of a model.
pub fn find(model: &Model) -> Found {
    let index = Index::new(model);
    let mut candidates = candidates(&index);
    // The explanation of most nodes first: Mish before the Softplus in it.
    candidates.sort_by_key(|c| (std::cmp::Reverse(c.found.nodes.len()), c.rank, c.node));
    let names = names(&index);
    let mut taken: HashSet<usize> = HashSet::new();
    let mut found = Found::default();
    for candidate in candidates {
        if candidate.found.nodes.iter().any(|n| taken.contains(n)) {
            continue;
        }
        taken.extend(&candidate.found.nodes);
        let name = names[candidate.node].clone();
        match judge(&index, &candidate) {
            Ok(()) => found.sites.push(site(&index, candidate, name)),
            // An identity computes nothing, so one that is no site is nothing to speak of.
            Err(_) if index.nodes[candidate.node].is("Identity") => {}
            Err((refusal, reason)) => {
                let op = index.nodes[candidate.node].op().to_owned();
                found.not_sites.push(NotSite { name, node: candidate.node, op, refusal, reason });
            }
        }
    }
    found.sites.sort_by_key(|s| s.node);
    found.not_sites.sort_by_key(|s| s.node);
    found
}

fn candidates(index: &Index) -> Vec<Candidate> {
    let mut candidates = vec![];
    for (node, n) in index.nodes.iter().enumerate() {
        let Some(&output) = n.outputs.first() else { continue };
        if index.is_constant(output) {
            continue;
        }
        candidates.extend(of_our_domain(node, n));
        for (rank, (kind, formula)) in activation::patterns().iter().enumerate() {
            if !may_end_in(formula, n.op()) {
                continue;
            }
            for found in pattern::find(index, formula, output) {
                candidates.push(Candidate { kind, rank, node, found });
            }
        }
    }
    candidates
}

/// A node that calls one of our own functions is what its name says.
fn of_our_domain(node: usize, n: &crate::onnx::index::Node) -> Option<Candidate> {
    let activation = lowering::read(n.proto)?;
    let number = |(p, value): (&activation::Parameter, &Option<f64>)| {
        Some((p.name.to_owned(), Bound::Number((*value)?)))
    };
    let parameters = activation.kind.parameters.iter().zip(&activation.parameters).filter_map(number);
    let found = Match { input: *n.inputs.first()?, parameters: parameters.collect(), nodes: vec![node] };
    Some(Candidate { kind: activation.kind, rank: 0, node, found })
}

/// Whether a formula's last node can be this operator: the one it is written with, or a product.
fn may_end_in(formula: &Expr, op: &str) -> bool {
    match formula {
        Expr::Op(outer) => {
            let product = |name: &str| matches!(name, "Mul" | "Div");
            outer.name == op
                || product(&outer.name) && (product(op) || outer.args.iter().any(|a| may_end_in(a, op)))
        }
        _ => false,
    }
}

/// Whether the candidate is a site, or why not.
fn judge(index: &Index, candidate: &Candidate) -> Result<(), (Refusal, String)> {
    let inside = |user: &Use| matches!(user, Use::Node(id, _) if candidate.found.nodes.contains(id));
    for &id in &candidate.found.nodes {
        if id == candidate.node {
            continue;
        }
        for &value in &index.nodes[id].outputs {
            if let Some(user) = index.uses(value).iter().find(|u| !inside(u)) {
                let reader = match *user {
                    Use::Node(reader, _) => format!("by {}", crate::onnx::label(index.nodes[reader].proto)),
                    Use::ModelOutput | Use::BodyOutput(_) => "as an output".to_owned(),
                };
                let reason = format!(
                    "{} inside this {} is also read {reader}",
                    index.name(value),
                    candidate.kind.name
                );
                return Err((Refusal::Shared, reason));
            }
        }
    }
    let (Some(input), Some(&output)) = (candidate.found.input, index.nodes[candidate.node].outputs.first())
    else {
        return Err((Refusal::Other, "has no input".to_owned()));
    };
    let name = candidate.kind.name;
    match candidate.kind.place {
        Place::Anywhere => Ok(()),
        // Nothing else writes these.
        _ if index.nodes[candidate.node].domain() == lowering::DOMAIN => Ok(()),
        Place::AfterLinear if place::is_after_linear(index, input) => Ok(()),
        Place::AfterLinear => {
            Err((Refusal::Other, "its input doesn't come from a linear operator".to_owned()))
        }
        Place::BetweenLinear => match place::purpose(index, input, output) {
            Purpose::Activation => Ok(()),
            _ if !name.ends_with("sigmoid") => {
                Err((Refusal::Other, "doesn't stand between linear operators".to_owned()))
            }
            Purpose::Gate(scaled) => {
                let scaled = crate::onnx::label(index.nodes[scaled].proto);
                Err((Refusal::Gate, format!("scales another tensor in {scaled}")))
            }
            Purpose::Decode => Err((
                Refusal::Decode,
                "doesn't stand between linear operators: it decodes an output".to_owned(),
            )),
        },
    }
}

fn site(index: &Index, candidate: Candidate, name: String) -> Site {
    let Candidate { kind, node, found, .. } = candidate;
    let parameters = kind.parameters.iter().map(|p| {
        let bound = found.parameters.iter().any(|(n, _)| n == p.name);
        if bound { found.number(p.name) } else { Some(p.default) }
    });
    let input = found.input.unwrap_or_default();
    Site {
        name,
        activation: Activation { kind, parameters: parameters.collect() },
        node,
        data_type: index.data_type(input),
        channels: place::channels(index, input),
        input: index.name(input).to_owned(),
        nodes: found.nodes,
    }
}

/// Every node's name as a user knows it, made different where the file's aren't.
fn names(index: &Index) -> Vec<String> {
    let mut count = HashMap::new();
    for node in &index.nodes {
        *count.entry(crate::onnx::label(node.proto)).or_insert(0) += 1;
    }
    let name = |(i, node): (usize, &crate::onnx::index::Node)| {
        let label = crate::onnx::label(node.proto);
        if count.get(label) == Some(&1) { label.to_owned() } else { format!("{label}@{i}") }
    };
    index.nodes.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::Refusal;

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
}
