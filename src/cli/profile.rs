//! `oplat profile`: models as they are, with other activations, and with none, measured against each other.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::inputs::{DimFlag, InputFlag};
use super::knobs::KnobFlag;
use super::settings::Settings;
use super::{note, output, progress, subjects, tune};
use crate::error::Result;
use crate::measure::{self, Experiment, Interrupt};
use crate::record::Record;
use crate::report::{self, Format, Options};
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
    /// Whether the processor computes with subnormal numbers or takes them for zero
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub denormals: Denormals,
    /// Measure all variants also with this knob of the engine set, to each of these values; may be repeated.
    /// `oplat knobs` lists them
    #[arg(long, value_name = "NAME=VALUE,…")]
    pub knob: Vec<KnobFlag>,
    /// Try the knobs that could matter for the ops that take longest, and say which setting is the fastest
    #[arg(long, conflicts_with_all = ["act", "knob"])]
    pub tune: bool,
    /// Seed of the inputs' values and of the order of turns
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where workers run: local, or cmd:PREFIX for a launcher
    #[arg(long, value_name = "TARGET", default_value = "local")]
    pub target: String,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Write the report to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep the record in this file, whatever the format
    #[arg(long, value_name = "RECORD")]
    pub save: Option<PathBuf>,
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
    let mut progress = progress::on_stderr();
    let (target, interrupt) = (settings.target.as_ref(), interrupt());
    let (record, found) = if settings.tune {
        let mut place = tune::Place { target, interrupt: &interrupt, progress: progress.as_mut() };
        let tuned = tune::run(&experiment, &untuned(super::command_line()), &mut place)?;
        (tuned.record, tuned.lines)
    } else {
        (measure::measure(&experiment, target, progress.as_mut(), &interrupt)?, vec![])
    };
    drop((progress, experiment));
    let saved = save(&record, &settings);
    let text = report::render(&record, settings.format, &settings.options)?;
    match &settings.output {
        Some(file) => file.write(text.as_bytes())?,
        None => output::print(out, &text)?,
    }
    found.iter().for_each(|line| note(line));
    saved?;
    measure::complete(&record)
}

fn experiment(settings: &Settings) -> Result<Experiment> {
    let Settings { models, inputs, dims, swaps, .. } = settings;
    let (subjects, variants) = subjects::plan(models, inputs, dims, swaps, &mut |text| note(text))?;
    Ok(Experiment {
        command: super::command_line(),
        subjects,
        variants,
        load: Load {
            model: String::new(),
            inputs: vec![],
            dims: vec![],
            seed: settings.seed,
            threads: settings.threads,
            cpus: vec![],
            flush_denormals: settings.flush_denormals,
            knobs: Default::default(),
        },
        cpus: settings.cpus.clone(),
        forks: settings.forks,
        time: settings.time,
        confidence: CONFIDENCE,
        cold: settings.cold,
    })
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

fn save(record: &Record, settings: &Settings) -> Result<()> {
    let Some(file) = &settings.save else { return Ok(()) };
    let text = report::render(record, Format::Json, &settings.options)?;
    file.write(text.as_bytes())
}
