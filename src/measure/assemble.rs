//! Makes the record from what workers said. It waits for nothing and reads no file, so that every figure can be tried
//! with made-up answers.

use std::time::SystemTime;

use super::attribute::{attribute, share_shapes, unplaced};
use super::raw::{Raw, RawFork, RawVariant};
use super::steadiness::steadiness;
use super::warnings::warnings;
use super::{Measurement, Planned, pairing};
use crate::environment;
use crate::record::{
    Bookkeeping, Engine, Environment, Fork, Input, Latency, Memory, Model, Op, Profiled, Record, Role,
    SCHEMA, Settings, Skipped, Variant, steady,
};
use crate::stats::Samples;

/// The record of a measurement of which there is at least one round.
pub fn record(
    measurement: &Measurement,
    raw: Raw,
    engine: Engine,
    mut environment: Environment,
    started: SystemTime,
) -> Record {
    let settings = settings(measurement, &raw);
    let missing = raw.interrupted || raw.lost.is_some();
    let models: Vec<Model> = (0..measurement.subjects.len()).map(|s| model(measurement, s, &raw)).collect();
    let mut variants: Vec<Variant> = measurement
        .variants
        .iter()
        .zip(raw.variants.iter().zip(usable(&raw)))
        .map(|(planned, (raw, usable))| variant(measurement, planned, raw, &usable))
        .collect();
    if missing {
        for (variant, raw) in variants.iter_mut().zip(&raw.variants) {
            variant.forks.iter_mut().zip(&raw.forks).for_each(|(fork, raw)| fork.ops_ns = raw.ops_ns.clone());
        }
    }
    compare_all(measurement, &mut variants);
    for models in variants.chunk_by_mut(|a, b| a.model == b.model) {
        share_shapes(models.iter_mut().map(|v| &mut v.sites));
    }
    environment.warnings.extend(warnings(&settings, &variants));
    if let Some(clock_ns) = environment.clock_ns {
        for variant in &mut variants {
            let readings = variant.ops.len() as u64;
            let bookkeeping = variant.profiled.as_mut().and_then(|p| p.bookkeeping.as_mut());
            bookkeeping.into_iter().for_each(|b| b.clock_ns = readings * clock_ns);
        }
    }
    Record {
        schema: SCHEMA.into(),
        oplat: environment::this_program(),
        started_at: environment::rfc3339(started),
        command: measurement.command.clone(),
        engine,
        environment,
        model: models.first().cloned().unwrap_or_default(),
        models: if models.len() > 1 { models } else { vec![] },
        settings,
        order: raw.order,
        variants,
    }
}

fn settings(measurement: &Measurement, raw: &Raw) -> Settings {
    Settings {
        seed: measurement.load.seed,
        forks: raw.order.len(),
        forks_wanted: Some(measurement.forks),
        rounds: raw.order.iter().map(Vec::len).collect(),
        runs_per_turn: raw.runs_per_turn as usize,
        time_limit_ns: u64::try_from(measurement.time.as_nanos()).unwrap_or(u64::MAX),
        denormals: measurement.load.denormals,
        threads: measurement.load.threads,
        confidence: measurement.confidence,
        cool_down_ns: u64::try_from(measurement.rest.pause.as_nanos()).unwrap_or(u64::MAX),
        max_temperature_mc: measurement.rest.below_mc,
        cold: measurement.cold,
        interrupted: raw.interrupted,
        lost: raw.lost.clone(),
        elapsed_ns: u64::try_from(raw.elapsed.as_nanos()).ok(),
        resumed: raw.resumed,
        groups: None,
    }
}

/// What is known of a model, completed by what its first variant that was loaded says of it: as a rule, the original.
fn model(measurement: &Measurement, subject: usize, raw: &Raw) -> Model {
    let mut model = measurement.subjects[subject].model.clone();
    let of_it =
        measurement.variants.iter().zip(&raw.variants).filter(|(planned, _)| planned.subject == subject);
    if let Some(loaded) = of_it.filter_map(|(_, raw)| raw.loaded.as_ref()).next() {
        let input = |i: &crate::protocol::Input| Input {
            name: i.name.clone(),
            shape: i.shape.clone(),
            dtype: i.dtype.clone().unwrap_or_default(),
        };
        model.inputs = loaded.inputs.iter().map(input).collect();
        model.macs = loaded.macs.or(model.macs);
    }
    model
}

