//! Writes a graph node by node, with shapes, names and weights taken care of.
//!
//! Names are those of PyTorch's TorchScript exporter (`/model.0/conv/Conv`, `model.0.conv.weight`), so that a
//! built-in network reads, and is taken for what it is, like the export of the real one.

use std::collections::HashMap;

use bytes::Bytes;

use super::activation::Activation;
use super::weights::{self, Spread};
use crate::onnx::messages::{
    AttributeProto, Dimension, DimensionValue, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorType, TypeProto, TypeValue, ValueInfoProto, attribute_type, data_type,
};

/// A module of the network: its path in node names and in weight names.
#[derive(Clone, Debug)]
pub struct Scope {
    path: String,
    module: String,
}

impl Scope {
    /// Block `index` of the network.
    pub fn block(index: usize) -> Self {
        Self { path: format!("/model.{index}"), module: format!("model.{index}") }
    }

    pub fn child(&self, name: &str) -> Self {
        Self { path: format!("{}/{name}", self.path), module: format!("{}.{name}", self.module) }
    }

    /// Member `index` of a sequence, which is a module of its own.
    pub fn step(&self, sequence: &str, index: i64) -> Self {
        let module = format!("{}.{sequence}.{index}", self.module);
        Self { path: format!("{}/{sequence}/{sequence}.{index}", self.path), module }
    }

    /// Member `index` of a list of modules, which is none itself.
    pub fn member(&self, list: &str, index: usize) -> Self {
        self.child(&format!("{list}.{index}"))
    }
}

/// A tensor of the network.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub shape: Vec<i64>,
    pub spread: Spread,
}

/// A convolution's geometry.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub out: i64,
    pub kernel: i64,
    pub stride: i64,
    pub pad: i64,
}

impl Window {
    /// The extent of an axis after it; below 1 where the kernel doesn't fit.
    fn extent(self, before: i64) -> i64 {
        (before + 2 * self.pad - self.kernel).div_euclid(self.stride) + 1
    }
}

/// A graph under construction.
pub struct Graph {
    proto: GraphProto,
    /// How often a node name was asked for: the exporter numbers the later ones.
    names: HashMap<String, usize>,
    /// Whether to make weights, or shapes only.
    fill: bool,
    pub parameters: i64,
    /// Activations by name, in the order in which they first occur.
    pub sites: Vec<(Activation, usize)>,
}

impl Graph {
    pub fn new(fill: bool) -> Self {
        let proto = GraphProto { name: Some("main_graph".into()), ..Default::default() };
        Self { proto, names: HashMap::new(), fill, parameters: 0, sites: vec![] }
    }

    /// An input of the model.
    pub fn input(&mut self, name: &str, shape: &[i64]) -> Value {
        self.proto.input.push(value_info(name, shape));
        Value { name: name.into(), shape: shape.to_vec(), spread: Spread::INPUT }
    }

