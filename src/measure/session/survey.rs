//! What is asked of every variant once: its memory, its ops that are too short for the clock, and its outputs.

use std::time::Duration;

use super::budget::SURVEY_RUNS;
use super::{Session, Stop};
use crate::limits;
use crate::measure::Planned;
use crate::measure::client::{ClientError, WorkerClient};
use crate::measure::plan::Schedule;
use crate::record::{OutputChange, Role};
use crate::stats::Samples;

pub struct Survey {
    /// Whether all that were alive then have answered.
    pub done: bool,
    /// The originals' outputs by model, as long as others are to be compared with them.
    originals: Vec<Option<Vec<f64>>>,
}

impl Survey {
    pub fn new(models: usize) -> Self {
        Self { done: false, originals: vec![None; models] }
    }
}

impl Session<'_, '_> {
    /// Asks when the timing of the fork is done and can't be disturbed. What the engine can't tell stays unknown.
    pub(super) fn survey(&mut self, clients: &mut Vec<WorkerClient>) -> Result<(), Stop> {
        self.progress.phase("memory and outputs");
        let outcome = self.each(clients, None, |session, client| {
            session.memory(client)?;
            session.short_ops(client)?;
            session.outputs(client)
        });
        self.survey.originals.fill(None);
        self.survey.done = outcome.is_ok();
        outcome
    }

    /// A fork in which nothing is timed.
    pub(super) fn outputs_alone(&mut self, clients: &mut Vec<WorkerClient>) -> Result<Schedule, Stop> {
        self.raw.order.push(vec![]);
        self.each(clients, None, |session, client| session.outputs(client))?;
        Ok(Schedule::last())
    }

    fn memory(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        // Where every run is the first of its process none is profiled.
        if !client.has_ops() {
            self.describe(client)?;
        }
        let memory = client.memory(self.patience(variant, SURVEY_RUNS))?;
        self.raw.variants[variant].memory = Some(memory.unwrap_or_default());
        Ok(())
    }

    /// Times the ops that profiled runs can hardly have timed, where the engine can repeat them.
    fn short_ops(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        let least_ns = self.least_ns(variant);
        let mut short = self.ops_below(least_ns, variant);
        // The others' own times stay unknown.
        short.truncate(limits::SHORT_OPS as usize);
        if !short.is_empty() {
            let patience = with_batches(self.patience(variant, SURVEY_RUNS), short.len());
            self.raw.variants[variant].batched = client.batched(short, least_ns, patience)?;
        }
        Ok(())
    }

    /// The variant's ops that take less than this on average, by all forks: where a measurement goes on from a record,
    /// the present fork may have no profiled run.
    fn ops_below(&self, least_ns: u64, variant: usize) -> Vec<usize> {
        if !self.raw.variants[variant].loaded.as_ref().is_some_and(|loaded| loaded.abilities.batched) {
            return vec![];
        }
        let forks = &self.raw.variants[variant].forks;
        let ops = forks.iter().map(|fork| fork.ops_ns.len()).max().unwrap_or(0);
        let runs = |op: usize| forks.iter().filter_map(move |fork| fork.ops_ns.get(op)).flatten();
        let mean = |op: usize| Samples::from_ns(runs(op)).map(|s| s.mean());
        (0..ops).filter(|&op| mean(op).is_some_and(|ns| ns < least_ns as f64)).collect()
    }

    /// The shortest time of an op that can be told well: by the machine's clock, or by the engine's own if that is coarser.
    fn least_ns(&self, variant: usize) -> u64 {
        let engine = self.raw.variants[variant].loaded.as_ref().map(|loaded| &loaded.engine);
        self.machine.environment().least_ns(engine)
    }

    /// Fetches the outputs and compares them with the original's.
    fn outputs(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        let file = self.files.outputs(variant);
        let outputs = client.outputs(file.clone(), self.patience(variant, SURVEY_RUNS))?;
        let size =
            outputs.bytes().ok_or_else(|| ClientError::Other("its outputs are more than 2 GB".into()))?;
        let bytes = self.target().get(&file, size).map_err(|e| ClientError::Other(e.message))?;
        let values: Vec<f64> =
            bytes.as_chunks().0.iter().map(|&eight: &[u8; 8]| f64::from_le_bytes(eight)).collect();
        if size != bytes.len() as u64 {
            return Err(ClientError::Other("the outputs' file doesn't hold what the worker says".into()));
        }
        let Planned { subject, role, ref knobs, .. } = self.measurement.variants[variant];
        let is_original = role == Role::Original && knobs.is_empty();
        let originals = &mut self.survey.originals;
        let base = match variant {
            0 => Some(&values),
            _ if is_original => originals[0].as_ref(),
            _ => originals[subject].as_ref(),
        };
        self.raw.variants[variant].change = base.map(|base| {
            let difference = difference(base, &values);
            OutputChange {
                max_abs: difference.map_or(f64::NAN, |d| d.max_abs),
                relative_l2: difference.map_or(f64::NAN, |d| d.relative_l2),
                non_finite: outputs.non_finite,
                subnormal: outputs.subnormal,
            }
        });
        if is_original {
            originals[subject] = Some(values);
        }
        Ok(())
    }
}

/// How long to wait for a run in which so many ops are repeated, thousands of times each.
fn with_batches(patience: Duration, ops: usize) -> Duration {
    /// For one op: its repetitions take a tenth of it, and copying their inputs as much.
    const BATCHES: Duration = Duration::from_millis(50);
    patience + BATCHES * ops as u32
}

/// How far outputs are from the original's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Difference {
    max_abs: f64,
    /// Norm of the difference over the norm of the original's outputs; over the variant's where the former is 0.
    relative_l2: f64,
}

/// Compares outputs of the same shapes; `None` if they are not. Pairs with a non-finite number are left out: those
/// numbers are counted elsewhere.
fn difference(original: &[f64], variant: &[f64]) -> Option<Difference> {
    if original.len() != variant.len() {
        return None;
    }
    let (mut max_abs, mut squares, mut of_original, mut of_variant) = (0.0f64, 0.0, 0.0, 0.0);
    for (&o, &v) in original.iter().zip(variant).filter(|(o, v)| o.is_finite() && v.is_finite()) {
        max_abs = max_abs.max((v - o).abs());
        squares += (v - o).powi(2);
        of_original += o * o;
        of_variant += v * v;
    }
    let norm = if of_original > 0.0 { of_original } else { of_variant };
    let relative_l2 = if norm > 0.0 { (squares / norm).sqrt() } else { 0.0 };
    Some(Difference { max_abs, relative_l2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_compared_where_both_are_numbers() {
        let d = difference(&[3.0, 4.0, f64::NAN], &[3.0, 4.5, 1.0]).expect("same shape");
        assert_eq!(d, Difference { max_abs: 0.5, relative_l2: 0.1 });
        assert_eq!(difference(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(difference(&[0.0], &[2.0]).map(|d| d.relative_l2), Some(1.0));
        assert_eq!(difference(&[0.0], &[0.0]).map(|d| d.relative_l2), Some(0.0));
    }
}
