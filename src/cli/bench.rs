//! `oplat bench`: activations on their own, over a sweep of sizes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::flags::{self, check_number, check_time, denormals, formats};
use super::interrupt;
use super::targets::TargetFlags;
use super::{kept, note, output, progress};
use crate::bench::{self, Activations, Config, Plan};
use crate::error::{Error, Result};
use crate::files::{self, Destination};
use crate::record::{self, Denormals};
use crate::report::{self, Document, Format};
use crate::swap::Lowerings;
use crate::{environment, experiment, limits, units};

/// What the user typed. What is not given is as the file says, or else as stated.
#[derive(clap::Args)]
pub struct Args {
    /// Settings from a YAML file, as `configs/yolo-study.yaml`; flags go before it
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Activations: mish, leaky_relu:0.1, … or `all` [default: the everyday ones]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    act: Vec<String>,
    /// How an activation becomes operators: exported, kernel or both [default: both]
    #[arg(long, value_name = "LOWERING")]
    lowering: Option<Lowerings>,
    /// The engines that compute all of it: `tract`, `ort` (ONNX Runtime, whose library is looked for) or `ort=LIBRARY`
    /// [default: tract]
    #[arg(long, value_delimiter = ',', value_name = "ENGINE,…")]
    engine: Vec<String>,
    /// Numbers of elements [default: those that yolov5s at 640 activates]
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    size: Vec<u64>,
    /// Forwards of each row, over all forks, however long they take
    #[arg(long, value_name = "N", conflicts_with = "time")]
    forwards: Option<u64>,
    /// How long to measure, where no forwards are given [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    time: Option<Duration>,
    /// Fresh processes: the intervals' sample size [default: 8]
    #[arg(long, value_name = "N")]
    forks: Option<usize>,
    /// CPU to pin to: a number, big or little [default: a big one]
    #[arg(long, value_name = "CPUS")]
    cpus: Option<String>,
    /// Seed of the inputs' values and of the order of turns [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Whether the processor computes with subnormal numbers or takes them for zero [default: keep]
    #[arg(long, value_parser = denormals(), value_name = "MODE")]
    denormals: Option<Denormals>,
    /// Also run each activation on its own output over and over, as the study did, and show what that does
    #[arg(long)]
    in_place: bool,
    /// Instruction set of the kernels: portable, avx2, avx512 or neon [default: the best]
    #[arg(long, value_name = "ISA")]
    isa: Option<String>,
    /// Where workers run: local, ssh:[user@]host[:port], adb[:serial], cmd:PREFIX for a launcher, or a name in the
    /// lab's file [default: local]
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// How it is written [default: what the name after -o ends with (.html, .md, .csv, .json), or table]
    #[arg(long, value_parser = formats(Document::Bench), value_name = "FORMAT")]
    format: Option<Format>,
    /// Write the report to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Measures and prints.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let (file, given) = (args.output.clone(), args.config.clone());
    let format = flags::format(args.format, file.as_deref());
    let inputs: Vec<PathBuf> = given.iter().cloned().collect();
    let kind = format.kind(&record::bench::KIND);
    let destination = file.map(|file| Destination::replacing(&file, kind, &inputs)).transpose()?;
    let flags = flags(args)?;
    let config = match &given {
        Some(path) => flags.over(read(path)?),
        None => flags,
    };
    check_number("--forks", config.forks.unwrap_or(1), limits::FORKS)?;
    check_time("--time", config.time.unwrap_or(Duration::from_secs(1)))?;
    let named = config.target.clone().unwrap_or_else(|| "local".into());
    let setup = TargetFlags::of(named).only("a bench")?;
    let config = Config { cpus: config.cpus.clone().or(setup.cpus), ..config };
    if let Some(text) = config.cpus.as_ref().filter(|_| setup.target.is_here()) {
        environment::parse_cpus(text)?;
    }
    let plan = Plan::new(config, super::command_line())?;
    let bench = {
        let mut progress = progress::on_stderr();
        bench::measure(&plan, setup.target.as_ref(), progress.as_mut(), &interrupt())?
    };
    let json = report::json::document(&bench)?;
    kept::keep(&bench.started_at, "activations", json.as_bytes()).err().iter().for_each(|e| note(&e.message));
    output::report(destination.as_ref(), format, out, |format| report::bench(&bench, format))?;
    bench::complete(&bench)
}

/// The settings of a file. An experiment's file is told from one that is just wrong.
fn read(path: &Path) -> Result<Config> {
    let name = path.display().to_string();
    let text = files::read_text(path, limits::CONFIG_BYTES)?;
    Config::parse(&text, &name).map_err(|error| match experiment::Config::parse(&text, &name) {
        Ok(_) => Error::input(format!("{name} is an experiment on models: use oplat run {name}")),
        Err(_) => error,
    })
}

fn flags(args: Args) -> Result<Config> {
    let activations = Activations::parse(args.act.iter().map(String::as_str));
    let activations = activations.map_err(|e| e.context("--act"))?;
    let engines = match args.engine.is_empty() {
        true => vec![],
        false => experiment::planned_engines(&args.engine).map_err(|e| e.context("--engine"))?,
    };
    Ok(Config {
        about: None,
        activations: Some(activations).filter(|_| !args.act.is_empty()),
        lowerings: args.lowering.map(Lowerings::all),
        engines: Some(engines).filter(|engines| !engines.is_empty()),
        sizes: Some(args.size).filter(|sizes| !sizes.is_empty()),
        forwards: args.forwards,
        time: args.time,
        forks: args.forks,
        seed: args.seed,
        denormals: args.denormals,
        in_place: args.in_place.then_some(true),
        isa: args.isa,
        cpus: args.cpus,
        target: args.target,
    })
}
