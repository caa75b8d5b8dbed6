//! Writing a formula as nodes.

use std::collections::HashSet;

use super::formula::{Attribute, Expr, Op};
use super::messages::{AttributeProto, GraphProto, NodeProto, attribute_type};
use super::{bodies, for_each_node, tensor};

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
    let mut writer = Writer { site, names, nodes: vec![] };
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
}

impl Writer<'_, '_> {
    /// Writes what `expr` needs and returns the name of its value.
    fn value(&mut self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::X => Some(self.site.input.to_owned()),
            Expr::Op(op) if expr.has_input() => self.operator(op, false),
            _ => {
                let number = expr.constant(&self.site.parameter)?;
                Some(self.constant(number, vec![]))
            }
        }
    }

    fn operator(&mut self, op: &Op, last: bool) -> Option<String> {
        let mut attribute = vec![];
        for (name, value) in &op.attributes {
            attribute.push(match value {
                Attribute::Text(text) => AttributeProto {
                    name: Some(name.clone()),
                    r#type: Some(attribute_type::STRING),
                    s: Some(text.clone().into()),
                    ..Default::default()
                },
                Attribute::Value(value) => float_attribute(name, value.constant(&self.site.parameter)?),
            });
        }
        let mut input = vec![];
        for (i, arg) in op.args.iter().enumerate() {
            match (op.name.as_str(), i) {
                ("Clip", 1 | 2) if self.site.opset < 11 => {
                    let name = if i == 1 { "min" } else { "max" };
                    attribute.push(float_attribute(name, arg.constant(&self.site.parameter)?));
                }
                // A slope broadcasts to the input's last axes; one element fits every rank.
                ("PRelu", 1) => {
                    let slope = arg.constant(&self.site.parameter)?;
                    input.push(self.constant(slope, vec![1]));
                }
                _ => input.push(self.value(arg)?),
            }
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

    fn constant(&mut self, value: f64, dims: Vec<i64>) -> String {
        let name = self.names.fresh(format!("{}/Constant", self.site.prefix));
        let output = self.names.fresh(format!("{name}_output_0"));
        self.nodes.push(NodeProto {
            output: vec![output.clone()],
            name: Some(name),
            op_type: Some("Constant".into()),
            attribute: vec![AttributeProto {
                name: Some("value".into()),
                r#type: Some(attribute_type::TENSOR),
                t: Some(tensor::from_values(&[value], dims, self.site.data_type)),
                ..Default::default()
            }],
            ..Default::default()
        });
        output
    }
}

fn float_attribute(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(attribute_type::FLOAT),
        f: Some(value as f32),
        ..Default::default()
    }
}
