//! Measuring: which process does what when, and what becomes of its answers.
//!
//! Three parts that don't know each other's business: `plan` is the arithmetic of time, `session` talks to
//! workers and collects what they say, `assemble` makes the record of it. Only `session` waits for anything.

mod assemble;
mod attribute;
mod compare;
mod failing;
mod files;
mod lane;
mod plan;
mod raw;
mod session;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

use crate::environment::Watch;
use crate::error::{Error, Result};
use crate::record::{self, Record, Role};
use crate::swap;
use crate::target::Target;
use crate::worker::protocol::Load;

pub use crate::target::Interrupt;

/// All that is needed to measure one model's variants against each other.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The command line, for the record.
    pub command: Vec<String>,
    /// What is known of the original before it is loaded; inputs and MACs come from the worker.
    pub model: record::Model,
    /// The first is the original: what the others are compared against.
    pub variants: Vec<Planned>,
    /// How to load each variant; `model` (the path) is filled in when the variant has been written.
    pub load: Load,
    /// Processes per variant: the number of replications.
    pub forks: usize,
    /// Wall time that all of it may take.
    pub time: Duration,
    /// Confidence of every interval.
    pub confidence: f64,
}

/// A variant and what tables call it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// `original`, `mish, exported`, `control`.
    pub name: String,
    pub role: Role,
    /// The activation asked for; `identity` for the control, empty for the original.
    pub rule: String,
    /// `exported` or `kernel`.
    pub lowering: String,
    pub variant: swap::Variant,
}

/// Whoever wants to see how far a measurement is. Called between turns, never during one.
pub trait Progress {
    /// A fork begins: the `fork`th (from 1) of about `forks`; the number may change as speeds become known.
    fn fork(&mut self, _fork: usize, _forks: usize) {}

    /// What is done now, in a few words: `loading mish, exported`, `round 2 of 5`.
    fn phase(&mut self, _what: &str) {}

    /// The share of the whole that is done (0 to 1), and about how long the rest takes.
    fn advance(&mut self, _done: f64, _left: Duration) {}

    /// Something that the user should know now: a variant was lost, time won't do.
    fn note(&mut self, _message: &str) {}
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Time since the measurement began.
trait Clock {
    fn elapsed(&self) -> Duration;
}

impl Clock for Instant {
    fn elapsed(&self) -> Duration {
        Instant::elapsed(self)
    }
}

/// Measures all variants against each other and makes the record of it.
///
/// A variant that fails has its `error` set, and the others go on. Fails if nothing could be measured: with
/// bad input if the engine refused all variants, otherwise with a lost worker (an interrupt included).
pub fn measure(
    experiment: &Experiment,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    measure_by(&Instant::now(), experiment, target, progress, interrupt)
}

fn measure_by(
    clock: &dyn Clock,
    experiment: &Experiment,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    if experiment.variants.is_empty() {
        return Err(Error::input(format!("{}: there is no variant to measure", experiment.model.name)));
    }
    let started = SystemTime::now();
    let watch = Watch::start(&experiment.load.cpus);
    let files = files::Files::write(&experiment.variants, target)?;
    let mut raw = session::run(experiment, target, &files, progress, interrupt, clock)?;
    raw.elapsed = clock.elapsed();
    raw.usable(experiment)?;
    let engine = raw.variants.iter().find_map(|v| v.loaded.as_ref()).map(|l| l.engine.clone());
    let engine = engine.unwrap_or_default();
    let environment = watch.finish(&target.name(), target.emulated(), &engine.isa);
    Ok(assemble::record(experiment, raw, engine, environment, started))
}
