//! Recurrent operators that tract 0.23.9 translates wrongly without a word.
//!
//! It translates `direction=reverse` as it does `forward`, and runs it so. Its loops can run backwards, as the second
//! half of a bidirectional operator does: the loops of reverse operators are turned round here. And it passes over
//! `activations`, `clip` and `input_forget`: the first are built in where tract has them as single operators, as in PyTorch's
//! `RNN(nonlinearity='relu')`, and the rest is refused.

use tract_onnx::model::ParsingContext;
use tract_onnx::ops::rec::common::{CommonRec, WireBody};
use tract_onnx::ops::rec::gru::{GRU, gru};
use tract_onnx::ops::rec::lstm::{LSTM, lstm};
use tract_onnx::ops::rec::rnn::{RNN, rnn};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_hir::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_hir::tract_core::ops::math::tanh;
use tract_onnx::tract_hir::tract_core::ops::nn::{leaky_relu, sigmoid};
use tract_onnx::tract_hir::tract_core::ops::scan::{InputMapping, Scan};

use super::operators::Built;
use oplat_graph::onnx::for_each_node;
use oplat_graph::onnx::messages::ModelProto;

/// How tract translates an operator.
type Translation = fn(&ParsingContext, &NodeProto) -> Built;

/// A recurrent operator. What has the default activations is left to tract.
///
/// Fails for one that clips, couples its gates, or has activations that tract hasn't as single operators.
pub fn translate(context: &ParsingContext, node: &NodeProto) -> Built {
    use Activation::{Sigmoid, Tanh};
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    ensure!(attribute("clip").is_none(), "a recurrence that clips is not supported");
    ensure!(
        attribute("input_forget").is_none_or(|a| a.i == 0),
        "a recurrence with coupled gates (input_forget) is not supported"
    );
    let (defaults, own): (&[Activation], Translation) = match &*node.op_type {
        "RNN" => (&[Tanh], rnn),
        "GRU" => (&[Sigmoid, Tanh], gru),
        _ => (&[Sigmoid, Tanh, Tanh], lstm),
    };
    let given = activations(node, defaults.len())?;
    let body: Box<dyn WireBody> = match given.as_deref() {
        Some(&[f]) if given.as_deref() != Some(defaults) => Box::new(RNN { fore: f.op(), back: f.op() }),
        Some(&[f, g]) if given.as_deref() != Some(defaults) => Box::new(GRU {
            f: f.op(),
            g: g.op(),
            linear_before_reset: attribute("linear_before_reset").is_some_and(|a| a.i != 0),
        }),
        Some(&[f, g, h]) if given.as_deref() != Some(defaults) => {
            Box::new(InSteps(LSTM { f: f.op(), g: g.op(), h: h.op() }))
        }
        _ => return own(context, node),
    };
    Ok((expand(CommonRec::from_node_and_options(node, 3, 0, body)?), vec![]))
}

/// The activation of a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Activation {
    Sigmoid,
    Tanh,
    /// Relu is that of slope 0.
    LeakyRelu(f32),
}

impl Activation {
    fn op(self) -> Box<dyn TypedOp> {
        Box::new(match self {
            Self::Sigmoid => sigmoid(),
            Self::Tanh => tanh(),
            Self::LeakyRelu(alpha) => leaky_relu(alpha),
        })
    }
}

/// The activations of so many gates, where the node says them; both directions must have the same.
fn activations(node: &NodeProto, gates: usize) -> TractResult<Option<Vec<Activation>>> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    let Some(listed) = attribute("activations").filter(|a| !a.strings.is_empty()) else { return Ok(None) };
    let mut alphas = attribute("activation_alpha").map_or(&[][..], |a| &a.floats).iter().copied();
    let mut all = vec![];
    for name in &listed.strings {
        let name = String::from_utf8_lossy(name);
        all.push(match name.to_lowercase().as_str() {
            "sigmoid" => Activation::Sigmoid,
            "tanh" => Activation::Tanh,
            "relu" => Activation::LeakyRelu(0.0),
            "leakyrelu" => Activation::LeakyRelu(alphas.next().unwrap_or(0.01)),
            _ => bail!("a recurrence with the activation {name} is not supported"),
        });
    }
    let both = attribute("direction").is_some_and(|a| a.s == b"bidirectional");
    let directions = if both { 2 } else { 1 };
    ensure!(all.len() == gates * directions, "{} activations are not those of its gates", all.len());
    let back = all.split_off(gates);
    ensure!(
        !both || back == all,
        "a recurrence with other activations in its second direction is not supported"
    );
    Ok(Some(all))
}

