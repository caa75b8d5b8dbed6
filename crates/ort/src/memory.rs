//! Memory of operators, from what ONNX Runtime says of its arena in the events of a run.
//!
//! It must be the first run of a session: later ones take one block for all tensors whose sizes are known, and allocate little
//! in operators.

use oplat_ground::protocol::{Memory, OpMemory};

use crate::events::read::Event;

/// What the arena held when an operator had run, before what it alone had read was given back.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    row: usize,
    bytes: i64,
    /// By how much it had grown since before the operator.
    delta: i64,
    /// The most that it ever held.
    peak: i64,
}

/// The memory of `ops` operators, from the events of a session's first run with their rows, in the order in which they ran. What
/// the library doesn't tell is null: versions before 1.32 tell nothing, nor does any without an arena.
pub fn of<'e>(events: impl Iterator<Item = (usize, &'e Event)>, ops: usize, weights_bytes: u64) -> Memory {
    let held: Option<Vec<Held>> = events
        .map(|(row, event)| {
            let [bytes, delta, peak] = event.arena?;
            Some(Held { row, bytes, delta, peak })
        })
        .collect();
    let unknown = Memory {
        weights_bytes: Some(weights_bytes),
        ops: vec![OpMemory::default(); ops],
        ..Memory::default()
    };
    match held.filter(|held| !held.is_empty()) {
        Some(held) => told(&held, unknown),
        None => unknown,
    }
}

fn told(held: &[Held], mut memory: Memory) -> Memory {
    let (first, last) = (held[0], held[held.len() - 1]);
    let before = first.bytes - first.delta;
    let above = |bytes: i64| u64::try_from(bytes - before).unwrap_or(0);
    // What nothing reads any more has been given back when the next operator begins.
    let begun = held[1..].iter().map(|next| next.bytes - next.delta).chain([last.bytes]);
    for (at, live) in held.iter().zip(begun) {
        let Some(op) = memory.ops.get_mut(at.row) else { continue };
        let new = u64::try_from(at.delta).unwrap_or(0);
        op.output_bytes = Some(op.output_bytes.unwrap_or(0).saturating_add(new));
        op.live_bytes = Some(above(live));
    }
    memory.peak_live_bytes = memory.ops.iter().filter_map(|op| op.live_bytes).max();
    // The most ever may be from before the run, unless it grew in it.
    let grew = last.peak > first.peak || first.peak == first.bytes;
    memory.peak_heap_bytes = grew.then(|| above(last.peak));
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(rows: &[(usize, i64, i64, i64)]) -> Vec<Held> {
        rows.iter().map(|&(row, bytes, delta, peak)| Held { row, bytes, delta, peak }).collect()
    }

    fn memory(ops: usize) -> Memory {
        Memory { ops: vec![OpMemory::default(); ops], ..Memory::default() }
    }

    #[test]
    fn an_op_holds_what_it_made_until_nothing_reads_it() {
        // 100 bytes of the session; a makes 50; b makes 30 with 15 of its own inside; then a's are given back; c works in place.
        let told = told(&held(&[(0, 150, 50, 150), (1, 180, 30, 195), (2, 130, 0, 195)]), memory(3));
        let of = |field: fn(&OpMemory) -> Option<u64>| told.ops.iter().map(field).collect::<Vec<_>>();
        assert_eq!(of(|op| op.output_bytes), [Some(50), Some(30), Some(0)]);
        assert_eq!(of(|op| op.live_bytes), [Some(50), Some(30), Some(30)]);
        assert_eq!((told.peak_live_bytes, told.peak_heap_bytes), (Some(50), Some(95)));
    }

    #[test]
    fn a_peak_from_before_the_run_is_not_the_runs() {
        let told = told(&held(&[(0, 150, 50, 900), (1, 180, 30, 900)]), memory(2));
        assert_eq!((told.peak_live_bytes, told.peak_heap_bytes), (Some(80), None));
    }
}
