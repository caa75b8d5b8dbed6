//! Activations on their own: what a function costs where no network hides it.
//!
//! The study that oplat re-does timed loops over 1,152 and 9,216 numbers. This is the same question asked with
//! care: fresh input for every forward, a copy of the same bytes and a ReLU measured beside it in the same
//! rounds, both lowerings, intervals over processes.
//!
//! `config` is what can be asked for, `plan` what that comes to, `session` the measurement as it happens, `figures` its
//! statistics, `claims` what they say of the study, `assemble` the record of it all. One worker process of each
//! engine is one fork, and holds all rows of its engine. They take turns in random order, round by round, so that every ratio is paired within a process.
//! What is timed, and in which state the caches are, is up to the engine's backend: its `solo` module says so.

mod assemble;
mod claims;
mod config;
mod figures;
mod plan;
mod session;
#[cfg(test)]
mod tests;

use std::time::{Instant, SystemTime};

pub use config::{Activations, Config};
pub use plan::{Effort, Plan};

use crate::device::Target;
use crate::error::{Error, Result};
use crate::measure::{self, Interrupt, MachineClient, Progress};
use crate::record::bench::Bench;

/// Measures what is planned and makes the record of it.
///
/// What the engine refuses is left out, and the record says why. Fails if nothing at all can be measured (bad
/// input), or if a worker is lost or the user interrupts before one fork is complete.
pub fn measure(
    plan: &Plan,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Bench> {
    measure::open_target(plan.engines.iter(), target, progress, interrupt)?;
    let (started, began) = (SystemTime::now(), Instant::now());
    measure::check_engines(plan.engines.iter(), target, progress, interrupt)?;
    let machine = MachineClient::start(plan.cpus.as_deref(), 1, target, interrupt)?;
    let raw = session::run(plan, machine.cpus(), target, progress, interrupt)?;
    let isa = raw.engines.first().map_or(&[][..], |engine| &engine.engine.isa);
    let environment = machine.finish(isa);
    Ok(assemble::record(plan, raw, environment, started, began.elapsed()))
}

/// Fails if the measurement ended early.
pub fn complete(bench: &Bench) -> Result<()> {
    match (bench.settings.interrupted, bench.settings.forks) {
        (false, _) => Ok(()),
        (true, forks) => Err(Error::lost(format!(
            "ended early, after {forks} of {} forks: what was measured until then is reported",
            bench.settings.forks_wanted
        ))),
    }
}
