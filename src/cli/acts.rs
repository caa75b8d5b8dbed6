//! `oplat acts`: what is known of every activation, so that a row of a measurement can be understood.

mod json;
mod made;

use std::io::Write;
use std::path::PathBuf;

use super::flags::TableOrJson;
use super::{note, output};
use crate::activation::{Activation, Exporter, Form, Kind, kinds};
use crate::engines;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::plot;
use crate::report::grid::Grid;
use crate::report::text::{self, wrap};
use crate::swap;
#[cfg(test)]
pub use json::{SCHEMA, schema};
use made::Made;

#[derive(clap::Args)]
pub struct Args {
    /// Activations to describe in full, as in mish or leaky_relu:0.1 (a table of all unless given)
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TableOrJson,
    /// Draw the named activations and their derivatives into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
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
        Destination::replacing(&path, &plot::KIND, &[])?.write(plot::svg(&named).as_bytes())?;
        note(&format!("{} written", path.display()));
    }
    let text = match args.format {
        TableOrJson::Json => json::document(&named)?,
        TableOrJson::Table if named.is_empty() => table(),
        TableOrJson::Table => named.iter().map(in_full).collect::<Vec<_>>().join("\n"),
    };
    output::print(out, &text)
}

/// What can be done with an activation, in the words of the tables.
fn capabilities(kind: &'static Kind) -> Vec<&'static str> {
    let swapped = if kind.unswappable_because.is_none() { "swap" } else { "alone" };
    let all = [
        (kind.is_found(), "find"),
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

/// All that is known of an activation: a title and its text for each thing.
fn in_full(activation: &Activation) -> String {
    let mut text = format!("{}: {}\n\n", activation.kind.name, activation.kind.formula);
    for (title, value) in known(activation).iter().filter(|(_, value)| !value.is_empty()) {
        // The title is set into its place afterwards, since wrapping takes spaces away.
        let wrapped = wrap(&format!("{}{value}", ".".repeat(TITLE)), &" ".repeat(TITLE));
        text += &format!("{title:TITLE$}{}", &wrapped[TITLE..]);
    }
    text
}

/// What [`in_full`] shows, in order; an empty text is not shown.
fn known(activation: &Activation) -> Vec<(String, String)> {
    let kind = activation.kind;
    let engine = engines::default();
    let about = engine.about().0;
    let default = if is_default(activation) { "" } else { " (for the default parameters)" };
    let [low, high] = kind.range;
    let before = [
        ("derivative", kind.derivative.to_owned()),
        ("parameters", parameters(activation)),
        ("range", format!("{} to {}{default}", bound(low), bound(high))),
        ("smooth", smooth(activation)),
        ("monotonic", format!("{}{default}", if kind.monotonic { "yes" } else { "no" })),
        ("exp, ln, etc.", format!("{} for an element as exported", kind.transcendentals())),
        ("can", capabilities(kind).join(", ")),
        (
            "found",
            if kind.detectable && !kind.is_found() { "where its parameters differ by channel" } else { "" }
                .to_owned(),
        ),
        ("alone because", kind.unswappable_because.unwrap_or_default().to_owned()),
        ("beyond itself", kind.not_elementwise_because.unwrap_or_default().to_owned()),
        ("also called", kind.aliases.join(", ")),
        ("source", kind.source.to_owned()),
    ];
    let forms = kind.exported.iter().map(|form| format!("{}: {}", conditions(form), form.formula));
    let made = (format!("{} {}", about.name, about.version), Made::of(activation, engine).text());
    before
        .into_iter()
        .chain(titled_once("ONNX", forms))
        .map(|(title, text)| (title.to_owned(), text))
        .chain([made])
        .collect()
}

/// Several texts of which the first alone has the title.
fn titled_once(title: &str, texts: impl Iterator<Item = String>) -> impl Iterator<Item = (&str, String)> {
    std::iter::once(title).chain(std::iter::repeat("")).zip(texts)
}

/// `alpha = 0.1 (0.01 unless given)`
fn parameters(activation: &Activation) -> String {
    let all = activation.kind.parameters.iter().zip(&activation.parameters);
    let text = all.map(|(p, value)| match value.filter(|v| *v != p.default) {
        Some(given) => format!("{} = {given} ({} unless given)", p.name, bound(p.default)),
        None => format!("{} = {}", p.name, bound(p.default)),
    });
    text.collect::<Vec<_>>().join(", ")
}

fn smooth(activation: &Activation) -> String {
    let kinks: Vec<String> = activation.kinks().into_iter().map(bound).collect();
    if kinks.is_empty() { "yes".into() } else { format!("no: kinks at {}", kinks.join(", ")) }
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
        let document: serde_json::Value = serde_json::from_str(&json::document(&[]).unwrap()).unwrap();
        assert_eq!(document["schema"], "oplat.acts/1");
        let rows = document["activations"].as_array().unwrap();
        assert_eq!(rows.len(), kinds().count());
        let elu = rows.iter().find(|row| row["name"] == "elu").unwrap();
        assert_eq!((&elu["range"][0], &elu["range"][1]), (&(-1.0).into(), &serde_json::Value::Null));
        let one = json::document(&[Activation::parse("elu:0.5").unwrap()]).unwrap();
        let document: serde_json::Value = serde_json::from_str(&one).unwrap();
        let elu = &document["activations"][0];
        assert_eq!((&elu["parameters"][0]["value"], &elu["kinks"][0]), (&0.5.into(), &0.0.into()));
        assert!(
            elu["range"].is_null() && elu["monotonic"].is_null(),
            "known for the default parameters only"
        );
    }
}
