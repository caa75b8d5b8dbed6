//! Our own kernels as operators of tract.
//!
//! tract looks operators up without their domain, so that the private copy calls all of ours by one name that
//! is nobody else's. The operator is element-wise for tract: it works in place where nothing else reads its
//! input, moves through reshapes, and is cut over the threads as tract's own are.

use tract_onnx::pb::NodeProto as Node;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_hir::tract_core::ops::element_wise::ElementWiseMiniOp;
use tract_onnx::tract_hir::tract_core::tract_linalg::multithread::par_chunks_mut;

use super::operators::Built;
use crate::kernel::Kernel;
use crate::onnx::for_each_node_mut;
use crate::onnx::messages::{AttributeProto, ModelProto, NodeProto, attribute_type};
use crate::swap;

/// What the private copy calls an operator of ours.
pub const OPERATOR: &str = "oplat.Kernel";
/// Its attributes: the node's own name for it, the activation, the parameters.
const ATTRIBUTES: [&str; 3] = ["operator", "activation", "parameters"];

/// Claims the nodes that our kernels compute: they are not inlined, though the model defines their functions.
/// An activation of our domain that has no kernel is left to its function.
pub fn claim(model: &mut ModelProto) {
    let own = |node: &mut NodeProto| {
        let Some(activation) = swap::read(node).filter(swap::has_kernel) else { return };
        let attribute = |name: &str, kind| AttributeProto {
            name: Some(name.to_owned()),
            r#type: Some(kind),
            ..Default::default()
        };
        let text = |name, text: &str| AttributeProto {
            s: Some(text.to_owned().into()),
            ..attribute(name, attribute_type::STRING)
        };
        let shown = node.op_type.as_deref().and_then(|op| op.split('_').next()).unwrap_or("");
        let floats = activation.parameters.iter().flatten().map(|&p| p as f32).collect();
        node.attribute = vec![
            text(ATTRIBUTES[0], &format!("{}.{shown}", swap::DOMAIN)),
            text(ATTRIBUTES[1], activation.kind.name),
            AttributeProto { floats, ..attribute(ATTRIBUTES[2], attribute_type::FLOATS) },
        ];
        node.op_type = Some(OPERATOR.to_owned());
    };
    if let Some(graph) = model.graph.as_mut() {
        for_each_node_mut(graph, &mut |node| own(node));
    }
    model.functions.iter_mut().flat_map(|f| &mut f.node).for_each(own);
}

/// The operator of a claimed node.
pub fn operator(node: &Node) -> Built {
    let name: String = node.get_attr(ATTRIBUTES[0])?;
    let activation: String = node.get_attr(ATTRIBUTES[1])?;
    let parameters: Vec<f32> = node.get_attr_opt_vec(ATTRIBUTES[2])?.unwrap_or_default();
    // As the author wrote them: the shortest numbers that are these single floats.
    let parameters: Vec<f64> = parameters.iter().map(|p| p.to_string().parse()).collect::<Result<_, _>>()?;
    let kernel = Kernel::best(&activation, &parameters);
    let kernel = kernel.with_context(|| format!("no kernel for {activation} of {parameters:?}"))?;
    Ok((expand(ElementWiseOp(Box::new(KernelOp { name, kernel }))), vec![]))
}

/// A kernel, applied in place.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelOp {
    name: String,
    kernel: Kernel,
}

impl Eq for KernelOp {}

impl KernelOp {
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }
}

impl ElementWiseMiniOp for KernelOp {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn eval_in_place(&self, tensor: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        match tensor.datum_type() {
            DatumType::F32 => {
                let mut view = tensor.try_as_plain_ram_mut()?;
                let xs = view.as_slice_mut::<f32>()?;
                let len = xs.len();
                par_chunks_mut(xs, 1, len, |_, chunk| {
                    self.kernel.apply(chunk);
                    Ok(())
                })
            }
            DatumType::F16 => {
                let mut view = tensor.try_as_plain_ram_mut()?;
                let xs = view.as_slice_mut::<f16>()?;
                let len = xs.len();
                par_chunks_mut(xs, 1, len, |_, chunk| {
                    self.kernel.apply_f16(chunk);
                    Ok(())
                })
            }
            other => bail!("{} computes f32 and f16, not {other:?}", self.name),
        }
    }
}
