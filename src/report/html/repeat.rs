//! On what something was measured, and how to do it again.

use super::markup::{Html, element, said};
use super::sections;
use crate::record::bench::Bench;
use crate::record::{Engine, Environment, Model, Oplat, Record};
use crate::report::grid::Grid;
use crate::report::{facts, header, machine};
use crate::units;

pub fn record(record: &Record) -> Html {
    let settings = &record.settings;
    let limit = match settings.time_limit_ns {
        0 => String::new(),
        ns => format!("{} at most", units::duration(std::time::Duration::from_nanos(ns))),
    };
    let imported = record.imported.join(", ");
    let measured = record.imported.is_empty();
    let own = if measured {
        vec![
            ("seed", settings.seed.to_string()),
            ("threads", settings.threads.to_string()),
            ("processes (forks)", settings.forks.to_string()),
            ("time", limit),
            ("subnormal numbers", settings.denormals.name().to_owned()),
            ("confidence", units::percent(settings.confidence) + "%"),
            ("margin", units::percent(settings.margin.0) + "%"),
        ]
    } else {
        vec![("imported from", imported)]
    };
    let models = facts::models(record).iter().flat_map(model);
    let about = models.chain(facts::engines(record).iter().flat_map(engine)).chain(own);
    let rows = common(&record.oplat, &record.started_at, &record.environment).into_iter().chain(about);
    [sections::section(&machine::section(record), false), table(rows), command(&record.command)]
        .into_iter()
        .collect()
}

pub fn bench(bench: &Bench) -> Html {
    let settings = &bench.settings;
    let engines = if bench.engines.is_empty() { std::slice::from_ref(&bench.engine) } else { &bench.engines };
    let own = [
        ("seed", settings.seed.to_string()),
        ("threads", settings.threads.to_string()),
        ("processes (forks)", settings.forks.to_string()),
        ("subnormal numbers", settings.denormals.name().to_owned()),
        ("confidence", units::percent(settings.confidence) + "%"),
        ("inputs", settings.inputs.clone()),
        ("CPU", bench.environment.cpu.clone().unwrap_or_default()),
        ("system", bench.environment.os.clone()),
    ];
    let rows = common(&bench.oplat, &bench.started_at, &bench.environment).into_iter();
    [table(rows.chain(engines.iter().flat_map(engine)).chain(own)), command(&bench.command)]
        .into_iter()
        .collect()
}

type Row = (&'static str, String);

fn common(oplat: &Oplat, started_at: &str, environment: &Environment) -> Vec<Row> {
    let profile =
        if oplat.profile.is_empty() { String::new() } else { format!(" ({} build)", oplat.profile) };
    vec![
        ("measured at (UTC)", started_at.replace('T', " ").replace('Z', "")),
        ("oplat", format!("{}{profile}", oplat.version)),
        ("target", environment.target.clone()),
        ("host", environment.host.clone()),
    ]
}

fn model(model: &Model) -> Vec<Row> {
    vec![("model", header::model(model)), ("its SHA-256", model.sha256.clone())]
}

fn engine(engine: &Engine) -> Vec<Row> {
    let library = engine.library.clone().unwrap_or_default();
    vec![
        ("engine", header::engine(engine)),
        ("its library", library),
        ("the library's SHA-256", engine.sha256.clone().unwrap_or_default()),
    ]
}

fn table(rows: impl Iterator<Item = Row>) -> Html {
    let mut grid = Grid::new().name("").name("");
    rows.filter(|(_, value)| !value.is_empty()).for_each(|(what, value)| grid.row([what.to_owned(), value]));
    sections::table(&grid, "What was measured, and with what settings")
}

/// The command line, to be copied.
fn command(words: &[String]) -> Html {
    if words.is_empty() {
        return Html::default();
    }
    let line: Vec<String> =
        words.iter().enumerate().map(|(at, word)| quoted(if at == 0 { "oplat" } else { word })).collect();
    let code = element("pre", &[], [said("code", &line.join(" "))]);
    [said("h3", "To repeat it"), code, said("p", "Times differ from run to run: compare the ratios.")]
        .into_iter()
        .collect()
}

/// A word as shells take it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%~".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_copied() {
        let words =
            ["/usr/bin/oplat", "profile", "a b.onnx", "--site", "*act*", "it's", ""].map(String::from);
        let html = command(&words).into_string();
        let told = "oplat profile &apos;a b.onnx&apos; --site &apos;*act*&apos; &apos;it&apos;\\&apos;&apos;s&apos; &apos;&apos;";
        assert!(html.contains(told), "{html}");
    }
}
