//! Memory along the run, and against latency.

use super::markup::Html;
use super::page::{beside, figure};
use super::part::Part;
use crate::compare::distinct;
use crate::plot::{Line, Lines, Point, Points, Quantity, Series};
use crate::record::Variant;
use crate::report::facts;
use crate::units;

/// What tensors hold after each operator.
pub fn curve(part: &Part) -> Html {
    let counted: Vec<&&Variant> =
        part.drawn.iter().filter(|v| v.ops.iter().any(|op| op.live_bytes > Some(0))).collect();
    if counted.is_empty() {
        return Html::default();
    }
    let line = |variant: &&&Variant| {
        let live = variant
            .ops
            .iter()
            .enumerate()
            .filter_map(|(at, op)| Some([(at + 1) as f64, op.live_bytes? as f64]));
        Line { name: facts::label(part.record, variant), points: live.collect() }
    };
    let most = counted.iter().map(|variant| {
        let peak = variant.ops.iter().filter_map(|op| op.live_bytes).max().unwrap_or(0);
        format!("{} at most {}", facts::label(part.record, variant), units::bytes(peak))
    });
    let plot = Lines {
        title: "Live memory after each operator",
        description: &most.collect::<Vec<_>>().join("; "),
        axes: [("operator, in the order of the run", Quantity::Number), ("live memory", Quantity::Bytes)],
        lines: counted.iter().map(line).collect(),
        steps: true,
    };
    let without = part.drawn.len() - counted.len();
    let untold = if without > 0 {
        format!(" Of {} the engine doesn't tell it.", units::count(without, "variant"))
    } else {
        String::new()
    };
    let caption = format!(
        "Bytes that tensors hold after each operator, counted in a pass of its own: weights not included.{untold}"
    );
    beside([figure(plot.svg(&format!("{}-live", part.id)), &caption, Html::default())])
}

type OfVariant = fn(&Variant) -> Option<u64>;

/// Every variant by its latency and what it needs of memory.
pub fn against_latency(part: &Part) -> Html {
    let record = part.record;
    let heap: OfVariant = |v| v.memory.as_ref().and_then(|m| m.peak_heap_bytes);
    let resident: OfVariant = |v| v.memory.as_ref().and_then(|m| m.peak_rss_bytes);
    let timed: Vec<&Variant> =
        record.variants.iter().filter(|v| facts::timed(record) && v.latency.is_some()).collect();
    // All by the same sort of memory: not every engine counts its heap.
    let (of, what): (OfVariant, &str) = match timed.iter().all(|v| heap(v).is_some()) {
        true => (heap, "peak heap of a run"),
        false => (resident, "peak resident memory of the process"),
    };
    let point = |variant: &&&Variant| {
        let (bytes, ns) = (of(variant)?, variant.latency?.p50_ns);
        let name = facts::label(record, variant);
        let told = format!("{name}: p50 {}, {what} {}", units::time(ns), units::bytes(bytes));
        Some(Point { x: bytes as f64, y: ns as f64, told, name })
    };
    let engines = distinct(timed.iter().map(|v| v.engine.as_str()));
    let series = engines.iter().map(|engine| Series {
        name: if engines.len() > 1 { (*engine).to_owned() } else { String::new() },
        points: timed.iter().filter(|v| v.engine == *engine).filter_map(|v| point(&v)).collect(),
    });
    let series: Vec<Series> = series.collect();
    let all: Vec<&str> = series.iter().flat_map(|s| &s.points).take(20).map(|p| p.told.as_str()).collect();
    if all.is_empty() {
        return Html::default();
    }
    let description = all.join("; ");
    let axes = [(what, Quantity::Bytes), ("p50 of unprofiled runs", Quantity::Time)];
    let plot =
        Points { title: "Latency against memory", description: &description, axes, series, spread: false };
    let caption = format!(
        "Median time of unprofiled runs against {what}: lower and further left is better. Axes may begin above 0."
    );
    figure(plot.svg(&format!("{}-latency-memory", part.id)), &caption, Html::default())
}
