//! The commands from outside, on small real exports: what they print, write and refuse.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{json, oplat, path, program, run, text};

fn model(name: &str) -> String {
    path(name).display().to_string()
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().expect("a list");
    list.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn inspect_says_what_is_a_site_and_what_is_not() {
    let inspection = json(&["inspect", &model("fanout_silu"), "--format", "json"]);
    assert_eq!(inspection["schema"], "oplat.inspect/1");
    assert_eq!(inspection["model"]["parameters"], 12_048);
    assert_eq!(inspection["model"]["inputs"][0]["shape"], serde_json::json!([1, 3, 24, 24]));
    assert_eq!(inspection["operators"]["Sigmoid"], 6);
    assert_eq!(names(&inspection["sites"], "node"), ["/act/Mul", "/act_1/Mul", "/act_2/Mul", "/Mul_1"]);
    assert_eq!(inspection["sites"][0]["nodes"], serde_json::json!(["/act/Sigmoid", "/act/Mul"]));
    assert_eq!(inspection["sites"][0]["output_shape"], serde_json::json!([1, 16, 24, 24]));
    assert_eq!(names(&inspection["not_sites"], "kind"), ["gate", "decode"]);
    let zoo = json(&["inspect", &model("act_zoo"), "--format", "json"]);
    assert_eq!(zoo["sites"][2]["parameters"]["alpha"].as_f64().map(|a| a as f32), Some(0.9));
}

#[test]
fn inspect_needs_no_engine_to_find_sites() {
    // Open dimensions: the engine can't load it, the sites are there all the same.
    let inspection = json(&["inspect", &model("minidet_silu_dynamic"), "--format", "json"]);
    assert!(
        inspection["refused"].as_str().is_some_and(|r| r.contains("--dim h=N")),
        "{}",
        inspection["refused"]
    );
    assert_eq!(inspection["sites"].as_array().map(Vec::len), Some(18));
}

#[test]
fn swapping_there_and_back_gives_the_same_operators() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (mish, silu) = (file("mish.onnx"), file("silu.onnx"));
    let output = oplat(&["swap", &model("minidet_silu"), "--act", "Mish", "--from", "silu", "-o", &mish]);
    assert_eq!(text(output.stdout.clone()), format!("{mish}: 17 silu -> mish\n"));
    assert!(oplat(&["swap", &mish, "--act", "swish", "--from", "mish", "-o", &silu]).status.success());
    let operators = |path: &str| json(&["inspect", path, "--format", "json"])["operators"].clone();
    assert_eq!(operators(&silu), operators(&model("minidet_silu")));
    assert_ne!(operators(&mish), operators(&model("minidet_silu")));
}

#[test]
fn profile_gives_a_record_in_which_everything_is_accounted_for() {
    let args =
        ["--act", "mish", "--lowering", "exported", "--time", "2s", "--forks", "3", "--format", "json"];
    let record = json(&[&["profile", &model("minidet_silu")], &args[..]].concat());
    assert_eq!(record["schema"], "oplat.record/1");
    let variants = record["variants"].as_array().expect("variants");
    assert_eq!(names(&record["variants"], "role"), ["original", "swap", "control"]);
    let forks = record["order"].as_array().map_or(0, Vec::len);
    assert!((2..=3).contains(&forks), "as many as time allows: {forks}");
    for variant in variants {
        assert_eq!(variant["error"], Value::Null);
        let runs: usize = variant["forks"][0]["rounds"].as_array().map_or(0, Vec::len);
        assert_eq!(Some(runs), record["order"][0].as_array().map(Vec::len), "each round is a turn of each");
        assert!(variant["latency"]["p50_ns"].as_u64() > Some(0));
        // What ops take and what they don't is the profiled run's time.
        let ops = variant["ops"].as_array().expect("ops");
        let share: f64 = ops.iter().filter_map(|op| op["share"].as_f64()).sum();
        assert!((0.0..=1.0).contains(&share), "{share}");
        let of = |field: &str| variant["profiled"]["bookkeeping"][field].as_u64().expect("known");
        let parts = of("before_ns") + of("between_ns") + of("after_ns");
        let whole = variant["profiled"]["unaccounted_ns"].as_u64().expect("known");
        let mean = |op: &Value| op["mean_ns"].as_f64().expect("measured");
        let explained: f64 = ops.iter().map(mean).sum();
        assert!(
            (explained / (explained + whole as f64) - share).abs() < 0.01,
            "{explained} and {whole}: {share}"
        );
        assert!(parts.abs_diff(whole) <= 3 && of("clock_ns") > 0, "{parts} of {whole}");
        assert!(ops.iter().all(|op| !op["onnx"].as_array().expect("nodes").is_empty()));
        // Each op was on the clock in every fork that was profiled; how much of a run they explain hangs on the machine.
        let profiled = |fork: &&Value| !fork["profiled_rounds"].as_array().expect("rounds").is_empty();
        let forks = variant["forks"].as_array().expect("forks").iter().filter(profiled).count();
        for op in ops {
            assert_eq!(op["fork_mean_ns"].as_array().map(Vec::len), Some(forks), "{op}");
            assert!(mean(op) > 0.0, "{op}");
        }
    }
    // Every site is computed by ops of its own, merged into one, or (identity) gone.
    for (i, variant) in variants.iter().enumerate() {
        for site in variant["sites"].as_array().expect("sites") {
            let ops = variant["ops"].as_array().expect("ops");
            let own = ops.iter().any(|op| op["site"] == site["node"]);
            let folded = site["folded_into"].is_u64();
            assert!(own || folded || i == 2, "{} of {} is missing", site["node"], variant["name"]);
        }
    }
    assert_eq!(variants[1]["sites"][0]["to"], "mish");
    assert!(variants[1]["output_change"]["relative_l2"].as_f64() > Some(0.0));
    assert!(variants[1]["activation_cost"]["ns"].is_i64());
}

