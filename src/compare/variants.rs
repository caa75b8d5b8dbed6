//! A variant in two records: its latency, its memory and where both go.

use std::collections::BTreeMap;

use serde::Serialize;

use super::breakdown::Breakdown;
use super::join::Key;
use super::latency::{PerFork, per_fork};
use super::limit::Outcome;
use crate::record::{Delta, Fork, Latency, Memory, Record, Role, Variant, steady};

/// A variant of a record, with what it takes to compare it.
pub struct Row<'r> {
    /// Its place among the record's variants.
    pub at: usize,
    pub variant: &'r Variant,
    /// The model it is made of.
    model: &'r str,
    /// Whether that is the record's only one.
    only: bool,
    pub latency: PerFork,
}

impl<'r> Row<'r> {
    pub fn all(record: &'r Record) -> Vec<Self> {
        let forks: Vec<&[Fork]> = record.variants.iter().map(|v| v.forks.as_slice()).collect();
        let steady = steady(&forks);
        let row = |(at, (variant, steady)): (usize, (&'r Variant, &Vec<Option<&Fork>>))| Row {
            at,
            variant,
            model: variant.model.as_ref().unwrap_or(&record.model.name),
            only: variant.model.is_none(),
            latency: per_fork(steady),
        };
        record.variants.iter().zip(&steady).enumerate().map(row).collect()
    }
}

/// What makes two variants one. Threads, knobs and names only tell variants of one record apart: across records
/// they may differ, and are then named. So may the model, where it is the only one of either record.
pub fn keys<'r>() -> [Key<Row<'r>>; 8] {
    [
        |r| Some(format!("{:?}", (r.model, same(r.variant), settings(r.variant), &r.variant.name))),
        |r| Some(format!("{:?}", (r.model, same(r.variant), settings(r.variant)))),
        |r| Some(format!("{:?}", (r.model, same(r.variant), &r.variant.name))),
        |r| Some(format!("{:?}", (r.model, same(r.variant)))),
        |r| r.only.then(|| format!("{:?}", (same(r.variant), settings(r.variant), &r.variant.name))),
        |r| r.only.then(|| format!("{:?}", (same(r.variant), settings(r.variant)))),
        |r| r.only.then(|| format!("{:?}", (same(r.variant), &r.variant.name))),
        |r| r.only.then(|| format!("{:?}", same(r.variant))),
    ]
}

/// What two variants must share.
fn same(v: &Variant) -> (Role, &str, &str) {
    (v.role, &v.rule, &v.lowering)
}

fn settings(v: &Variant) -> (usize, &BTreeMap<String, String>) {
    (v.threads, &v.knobs)
}

/// A variant that both records have.
#[derive(Clone, Debug, Serialize)]
pub struct Matched {
    /// The base's name for it.
    pub name: String,
    pub role: Role,
    pub rule: String,
    pub lowering: String,
    pub base: Half,
    pub new: Half,
    /// The ratio new / base, unpaired, as sure as it must be for all to hold together; null where there are no
    /// latencies to compare.
    pub change: Option<Delta>,
    /// Against the limit, if one was given.
    pub outcome: Option<Outcome>,
    pub memory: Vec<Figure>,
    pub ops: Breakdown,
    pub sites: Breakdown,
}

/// One side of a matched variant.
#[derive(Clone, Debug, Serialize)]
pub struct Half {
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
    pub fn new(base: &Variant, new: &Variant, change: Option<Delta>, outcome: Option<Outcome>) -> Self {
        Self {
            name: base.name.clone(),
            role: base.role,
            rule: base.rule.clone(),
            lowering: base.lowering.clone(),
            base: half(base),
            new: half(new),
            outcome,
            change,
            memory: memory(base, new),
            ops: Breakdown::ops(base, new),
            sites: Breakdown::sites(base, new),
        }
    }
}

fn half(variant: &Variant) -> Half {
    Half {
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
