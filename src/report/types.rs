//! Types of operator across variants: where the difference between two variants sits.

use std::collections::BTreeMap;

use super::facts;
use super::grid::{Grid, shorten};
use crate::record::{Record, Variant};
use crate::units::{self, Scale};

/// Variants side by side in one table; more go into another below it.
const BAND: usize = 5;
/// A variant's name above its column.
const TITLE: usize = 13;

pub fn render(record: &Record, top: usize) -> String {
    let variants: Vec<&Variant> = facts::broken_down(record).collect();
    let bands = variants.chunks(BAND);
    if facts::timed(record) {
        let rows = by_time(&variants);
        let text: Vec<String> = bands.map(|band| times(record, band, &rows, top)).collect();
        match text.is_empty() {
            true => String::new(),
            false => {
                text.join("\n")
                    + "means of profiled runs: they say where time goes; whole runs above say which variant is slower\n"
            }
        }
    } else {
        bands.map(|band| counts(record, band)).collect::<Vec<_>>().join("\n")
    }
}

/// Types of operator, the most expensive (in any variant) first.
fn by_time<'r>(variants: &[&'r Variant]) -> Vec<&'r str> {
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for variant in variants {
        for (op, ns) in totals(variant) {
            let most = most.entry(op).or_default();
            *most = ns.max(*most);
        }
    }
    let mut ops: Vec<(&str, u64)> = most.into_iter().collect();
    ops.sort_by_key(|&(_, ns)| std::cmp::Reverse(ns));
    ops.into_iter().map(|(op, _)| op).collect()
}

fn totals(variant: &Variant) -> BTreeMap<&str, u64> {
    let mut totals = BTreeMap::new();
    for op in &variant.ops {
        *totals.entry(op.op.as_str()).or_default() += op.mean_ns;
    }
    totals
}

fn times(record: &Record, variants: &[&Variant], rows: &[&str], top: usize) -> String {
    let all: Vec<BTreeMap<&str, u64>> = variants.iter().map(|v| totals(v)).collect();
    let runs: Vec<u64> = variants.iter().map(|v| profiled_run(v)).collect();
    let scale = Scale::time(runs.iter().copied().max().unwrap_or(0));
    let mut grid = titled(record, &format!("mean {} by type", scale.unit), variants);
    let figure = |ns: Option<u64>| ns.map_or("-".into(), |ns| scale.text(ns));
    let (shown, rest) = rows.split_at(top.min(rows.len()));
    for op in shown {
        grid.row(std::iter::once(op.to_string()).chain(all.iter().map(|t| figure(t.get(op).copied()))));
    }
    if !rest.is_empty() {
        let sums =
            all.iter().map(|t| figure(rest.iter().filter_map(|op| t.get(op).copied()).reduce(|a, b| a + b)));
        grid.row(std::iter::once(format!("{} more types", rest.len())).chain(sums));
    }
    let profiled = |of: &dyn Fn(&Variant) -> Option<String>| {
        variants.iter().map(|v| of(v).unwrap_or("-".into())).collect::<Vec<_>>()
    };
    let unaccounted = profiled(&|v| v.profiled.map(|p| scale.text(p.unaccounted_ns)));
    grid.row(std::iter::once("unaccounted".to_string()).chain(unaccounted));
    grid.row(std::iter::once("profiled run".to_string()).chain(runs.iter().map(|&ns| scale.text(ns))));
    let overhead = profiled(&|v| v.profiled.map(|p| units::ratio(p.overhead_ratio, None)));
    grid.row(std::iter::once("profiled/plain".to_string()).chain(overhead));
    grid.render()
}

/// Mean wall time of a profiled run: its ops and what none of them explains.
pub fn profiled_run(variant: &Variant) -> u64 {
    variant.ops.iter().map(|o| o.mean_ns).sum::<u64>() + variant.profiled.map_or(0, |p| p.unaccounted_ns)
}

fn counts(record: &Record, variants: &[&Variant]) -> String {
    let all: Vec<Vec<(&str, usize)>> =
        variants.iter().map(|v| facts::counted(v.ops.iter().map(|o| o.op.as_str()))).collect();
    let mut rows: Vec<&str> = vec![];
    for (op, _) in all.iter().flatten() {
        if !rows.contains(op) {
            rows.push(op);
        }
    }
    let mut grid = titled(record, "ops by type", variants);
    for row in rows {
        let count = |ops: &Vec<(&str, usize)>| {
            ops.iter().find(|(op, _)| *op == row).map_or("-".into(), |(_, n)| units::integer(*n as u64))
        };
        grid.row(std::iter::once(row.to_string()).chain(all.iter().map(count)));
    }
    grid.render()
}

fn titled(record: &Record, first: &str, variants: &[&Variant]) -> Grid {
    variants.iter().fold(Grid::new().name(first), |grid, variant| {
        let name = facts::label(record, variant);
        let (head, tail) = name.split_once([',', '(']).unwrap_or((&name, ""));
        let tail = tail.trim_matches([' ', ')']);
        grid.number(&format!("{}\n{}", shorten(head.trim(), TITLE), shorten(tail, TITLE)))
    })
}
