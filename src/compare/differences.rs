//! What is not the same in two records, beside the figures. All of it is named, since any of it may be why latencies
//! differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::distinct;
use crate::record::{BeforeAfter, Engine, Input, Model, Record, Variant};
use crate::units;

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// `machine: CPU`, `engine: version`, …
    pub what: &'static str,
    pub base: String,
    pub new: String,
}

/// A change of the CPUs' mean frequency that is worth naming, as a share.
const FREQUENCY: f64 = 0.05;

type TextOf<T> = fn(&T) -> String;

/// What is compared, as text. Records leave out what they don't know: an empty text is no difference to any other.
const ASPECTS: &[(&str, TextOf<Record>)] = &[
    ("machine: host", |r| r.environment.host.clone()),
    ("machine: target", |r| r.environment.target.clone()),
    ("machine: architecture", |r| r.environment.arch.clone()),
    ("machine: CPU", |r| r.environment.cpu.clone().unwrap_or_default()),
    ("machine: instruction sets", |r| sorted(&r.environment.isa)),
    ("machine: cores", |r| r.environment.cores.to_string()),
    ("machine: system", |r| r.environment.os.clone()),
    ("machine: governor", |r| sorted(&r.environment.governor)),
    ("machine: hypervisor", |r| r.environment.hypervisor.clone().unwrap_or_default()),
    ("machine: huge pages", |r| r.environment.huge_pages.clone().unwrap_or_default()),
    ("machine: pinned to CPUs", |r| pinned(&r.environment.affinity)),
    ("machine: emulated", |r| yes(r.environment.emulated)),
    ("engine", engines),
    ("engine: instruction sets", |r| sorted(&r.engine.isa)),
    ("engine: libc", |r| of_engines(r, |e| e.libc.clone())),
    ("engine: allocator", |r| of_engines(r, |e| e.allocator.clone())),
    ("oplat: version", |r| r.oplat.version.clone()),
    ("oplat: build profile", |r| r.oplat.profile.clone()),
    ("oplat: debug assertions", |r| yes(r.oplat.debug_assertions)),
    ("settings: threads", |r| r.settings.threads.to_string()),
    ("settings: denormals", |r| r.settings.denormals.name().to_owned()),
    ("settings: first runs only", |r| yes(r.settings.cold)),
    ("settings: seed", |r| r.settings.seed.to_string()),
    ("settings: forks", |r| r.settings.forks.to_string()),
    ("settings: time limit, s", |r| (r.settings.time_limit_ns as f64 / 1e9).to_string()),
    ("settings: ends when verdicts are known", |r| yes(r.settings.looks.is_some())),
    ("settings: confidence", |r| r.settings.confidence.to_string()),
    ("settings: interrupted", |r| yes(r.settings.interrupted)),
    ("environment: knobs", |r| knobs(&r.environment.knobs)),
    ("variants: knobs", |r| each(r, |v| knobs(&v.knobs))),
    ("variants: threads", |r| each(r, |v| v.threads.to_string())),
];

const OF_MODELS: &[(&str, TextOf<Model>)] = &[
    ("model: SHA-256", |m| m.sha256.chars().take(16).collect()),
    ("model: inputs", inputs),
    ("model: parameters", |m| m.parameters.to_string()),
    ("model: MACs", |m| m.macs.map_or(String::new(), |macs| macs.to_string())),
];

/// Everything that differs, in a fixed order.
pub fn all(base: &Record, new: &Record) -> Vec<Difference> {
    // Of an app's settings and machine its profile tells nothing.
    let measured = base.imported.is_empty() && new.imported.is_empty();
    let of_app = |d: &Difference| d.what.starts_with("engine");
    let aspects = aspects(ASPECTS, base, new).into_iter().filter(|d| measured || of_app(d));
    models(base, new).into_iter().chain(aspects).chain(frequency(base, new)).chain(sites(base, new)).collect()
}

