//! Operators that take hardly longer than reading the clock: evaluated many times between two readings.
//!
//! That needs inputs of its own for each evaluation, so it is a pass of its own, in one run. A copy is owned as its
//! original is: solely, where the operator may work in place, and shared where it must not.

use std::time::Instant;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::plan;

use super::TractModel;
use oplat_ground::protocol::{Batched, Failure};
use oplat_ground::stats::median_high;

/// Evaluations between two readings, and the fewest that are worth it.
const BATCH: usize = 256;
const FEWEST: usize = 8;
/// Most bytes that the copies of a batch may take.
const COPIES: usize = 16 << 20;
/// Timed batches, after an untimed one; their median counts.
const BATCHES: usize = 9;

impl TractModel {
    /// The time of one evaluation of each of these operators, from batches of at least `least_ns`.
    pub fn time_batches(&mut self, ops: &[usize], least_ns: u64) -> Result<Batched, Failure> {
        let mut asked = vec![false; self.rows.ops.len()];
        for &op in ops {
            *asked.get_mut(op).ok_or_else(|| Failure::new(format!("there is no op {op}")))? = true;
        }
        let rows = self.rows.row_of_node.clone();
        let mut ops_ns = vec![None; asked.len()];
        let result = self.run_with(|ctx, state, node, inputs| {
            // What has a state would be in another one afterwards.
            if let Some(row) = rows[node.id].filter(|&row| asked[row] && state.is_none()) {
                ops_ns[row] = one_of_many(ctx, node, &inputs, least_ns);
            }
            plan::eval(ctx, state, node, inputs)
        });
        drop(result?);
        Ok(Batched { ops_ns })
    }
}

/// Nanoseconds of one evaluation; `None` if its inputs are too large for a batch, if that is too short, or if it fails.
fn one_of_many(ctx: &EvalContext, node: &TypedNode, inputs: &[TValue], least_ns: u64) -> Option<u64> {
    let bytes: usize =
        inputs.iter().filter(|input| may_be_changed(input)).map(|input| input.as_bytes().len()).sum();
    let batch = (COPIES / bytes.max(1)).min(BATCH);
    if batch < FEWEST {
        return None;
    }
    let mut all = Vec::with_capacity(BATCHES);
    for i in 0..=BATCHES {
        let mut copies: Vec<TVec<TValue>> = (0..batch).map(|_| inputs.iter().map(copy).collect()).collect();
        let mut outputs = Vec::with_capacity(batch);
        let start = Instant::now();
        for inputs in copies.drain(..) {
            outputs.push(plan::eval(ctx, None, node, inputs).ok()?);
        }
        let ns = start.elapsed().as_nanos() as u64;
        if i > 0 {
            all.push(ns);
        }
    }
    median_high(all, u64::cmp).filter(|&ns| ns >= least_ns).map(|ns| ns / batch as u64)
}

/// Whether the operator may use the memory of this input for its output.
fn may_be_changed(input: &TValue) -> bool {
    input.is_plain() && input.is_exclusive()
}

fn copy(input: &TValue) -> TValue {
    if may_be_changed(input) { (**input).clone().into_tvalue() } else { input.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_owned_as_its_original_is() {
        let at = |value: &TValue| value.as_bytes().as_ptr();
        let sole = tensor1(&[1f32, 2.0]).into_tvalue();
        let copied = copy(&sole);
        assert!(copied.is_exclusive() && sole.is_exclusive() && at(&copied) != at(&sole));
        assert_eq!(copied, sole);
        let shared = sole.clone();
        let copied = copy(&shared);
        assert!(!copied.is_exclusive() && at(&copied) == at(&sole));
    }
}
