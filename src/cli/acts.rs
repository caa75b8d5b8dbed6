//! `oplat acts`: what is known of every activation, so that a row of a measurement can be understood.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::{note, output};
use crate::activation::{Activation, Exporter, Form, Kind, kinds};
use crate::engine::Backend;
use crate::engines;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::onnx::Model;
use crate::plot;
use crate::protocol::Op;
use crate::report::grid::Grid;
use crate::report::text::{self, wrap};
use crate::swap::{self, Lowering};
use crate::units::count;

#[derive(clap::Args)]
pub struct Args {
    /// Activations to describe in full, as in mish or leaky_relu:0.1 (a table of all unless given)
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Draw the named activations and their derivatives into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

/// Prints the table, or the named activations in full, and draws them where that is asked for.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let named: Vec<Activation> = args.names.iter().map(|n| Activation::parse(n)).collect::<Result<_>>()?;
    if let Some(path) = args.plot {
        if named.is_empty() {
            return Err(Error::input(
                "--plot draws the activations that are named, as in `oplat acts mish silu`",
            ));
        }
        Destination::check(&path)?.write(plot::svg(&named).as_bytes())?;
        note(&format!("{} written", path.display()));
    }
    let text = match args.format {
        Format::Json => json(&named)?,
        Format::Table if named.is_empty() => table(),
        Format::Table => named.iter().map(in_full).collect::<Vec<_>>().join("\n"),
    };
    output::print(out, &text)
}

