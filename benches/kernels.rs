//! Kernels on every instruction set, for single and for half floats, against memcpy of as many single floats and
//! against the engine's own operators for the activation as exported, in one run.
//!
//! Every call works on input that was just refilled, outside the clock: a function applied to its own output
//! again and again is measured on subnormal numbers, on zeros or on infinities. The table that comes first
//! takes all of one size in turns, since the machine drifts more between two criterion groups than kernels
//! differ; criterion then follows each on its own. A filter, as in `-- mish`, holds for both.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use half::slice::HalfFloatSliceExt;
use oplat::activation::{Activation, kinds};
use oplat::engine::LoadedModel;
use oplat::engines;
use oplat::kernel::{Isa, Kernel};
use oplat::protocol::Load;
use oplat::swap::{self, Lowering};

const SIZES: [usize; 3] = [1_152, 9_216, 102_400];
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
struct Buffers<T> {
    fresh: Vec<T>,
    used: Vec<Vec<T>>,
}

impl<T: Copy> Buffers<T> {
    fn new(fresh: Vec<T>) -> Self {
        Self { used: vec![fresh.clone(); TIMED.div_ceil(fresh.len())], fresh }
    }

    /// Time of one call, from one timing of as many as there are buffers.
    fn time(&mut self, mut f: impl FnMut(&[T], &mut [T])) -> Duration {
        self.used.iter_mut().for_each(|xs| xs.copy_from_slice(&self.fresh));
        let start = Instant::now();
        self.used.iter_mut().for_each(|xs| f(&self.fresh, black_box(xs)));
        start.elapsed() / self.used.len() as u32
    }
}

/// The same numbers in both formats.
struct Both {
    single: Buffers<f32>,
    half: Buffers<f16>,
}

impl Both {
    fn new(n: usize) -> Self {
        let single = numbers(n);
        let mut half = vec![f16::ZERO; n];
        half.convert_from_f32_slice(&single);
        Self { single: Buffers::new(single), half: Buffers::new(half) }
    }

    fn time(&mut self, kernel: &Kernel, format: Format) -> Duration {
        match format {
            Format::Single => self.single.time(|_, xs| kernel.apply(xs)),
            Format::Half => self.half.time(|_, xs| kernel.apply_f16(xs)),
        }
    }

    fn copy(&mut self) -> Duration {
        self.single.time(|fresh, xs| xs.copy_from_slice(fresh))
    }
}

#[derive(Clone, Copy)]
enum Format {
    Single,
    Half,
}

/// What a kernel is called by: `avx2`, `avx2-f16`.
fn path(isa: Isa, format: Format) -> String {
    match format {
        Format::Single => isa.name().into(),
        Format::Half => format!("{}-f16", isa.name()),
    }
}

/// Every instruction set in both formats, the best for single floats last.
fn paths() -> impl Iterator<Item = (Isa, Format)> {
    let all = |format| Isa::available().into_iter().map(move |isa| (isa, format));
    all(Format::Half).chain(all(Format::Single))
}

fn kernels(isa: Isa) -> impl Iterator<Item = (Activation, Kernel)> {
    kinds().map(Activation::new).filter_map(move |activation| {
        let parameters: Option<Vec<f64>> = activation.parameters.iter().copied().collect();
        let kernel = Kernel::on(isa, activation.kind.name, &parameters?)?;
        Some((activation, kernel))
    })
}

