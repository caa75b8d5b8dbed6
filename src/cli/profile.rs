//! `oplat profile`: models as they are, with other activations, and with none, measured against each other.

use std::io::Write;
use std::path::PathBuf;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use super::inputs::{DimFlag, InputFlag};
use super::knobs::KnobFlag;
use super::settings::Settings;
use super::targets::{Flags, Where};
use super::{note, output, progress, subjects, tune};
use crate::error::{Error, Kind, Result};
use crate::experiment;
use crate::files::Destination;
use crate::measure::{self, Experiment, Interrupt, Progress, Rest};
use crate::record::Record;
use crate::report::{self, Format, Named, Options};
use crate::swap::Lowerings;
use crate::units;
use crate::worker::protocol::Load;

/// Confidence of every interval.
pub(super) const CONFIDENCE: f64 = 0.99;

/// What the user typed.
#[derive(clap::Args)]
pub struct Args {
    /// An ONNX file; failing that `models/FILE`, failing that the built-in model of that name. Several are
    /// measured together, and compared against the first one's original
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<String>,
    /// Activations to swap in, one variant each: mish, leaky_relu:0.1, …
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub act: Vec<String>,
    /// How a swapped activation becomes operators: exported (as the model's exporter would write it), kernel
    /// (one operator, one pass over memory) or both
    #[arg(long, value_name = "LOWERING", default_value_t)]
    pub lowering: Lowerings,
    /// Swap only sites that are now one of these
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub from: Vec<String>,
    /// Swap only sites with such a name (`*`, `?`); may be repeated
    #[arg(long, value_name = "GLOB")]
    pub site: Vec<String>,
    /// Leave sites with such a name alone; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub skip: Vec<String>,
    /// Don't measure the control, in which the sites are identity: no activation cost then
    #[arg(long)]
    pub no_control: bool,
    /// Shape (and element type) of an input; may be repeated
    #[arg(long, value_name = "NAME=1x3x320x320[:f32]")]
    pub input: Vec<InputFlag>,
    /// Size of a named dimension; may be repeated. A batch dimension is 1 unless given
    #[arg(long, value_name = "NAME=N")]
    pub dim: Vec<DimFlag>,
    /// Threads that compute
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// CPUs to pin to: 0,2-3, big or little [default: as many as threads, big ones first]
    #[arg(long, value_name = "CPUS")]
    pub cpus: Option<String>,
    /// Measure first runs: every run in a process of its own, right after loading
    #[arg(long, conflicts_with = "tune")]
    pub cold: bool,
    /// How long to measure: 40s, 2m, 500ms
    #[arg(long, value_name = "TIME", default_value = "40s", value_parser = units::parse_duration)]
    pub time: Duration,
    /// Fresh processes for each variant: the intervals' sample size [default: 8; with --cold as many as fit]
    #[arg(long, value_name = "N")]
    pub forks: Option<usize>,
    /// Pause before every fork but the first, so that a device without a fan doesn't measure its own heat
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    pub cool_down: Option<Duration>,
    /// Begin no fork while a zone is as hot as this, in degrees Celsius
    #[arg(long, value_name = "DEGREES")]
    pub max_temperature: Option<f64>,
    /// Whether the processor computes with subnormal numbers or takes them for zero
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub denormals: Denormals,
    /// Measure all variants also with this knob of the engine set, to each of these values; may be repeated.
    /// `oplat knobs` lists them
    #[arg(long, value_name = "NAME=VALUE,…")]
    pub knob: Vec<KnobFlag>,
    /// Try the knobs that could matter for the ops that take longest, and say which setting is the fastest
    #[arg(long, conflicts_with_all = ["act", "knob", "resume"])]
    pub tune: bool,
    /// Seed of the inputs' values and of the order of turns
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub targets: Flags,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Write the report to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep the record in this file, whatever the format; of several targets, one for each beside it
    #[arg(long, value_name = "RECORD")]
    pub save: Option<PathBuf>,
    /// Go on with what --save kept: measure only what is missing
    #[arg(long)]
    pub resume: bool,
    /// Rows of each breakdown
    #[arg(long, value_name = "N", default_value_t = Options::default().top)]
    pub top: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Denormals {
    #[default]
    Keep,
    Flush,
}

/// Measures, keeps and prints. What was measured is printed whatever went wrong after it.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let settings = Settings::check(args)?;
    let experiment = experiment(&settings)?;
    let Settings { places, save, resume, tune, format, options, output, cpus, .. } = settings;
    let names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
    let (mut all, interrupt) = (progress::several(&names), interrupt());
    // At once, each target in a thread of its own: devices don't disturb one another.
    let results: Vec<Result<(Record, Vec<String>)>> = std::thread::scope(|scope| {
        let mut threads = vec![];
        for (number, (place, mut progress)) in places.into_iter().zip(all.drain(..)).enumerate() {
            let experiment = on(&place, &experiment, cpus.as_ref());
            let (kept, interrupt) = (save.get(number).filter(|_| resume), &interrupt);
            threads.push(scope.spawn(move || {
                let (target, progress) = (place.target.as_ref(), progress.as_mut());
                if tune {
                    let mut place = tune::Place { target, interrupt, progress };
                    let tuned = tune::run(&experiment, &untuned(super::command_line()), &mut place)?;
                    return Ok((tuned.record, tuned.lines));
                }
                let earlier = kept.map(|file| earlier(file, &experiment, progress)).transpose()?.flatten();
                Ok((measure::resume(&experiment, earlier, target, progress, interrupt)?, vec![]))
            }));
        }
        let ended = |thread: ScopedJoinHandle<_>| {
            thread.join().unwrap_or_else(|_| Err(Error::lost("a measurement ended for an unknown reason")))
        };
        threads.into_iter().map(ended).collect()
    });
    drop(experiment);
    let mut trouble = None;
    let (mut measured, mut told) = (vec![], vec![]);
    for (number, (name, result)) in names.iter().zip(results).enumerate() {
        let named = |e: Error| if names.len() > 1 { e.context(name) } else { e };
        match result {
            Ok((record, found)) => {
                let kept = save.get(number).map_or(Ok(()), |file| keep(&record, file, &options));
                if let Err(error) = kept.and_then(|()| measure::complete(&record)).map_err(named) {
                    worst(&mut trouble, error);
                }
                measured.push((name, record));
                told.extend(found);
            }
            Err(error) => worst(&mut trouble, named(error)),
        }
    }
    if !measured.is_empty() {
        let records: Vec<Named> = measured.iter().map(|(name, record)| Named { name, record }).collect();
        let text = report::records(&records, format, &options)?;
        match &output {
            Some(file) => file.write(text.as_bytes())?,
            None => output::print(out, &text)?,
        }
    }
    told.iter().for_each(|line| note(line));
    trouble.map_or(Ok(()), Err)
}

