//! Numbers that a model always computes: what initialisers and constant nodes hold, and what operators make of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use half::{bf16, f16};

use super::index::{Index, Node, Source, ValueId};
use super::messages::{TensorProto, data_type};
use super::operators;
use super::tensor;

/// A constant value.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    pub dims: Vec<usize>,
    /// As many as the dimensions say, in their order; a single one where all are the same.
    pub values: Vec<f64>,
}

/// Larger tensors are weights, which nobody asks for by their numbers.
const MOST: usize = 1 << 14;
/// Longer chains of constants are no exporter's.
const DEEPEST: usize = 64;

impl Numbers {
    fn new(dims: Vec<usize>, mut values: Vec<f64>) -> Option<Self> {
        let first = *values.first()?;
        if values.iter().all(|v| v.to_bits() == first.to_bits()) {
            values.truncate(1);
        }
        Some(Self { dims, values })
    }

    fn of_tensor(proto: &TensorProto, index: &Index) -> Option<Self> {
        let values = tensor::numbers(proto, index.dir(), MOST)?;
        Self::new(proto.dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?, values)
    }

    /// The number that all elements are.
    pub fn single(&self) -> Option<f64> {
        if let [single] = self.values.as_slice() { Some(*single) } else { None }
    }

    fn each(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { dims: self.dims.clone(), values: self.values.iter().map(|&v| f(v)).collect() }
    }

    fn shaped(&self, dims: Vec<usize>) -> Self {
        Self { dims, values: self.values.clone() }
    }
}

/// The constants of a model, each worked out when it is first asked for.
pub struct Constants<'i, 'm> {
    index: &'i Index<'m>,
    known: RefCell<HashMap<ValueId, Option<Rc<Numbers>>>>,
}

impl<'i, 'm> Constants<'i, 'm> {
    pub fn new(index: &'i Index<'m>) -> Self {
        Self { index, known: RefCell::default() }
    }

    /// The numbers of a value; `None` for one that isn't constant, is large or isn't made by element-wise operators.
    pub fn get(&self, value: ValueId) -> Option<Rc<Numbers>> {
        self.look_up(value, 0)
    }

    fn look_up(&self, value: ValueId, depth: usize) -> Option<Rc<Numbers>> {
        if !self.index.is_constant(value) || depth > DEEPEST {
            return None;
        }
        if let Some(known) = self.known.borrow().get(&value) {
            return known.clone();
        }
        let numbers = match self.index.source(value) {
            Source::Initializer(tensor) => Numbers::of_tensor(tensor, self.index),
            Source::Node(node, 0) => self.made(&self.index.nodes[node], depth + 1),
            _ => None,
        };
        let numbers = numbers.map(Rc::new);
        self.known.borrow_mut().insert(value, numbers.clone());
        numbers
    }

    fn made(&self, node: &Node, depth: usize) -> Option<Numbers> {
        let input = |i: usize| self.look_up(node.inputs.get(i).copied().flatten()?, depth);
        let sizes = |i: usize| -> Option<Vec<usize>> {
            let list = input(i)?;
            let count = list.dims.iter().product::<usize>();
            let each = list.values.iter().cycle().take(count);
            each.map(|&v| usize::try_from(v as i64).ok()).collect()
        };
        match node.op() {
            _ if !node.domain().is_empty() => None,
            "Constant" => of_constant(node, self.index),
            "ConstantOfShape" => {
                let value = node.attribute("value").and_then(|a| a.t.as_ref());
                let value = value.map_or(Some(0.0), |t| tensor::numbers(t, None, 1)?.first().copied())?;
                Numbers::new(sizes(0)?, vec![value])
            }
            "Cast" => Some(input(0)?.each(cast(i32::try_from(node.attribute("to")?.i?).ok()?)?)),
            "CastLike" => {
                Some(input(0)?.each(cast(self.index.data_type(node.inputs.get(1).copied().flatten()?)?)?))
            }
            "Identity" | "Dropout" => Some((*input(0)?).clone()),
            "Expand" if input(0)?.single().is_some() => Some(input(0)?.shaped(sizes(1)?)),
            "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" => {
                let numbers = input(0)?;
                let axes = || {
                    node.attribute("axes")
                        .map(|a| a.ints.clone())
                        .or_else(|| Some(sizes(1)?.iter().map(|&n| n as i64).collect()))
                };
                Some(numbers.shaped(reshaped(node.op(), &numbers.dims, axes())?))
            }
            "DequantizeLinear" => {
                let (scale, zero) = (input(1)?.single()?, input(2).map_or(Some(0.0), |z| z.single())?);
                Some(input(0)?.each(|q| (q - zero) * scale))
            }
            op => self.element_wise(op, node, depth),
        }
    }

    fn element_wise(&self, op: &str, node: &Node, depth: usize) -> Option<Numbers> {
        let operator = operators::in_domain("", op, node.inputs.len())?;
        let inputs = node.inputs.iter().map(|v| self.look_up((*v)?, depth)).collect::<Option<Vec<_>>>()?;
        let number = |&(name, default): &(&str, f64)| {
            node.attribute(name).and_then(|a| a.f).map_or(default, f64::from)
        };
        let numbers: Vec<f64> = operator.numbers.iter().map(number).collect();
        let largest = inputs.iter().max_by_key(|n| (n.values.len(), n.dims.len()))?;
        let count = largest.values.len();
        if inputs.iter().any(|n| n.values.len() != 1 && n.values.len() != count) {
            return None;
        }
        let element = |i: usize| {
            let operands: Vec<f64> = inputs.iter().map(|n| n.values[i % n.values.len()]).collect();
            operator.value(&operands, &numbers, operator.text.map_or("", |(_, default)| default))
        };
        Numbers::new(largest.dims.clone(), (0..count).map(element).collect::<Option<_>>()?)
    }
}

