//! Files for viewers and services, from the command line.

use std::path::Path;

use oplat::onnx::{Model, for_each_node, label};
use serde_json::Value;

use crate::support::{json, path, run};

const FIXTURE: &str = "tests/fixtures/records/1-minidet-silu.json";

const BENCH: &str = "tests/fixtures/records/bench/1-mish-silu.json";

#[test]
fn a_saved_record_is_shown_in_every_format_and_written_over_its_own_kind_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let formats = ["trace", "netron", "model-explorer", "bencher", "github-benchmark"];
    for format in formats {
        for record in [FIXTURE, "tests/fixtures/records/1-fanout-silu.json"] {
            let (code, _, said) = run(&["report", record, "--format", format, "-o", &file(format)]);
            assert_eq!(code, Some(0), "{format}: {said}");
        }
        let document: Value =
            serde_json::from_slice(&std::fs::read(file(format)).expect("written")).expect("JSON");
        assert!(document.as_object().map_or(1, serde_json::Map::len) > 0);
    }
    for (name, begins) in
        [("r.html", "<!doctype html>"), ("r.md", "- "), ("r.csv", "record,"), ("r.json", "{")]
    {
        let (code, _, said) = run(&["report", FIXTURE, "-o", &file(name)]);
        assert_eq!(code, Some(0), "{name}: {said}");
        let text = std::fs::read_to_string(file(name)).expect("written");
        assert!(text.starts_with(begins), "{name}: {text:.80}");
    }
    let (code, _, said) = run(&["report", FIXTURE, "--format", "netron", "-o", &file("trace")]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    for (arguments, told) in [
        (
            vec!["compare", FIXTURE, FIXTURE, "--format", "netron"],
            "markdown, html, bencher, github-benchmark]",
        ),
        (vec!["bench", "--format", "trace"], "markdown, html, bencher, github-benchmark]"),
        (vec!["report", "--list", "--format", "bencher"], "oplat report RECORD"),
        (vec!["report", BENCH, "--format", "trace"], "oplat report RECORD --format trace"),
        (vec!["report", BENCH, "--annotate", "x.onnx", "-o", "y.onnx"], "activations on their own"),
        (vec!["report", FIXTURE, FIXTURE, "--format", "netron"], "one record"),
        (vec!["report", FIXTURE, "--metric", "ratio"], "--format netron"),
        (vec!["report", FIXTURE, "--variant", "original"], "--format netron"),
        (vec!["report", FIXTURE, "--format", "netron", "--variant", "orignal"], "did you mean \"original\"?"),
        (vec!["report", FIXTURE, "--annotate", "x.onnx"], "--output"),
        (
            vec!["profile", "siren", "--format", "netron", "--target", "cmd:a", "--target", "cmd:b"],
            "--target",
        ),
    ] {
        let (code, printed, said) = run(&arguments);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{arguments:?}: {said}{printed}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    let bench = json(&["report", BENCH, "--format", "bencher"]);
    assert!(
        bench.as_object().is_some_and(|all| all.keys().all(|name| name.starts_with("oplat/bench/"))),
        "{bench}"
    );
    let bencher = json(&["compare", FIXTURE, FIXTURE, "--format", "bencher"]);
    assert!(bencher["oplat/minidet_silu/original"]["ratio"]["value"].is_number(), "{bencher}");
}

/// The metadata of all nodes that have some of ours, by node.
fn annotated(file: &str) -> Vec<(String, Vec<String>)> {
    let model = Model::read(Path::new(file)).expect("a model");
    let mut all = vec![];
    for_each_node(model.graph(), &mut |node| {
        let ours =
            node.metadata_props.iter().filter_map(|entry| Some((entry.key.as_ref()?, entry.value.as_ref()?)));
        let ours: Vec<String> = ours.map(|(key, value)| format!("{key}: {value}")).collect();
        if !ours.is_empty() {
            all.push((label(node).to_owned(), ours));
        }
    });
    all
}

#[test]
fn the_model_that_was_measured_is_annotated_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (model, record, out) = (path("fanout_silu").display().to_string(), file("r.json"), file("out.onnx"));
    let profile = ["profile", &model, "--act", "mish", "--time", "2s", "--forks", "2", "--save", &record];
    assert_eq!(run(&profile).0, Some(0));
    let (code, printed, said) = run(&["report", &record, "--annotate", &model, "-o", &out]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.starts_with(&format!("{out}: ")) && printed.contains("nodes with oplat.latency of original")
    );
    let nodes = annotated(&out);
    let (_, figures) = nodes.iter().find(|(node, _)| node.ends_with("/Conv")).expect("a convolution");
    assert!(
        figures[0].starts_with("oplat.latency: ") && figures[0].ends_with(" ms (original (silu))"),
        "{figures:?}"
    );
    assert_eq!(figures.len(), 4, "{figures:?}");

    // Nothing else is changed: without them, and in its old version, it is the same.
    let (before, mut after) =
        (Model::read(Path::new(&model)).expect("read"), Model::read(Path::new(&out)).expect("read"));
    let version = before.proto.ir_version;
    assert_eq!(said.contains("its version is 10 now"), version < Some(10), "{said}");
    after.proto.ir_version = version;
    after.proto.metadata_props.retain(|entry| entry.key.as_deref() != Some("oplat"));
    oplat::onnx::for_each_node_mut(after.graph_mut(), &mut |node| node.metadata_props.clear());
    assert_eq!(after.proto, before.proto);

    let again = [
        "report",
        &record,
        "--annotate",
        &model,
        "-o",
        &out,
        "--variant",
        "mish, kernel",
        "--metric",
        "latency",
    ];
    assert_eq!(run(&again).0, Some(0), "its own output is replaced");
    assert!(
        annotated(&out)
            .iter()
            .all(|(_, figures)| figures.len() == 1 && figures[0].ends_with("(mish, kernel)"))
    );
    let other = path("minidet_silu").display().to_string();
    for (model, to, told) in [
        (other.as_str(), file("new.onnx"), "not the model that was measured"),
        (&out, file("new.onnx"), "not the model that was measured"),
        (&model, record.clone(), "r.json"),
        (&model, model.clone(), "fanout_silu.onnx"),
    ] {
        let (code, _, said) = run(&["report", &record, "--annotate", model, "-o", &to]);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(told), "{said}");
    }
    assert!(!Path::new(&file("new.onnx")).exists());
}
