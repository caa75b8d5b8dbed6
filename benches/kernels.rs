//! Kernels against memcpy of the same bytes and against the engine's own lowering, in one run.
//!
//! Every call works on input that was just refilled, outside the clock: a function applied to its own output
//! again and again is measured on subnormal numbers, on zeros or on infinities. The table that comes first
//! takes all of one size in turns, since the machine drifts more between two criterion groups than kernels
//! differ; criterion then follows each on its own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oplat::activation::{Activation, kinds};
use oplat::engine::Engine;
use oplat::kernel::{Isa, Kernel};
use oplat::onnx::Model;
use oplat::onnx::messages::{
    Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto,
    TensorType, TypeProto, TypeValue, ValueInfoProto, data_type,
};
use oplat::swap::{self, Lowering};
use oplat::worker::protocol::Load;

const SIZES: [usize; 4] = [1_152, 9_216, 102_400, 819_200];
/// Calls of fewer elements are too short for the clock, and are timed together.
const TIMED: usize = 9_216;

/// Normal-like numbers between -6 and 6, the same ones each time.
fn numbers(n: usize) -> Vec<f32> {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| (0..4).map(|_| uniform() * 3.0 - 1.5).sum()).collect()
}

/// Buffers that are refilled before each timing.
struct Buffers {
    fresh: Vec<f32>,
    used: Vec<Vec<f32>>,
}

impl Buffers {
    fn new(n: usize) -> Self {
        let fresh = numbers(n);
        Self { used: vec![fresh.clone(); TIMED.div_ceil(n)], fresh }
    }

    /// Time of one call, from one timing of as many as there are buffers.
    fn time(&mut self, mut f: impl FnMut(&[f32], &mut [f32])) -> Duration {
        self.used.iter_mut().for_each(|xs| xs.copy_from_slice(&self.fresh));
        let start = Instant::now();
        self.used.iter_mut().for_each(|xs| f(&self.fresh, black_box(xs)));
        start.elapsed() / self.used.len() as u32
    }
}

fn kernels(isa: Isa) -> impl Iterator<Item = (Activation, Kernel)> {
    kinds().map(Activation::new).filter_map(move |activation| {
        let parameters: Option<Vec<f64>> = activation.parameters.iter().copied().collect();
        let kernel = Kernel::on(isa, activation.kind.name, &parameters?)?;
        Some((activation, kernel))
    })
}

/// The activation as exported, alone in a network, in the engine.
fn exported(activation: &Activation, n: usize) -> Option<Engine> {
    let value = |name: &str| ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            value: Some(TypeValue::Tensor(TensorType {
                elem_type: Some(data_type::FLOAT),
                shape: Some(TensorShapeProto {
                    dim: vec![Dimension { value: Some(DimensionValue::Value(n as i64)), denotation: None }],
                }),
            })),
            denotation: None,
        }),
        ..Default::default()
    };
    let node = NodeProto {
        input: vec!["x".into()],
        output: vec!["y".into()],
        name: Some("site".into()),
        op_type: Some("Relu".into()),
        ..Default::default()
    };
    let graph = GraphProto {
        name: Some("alone".into()),
        node: vec![node],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    let proto = ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(graph),
        ..Default::default()
    };
    let model = Model { proto, dir: None };
    let found = swap::find(&model);
    let variant = swap::rewrite(&model, &found, &[0], activation, Lowering::Exported).ok()?;
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("alone.onnx");
    variant.model.write(&file).ok()?;
    let load = Load {
        model: file.display().to_string(),
        inputs: vec![],
        dims: vec![],
        seed: 0,
        threads: 1,
        cpus: vec![],
        flush_denormals: false,
        knobs: Default::default(),
    };
    Some(Engine::load(&load).ok()?.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn nanoseconds(duration: Duration, n: usize) -> f64 {
    duration.as_nanos() as f64 / n as f64
}

/// All kernels of one size, in turns: ns an element, and how often memcpy fits in.
fn table(n: usize) {
    const TURNS: usize = 25;
    let mut buffers = Buffers::new(n);
    println!("\n{n} elements, ns an element (times memcpy of the same bytes in the same run)");
    let all: Vec<(Activation, Kernel)> = Isa::available().into_iter().flat_map(kernels).collect();
    let names: Vec<&Activation> =
        all.iter().filter(|(_, k)| k.isa() == Isa::Portable).map(|(a, _)| a).collect();
    let mut own: Vec<Option<Engine>> = names.iter().map(|a| exported(a, n)).collect();
    let mut copied = vec![];
    let mut kernel_ns = vec![vec![]; all.len()];
    let mut own_ns = vec![vec![]; names.len()];
    for _ in 0..TURNS {
        copied.push(nanoseconds(buffers.time(|fresh, xs| xs.copy_from_slice(fresh)), n));
        for ((_, kernel), ns) in all.iter().zip(&mut kernel_ns) {
            ns.push(nanoseconds(buffers.time(|_, xs| kernel.apply(xs)), n));
        }
        for (engine, ns) in own.iter_mut().zip(&mut own_ns) {
            let plain = engine.as_mut().and_then(|e| e.turn(1, true).ok());
            ns.extend(plain.and_then(|p| Some(*p.runs_ns.first()? as f64 / n as f64)));
        }
    }
    let copied = median(copied);
    println!("{:<28}{copied:>8.3}", "memcpy");
    for ((_, kernel), ns) in all.iter().zip(kernel_ns) {
        let ns = median(ns);
        println!("{:<28}{ns:>8.3} ({:.1})", kernel.to_string(), ns / copied);
    }
    for (activation, ns) in names.iter().zip(own_ns) {
        let ns = median(ns);
        println!("{:<28}{ns:>8.3} ({:.1})", format!("{activation} tract"), ns / copied);
    }
}

fn criterion(c: &mut Criterion) {
    SIZES.into_iter().for_each(table);
    for n in SIZES {
        let mut group = c.benchmark_group(n.to_string());
        group.throughput(Throughput::Elements(n as u64)).sample_size(20);
        group.warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(200));
        let mut buffers = Buffers::new(n);
        group.bench_function("memcpy", |b| {
            b.iter_custom(|runs| (0..runs).map(|_| buffers.time(|fresh, xs| xs.copy_from_slice(fresh))).sum())
        });
        for (activation, kernel) in Isa::available().into_iter().flat_map(kernels) {
            let id = BenchmarkId::new(activation.to_string(), kernel.isa().name());
            group.bench_function(id, |b| {
                b.iter_custom(|runs| (0..runs).map(|_| buffers.time(|_, xs| kernel.apply(xs))).sum())
            });
        }
        group.finish();
    }
}

criterion_group!(benches, criterion);
criterion_main!(benches);
