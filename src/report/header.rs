//! The first lines of a report: what was measured and where, what was swapped, and what a reader must be warned of.

use std::collections::HashSet;
use std::time::Duration;

use super::facts::{self, counted};
use super::section::Section;
use crate::compare::distinct;
use crate::record::{Engine, Environment, Model, Record, Role, Variant};
use crate::swap::Refusal;
use crate::units;

pub fn section(record: &Record) -> Section {
    let section = Section::plain().line(setting(record)).lines(sites_lines(record));
    section.lines(facts::mixes(record)).warnings(warnings(record))
}

fn setting(record: &Record) -> String {
    let models = facts::models(record).iter().map(model).collect::<Vec<_>>().join(" and ");
    let place = match record.imported.is_empty() {
        true => place(record.settings.threads, &record.environment),
        false => in_an_app(record.settings.threads),
    };
    let engines = facts::engines(record).iter().map(engine).collect::<Vec<_>>().join(" and ");
    [models, engines, place, effort(record)].join(" | ")
}

/// `tract 0.23.9, AVX-512`
pub fn engine(engine: &Engine) -> String {
    match engine.isa.iter().min_by_key(|isa| width(isa)) {
        Some(isa) => format!("{} {}, {}", engine.name, engine.version, instruction_set(isa)),
        None if engine.version.is_empty() => engine.name.clone(),
        None => format!("{} {}", engine.name, engine.version),
    }
}

pub fn model(model: &Model) -> String {
    let inputs = model.inputs.iter().map(|i| format!("{} {}", units::shape(&i.shape), i.dtype));
    let inputs = inputs.collect::<Vec<_>>().join(", ");
    format!("{} ({})  {inputs}", model.name, model.source)
}

/// Rank of an instruction set among those that say how wide the engine's vectors are; others come after.
fn width(isa: &str) -> usize {
    ["avx512", "avx512f", "avx2", "sve", "neon", "asimd"]
        .iter()
        .position(|known| *known == isa)
        .unwrap_or(usize::MAX)
}

fn instruction_set(isa: &str) -> String {
    match isa {
        "avx512" | "avx512f" => "AVX-512".into(),
        _ => isa.to_uppercase(),
    }
}

/// `1 thread on cpu 1`
pub fn place(threads: usize, environment: &Environment) -> String {
    let threads = units::count(threads, "thread");
    let place = match environment.affinity.as_slice() {
        [] => "not pinned".into(),
        cpus => format!("on {}", units::cpus_as("cpu", cpus)),
    };
    let elsewhere = match environment.target.as_str() {
        "" | "local" => String::new(),
        target => format!(" of {target}"),
    };
    format!("{threads} {place}{elsewhere}")
}

/// The threads of an app, if its profile tells them.
fn in_an_app(threads: usize) -> String {
    match threads {
        0 => "in an app".into(),
        n => format!("{} in an app", units::count(n, "thread")),
    }
}

fn effort(record: &Record) -> String {
    if !record.imported.is_empty() {
        return units::count(record.settings.forks, "imported process").replace("processs", "processes");
    }
    let mut forks = match record.settings.cold {
        true => format!("first runs in {} of fresh processes", units::count(record.settings.forks, "round")),
        false => units::count(record.settings.forks, "fork"),
    };
    if let Some(look) = record.settings.decided() {
        let cold = if record.settings.cold { "first runs, " } else { "" };
        forks = format!("{cold}decided after {} of {} forks", look.forks, look.of);
    }
    match record.settings.elapsed_ns {
        Some(ns) => format!("{forks}, {}", units::duration(Duration::from_nanos(ns))),
        None => forks,
    }
}

/// The sites by activation, and what was kept since it only looks like one; of several models a line each.
fn sites_lines(record: &Record) -> Vec<String> {
    if record.models.is_empty() {
        return facts::reference(record, None).and_then(|v| sites_line(record, v)).into_iter().collect();
    }
    let line = |model: &Model| {
        let of_it = facts::reference(record, Some(&model.name)).and_then(|v| sites_line(record, v))?;
        Some(format!("{}: {of_it}", model.name))
    };
    record.models.iter().filter_map(line).collect()
}

