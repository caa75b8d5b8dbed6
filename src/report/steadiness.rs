//! How good the measurement itself was: how steady the runs were, and what it took until they were.

use super::facts;
use super::grid::Grid;
use super::section::Section;
use crate::record::{Fork, InTurns, Record};
use crate::stats::Samples;
use crate::units::{self, Scale};

/// Outliers, drift and autocorrelation of the plain runs.
pub fn section(record: &Record) -> Section {
    if !facts::timed(record) || record.variants.iter().all(|v| v.steadiness.is_none()) {
        return Section::plain();
    }
    let mut grid = Grid::new()
        .name("steadiness")
        .number("runs")
        .number("outliers")
        .number("severe")
        .number("last third / first")
        .number("autocorrelation")
        .number("faults a run")
        .number("preempted a run");
    for variant in &record.variants {
        let Some(s) = variant.steadiness else { continue };
        grid.row([
            facts::label(record, variant),
            units::integer(s.runs as u64),
            units::integer((s.outliers_mild + s.outliers_severe) as u64),
            units::integer(s.outliers_severe as u64),
            s.drift.map_or("-".into(), |drift| units::ratio(drift, s.drift_interval)),
            s.autocorrelation.map_or("-".into(), |r| format!("{r:.2}")),
            a_run(&variant.forks, |turns| turns.minor_faults),
            a_run(&variant.forks, |turns| turns.involuntary_switches),
        ]);
    }
    Section::details("steadiness").table(grid).line(
        "outliers: runs outside Tukey's fences of their fork (counted, never dropped); last third / first: medians \
         within forks; autocorrelation: of a run with the next one; faults: minor page faults; preempted: involuntary \
         context switches",
    )
}

/// How often something came to pass in a run of the plain turns, on average; `-` where it isn't known.
fn a_run(forks: &[Fork], of: fn(&InTurns) -> u64) -> String {
    let turns: Vec<&InTurns> = forks.iter().filter_map(|f| f.in_turns.as_ref()).collect();
    let runs: u64 = turns.iter().map(|t| t.runs).sum();
    match runs {
        0 => "-".into(),
        _ => units::magnitude(turns.into_iter().map(of).sum::<u64>() as f64 / runs as f64),
    }
}

/// A figure of a fork, if it is known.
type Of = fn(&Fork) -> Option<u64>;

/// Load, optimisation and first run of fresh processes, and the memory after each.
pub fn cold(record: &Record) -> Section {
    let timed = facts::timed(record);
    let started = |v: &&crate::record::Variant| v.forks.iter().any(|f| f.load_ns > 0);
    let variants: Vec<_> = record.variants.iter().filter(started).collect();
    if variants.is_empty() {
        return Section::plain();
    }
    let median = |forks: &[Fork], of: Of| {
        Samples::new(forks.iter().filter_map(of).map(|n| n as f64)).map(|s| s.median().round() as u64)
    };
    const TIMES: [(&str, Of); 3] = [
        ("load", |f| Some(f.load_ns)),
        ("optimise", |f| Some(f.optimise_ns)),
        ("first run", |f| (f.first_run_ns > 0).then_some(f.first_run_ns)),
    ];
    const SIZES: [(&str, Of); 3] = [
        ("RSS loaded", |f| f.loaded_rss_bytes),
        ("first run", |f| f.first_run_rss_bytes),
        ("peak", |f| f.peak_rss_bytes),
    ];
    let all = || variants.iter().map(|v| v.forks.as_slice());
    let largest = |of: Of| all().filter_map(move |forks| median(forks, of)).max();
    let time = Scale::time(TIMES.iter().filter_map(|&(_, of)| largest(of)).max().unwrap_or(0));
    let size = Scale::bytes(SIZES.iter().filter_map(|&(_, of)| largest(of)).max().unwrap_or(0)).coarse(2);
    let mut grid = Grid::new().name("cold start");
    if timed {
        grid = TIMES.iter().fold(grid, |grid, (title, _)| grid.number(&format!("{title} {}", time.unit)));
        grid = grid.number("first / p50");
    }
    grid = SIZES.iter().fold(grid, |grid, (title, _)| grid.number(&format!("{title} {}", size.unit)));
    for variant in &variants {
        let mut cells = vec![facts::label(record, variant)];
        if timed {
            let of = |of| median(&variant.forks, of);
            cells.extend(TIMES.iter().map(|&(_, at)| of(at).map_or("-".into(), |ns| time.text(ns))));
            let first = of(TIMES[2].1).zip(variant.latency).filter(|(_, l)| l.p50_ns > 0);
            cells.push(first.map_or("-".into(), |(ns, l)| format!("{:.2}", ns as f64 / l.p50_ns as f64)));
        }
        cells.extend(
            SIZES
                .iter()
                .map(|&(_, at)| median(&variant.forks, at).map_or("-".into(), |bytes| size.text(bytes))),
        );
        grid.row(cells);
    }
    Section::details("cold start")
        .table(grid)
        .line("cold start: medians over fresh processes, which read the model from the file cache")
}
