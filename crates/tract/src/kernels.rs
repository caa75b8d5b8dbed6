//! Our own kernels as operators of tract.
//!
//! The operator is element-wise for tract: it works in place where nothing else reads its input, moves through reshapes, and is
//! cut over the threads as tract's own are.

use tract_onnx::pb::NodeProto as Node;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_hir::tract_core::ops::element_wise::ElementWiseMiniOp;
use tract_onnx::tract_hir::tract_core::tract_linalg::multithread::par_chunks_mut;

use super::operators::Built;
use oplat_engine::own;
use oplat_kernels::{Isa, Kernel};

/// The operator of a claimed node.
pub fn operator(node: &Node) -> Built {
    let name: String = node.get_attr(own::SHOWN)?;
    let activation: String = node.get_attr(own::ACTIVATION)?;
    let parameters = own::parameters(&node.get_attr_opt_vec(own::PARAMETERS)?.unwrap_or_default());
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

    /// A kernel has cleared the upper halves of vectors. What other ops gain from that is not its own merit.
    fn leave(&self) {
        if self.kernel.isa() != Isa::Portable {
            oplat_kernels::use_vectors();
        }
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
                    self.leave();
                    Ok(())
                })
            }
            DatumType::F16 => {
                let mut view = tensor.try_as_plain_ram_mut()?;
                let xs = view.as_slice_mut::<f16>()?;
                let len = xs.len();
                par_chunks_mut(xs, 1, len, |_, chunk| {
                    self.kernel.apply_f16(chunk);
                    self.leave();
                    Ok(())
                })
            }
            other => bail!("{} computes f32 and f16, not {other:?}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use oplat_engine::Backend;
    use std::path::{Path, PathBuf};

    use crate::Tract;
    use oplat_graph::activation::{Activation, kinds};
    use oplat_graph::onnx::Model;
    use oplat_graph::swap::{self, Lowering};
    use oplat_ground::protocol::{Load, Op};

    fn load(model: &Path, threads: usize) -> Load {
        Load { model: model.to_str().unwrap().to_owned(), seed: 3, threads, ..Load::default() }
    }

    fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models").join(name)
    }

    /// The operators and the outputs of a network with this activation at every site.
    fn run(name: &str, to: &Activation, lowering: Lowering, threads: usize) -> (Vec<Op>, Vec<f64>) {
        let model = Model::read(&path(name)).unwrap();
        let found = swap::find(&model);
        let all: Vec<usize> = (0..found.sites.len()).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("variant.onnx");
        swap::rewrite(&model, &found, &all, to, lowering).unwrap().model.write(&file).unwrap();
        let (mut model, loaded) = Tract.load(&load(&file, threads)).unwrap_or_else(|e| panic!("{to}: {e:?}"));
        let outputs = model.outputs().unwrap();
        (loaded.ops, outputs.tensors.iter().flat_map(|t| t.to_f64().unwrap()).collect())
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        assert_eq!(a.len(), b.len());
        let square = |x: f64| x * x;
        let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
        (difference / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
    }

    fn with_kernels() -> Vec<Activation> {
        // A sine of 30 x makes the last bit of one layer 30 of the next one's, until nothing is left to compare.
        let tame = |activation| match activation {
            Activation { kind, .. } if kind.name == "sine" => Activation::parse("sine:1").unwrap(),
            other => other,
        };
        let all: Vec<_> = kinds()
            .map(Activation::new)
            .filter(|a| swap::runs_kernel(&Tract.about().1, a))
            .map(tame)
            .collect();
        assert!(all.len() >= 18, "{} activations have kernels", all.len());
        all
    }

    #[test]
    fn a_network_computes_the_same_in_both_lowerings() {
        for activation in with_kernels() {
            let (ops, kernel) = run("minidet_silu.onnx", &activation, Lowering::Kernel, 1);
            let (_, exported) = run("minidet_silu.onnx", &activation, Lowering::Exported, 1);
            let off = distance(&kernel, &exported);
            assert!(off <= 1e-4, "{activation}: {off:e}");
            let name = format!("{} ", activation.kind.name);
            let own = ops.iter().filter(|op| op.kernel.as_ref().is_some_and(|k| k.starts_with(&name)));
            let own: Vec<_> = own.inspect(|op| assert!(op.op.starts_with("oplat."), "{op:?}")).collect();
            assert_eq!(own.len(), 18, "{activation}");
            assert!(own.iter().all(|op| op.onnx.len() == 1), "each is one node of the file");
        }
    }

    #[test]
    fn half_floats_have_kernels_too() {
        let mish = Activation::parse("mish").unwrap();
        let (ops, kernel) = run("minidet_silu_fp16.onnx", &mish, Lowering::Kernel, 1);
        let (_, exported) = run("minidet_silu_fp16.onnx", &mish, Lowering::Exported, 1);
        let (_, single) = run("minidet_silu.onnx", &mish, Lowering::Exported, 1);
        // Five roundings to half floats or one, in every layer: both are off, and the kernel not by more.
        assert!(distance(&kernel, &single) <= 1.2 * distance(&exported, &single));
        assert_eq!(ops.iter().filter(|op| op.op == "oplat.Mish").count(), 18);
    }

    #[test]
    fn parameters_reach_the_kernel() {
        let at = |text: &str| {
            let activation = Activation::parse(text).unwrap();
            let (_, kernel) = run("minidet_silu.onnx", &activation, Lowering::Kernel, 1);
            let (_, exported) = run("minidet_silu.onnx", &activation, Lowering::Exported, 1);
            assert!(distance(&kernel, &exported) <= 1e-4, "{text}");
            kernel
        };
        assert!(distance(&at("swish:1.5"), &at("swish:0.3")) > 1e-3);
    }

    #[test]
    fn activations_inside_branches_have_kernels() {
        let mish = Activation::parse("mish").unwrap();
        let (_, kernel) = run("if_branches.onnx", &mish, Lowering::Kernel, 1);
        let (_, exported) = run("if_branches.onnx", &mish, Lowering::Exported, 1);
        assert!(distance(&kernel, &exported) <= 1e-4);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_kernel_cleans_no_vectors_for_other_ops() {
        use super::*;
        let op = KernelOp { name: "oplat.Silu".to_owned(), kernel: Kernel::best("silu", &[]).unwrap() };
        let mut tensor = Tensor::zero::<f32>(&[1000]).unwrap();
        oplat_kernels::clean_vectors();
        if oplat_kernels::vectors_in_use() == Some(false) {
            op.eval_in_place(&mut tensor, None).unwrap();
            assert_eq!(oplat_kernels::vectors_in_use(), Some(true));
        }
        oplat_kernels::clean_vectors();
        assert_ne!(oplat_kernels::vectors_in_use(), Some(true));
    }

    #[test]
    fn threads_change_no_bit() {
        let gelu = Activation::parse("gelu").unwrap();
        let (_, one) = run("minidet_silu.onnx", &gelu, Lowering::Kernel, 1);
        let (_, two) = run("minidet_silu.onnx", &gelu, Lowering::Kernel, 2);
        assert!(distance(&one, &two) <= 1e-6);
    }
}