fn aspects<T>(aspects: &[(&'static str, TextOf<T>)], base: &T, new: &T) -> Vec<Difference> {
    let differ = |&(what, of): &(&'static str, TextOf<T>)| {
        let (base, new) = (of(base), of(new));
        let known = !(base.is_empty() || new.is_empty());
        (known && base != new).then_some(Difference { what, base, new })
    };
    aspects.iter().filter_map(differ).collect()
}

/// What differs between the models, joined by name; the only model of either record is joined with the other's.
fn models(base: &Record, new: &Record) -> Vec<Difference> {
    let (old, young) = (all_models(base), all_models(new));
    let names = |models: &[&Model]| models.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join(" and ");
    let (base, new) = (names(&old), names(&young));
    let mut differences = vec![];
    if base != new && !base.is_empty() && !new.is_empty() {
        differences.push(Difference { what: "model: name", base, new });
    }
    let several = old.len() > 1 || young.len() > 1;
    for model in &old {
        let partner = if several { young.iter().find(|m| m.name == model.name) } else { young.first() };
        let Some(partner) = partner else { continue };
        let of_one = |d: Difference| Difference { base: format!("{}: {}", model.name, d.base), ..d };
        let found = aspects(OF_MODELS, *model, *partner);
        differences.extend(found.into_iter().map(|d| if several { of_one(d) } else { d }));
    }
    differences
}

fn all_models(record: &Record) -> Vec<&Model> {
    if record.models.is_empty() { vec![&record.model] } else { record.models.iter().collect() }
}

fn name(engine: &Engine) -> String {
    match engine.version.as_str() {
        "" => format!("{}, version unknown", engine.name),
        version => format!("{} {version}", engine.name),
    }
}

/// All of a record.
fn engines(record: &Record) -> String {
    of_engines(record, name)
}

/// The same of all engines of a record, or each one's.
fn of_engines(record: &Record, text: TextOf<Engine>) -> String {
    let all = if record.engines.is_empty() { std::slice::from_ref(&record.engine) } else { &record.engines };
    distinct(all.iter().map(text).filter(|text| !text.is_empty())).join(" and ")
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.into()
}

fn sorted(names: &[String]) -> String {
    names.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

fn pinned(cpus: &[usize]) -> String {
    if cpus.is_empty() { "none".into() } else { units::cpus(cpus) }
}

fn inputs(model: &Model) -> String {
    let input = |i: &Input| format!("{} {} {}", i.name, units::dimensions(&i.shape), i.dtype);
    model.inputs.iter().map(input).collect::<Vec<_>>().join(", ")
}

/// What the variants have: each text once, so that it is one if all have the same.
fn each(record: &Record, of: impl Fn(&Variant) -> String) -> String {
    let all: BTreeSet<String> = record.variants.iter().map(of).collect();
    all.into_iter().collect::<Vec<_>>().join(" | ")
}

fn knobs(knobs: &BTreeMap<String, String>) -> String {
    match knobs.is_empty() {
        true => "none".into(),
        false => knobs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
    }
}

fn frequency(base: &Record, new: &Record) -> Option<Difference> {
    let mean = |r: &Record| {
        let known = |f: &BeforeAfter| [f.before, f.after];
        let khz: Vec<i64> = r.environment.frequency_khz.values().flat_map(known).flatten().collect();
        (!khz.is_empty()).then(|| khz.iter().sum::<i64>() as f64 / khz.len() as f64)
    };
    let (base, new) = (mean(base)?, mean(new)?);
    let mhz = |khz: f64| format!("{:.0}", khz / 1e3);
    let differs = (new / base - 1.0).abs() > FREQUENCY;
    differs.then(|| Difference { what: "machine: mean frequency, MHz", base: mhz(base), new: mhz(new) })
}

/// The first variant whose sites are not the same in both: others were swapped, or found.
fn sites(base: &Record, new: &Record) -> Option<Difference> {
    let count = |v: &Variant| {
        let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for site in &v.sites {
            *kinds.entry((&site.from, &site.to)).or_default() += 1;
        }
        let kinds = kinds.iter().map(|((from, to), n)| match from == to {
            true => format!("{n} {from}"),
            false => format!("{n} {from} -> {to}"),
        });
        format!("{}: {}", v.name, kinds.collect::<Vec<_>>().join(", "))
    };
    base.variants.iter().find_map(|b| {
        let key = |v: &Variant| (v.model.clone(), v.role, v.rule.clone(), v.lowering);
        let n = new.variants.iter().find(|n| key(n) == key(b))?;
        let chosen = |v: &Variant| -> BTreeSet<(String, String, String)> {
            v.sites.iter().map(|s| (s.node.clone(), s.from.clone(), s.to.clone())).collect()
        };
        (chosen(b) != chosen(n)).then(|| Difference {
            what: "variants: sites",
            base: count(b),
            new: count(n),
        })
    })
}