/// An LSTM in single operators. tract asks for the activations of one only where it has peepholes: it gets some of zero.
#[derive(Clone, Debug)]
struct InSteps(LSTM);

impl WireBody for InSteps {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn wire_body(&self, prefix: &str, body: &mut TypedModel) -> TractResult<()> {
        if body.node_by_name("peepholes").is_err() {
            let recurrent = OutletId::from(body.node_by_name("R")?.id);
            let fact = body.outlet_fact(recurrent)?;
            let hidden = fact.shape[1].to_usize()?;
            body.add_const("peepholes", Tensor::zero_dt(fact.datum_type, &[1, 3 * hidden])?)?;
        }
        self.0.wire_body(prefix, body)
    }

    fn w_b_multipliers(&self) -> (usize, usize) {
        self.0.w_b_multipliers()
    }

    fn have_extra_c_state(&self) -> bool {
        self.0.have_extra_c_state()
    }
}

/// Makes recurrent operators begin every run from their initial values, as ONNX has it. In tract they go on from where
/// the state's last run ended, and that state is kept here: runs would not be of the same input.
pub fn forget_between_runs(model: &mut TypedModel) {
    for node in model.nodes_mut() {
        if let Some(scan) = node.op_as_mut::<Scan>() {
            scan.reset_every_turn = true;
            forget_between_runs(&mut scan.body);
        } else if let Some(gru) = node.op_as_mut::<GruSeq>() {
            gru.reset_every_turn = true;
        } else if let Some(branches) = node.op_as_mut::<IfThenElse>() {
            // One of a known condition is taken out of its body later.
            forget_between_runs(&mut branches.then_body);
            forget_between_runs(&mut branches.else_body);
        }
    }
}

/// The names of the recurrent operators of a model that read from the end.
pub fn backwards(model: &ModelProto) -> Vec<String> {
    let mut found = vec![];
    for_each_node(model.graph.as_ref().unwrap_or(&Default::default()), &mut |node| {
        let direction = node.attribute.iter().find(|a| a.name() == "direction").and_then(|a| a.s.as_deref());
        if ["LSTM", "GRU", "RNN"].contains(&node.op_type()) && direction == Some(b"reverse") {
            found.push(node.name().to_owned());
        }
    });
    found
}

/// Turns the loops of these operators round. Fails, naming it, for one whose loop isn't found.
pub fn turn(model: &mut TypedModel, backwards: &[String]) -> TractResult<()> {
    let mut turned = vec![];
    turn_in(model, backwards, &mut turned);
    match backwards.iter().find(|name| !turned.contains(name)) {
        Some(name) => Err(format_err!("no loop of it can run in reverse").context(name.clone())),
        None => Ok(()),
    }
}

fn turn_in<'n>(model: &mut TypedModel, backwards: &'n [String], turned: &mut Vec<&'n String>) {
    for node in model.nodes_mut() {
        let name = backwards.iter().find(|name| node.name.starts_with(name.as_str()));
        if let Some(gru) = node.op_as_mut::<GruSeq>() {
            if let Some(name) = name {
                gru.chunk = -gru.chunk;
                turned.push(name);
            }
        } else if let Some(scan) = node.op_as_mut::<Scan>() {
            match name {
                Some(name) => {
                    turn_scan(scan);
                    turned.push(name);
                }
                None => turn_in(&mut scan.body, backwards, turned),
            }
        } else if let Some(branches) = node.op_as_mut::<IfThenElse>() {
            turn_in(&mut branches.then_body, backwards, turned);
            turn_in(&mut branches.else_body, backwards, turned);
        }
    }
}

fn turn_scan(scan: &mut Scan) {
    for mapping in &mut scan.input_mapping {
        if let InputMapping::Scan(info) = mapping {
            info.chunk = -info.chunk;
        }
    }
    for mapping in &mut scan.output_mapping {
        if let Some((_, info)) = &mut mapping.scan {
            info.chunk = -info.chunk;
        }
    }
}

#[cfg(test)]
mod tests {
    use oplat_engine::Backend;
    use oplat_graph::onnx::messages::{
        AttributeProto, Dimension, DimensionValue, GraphProto, NodeProto, OperatorSetIdProto, TensorProto,
        TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto, attribute_type, data_type,
    };
    use oplat_graph::onnx::{Model, tensor};
    use oplat_ground::protocol::Load;

    use crate::Tract;

    /// An activation.
    type Function = fn(f64) -> f64;

    const STEPS: usize = 5;
    const WIDTH: usize = 3;
    const HIDDEN: usize = 4;

