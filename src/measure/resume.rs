//! Going on from the record of a measurement that was cut off, or that lost a variant.

use super::raw::{self, TakenUp};
use super::warnings;
use super::{Measurement, Planned};
use crate::error::{Error, Exit, Result};
use crate::record::{Memory, Op, Record, Role, Variant};
use crate::units;

/// Whether forks of the plan are missing from a record of it, those of lost variants included.
pub fn is_incomplete(record: &Record, planned: &Measurement) -> bool {
    is_cut_off(record, planned) || record.variants.iter().any(|v| is_lost(v) || lacks(record, v, planned) > 0)
}

/// Forks that a variant has not, of those that were made and planned: it was lost, and taken up when the others went on.
fn lacks(record: &Record, variant: &Variant, planned: &Measurement) -> usize {
    let has = variant.forks.iter().filter(|fork| !fork.rounds.is_empty()).count();
    let may_have = !variant.refused && !variant.bug && record.settings.groups.is_none();
    if may_have { record.settings.forks.min(planned.forks).saturating_sub(has) } else { 0 }
}

fn is_cut_off(record: &Record, planned: &Measurement) -> bool {
    let settings = &record.settings;
    let surveyed = |v: &Variant| v.refused || v.bug || v.memory.is_some();
    (settings.interrupted || settings.lost.is_some())
        && (settings.forks < planned.forks || !record.variants.iter().all(surveyed))
}

/// A record that has all, as it would be had it not been cut off at its very end.
pub fn settled(mut record: Record) -> Record {
    let before = warnings::cut_short(&record.settings);
    (record.settings.interrupted, record.settings.lost) = (false, None);
    if let Some(at) = record.environment.warnings.iter().position(|w| Some(w) == before.as_ref()) {
        let now = warnings::cut_short(&record.settings);
        record.environment.warnings.splice(at..=at, now);
    }
    record.variants.iter_mut().flat_map(|v| &mut v.forks).for_each(|fork| fork.ops_ns.clear());
    record
}

/// Whether another try may end otherwise.
pub fn is_lost(variant: &Variant) -> bool {
    raw::failure_of(variant).is_some_and(|failed| failed.exit == Exit::Lost)
}

/// The variants that a measurement lost, be it for some forks, which otherwise came to its end. They get as many forks as they
/// lack, beside those that they are compared with. None where forks of all variants are missing.
pub fn taken_up(record: &Record, planned: &Measurement) -> Vec<TakenUp> {
    if is_cut_off(record, planned) {
        return vec![];
    }
    let is_wanted = |v: &Variant| is_lost(v) || lacks(record, v, planned) > 0;
    let lost: Vec<usize> = (0..record.variants.len()).filter(|&v| is_wanted(&record.variants[v])).collect();
    let taken_up = lost.iter().map(|&variant| {
        let its = &planned.variants[variant];
        let alike = |v: &Planned| (v.subject, &v.engine, &v.knobs) == (its.subject, &its.engine, &its.knobs);
        let is_control = |v: &&Planned| v.role == Role::Control && alike(v);
        let control = planned.variants.iter().position(|v| is_control(&v));
        let everyone = its.role != Role::Swap;
        // What it is compared with: its engine's original and control, the first original, the same in the first engine.
        let original =
            planned.variants.iter().position(|v| v.role == Role::Original && v.engine == its.engine);
        let same = |v: &Planned| {
            (v.subject, v.role, &v.rule, v.lowering) == (its.subject, its.role, &its.rule, its.lowering)
        };
        let counterpart = planned.variants.iter().position(same);
        let beside = if everyone {
            (0..planned.variants.len()).collect()
        } else {
            [0].into_iter().chain(original).chain(counterpart).chain(control).collect()
        };
        TakenUp { variant, beside, forks: lacks(record, &record.variants[variant], planned) }
    });
    taken_up.collect()
}

/// Fails if the runs to come would be on other CPUs than those before.
pub fn same_cpus(earlier: &Record, now: &[usize]) -> Result<()> {
    let were = &earlier.environment.affinity;
    if were.is_empty() || were == now {
        return Ok(());
    }
    let (were, now) = (units::cpus(were), units::cpus(now));
    Err(Error::input(format!(
        "--resume: it was measured on CPU {were}, and would go on with {now}: give --cpus {were}"
    )))
}

/// Takes over from `earlier` what the measurement that went on from it has not found out again.
pub fn fill_in(record: &mut Record, earlier: &Record) {
    record.started_at.clone_from(&earlier.started_at);
    for (now, was) in record.variants.iter_mut().zip(&earlier.variants) {
        if was.error.is_some() && !is_lost(was) {
            // It wasn't started again.
            now.clone_from(was);
        } else {
            variant(now, was);
        }
    }
    let models = std::iter::once(&mut record.model).chain(&mut record.models);
    for (now, was) in models.zip(std::iter::once(&earlier.model).chain(&earlier.models)) {
        if now.inputs.is_empty() {
            now.clone_from(was);
        }
    }
}

fn variant(now: &mut Variant, was: &Variant) {
    if now.ops.is_empty() {
        // It was not loaded again, so all its runs are from before.
        now.ops.clone_from(&was.ops);
        now.sites.clone_from(&was.sites);
        now.profiled.clone_from(&was.profiled);
    }
    now.output_change = now.output_change.or(was.output_change);
    if now.memory.is_none() {
        let peak_rss_bytes = now.forks.iter().filter_map(|fork| fork.peak_rss_bytes).max();
        now.memory = was.memory.map(|memory| Memory { peak_rss_bytes, ..memory });
        now.ops.iter_mut().zip(&was.ops).for_each(|(now, was)| {
            let Op { output_bytes, scratch_bytes, live_bytes, allocator_ns, minor_faults, .. } = *was;
            (now.output_bytes, now.scratch_bytes, now.live_bytes) = (output_bytes, scratch_bytes, live_bytes);
            (now.allocator_ns, now.minor_faults) = (allocator_ns, minor_faults);
        });
    }
    if now.ops.iter().all(|op| op.batched_ns.is_none()) {
        now.ops.iter_mut().zip(&was.ops).for_each(|(now, was)| now.batched_ns = was.batched_ns);
    }
}
