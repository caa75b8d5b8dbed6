//! Runs, plain and observed.
//!
//! Both are runs of the same kept state on fresh inputs; the observer only reads the clock around each
//! operator's evaluation. It never touches a tensor: a second reference to an operator's input would turn
//! work in place into a copy. All that it writes to is allocated before the clock starts.

use std::sync::atomic::Ordering;
use std::time::Instant;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::plan;

use super::{AT, Engine};
use crate::kernel;
use crate::worker::heap::{Counters, Counting, Watch};
use crate::worker::protocol::{Failure, Profile};

/// Plain runs: wall times, and what the untimed one allocated (0 where there was none): counting takes time.
pub struct Plain {
    pub runs_ns: Vec<u64>,
    pub allocations: u64,
    pub allocated_bytes: u64,
}

/// One run's wall time and outputs, and the counters around it.
struct Run {
    start: Instant,
    ns: u64,
    outputs: TVec<TValue>,
    before: Counters,
    after: Counters,
}

impl Engine {
    /// A run from fresh inputs; `eval` evaluates each node and must call the engine's own evaluation once.
    pub(super) fn run_with<F>(&mut self, eval: F) -> Result<(u64, TVec<TValue>), Failure>
    where
        F: FnMut(
            &EvalContext,
            Option<&mut (dyn OpState + 'static)>,
            &TypedNode,
            TVec<TValue>,
        ) -> TractResult<TVec<TValue>>,
    {
        self.counted_run(eval).map(|run| (run.ns, run.outputs))
    }

    fn counted_run<F>(&mut self, mut eval: F) -> Result<Run, Failure>
    where
        F: FnMut(
            &EvalContext,
            Option<&mut (dyn OpState + 'static)>,
            &TypedNode,
            TVec<TValue>,
        ) -> TractResult<TVec<TValue>>,
    {
        self.held_at_first_run.get_or_insert_with(|| Counting::counters().held);
        let clean = self.clean_vectors;
        let eval =
            |ctx: &EvalContext, state: Option<&mut (dyn OpState + 'static)>, node: &TypedNode, inputs| {
                let outputs = eval(ctx, state, node, inputs);
                if clean {
                    kernel::clean_vectors();
                }
                outputs
            };
        let inputs = self.fresh_inputs();
        let before = Counting::counters();
        let start = Instant::now();
        let result = self.state.run_plan_with_eval(inputs, eval);
        let ns = start.elapsed().as_nanos() as u64;
        let after = Counting::counters();
        match result {
            Ok(outputs) => Ok(Run { start, ns, outputs, before, after }),
            Err(error) => {
                // What the failed run left behind must not be taken for the next one's values.
                let _ = self.state.reset_turn();
                Err(self.labels.failure("run", &error))
            }
        }
    }

    /// One run; with `trace`, each operator's ONNX node is announced on stderr before it is evaluated.
    pub fn run(&mut self, trace: bool) -> Result<Plain, Failure> {
        let run = if trace {
            let last: Vec<Option<usize>> = self.rows.ops.iter().map(|op| op.onnx.last().copied()).collect();
            let rows = self.rows.row_of_node.clone();
            let traced = self.counted_run(|ctx, state, node, inputs| {
                if let Some(onnx) = rows[node.id].and_then(|row| last[row]) {
                    AT.store(onnx, Ordering::Relaxed);
                    eprintln!("at {onnx}");
                }
                plan::eval(ctx, state, node, inputs)
            });
            AT.store(usize::MAX, Ordering::Relaxed);
            traced
        } else {
            self.counted_run(plan::eval)
        };
        let run = run?;
        Ok(Plain {
            runs_ns: vec![run.ns],
            allocations: run.after.allocations - run.before.allocations,
            allocated_bytes: run.after.bytes - run.before.bytes,
        })
    }

    /// One untimed run, unless it is `warm`, and `runs` timed ones.
    pub fn turn(&mut self, runs: usize, warm: bool) -> Result<Plain, Failure> {
        let mut plain = Plain { runs_ns: Vec::with_capacity(runs), allocations: 0, allocated_bytes: 0 };
        if !warm {
            Counting::watch(Watch::Counts);
            let run = self.run(false);
            Counting::watch(Watch::Nothing);
            let run = run?;
            (plain.allocations, plain.allocated_bytes) = (run.allocations, run.allocated_bytes);
        }
        for _ in 0..runs {
            plain.runs_ns.extend(self.run(false)?.runs_ns);
        }
        Ok(plain)
    }

    /// One untimed run, unless it is `warm`, and `runs` observed ones.
    pub fn profile(&mut self, runs: usize, warm: bool) -> Result<Profile, Failure> {
        if !warm {
            self.run(false)?;
        }
        let ops = self.rows.ops.len();
        let mut profile = Profile {
            runs_ns: Vec::with_capacity(runs),
            ops_ns: vec![vec![0; runs]; ops],
            around_ns: Vec::with_capacity(runs),
            allocations: 0,
            allocated_bytes: 0,
            order: Vec::with_capacity(ops),
        };
        let rows = std::mem::take(&mut self.rows.row_of_node);
        let observed = self.observe(runs, &rows, &mut profile);
        self.rows.row_of_node = rows;
        observed.map(|()| profile)
    }

    fn observe(&mut self, runs: usize, rows: &[Option<usize>], profile: &mut Profile) -> Result<(), Failure> {
        for run in 0..runs {
            let (samples, order) = (&mut profile.ops_ns, &mut profile.order);
            order.clear();
            let mut ends: Option<(Instant, Instant)> = None;
            Counting::watch(Watch::Counts);
            let result = self.counted_run(|ctx, state, node, inputs| {
                let start = Instant::now();
                let outputs = plan::eval(ctx, state, node, inputs);
                let end = Instant::now();
                if let Some(row) = rows[node.id] {
                    samples[row][run] = (end - start).as_nanos() as u64;
                    order.push(row);
                    ends = Some((ends.map_or(start, |(first, _)| first), end));
                }
                outputs
            });
            Counting::watch(Watch::Nothing);
            let result = result?;
            profile.runs_ns.push(result.ns);
            let around = ends.map_or([0; 2], |(first, last)| {
                let before = (first - result.start).as_nanos() as u64;
                [before, result.ns.saturating_sub((last - result.start).as_nanos() as u64)]
            });
            profile.around_ns.push(around);
            profile.allocations = result.after.allocations - result.before.allocations;
            profile.allocated_bytes = result.after.bytes - result.before.bytes;
        }
        Ok(())
    }
}
