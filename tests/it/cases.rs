//! Graphs after public bug reports: the sites that are right are found, and swapping gives the twin that was made by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use oplat::activation::Activation;
use oplat::engines;
use oplat::onnx::Model;
use oplat::onnx::for_each_node;
use oplat::onnx::messages::NodeProto;
use oplat::protocol::Load;
use oplat::swap::{self, Lowering, Now, Refusal, Selection, Variant};

use crate::support;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format!("{name}.onnx"))
}

fn model(name: &str) -> Model {
    Model::read(&file(name)).unwrap()
}

/// The cases that aren't refused, with what is expected of each.
fn cases() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(file("x").with_file_name("expected.json")).unwrap();
    let all: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    assert!(all.len() > 15);
    all.into_iter().filter(|(_, expected)| expected.get("refuse").is_none()).collect()
}

#[test]
fn sites_are_those_worked_out_by_hand() {
    let mut wrong = vec![];
    for (name, expected) in cases() {
        let found = swap::find(&model(&name));
        let is: BTreeMap<&str, u64> = found.counts().into_iter().map(|(kind, n)| (kind, n as u64)).collect();
        let should = expected["sites"].as_object().unwrap();
        let should: BTreeMap<&str, u64> =
            should.iter().map(|(kind, n)| (kind.as_str(), n.as_u64().unwrap())).collect();
        if is != should {
            wrong.push(format!("{name}: {is:?}, not {should:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn swapped(name: &str, to: &str, selection: Selection) -> Variant {
    let original = model(name);
    let (found, chosen) = selection.choose(swap::find(&original)).unwrap();
    swap::rewrite(&original, &found, &chosen, &Activation::parse(to).unwrap(), Lowering::Exported).unwrap()
}

/// How many nodes of each operator there are, constants and what changes nothing apart.
fn operators(model: &Model) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for_each_node(model.graph(), &mut |node: &NodeProto| {
        if !["Constant", "Identity"].contains(&node.op_type()) {
            *counts.entry(node.op_type().to_owned()).or_insert(0) += 1;
        }
    });
    counts
}

#[test]
fn a_swap_gives_the_operators_of_the_twin() {
    let mut compared = 0;
    for (name, expected) in cases() {
        for act in expected["twins"].as_array().into_iter().flatten().map(|act| act.as_str().unwrap()) {
            let twin = model(&format!("{name}.{act}"));
            let variant = swapped(&name, act, Selection::default());
            // What had no effect stays, and a twin has it not.
            let mut is = operators(&variant.model);
            let mut should = operators(&twin);
            for op in ["Clip", "Max", "Div", "Sqrt"] {
                is.remove(op);
                should.remove(op);
            }
            assert_eq!(is, should, "{name} with {act}");
            compared += 1;
        }
    }
    assert!(compared > 25, "{compared} twins");
}

/// What the engine makes of a model's seeded inputs.
fn outputs(model: &Model, expected: &Value, folder: &Path) -> Vec<f64> {
    let file = folder.join("model.onnx");
    model.write(&file).unwrap();
    let size = |dim: &Value| (dim[0].as_str().unwrap().to_owned(), dim[1].as_i64().unwrap());
    let dims = expected["dims"].as_array().into_iter().flatten().map(size).collect();
    let load = Load { model: file.display().to_string(), dims, seed: 1, ..Load::default() };
    let (mut loaded, _) =
        engines::default().load(&load).unwrap_or_else(|failure| panic!("{}", failure.message));
    let outputs = loaded.outputs().unwrap_or_else(|failure| panic!("{}", failure.message));
    outputs.tensors.iter().flat_map(|tensor| tensor.to_f64().unwrap()).collect()
}

#[test]
fn a_swap_computes_what_the_twin_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = vec![];
    for (name, expected) in cases() {
        let tolerance = expected["tol"].as_f64().unwrap_or(2e-4);
        for act in expected["twins"].as_array().into_iter().flatten().map(|act| act.as_str().unwrap()) {
            let is = outputs(&swapped(&name, act, Selection::default()).model, &expected, folder.path());
            let should = outputs(&model(&format!("{name}.{act}")), &expected, folder.path());
            let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
            let off =
                norm(&mut is.iter().zip(&should).map(|(a, b)| a - b)) / norm(&mut should.iter().copied());
            if is.len() != should.len() || off.is_nan() || off > tolerance {
                wrong.push(format!("{name} with {act}: {off} away"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_nodes_that_write_one_value_are_refused_by_name() {
    let path = file("double_written");
    let path = path.to_str().unwrap();
    for arguments in [
        &["swap", path, "--act", "relu", "-o", "/nowhere/x.onnx"][..],
        &["profile", path],
        &["inspect", path],
    ] {
        let (code, printed, said) = support::run(arguments);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.contains("nodes first and second both write the value t"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn an_unknown_function_is_swapped_only_if_asked() {
    let original = model("snake");
    let refused = Selection::default().choose(swap::find(&original)).map(|_| ()).unwrap_err().message;
    assert!(refused.contains("2 that oplat doesn't know: `--from unknown`"), "{refused}");
    let all = Selection { from: vec![Now::parse("unknown").unwrap()], ..Default::default() };
    let variant = swapped("snake", "silu", all);
    assert_eq!(swap::find(&variant.model).counts(), [("silu", 2)]);
    assert!(variant.sites.iter().all(|site| site.from == "unknown" && site.to == "silu"));
    let one = Selection { sites: vec!["snake1".into()], ..Default::default() };
    let left = swap::find(&swapped("snake", "silu", one).model);
    assert_eq!((left.sites.len(), left.not_sites.len()), (1, 1));
    assert_eq!(left.not_sites[0].refusal, Refusal::Unknown);
}

/// The names of the functions that a model brings along, and of those that its main graph calls.
fn functions(model: &Model) -> (Vec<String>, Vec<String>) {
    let own: Vec<String> = model.proto.functions.iter().map(|f| f.name().to_owned()).collect();
    let is_call = |node: &&NodeProto| own.iter().any(|name| name == node.op_type());
    let called = model.graph().node.iter().filter(is_call).map(|node| node.op_type().to_owned());
    (own.clone(), called.collect())
}

#[test]
fn a_function_whose_calls_are_partly_swapped_has_a_copy() {
    let file = support::path("minidet_silu_t25_dynamoexport");
    let original = Model::read(&file).unwrap();
    let found = swap::find(&original);
    assert_eq!(found.counts(), [("silu", 17), ("relu", 1)]);
    assert!(found.sites.iter().filter(|site| site.within.is_some()).count() == 17);
    let names: Vec<String> = found.sites.iter().map(|site| site.name.clone()).collect();
    let one = names.iter().position(|name| name.contains("CSP") && name.contains("c1_m1")).unwrap();
    let mish = Activation::parse("mish").unwrap();

    let variant = swap::rewrite(&original, &found, &[one], &mish, Lowering::Exported).unwrap();
    let again = swap::find(&variant.model);
    assert_eq!(again.sites.iter().map(|s| s.name.clone()).collect::<Vec<_>>(), names);
    let swapped: Vec<usize> =
        (0..names.len()).filter(|&i| again.sites[i].activation.kind.name == "mish").collect();
    assert_eq!(swapped, [one]);
    let before = functions(&original);
    let after = functions(&variant.model);
    assert_eq!(before.0.len(), after.0.len(), "each is called once, so that copies take their places");
    assert_eq!(before.1.iter().zip(&after.1).filter(|(a, b)| a != b).count(), 1);

    let all: Vec<usize> = (0..names.len()).collect();
    for lowering in [Lowering::Exported, Lowering::Kernel] {
        let variant = swap::rewrite(&original, &found, &all, &mish, lowering).unwrap();
        assert_eq!(swap::find(&variant.model).counts(), [("mish", 18)], "{lowering:?}");
    }
}

#[test]
fn sites_inside_functions_have_nodes_of_their_own_once_these_are_opened() {
    let original = Model::read(&support::path("minidet_silu_t25_dynamoexport")).unwrap();
    let (flat, found) = swap::flat(&original);
    let names = |found: &swap::Found| -> Vec<String> { found.sites.iter().map(|s| s.name.clone()).collect() };
    assert_eq!(names(&found), names(&swap::find(&original)));
    assert!(flat.proto.functions.is_empty() && found.sites.iter().all(|site| site.within.is_none()));
    let mut nodes: Vec<usize> = found.sites.iter().flat_map(|site| site.nodes.clone()).collect();
    nodes.dedup();
    assert_eq!(nodes.len(), 17 * 2 + 1, "a Sigmoid and a Mul each, and a Relu");

    let mut older = original;
    older.proto.functions[0].opset_import[0].version = Some(11);
    assert_eq!(swap::flat(&older).0.proto, older.proto, "its operators may mean something else there");
}

#[test]
fn a_hundred_thousand_nodes_are_looked_through() {
    let mut chain = model("passthrough");
    let graph = chain.graph_mut();
    let node = |op: &str, input: [&str; 2], output: &str| NodeProto {
        op_type: Some(op.into()),
        input: input.iter().filter(|name| !name.is_empty()).map(|&name| name.to_owned()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    for i in 0..50_000 {
        let before = if i == 0 { "v4".to_owned() } else { format!("m{}", i - 1) };
        let (gate, out) = (format!("s{i}"), format!("m{i}"));
        graph.node.push(node("Sigmoid", [&before, ""], &gate));
        graph.node.push(node("Mul", [&before, &gate], &out));
    }
    let found = swap::find(&chain);
    assert_eq!(found.counts(), [("silu", 50_001)]);
    let all: Vec<usize> = (0..found.sites.len()).collect();
    let relu = Activation::parse("relu").unwrap();
    let variant = swap::rewrite(&chain, &found, &all, &relu, Lowering::Exported).unwrap();
    assert!(variant.sites.iter().all(|site| site.selected));
}
