//! Profiles that apps wrote become records, which `report` and `compare` take: from the file to the screen.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{self, json, run};

fn profile(name: &str) -> String {
    format!("tests/fixtures/profiles/{name}")
}

fn model(name: &str) -> String {
    format!("tests/models/{name}.onnx")
}

/// A file of the folder, as a text.
fn file(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> String {
    fs::write(folder.join(name), bytes).expect("written");
    file(folder, name)
}

fn imported(profiles: &[&str], name: &str, more: &[&str]) -> Value {
    let profiles: Vec<String> = profiles.iter().map(|name| profile(name)).collect();
    let profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
    let model = model(name);
    json(&[&["import", "--model", &model, "--format", "json"], &profiles[..], more].concat())
}

fn ops(record: &Value) -> &Vec<Value> {
    record["variants"][0]["ops"].as_array().expect("ops")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

/// The nodes of each op, with the op's type.
fn nodes(record: &Value) -> Vec<(String, String)> {
    let text = |op: &Value| op["op"].as_str().expect("a type").to_owned();
    ops(record).iter().map(|op| (text(op), texts(&op["onnx"]).join(" "))).collect()
}

#[test]
fn a_profile_of_an_app_is_printed_with_what_it_lacks() {
    let (code, printed, said) =
        run(&["import", &profile("fanout-silu-nnapi.json"), "--model", &model("fanout_silu"), "--top", "4"]);
    assert_eq!(code, Some(0), "{said}");
    insta::assert_snapshot!("imported", format!("{printed}\n{said}"));
}

#[test]
fn what_no_profile_holds_is_null_in_the_record() {
    let record = imported(&["fanout-silu.json"], "fanout_silu", &[]);
    let variant = &record["variants"][0];
    for field in ["latency", "delta", "steadiness", "memory", "activation_cost", "output_change", "error"] {
        assert_eq!(variant[field], Value::Null, "{field}");
    }
    assert_eq!(variant["profiled"]["overhead_ratio"], Value::Null);
    assert_eq!(variant["engine"], "ort");
    assert_eq!(texts(&record["imported"]), [profile("fanout-silu.json")]);
    let input = &record["model"]["inputs"][0];
    assert_eq!((&input["name"], &input["dtype"]), (&"input".into(), &"f32".into()));
    assert_eq!(input["shape"], serde_json::json!([1, 3, 24, 24]));
    let fork = &variant["forks"][0];
    assert_eq!((&fork["load_ns"], &fork["optimise_ns"]), (&207_000.into(), &907_000.into()));
    assert_eq!(fork["first_run_ns"], 276_000);
    assert_eq!(fork["profiled_rounds"][0]["runs_ns"].as_array().map(Vec::len), Some(2), "after the first");
    // The clock that timed ops has steps of a microsecond.
    assert_eq!(record["engine"]["op_clock_ns"], 1000);
    assert_eq!(record["engine"]["version"], "");
}

#[test]
fn ops_are_tied_to_nodes_and_sites_with_and_without_the_optimised_model() {
    let optimised = profile("fanout-silu-optimised.onnx");
    let guessed = imported(&["fanout-silu.json"], "fanout_silu", &[]);
    let exact = imported(&["fanout-silu.json"], "fanout_silu", &["--optimised", &optimised]);
    for record in [&guessed, &exact] {
        let nodes = nodes(record);
        let has = |op: &str, onnx: &str| nodes.iter().any(|(o, n)| (o.as_str(), n.as_str()) == (op, onnx));
        assert!(has("Conv", "/c.0/Conv") && has("QuickGelu", "/act/Sigmoid /act/Mul"), "{nodes:?}");
        assert!(has("Conv", "/c.2/Conv /Sigmoid"), "an activation is folded: {nodes:?}");
        let sites = record["variants"][0]["sites"].as_array().expect("sites");
        for site in sites.iter().map(|site| &site["node"]) {
            let is =
                |op: &Value| op["site"] == *site || texts(&op["folded"]).contains(&site.as_str().unwrap());
            assert!(ops(record).iter().any(is), "{site} has an op");
        }
    }
    let computing = |record: &Value| -> Vec<(String, String)> {
        nodes(record).into_iter().filter(|(op, _)| !op.starts_with("Reorder")).collect()
    };
    assert_eq!(computing(&guessed), computing(&exact));
}

#[test]
fn a_provider_that_took_parts_of_the_graph_has_their_nodes() {
    let record = imported(&["fanout-silu-nnapi.json"], "fanout_silu", &[]);
    let nodes = nodes(&record);
    assert_eq!(nodes.len(), 4);
    assert!(
        nodes[0].1.starts_with("/c.0/Conv /act/Sigmoid") && nodes[0].1.contains("/act_2/Mul"),
        "{nodes:?}"
    );
    assert_eq!((nodes[1].1.as_str(), nodes[2].1.as_str()), ("/Mul", "/Add_1"));
    assert_eq!(nodes[3].1, "/c.4/Conv /Sigmoid_1 /Mul_1 /c.5/Conv /Sigmoid_2");
    let kernels: Vec<&str> = ops(&record).iter().filter_map(|op| op["kernel"].as_str()).collect();
    let (nnapi, cpu) = ("NnapiExecutionProvider", "CPUExecutionProvider");
    assert_eq!(kernels, [nnapi, cpu, cpu, nnapi]);
    // The first of five runs is cold: it compiles the model for the accelerator.
    let runs = record["variants"][0]["forks"][0]["profiled_rounds"][0]["runs_ns"].as_array().expect("runs");
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|ns| ns.as_u64() < Some(4_000_000)), "{runs:?}");
}

