//! Figures that a service for continuous benchmarking follows over time: Bencher's metric format, and that of
//! github-action-benchmark. Less is better in all of them.
//!
//! A name stays the same from one measurement to the next: `oplat/yolov5s/mish, exported`.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::{Format, NamedRecord, facts, json};
use crate::compare::{Comparison, per_fork};
use crate::error::{Error, Result};
use crate::figures;
use crate::record::bench::Bench;
use crate::record::{Record, Variant};
use crate::stats::Mean;
use crate::units;

/// How all names begin, by which we know our own files.
pub const MARK: &str = "oplat/";

/// What is followed: its name for Bencher and for people, and the unit that github-action-benchmark shows.
struct Measure {
    slug: &'static str,
    title: &'static str,
    unit: &'static str,
    /// How many of what is measured are one of the unit.
    per_unit: f64,
}

/// Bencher knows this one, in ns.
const LATENCY: Measure = Measure { slug: "latency", title: "latency", unit: "ms", per_unit: 1e6 };
const COLD: Measure =
    Measure { slug: "cold-latency", title: "latency of first runs", unit: "ms", per_unit: 1e6 };
const PROFILED: Measure =
    Measure { slug: "profiled-latency", title: "latency of profiled runs", unit: "ms", per_unit: 1e6 };
const RATIO: Measure = Measure { slug: "ratio", title: "ratio", unit: "x", per_unit: 1.0 };
const MEMORY: Measure = Measure { slug: "peak-memory", title: "peak memory", unit: "MB", per_unit: 1e6 };

/// A figure that is followed.
pub struct Tracked {
    name: String,
    measure: &'static Measure,
    value: f64,
    interval: Option<[f64; 2]>,
    /// What else there is to say of it.
    extra: String,
}

/// Latency, ratio and memory of every variant.
pub fn records(records: &[NamedRecord]) -> Vec<Tracked> {
    let mut names = Names::default();
    let several = records.len() > 1;
    records.iter().flat_map(|named| of_record(named, several, &mut names)).collect()
}

fn of_record(named: &NamedRecord, several: bool, names: &mut Names) -> Vec<Tracked> {
    let record = named.record;
    let steady = figures::steady(&record.variants);
    let mut all = vec![];
    for (variant, steady) in record.variants.iter().zip(&steady) {
        let of = several.then_some(named.name);
        let name =
            names.once([of, variant.model.is_none().then_some(&record.model.name), Some(&variant.name)]);
        let mut add = |measure, value: f64, interval, extra: String| {
            all.push(Tracked { name: name.clone(), measure, value, interval, extra });
        };
        if facts::timed(record) {
            let forks = per_fork(steady);
            let estimate =
                forks.as_ref().map(|logs| Mean::of(logs).estimate(record.settings.confidence).exp());
            let measure = if record.settings.cold { &COLD } else { &LATENCY };
            if let Some(estimate) = estimate {
                let interval = estimate.interval.map(|i| [i.low, i.high]);
                add(measure, estimate.point, interval, said(record, variant));
            } else if let Some(latency) = variant.latency {
                add(measure, latency.p50_ns as f64, None, said(record, variant));
            } else if let Some(profiled) = variant.profiled {
                add(&PROFILED, profiled.p50_ns as f64, None, said(record, variant));
            }
            if let Some(delta) = &variant.delta {
                add(
                    &RATIO,
                    delta.ratio,
                    delta.interval,
                    format!("against {}; {}", delta.against, said(record, variant)),
                );
            }
        }
        if let Some(bytes) = peak(variant) {
            add(&MEMORY, bytes as f64, None, said(record, variant));
        }
    }
    all
}

/// What the allocator held at most, or what values took of it at most.
fn peak(variant: &Variant) -> Option<u64> {
    variant.memory.and_then(|memory| memory.peak_heap_bytes.or(memory.peak_live_bytes))
}

fn said(record: &Record, variant: &Variant) -> String {
    let (engine, forks) = (facts::engine(record, variant), units::count(record.settings.forks, "fork"));
    format!("oplat {}, {} {}, {forks}", record.oplat.version, engine.name, engine.version)
}

