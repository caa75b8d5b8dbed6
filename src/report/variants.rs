//! The variants one below another: times of whole, unprofiled runs, and what they cost.

use super::digits;
use super::facts;
use super::grid::{Grid, UNKNOWN, known};
use super::section::Section;
use super::verdict;
use crate::record::{ActivationCost, Delta, OutputChange, Record, Role, Variant, Verdict};
use crate::units::{self, Scale};

pub fn section(record: &Record) -> Section {
    let mut section = Section::plain();
    if !record.imported.is_empty() {
        section = section.table(profiled(record)).line(
            "profiled runs of an app; no unprofiled ones, so that p50 and p90 are unknown and no verdict is given",
        );
    } else if timed(record) {
        section = section.table(latencies(record)).line(key(record));
    }
    section.lines(changes(record)).warnings(odd_values(record))
}

/// Whether there are times, and they may be shown.
fn timed(record: &Record) -> bool {
    facts::timed(record) && record.variants.iter().any(|v| v.latency.is_some())
}

/// The variants of a record that has profiled runs alone.
fn profiled(record: &Record) -> Grid {
    let p50 = |v: &Variant| v.profiled.map(|p| p.p50_ns);
    let time = Scale::time(record.variants.iter().filter_map(p50).max().unwrap_or(0));
    let mut grid = Grid::new()
        .name("variant")
        .number("p50")
        .number("p90")
        .number(&format!("profiled p50 {}", time.unit))
        .number("profiled runs");
    for variant in &record.variants {
        let runs =
            variant.forks.iter().flat_map(|f| &f.profiled_rounds).map(|p| p.runs_ns.len()).sum::<usize>();
        grid.row([
            facts::label(record, variant),
            UNKNOWN.into(),
            UNKNOWN.into(),
            known(p50(variant), |ns| time.text(ns)),
            units::integer(runs as u64),
        ]);
    }
    grid
}

pub fn latencies(record: &Record) -> Grid {
    let largest = record.variants.iter().filter_map(|v| v.latency).map(|l| l.p90_ns.max(l.p50_ns)).max();
    let time = Scale::time(largest.unwrap_or(0));
    let peaks = record.variants.iter().filter_map(peak_rss).max();
    let size = Scale::bytes(peaks.unwrap_or(0));
    let mut grid = Grid::new()
        .name("variant")
        .number(&format!("p50 {}", time.unit))
        .number("p90")
        .number(if facts::has_engines(record) { "against its original" } else { "against original" })
        .number(&format!("activation {}", time.unit))
        .number("share")
        .number(&format!("peak {}", size.unit));
    for (variant, latency) in record.variants.iter().zip(digits::latencies(record, time)) {
        let [p50, p90] = latency.unwrap_or_else(|| [UNKNOWN, UNKNOWN].map(str::to_owned));
        grid.row([
            facts::label(record, variant),
            p50,
            p90,
            against(record, variant),
            known(cost(variant, time, ""), |cost| cost),
            known(variant.activation_cost.filter(|c| !verdict::is_blind_cost(c, variant)), |c| share(&c)),
            known(peak_rss(variant), |bytes| size.text(bytes)),
        ]);
    }
    grid
}

/// A variant's ratio to what it is compared with; that is 1 for what others are compared with, if any are.
pub fn against(record: &Record, variant: &Variant) -> String {
    let compared = || record.variants.iter().any(|v| v.delta.is_some());
    match (&variant.delta, variant.role) {
        (Some(delta), _) => ratio(delta),
        (None, Role::Original) if variant.latency.is_some() && compared() => "1".into(),
        _ => UNKNOWN.into(),
    }
}

/// A ratio with its interval, unless that says nothing.
pub fn ratio(delta: &Delta) -> String {
    match verdict::is_blind(delta) {
        true => verdict::word(delta.verdict).into(),
        false => units::ratio(delta.ratio, delta.interval),
    }
}

/// What the activations cost and how far that may be off, `56.4 ±1.3`, unless that says nothing.
pub fn cost(variant: &Variant, scale: Scale, unit: &str) -> Option<String> {
    let cost = variant.activation_cost.as_ref()?;
    if verdict::is_blind_cost(cost, variant) {
        return Some(verdict::word(Verdict::Inconclusive).into());
    }
    let figure = match cost.interval {
        Some([low, high]) => {
            units::with_error(cost.ns as f64, (cost.ns - low).max(high - cost.ns).max(0) as f64, scale)
        }
        None => scale.signed(cost.ns as f64),
    };
    Some(figure + unit)
}

