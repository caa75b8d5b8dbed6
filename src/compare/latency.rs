//! How much longer a variant takes in one record than in another, where nothing pairs their runs.

use crate::record::{Delta, Fork, Record};
use crate::stats::{Samples, Welch};

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
        (false, false) => return None,
        (true, false) => "the base ran",
        (false, true) => "the newer one ran",
        (true, true) => "both ran",
    };
    Some(format!(
        "{which} under an emulator, whose times say nothing about a device: latencies are not compared"
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

/// The ratio of a variant's latencies, before it has a verdict.
pub struct Change {
    welch: Welch,
    drift: f64,
}

impl Change {
    /// New over base. `None` where one side has no runs.
    pub fn new(base: &PerFork, new: &PerFork, drift: f64) -> Option<Self> {
        Some(Self { welch: Welch::new(base.as_ref()?, new.as_ref()?), drift })
    }

    /// The change with an interval of this confidence, and with none where a side has only one fork.
    pub fn delta(&self, against: &str, confidence: f64) -> Delta {
        Delta::unpaired(against, &self.welch.estimate(confidence).exp(), self.drift)
    }

    /// How likely so large a difference is where there is none beyond the drift.
    fn chance(&self) -> f64 {
        self.welch.tail_beyond((1.0 + self.drift).ln())
    }
}

/// The confidence that each of the changes needs so that all verdicts hold together (Holm): the clearest one must
/// be as sure as if each of `n` were tried, the next as if one fewer were, until one fails; the rest fail with it.
pub fn holm(changes: &[Option<Change>], confidence: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..changes.len()).filter(|&at| changes[at].is_some()).collect();
    let chance = |at: usize| changes[at].as_ref().map_or(1.0, Change::chance);
    order.sort_by(|&a, &b| chance(a).total_cmp(&chance(b)));
    let mut needed = vec![confidence; changes.len()];
    let (all, alpha) = (order.len(), 1.0 - confidence);
    let mut level = alpha;
    let mut failed = false;
    for (rank, &at) in order.iter().enumerate() {
        if !failed {
            level = alpha / (all - rank) as f64;
            failed = chance(at) > level;
        }
        needed[at] = 1.0 - level;
    }
    needed
}
