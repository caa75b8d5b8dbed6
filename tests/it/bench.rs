//! `oplat bench` as a user meets it: the binary with real workers, and a kept record in every form.

use oplat::record::bench::Bench;
use oplat::report::{self, Format};
use serde_json::Value;

use crate::support::{self, run as oplat};

const RECORD: &str = "tests/fixtures/records/bench/1-mish-silu.json";

fn json(arguments: &[&str]) -> Value {
    support::json(&[&["bench", "--format", "json"], arguments].concat())
}

fn rows(bench: &Value) -> &Vec<Value> {
    bench["rows"].as_array().expect("rows")
}

fn kept() -> Bench {
    serde_json::from_slice(&std::fs::read(RECORD).expect("the record")).expect("of this schema")
}

#[test]
fn the_record_has_the_fields_that_others_rely_on() {
    let bench = json(&["--act", "mish,silu", "--size", "64,1152", "--forwards", "40", "--forks", "2"]);
    assert_eq!(bench["schema"], "oplat.bench/1");
    assert_eq!(bench["environment"]["target"], "local");
    let sizes: Vec<u64> =
        bench["memcpy"].as_array().expect("copies").iter().filter_map(|c| c["elements"].as_u64()).collect();
    assert_eq!(sizes, [64, 1152]);
    let named = |row: &Value| format!("{} {} {}", row["activation"], row["lowering"], row["elements"]);
    let names: Vec<String> = rows(&bench).iter().map(named).collect();
    let expected = [
        r#""relu" "exported" 64"#,
        r#""relu" "kernel" 64"#,
        r#""mish" "exported" 64"#,
        r#""mish" "kernel" 64"#,
        r#""silu" "exported" 64"#,
        r#""silu" "kernel" 64"#,
    ];
    assert_eq!(names[..6], expected);
    assert_eq!(names.len(), 12);
    for row in rows(&bench) {
        for field in ["ns_per_element", "gb_per_s", "ratio_to_memcpy", "ratio_to_relu"] {
            assert!(row[field].as_f64().is_some_and(|figure| figure > 0.0), "{field} of {row}");
        }
        let [low, high] = [0, 1].map(|end| row["interval"][end].as_f64().expect("an interval"));
        let point = row["ns_per_element"].as_f64().expect("a figure");
        assert!(low <= point && point <= high, "{row}");
        assert!(row["kernel"].is_string() && row["scratch_bytes"].is_u64(), "{row}");
        assert_eq!(row["isa"].is_string(), row["lowering"] == "kernel", "{row}");
        assert!(row["forwards"].as_u64().is_some_and(|n| n >= 40), "{row}");
        assert!(row["largest_error"].as_f64().is_some_and(|error| error < 1e-6), "{row}");
        assert_eq!(row["turns"]["forks"].as_array().map(Vec::len), Some(2));
    }
    let mish = rows(&bench).iter().find(|row| row["activation"] == "mish").expect("mish");
    assert_eq!(mish["kernel"], "5 ops: Exp Add Ln Tanh Mul");
    assert_eq!(bench["growth"].as_array().map(Vec::len), Some(6));
    assert_eq!(bench["claims"].as_array().map(Vec::len), Some(6));
}

#[test]
fn the_scratch_of_several_passes_is_a_tensor_and_a_kernel_has_none() {
    let bench = json(&["--act", "mish", "--size", "9216", "--forwards", "4", "--forks", "1"]);
    let bytes = |lowering: &str| {
        let row = rows(&bench).iter().find(|r| r["activation"] == "mish" && r["lowering"] == lowering);
        let row = row.expect("a row");
        [&row["output_bytes"], &row["scratch_bytes"]].map(|bytes| bytes.as_u64().expect("bytes"))
    };
    let [output, scratch] = bytes("exported");
    assert!((36_864..40_000).contains(&(output + scratch)), "{output} {scratch}");
    assert_eq!(bytes("kernel"), [0, 0]);
}

