//! Attributes that tract 0.23.9 passes over or takes for others: put right in the private copy, or refused by name.

use std::collections::HashMap;

use tract_onnx::tract_hir::internal::*;

use oplat_engine::made::Maker;
use oplat_graph::onnx::index::{Index, Source, ValueId};
use oplat_graph::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_type,
};
use oplat_graph::onnx::{Model, for_each_node, for_each_node_mut, tensor};
use oplat_ground::error::Error;

/// More elements than a list of pads or scales has.
const MOST: usize = 64;

/// Operators that move a window.
const WINDOWS: [&str; 7] =
    ["AveragePool", "Conv", "ConvInteger", "ConvTranspose", "LpPool", "MaxPool", "QLinearConv"];
/// No axis of a tensor is longer. tract goes through the places of a window one by one.
const LONGEST: u64 = 1 << 24;

/// Puts right what can be. Fails for a node that tract would compute wrongly.
pub fn correct(model: &mut ModelProto) -> Result<(), Error> {
    let (mut wrong, mut rewritten) = (None, false);
    for_each_node(model.graph.as_ref().unwrap_or(&GraphProto::default()), &mut |node| {
        wrong = wrong
            .take()
            .or_else(|| Some((node.name().to_owned(), node.op_type().to_owned(), refused(node)?)));
        rewritten |= ["Pad", "Resize"].contains(&node.op_type());
    });
    if let Some((name, op, why)) = wrong {
        let what = format!("node {name:?} ({op}): tract {why}; `inspect` and `swap` still work");
        return Err(Error::input(what));
    }
    if !rewritten {
        return Ok(());
    }
    let copy = Model { proto: model.clone(), dir: None };
    let index = Index::new(&copy);
    let Some(graph) = model.graph.as_mut() else { return Ok(()) };
    if copy.opset() == 10 {
        let scales = numbers(&index, "Resize", 1);
        let mut outcome = Ok(());
        for_each_node_mut(graph, &mut |node| {
            if node.op_type() == "Resize" && outcome.is_ok() {
                outcome = say_nearest(node, scales.get(node.name()));
            }
        });
        outcome?;
    }
    if copy.opset() >= 11 {
        let mut maker = Maker::of(graph);
        pad(graph, &numbers(&index, "Pad", 1), &mut maker);
    }
    Ok(())
}

/// The node's attribute of this name.
fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|a| a.name() == name)
}

fn text<'n>(node: &'n NodeProto, name: &str) -> &'n [u8] {
    attribute(node, name).and_then(|a| a.s.as_deref()).unwrap_or_default()
}

