//! How much longer a variant takes in one record than in another, where nothing pairs their runs.

use crate::record::{Criteria, Delta, Fork, Record};
use crate::stats::{Mean, Samples, holm};

/// How much the same binary's latency moves from one measurement to the next on the same machine, beyond what the
/// forks of either show: caches, clocks and other programs settle differently. A smaller difference is called
/// neither slower nor faster.
///
/// Eleven records of one binary, made one after another on a shared virtual machine under moderate load, lay 1.1 to
/// 1.8% (standard deviation) apart beyond their forks' spread. With less than 3% here, 8 forks of such records
/// give a false verdict in more than one of twenty tries; with more, a difference of 10% is missed too often.
pub const DRIFT: f64 = 0.03;

/// Why the latencies of two records say nothing about each other.
pub fn incomparable(base: &Record, new: &Record) -> Option<String> {
    let which = match (base.environment.emulated, new.environment.emulated) {
        (false, false) => return imported(base, new),
        (true, false) => "the base ran",
        (false, true) => "the newer one ran",
        (true, true) => "both ran",
    };
    Some(format!(
        "{which} under an emulator, whose times say nothing about a device: latencies are not compared"
    ))
}

/// Profiling takes its own time, by op: what an app's profile tells is where time goes.
fn imported(base: &Record, new: &Record) -> Option<String> {
    let which = match (base.imported.is_empty(), new.imported.is_empty()) {
        (true, true) => return None,
        (false, true) => "the base has",
        (true, false) => "the newer one has",
        (false, false) => "both have",
    };
    Some(format!(
        "{which} profiled runs of an app and no unprofiled ones: latencies are not compared, and no verdict is given"
    ))
}

/// The logarithms of a variant's latency, one for each fork: the median over its unprofiled run times. Forks that
/// are far from all others have been left out.
pub type PerFork = Option<Samples>;

pub fn per_fork(steady: &[Option<&Fork>]) -> PerFork {
    Samples::new(steady.iter().flatten().filter_map(|fork| {
        let logs = fork.rounds.iter().flatten().map(|&ns| (ns as f64).ln());
        Some(Samples::new(logs)?.median())
    }))
}

/// The drift to allow for where a side is the mean of several records: what one record is off by, others may make
/// up for.
pub fn drift(base_records: usize, new_records: usize) -> f64 {
    let share = |records: usize| 0.5 / records.max(1) as f64;
    DRIFT * (share(base_records) + share(new_records)).sqrt()
}

/// The logarithm of the ratio of a variant's latencies, new over base. `None` where one side has no runs.
pub fn log_ratio(base: &PerFork, new: &PerFork) -> Option<Mean> {
    Some(Mean::difference(base.as_ref()?, new.as_ref()?))
}

/// The ratios with intervals so wide that all that is said of them holds together with the confidence of `by` (see
/// [`holm`]): that variants became slower or faster by more than the drift and, with a limit, by more than that.
pub fn deltas(ratios: &[Option<Mean>], against: &str, limit: f64, by: Criteria) -> Vec<Option<Delta>> {
    let beyond = by.drift.max(limit).ln_1p();
    let tails: Vec<Option<f64>> =
        ratios.iter().map(|ratio| Some(ratio.as_ref()?.tail_beyond(beyond))).collect();
    let needed = holm(&tails, by.confidence, |alpha| alpha);
    let delta = |(ratio, confidence): (&Option<Mean>, f64)| {
        Some(Delta::new(against, ratio.as_ref()?, Criteria { confidence, ..by }))
    };
    ratios.iter().zip(needed).map(delta).collect()
}
