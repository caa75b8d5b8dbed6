//! Buffers for solos: filled anew before every forward, and brought as near to the processor as they fit.

use std::hint::black_box;

use tract_onnx::tract_hir::internal::*;

use oplat_ground::record::bench::Values;

/// Buffers of one size.
#[derive(Default)]
pub struct Pool {
    /// What inputs are filled with.
    pub fresh: Vec<f32>,
    pub buffers: Vec<Tensor>,
    /// What copies are written to.
    pub targets: Vec<Tensor>,
}

impl Pool {
    /// Makes the first `count` buffers fresh inputs of this shape, and reads them once, so that they are as near
    /// as their size allows.
    pub fn refill(&mut self, shape: &[usize], count: usize) -> TractResult<()> {
        let Self { fresh, buffers, .. } = self;
        buffers.retain(|b| b.shape() == shape && b.datum_type() == DatumType::F32);
        for buffer in buffers.iter_mut().take(count) {
            floats(buffer)?.copy_from_slice(fresh);
        }
        while buffers.len() < count {
            buffers.push(Tensor::from_shape(shape, fresh)?);
        }
        buffers.iter_mut().take(count).try_for_each(read)
    }

    /// Takes out one fresh input.
    pub fn first(&mut self, shape: &[usize]) -> TractResult<Tensor> {
        self.refill(shape, 1)?;
        Ok(self.buffers.swap_remove(0))
    }

    /// Makes targets for as many copies, and reads them as well.
    pub fn targets(&mut self, shape: &[usize], count: usize) -> TractResult<()> {
        while self.targets.len() < count {
            self.targets.push(Tensor::from_shape(shape, &self.fresh)?);
        }
        self.targets.iter_mut().take(count).try_for_each(read)
    }
}

/// Touches every line of a buffer.
fn read(buffer: &mut Tensor) -> TractResult<()> {
    black_box(floats(buffer)?.iter().step_by(16).sum::<f32>());
    Ok(())
}

/// The elements of a plain tensor.
pub fn floats(tensor: &mut Tensor) -> TractResult<&mut [f32]> {
    tensor.to_plain_array_view_mut()?.into_slice().context("a tensor in pieces")
}

/// Counts what is special among a tensor's elements.
pub fn values(tensor: &Tensor) -> TractResult<Values> {
    Ok(Values::of(tensor.try_as_plain_ram()?.as_slice::<f32>()?))
}