    /// Weights, from -0.5 to 0.5 and unlike each other.
    fn weights(name: &str, rows: usize, columns: usize) -> TensorProto {
        let seed = name.len() + rows;
        let values: Vec<f64> =
            (0..rows * columns).map(|i| ((i * 37 + seed * 11) % 101) as f64 / 101.0 - 0.5).collect();
        let dims = vec![1, rows as i64, columns as i64];
        TensorProto { name: Some(name.into()), ..tensor::from_values(&values, dims, data_type::FLOAT) }
    }

    fn attribute(name: &str) -> AttributeProto {
        AttributeProto { name: Some(name.into()), ..Default::default() }
    }

    fn texts(name: &str, texts: &[&str]) -> AttributeProto {
        let strings = texts.iter().map(|t| (*t).to_owned().into()).collect();
        AttributeProto { strings, r#type: Some(8), ..attribute(name) }
    }

    fn reverse() -> AttributeProto {
        let s = Some("reverse".to_owned().into());
        AttributeProto { s, r#type: Some(attribute_type::STRING), ..attribute("direction") }
    }

    fn alpha(value: f32) -> AttributeProto {
        let (floats, kind) = (vec![value], Some(attribute_type::FLOATS));
        AttributeProto { floats, r#type: kind, ..attribute("activation_alpha") }
    }

    fn gates(op: &str) -> usize {
        if op == "LSTM" { 4 } else { 1 }
    }

    fn node(op: &str, attributes: Vec<AttributeProto>) -> NodeProto {
        let size = AttributeProto {
            i: Some(HIDDEN as i64),
            r#type: Some(attribute_type::INT),
            ..attribute("hidden_size")
        };
        NodeProto {
            op_type: Some(op.into()),
            name: Some("layer".into()),
            input: ["x", "ww", "rrr"].map(str::to_owned).to_vec(),
            output: vec!["y".into()],
            attribute: attributes.into_iter().chain([size]).collect(),
            ..Default::default()
        }
    }

    /// The outputs of a graph of this node, and the steps of its input; or the refusal.
    fn run(op: &str, node: NodeProto) -> Result<(Vec<f64>, Vec<Vec<f64>>), String> {
        let dims = [STEPS, 1, WIDTH]
            .map(|n| Dimension { value: Some(DimensionValue::Value(n as i64)), denotation: None });
        let kind = TensorType {
            elem_type: Some(data_type::FLOAT),
            shape: Some(TensorShapeProto { dim: dims.to_vec() }),
        };
        let x = ValueInfoProto {
            name: Some("x".into()),
            r#type: Some(TypeProto { value: Some(TypeValue::Tensor(kind)), denotation: None }),
            ..Default::default()
        };
        let rows = gates(op) * HIDDEN;
        let graph = GraphProto {
            node: vec![node],
            input: vec![x],
            output: vec![ValueInfoProto { name: Some("y".into()), ..Default::default() }],
            initializer: vec![
                weights("ww", rows, WIDTH),
                weights("rrr", rows, HIDDEN),
                TensorProto {
                    name: Some("yes".into()),
                    data_type: Some(data_type::BOOL),
                    raw_data: Some(vec![1u8].into()),
                    ..Default::default()
                },
            ],
            ..Default::default()
        };
        let opset = OperatorSetIdProto { version: Some(17), ..Default::default() };
        let proto = oplat_graph::onnx::messages::ModelProto {
            ir_version: Some(8),
            opset_import: vec![opset],
            graph: Some(graph),
            ..Default::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let (file, values) = (folder.path().join("m.onnx"), folder.path().join("values"));
        Model { proto, dir: None }.write(&file).unwrap();
        let xs: Vec<f32> = (0..STEPS * WIDTH).map(|i| (i as f32 * 0.7).sin()).collect();
        std::fs::write(&values, xs.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        let load = Load {
            model: file.display().to_string(),
            values: Some(values.display().to_string()),
            ..Load::default()
        };
        let (mut model, _) = Tract.load(&load).map_err(|failure| failure.message)?;
        model.outputs().unwrap();
        // The second run: it begins where the first did.
        let outputs = model.outputs().unwrap().tensors[0].to_f64().unwrap();
        let steps = xs.chunks(WIDTH).map(|step| step.iter().map(|&x| x.into()).collect()).collect();
        Ok((outputs, steps))
    }

    /// What ONNX says of an RNN with activation `f`, or of an LSTM with the activations `f`, `g` and `h`.
    fn expected(op: &str, steps: &[Vec<f64>], acts: [Function; 3], backwards: bool) -> Vec<f64> {
        let [f, g, h] = acts;
        let rows = gates(op) * HIDDEN;
        let of = |name, columns| tensor::numbers(&weights(name, rows, columns), None, 1000).unwrap();
        let (w, r) = (of("ww", WIDTH), of("rrr", HIDDEN));
        let (mut state, mut cell) = (vec![0.0; HIDDEN], vec![0.0; HIDDEN]);
        let mut outputs = vec![vec![]; steps.len()];
        let order: Vec<usize> =
            if backwards { (0..steps.len()).rev().collect() } else { (0..steps.len()).collect() };
        for t in order {
            let product = |m: &[f64], v: &[f64], row: usize| -> f64 {
                m[row * v.len()..][..v.len()].iter().zip(v).map(|(a, b)| a * b).sum()
            };
            let sum: Vec<f64> =
                (0..rows).map(|row| product(&w, &steps[t], row) + product(&r, &state, row)).collect();
            if op == "RNN" {
                state = sum.into_iter().map(f).collect();
            } else {
                for i in 0..HIDDEN {
                    let [input, output, forget, new] = [0, 1, 2, 3].map(|gate| sum[gate * HIDDEN + i]);
                    cell[i] = f(forget) * cell[i] + f(input) * g(new);
                    state[i] = f(output) * h(cell[i]);
                }
            }
            outputs[t] = state.clone();
        }
        outputs.concat()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn leaky(x: f64) -> f64 {
        x.max(0.3 * x)
    }

    fn relu(x: f64) -> f64 {
        x.max(0.0)
    }

    #[test]
    fn activations_and_directions_are_those_of_the_node() {
        let both: [(&str, &[&str], [Function; 3]); 5] = [
            ("RNN", &[], [f64::tanh; 3]),
            ("RNN", &["Relu"], [relu; 3]),
            ("RNN", &["LeakyRelu"], [leaky; 3]),
            ("LSTM", &[], [sigmoid, f64::tanh, f64::tanh]),
            ("LSTM", &["Sigmoid", "Relu", "LeakyRelu"], [sigmoid, relu, leaky]),
        ];
        for (op, names, acts) in both {
            for backwards in [false, true] {
                let listed = (!names.is_empty()).then(|| texts("activations", names));
                let attributes: Vec<_> =
                    listed.into_iter().chain([alpha(0.3)]).chain(backwards.then(reverse)).collect();
                let (outputs, steps) = run(op, node(op, attributes)).unwrap();
                let expected = expected(op, &steps, acts, backwards);
                let far = outputs.iter().zip(&expected).position(|(a, b)| (a - b).abs() > 1e-5);
                assert_eq!((outputs.len(), far), (expected.len(), None), "{op} {names:?} {backwards}");
            }
        }
    }

    #[test]
    fn a_branch_that_is_always_taken_runs_its_recurrence_as_it_says() {
        let body = |name: &str| AttributeProto {
            r#type: Some(attribute_type::GRAPH),
            g: Some(GraphProto {
                node: vec![NodeProto { output: vec!["inner".into()], ..node("LSTM", vec![reverse()]) }],
                output: vec![ValueInfoProto { name: Some("inner".into()), ..Default::default() }],
                ..Default::default()
            }),
            ..attribute(name)
        };
        let branch = NodeProto {
            op_type: Some("If".into()),
            input: vec!["yes".into()],
            output: vec!["y".into()],
            attribute: vec![body("then_branch"), body("else_branch")],
            ..Default::default()
        };
        let (outputs, steps) = run("LSTM", branch).unwrap();
        let expected = expected("LSTM", &steps, [sigmoid, f64::tanh, f64::tanh], true);
        assert!(
            outputs.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5),
            "{outputs:?} {expected:?}"
        );
    }

    #[test]
    fn what_tract_would_pass_over_is_refused() {
        let clip = AttributeProto { f: Some(1.0), r#type: Some(attribute_type::FLOAT), ..attribute("clip") };
        let coupled =
            AttributeProto { i: Some(1), r#type: Some(attribute_type::INT), ..attribute("input_forget") };
        for (op, attribute, expected) in [
            ("RNN", clip, "that clips"),
            ("LSTM", coupled, "coupled gates"),
            ("RNN", texts("activations", &["Affine"]), "with the activation Affine"),
            ("LSTM", texts("activations", &["Tanh"]), "1 activations are not those of its gates"),
        ] {
            let refused = run(op, node(op, vec![attribute])).unwrap_err();
            assert!(refused.starts_with("node \"layer\"") && refused.contains(expected), "{refused}");
        }
    }
}
