//! ONNX operators that tract translates wrongly, translated right, and our own.
//!
//! tract 0.23.9 forgets that Celu scales its negative side by `alpha` and that Swish has an `alpha` at all: it
//! computes something else without a word. What it does right is left to it, so that its own lowering is what
//! gets measured.

use super::{abilities, attributes, gemm, kernels, recurrence, sequence, upsample, wrong};
use oplat_engine::{Operators, own};
use oplat_graph::onnx::messages::ModelProto;
use oplat_ground::error::Result;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::activations::broadcast_scalar;
use tract_onnx::tract_hir::tract_core::ops::math::{add, div, exp, max, min, mul, sub};
use tract_onnx::tract_hir::tract_core::ops::nn::{sigmoid, silu};

/// tract's translator of ONNX, with the corrections.
pub fn translator() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    onnx.op_register.insert("Celu", |_, node| activation(node, 1.0, Kind::Celu));
    onnx.op_register.insert("Swish", |_, node| activation(node, 1.0, Kind::Swish));
    onnx.op_register.insert("Selu", selu);
    for op in ["GRU", "LSTM", "RNN"] {
        onnx.op_register.insert(op, recurrence::translate);
    }
    onnx.op_register.insert(own::OPERATOR, |_, node| kernels::operator(node));
    onnx
}

/// The operators of other domains that tract 0.23.9 runs as these domains mean them.
const FOREIGN: &[(&str, &[&str])] = &[
    (
        "com.microsoft",
        &[
            "BiasGelu",
            "FastGelu",
            "GatherBlockQuantized",
            "Gelu",
            "GroupQueryAttention",
            "MatMulNBits",
            "MultiHeadAttention",
            "QuickGelu",
            "RotaryEmbedding",
            "SkipLayerNormalization",
        ],
    ),
    (
        "ai.onnx.ml",
        &[
            "ArrayFeatureExtractor",
            "CategoryMapper",
            "LinearClassifier",
            "LinearRegressor",
            "Normalizer",
            "TreeEnsembleClassifier",
        ],
    ),
];

/// What tract runs.
pub struct Known;

impl Operators for Known {
    fn claim(&self, model: &mut ModelProto) {
        own::claim(model, &abilities());
    }

    fn correct(&self, model: &mut ModelProto) -> Result<()> {
        upsample::rewrite(model);
        gemm::rewrite(model);
        sequence::rewrite(model);
        attributes::correct(model)?;
        wrong::correct(model)
    }

    fn runs(&self, domain: &str, op: &str) -> bool {
        op == own::OPERATOR || FOREIGN.iter().any(|(own, ops)| *own == domain && ops.contains(&op))
    }
}

pub(super) type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

fn activation(node: &NodeProto, default_alpha: f32, kind: Kind) -> Built {
    let alpha = node.get_attr_opt("alpha")?.unwrap_or(default_alpha);
    Ok((expand(Activation { kind, alpha }), vec![]))
}

/// tract's own lowering, with ONNX's defaults to the last digit.
fn selu(_: &ParsingContext, node: &NodeProto) -> Built {
    let alpha = node.get_attr_opt("alpha")?.unwrap_or(1.673_263_2);
    let gamma = node.get_attr_opt("gamma")?.unwrap_or(1.050_701);
    Ok((expand(tract_onnx::tract_hir::ops::activations::Selu(alpha, gamma)), vec![]))
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Celu,
    Swish,
}

/// An element-wise function with one parameter.
#[derive(Clone, Debug)]
struct Activation {
    kind: Kind,
    alpha: f32,
}

impl Expansion for Activation {
    fn name(&self) -> StaticName {
        format!("{:?}", self.kind).into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let x = inputs[0];
        let constant = |model: &mut TypedModel, label: &str, value: f32| {
            let tensor = broadcast_scalar(value, model, inputs)?;
            model.add_const(format!("{name}.{label}"), tensor)
        };
        match self.kind {
            Kind::Swish if self.alpha == 1.0 => model.wire_node(name, silu::silu(), &[x]),
            Kind::Swish => {
                let alpha = constant(model, "alpha", self.alpha)?;
                let scaled = model.wire_node(format!("{name}.scaled"), mul(), &[x, alpha])?;
                let gate = model.wire_node(format!("{name}.sigmoid"), sigmoid(), &scaled)?;
                model.wire_node(name, mul(), &[x, gate[0]])
            }
            // max(0, x) + min(0, alpha · (exp(x / alpha) − 1))
            Kind::Celu => {
                let (zero, one) = (constant(model, "zero", 0.0)?, constant(model, "one", 1.0)?);
                let mut below = x;
                let alpha = constant(model, "alpha", self.alpha)?;
                if self.alpha != 1.0 {
                    below = model.wire_node(format!("{name}.over_alpha"), div(), &[below, alpha])?[0];
                }
                below = model.wire_node(format!("{name}.exp"), exp(), &[below])?[0];
                below = model.wire_node(format!("{name}.minus_one"), sub(), &[below, one])?[0];
                if self.alpha != 1.0 {
                    below = model.wire_node(format!("{name}.times_alpha"), mul(), &[below, alpha])?[0];
                }
                below = model.wire_node(format!("{name}.below"), min(), &[zero, below])?[0];
                let above = model.wire_node(format!("{name}.above"), max(), &[zero, x])?[0];
                model.wire_node(name, add(), &[above, below])
            }
        }
    }
}