fn of_constant(node: &Node, index: &Index) -> Option<Numbers> {
    let attribute = node.proto.attribute.first()?;
    let list = |values: Vec<f64>| Numbers::new(vec![values.len()], values);
    match attribute.name.as_deref()? {
        "value" => Numbers::of_tensor(attribute.t.as_ref()?, index),
        "value_float" => Numbers::new(vec![], vec![attribute.f?.into()]),
        "value_int" => Numbers::new(vec![], vec![attribute.i? as f64]),
        "value_floats" => list(attribute.floats.iter().map(|&v| v.into()).collect()),
        "value_ints" => list(attribute.ints.iter().map(|&v| v as f64).collect()),
        _ => None,
    }
}

/// What a number becomes in an element type.
fn cast(kind: i32) -> Option<fn(f64) -> f64> {
    Some(match kind {
        data_type::FLOAT => |v| f64::from(v as f32),
        data_type::DOUBLE => |v| v,
        data_type::FLOAT16 => |v| f16::from_f64(v).into(),
        data_type::BFLOAT16 => |v| bf16::from_f64(v).into(),
        data_type::BOOL => |v| f64::from(v != 0.0),
        data_type::INT8 | data_type::INT16 | data_type::INT32 | data_type::INT64 => f64::trunc,
        data_type::UINT8 | data_type::UINT16 | data_type::UINT32 | data_type::UINT64 => {
            |v| v.trunc().max(0.0)
        }
        _ => return None,
    })
}

/// The dimensions behind an operator that changes nothing else; `list` is what it names: axes or sizes.
fn reshaped(op: &str, dims: &[usize], list: Option<Vec<i64>>) -> Option<Vec<usize>> {
    let axis =
        |axis: i64, rank: usize| usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
    match op {
        "Flatten" => Some(vec![1, dims.iter().product()]).filter(|_| dims.len() < 2),
        "Reshape" => {
            let sizes = list?.into_iter().map(|n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
            (sizes.iter().product::<usize>() == dims.iter().product::<usize>()).then_some(sizes)
        }
        "Unsqueeze" => {
            let list = list?;
            let rank = dims.len() + list.len();
            let mut new: Vec<usize> = list.into_iter().map(|a| axis(a, rank)).collect::<Option<_>>()?;
            new.sort_unstable();
            let mut out = dims.to_vec();
            for at in new {
                (at <= out.len()).then(|| out.insert(at, 1))?;
            }
            Some(out)
        }
        _ => {
            let gone: Option<Vec<usize>> =
                list.map(|l| l.into_iter().map(|a| axis(a, dims.len())).collect::<Option<_>>())?;
            let gone = gone?;
            Some(dims.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, &d)| d).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Model;
    use crate::onnx::build::float_attribute;
    use crate::onnx::messages::{AttributeProto, GraphProto, ModelProto, NodeProto};

    fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            input: input.iter().map(|s| (*s).into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    fn with(node: NodeProto, attribute: AttributeProto) -> NodeProto {
        NodeProto { attribute: vec![attribute], ..node }
    }

    fn number_of(nodes: Vec<NodeProto>, name: &str) -> Option<f64> {
        let two =
            TensorProto { name: Some("two".into()), ..tensor::from_values(&[2.0], vec![], data_type::FLOAT) };
        let graph = GraphProto { node: nodes, initializer: vec![two], ..Default::default() };
        let model = Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, dir: None };
        let index = Index::new(&model);
        let value = (0..index.len()).rev().find(|&v| index.name(v) == name).unwrap();
        Constants::new(&index).get(value)?.single()
    }

    #[test]
    fn operators_on_constants_are_constants() {
        let integer =
            |name: &str, i: i64| AttributeProto { name: Some(name.into()), i: Some(i), ..Default::default() };
        assert_eq!(number_of(vec![node("Sqrt", &["two"], "y")], "y"), Some(2f64.sqrt()));
        assert_eq!(
            number_of(vec![node("Reciprocal", &["two"], "h"), node("Mul", &["h", "two"], "y")], "y"),
            Some(1.0)
        );
        let constant = with(node("Constant", &[], "c"), float_attribute("value_float", 1.702));
        let cast = |to| with(node("Cast", &["c"], "y"), integer("to", to));
        assert_eq!(number_of(vec![constant.clone(), cast(i64::from(data_type::INT32))], "y"), Some(1.0));
        assert_eq!(
            number_of(vec![constant, cast(i64::from(data_type::FLOAT16))], "y"),
            Some(1.702_148_437_5)
        );
    }

    #[test]
    fn a_value_of_an_input_is_no_constant() {
        assert_eq!(number_of(vec![node("Sqrt", &["x"], "y")], "y"), None);
    }

    #[test]
    fn axes_are_put_in_and_taken_out() {
        assert_eq!(reshaped("Unsqueeze", &[8], Some(vec![1, -1])), Some(vec![8, 1, 1]));
        assert_eq!(reshaped("Squeeze", &[1, 8, 1], Some(vec![0, -1])), Some(vec![8]));
        assert_eq!(reshaped("Reshape", &[8], Some(vec![1, 8, 1, 1])), Some(vec![1, 8, 1, 1]));
        assert_eq!(reshaped("Reshape", &[8], Some(vec![4])), None);
    }
}
