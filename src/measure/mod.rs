//! Measuring: which process does what when, and what becomes of its answers.
//!
//! Three parts that don't know each other's business: `plan` is the arithmetic of time, `session` talks to
//! workers and collects what they say, `assemble` makes the record of it. Only `session` waits for anything.

mod assemble;
mod attribute;
mod client;
mod compare;
mod failing;
mod files;
mod groups;
mod machine;
mod plan;
mod raw;
mod resume;
mod session;
mod start;
#[cfg(test)]
mod tests;
mod tune;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::device::Target;
use crate::error::{Error, Result};
use crate::protocol::{Input, Load};
use crate::record::{self, Lowering, Record, Role};
use crate::swap;
pub use machine::MachineClient;
use raw::Raw;

pub use crate::device::Interrupt;
pub(crate) use plan::order;
#[cfg(test)]
pub(crate) use tests::scripted;
pub use tune::{Candidate, candidates};

/// All that is needed to measure the variants of one or more models against each other.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The command line, for the record.
    pub command: Vec<String>,
    /// The models, under names that differ.
    pub subjects: Vec<Subject>,
    /// By model, each one's original first; what all are compared against is the very first. Shared by the targets
    /// that measure them.
    pub variants: Arc<Vec<Planned>>,
    /// How to load each variant; the path is filled in when it has been written, inputs are its model's, CPUs
    /// are chosen on the target.
    pub load: Load,
    /// Where it is measured, as the target calls itself.
    pub target: String,
    /// CPUs to pin to, as `--cpus` has them; `None` for the target's default.
    pub cpus: Option<String>,
    /// Processes per variant: the number of replications.
    pub forks: usize,
    /// Wall time that all of it may take.
    pub time: Duration,
    /// Confidence of every interval.
    pub confidence: f64,
    /// Whether first runs are what is measured: a fork is nothing but a cold start of every variant.
    pub cold: bool,
    /// What the target is given between forks.
    pub rest: Rest,
}

/// Processes of each variant, unless a user says how many, where time allows as many. Processes of one program differ, by
/// where their memory lies if by nothing else, and only further processes average that out.
pub const FORKS: usize = 24;

/// A pause before every fork but the first, so that a device without a fan doesn't measure its own heat.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rest {
    pub pause: Duration,
    /// Temperature of the hottest zone below which a fork may begin, thousandths of a degree Celsius.
    pub below_mc: Option<i64>,
}

impl Measurement {
    /// What is measured, as messages call it: the names of the models.
    pub fn name(&self) -> String {
        self.subjects.iter().map(|s| s.model.name.as_str()).collect::<Vec<_>>().join(" and ")
    }
}

/// A model and what it is fed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What is known of it before it is loaded; inputs and MACs come from the worker.
    pub model: record::Model,
    pub inputs: Vec<Input>,
    /// Values of named dimensions.
    pub dims: Vec<(String, i64)>,
}

/// A variant and what tables call it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Index of its model.
    pub subject: usize,
    /// `original`, `mish, exported`, `control`.
    pub name: String,
    pub role: Role,
    /// The activation asked for; `identity` for the control, empty for the original.
    pub rule: String,
    pub lowering: Lowering,
    /// The engine's knobs that are set for it, by full name.
    pub knobs: BTreeMap<String, String>,
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

    /// Does something to the terminal that must not be drawn over.
    fn aside(&mut self, act: &mut dyn FnMut()) {
        act();
    }
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

/// A clock that another one's time started: each group of variants has its own part of the whole.
struct Since<'c> {
    clock: &'c dyn Clock,
    start: Duration,
}

impl Clock for Since<'_> {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.start)
    }
}

/// Measures all variants against each other and makes the record of it.
///
/// A variant that fails has its `error` set, and the others go on. Fails if nothing could be measured: with
/// bad input if the engine refused all variants, otherwise with a lost worker (an interrupt included).
pub fn measure(
    measurement: &Measurement,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    measure_by(&Instant::now(), measurement, None, target, progress, interrupt)
}

/// As [`measure`], going on from a record of the same plan that was cut off: forks that it has aren't made again.
pub fn resume(
    measurement: &Measurement,
    earlier: Option<Record>,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    let Some(earlier) = earlier else { return measure(measurement, target, progress, interrupt) };
    let cut_off = earlier.settings.interrupted || earlier.settings.lost.is_some();
    if !cut_off || earlier.settings.forks >= measurement.forks {
        return Ok(earlier);
    }
    measure_by(&Instant::now(), measurement, Some(&earlier), target, progress, interrupt)
}

