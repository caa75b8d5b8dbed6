//! All figures of records, to be sorted and filtered.

use super::data::{Cell, Table, Unit, share};
use super::part::Part;
use super::sites::elements;
use crate::record::{Op, Variant};
use crate::report::{facts, ops, sites, types, variants, verdict};
use crate::units::{self, Scale};

pub fn of_records(parts: &[Part]) -> Vec<Table> {
    vec![of_variants(parts), of_types(parts), of_sites(parts), of_ops(parts)]
}

/// A table that begins with the record, where there are several, and the variant.
fn begun(id: &'static str, title: &str, parts: &[Part]) -> Table {
    let table = Table::new(id, title);
    if parts.len() > 1 { table.choice("record").choice("variant") } else { table.choice("variant") }
}

fn named<'p>(part: &'p Part, label: &'p str, several: bool) -> impl Iterator<Item = Cell<'p>> {
    let record = several.then_some(Cell::Text(part.name));
    record.into_iter().chain([Cell::Text(label)])
}

/// The largest of a figure over all variants.
fn largest(parts: &[Part], of: impl Fn(&Variant) -> Option<u64>) -> u64 {
    parts.iter().flat_map(|part| &part.record.variants).filter_map(of).max().unwrap_or(0)
}

fn of_variants(parts: &[Part]) -> Table {
    let time = Scale::time(largest(parts, |v| v.latency.map(|l| l.p99_ns.max(l.p50_ns))));
    let size = Scale::bytes(largest(parts, |v| v.memory.and_then(|m| m.peak_rss_bytes))).coarse(2);
    let heap =
        Scale::bytes(largest(parts, |v| v.memory.and_then(|m| m.peak_heap_bytes.max(m.peak_live_bytes))))
            .coarse(2);
    let profiled = Scale::time(largest(parts, |v| v.profiled.map(|p| p.p50_ns)));
    let mut table = begun("variants", "Variants", parts)
        .choice("engine")
        .number("p50", time.into())
        .number("p90", time.into())
        .number("p99", time.into())
        .number("mean", time.into())
        .number("standard deviation", time.into())
        .number("shortest", time.into())
        .figure("ratio of times [interval]")
        .choice("verdict")
        .figure(&format!("activations, {}", time.unit))
        .number("profiled p50", profiled.into())
        .number("peak live memory", heap.into())
        .number("peak heap", heap.into())
        .number("peak resident memory", size.into())
        .number("runs", Unit::COUNT);
    for part in parts {
        let timed = facts::timed(part.record);
        for variant in &part.record.variants {
            let label = facts::label(part.record, variant);
            let latency = variant.latency.filter(|_| timed);
            let delta = variant.delta.as_ref().filter(|_| timed);
            let ratio = delta.map_or(String::new(), variants::ratio);
            let word = delta
                .filter(|delta| delta.interval.is_some())
                .map_or("", |delta| verdict::word(delta.verdict));
            let cost = variants::cost(variant, time, "").filter(|_| timed).unwrap_or_default();
            let memory = variant.memory.unwrap_or_default();
            let runs = variant.forks.iter().flat_map(|f| &f.rounds).map(Vec::len).sum::<usize>() as u64;
            let times = [
                latency.map(|l| l.p50_ns),
                latency.map(|l| l.p90_ns),
                latency.map(|l| l.p99_ns),
                latency.map(|l| l.mean_ns),
                latency.map(|l| l.sd_ns),
                latency.map(|l| l.min_ns),
            ];
            let profiled = variant.profiled.filter(|_| timed).map(|p| p.p50_ns);
            let sizes = [memory.peak_live_bytes, memory.peak_heap_bytes, memory.peak_rss_bytes];
            let cells = named(part, &label, parts.len() > 1).chain([Cell::Text(&variant.engine)]);
            let cells = cells.chain(times.map(Cell::Number)).chain([
                Cell::Text(&ratio),
                Cell::Text(word),
                Cell::Text(&cost),
            ]);
            let cells = cells.chain([Cell::Number(profiled)]).chain(sizes.map(Cell::Number));
            table.row(cells.chain([Cell::Number(Some(runs).filter(|n| *n > 0))]));
        }
    }
    table
}

/// The variants of a part that have operators, with their names.
fn broken_down<'r>(part: &Part<'r>) -> impl Iterator<Item = (&'r Variant, String, bool)> {
    let record = part.record;
    facts::broken_down(record).map(move |v| (v, facts::label(record, v), facts::profiled(record, v)))
}

