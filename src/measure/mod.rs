//! Measuring: which process does what when, and what becomes of its answers.
//!
//! A measurement passes through these files from top to bottom:
//!
//! - `mod`: what is to be measured ([`Measurement`]), and [`measure`], which goes from there to the record
//! - `machine`: the worker that says what its machine is and how it fares, from before the first fork to after the last
//! - `engines`: the engines that run variants: whether they can be loaded on the target, and what they say of themselves
//! - `resume`: what the record of a measurement that was cut off is good for: checked here, completed at the end
//! - `groups`: a measurement of its own for each group of variants that fit into memory together
//! - `files`: the variants as files that workers can read
//! - `session`: the forks, one after another, until the time is up
//!   - `budget`: what parts of it cost, as far as it is known
//!   - `pace`: how fast each variant is, and so how long to wait for its worker
//!   - `start`: how a fork begins: pause, cold starts, warm-up
//!   - `turns`: its rounds
//!   - `survey`: memory, short ops and outputs, which are asked for once
//!   - `so_far`: what is known of each variant by now, for who looks on
//!   - `looks`: whether all that was asked is known, so that it may end before its plan does
//!   - `failing`: what becomes of a variant that fails
//! - `plan`: the arithmetic of time that `session` goes by: forks, rounds, runs, and the order of turns
//! - `client`: a variant's worker, with a method for each request
//! - `raw`: what workers said
//! - `assemble`: the record of it
//!   - `attribute`: which op computes which site
//!   - `warnings`: what makes the numbers less sure
//! - `progress`: what a measurement tells while it goes on
//! - `import`: the record of profiles that an app wrote, by the same assembling
//! - `blocks`: many variants, a few at a time, each in one process, where nothing but latency is wanted of them
//! - `tune`: for `--tune`, which knobs could matter for a model that has been measured
//!
//! `machine`, `session` and `tune` wait for workers. All else only computes, but for `files`, which writes.

mod assemble;
mod attribute;
mod blocks;
mod client;
mod engines;
mod files;
mod groups;
mod import;
mod machine;
mod plan;
mod progress;
mod raw;
mod resume;
mod session;
#[cfg(test)]
mod tests;
mod tune;
mod warnings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::device::Target;
use crate::error::{Error, Exit, Result};
use crate::figures;
use crate::protocol::{EngineChoice, Input, Load};
use crate::record::{self, Lowering, Margin, Record, Role};
use crate::swap;
pub use attribute::folded;
pub use blocks::{Answer, Blocks, Step, Told, blocks};
pub use client::{ClientError, WorkerClient};
pub use engines::{check_engines, open_target};
use engines::{check_knobs, engines_of};
pub use files::reach;
pub use import::{Import, import};
pub use machine::MachineClient;
pub use progress::{Once, Part, Progress, Silent, SoFar};
use raw::Raw;

pub use crate::device::Interrupt;
pub(crate) use plan::order;
pub use resume::is_lost;
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
    /// By model, each one's original first. All are compared against the very first. Shared by the targets that measure
    /// them.
    pub variants: Arc<Vec<Planned>>,
    /// How to load each variant. What differs is filled in later: the path when it has been written, inputs by model,
    /// CPUs on the target.
    pub load: Load,
    /// Where it may be measured, as the target calls itself; nothing where that isn't known before.
    pub targets: Vec<String>,
    /// CPUs to pin to, as `--cpus` has them; `None` for the target's default.
    pub cpus: Option<String>,
    /// Processes of each variant: the number of replications.
    pub forks: usize,
    /// Wall time that all of it may take.
    pub time: Duration,
    /// When it ends.
    pub until: Until,
    /// Confidence of every interval; of ratios, that with which all verdicts hold together.
    pub confidence: f64,
    /// The largest difference that a verdict calls none.
    pub margin: Margin,
    /// How much slower than its original a variant may be, as a share, if that is what is asked.
    pub limit: Option<f64>,
    /// Whether first runs are what is measured: a fork is nothing but a cold start of every variant.
    pub cold: bool,
    /// Whether nothing but unprofiled runs is wanted, or outputs alone; see [`blocks()`].
    pub only: Only,
    /// What the target is given between forks.
    pub rest: Rest,
}

/// What of a measurement is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All that a record holds.
    #[default]
    Everything,
    /// Unprofiled runs, as many as are worth the start of a process.
    Latency,
    /// What the variants put out, against the original; nothing is timed.
    Outputs,
}

/// Processes of each variant, unless a user says how many, or the time is too short. Processes of one program differ,
/// if only by where their memory lies, and nothing but more processes averages that out.
pub const FORKS: usize = 24;

