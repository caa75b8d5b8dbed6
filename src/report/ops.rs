//! A variant's operators by time: what the engine really runs, and where.

use std::cmp::Reverse;

use super::digits::Mean;
use super::facts;
use super::grid::{Grid, known};
use super::section::Section;
use crate::record::{Environment, Op, Record, Variant};
use crate::units::{self, Scale};

pub fn sections(record: &Record, top: usize) -> Vec<Section> {
    facts::broken_down(record).map(|v| section(record, v, top)).collect()
}

pub fn section(record: &Record, variant: &Variant, top: usize) -> Section {
    let table = OpsTable::new(record, variant);
    let ops = table.sorted();
    let (shown, rest) = ops.split_at(top.min(ops.len()));
    let mut grid = table.grid();
    shown.iter().for_each(|op| grid.row(table.row(op)));
    if table.timed && !rest.is_empty() {
        grid.row(table.rest(rest));
    }
    let name = facts::label(record, variant);
    let title = format!("{name}: {} of {} {}", shown.len(), units::count(ops.len(), "op"), table.order());
    let section = Section::headed(title).table(grid);
    let mut legend = table.legend(shown);
    if shown.iter().any(|op| op.generic_kernel) {
        // By itself it is a warning, behind others it explains the mark.
        if legend.is_empty() {
            return section.warning(GENERIC);
        }
        legend.push(format!("! {GENERIC}"));
    }
    section.lines((!legend.is_empty()).then(|| legend.join("; ")))
}

/// What the mark `!` says of an op.
const GENERIC: &str = "generic kernel: portable code without this processor's vector instructions";

/// The columns that a variant's ops need.
struct OpsTable<'r> {
    record: &'r Record,
    variant: &'r Variant,
    /// The finest that the clock of the ops can tell, ns.
    reading_ns: u64,
    /// Whether times may be shown.
    timed: bool,
    /// Whether memory was counted.
    counted: bool,
    /// Whether any op had page faults.
    faulting: bool,
    time: Scale,
    size: Scale,
}

impl<'r> OpsTable<'r> {
    fn new(record: &'r Record, variant: &'r Variant) -> Self {
        let ops = &variant.ops;
        let longest = ops.iter().map(|o| o.mean_ns).max().unwrap_or(0);
        let largest = ops.iter().flat_map(sizes).flatten().max().unwrap_or(0);
        Self {
            record,
            variant,
            reading_ns: record.environment.reading_ns(Some(facts::engine(record, variant))),
            timed: facts::profiled(record, variant),
            counted: variant.memory.is_some() && ops.iter().flat_map(sizes).any(|bytes| bytes.is_some()),
            faulting: ops.iter().any(|o| o.minor_faults > Some(0)),
            time: Scale::time(longest),
            size: Scale::bytes(largest).coarse(2),
        }
    }

