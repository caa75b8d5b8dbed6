//! Variants that don't fit into memory together, measured in groups that do.
//!
//! All workers of a fork are alive at once, since they take turns. If they don't fit, the machine swaps, and what is
//! measured is its disk. Each group has an original and a control of its own, so that every comparison stays a paired
//! one.

use std::collections::HashSet;
use std::time::Duration;

use super::{Measurement, Planned, Until};
use crate::record::{Record, Role};

/// What a worker needs beside its model, bytes.
const WORKER: u64 = 64 << 20;

/// A loaded model needs so many times its weights: the file, the engine's own copy, and what runs use.
const TIMES_WEIGHTS: u64 = 3;

/// The share of the available memory that may be used.
const SHARE: f64 = 0.7;

/// The measurement as one or several, of variants that fit into so many bytes together; unknown memory fits all. The
/// time is shared by number of variants.
pub fn split(measurement: &Measurement, available: Option<u64>) -> Vec<Measurement> {
    let budget = within(available);
    let fits = need(measurement, &measurement.variants) <= budget;
    let groups = if fits { vec![] } else { grouped(measurement, budget) };
    if groups.len() < 2 {
        return vec![measurement.clone()];
    }
    let whole: usize = groups.iter().map(Vec::len).sum();
    let mut known = HashSet::new();
    let of = |(number, mut variants): (usize, Vec<Planned>)| {
        let share = variants.len() as f64 / whole as f64;
        let time = measurement.time.mul_f64(share).max(Duration::from_millis(1));
        for variant in &mut variants {
            if !known.insert(variant.name.clone()) {
                variant.name = format!("{}, group {}", variant.name, number + 1);
            }
        }
        // A record has one end, and each group would have its own.
        Measurement { variants: variants.into(), time, until: Until::End, ..measurement.clone() }
    };
    groups.into_iter().enumerate().map(of).collect()
}

/// How many of the variants fit into so many bytes together.
pub fn room(measurement: &Measurement, available: Option<u64>) -> usize {
    let budget = within(available);
    let fits = |&n: &usize| need(measurement, &measurement.variants[..n]) <= budget;
    (1..=measurement.variants.len()).take_while(fits).count()
}

/// Of available bytes, what may be used.
fn within(available: Option<u64>) -> u64 {
    available.map_or(u64::MAX, |bytes| (bytes as f64 * SHARE) as u64)
}

/// The variants in groups that each need no more than `budget` bytes, or are as small as a group can be: one variant
/// with the original and the control that it is compared with.
fn grouped(measurement: &Measurement, budget: u64) -> Vec<Vec<Planned>> {
    let base = &measurement.variants[0];
    let is_base = |v: &Planned| (v.subject, v.role, &v.knobs) == (base.subject, Role::Original, &base.knobs);
    let with = |group: &[Planned], variant: &Planned| {
        let mut group = group.to_vec();
        let add = |group: &mut Vec<Planned>, one: Option<&Planned>| {
            group.extend(one.filter(|one| !group.iter().any(|v| v.name == one.name)).cloned());
        };
        let its_base = measurement.variants.iter().find(|v| is_base(v) && v.engine == variant.engine);
        add(&mut group, its_base);
        group.push(variant.clone());
        add(&mut group, control(measurement, variant));
        group
    };
    let mut groups: Vec<Vec<Planned>> = vec![];
    for variant in measurement.variants.iter().filter(|v| !is_base(v) && v.role != Role::Control) {
        if let Some(group) = groups.last_mut() {
            let larger = with(group, variant);
            if need(measurement, &larger) <= budget {
                *group = larger;
                continue;
            }
        }
        groups.push(with(std::slice::from_ref(base), variant));
    }
    groups
}

/// What a variant's activations cost is told by the control of its model and knobs.
fn control<'m>(measurement: &'m Measurement, variant: &Planned) -> Option<&'m Planned> {
    let its = (variant.subject, &variant.engine, &variant.knobs, Role::Control);
    measurement.variants.iter().find(|v| (v.subject, &v.engine, &v.knobs, v.role) == its)
}

/// Bytes that the variants' workers may need together.
fn need(measurement: &Measurement, variants: &[Planned]) -> u64 {
    let parameters = |v: &Planned| measurement.subjects[v.subject].model.parameters;
    variants.iter().map(|v| WORKER + TIMES_WEIGHTS * 4 * parameters(v)).sum()
}

/// The groups' records as one: variants one group after another, each compared within its own. Of the `planned` groups
/// the last ones may be missing.
pub fn join(mut records: Vec<Record>, planned: usize) -> Option<Record> {
    let several = records.len();
    let rest = records.split_off(1.min(records.len())).into_iter();
    let mut whole = records.pop()?;
    for (number, mut record) in rest.enumerate() {
        record.variants.iter_mut().for_each(|variant| variant.group = number + 1);
        let before = whole.variants.len();
        let moved = |round: Vec<usize>| round.into_iter().map(|v| v + before).collect();
        let order = record.order.into_iter().map(|fork| fork.into_iter().map(moved).collect());
        whole.order.extend(order);
        whole.variants.extend(record.variants);
        whole.settings.forks = whole.settings.forks.min(record.settings.forks);
        whole.settings.rounds.extend(record.settings.rounds);
        whole.settings.interrupted |= record.settings.interrupted;
        whole.settings.time_limit_ns += record.settings.time_limit_ns;
        whole.settings.elapsed_ns =
            whole.settings.elapsed_ns.zip(record.settings.elapsed_ns).map(|(a, b)| a + b);
        whole.settings.starting_ns =
            whole.settings.starting_ns.zip(record.settings.starting_ns).map(|(a, b)| a + b);
        for warning in record.environment.warnings {
            if !whole.environment.warnings.contains(&warning) {
                whole.environment.warnings.push(warning);
            }
        }
        // Each group's record has all models, but the inputs only of those that it loaded.
        for (known, model) in whole.models.iter_mut().zip(record.models) {
            if known.inputs.is_empty() {
                *known = model;
            }
        }
    }
    whole.settings.groups = (planned > 1).then_some(planned);
    if several > 1 {
        whole.environment.warnings.push(format!(
            "memory is too small for all variants at once: measured in {several} groups, each against an original of its \
             own; compare variants of different groups with care"
        ));
    }
    Some(whole)
}
