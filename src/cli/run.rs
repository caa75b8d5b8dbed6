//! `oplat run`: an experiment from a file, its records kept as they are made.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::at_once::{Failures, at_once, interrupted};
use super::flags::{check_number, check_time};
use super::inputs::{DimFlag, InputFlag};
use super::interrupt;
use super::profile::CONFIDENCE;
use super::targets::{TargetFlags, TargetSetup};
use super::{note, output, progress, subjects};
use crate::bench;
use crate::error::Result;
use crate::escape;
use crate::experiment::{self, Case, Config, Executor, Folder, Position, Swaps};
use crate::measure::{self, Interrupt, Measurement, Only, Progress};
use crate::protocol::Load;
use crate::record::Record;
use crate::report::Format;
use crate::swap::Selection;
use crate::{files, limits, units};

#[derive(clap::Args)]
pub struct Args {
    /// The experiment: a YAML file, as in `configs/`
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Where records are kept, one for each model and number of threads [default: the file's name]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Go on where an earlier run stopped: measure only what has no complete record of the same plan
    #[arg(long)]
    resume: bool,
    /// How long each measurement takes, instead of what the file says
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    time: Option<Duration>,
    #[command(flatten)]
    targets: TargetFlags,
}

/// Checks all of it, measures all of it, and ends with a table of what was measured.
pub fn run(args: Args, out: &mut (dyn Write + Send)) -> Result<()> {
    let path = &args.config;
    let text = files::read_text(path, limits::CONFIG_BYTES)?;
    let name = path.display().to_string();
    let mut config =
        Config::parse(&text, &name).map_err(|error| match bench::Config::parse(&text, &name) {
            Ok(_) => error.context("activations on their own are for oplat bench; as an experiment"),
            Err(_) => error,
        })?;
    config.time = args.time.unwrap_or(config.time);
    let measurements = check(&config).map_err(|e| e.context(path.display()))?;
    let named = args.output.or_else(|| path.file_stem().map(PathBuf::from)).unwrap_or_else(|| ".".into());
    let setups = args.targets.setups()?;
    // Of several targets, each has a folder in the one that was named.
    let folder = |setup: &TargetSetup| match setups.as_slice() {
        [_] => named.clone(),
        _ => named.join(setup.file_name()),
    };
    let folders = setups.iter().map(|setup| Folder::open(&folder(setup), &measurements, args.resume));
    let folders = folders.collect::<Result<Vec<Folder>>>()?;
    let names: Vec<String> = setups.iter().map(|setup| setup.name.clone()).collect();
    let bars = progress::several(&names);
    let shared = Shared {
        config: &config,
        interrupt: interrupt(),
        several: setups.len() > 1,
        terminal: Mutex::new(Terminal { out, said: BTreeSet::new() }),
    };
    let lab = |(setup, progress)| OneTarget { shared: &shared, setup, progress };
    let mut labs: Vec<OneTarget> = setups.into_iter().zip(bars).map(lab).collect();
    // All are read before any is measured: of a pool, nobody takes the device that another target goes on with.
    let begun = at_once(labs.iter_mut().zip(&folders), "reading records", |(lab, folder)| {
        experiment::begin(&measurements, folder, args.resume, lab)
    });
    let jobs = labs.into_iter().zip(&folders).zip(begun);
    let results = at_once(jobs, "an experiment", |((mut lab, folder), begun)| {
        let done = begun.and_then(|begun| experiment::finish(&measurements, folder, begun, &mut lab));
        // Otherwise who interrupted knows why it ended.
        if !lab.interrupted() {
            lab.progress.ended(done.as_ref().map(|_| ()));
        }
        done
    });
    let complete = results.iter().filter(|result| result.is_ok()).count();
    if shared.several && shared.interrupt.is_raised() && complete < names.len() {
        return Err(interrupted(complete, 0, names.len(), true));
    }
    let mut failures = Failures::new(shared.several);
    for (name, error) in names.iter().zip(results).filter_map(|(name, result)| Some((name, result.err()?))) {
        if shared.several { failures.add_told(name, error) } else { failures.add(name, error) }
    }
    failures.end()
}

/// The measurements of an experiment whose numbers are in range.
fn check(config: &Config) -> Result<Vec<Case>> {
    check_number("forks", config.forks, limits::FORKS)?;
    config.threads.iter().try_for_each(|&threads| check_number("threads", threads, limits::THREADS))?;
    check_time("time", config.time)?;
    config.cases()
}

/// What all targets have in common.
struct Shared<'a> {
    config: &'a Config,
    interrupt: Interrupt,
    /// Whether there is more than one, so that what is said needs the target's name.
    several: bool,
    terminal: Mutex<Terminal<'a>>,
}

