//! The operators of the optimised graph, as rows: what they are, which kernel computes them, what the engine
//! merged into them.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::binary::OptBinChain;
use tract_onnx::tract_hir::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_hir::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_hir::tract_core::ops::matmul::optimized::{OptMatMul, ProtoFusedSpec};
use tract_onnx::tract_hir::tract_core::ops::source::TypedSource;

use super::kernels::KernelOp;
use oplat_engine::attribution::{self, EngineOp, Role};
use oplat_engine::names;
use oplat_graph::onnx::index::Index;
use oplat_graph::onnx::{Model, for_each_node};
use oplat_ground::protocol::Op;
use oplat_kernels::Isa;

/// The rows, and for each node of the engine's graph the row that it is.
pub struct Rows {
    pub ops: Vec<Op>,
    pub row_of_node: Vec<Option<usize>>,
}

/// Describes the operators of a plan in the order in which they run. Inputs and constants are no operators.
pub fn describe(plan: &TypedSimplePlan, index: &Index) -> TractResult<Rows> {
    let model = plan.model();
    let mut row_of_node = vec![None; model.nodes().len()];
    let mut nodes = vec![];
    for &id in plan.order_without_consts() {
        let node = model.node(id);
        if !node.op_is::<TypedSource>() {
            row_of_node[id] = Some(nodes.len());
            nodes.push(node);
        }
    }
    let engine_ops: Vec<EngineOp> = nodes
        .iter()
        .map(|node| EngineOp {
            name: named_by(node),
            role: role(&node.op.name()),
            readers: node
                .outputs
                .iter()
                .flat_map(|o| &o.successors)
                .filter_map(|inlet| row_of_node[inlet.node])
                .collect(),
        })
        .collect();
    let owned = attribution::attribute(index, &engine_ops);
    let ops =
        nodes.iter().zip(owned).map(|(node, onnx)| row(model, node, onnx)).collect::<TractResult<_>>()?;
    Ok(Rows { ops, row_of_node })
}

/// What an operator of tract is, by its name.
fn role(op: &str) -> Role {
    match op {
        "OptMatMul" => Role::Product,
        "Silu" => Role::Pattern { most: 2 },
        "GeluExact" | "GeluApproximate" | "RmsNorm" => Role::Pattern { most: usize::MAX },
        "IfThenElse" | "Scan" | "OptScan" => Role::Body,
        _ if op.starts_with("OptBinChain") => Role::Chain,
        _ if LAYOUT.iter().any(|layout| op.starts_with(layout)) => Role::Layout,
        _ => Role::Other,
    }
}

/// What the names of operators start with that only lay out data.
const LAYOUT: [&str; 15] = [
    "Im2col",
    "LazyIm2col",
    "OptMatMulPack",
    "OptSimpleMatMulPack",
    "QSumB",
    "Pad",
    "IntoShape",
    "Reshape",
    "AddAxis",
    "RmAxis",
    "MoveAxis",
    "Cast",
    "MultiBroadcastTo",
    "Slice",
    "Concat",
];

/// The ONNX node in an operator's name; tract calls every If just that, so there it is one of its body.
fn named_by(node: &TypedNode) -> Option<usize> {
    names::decode(&node.name).or_else(|| {
        let branches = node.op_as::<IfThenElse>()?;
        let bodies = [&branches.then_body, &branches.else_body];
        bodies.iter().flat_map(|body| body.nodes()).filter_map(|n| names::decode(&n.name)).min()
    })
}

