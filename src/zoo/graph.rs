//! Writes a graph node by node, with shapes, names and weights taken care of.
//!
//! Names are those of PyTorch's TorchScript exporter (`/model.0/conv/Conv`, `model.0.conv.weight`), so that a built-in
//! network reads like an export of the real one, and is treated like one.

use std::collections::HashMap;

use bytes::Bytes;

use super::proto::{float, int, ints, tensor, tensor_attribute, text, value_info};
use super::weights::{Filters, Spread};
use crate::onnx::formula::{Attribute, Expr};
use crate::onnx::messages::{AttributeProto, GraphProto, NodeProto, TensorProto, data_type};

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

/// The geometry of a convolution or a pooling.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub kernel: i64,
    pub stride: i64,
    /// Padding before and after, on both axes.
    pub pads: [i64; 2],
}

impl Window {
    /// Stride 1, and the image keeps its size.
    pub fn same(kernel: i64) -> Self {
        Self { kernel, stride: 1, pads: [(kernel - 1) / 2, kernel / 2] }
    }

    /// The extent of an axis after it; below 1 where the kernel doesn't fit or there is none.
    fn extent(self, before: i64) -> i64 {
        if self.kernel < 1 || self.stride < 1 {
            return 0;
        }
        (before + self.pads[0] + self.pads[1] - self.kernel).div_euclid(self.stride) + 1
    }

    fn attributes(self) -> [AttributeProto; 3] {
        let Self { kernel, stride, pads: [before, after] } = self;
        [
            ints("kernel_shape", &[kernel, kernel]),
            ints("pads", &[before, before, after, after]),
            ints("strides", &[stride, stride]),
        ]
    }
}

/// Filters of fewer elements don't sum to zero.
const SHORTEST_CENTRED: i64 = 10;

