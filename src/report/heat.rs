//! Figures of a variant by ONNX node, for viewers that show a model's graph.
//!
//! An op's figure stands at one node, so that a sum over nodes is the sum over ops: at the site whose activation it computes,
//! else at the node that the op is named by. An op that a folded activation gave its name stands at its host. Of the other
//! nodes that an op computes it is told at which node they are to be found.

use std::collections::{BTreeMap, HashMap};

use super::facts;
use crate::error::{Error, Result};
use crate::record::{Delta, Op, Record, Role, Variant};
use crate::suggest::nearest;

/// What is shown of each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Metric {
    /// Mean time in profiled runs, in ms
    Latency,
    /// That as a part of the run, in %
    Share,
    /// What its ops allocate, outputs and scratch, in MB
    Memory,
    /// Its time over that of the original
    Ratio,
}

impl Metric {
    pub const ALL: [Self; 4] = [Self::Latency, Self::Share, Self::Memory, Self::Ratio];

    /// What a viewer calls it, which may have little room.
    pub fn title(self) -> &'static str {
        match self {
            Self::Latency => "latency, ms",
            Self::Share => "share, %",
            Self::Memory => "memory, MB",
            Self::Ratio => "ratio",
        }
    }

    /// The name under which a model's own file has it, and its unit.
    pub fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::Latency => ("oplat.latency", " ms"),
            Self::Share => ("oplat.share", "%"),
            Self::Memory => ("oplat.memory", " MB"),
            Self::Ratio => ("oplat.ratio", ""),
        }
    }
}

/// What is to be shown on the graph.
#[derive(Clone, Debug, Default)]
pub struct OnGraph {
    /// All that are known, where none is named.
    pub metrics: Vec<Metric>,
    /// The variant; failing that the original, of ratios the first swap.
    pub variant: Option<String>,
}

/// A figure by node.
pub struct Heat<'r> {
    pub metric: Metric,
    pub variant: &'r Variant,
    /// What the variant is compared with, of a ratio.
    pub against: Option<&'r Variant>,
    /// In the order of the run, each node once.
    pub nodes: Vec<(&'r str, f64)>,
    /// What belongs to no node.
    pub of_no_node: f64,
}

impl<'r> Heat<'r> {
    /// `mish, exported`, `mish, exported against original`: what the figures are of.
    pub fn of(&self, record: &Record) -> String {
        let name = facts::label(record, self.variant);
        match self.against {
            Some(against) => format!("{name} against {}", facts::label(record, against)),
            None => name,
        }
    }