struct Terminal<'a> {
    out: &'a mut (dyn Write + Send),
    /// Notes about models that have been told: what holds for all targets is told once.
    said: BTreeSet<String>,
}

impl<'a> Shared<'a> {
    fn terminal(&self) -> MutexGuard<'_, Terminal<'a>> {
        self.terminal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures on one target, and tells what comes of it.
struct OneTarget<'a> {
    shared: &'a Shared<'a>,
    setup: TargetSetup,
    progress: Box<dyn Progress + Send>,
}

impl Executor for OneTarget<'_> {
    fn prepare(&mut self, case: &Case) -> Result<Measurement> {
        let (config, entry) = (self.shared.config, &case.entry);
        let swaps = Swaps {
            mixes: case.mixes.clone(),
            lowerings: config.lowerings.clone(),
            selection: Selection::default(),
            control: config.control,
            engines: config.engines.clone(),
            knobs: config.knobs.clone(),
        };
        let flags = entry.inputs.iter().map(|(name, shape)| InputFlag::new(name, shape));
        let dims = entry.dims.iter().map(|(name, size)| DimFlag::new(name, *size));
        let (flags, dims): (Vec<_>, Vec<_>) = (flags.collect(), dims.collect());
        let mut once = |line: &str| {
            let is_new = self.shared.terminal().said.insert(line.into());
            if is_new {
                self.progress.aside(&mut || note(line));
            }
        };
        let named = std::slice::from_ref(&entry.model);
        let (subjects, variants) = subjects::plan(named, &flags, &dims, &swaps, &mut once)?;
        let setup = &self.setup;
        Ok(Measurement {
            command: super::command_line(),
            subjects,
            variants: variants.into(),
            load: Load {
                seed: config.seed,
                threads: case.threads,
                denormals: config.denormals,
                ..Load::default()
            },
            targets: setup.target.names(),
            cpus: setup.cpus.clone(),
            forks: config.forks,
            time: setup.time.map_or(config.time, |limit| limit.min(config.time)),
            until: config.until,
            confidence: CONFIDENCE,
            margin: config.margin,
            limit: None,
            cold: false,
            only: Only::Everything,
            rest: setup.rest,
        })
    }

    fn go_on(&mut self, record: &Record) {
        self.setup.target.go_on_at(&record.environment.target);
    }

    fn measure(&mut self, measurement: &Measurement, position: Position) -> Result<Record> {
        let mut progress = position.part(self.progress.as_mut());
        measure::measure(measurement, None, self.setup.target.as_ref(), &mut progress, &self.shared.interrupt)
    }

    fn interrupted(&self) -> bool {
        self.shared.interrupt.is_raised()
    }

    fn print(&mut self, text: &dyn Fn(Format) -> Result<String>) -> Result<()> {
        let name = escape::line(&self.setup.name);
        let head = if self.shared.several { format!("\ntarget {name}") } else { String::new() };
        let (shared, mut printed) = (self.shared, Ok(()));
        self.progress.aside(&mut || {
            let whole = |format| Ok(format!("{head}{}", text(format)?));
            printed = output::report(None, Format::Table, shared.terminal().out, whole);
        });
        printed
    }

    fn note(&mut self, line: &str) {
        self.progress.note(line);
    }
}