/// A pause before every fork but the first, so that a device without a fan doesn't measure its own heat.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rest {
    pub pause: Duration,
    /// Temperature of the hottest zone below which a fork may begin, thousandths of a degree Celsius.
    pub below_mc: Option<i64>,
}

/// When a measurement ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// When every verdict is known, and when its plan does at the latest.
    Decided,
    /// When its plan does.
    #[default]
    End,
}

impl Until {
    pub const ALL: [Self; 2] = [Self::Decided, Self::End];

    pub fn name(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::End => "end",
        }
    }
}

impl Measurement {
    /// Whether it may end before its plan does: there must be something to decide.
    pub fn is_looked_at(&self) -> bool {
        let asked = self.variants.iter().filter(|variant| variant.role != Role::Control).count();
        self.until == Until::Decided && asked > 1
    }

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
    /// The engine that runs it.
    pub engine: PlannedEngine,
    /// The activation or mix asked for; `identity` for the control, empty for the original.
    pub rule: String,
    pub lowering: Lowering,
    /// The engine's knobs that are set for it, by full name.
    pub knobs: BTreeMap<String, String>,
    pub variant: swap::Variant,
}

/// An engine of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedEngine {
    /// What variants and tables call it: `tract`, `ort`; of several of one name `ort #2`.
    pub label: String,
    pub choice: EngineChoice,
}

impl Default for PlannedEngine {
    fn default() -> Self {
        let name = EngineChoice::DEFAULT.to_owned();
        Self { label: name.clone(), choice: EngineChoice { name, library: None } }
    }
}

/// Time since the measurement began.
trait Clock {
    fn elapsed(&self) -> Duration;
}

impl Clock for Instant {
    fn elapsed(&self) -> Duration {
        Instant::elapsed(self)
    }
}

/// A clock that starts later than another: each group of variants has its own part of the time.
struct Since<'c> {
    clock: &'c dyn Clock,
    start: Duration,
}

impl Clock for Since<'_> {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.start)
    }
}

/// Measures all variants against each other and makes the record of it. Goes on from `earlier`, the record of the same
/// plan, if that was cut off or lost a variant: its forks aren't made again. Where it is complete, it is what is given
/// back.
///
/// A variant that fails has its `error` set, and the others go on. Fails if nothing could be measured: with
/// bad input if the engine refused all variants, otherwise with a lost worker (an interrupt included).
pub fn measure(
    measurement: &Measurement,
    earlier: Option<Record>,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    match earlier {
        Some(record) if has_all(&record, measurement) => Ok(resume::settled(record)),
        Some(record) => go_on(&Instant::now(), measurement, &record, target, progress, interrupt),
        None => measure_by(&Instant::now(), measurement, None, target, progress, interrupt),
    }
}

/// Goes on from a record: first with the forks that all lack, then with those that some had lost before.
fn go_on(
    clock: &dyn Clock,
    measurement: &Measurement,
    earlier: &Record,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Record> {
    let mut record = measure_by(clock, measurement, Some(earlier), target, progress, interrupt)?;
    let is_cut_off = record.settings.interrupted || record.settings.lost.is_some();
    if is_cut_off || record.variants.iter().any(is_lost) || has_all(&record, measurement) {
        return Ok(record);
    }
    let since = Since { clock, start: clock.elapsed() };
    match measure_by(&since, measurement, Some(&record), target, progress, interrupt) {
        // What was measured first stays.
        Err(error) if error.exit == Exit::Lost => {
            record.settings.interrupted = interrupt.is_raised();
            record.settings.lost = Some(error.message).filter(|_| !record.settings.interrupted);
            Ok(record)
        }
        done => done,
    }
}

/// Whether a record of the same plan has all that [`measure`] would make of it.
pub fn has_all(record: &Record, measurement: &Measurement) -> bool {
    !resume::is_incomplete(record, measurement)
}

/// What a target is like now, with the CPUs that a measurement of one thread would use.
pub fn look(
    target: &dyn Target,
    cpus: Option<&str>,
    say: &mut dyn FnMut(&str),
    interrupt: &Interrupt,
) -> Result<record::Environment> {
    target.open(&[], say, interrupt)?;
    Ok(MachineClient::start(cpus, 1, target, interrupt)?.finish(&[]))
}

/// Fails if not all that was asked for was measured. The error says what is missing, and whether the engine refused it
/// (bad input) or something was lost. If the record is `resumable`, --resume is named as the remedy.
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
    let failed: Vec<_> = record.variants.iter().filter_map(|v| Some((v, raw::failure_of(v)?))).collect();
    let exit = raw::worst(failed.iter().map(|(_, error)| error.exit));
    let Some((variant, error)) = failed.iter().find(|(_, error)| error.exit == exit) else { return Ok(()) };
    let more = match failed.len() {
        1 => String::new(),
        n => format!(" ({n} of {} variants failed)", record.variants.len()),
    };
    let message = format!("{}: {}{more}", variant.name, error.message);
    let is_taken_up = exit == Exit::Lost && resumable && record.settings.groups.is_none();
    let again = if is_taken_up { "; --resume measures it again" } else { "" };
    Err(Error { exit, message: message + again })
}

