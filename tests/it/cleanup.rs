//! A panic ends the process as it says, in every build.

use std::path::Path;
use std::process::Command;

use oplat::cleanup::{self, Guard};
use oplat::error::Exit;
use oplat::files::{Destination, Folder};

/// Set for the process that ends: where it writes.
const PLACE: &str = "OPLAT_TEST_CLEANUP";

#[test]
fn nothing_is_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cleanup::ends_by_a_panic", "--ignored", "--nocapture"])
        .env(PLACE, place.path())
        .env("TMPDIR", place.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(70), "no exit code of a result: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("told: two lines (cleanup.rs:") && said.lines().count() == 1, "{said}");
    let left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["done"], "only what the guard wrote");
}

#[test]
fn a_panic_of_the_standard_library_is_told_with_who_called_it() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cleanup::ends_in_the_standard_library", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("told: capacity overflow (cleanup.rs:"), "{said}");
    assert!(said.contains("tests/it/cleanup.rs"), "{said}");
}

#[test]
#[ignore = "the other test runs it in a process of its own"]
fn ends_in_the_standard_library() {
    cleanup::on_panic(|panic| {
        eprintln!("told: {} {}", panic.message, panic.file);
        Exit::Bug
    });
    let too_much: Vec<u64> = Vec::with_capacity(std::hint::black_box(usize::MAX));
    unreachable!("{too_much:?}");
}

/// A thread panics while others are at work.
#[test]
#[ignore = "the other test runs it in a process of its own"]
fn ends_by_a_panic() {
    let place = std::env::var_os(PLACE).expect("set by the other test");
    let place = Path::new(&place);
    cleanup::on_panic(|panic| {
        eprintln!("told: {}", panic.message);
        Exit::Bug
    });
    let done = place.join("done");
    let _guard = Guard::new(move || std::fs::write(done, "").unwrap());
    let folder = Folder::temporary().unwrap();
    std::fs::write(folder.path().join("variant.onnx"), "bytes").unwrap();
    let record = Destination::check(&place.join("record.json")).unwrap();
    let written = record.fill(|out| {
        out.write_all(b"a part")?;
        out.flush()?;
        std::thread::scope(|scope| {
            scope.spawn(|| panic!("two\n  lines"));
        });
        Ok(())
    });
    unreachable!("{written:?}");
}
