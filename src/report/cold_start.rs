//! What it takes until the first result: loading, optimisation and first run of fresh processes, and the memory
//! after each.

use std::time::Duration;

use super::facts;
use super::grid::{Grid, known};
use super::section::Section;
use crate::record::{Fork, Record, Variant};
use crate::stats::Samples;
use crate::units::{self, Scale};

/// A column's title, and what it shows of a fork, if that is known.
type TitledFigure = (&'static str, OfFork);
type OfFork = fn(&Fork) -> Option<u64>;

const TIMES: [TitledFigure; 3] = [
    ("load", |f| undisturbed(f, f.load_ns)),
    ("optimise", |f| undisturbed(f, f.optimise_ns)),
    ("first run", first_run),
];
const SIZES: [TitledFigure; 3] = [
    ("RSS loaded", |f| f.loaded_rss_bytes),
    ("first run", |f| f.first_run_rss_bytes),
    ("peak", |f| f.peak_rss_bytes),
];

fn first_run(fork: &Fork) -> Option<u64> {
    undisturbed(fork, fork.first_run_ns)
}

/// A time that is known, and that no other process disturbed.
fn undisturbed(fork: &Fork, ns: u64) -> Option<u64> {
    (ns > 0 && !fork.started_together).then_some(ns)
}

pub fn section(record: &Record) -> Section {
    let started = |v: &&Variant| v.forks.iter().any(|f| f.load_ns.max(f.optimise_ns) > 0);
    let variants: Vec<&Variant> = record.variants.iter().filter(started).collect();
    if variants.is_empty() {
        return Section::plain();
    }
    let timed = facts::timed(record);
    let time = Scale::time(largest(&variants, &TIMES));
    let size = Scale::bytes(largest(&variants, &SIZES)).coarse(2);
    let mut grid = Grid::new().name("cold start");
    if timed {
        grid = titled(grid, &TIMES, time).number("first / p50");
    }
    grid = titled(grid, &SIZES, size);
    for variant in variants {
        let mut cells = vec![facts::label(record, variant)];
        if timed {
            cells.extend(figures(variant, &TIMES, time));
            cells.push(known(first_by_p50(variant), |ratio| format!("{ratio:.2}")));
        }
        cells.extend(figures(variant, &SIZES, size));
        grid.row(cells);
    }
    let cold = match record.imported.is_empty() {
        true => of_processes(record),
        false => "as the session in the app timed them".into(),
    };
    let section = Section::details("cold start").table(grid).line(format!("cold start: {cold}"));
    section.lines(share_of_the_time(record))
}

/// How much of the measurement went into making processes ready.
fn share_of_the_time(record: &Record) -> Option<String> {
    let (starting, all) = (record.settings.starting_ns?, record.settings.elapsed_ns.filter(|&ns| ns > 0)?);
    let together = record.variants.iter().flat_map(|v| &v.forks).any(|fork| fork.started_together);
    let how = if together { "; three of four forks start their processes together" } else { "" };
    Some(format!(
        "starting, loading, first runs and warming up took {}% of the {}{how}",
        units::percent(starting as f64 / all as f64),
        units::duration(Duration::from_nanos(all))
    ))
}

/// How many processes the times are of, and in which state they began.
fn of_processes(record: &Record) -> String {
    let alone = |v: &Variant| v.forks.iter().filter(|fork| !fork.started_together).count();
    let most = record.variants.iter().map(alone).max().unwrap_or(0);
    let starts = units::count(most, "start");
    format!(
        "medians over {starts} of each variant, one by one, in fresh processes that read the model from the file cache"
    )
}

fn titled(grid: Grid, columns: &[TitledFigure], scale: Scale) -> Grid {
    columns.iter().fold(grid, |grid, (title, _)| grid.number(&format!("{title} {}", scale.unit)))
}

fn figures(variant: &Variant, columns: &[TitledFigure], scale: Scale) -> impl Iterator<Item = String> {
    columns.iter().map(move |&(_, of)| known(median(variant, of), |figure| scale.text(figure)))
}

/// The largest figure of all variants in these columns.
fn largest(variants: &[&Variant], columns: &[TitledFigure]) -> u64 {
    let medians = |&(_, of): &TitledFigure| variants.iter().filter_map(move |variant| median(variant, of));
    columns.iter().flat_map(medians).max().unwrap_or(0)
}

/// The median over the forks.
fn median(variant: &Variant, of: OfFork) -> Option<u64> {
    let figures = variant.forks.iter().filter_map(of).map(|figure| figure as f64);
    Some(Samples::new(figures)?.median().round() as u64)
}

/// The first run's time over the median of the usual ones.
fn first_by_p50(variant: &Variant) -> Option<f64> {
    let first = median(variant, first_run)?;
    let p50 = variant.latency.map(|l| l.p50_ns).filter(|&p50| p50 > 0)?;
    Some(first as f64 / p50 as f64)
}
