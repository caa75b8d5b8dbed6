//! ONNX Runtime beside tract, where its library is found: in `.ci/run` it always is.

use serde_json::Value;

use oplat::engines;

use crate::support;

/// The library's file, or none, which is said aloud.
pub fn library() -> Option<String> {
    let ort = engines::named("ort").expect("an engine");
    match ort.open(None) {
        Ok(engine) => engine.library,
        Err(failure) => {
            eprintln!("NOT TRIED, since there is no library of ONNX Runtime: {}", failure.message);
            None
        }
    }
}

/// The record of a short measurement in both engines.
fn measured(model: &str, act: &str) -> Option<Value> {
    let library = library()?;
    let engine = format!("tract,ort={library}");
    let file = support::path(model).display().to_string();
    let arguments = ["--time", "2s", "--forks", "2", "--format", "json"];
    let output =
        support::oplat(&[&["profile", &file, "--act", act, "--engine", &engine], &arguments[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("a record"))
}

fn variants<'r>(record: &'r Value, engine: &str) -> Vec<&'r Value> {
    record["variants"].as_array().expect("variants").iter().filter(|v| v["engine"] == engine).collect()
}

#[test]
fn both_engines_are_in_one_record_and_compute_the_same() {
    let Some(record) = measured("fanout_silu", "mish") else { return };
    let engines = record["engines"].as_array().expect("two engines");
    assert_eq!((engines[0]["id"].as_str(), engines[1]["id"].as_str()), (Some("tract"), Some("ort")));
    assert!(
        engines[1]["library"].is_string() && engines[1]["sha256"].as_str().is_some_and(|s| s.len() == 64)
    );
    let names = |engine: &str| -> Vec<String> {
        variants(&record, engine).iter().map(|v| v["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(
        names("tract"),
        ["original, tract", "mish, exported, tract", "mish, kernel, tract", "control, tract"]
    );
    assert_eq!(names("ort"), ["original, ort", "mish, exported, ort", "mish, kernel, ort", "control, ort"]);
    for variant in variants(&record, "ort") {
        let name = variant["name"].as_str().expect("a name");
        assert_eq!(variant["error"], Value::Null, "{name}");
        let expected = if name == "original, ort" { Value::Null } else { "original, ort".into() };
        assert_eq!(variant["delta"]["against"], expected, "{name} against its own engine's original");
        let counterpart = format!("{}, tract", name.trim_end_matches(", ort"));
        assert_eq!(variant["across"]["against"].as_str(), Some(counterpart.as_str()), "{name}");
    }
    // The originals of both compute the same from the same inputs.
    let change = &variants(&record, "ort")[0]["output_change"]["relative_l2"];
    assert!(change.as_f64().is_some_and(|l2| l2 < 1e-5), "{change}");
}

#[test]
fn our_kernels_run_in_it_and_compute_what_is_exported() {
    for (name, act, threads) in [
        ("minidet_silu_external", "mish", "1"),
        ("minidet_silu_external", "swish:1.5", "2"),
        ("minidet_silu_fp16", "gelu", "1"),
        ("if_branches", "elu:0.7", "1"),
        ("minidet_silu_t25_dynamoexport", "mish", "1"),
    ] {
        let Some(library) = library() else { return };
        let (engine, file) = (format!("ort={library}"), support::path(name).display().to_string());
        let fixed = ["--no-control", "--time", "1s", "--forks", "2", "--format", "json"];
        let asked = ["profile", &file, "--act", act, "--engine", &engine, "--threads", threads];
        let record = support::json(&[&asked[..], &fixed].concat());
        let [_, exported, kernel] = variants(&record, "ort")[..] else { panic!("{name}: {record}") };
        let change = |variant: &Value| variant["output_change"]["relative_l2"].as_f64().expect("a change");
        let tolerance = if name.ends_with("fp16") { 1e-2 } else { 1e-4 };
        assert!((change(exported) - change(kernel)).abs() < tolerance * change(exported).max(1.0), "{name}");
        let ours = |op: &&Value| op["op"].as_str().is_some_and(|op| op.starts_with("oplat."));
        let ops: Vec<&Value> = kernel["ops"].as_array().expect("ops").iter().filter(ours).collect();
        let short = act.split(':').next().expect("a name");
        let by_kernel =
            |op: &&Value| op["kernel"].as_str().is_some_and(|k| k.starts_with(&format!("{short} ")));
        assert!(ops.iter().all(|op| by_kernel(op) && !op["site"].is_null()), "{name}: {ops:?}");
        // What runs in a branch is a part of the If.
        let sites = kernel["sites"].as_array().map_or(0, Vec::len);
        assert!(
            name == "if_branches" || (ops.len() == sites && sites > 0),
            "{name}: {} of {sites}",
            ops.len()
        );
    }
}

#[test]
fn first_runs_are_measured_in_it() {
    let Some(library) = library() else { return };
    let (engine, file) = (format!("tract,ort={library}"), support::path("fanout_silu").display().to_string());
    let asked = [
        "profile", &file, "--act", "relu", "--engine", &engine, "--cold", "--time", "4s", "--format", "json",
    ];
    let record = support::json(&asked);
    for variant in variants(&record, "ort") {
        assert_eq!(variant["error"], Value::Null, "{}", variant["name"]);
        assert!(
            variant["latency"]["p50_ns"].as_u64() > Some(0)
                && !variant["ops"].as_array().expect("ops").is_empty()
        );
    }
}

#[test]
fn memory_of_operators_is_told_by_its_arena() {
    let Some(record) = measured("fanout_silu", "mish") else { return };
    let original = variants(&record, "ort")[0];
    let memory = &original["memory"];
    let of = |what: &str| memory[what].as_u64().unwrap_or_else(|| panic!("{what} of {memory}"));
    assert!(of("peak_heap_bytes") >= of("peak_live_bytes") && of("peak_live_bytes") > 0, "{memory}");
    let ops = original["ops"].as_array().expect("ops");
    let live = ops.iter().filter_map(|op| op["live_bytes"].as_u64()).max();
    assert_eq!(live, memory["peak_live_bytes"].as_u64());
    assert!(ops.iter().any(|op| op["output_bytes"].as_u64().is_some_and(|b| b > 0)));
}

#[test]
fn every_fork_and_every_profiled_turn_has_the_same_operators() {
    // Its squeeze-and-excitation blocks change the layout twice before one operator, under names that differ by session.
    let Some(library) = library() else { return };
    let engine = format!("ort={library}");
    let arguments = ["--time", "3s", "--forks", "3", "--format", "json"];
    let record =
        support::json(&[&["profile", "mobilenet_v3_small", "--engine", &engine], &arguments[..]].concat());
    let original = variants(&record, "ort")[0];
    assert_eq!(original["error"], Value::Null);
    let ops = original["ops"].as_array().expect("ops");
    let reorders = ops.iter().filter(|op| op["op"] == "ReorderOutput").count();
    assert!(reorders >= 18, "{reorders} of {}", ops.len());
    let profiled = |op: &Value| op["fork_mean_ns"].as_array().map_or(0, Vec::len);
    assert!(profiled(&ops[0]) > 0 && ops.iter().all(|op| profiled(op) == profiled(&ops[0])));
}

#[test]
fn its_knobs_are_measured_in_it_alone() {
    let Some(library) = library() else { return };
    let engine = format!("tract,ort={library}");
    let file = support::path("fanout_silu").display().to_string();
    let record = support::json(&[
        "profile",
        &file,
        "--engine",
        &engine,
        "--knob",
        "ORT_OPTIMIZATION=disable",
        "--knob",
        "ORT_ARENA=0",
        "--time",
        "2s",
        "--forks",
        "2",
        "--format",
        "json",
    ]);
    let names: Vec<&str> =
        record["variants"].as_array().expect("variants").iter().filter_map(|v| v["name"].as_str()).collect();
    let knobs = |set: &str| format!("original, ort, {set}");
    let expected = ["OPTIMIZATION=disable", "ARENA=0", "ARENA=0 OPTIMIZATION=disable"].map(knobs);
    assert_eq!(names[..2], ["original, tract", "original, ort"]);
    assert_eq!(names[2..], expected);
    assert!(record["variants"].as_array().expect("variants").iter().all(|v| v["error"].is_null()));
    // Without optimisation the model's own operators run, one by one.
    let ops = |at: usize| record["variants"][at]["ops"].as_array().map_or(0, Vec::len);
    assert!(ops(2) > ops(1), "{} and {}", ops(2), ops(1));
}

#[test]
fn every_site_has_its_operators_or_its_host() {
    for (name, act) in [
        ("minidet_silu_external", "hard_swish"),
        ("minidet_hardswish_op12", "leaky_relu"),
        ("minidet_mish", "relu"),
        ("if_branches", "mish"),
        ("minidet_silu_t25_dynamoexport", "mish"),
    ] {
        let Some(record) = measured(name, act) else { return };
        for variant in variants(&record, "ort") {
            let ops = variant["ops"].as_array().expect("ops");
            assert!(
                !ops.is_empty() && ops.iter().all(|op| op["onnx"].as_array().is_some_and(|o| !o.is_empty()))
            );
            for site in variant["sites"].as_array().expect("sites") {
                let node = &site["node"];
                let has = |op: &Value| {
                    op["site"] == *node || op["folded"].as_array().is_some_and(|f| f.contains(node))
                };
                assert!(ops.iter().any(has), "{name}: {node} of {}", variant["name"]);
            }
        }
    }
}

#[test]
fn what_is_no_library_is_refused_before_anything_is_measured() {
    for (engine, told) in [
        ("ort=Cargo.toml", "Cargo.toml: "),
        ("ort=no/such/file", "no/such/file: no library of ONNX Runtime"),
        ("onnxruntim", "there is no engine onnxruntim"),
        ("tract=x.so", "tract is linked in"),
    ] {
        let output = support::oplat(&["profile", "siren", "--engine", engine, "--time", "1s"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{engine}: {said}");
        assert!(
            said.contains(told) && said.lines().filter(|l| l.starts_with("oplat:")).count() == 1,
            "{said}"
        );
    }
}

#[test]
fn an_activation_alone_is_measured_in_both_engines_and_is_right_in_both() {
    let Some(library) = library() else { return };
    let engine = format!("tract,ort={library}");
    let common = ["--size", "64,1152", "--forwards", "40", "--forks", "2", "--format", "json"];
    let arguments = ["bench", "--act", "mish,gelu", "--in-place", "--engine", &engine];
    let bench = support::json(&[&arguments[..], &common].concat());
    let rows = |engine: &str| -> Vec<&Value> {
        bench["rows"].as_array().expect("rows").iter().filter(|row| row["engine"] == engine).collect()
    };
    let name = |row: &&Value| format!("{} {} {}", row["activation"], row["lowering"], row["elements"]);
    assert_eq!(bench["engines"][1]["id"], "ort");
    assert_eq!(
        bench["memcpy"].as_array().expect("copies").iter().filter(|c| c["engine"] == "ort").count(),
        2
    );
    // ReLU, which ONNX Runtime merges, gets no kernel there.
    let expected: Vec<String> =
        rows("tract").iter().map(name).filter(|name| !name.contains(r#""relu" "kernel""#)).collect();
    assert_eq!(rows("ort").iter().map(name).collect::<Vec<_>>(), expected);
    assert!(bench["settings"]["run_ns"].as_u64().is_some_and(|ns| ns > 0), "{}", bench["settings"]);
    for row in rows("ort") {
        for field in ["ns_per_element", "ratio_to_memcpy", "ratio_to_relu", "across"] {
            assert!(row[field].as_f64().is_some_and(|figure| figure > 0.0), "{field} of {row}");
        }
        assert!(row["largest_error"].as_f64().is_some_and(|error| error < 1e-5), "{row}");
        assert_eq!(row["isa"].is_string(), row["lowering"] == "kernel", "{row}");
        assert_eq!(row["output_elements"], row["elements"]);
    }
    let mish = rows("ort").into_iter().find(|row| row["activation"] == "mish").expect("mish");
    assert_eq!(mish["kernel"], "3 ops: Softplus Tanh Mul");
}

#[test]
fn forwards_on_their_own_output_end_where_they_end_in_tract() {
    let Some(library) = library() else { return };
    let engine = format!("ort={library}");
    let common = ["--size", "64", "--forwards", "3000", "--forks", "1", "--in-place", "--format", "json"];
    let bench =
        support::json(&[&["bench", "--act", "mish,sigmoid", "--engine", &engine], &common[..]].concat());
    for row in bench["rows"].as_array().expect("rows") {
        let end = |what: &str| row["in_place"]["end"][what].as_u64().expect("a count");
        match row["activation"].as_str() {
            Some("mish") => assert!(end("subnormal") + end("zero") > 20, "{row}"),
            Some("sigmoid") => assert_eq!(end("subnormal") + end("zero") + end("nan"), 0, "{row}"),
            _ => {}
        }
    }
}

#[test]
fn every_activation_of_the_registry_is_measured_there_or_says_why_not() {
    let Some(library) = library() else { return };
    let engine = format!("ort={library}");
    let common = ["--size", "64", "--forwards", "2", "--forks", "1", "--format", "json"];
    let bench = support::json(&[&["bench", "--act", "all", "--engine", &engine], &common[..]].concat());
    let left = bench["left_out"].as_array().expect("a list");
    let reasons: Vec<(&str, &str)> =
        left.iter().filter_map(|l| Some((l["activation"].as_str()?, l["reason"].as_str()?))).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].0 == "identity" && reasons[0].1.contains("nothing is left to measure"), "{reasons:?}");
}

#[test]
fn inspect_says_what_each_engine_makes_of_a_model_or_why_not() {
    let Some(library) = library() else { return };
    let engine = format!("tract,ort={library}");
    let file = support::path("minidet_hardswish_ortopt").display().to_string();
    let said = support::json(&["inspect", &file, "--engine", &engine, "--format", "json"]);
    let sites = said["sites"].as_array().expect("sites").len() as u64;
    for (at, id) in [(0, "tract"), (1, "ort")] {
        let found = &said["engines"][at];
        assert_eq!((&found["id"], &found["refused"]), (&id.into(), &Value::Null), "{found}");
        let operators = found["operators"].as_object().expect("operators");
        assert!(operators.values().filter_map(Value::as_u64).sum::<u64>() > 5, "{found}");
        assert!(found["folded"].as_u64().is_some_and(|n| n <= sites), "{found}");
    }
    assert_eq!(said["engines"][1]["library"].as_str(), Some(library.as_str()));
    // The file holds hard swishes that are one operator: ONNX Runtime merges these into the convolutions before them.
    assert_eq!(said["engines"][1]["folded"], sites);
    assert_eq!(said["engine"], said["engines"][0]["engine"]);
    let output = support::oplat(&["inspect", &file, "--engine", &engine]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed.lines().filter(|line| line.contains(" loads it: ")).count(), 2, "{printed}");
}

#[test]
fn a_model_that_one_engine_refuses_is_inspected_with_its_reason_and_the_node() {
    let Some(library) = library() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let file = support::path("minidet_mish");
    let mut model = oplat::onnx::Model::read(&file).expect("a model");
    model.graph_mut().node[0].op_type = Some("NoSuchOperator".to_owned());
    model.graph_mut().node[0].name = Some("the first".to_owned());
    let file = home.path().join("unknown.onnx");
    std::fs::write(&file, model.encode()).expect("written");
    let file = file.display().to_string();
    let said = support::json(&["inspect", &file, "--engine", &format!("ort={library}"), "--format", "json"]);
    let reason = said["engines"][0]["refused"].as_str().expect("a reason");
    assert!(reason.contains("the first") && reason.contains("NoSuchOperator"), "{reason}");
    assert!(!reason.contains('\n'));
    assert_eq!(said["refused"].as_str(), Some(reason));
}

#[test]
fn a_provider_that_the_library_lacks_is_refused_before_anything_is_measured() {
    let Some(library) = library() else { return };
    let engine = format!("ort={library}");
    let common = ["profile", "siren", "--engine", &engine, "--time", "1s", "--knob"];
    for (knob, told) in [
        ("ORT_PROVIDER=warp", "is not a word (default cpu): give cpu, xnnpack"),
        ("ORT_EXECUTION_MODE=both", "give sequential, parallel"),
        ("ORT_INTER_THREADS=0", "is not a number of threads"),
    ] {
        let output = support::oplat(&[&common[..], &[knob]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{knob}: {said}");
        assert!(said.contains(told), "{knob}: {said}");
    }
    // The packages on PyPI have none for phones.
    let found = engines::named("ort").expect("an engine").open(None).expect("it is there");
    let Some(lacking) =
        ["qnn", "nnapi", "coreml"].iter().find(|name| !found.providers.contains(&name.to_string()))
    else {
        return;
    };
    let output = support::oplat(&[&common[..], &[&format!("ORT_PROVIDER={lacking}")]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{said}");
    let expected = format!("has no such provider: it has {}", found.providers.join(", "));
    assert!(said.lines().any(|line| line.starts_with("oplat:") && line.contains(&expected)), "{said}");
}

#[test]
fn how_it_runs_operators_is_a_knob_and_changes_nothing_of_what_they_are() {
    let Some(library) = library() else { return };
    let engine = format!("ort={library}");
    let file = support::path("fanout_silu").display().to_string();
    let arguments =
        ["profile", &file, "--engine", &engine, "--time", "2s", "--forks", "2", "--format", "json"];
    let knobs = ["--knob", "ORT_EXECUTION_MODE=parallel", "--knob", "ORT_PROVIDER=cpu"];
    let record = support::json(&[&arguments[..], &knobs].concat());
    let variants = record["variants"].as_array().expect("variants");
    assert_eq!(variants.len(), 4);
    let ops = |variant: &Value| -> Vec<String> {
        let ops = variant["ops"].as_array().expect("ops");
        ops.iter().map(|op| format!("{} {}", op["op"], op["kernel"])).collect()
    };
    for variant in variants {
        assert_eq!(variant["error"], Value::Null, "{variant}");
        assert_eq!(ops(variant), ops(&variants[0]), "{}", variant["name"]);
    }
}

#[test]
fn its_knobs_can_be_tuned() {
    let Some(library) = library() else { return };
    let engine = format!("ort={library}");
    let file = support::path("minidet_silu_external").display().to_string();
    let arguments = ["profile", &file, "--engine", &engine, "--tune", "--format", "json"];
    let output = support::oplat(&[&arguments[..], &["--time", "3s", "--forks", "2"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert!(variants_of(&record).all(|v| v["error"].is_null()), "{said}");
    // What was tried is in the record, or said.
    assert!(said.contains("ARENA=0") || record["variants"].to_string().contains("ORT_ARENA"), "{said}");
}

fn variants_of(record: &Value) -> impl Iterator<Item = &Value> {
    record["variants"].as_array().into_iter().flatten()
}
