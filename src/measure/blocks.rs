//! Many variants, a few at a time, each in one process: for who fits a model to their latencies, and needs no interval of any
//! single one.

use std::time::{Duration, Instant};

use super::groups;
use super::raw::Raw;
use super::{
    Interrupt, MachineClient, Measurement, Part, Planned, Progress, check_engines, measure_group, open_target,
};
use crate::device::Target;
use crate::error::{Error, Result};
use crate::record::{Engine, Environment, Input, OutputChange};
use crate::stats::Samples;
use crate::units;

/// Whoever has variants to measure, and fits something to their latencies.
pub trait Blocks {
    /// The variants of the next block, which are alive and measured together; `None` to end. `elapsed` is the time since the first
    /// began.
    fn next(&mut self, elapsed: Duration) -> Result<Option<Step>>;

    /// Memory has room for so many variants at once, and not for those of the last step, which was not measured: the next one is
    /// asked for in its place. Gives whether there is one that is small enough.
    fn at_most(&mut self, variants: usize) -> bool;

    /// What came of the block, and the time since the first began.
    fn took(&mut self, told: Told, elapsed: Duration) -> Result<()>;
}

/// A block, and what it is for whoever looks on (see [`Part`]).
pub struct Step {
    pub variants: Vec<Planned>,
    pub name: String,
    pub before: f64,
    pub share: f64,
    pub rest: Duration,
}

/// What came of a block.
pub struct Told {
    /// By variant.
    pub answers: Vec<Answer>,
    /// What ran it, and what it was fed; `None` if no variant could be loaded.
    pub loaded: Option<(Engine, Vec<Input>)>,
}

/// What came of a variant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Median of its unprofiled runs; `None` if they were not wanted, or if it failed.
    pub p50_ns: Option<f64>,
    /// What it puts out against the block's first variant, where that was asked for.
    pub change: Option<OutputChange>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Measures block after block, as `measurement` says but for its variants, with new processes for each. What an interrupt cut off is
/// not told, and ends it. Gives what the machine was like meanwhile. Fails if the target is lost, or if nothing of a block could be measured.
pub fn blocks(
    measurement: &Measurement,
    engine: &super::PlannedEngine,
    blocks: &mut dyn Blocks,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Environment> {
    let clock = Instant::now();
    open_target(std::iter::once(engine), target, progress, interrupt)?;
    let threads = measurement.load.threads;
    let mut machine = MachineClient::start(measurement.cpus.as_deref(), threads, target, interrupt)?;
    check_engines(std::iter::once(engine), target, progress, interrupt)?;
    let mut isa = vec![];
    while let Some(step) = blocks.next(clock.elapsed())? {
        let block = Measurement { variants: step.variants.into(), forks: 1, ..measurement.clone() };
        let room = groups::room(&block, machine.available_bytes());
        if room < block.variants.len() {
            if blocks.at_most(room) {
                continue;
            }
            let variants = units::count(block.variants.len(), "variant");
            return Err(Error::input(format!(
                "{}: memory is too small for {variants} at once: ask for fewer activations, or a smaller model",
                measurement.name()
            )));
        }
        let raw = Raw::new(block.variants.len());
        let mut part = Part::new(&mut *progress, step.name, step.before, step.share, step.rest);
        let raw = match measure_group(&block, raw, &mut machine, &mut part, interrupt, &clock) {
            Err(_) if interrupt.is_raised() => break,
            raw => raw?,
        };
        if let Some(why) = &raw.lost {
            return Err(Error::lost(why.clone()));
        }
        if raw.interrupted || interrupt.is_raised() {
            break;
        }
        let loaded = raw.variants.iter().find_map(|variant| variant.loaded.as_ref()).map(|loaded| {
            (loaded.engine.clone(), loaded.inputs.iter().map(super::assemble::input).collect())
        });
        loaded.iter().for_each(|(engine, _): &(Engine, Vec<Input>)| isa.clone_from(&engine.isa));
        blocks.took(Told { answers: answers(raw), loaded }, clock.elapsed())?;
    }
    Ok(machine.finish(&isa))
}

fn answers(raw: Raw) -> Vec<Answer> {
    let answer = |variant: super::raw::RawVariant| {
        let rounds = variant.forks.iter().flat_map(|fork| &fork.fork.rounds).flatten();
        let failed = variant.error.is_some();
        Answer {
            p50_ns: Samples::from_ns(rounds).map(|runs| runs.median()).filter(|_| !failed),
            change: variant.change,
            error: variant.error.map(|failed| failed.message),
        }
    };
    raw.variants.into_iter().map(answer).collect()
}
