//! What models, records, files and arguments write into names reaches no terminal, spreadsheet or page as anything but
//! text.

use std::path::Path;

use oplat::onnx::Model;
use oplat::onnx::messages::{GraphProto, ValueInfoProto};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{path, program, run, text};

/// Clears the screen, sets the title, turns the direction, goes back to the line's start, ends lines, cells, tags and texts.
const EVIL: &str =
    "=\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1m\u{202e}\u{2066}\u{61c}\u{200b}\u{2028}\u{7f}\r|`\"'<script>\n! fake";

/// Fails if the text has in it what a terminal obeys or hides, or a line that a name made. In CSV a quoted cell may have
/// several lines.
fn assert_harmless(text: &str, what: &str) {
    let obeyed =
        |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{61c}\u{200b}\u{2028}".contains(c);
    assert!(!text.contains(obeyed), "{what}: {text:?}");
    let is_csv = what.contains("csv");
    assert!(is_csv || !text.lines().any(|line| line.trim_start().starts_with("! fake")), "{what}: {text}");
}

/// The program's answer, which has nothing but text in it.
fn harmless(arguments: &[&str]) -> (Option<i32>, String, String) {
    let (code, printed, said) = run(arguments);
    assert_harmless(&printed, &format!("{arguments:?}"));
    assert_harmless(&said, &format!("{arguments:?}"));
    (code, printed, said)
}

/// A small model in which all that has a name has a hostile one.
fn model(folder: &Path) -> String {
    let mut model = Model::read(&path("fanout_silu")).expect("a model");
    model.proto.producer_name = Some(EVIL.into());
    model.proto.producer_version = Some(EVIL.into());
    let graph = model.graph_mut();
    let evil = |name: &mut String| {
        if !name.is_empty() {
            name.push_str(EVIL);
        }
    };
    graph.name.iter_mut().for_each(evil);
    for node in &mut graph.node {
        node.name.iter_mut().for_each(evil);
        node.input.iter_mut().chain(&mut node.output).for_each(evil);
    }
    graph.initializer.iter_mut().flat_map(|tensor| &mut tensor.name).for_each(evil);
    values(graph).flat_map(|value| &mut value.name).for_each(evil);
    let file = folder.join(format!("{}.onnx", EVIL.replace(['/', '\n'], "")));
    model.write(&file).expect("written");
    file.to_str().expect("UTF-8").to_owned()
}

fn values(graph: &mut GraphProto) -> impl Iterator<Item = &mut ValueInfoProto> {
    graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info)
}

