//! Networks with their times in every engine, side by side: the variants with the same model, activation, lowering and knobs.

use super::digits;
use super::facts;
use super::grid::{Grid, UNKNOWN, known};
use super::section::Section;
use super::variants;
use crate::compare::distinct;
use crate::record::{Engine, Record, Variant};
use crate::units::Scale;

/// Empty unless there are several engines, and times that may be shown.
pub fn section(record: &Record) -> Section {
    match facts::engines(record) {
        [first, others @ ..] if !others.is_empty() && facts::timed(record) => {
            side_by_side(record, first, others)
        }
        _ => Section::plain(),
    }
}

fn side_by_side(record: &Record, first: &Engine, others: &[Engine]) -> Section {
    let largest = record.variants.iter().filter_map(|v| v.latency).map(|l| l.p50_ns).max();
    let time = Scale::time(largest.unwrap_or(0));
    let mut grid = Grid::new().name("network");
    for engine in std::iter::once(first).chain(others) {
        grid = grid.number(&format!("{} {}", engine.id, time.unit)).number("against original");
    }
    for engine in others {
        grid = grid.number(&format!("{} against {}", engine.id, first.id));
    }
    let networks = distinct(record.variants.iter().map(|v| network(record, v)));
    let latencies = digits::latencies(record, time);
    for name in networks {
        let of = |engine: &Engine| {
            let mut variants = record.variants.iter().zip(&latencies);
            variants.find(|(v, _)| v.engine == engine.id && network(record, v) == name)
        };
        let mut row = vec![name.clone()];
        for engine in std::iter::once(first).chain(others) {
            let variant = of(engine);
            row.push(known(variant.and_then(|(_, latency)| latency.as_ref()), |[p50, _]| p50.clone()));
            row.push(variant.map_or_else(|| UNKNOWN.to_owned(), |(v, _)| variants::against(record, v)));
        }
        for engine in others {
            let across = of(engine).and_then(|(v, _)| v.across.as_ref());
            row.push(known(across, variants::ratio));
        }
        grid.row(row);
    }
    let runs = if record.settings.cold { "first runs" } else { "unprofiled runs" };
    Section::plain().table(grid).line(format!(
        "median times of {runs}; ratios of paired runs, below 1 is faster{}",
        facts::interval_in_short(record)
    ))
}

/// A variant's name without its engine.
fn network(record: &Record, variant: &Variant) -> String {
    let label = facts::label(record, variant);
    let engine = format!(", {}", variant.engine);
    label.replacen(&engine, "", 1)
}