/// What can be done with an activation, in the words of the tables.
fn capabilities(kind: &'static Kind) -> Vec<&'static str> {
    let swapped = if kind.alone.is_none() { "swap" } else { "alone" };
    let all = [
        (kind.found, "find"),
        (true, swapped),
        (swap::runs_kernel(&engines::default().about().1, &Activation::new(kind)), "kernel"),
    ];
    all.into_iter().filter_map(|(can, word)| can.then_some(word)).collect()
}

fn table() -> String {
    let mut grid =
        Grid::new().name("name").name("formula").name("can").number("exp, ln,\netc.").name("source");
    for kind in kinds() {
        let source = kind.source.split([';', '(', ',']).next().unwrap_or_default().trim();
        grid.row([
            kind.name.to_owned(),
            kind.formula.to_owned(),
            capabilities(kind).join(" "),
            kind.transcendentals().to_string(),
            source.to_owned(),
        ]);
    }
    let legend = "can: find its sites in a model, swap it in, run it as a kernel of one pass; alone: it can't take \
                  another's place. `exp, ln, etc.` counts such functions in an element's exported form. \
                  `oplat acts NAME` says more.";
    format!("{}\n{}", text::table(&grid), wrap(legend, ""))
}

/// Width of the titles of [`in_full`].
const TITLE: usize = 15;

fn in_full(activation: &Activation) -> String {
    let kind = activation.kind;
    let mut text = format!("{}: {}\n\n", kind.name, kind.formula);
    let mut line = |title: &str, value: &str| {
        if !value.is_empty() {
            // The title is set into its place afterwards, since wrapping takes spaces away.
            let wrapped = wrap(&format!("{}{value}", ".".repeat(TITLE)), &" ".repeat(TITLE));
            text.push_str(&format!("{title:TITLE$}{}", &wrapped[TITLE..]));
        }
    };
    line("derivative", kind.derivative);
    let parameters: Vec<String> = kind
        .parameters
        .iter()
        .zip(&activation.parameters)
        .map(|(p, value)| match value.filter(|v| *v != p.default) {
            Some(given) => format!("{} = {given} ({} unless given)", p.name, bound(p.default)),
            None => format!("{} = {}", p.name, bound(p.default)),
        })
        .collect();
    line("parameters", &parameters.join(", "));
    let default = if is_default(activation) { "" } else { " (for the default parameters)" };
    let [low, high] = kind.range;
    line("range", &format!("{} to {}{default}", bound(low), bound(high)));
    let kinks: Vec<String> = activation.kinks().into_iter().map(bound).collect();
    let smooth = if kinks.is_empty() { "yes".into() } else { format!("no: kinks at {}", kinks.join(", ")) };
    line("smooth", &smooth);
    line("monotonic", &format!("{}{default}", if kind.monotonic { "yes" } else { "no" }));
    line("exp, ln, etc.", &format!("{} for an element as exported", kind.transcendentals()));
    line("can", &capabilities(kind).join(", "));
    line("alone because", kind.alone.unwrap_or_default());
    line("beyond itself", kind.beyond.unwrap_or_default());
    line("also called", &kind.aliases.join(", "));
    line("source", kind.source);
    for (i, form) in kind.exported.iter().enumerate() {
        line(if i == 0 { "ONNX" } else { "" }, &format!("{}: {}", conditions(form), form.formula));
    }
    for (i, formula) in kind.recognised.iter().enumerate() {
        line(if i == 0 { "found as also" } else { "" }, formula);
    }
    let engine = engines::default();
    let name = engine.about().0;
    line(&format!("{} {}", name.name, name.version), &Made::of(activation, engine).text());
    text
}

/// What an engine makes of an activation, tried: on its own, and behind a convolution that it could merge it into.
#[derive(Serialize)]
struct Made {
    engine: String,
    version: String,
    /// The engine's operators, in order; null where it can't run the activation on its own.
    alone: Option<Vec<String>>,
    /// The same behind a convolution, without those of the convolution; none is left where it is merged into that. Null for
    /// what can't stand there.
    behind_convolution: Option<Vec<String>>,
}

impl Made {
    fn of(activation: &Activation, engine: &dyn Backend) -> Self {
        let about = engine.about().0;
        let plan = |model: Result<Model>| engine.plan(&model.ok()?).ok();
        let names = |ops: Vec<Op>| ops.iter().map(|op| engine.plain(&op.op).to_owned()).collect();
        let shape: &[usize] = if activation.kind.alone.is_some() { &[1, 64] } else { &[1, 16, 8, 8] };
        // The convolution is node 0.
        let without_convolution =
            |ops: Vec<Op>| ops.into_iter().filter(|op| !op.onnx.contains(&0)).collect::<Vec<_>>();
        Self {
            engine: about.name,
            version: about.version,
            alone: plan(swap::alone(activation, shape, Lowering::Exported)).map(names),
            behind_convolution: plan(swap::behind_convolution(activation, 16))
                .map(without_convolution)
                .map(names),
        }
    }

    /// `5 ops: Exp, Add, Ln, Tanh, Mul; merged into a convolution before it`
    fn text(&self) -> String {
        let list = |ops: &[String]| match ops {
            [] => "no op".to_owned(),
            ops => format!("{}: {}", count(ops.len(), "op"), ops.join(", ")),
        };
        let Some(alone) = &self.alone else { return "can't run it".into() };
        match &self.behind_convolution {
            Some(behind) if behind.is_empty() && !alone.is_empty() => {
                format!("{}; merged into a convolution before it", list(alone))
            }
            Some(behind) if behind != alone => {
                format!("{}; behind a convolution {}", list(alone), list(behind))
            }
            _ => list(alone),
        }
    }
}

/// Whether its parameters are those for which the registry knows range and monotony.
fn is_default(activation: &Activation) -> bool {
    *activation == Activation::new(activation.kind)
}

/// At most six digits after the point.
fn bound(value: f64) -> String {
    match value {
        f64::INFINITY => "infinity".into(),
        f64::NEG_INFINITY => "-infinity".into(),
        value => ((value * 1e6).round() / 1e6).to_string(),
    }
}

/// When an exporter writes this form; the first that fits is taken.
fn conditions(form: &Form) -> String {
    let exporter = form.only.map_or(String::new(), |e| format!(", {} exporter", exporter_name(e)));
    let type_ = if form.f32_only { ", f32" } else { "" };
    format!("opset {}{exporter}{type_}", form.since)
}

fn exporter_name(exporter: Exporter) -> &'static str {
    match exporter {
        Exporter::TorchScript => "TorchScript",
        Exporter::Dynamo => "dynamo",
    }
}