    /// The metrics that were asked for, of variants that may be chosen; where none was, all that are known. Fails, with
    /// the reason, if there is nothing to show.
    pub fn all(
        record: &'r Record,
        show: &OnGraph,
        may: impl Fn(&Variant) -> bool + Copy,
    ) -> Result<Vec<Self>> {
        if !show.metrics.is_empty() {
            return show.metrics.iter().map(|metric| Self::new(record, *metric, show, may)).collect();
        }
        let tried = Metric::ALL.map(|metric| Self::new(record, metric, show, may));
        let mut refused = None;
        let mut known = vec![];
        for heat in tried {
            match heat {
                Ok(heat) => known.push(heat),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if known.is_empty() => Err(error),
            _ => Ok(known),
        }
    }

    pub fn new(
        record: &'r Record,
        metric: Metric,
        show: &OnGraph,
        may: impl Fn(&Variant) -> bool + Copy,
    ) -> Result<Self> {
        let variant = chosen(record, metric, show.variant.as_deref(), may)?;
        let mut heat = Self { metric, variant, against: None, nodes: vec![], of_no_node: 0.0 };
        if metric == Metric::Memory {
            let known = |op: &Op| op.output_bytes.or(op.scratch_bytes).is_some();
            if !variant.ops.iter().any(known) {
                return Err(nothing(variant, "no memory of ops is known"));
            }
            let bytes = |op: &Op| op.output_bytes.unwrap_or(0) + op.scratch_bytes.unwrap_or(0);
            heat.add_up(bytes, |bytes| bytes as f64 / 1e6);
            return Ok(heat);
        }
        check_times(record, variant)?;
        match metric {
            Metric::Share => {
                let run = variant.ops.iter().map(|op| op.mean_ns).sum::<u64>()
                    + variant.profiled.map_or(0, |profiled| profiled.unaccounted_ns);
                heat.add_up(|op| op.mean_ns, |ns| rounded(100.0 * ns as f64 / run.max(1) as f64));
            }
            Metric::Ratio => {
                let against = base(record, variant, may)?;
                check_times(record, against)?;
                heat.against = Some(against);
                heat.nodes = ratios(against, variant);
            }
            _ => heat.add_up(|op| op.mean_ns, |ns| ns as f64 / 1e6),
        }
        Ok(heat)
    }

    /// The sum of the ops' figures at each node.
    fn add_up(&mut self, of: impl Fn(&Op) -> u64, shown: impl Fn(u64) -> f64) {
        let (mut sums, mut at, mut rest) = (Vec::<(&str, u64)>::new(), HashMap::new(), 0);
        for op in &self.variant.ops {
            match place(op) {
                Some(node) => {
                    let i = *at.entry(node).or_insert_with(|| {
                        sums.push((node, 0));
                        sums.len() - 1
                    });
                    sums[i].1 += of(op);
                }
                None => rest += of(op),
            }
        }
        self.nodes = sums.into_iter().map(|(node, sum)| (node, shown(sum))).collect();
        self.of_no_node = shown(rest);
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The node at which an op's figures stand; `None` if it computes none that has a name.
pub fn place(op: &Op) -> Option<&str> {
    let named = |node: &&String| !node.is_empty();
    let host = || op.onnx.iter().rfind(|node| named(node) && !op.folded.contains(node));
    let own = Some(&op.node).filter(named);
    let node = match own {
        _ if op.site.is_some() => op.site.as_ref().filter(named).or(own),
        Some(node) if op.folded.contains(node) => host().or(own),
        Some(_) => own,
        None => host(),
    };
    node.map(String::as_str)
}

/// The nodes that are computed with another: each with the node at which its figures are found.
pub fn elsewhere(variant: &Variant) -> BTreeMap<&str, &str> {
    let places: Vec<&str> = variant.ops.iter().filter_map(place).collect();
    let own: std::collections::HashSet<&str> = places.into_iter().collect();
    let mut found = BTreeMap::new();
    for op in &variant.ops {
        let Some(host) = place(op) else { continue };
        let others = op.onnx.iter().chain(&op.folded).map(String::as_str);
        for node in others.filter(|node| !node.is_empty() && !own.contains(node)) {
            found.entry(node).or_insert(host);
        }
    }
    found
}

/// The time of the variant over the other's, by node. What one of the two computes in one op is one on both sides: there the
/// ratio is that of all of it, at each node that has a figure.
fn ratios<'r>(base: &'r Variant, variant: &'r Variant) -> Vec<(&'r str, f64)> {
    let mut groups = Groups::default();
    for op in base.ops.iter().chain(&variant.ops) {
        let Some(node) = place(op) else { continue };
        let others = op.onnx.iter().chain(&op.folded).filter(|other| !other.is_empty());
        others.for_each(|other| groups.join(node, other));
    }
    let mut times: HashMap<usize, [u64; 2]> = HashMap::new();
    let mut nodes: Vec<(&str, usize)> = vec![];
    for (side, of) in [base, variant].into_iter().enumerate() {
        for op in &of.ops {
            let Some(node) = place(op) else { continue };
            let group = groups.of(node);
            times.entry(group).or_default()[side] += op.mean_ns;
            nodes.push((node, group));
        }
    }
    let mut seen = std::collections::HashSet::new();
    nodes.retain(|(node, _)| seen.insert(*node));
    let ratio = |(node, group): (&'r str, usize)| {
        let [base, new] = times.get(&group).copied().unwrap_or_default();
        (base > 0 && new > 0).then(|| (node, rounded(new as f64 / base as f64)))
    };
    nodes.into_iter().filter_map(ratio).collect()
}

/// Nodes that belong together.
#[derive(Default)]
struct Groups<'r> {
    numbers: HashMap<&'r str, usize>,
    /// The next of each on the way to the one that stands for all.
    next: Vec<usize>,
}

impl<'r> Groups<'r> {
    fn join(&mut self, a: &'r str, b: &'r str) {
        let (a, b) = (self.of(a), self.of(b));
        self.next[a] = b;
    }