fn refused(node: &NodeProto) -> Option<&'static str> {
    let places = ["dilations", "kernel_shape", "output_padding", "output_shape", "pads", "strides"];
    let places = places.into_iter().filter_map(|name| attribute(node, name)).flat_map(|a| &a.ints);
    match node.op_type() {
        op if WINDOWS.contains(&op) && places.into_iter().any(|n| n.unsigned_abs() > LONGEST) => {
            Some("moves no window over more than 16,777,216 places")
        }
        "ConvTranspose"
            if attribute(node, "output_shape").is_some() && text(node, "auto_pad").starts_with(b"SAME") =>
        {
            Some("knows no output_shape with auto_pad")
        }
        "GlobalLpPool" => Some("forgets roots and powers in it"),
        "Einsum" => {
            let equation: String =
                String::from_utf8_lossy(text(node, "equation")).split_whitespace().collect();
            let (inputs, output) = match equation.split_once("->") {
                Some((inputs, output)) => (inputs, Some(output)),
                None => (equation.as_str(), None),
            };
            let dots = |operand: &str| operand.contains("...");
            let unlike = inputs.contains("...") && !(output.is_some() && inputs.split(',').all(dots));
            if output == Some("") && !inputs.is_empty() {
                Some("sums only some of the axes where all are summed")
            } else if unlike {
                Some("loses axes where not each operand says `...`")
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The numbers that the nodes of this operator have as an input, by the node's name, as far as they are constants.
fn numbers(index: &Index, op: &str, input: usize) -> HashMap<String, Vec<f64>> {
    let mut found = HashMap::new();
    for node in index.nodes.iter().filter(|node| node.is(op)) {
        if let Some(tensor) =
            node.inputs.get(input).copied().flatten().and_then(|value| tensor_of(index, value))
            && let Some(numbers) = tensor::numbers(tensor, index.dir(), MOST)
        {
            found.insert(node.proto.name().to_owned(), numbers);
        }
    }
    found
}

fn tensor_of<'m>(index: &Index<'m>, value: ValueId) -> Option<&'m TensorProto> {
    match index.source(value) {
        Source::Initializer(tensor) => Some(tensor),
        Source::Node(node, _) if index.nodes[node].is("Constant") => {
            index.nodes[node].proto.attribute.first()?.t.as_ref()
        }
        _ => None,
    }
}

/// Before opset 11, the nearest element is the one before in what grows, and the one behind in what shrinks: ONNX Runtime has
/// it so. tract rounds.
fn say_nearest(node: &mut NodeProto, scales: Option<&Vec<f64>>) -> Result<(), Error> {
    if !matches!(text(node, "mode"), b"" | b"nearest") {
        return Ok(());
    }
    let grows = scales.is_some_and(|scales| scales.iter().all(|&scale| scale >= 1.0));
    let shrinks = scales.is_some_and(|scales| scales.iter().all(|&scale| scale <= 1.0));
    if !grows && !shrinks {
        return Err(Error::input(format!(
            "node {:?} (Resize): of opset 10, it grows and shrinks or doesn't say what it does: export the model with \
             opset 11 or later",
            node.name()
        )));
    }
    node.attribute.push(AttributeProto {
        name: Some("nearest_mode".into()),
        r#type: Some(attribute_type::STRING),
        s: Some(if grows { "floor" } else { "ceil" }.to_owned().into()),
        ..AttributeProto::default()
    });
    Ok(())
}

/// Takes away a value that only the mode `constant` reads, since tract takes it for that mode; and where pads are negative,
/// cuts off first, since tract can't.
fn pad(graph: &mut GraphProto, pads: &HashMap<String, Vec<f64>>, maker: &mut Maker) {
    let mut nodes = vec![];
    for mut node in std::mem::take(&mut graph.node) {
        for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            pad(body, pads, maker);
        }
        if node.op_type() == "Pad" {
            if !matches!(text(&node, "mode"), b"" | b"constant")
                && let Some(value) = node.input.get_mut(2)
            {
                value.clear();
            }
            if let Some(pads) = pads.get(node.name()).filter(|pads| pads.iter().any(|&n| n < 0.0)) {
                nodes.extend(cut(&mut node, pads, maker));
            }
            while node.input.last().is_some_and(String::is_empty) {
                node.input.pop();
            }
        }
        nodes.push(node);
    }
    graph.node = nodes;
}

/// The nodes that cut off what negative pads say; those of the node become 0.
fn cut(node: &mut NodeProto, pads: &[f64], maker: &mut Maker) -> Vec<NodeProto> {
    let rank = pads.len() / 2;
    let output = node.output.first().cloned().unwrap_or_default();
    let cuts: Vec<usize> = (0..rank).filter(|&i| pads[i] < 0.0 || pads[rank + i] < 0.0).collect();
    let ends = |n: f64| if n < 0.0 { n as i64 } else { i64::MAX };
    let axes = match node.input.get(3).filter(|axes| !axes.is_empty()) {
        // Cut along all axes that it names: by nothing, where it is padded.
        Some(axes) => Err(axes.clone()),
        None => Ok(cuts.iter().map(|&i| i as i64).collect::<Vec<_>>()),
    };
    let chosen: Vec<usize> = if axes.is_ok() { cuts } else { (0..rank).collect() };
    let starts: Vec<i64> = chosen.iter().map(|&i| (-pads[i]).max(0.0) as i64).collect();
    let ends: Vec<i64> = chosen.iter().map(|&i| ends(pads[rank + i])).collect();
    let left: Vec<i64> = pads.iter().map(|&n| n.max(0.0) as i64).collect();

    let of = |what: &str| format!("{output}_oplat_{what}");
    let mut constant =
        |values: &[i64], what: &str| maker.constant(node.name(), tensor::from_integers(values), of(what));
    let mut nodes = vec![constant(&starts, "starts"), constant(&ends, "ends"), constant(&left, "pads")];
    if let Ok(axes) = &axes {
        nodes.push(constant(axes, "axes"));
    }
    let x = node.input.first().cloned().unwrap_or_default();
    let axes = axes.err().unwrap_or_else(|| of("axes"));
    nodes.push(maker.node(node.name(), "Slice", &[&x, &of("starts"), &of("ends"), &axes], of("cut")));
    node.input[0] = of("cut");
    node.input[1] = of("pads");
    nodes
}