fn row(model: &TypedModel, node: &TypedNode, onnx: Vec<usize>) -> TractResult<Op> {
    let inputs = model.node_input_facts(node.id)?;
    let outputs = model.node_output_facts(node.id)?;
    let mut op = Op {
        op: node.op.name().into_owned(),
        onnx,
        inputs: inputs.iter().map(|f| fact(f)).collect(),
        outputs: outputs.iter().map(|f| fact(f)).collect(),
        elements: outputs.iter().filter_map(|f| elements(f)).sum(),
        ..Op::default()
    };
    if let Some(product) = node.op_as::<OptMatMul>() {
        let mut kernels: Vec<&str> = product.mmm.iter().map(|k| k.name()).collect();
        kernels.dedup();
        op.kernel = Some(kernels.join(" or "));
        op.generic_kernel = product.mmm.iter().any(|k| k.arch().is_none());
        op.fused = product.micro_ops.iter().filter_map(|micro| fused(micro, &inputs)).collect();
    } else if let Some(chain) = node.op_as::<OptBinChain>() {
        op.fused = chain.steps.iter().map(|step| step.binop.name().to_lowercase()).collect();
    } else if let Some(own) = node.op_as::<ElementWiseOp>().and_then(|op| op.0.downcast_ref::<KernelOp>()) {
        op.kernel = Some(own.kernel().to_string());
        op.generic_kernel = own.kernel().isa() == Isa::Portable;
    }
    Ok(op)
}

/// The shape of every ONNX node's first output, from the graph as it was read: there each node is one of ONNX.
pub fn shapes(read: &InferenceModel, model: &Model) -> Vec<Option<Vec<usize>>> {
    let mut shapes = vec![];
    for_each_node(model.graph(), &mut |_| shapes.push(None));
    for node in read.nodes() {
        let Some(slot) = names::exact(&node.name).and_then(|index| shapes.get_mut(index)) else { continue };
        let concrete = |fact: &InferenceFact| -> Option<Vec<usize>> {
            fact.shape.concretize()?.iter().map(|d| d.to_usize().ok()).collect()
        };
        *slot = node.outputs.first().and_then(|output| concrete(&output.fact));
    }
    shapes
}

/// A micro-operator of a matrix product in a word; `None` for the product itself and the store of its result.
fn fused(micro: &ProtoFusedSpec, inputs: &[&TypedFact]) -> Option<String> {
    let word = |op: &tract_linalg::BinOp| format!("{op:?}").to_lowercase();
    Some(match micro {
        ProtoFusedSpec::AddMatMul { .. } | ProtoFusedSpec::Store(_) => return None,
        ProtoFusedSpec::BinScalar(input, op) => {
            let value = inputs.get(*input).and_then(|f| f.konst.as_ref()?.cast_to_scalar::<f32>().ok());
            match (op, value) {
                (tract_linalg::BinOp::Max, Some(0.0)) => "relu".to_owned(),
                (op, Some(value)) => format!("{}({value})", word(op)),
                (op, None) => word(op),
            }
        }
        ProtoFusedSpec::LeakyRelu(_) => "leaky_relu".to_owned(),
        ProtoFusedSpec::BinPerRow(_, op, _) | ProtoFusedSpec::BinPerCol(_, op, _) => {
            format!("{} per channel", word(op))
        }
        ProtoFusedSpec::AddRowColProducts(..) => "add row by column".to_owned(),
        ProtoFusedSpec::AddUnicast(..) => "add tensor".to_owned(),
        ProtoFusedSpec::Scaler(_) => "scale".to_owned(),
    })
}

/// An operator without what its name says of how it is specialised: OptAddByScalar is Add.
pub fn plain(op: &str) -> &str {
    let name = op.strip_prefix("Opt").unwrap_or(op);
    let chain = name.strip_prefix("BinChain(").and_then(|steps| steps.strip_suffix(')'));
    let name = chain.unwrap_or(name);
    ["ByScalar", "Unicast"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// `1x64x40x40xf32`; a packed tensor has the shape of what is packed in it.
fn fact(fact: &TypedFact) -> String {
    let dims: Vec<String> = fact.shape.iter().map(|d| format!("{d}x")).collect();
    let kind = format!("{:?}", fact.datum_type).to_lowercase();
    let packed = if fact.is_exotic() { " packed" } else { "" };
    format!("{}{kind}{packed}", dims.concat())
}

fn elements(fact: &TypedFact) -> Option<u64> {
    fact.shape.volume().to_i64().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn how_an_operator_is_specialised_is_not_in_its_plain_name() {
        let ops = ["Exp", "OptAddByScalar", "OptMulUnicast", "OptBinChain(Mul+Sub)"];
        assert_eq!(ops.map(plain), ["Exp", "Add", "Mul", "Mul+Sub"]);
    }
}
