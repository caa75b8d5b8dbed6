//! Several records of one side as one. Where both sides were measured several times in turn (A B A B), what differs
//! on the machine from one measurement to the next averages out.
//!
//! Forks are replications whichever record they are of, so they are put together, and the latencies and means that
//! are compared are made of all of them. All else (memory, sites) is the first record's.

use std::borrow::Cow;

use super::join::join;
use super::variants::{Comparable, keys};
use super::{NamedRecord, distinct};
use crate::error::{Error, Result};
use crate::record::{Latency, Op, Record, Variant};
use crate::stats::Samples;

/// The side as one record. Fails where a record has no variant in common with the first.
pub fn pool<'r>(side: &[NamedRecord<'r>]) -> Result<Cow<'r, Record>> {
    let [first, others @ ..] = side else { return Err(Error::input("there is no record to compare")) };
    if others.is_empty() {
        return Ok(Cow::Borrowed(first.record));
    }
    let mut pooled = first.record.clone();
    let mut all: Vec<Vec<&Variant>> = first.record.variants.iter().map(|v| vec![v]).collect();
    for other in others {
        let (of_first, of_other) = (Comparable::all(first.record), Comparable::all(other.record));
        let joined = join(&of_first, &of_other, &keys());
        if joined.pairs.is_empty() {
            let message = "have no variant in common: they are not one side measured again";
            return Err(Error::input(format!("{} and {} {message}", first.name, other.name)));
        }
        for pair in joined.pairs {
            all[pair.base.at].push(pair.new.variant);
        }
        pooled.environment.warnings.extend_from_slice(&other.record.environment.warnings);
        pooled.settings.forks += other.record.settings.forks;
    }
    pooled.environment.warnings = distinct(pooled.environment.warnings);
    pooled.variants = all.iter().map(|v| together(v)).collect();
    Ok(Cow::Owned(pooled))
}

/// One variant of several records.
fn together(records: &[&Variant]) -> Variant {
    let mut variant = records[0].clone();
    variant.forks = records.iter().flat_map(|v| v.forks.iter().cloned()).collect();
    variant.latency = Latency::of(&variant.forks);
    variant.error = records.iter().find_map(|v| v.error.clone());
    for (at, op) in variant.ops.iter_mut().enumerate() {
        let same =
            records.iter().filter_map(|v| v.ops.get(at)).filter(|o| (&o.node, &o.op) == (&op.node, &op.op));
        merge(op, &same.collect::<Vec<_>>());
    }
    let unaccounted = records.iter().filter_map(|v| Some(v.profiled?.unaccounted_ns as f64));
    if let (Some(profiled), Some(mean)) = (variant.profiled.as_mut(), Samples::new(unaccounted)) {
        profiled.unaccounted_ns = mean.mean().round() as u64;
    }
    variant
}

fn merge(op: &mut Op, same: &[&Op]) {
    op.fork_mean_ns = same.iter().flat_map(|o| o.fork_mean_ns.iter().copied()).collect();
    if let Some(means) = Samples::from_ns(&op.fork_mean_ns) {
        op.mean_ns = means.mean().round() as u64;
    }
}
