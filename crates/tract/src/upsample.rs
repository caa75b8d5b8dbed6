//! Upsampling that repeats each row and column, written as a reshape, an expansion and a reshape.
//!
//! tract 0.23.9 trips over its own simplification of these where a concatenation and a convolution follow, as in YOLOv4. So they
//! are said in the one operator that they are.

use std::collections::HashMap;

use oplat_graph::onnx::build::Names;
use oplat_graph::onnx::constants::Constants;
use oplat_graph::onnx::index::{Index, Node};
use oplat_graph::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_type, data_type,
};
use oplat_graph::onnx::{self, Model, tensor};

/// The first opset whose `Resize` takes scales as its third input.
const SINCE: i64 = 11;

/// What a reshape puts out: a value, with its rows and columns repeated so often.
struct Upsampled {
    of: String,
    times: [f64; 2],
}

/// Rewrites upsampling in the main graph.
pub fn rewrite(model: &mut ModelProto) {
    repeat(model);
    let opset = onnx::opset(model);
    if let Some(graph) = model.graph.as_mut().filter(|_| (SINCE..ROI_MAY_BE_LEFT_OUT).contains(&opset)) {
        give_regions(graph);
    }
}

/// The first opset whose `Resize` may be told no region; before, it gets an empty one.
const ROI_MAY_BE_LEFT_OUT: i64 = 13;

fn give_regions(graph: &mut GraphProto) {
    let left_out =
        |node: &&mut NodeProto| node.op_type() == "Resize" && node.input.get(1).is_some_and(String::is_empty);
    if graph.node.iter_mut().filter(left_out).count() == 0 {
        return;
    }
    let name = Names::of(graph).fresh("no_region".to_owned());
    for node in graph.node.iter_mut().filter(left_out) {
        node.input[1].clone_from(&name);
    }
    let empty = tensor::from_values(&[], vec![0], data_type::FLOAT);
    graph.initializer.push(TensorProto { name: Some(name), ..empty });
}

fn repeat(model: &mut ModelProto) {
    let expands = model.graph.iter().flat_map(|g| &g.node).any(|node| node.op_type() == "Expand");
    if !expands || onnx::opset(model) < SINCE {
        return;
    }
    let copy = Model { proto: model.clone(), dir: None };
    let index = Index::new(&copy);
    let constants = Constants::new(&index);
    let found = |node: &Node| Some((node.proto.name().to_owned(), upsampled(node, &index, &constants)?));
    let found: HashMap<String, Upsampled> = index.nodes.iter().filter_map(found).collect();
    if let Some(graph) = model.graph.as_mut() {
        put(graph, &found);
    }
}

/// What a node upsamples: a reshape to four dimensions, behind an expansion from N, C, H, 1, W, 1 to N, C, H, a, W, b, behind a
/// reshape to the former.
fn upsampled(node: &Node, index: &Index, constants: &Constants) -> Option<Upsampled> {
    let before = |node: &Node| Some(&index.nodes[index.producer(*node.inputs.first()?.as_ref()?)?]);
    let listed = |node: &Node| {
        let numbers = constants.get(*node.inputs.get(1)?.as_ref()?)?;
        Some(numbers.values.iter().cycle().take(numbers.dims.iter().product()).copied().collect::<Vec<f64>>())
    };
    let expand = before(node).filter(|before| node.is("Reshape") && before.is("Expand"))?;
    let first = before(expand).filter(|first| first.is("Reshape"))?;
    let (from, wide, to) = (listed(first)?, listed(expand)?, listed(node)?);
    let (&[n, c, h, one, w, another], &[n2, c2, h2, a, w2, b]) = (from.as_slice(), wide.as_slice()) else {
        return None;
    };
    let fits = [one, another] == [1.0, 1.0] && [n, c, h, w] == [n2, c2, h2, w2] && to == [n, c, h * a, w * b];
    let of = index.name(*first.inputs.first()?.as_ref()?).to_owned();
    (fits && n > 0.0 && a >= 1.0 && b >= 1.0).then_some(Upsampled { of, times: [a, b] })
}

fn put(graph: &mut GraphProto, found: &HashMap<String, Upsampled>) {
    let mut names = Names::of(graph);
    let mut scales = vec![];
    for node in &mut graph.node {
        let Some(Upsampled { of, times: [rows, columns] }) = found.get(node.name()) else { continue };
        let name = names.fresh(format!("{}_scales", node.name()));
        let values = tensor::from_values(&[1.0, 1.0, *rows, *columns], vec![4], data_type::FLOAT);
        scales.push(TensorProto { name: Some(name.clone()), ..values });
        let text = |name: &str, text: &str| AttributeProto {
            name: Some(name.into()),
            r#type: Some(attribute_type::STRING),
            s: Some(text.to_owned().into()),
            ..AttributeProto::default()
        };
        *node = NodeProto {
            op_type: Some("Resize".into()),
            input: vec![of.clone(), String::new(), name],
            attribute: vec![
                text("mode", "nearest"),
                text("coordinate_transformation_mode", "asymmetric"),
                text("nearest_mode", "floor"),
            ],
            ..std::mem::take(node)
        };
    }
    graph.initializer.extend(scales);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            name: Some(output.into()),
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    fn rewritten(wide: &[i64]) -> GraphProto {
        let list = |name: &str, values: &[i64]| TensorProto {
            name: Some(name.into()),
            ..tensor::from_integers(values)
        };
        let graph = GraphProto {
            node: vec![
                node("Reshape", &["x", "narrow"], "r"),
                node("Expand", &["r", "wide"], "e"),
                node("Reshape", &["e", "flat"], "y"),
            ],
            initializer: vec![
                list("narrow", &[1, 8, 10, 1, 10, 1]),
                list("wide", wide),
                list("flat", &[1, 8, 20, 30]),
            ],
            ..Default::default()
        };
        let imports =
            vec![oplat_graph::onnx::messages::OperatorSetIdProto { domain: None, version: Some(13) }];
        let mut model = ModelProto { graph: Some(graph), opset_import: imports, ..Default::default() };
        rewrite(&mut model);
        model.graph.unwrap()
    }

    #[test]
    fn repeated_rows_and_columns_are_a_resize() {
        let graph = rewritten(&[1, 8, 10, 2, 10, 3]);
        let last = graph.node.last().unwrap();
        assert_eq!((last.op_type(), last.input[0].as_str(), last.output[0].as_str()), ("Resize", "x", "y"));
        let scales = tensor::numbers(graph.initializer.last().unwrap(), None, 4).unwrap();
        assert_eq!(scales, [1.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_region_that_is_left_out_is_an_empty_one_where_there_must_be_one() {
        for (opset, expected) in [(11, "no_region"), (13, "")] {
            let graph = GraphProto { node: vec![node("Resize", &["x", "", "s"], "y")], ..Default::default() };
            let imports =
                vec![oplat_graph::onnx::messages::OperatorSetIdProto { domain: None, version: Some(opset) }];
            let mut model = ModelProto { graph: Some(graph), opset_import: imports, ..Default::default() };
            rewrite(&mut model);
            assert_eq!(model.graph.unwrap().node[0].input[1], expected);
        }
    }

    #[test]
    fn another_expansion_stays() {
        assert_eq!(rewritten(&[1, 8, 10, 2, 20, 3]).node.last().unwrap().op_type(), "Reshape");
    }
}
