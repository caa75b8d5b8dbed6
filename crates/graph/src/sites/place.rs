//! Where a function stands in the network, which decides whether it is an activation.
//!
//! A sigmoid is three things: an activation between two linear operators, a gate that scales another tensor,
//! and the decoder of a detector's output. Only the first is a site.

use std::collections::HashSet;

use super::flow::Flow;
use crate::onnx::Model;
use crate::onnx::index::{Index, Node, Use, ValueId};
use crate::onnx::inline::Functions;

/// What a sigmoid-like function is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its value goes into a linear operator, and its input comes from one.
    Activation,
    /// It scales this node's other input, which is another tensor.
    Gate(usize),
    /// It goes elsewhere: to the model's outputs or into arithmetic.
    Elsewhere,
}

/// Of what a value goes into, so many are looked at for a gate.
const MOST_READERS: usize = 256;
/// Of what a value is made from, so many are looked at for another; one that is made from more is taken to be made from
/// it, too.
const MOST_SOURCES: usize = 4096;

/// Which values come from linear operators, and which go into them.
pub struct Places<'f, 'i, 'm> {
    flow: &'f Flow<'i, 'm>,
    after_linear: Vec<bool>,
    into_linear: Vec<bool>,
    /// Values that are made of shapes alone.
    of_shapes: Vec<bool>,
}

impl<'f, 'i, 'm> Places<'f, 'i, 'm> {
    pub fn new(model: &Model, flow: &'f Flow<'i, 'm>) -> Self {
        let index = flow.index;
        let functions = Functions::of(&model.proto);
        let linear = functions.holding(|node| is_linear(node.op_type()));
        let is_linear = |node: &Node| {
            is_linear(node.op()) || functions.number(node.proto).is_some_and(|function| linear[function])
        };
        let roles: Vec<Role> = index.nodes.iter().map(|node| role(node, flow, is_linear(node))).collect();
        let none = || vec![false; index.len()];
        let mut places = Self { flow, after_linear: none(), into_linear: none(), of_shapes: none() };
        places.look_for_shapes();
        places.look_back(&roles);
        places.look_ahead(&roles);
        places
    }

    fn look_for_shapes(&mut self) {
        let index = self.flow.index;
        for value in 0..index.len() {
            let Some(node) = index.producer(value).map(|id| &index.nodes[id]) else { continue };
            let mut inputs = node.inputs.iter().flatten().filter(|&&v| !index.is_constant(v)).peekable();
            let is_shape = matches!(node.op(), "Shape" | "Size");
            self.of_shapes[value] = is_shape || inputs.peek().is_some() && inputs.all(|&v| self.of_shapes[v]);
        }
    }

    /// Whether a value is made of shapes alone, and so is no number of the network's.
    pub fn is_of_shapes(&self, value: ValueId) -> bool {
        self.of_shapes[value]
    }

    fn look_back(&mut self, roles: &[Role]) {
        let index = self.flow.index;
        for value in 0..index.len() {
            let Some(node) = index.producer(value) else { continue };
            let after = |v: &ValueId| !index.is_constant(*v) && self.after_linear[*v];
            self.after_linear[value] = match roles[node] {
                Role::Linear => true,
                Role::Passes => index.nodes[node].inputs.iter().flatten().any(after),
                Role::Other => index.nodes[node].results.iter().flatten().any(after),
            };
        }
    }

    fn look_ahead(&mut self, roles: &[Role]) {
        let index = self.flow.index;
        for value in (0..index.len()).rev() {
            let into = |outputs: &[ValueId]| outputs.iter().any(|&o| self.into_linear[o]);
            self.into_linear[value] = index.uses(value).iter().any(|user| match *user {
                Use::Node(node, _) => match roles[node] {
                    Role::Linear => true,
                    Role::Passes => into(&index.nodes[node].outputs),
                    Role::Other => false,
                },
                Use::BodyOutput(owner) => into(&index.nodes[owner].outputs),
                Use::ModelOutput => false,
            });
        }
    }

    /// Whether a value comes from a linear operator, through additions, concatenations, pooling and reshapes.
    pub fn is_after_linear(&self, value: ValueId) -> bool {
        self.after_linear[value]
    }

    /// Whether a function from `input` to `output` stands between linear operators.
    pub fn is_between_linear(&self, input: ValueId, output: ValueId) -> bool {
        self.after_linear[input] && self.into_linear[output]
    }

    /// What the function from `input` to `output` is for, given whether it comes from a linear operator.
    pub fn purpose(&self, input: ValueId, output: ValueId, after_linear: bool) -> Purpose {
        if let Some(scaled) = self.scales(input, output) {
            Purpose::Gate(scaled)
        } else if after_linear && self.into_linear[output] {
            Purpose::Activation
        } else {
            Purpose::Elsewhere
        }
    }

