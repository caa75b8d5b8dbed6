//! What is kept without being asked for, and the one screen that stands before it.

use std::path::Path;
use std::process::Output;

use crate::support;

/// The program, with a folder for state of its own.
fn with_state(state: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output =
        support::program(arguments).env("XDG_STATE_HOME", state).output().expect("the program runs");
    (output.status.code(), support::text(output.stdout), support::text(output.stderr))
}

fn measure(state: &Path, act: &str) -> String {
    let file = support::path("fanout_silu").display().to_string();
    let (code, printed, said) =
        with_state(state, &["profile", &file, "--act", act, "--time", "2s", "--forks", "2"]);
    assert_eq!(code, Some(0), "{said}");
    printed
}

#[test]
fn a_measurement_is_one_screen_and_all_of_it_is_found_again() {
    let state = tempfile::tempdir().expect("a folder");
    let screen = measure(state.path(), "mish");
    assert!(screen.lines().count() <= 30, "{screen}");
    assert!(
        screen.ends_with("\nAll tables: oplat report (this measurement is kept as `last`), or --detail.\n")
    );
    assert!(!screen.contains("cold start") && screen.contains("mish, exported"), "{screen}");

    let (code, whole, said) = with_state(state.path(), &["report"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(whole.contains("cold start") && whole.contains("mish, exported"), "{whole}");

    measure(state.path(), "relu");
    let (_, listed, _) = with_state(state.path(), &["report", "--list", "--format", "csv"]);
    let rows: Vec<&str> = listed.lines().collect();
    assert_eq!(rows.len(), 3, "{listed}");
    assert!(rows[1].starts_with("last,") && rows[1].contains("relu, exported"), "{listed}");
    assert!(rows[2].starts_with("last~1,") && rows[2].contains("mish, exported"), "{listed}");

    let (code, compared, said) = with_state(state.path(), &["compare", "last~1", "last", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(compared.contains("mish, kernel"), "only the older one has it: {compared}");
}

#[test]
fn a_measurement_that_is_not_kept_is_named_with_the_remedy() {
    let state = tempfile::tempdir().expect("a folder");
    let (code, _, said) = with_state(state.path(), &["report"]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("no measurement is kept yet: oplat profile"), "{said}");
    let (code, printed, _) = with_state(state.path(), &["report", "--list"]);
    assert_eq!((code, printed.contains("No measurement is kept yet")), (Some(0), true));
    measure(state.path(), "mish");
    let (code, _, said) = with_state(state.path(), &["compare", "last~7", "last"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("last~7: only 1 measurement") && said.contains("--list"), "{said}");
}

#[test]
fn where_nothing_can_be_kept_the_measurement_is_shown_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("a file");
    let model = support::path("fanout_silu").display().to_string();
    let (code, printed, said) = with_state(&file, &["profile", &model, "--time", "1s", "--forks", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("not kept for oplat report") && printed.contains("original"), "{said}{printed}");
    assert!(printed.ends_with("All tables: --detail.\n"), "{printed}");
}

#[test]
fn activations_on_their_own_are_kept_too() {
    let state = tempfile::tempdir().expect("a folder");
    let bench = ["bench", "--act", "relu", "--size", "64", "--time", "1s", "--forks", "1"];
    let (code, _, said) = with_state(state.path(), &bench);
    assert_eq!(code, Some(0), "{said}");
    let (code, shown, said) = with_state(state.path(), &["report"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(shown.contains("relu"), "{shown}");
    let (_, listed, _) = with_state(state.path(), &["report", "--list"]);
    assert!(listed.contains("activations"), "{listed}");
}
