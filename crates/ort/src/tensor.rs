//! Tensors between the seam and ONNX Runtime.

use ort::memory::Allocator;
use ort::value::{DynTensor, DynValue, Shape, TensorElementType, ValueType};

use oplat_engine::RawTensor;
use oplat_graph::onnx::messages::data_type;
use oplat_graph::onnx::tensor::element_bytes;

const TYPES: [(i32, TensorElementType); 13] = [
    (data_type::FLOAT, TensorElementType::Float32),
    (data_type::DOUBLE, TensorElementType::Float64),
    (data_type::FLOAT16, TensorElementType::Float16),
    (data_type::BFLOAT16, TensorElementType::Bfloat16),
    (data_type::INT8, TensorElementType::Int8),
    (data_type::INT16, TensorElementType::Int16),
    (data_type::INT32, TensorElementType::Int32),
    (data_type::INT64, TensorElementType::Int64),
    (data_type::UINT8, TensorElementType::Uint8),
    (data_type::UINT16, TensorElementType::Uint16),
    (data_type::UINT32, TensorElementType::Uint32),
    (data_type::UINT64, TensorElementType::Uint64),
    (data_type::BOOL, TensorElementType::Bool),
];

/// A tensor of ONNX Runtime's with the same numbers.
pub fn to_ort(raw: &RawTensor, allocator: &Allocator) -> Result<DynTensor, String> {
    let kind = TYPES.iter().find(|(dtype, _)| *dtype == raw.dtype).map(|(_, kind)| *kind);
    let kind = kind.ok_or_else(|| format!("element type {} can't be fed", raw.dtype))?;
    let shape = Shape::new(raw.shape.iter().map(|&n| n as i64));
    let mut tensor = DynTensor::new(allocator, kind, shape).map_err(|e| e.to_string())?;
    if !raw.bytes.is_empty() {
        // SAFETY: the tensor has as many elements of this type as the raw one, whose bytes are counted by its shape.
        unsafe {
            std::ptr::copy_nonoverlapping(
                raw.bytes.as_ptr(),
                tensor.data_ptr_mut().cast::<u8>(),
                raw.bytes.len(),
            );
        }
    }
    Ok(tensor)
}

/// The numbers of a value; fails for one that is no tensor of numbers.
pub fn from_ort(value: &DynValue) -> Result<RawTensor, String> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return Err("an output is no tensor".into());
    };
    let dtype = TYPES.iter().find(|(_, kind)| kind == ty).map(|(dtype, _)| *dtype);
    let dtype = dtype.ok_or_else(|| format!("an output of type {ty} holds no numbers"))?;
    let shape: Vec<usize> = shape.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
    let size = element_bytes(dtype).unwrap_or(0) * shape.iter().product::<usize>();
    let tensor = value.downcast_ref::<ort::value::DynTensorValueType>().map_err(|e| e.to_string())?;
    let mut bytes = vec![0; size];
    if size > 0 {
        // SAFETY: the tensor holds as many bytes as its shape and type say, in the memory of this process.
        unsafe { std::ptr::copy_nonoverlapping(tensor.data_ptr().cast::<u8>(), bytes.as_mut_ptr(), size) };
    }
    Ok(RawTensor { dtype, shape, bytes })
}