/// As [`measure`], by another clock.
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
    progress.phase("reaching the target");
    let engines = || measurement.variants.iter().map(|variant| &variant.engine);
    open_target(engines(), target, progress, interrupt)?;
    let started = SystemTime::now();
    let mut machine =
        MachineClient::start(measurement.cpus.as_deref(), measurement.load.threads, target, interrupt)?;
    if let Some(earlier) = earlier {
        resume::same_cpus(earlier, machine.cpus())?;
    }
    let found = check_engines(engines(), target, progress, interrupt)?;
    check_knobs(measurement, &found)?;
    let groups = match earlier {
        Some(_) => vec![measurement.clone()],
        None => groups::split(measurement, machine.available_bytes()),
    };
    let (measured, lost) = measure_groups(&groups, earlier, &mut machine, progress, interrupt, clock)?;
    let engines = engines_of(&groups, &measured, earlier);
    let engine = engines.first().cloned().unwrap_or_default();
    let environment = machine.finish(&engine.isa);
    let missing = measured.len() < groups.len();
    let records = groups
        .iter()
        .zip(measured)
        .map(|(group, raw)| assemble::record(group, raw, engine.clone(), environment.clone(), started));
    let mut record =
        groups::join(records.collect(), groups.len()).ok_or_else(|| Error::lost("nothing was measured"))?;
    record.settings.interrupted |= missing && lost.is_none();
    record.settings.lost = lost;
    if let Some(earlier) = earlier {
        resume::fill_in(&mut record, earlier);
    }
    record.engines = if engines.len() > 1 { engines } else { vec![] };
    figures::make(&mut record);
    let warnings = warnings::warnings(&record.settings, &record.variants);
    record.environment.warnings.extend(warnings);
    Ok(record)
}

/// Measures the groups in order, until the target is lost or the user interrupts: what was measured of each, and why
/// the target was lost if it was. Fails if nothing was measured of the first.
fn measure_groups(
    groups: &[Measurement],
    earlier: Option<&Record>,
    machine: &mut MachineClient,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
    clock: &dyn Clock,
) -> Result<(Vec<Raw>, Option<String>)> {
    let mut measured: Vec<Raw> = vec![];
    let all: Duration = groups.iter().map(|group| group.time).sum();
    let mut before = Duration::ZERO;
    for (number, group) in groups.iter().enumerate() {
        let since = Since { clock, start: clock.elapsed() };
        let raw = match earlier {
            Some(earlier) => Raw::from_record(earlier, resume::taken_up(earlier, group)),
            None => Raw::new(group.variants.len()),
        };
        let share = |time: Duration| time.as_secs_f64() / all.as_secs_f64().max(1e-9);
        let name = format!("group {} of {}", number + 1, groups.len());
        let rest = all - before - group.time;
        let mut part = Part::new(&mut *progress, name, share(before), share(group.time), rest);
        let progress = if groups.len() > 1 { &mut part as &mut dyn Progress } else { &mut *progress };
        before += group.time;
        match measure_group(group, raw, machine, progress, interrupt, &since) {
            Ok(raw) => measured.push(raw),
            Err(error) if measured.is_empty() => return Err(error),
            // Groups that are missing say that it was interrupted.
            Err(_) if interrupt.is_raised() => break,
            Err(error) => return Ok((measured, Some(error.message))),
        }
        if interrupt.is_raised() || measured.last().is_some_and(|raw| raw.lost.is_some()) {
            break;
        }
    }
    let lost = measured.last().and_then(|raw| raw.lost.clone());
    Ok((measured, lost))
}

/// Measures the variants of a group, which fit into memory together.
fn measure_group(
    group: &Measurement,
    raw: Raw,
    machine: &mut MachineClient,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
    clock: &dyn Clock,
) -> Result<Raw> {
    progress.phase("bringing the variants to the target");
    let files = files::Files::shared(&group.variants, machine.target())?;
    let mut raw = session::run(group, raw, machine, &files, progress, interrupt, clock)?;
    raw.elapsed += clock.elapsed();
    raw.usable(group)?;
    Ok(raw)
}
