//! What measuring costs: our runs against a bare loop around the engine's plan, and profiled runs against plain ones.
//!
//! All three are of one process and take turns; the ratios of their medians, turn by turn, are printed, since a
//! machine's speed drifts more between two criterion groups than any of this costs. Criterion times them as well.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use oplat::engine::Engine;
use oplat::worker::protocol::{Input, Load};
use oplat::zoo;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{TypedSimplePlan, TypedSimpleState};

const TURNS: usize = 30;
const RUNS: usize = 5;

/// The bare loop: what anybody would write around tract.
struct Bare {
    state: TypedSimpleState,
    input: Tensor,
}

impl Bare {
    fn load(file: &std::path::Path, size: usize) -> TractResult<Self> {
        let shape = [1, 3, size, size];
        let model = tract_onnx::onnx().model_for_path(file)?.with_input_fact(0, f32::fact(shape).into())?;
        let state = TypedSimplePlan::new(model.into_optimized()?)?.spawn()?;
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i % 251) as f32 / 251.0).collect();
        Ok(Self { state, input: Tensor::from_shape(&shape, &values)? })
    }

    fn run(&mut self) -> u64 {
        let input = self.input.clone().into_tvalue();
        let start = Instant::now();
        self.state.run(tvec![input]).expect("runs");
        start.elapsed().as_nanos() as u64
    }
}

fn ours(file: &std::path::Path, size: usize) -> Engine {
    let load = Load {
        model: file.display().to_string(),
        inputs: vec![Input { name: "images".into(), shape: vec![1, 3, size, size], dtype: None }],
        ..Load::default()
    };
    Engine::load(&load).expect("the engine loads it").0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn of(runs_ns: Vec<u64>) -> f64 {
    median(runs_ns.into_iter().map(|ns| ns as f64).collect())
}

fn overhead(c: &mut Criterion) {
    for size in [160, 320] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("model.onnx");
        let shape = [1, 3, size as i64, size as i64];
        zoo::build("yolov5n", Some(&shape)).and_then(|m| m.write(&file)).expect("a built-in model");
        let (mut bare, mut engine) = (Bare::load(&file, size).expect("tract loads it"), ours(&file, size));
        let (mut against_bare, mut profiled_against_plain) = (vec![], vec![]);
        for turn in 0..TURNS {
            // By turns first and last, so that a drift cancels.
            let mut loose = || {
                bare.run();
                of((0..RUNS).map(|_| bare.run()).collect())
            };
            let before = (turn % 2 == 0).then(&mut loose);
            let plain = of(engine.turn(RUNS, false).expect("runs").runs_ns);
            let profiled = of(engine.profile(RUNS, true).expect("runs").runs_ns);
            let loose = before.unwrap_or_else(loose);
            against_bare.push(plain / loose);
            profiled_against_plain.push(profiled / plain);
        }
        println!(
            "yolov5n at {size}: ours/bare {:.4}, profiled/plain {:.4} (medians of {TURNS} turns)",
            median(against_bare),
            median(profiled_against_plain)
        );

        let mut group = c.benchmark_group(format!("yolov5n at {size}"));
        group.sample_size(20).measurement_time(Duration::from_secs(6));
        group.bench_function("bare loop", |b| b.iter(|| bare.run()));
        group.bench_function("plain", |b| b.iter(|| engine.run(false).expect("runs")));
        group.bench_function("profiled", |b| b.iter(|| engine.profile(1, true).expect("runs")));
        group.finish();
    }
}

criterion_group!(benches, overhead);
criterion_main!(benches);
