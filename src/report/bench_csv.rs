//! Activations on their own as comma-separated values: a row for each copy and each activation, under one header.

use super::csv::{columns, ends, known, line, number};
use crate::record::bench::{Bench, Memcpy, Row};
use crate::units;

columns! {
    struct BenchRow {
        started_at, oplat, engine, target, cpu,
        /// `memcpy` or `activation`.
        row,
        activation, lowering,
        /// Of the input.
        elements,
        /// `1x36x16x16`
        shape,
        ns_per_element, ns_low, ns_high, confidence,
        gb_per_s,
        ratio_to_relu, relu_low, relu_high,
        ratio_to_memcpy, memcpy_low, memcpy_high,
        /// To the same in the first engine.
        ratio_across, across_low, across_high,
        /// What computed it; the instruction set of our kernels.
        kernel, isa,
        output_bytes, scratch_bytes,
        /// Special values among the outputs of fresh input.
        zero, subnormal, infinite, nan,
        largest_error,
        forks, forwards,
        /// The study's method, and what it leaves in its buffer.
        in_place_forwards, in_place_ns_per_element, in_place_fresh_ns_per_element,
        in_place_zero, in_place_subnormal, in_place_infinite, in_place_nan,
    }
}

pub fn render(bench: &Bench) -> String {
    let mut out = String::new();
    line(&mut out, BenchRow::HEADER);
    let common = BenchRow {
        started_at: bench.started_at.clone(),
        oplat: bench.oplat.version.clone(),
        target: bench.environment.target.clone(),
        cpu: known(bench.environment.cpu.as_ref()),
        confidence: number(bench.settings.confidence),
        forks: bench.settings.forks.to_string(),
        ..BenchRow::default()
    };
    let timed = !bench.environment.emulated;
    for memcpy in &bench.memcpy {
        let common = BenchRow { engine: engine(bench, &memcpy.engine), ..common.clone() };
        copy(&common, memcpy, timed).write(&mut out);
    }
    for row in &bench.rows {
        let common = BenchRow { engine: engine(bench, &row.engine), ..common.clone() };
        activation(&common, row, timed).write(&mut out);
    }
    out
}

/// `tract 0.23.9`: the engine of a row.
fn engine(bench: &Bench, label: &str) -> String {
    let engine = bench.engines.iter().find(|engine| engine.id == label).unwrap_or(&bench.engine);
    format!("{} {}", engine.name, engine.version)
}

fn copy(common: &BenchRow, copy: &Memcpy, timed: bool) -> BenchRow {
    let mut row = BenchRow { row: "memcpy".into(), elements: copy.elements.to_string(), ..common.clone() };
    if timed {
        row.ns_per_element = number(copy.ns_per_element);
        [row.ns_low, row.ns_high] = ends(copy.interval);
        row.gb_per_s = number(copy.gb_per_s);
    }
    row
}

fn activation(common: &BenchRow, of: &Row, timed: bool) -> BenchRow {
    let mut row = BenchRow {
        row: "activation".into(),
        activation: of.activation.clone(),
        lowering: of.lowering.to_string(),
        elements: of.elements.to_string(),
        shape: units::shape(&of.shape),
        kernel: of.kernel.clone(),
        isa: known(of.isa.as_ref()),
        output_bytes: known(of.output_bytes),
        scratch_bytes: known(of.scratch_bytes),
        zero: of.output.zero.to_string(),
        subnormal: of.output.subnormal.to_string(),
        infinite: of.output.infinite.to_string(),
        nan: of.output.nan.to_string(),
        largest_error: of.largest_error.map(number).unwrap_or_default(),
        forwards: of.forwards.to_string(),
        ..common.clone()
    };
    if timed {
        row.ns_per_element = number(of.ns_per_element);
        [row.ns_low, row.ns_high] = ends(of.interval);
        row.gb_per_s = number(of.gb_per_s);
        row.ratio_to_relu = known(of.ratio_to_relu);
        [row.relu_low, row.relu_high] = ends(of.relu_interval);
        row.ratio_to_memcpy = known(of.ratio_to_memcpy);
        [row.memcpy_low, row.memcpy_high] = ends(of.memcpy_interval);
        row.ratio_across = known(of.across);
        [row.across_low, row.across_high] = ends(of.across_interval);
    }
    if let Some(run) = &of.in_place {
        row.in_place_forwards = run.forwards.to_string();
        if timed {
            row.in_place_ns_per_element = number(run.ns_per_element);
            row.in_place_fresh_ns_per_element = number(run.fresh_ns_per_element);
        }
        row.in_place_zero = run.end.zero.to_string();
        row.in_place_subnormal = run.end.subnormal.to_string();
        row.in_place_infinite = run.end.infinite.to_string();
        row.in_place_nan = run.end.nan.to_string();
    }
    row
}
