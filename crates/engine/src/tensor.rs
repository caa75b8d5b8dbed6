//! A tensor as it crosses the seam: plain bytes.

use half::{bf16, f16};
use oplat_graph::onnx::messages::data_type;
use oplat_graph::onnx::tensor::element_bytes;

/// A dense tensor, row-major, little-endian.
#[derive(Clone, Debug, PartialEq)]
pub struct RawTensor {
    /// ONNX element type (`data_type`).
    pub dtype: i32,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl RawTensor {
    /// The numbers in double precision; `None` for an element type that holds no numbers.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        let each = |number: fn(&[u8]) -> f64| {
            let size = element_bytes(self.dtype)?;
            Some(self.bytes.chunks_exact(size).map(number).collect())
        };
        /// Reads as many bytes as the type has.
        macro_rules! read {
            ($type:ty) => {
                |bytes| <$type>::from_le_bytes(bytes.try_into().unwrap_or_default())
            };
            ($type:ty as f64) => {
                each(|bytes| <$type>::from_le_bytes(bytes.try_into().unwrap_or_default()) as f64)
            };
            (half $type:ty) => {
                each(|bytes| <$type>::from_le_bytes(bytes.try_into().unwrap_or_default()).to_f64())
            };
        }
        match self.dtype {
            data_type::FLOAT => read!(f32 as f64),
            data_type::DOUBLE => each(read!(f64)),
            data_type::FLOAT16 => read!(half f16),
            data_type::BFLOAT16 => read!(half bf16),
            data_type::INT8 => read!(i8 as f64),
            data_type::INT16 => read!(i16 as f64),
            data_type::INT32 => read!(i32 as f64),
            data_type::INT64 => read!(i64 as f64),
            data_type::UINT8 => read!(u8 as f64),
            data_type::UINT16 => read!(u16 as f64),
            data_type::UINT32 => read!(u32 as f64),
            data_type::UINT64 => read!(u64 as f64),
            data_type::BOOL => each(|bytes| f64::from(u8::from(bytes != [0]))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_are_read() {
        let tensor = |dtype, bytes: &[u8]| RawTensor { dtype, shape: vec![2], bytes: bytes.to_vec() };
        let floats: Vec<u8> = [1.5f32, -0.25].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(tensor(data_type::FLOAT, &floats).to_f64(), Some(vec![1.5, -0.25]));
        let halves: Vec<u8> = [1.5, -0.25].iter().flat_map(|&x| f16::from_f64(x).to_le_bytes()).collect();
        assert_eq!(tensor(data_type::FLOAT16, &halves).to_f64(), Some(vec![1.5, -0.25]));
        assert_eq!(tensor(data_type::INT8, &[0xff, 2]).to_f64(), Some(vec![-1.0, 2.0]));
        assert_eq!(tensor(data_type::BOOL, &[1, 0]).to_f64(), Some(vec![1.0, 0.0]));
        assert_eq!(tensor(data_type::STRING, &[]).to_f64(), None);
    }
}
