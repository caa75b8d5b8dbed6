//! A variant in two records: its latency, its memory and where both go.

use serde::Serialize;

use super::breakdown::Breakdown;
use super::join::Key;
use super::limit::{Limit, Outcome};
use crate::record::{Delta, Latency, Memory, Role, Variant};

/// What makes two variants one. Threads, knobs and names only tell variants of one record apart: across records
/// they may differ, and are then named.
pub const KEYS: &[Key<Variant>] = &[
    |v| Some(format!("{:?}", (v.role, &v.rule, &v.lowering, v.threads, &v.knobs, &v.name))),
    |v| Some(format!("{:?}", (v.role, &v.rule, &v.lowering, v.threads, &v.knobs))),
    |v| Some(format!("{:?}", (v.role, &v.rule, &v.lowering, &v.name))),
    |v| Some(format!("{:?}", (v.role, &v.rule, &v.lowering))),
];

/// A variant that both records have.
#[derive(Clone, Debug, Serialize)]
pub struct Matched {
    /// The base's name for it.
    pub name: String,
    pub role: Role,
    pub rule: String,
    pub lowering: String,
    pub base: Side,
    pub new: Side,
    /// The ratio new / base, unpaired; null where there are no latencies to compare.
    pub change: Option<Delta>,
    /// Against the limit, if one was given.
    pub outcome: Option<Outcome>,
    pub memory: Vec<Figure>,
    pub ops: Breakdown,
    pub sites: Breakdown,
}

/// One side of a matched variant.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    pub name: String,
    /// Forks that have runs: the sample size.
    pub forks: usize,
    pub latency: Option<Latency>,
    pub error: Option<String>,
}

/// A size in both records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// `weights`, `peak live`, …
    pub what: &'static str,
    pub base_bytes: Option<u64>,
    pub new_bytes: Option<u64>,
}

type SizeOf = fn(&Memory) -> Option<u64>;

const MEMORY: [(&str, SizeOf); 5] = [
    ("weights", |m| Some(m.weights_bytes)),
    ("peak live", |m| Some(m.peak_live_bytes)),
    ("peak heap", |m| Some(m.peak_heap_bytes)),
    ("retained", |m| Some(m.retained_bytes)),
    ("peak resident", |m| m.peak_rss_bytes),
];

impl Matched {
    pub fn new(base: &Variant, new: &Variant, change: Option<Delta>, limit: Option<Limit>) -> Self {
        Self {
            name: base.name.clone(),
            role: base.role,
            rule: base.rule.clone(),
            lowering: base.lowering.clone(),
            base: side(base),
            new: side(new),
            outcome: limit.map(|limit| limit.judge(change.as_ref())),
            change,
            memory: memory(base, new),
            ops: Breakdown::ops(base, new),
            sites: Breakdown::sites(base, new),
        }
    }
}

fn side(variant: &Variant) -> Side {
    Side {
        name: variant.name.clone(),
        forks: variant.forks.iter().filter(|f| f.rounds.iter().any(|r| !r.is_empty())).count(),
        latency: variant.latency,
        error: variant.error.clone(),
    }
}

fn memory(base: &Variant, new: &Variant) -> Vec<Figure> {
    let figure = |&(what, of): &(&'static str, SizeOf)| Figure {
        what,
        base_bytes: base.memory.as_ref().and_then(of),
        new_bytes: new.memory.as_ref().and_then(of),
    };
    let known = |f: &Figure| f.base_bytes.is_some() || f.new_bytes.is_some();
    MEMORY.iter().map(figure).filter(known).collect()
}
