//! Activations inside other operators, as optimisers and quantisers write them, and the operators that they are made of.
//!
//! Sources: ONNX Runtime's contrib operators FusedConv, FusedGemm, BiasGelu, FastGelu, QLinearSigmoid and
//! QLinearLeakyRelu (domain `com.microsoft`).

use crate::activation::Activation;
use crate::activation::recognise::{Clues, recognise};
use crate::activation::samples::Samples;
use crate::onnx::build::Names;
use crate::onnx::messages::{AttributeProto, NodeProto};
use crate::onnx::operators;

/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// What the operator does beside the activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    /// A convolution before it, and perhaps an addition.
    Convolution,
    MatrixProduct,
    /// The addition of a bias before it.
    Bias,
    /// Its numbers are quantised.
    Quantisation,
    /// A convolution whose channels come last, which only ONNX Runtime has.
    OwnLayout,
}

/// An activation inside another operator.
#[derive(Clone, Debug)]
pub struct Fused {
    /// `None` for one that the registry doesn't have.
    pub activation: Option<Activation>,
    beside: Beside,
}

/// The nodes that an operator with an activation inside is made of.
pub struct Opened {
    /// What comes before the activation.
    pub before: Vec<NodeProto>,
    /// The activation's input and output.
    pub ends: [String; 2],
    pub after: Vec<NodeProto>,
}

/// The activation that a node holds; `None` for a node that holds none.
pub fn look_into(node: &NodeProto) -> Option<Fused> {
    if node.domain() != MICROSOFT {
        return None;
    }
    let two = node.input.get(1).is_some_and(|name| !name.is_empty());
    let beside = match node.op_type() {
        "FusedConv" => Beside::Convolution,
        "NhwcFusedConv" => Beside::OwnLayout,
        "FusedGemm" => Beside::MatrixProduct,
        "BiasGelu" => Beside::Bias,
        "FastGelu" if two => Beside::Bias,
        "QLinearSigmoid" | "QLinearLeakyRelu" => Beside::Quantisation,
        _ => return None,
    };
    let (name, numbers) = named(node, beside)?;
    Some(Fused { activation: activation(&name, &numbers), beside })
}

/// The operator that the activation is by itself, and the numbers that go with it; `None` where there is no activation.
fn named(node: &NodeProto, beside: Beside) -> Option<(String, Vec<f64>)> {
    let text = |name| {
        attribute(node, name).and_then(|a| a.s.as_deref()).map(|s| String::from_utf8_lossy(s).into_owned())
    };
    let number = |name| attribute(node, name).and_then(|a| a.f).map(f64::from);
    match beside {
        Beside::Convolution | Beside::OwnLayout => {
            let numbers =
                attribute(node, "activation_params").map(|a| a.floats.iter().map(|&v| v.into()).collect());
            Some((text("activation").filter(|t| !t.is_empty())?, numbers.unwrap_or_default()))
        }
        Beside::MatrixProduct => {
            let names = ["activation_alpha", "activation_beta", "activation_gamma"];
            let numbers = names.into_iter().map_while(number).collect();
            Some((text("activation").filter(|t| !t.is_empty())?, numbers))
        }
        Beside::Bias if node.op_type() == "BiasGelu" => Some(("Gelu".to_owned(), vec![])),
        Beside::Bias => Some(("FastGelu".to_owned(), vec![])),
        Beside::Quantisation if node.op_type() == "QLinearSigmoid" => Some(("Sigmoid".to_owned(), vec![])),
        Beside::Quantisation => Some(("LeakyRelu".to_owned(), number("alpha").into_iter().collect())),
    }
}

