//! Sites are found where the source code of the exported networks applies an activation, and swapping them
//! gives what the exporter itself writes.

use std::collections::BTreeMap;
use std::path::Path;

use oplat::activation::{Activation, kinds};
use oplat::onnx::messages::NodeProto;
use oplat::onnx::{Model, for_each_node};
use oplat::swap::{self, Found, Lowering, Now, Refusal, Selection, Variant};

use crate::support::path;

fn model(name: &str) -> Model {
    Model::read(&path(name)).unwrap()
}

/// `17 silu, 1 relu; 2 gates and decodes`
fn summary(found: &Found) -> String {
    let counts: BTreeMap<_, _> = found.counts().into_iter().collect();
    let counts: Vec<_> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let kept =
        found.not_sites.iter().filter(|n| matches!(n.refusal, Refusal::Gate | Refusal::Decode)).count();
    format!("{}; {kept}", counts.join(", "))
}

fn swapped(model: &Model, to: &str, from: &[&str]) -> Variant {
    let from = from.iter().map(|f| Now::parse(f).unwrap()).collect();
    let (found, chosen) = Selection { from, ..Default::default() }.choose(swap::find(model)).unwrap();
    swap::rewrite(model, &found, &chosen, &Activation::parse(to).unwrap(), Lowering::Exported).unwrap()
}

#[test]
fn sites_are_those_counted_by_hand() {
    let rows = [
        ("minidet_silu", "1 relu, 17 silu; 2"),
        ("minidet_mish", "17 mish, 1 relu; 2"),
        ("minidet_mish_manual", "17 mish, 1 relu; 2"),
        ("minidet_mish_dynamo", "17 mish, 1 relu; 2"),
        ("minidet_hardswish_op12", "17 hard_swish, 1 relu; 2"),
        ("minidet_hswish_manual", "17 hard_swish, 1 relu; 2"),
        ("minidet_gelu", "17 gelu, 1 relu; 2"),
        ("minidet_sigmoid", "1 relu, 17 sigmoid; 2"),
        ("minidet_prelu", "17 prelu, 1 relu; 2"),
        ("minidet_softplus", "1 relu, 17 softplus; 2"),
        ("minidet_swish_beta1702", "17 quick_gelu, 1 relu; 2"),
        ("minidet_silu_fp16", "1 relu, 17 silu; 2"),
        ("minidet_silu_dynamic", "1 relu, 17 silu; 2"),
        ("minidet_silu_unfolded", "1 relu, 17 silu; 2"),
        ("minidet_silu_external", "1 relu, 17 silu; 2"),
        ("minidet_silu_dynamo18", "1 relu, 17 silu; 2"),
        ("minidet_silu_int8_qdq", "17 silu; 2"),
        ("encoder_gelu_erf", "2 gelu; 0"),
        ("encoder_gelu_tanh", "2 gelu_tanh; 0"),
        ("fanout_silu", "4 silu; 2"),
        ("if_branches", "1 relu, 2 silu; 0"),
        ("siren", "3 sine; 0"),
        ("act_zoo", "1 celu, 1 elu, 2 prelu, 1 selu, 1 softplus, 1 softsign; 1"),
        ("rnn_lstm_gru", "1 relu; 0"),
    ];
    for (name, expected) in rows {
        assert_eq!(summary(&swap::find(&model(name))), expected, "{name}");
    }
}

#[test]
fn a_gate_and_a_decode_are_told_apart() {
    let found = swap::find(&model("fanout_silu"));
    let kept: Vec<_> = found.not_sites.iter().map(|n| (n.name.as_str(), n.refusal)).collect();
    assert_eq!(kept, [("/Sigmoid", Refusal::Gate), ("/Sigmoid_2", Refusal::Decode)]);
}

#[test]
fn parameters_are_read_from_the_graph() {
    let found = swap::find(&model("act_zoo"));
    let sites: Vec<_> = found.sites.iter().map(|s| s.activation.to_string()).collect();
    assert_eq!(sites, ["prelu", "prelu:0.36", "elu:0.9", "selu", "celu:0.7", "softplus:2", "softsign"]);
    let sines: Vec<_> = swap::find(&model("siren")).sites.iter().map(|s| s.activation.to_string()).collect();
    assert_eq!(sines, ["sine", "sine:1", "sine:1"]);
}

#[test]
fn reading_and_writing_a_file_changes_nothing() {
    for entry in std::fs::read_dir(path("x").parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "onnx") {
            let bytes = std::fs::read(&path).unwrap();
            assert!(Model::read(&path).unwrap().encode() == bytes, "{}", path.display());
        }
    }
}

/// Operators in order, constants apart.
fn operators(model: &Model) -> Vec<String> {
    let mut found = vec![];
    for_each_node(model.graph(), &mut |node: &NodeProto| {
        let op = node.op_type.clone().unwrap_or_default();
        if op != "Constant" && op != "Identity" {
            found.push(op);
        }
    });
    found
}

