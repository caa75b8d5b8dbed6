//! On what something was measured, and how to do it again.

use super::markup::{Html, element, said};
use super::sections;
use crate::compare::{Against, Source};
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
    let ended = settings.decided().map(|look| {
        ("ended", format!("when every verdict was known, after {} of {} forks", look.forks, look.of))
    });
    let models = facts::models(record).iter().flat_map(model);
    let about = models.chain(facts::engines(record).iter().flat_map(engine)).chain(own).chain(ended);
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
        ("measured at (UTC)", moment(started_at)),
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

/// What both sides of a comparison were measured on and how, with what differs marked.
pub fn both(base: &Source, against: &Against) -> Html {
    let of = |of: fn(&Source) -> String| [of(base), of(&against.new)];
    let sides = [
        ("measured at (UTC)", of(|s| moment(&s.started_at)), false),
        ("target", of(|s| s.target.clone()), true),
        ("host", of(|s| s.host.clone()), true),
        ("CPU", of(|s| s.cpu.clone()), true),
        ("system", of(|s| s.system.clone()), true),
        ("engine", of(|s| s.engine.clone()), true),
        ("threads", of(|s| s.threads.to_string()), true),
        ("processes (forks)", of(|s| s.forks.to_string()), true),
        ("command", of(|s| line(&s.command)), true),
    ];
    // These are among the rows above.
    const SHOWN: [&str; 7] = [
        "machine: target",
        "machine: host",
        "machine: CPU",
        "machine: system",
        "engine",
        "settings: threads",
        "settings: forks",
    ];
    let others = against.differences.iter().filter(|d| !SHOWN.contains(&d.what));
    let others = others.map(|d| (d.what, [d.base.clone(), d.new.clone()], true));
    let mut grid = Grid::new().name("").name("same?").name("base").name("new");
    for (what, [base, new], told) in sides.into_iter().chain(others) {
        let mark = match base == new {
            true => "yes",
            false if told => "NO",
            false => "",
        };
        if !(base.is_empty() && new.is_empty()) {
            grid.row([what.to_owned(), mark.to_owned(), base, new]);
        }
    }
    sections::table(&grid, "What both were measured on, and how")
}

/// The command line, to be copied.
fn command(words: &[String]) -> Html {
    if words.is_empty() {
        return Html::default();
    }
    let code = element("pre", &[], [said("code", &line(words))]);
    [said("h3", "To repeat it"), code, said("p", "Times differ from run to run: compare the ratios.")]
        .into_iter()
        .collect()
}

/// The words of a command as they are typed.
fn line(words: &[String]) -> String {
    let typed = words.iter().enumerate().map(|(at, word)| quoted(if at == 0 { "oplat" } else { word }));
    typed.collect::<Vec<_>>().join(" ")
}

/// A time as people read it.
fn moment(started_at: &str) -> String {
    started_at.replace('T', " ").replace('Z', "")
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