/// A graph under construction.
pub struct Graph {
    proto: GraphProto,
    /// How often a node name was asked for: the exporter numbers the later ones.
    names: HashMap<String, usize>,
    /// Whether to make weights, or shapes only.
    fill: bool,
    /// Elements of all weights and biases.
    pub parameters: i64,
    /// Multiplications of all convolutions and matrix products.
    pub macs: i64,
    /// Activations, in the order in which they first occur.
    pub sites: Vec<(&'static str, usize)>,
    /// What each activation is applied to, in order.
    pub site_shapes: Vec<Vec<i64>>,
}

impl Graph {
    pub fn new(fill: bool) -> Self {
        let proto = GraphProto { name: Some("main_graph".into()), ..Default::default() };
        Self {
            proto,
            names: HashMap::new(),
            fill,
            parameters: 0,
            macs: 0,
            sites: vec![],
            site_shapes: vec![],
        }
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

    /// Splits a value in three along an axis.
    pub fn split(&mut self, scope: &Scope, x: &str, sizes: &str, axis: i64) -> [String; 3] {
        let name = self.add(scope, "Split", &[x, sizes], 3, vec![int("axis", axis)]);
        [0, 1, 2].map(|i| format!("{name}_output_{i}"))
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

    /// Writes a formula of `x`, whose parameters all have values, and returns the name of its value.
    pub fn formula(
        &mut self,
        scope: &Scope,
        formula: &Expr,
        x: &str,
        parameter: &dyn Fn(&str) -> Option<f64>,
    ) -> String {
        match formula {
            Expr::Op(op) if formula.has_input() => {
                let inputs: Vec<String> =
                    op.args.iter().map(|arg| self.formula(scope, arg, x, parameter)).collect();
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let attributes = op.attributes.iter().filter_map(|(name, value)| match value {
                    Attribute::Text(value) => Some(text(name, value)),
                    Attribute::Value(value) => Some(float(name, value.constant(&parameter)? as f32)),
                });
                let attributes = attributes.collect();
                self.node(scope, &op.name, &inputs, attributes)
            }
            Expr::X => x.to_owned(),
            _ => self.number(scope, formula.constant(&parameter).unwrap_or(f64::NAN) as f32),
        }
    }

    /// A constant of floats.
    pub fn floats(&mut self, scope: &Scope, dims: &[i64], values: &[f32]) -> String {
        self.constant(scope, data_type::FLOAT, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A constant number.
    pub fn number(&mut self, scope: &Scope, value: f32) -> String {
        self.floats(scope, &[], &[value])
    }

    /// A constant list of integers.
    pub fn ints(&mut self, scope: &Scope, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(scope, data_type::INT64, &[values.len() as i64], raw)
    }

    fn constant(&mut self, scope: &Scope, kind: i32, dims: &[i64], raw: Vec<u8>) -> String {
        let value = tensor_attribute("value", tensor(dims, kind, raw.into()));
        self.node(scope, "Constant", &[], vec![value])
    }

    /// A convolution with bias whose output has standard deviation 1.
    pub fn conv(&mut self, scope: &Scope, x: &Value, out: i64, window: Window) -> Value {
        self.convolve(scope, x, out, 1, window, 1.0)
    }

    /// A convolution of every channel on its own.
    pub fn depthwise(&mut self, scope: &Scope, x: &Value, window: Window) -> Value {
        let [_, channels, ..] = image(x);
        self.convolve(scope, x, channels, channels, window, 1.0)
    }

    /// A convolution of 1x1 whose output has the given standard deviation.
    pub fn pointwise(&mut self, scope: &Scope, x: &Value, out: i64, deviation: f64) -> Value {
        self.convolve(scope, x, out, 1, Window::same(1), deviation)
    }

    fn convolve(
        &mut self,
        scope: &Scope,
        x: &Value,
        out: i64,
        groups: i64,
        window: Window,
        deviation: f64,
    ) -> Value {
        let [batch, channels, height, width] = image(x);
        let kernel = window.kernel;
        let length = channels / groups.max(1) * kernel * kernel;
        let dims = [out, channels / groups.max(1), kernel, kernel];
        let centred = groups == 1 && length >= SHORTEST_CENTRED;
        let filters = Filters { count: out, length, input: x.spread, deviation, centred };
        let (weight, bias) = self.affine(scope, &dims, filters);
        let mut attributes = vec![ints("dilations", &[1, 1]), int("group", groups)];
        attributes.extend(window.attributes());
        let name = self.node(scope, "Conv", &[&x.name, &weight, &bias], attributes);
        let shape = vec![batch, out, window.extent(height), window.extent(width)];
        self.macs = self.macs.saturating_add(product(&shape).saturating_mul(length));
        Value { name, shape, spread: Spread::of_deviation(deviation) }
    }

    /// A matrix product with bias whose output has the given standard deviation.
    pub fn linear(&mut self, scope: &Scope, x: &Value, out: i64, deviation: f64) -> Value {
        let [batch, length] = x.shape.as_slice().try_into().unwrap_or([1; 2]);
        let centred = length >= SHORTEST_CENTRED;
        let filters = Filters { count: out, length, input: x.spread, deviation, centred };
        let (weight, bias) = self.affine(scope, &[out, length], filters);
        let attributes = vec![float("alpha", 1.0), float("beta", 1.0), int("transB", 1)];
        let name = self.node(scope, "Gemm", &[&x.name, &weight, &bias], attributes);
        self.macs = self.macs.saturating_add(product(&[batch, out, length]));
        Value { name, shape: vec![batch, out], spread: Spread::of_deviation(deviation) }
    }

    /// The largest value of every window.
    pub fn max_pool(&mut self, scope: &Scope, x: &Value, window: Window) -> Value {
        let [batch, channels, height, width] = image(x);
        let mut attributes = vec![int("ceil_mode", 0), ints("dilations", &[1, 1])];
        attributes.extend(window.attributes());
        let name = self.node(scope, "MaxPool", &[&x.name], attributes);
        let shape = vec![batch, channels, window.extent(height), window.extent(width)];
        Value { name, shape, spread: x.spread.largest_of(window.kernel * window.kernel) }
    }

    /// The mean of every channel, as an image of one pixel.
    pub fn global_mean(&mut self, scope: &Scope, x: &Value) -> Value {
        let [batch, channels, ..] = image(x);
        let name = self.node(scope, "GlobalAveragePool", &[&x.name], vec![]);
        Value { name, shape: vec![batch, channels, 1, 1], spread: x.spread.averaged() }
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

    pub fn count_site(&mut self, activation: &'static str, shape: &[i64]) {
        self.site_shapes.push(shape.to_vec());
        match self.sites.iter_mut().find(|(a, _)| *a == activation) {
            Some((_, count)) => *count += 1,
            None => self.sites.push((activation, 1)),
        }
    }

    /// Weight and bias of a module.
    fn affine(&mut self, scope: &Scope, dims: &[i64], filters: Filters) -> (String, String) {
        let weight = self.parameter(format!("{}.weight", scope.module), dims, |name| filters.weights(name));
        let bias =
            self.parameter(format!("{}.bias", scope.module), &[filters.count], |name| filters.biases(name));
        (weight, bias)
    }

    fn parameter(&mut self, name: String, dims: &[i64], fill: impl Fn(&str) -> Bytes) -> String {
        self.parameters = self.parameters.saturating_add(product(dims));
        let raw = if self.fill { fill(&name) } else { Bytes::new() };
        self.proto
            .initializer
            .push(TensorProto { name: Some(name.clone()), ..tensor(dims, data_type::FLOAT, raw) });
        name
    }
}

fn product(extents: &[i64]) -> i64 {
    extents.iter().fold(1, |n, &extent| n.saturating_mul(extent))
}

/// Batch, channels, height and width of a value.
pub fn image(x: &Value) -> [i64; 4] {
    x.shape.as_slice().try_into().unwrap_or([1; 4])
}