#[test]
fn what_runs_in_a_body_is_the_time_of_its_operator() {
    let record = imported(&["if-branches.json"], "if_branches", &[]);
    let nodes = nodes(&record);
    assert_eq!(nodes.len(), 6, "{nodes:?}");
    let (_, within) = nodes.iter().find(|(op, _)| op == "If").expect("an If");
    assert!(within.contains("/If") && within.contains("/c2/Conv"), "{within}");
}

#[test]
fn each_profile_is_a_process_and_of_the_same_session() {
    let twice = imported(&["fanout-silu.json", "fanout-silu.json"], "fanout_silu", &[]);
    assert_eq!(twice["settings"]["forks"], 2);
    assert!(ops(&twice).iter().all(|op| op["fork_mean_ns"].as_array().is_some_and(|f| f.len() == 2)));
    let (other, model) = (profile("if-branches.json"), model("fanout_silu"));
    let (code, _, said) = run(&["import", &profile("fanout-silu.json"), &other, "--model", &model]);
    assert_eq!(code, Some(2));
    assert!(said.contains("if-branches.json is not of the same session as"), "{said}");
}

#[test]
fn a_record_of_an_app_is_reported_and_compared_without_a_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cpu, nnapi) = (file(folder.path(), "cpu.json"), file(folder.path(), "nnapi.json"));
    for (name, record) in [("fanout-silu.json", &cpu), ("fanout-silu-nnapi.json", &nnapi)] {
        let (code, _, said) =
            run(&["import", &profile(name), "--model", &model("fanout_silu"), "--save", record]);
        assert_eq!(code, Some(0), "{said}");
    }
    for format in ["table", "csv", "markdown", "json"] {
        let (code, printed, said) = run(&["report", &cpu, "--format", format]);
        assert_eq!(code, Some(0), "{format}: {said}");
        assert!(format == "csv" || printed.contains("no unprofiled ones"), "{format}: {printed}");
        assert!(!printed.contains("NaN"), "{format}");
    }
    let measured = "tests/fixtures/records/1-fanout-silu.json";
    let sides = [
        (&cpu[..], &nnapi[..], "both have"),
        (measured, &cpu, "the newer one has"),
        (&cpu, measured, "the base has"),
    ];
    for (base, new, who) in sides {
        let (code, printed, said) = run(&["compare", base, new]);
        assert_eq!(code, Some(0), "{said}");
        let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("{who} profiled runs of an app and no unprofiled ones")), "{words}");
        assert!(words.contains("new profiled p50") && words.contains("/c.0/Conv"), "{words}");
        assert!(!words.contains("slower than") && !words.contains("faster than"), "{words}");
        let junit = file(folder.path(), "junit.xml");
        let limited = ["compare", base, new, "--max-regression", "5%", "--junit", &junit];
        let (code, _, said) = run(&limited);
        // A measurement has variants that no app has run: they are missing.
        assert_eq!(code, Some(if base == measured { 1 } else { 4 }), "{said}");
        assert!(said.contains(if base == measured { "missing" } else { who }), "{said}");
        assert!(fs::read_to_string(&junit).expect("a file").contains("type=\"inconclusive\""));
        let (code, csv, _) = run(&["compare", base, new, "--format", "csv"]);
        assert!(code == Some(0) && csv.lines().any(|line| line.contains(",op,")), "{csv}");
    }
    // Several of a side are pooled: their processes together.
    let (code, printed, said) = run(&["compare", &cpu, &nnapi, &nnapi, "--pool"]);
    assert!(code == Some(0) && printed.contains("2 forks"), "{said}");
    // It can't be gone on with.
    let (code, _, said) =
        run(&["profile", &model("fanout_silu"), "--save", &cpu, "--resume", "--time", "1s"]);
    assert!(code == Some(2) && said.contains("another plan"), "{said}");
}