fn sites_line(record: &Record, reference: &Variant) -> Option<String> {
    // A swap leaves alone what had its activation already, and the control what was identity: the sites are those that any
    // of them changes.
    let of_model = record.variants.iter().filter(|v| v.model == reference.model && v.role != Role::Original);
    let changed_by = |v: &'_ Variant| {
        v.sites.iter().filter(|s| s.from != s.to).map(|s| s.node.clone()).collect::<Vec<_>>()
    };
    let swapped: HashSet<String> = of_model.flat_map(changed_by).collect();
    let mut parts = vec![];
    let kinds = |is_swapped: bool| {
        let sites = reference.sites.iter().filter(|s| swapped.contains(&s.node) == is_swapped);
        counted(sites.map(|s| s.from.as_str()))
    };
    let (changed, unchanged) = (kinds(true), kinds(false));
    if !changed.is_empty() {
        parts.push(format!("{} swapped", list(&changed)));
    }
    if !unchanged.is_empty() {
        let alone = unchanged.iter().map(|(_, n)| n).sum::<usize>() == 1;
        let left = match reference.role {
            Role::Original => "",
            _ if alone => " left as it is",
            _ => " left as they are",
        };
        parts.push(format!("{}{left}", list(&unchanged)));
    }
    if reference.sites.is_empty() {
        parts.push("no activation sites".into());
    }
    for ((kind, op), n) in counted(reference.skipped.iter().map(|s| (refusal(&s.reason), s.op.as_str()))) {
        let plural = if n == 1 { "" } else { "s" };
        parts.push(format!("{} {kind}{op}{plural} kept", units::integer(n as u64)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `57 silu, 1 relu sites`
fn list(kinds: &[(&str, usize)]) -> String {
    let noun = if kinds.iter().map(|(_, n)| n).sum::<usize>() == 1 { "site" } else { "sites" };
    let kinds = kinds.iter().map(|(kind, n)| format!("{} {kind}", units::integer(*n as u64)));
    format!("{} {noun}", kinds.collect::<Vec<_>>().join(", "))
}

/// The sort of refusal, with a space behind. The reasons themselves name nodes and are too many for a header.
fn refusal(reason: &str) -> &'static str {
    match Refusal::of_reason(reason) {
        Some(Refusal::Gate) => "gate ",
        Some(Refusal::Decode) => "decode ",
        Some(Refusal::Shared) => "shared ",
        Some(Refusal::Unknown) => "unknown ",
        Some(Refusal::Other) | None => "",
    }
}

/// Warnings about the machine, and mixes, that a screen has room for beside times.
const ROOM: usize = 2;

/// As [`section`], with as many warnings as a screen has room for.
pub fn at_a_glance(record: &Record) -> Section {
    let mut shown = distinct(record.environment.warnings.iter().cloned());
    if facts::timed(record) && shown.len() > ROOM {
        let more = shown.split_off(ROOM - 1).len();
        shown.push(format!("{more} more warnings: oplat report shows them"));
    }
    let mut mixes = facts::mixes(record);
    if mixes.len() > ROOM {
        let more = mixes.split_off(ROOM - 1).len();
        mixes.push(format!("{more} more mixes: oplat report shows them"));
    }
    let section = Section::plain().line(setting(record)).lines(sites_lines(record));
    section.lines(mixes).warnings(shown).warnings(not_retrained(record))
}

fn warnings(record: &Record) -> Vec<String> {
    distinct(record.environment.warnings.iter().cloned()).into_iter().chain(not_retrained(record)).collect()
}

fn not_retrained(record: &Record) -> Option<String> {
    let swapped = record.variants.iter().any(|v| v.role == Role::Swap);
    swapped.then(|| "weights are not retrained: latency holds, accuracy does not".to_owned())
}