#[test]
fn every_activation_of_the_registry_is_measured_or_says_why_not() {
    let bench = json(&["--act", "all", "--size", "64", "--forwards", "2", "--forks", "1"]);
    let mut names: Vec<&str> = rows(&bench).iter().filter_map(|row| row["activation"].as_str()).collect();
    names.dedup();
    let left = bench["left_out"].as_array().expect("a list");
    let reasons: Vec<(&str, &str)> =
        left.iter().filter_map(|l| Some((l["activation"].as_str()?, l["reason"].as_str()?))).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].0 == "identity" && reasons[0].1.contains("nothing is left to measure"));
    let known = oplat::activation::kinds().count();
    assert_eq!(names.len() + 1, known, "{names:?}");
}

#[test]
fn in_place_a_function_ends_on_its_own_output() {
    let arguments =
        ["--act", "mish,sigmoid", "--size", "64", "--forwards", "3000", "--forks", "1", "--in-place"];
    let bench = json(&arguments);
    for row in rows(&bench) {
        let run = &row["in_place"];
        assert_eq!(run["forwards"], 3000);
        let end = |what: &str| run["end"][what].as_u64().expect("a count");
        match row["activation"].as_str() {
            Some("mish") => assert!(end("subnormal") + end("zero") > 50, "{run}"),
            // It converges to the number that is its own sigmoid.
            Some("sigmoid") => assert_eq!(end("subnormal") + end("zero") + end("nan"), 0, "{run}"),
            _ => {}
        }
    }
    let bench = json(&[&arguments[..], &["--denormals", "flush"]].concat());
    let subnormal = |row: &Value| row["in_place"]["end"]["subnormal"].as_u64().unwrap_or(1);
    assert_eq!(bench["settings"]["denormals"], "flush");
    assert!(rows(&bench).iter().all(|row| subnormal(row) == 0));
}