#[test]
fn a_swap_gives_what_the_exporter_writes() {
    let rows = [
        ("minidet_silu", "mish", "minidet_mish"),
        ("minidet_silu", "gelu", "minidet_gelu"),
        ("minidet_silu", "sigmoid", "minidet_sigmoid"),
        ("minidet_silu", "softplus", "minidet_softplus"),
        ("minidet_silu", "prelu", "minidet_prelu"),
        ("minidet_silu", "quick_gelu", "minidet_swish_beta1702"),
        ("minidet_mish", "silu", "minidet_silu"),
        ("minidet_gelu", "mish", "minidet_mish"),
        ("minidet_hswish_manual", "silu", "minidet_silu"),
        ("encoder_gelu_erf", "gelu_tanh", "encoder_gelu_tanh"),
    ];
    for (name, to, twin) in rows {
        let original = model(name);
        let from = swap::find(&original).sites[0].activation.kind.name;
        let variant = swapped(&original, to, &[from]);
        assert_eq!(operators(&variant.model), operators(&model(twin)), "{name} with {to}");
    }
}

#[test]
fn whatever_is_put_in_is_found_again() {
    for name in ["minidet_silu", "minidet_hardswish_op12", "minidet_silu_fp16", "minidet_silu_dynamo18"] {
        let original = model(name);
        let sites = swap::find(&original).sites;
        for kind in kinds().filter(|k| k.is_found()) {
            let variant = swapped(&original, kind.name, &[]);
            let again = swap::find(&variant.model);
            let names = |found: &[swap::Site]| found.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
            let wanted = match kind.name {
                // With a factor of one, Swish is SiLU, and CELU (which half floats don't have) is ELU.
                "swish" => "silu",
                "celu" if name.ends_with("fp16") => "elu",
                other => other,
            };
            assert!(
                again.sites.iter().all(|s| s.activation.kind.name == wanted),
                "{name} with {wanted}: {:?}",
                again.counts()
            );
            assert_eq!(names(&again.sites), names(&sites), "{name} with {}", kind.name);
            let nodes: Vec<_> = again.sites.iter().map(|s| s.nodes.clone()).collect();
            let told: Vec<_> = variant.sites.iter().map(|s| s.nodes.clone()).collect();
            assert_eq!(told, nodes, "the variant says which nodes compute its sites");
        }
    }
}

#[test]
fn whatever_can_be_swapped_in_is() {
    for name in ["minidet_silu", "minidet_hardswish_op12", "minidet_silu_dynamic", "minidet_silu_int8_qdq"] {
        let original = model(name);
        for kind in kinds().filter(|k| k.unswappable_because.is_none() && !k.is_found()) {
            let variant = swapped(&original, kind.name, &[]);
            assert!(
                variant.sites.iter().all(|s| s.selected && s.to == kind.name),
                "{name} with {}",
                kind.name
            );
            let left = swap::find(&variant.model);
            let wanted = match kind.name {
                // What it is in a file.
                "rrelu" => vec!["leaky_relu"],
                _ => vec![],
            };
            let kinds: Vec<_> = left.counts().into_iter().map(|(kind, _)| kind).collect();
            assert_eq!(kinds, wanted, "{name} with {}", kind.name);
        }
    }
}

#[test]
fn an_activation_with_weights_has_those_of_its_channels() {
    let variant = swapped(&model("minidet_silu"), "frelu", &["silu"]);
    let tensors = variant.model.graph().initializer.iter().filter(|t| t.name().contains("/act/Mul/Constant"));
    let filters: Vec<_> = tensors.map(|t| &t.dims).filter(|dims| dims.len() == 4).collect();
    assert_eq!(filters.len(), 17);
    assert!(filters.iter().all(|f| f[0] > 1 && f[1..] == [1, 3, 3]), "{filters:?}");
    let again = swapped(&model("minidet_silu"), "frelu", &["silu"]);
    assert_eq!(again.model.encode(), variant.model.encode(), "the same weights every time");
}

#[test]
fn a_site_without_channels_is_skipped_with_its_reason() {
    let all = |name: &str, to: &str| {
        let original = model(name);
        let (found, chosen) = Selection::default().choose(swap::find(&original)).unwrap();
        swap::rewrite(&original, &found, &chosen, &Activation::parse(to).unwrap(), Lowering::Exported)
    };
    let message = all("siren", "frelu").unwrap_err().message;
    assert!(message.contains("frelu needs a feature map of a known number of channels"), "{message}");
    let message = all("minidet_silu", "maxout").unwrap_err().message;
    assert_eq!(message, "maxout can't be swapped in: it leaves a k-th of the channels");
}

