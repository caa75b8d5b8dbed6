//! Experiments and several models as a user meets them, with real workers.

use serde_json::Value;

use crate::support::run as oplat;

fn record(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("written")).expect("a record")
}

#[test]
fn an_experiment_is_run_kept_and_gone_on_with() {
    let home = tempfile::tempdir().expect("a folder");
    let (config, folder) = (home.path().join("two.yaml"), home.path().join("records"));
    let text = "about: a test\ntime: 1s\nforks: 2\nactivations: [mish, relu]\nmodels:\n\
                - model: tests/models/fanout_silu.onnx\n- model: tests/models/minidet_silu.onnx\n";
    std::fs::write(&config, text).expect("written");
    let (config, out) = (config.display().to_string(), folder.display().to_string());

    let (code, table, said) = oplat(&["run", &config, "-o", &out, "--time", "500ms"]);
    assert_eq!(code, Some(0), "{said}");
    for row in
        ["fanout_silu-threads1", "minidet_silu-threads1", "mish, exported", "relu, exported", "control"]
    {
        assert!(table.contains(row), "{row} in {table}");
    }
    assert!(said.contains("measurement 2 of 2: minidet_silu-threads1, 4 variants, 500 ms"), "{said}");
    let first = folder.join("fanout_silu-threads1.json");
    assert_eq!(record(&first)["settings"]["time_limit_ns"], 500_000_000);

    let (code, table, said) = oplat(&["run", &config, "-o", &out, "--time", "500ms"]);
    assert_eq!((code, table.as_str()), (Some(2), ""), "{said}");
    assert!(said.contains("--resume"), "{said}");

    std::fs::remove_file(folder.join("minidet_silu-threads1.json")).expect("there");
    let started = record(&first)["started_at"].clone();
    let again = ["--color", "always", "run", &config, "-o", &out, "--time", "500ms", "--resume"];
    let (code, table, said) = oplat(&again);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("fanout_silu-threads1: measured already"), "{said}");
    assert_eq!(record(&first)["started_at"], started);
    assert_eq!(
        record(&folder.join("minidet_silu-threads1.json"))["variants"].as_array().map(Vec::len),
        Some(4)
    );
    assert!(table.contains("fanout_silu-threads1") && table.contains("minidet_silu-threads1"), "{table}");
    assert!(table.contains("\u{1b}["), "verdicts have colours, as in profile: {table}");
}

#[test]
fn targets_run_an_experiment_at_the_same_time() {
    let home = tempfile::tempdir().expect("a folder");
    let (config, folder) = (home.path().join("one.yaml"), home.path().join("records"));
    let text = "about: a test\ntime: 1s\nforks: 2\nactivations: [mish]\ncontrol: false\nmodels:\n\
                - model: tests/models/siren.onnx\n";
    std::fs::write(&config, text).expect("written");
    let (config, out) = (config.display().to_string(), folder.display().to_string());
    // Each waits, before its worker starts, until the other one does so too: one after the other, they would never end.
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let meet = |mine: &std::path::Path, other: &std::path::Path| {
        let (mine, other) = (mine.display(), other.display());
        let wait = format!("touch {mine}; until [ -e {other} ]; do sleep 0.02; done; exec \"$0\" \"$@\"");
        format!("cmd:sh -c '{wait}'")
    };
    let (first, second) = (meet(&one, &two), meet(&two, &one));
    let (code, table, said) = oplat(&["run", &config, "-o", &out, "--target", &first, "--target", &second]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(table.matches("siren-threads1").count(), 4, "a verdict and a row on each: {table}");
    let folders = std::fs::read_dir(&folder).expect("made");
    let records = folders.map(|f| record(&f.expect("one").path().join("siren-threads1.json")));
    assert_eq!(records.map(|r| r["settings"]["forks"].clone()).collect::<Vec<_>>(), [2, 2]);
    assert!(said.contains(&format!("{first}: measurement 1 of 1")), "{said}");
}

#[test]
fn two_files_and_one_twice_are_measured_together() {
    let models = [
        "tests/models/minidet_silu.onnx",
        "tests/models/minidet_relu.onnx",
        "tests/models/minidet_silu.onnx",
    ];
    let options =
        ["--act", "mish", "--lowering", "exported", "--time", "1s", "--forks", "2", "--format", "json"];
    let (code, json, said) = oplat(&[&["profile"], &models[..], &options[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let record: Value = serde_json::from_str(&json).expect("one document");
    let models: Vec<&str> =
        record["models"].as_array().expect("three").iter().filter_map(|m| m["name"].as_str()).collect();
    assert_eq!(models, ["minidet_silu", "minidet_relu", "minidet_silu #2"]);
    let variants = record["variants"].as_array().expect("nine");
    assert_eq!(variants.len(), 9);
    let first = variants[0]["name"].as_str().expect("a name");
    for (i, variant) in variants.iter().enumerate() {
        assert_eq!(variant["model"], models[i / 3]);
        let against = &variant["delta"]["against"];
        assert!(if i == 0 { against.is_null() } else { against == first }, "{against}");
        assert_eq!(variant["activation_cost"].is_null(), variant["role"] == "control");
        let errors = (&variant["error"], &variant["refused"]);
        assert_eq!(errors, (&Value::Null, &Value::Bool(false)));
    }
    // The same file again gives the same numbers.
    assert_eq!(variants[6]["output_change"]["max_abs"], 0.0);
}