    /// The graph, with a value as its output under a name of its own.
    pub fn finish(mut self, output: &Value, name: &str) -> GraphProto {
        for value in self.proto.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output)) {
            if *value == output.name {
                *value = name.into();
            }
        }
        self.proto.output.push(value_info(name, &output.shape));
        self.proto
    }

    /// Adds a node with one output and returns the output's name.
    pub fn node(
        &mut self,
        scope: &Scope,
        op: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = self.add(scope, op, inputs, 1, attributes);
        format!("{name}_output_0")
    }

    /// Adds a node with several outputs.
    pub fn split(&mut self, scope: &Scope, x: &str, sizes: &str, axis: i64, outputs: usize) -> Vec<String> {
        let name = self.add(scope, "Split", &[x, sizes], outputs, vec![int("axis", axis)]);
        (0..outputs).map(|i| format!("{name}_output_{i}")).collect()
    }

    fn add(
        &mut self,
        scope: &Scope,
        op: &str,
        inputs: &[&str],
        outputs: usize,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let mut name = format!("{}/{op}", scope.path);
        let count = self.names.entry(name.clone()).or_insert(0);
        if *count > 0 {
            name = format!("{name}_{count}");
        }
        *count += 1;
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&i| i.into()).collect(),
            output: (0..outputs).map(|i| format!("{name}_output_{i}")).collect(),
            name: Some(name.clone()),
            op_type: Some(op.into()),
            attribute,
            ..Default::default()
        });
        name
    }

    /// A constant of floats.
    pub fn floats(&mut self, scope: &Scope, dims: &[i64], values: &[f32]) -> String {
        self.constant(scope, data_type::FLOAT, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A constant list of integers.
    pub fn ints(&mut self, scope: &Scope, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(scope, data_type::INT64, &[values.len() as i64], raw)
    }

    fn constant(&mut self, scope: &Scope, kind: i32, dims: &[i64], raw: Vec<u8>) -> String {
        let tensor = tensor(dims, kind, raw.into());
        let value = AttributeProto { t: Some(tensor), ..attribute("value", attribute_type::TENSOR) };
        self.node(scope, "Constant", &[], vec![value])
    }

    /// A convolution with bias.
    pub fn conv(&mut self, scope: &Scope, x: &Value, window: Window) -> Value {
        let Window { out, kernel, stride, pad } = window;
        let [batch, channels, height, width] = image(x);
        let length = channels * kernel * kernel;
        let weight = self.weight(scope, &[out, channels, kernel, kernel], |name| {
            weights::filters(name, out, length, x.spread, true)
        });
        let bias = self.bias(scope, out);
        let attributes = vec![
            ints("dilations", &[1, 1]),
            int("group", 1),
            ints("kernel_shape", &[kernel, kernel]),
            ints("pads", &[pad; 4]),
            ints("strides", &[stride, stride]),
        ];
        let name = self.node(scope, "Conv", &[&x.name, &weight, &bias], attributes);
        let shape = vec![batch, out, window.extent(height), window.extent(width)];
        Value { name, shape, spread: Spread::UNIT }
    }

    /// The largest value of every window; the image keeps its size if `pad` is half of `kernel`.
    pub fn max_pool(&mut self, scope: &Scope, x: &Value, window: Window) -> Value {
        let Window { kernel, stride, pad, .. } = window;
        let [batch, channels, height, width] = image(x);
        let attributes = vec![
            int("ceil_mode", 0),
            ints("dilations", &[1, 1]),
            ints("kernel_shape", &[kernel, kernel]),
            ints("pads", &[pad; 4]),
            ints("strides", &[stride, stride]),
        ];
        let name = self.node(scope, "MaxPool", &[&x.name], attributes);
        let shape = vec![batch, channels, window.extent(height), window.extent(width)];
        Value { name, shape, spread: x.spread.pooled() }
    }

    /// Joins values along an axis, along which alone their shapes may differ.
    pub fn concat(&mut self, scope: &Scope, axis: usize, parts: &[&Value]) -> Value {
        let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
        let name = self.node(scope, "Concat", &names, vec![int("axis", axis as i64)]);
        let mut shape = parts.first().map_or(vec![], |p| p.shape.clone());
        let extent = |p: &Value| p.shape.get(axis).copied().unwrap_or(0);
        if let Some(joined) = shape.get_mut(axis) {
            *joined = parts.iter().map(|p| extent(p)).sum();
        }
        let spreads: Vec<_> = parts.iter().map(|p| (p.spread, extent(p))).collect();
        Value { name, shape, spread: Spread::mixture(&spreads) }
    }

    /// Adds values of one shape.
    pub fn sum(&mut self, scope: &Scope, a: &Value, b: &Value) -> Value {
        let name = self.node(scope, "Add", &[&a.name, &b.name], vec![]);
        Value { name, shape: a.shape.clone(), spread: a.spread.sum(b.spread) }
    }

    pub fn count_site(&mut self, activation: Activation) {
        match self.sites.iter_mut().find(|(a, _)| *a == activation) {
            Some((_, count)) => *count += 1,
            None => self.sites.push((activation, 1)),
        }
    }

    fn weight(&mut self, scope: &Scope, dims: &[i64], fill: impl Fn(&str) -> Bytes) -> String {
        self.parameter(format!("{}.weight", scope.module), dims, fill)
    }

    fn bias(&mut self, scope: &Scope, count: i64) -> String {
        self.parameter(format!("{}.bias", scope.module), &[count], |name| weights::biases(name, count))
    }

    fn parameter(&mut self, name: String, dims: &[i64], fill: impl Fn(&str) -> Bytes) -> String {
        self.parameters += dims.iter().product::<i64>();
        let raw = if self.fill { fill(&name) } else { Bytes::new() };
        self.proto
            .initializer
            .push(TensorProto { name: Some(name.clone()), ..tensor(dims, data_type::FLOAT, raw) });
        name
    }
}

/// Batch, channels, height and width of a value.
pub fn image(x: &Value) -> [i64; 4] {
    x.shape.as_slice().try_into().unwrap_or([1; 4])
}

fn tensor(dims: &[i64], kind: i32, raw: Bytes) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(kind), raw_data: Some(raw), ..Default::default() }
}

fn value_info(name: &str, shape: &[i64]) -> ValueInfoProto {
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
