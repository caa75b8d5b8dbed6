//! Where a variant's time goes in both records: its ops and its sites side by side. Attribution, from profiled
//! runs: two means and their difference, never a verdict.

use serde::Serialize;

use super::join::{Key, join};
use crate::record::{Op, Site, Variant};
use crate::units;

/// How an op or a site of one record was found to be one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JoinedBy {
    /// The name of the ONNX node.
    Name,
    /// Operator or activation, and shape: in order where there are several.
    Shape,
    /// Not at all: only one record has it.
    Nothing,
}

impl JoinedBy {
    /// As JSON and CSV spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Shape => "shape",
            Self::Nothing => "nothing",
        }
    }
}

/// A variant's ops or sites, the largest difference first, and among equal ones those that take longest.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Breakdown {
    pub rows: Vec<Pair>,
    /// Mean time of a profiled run that no op explains, in either record.
    pub base_unaccounted_ns: Option<u64>,
    pub new_unaccounted_ns: Option<u64>,
}

/// An op or a site in both records, or in one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pair {
    /// The ONNX node, as the base calls it if it has it.
    pub node: String,
    /// Operator or activation: `Exp`; `Silu -> Mish` where the records differ.
    pub what: String,
    pub shape: String,
    pub joined_by: JoinedBy,
    /// Null where the record doesn't have it, or where it takes no time of its own (a folded site).
    pub base_ns: Option<u64>,
    pub new_ns: Option<u64>,
}

impl Pair {
    /// New minus base. What one side lacks counts as 0.
    pub fn difference_ns(&self) -> i64 {
        difference(self.base_ns, self.new_ns)
    }
}

/// New minus base, in ns or bytes; what is missing counts as 0.
pub fn difference(base: Option<u64>, new: Option<u64>) -> i64 {
    let ns = |ns: Option<u64>| i64::try_from(ns.unwrap_or(0)).unwrap_or(i64::MAX);
    ns(new) - ns(base)
}

/// What is compared of an op or a site of one record.
struct Entry {
    node: String,
    what: String,
    shape: String,
    ns: Option<u64>,
}

/// The keys up to this one are names, the rest are shapes.
const BY_NAME: usize = 1;

const KEYS: &[Key<Entry, [String; 3]>] = &[
    |entry| (!entry.node.is_empty()).then(|| [entry.node.clone(), entry.what.clone(), String::new()]),
    |entry| (!entry.node.is_empty()).then(|| [entry.node.clone(), String::new(), String::new()]),
    |entry| Some([String::new(), entry.what.clone(), entry.shape.clone()]),
];

impl Breakdown {
    /// The ops of both sides with the time that no op explains.
    pub fn ops(base: &Variant, new: &Variant) -> Self {
        let entries = |v: &Variant| v.ops.iter().map(Entry::op).collect::<Vec<_>>();
        let unaccounted = |v: &Variant| v.profiled.map(|p| p.unaccounted_ns);
        Self {
            base_unaccounted_ns: unaccounted(base),
            new_unaccounted_ns: unaccounted(new),
            ..Self::join(&entries(base), &entries(new))
        }
    }

    /// The sites of both sides.
    pub fn sites(base: &Variant, new: &Variant) -> Self {
        let entries = |v: &Variant| v.sites.iter().map(|s| Entry::site(v, s)).collect::<Vec<_>>();
        Self::join(&entries(base), &entries(new))
    }

    fn join(base: &[Entry], new: &[Entry]) -> Self {
        let joined = join(base, new, KEYS);
        let both = joined.pairs.iter().map(|joint| {
            let by = if joint.key <= BY_NAME { JoinedBy::Name } else { JoinedBy::Shape };
            Pair {
                node: joint.base.node.clone(),
                what: change(&joint.base.what, &joint.new.what),
                shape: change(&joint.base.shape, &joint.new.shape),
                joined_by: by,
                base_ns: joint.base.ns,
                new_ns: joint.new.ns,
            }
        });
        let alone = |entry: &Entry, base_ns, new_ns| Pair {
            node: entry.node.clone(),
            what: entry.what.clone(),
            shape: entry.shape.clone(),
            joined_by: JoinedBy::Nothing,
            base_ns,
            new_ns,
        };
        let only_base = joined.only_base.iter().map(|entry| alone(entry, entry.ns, None));
        let only_new = joined.only_new.iter().map(|entry| alone(entry, None, entry.ns));
        let mut rows: Vec<Pair> = both.chain(only_base).chain(only_new).collect();
        let takes = |pair: &Pair| pair.base_ns.max(pair.new_ns);
        rows.sort_by_key(|pair| std::cmp::Reverse((pair.difference_ns().unsigned_abs(), takes(pair))));
        Self { rows, ..Self::default() }
    }

    /// How many were joined in this way.
    pub fn count(&self, by: JoinedBy) -> usize {
        self.rows.iter().filter(|pair| pair.joined_by == by).count()
    }
}

impl Entry {
    fn op(op: &Op) -> Self {
        Self {
            node: op.node.clone(),
            what: op.op.clone(),
            shape: op.outputs.join(" "),
            // Ops that were never profiled have no replications; a mean of 0 is no measurement.
            ns: (!op.fork_mean_ns.is_empty() || op.mean_ns > 0).then_some(op.mean_ns),
        }
    }

    fn site(variant: &Variant, site: &Site) -> Self {
        let own = variant.ops.iter().filter(|o| o.site.as_ref() == Some(&site.node));
        Self {
            node: site.node.clone(),
            what: site.to.clone(),
            shape: units::dimensions(&site.shape),
            ns: own.filter_map(|o| Self::op(o).ns).reduce(|a, b| a + b),
        }
    }
}

fn change(base: &str, new: &str) -> String {
    if base == new { base.to_owned() } else { format!("{base} -> {new}") }
}
