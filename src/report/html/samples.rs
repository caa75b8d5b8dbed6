//! Every unprofiled run, in the order of the measurement.

use super::markup::{Html, said};
use super::page::{beside, figure};
use super::part::Part;
use super::sections;
use crate::plot::Runs;
use crate::record::Variant;
use crate::report::facts;
use crate::report::grid::{Grid, known};
use crate::stats::Samples;
use crate::units::{self, Scale};

pub fn figures(part: &Part) -> Html {
    if !facts::timed(part.record) {
        return Html::default();
    }
    let with_runs =
        part.drawn.iter().filter(|v| v.forks.iter().any(|f| f.rounds.iter().any(|round| !round.is_empty())));
    let figures: Vec<Html> = with_runs.enumerate().map(|(at, variant)| runs(part, at, variant)).collect();
    if figures.is_empty() {
        return said("p", "The record has no unprofiled runs.");
    }
    beside(figures)
}

fn runs(part: &Part, at: usize, variant: &Variant) -> Html {
    let label = facts::label(part.record, variant);
    let forks: Vec<Vec<u64>> = variant.forks.iter().map(|fork| fork.rounds.concat()).collect();
    let count = forks.iter().map(Vec::len).sum::<usize>();
    let figures = table(&forks);
    let title = format!("{label}: every unprofiled run");
    let description = format!(
        "{} in {}, p50 {}.",
        units::count(count, "run"),
        units::count(forks.len(), "process").replace("processs", "processes"),
        variant.latency.map_or("unknown".into(), |l| units::time(l.p50_ns))
    );
    let median = variant.latency.map(|l| l.p50_ns as f64);
    let plot = Runs { title: &title, description: &description, forks, median };
    let mut caption = format!(
        "{title}. {description} A dot a run; short lines are the processes' own medians, the long one is that of all. Runs that climb \
         or fall within a process drift. The axis may begin above 0."
    );
    if plot.every() > 1 {
        caption += &format!(" One of {} runs is drawn.", plot.every());
    }
    match plot.beyond() {
        0 => {}
        1 => caption += " 1 run took longer than is drawn: the triangle at the upper edge.",
        n => caption += &format!(" {n} runs took longer than is drawn: the triangles at the upper edge."),
    }
    figure(plot.svg(&format!("{}-runs-{at}", part.id)), &caption, figures)
}

fn table(forks: &[Vec<u64>]) -> Html {
    let scale = Scale::time(forks.iter().flatten().copied().max().unwrap_or(0));
    let unit = scale.unit;
    let mut grid = Grid::new()
        .name("process")
        .number("runs")
        .number(&format!("median {unit}"))
        .number(&format!("shortest {unit}"))
        .number(&format!("longest {unit}"));
    for (at, fork) in forks.iter().enumerate() {
        let median = Samples::new(fork.iter().map(|&ns| ns as f64)).map(|s| s.median().round() as u64);
        let figure = |ns: Option<u64>| known(ns, |ns| scale.text(ns));
        let ends = [fork.iter().min(), fork.iter().max()].map(|ns| figure(ns.copied()));
        grid.row(
            [(at + 1).to_string(), units::integer(fork.len() as u64), figure(median)].into_iter().chain(ends),
        );
    }
    sections::table(&grid, "")
}
