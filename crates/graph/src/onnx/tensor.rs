//! Numbers out of a tensor, wherever the file keeps them.

use std::io::{Read, Seek, SeekFrom};

use half::{bf16, f16};

use super::external::{DataFolder, resolve};
use super::messages::{EXTERNAL, TensorProto, data_type};

/// The element types that values can be made up for, by the names that people use.
pub const TYPES: [(&str, i32); 13] = [
    ("f32", data_type::FLOAT),
    ("f16", data_type::FLOAT16),
    ("bf16", data_type::BFLOAT16),
    ("f64", data_type::DOUBLE),
    ("i8", data_type::INT8),
    ("i16", data_type::INT16),
    ("i32", data_type::INT32),
    ("i64", data_type::INT64),
    ("u8", data_type::UINT8),
    ("u16", data_type::UINT16),
    ("u32", data_type::UINT32),
    ("u64", data_type::UINT64),
    ("bool", data_type::BOOL),
];

/// The element type of this name (`f32`, `i64`, …).
pub fn parse_type(text: &str) -> Option<i32> {
    TYPES.iter().find(|(name, _)| *name == text).map(|&(_, kind)| kind)
}

/// The name of an element type.
pub fn type_name(kind: i32) -> Option<&'static str> {
    TYPES.iter().find(|&&(_, k)| k == kind).map(|&(name, _)| name)
}

/// Number of elements; `None` where a dimension is negative or the product overflows.
pub fn elements(tensor: &TensorProto) -> Option<u64> {
    tensor.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(u64::try_from(d).ok()?))
}

/// Bytes of one element as stored in raw data; `None` for strings and packed sub-byte types.
pub fn element_bytes(data_type: i32) -> Option<usize> {
    Some(match data_type {
        data_type::UINT8 | data_type::INT8 | data_type::BOOL | 17..=20 => 1,
        data_type::UINT16 | data_type::INT16 | data_type::FLOAT16 | data_type::BFLOAT16 => 2,
        data_type::FLOAT | data_type::INT32 | data_type::UINT32 => 4,
        data_type::DOUBLE | data_type::INT64 | data_type::UINT64 | 14 => 8,
        15 => 16,
        _ => return None,
    })
}

/// The numbers of a tensor of at most so many elements; `dir` is where external data is relative to.
pub fn numbers(tensor: &TensorProto, dir: Option<&DataFolder>, most: usize) -> Option<Vec<f64>> {
    let count = usize::try_from(elements(tensor)?).ok().filter(|&n| n <= most)?;
    let kind = tensor.data_type?;
    let external;
    let raw = match &tensor.raw_data {
        Some(raw) if !raw.is_empty() => raw.as_ref(),
        _ if tensor.data_location == Some(EXTERNAL) => {
            external = read_external(tensor, dir?, count * element_bytes(kind)?)?;
            external.as_slice()
        }
        _ => return typed(tensor, kind, count),
    };
    fn of<const N: usize>(raw: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        raw.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
    }
    let all = match kind {
        data_type::FLOAT => of(raw, |b| f32::from_le_bytes(b).into()),
        data_type::DOUBLE => of(raw, f64::from_le_bytes),
        data_type::FLOAT16 => of(raw, |b| f16::from_le_bytes(b).into()),
        data_type::BFLOAT16 => of(raw, |b| bf16::from_le_bytes(b).into()),
        data_type::INT64 => of(raw, |b| i64::from_le_bytes(b) as f64),
        data_type::INT32 => of(raw, |b| i32::from_le_bytes(b).into()),
        data_type::INT16 => of(raw, |b| i16::from_le_bytes(b).into()),
        data_type::UINT16 => of(raw, |b| u16::from_le_bytes(b).into()),
        data_type::UINT8 | data_type::BOOL => of(raw, |[b]| b.into()),
        data_type::INT8 => of(raw, |[b]| f64::from(b as i8)),
        _ => return None,
    };
    (all.len() == count).then_some(all)
}

