//! What several of these tests need: the program, what it said, and the models.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program with these arguments, on a page of 100 columns.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oplat"));
    command.args(arguments).env("COLUMNS", "100").env("XDG_STATE_HOME", state());
    command
}

/// Where measurements of tests are kept: not among those of whoever runs them.
pub fn state() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("state")
}

/// What the program said, and how it ended.
pub fn oplat(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program runs")
}

/// The same as exit code, standard output and standard error.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = oplat(arguments);
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The one document that it printed; it must have succeeded.
pub fn json(arguments: &[&str]) -> Value {
    let (code, printed, said) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{arguments:?}: not one JSON document: {e}"))
}

pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// The file of a model of `tests/models`, by its stem.
pub fn path(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(format!("{model}.onnx"))
}

/// Little-endian f64, as a worker writes outputs.
pub fn numbers(file: &Path) -> Vec<f64> {
    let bytes = std::fs::read(file).expect("outputs");
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("eight"))).collect()
}
