//! Shorthands for the messages that a written graph is made of.

use bytes::Bytes;

use crate::onnx::messages::{
    AttributeProto, Dimension, DimensionValue, TensorProto, TensorShapeProto, TensorType, TypeProto,
    TypeValue, ValueInfoProto, attribute_type, data_type,
};

/// A tensor from its raw little-endian bytes.
pub fn tensor(dims: &[i64], kind: i32, raw: Bytes) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(kind), raw_data: Some(raw), ..Default::default() }
}

/// An f32 input or output of the model.
pub fn value_info(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension = |&d: &i64| Dimension { value: Some(DimensionValue::Value(d)), ..Default::default() };
    let shape = TensorShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor = TensorType { elem_type: Some(data_type::FLOAT), shape: Some(shape) };
    let kind = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, attribute_type::INT) }
}

/// An attribute of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, attribute_type::INTS) }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, attribute_type::FLOAT) }
}

/// A text attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..attribute(name, attribute_type::STRING)
    }
}

/// A tensor attribute.
pub fn tensor_attribute(name: &str, tensor: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(tensor), ..attribute(name, attribute_type::TENSOR) }
}
