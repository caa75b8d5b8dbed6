//! How good the measurement itself was: how steady its runs were.

use super::facts;
use super::grid::{Grid, UNKNOWN, known};
use super::section::Section;
use crate::record::{Fork, InTurns, Record};
use crate::units;

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
            known(s.drift, |drift| units::ratio(drift, s.drift_interval)),
            known(s.autocorrelation, |r| format!("{r:.2}")),
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

/// How often something happened in a run of the plain turns, on average.
fn a_run(forks: &[Fork], of: fn(&InTurns) -> u64) -> String {
    let turns: Vec<&InTurns> = forks.iter().filter_map(|f| f.in_turns.as_ref()).collect();
    let runs: u64 = turns.iter().map(|t| t.runs).sum();
    match runs {
        0 => UNKNOWN.into(),
        _ => units::magnitude(turns.into_iter().map(of).sum::<u64>() as f64 / runs as f64),
    }
}