#[test]
fn a_file_says_what_to_measure_and_flags_go_before_it() {
    let home = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let good = file("b.yaml", "activations: [mish]\nsizes: [64]\nforwards: 10\nforks: 2\nisa: portable\n");
    let bench = json(&[&good, "--forks", "1", "--lowering", "kernel"]);
    assert_eq!((&bench["settings"]["forks"], &bench["settings"]["forwards"]), (&1.into(), &10.into()));
    let kernels: Vec<&Value> = rows(&bench).iter().map(|row| &row["isa"]).collect();
    assert_eq!(kernels, [&Value::from("portable"), &Value::from("portable")]);

    for (text, told) in [
        ("size: [3]\n", "line 1, column 1: unknown key `size`; did you mean `sizes`?"),
        ("about: x\nmodels:\n- model: yolov5s\n", "use oplat run"),
        ("forks: 0\n", "give at least 1"),
    ] {
        let (code, out, said) = oplat(&["bench", &file("bad.yaml", text)]);
        assert_eq!((code, out.as_str(), said.lines().count()), (Some(2), "", 1), "{said}");
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn the_study_is_no_experiment_on_models_and_says_so() {
    let (code, out, said) = oplat(&["run", "configs/yolo-study.yaml"]);
    assert_eq!((code, out.as_str(), said.lines().count()), (Some(2), "", 1), "{said}");
    assert!(said.contains("oplat bench"), "{said}");
}

#[test]
fn what_is_wrong_is_one_line_and_code_2() {
    for (arguments, told) in [
        (&["--act", "mihs"][..], "did you mean mish?"),
        (&["--size", "0"], "0 elements"),
        (&["--size", "8", "--forwards", "0"], "0 forwards"),
        (&["--forks", "0"], "--forks 0"),
        (&["--isa", "vax"], "unknown instruction set"),
        (&["--engine", "tracked"], "did you mean tract?"),
        (&["--engine", "ort=no/such/file"], "no/such/file: no library of ONNX Runtime"),
        (&["--target", "moon"], "unknown target"),
        (&["no/such.yaml"], "cannot read no/such.yaml"),
        (&["--act", "identity", "--size", "8", "-o", "no/such/file"], "cannot write no/such/file"),
    ] {
        let (code, out, said) = oplat(&[&["bench"], arguments].concat());
        assert_eq!((code, out.as_str(), said.lines().count()), (Some(2), "", 1), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn a_launcher_is_a_target_too() {
    let bench =
        json(&["--act", "relu", "--size", "8", "--forwards", "2", "--forks", "1", "--target", "cmd:env X=1"]);
    assert_eq!(bench["environment"]["target"], "cmd:env X=1");
}

#[test]
fn a_kept_record_is_read_in_every_form() {
    let bench = kept();
    insta::assert_snapshot!("table", report::bench(&bench, Format::Table).expect("a table"));
    insta::assert_snapshot!("markdown", report::bench(&bench, Format::Markdown).expect("Markdown"));
    insta::assert_snapshot!("csv", report::bench(&bench, Format::Csv).expect("values"));
    let again: Bench =
        serde_json::from_str(&report::bench(&bench, Format::Json).expect("JSON")).expect("readable");
    assert_eq!(again, bench);
    let table = report::bench(&bench, Format::Table).expect("a table");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
}

#[test]
fn of_two_engines_every_line_says_which() {
    let mut bench = kept();
    let engine = |id: &str, name: &str| oplat::record::Engine {
        id: id.to_owned(),
        name: name.to_owned(),
        version: "1.0".to_owned(),
        ..oplat::record::Engine::default()
    };
    bench.engines = vec![engine("tract", "tract"), engine("ort", "ONNX Runtime")];
    for (rows, label) in [(0, "tract"), (1, "ort")] {
        let chosen = bench.rows.iter_mut().skip(rows).step_by(2);
        chosen.for_each(|row| row.engine = label.to_owned());
    }
    bench.growth.iter_mut().for_each(|growth| growth.engine = "ort".to_owned());
    bench.claims.iter_mut().for_each(|claim| claim.engine = "ort".to_owned());
    bench.settings.run_ns = Some(640);
    (bench.rows[1].across, bench.rows[1].scratch_bytes) = (Some(7.25), None);
    bench.rows[1].largest_error = Some(1.3e-7);
    let table = report::bench(&bench, Format::Table).expect("a table");
    for told in [
        "tract 1.0 and ONNX Runtime 1.0",
        "x tract",
        "7.25",
        "1e-7",
        "640 ns",
        "exported in ort): ",
        "largest error: of an output",
    ] {
        assert!(table.contains(told), "{told}: {table}");
    }
    let csv = report::bench(&bench, Format::Csv).expect("values");
    assert!(csv.contains("ONNX Runtime 1.0") && csv.contains("tract 1.0"), "{csv}");
    let again: Bench =
        serde_json::from_str(&report::bench(&bench, Format::Json).expect("JSON")).expect("readable");
    assert_eq!(again, bench);
}

#[test]
fn a_kept_record_is_reported_by_itself() {
    let (code, table, said) = oplat(&["report", RECORD]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(table, report::bench(&kept(), Format::Table).expect("a table"));
    let (code, out, said) = oplat(&["report", RECORD, RECORD]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(said.contains("by itself"), "{said}");
}

#[test]
fn an_emulators_times_are_not_shown() {
    let mut bench = kept();
    bench.environment.emulated = true;
    let table = report::bench(&bench, Format::Table).expect("a table");
    assert!(table.contains("none are shown") && table.contains("5 ops: Exp"), "{table}");
    assert!(!table.contains("ns/element") && !table.contains("confirmed"), "{table}");
    let csv = report::bench(&bench, Format::Csv).expect("values");
    let figure = bench.rows[1].ns_per_element.to_string();
    assert!(!csv.contains(&figure) && report::bench(&kept(), Format::Csv).expect("values").contains(&figure));
}
