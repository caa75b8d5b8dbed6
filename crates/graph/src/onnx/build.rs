//! Writing a formula as nodes.

use std::collections::HashSet;

use super::formula::{Attribute, Expr, Op};
use super::messages::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type};
use super::{bodies, for_each_node, tensor};
use oplat_ground::random::SplitMix64;

/// Names that are taken in a model: of nodes and of values, in all its graphs.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    pub fn of(graph: &GraphProto) -> Self {
        let mut names = Self::default();
        names.take_graph(graph);
        for_each_node(graph, &mut |node| {
            names.taken.extend(node.name.iter().chain(&node.output).chain(&node.input).cloned());
            bodies(node).for_each(|body| names.take_graph(body));
        });
        names
    }

    fn take_graph(&mut self, graph: &GraphProto) {
        let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info).map(|v| &v.name);
        self.taken.extend(values.chain(graph.initializer.iter().map(|t| &t.name)).flatten().cloned());
    }

    /// The wanted name, or with a number behind it if it is taken; taken from now on.
    pub fn fresh(&mut self, wanted: String) -> String {
        let free = (0..)
            .map(|n| if n == 0 { wanted.clone() } else { format!("{wanted}_{n}") })
            .find(|name| !self.taken.contains(name))
            .unwrap_or(wanted);
        self.taken.insert(free.clone());
        free
    }
}

/// Where and how a formula is written.
pub struct Site<'s> {
    /// The value that is `x`.
    pub input: &'s str,
    /// The value that is put out.
    pub output: &'s str,
    /// Name of the node that puts it out; the others are named after `prefix`.
    pub node: Option<String>,
    pub prefix: &'s str,
    /// Element type of the constants.
    pub data_type: i32,
    pub opset: i64,
    /// Values of the parameters.
    pub parameter: &'s dyn Fn(&str) -> Option<f64>,
}

/// The nodes that compute a formula, in order; `None` if it has a parameter without a value.
/// A factor of exactly 1 is left out, as exporters leave it out.
pub fn nodes(formula: &Expr, site: &Site, names: &mut Names) -> Option<Vec<NodeProto>> {
    let formula = formula.without_ones(&site.parameter);
    let mut writer = Writer { site, names, nodes: vec![], written: vec![] };
    let Expr::Op(op) = &formula else {
        let identity =
            Op { domain: String::new(), name: "Identity".into(), args: vec![formula], attributes: vec![] };
        writer.operator(&identity, true)?;
        return Some(writer.nodes);
    };
    writer.operator(op, true)?;
    Some(writer.nodes)
}

struct Writer<'w, 's> {
    site: &'w Site<'s>,
    names: &'w mut Names,
    nodes: Vec<NodeProto>,
    /// Operators that are there already, with their values.
    written: Vec<(Expr, String)>,
}

impl Writer<'_, '_> {
    /// Writes what `expr` needs and returns the name of its value.
    fn value(&mut self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::X => Some(self.site.input.to_owned()),
            Expr::Op(op) if expr.has_input() => {
                if let Some((_, value)) = self.written.iter().find(|(e, _)| e == expr) {
                    return Some(value.clone());
                }
                let value = self.operator(op, false)?;
                self.written.push((expr.clone(), value.clone()));
                Some(value)
            }
            Expr::List(parts) => {
                let integers = self.integers(parts)?;
                Some(self.constant(tensor::from_integers(&integers)))
            }
            Expr::Weights(name, sizes) => {
                let sizes = self.integers(sizes)?;
                let weights = weights(&format!("{}/{name}", self.site.prefix), sizes, self.site.data_type)?;
                Some(self.constant(weights))
            }
            _ => Some(self.number(expr.constant(&self.site.parameter)?, vec![])),
        }
    }

    fn integers(&self, parts: &[Expr]) -> Option<Vec<i64>> {
        parts.iter().map(|p| p.constant(&self.site.parameter).map(|v| v as i64)).collect()
    }

    fn attribute(&self, name: &str, value: &Attribute) -> Option<AttributeProto> {
        let attribute = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
        Some(match value {
            Attribute::Text(text) => AttributeProto {
                r#type: Some(attribute_type::STRING),
                s: Some(text.clone().into()),
                ..attribute
            },
            Attribute::Value(Expr::List(parts)) => AttributeProto {
                r#type: Some(attribute_type::INTS),
                ints: self.integers(parts)?,
                ..attribute
            },
            Attribute::Value(value) if is_integer(name) => AttributeProto {
                r#type: Some(attribute_type::INT),
                i: Some(value.constant(&self.site.parameter)? as i64),
                ..attribute
            },
            Attribute::Value(value) => float_attribute(name, value.constant(&self.site.parameter)?),
        })
    }

    fn operator(&mut self, op: &Op, last: bool) -> Option<String> {
        let mut attribute = vec![];
        let mut axes = None;
        for (name, value) in &op.attributes {
            match value {
                Attribute::Value(value)
                    if name == "axes" && self.site.opset >= axes_are_an_input(&op.name) =>
                {
                    axes = Some(value);
                }
                _ => attribute.push(self.attribute(name, value)?),
            }
        }
        let mut input = vec![];
        for (i, arg) in op.args.iter().enumerate() {
            match (op.name.as_str(), i) {
                ("Clip", 1 | 2) if self.site.opset < 11 => {
                    let name = if i == 1 { "min" } else { "max" };
                    attribute.push(float_attribute(name, arg.constant(&self.site.parameter)?));
                }
                // A slope broadcasts to the input's last axes; one element fits every rank.
                ("PRelu", 1) => input.push(match arg.constant(&self.site.parameter) {
                    Some(slope) => self.number(slope, vec![1]),
                    None => self.value(arg)?,
                }),
                _ => input.push(self.value(arg)?),
            }
        }
        if let Some(axes) = axes {
            input.push(self.value(axes)?);
        }
        let (name, output) = if last {
            (self.site.node.clone(), self.site.output.to_owned())
        } else {
            let name = self.names.fresh(format!("{}/{}", self.site.prefix, op.name));
            let output = self.names.fresh(format!("{name}_output_0"));
            (Some(name), output)
        };
        self.nodes.push(NodeProto {
            input,
            output: vec![output.clone()],
            name,
            op_type: Some(op.name.clone()),
            domain: (!op.domain.is_empty()).then(|| op.domain.clone()),
            attribute,
            ..Default::default()
        });
        Some(output)
    }

    fn number(&mut self, value: f64, dims: Vec<i64>) -> String {
        self.constant(tensor::from_values(&[value], dims, self.site.data_type))
    }

    fn constant(&mut self, value: TensorProto) -> String {
        let node = constant(self.site.prefix, value, self.names);
        let output = node.output[0].clone();
        self.nodes.push(node);
        output
    }
}