/// The activation that an operator of one input computes with these numbers, those left out being its defaults.
fn activation(op: &str, numbers: &[f64]) -> Option<Activation> {
    // A Clip's numbers are inputs where it is an operator.
    let inputs = if op == "Clip" { numbers.len().min(2) } else { 0 };
    let operator = operators::find(op, 1 + inputs)?;
    let given = operator
        .numbers
        .iter()
        .enumerate()
        .map(|(i, &(_, default))| numbers.get(i).copied().unwrap_or(default));
    let given: Vec<f64> = given.collect();
    let text = operator.text.map_or("", |(_, default)| default);
    let value = |x: f64| {
        let operands: Vec<f64> = std::iter::once(x).chain(numbers[..inputs].iter().copied()).collect();
        operator.value(&operands, &given, text).unwrap_or(f64::NAN)
    };
    recognise(&[Samples::of(value)], &Clues { operators: &[op] })
}

fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|a| a.name.as_deref() == Some(name))
}

impl Fused {
    /// Why the operator can't be taken apart; `None` where it can.
    pub fn closed_because(&self) -> Option<&'static str> {
        (self.beside == Beside::OwnLayout).then_some(
            "inside a convolution whose channels come last, for which ONNX has no operator without it",
        )
    }

    /// Whether a linear operator stands directly before the activation, in the same node.
    pub fn is_after_linear(&self) -> bool {
        matches!(self.beside, Beside::Convolution | Beside::MatrixProduct | Beside::OwnLayout)
    }

    /// Which of the node's inputs has the element type of the activation's values.
    pub fn typed_by(&self) -> usize {
        usize::from(self.beside == Beside::Quantisation)
    }

    /// The node taken apart, with an activation still to be put between the two ends.
    pub fn open(&self, node: &NodeProto, names: &mut Names) -> Opened {
        let output = node.output.first().cloned().unwrap_or_default();
        let label = if node.name().is_empty() { &output } else { node.name() };
        let mut taken = Taken { label: label.to_owned(), names };
        let input = |i: usize| node.input.get(i).cloned().unwrap_or_default();
        let inputs = |range: std::ops::Range<usize>| {
            node.input.iter().take(range.end).skip(range.start).cloned().collect()
        };
        match self.beside {
            Beside::Bias => {
                let add = taken.node("Add", vec![input(0), input(1)], vec![]);
                Opened { ends: [written(&add), output], before: vec![add], after: vec![] }
            }
            Beside::Quantisation => {
                let before = taken.node("DequantizeLinear", inputs(0..3), vec![]);
                let mut after = taken.node("QuantizeLinear", vec![], vec![]);
                let value = std::mem::replace(&mut after.output[0], output);
                after.input =
                    [value.clone(), input(3)].into_iter().chain(node.input.get(4).cloned()).collect();
                Opened { ends: [written(&before), value], before: vec![before], after: vec![after] }
            }
            Beside::Convolution | Beside::MatrixProduct | Beside::OwnLayout => {
                let op = if self.beside == Beside::MatrixProduct { "Gemm" } else { "Conv" };
                let kept =
                    node.attribute.iter().filter(|a| !a.name().starts_with("activation")).cloned().collect();
                let mut before = vec![taken.node(op, inputs(0..3), kept)];
                if let Some(other) = node.input.get(3).filter(|name| op == "Conv" && !name.is_empty()) {
                    before.push(taken.node("Add", vec![written(&before[0]), other.clone()], vec![]));
                }
                let from = before.last().map(written).unwrap_or_default();
                Opened { ends: [from, output], before, after: vec![] }
            }
        }
    }
}

fn written(node: &NodeProto) -> String {
    node.output[0].clone()
}

/// Makes nodes named after the one that is taken apart.
struct Taken<'n> {
    label: String,
    names: &'n mut Names,
}

