//! `oplat run`: an experiment from a file, its records kept as they are made.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::inputs::{DimFlag, InputFlag};
use super::profile::{CONFIDENCE, interrupt};
use super::settings::{MOST_FORKS, MOST_THREADS, check_time, within};
use super::targets::{Flags, Where};
use super::{note, output, progress, subjects};
use crate::bench;
use crate::error::{Error, Result};
use crate::experiment::{self, Config, Denormals, Folder, Lab, Measurement, Part, Place, Swaps};
use crate::measure::{self, Experiment, Interrupt};
use crate::record::Record;
use crate::swap::Selection;
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
    #[command(flatten)]
    targets: Flags,
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
    let named = args.output.or_else(|| path.file_stem().map(PathBuf::from)).unwrap_or_else(|| ".".into());
    let places = args.targets.places()?;
    // Of several targets, each has a folder in the one that was named.
    let folder = |place: &Where| match places.as_slice() {
        [_] => named.clone(),
        _ => named.join(place.file_name()),
    };
    let folders = places.iter().map(|place| Folder::open(&folder(place), &measurements, args.resume));
    let folders = folders.collect::<Result<Vec<Folder>>>()?;
    let (several, interrupt) = (places.len() > 1, interrupt());
    let (mut said, mut trouble) = (BTreeSet::new(), None);
    for (place, folder) in places.into_iter().zip(&folders) {
        let name = place.name.clone();
        if several {
            output::print(out, &format!("\ntarget {name}\n"))?;
        }
        let mut lab =
            Here { config: &config, place, interrupt: interrupt.clone(), said: &mut said, out: &mut *out };
        if let Err(error) = experiment::run(&measurements, folder, args.resume, &mut lab) {
            super::profile::worst(&mut trouble, if several { error.context(name) } else { error });
        }
        if interrupt.is_raised() {
            break;
        }
    }
    trouble.map_or(Ok(()), Err)
}

/// The measurements of an experiment whose numbers are in range.
fn check(config: &Config) -> Result<Vec<Measurement>> {
    within("forks", config.forks, MOST_FORKS)?;
    config.threads.iter().try_for_each(|&threads| within("threads", threads, MOST_THREADS))?;
    check_time("time", config.time)?;
    config.measurements()
}

/// One target, this terminal.
struct Here<'a> {
    config: &'a Config,
    place: Where,
    interrupt: Interrupt,
    /// What has been said of the models.
    said: &'a mut BTreeSet<String>,
    out: &'a mut dyn Write,
}

impl Lab for Here<'_> {
    fn prepare(&mut self, measurement: &Measurement) -> Result<Experiment> {
        let (config, entry) = (self.config, &measurement.entry);
        let swaps = Swaps {
            activations: measurement.activations.clone(),
            lowerings: config.lowerings.clone(),
            selection: Selection::default(),
            control: config.control,
            knobs: config.knobs.clone(),
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
        let place = &self.place;
        Ok(Experiment {
            command: super::command_line(),
            subjects,
            variants: variants.into(),
            load: Load {
                seed: config.seed,
                threads: measurement.threads,
                flush_denormals: config.denormals == Denormals::Flush,
                ..Load::default()
            },
            target: place.target.name(),
            cpus: place.cpus.clone(),
            forks: config.forks,
            time: place.time.map_or(config.time, |limit| limit.min(config.time)),
            confidence: CONFIDENCE,
            cold: false,
            rest: place.rest,
        })
    }

    fn measure(&mut self, experiment: &Experiment, place: Place) -> Result<Record> {
        let mut progress = Part::new(progress::on_stderr(), place);
        measure::measure(experiment, self.place.target.as_ref(), &mut progress, &self.interrupt)
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