/// The document of `--format json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    activations: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
    formula: &'a str,
    derivative: &'a str,
    parameters: Vec<Named<'a>>,
    /// Infimum and supremum, null for an infinite one; null for other parameters than the default ones.
    range: Option<[Option<f64>; 2]>,
    smooth: bool,
    kinks: Vec<f64>,
    /// Null for other parameters than the default ones.
    monotonic: Option<bool>,
    transcendentals: u32,
    capabilities: Capabilities<'a>,
    beyond: Option<&'a str>,
    forms: Vec<Written<'a>>,
    recognised_forms: &'a [&'a str],
    engines: Vec<Made>,
    source: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    default: f64,
    value: Option<f64>,
}

#[derive(Serialize)]
struct Capabilities<'a> {
    recognised: bool,
    swapped_in: bool,
    kernel: bool,
    alone: Option<&'a str>,
}

#[derive(Serialize)]
struct Written<'a> {
    formula: &'a str,
    opset: i64,
    exporter: Option<&'a str>,
    f32_only: bool,
}

fn row(activation: &Activation) -> Row<'static> {
    let kind = activation.kind;
    let parameters = kind.parameters.iter().zip(&activation.parameters);
    let written = |form: &'static Form| Written {
        formula: form.formula,
        opset: form.since,
        exporter: form.only.map(exporter_name),
        f32_only: form.f32_only,
    };
    Row {
        name: kind.name,
        aliases: kind.aliases,
        formula: kind.formula,
        derivative: kind.derivative,
        parameters: parameters
            .map(|(p, value)| Named { name: p.name, default: p.default, value: *value })
            .collect(),
        range: is_default(activation).then(|| kind.range.map(|bound| bound.is_finite().then_some(bound))),
        smooth: activation.kinks().is_empty(),
        kinks: activation.kinks(),
        monotonic: is_default(activation).then_some(kind.monotonic),
        transcendentals: kind.transcendentals(),
        capabilities: Capabilities {
            recognised: kind.found,
            swapped_in: kind.alone.is_none(),
            kernel: swap::runs_kernel(&engines::default().about().1, &Activation::new(kind)),
            alone: kind.alone,
        },
        beyond: kind.beyond,
        forms: kind.exported.iter().map(written).collect(),
        recognised_forms: kind.recognised,
        engines: vec![Made::of(activation, engines::default())],
        source: kind.source,
    }
}

fn json(named: &[Activation]) -> Result<String> {
    let all: Vec<Activation>;
    let shown = if named.is_empty() {
        all = kinds().map(Activation::new).collect();
        &all
    } else {
        named
    };
    let document = Document { schema: "oplat.acts/1", activations: shown.iter().map(row).collect() };
    let text = serde_json::to_string_pretty(&document);
    Ok(text.map_err(|e| Error::input(format!("cannot write the activations as JSON: {e}")))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::width;

    #[test]
    fn the_table_fits_the_page_whole() {
        let text = table();
        assert!(text.lines().all(|line| width(line) <= 100), "{text}");
        assert!(!text.contains('…'), "{text}");
        insta::assert_snapshot!("table", text);
    }

    #[test]
    fn one_in_full() {
        for name in ["mish", "leaky_relu:0.1", "meta_acon"] {
            let text = in_full(&Activation::parse(name).unwrap());
            assert!(text.lines().all(|line| width(line) <= 100), "{text}");
            insta::assert_snapshot!(name.replace(':', "_"), text);
        }
    }

    #[test]
    fn the_json_holds_every_row() {
        let document: serde_json::Value = serde_json::from_str(&json(&[]).unwrap()).unwrap();
        assert_eq!(document["schema"], "oplat.acts/1");
        let rows = document["activations"].as_array().unwrap();
        assert_eq!(rows.len(), kinds().count());
        let elu = rows.iter().find(|row| row["name"] == "elu").unwrap();
        assert_eq!((&elu["range"][0], &elu["range"][1]), (&(-1.0).into(), &serde_json::Value::Null));
        let one = json(&[Activation::parse("elu:0.5").unwrap()]).unwrap();
        let document: serde_json::Value = serde_json::from_str(&one).unwrap();
        let elu = &document["activations"][0];
        assert_eq!((&elu["parameters"][0]["value"], &elu["kinks"][0]), (&0.5.into(), &0.0.into()));
        assert!(
            elu["range"].is_null() && elu["monotonic"].is_null(),
            "known for the default parameters only"
        );
    }
}
