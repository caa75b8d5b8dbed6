//! Memory, in runs of their own: one in which the bytes of each operator are counted, one in which the time
//! inside the allocator is.
//!
//! The engine's own facts don't tell what a packed tensor holds, so the figures are differences of the
//! allocator's counters. An operator's inputs die inside its evaluation: what it newly holds is the change of
//! the bytes held, plus the bytes of the inputs that died.

use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::plan;

use super::TractModel;
use oplat_ground::process::cpu::MinorFaults;
use oplat_ground::process::heap::{Counting, Detail};
use oplat_ground::protocol::{Failure, Memory, OpMemory};

impl TractModel {
    /// Counts the memory of one run and the allocator's time in another. What the engine keeps between runs
    /// must be there, so a model that hasn't run yet is run first.
    pub fn count_memory(&mut self) -> Result<Memory, Failure> {
        if self.held_at_first_run.is_none() {
            drop(self.run_with(plan::eval)?);
        }
        let rows = self.rows.row_of_node.clone();
        let mut ops = vec![OpMemory::default(); self.rows.ops.len()];
        let at_rest = Counting::counters().held;
        let started = self.held_at_first_run.unwrap_or(at_rest);

        let mut bytes = Bytes { base: at_rest, held_by: vec![0; rows.len()], peak: 0 };
        Counting::set_detail(Detail::Counts);
        let result = self.run_with(|ctx, state, node, inputs| {
            let row = rows[node.id].and_then(|row| ops.get_mut(row));
            bytes.follow(node, inputs, row, |inputs| plan::eval(ctx, state, node, inputs))
        });
        Counting::set_detail(Detail::Nothing);
        drop(result?);

        let mut faults = MinorFaults::open();
        Counting::set_detail(Detail::Time);
        let result = self.run_with(|ctx, state, node, inputs| {
            let before = (Counting::counters().time_ns, faults.read());
            let outputs = plan::eval(ctx, state, node, inputs);
            let after = (Counting::counters().time_ns, faults.read());
            if let Some(op) = rows[node.id].and_then(|row| ops.get_mut(row)) {
                op.allocator_ns = Some(after.0 - before.0);
                op.minor_faults = after.1.zip(before.1).map(|(after, before)| after.saturating_sub(before));
            }
            outputs
        });
        Counting::set_detail(Detail::Nothing);
        drop(result?);

        Ok(Memory {
            weights_bytes: Some(self.weights_bytes),
            peak_live_bytes: ops.iter().filter_map(|op| op.live_bytes).max(),
            peak_heap_bytes: positive(bytes.peak),
            retained_bytes: positive(at_rest - started),
            ops,
        })
    }
}

fn positive(bytes: i64) -> Option<u64> {
    Some(bytes.max(0).unsigned_abs())
}

/// The bytes of a run, followed from operator to operator.
struct Bytes {
    /// Held before the run's inputs were made.
    base: i64,
    /// What the values of each engine node hold, by node.
    held_by: Vec<i64>,
    /// Most bytes held at once so far, above `base`.
    peak: i64,
}

impl Bytes {
    fn follow(
        &mut self,
        node: &TypedNode,
        inputs: TVec<TValue>,
        row: Option<&mut OpMemory>,
        eval: impl FnOnce(TVec<TValue>) -> TractResult<TVec<TValue>>,
    ) -> TractResult<TVec<TValue>> {
        let reads: TVec<*const u8> = inputs.iter().filter_map(data).collect();
        let freed = self.freed(node, &inputs);
        Counting::reset_peak();
        let before = Counting::counters();
        let outputs = eval(inputs)?;
        let after = Counting::counters();
        let in_place = outputs.iter().filter_map(data).any(|d| reads.contains(&d));
        let holds = if node.inputs.is_empty() {
            outputs.iter().map(|o| o.as_bytes().len() as i64).sum()
        } else {
            (after.held - before.held + freed).max(0)
        };
        // A lazily packed input is moved into the output, not allocated.
        let allocated = (after.bytes - before.bytes) as i64;
        let new = if in_place { 0 } else { holds.min(allocated) };
        self.held_by[node.id] = holds;
        self.peak = self.peak.max(after.peak - self.base);
        if let Some(op) = row {
            op.output_bytes = positive(new);
            op.scratch_bytes = positive(after.peak - before.held - new);
            op.live_bytes = positive(after.held - self.base);
            op.allocations = Some(after.allocations - before.allocations);
        }
        Ok(outputs)
    }

    /// Bytes of the values whose last owner is this evaluation.
    fn freed(&self, node: &TypedNode, inputs: &[TValue]) -> i64 {
        let mut counted: TVec<usize> = tvec![];
        let mut freed = 0;
        for (outlet, value) in node.inputs.iter().zip(inputs) {
            let Some(tensor) = value.as_arc_tensor() else { continue };
            let here =
                inputs.iter().filter_map(TValue::as_arc_tensor).filter(|t| Arc::ptr_eq(t, tensor)).count();
            if Arc::strong_count(tensor) == here && !counted.contains(&outlet.node) {
                counted.push(outlet.node);
                freed += self.held_by[outlet.node];
            }
        }
        freed
    }
}

/// Where a tensor's elements are, if it isn't packed and holds any.
fn data(value: &TValue) -> Option<*const u8> {
    (value.is_plain() && value.len() > 0).then(|| value.as_bytes().as_ptr())
}
