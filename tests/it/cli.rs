//! The program as a user meets it: exit codes, one clear line for what can't be done, and nothing left behind.

use std::collections::BTreeSet;
use std::process::Stdio;

use oplat::record::Record;

use crate::support::{json, oplat, program, run, text};

/// Records of schema 1, kept for ever: what could be read once can be read.
const RECORDS: &str = "tests/fixtures/records";
const RECORD: &str = "tests/fixtures/records/1-fanout-silu.json";
const OTHER: &str = "tests/fixtures/records/1-minidet-silu.json";

/// What the program says where it refuses: nothing on stdout, one line on stderr.
fn refusal(arguments: &[&str]) -> String {
    let output = oplat(arguments);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed to stdout");
    assert_eq!(said.lines().count(), 1, "{arguments:?} said more than a line: {said}");
    said.strip_prefix("oplat: ")
        .unwrap_or_else(|| panic!("{said:?} doesn't start with the name"))
        .trim_end()
        .into()
}

#[test]
fn help_is_an_answer() {
    for command in ["", "profile", "report", "compare"] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let output = oplat(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        if command.is_empty() {
            assert!(!text.contains("worker"), "the worker is not for people");
        } else {
            insta::assert_snapshot!(format!("help_{command}"), text);
        }
    }
    let version = concat!("oplat ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run(&["--version"]), (Some(0), version.to_owned(), String::new()));
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    for (arguments, told) in [
        (vec!["frofile", "x"], "'profile'"),
        (vec!["profile"], "MODEL"),
        (
            vec!["profile", "x", "--format", "xml"],
            "[possible values: table, json, csv, markdown, html, trace, ",
        ),
        (vec!["profile", "x", "--lowering", "quick"], "`kernel` or `both`"),
        (vec!["profile", "x", "--time", "40"], "as in 40s"),
        (vec!["profile", "x", "--time", "0s"], "--time"),
        (vec!["profile", "x", "--forks", "0"], "at least 1"),
        (vec!["profile", "x", "--threads", "0"], "at least 1"),
        (vec!["profile", "x", "--cpus", "some"], "--cpus"),
        (vec!["profile", "x", "--target", "phome"], "did you mean phone?"),
        (vec!["profile", "x", "--target", "ssh:-oProxyCommand=x"], "give ssh:[user@]host[:port]"),
        (vec!["profile", "x", "--lab", "no/such.yaml", "--target", "phone"], "cannot read no/such.yaml"),
        (vec!["profile", "x", "--resume"], "--save"),
        (vec!["profile", "x", "--time", "5s", "--cool-down", "5s"], "leaves nothing of --time 5 s"),
        (vec!["profile", "x", "--max-temperature", "451"], "from 0 to 150"),
        (vec!["profile", "x", "--act", "mihs"], "did you mean mish?"),
        (vec!["profile", "x", "--from", "silu"], "give --act or --mix"),
        (
            vec!["profile", "x", "--mix", "relu, /a=sliu"],
            "--mix: /a: unknown activation `sliu`: did you mean silu?",
        ),
        (vec!["profile", "x", "--mix", "a: relu", "--mix", "a: silu"], "two mixes are called a"),
        (vec!["profile", "x", "--mix", "@no/such.yaml"], "no/such.yaml"),
        (
            vec!["profile", "tests/models/minidet_silu.onnx", "--max-regression", "5%"],
            "there is nothing to compare: give a second model",
        ),
        (vec!["swap", "x", "-o", "y"], "--mix"),
        (vec!["swap", "x", "-o", "y", "--act", "relu", "--mix", "relu, /a=silu"], "cannot be used with"),
        (vec!["profile", "x", "--input", "images=1x3xA"], "no size"),
        (vec!["profile", "x", "--dim", "N"], "NAME=1"),
        (vec!["profile", "x", "-o", "same", "--save", "same"], "same file"),
        (vec!["run"], "CONFIG"),
        (vec!["run", "no/such.yaml"], "cannot read no/such.yaml"),
        (vec!["run", "tests/it/cli.rs"], "tests/it/cli.rs, line "),
        (vec!["run", "configs/yolo-family.yaml", "--time", "0s"], "give more than nothing"),
        (vec!["report", RECORD, "--by", "colour"], "[possible values: type, op, site, shape, activation]"),
        (vec!["compare"], "NEW"),
        (vec!["compare", RECORD], "NEW"),
        (vec!["compare", RECORD, RECORD, "--max-regression", "5"], "did you mean 5%?"),
        (vec!["compare", RECORD, RECORD, "--max-regression", "much"], "give 5% or 0.05"),
        (vec!["compare", RECORD, "tests/it/cli.rs"], "not a record"),
    ] {
        let said = refusal(&arguments);
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn a_model_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    let empty = file("empty.onnx", b"");
    let text = file("text.onnx", b"this is no model at all\n");
    let folder = folder.path().display().to_string();
    for (model, told) in [
        ("no/such/yolov5z.onnx", "did you mean yolov5"),
        ("zzz", "yolov5n, yolov5s, yolov5m"),
        (&empty, "empty"),
        (&text, "not an ONNX model"),
        (&folder, "is a folder"),
    ] {
        let said = refusal(&["profile", model]);
        assert!(said.starts_with(model) && said.contains(told), "{model}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_measuring() {
    for flag in ["-o", "--save"] {
        let said = refusal(&["profile", "yolov5n", flag, "no/such/folder/file"]);
        assert!(said.starts_with("cannot write no/such/folder/file: "), "{said}");
    }
    let said = refusal(&["report", RECORD, "-o", "no/such/folder/file"]);
    assert!(said.starts_with("cannot write no/such/folder/file: "), "{said}");
}

#[test]
fn a_record_of_this_schema_is_printed_again() {
    let output = oplat(&["report", RECORD]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!("report", String::from_utf8(output.stdout).expect("UTF-8"));
}

#[test]
fn one_breakdown_and_json_can_be_asked_for() {
    let output = oplat(&["report", RECORD, "--by", "site", "--top", "2"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("computed by") && !text.contains("by type"), "{text}");

    let output = oplat(&["report", RECORD, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(json["schema"], "oplat.record/1");
}

#[test]
fn a_report_goes_to_the_file_that_was_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.txt");
    let named = path.display().to_string();
    assert_eq!(run(&["report", RECORD, "-o", &named]), (Some(0), String::new(), String::new()));
    let printed = oplat(&["report", RECORD]).stdout;
    assert_eq!(std::fs::read(&path).expect("written"), printed);
}

#[test]
fn what_is_no_record_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |text: &str| {
        let path = folder.path().join("record.json");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    for (text, told) in [
        ("", "not a record"),
        ("[]", "not a record"),
        ("{\"schema\": \"oplat.record/9\"}", "\"oplat.record/9\" and this version reads oplat.record/1"),
        (
            "{\"schema\": \"oplat.search/1\"}",
            "it is of a search: `oplat search` with the same flags and --resume",
        ),
        ("{\"schema\": \"oplat.compare/1\"}", "it is no record but \"oplat.compare/1\""),
        ("{\"schema\": \"oplat.record/1\"}", "damaged"),
    ] {
        let path = file(text);
        let said = refusal(&["report", &path]);
        assert!(said.starts_with(&path) && said.contains(told), "{text}: {said}");
    }
    assert!(refusal(&["report", "no/such/record.json"]).starts_with("cannot read no/such/record.json: "));
}

/// The records that are kept.
fn kept() -> Vec<String> {
    let folder = std::fs::read_dir(RECORDS).expect("the folder");
    let paths = folder.map(|entry| entry.expect("an entry").path().display().to_string());
    let mut paths: Vec<String> = paths.filter(|path| path.ends_with(".json")).collect();
    paths.sort();
    assert!(paths.len() >= 2, "{paths:?}");
    paths
}

#[test]
fn every_kept_record_is_read_in_every_form() {
    for path in kept() {
        let text = std::fs::read_to_string(&path).expect("the record");
        let record: Record = serde_json::from_str(&text).expect("of this schema");
        let printed = |format: &str| {
            let all = "op,type,site,shape,activation";
            let (code, text, _) = run(&["report", &path, "--format", format, "--by", all, "--top", "1000"]);
            assert_eq!(code, Some(0), "{path} as {format}");
            text
        };
        assert_eq!(serde_json::from_str::<Record>(&printed("json")).expect("a record"), record, "{path}");
        for format in ["table", "csv", "markdown"] {
            let text = printed(format);
            for variant in &record.variants {
                // A long name goes into two lines.
                let mut words = variant.name.split_whitespace();
                assert!(words.all(|word| text.contains(word)), "{} of {path} as {format}", variant.name);
            }
            let types: BTreeSet<&str> =
                record.variants.iter().flat_map(|v| &v.ops).map(|op| op.op.as_str()).collect();
            assert!(types.iter().all(|op| text.contains(op)), "{types:?} of {path} as {format}");
        }
    }
}

#[test]
fn several_records_are_printed_one_after_another() {
    let text = |format: &str| {
        let output = oplat(&["report", RECORD, OTHER, "--format", format]);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let table = text("table");
    let (one, other) = (table.find(&format!("record {RECORD}")), table.find(&format!("record {OTHER}")));
    assert!(one == Some(0) && other > one, "{table}");
    assert!(text("markdown").contains(&format!("\n### `{OTHER}`\n")));
    let json: Vec<serde_json::Value> = serde_json::from_str(&text("json")).expect("a list");
    assert_eq!(json.len(), 2);
    let csv = text("csv");
    assert_eq!(csv.lines().filter(|line| line.starts_with("record,started_at,")).count(), 1);
    assert!(csv.lines().any(|line| line.starts_with(OTHER)));
}

/// Exit code and what was printed.
fn compare(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = oplat(&[&["compare"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A copy of the record in which every run takes so many times as long, with this last fork.
fn slowed(folder: &std::path::Path, times: f64, last: f64) -> String {
    let text = std::fs::read(RECORD).expect("the record");
    let mut record: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    for variant in record["variants"].as_array_mut().expect("variants") {
        let forks = variant["forks"].as_array_mut().expect("forks");
        let n = forks.len();
        for (i, fork) in forks.iter_mut().enumerate() {
            // Steady forks, so that the outcome is that of the numbers below and not of the machine's past.
            let speed = times * if i + 1 == n { last } else { 1.0 + i as f64 / 1000.0 };
            fork["rounds"] = serde_json::json!([[(1e6 * speed) as u64, (1e6 * speed) as u64]]);
        }
    }
    let path = folder.join(format!("{times}-{last}.json"));
    std::fs::write(&path, record.to_string()).expect("written");
    path.display().to_string()
}

#[test]
fn a_regression_has_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = |times, last| slowed(folder.path(), times, last);
    let (base, same, slow, wild) = (record(1.0, 1.0), record(1.01, 1.0), record(1.1, 1.0), record(1.0, 1.3));
    for (new, code, said) in [
        (vec![&same], 0, ""),
        (vec![&slow], 1, "oplat: slower by more than 5.0%: "),
        (vec![&wild], 4, "oplat: can't tell whether slower by more than 5.0%: "),
        (vec![&wild, &slow, &same], 1, "oplat: slower by more than 5.0%: "),
        (vec![&same, &wild], 4, "oplat: can't tell"),
    ] {
        let mut arguments = vec![base.as_str()];
        arguments.extend(new.iter().map(|new| new.as_str()));
        let (code_without, printed, _) = compare(&arguments);
        assert_eq!(code_without, Some(0), "without a limit nothing is a regression");
        assert!(printed.contains("unpaired"), "{printed}");
        for limit in ["5%", "0.05"] {
            let limited = [arguments.as_slice(), &["--max-regression", limit]].concat();
            let (found, printed, told) = compare(&limited);
            assert_eq!(found, Some(code), "{told}");
            assert!(told.starts_with(said) && told.lines().count() <= 1, "{told}");
            assert!(printed.contains("limit 5%"), "{printed}");
        }
    }
    let (_, json, _) = compare(&[&base, &slow, "--max-regression", "5%", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!((&json["schema"], &json["method"]), (&"oplat.compare/1".into(), &"unpaired".into()));
    assert_eq!(json["outcome"], "regression");
    assert_eq!(json["against"][0]["variants"][0]["change"]["verdict"], "slower");
}

#[test]
fn records_of_one_side_are_pooled_and_a_build_server_gets_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = |times, last| slowed(folder.path(), times, last);
    let (a, b) = ([record(1.0, 1.0), record(1.001, 1.0)], [record(1.2, 1.0), record(1.201, 1.0)]);
    let junit = folder.path().join("latency.xml").display().to_string();
    let sides = [a[0].as_str(), "--base", &a[1], &b[0], &b[1]];
    let limit = ["--max-regression", "5%", "--junit", &junit, "--format", "json"];
    let (code, json, _) = compare(&[sides.as_slice(), &limit].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!((code, &json["base"]["records"]), (Some(1), &2.into()));
    let [against] = json["against"].as_array().expect("a list").as_slice() else {
        panic!("one side: {json}")
    };
    assert_eq!(against["new"]["records"], 2);
    let variants = against["variants"].as_array().expect("variants").len();
    let file = std::fs::read_to_string(&junit).expect("written");
    assert!(file.contains(&format!("tests=\"{variants}\" failures=\"{variants}\" errors=\"0\"")), "{file}");
    assert_eq!(file.matches("<failure type=\"regression\"").count(), variants, "{file}");

    // Pooled, the same two say less of the machine; alone, each is a comparison of its own.
    let (_, text, _) = compare(&[&a[0], &b[0], &b[1], "--pool"]);
    assert!(text.contains("8 forks"), "{text}");
    let (code, _, told) = compare(&[&a[0], &a[1], "--junit", &junit]);
    assert_eq!(code, Some(2), "without a limit nothing can fail: {told}");
}

#[test]
fn a_comparison_names_what_differs_and_takes_every_form() {
    for format in ["table", "json", "csv", "markdown"] {
        let (code, printed, told) = compare(&[RECORD, OTHER, "--format", format]);
        assert_eq!((code, told.as_str()), (Some(0), ""), "{format}");
        assert!(printed.contains("model: SHA-256") && printed.contains("control"), "{printed}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("comparison.md").display().to_string();
    let (code, printed, _) = compare(&[RECORD, OTHER, "--format", "markdown", "-o", &file]);
    assert_eq!((code, printed.as_str()), (Some(0), ""));
    assert!(std::fs::read_to_string(&file).expect("written").contains("<details>"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    for arguments in
        [vec!["report", RECORD], vec!["report", RECORD, "--format", "json"], vec!["profile", "--help"]]
    {
        let mut child = program(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = program(&["report", RECORD]).stdout(full).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).starts_with("oplat: cannot write to the standard output: ")
    );
}

#[test]
fn colours_are_for_terminals_and_never_in_files_or_in_what_programs_read() {
    let has_colours = |text: &str| text.contains("\u{1b}[");
    let printed = |arguments: &[&str]| {
        let (code, printed, said) = run(arguments);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?}");
        printed
    };
    let plain = printed(&["report", RECORD]);
    assert!(!has_colours(&plain), "a pipe is no terminal");
    let coloured = printed(&["report", RECORD, "--color", "always"]);
    assert!(coloured.contains("\u{1b}[33m! "), "{coloured:?}");
    let without =
        ["31", "32", "33", "0"].iter().fold(coloured, |t, c| t.replace(&format!("\u{1b}[{c}m"), ""));
    assert_eq!(without, plain, "colours say nothing that the words don't");
    for format in ["json", "csv", "markdown"] {
        assert!(
            !has_colours(&printed(&["report", RECORD, "--color=always", "--format", format])),
            "{format}"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.txt").display().to_string();
    printed(&["--color", "always", "compare", RECORD, RECORD, "-o", &file]);
    assert!(!has_colours(&std::fs::read_to_string(file).expect("written")));
    assert!(has_colours(&printed(&["--color", "always", "compare", RECORD, RECORD])), "it has warnings");
}

/// Records of devices with these names, in a folder with another file.
fn lab(hosts: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("{}/tests/fixtures/records/1-fanout-silu.json", env!("CARGO_MANIFEST_DIR"));
    let record = std::fs::read_to_string(file).expect("a record");
    for host in hosts {
        let record = record.replacen("\"host\":\"\"", &format!("\"host\":\"{host}\""), 1);
        std::fs::write(folder.path().join(format!("{host}.json")), record).expect("written");
    }
    std::fs::write(folder.path().join("other.json"), "{\"name\": 1}").expect("written");
    folder
}

#[test]
fn many_records_are_one_csv_with_one_header_and_as_many_fields_in_every_line() {
    let folder = lab(&["one", "two", "three, \"the third\""]);
    let out = folder.path().join("all.csv");
    let (folder, out) = (folder.path().to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    let output = program(&["report", folder, "--format", "csv", "-o", out]).output().expect("oplat runs");
    assert!(output.status.success(), "{}", text(output.stderr));
    let all = std::fs::read_to_string(out).expect("written");
    // Quoted cells have commas, and no line breaks here.
    let cells = |line: &str| {
        let mut quoted = false;
        let commas = line.chars().filter(|&c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        1 + commas.count()
    };
    let columns = cells(all.lines().next().expect("a header"));
    assert!(columns > 40 && all.lines().all(|line| cells(line) == columns), "{all}");
    assert_eq!(all.matches("started_at").count(), 1, "one header");
    let header: Vec<&str> = all.lines().next().expect("a header").split(',').collect();
    for column in
        ["record", "device", "host", "soc", "cpu", "engine", "started_at", "model", "variant", "row"]
    {
        assert!(header.contains(&column), "{column}");
    }
    assert_eq!(all.lines().filter(|line| line.contains(",variant,") && line.contains(",two,")).count(), 3);
}

#[test]
fn a_folder_of_records_is_told_over_its_devices() {
    let folder = lab(&["one", "two", "three"]);
    let path = folder.path().to_str().expect("UTF-8");
    let found = json(&["report", path, "--across", "--format", "json"]);
    assert_eq!(found["schema"], "oplat.across/1");
    assert_eq!((found["devices"].as_array().map(Vec::len), &found["socs"]), (Some(3), &1.into()));
    let printed = program(&["report", path]).output().expect("oplat runs");
    assert!(text(printed.stdout).starts_with("3 devices of one SoC, each against its own original."));
    let one = folder.path().join("one.json");
    let refused =
        program(&["report", one.to_str().expect("UTF-8"), "--across"]).output().expect("oplat runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(refused.stderr).contains("records of two devices or more"));
    let empty = tempfile::tempdir().expect("a folder");
    let refused = program(&["report", empty.path().to_str().expect("UTF-8")]).output().expect("oplat runs");
    assert!(text(refused.stderr).contains("no record is in this folder"));
}
