//! What observing costs: profiled over plain runs of the same state, interleaved in one process.
//!
//! The two are timed by criterion as they are in a worker; the ratio of their medians, taken turn by turn, is
//! printed as well, since the machine's speed drifts more between two criterion groups than observing costs.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use oplat::engine::Engine;
use oplat::worker::protocol::{Input, Load};
use oplat::zoo;

fn engine(model: &str, size: usize) -> Engine {
    let shape = [1, 3, size as i64, size as i64];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("model.onnx");
    zoo::build(model, Some(&shape)).and_then(|m| m.write(&file)).expect("a built-in model");
    let load = Load {
        model: file.display().to_string(),
        inputs: vec![Input { name: "images".into(), shape: vec![1, 3, size, size], dtype: None }],
        dims: vec![],
        seed: 0,
        threads: 1,
        cpus: vec![],
        flush_denormals: false,
        knobs: Default::default(),
    };
    Engine::load(&load).expect("the engine loads it").0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn observer(c: &mut Criterion) {
    for size in [160, 320] {
        let mut engine = engine("yolov5n", size);
        let mut ratios = vec![];
        for _ in 0..20 {
            let plain = engine.turn(3, false).expect("runs").runs_ns;
            let profiled = engine.profile(3, true).expect("runs").runs_ns;
            let of = |runs: Vec<u64>| median(runs.into_iter().map(|ns| ns as f64).collect());
            ratios.push(of(profiled) / of(plain));
        }
        println!("yolov5n at {size}: profiled/plain {:.4} (median of 20 turns)", median(ratios));

        let mut group = c.benchmark_group(format!("yolov5n at {size}"));
        group.sample_size(20).measurement_time(Duration::from_secs(8));
        group.bench_function("plain", |b| b.iter(|| engine.run(false).expect("runs")));
        group.bench_function("profiled", |b| b.iter(|| engine.profile(1, true).expect("runs")));
        group.finish();
    }
}

criterion_group!(benches, observer);
criterion_main!(benches);
