//! A run's outputs, and the numbers in it that spoil latencies: non-finite and subnormal ones.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::f16;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::plan;

use super::{Engine, failure};
use crate::error::Error;
use crate::worker::protocol::{Failure, Outputs};

impl Engine {
    /// Runs once and writes all outputs, one after another, as little-endian f64.
    pub fn outputs(&mut self, file: &Path) -> Result<Outputs, Failure> {
        let mut counts = Counts::default();
        let rows = self.rows.row_of_node.clone();
        let (_, outputs) = self.run_with(|ctx, state, node, inputs| {
            let outputs = plan::eval(ctx, state, node, inputs)?;
            if rows[node.id].is_some() {
                outputs.iter().for_each(|o| counts.add(o));
            }
            Ok(outputs)
        })?;
        let written = |e: &std::io::Error| failure::plain(Error::file("write", file, e).message);
        let mut writer = BufWriter::new(File::create(file).map_err(|e| written(&e))?);
        let mut elements = vec![];
        for output in &outputs {
            let numbers = as_f64(output).map_err(|e| self.labels.failure("give out", &e))?;
            elements.push(numbers.len() as u64);
            for number in numbers {
                writer.write_all(&number.to_le_bytes()).map_err(|e| written(&e))?;
            }
        }
        writer.flush().map_err(|e| written(&e))?;
        Ok(Outputs { elements, non_finite: counts.non_finite, subnormal: counts.subnormal })
    }
}

fn as_f64(tensor: &Tensor) -> TractResult<Vec<f64>> {
    let symbolic = tensor.datum_type() == TDim::datum_type();
    let concrete = if symbolic { tensor.cast_to::<i64>()? } else { Cow::Borrowed(tensor) };
    let numbers = concrete.cast_to::<f64>()?;
    Ok(numbers.try_as_plain_ram()?.as_slice::<f64>()?.to_vec())
}

/// Non-finite and subnormal numbers.
#[derive(Default)]
struct Counts {
    non_finite: u64,
    subnormal: u64,
}

impl Counts {
    /// Counts in a float tensor; packed ones hold copies of numbers that were counted before.
    fn add(&mut self, tensor: &Tensor) {
        let Some(plain) = tensor.as_plain_ram() else { return };
        if let Ok(numbers) = plain.as_slice::<f32>() {
            numbers.iter().for_each(|x| self.one(x.is_finite(), x.is_subnormal()));
        } else if let Ok(numbers) = plain.as_slice::<f16>() {
            numbers
                .iter()
                .for_each(|x| self.one(x.is_finite(), !x.is_normal() && x.is_finite() && *x != f16::ZERO));
        } else if let Ok(numbers) = plain.as_slice::<f64>() {
            numbers.iter().for_each(|x| self.one(x.is_finite(), x.is_subnormal()));
        }
    }

    fn one(&mut self, finite: bool, subnormal: bool) {
        self.non_finite += u64::from(!finite);
        self.subnormal += u64::from(subnormal);
    }
}