/// The share of it in as many digits as its interval is worth.
fn share(cost: &ActivationCost) -> String {
    match cost.interval {
        Some([low, high]) if cost.ns != 0 => {
            units::share_with_error(cost.share, cost.share / cost.ns as f64 * (high - low) as f64 / 2.0)
        }
        _ => units::share(cost.share),
    }
}

fn peak_rss(variant: &Variant) -> Option<u64> {
    variant.memory.as_ref().and_then(|m| m.peak_rss_bytes)
}

/// How far each swap's outputs are from the original's.
fn changes(record: &Record) -> Option<String> {
    let changes = record.variants.iter().filter(|v| v.role == Role::Swap);
    let changes: Vec<String> = changes
        .filter_map(|v| Some(format!("{} {}", v.name, units::magnitude(v.output_change?.relative_l2))))
        .collect();
    (!changes.is_empty()).then(|| format!("change of the outputs, relative L2: {}", changes.join(" | ")))
}

/// What is wrong with the values that some variants compute.
pub fn odd_values(record: &Record) -> Vec<String> {
    let non_finite = counts(record, |change| change.non_finite).map(|counts| {
        format!(
            "non-finite numbers among the activations of one run: {counts}. Infinities or NaN spread from there"
        )
    });
    let subnormal = counts(record, |change| change.subnormal).map(|counts| {
        format!(
            "subnormal numbers among the activations of one run: {counts}. Many processors compute them slowly; \
             --denormals flush takes them for zero"
        )
    });
    non_finite.into_iter().chain(subnormal).collect()
}

/// Variants that a warning names.
const NAMED: usize = 3;

/// The variants that have such numbers, and how many.
fn counts(record: &Record, of: fn(&OutputChange) -> Option<u64>) -> Option<String> {
    let counts = record.variants.iter().filter_map(|v| Some((v, of(v.output_change.as_ref()?)?)));
    let counts = counts.filter(|&(_, n)| n > 0);
    let mut counts: Vec<String> = counts.map(|(v, n)| format!("{} {}", v.name, units::integer(n))).collect();
    if counts.len() > NAMED {
        let more = counts.split_off(NAMED).len();
        counts.push(units::count(more, "more variant"));
    }
    (!counts.is_empty()).then(|| counts.join(" | "))
}

/// What the columns mean, for those who have read it before.
pub fn short_key(record: &Record) -> String {
    let runs = if record.settings.cold { "first runs" } else { "unprofiled runs" };
    let mut parts = vec![format!("times of {runs}")];
    if record.variants.iter().any(|v| v.delta.is_some()) {
        parts.push(format!("ratios of paired runs, below 1 is faster{}", facts::interval_in_short(record)));
    }
    if record.variants.iter().any(|v| v.activation_cost.is_some()) {
        parts.push("activation: time above the control, the network without them".into());
    }
    parts.join("; ")
}

/// What the columns mean, of those that are filled.
fn key(record: &Record) -> String {
    let runs = if record.settings.cold {
        "first runs, each in a process of its own, right after loading"
    } else {
        "whole runs without profiling"
    };
    let mut parts = vec![format!("p50, p90: {runs}")];
    if record.variants.iter().any(|v| v.delta.is_some()) {
        let interval = facts::interval_note(record);
        let original = match record.models.first() {
            Some(first) => format!(" (of {})", first.name),
            None => String::new(),
        };
        parts.push(match facts::has_engines(record) {
            true => format!("against its original: ratio of paired runs in the same engine{interval}"),
            false => format!("against original{original}: ratio of paired runs{interval}"),
        });
    }
    if record.variants.iter().any(|v| v.activation_cost.is_some()) {
        let own = if record.models.is_empty() { "" } else { "model's " };
        parts.push(format!(
            "activation: paired difference to the {own}control, the network without activations"
        ));
    }
    if record.variants.iter().any(|v| peak_rss(v).is_some()) {
        parts.push("peak: resident memory of the variant's process".into());
    }
    parts.join("; ")
}
