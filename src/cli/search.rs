//! `oplat search`: which activation where.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::flags::{self, SiteFlags, check_number, check_time, formats};
use super::inputs::{DimFlag, InputFlag};
use super::targets::TargetFlags;
use super::{interrupt, model, note, output, profile, progress};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::experiment;
use crate::files::{self, Destination, Kind};
use crate::measure::{FORKS, Measurement, Only, Subject, Until};
use crate::protocol::{EngineChoice, Load};
use crate::record::{self, Denormals, Lowering, Margin};
use crate::report::{self, Document, Format};
use crate::search::document::{self, Against, Budget};
use crate::search::{self, Plan, Search, Sites, prices};
use crate::{environment, limits, units};

/// Mixes that a search found.
const MIXES: Kind = Kind {
    what: "mixes that `search` wrote",
    is: |file| files::start_of_text(file).is_some_and(|text| text.starts_with(FIRST_LINE)),
};

const FIRST_LINE: &str = "# The front of a search by oplat";

/// A front as a drawing.
const DRAWING: Kind = Kind {
    what: "a drawing of oplat's",
    is: |file| files::start_of_text(file).is_some_and(|text| text.starts_with("<svg ")),
};

/// What the user typed.
#[derive(clap::Args)]
pub struct Args {
    /// An ONNX file; failing that `models/FILE`, failing that the built-in model of that name
    #[arg(value_name = "MODEL")]
    model: String,
    /// The activations that each site may have, beside the one that it has
    #[arg(long, value_delimiter = ',', value_name = "NAME,…", required = true)]
    among: Vec<String>,
    /// How a swapped activation becomes operators: `exported`, as the model's exporter would write it, or `kernel`
    #[arg(long, value_name = "LOWERING", default_value = "exported")]
    lowering: Lowering,
    #[command(flatten)]
    select: SiteFlags,
    /// Name the first design that is expected to keep this latency: -10% of the original's, or 30ms
    #[arg(long, value_name = "LATENCY", allow_hyphen_values = true, value_parser = budget)]
    budget: Option<Budget>,
    /// Weigh latency against this instead of the number of sites: FILE.csv with the columns node, activation and drop, or
    /// `outputs` to measure how far each change moves the outputs
    #[arg(long, value_name = "FILE.csv|outputs")]
    sensitivity: Option<PathBuf>,
    /// Shape (and element type) of an input; may be repeated
    #[arg(long, value_name = "NAME=1x3x320x320[:f32]")]
    input: Vec<InputFlag>,
    /// Size of a named dimension; may be repeated. A batch dimension is 1 unless given
    #[arg(long, value_name = "NAME=N")]
    dim: Vec<DimFlag>,
    /// Threads that compute
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// CPUs to pin to: 0,2-3, big or little [default: as many as threads, big ones first]
    #[arg(long, value_name = "CPUS")]
    cpus: Option<String>,
    /// How long to measure: seven tenths for designs, the rest for the front
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = units::parse_duration)]
    time: Duration,
    /// The engine that runs all designs: `tract`, `ort` (ONNX Runtime, whose library is looked for) or `ort=LIBRARY`
    #[arg(long, value_name = "ENGINE", default_value = EngineChoice::DEFAULT)]
    engine: String,
    /// Seed of the inputs' values, of the designs and of the order of turns
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    targets: TargetFlags,
    /// Write the designs of the front to this file: `oplat run` measures them, --mix @FILE.yaml takes them
    #[arg(long, value_name = "FILE.yaml")]
    mixes: Option<PathBuf>,
    /// Draw the front into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// CSV has the cost of every activation at every site
    #[arg(long, value_parser = formats(Document::Search), value_name = "FORMAT")]
    format: Option<Format>,
    /// Write the report to this file and not to the standard output; its name ends with the format (.html, .md, .csv, .json)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep all that was measured in this file, whatever the format, after each block
    #[arg(long, value_name = "FILE.json")]
    save: Option<PathBuf>,
    /// Go on with what --save kept
    #[arg(long, requires = "save")]
    resume: bool,
}

