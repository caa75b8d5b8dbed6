//! `oplat profile`: the model as it is, with other activations, and with none, measured against each other.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::inputs::{self, DimFlag, InputFlag};
use super::settings::Settings;
use super::{model, note, output, progress};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::measure::{self, Experiment, Interrupt, Planned};
use crate::onnx::Model;
use crate::record::{Record, Role};
use crate::report::{self, Format, Options};
use crate::swap;
use crate::worker::protocol::Load;

/// Confidence of every interval.
const CONFIDENCE: f64 = 0.99;

/// What the user typed.
#[derive(clap::Args)]
pub struct Args {
    /// An ONNX file; failing that `models/FILE`, failing that the built-in model of that name
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<String>,
    /// Activations to swap in, one variant each: mish, leaky_relu:0.1, …
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub act: Vec<String>,
    /// How a swapped activation becomes operators: `exported`, as the model's exporter would write it
    #[arg(long, value_name = "LOWERING", default_value = "exported", value_parser = lowering)]
    pub lowering: String,
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
    /// How long to measure: 40s, 2m, 500ms
    #[arg(long, value_name = "TIME", default_value = "40s", value_parser = duration)]
    pub time: Duration,
    /// Fresh processes for each variant: the intervals' sample size
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub forks: usize,
    /// Whether the processor computes with subnormal numbers or takes them for zero
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub denormals: Denormals,
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
    let record = {
        let mut progress = progress::on_stderr();
        measure::measure(&experiment, settings.target.as_ref(), progress.as_mut(), &interrupt())?
    };
    drop(experiment);
    let saved = save(&record, &settings);
    let text = report::render(&record, settings.format, &settings.options)?;
    match &settings.output {
        Some(file) => file.write(text.as_bytes())?,
        None => output::print(out, &text)?,
    }
    saved?;
    ended(&record)
}

fn experiment(settings: &Settings) -> Result<Experiment> {
    let chosen = model::resolve(&settings.model, &settings.inputs, &mut |text| note(text))?;
    let named = |e: Error| e.context(&chosen.name);
    let feed = inputs::feed(&chosen.model, &settings.inputs, &settings.dims).map_err(named)?;
    Ok(Experiment {
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        model: chosen.describe(),
        variants: variants(&chosen.model, settings).map_err(named)?,
        load: Load {
            model: String::new(),
            inputs: feed.inputs,
            dims: feed.dims,
            seed: settings.seed,
            threads: settings.threads,
            cpus: settings.cpus.clone(),
            flush_denormals: settings.flush_denormals,
        },
        forks: settings.forks,
        time: settings.time,
        confidence: CONFIDENCE,
    })
}

/// The variants to measure: the original, one for each activation, and the control.
fn variants(model: &Model, settings: &Settings) -> Result<Vec<Planned>> {
    let found = swap::find(model);
    let selected = match settings.activations.is_empty() {
        true => vec![],
        false => settings.selection.choose(&found)?,
    };
    let planned = |name: &str, role, rule: &str, variant| Planned {
        name: name.into(),
        role,
        rule: rule.into(),
        lowering: "exported".into(),
        variant,
    };
    let mut variants =
        vec![planned("original", Role::Original, "", swap::original(model, &found, &selected))];
    for activation in &settings.activations {
        let variant = swap::rewrite(model, &found, &selected, activation, swap::Lowering::Exported)?;
        let rule = activation.to_string();
        variants.push(planned(&format!("{rule}, exported"), Role::Swap, &rule, variant));
    }
    if settings.control && !settings.activations.is_empty() {
        let identity = Activation::parse("identity")?;
        let variant = swap::rewrite(model, &found, &selected, &identity, swap::Lowering::Exported)?;
        variants.push(planned("control", Role::Control, "identity", variant));
    }
    Ok(variants)
}

/// A flag that Ctrl-C, or being told to terminate, raises.
fn interrupt() -> Interrupt {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    if let Err(e) = ctrlc::set_handler(move || raised.raise()) {
        note(&format!("Ctrl-C will end the measurement without a result: {e}"));
    }
    interrupt
}

fn save(record: &Record, settings: &Settings) -> Result<()> {
    let Some(file) = &settings.save else { return Ok(()) };
    let text = report::render(record, Format::Json, &settings.options)?;
    file.write(text.as_bytes())
}

/// Whether all that was asked for was measured.
fn ended(record: &Record) -> Result<()> {
    if record.settings.interrupted {
        return Err(Error::lost("interrupted: what was measured until then is reported"));
    }
    let failed = record.variants.iter().find_map(|v| Some((&v.name, v.error.as_ref()?)));
    failed.map_or(Ok(()), |(name, error)| Err(Error::lost(format!("{name}: {error}"))))
}

fn lowering(text: &str) -> Result<String, String> {
    match text {
        "exported" => Ok(text.into()),
        "kernel" | "both" => {
            Err("this version measures `exported` only: it has no kernels of its own yet".into())
        }
        _ => Err("give `exported`".into()),
    }
}

/// `40s`, `2m`, `500ms`, `1.5h`.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let wrong = || "give a number and a unit, as in 40s, 2m or 500ms".to_string();
    let (unit, number) = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((seconds, text.strip_suffix(unit)?)))
        .ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_typed_as_people_write_them() {
        for (text, ms) in
            [("40s", 40_000), ("2m", 120_000), ("500ms", 500), ("1.5s", 1500), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "40", "s", "-1s", "1e400s", "NaNs", "infs", "5d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lowering_that_is_not_there_yet_says_so() {
        assert!(lowering("exported").is_ok());
        assert!(lowering("both").unwrap_err().contains("`exported` only"));
        assert!(lowering("fast").is_err());
    }
}
