//! A variant's operators by time: what the engine really runs, and where.

use super::facts;
use super::grid::Grid;
use super::section::Section;
use super::types::profiled_run;
use crate::record::{Environment, Op, Record, Variant};
use crate::units::{self, Scale};

pub fn sections(record: &Record, top: usize) -> Vec<Section> {
    facts::broken_down(record).map(|v| section(record, v, top)).collect()
}

fn section(record: &Record, variant: &Variant, top: usize) -> Section {
    let timed = facts::timed(record);
    let mut ops: Vec<&Op> = variant.ops.iter().collect();
    if timed {
        ops.sort_by_key(|o| std::cmp::Reverse(o.mean_ns));
    } else {
        ops.sort_by_key(|o| std::cmp::Reverse(o.output_bytes + o.scratch_bytes));
    }
    let (shown, rest) = ops.split_at(top.min(ops.len()));
    let order = if timed { "by time" } else { "by memory" };
    let name = facts::label(record, variant);
    let title = format!("{name}: {} of {} {order}", shown.len(), units::count(ops.len(), "op"));

    let time = Scale::time(ops.iter().map(|o| o.mean_ns).max().unwrap_or(0));
    let largest = ops.iter().map(|o| o.output_bytes.max(o.scratch_bytes).max(o.live_bytes)).max();
    let size = Scale::bytes(largest.unwrap_or(0)).coarse(2);
    let mut grid = Grid::new().name("op and kernel").name("node");
    if timed {
        grid = grid
            .number(&format!("mean\n{}", time.unit))
            .number("\nshare")
            .number(&format!("alloc\n{}", time.unit));
    }
    let faulting = ops.iter().any(|o| o.minor_faults > Some(0));
    if faulting {
        grid = grid.number("page\nfaults");
    }
    for title in ["output", "scratch", "live"] {
        grid = grid.number(&format!("{title}\n{}", size.unit));
    }
    let counted = variant.memory.is_some();
    let when = |known: bool, text: String| if known { text } else { "-".into() };
    for op in shown {
        let mut cells = vec![what(variant, op), op.node.clone()];
        if timed {
            cells.extend([
                mean(&record.environment, op, &time),
                units::share(op.share),
                when(counted, time.text(op.allocator_ns)),
            ]);
        }
        if faulting {
            cells.push(op.minor_faults.map_or("-".into(), units::integer));
        }
        let sizes = [op.output_bytes, op.scratch_bytes, op.live_bytes];
        cells.extend(sizes.map(|bytes| when(counted, size.text(bytes))));
        grid.row(cells);
    }
    if timed && !rest.is_empty() {
        let sum = |of: fn(&Op) -> u64| rest.iter().map(|o| of(o)).sum::<u64>();
        let run = profiled_run(variant).max(1);
        let (mean, allocator) = (sum(|o| o.mean_ns), sum(|o| o.allocator_ns));
        let share = units::share(mean as f64 / run as f64);
        let mut cells = vec![units::count(rest.len(), "more op"), String::new()];
        cells.extend([time.text(mean), share, when(counted, time.text(allocator))]);
        if faulting {
            cells.push(units::integer(rest.iter().filter_map(|o| o.minor_faults).sum()));
        }
        grid.row(cells);
    }
    let mut notes = vec![];
    if timed && counted {
        notes.push(match faulting {
            true => "alloc: of which inside the allocator, page faults: within, both from a run of their own",
            false => "alloc: of which inside the allocator, from a run of its own",
        });
    }
    let reading = units::time(record.environment.reading_ns());
    let short = format!("{} times the step or the reading of the clock ({reading})", Environment::SHORT);
    let batch =
        format!("= less than {short}: one of many evaluations in a batch, its share as read in the run");
    let within = format!("~ less than {short}; one reading is in it");
    let marked = |with: char| timed && shown.iter().any(|op| mark(&record.environment, op) == Some(with));
    if marked(BATCH) {
        notes.push(&batch);
    }
    if marked(WITHIN) {
        notes.push(&within);
    }
    if shown.iter().any(|o| o.generic_kernel) {
        notes.push("! generic kernel: portable code without this processor's vector instructions");
    }
    let notes = (!notes.is_empty()).then(|| notes.join("; "));
    Section::headed(title).table(grid).lines(notes)
}

/// What marks a time that a batch gave, and one that is within the run and too short for the clock.
const BATCH: char = '=';
const WITHIN: char = '~';

/// The mark of an op that the clock can hardly time.
fn mark(environment: &Environment, op: &Op) -> Option<char> {
    match op.batched_ns {
        _ if !environment.is_short(op.mean_ns as f64) => None,
        Some(_) => Some(BATCH),
        None => (op.mean_ns > 0).then_some(WITHIN),
    }
}

fn mean(environment: &Environment, op: &Op, time: &Scale) -> String {
    let mark = mark(environment, op);
    let text = time.text(op.batched_ns.filter(|_| mark == Some(BATCH)).unwrap_or(op.mean_ns));
    // One that is below what is shown needs no second mark.
    let mark = mark.filter(|_| !text.starts_with('<'));
    mark.map_or_else(|| text.clone(), |mark| format!("{mark}{text}"))
}

/// The op, its kernel, and the activation that it computes or that was folded into it.
fn what(variant: &Variant, op: &Op) -> String {
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
