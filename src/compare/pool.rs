//! Several records of one side as one. Where both sides were measured several times in turn (A B A B), what differs
//! on the machine from one measurement to the next averages out.
//!
//! Forks are replications whichever record they are of, so they are put together, under numbers that keep those of one record
//! side by side, and all figures that are made of them are made again. All else (memory, sites) is that of the first record
//! that has the variant. An op's mean is of all records' forks; its other figures are made of runs that records don't keep,
//! and are not used here.

use std::borrow::Cow;

use super::join::join;
use super::variants::{Comparable, keys};
use super::{NamedRecord, distinct};
use crate::error::{Error, Result};
use crate::figures;
use crate::record::{Fork, Op, Record, Variant};
use crate::stats::Samples;
use crate::units;

/// The side as one record. Fails where a record has no variant in common with those before it.
pub fn pool<'r>(side: &[NamedRecord<'r>]) -> Result<Cow<'r, Record>> {
    let [first, others @ ..] = side else { return Err(Error::input("there is no record to compare")) };
    if others.is_empty() {
        return Ok(Cow::Borrowed(first.record));
    }
    let mut pooled = first.record.clone();
    let mut known = Comparable::all(first.record);
    let mut first_number = numbers(first.record);
    let mut all: Vec<Vec<Part>> = known.iter().map(|c| vec![Part::new(first.record, c.variant, 0)]).collect();
    for other in others {
        let of_other = Comparable::all(other.record);
        let joined = join(&known, &of_other, &keys());
        if joined.pairs.is_empty() {
            let message = "have no variant in common: they are not one side measured again";
            return Err(Error::input(format!("{} and {} {message}", first.name, other.name)));
        }
        let part = |variant| Part::new(other.record, variant, first_number);
        for pair in joined.pairs {
            all[pair.base.at].push(part(pair.new.variant));
        }
        for mut new in joined.only_new.into_iter().cloned().collect::<Vec<_>>() {
            new.at = known.len();
            all.push(vec![part(new.variant)]);
            known.push(new);
        }
        first_number = first_number.saturating_add(numbers(other.record));
        pooled.environment.warnings.extend_from_slice(&other.record.environment.warnings);
        pooled.imported.extend_from_slice(&other.record.imported);
        pooled.settings.forks = pooled.settings.forks.saturating_add(other.record.settings.forks);
    }
    pooled.environment.warnings.extend(all.iter().filter_map(|parts| in_some(parts, side.len())));
    pooled.environment.warnings = distinct(pooled.environment.warnings);
    pooled.variants = all.iter().map(|parts| together(parts)).collect();
    // Nobody looked at what they come to together.
    pooled.settings.looks = None;
    figures::make(&mut pooled);
    Ok(Cow::Owned(pooled))
}

/// A variant in one of the records.
struct Part<'r> {
    variant: &'r Variant,
    /// The number that its first fork has among all.
    first_number: usize,
}

impl<'r> Part<'r> {
    /// `first_number` is that of the record.
    fn new(record: &Record, variant: &'r Variant, first_number: usize) -> Self {
        let of_group = variant.group.saturating_mul(forks_of_a_group(record));
        Self { variant, first_number: first_number.saturating_add(of_group) }
    }

    /// The forks, each under its number among all.
    fn forks(&self) -> impl Iterator<Item = Fork> {
        self.variant.forks.iter().enumerate().map(|(at, fork)| {
            let number = fork.number.unwrap_or(at).saturating_add(self.first_number);
            Fork { number: Some(number), ..fork.clone() }
        })
    }
}

/// How many numbers a record's forks take. Groups have their own, so that forks of different ones never pair.
fn numbers(record: &Record) -> usize {
    let groups = record.variants.iter().map(|v| v.group).max().unwrap_or(0).saturating_add(1);
    groups.saturating_mul(forks_of_a_group(record))
}

fn forks_of_a_group(record: &Record) -> usize {
    let numbered = |v: &Variant| {
        v.forks.iter().enumerate().map(|(at, fork)| fork.number.unwrap_or(at).saturating_add(1)).max()
    };
    record.variants.iter().filter_map(numbered).max().unwrap_or(0)
}

/// What is to be said of a variant that not all records have.
fn in_some(parts: &[Part], records: usize) -> Option<String> {
    let named = |part: &Part| part.variant.name.clone();
    let few = parts.len() < records;
    few.then(|| {
        let name = parts.first().map(named).unwrap_or_default();
        format!("{name} is in {} of {} only", parts.len(), units::count(records, "record"))
    })
}

/// One variant of several records.
fn together(parts: &[Part]) -> Variant {
    let mut variant = parts[0].variant.clone();
    variant.group = 0;
    variant.forks = parts.iter().flat_map(Part::forks).collect();
    variant.error = parts.iter().find_map(|part| part.variant.error.clone());
    let records = || parts.iter().map(|part| part.variant);
    for (at, op) in variant.ops.iter_mut().enumerate() {
        let same = records().filter_map(|v| v.ops.get(at)).filter(|o| (&o.node, &o.op) == (&op.node, &op.op));
        let same: Vec<&Op> = same.collect();
        merge(op, &same);
    }
    let unaccounted = records().filter_map(|v| Some(v.profiled?.unaccounted_ns as f64));
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