/// A node that puts out a constant, named after `prefix`.
pub fn constant(prefix: &str, value: TensorProto, names: &mut Names) -> NodeProto {
    let name = names.fresh(format!("{prefix}/Constant"));
    let output = names.fresh(format!("{name}_output_0"));
    NodeProto {
        output: vec![output],
        name: Some(name),
        op_type: Some("Constant".into()),
        attribute: vec![AttributeProto {
            name: Some("value".into()),
            r#type: Some(attribute_type::TENSOR),
            t: Some(value),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Seeded weights that keep numbers the size they are: of variance 1 over the elements that one output sums up.
/// A tensor of one size is a bias, small; one of a single row is a scale for every channel.
fn weights(name: &str, sizes: Vec<i64>, data_type: i32) -> Option<TensorProto> {
    /// No layer is larger; a file that says so lies.
    const MOST: i64 = 1 << 28;
    let count = sizes.iter().try_fold(1i64, |n, &d| n.checked_mul(d)).filter(|n| (0..=MOST).contains(n))?;
    let variance = match sizes.as_slice() {
        [_] => 0.01,
        [1, ..] => 1.0,
        [rows, ..] => *rows as f64 / count.max(1) as f64,
        [] => return None,
    };
    let scale = (3.0 * variance).sqrt();
    let mut random = SplitMix64::named(name);
    let values: Vec<f64> = (0..count).map(|_| random.symmetric() * scale).collect();
    Some(tensor::from_values(&values, sizes, data_type))
}

/// Attributes that ONNX keeps as an integer.
fn is_integer(attribute: &str) -> bool {
    matches!(attribute, "axis" | "group" | "keepdims")
}

/// The opset from which a reduction takes its axes as an input.
fn axes_are_an_input(op: &str) -> i64 {
    if op == "ReduceSum" { 13 } else { 18 }
}

/// An attribute that is a single float.
pub fn float_attribute(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(attribute_type::FLOAT),
        f: Some(value as f32),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::data_type;

    fn written(formula: &str, opset: i64) -> Vec<NodeProto> {
        let parameter = |name: &str| (name == "channels").then_some(8.0);
        let site = Site {
            input: "in",
            output: "out",
            node: Some("act".into()),
            prefix: "act",
            data_type: data_type::FLOAT,
            opset,
            parameter: &parameter,
        };
        nodes(&Expr::parse(formula).unwrap(), &site, &mut Names::default()).unwrap()
    }

    fn operators(nodes: &[NodeProto]) -> Vec<&str> {
        nodes.iter().filter_map(|n| n.op_type.as_deref()).collect()
    }

    #[test]
    fn what_occurs_twice_is_computed_once() {
        let nodes = written("Exp(x) / (Exp(x) + Abs(x))", 13);
        assert_eq!(operators(&nodes), ["Exp", "Abs", "Add", "Div"]);
        assert_eq!(nodes[3].input[0], nodes[2].input[0]);
        assert_eq!((nodes[3].name.as_deref(), nodes[3].output[0].as_str()), (Some("act"), "out"));
    }

    #[test]
    fn axes_move_from_an_attribute_to_an_input() {
        for (opset, inputs) in [(17, 1), (18, 2)] {
            let nodes = written("ReduceMean(x, axes=[2, 3], keepdims=1)", opset);
            let last = nodes.last().unwrap();
            assert_eq!(last.input.len(), inputs, "opset {opset}");
            let axes = last.attribute.iter().find(|a| a.name.as_deref() == Some("axes"));
            assert_eq!(axes.map(|a| a.ints.clone()), (opset < 18).then(|| vec![2, 3]));
        }
    }

    #[test]
    fn weights_have_the_variance_of_a_mean_and_their_own_seed() {
        let nodes = written("Conv(Conv(x, a(channels, 8, 3, 3)), b(channels, 8, 3, 3))", 13);
        let raw = |i: usize| nodes[i].attribute[0].t.clone().unwrap().raw_data.unwrap();
        assert_ne!(raw(0), raw(2));
        let values: Vec<f32> =
            raw(0).chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(values.len(), 8 * 72);
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!((variance * 72.0 - 1.0).abs() < 0.2, "{variance}");
    }
}