#[test]
fn a_profile_that_is_cut_off_gives_what_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = fs::read(profile("fanout-silu.json")).expect("a profile");
    let cut = written(folder.path(), "cut.json", &whole[..whole.len() - 6_000]);
    let record = json(&["import", &cut, "--model", &model("fanout_silu"), "--format", "json"]);
    let warnings = texts(&record["environment"]["warnings"]).join("\n");
    assert!(warnings.contains("cut off") && warnings.contains("runs that did not end"), "{warnings}");
    let runs = &record["variants"][0]["forks"][0]["profiled_rounds"][0]["runs_ns"];
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_profile_of_another_model_is_told_as_such() {
    for other in ["siren", "tests/models/minidet_silu.onnx"] {
        let (code, printed, said) = run(&["import", &profile("fanout-silu.json"), "--model", other]);
        assert_eq!(code, Some(0), "{said}");
        let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = "of the ops' time can't be tied to nodes of the model: is it the one";
        assert!(words.contains(told), "{other}: {words}");
    }
}

#[test]
fn what_is_no_profile_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| written(folder.path(), name, text.as_bytes());
    let event = |name: &str, ts: &str, dur: &str| {
        let cat = if name == "model_run" { "Session" } else { "Node" };
        format!(r#"{{"cat":"{cat}","ts":{ts},"dur":{dur},"name":"{name}","args":{{"op_name":"Conv"}}}}"#)
    };
    let huge = |us: &str| format!("[{},{}]", event("a_kernel_time", "1", us), event("model_run", "0", us));
    let long: Vec<String> = (0..20)
        .flat_map(|i| {
            let (ts, dur) = (i.to_string(), "8000000000000");
            [event("a_kernel_time", &ts, dur), event("model_run", &ts, dur)]
        })
        .collect();
    let cases = [
        (write("empty.json", ""), "it is empty: ONNX Runtime writes a profile when profiling ends"),
        (write("text.json", "hello"), "not a profile of ONNX Runtime"),
        (write("deep.json", &"[".repeat(1_000_000)), "not a profile of ONNX Runtime: recursion limit"),
        (write("type.json", "{\"traceEvents\": 7}"), "not a profile of ONNX Runtime"),
        (write("other.json", "[1, \"two\", {\"cat\": 3}]"), "it holds no run"),
        (write("none.json", "[]"), "it holds no run"),
        (write("unfinished.json", &format!("[{}]", event("a_kernel_time", "1", "2"))), "no run that ended"),
        (write("bare.json", &format!("[{}]", event("model_run", "1", "2"))), "no operator of a run"),
        (write("huge.json", &huge("18446744073709551615")), "it holds no run"),
        (write("negative.json", &huge("-1")), "it holds no run"),
        (write("long.json", &format!("[{}]", long.join(","))), "add up to more than"),
        (file(folder.path(), "missing.json"), "missing.json"),
        (folder.path().display().to_string(), "a folder"),
    ];
    for (path, told) in cases {
        let (code, printed, said) = run(&["import", &path, "--model", &model("fanout_silu")]);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{path}: {said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("oplat:")).collect();
        assert!(errors.len() == 1 && errors[0].contains(told), "{path}: {said}");
    }
    let profile = profile("fanout-silu.json");
    for (arguments, told) in [
        (vec!["import", &profile], "--model"),
        (vec!["import", &profile, "--model", "no/such.onnx"], "no/such.onnx"),
        (vec!["import", &profile, "--model", "siren", "--optimised", "Cargo.toml"], "Cargo.toml"),
        (vec!["import", &profile, "--model", "siren", "--save", &profile], "fanout-silu.json"),
    ] {
        let (code, _, said) = run(&arguments);
        assert!(code == Some(2) && said.contains(told), "{arguments:?}: {said}");
    }
    let before = fs::read(PathBuf::from(&profile)).expect("still there");
    assert!(before.starts_with(b"[\n{\"cat\""), "nothing took its place");
}

#[test]
fn damaged_profiles_end_in_a_line_or_a_record() {
    let whole = fs::read(profile("fanout-silu-nnapi.json")).expect("a profile");
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = oplat::random::SplitMix64::new(22);
    for round in 0..40 {
        let mut bytes = whole.clone();
        for _ in 0..=random.bits() % 4 {
            let at = (random.bits() % bytes.len() as u64) as usize;
            bytes[at] = b"0129\"{}[],:xe-\\\0\xff"[(random.bits() % 17) as usize];
        }
        let file = written(folder.path(), "damaged.json", &bytes);
        let output = support::oplat(&["import", &file, "--model", &model("fanout_silu")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{round}: {said}");
        assert!(!said.contains("bug"), "{round}: {said}");
    }
}
