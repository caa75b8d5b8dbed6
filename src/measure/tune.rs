//! Which knobs of the engine could matter for a model: those that make it choose other ops where time goes.
//!
//! Loading a model under a knob is cheap and tells which ops change. Measuring takes long, and of many verdicts some
//! are wrong by chance. So only settings are measured that change ops with a share of the time.

use std::time::Duration;

use super::client::{ClientError, WorkerClient};
use super::files::Files;
use super::{Interrupt, Measurement, Progress};
use crate::device::Target;
use crate::engine::knobs::{self, Knobs};
use crate::engines;
use crate::error::{Error, Result};
use crate::protocol::{Load, Loaded, Op};
use crate::record::Record;

/// Share of a run's time that the changed ops must have.
const WORTH: f64 = 0.02;

/// How long a model may take to load.
const PATIENCE: Duration = Duration::from_secs(120);

/// A setting that could matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub knobs: Knobs,
    /// Share of a run's time in the ops that it changes.
    pub share: f64,
    /// The types of these ops, the dearest first.
    pub ops: Vec<String>,
}

/// The settings that change where the time of `record`'s first variant goes, the largest share first. `measurement` is
/// what was measured, and has that variant first too.
///
/// A setting under which the model can't be loaded is no candidate. Fails if it can't be loaded without any, or on an
/// interrupt.
pub fn candidates(
    measurement: &Measurement,
    record: &Record,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Candidate>> {
    let files = Files::write(&measurement.variants[..1], target)?;
    let subject = &measurement.subjects[measurement.variants[0].subject];
    let choice = &measurement.variants[0].engine.choice;
    let load = |knobs: &Knobs| -> Result<Option<Loaded>> {
        let load = Load {
            model: files.model(0),
            data: files.data(0),
            inputs: subject.inputs.clone(),
            dims: subject.dims.clone(),
            knobs: knobs.clone(),
            engine: Some(choice.clone()),
            ..measurement.load.clone()
        };
        match planned(&mut WorkerClient::new(0, target.start(interrupt)?), load) {
            Ok(loaded) => Ok(Some(loaded)),
            Err(ClientError::Interrupted) => Err(Error::lost("interrupted")),
            Err(_) => Ok(None),
        }
    };
    let Some(usual) = load(&Knobs::new())? else {
        return Err(Error::lost(format!("{}: could not be loaded again", measurement.name())));
    };
    let shares: Vec<f64> = record.variants[0].ops.iter().map(|op| op.share).collect();
    let mut found: Vec<Candidate> = vec![];
    let mut seen: Vec<Vec<Op>> = vec![usual.ops.clone()];
    let engine = engines::named(&choice.name)?;
    let known = engine.knobs();
    for trial in engine.trials(measurement.load.threads) {
        progress.phase(&format!("trying {}", knobs::short(&known, &trial.knobs)));
        // Some knobs change no op, since they work while the model runs: of these it is known which ops they are about.
        let changed: Vec<usize> = if let Some(about) = trial.about {
            (0..usual.ops.len()).filter(|&at| about(&usual.ops[at])).collect()
        } else {
            let Some(loaded) = load(&trial.knobs)? else { continue };
            if seen.contains(&loaded.ops) {
                continue;
            }
            let changed = changed(&usual.ops, &loaded.ops);
            seen.push(loaded.ops);
            changed
        };
        let share = changed.iter().filter_map(|&at| shares.get(at)).sum();
        if share >= WORTH {
            found.push(Candidate { knobs: trial.knobs, share, ops: types(&changed, &usual.ops, &shares) });
        }
    }
    found.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(found)
}

/// A model with what the engine makes of it.
fn planned(worker: &mut WorkerClient, load: Load) -> std::result::Result<Loaded, ClientError> {
    let mut loaded = worker.load(load, PATIENCE)?;
    if loaded.ops.is_empty() {
        loaded.ops = worker.plan(PATIENCE)?.unwrap_or_default().ops;
    }
    Ok(loaded)
}

/// The ops of `usual` that the other plan doesn't have, by index.
fn changed(usual: &[Op], other: &[Op]) -> Vec<usize> {
    let same =
        |a: &Op, b: &Op| (&a.onnx, &a.op, &a.kernel, &a.inputs) == (&b.onnx, &b.op, &b.kernel, &b.inputs);
    (0..usual.len()).filter(|&at| !other.iter().any(|op| same(op, &usual[at]))).collect()
}

fn types(places: &[usize], ops: &[Op], shares: &[f64]) -> Vec<String> {
    let mut types: Vec<(String, f64)> = vec![];
    for &at in places {
        let share = shares.get(at).copied().unwrap_or(0.0);
        match types.iter_mut().find(|(name, _)| *name == ops[at].op) {
            Some((_, sum)) => *sum += share,
            None => types.push((ops[at].op.clone(), share)),
        }
    }
    types.sort_by(|a, b| b.1.total_cmp(&a.1));
    types.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(name: &str, node: usize) -> Op {
        Op { op: name.into(), onnx: vec![node], ..Op::default() }
    }

    #[test]
    fn an_op_that_the_other_plan_lacks_is_changed() {
        let usual = [op("Direct", 0), op("Silu", 1), op("Direct", 2), op("OptMatMul", 3)];
        let other = [op("Im2Col", 0), op("OptMatMul", 0), op("Silu", 1), op("Direct", 2), op("OptMatMul", 3)];
        let places = changed(&usual, &other);
        assert_eq!(places, [0]);
        assert_eq!(types(&[0, 1, 2, 3], &usual, &[0.1, 0.3, 0.15, 0.2]), ["Silu", "Direct", "OptMatMul"]);
    }
}