/// What a target is like now, with the CPUs that a measurement of one thread would use.
pub fn look(target: &dyn Target, cpus: Option<&str>, interrupt: &Interrupt) -> Result<record::Environment> {
    target.open(interrupt)?;
    Ok(MachineClient::start(cpus, 1, target, interrupt)?.finish(&[]))
}

/// Whether all that was asked for was measured: an error says what was not, and whether the engine refused it
/// (bad input) or something was lost. Where --resume can go on, that is the remedy.
pub fn complete(record: &Record, resumable: bool) -> Result<()> {
    if record.settings.interrupted {
        return Err(Error::lost("interrupted: what was measured until then is reported"));
    }
    if let Some(why) = &record.settings.lost {
        let settings = &record.settings;
        if !resumable || settings.groups.is_some() {
            return Err(Error::lost(format!("{why} (what was measured until then is kept)")));
        }
        let wanted = settings.forks_wanted.map_or_else(String::new, |wanted| format!(" of {wanted}"));
        return Err(Error::lost(format!(
            "{why} (after {}{wanted} forks, which are kept; --resume measures the rest)",
            settings.forks
        )));
    }
    let failed: Vec<_> = record.variants.iter().filter_map(|v| Some((v, v.error.as_ref()?))).collect();
    let first = failed.iter().find(|(v, _)| !v.refused).or(failed.first());
    let Some((variant, error)) = first else { return Ok(()) };
    let more = match failed.len() {
        1 => String::new(),
        n => format!(" ({n} of {} variants failed)", record.variants.len()),
    };
    let message = format!("{}: {error}{more}", variant.name);
    Err(if variant.refused { Error::input(message) } else { Error::lost(message) })
}

fn measure_by(
    clock: &dyn Clock,
    measurement: &Measurement,
    earlier: Option<&Record>,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    if measurement.variants.is_empty() {
        return Err(Error::input(format!("{}: there is no variant to measure", measurement.name())));
    }
    let started = SystemTime::now();
    progress.phase("reaching the target");
    target.open(interrupt)?;
    let mut machine =
        MachineClient::start(measurement.cpus.as_deref(), measurement.load.threads, target, interrupt)?;
    if let Some(earlier) = earlier {
        resume::same_cpus(earlier, machine.cpus())?;
    }
    let groups = match earlier {
        Some(_) => vec![measurement.clone()],
        None => groups::split(measurement, machine.available_bytes()),
    };
    let (mut measured, mut lost) = (vec![], None);
    for group in &groups {
        let since = Since { clock, start: clock.elapsed() };
        let raw = earlier.map_or_else(|| Raw::new(group.variants.len()), Raw::from_record);
        match one_group(group, raw, &mut machine, progress, interrupt, &since) {
            Ok(raw) => {
                lost.clone_from(&raw.lost);
                measured.push((group, raw));
            }
            Err(error) if measured.is_empty() => return Err(error),
            // The groups that are missing say so.
            Err(_) if interrupt.is_raised() => {}
            Err(error) => lost = Some(error.message),
        }
        if lost.is_some() || interrupt.is_raised() {
            break;
        }
    }
    let loaded = measured.iter().flat_map(|(_, raw)| &raw.variants).find_map(|v| v.loaded.as_ref());
    let engine =
        loaded.map(|l| l.engine.clone()).or_else(|| Some(earlier?.engine.clone())).unwrap_or_default();
    let environment = machine.finish(&engine.isa);
    let missing = measured.len() < groups.len();
    let records = measured
        .into_iter()
        .map(|(group, raw)| assemble::record(group, raw, engine.clone(), environment.clone(), started));
    let mut record =
        groups::join(records.collect(), groups.len()).ok_or_else(|| Error::lost("nothing was measured"))?;
    record.settings.interrupted |= missing && lost.is_none();
    record.settings.lost = lost;
    if let Some(earlier) = earlier {
        resume::complete(&mut record, earlier);
    }
    Ok(record)
}

/// Measures the variants of a group, which fit into memory together.
fn one_group(
    group: &Measurement,
    raw: Raw,
    machine: &mut MachineClient,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
    clock: &dyn Clock,
) -> Result<Raw> {
    progress.phase("bringing the variants to the target");
    let files = files::Files::write(&group.variants, machine.target())?;
    let mut raw = session::run(group, raw, machine, &files, progress, interrupt, clock)?;
    raw.elapsed += clock.elapsed();
    raw.usable(group)?;
    Ok(raw)
}
