//! Where each variant's memory goes, counted in a pass of its own.

use super::facts;
use super::grid::Grid;
use super::section::Section;
use crate::record::{Memory, Record};
use crate::units::Scale;

type Figure = (&'static str, fn(&Memory) -> Option<u64>);

const FIGURES: [Figure; 5] = [
    ("weights", |m| Some(m.weights_bytes)),
    ("peak live", |m| Some(m.peak_live_bytes)),
    ("peak heap", |m| Some(m.peak_heap_bytes)),
    ("retained", |m| Some(m.retained_bytes)),
    ("peak resident", |m| m.peak_rss_bytes),
];

pub fn section(record: &Record) -> Section {
    let memories: Vec<(String, Memory)> =
        record.variants.iter().filter_map(|v| Some((facts::label(record, v), v.memory?))).collect();
    if memories.is_empty() {
        return Section::plain();
    }
    let largest = FIGURES.iter().filter_map(|(_, of)| memories.iter().filter_map(|(_, m)| of(m)).max());
    let scale = Scale::bytes(largest.max().unwrap_or(0)).coarse(2);
    let mut grid = Grid::new().name(&format!("memory, {}", scale.unit));
    for (title, _) in FIGURES {
        grid = grid.number(title);
    }
    for (name, memory) in memories {
        let figures = FIGURES.iter().map(|(_, of)| of(&memory).map_or("-".into(), |bytes| scale.text(bytes)));
        grid.row(std::iter::once(name).chain(figures));
    }
    Section::details("memory").table(grid).line(
        "live: tensors after an op; heap: also what ops use inside, above what was held before the run; \
         retained: kept by the engine between runs; resident: the whole process, loading included",
    )
}