/// Keeps the first error, but one of something that was lost rather than one of what can't be done; others are
/// told at once.
pub(super) fn worst(trouble: &mut Option<Error>, error: Error) {
    let told = match trouble {
        Some(known) if known.kind == Kind::Lost || error.kind != Kind::Lost => error,
        _ => match trouble.replace(error) {
            Some(known) => known,
            None => return,
        },
    };
    note(&format!("oplat: {told}"));
}

/// What a saved record has of the measurement already; told if it is of no use, and nothing if there is none.
fn earlier(file: &Destination, planned: &Experiment, progress: &mut dyn Progress) -> Result<Option<Record>> {
    let path = file.path();
    if !path.exists() {
        return Ok(None);
    }
    let record = super::report::read(path)?;
    if let Some(why) = experiment::planned_otherwise(&record, planned) {
        return Err(Error::input(format!(
            "--resume: {} is of another plan: {why}; measure anew without --resume, or give another --save",
            path.display()
        )));
    }
    progress.note(&format!(
        "{}: {} are there already",
        path.display(),
        units::count(record.settings.forks, "fork")
    ));
    Ok(Some(record))
}

fn experiment(settings: &Settings) -> Result<Experiment> {
    let Settings { models, inputs, dims, swaps, .. } = settings;
    let (subjects, variants) = subjects::plan(models, inputs, dims, swaps, &mut |text| note(text))?;
    Ok(Experiment {
        command: super::command_line(),
        subjects,
        variants: variants.into(),
        load: Load {
            seed: settings.seed,
            threads: settings.threads,
            flush_denormals: settings.flush_denormals,
            ..Load::default()
        },
        target: String::new(),
        cpus: None,
        forks: settings.forks,
        time: settings.time,
        confidence: CONFIDENCE,
        cold: settings.cold,
        rest: Rest::default(),
    })
}

/// The experiment as it is made on one target.
fn on(place: &Where, experiment: &Experiment, cpus: Option<&String>) -> Experiment {
    Experiment {
        target: place.target.name(),
        cpus: cpus.or(place.cpus.as_ref()).cloned(),
        time: place.time.map_or(experiment.time, |limit| limit.min(experiment.time)),
        rest: place.rest,
        ..experiment.clone()
    }
}

/// A flag that Ctrl-C, or being told to terminate, raises.
pub(super) fn interrupt() -> Interrupt {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    if let Err(e) = ctrlc::set_handler(move || raised.raise()) {
        note(&format!("Ctrl-C will end the measurement without a result: {e}"));
    }
    interrupt
}

/// The command without the flag that asked for tuning.
fn untuned(command: Vec<String>) -> Vec<String> {
    command.into_iter().filter(|word| word != "--tune").collect()
}

fn keep(record: &Record, file: &Destination, options: &Options) -> Result<()> {
    file.write(report::render(record, Format::Json, options)?.as_bytes())
}