    fn of(&mut self, node: &'r str) -> usize {
        let mut at = *self.numbers.entry(node).or_insert_with(|| {
            self.next.push(self.next.len());
            self.next.len() - 1
        });
        while self.next[at] != at {
            self.next[at] = self.next[self.next[at]];
            at = self.next[at];
        }
        at
    }
}

/// The variant that is meant.
fn chosen<'r>(
    record: &'r Record,
    metric: Metric,
    name: Option<&str>,
    may: impl Fn(&Variant) -> bool + Copy,
) -> Result<&'r Variant> {
    let all = || record.variants.iter().filter(|variant| may(variant) && !variant.ops.is_empty());
    if let Some(name) = name {
        let named = |variant: &&Variant| variant.name == name || facts::label(record, variant) == name;
        return all().find(named).ok_or_else(|| unknown(name, all()));
    }
    let of = |role| all().find(|variant| variant.role == role);
    let found = match metric {
        Metric::Ratio => of(Role::Swap).or_else(|| all().find(|variant| compared(variant).is_some())),
        _ => of(Role::Original).or_else(|| all().next()),
    };
    found.ok_or_else(|| {
        Error::input(match (metric, all().next()) {
            (Metric::Ratio, Some(_)) => {
                "a ratio needs a second variant, and the record has one: give another --metric"
            }
            _ => "no variant of the record has operators to show",
        })
    })
}

fn unknown<'r>(name: &str, all: impl Iterator<Item = &'r Variant>) -> Error {
    let names: Vec<&str> = all.map(|variant| variant.name.as_str()).collect();
    let meant = nearest(name, names.iter().copied())
        .map_or(String::new(), |name| format!(" (did you mean {name:?}?)"));
    Error::input(format!(
        "--variant {name}: no such variant with operators{meant}; there are {}",
        names.join(" | ")
    ))
}

/// The comparison of a variant, of the original of a further engine that with the first one's.
fn compared(variant: &Variant) -> Option<&Delta> {
    variant.delta.as_ref().or(variant.across.as_ref())
}

/// What a variant is compared with.
fn base<'r>(
    record: &'r Record,
    variant: &Variant,
    may: impl Fn(&Variant) -> bool + Copy,
) -> Result<&'r Variant> {
    let all = || record.variants.iter().filter(|other| other.name != variant.name && !other.ops.is_empty());
    let against = compared(variant).map(|delta| delta.against.as_str());
    let own = |other: &&Variant| {
        may(other)
            && other.role == Role::Original
            && other.engine == variant.engine
            && other.model == variant.model
    };
    all()
        .find(|other| Some(other.name.as_str()) == against)
        .or_else(|| all().find(own))
        .ok_or_else(|| nothing(variant, "it is what others are compared with: name another --variant"))
}

/// Fails where times of ops say nothing, or there are none.
fn check_times(record: &Record, variant: &Variant) -> Result<()> {
    if !facts::timed(record) {
        return Err(Error::input(EMULATED));
    }
    if variant.profiled.is_none() {
        return Err(nothing(variant, "it has no profiled runs, so that no times of operators are known"));
    }
    Ok(())
}

/// Why no times are shown.
pub const EMULATED: &str =
    "measured under an emulator, whose times say nothing about a device: there are none to show";

fn nothing(variant: &Variant, why: &str) -> Error {
    Error::input(format!("{}: {why}", variant.name))
}

/// The only record, as a graph can't show several.
pub fn one<'r>(records: &[super::NamedRecord<'r>]) -> Result<&'r Record> {
    match records {
        [one] => Ok(one.record),
        _ => Err(Error::input("figures on a graph are those of one record: give one at a time")),
    }
}
