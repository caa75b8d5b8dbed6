//! What a measurement is asked to do: as it was typed, and after everything typed has been checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::flags::{self, SiteFlags, check_number, check_time, denormals, until};
use super::inputs::{DimFlag, InputFlag};
use super::knobs::KnobFlag;
use super::targets::{TargetFlags, TargetSetup};
use crate::compare::{Limit, distinct};
use crate::environment;
use crate::error::{Error, Result};
use crate::experiment::{Swaps, planned_engines};
use crate::files::Destination;
use crate::measure::Until;
use crate::protocol::EngineChoice;
use crate::record::{self, Denormals, Margin};
use crate::report::{Breakdowns, Format};
use crate::swap::{Lowerings, Mix, mix};
use crate::{device, limits, measure, units};

/// How long it takes at most, unless a user says how long.
const LONGEST: Duration = Duration::from_secs(40);

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
    /// Different activations at different sites, one variant each; may be repeated. What all selected sites become stands
    /// in front, then rules for sites by name: `silu, /model.2*=relu, /model.3*=keep`, of which a later one wins. Rules
    /// are for any site, whatever --from, --site and --skip say. `NAME: …` gives a name to tables; `@FILE.yaml` takes all
    /// mixes of an experiment, `@FILE.yaml#NAME` one
    #[arg(long, value_name = "[NAME: ]RULES")]
    pub mix: Vec<String>,
    /// How a swapped activation becomes operators: exported (as the model's exporter would write it), kernel
    /// (one operator, one pass over memory) or both
    #[arg(long, value_name = "LOWERING", default_value_t)]
    pub lowering: Lowerings,
    #[command(flatten)]
    pub select: SiteFlags,
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
    /// How long to measure: 40s, 2m, 500ms [default: 40s at most]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    pub time: Option<Duration>,
    /// When to end: `decided` as soon as every verdict is known, and after --time or --forks at the latest; `end` only then
    /// [default: decided, or end where --time or --forks is given]
    #[arg(long, value_name = "WHEN", value_parser = until(), conflicts_with = "tune")]
    pub until: Option<Until>,
    /// Fresh processes for each variant: the intervals' sample size [default: up to 24, as many as
    /// are worth their start; with --cold as many as fit]
    #[arg(long, value_name = "N")]
    pub forks: Option<usize>,
    /// The largest difference that doesn't matter to you: "no difference" means one below this, either way
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    pub margin: Margin,
    /// Exit with 1 if a variant is slower than its original by more than this (5% or 0.05) or failed, with 4 if that can't be
    /// told; --until decided ends when it can
    #[arg(long, value_name = "SHARE", conflicts_with = "tune")]
    pub max_regression: Option<Limit>,
    /// Pause before every fork but the first, so that a device without a fan doesn't measure its own heat
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    pub cool_down: Option<Duration>,
    /// Begin no fork while a zone is as hot as this, in degrees Celsius
    #[arg(long, value_name = "DEGREES")]
    pub max_temperature: Option<f64>,
    /// Whether the processor computes with subnormal numbers or takes them for zero
    #[arg(long, value_parser = denormals(), default_value = Denormals::Keep.name(), value_name = "MODE")]
    pub denormals: Denormals,
    /// The engines that run all variants: `tract`, `ort` (ONNX Runtime, whose library is looked for) or `ort=LIBRARY`
    #[arg(long, value_delimiter = ',', value_name = "ENGINE,…", default_value = EngineChoice::DEFAULT)]
    pub engine: Vec<String>,
    /// Measure all variants also with this knob of the engine set, to each of these values; may be repeated.
    /// `oplat knobs` lists them
    #[arg(long, value_name = "NAME=VALUE,…")]
    pub knob: Vec<KnobFlag>,
    /// Try the knobs that could matter for the ops that take longest, and say which setting is the fastest
    #[arg(long, conflicts_with_all = ["act", "mix", "knob", "resume"])]
    pub tune: bool,
    /// Seed of the inputs' values and of the order of turns
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub targets: TargetFlags,
    /// How it is written [default: what the name after -o ends with (.html, .md, .csv, .json), or table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write the report to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep the record in this file, whatever the format; of several targets, one for each beside it
    #[arg(long, value_name = "RECORD")]
    pub save: Option<PathBuf>,
    /// Go on with what --save kept: measure only what is missing
    #[arg(long)]
    pub resume: bool,
    /// Print every table and not only one screen
    #[arg(long)]
    pub detail: bool,
    /// Rows of each breakdown
    #[arg(long, value_name = "N", default_value_t = Breakdowns::default().top)]
    pub top: usize,
}

/// What can be acted on: names are known, files can be written, numbers are in range.
pub struct Checked {
    pub models: Vec<String>,
    pub swaps: Swaps,
    pub inputs: Vec<InputFlag>,
    pub dims: Vec<DimFlag>,
    pub threads: usize,
    /// As typed, for all targets.
    pub cpus: Option<String>,
    pub time: Duration,
    pub until: Until,
    pub forks: usize,
    pub margin: Margin,
    pub limit: Option<Limit>,
    pub cold: bool,
    pub denormals: Denormals,
    pub tune: bool,
    pub seed: u64,
    /// Where it is measured; never empty.
    pub targets: Vec<TargetSetup>,
    pub format: Format,
    pub breakdowns: Breakdowns,
    pub output: Option<Destination>,
    /// Where the records are kept, one for each target.
    pub save: Vec<Destination>,
    /// Whether records that are there already are gone on with.
    pub resume: bool,
}