/// The activation as exported, alone in a network, in the engine.
fn exported(activation: &Activation, n: usize) -> Option<Box<dyn LoadedModel>> {
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("alone.onnx");
    swap::alone(activation, &[n], Lowering::Exported).ok()?.write(&file).ok()?;
    let load = Load { model: file.display().to_string(), ..Load::default() };
    Some(engines::default().load(&load).ok()?.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn nanoseconds(duration: Duration, n: usize) -> f64 {
    duration.as_nanos() as f64 / n as f64
}

/// One run of the engine's operators, in ns.
fn own(model: &mut dyn LoadedModel, runs: u64) -> Option<u64> {
    let turn = model.turn(runs as usize, true).ok()?;
    Some(turn.runs_ns.iter().sum())
}

/// One line of the table, while it is measured.
struct Line {
    activation: Activation,
    kernels: Vec<(Kernel, Format, Vec<f64>)>,
    own: Option<Box<dyn LoadedModel>>,
    own_ns: Vec<f64>,
}

/// All of one size, in turns: ns an element, and how often memcpy fits in.
fn table(n: usize, wanted: &dyn Fn(&Activation) -> bool) {
    const TURNS: usize = 25;
    let mut buffers = Both::new(n);
    let mut lines: Vec<Line> = kernels(Isa::Portable)
        .filter(|(activation, _)| wanted(activation))
        .map(|(activation, kernel)| {
            let all = paths().filter_map(|(isa, format)| {
                let parameters: Option<Vec<f64>> = activation.parameters.iter().copied().collect();
                Some((Kernel::on(isa, kernel.name(), &parameters?)?, format, vec![]))
            });
            let (kernels, own) = (all.collect(), exported(&activation, n));
            Line { activation, kernels, own, own_ns: vec![] }
        })
        .collect();
    let mut copied = vec![];
    for _ in 0..TURNS {
        copied.push(nanoseconds(buffers.copy(), n));
        for line in &mut lines {
            for (kernel, format, ns) in &mut line.kernels {
                ns.push(nanoseconds(buffers.time(kernel, *format), n));
            }
            let ns = line.own.as_mut().and_then(|engine| own(engine.as_mut(), 1));
            line.own_ns.extend(ns.map(|ns| ns as f64 / n as f64));
        }
    }
    let copied = median(copied);
    println!(
        "\n{n} elements: ns an element (times memcpy, which takes {copied:.3}); last, exported over kernel"
    );
    print!("{:<14}", "");
    paths().for_each(|(isa, format)| print!("{:>17}", path(isa, format)));
    println!("{:>17}{:>8}", "exported", "ratio");
    for line in lines {
        print!("{:<14}", line.activation.kind.name);
        let cell = |ns: f64| print!("{:>17}", format!("{ns:.3} ({:.1})", ns / copied));
        let kernels: Vec<f64> = line.kernels.into_iter().map(|(.., ns)| median(ns)).collect();
        let own = median(line.own_ns);
        kernels.iter().copied().for_each(cell);
        cell(own);
        println!("{:>8.1}", kernels.last().map_or(f64::NAN, |best| own / best));
    }
}

fn criterion(c: &mut Criterion) {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    // As criterion has it, of names such as `9216/mish/avx2`.
    let wanted = |n: usize, activation: &Activation| {
        let last = paths().map(|(isa, format)| path(isa, format)).chain(["exported".into()]);
        let mut names = last.map(|last| format!("{n}/{activation}/{last}"));
        filter.as_deref().is_none_or(|filter| names.any(|name| name.contains(filter)))
    };
    SIZES.into_iter().for_each(|n| table(n, &|activation| wanted(n, activation)));
    for n in SIZES {
        let mut group = c.benchmark_group(n.to_string());
        group.throughput(Throughput::Elements(n as u64)).sample_size(20);
        group.warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(200));
        let mut buffers = Both::new(n);
        group.bench_function("memcpy", |b| b.iter_custom(|runs| (0..runs).map(|_| buffers.copy()).sum()));
        for (isa, format) in paths() {
            for (activation, kernel) in kernels(isa) {
                let id = BenchmarkId::new(activation.to_string(), path(isa, format));
                group.bench_function(id, |b| {
                    b.iter_custom(|runs| (0..runs).map(|_| buffers.time(&kernel, format)).sum())
                });
            }
        }
        for (activation, _) in kernels(Isa::Portable).filter(|(a, _)| wanted(n, a)) {
            let Some(mut engine) = exported(&activation, n) else { continue };
            group.bench_function(BenchmarkId::new(activation.to_string(), "exported"), |b| {
                b.iter_custom(|runs| Duration::from_nanos(own(engine.as_mut(), runs).unwrap_or_default()))
            });
        }
        group.finish();
    }
}

criterion_group!(benches, criterion);
criterion_main!(benches);
