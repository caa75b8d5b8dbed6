//! `oplat run`: an experiment from a file, its records kept as they are made.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::inputs::{DimFlag, InputFlag};
use super::profile::{CONFIDENCE, interrupt};
use super::settings::{MOST_FORKS, MOST_THREADS, check_time, within};
use super::{note, output, progress, subjects};
use crate::bench;
use crate::environment;
use crate::error::{Error, Result};
use crate::experiment::{self, Config, Denormals, Folder, Lab, Measurement, Part, Place, Swaps};
use crate::measure::{self, Experiment, Interrupt};
use crate::record::Record;
use crate::swap::Selection;
use crate::target::{Local, Target};
use crate::units;
use crate::worker::protocol::Load;

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
}

/// Checks all, measures all, and ends with the table of it.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let path = &args.config;
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    let name = path.display().to_string();
    let mut config =
        Config::parse(&text, &name).map_err(|error| match bench::Config::parse(&text, &name) {
            Ok(_) => error.context("activations on their own are for oplat bench; as an experiment"),
            Err(_) => error,
        })?;
    config.time = args.time.unwrap_or(config.time);
    let measurements = check(&config).map_err(|e| e.context(path.display()))?;
    let named = args.output.or_else(|| path.file_stem().map(PathBuf::from));
    let folder = Folder::open(named.as_deref().unwrap_or(Path::new(".")), &measurements, args.resume)?;
    let mut lab =
        Here { config, target: Box::new(Local), interrupt: interrupt(), said: BTreeSet::new(), out };
    experiment::run(&measurements, &folder, args.resume, &mut lab)
}

/// The measurements of an experiment whose numbers are in range.
fn check(config: &Config) -> Result<Vec<Measurement>> {
    within("forks", config.forks, MOST_FORKS)?;
    config.threads.iter().try_for_each(|&threads| within("threads", threads, MOST_THREADS))?;
    check_time("time", config.time)?;
    config.measurements()
}

/// This machine, this terminal.
struct Here<'a> {
    config: Config,
    target: Box<dyn Target>,
    interrupt: Interrupt,
    /// What has been said of the models.
    said: BTreeSet<String>,
    out: &'a mut dyn Write,
}

impl Lab for Here<'_> {
    fn prepare(&mut self, measurement: &Measurement) -> Result<Experiment> {
        let (config, entry) = (&self.config, &measurement.entry);
        let swaps = Swaps {
            activations: measurement.activations.clone(),
            lowerings: config.lowerings.clone(),
            selection: Selection::default(),
            control: config.control,
        };
        let flags = entry.inputs.iter().map(|(name, shape)| InputFlag::new(name, shape));
        let dims = entry.dims.iter().map(|(name, size)| DimFlag::new(name, *size));
        let (flags, dims): (Vec<_>, Vec<_>) = (flags.collect(), dims.collect());
        let mut once = |line: &str| {
            if self.said.insert(line.into()) {
                note(line);
            }
        };
        let named = std::slice::from_ref(&entry.model);
        let (subjects, variants) = subjects::plan(named, &flags, &dims, &swaps, &mut once)?;
        Ok(Experiment {
            command: super::command_line(),
            subjects,
            variants,
            load: Load {
                model: String::new(),
                inputs: vec![],
                dims: vec![],
                seed: config.seed,
                threads: measurement.threads,
                cpus: environment::default_cpus(measurement.threads),
                flush_denormals: config.denormals == Denormals::Flush,
            },
            forks: config.forks,
            time: config.time,
            confidence: CONFIDENCE,
        })
    }

    fn measure(&mut self, experiment: &Experiment, place: Place) -> Result<Record> {
        let mut progress = Part::new(progress::on_stderr(), place);
        measure::measure(experiment, self.target.as_ref(), &mut progress, &self.interrupt)
    }

    fn interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    fn print(&mut self, text: &str) -> Result<()> {
        output::print(self.out, text)
    }

    fn note(&mut self, line: &str) {
        note(line);
    }
}