/// The numbers in the typed field that ONNX keeps this element type in.
fn typed(tensor: &TensorProto, kind: i32, count: usize) -> Option<Vec<f64>> {
    let bits = |f: fn(u16) -> f64| tensor.int32_data.iter().map(|&v| f(v as u16)).collect();
    let all: Vec<f64> = match kind {
        data_type::FLOAT => tensor.float_data.iter().map(|&v| v.into()).collect(),
        data_type::DOUBLE => tensor.double_data.clone(),
        data_type::INT64 => tensor.int64_data.iter().map(|&v| v as f64).collect(),
        data_type::FLOAT16 => bits(|v| f16::from_bits(v).into()),
        data_type::BFLOAT16 => bits(|v| bf16::from_bits(v).into()),
        data_type::INT32
        | data_type::INT16
        | data_type::INT8
        | data_type::UINT16
        | data_type::UINT8
        | data_type::BOOL => tensor.int32_data.iter().map(|&v| v.into()).collect(),
        _ => return None,
    };
    (all.len() == count).then_some(all)
}

/// The first bytes of a tensor in an external file; `None` for a missing file or one outside the folder.
fn read_external(tensor: &TensorProto, dir: &DataFolder, length: usize) -> Option<Vec<u8>> {
    let entry = |key: &str| {
        tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref())
    };
    let path = resolve(Some(dir), entry("location")?).ok()?;
    let offset = entry("offset").map_or(Some(0), |o| o.parse().ok())?;
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// A tensor of no dimensions that holds `value` in the given float type.
pub fn from_scalar(value: f64, data_type: i32) -> TensorProto {
    from_values(&[value], vec![], data_type)
}

/// A float tensor; `data_type` is one of FLOAT, DOUBLE, FLOAT16 and BFLOAT16 (others are written as FLOAT).
pub fn from_values(values: &[f64], dims: Vec<i64>, data_type: i32) -> TensorProto {
    let (kind, raw): (i32, Vec<u8>) = match data_type {
        data_type::DOUBLE => (data_type, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        data_type::FLOAT16 => {
            (data_type, values.iter().flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect())
        }
        data_type::BFLOAT16 => {
            (data_type, values.iter().flat_map(|&v| bf16::from_f64(v).to_le_bytes()).collect())
        }
        _ => (data_type::FLOAT, values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect()),
    };
    TensorProto { dims, data_type: Some(kind), raw_data: Some(raw.into()), ..Default::default() }
}

/// A list of integers, as operators take axes and shapes.
pub fn from_integers(values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(data_type::INT64),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_read_back_in_every_float_type() {
        for kind in [data_type::FLOAT, data_type::DOUBLE, data_type::FLOAT16, data_type::BFLOAT16] {
            assert_eq!(numbers(&from_scalar(-1.5, kind), None, 1), Some(vec![-1.5]), "type {kind}");
        }
    }

    #[test]
    fn typed_fields_are_read_too() {
        let f16_bits = TensorProto {
            data_type: Some(data_type::FLOAT16),
            int32_data: vec![f16::from_f64(6.0).to_bits().into()],
            ..Default::default()
        };
        assert_eq!(numbers(&f16_bits, None, 1), Some(vec![6.0]));
        let float = TensorProto {
            dims: vec![1, 2],
            data_type: Some(data_type::FLOAT),
            float_data: vec![0.5, 1.0],
            ..Default::default()
        };
        assert_eq!(numbers(&float, None, 2), Some(vec![0.5, 1.0]));
        assert_eq!(numbers(&float, None, 1), None, "more than was asked for");
    }

    #[test]
    fn hostile_tensors_are_no_numbers() {
        let huge = TensorProto { dims: vec![i64::MAX, 3], ..from_scalar(1.0, data_type::FLOAT) };
        let negative = TensorProto { dims: vec![-1], ..from_scalar(1.0, data_type::FLOAT) };
        let short = TensorProto { raw_data: Some(vec![1u8].into()), ..from_scalar(1.0, data_type::FLOAT) };
        for tensor in [huge, negative, short] {
            assert_eq!(numbers(&tensor, None, 1 << 20), None);
        }
    }
}
