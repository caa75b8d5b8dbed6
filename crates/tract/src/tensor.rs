//! Tensors across the seam.

use oplat_engine::RawTensor;
use oplat_graph::onnx::messages::data_type;
use tract_onnx::tract_hir::internal::*;

/// The element types that both sides have.
const TYPES: [(DatumType, i32); 12] = [
    (DatumType::F32, data_type::FLOAT),
    (DatumType::F64, data_type::DOUBLE),
    (DatumType::F16, data_type::FLOAT16),
    (DatumType::I8, data_type::INT8),
    (DatumType::I16, data_type::INT16),
    (DatumType::I32, data_type::INT32),
    (DatumType::I64, data_type::INT64),
    (DatumType::U8, data_type::UINT8),
    (DatumType::U16, data_type::UINT16),
    (DatumType::U32, data_type::UINT32),
    (DatumType::U64, data_type::UINT64),
    (DatumType::Bool, data_type::BOOL),
];

pub fn from_raw(raw: &RawTensor) -> TractResult<Tensor> {
    let known = TYPES.iter().find(|(_, dtype)| *dtype == raw.dtype);
    let (kind, _) = known.with_context(|| format!("tract has no element type {}", raw.dtype))?;
    // SAFETY: any bytes are a number, and truth values come as 0 and 1.
    unsafe { Tensor::from_raw_dt(*kind, &raw.shape, &raw.bytes) }
}

/// What has no type in ONNX (dimensions, numbers with a scale) becomes the numbers that it stands for.
pub fn to_raw(tensor: &Tensor) -> TractResult<RawTensor> {
    let symbolic = tensor.datum_type() == TDim::datum_type();
    let tensor = if symbolic { tensor.cast_to::<i64>()? } else { Cow::Borrowed(tensor) };
    let dtype = |tensor: &Tensor| TYPES.iter().find(|(kind, _)| *kind == tensor.datum_type()).map(|t| t.1);
    let (tensor, dtype) = match dtype(&tensor) {
        Some(dtype) => (tensor, dtype),
        None => (Cow::Owned(tensor.cast_to::<f64>()?.into_owned()), data_type::DOUBLE),
    };
    let bytes = tensor.try_as_plain_ram()?.as_bytes().to_vec();
    Ok(RawTensor { dtype, shape: tensor.shape().to_vec(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_of_every_type_go_there_and_back() {
        for (_, dtype) in TYPES {
            let size = oplat_graph::onnx::tensor::element_bytes(dtype).unwrap();
            let raw = RawTensor { dtype, shape: vec![2, 1], bytes: [1, 0].repeat(size) };
            let raw = RawTensor { bytes: raw.bytes[..2 * size].to_vec(), ..raw };
            assert_eq!(to_raw(&from_raw(&raw).unwrap()).unwrap(), raw);
        }
    }

    #[test]
    fn dimensions_become_integers() {
        let raw = to_raw(&tensor1(&[3.to_dim(), 4.to_dim()])).unwrap();
        assert_eq!((raw.dtype, raw.to_f64()), (data_type::INT64, Some(vec![3.0, 4.0])));
    }
}
