//! Makes the record from what workers said. It waits for nothing and reads no file, so that every figure can be tried
//! with made-up answers. What is made of forks alone comes later, when all groups are together (see [`figures`]).

use std::collections::HashSet;
use std::time::SystemTime;

use super::attribute::{attribute, share_shapes, unplaced};
use super::raw::{Raw, RawFork, RawVariant};
use super::{Measurement, Planned};
use crate::environment;
use crate::error::Exit;
use crate::figures;
use crate::record::{
    Bookkeeping, Engine, Environment, Fork, Input, Memory, Model, Op, Profiled, Record, SCHEMA, Settings,
    Skipped, Variant,
};
use crate::stats::Samples;

/// The record of a measurement of which there is at least one round.
pub fn record(
    measurement: &Measurement,
    raw: Raw,
    engine: Engine,
    environment: Environment,
    started: SystemTime,
) -> Record {
    let settings = settings(measurement, &raw);
    let lost = raw.variants.iter().any(|v| v.error.as_ref().is_some_and(|e| e.exit == Exit::Lost));
    let forks = raw.order.len().min(measurement.forks);
    let has_all = |v: &RawVariant| v.forks.iter().filter(|f| !f.fork.rounds.is_empty()).count() >= forks;
    let behind = raw.variants.iter().any(|v| v.error.is_none() && !has_all(v));
    let missing = raw.interrupted || raw.lost.is_some() || lost || behind;
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
    for models in variants.chunk_by_mut(|a, b| a.model == b.model) {
        share_shapes(models.iter_mut().map(|v| &mut v.sites));
    }
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
        engines: vec![],
        environment,
        imported: vec![],
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
        margin: measurement.margin,
        max_regression: measurement.limit,
        cool_down_ns: u64::try_from(measurement.rest.pause.as_nanos()).unwrap_or(u64::MAX),
        max_temperature_mc: measurement.rest.below_mc,
        cold: measurement.cold,
        interrupted: raw.interrupted,
        lost: raw.lost.clone(),
        elapsed_ns: u64::try_from(raw.elapsed.as_nanos()).ok(),
        // Where it wasn't looked at, as in a measurement that is nothing but cold starts, it is 0.
        starting_ns: raw
            .starting
            .and_then(|starting| u64::try_from(starting.as_nanos()).ok())
            .filter(|&ns| ns > 0),
        resumed: raw.resumed,
        groups: None,
        looks: raw.looks.clone(),
    }
}

/// An input as a record has it.
pub fn input(i: &crate::protocol::Input) -> Input {
    Input { name: i.name.clone(), shape: i.shape.clone(), dtype: i.dtype.clone().unwrap_or_default() }
}

/// What is known of a model, completed by what its first variant that was loaded says of it: as a rule, the original.
fn model(measurement: &Measurement, subject: usize, raw: &Raw) -> Model {
    let mut model = measurement.subjects[subject].model.clone();
    let of_it =
        measurement.variants.iter().zip(&raw.variants).filter(|(planned, _)| planned.subject == subject);
    if let Some(loaded) = of_it.filter_map(|(_, raw)| raw.loaded.as_ref()).next() {
        model.inputs = loaded.inputs.iter().map(input).collect();
        model.macs = loaded.macs.or(model.macs);
    }
    model
}

/// The forks of each variant without odd processes (see [`figures`]).
fn usable(raw: &Raw) -> Vec<Vec<&RawFork>> {
    let forks: Vec<Vec<Fork>> =
        raw.variants.iter().map(|v| v.forks.iter().map(|f| f.fork.clone()).collect()).collect();
    let steady = figures::side_by_side(&forks.iter().map(Vec::as_slice).collect::<Vec<_>>());
    raw.variants.iter().zip(steady).map(|(raw, steady)| kept(raw, &steady)).collect()
}

fn kept<'r>(raw: &'r RawVariant, steady: &figures::Steady) -> Vec<&'r RawFork> {
    let numbers: HashSet<_> = steady.iter().flatten().map(|fork| fork.number).collect();
    raw.forks.iter().filter(|f| numbers.contains(&f.fork.number)).collect()
}

/// A variant by itself; comparisons come later. Its ops' times are those of the `usable` forks.
fn variant(measurement: &Measurement, planned: &Planned, raw: &RawVariant, usable: &[&RawFork]) -> Variant {
    let (mut ops, sites) = match &raw.loaded {
        Some(loaded) => attribute(&planned.variant, loaded),
        None => (vec![], planned.variant.sites.iter().map(unplaced).collect()),
    };
    let profiled = profile(&mut ops, usable, measurement.confidence);
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
    Variant {
        sites,
        skipped: skipped.collect(),
        profiled,
        memory: raw.memory.as_ref().map(|m| memory(m, &raw.forks)),
        output_change: raw.change,
        ops,
        ..timed(measurement, planned, raw)
    }
}

/// A variant's forks, and nothing else that was found out of it.
pub fn timed(measurement: &Measurement, planned: &Planned, raw: &RawVariant) -> Variant {
    let model = &measurement.subjects[planned.subject].model;
    Variant {
        name: planned.name.clone(),
        model: (measurement.subjects.len() > 1).then(|| model.name.clone()),
        group: 0,
        engine: planned.engine.label.clone(),
        across: None,
        role: planned.role,
        rule: planned.rule.clone(),
        lowering: planned.lowering,
        threads: measurement.load.threads,
        knobs: planned.knobs.clone(),
        sites: vec![],
        skipped: vec![],
        latency: None,
        delta: None,
        steadiness: None,
        profiled: None,
        activation_cost: None,
        memory: None,
        output_change: None,
        ops: vec![],
        forks: raw.forks.iter().map(|f| f.fork.clone()).collect(),
        error: raw.error.as_ref().map(|e| e.message.clone()),
        refused: raw.error.as_ref().is_some_and(|e| e.exit == Exit::Input),
        bug: raw.error.as_ref().is_some_and(|e| e.exit == Exit::Bug),
    }
}

/// Fills in the times of the ops. Gives what profiled runs come to as a whole; `None` if there were none.
fn profile(ops: &mut [Op], forks: &[&RawFork], confidence: f64) -> Option<Profiled> {
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
    let overhead = figures::overhead(forks.iter().map(|f| &f.fork), confidence);
    Some(Profiled {
        p50_ns: ns(wall.median()),
        overhead_ratio: overhead.map(|o| o.point),
        overhead_interval: overhead.and_then(|o| o.interval).map(|i| [i.low, i.high]),
        unaccounted_ns: ns(wall.mean() - explained),
        bookkeeping: bookkeeping(forks, wall.mean() - explained),
    })
}

/// Where the time is that no op explains. How much of it reads the clock is added later: only the machine knows.
fn bookkeeping(forks: &[&RawFork], unaccounted_ns: f64) -> Option<Bookkeeping> {
    let around = || forks.iter().flat_map(|f| &f.fork.profiled_rounds).flat_map(|p| &p.around_ns);
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

/// Whole nanoseconds, not below 0.
fn ns(value: f64) -> u64 {
    value.max(0.0).round() as u64
}