/// The forks of each variant without odd processes (see [`steady`]).
fn usable(raw: &Raw) -> Vec<Vec<&RawFork>> {
    let forks: Vec<Vec<Fork>> =
        raw.variants.iter().map(|v| v.forks.iter().map(|f| f.fork.clone()).collect()).collect();
    let steady = steady(&forks.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let forks = raw.variants.iter().map(|v| v.forks.iter());
    let kept = |(fork, steady): (_, Option<&Fork>)| steady.map(|_| fork);
    forks.zip(steady).map(|(forks, steady)| forks.zip(steady).filter_map(kept).collect()).collect()
}

/// A variant by itself; comparisons come later. Its ops' times are those of the `usable` forks.
fn variant(measurement: &Measurement, planned: &Planned, raw: &RawVariant, usable: &[&RawFork]) -> Variant {
    let (mut ops, sites) = match &raw.loaded {
        Some(loaded) => attribute(&planned.variant, loaded),
        None => (vec![], planned.variant.sites.iter().map(unplaced).collect()),
    };
    let profiled = profile(&mut ops, usable);
    let forks: Vec<Fork> = raw.forks.iter().map(|f| f.fork.clone()).collect();
    if let Some(memory) = &raw.memory {
        for (op, memory) in ops.iter_mut().zip(&memory.ops) {
            op.output_bytes = memory.output_bytes;
            op.scratch_bytes = memory.scratch_bytes;
            op.live_bytes = memory.live_bytes;
            op.allocator_ns = memory.allocator_ns;
            op.minor_faults = memory.minor_faults;
        }
    }
    if let Some(batched) = &raw.batched {
        ops.iter_mut().zip(&batched.ops_ns).for_each(|(op, &ns)| op.batched_ns = ns);
    }
    let skipped = planned.variant.skipped.iter().map(|s| Skipped {
        node: s.node.clone(),
        op: s.op.clone(),
        reason: s.recorded_reason(),
    });
    let model = &measurement.subjects[planned.subject].model;
    Variant {
        name: planned.name.clone(),
        model: (measurement.subjects.len() > 1).then(|| model.name.clone()),
        role: planned.role,
        rule: planned.rule.clone(),
        lowering: planned.lowering,
        threads: measurement.load.threads,
        knobs: planned.knobs.clone(),
        sites,
        skipped: skipped.collect(),
        latency: Latency::of(&forks),
        delta: None,
        steadiness: steadiness(&forks, measurement.confidence),
        profiled,
        activation_cost: None,
        memory: raw.memory.as_ref().map(|m| memory(m, &raw.forks)),
        output_change: raw.change,
        ops,
        forks,
        error: raw.error.as_ref().map(|e| e.message.clone()),
        refused: raw.error.as_ref().is_some_and(|e| e.refused),
    }
}

/// Fills in the times of the ops. Gives what profiled runs come to as a whole; `None` if there were none.
fn profile(ops: &mut [Op], forks: &[&RawFork]) -> Option<Profiled> {
    let walls = forks.iter().flat_map(|f| f.fork.profiled_rounds.iter().flat_map(|p| &p.runs_ns));
    let wall = Samples::from_ns(walls)?;
    let mut explained = 0.0;
    for op in ops {
        let of_fork = |f: &&RawFork| f.ops_ns.get(op.index).cloned().unwrap_or_default();
        let by_fork: Vec<Vec<u64>> = forks.iter().map(of_fork).collect();
        let Some(all) = Samples::from_ns(by_fork.iter().flatten()) else { continue };
        let s = all.summary();
        explained += s.mean;
        op.fork_mean_ns = by_fork.iter().filter_map(Samples::from_ns).map(|f| ns(f.mean())).collect();
        (op.p50_ns, op.mean_ns, op.sd_ns) = (ns(s.p50), ns(s.mean), ns(s.sd));
        (op.min_ns, op.p90_ns) = (ns(s.min), ns(s.p90));
        op.share = if wall.mean() > 0.0 { s.mean / wall.mean() } else { 0.0 };
    }
    let forks: Vec<_> = forks.iter().map(|f| f.fork.clone()).collect();
    Some(Profiled {
        p50_ns: ns(wall.median()),
        overhead_ratio: pairing::overhead_ratio(&forks)?,
        unaccounted_ns: ns(wall.mean() - explained),
        bookkeeping: bookkeeping(&forks, wall.mean() - explained),
    })
}

/// Where the time is that no op explains. How much of it reads the clock is added later: only the machine knows.
fn bookkeeping(forks: &[Fork], unaccounted_ns: f64) -> Option<Bookkeeping> {
    let around = || forks.iter().flat_map(|f| &f.profiled_rounds).flat_map(|p| &p.around_ns);
    let mean = |side: usize| Some(Samples::from_ns(around().map(|around| &around[side]))?.mean());
    let (before, after) = (mean(0)?, mean(1)?);
    Some(Bookkeeping {
        before_ns: ns(before),
        between_ns: ns(unaccounted_ns - before - after),
        after_ns: ns(after),
        clock_ns: 0,
    })
}

fn memory(memory: &crate::protocol::Memory, forks: &[RawFork]) -> Memory {
    Memory {
        weights_bytes: memory.weights_bytes,
        peak_live_bytes: memory.peak_live_bytes,
        peak_heap_bytes: memory.peak_heap_bytes,
        retained_bytes: memory.retained_bytes,
        peak_rss_bytes: forks.iter().filter_map(|f| f.fork.peak_rss_bytes).max(),
    }
}

/// Every variant against the first original, and against the control of its own model.
fn compare_all(measurement: &Measurement, variants: &mut [Variant]) {
    let confidence = measurement.confidence;
    let all: Vec<Vec<Fork>> = variants.iter().map(|v| v.forks.clone()).collect();
    let steady = steady(&all.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let original = variants.first().map(|v| v.name.clone()).unwrap_or_default();
    for (at, variant) in variants.iter_mut().enumerate().skip(1) {
        variant.delta = pairing::delta(&original, &steady[0], &steady[at], confidence);
    }
    for at in 0..variants.len() {
        let alike = |v: &Variant| (&v.model, &v.knobs) == (&variants[at].model, &variants[at].knobs);
        let control = variants.iter().position(|v| v.role == Role::Control && alike(v));
        let Some(control) = control.filter(|_| variants[at].role != Role::Control) else { continue };
        let p50_ns = variants[at].latency.map_or(0, |l| l.p50_ns);
        variants[at].activation_cost =
            pairing::activation_cost(&steady[control], &steady[at], p50_ns, confidence);
    }
}

/// Whole nanoseconds, not below 0.
fn ns(value: f64) -> u64 {
    value.max(0.0).round() as u64
}
