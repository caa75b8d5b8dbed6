//! Where each variant's memory goes, counted in a pass of its own.

use std::cmp::Reverse;

use super::facts;
use super::grid::{Grid, known};
use super::section::Section;
use crate::compare::{MEMORY, SizeOf};
use crate::record::{Memory, Op, Record, Variant};
use crate::units::Scale;

pub fn section(record: &Record) -> Section {
    let memories: Vec<(String, Memory)> =
        record.variants.iter().filter_map(|v| Some((facts::label(record, v), v.memory?))).collect();
    if memories.is_empty() {
        return Section::plain();
    }
    let largest = |of: SizeOf| memories.iter().filter_map(|(_, m)| of(m)).max();
    let columns: Vec<(&str, SizeOf)> = MEMORY.into_iter().filter(|&(_, of)| largest(of).is_some()).collect();
    if columns.is_empty() {
        return Section::plain();
    }
    let scale = Scale::bytes(columns.iter().filter_map(|&(_, of)| largest(of)).max().unwrap_or(0)).coarse(2);
    let titles = columns.iter().map(|(title, _)| *title);
    let grid = Grid::new().name(&format!("memory, {}", scale.unit));
    let mut grid = titles.clone().fold(grid, |grid, title| grid.number(title));
    for (name, memory) in &memories {
        let figures = columns.iter().map(|(_, of)| known(of(memory), |bytes| scale.text(bytes)));
        grid.row(std::iter::once(name.clone()).chain(figures));
    }
    let notes: Vec<&str> = titles.filter_map(meaning).collect();
    Section::details("memory").table(grid).line(notes.join("; "))
}

/// What a column means whose title doesn't say it.
fn meaning(title: &str) -> Option<&'static str> {
    Some(match title {
        "peak live" => "live: tensors after an op",
        "peak heap" => "heap: also what ops use inside, above what was held before the run",
        "retained" => "retained: kept by the engine between runs",
        "peak resident" => "resident: the whole process, loading included",
        _ => return None,
    })
}

/// The most columns of a curve.
const COLUMNS: usize = 60;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How many bytes tensors hold after each op, as a curve, and after which op they hold the most.
pub fn curve(record: &Record) -> Section {
    let variants: Vec<&Variant> =
        facts::broken_down(record).filter(|v| v.ops.iter().any(|op| op.live_bytes > Some(0))).collect();
    let top = variants.iter().flat_map(|v| &v.ops).filter_map(|op| op.live_bytes).max().unwrap_or(0);
    let scale = Scale::bytes(top).coarse(2);
    let mut section = Section::details("live memory over the run");
    for variant in variants {
        let Some((at, peak)) =
            variant.ops.iter().enumerate().max_by_key(|(at, op)| (op.live_bytes, Reverse(*at)))
        else {
            continue;
        };
        let node = if peak.node.is_empty() { String::new() } else { format!(" {}", peak.node) };
        let (label, ops) = (facts::label(record, variant), variant.ops.len());
        let most = format!("{} {}", scale.text(peak.live_bytes.unwrap_or(0)), scale.unit);
        let place = format!("op {} of {ops}: {}{node}", at + 1, peak.op);
        section = section
            .line(format!("{label}: live memory after each op, at most {most}, after {place}"))
            .line(bars(&variant.ops, top));
    }
    section
}

/// The most that is live in each part of the run, as bars of eight heights.
fn bars(ops: &[Op], top: u64) -> String {
    let columns = COLUMNS.min(ops.len());
    let bar = |column: usize| {
        let (from, to) = (column * ops.len() / columns, (column + 1) * ops.len() / columns);
        let most = ops[from..to].iter().filter_map(|op| op.live_bytes).max().unwrap_or(0);
        BARS[((most * 8).div_ceil(top.max(1)).max(1) - 1).min(7) as usize]
    };
    (0..columns).map(bar).collect()
}