/// Searches, keeps and prints.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let format = flags::format(args.format, args.output.as_deref());
    let files = Files::of(&args, format)?;
    let setup = args.targets.only("a search")?;
    let plan = plan(&args, &setup)?;
    let earlier = match (&files.save, args.resume) {
        (Some(file), true) if file.path().exists() => Some(read(file.path())?),
        _ => None,
    };
    let mut keep = |search: &Search| match &files.save {
        Some(file) => file.write(report::json::document(search)?.as_bytes()),
        None => Ok(()),
    };
    let found = {
        let mut progress = progress::on_stderr();
        search::run(&plan, earlier, setup.target.as_ref(), progress.as_mut(), &interrupt(), &mut keep)?
    };
    if let Some(file) = &files.mixes {
        file.write(mixes(&found, &args)?.as_bytes())?;
        note(&format!("{} written", file.path().display()));
    }
    if let Some(file) = &files.plot {
        file.write(report::front(&found).as_bytes())?;
        note(&format!("{} written", file.path().display()));
    }
    output::report(files.output.as_ref(), format, out, |format| report::search(&found, format))?;
    search::complete(&found, files.save.is_some())
}

/// Where results go.
struct Files {
    output: Option<Destination>,
    save: Option<Destination>,
    mixes: Option<Destination>,
    plot: Option<Destination>,
}

impl Files {
    fn of(args: &Args, format: Format) -> Result<Self> {
        let inputs: Vec<PathBuf> =
            std::iter::once(PathBuf::from(&args.model)).chain(args.sensitivity.clone()).collect();
        let at = |path: &Option<PathBuf>, kind: &'static Kind| {
            path.as_deref().map(|path| Destination::replacing(path, kind, &inputs)).transpose()
        };
        let files = Self {
            output: at(&args.output, format.kind(&document::KIND))?,
            save: at(&args.save, &document::KIND)?,
            mixes: at(&args.mixes, &MIXES)?,
            plot: at(&args.plot, &DRAWING)?,
        };
        let all = [&files.output, &files.save, &files.mixes, &files.plot];
        Destination::distinct(all.into_iter().flatten())?;
        Ok(files)
    }
}

fn plan(args: &Args, setup: &super::targets::TargetSetup) -> Result<Plan> {
    check_number("--threads", args.threads, limits::THREADS)?;
    check_time("--time", args.time)?;
    if let Some(text) = args.cpus.as_ref().filter(|_| setup.target.is_here()) {
        environment::parse_cpus(text)?;
    }
    let among: Vec<Activation> = crate::compare::distinct(
        args.among
            .iter()
            .map(|name| Activation::parse(name).map_err(|e| e.context("--among")))
            .collect::<Result<Vec<_>>>()?,
    );
    let mut engines =
        experiment::planned_engines(std::slice::from_ref(&args.engine)).map_err(|e| e.context("--engine"))?;
    let engine = engines.remove(0);
    let (subject, sites) = sites(args, &among)?;
    let prices = match &args.sensitivity {
        Some(file) if file.as_os_str() != "outputs" => {
            let text = files::read_text(file, limits::CONFIG_BYTES)?;
            prices::read(&text, &sites.told, &|node| sites.has(node))
                .map_err(|e| e.context(file.display()))?
        }
        _ => vec![],
    };
    let against = match &args.sensitivity {
        None => Against::Sites,
        Some(_) if prices.is_empty() => Against::Outputs,
        Some(_) => Against::File,
    };
    let measurement = Measurement {
        command: super::command_line(),
        subjects: vec![subject],
        variants: vec![].into(),
        load: Load { seed: args.seed, threads: args.threads, denormals: Denormals::Keep, ..Load::default() },
        targets: setup.target.names(),
        cpus: args.cpus.clone().or(setup.cpus.clone()),
        forks: FORKS,
        time: setup.time.map_or(args.time, |limit| limit.min(args.time)),
        confidence: profile::CONFIDENCE,
        margin: Margin::default(),
        cold: false,
        only: Only::Everything,
        until: Until::End,
        limit: None,
        rest: setup.rest,
    };
    Ok(Plan {
        measurement,
        engine,
        lowering: args.lowering,
        among,
        budget: args.budget,
        against,
        prices,
        sites,
    })
}

