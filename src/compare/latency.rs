//! How much longer a variant takes in one record than in another, where nothing pairs their runs.

use crate::record::{Delta, Record, Variant};
use crate::stats::{Samples, welch};

/// How much the same binary's latency moves from one measurement to the next on the same machine, beyond what the
/// forks of either show: caches, clocks and other programs settle differently. Smaller differences are not called.
///
/// Eleven records of one binary, made one after another on a shared virtual machine under moderate load, lay 1.1 to
/// 1.8% (standard deviation) apart beyond their forks' spread. With less than 3% here, 8 forks of such records
/// give a false verdict in more than one of twenty tries; with more, a difference of 10% is missed too often.
pub const DRIFT: f64 = 0.03;

/// Why the latencies of two records say nothing about each other.
pub fn incomparable(base: &Record, new: &Record) -> Option<String> {
    let which = match (base.environment.emulated, new.environment.emulated) {
        (false, false) => return None,
        (true, false) => "the base ran",
        (false, true) => "the newer one ran",
        (true, true) => "both ran",
    };
    Some(format!(
        "{which} under an emulator, whose times say nothing about a device: latencies are not compared"
    ))
}

/// The ratio of latencies, new over base, with Welch's interval over forks.
///
/// A fork's number is the median of the logarithms of its plain run times. `None` where one side has no runs;
/// without an interval where it has but one fork.
pub fn change(against: &str, base: &Variant, new: &Variant, confidence: f64) -> Option<Delta> {
    let ratio = welch(&per_fork(base)?, &per_fork(new)?, confidence).exp();
    Some(Delta::unpaired(against, &ratio, DRIFT))
}

fn per_fork(variant: &Variant) -> Option<Samples> {
    Samples::new(variant.forks.iter().filter_map(|fork| {
        let logs = fork.rounds.iter().flatten().map(|&ns| (ns as f64).ln());
        Some(Samples::new(logs)?.median())
    }))
}
