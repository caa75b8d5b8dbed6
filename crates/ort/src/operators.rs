//! Our kernels as custom operators of ONNX Runtime, one for each element type.
//!
//! They may write where their input lies. Between convolutions, whose data ONNX Runtime lays out in blocks, they make it change
//! the layout before and after them, as they would in an app.

use ort::operator::{
    ComputeContext, Kernel as Compute, KernelContext, Operator, OperatorDomain, OperatorInput,
    OperatorOutput, ShapeInferenceContext,
};
use ort::value::{DynTensorRef, DynTensorValueType, TensorElementType, ValueType};

use half::f16;
use oplat_engine::own;
use oplat_graph::swap::DOMAIN;
use oplat_kernels::Kernel;

/// The operators of our domain, for sessions with so many threads.
pub fn domain(threads: usize) -> ort::Result<OperatorDomain> {
    let of = |element| Own { element, threads: threads.max(1) };
    OperatorDomain::new(DOMAIN)?.add(of(TensorElementType::Float32))?.add(of(TensorElementType::Float16))
}

/// Every kernel, for values of one type.
struct Own {
    element: TensorElementType,
    threads: usize,
}

impl Operator for Own {
    type Kernel<'attr> = Applied;

    const INPLACES: &[(u32, u32)] = &[(0, 0)];

    fn name(&self) -> &str {
        own::OPERATOR
    }

    fn versions(&self) -> std::ops::RangeInclusive<u32> {
        1..=i32::MAX as u32
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(self.element)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(self.element)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<Applied> {
        let activation: String = node.get(own::ACTIVATION).unwrap_or_default();
        let floats: Vec<f32> = node.get(own::PARAMETERS).unwrap_or_default();
        let kernel = kernel(&activation, &floats)
            .ok_or_else(|| ort::Error::new(format!("no kernel for {activation} of {floats:?}")))?;
        Ok(Applied { kernel, element: self.element, threads: self.threads })
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        match context.inputs().first() {
            Some(input) => context.set_output(0, input),
            None => Ok(()),
        }
    }
}

/// A node's kernel.
struct Applied {
    kernel: Kernel,
    element: TensorElementType,
    threads: usize,
}

/// Floats that are copied and then computed while they are in the first cache, where the output lies elsewhere.
const BLOCK: usize = 2048;

impl Compute for Applied {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || ort::Error::new("a kernel without its tensor");
        let input = context.input(0)?.ok_or_else(missing)?;
        let ValueType::Tensor { shape, .. } = input.dtype() else { return Err(missing()) };
        let shape = shape.clone();
        let elements = shape.num_elements();
        let input: DynTensorRef = input.downcast::<DynTensorValueType>()?;
        let output = context.output(0, shape)?.ok_or_else(missing)?;
        let mut output = output.downcast::<DynTensorValueType>()?;
        let (from, to) = (input.data_ptr().cast::<u8>(), output.data_ptr_mut().cast::<u8>());
        match self.element {
            TensorElementType::Float16 => {
                let cut = Cut::<f16> { from: from.cast(), to: to.cast(), elements };
                cut.over(context, self.threads, &|xs| self.kernel.apply_f16(xs))
            }
            _ => {
                let cut = Cut::<f32> { from: from.cast(), to: to.cast(), elements };
                cut.over(context, self.threads, &|xs| self.kernel.apply(xs))
            }
        }
    }
}

/// A tensor and where it goes, which may be the same place.
struct Cut<T> {
    from: *const T,
    to: *mut T,
    elements: usize,
}

// SAFETY: every thread gets a part of its own.
unsafe impl<T> Sync for Cut<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Cut<T> {}

impl<T: Copy> Cut<T> {
    /// The function over all of it, cut over the session's threads.
    fn over(
        &self,
        context: &ComputeContext,
        threads: usize,
        apply: &(dyn Fn(&mut [T]) + Sync),
    ) -> ort::Result<()> {
        let parts = threads.min(self.elements.div_ceil(BLOCK)).max(1);
        if parts == 1 {
            self.part(0, self.elements, apply);
            return Ok(());
        }
        let blocks = self.elements.div_ceil(BLOCK).div_ceil(parts) * BLOCK;
        // As a whole: a closure that took the pointers alone could not cross threads.
        let all = self;
        context.par_for(parts, parts, move |part| {
            let start = (part * blocks).min(all.elements);
            all.part(start, (start + blocks).min(all.elements), apply);
        })
    }

    fn part(&self, start: usize, end: usize, apply: &(dyn Fn(&mut [T]) + Sync)) {
        let apart = !std::ptr::eq(self.from, self.to);
        let block = if apart { BLOCK } else { end.saturating_sub(start).max(1) };
        for start in (start..end).step_by(block) {
            let len = block.min(end - start);
            // SAFETY: ONNX Runtime gave both tensors as many elements as their shape says; they are one or apart, and nobody
            // else has this part of the output.
            let xs = unsafe {
                if apart {
                    std::ptr::copy_nonoverlapping(self.from.add(start), self.to.add(start), len);
                }
                std::slice::from_raw_parts_mut(self.to.add(start), len)
            };
            apply(xs);
        }
    }
}

/// What computes an activation of this name and with these parameters.
pub fn kernel(activation: &str, floats: &[f32]) -> Option<Kernel> {
    Kernel::best(activation, &own::parameters(floats))
}
