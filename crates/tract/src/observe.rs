//! Runs, plain and observed.
//!
//! Both are runs of the same kept state on fresh inputs; the observer only reads the clock around each
//! operator's evaluation. It never touches a tensor: a second reference to an operator's input would turn
//! work in place into a copy. All that it writes to is allocated before the clock starts.

use std::time::Instant;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::plan;

use super::TractModel;
use oplat_engine::{LoadedModel, RawOutputs, Turn, at};
use oplat_ground::process::heap::{Counting, Detail};
use oplat_ground::protocol::{Allocated, Batched, Failure, Memory, Profile};

/// One run's wall time and outputs.
pub struct Run {
    start: Instant,
    ns: u64,
    pub outputs: TVec<TValue>,
}

impl TractModel {
    /// A run from fresh inputs; `eval` evaluates each node and must call the engine's own evaluation once.
    pub(super) fn run_with<F>(&mut self, mut eval: F) -> Result<Run, Failure>
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
                    oplat_kernels::clean_vectors();
                }
                outputs
            };
        let inputs = self.fresh_inputs();
        let start = Instant::now();
        let result = self.state.run_plan_with_eval(inputs, eval);
        let ns = start.elapsed().as_nanos() as u64;
        match result {
            Ok(outputs) => Ok(Run { start, ns, outputs }),
            Err(error) => {
                // What the failed run left behind must not be taken for the next one's values.
                let _ = self.state.reset_turn();
                Err(self.labels.failure("run", &error))
            }
        }
    }

    /// As [`LoadedModel::run`].
    fn run_once(&mut self, trace: bool) -> Result<u64, Failure> {
        if !trace {
            return self.run_with(plan::eval).map(|run| run.ns);
        }
        let last: Vec<Option<usize>> = self.rows.ops.iter().map(|op| op.onnx.last().copied()).collect();
        let rows = self.rows.row_of_node.clone();
        let traced = self.run_with(|ctx, state, node, inputs| {
            if let Some(onnx) = rows[node.id].and_then(|row| last[row]) {
                at::announce(onnx);
            }
            plan::eval(ctx, state, node, inputs)
        });
        at::NODE.clear();
        traced.map(|run| run.ns)
    }

    fn observe(&mut self, runs: usize, warm: bool, rows: &[Option<usize>]) -> Result<Profile, Failure> {
        let mut profile = self.blank(runs);
        if !warm {
            let mut untimed = self.blank(1);
            let run = |model: &mut Self| model.observed_run(0, rows, &mut untimed);
            profile.allocated = Some(self.counted(run)?);
        }
        for run in 0..runs {
            self.observed_run(run, rows, &mut profile)?;
        }
        Ok(profile)
    }

    /// What so many runs will be written to.
    fn blank(&self, runs: usize) -> Profile {
        let ops = self.rows.ops.len();
        Profile {
            runs_ns: Vec::with_capacity(runs),
            ops_ns: vec![vec![0; runs]; ops],
            around_ns: Vec::with_capacity(runs),
            allocated: None,
            order: Vec::with_capacity(ops),
        }
    }

    /// What a run allocates. Counting takes time, so no run that is timed is counted.
    fn counted<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<Allocated, Failure> {
        let before = Counting::counters();
        Counting::set_detail(Detail::Counts);
        let result = run(self);
        Counting::set_detail(Detail::Nothing);
        let after = Counting::counters();
        result.map(|_| Allocated {
            allocations: after.allocations - before.allocations,
            bytes: after.bytes - before.bytes,
        })
    }

    fn observed_run(
        &mut self,
        run: usize,
        rows: &[Option<usize>],
        profile: &mut Profile,
    ) -> Result<(), Failure> {
        let (samples, order) = (&mut profile.ops_ns, &mut profile.order);
        order.clear();
        let mut ends: Option<(Instant, Instant)> = None;
        let result = self.run_with(|ctx, state, node, inputs| {
            let start = Instant::now();
            let outputs = plan::eval(ctx, state, node, inputs);
            let end = Instant::now();
            if let Some(row) = rows[node.id] {
                samples[row][run] = (end - start).as_nanos() as u64;
                order.push(row);
                ends = Some((ends.map_or(start, |(first, _)| first), end));
            }
            outputs
        })?;
        profile.runs_ns.push(result.ns);
        let around = ends.map_or([0; 2], |(first, last)| {
            let before = (first - result.start).as_nanos() as u64;
            [before, result.ns.saturating_sub((last - result.start).as_nanos() as u64)]
        });
        profile.around_ns.push(around);
        Ok(())
    }
}

impl LoadedModel for TractModel {
    fn run(&mut self, trace: bool) -> Result<u64, Failure> {
        self.run_once(trace)
    }

    fn turn(&mut self, runs: usize, warm: bool) -> Result<Turn, Failure> {
        let allocated = if warm { None } else { Some(self.counted(|model| model.run_once(false))?) };
        let mut runs_ns = Vec::with_capacity(runs);
        for _ in 0..runs {
            runs_ns.push(self.run_once(false)?);
        }
        Ok(Turn { runs_ns, allocated })
    }

    fn profile(&mut self, runs: usize, warm: bool) -> Result<Option<Profile>, Failure> {
        let rows = std::mem::take(&mut self.rows.row_of_node);
        let profile = self.observe(runs, warm, &rows);
        self.rows.row_of_node = rows;
        profile.map(Some)
    }

    fn memory(&mut self) -> Result<Option<Memory>, Failure> {
        self.count_memory().map(Some)
    }

    fn batched(&mut self, ops: &[usize], least_ns: u64) -> Result<Option<Batched>, Failure> {
        self.time_batches(ops, least_ns).map(Some)
    }

    fn outputs(&mut self) -> Result<RawOutputs, Failure> {
        self.raw_outputs()
    }
}