/// New latency, and new over base, of every variant that both have.
pub fn comparison(comparison: &Comparison) -> Vec<Tracked> {
    let mut names = Names::default();
    let several = comparison.against.len() > 1;
    let mut all = vec![];
    for against in &comparison.against {
        let extra = format!("{} against {}, unpaired", against.new.name, comparison.base.name);
        for matched in &against.variants {
            let of = several.then_some(against.new.name.as_str());
            let name = names.once([of, Some(&against.new.model), Some(&matched.new.name)]);
            let mut add = |measure, value, interval| {
                all.push(Tracked { name: name.clone(), measure, value, interval, extra: extra.clone() });
            };
            if let Some(latency) = matched.new.latency.filter(|_| !against.emulated) {
                add(&LATENCY, latency.p50_ns as f64, None);
            }
            if let Some(change) = &matched.change {
                add(&RATIO, change.ratio, change.interval);
            }
        }
    }
    all
}

/// A forward of each activation at each size.
pub fn bench(bench: &Bench) -> Vec<Tracked> {
    if bench.environment.emulated {
        return vec![];
    }
    let mut names = Names::default();
    let row = |row: &crate::record::bench::Row| {
        let activation = format!("{}, {}", row.activation, row.lowering);
        let engine = Some(row.engine.as_str()).filter(|engine| !engine.is_empty());
        let of = |ns: f64| ns * row.elements as f64;
        Tracked {
            name: names.once([Some("bench"), engine, Some(&activation), Some(&row.elements.to_string())]),
            measure: &LATENCY,
            value: of(row.ns_per_element),
            interval: row.interval.map(|ends| ends.map(of)),
            extra: format!("{} ns an element; {}", row.ns_per_element, row.kernel),
        }
    };
    bench.rows.iter().map(row).collect()
}

/// Names that are given once.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn once<const N: usize>(&mut self, parts: [Option<&str>; N]) -> String {
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        let plain = format!("{MARK}{}", parts.join("/"));
        let numbered = (2..).map(|n| format!("{plain} #{n}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let name = free.unwrap_or(plain);
        self.0.insert(name.clone());
        name
    }
}

#[derive(Serialize)]
struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// The file of the service that the format is for; any other is for records alone.
pub fn render(tracked: Vec<Tracked>, format: Format) -> Result<String> {
    match format {
        Format::Bencher => bencher(tracked),
        Format::GithubBenchmark => github(tracked),
        _ => Err(format.unfit()),
    }
}

/// Bencher's metric format.
fn bencher(tracked: Vec<Tracked>) -> Result<String> {
    let mut all: BTreeMap<String, BTreeMap<&str, Metric>> = BTreeMap::new();
    for Tracked { name, measure, value, interval, .. } in known(tracked)? {
        let [low, high] = interval.map_or([None, None], |ends| ends.map(Some));
        let metric = Metric { value, lower_value: low, upper_value: high };
        all.entry(name).or_default().insert(measure.slug, metric);
    }
    json::document(&all)
}

#[derive(Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// The list that github-action-benchmark takes as `customSmallerIsBetter`.
fn github(tracked: Vec<Tracked>) -> Result<String> {
    let entry = |Tracked { name, measure, value, interval, extra }: Tracked| {
        let shown = |value: f64| (value / measure.per_unit * 1e6).round() / 1e6;
        let range = interval.map(|[low, high]| format!("{} to {}", shown(low), shown(high)));
        let name = format!("{name}: {}", measure.title);
        Entry { name, unit: measure.unit, value: shown(value), range, extra }
    };
    json::document(&known(tracked)?.into_iter().map(entry).collect::<Vec<_>>())
}

/// Those that are numbers. Fails if there are none: a service takes an empty file for a fault.
fn known(tracked: Vec<Tracked>) -> Result<Vec<Tracked>> {
    let finite = |ends: [f64; 2]| ends.iter().all(|end| end.is_finite());
    let mut known: Vec<Tracked> = tracked.into_iter().filter(|t| t.value.is_finite()).collect();
    known.iter_mut().for_each(|t| t.interval = t.interval.filter(|ends| finite(*ends)));
    match known.is_empty() {
        true => {
            Err(Error::input("there are no figures to follow: no latencies that may be shown, and no memory"))
        }
        false => Ok(known),
    }
}