#[test]
fn a_model_whose_names_are_hostile_is_shown_as_text() {
    let folder = TempDir::new().expect("temp");
    let model = model(folder.path());
    let (code, printed, said) = harmless(&["inspect", &model]);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("\\u001b[2J") && printed.contains("\\u202e"), "{printed}");
    let (_, printed, _) = harmless(&["inspect", &model, "--format", "json"]);
    let inspection: Value = serde_json::from_str(&printed).expect("one JSON document");
    assert_eq!(inspection["producer"], format!("{EVIL} {EVIL}"), "JSON stays exact");

    let record = folder.path().join(format!("{}.json", EVIL.replace(['/', '\n'], "")));
    let record = record.to_str().expect("UTF-8");
    let (code, _, said) =
        harmless(&["profile", &model, "--act", "mish", "--forks", "2", "--time", "3s", "--save", record]);
    assert_eq!(code, Some(0), "{said}");
    for format in ["trace", "netron", "model-explorer", "bencher", "github-benchmark"] {
        let (code, printed, said) = harmless(&["report", record, "--format", format]);
        assert_eq!(code, Some(0), "{format}: {said}");
        serde_json::from_str::<Value>(&printed).expect("one JSON document");
    }
    for format in ["table", "csv", "markdown", "html", "json"] {
        let by = ["--by", "op", "--by", "site", "--by", "type", "--by", "shape", "--by", "activation"];
        let (code, printed, said) = harmless(&[&["report", record, "--format", format], &by[..]].concat());
        assert_eq!(code, Some(0), "{format}: {said}");
        let escape = if format == "markdown" { "&#92;u202e" } else { "\\u202e" };
        assert!(printed.contains(escape), "{format}: {printed}");
        match format {
            "csv" => assert!(!printed.contains(",="), "{printed}"),
            "markdown" => {
                let outside = printed.replace("<details>", "").replace("</details>", "");
                assert!(!outside.contains("<script>"), "{printed}");
                let rows = printed.lines().filter(|line| line.starts_with('|'));
                assert!(rows.clone().count() > 10);
                rows.for_each(|row| assert!(row.ends_with(" |"), "{row}"));
            }
            _ => {}
        }
    }
    let out = folder.path().join("annotated.onnx");
    let (code, _, said) =
        harmless(&["report", record, "--annotate", &model, "-o", out.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "{said}");
    let out = folder.path().join("out.onnx");
    let (code, _, said) = harmless(&["swap", &model, "--act", "mish", "-o", out.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "{said}");
    let junit = folder.path().join("junit.xml");
    let junit = junit.to_str().expect("UTF-8");
    harmless(&["compare", record, record, "--max-regression", "5%", "--junit", junit]);
    assert_harmless(&std::fs::read_to_string(junit).expect("written"), "junit");
}

#[test]
fn a_refusal_that_names_something_hostile_is_one_line() {
    let folder = TempDir::new().expect("temp");
    let model = model(folder.path());
    let yaml = folder.path().join("evil.yaml");
    let yaml = yaml.to_str().expect("UTF-8");
    let escaped = serde_json::to_string(EVIL).expect("JSON");
    let set = |name: &str| format!("{name}{EVIL}=1");
    let (dim, input) = (set("N"), set("x"));
    let settings = format!("TRACT_X{EVIL}=1");
    for text in [
        format!("{{{escaped}: 1}}"),
        format!("models: [{escaped}]\nactivations: [relu]\n"),
        format!("activations: [{escaped}]\n"),
        format!("models: [{{model: siren, inputs: {{{escaped}: [1]}}}}]\nactivations: [relu]\n"),
        format!("targets: {{{escaped}: {{target: {escaped}}}}}\n"),
        format!("a: {EVIL}"),
    ] {
        std::fs::write(yaml, &text).expect("written");
        let lab = ["targets", "--target", "pi", "--lab", yaml];
        for arguments in [&["run", yaml][..], &["bench", yaml], &lab, &["report", yaml], &["inspect", yaml]] {
            let (code, printed, said) = harmless(arguments);
            assert_eq!((code, said.lines().count()), (Some(2), 1), "{arguments:?} {text}: {said}{printed}");
        }
    }
    for arguments in [
        &[EVIL][..],
        &["report", EVIL],
        &["inspect", EVIL],
        &["profile", &model, "--act", EVIL],
        &["profile", &model, "--site", EVIL],
        &["profile", &model, "--dim", &dim],
        &["profile", &model, "--input", &input],
        &["profile", &model, "--knob", &settings],
        &["profile", &model, "--target", EVIL],
        &["profile", &model, "--format", EVIL],
        &["profile", &model, EVIL],
        &["profile", &model, &format!("--{EVIL}")],
        &["acts", EVIL],
        &["models", "export", EVIL, "-o", "x"],
        &["swap", &model, "--act", "relu", "-o", &format!("/nowhere{EVIL}/x")],
    ] {
        let (code, printed, said) = harmless(arguments);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{arguments:?}: {said}{printed}");
    }
}

/// A record of which every free text is hostile.
#[test]
fn a_record_whose_texts_are_hostile_is_shown_as_text() {
    fn spoil(value: &mut Value, key: &str) {
        const WORDS: [&str; 12] = [
            "schema",
            "started_at",
            "role",
            "lowering",
            "denormals",
            "verdict",
            "profile",
            "interrupted",
            "clock",
            "governor_kind",
            "sha256",
            "kind",
        ];
        match value {
            Value::String(text) if !WORDS.contains(&key) => text.push_str(EVIL),
            Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, key)),
            Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| spoil(value, key)),
            _ => {}
        }
    }
    let folder = TempDir::new().expect("temp");
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records");
    let mut tried = 0;
    for name in ["1-fanout-silu.json", "1-minidet-silu.json"] {
        let mut record: Value =
            serde_json::from_slice(&std::fs::read(records.join(name)).expect("read")).expect("JSON");
        spoil(&mut record, "");
        let file = folder.path().join("evil.json");
        std::fs::write(&file, record.to_string()).expect("written");
        let file = file.to_str().expect("UTF-8");
        for format in ["table", "csv", "markdown", "html", "json"] {
            let (code, printed, said) = harmless(&["report", file, "--format", format]);
            assert_eq!(code, Some(0), "{format}: {said}");
            assert!(printed.contains("u001b[2J"), "{format}");
            harmless(&["compare", file, file, "--format", format]);
            tried += 1;
        }
        for format in ["trace", "netron", "model-explorer", "bencher", "github-benchmark"] {
            let (code, printed, said) = harmless(&["report", file, "--format", format]);
            assert_eq!(code, Some(0), "{format}: {said}");
            assert!(printed.contains("u001b[2J"), "{format}");
        }
    }
    assert!(tried > 0);
}

#[test]
fn kept_measurements_of_hostile_names_are_listed_as_text() {
    let state = TempDir::new().expect("temp");
    let folder = state.path().join("oplat/measurements");
    std::fs::create_dir_all(&folder).expect("a folder");
    let escaped = serde_json::to_string(EVIL).expect("JSON");
    let record = format!(
        r#"{{"started_at": {escaped}, "model": {{"name": {escaped}}}, "variants": [{{"name": {escaped}}}],
            "environment": {{"target": {escaped}}}}}"#
    );
    for (name, text) in [("a", record.as_str()), ("b", "no record")] {
        let file = format!("{name}{}.json", EVIL.replace('/', ""));
        std::fs::write(folder.join(file), text).expect("written");
    }
    for format in ["table", "json", "csv", "markdown", "html"] {
        let list = ["report", "--list", "--format", format];
        let output = program(&list).env("XDG_STATE_HOME", state.path()).output().expect("the program runs");
        let (printed, said) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(0), "{format}: {said}");
        assert_harmless(&printed, format);
        assert!(format == "table" || printed.contains("u202e"), "{format}: {printed}");
        assert!(printed.contains("t be read"), "{format}: {printed}");
        if format == "json" {
            let listed: Value = serde_json::from_str(&printed).expect("one JSON document");
            let models = listed.as_array().expect("a list").iter().map(|one| &one["model"]);
            assert!(models.into_iter().any(|model| model == EVIL), "{printed}");
        }
    }
}
