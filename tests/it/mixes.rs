//! Different activations at different sites, as a user meets them, and that they compute what they say.

use std::path::Path;

use serde_json::Value;

use oplat::activation::Activation;
use oplat::engines;
use oplat::onnx::messages::{AttributeProto, NodeProto, attribute_type};
use oplat::onnx::{Model, for_each_node, for_each_node_mut};
use oplat::protocol::Load;
use oplat::swap::{self, Assignment, Lowering, Mix, Selection, Variant, mix};

use crate::support::{json, run};

const MODEL: &str = "tests/models/minidet_silu.onnx";

fn mixed(model: &Model, text: &str, lowering: Lowering) -> Variant {
    let mix = [Mix::parse(text).unwrap()];
    let chosen = mix::choose(swap::find(model), &Selection::default(), &mix).unwrap();
    swap::assign(model, &chosen.found, &chosen.assignments[0], &|_| lowering).unwrap()
}

/// What the engine makes of a model's seeded inputs.
fn outputs(model: &Model, folder: &Path) -> Vec<f64> {
    let file = folder.join("model.onnx");
    model.write(&file).unwrap();
    let load = Load { model: file.display().to_string(), seed: 1, ..Load::default() };
    let (mut loaded, _) = engines::default().load(&load).unwrap_or_else(|f| panic!("{}", f.message));
    let outputs = loaded.outputs().unwrap_or_else(|f| panic!("{}", f.message));
    outputs.tensors.iter().flat_map(|tensor| tensor.to_f64().unwrap()).collect()
}

/// How far apart they are, relative L2.
fn apart(is: &[f64], should: &[f64]) -> f64 {
    assert_eq!(is.len(), should.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut is.iter().zip(should).map(|(a, b)| a - b)) / norm(&mut should.iter().copied())
}

#[test]
fn a_mix_computes_what_a_graph_made_by_hand_does() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::read(Path::new(MODEL)).unwrap();
    let sites: Vec<String> = swap::find(&model).sites.into_iter().map(|site| site.name).collect();
    let (tanh, kept) = (&sites[2], &sites[4]);
    // By hand, the product x * sigmoid(x) of a site becomes one operator on x.
    let mut by_hand = model.clone();
    let mut sigmoids = vec![];
    for_each_node(model.graph(), &mut |node: &NodeProto| {
        if node.op_type() == "Sigmoid" {
            sigmoids.push(node.output[0].clone());
        }
    });
    let mut changed = 0;
    for_each_node_mut(by_hand.graph_mut(), &mut |node| {
        let name = node.name.clone().unwrap_or_default();
        if node.op_type() == "Mul" && sites.contains(&name) && name != *kept {
            node.input.retain(|input| !sigmoids.contains(input));
            node.op_type = Some(if name == *tanh { "Tanh" } else { "Relu" }.to_owned());
            changed += 1;
        }
    });
    assert_eq!(changed, 16, "of 17 SiLUs");
    let should = outputs(&by_hand, folder.path());
    let text = format!("relu, {tanh}=tanh, {kept}=keep");
    for lowering in [Lowering::Exported, Lowering::Kernel] {
        let off = apart(&outputs(&mixed(&model, &text, lowering).model, folder.path()), &should);
        assert!(off < 1e-5, "{lowering:?}: {off}");
    }
    let other = outputs(&mixed(&model, "relu", Lowering::Exported).model, folder.path());
    assert!(apart(&other, &should) > 1e-3, "it is seen which activation stands where");
}

/// Two calls of one function, which is a SiLU and a pooling behind it.
fn pooled() -> Model {
    let mut model = Model::read(Path::new("tests/cases/functions_silu.onnx")).unwrap();
    let function = &mut model.proto.functions[0];
    let last = function.node.last_mut().unwrap();
    let output = std::mem::replace(&mut last.output[0], "unpooled".to_owned());
    let size = AttributeProto {
        name: Some("kernel_shape".to_owned()),
        r#type: Some(attribute_type::INTS),
        ints: vec![1, 1],
        ..Default::default()
    };
    function.node.push(NodeProto {
        op_type: Some("MaxPool".to_owned()),
        name: Some("pool".to_owned()),
        input: vec!["unpooled".to_owned()],
        output: vec![output],
        attribute: vec![size],
        ..Default::default()
    });
    model
}