fn of_types(parts: &[Part]) -> Table {
    let time = Scale::time(largest(parts, types::profiled_run));
    let mut table = begun("types", "Types of operator", parts)
        .name("type")
        .number("operators", Unit::COUNT)
        .number("mean time, all together", Unit::of_some(time))
        .number("share of the profiled run", Unit::SHARE);
    for part in parts {
        for (variant, label, profiled) in broken_down(part) {
            table.cut();
            for (name, total) in types::totals(variant, types::TYPE) {
                let ns = total.ns().filter(|_| profiled);
                let of_run = ns.and_then(|ns| types::share(variant, ns)).and_then(share);
                let cells = [
                    Cell::Text(name),
                    Cell::Number(Some(total.ops as u64)),
                    Cell::Number(ns),
                    Cell::Number(of_run),
                ];
                table.row(named(part, &label, parts.len() > 1).chain(cells));
            }
        }
    }
    table
}

fn of_sites(parts: &[Part]) -> Table {
    let longest = |v: &Variant| v.ops.iter().filter(|op| op.site.is_some()).map(|op| op.mean_ns).max();
    let time = Scale::time(largest(parts, longest));
    let mut table = begun("sites", "Sites: where the model applies an activation", parts)
        .name("site")
        .choice("activation")
        .name("shape")
        .number("elements", Unit::COUNT)
        .number("mean time", Unit::of_some(time))
        .number("share of the profiled run", Unit::SHARE)
        .name("computed by");
    for part in parts {
        for (variant, label, profiled) in broken_down(part) {
            table.cut();
            for site in &variant.sites {
                let found = sites::time(variant, site);
                let ns = found.ns().filter(|_| profiled);
                let change = if site.from == site.to {
                    site.from.clone()
                } else {
                    format!("{} → {}", site.from, site.to)
                };
                let shape = units::dimensions(&site.shape);
                let of_run = ns.and_then(|ns| types::share(variant, ns)).and_then(share);
                let cells = [
                    Cell::Text(&site.node),
                    Cell::Text(&change),
                    Cell::Text(&shape),
                    Cell::Number(elements(site)),
                    Cell::Number(ns),
                    Cell::Number(of_run),
                    Cell::Text(&found.place),
                ];
                table.row(named(part, &label, parts.len() > 1).chain(cells));
            }
        }
    }
    table
}

fn of_ops(parts: &[Part]) -> Table {
    let time = Scale::time(largest(parts, |v| v.ops.iter().map(|op| op.mean_ns).max()));
    let sizes = |op: &Op| [op.output_bytes, op.scratch_bytes, op.live_bytes];
    let size = Scale::bytes(largest(parts, |v| v.ops.iter().flat_map(sizes).flatten().max())).coarse(2);
    let mut table = begun("ops", "Operators, in the order of the run", parts)
        .name("operator and kernel")
        .name("node")
        .name("shape of the output")
        .number("mean time", Unit::of_some(time))
        .number("share of the profiled run", Unit::SHARE)
        .choice("how it was timed")
        .number("output", size.into())
        .number("scratch", size.into())
        .number("live after it", size.into());
    for part in parts {
        for (variant, label, profiled) in broken_down(part) {
            table.cut();
            let reading = part.record.environment.reading_ns(Some(facts::engine(part.record, variant)));
            for op in &variant.ops {
                let mark = ops::mark(reading, op).filter(|_| profiled);
                let ns = match mark {
                    Some(ops::BATCH) => op.batched_ns.or(Some(op.mean_ns)),
                    _ => profiled.then_some(op.mean_ns),
                };
                let how = match mark {
                    Some(ops::BATCH) => "in a batch: too short for the clock",
                    Some(_) => "roughly: too short for the clock",
                    None => "",
                };
                let (what, shape) = (ops::what(variant, op), op.outputs.join(", "));
                let cells = [
                    Cell::Text(&what),
                    Cell::Text(&op.node),
                    Cell::Text(&shape),
                    Cell::Number(ns),
                    Cell::Number(share(op.share).filter(|_| profiled)),
                    Cell::Text(how),
                ];
                let cells = named(part, &label, parts.len() > 1).chain(cells);
                table.row(cells.chain(sizes(op).map(Cell::Number)));
            }
        }
    }
    table
}