impl Checked {
    /// Checks what was typed. Whatever can be refused is refused here, before anything takes time.
    pub fn new(args: Args) -> Result<Self> {
        let mixes = mixes(&args)?;
        let selection = args.select.check().map_err(|e| e.context("--from"))?;
        check_swapping(&args)?;
        let forks = args.forks.unwrap_or(if args.cold { limits::FORKS as usize } else { measure::FORKS });
        check_number("--forks", forks, limits::FORKS)?;
        check_number("--threads", args.threads, limits::THREADS)?;
        let (time, until) = (args.time.unwrap_or(LONGEST), until_when(&args));
        check_times(&args, time)?;
        check_files(&args)?;
        let targets = targets(&args)?;
        let format = flags::format(args.format, args.output.as_deref());
        if targets.len() > 1 && format.is_on_graph() {
            return Err(Error::input(
                "figures on a graph are those of one record: give one --target, or --save and then report",
            ));
        }
        let engines = planned_engines(&args.engine).map_err(|e| e.context("--engine"))?;
        let inputs: Vec<PathBuf> = args.models.iter().map(PathBuf::from).collect();
        let save = saves(&args, &targets, &inputs)?;
        let output = args.output.as_deref();
        let kind = format.kind(&record::KIND);
        let output = output.map(|path| Destination::replacing(path, kind, &inputs)).transpose()?;
        Destination::distinct(save.iter().chain(&output))?;
        Ok(Self {
            models: args.models,
            swaps: Swaps {
                mixes,
                lowerings: args.lowering.all(),
                selection,
                control: !args.no_control,
                knobs: super::knobs::settings(&args.knob)?,
                engines,
            },
            inputs: args.input,
            dims: args.dim,
            threads: args.threads,
            cpus: args.cpus,
            time,
            until,
            forks,
            margin: args.margin,
            limit: args.max_regression,
            cold: args.cold,
            denormals: args.denormals,
            tune: args.tune,
            seed: args.seed,
            targets,
            resume: args.resume,
            format,
            breakdowns: Breakdowns {
                at_a_glance: !args.detail,
                detail: args.detail,
                top: args.top,
                ..Breakdowns::default()
            },
            output,
            save,
        })
    }
}

/// An activation everywhere for each `--act`, then the mixes. Each once, however often it is named.
fn mixes(args: &Args) -> Result<Vec<Mix>> {
    let everywhere = super::mix::everywhere(&args.act)?;
    let mixes = distinct(everywhere.into_iter().chain(super::mix::read(&args.mix)?));
    mix::check_names(&mixes).map_err(|e| e.context("--mix"))?;
    Ok(mixes)
}

/// Refuses flags about swaps where nothing is swapped, and tuning of several models.
fn check_swapping(args: &Args) -> Result<()> {
    if args.act.is_empty() && args.mix.is_empty() && (!args.select.is_empty() || args.no_control) {
        return Err(Error::input(
            "--from, --site, --skip and --no-control are about swapping: give --act or --mix too",
        ));
    }
    if args.tune && args.engine.len() > 1 {
        return Err(Error::input("--tune is for one engine at a time: give one --engine"));
    }
    if args.tune && args.models.len() > 1 {
        return Err(Error::input("--tune is for one model at a time: give one"));
    }
    Ok(())
}

/// Who says how long or how often to measure wants just that.
fn until_when(args: &Args) -> Until {
    let said = args.tune || args.time.is_some() || args.forks.is_some();
    args.until.unwrap_or(if said { Until::End } else { Until::Decided })
}

fn check_times(args: &Args, time: Duration) -> Result<()> {
    check_time("--time", time)?;
    match args.cool_down.filter(|&pause| pause >= time) {
        Some(pause) => Err(Error::input(format!(
            "--cool-down {} leaves nothing of --time {}: give more --time",
            units::duration(pause),
            units::duration(time)
        ))),
        None => Ok(()),
    }
}

fn check_files(args: &Args) -> Result<()> {
    if args.output.is_some() && args.output == args.save {
        return Err(Error::input("-o and --save name the same file: give each its own"));
    }
    Ok(())
}

/// Where it is measured, with what the flags say for all targets.
fn targets(args: &Args) -> Result<Vec<TargetSetup>> {
    let mut targets = args.targets.setups()?;
    let limit =
        args.max_temperature.map(|degrees| device::limit_mc("--max-temperature", degrees)).transpose()?;
    for target in &mut targets {
        target.rest.pause = args.cool_down.unwrap_or(target.rest.pause);
        target.rest.below_mc = limit.or(target.rest.below_mc);
    }
    if let Some(text) = args.cpus.as_ref().filter(|_| args.targets.target == ["local"]) {
        environment::parse_cpus(text)?;
    }
    Ok(targets)
}

/// The files of `--save`, one for each target.
fn saves(args: &Args, targets: &[TargetSetup], inputs: &[PathBuf]) -> Result<Vec<Destination>> {
    let Some(path) = &args.save else {
        return match args.resume {
            true => Err(Error::input("--resume goes on with the record that --save names: give that too")),
            false => Ok(vec![]),
        };
    };
    let file = |target| Destination::replacing(&save_as(path, target, targets), &record::KIND, inputs);
    targets.iter().map(file).collect()
}

/// Where a target's record is kept: the file that was named, and of several targets one for each, with the
/// target's name before its extension.
fn save_as(path: &Path, target: &TargetSetup, all: &[TargetSetup]) -> PathBuf {
    if all.len() == 1 {
        return path.into();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
    path.with_file_name(format!("{stem}.{}{extension}", target.file_name()))
}