    /// In which order the ops are.
    fn order(&self) -> &'static str {
        match self.timed {
            true => "by time",
            false if self.counted => "by memory",
            false => "in the engine's order",
        }
    }

    /// The ops, those first that take the most time, or the most memory where times say nothing.
    fn sorted(&self) -> Vec<&'r Op> {
        let bytes = |op: &Op| op.output_bytes.unwrap_or(0) + op.scratch_bytes.unwrap_or(0);
        let mut ops: Vec<&Op> = self.variant.ops.iter().collect();
        ops.sort_by_key(|op| Reverse(if self.timed { op.mean_ns } else { bytes(op) }));
        ops
    }

    fn grid(&self) -> Grid {
        let (time, size) = (self.time.unit, self.size.unit);
        let mut grid = Grid::new().name("op and kernel").name("node");
        if self.timed {
            grid = grid.number(&format!("mean\n{time}")).number("\nshare").number(&format!("alloc\n{time}"));
        }
        if self.faulting {
            grid = grid.number("page\nfaults");
        }
        let sizes = ["output", "scratch", "live"];
        sizes.iter().fold(grid, |grid, title| grid.number(&format!("{title}\n{size}")))
    }

    fn row(&self, op: &Op) -> Vec<String> {
        let mut cells = vec![what(self.variant, op), op.node.clone()];
        if self.timed {
            cells.extend([
                self.mean(op),
                Mean::of([op]).part(self.record, op.share),
                self.memory(op.allocator_ns, &self.time),
            ]);
        }
        if self.faulting {
            cells.push(known(op.minor_faults, units::integer));
        }
        cells.extend(sizes(op).map(|bytes| self.memory(bytes, &self.size)));
        cells
    }

    /// The mean, with its mark where the clock can hardly time it.
    fn mean(&self, op: &Op) -> String {
        let mark = mark(self.reading_ns, op);
        let text = match op.batched_ns.filter(|_| mark == Some(BATCH)) {
            Some(ns) => self.time.of_some(ns),
            None => Mean::of([op]).text(self.record, self.time),
        };
        // `<0.001` needs no second mark.
        let mark = mark.filter(|_| !text.starts_with('<'));
        mark.map_or_else(|| text.clone(), |mark| format!("{mark}{text}"))
    }

    /// The ops that are not shown, as one row.
    fn rest(&self, rest: &[&Op]) -> Vec<String> {
        let mean = Mean::of(rest.iter().copied());
        let allocator = rest.iter().map(|op| op.allocator_ns).sum::<Option<u64>>();
        let share = known(mean.share(self.record, self.variant), |share| share);
        let mut cells = vec![units::count(rest.len(), "more op"), String::new()];
        cells.extend([mean.text(self.record, self.time), share, self.memory(allocator, &self.time)]);
        if self.faulting {
            cells.push(units::integer(rest.iter().filter_map(|o| o.minor_faults).sum()));
        }
        cells
    }

    /// A figure of the pass that counts memory.
    fn memory(&self, figure: Option<u64>, scale: &Scale) -> String {
        known(figure.filter(|_| self.counted), |figure| scale.text(figure))
    }

    /// What the columns and the marks of times mean, of those that are there.
    fn legend(&self, shown: &[&Op]) -> Vec<String> {
        let mut legend = vec![];
        let allocator = self.counted && shown.iter().any(|op| op.allocator_ns.is_some());
        if self.timed && (allocator || self.faulting) {
            let note = match (allocator, self.faulting) {
                (true, true) => {
                    "alloc: of which inside the allocator, page faults: within, both from a run of their own"
                }
                (true, false) => "alloc: of which inside the allocator, from a run of its own",
                (false, _) => "page faults: within, from a run of their own",
            };
            legend.push(note.to_owned());
        }
        let reading = units::time(self.reading_ns);
        let short = format!("{} times the step or the reading of the clock ({reading})", Environment::SHORT);
        let marked =
            |with: char| self.timed && shown.iter().any(|op| mark(self.reading_ns, op) == Some(with));
        if marked(BATCH) {
            legend.push(format!(
                "{BATCH} less than {short}: one of many evaluations in a batch, its share as read in the run"
            ));
        }
        if marked(WITHIN) {
            legend.push(format!("{WITHIN} less than {short}; one reading is in it"));
        }
        legend
    }
}

fn sizes(op: &Op) -> [Option<u64>; 3] {
    [op.output_bytes, op.scratch_bytes, op.live_bytes]
}

/// Mark a time that was measured in a batch, and one that was read within the run though it is too short for the clock.
pub const BATCH: char = '=';
const WITHIN: char = '~';

/// The mark of an op that the clock can hardly time.
pub fn mark(reading_ns: u64, op: &Op) -> Option<char> {
    match op.batched_ns {
        _ if op.mean_ns >= Environment::SHORT * reading_ns => None,
        Some(_) => Some(BATCH),
        None => (op.mean_ns > 0).then_some(WITHIN),
    }
}

/// The op, its kernel, and the activation that it computes or that was folded into it.
pub fn what(variant: &Variant, op: &Op) -> String {
    let kind = |node: &String| variant.sites.iter().find(|s| s.node == *node).map(|s| s.to.as_str());
    let mut text = op.op.clone();
    if let Some(kernel) = &op.kernel {
        text += &format!(" {kernel}");
    }
    if let Some(kind) = op.site.as_ref().and_then(kind) {
        text += &format!(" ({kind})");
    }
    for (kind, _) in facts::counted(op.folded.iter().filter_map(kind)) {
        text += &format!(" +{kind}");
    }
    if op.generic_kernel {
        text += " !";
    }
    text
}
