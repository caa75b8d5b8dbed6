//! The program as a user meets it: exit codes, one clear line for what can't be done, and nothing left behind.

use std::process::{Command as Process, Stdio};

use assert_cmd::Command;

const RECORD: &str = "tests/fixtures/record-1.json";

fn oplat(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("oplat").expect("the program");
    command.args(arguments).env("COLUMNS", "100");
    command
}

/// What the program says where it refuses: nothing on stdout, one line on stderr.
fn refusal(arguments: &[&str]) -> String {
    let output = oplat(arguments).output().expect("the program runs");
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
    for command in ["", "profile", "report"] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let output = oplat(&arguments).output().expect("the program runs");
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
    oplat(&["--version"]).assert().success().stdout(concat!("oplat ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    for (arguments, told) in [
        (vec!["frofile", "x"], "'profile'"),
        (vec!["profile"], "MODEL"),
        (vec!["profile", "x", "--format", "csv"], "[possible values: table, json]"),
        (vec!["profile", "x", "--lowering", "both"], "`exported` only"),
        (vec!["profile", "x", "--lowering", "quick"], "give `exported`"),
        (vec!["profile", "x", "--time", "40"], "as in 40s"),
        (vec!["profile", "x", "--time", "0s"], "--time"),
        (vec!["profile", "x", "--forks", "0"], "at least 1"),
        (vec!["profile", "x", "--threads", "0"], "at least 1"),
        (vec!["profile", "x", "--cpus", "some"], "--cpus"),
        (vec!["profile", "x", "--target", "ssh:phone"], "not supported yet"),
        (vec!["profile", "x", "--act", "mihs"], "did you mean mish?"),
        (vec!["profile", "x", "--from", "silu"], "give --act"),
        (vec!["profile", "x", "--input", "images=1x3xA"], "no size"),
        (vec!["profile", "x", "--dim", "N"], "NAME=1"),
        (vec!["profile", "x", "-o", "same", "--save", "same"], "same file"),
        (vec!["report", RECORD, "--by", "colour"], "[possible values: type, op, site]"),
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
    let output = oplat(&["report", RECORD]).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!("report", String::from_utf8(output.stdout).expect("UTF-8"));
}

#[test]
fn one_breakdown_and_json_can_be_asked_for() {
    let output = oplat(&["report", RECORD, "--by", "site", "--top", "2"]).output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("computed by") && !text.contains("by type"), "{text}");

    let output = oplat(&["report", RECORD, "--format", "json"]).output().expect("the program runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(json["schema"], "oplat.record/1");
}

#[test]
fn a_report_goes_to_the_file_that_was_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.txt");
    let named = path.display().to_string();
    oplat(&["report", RECORD, "-o", &named]).assert().success().stdout("");
    let printed = oplat(&["report", RECORD]).output().expect("the program runs").stdout;
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
        ("{\"schema\": \"oplat.record/1\"}", "damaged"),
    ] {
        let path = file(text);
        let said = refusal(&["report", &path]);
        assert!(said.starts_with(&path) && said.contains(told), "{text}: {said}");
    }
    assert!(refusal(&["report", "no/such/record.json"]).starts_with("cannot read no/such/record.json: "));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    for arguments in
        [vec!["report", RECORD], vec!["report", RECORD, "--format", "json"], vec!["profile", "--help"]]
    {
        let mut child = Process::new(assert_cmd::cargo::cargo_bin("oplat"))
            .args(&arguments)
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
    let output = Process::new(assert_cmd::cargo::cargo_bin("oplat"))
        .args(["report", RECORD])
        .stdout(full)
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).starts_with("oplat: cannot write to the standard output: ")
    );
}
