//! What is too large is refused in one line that names the limit, whatever it is; `docs/limits.md` names all of them.

use std::fs;
use std::path::Path;

use oplat::onnx::messages::{GraphProto, ModelProto, NodeProto, TensorProto};
use oplat::{limits, units};
use prost::Message;

use crate::support::run;

fn chain(nodes: usize) -> ModelProto {
    let node = |i: usize| NodeProto {
        op_type: Some("Relu".into()),
        input: vec![format!("v{i}")],
        output: vec![format!("v{}", i + 1)],
        ..Default::default()
    };
    let graph = GraphProto { node: (0..nodes).map(node).collect(), ..Default::default() };
    ModelProto { graph: Some(graph), ..Default::default() }
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let file = folder.join(name);
    fs::write(&file, bytes).expect("written");
    file.display().to_string()
}

#[test]
fn what_is_too_large_is_refused_with_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| written(folder.path(), name, bytes);
    let nodes = write("nodes.onnx", &chain(150_001).encode_to_vec());
    let mut tensor = chain(1);
    let weight = TensorProto { name: Some("w".into()), dims: vec![i64::MAX], ..Default::default() };
    tensor.graph.as_mut().expect("a graph").initializer.push(weight);
    let tensor = write("tensor.onnx", &tensor.encode_to_vec());
    let record = fs::read_to_string("tests/fixtures/records/1-fanout-silu.json").expect("a record");
    let (before, after) =
        record.split_once("\"mean_ns\": ").or(record.split_once("\"mean_ns\":")).expect("a time");
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    let times = write("times.json", format!("{before}\"mean_ns\": 9223372036854775807{after}").as_bytes());
    let thousand: String = (0..40).map(|i| format!("- {{model: siren, name: m{i}}}\n")).collect();
    let threads: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    let text = format!("about: x\nthreads: [{}]\nmodels:\n{thousand}", threads.join(", "));
    let experiment = write("experiment.yaml", text.as_bytes());
    let long = write("long.yaml", "#".repeat(250_001).as_bytes());
    let acts: Vec<String> = (1..300).map(|i| format!("leaky_relu:0.{i:03}")).collect();
    let acts = acts.join(",");
    let event = |cat: &str, name: &str, ts: usize| {
        format!(r#"{{"cat":"{cat}","name":"{name}","ts":{ts},"dur":5,"args":{{"op_name":"Conv"}}}}"#)
    };
    let run_of = |i: usize| {
        let (ts, name) = (10 * i, format!("n{i}_kernel_time"));
        [event("Node", &name, ts), event("Session", "model_run", ts)].join(",")
    };
    let runs: Vec<String> = (0..5_000).map(run_of).collect();
    let profile = write("profile.json", format!("[{}]", runs.join(",")).as_bytes());
    for (arguments, told) in [
        (
            vec!["import", &profile, "--model", "siren"],
            "it has 25,000,000 ops times runs, more than the 20,000,000 that oplat takes",
        ),
        (vec!["inspect", &nodes], "it has 150,001 nodes, more than the 150,000 that oplat takes"),
        (vec!["swap", &nodes, "--act", "mish", "-o", "/dev/null"], "it has 150,001 nodes"),
        (vec!["inspect", &tensor], "more than the 1,099,511,627,776 elements that oplat takes"),
        (vec!["report", &times], "the record is damaged: its numbers add up to more than"),
        (vec!["compare", &times, &times], "the record is damaged: its numbers add up to more than"),
        (vec!["run", &experiment], "it has 1,600 measurements, more than the 1,000 that oplat takes"),
        (vec!["run", &long], "it has 250,001 bytes, more than the 250,000 that oplat takes"),
        (vec!["bench", &long], "it has 250,001 bytes"),
        (vec!["targets", "--lab", &long], "it has 250,001 bytes"),
        (vec!["profile", "siren", "--act", &acts], "variants, more than the 256 that oplat takes"),
        (
            vec!["bench", "--size", "100000000", "--forwards", "1000000000"],
            "elements in all forwards, more than",
        ),
        (vec!["report", "/dev/zero"], "cannot read /dev/zero: it is a device"),
    ] {
        let (code, out, said) = run(&arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
        assert!(said.lines().count() <= 2, "{said}");
    }
}

#[test]
fn the_page_of_limits_has_them_all() {
    let page = fs::read_to_string("docs/limits.md").expect("the page");
    let source = fs::read_to_string("crates/ground/src/limits.rs").expect("the limits");
    let named = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'));
    let names: Vec<&str> = named.map(|(name, _)| name).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
    for number in [limits::NODES, limits::VALUES, limits::ELEMENTS, limits::RECORD_BYTES, limits::VARIANTS] {
        assert!(page.contains(&units::integer(number)), "{number} is not on the page");
    }
}
