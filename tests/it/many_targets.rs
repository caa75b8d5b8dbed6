//! A lab of many devices, each this machine behind a launcher that may die, hang or have a full disk. `.ci/scale` does the same
//! with a hundred, and interrupts it.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use oplat::record::Record;
use tempfile::TempDir;

use crate::support::{program, text};

const TARGETS: usize = 12;
const FORKS: usize = 2;

/// A device counts its workers. From its third on, the fault that it has strikes: the first watches, the second runs a model.
const BOARD: &str = r#"#!/bin/sh
name=$1; shift
echo x >>"$LAB/starts.$name"
[ "$(wc -l <"$LAB/starts.$name")" -ge 3 ] && [ -e "$LAB/faulty" ] || exec "$@"
case $name in
b02) "$@" | { IFS= read -r line; kill -9 $$; };;
b03) echo 'no route to the device' >&2; exit 255;;
*) exec "$@";;
esac
"#;

struct Lab {
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = TempDir::new().expect("temp");
        let board = folder.path().join("board");
        std::fs::write(&board, BOARD).expect("written");
        std::fs::set_permissions(&board, std::fs::Permissions::from_mode(0o755)).expect("set");
        let full = "    target: \"cmd:sh -c 'ulimit -f 0; exec \\\"$@\\\"' sh\"\n";
        let targets: String = (0..TARGETS)
            .map(|number| match number {
                4 => format!("  b04:\n{full}"),
                _ => format!("  b{number:02}: {{ target: \"cmd:{} b{number:02}\" }}\n", board.display()),
            })
            .collect();
        std::fs::write(folder.path().join("lab.yaml"), format!("targets:\n{targets}")).expect("written");
        std::fs::create_dir(folder.path().join("tmp")).expect("made");
        Self { folder }
    }

    fn command(&self, forks: usize, more: &[&str]) -> Command {
        let model = crate::support::path("siren").display().to_string();
        let forks = forks.to_string();
        let mut command =
            program(&["profile", &model, "--act", "relu", "--lowering", "exported", "--no-control"]);
        command.args(["--cold", "--time", "30m", "--forks", &forks]).args(more);
        command.arg("--lab").arg(self.path("lab.yaml")).arg("--save").arg(self.path("r.json"));
        (0..TARGETS).for_each(|number| {
            command.arg("--target").arg(format!("b{number:02}"));
        });
        command.env("LAB", self.folder.path()).env("TMPDIR", self.path("tmp")).stdin(Stdio::null());
        command
    }

    fn profile(&self, more: &[&str]) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.command(FORKS, more).output().expect("it runs");
        assert_eq!(std::fs::read_dir(self.path("tmp")).expect("there").count(), 0, "nothing is left");
        (status.code(), text(stderr))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn record(&self, number: usize) -> Record {
        let bytes = std::fs::read(self.path(&format!("r.b{number:02}.json"))).expect("a record");
        serde_json::from_slice(&bytes).expect("a record")
    }

    fn starts(&self, number: usize) -> usize {
        let lines = std::fs::read_to_string(self.path(&format!("starts.b{number:02}"))).unwrap_or_default();
        lines.lines().count()
    }
}

#[test]
fn those_that_fail_cost_the_others_nothing_and_what_is_missing_is_measured_later() {
    let lab = Lab::new();
    std::fs::write(lab.path("faulty"), "").expect("written");
    let (code, said) = lab.profile(&[]);
    assert_eq!(code, Some(3), "{said}");
    let well = || (0..TARGETS).filter(|number| ![2, 3, 4].contains(number));
    for number in well() {
        assert_eq!(lab.record(number).settings.forks, FORKS);
        assert!(said.contains(&format!("b{number:02}: done (")), "{said}");
    }
    for lost in ["b02: lost: ", "b03: lost: ", "b04: lost: "] {
        assert!(said.lines().any(|line| line.starts_with(lost)), "{lost}: {said}");
    }
    assert!(said.contains("raise the limit (`ulimit -f`)"), "what to do about a full disk: {said}");
    let last = said.lines().last().expect("a line");
    assert!(last.starts_with("oplat: b0") && last.ends_with("(3 targets failed, as told above)"), "{last}");

    // Those that were gone are back.
    std::fs::remove_file(lab.path("faulty")).expect("removed");
    let full = lab.record(4);
    assert_eq!((full.settings.forks, full.settings.lost.is_some()), (1, true));
    let starts: Vec<usize> = (0..TARGETS).map(|number| lab.starts(number)).collect();
    let before: Vec<_> =
        well().map(|number| (number, std::fs::read(lab.path(&format!("r.b{number:02}.json"))))).collect();
    let (code, said) = lab.profile(&["--resume"]);
    assert_eq!(code, Some(3), "one disk is full as before: {said}");
    for number in well() {
        assert_eq!(lab.starts(number), starts[number], "b{number:02} is complete: it isn't even reached");
    }
    for (number, bytes) in before {
        assert_eq!(std::fs::read(lab.path(&format!("r.b{number:02}.json"))).ok(), bytes.ok());
    }
    for number in [2, 3] {
        let record = lab.record(number);
        assert!(record.variants.iter().all(|v| v.error.is_none() && v.forks.len() >= FORKS), "b{number:02}");
    }
}

#[test]
fn a_signal_ends_all_of_them_and_all_that_was_measured_is_kept() {
    use std::io::{BufRead, BufReader};
    let lab = Lab::new();
    // As many forks as there may be: it ends by the signal.
    let mut child =
        lab.command(1000, &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    let said = BufReader::new(child.stderr.take().expect("a pipe"));
    // All have begun.
    while (0..TARGETS).any(|number| number != 4 && lab.starts(number) < 4) {
        assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    // One record can't be written any more.
    let taken = lab.path("r.b05.json");
    let _ = std::fs::remove_file(&taken);
    std::fs::create_dir(&taken).expect("made");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("sent");
    let said: Vec<String> = said.lines().map_while(Result::ok).collect();
    let last = said.last().expect("a line");
    let unsaved = |line: &&String| line.starts_with("oplat: b05: ") && line.contains("r.b05.json");
    assert_eq!(said.iter().filter(unsaved).count(), 1, "{said:?}");
    assert_eq!(child.wait().expect("ended").code(), Some(3));
    assert!(last.starts_with("oplat: interrupted: 0 of 12 targets are complete"), "{last}");
    assert!(last.ends_with("--resume measures the rest"), "{last}");
    assert_eq!(std::fs::read_dir(lab.path("tmp")).expect("there").count(), 0, "nothing is left");
    for number in (0..TARGETS).filter(|number| ![4, 5].contains(number)) {
        let kept = std::fs::metadata(lab.path(&format!("r.b{number:02}.json"))).is_ok();
        assert!(!kept || lab.record(number).settings.interrupted, "b{number:02}");
    }
}