#[test]
fn calls_of_one_function_take_an_activation_each() {
    let folder = tempfile::tempdir().unwrap();
    let model = pooled();
    let found = swap::find(&model);
    let within: Vec<usize> = (0..found.sites.len()).filter(|&i| found.sites[i].within.is_some()).collect();
    assert_eq!(within.len(), 2, "{found:?}");
    let activations = ["relu", "mish"].map(|name| Activation::parse(name).unwrap());
    let assignment: Assignment =
        within.iter().enumerate().map(|(n, &i)| (i, activations[n % 2].clone())).collect();
    let variants = [Lowering::Exported, Lowering::Kernel]
        .map(|lowering| swap::assign(&model, &found, &assignment, &|_| lowering).unwrap());
    for variant in &variants {
        let again = swap::find(&variant.model);
        let kinds: Vec<&str> = within.iter().map(|&i| again.sites[i].activation.kind.name).collect();
        assert_eq!(kinds, ["relu", "mish"]);
        let said: Vec<&str> = within.iter().map(|&i| variant.sites[i].to.as_str()).collect();
        assert_eq!(said, kinds);
    }
    let [exported, kernel] = variants.map(|variant| outputs(&variant.model, folder.path()));
    assert!(apart(&kernel, &exported) < 1e-4);
}

#[test]
fn a_mix_is_measured_named_kept_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("mixed.json").display().to_string();
    let sites = json(&["inspect", MODEL, "--format", "json"])["sites"].clone();
    let (first, last) = (sites[0]["node"].as_str().unwrap(), sites[16]["node"].as_str().unwrap());
    let (named, alone) = (format!("fast: relu, {first}=mish"), format!("{first}=mish"));
    let arguments = [
        &["profile", MODEL, "--from", "silu", "--time", "1s", "--forks", "2", "--lowering", "exported"][..],
        &["--mix", &named, "--mix", &alone, "--save", &saved, "--resume"],
    ]
    .concat();
    let record = json(&[&arguments[..], &["--format", "json"]].concat());
    let variants = record["variants"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: Vec<[String; 2]> = variants.iter().map(|v| [text(&v["name"]), text(&v["rule"])]).collect();
    let expected = [
        ["original", ""],
        ["fast, exported", &named],
        [&format!("{alone}, exported"), &alone],
        ["control", "identity"],
    ];
    assert_eq!(names, expected.map(|row| row.map(str::to_owned)));
    let to = |variant: usize, site: &str| {
        let sites = variants[variant]["sites"].as_array().unwrap();
        text(&sites.iter().find(|s| s["node"] == site).unwrap()["to"])
    };
    assert_eq!([to(1, first), to(1, last), to(2, first), to(2, last)], ["mish", "relu", "mish", "silu"]);
    assert_eq!([to(3, first), to(3, last)], ["identity", "identity"]);
    // The record is complete: it is printed, and not measured again.
    let (code, table, said) = run(&arguments);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 forks there already"), "{said}");
    assert!(table.lines().any(|line| line == named), "{table}");
    let other = format!("fast: relu, {first}=gelu");
    let arguments: Vec<&str> = arguments.iter().map(|&a| if a == named { &other } else { a }).collect();
    let (code, _, said) = run(&arguments);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("of another plan: its variants were others"), "{said}");
    let compared = json(&["compare", &saved, &saved, "--format", "json"]);
    let matched = compared["against"][0]["variants"].as_array().unwrap();
    let rules: Vec<String> = matched.iter().map(|v| text(&v["rule"])).collect();
    assert_eq!(rules, ["", &named, &alone, "identity"]);
}

#[test]
fn a_file_of_mixes_is_run_and_its_mixes_are_taken_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (config, swapped) = (file("mixes.yaml"), file("out.onnx"));
    let first = swap::find(&Model::read(Path::new(MODEL)).unwrap()).sites[0].name.clone();
    let text = format!(
        "about: a test\ntime: 1s\nforks: 2\nmodels:\n- model: {MODEL}\n\
         mixes:\n  fast: relu, {first}=keep\n  one: {first}=mish\n"
    );
    std::fs::write(&config, &text).unwrap();
    let (code, table, said) = run(&["run", &config, "-o", &file("records")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(table.contains("fast, exported") && table.contains("one, exported"), "{table}");

    let (_, told, said) = run(&["swap", MODEL, "--mix", &format!("@{config}#fast"), "-o", &swapped]);
    assert_eq!(told, format!("{swapped}: 16 silu, 1 relu -> relu\n"), "{said}");
    let (_, told, said) = run(&["swap", MODEL, "--mix", &format!("relu, {first}=mish"), "-o", &swapped]);
    assert_eq!(told, format!("{swapped}: 1 silu -> mish; 16 silu, 1 relu -> relu\n"), "{said}");
    for (mix, told) in [
        (format!("@{config}"), "give one of fast, one, as @FILE#NAME"),
        (format!("@{config}#slow"), "has no mix slow: there are fast, one"),
        ("relu, /nothing/like=mish".into(), "no site is named `/nothing/like`"),
        (format!("relu, {first}_=mish"), &format!("did you mean {first}")[..]),
    ] {
        let (code, _, said) = run(&["swap", MODEL, "--mix", &mix, "-o", &swapped]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told) && said.lines().count() == 1, "{told} in {said}");
    }
}
