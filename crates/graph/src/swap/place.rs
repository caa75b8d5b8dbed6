//! Where a function stands in the network, which decides whether it is an activation.
//!
//! A sigmoid is three things: an activation between two linear operators, a gate that scales another tensor,
//! and the decoder of a detector's output. Only the first is a site.

use std::collections::HashSet;

use crate::onnx::index::{Index, Use, ValueId};

/// What a sigmoid-like function is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its value goes into a linear operator, and its input comes from one.
    Activation,
    /// It scales this node's other input, which is not computed from it.
    Gate(usize),
    /// It goes elsewhere: to the model's outputs or into arithmetic.
    Decode,
}

/// Operators that add up many elements with weights: learnt ones, or the elements of another input.
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

/// Operators that move or average values and leave them what they are.
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

/// What the function from `input` to `output` is for.
pub fn purpose(index: &Index, input: ValueId, output: ValueId) -> Purpose {
    let below = descendants(index, output);
    if let Some(scaled) = scales(index, output, &below) {
        return Purpose::Gate(scaled);
    }
    if is_after_linear(index, input) && reaches_linear(index, output, &below) {
        return Purpose::Activation;
    }
    Purpose::Decode
}

/// Whether a value comes from a linear operator, through additions, concatenations, pooling and reshapes.
pub fn is_after_linear(index: &Index, value: ValueId) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let Some(id) = index.producer(value).filter(|_| seen.insert(value)) else { continue };
        let node = &index.nodes[id];
        if is_linear(node.op()) {
            return true;
        }
        if is_passed(node.op()) {
            open.extend(node.inputs.iter().flatten().filter(|&&v| !index.is_constant(v)));
        }
    }
    false
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
            "Conv" => {
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

/// Whether a value goes into a linear operator, through the same, and through gates made from it.
fn reaches_linear(index: &Index, value: ValueId, below: &HashSet<ValueId>) -> bool {
    let linear = first_use(index, value, |user, passed_on| match user {
        Use::Node(id, _) => {
            let node = &index.nodes[id];
            let gated = node.is("Mul") && node.inputs.iter().flatten().all(|v| below.contains(v));
            if is_passed(node.op()) || gated {
                passed_on.extend(&node.outputs);
            }
            is_linear(node.op()).then_some(())
        }
        Use::BodyOutput(owner) => {
            passed_on.extend(&index.nodes[owner].outputs);
            None
        }
        Use::ModelOutput => None,
    });
    linear.is_some()
}

/// The multiplication in which a value scales another tensor that isn't computed from it.
fn scales(index: &Index, value: ValueId, below: &HashSet<ValueId>) -> Option<usize> {
    first_use(index, value, |user, passed_on| {
        let Use::Node(id, position) = user else { return None };
        let node = &index.nodes[id];
        if node.is("Mul") {
            let other = node.inputs.get(1 - position.min(1)).copied().flatten();
            return other.is_some_and(|o| !index.is_constant(o) && !below.contains(&o)).then_some(id);
        }
        if moves(node.op()) && position == 0 {
            passed_on.extend(&node.outputs);
        }
        None
    })
}

/// What `wanted` finds in the first use that it wants, of the value or of those to which it says that it is passed on.
fn first_use<T>(
    index: &Index,
    value: ValueId,
    wanted: impl Fn(Use, &mut Vec<ValueId>) -> Option<T>,
) -> Option<T> {
    let mut seen = HashSet::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if seen.insert(value) {
            let found = index.uses(value).iter().find_map(|&user| wanted(user, &mut open));
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// The value and all that is computed from it.
fn descendants(index: &Index, value: ValueId) -> HashSet<ValueId> {
    let mut seen = HashSet::from([value]);
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        for user in index.uses(value) {
            let (Use::Node(id, _) | Use::BodyOutput(id)) = *user else { continue };
            open.extend(index.nodes[id].outputs.iter().filter(|&&o| seen.insert(o)));
        }
    }
    seen
}