/// A transposed convolution that says the size of its output.
pub struct SizedConvolution {
    name: String,
    output: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    padding: Vec<i64>,
}

/// The transposed convolutions of a model that say the size of their outputs.
pub fn sized(model: &ModelProto) -> Vec<SizedConvolution> {
    let mut found = vec![];
    for_each_node(model.graph.as_ref().unwrap_or(&GraphProto::default()), &mut |node| {
        let list = |name: &str| attribute(node, name).map_or(vec![], |a| a.ints.clone());
        let output = list("output_shape");
        if node.op_type() == "ConvTranspose" && !output.is_empty() {
            found.push(SizedConvolution {
                name: node.name().to_owned(),
                output,
                strides: list("strides"),
                dilations: list("dilations"),
                padding: list("output_padding"),
            });
        }
    });
    found
}

/// Fails for one whose output is smaller than what it computes: tract doesn't cut the rest off.
pub fn check_sizes(read: &InferenceModel, sized: &[SizedConvolution]) -> TractResult<()> {
    for node in read.nodes() {
        let Some(sized) = sized.iter().find(|sized| sized.name == node.name) else { continue };
        let dims = |input: usize| -> Option<Vec<i64>> {
            let fact = read.outlet_fact(*node.inputs.get(input)?).ok()?;
            fact.shape.concretize()?.iter().skip(2).map(|d| d.to_i64().ok()).collect()
        };
        let (Some(x), Some(kernel)) = (dims(0), dims(1)) else { continue };
        let at = |list: &[i64], i: usize, or: i64| list.get(i).copied().unwrap_or(or);
        let full = |i: usize| {
            at(&sized.strides, i, 1) * (x[i] - 1)
                + at(&sized.padding, i, 0)
                + (at(&kernel, i, 1) - 1) * at(&sized.dilations, i, 1)
                + 1
        };
        // The sizes of batch and channels may stand before.
        let output = &sized.output[sized.output.len().saturating_sub(x.len())..];
        if (0..x.len()).any(|i| at(output, i, i64::MAX) < full(i)) {
            let why = format_err!("an output_shape that cuts something off is not supported");
            return Err(why.context(sized.name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tract;
    use oplat_engine::Backend;
    use oplat_graph::onnx::messages::{
        Dimension, DimensionValue, OperatorSetIdProto, TensorShapeProto, TensorType, TypeProto, TypeValue,
        ValueInfoProto, data_type,
    };
    use oplat_ground::protocol::Load;

    fn word(name: &str, value: &str) -> AttributeProto {
        let s = Some(value.to_owned().into());
        AttributeProto {
            name: Some(name.into()),
            r#type: Some(attribute_type::STRING),
            s,
            ..Default::default()
        }
    }

    fn list(name: &str, ints: &[i64]) -> AttributeProto {
        let (name, kind) = (Some(name.into()), Some(attribute_type::INTS));
        AttributeProto { name, r#type: kind, ints: ints.to_vec(), ..Default::default() }
    }

    fn floats(values: &[f64], dims: &[i64]) -> TensorProto {
        tensor::from_values(values, dims.to_vec(), data_type::FLOAT)
    }

    /// What the engine makes of 0, 1, 2 … in this shape, by a node that also reads constants; or its refusal.
    fn run(
        op: &str,
        opset: i64,
        shape: &[i64],
        constants: Vec<TensorProto>,
        attribute: Vec<AttributeProto>,
    ) -> Result<Vec<f64>, String> {
        let name = |i: usize| format!("c{i}");
        let initializer = constants.into_iter().enumerate();
        let initializer: Vec<_> =
            initializer.map(|(i, tensor)| TensorProto { name: Some(name(i)), ..tensor }).collect();
        let node = NodeProto {
            op_type: Some(op.into()),
            name: Some("it".into()),
            input: std::iter::once("x".to_owned()).chain((0..initializer.len()).map(name)).collect(),
            output: vec!["y".into()],
            attribute,
            ..Default::default()
        };
        let dim = |&n: &i64| Dimension { value: Some(DimensionValue::Value(n)), denotation: None };
        let kind = TensorType {
            elem_type: Some(data_type::FLOAT),
            shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
        };
        let x = ValueInfoProto {
            name: Some("x".into()),
            r#type: Some(TypeProto { value: Some(TypeValue::Tensor(kind)), denotation: None }),
            ..Default::default()
        };
        let y = ValueInfoProto { name: Some("y".into()), ..Default::default() };
        let graph = GraphProto {
            node: vec![node],
            input: vec![x],
            output: vec![y],
            initializer,
            ..Default::default()
        };
        let proto = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { version: Some(opset), ..Default::default() }],
            graph: Some(graph),
            ..Default::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let (file, values) = (folder.path().join("m.onnx"), folder.path().join("values"));
        Model { proto, dir: None }.write(&file).unwrap();
        let bytes: Vec<u8> =
            (0..shape.iter().product()).flat_map(|i: i64| (i as f32).to_le_bytes()).collect();
        std::fs::write(&values, bytes).unwrap();
        let load = Load {
            model: file.display().to_string(),
            values: Some(values.display().to_string()),
            ..Load::default()
        };
        let (mut model, _) = Tract.load(&load).map_err(|failure| failure.message)?;
        Ok(model.outputs().unwrap().tensors[0].to_f64().unwrap())
    }

    #[test]
    fn only_constant_padding_reads_a_value() {
        let pads = || vec![tensor::from_integers(&[1, 2]), floats(&[9.0], &[])];
        let padded = |mode: &str| run("Pad", 13, &[4], pads(), vec![word("mode", mode)]).unwrap();
        assert_eq!(padded("constant"), [9.0, 0.0, 1.0, 2.0, 3.0, 9.0, 9.0]);
        assert_eq!(padded("reflect"), [1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(padded("edge"), [0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn negative_pads_cut_off() {
        let cut = run("Pad", 13, &[2, 4], vec![tensor::from_integers(&[0, -1, 1, -2])], vec![]).unwrap();
        assert_eq!(cut, [1.0, 5.0, 0.0]);
        let axes = vec![tensor::from_integers(&[2, -1]), floats(&[7.0], &[]), tensor::from_integers(&[-1])];
        assert_eq!(run("Pad", 18, &[2, 3], axes, vec![]).unwrap(), [7.0, 7.0, 0.0, 1.0, 7.0, 7.0, 3.0, 4.0]);
    }

    #[test]
    fn the_nearest_element_of_opset_10_is_not_rounded() {
        let resized = |scale: f64| {
            run("Resize", 10, &[1, 1, 1, 4], vec![floats(&[1.0, 1.0, 1.0, scale], &[4])], vec![])
        };
        assert_eq!(resized(1.5).unwrap(), [0.0, 0.0, 1.0, 2.0, 2.0, 3.0]);
        assert_eq!(resized(0.75).unwrap(), [0.0, 2.0, 3.0]);
        let mixed = run("Resize", 10, &[1, 1, 4, 4], vec![floats(&[1.0, 1.0, 2.0, 0.5], &[4])], vec![]);
        assert!(mixed.unwrap_err().contains("opset 11 or later"));
    }

    #[test]
    fn what_tract_would_compute_wrongly_is_refused_by_name() {
        let kernel = || vec![floats(&[1.0; 9], &[1, 1, 3, 3])];
        let shape = [1, 1, 3, 3];
        let strides = || list("strides", &[2, 2]);
        let sized =
            |n| run("ConvTranspose", 17, &shape, kernel(), vec![strides(), list("output_shape", &[n, n])]);
        assert_eq!(sized(7).unwrap().len(), 49);
        let huge = run("Conv", 17, &shape, kernel(), vec![list("pads", &[1 << 40; 4])]);
        let same = vec![strides(), list("output_shape", &[6, 6]), word("auto_pad", "SAME_UPPER")];
        let einsum = |equation: &str| {
            run("Einsum", 17, &[3, 3], vec![floats(&[1.0; 9], &[3, 3])], vec![word("equation", equation)])
        };
        assert_eq!(einsum("...ij,...jk->...ik").unwrap().len(), 9);
        for (refused, expected) in [
            (sized(6), "cuts something off"),
            (huge, "moves no window"),
            (run("ConvTranspose", 17, &shape, kernel(), same), "auto_pad"),
            (einsum("...j,jk->...k"), "each operand"),
            (einsum("ij,jk->"), "all are summed"),
            (run("GlobalLpPool", 17, &shape, vec![], vec![]), "roots and powers"),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.starts_with("node \"it\"") && refused.contains(expected), "{refused}");
        }
    }
}
