//! A variant in two records: its latency, its memory, and where its time goes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::breakdown::Breakdown;
use super::join::Key;
use super::latency::{PerFork, per_fork};
use super::limit::Outcome;
use crate::figures;
use crate::record::{Delta, Fork, Latency, Lowering, Memory, Record, Role, Variant};

/// A variant of a record, with all that its comparison needs.
#[derive(Clone)]
pub struct Comparable<'r> {
    /// Its place among the variants of its side.
    pub at: usize,
    pub variant: &'r Variant,
    /// The model it is made of.
    model: &'r str,
    /// Whether that is the record's only one.
    only: bool,
    /// Whether the record has one engine.
    alone: bool,
    pub latency: PerFork,
}

impl<'r> Comparable<'r> {
    pub fn all(record: &'r Record) -> Vec<Self> {
        let steady = figures::steady(&record.variants);
        let comparable = |(at, (variant, steady)): (usize, (&'r Variant, &Vec<Option<&Fork>>))| Comparable {
            at,
            variant,
            model: variant.model.as_ref().unwrap_or(&record.model.name),
            only: variant.model.is_none(),
            alone: record.engines.is_empty(),
            latency: per_fork(steady),
        };
        record.variants.iter().zip(&steady).enumerate().map(comparable).collect()
    }
}

/// What two variants must have in common to be one; `None` is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity<'r> {
    /// Role, rule and lowering, which every key compares.
    same: Option<(Role, &'r str, Lowering)>,
    engine: Option<&'r str>,
    model: Option<&'r str>,
    settings: Option<(usize, &'r BTreeMap<String, String>)>,
    name: Option<&'r str>,
}

impl<'r> Comparable<'r> {
    fn identity(&self) -> Identity<'r> {
        let Variant { role, rule, lowering, .. } = self.variant;
        Identity { same: Some((*role, rule, *lowering)), ..Identity::default() }
    }

    fn in_engine(&self) -> Identity<'r> {
        Identity { engine: Some(&self.variant.engine), ..self.identity() }
    }

    fn model(&self) -> Option<&'r str> {
        Some(self.model)
    }

    fn settings(&self) -> Option<(usize, &'r BTreeMap<String, String>)> {
        Some((self.variant.threads, &self.variant.knobs))
    }

    fn name(&self) -> Option<&'r str> {
        Some(&self.variant.name)
    }
}

/// The keys by which variants are joined. Engines, threads, knobs and names only tell the variants of one record apart. They
/// may differ between records, and are then named as differences; so may the model, where it is a record's only one.
pub fn keys<'r>() -> [Key<Comparable<'r>, Identity<'r>>; 10] {
    [
        |r| Some(Identity { model: r.model(), settings: r.settings(), name: r.name(), ..r.in_engine() }),
        |r| Some(Identity { model: r.model(), settings: r.settings(), ..r.in_engine() }),
        |r| Some(Identity { model: r.model(), name: r.name(), ..r.in_engine() }),
        |r| Some(Identity { model: r.model(), ..r.in_engine() }),
        |r| r.only.then(|| Identity { settings: r.settings(), name: r.name(), ..r.in_engine() }),
        |r| r.only.then(|| Identity { settings: r.settings(), ..r.in_engine() }),
        |r| r.only.then(|| Identity { name: r.name(), ..r.in_engine() }),
        |r| r.only.then(|| r.in_engine()),
        |r| r.alone.then(|| Identity { model: r.model(), ..r.identity() }),
        |r| (r.alone && r.only).then(|| r.identity()),
    ]
}

/// A variant that both records have.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Matched {
    /// The base's name for it.
    pub name: String,
    pub role: Role,
    pub rule: String,
    pub lowering: Lowering,
    pub base: MatchedSide,
    pub new: MatchedSide,
    /// The ratio new / base, unpaired, with an interval so wide that all verdicts hold together; null where there are
    /// no latencies to compare.
    pub change: Option<Delta>,
    /// Against the limit, if one was given.
    pub outcome: Option<Outcome>,
    pub memory: Vec<MemorySize>,
    pub ops: Breakdown,
    pub sites: Breakdown,
}

/// One side of a matched variant.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MatchedSide {
    pub name: String,
    /// Forks that have runs: the sample size.
    pub forks: usize,
    pub latency: Option<Latency>,
    /// Median of profiled runs.
    pub profiled_p50_ns: Option<u64>,
    pub error: Option<String>,
}

/// A size in both records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemorySize {
    /// `weights`, `peak live`, …
    pub what: &'static str,
    pub base_bytes: Option<u64>,
    pub new_bytes: Option<u64>,
}

pub type SizeOf = fn(&Memory) -> Option<u64>;

/// The sorts of memory that are counted, by name.
pub const MEMORY: [(&str, SizeOf); 5] = [
    ("weights", |m| m.weights_bytes),
    ("peak live", |m| m.peak_live_bytes),
    ("peak heap", |m| m.peak_heap_bytes),
    ("retained", |m| m.retained_bytes),
    ("peak resident", |m| m.peak_rss_bytes),
];

impl Matched {
    pub fn new(base: &Variant, new: &Variant, change: Option<Delta>, outcome: Option<Outcome>) -> Self {
        Self {
            name: base.name.clone(),
            role: base.role,
            rule: base.rule.clone(),
            lowering: base.lowering,
            base: side(base),
            new: side(new),
            outcome,
            change,
            memory: memory(base, new),
            ops: Breakdown::ops(base, new),
            sites: Breakdown::sites(base, new),
        }
    }
}

fn side(variant: &Variant) -> MatchedSide {
    MatchedSide {
        name: variant.name.clone(),
        forks: variant.forks.iter().filter(|f| f.rounds.iter().any(|r| !r.is_empty())).count(),
        latency: variant.latency,
        profiled_p50_ns: variant.profiled.map(|p| p.p50_ns),
        error: variant.error.clone(),
    }
}

fn memory(base: &Variant, new: &Variant) -> Vec<MemorySize> {
    let size = |&(what, of): &(&'static str, SizeOf)| MemorySize {
        what,
        base_bytes: base.memory.as_ref().and_then(of),
        new_bytes: new.memory.as_ref().and_then(of),
    };
    let known = |size: &MemorySize| size.base_bytes.is_some() || size.new_bytes.is_some();
    MEMORY.iter().map(size).filter(known).collect()
}