/// The model as it is fed, and its sites that are in question.
fn sites(args: &Args, among: &[Activation]) -> Result<(Subject, Sites)> {
    let selection = args.select.check().map_err(|e| e.context("--from"))?;
    let chosen = model::resolve(&args.model, &args.input, &mut |text| note(text))?.whole()?;
    let feed =
        super::inputs::feed(&chosen.model, &args.input, &args.dim).map_err(|e| e.context(&chosen.name))?;
    let subject = Subject { model: chosen.describe(), inputs: feed.inputs, dims: feed.dims };
    let sites = Sites::of(&chosen.model, &selection, among).map_err(|e| e.context(&chosen.name))?;
    Ok((subject, sites))
}

/// What an earlier search kept.
fn read(path: &Path) -> Result<Search> {
    let text = files::read_text(path, limits::RECORD_BYTES)?;
    let named = |e: Error| e.context(path.display());
    let search: Search = record::read::document(text.as_bytes()).map_err(named)?;
    if search.schema != document::SCHEMA {
        return Err(Error::input(format!("{}: is of schema {}", path.display(), search.schema)));
    }
    let damaged = |why: String| named(Error::input(format!("{why}: it was edited; search anew")));
    search.check().map_err(damaged)?;
    Ok(search)
}

/// An experiment of the front, whose mixes other commands take too.
fn mixes(search: &Search, args: &Args) -> Result<String> {
    #[derive(Serialize)]
    struct Config {
        about: String,
        lowerings: Vec<Lowering>,
        engines: Vec<String>,
        threads: Vec<usize>,
        seed: u64,
        mixes: BTreeMap<String, String>,
        models: Vec<Entry>,
    }
    #[derive(Serialize)]
    struct Entry {
        model: String,
        inputs: BTreeMap<String, Vec<usize>>,
    }
    let rules = |point: &document::Point| {
        // Its name stands in front.
        let rules = point.mix.split_once(": ").map_or(point.mix.as_str(), |(_, rules)| rules);
        (point.name.clone(), rules.to_owned())
    };
    let inputs = search.model.inputs.iter().map(|input| (input.name.clone(), input.shape.clone()));
    let config = Config {
        about: format!(
            "The front that oplat search found for {} on {}",
            search.model.name, search.started_at
        ),
        lowerings: vec![search.settings.lowering],
        engines: vec![args.engine.clone()],
        threads: vec![search.settings.threads],
        seed: search.settings.seed,
        mixes: search.front.iter().map(rules).collect(),
        models: vec![Entry { model: args.model.clone(), inputs: inputs.collect() }],
    };
    let text =
        serde_yaml::to_string(&config).map_err(|e| Error::bug(format!("mixes can't be written: {e}")))?;
    Ok(format!("{FIRST_LINE}: `oplat run` measures it, `--mix @FILE#NAME` takes a design of it.\n{text}"))
}

/// Reads `-10%`, of the original's latency, or a time.
fn budget(text: &str) -> std::result::Result<Budget, String> {
    let wrong = || "give what to save, as -10%, or a latency, as 30ms".to_owned();
    if let Some(percent) = text.strip_suffix('%') {
        let saved: f64 = percent.trim().parse().map_err(|_| wrong())?;
        return match -100.0 < saved && saved < 0.0 {
            true => Ok(Budget::OfOriginal(1.0 + saved / 100.0)),
            false => Err(wrong()),
        };
    }
    let time = units::parse_duration(text).map_err(|_| wrong())?;
    if time.is_zero() { Err(wrong()) } else { Ok(Budget::Ns(time.as_nanos() as f64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_share_to_save_or_a_latency() {
        assert_eq!(budget("-10%"), Ok(Budget::OfOriginal(0.9)));
        assert_eq!(budget("30ms"), Ok(Budget::Ns(3e7)));
        for wrong in ["10%", "-100%", "0ms", "fast", "-x%", "0%"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }
}
