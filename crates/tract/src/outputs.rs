//! A run's outputs, and the numbers in it that spoil latencies: non-finite and subnormal ones.

use half::f16;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::plan;

use super::{TractModel, tensor};
use oplat_engine::RawOutputs;
use oplat_ground::protocol::Failure;

impl TractModel {
    /// Runs once; the outputs, and what is special among the numbers of all operators.
    pub fn raw_outputs(&mut self) -> Result<RawOutputs, Failure> {
        let mut counts = Counts::default();
        let rows = self.rows.row_of_node.clone();
        let run = self.run_with(|ctx, state, node, inputs| {
            let outputs = plan::eval(ctx, state, node, inputs)?;
            if rows[node.id].is_some() {
                outputs.iter().for_each(|o| counts.add(o));
            }
            Ok(outputs)
        })?;
        let tensors = run.outputs.iter().map(|output| tensor::to_raw(output)).collect::<TractResult<_>>();
        let tensors = tensors.map_err(|e| self.labels.failure("give out", &e))?;
        let Counts { non_finite, subnormal } = counts;
        Ok(RawOutputs { tensors, non_finite: Some(non_finite), subnormal: Some(subnormal) })
    }
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
