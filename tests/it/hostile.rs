//! Damaged and hostile files end in an error or in sites, never in a panic or a hang.

use oplat::activation::Activation;
use oplat::onnx::messages::{
    EXTERNAL, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};
use oplat::onnx::{Model, external};
use oplat::swap::{self, Lowering, Selection};
use proptest::prelude::*;

use crate::support::path;

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// All that is done with a file before an engine sees it.
fn use_it(bytes: Vec<u8>) {
    let Ok(model) = Model::decode(bytes, None) else { return };
    if let Ok((found, chosen)) = Selection::default().choose(swap::find(&model)) {
        for to in ["mish", "prelu", "identity"] {
            let to = Activation::parse(to).unwrap();
            if let Ok(variant) = swap::rewrite(&model, &found, &chosen, &to, Lowering::Kernel) {
                Model::decode(variant.model.encode(), None).expect("what is written is read again");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_refused_or_read(
        name in prop::sample::select(vec!["if_branches", "siren", "fanout_silu", "act_zoo"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        let mut file = bytes(name);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if shorten {
            file.truncate(cut.index(file.len()));
        }
        use_it(file);
    }
}

fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: input.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        op_type: Some(op.into()),
        ..Default::default()
    }
}

#[test]
fn cycles_and_missing_values_are_no_sites() {
    let mut model = Model::decode(bytes("fanout_silu"), None).unwrap();
    let graph = model.graph_mut();
    graph.node.extend([
        node("Mul", &["loop_b", "loop_b"], "loop_a"),
        node("Sigmoid", &["loop_a"], "loop_b"),
        node("Relu", &["nowhere"], "somewhere"),
        node("Sigmoid", &[], "nothing"),
        node("Mul", &["itself", "itself"], "itself"),
        node("", &["", ""], ""),
    ]);
    let found = swap::find(&model);
    assert!(found.sites.iter().filter(|s| s.activation.kind.name == "silu").count() >= 4);
    use_it(model.encode());
}

#[test]
fn a_tower_of_products_takes_no_exponential_time() {
    let mut model = Model::decode(bytes("fanout_silu"), None).unwrap();
    let graph = model.graph_mut();
    for i in 0..2000 {
        let before = if i == 0 { "feat".to_owned() } else { format!("tower{}", i - 1) };
        graph.node.push(node("Mul", &[&before, &before], &format!("tower{i}")));
    }
    assert_eq!(swap::find(&model).sites.len(), 4);
}

#[test]
fn external_data_outside_the_folder_is_not_touched() {
    let mut model = Model::decode(bytes("siren"), Some("/somewhere".into())).unwrap();
    let location =
        |value: &str| StringStringEntryProto { key: Some("location".into()), value: Some(value.into()) };
    for path in ["../../secret", "/etc/passwd", "a/../../b"] {
        model.graph_mut().initializer = vec![TensorProto {
            data_location: Some(EXTERNAL),
            external_data: vec![location(path)],
            ..Default::default()
        }];
        let folder = tempfile::tempdir().unwrap();
        let error = external::follow(&mut model.clone(), folder.path(), "x.onnx").unwrap_err();
        assert!(error.message.contains("outside the model's folder"), "{error}");
    }
}

#[test]
fn calls_that_are_swapped_alike_share_a_function() {
    let opset = |domain: &str| OperatorSetIdProto { domain: Some(domain.into()), version: Some(17) };
    let function = FunctionProto {
        name: Some("F".into()),
        domain: Some("d".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node("Sigmoid", &["a"], "s"), node("Mul", &["a", "s"], "b")],
        opset_import: vec![opset("")],
        ..Default::default()
    };
    let call = |i: usize| NodeProto {
        domain: Some("d".into()),
        ..node("F", &[&format!("v{i}")], &format!("v{}", i + 1))
    };
    let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
    let graph = GraphProto {
        node: (0..1000).map(call).collect(),
        input: vec![value("v0")],
        output: vec![value("v1000")],
        ..Default::default()
    };
    let proto = ModelProto {
        graph: Some(graph),
        opset_import: vec![opset(""), opset("d")],
        functions: vec![function],
        ..Default::default()
    };
    let model = Model { proto, dir: None };
    let (found, chosen) = Selection::default().choose(swap::find(&model)).expect("sites");
    let mish = Activation::parse("mish").expect("known");
    let swapped = swap::rewrite(&model, &found, &chosen, &mish, Lowering::Exported).expect("swapped");
    assert_eq!(swapped.sites.len(), 1000);
    assert_eq!(swapped.model.proto.functions.len(), 1, "one for all of them");
}

#[test]
fn what_fuzzing_found_is_refused_or_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx");
    let files: Vec<_> = std::fs::read_dir(folder).expect("the corpus").collect();
    assert!(files.len() > 20);
    files.into_iter().for_each(|file| use_it(std::fs::read(file.expect("a file").path()).expect("bytes")));
}