    /// The multiplication in which `output` scales a tensor that is neither made from it nor a function of what `input`
    /// is one of.
    fn scales(&self, input: ValueId, output: ValueId) -> Option<usize> {
        let index = self.flow.index;
        let mut seen = HashSet::new();
        let mut open = vec![output];
        while let Some(value) = open.pop() {
            if !seen.insert(value) || seen.len() > MOST_READERS {
                continue;
            }
            for user in index.uses(value) {
                let Use::Node(id, position) = *user else { continue };
                let node = &index.nodes[id];
                let other = node.inputs.get(1 - position.min(1)).copied().flatten();
                let other = other.filter(|&v| node.is("Mul") && !index.is_constant(v));
                match other {
                    Some(other)
                        if !self.flow.hang_together(other, input) && !self.is_made_from(other, output) =>
                    {
                        return Some(id);
                    }
                    Some(_) => {}
                    None if position == 0 && moves(node.op()) || self.is_scaled(id) => {
                        open.extend(&node.outputs)
                    }
                    None => {}
                }
            }
        }
        None
    }

    /// Whether a node adds a constant, or multiplies by one.
    fn is_scaled(&self, node: usize) -> bool {
        let output = self.flow.index.nodes[node].outputs.first();
        output.and_then(|&o| self.flow.maker(o)).is_some_and(super::flow::Element::is_affine)
    }

    fn is_made_from(&self, value: ValueId, from: ValueId) -> bool {
        let index = self.flow.index;
        let mut seen = HashSet::new();
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            if value == from || seen.len() > MOST_SOURCES {
                return true;
            }
            // What is defined before can't be made from it.
            if value < from || !seen.insert(value) {
                continue;
            }
            if let Some(node) = index.producer(value) {
                open.extend(index.nodes[node].inputs.iter().flatten());
                open.extend(index.nodes[node].results.iter().flatten());
            }
        }
        false
    }
}

/// What an operator does to the numbers that a function makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Adds up many elements with weights: learnt ones, or the elements of another input.
    Linear,
    /// Moves, adds or averages them and leaves them what they are.
    Passes,
    Other,
}

fn role(node: &Node, flow: &Flow, is_linear: bool) -> Role {
    if is_linear {
        return Role::Linear;
    }
    let element = node.outputs.first().and_then(|&o| flow.maker(o));
    if is_passed(node.op()) || element.is_some_and(super::flow::Element::is_affine) {
        Role::Passes
    } else {
        Role::Other
    }
}

fn is_linear(op: &str) -> bool {
    matches!(
        op,
        "Conv"
            | "ConvTranspose"
            | "ConvInteger"
            | "QLinearConv"
            | "DeformConv"
            | "FusedConv"
            | "NhwcFusedConv"
            | "Gemm"
            | "FusedGemm"
            | "MatMul"
            | "MatMulInteger"
            | "QLinearMatMul"
            | "FusedMatMul"
            | "MatMulNBits"
            | "Einsum"
            | "LSTM"
            | "GRU"
            | "RNN"
    )
}

fn is_passed(op: &str) -> bool {
    moves(op)
        || matches!(
            op,
            "Add"
                | "Sum"
                | "Concat"
                | "MaxPool"
                | "AveragePool"
                | "LpPool"
                | "GlobalAveragePool"
                | "GlobalMaxPool"
                | "ReduceMean"
                | "ReduceMax"
                | "ReduceSum"
                | "BatchNormalization"
                | "InstanceNormalization"
                | "LayerNormalization"
                | "GroupNormalization"
                | "LRN"
        )
}

/// Operators that change a tensor's shape or type and no value.
fn moves(op: &str) -> bool {
    matches!(
        op,
        "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Slice"
            | "Split"
            | "Pad"
            | "Resize"
            | "Upsample"
            | "Expand"
            | "Tile"
            | "DepthToSpace"
            | "SpaceToDepth"
            | "Identity"
            | "Dropout"
            | "Cast"
            | "QuantizeLinear"
            | "DequantizeLinear"
    )
}

/// The channels of a feature map (batch, channels, rows, columns): as the file declares them, or as the filters
/// of the convolution that it comes from say.
pub fn channels(index: &Index, value: ValueId) -> Option<usize> {
    let mut value = value;
    // Operators that keep the channels; more of them between a convolution and a site is no network.
    for _ in 0..16 {
        match index.sizes(value).as_deref() {
            Some(&[_, Some(channels), _, _]) => return Some(channels),
            None | Some([_, None, _, _]) => {}
            Some(_) => return None,
        }
        let node = &index.nodes[index.producer(value)?];
        let input = |i: usize| node.inputs.get(i).copied().flatten();
        match node.op() {
            "Conv" | "FusedConv" => {
                let filters = input(1)?;
                let quantised = index.producer(filters).map(|id| &index.nodes[id]);
                let stored =
                    quantised.filter(|n| n.op() == "DequantizeLinear").and_then(|n| *n.inputs.first()?);
                let filters = index.sizes(stored.unwrap_or(filters))?;
                return if filters.len() == 4 { filters[0] } else { None };
            }
            "BatchNormalization" | "Identity" | "Cast" | "QuantizeLinear" | "DequantizeLinear" => {
                value = input(0)?;
            }
            "Add" => value = node.inputs.iter().flatten().copied().find(|&v| !index.is_constant(v))?,
            _ => return None,
        }
    }
    None
}