impl Taken<'_> {
    fn node(&mut self, op: &str, input: Vec<String>, attribute: Vec<AttributeProto>) -> NodeProto {
        let name = self.names.fresh(format!("{}/{op}", self.label));
        let output = self.names.fresh(format!("{name}_output_0"));
        NodeProto {
            op_type: Some(op.to_owned()),
            name: Some(name),
            input,
            output: vec![output],
            attribute,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::float_attribute;

    fn node(op: &str, input: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            domain: Some(MICROSOFT.into()),
            name: Some("n".into()),
            input: input.iter().map(|s| (*s).into()).collect(),
            output: vec!["y".into()],
            attribute,
            ..Default::default()
        }
    }

    fn text(name: &str, text: &str) -> AttributeProto {
        AttributeProto { name: Some(name.into()), s: Some(text.to_owned().into()), ..Default::default() }
    }

    fn floats(name: &str, floats: &[f32]) -> AttributeProto {
        AttributeProto { name: Some(name.into()), floats: floats.to_vec(), ..Default::default() }
    }

    fn operators(nodes: &[NodeProto]) -> Vec<&str> {
        nodes.iter().map(NodeProto::op_type).collect()
    }

    #[test]
    fn activations_are_read_from_attributes() {
        let conv = |name: &str, numbers: &[f32]| {
            node(
                "FusedConv",
                &["x", "w"],
                vec![text("activation", name), floats("activation_params", numbers)],
            )
        };
        let gemm = vec![text("activation", "LeakyRelu"), float_attribute("activation_alpha", 0.25)];
        let rows = [
            (conv("Relu", &[]), "relu"),
            (conv("Clip", &[0.0, 6.0]), "relu6"),
            (conv("Clip", &[0.0, f32::MAX]), "relu"),
            (conv("LeakyRelu", &[0.25]), "leaky_relu:0.25"),
            (conv("HardSigmoid", &[0.25, 0.5]), "hard_sigmoid:0.25"),
            (node("FusedGemm", &["a", "b", "c"], gemm), "leaky_relu:0.25"),
            (node("BiasGelu", &["a", "b"], vec![]), "gelu"),
            (node("FastGelu", &["a", "b"], vec![]), "gelu_tanh"),
            (node("QLinearSigmoid", &["x", "s", "z", "t", "u"], vec![]), "sigmoid"),
            (node("QLinearLeakyRelu", &["x", "s", "z", "t", "u"], vec![]), "leaky_relu"),
        ];
        for (node, expected) in rows {
            let found = look_into(&node).unwrap().activation.unwrap();
            assert_eq!(found.to_string(), expected, "{}", node.op_type());
        }
        assert!(look_into(&conv("Cube", &[])).unwrap().activation.is_none());
        assert!(look_into(&node("FusedConv", &["x", "w"], vec![])).is_none(), "no activation inside");
        assert!(look_into(&node("FastGelu", &["x"], vec![])).is_none(), "that is an operator by itself");
    }

    #[test]
    fn a_node_taken_apart_keeps_its_ends_and_attributes() {
        let group = AttributeProto { name: Some("group".into()), i: Some(2), ..Default::default() };
        let conv = node("FusedConv", &["x", "w", "", "z"], vec![text("activation", "Relu"), group]);
        let opened = look_into(&conv).unwrap().open(&conv, &mut Names::default());
        assert_eq!(operators(&opened.before), ["Conv", "Add"]);
        assert_eq!(
            opened.before[0].attribute.iter().map(AttributeProto::name).collect::<Vec<_>>(),
            ["group"]
        );
        assert_eq!(opened.before[1].input[1], "z");
        assert_eq!(opened.ends, [opened.before[1].output[0].clone(), "y".into()]);

        let sigmoid = node("QLinearSigmoid", &["x", "s", "z", "t", "u"], vec![]);
        let opened = look_into(&sigmoid).unwrap().open(&sigmoid, &mut Names::default());
        assert_eq!(
            (operators(&opened.before), operators(&opened.after)),
            (vec!["DequantizeLinear"], vec!["QuantizeLinear"])
        );
        assert_eq!(opened.after[0].input, [opened.ends[1].clone(), "t".into(), "u".into()]);
        assert_eq!(opened.after[0].output, ["y"]);
    }
}