#[test]
fn models_whose_external_data_has_one_name_keep_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let model = PathBuf::from(model("minidet_silu_external"));
    let data = model.with_extension("onnx.data");
    let weights = std::fs::read(&data).unwrap();
    let version = |name: &str, weights: &[u8]| -> String {
        let own = folder.path().join(name);
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join(data.file_name().unwrap()), weights).unwrap();
        let copy = own.join(format!("{name}.onnx"));
        std::fs::copy(&model, &copy).unwrap();
        copy.display().to_string()
    };
    let (one, same, zeros) =
        (version("one", &weights), version("same", &weights), version("zeros", &vec![0; weights.len()]));
    let record = json(&["profile", &one, &same, &zeros, "--time", "1s", "--forks", "2", "--format", "json"]);
    let change = |variant: usize| record["variants"][variant]["output_change"]["relative_l2"].as_f64();
    assert_eq!(change(1), Some(0.0));
    assert!(change(2) > Some(0.1), "{:?}", change(2));
}

#[test]
fn bad_input_is_one_line_that_names_it_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = std::fs::read(model("minidet_silu")).unwrap();
    let (silu, encoder) = (model("minidet_silu"), model("encoder_gelu_erf"));
    let files = [
        write("cut.onnx", &whole[..whole.len() / 2]),
        write("empty.onnx", b""),
        write("text.onnx", b"this is no model\n"),
    ]
    .map(|p| p.display().to_string());
    let out = folder.path().join("none/x.onnx").display().to_string();
    let rows: Vec<(Vec<&str>, &str)> = vec![
        (vec!["profile", &files[0], "--act", "mish"], "cut short"),
        (vec!["inspect", &files[1]], "empty"),
        (vec!["swap", &files[2], "--act", "relu", "-o", "x.onnx"], "not an ONNX model"),
        (vec!["profile", "nothing.onnx"], "nothing.onnx"),
        (vec!["profile", &silu, "--act", "missh"], "did you mean mish"),
        (vec!["profile", &silu, "--input", "input=1x3x96"], "4 dimensions, not 3"),
        (vec!["profile", &silu, "--input", "x=1x3x96x96"], "input"),
        (vec!["swap", &silu, "--act", "relu", "-o", &out], "none/x.onnx"),
        (vec!["swap", &encoder, "--act", "relu", "--from", "silu", "-o", "x.onnx"], "no silu site"),
    ];
    for (args, expected) in rows {
        let output = oplat(&args);
        let errors = text(output.stderr.clone());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{args:?}: {errors}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_lost_worker_is_exit_code_3_and_says_why() {
    let target = "cmd:sh -c 'kill -9 $$'";
    let output =
        oplat(&["profile", &model("minidet_silu"), "--time", "1s", "--forks", "2", "--target", target]);
    let errors = text(output.stderr.clone());
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("signal 9"), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_knob_of_the_engine_is_one_more_axis() {
    let model = model("minidet_silu");
    let common = ["profile", model.as_str(), "--time", "300ms", "--forks", "2", "--format", "json"];
    let record =
        json(&[&common[..], &["--act", "mish", "--knob", "LAZY_IM2COL_MIN_KERNEL=1000000"]].concat());
    let variants = record["variants"].as_array().expect("variants");
    assert_eq!(variants.len(), 8, "original, mish twice and the control, each with and without");
    let (plain, knob) = (&variants[0], &variants[4]);
    assert_eq!(knob["name"], "original, LAZY_IM2COL_MIN_KERNEL=1000000");
    assert_eq!(knob["knobs"]["TRACT_LAZY_IM2COL_MIN_KERNEL"], "1000000");
    let count = |variant: &Value| {
        let ops = variant["ops"].as_array().expect("ops");
        ops.iter().filter(|op| op["op"] == "LazyIm2col").count()
    };
    assert!(count(plain) > count(knob), "{} and {}", count(plain), count(knob));
    assert!(knob["activation_cost"].is_object() && knob["delta"]["against"] == "original");
    assert_eq!(knob["output_change"]["non_finite"], 0);

    // What the environment sets holds for all, and is said.
    let output = program(&common).env("TRACT_LAZY_IM2COL_MIN_KERNEL", "1000000").output().expect("it runs");
    let record: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(count(&record["variants"][0]), count(knob));
    assert_eq!(record["environment"]["knobs"]["TRACT_LAZY_IM2COL_MIN_KERNEL"], "1000000");
    assert!(record["environment"]["warnings"].to_string().contains("LAZY_IM2COL_MIN_KERNEL=1000000"));

    let output = oplat(&["profile", &model, "--knob", "DISABLE_DIRECT_SPACIAL=1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(output.stderr.clone()).contains("did you mean TRACT_DISABLE_DIRECT_SPATIAL?"));
    assert!(text(oplat(&["knobs"]).stdout.clone()).contains("TRACT_CPU_ISA"));
}

#[test]
fn tuning_says_what_was_tried_or_how_to_have_it() {
    let model = model("minidet_silu");
    let (code, printed, told) =
        run(&["profile", &model, "--tune", "--time", "2s", "--forks", "3", "--format", "json"]);
    assert_eq!(code, Some(0), "{told}");
    let record: Value = serde_json::from_str(&printed).expect("a record");
    let variants = record["variants"].as_array().expect("variants");
    let tried = || variants.iter().filter(|v| v["knobs"].as_object().is_some_and(|knobs| !knobs.is_empty()));
    // What is said is what the record holds.
    let faster = tried().filter(|v| v["delta"]["verdict"] == "faster");
    let ratio = |v: &&Value| v["delta"]["ratio"].as_f64().expect("a ratio");
    match faster.min_by(|a, b| ratio(a).total_cmp(&ratio(b))) {
        Some(best) => {
            let knobs = best["knobs"].as_object().expect("knobs");
            let flags =
                knobs.iter().map(|(name, value)| format!(" --knob {name}={}", value.as_str().unwrap()));
            assert!(told.contains(&flags.collect::<String>()), "{told}");
        }
        None => {
            assert_eq!(tried().count() > 0, told.contains("no setting made it faster for sure"), "{told}")
        }
    }
    assert_eq!(tried().count() == 0, told.contains("no knob of the engine changes"), "{told}");
    assert_eq!(
        (&variants[0]["role"], variants[0]["knobs"].as_object().map(|k| k.len())),
        (&"original".into(), Some(0))
    );
}

#[test]
fn a_cold_measurement_has_one_run_a_process() {
    let model = model("minidet_silu");
    let record = json(&["profile", &model, "--cold", "--time", "1s", "--forks", "5", "--format", "json"]);
    assert_eq!(record["settings"]["cold"], true);
    for fork in record["variants"][0]["forks"].as_array().expect("forks") {
        assert_eq!(fork["rounds"], serde_json::json!([[fork["first_run_ns"]]]));
        assert!(fork["loaded_rss_bytes"].as_u64() <= fork["first_run_rss_bytes"].as_u64());
    }
}
