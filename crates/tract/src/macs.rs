//! Multiply-accumulates of one run, before kernels are chosen.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::cnn::{Conv, Deconv};
use tract_onnx::tract_hir::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::tract_core::ops::scan::Scan;

/// Those of convolutions and matrix products, loops included; `None` where a shape isn't concrete.
pub fn count(model: &TypedModel) -> Option<u64> {
    let mut sum = 0u64;
    for id in model.eval_order().ok()? {
        let node = model.node(id);
        let inputs = model.node_input_facts(id).ok()?;
        if let Some(scan) = node.op_as::<Scan>() {
            let turns: u64 = scan.iteration_count(&inputs)?.to_i64().ok()?.try_into().ok()?;
            sum = sum.checked_add(turns.checked_mul(count(&scan.body)?)?)?;
        } else if node.op_is::<Conv>() || node.op_is::<Deconv>() || node.op_is::<EinSum>() {
            for (cost, n) in node.op.cost(&inputs).ok()? {
                if matches!(cost, Cost::FMA(_)) {
                    sum = sum.checked_add(n.to_i64().ok()?.try_into().ok()?)?;
                }
            }
        }
    }
    Some(sum)
}