#[test]
fn a_swap_changes_nothing_outside_its_sites() {
    let original = model("minidet_silu");
    let selection =
        Selection { sites: vec!["/c1/*".into()], skip: vec!["*/b/*".into()], ..Default::default() };
    let (found, chosen) = selection.choose(swap::find(&original)).unwrap();
    assert_eq!(chosen.len(), 4);
    let variant =
        swap::rewrite(&original, &found, &chosen, &Activation::parse("relu").unwrap(), Lowering::Exported)
            .unwrap();
    let touched: Vec<usize> = chosen.iter().flat_map(|&i| found.sites[i].nodes.clone()).collect();
    let mut kept = vec![];
    for_each_node(original.graph(), &mut |node| kept.push(node));
    let kept = kept.into_iter().enumerate().filter(|(i, _)| !touched.contains(i)).map(|(_, n)| n);
    let mut written = vec![];
    for_each_node(variant.model.graph(), &mut |node| written.push(node));
    let new: Vec<_> = variant.sites.iter().filter(|s| s.selected).flat_map(|s| s.nodes.clone()).collect();
    let written = written.into_iter().enumerate().filter(|(i, _)| !new.contains(i)).map(|(_, n)| n);
    assert!(kept.eq(written), "other nodes stay as they were");
    let rest = |model: &Model| {
        let mut proto = model.proto.clone();
        proto.graph.as_mut().unwrap().node.clear();
        proto
    };
    assert_eq!(rest(&original), rest(&variant.model));
}

#[test]
fn an_identity_in_every_site_leaves_no_orphan_behind() {
    let original = model("minidet_prelu");
    let variant = swapped(&original, "identity", &["prelu"]);
    let slopes = |m: &Model| m.graph().initializer.iter().filter(|t| t.name().contains("PRelu")).count();
    assert_eq!((slopes(&original), slopes(&variant.model)), (1, 0));
}

#[test]
fn external_data_follows_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("mish.onnx");
    swapped(&model("minidet_silu_external"), "mish", &[]).model.write(&out).unwrap();
    let data = "minidet_silu_external.onnx.data";
    let bytes = |p: &Path| std::fs::read(p).unwrap();
    assert_eq!(bytes(&folder.path().join(data)), bytes(&path("x").with_file_name(data)));

    // A different file of that name is not overwritten: the new model gets its data under another name.
    std::fs::write(folder.path().join(data), "somebody else's").unwrap();
    swapped(&model("minidet_silu_external"), "relu", &[])
        .model
        .write(&folder.path().join("relu.onnx"))
        .unwrap();
    assert_eq!(bytes(&folder.path().join(data)), b"somebody else's");
    let again = Model::read(&folder.path().join("relu.onnx")).unwrap();
    let named = oplat::onnx::external::locations(&again);
    assert_eq!(named.into_iter().collect::<Vec<_>>(), [format!("relu.onnx.{data}")]);
    assert!(folder.path().join(format!("relu.onnx.{data}")).exists());
}

#[test]
fn a_selection_that_chooses_nothing_says_what_there_is() {
    let refused = |selection: Selection| {
        selection.choose(swap::find(&model("minidet_silu"))).map(|_| ()).unwrap_err().message
    };
    let mish = Selection { from: vec![Now::parse("mish").unwrap()], ..Default::default() };
    assert_eq!(refused(mish), "the model has no mish site, but 17 silu, 1 relu");
    let glob = Selection { sites: vec!["nothing*".into()], ..Default::default() };
    assert!(refused(glob).contains("no site is named `nothing*`"));
    let none = Selection { skip: vec!["*".into()], ..Default::default() };
    assert!(refused(none).contains("leaves no site"));
}

#[test]
fn an_opset_without_the_operators_is_refused() {
    let mut old = model("minidet_silu");
    old.proto.opset_import[0].version = Some(8);
    let (found, all) = Selection::default().choose(swap::find(&old)).unwrap();
    let error = swap::rewrite(&old, &found, &all, &Activation::parse("gelu").unwrap(), Lowering::Exported)
        .unwrap_err();
    assert_eq!(error.message, "gelu needs opset 9, the model has 8: export it again with a newer one");
}

#[test]
fn kernels_are_sites_again_and_leave_with_the_functions_that_they_brought() {
    let original = model("minidet_hardswish_op12");
    let found = swap::find(&original);
    let all: Vec<usize> = (0..found.sites.len()).collect();
    for text in ["mish", "swish:1.5", "hard_sigmoid", "sine:30"] {
        let activation = Activation::parse(text).unwrap();
        let variant = swap::rewrite(&original, &found, &all, &activation, Lowering::Kernel).unwrap();
        let proto = &variant.model.proto;
        assert_eq!((proto.functions.len(), proto.ir_version), (1, Some(8)), "{text}");
        assert!(proto.opset_import.iter().any(|o| o.domain() == swap::DOMAIN));
        let again = swap::find(&variant.model);
        let spelled: Vec<_> = again.sites.iter().map(|s| s.activation.to_string()).collect();
        assert!(spelled.iter().all(|s| *s == activation.to_string()), "{text}: {spelled:?}");
        let names = |found: &Found| found.sites.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&again), names(&found), "{text}");
        let nodes: Vec<_> = again.sites.iter().map(|s| s.nodes.clone()).collect();
        assert_eq!(variant.sites.iter().map(|s| s.nodes.clone()).collect::<Vec<_>>(), nodes);

        let relu = Activation::parse("relu").unwrap();
        let back = swap::rewrite(&variant.model, &again, &all, &relu, Lowering::Exported).unwrap().model;
        assert!(back.proto.functions.is_empty(), "{text}");
        assert!(!back.proto.opset_import.iter().any(|o| o.domain() == swap::DOMAIN), "{text}");
    }
}
