//! How long it takes to find and to swap the sites of yolov5s: what every command does before it measures.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use oplat::activation::Activation;
use oplat::onnx::Model;
use oplat::swap::{self, Lowering};
use oplat::zoo;

fn sites(c: &mut Criterion) {
    let model = zoo::build("yolov5s", None).expect("a built-in model");
    let bytes = model.encode();
    let found = swap::find(&model);
    let all: Vec<usize> = (0..found.sites.len()).collect();
    let mish = Activation::parse("mish").expect("a known activation");

    let mut group = c.benchmark_group("yolov5s");
    group.bench_function("read", |b| b.iter(|| Model::decode(black_box(bytes.clone()), None)));
    group.bench_function("find 57 sites", |b| b.iter(|| swap::find(black_box(&model))));
    group.bench_function("swap 57 sites", |b| {
        b.iter(|| swap::rewrite(&model, &found, &all, black_box(&mish), Lowering::Exported))
    });
    group.bench_function("write", |b| b.iter(|| black_box(&model).encode()));
    group.finish();
}

criterion_group!(benches, sites);
criterion_main!(benches);
