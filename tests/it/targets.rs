//! Devices behind a shell, played by this machine: what is pushed, what is left, and what is told when the way to
//! one is lost. `.ci/devices` does the same with a real sshd and a real adbd; `.ci/aarch64` runs the tests that need
//! a program for another processor.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use oplat::protocol::{EngineChoice, Load, Reply, Request};
use oplat::record::Record;
use tempfile::TempDir;

use crate::support::{numbers, path, program};

const SIREN: &str = "tests/models/siren.onnx";

/// What a line has in it that takes a file.
const PUSH: &str = "cat >\"$part\"";

/// A machine that is reached by a client named `ssh`, which is a script: it has the line run by this machine's
/// shell, and keeps a list of what it was asked for.
struct Board {
    folder: TempDir,
}

impl Board {
    /// `before` is what the client does first, with the line in `$line`.
    fn new(before: &str) -> Self {
        let folder = TempDir::new().expect("temp");
        let client = format!(
            "#!/bin/sh\nfor line; do :; done\necho \"$line\" >>\"$BOARD/asked\"\n{before}\n\
             export XDG_CACHE_HOME=\"$BOARD/cache\"\nexec sh -c \"$line\"\n"
        );
        let board = Self { folder };
        board.program("bin/ssh", &client);
        board
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    fn oplat(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").expect("a path");
        program(arguments)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("BOARD", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("oplat runs")
    }

    /// A short measurement of the smallest model; the record is kept in `name`.
    fn profile(&self, name: &str, more: &[&str]) -> Output {
        let record = self.path(name);
        let mut arguments = vec!["profile", SIREN, "--time", "3s", "--save", record.to_str().expect("UTF-8")];
        if !more.contains(&"--runner") {
            arguments.extend(["--runner", env!("CARGO_BIN_EXE_oplat")]);
        }
        arguments.extend(more);
        self.oplat(&arguments)
    }

    fn record(&self, name: &str) -> Record {
        let text = std::fs::read(self.path(name)).expect("a record");
        serde_json::from_slice(&text).expect("a record")
    }

    /// Lines that the client was given.
    fn asked(&self) -> String {
        std::fs::read_to_string(self.path("asked")).unwrap_or_default()
    }

    /// Files that are left on the board.
    fn left(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
            }
        }
        let mut found = vec![];
        walk(&self.path("cache"), &mut found);
        found
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_board_is_measured_by_what_was_pushed_and_left_as_it_was() {
    let board = Board::new("");
    let output = board.profile("record.json", &["--target", "ssh:board", "--forks", "2", "--act", "relu"]);
    assert!(output.status.success(), "{}", told(&output));
    let record = board.record("record.json");
    assert_eq!(record.environment.target, "ssh:board");
    assert_eq!((record.settings.forks, record.settings.lost), (2, None));
    assert_eq!(record.environment.runner, None, "the runner is this very program");
    assert!(record.variants.iter().all(|v| v.error.is_none() && v.output_change.is_some()));
    assert_eq!(board.left(), Vec::<PathBuf>::new());
    assert!(!board.path("cache/oplat").exists());
}

#[test]
fn what_is_kept_is_not_pushed_again() {
    let board = Board::new("");
    let measure = || board.profile("record.json", &["--target", "ssh:board", "--forks", "1", "--keep"]);
    assert!(measure().status.success());
    let sent = |asked: &str| asked.matches(PUSH).count();
    let first = sent(&board.asked());
    assert_eq!(first, 2, "the program and the original");
    assert!(measure().status.success());
    assert_eq!(sent(&board.asked()), first);
    assert_eq!(board.left().len(), 2);
    // What has a line break in it is more than one line to csh, quoted or not.
    let asked = board.asked();
    let odd = asked.lines().find(|line| !line.starts_with("exec sh -c '"));
    assert_eq!(odd, None, "every script is one line");
}

/// What another session does there when it ends.
const TIDY_UP: &str = "find \"$BOARD/cache/oplat/files\" -type f -links 1 -exec rm -f {} + 2>/dev/null\n\
                       rmdir \"$BOARD/cache/oplat/files\" \"$BOARD/cache/oplat\" 2>/dev/null";

#[test]
fn what_another_session_tidies_up_is_nothing_to_this_one() {
    // Before everything that is asked for: no moment is safe from it.
    let board = Board::new(TIDY_UP);
    let target = ["--target", "ssh:board", "--forks", "1", "--act", "relu"];
    for more in [&[][..], &["--keep"]] {
        let output = board.profile("record.json", &[&target, more].concat());
        assert!(output.status.success(), "{more:?}: {}", told(&output));
    }
}

#[test]
fn two_sessions_on_a_board_leave_each_others_files_alone() {
    let board = Board::new("");
    std::thread::scope(|scope| {
        let session = |name: &'static str, more: &'static [&'static str]| {
            let arguments = [&["--target", "ssh:board", "--forks", "1"], more].concat();
            let board = &board;
            scope.spawn(move || {
                for _ in 0..3 {
                    let output = board.profile(name, &arguments);
                    assert!(output.status.success(), "{}", told(&output));
                }
            })
        };
        let both = [session("one.json", &[]), session("two.json", &[])];
        both.into_iter().for_each(|session| session.join().expect("all were measured"));
    });
    assert_eq!(board.left(), Vec::<PathBuf>::new());
    assert!(!board.path("cache/oplat").exists());
}

#[test]
fn what_a_dead_session_left_is_removed_and_what_a_living_one_uses_is_not() {
    let board = Board::new("");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(10 * 24 * 60 * 60);
    let session = |name: &str| {
        let folder = board.path("cache/oplat").join(name);
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("file"), "").expect("written");
        std::fs::File::open(&folder).and_then(|folder| folder.set_modified(long_ago)).expect("set");
        folder
    };
    let (dead, used) = (session("session-dead01"), session("session-used01"));
    let mut user = Command::new("cat").current_dir(&used).stdin(Stdio::piped()).spawn().expect("cat");
    let output = board.profile("record.json", &["--target", "ssh:board", "--forks", "1"]);
    assert!(output.status.success(), "{}", told(&output));
    assert!(!dead.exists() && used.join("file").exists());
    user.kill().and_then(|()| user.wait()).expect("ended");
}

#[test]
fn what_a_board_says_without_end_is_not_listened_to() {
    let flood = "tr '\\0' x </dev/zero";
    for (when, what, said) in [
        ("worker --leash", format!("exec {flood}"), "said more than 256.0 MB in one line"),
        ("worker --leash", "while :; do echo noise; done".into(), "said what is no reply"),
        ("mktemp", format!("exec {flood}"), "sends more than 4.000 MB, which nobody asked for"),
        (".f64", format!("exec {flood}"), "which nobody asked for"),
        (
            "oplat-here",
            format!("{flood} | head -c 9000000 >&2; echo >&2; echo 'Permission denied' >&2; exit 255"),
            "cannot connect: Permission denied",
        ),
        ("worker --leash", "printf '\\033[2Jevil\\n' >&2; exit 3".into(), "last words: \\u001b[2Jevil"),
    ] {
        let board = Board::new(&format!("case $line in *'{when}'*) {what};; esac"));
        let output = board.profile("record.json", &["--target", "ssh:board", "--forks", "1"]);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(3), "{when}: {told}");
        assert!(told.contains(said) && told.len() < 1500, "{when}: {told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn a_board_of_another_processor_is_refused_before_anything_is_pushed() {
    let board = Board::new("PATH=\"$BOARD/other:$PATH\"");
    board.program("other/uname", "#!/bin/sh\necho aarch64\n");
    let output = board.profile("record.json", &["--target", "ssh:board"]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the device is aarch64") && said.lines().count() == 1, "{said}");
    assert!(!board.asked().contains(PUSH), "{}", board.asked());
    assert!(board.left().is_empty());
}

#[test]
fn a_board_that_is_lost_keeps_what_was_finished_and_is_gone_on_with() {
    // The fourth worker that runs a model is that of the second fork (the first one watches), and is refused.
    let board = Board::new(
        "if [ -e \"$BOARD/gone\" ]; then echo 'board: Permission denied (publickey).' >&2; exit 255; fi\n\
         case $line in *'worker --leash'*) echo x >>\"$BOARD/workers\"\n\
         if [ -e \"$BOARD/trap\" ] && [ \"$(wc -l <\"$BOARD/workers\")\" -ge 4 ]; then\n\
         touch \"$BOARD/gone\"; exit 255; fi;; esac",
    );
    std::fs::write(board.path("trap"), "").expect("written");
    let arguments =
        ["--target", "ssh:board", "--forks", "3", "--act", "relu", "--no-control", "--lowering", "exported"];
    let output = board.profile("record.json", &arguments);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("after 1 of 3 forks") && said.contains("--resume"), "{said}");
    let cut = board.record("record.json");
    assert_eq!((cut.settings.forks, cut.settings.forks_wanted), (1, Some(3)));
    assert!(cut.settings.lost.is_some());

    for name in ["gone", "trap"] {
        std::fs::remove_file(board.path(name)).expect("removed");
    }
    let mut again = arguments.to_vec();
    again.push("--resume");
    let output = board.profile("record.json", &again);
    assert!(output.status.success(), "{}", told(&output));
    let whole = board.record("record.json");
    assert_eq!((whole.settings.lost.as_deref(), whole.settings.resumed), (None, 1));
    // A busy machine has time for fewer than three.
    assert!(whole.settings.forks >= 2, "{}", whole.settings.forks);
    for (now, before) in whole.variants.iter().zip(&cut.variants) {
        assert_eq!(
            now.forks[0].rounds, before.forks[0].rounds,
            "the first fork is the one that was made then"
        );
        for (now, before) in now.ops.iter().zip(&before.ops) {
            assert_eq!(now.fork_mean_ns[..before.fork_mean_ns.len()], before.fork_mean_ns[..]);
        }
        assert!(now.forks.iter().all(|fork| fork.ops_ns.is_empty()), "nobody has to go on from there");
    }
    assert!(whole.environment.warnings.iter().any(|w| w.contains("cut off")));

    // Nothing is missing any more.
    let asked = board.asked();
    assert!(board.profile("record.json", &again).status.success());
    assert_eq!(board.asked(), asked);
    // Another plan is another measurement.
    again.extend(["--seed", "7"]);
    let output = board.profile("record.json", &again);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("the seed"), "{}", told(&output));
}

#[test]
fn a_model_that_the_board_refuses_is_bad_input_and_no_lost_board() {
    let board = Board::new("");
    // What arrives there is no model.
    board.program("bin/ln", "#!/bin/sh\nfor to; do :; done\ncase $to in *.onnx) echo junk >\"$to\";; *) exec /bin/ln \"$@\";; esac\n");
    let output = board.profile("record.json", &["--target", "ssh:board", "--forks", "1"]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the engine can't run it"), "{said}");
}

#[test]
fn several_targets_are_measured_at_once_and_each_has_its_record() {
    let board = Board::new("");
    let output = board.profile(
        "lab.json",
        &["--target", "ssh:board", "--target", "local", "--forks", "2", "--act", "relu"],
    );
    assert!(output.status.success(), "{}", told(&output));
    for (name, target) in [("lab.ssh-board.json", "ssh:board"), ("lab.local.json", "local")] {
        assert_eq!(board.record(name).environment.target, target);
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    let names = lines.iter().position(|l| l.contains("ssh:board") && l.contains("local"));
    let names = names.expect("a column a target");
    assert!(lines[names - 1].starts_with("variant"), "the SoC stands above: {printed}");
    let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("two devices are few"), "{printed}");
    let twice = board.oplat(&["profile", SIREN, "--target", "local", "--target", "local"]);
    assert_eq!(twice.status.code(), Some(2));
}

#[test]
fn a_lab_names_targets_and_folders_of_any_name() {
    let board = Board::new("");
    let folder = board.path("it's $(touch pwned); `touch pwned`");
    let lab = board.path("lab.yaml");
    let text = format!(
        "targets:\n  pi:\n    target: ssh:board\n    folder: {:?}\n    cpus: \"0\"\n",
        folder.display().to_string()
    );
    std::fs::write(&lab, text).expect("written");
    let lab = lab.to_str().expect("UTF-8");
    let output = board.profile("record.json", &["--target", "pi", "--lab", lab, "--forks", "1", "--keep"]);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(board.record("record.json").environment.affinity, [0]);
    assert_eq!(std::fs::read_dir(folder.join("files")).expect("kept").count(), 2);
    assert!(!Path::new("pwned").exists() && !board.path("pwned").exists());
    let output = board.profile("record.json", &["--target", "pie", "--lab", lab]);
    assert!(told(&output).contains("did you mean pi?"), "{}", told(&output));
}

#[test]
fn targets_are_described_or_told_how_to_be_reached() {
    let board = Board::new(
        "case $* in *nowhere*) echo 'ssh: Could not resolve hostname nowhere' >&2; exit 255;; esac",
    );
    let runner = ["--runner", env!("CARGO_BIN_EXE_oplat")];
    let output = board.oplat(&[&["targets", "--target", "ssh:board"], &runner[..]].concat());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("would use cpu"), "{printed}{}", told(&output));
    let output = board.oplat(&[&["targets", "--target", "ssh:nowhere"], &runner[..]].concat());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    assert!(printed.contains("check the name"), "{printed}");
}

#[test]
fn a_library_is_pushed_once_and_its_record_says_which_it_is() {
    let Some(library) = crate::ort::library() else { return };
    // What the board would find by itself is none.
    let board = Board::new("export ORT_DYLIB_PATH=/nowhere");
    let lab = board.path("lab.yaml");
    std::fs::write(
        &lab,
        format!("targets:\n  pi: {{ target: ssh:board, libraries: {{ ort: {library:?} }} }}\n"),
    )
    .expect("written");
    let lab = lab.to_str().expect("UTF-8");
    let given = format!("tract,ort={library}");
    let mut sent = vec![];
    for target in [
        &["--target", "ssh:board", "--engine", &given][..],
        &["--target", "pi", "--lab", lab, "--engine", "tract,ort"],
    ] {
        let output = board.profile("record.json", &[target, &["--forks", "1", "--keep"]].concat());
        assert!(output.status.success(), "{}", told(&output));
        assert!(told(&output).contains("ONNX Runtime") && told(&output).contains(&library));
        let record = board.record("record.json");
        let engine = &record.engines[1];
        assert_eq!(engine.library.as_deref(), Some(library.as_str()), "not a path of the session's");
        let sha256 = engine.sha256.clone().expect("a hash");
        assert!(board.left().iter().any(|kept| kept.ends_with(&sha256)), "{:?}", board.left());
        assert!(record.variants.iter().all(|v| v.error.is_none() && v.latency.is_some()));
        sent.push(board.asked().matches(PUSH).count());
    }
    // Nothing is told to its maker, and nothing is left for that.
    assert!(!board.path("cache/Microsoft").exists(), "telemetry");
    // The program, the library, and one model for each engine that has the same hash.
    assert_eq!(sent, [3, 3]);
}

/// The header of a program for this machine, or another, that is linked statically.
fn header(board: &Board, name: &str, machine: Option<u16>) -> String {
    let mut head = std::fs::read(env!("CARGO_BIN_EXE_oplat")).expect("a program")[..64].to_vec();
    // It has no parts, so none that names a loader.
    head[56..58].fill(0);
    if let Some(machine) = machine {
        head[18..20].copy_from_slice(&machine.to_le_bytes());
    }
    std::fs::create_dir_all(board.path(name).parent().expect("a folder")).expect("made");
    std::fs::write(board.path(name), head).expect("written");
    board.path(name).display().to_string()
}

#[test]
fn an_engine_that_cannot_be_loaded_there_is_refused_before_anything_is_pushed() {
    // The board has this machine's files, but for one.
    let board = Board::new(r#"line=$(printf '%s' "$line" | sed 's/other[.]so/gone.so/g')"#);
    let fits = format!("ort={}", header(&board, "fits.so", None));
    let other = format!("ort={}", header(&board, "other.so", Some(243)));
    let absent = format!("ort={}", board.path("none.so").display());
    let still = header(&board, "oplat-static", None);
    for (more, remedy) in [
        (&["--engine", &other][..], "it is for riscv64, and the device is"),
        (&["--engine", &absent], "no such file here or on the device"),
        (&["--engine", &fits, "--runner", &still], "can't load the library of engine ort: `cross build"),
        (&["--engine", "tract,ort", "--runner", &still], "linked statically"),
    ] {
        let output = board.profile("record.json", &[&["--target", "ssh:board"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", told(&output));
        assert!(told(&output).contains(remedy), "{}", told(&output));
        assert_eq!(told(&output).lines().filter(|line| line.starts_with("oplat: ")).count(), 1);
        assert!(!board.asked().contains(PUSH) && board.left().is_empty(), "{more:?}");
    }
    // A path on the device is left to the device, which is asked whether it has it.
    let there = header(&board, "cache/there.so", Some(243));
    let output =
        board.profile("record.json", &["--target", "ssh:board", "--engine", &format!("ort={there}")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("there.so") && !told(&output).contains("riscv64"), "{}", told(&output));
}

/// The program for another processor, and the launcher that runs it here.
fn emulated() -> (String, Vec<String>) {
    let var = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by .ci/aarch64"));
    let program = var("OPLAT_AARCH64");
    let launcher = var("OPLAT_EMULATOR");
    let mut words: Vec<String> = launcher.split_whitespace().map(str::to_owned).collect();
    words.push(program.clone());
    (format!("{launcher} {program}"), words)
}

/// The outputs of a model as a worker that is started so computes them.
fn outputs(words: &[String], model: &str, engine: Option<&EngineChoice>) -> Vec<f64> {
    use std::io::{BufRead, BufReader, Write};
    let folder = TempDir::new().expect("temp");
    let file = folder.path().join("outputs");
    let (program, arguments) = words.split_first().expect("a program");
    let mut child = Command::new(program)
        .args(arguments)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let load = Load { model: model.into(), engine: engine.cloned(), seed: 1, ..Load::default() };
    let mut requests = child.stdin.take().expect("a pipe");
    for request in [Request::Load(load), Request::Outputs { file: file.display().to_string() }] {
        writeln!(requests, "{}", serde_json::to_string(&request).expect("JSON")).expect("written");
    }
    drop(requests);
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("a line");
        let reply: Reply = serde_json::from_str(&line).expect("a reply");
        assert!(!matches!(reply, Reply::Error(_)), "{model}: {line}");
    }
    assert!(child.wait().expect("it ends").success());
    numbers(&file)
}

#[test]
#[ignore = "needs a program for aarch64 and qemu: .ci/aarch64 runs it"]
fn both_architectures_compute_the_same_to_one_in_ten_thousand() {
    let (_, other) = emulated();
    let own = [env!("CARGO_BIN_EXE_oplat").to_owned()];
    for name in
        ["siren", "act_zoo", "fanout_silu", "if_branches", "encoder_gelu_erf", "minidet_silu", "minidet_mish"]
    {
        let model = path(name).display().to_string();
        same(name, &outputs(&own, &model, None), &outputs(&other, &model, None), 1e-4);
    }
}

/// Fails unless the outputs of both architectures differ by no more than this part of the largest.
fn same(name: &str, here: &[f64], there: &[f64], most: f64) {
    assert_eq!(here.len(), there.len(), "{name}");
    assert!(here.iter().any(|x| *x != 0.0), "{name}: nothing to compare");
    let scale = here.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let off = here.iter().zip(there).map(|(a, b)| (a - b).abs()).fold(0.0_f64, f64::max);
    println!("{name}: {} outputs, off by {:.1e} of the largest", here.len(), off / scale);
    assert!(off <= most * scale, "{name}: off by {off} where the largest is {scale}");
}

/// ONNX Runtime with the library of the other architecture.
fn emulated_library() -> String {
    std::env::var("OPLAT_AARCH64_LIBRARY").expect("it is set by .ci/aarch64")
}

#[test]
#[ignore = "needs ONNX Runtime for aarch64, a program that loads it, and qemu: .ci/aarch64 runs it"]
fn onnx_runtime_computes_the_same_on_both_architectures() {
    let engine = |library| Some(EngineChoice { name: "ort".into(), library: Some(library) });
    let (_, other) = emulated();
    let own = [env!("CARGO_BIN_EXE_oplat").to_owned()];
    let here = engine(crate::ort::library().expect("a library for this machine"));
    let there = engine(emulated_library());
    for name in ["siren", "fanout_silu", "if_branches", "encoder_gelu_erf", "minidet_silu", "minidet_mish"] {
        let model = path(name).display().to_string();
        let there = outputs(&other, &model, there.as_ref());
        same(name, &outputs(&own, &model, here.as_ref()), &there, 1e-5);
    }
}

#[test]
#[ignore = "needs ONNX Runtime for aarch64, a program that loads it, and qemu: .ci/aarch64 runs it"]
fn onnx_runtime_ties_its_operators_to_sites_on_another_architecture() {
    let (launcher, _) = emulated();
    let folder = TempDir::new().expect("temp");
    let saved = folder.path().join("record.json");
    let model = path("minidet_silu").display().to_string();
    let (target, engine) = (format!("cmd:{launcher}"), format!("ort={}", emulated_library()));
    let output = program(&["profile", &model, "--act", "hard_swish", "--forks", "1", "--time", "20s"])
        .args(["--target", &target, "--engine", &engine, "--save"])
        .arg(&saved)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", told(&output));
    let record: Record = serde_json::from_slice(&std::fs::read(&saved).expect("kept")).expect("a record");
    assert_eq!(record.environment.arch, "aarch64");
    assert_eq!(record.engine.library.as_deref(), Some(emulated_library().as_str()));
    let with_sites = record.variants.iter().filter(|v| !v.sites.is_empty());
    assert!(with_sites.clone().count() >= 2, "the original and the swap have sites");
    for variant in with_sites {
        assert!(variant.error.is_none() && variant.profiled.is_some(), "{}", variant.name);
        for site in &variant.sites {
            let node = &site.node;
            let is_tied =
                variant.ops.iter().any(|op| op.site.as_ref() == Some(node) || op.folded.contains(node));
            assert!(is_tied, "{}: no operator is of {node}", variant.name);
        }
    }
}

#[test]
#[ignore = "needs a program for aarch64 and qemu: .ci/aarch64 runs it"]
fn an_emulated_target_is_measured_and_its_times_are_not_shown_as_latency() {
    let (launcher, words) = emulated();
    let folder = TempDir::new().expect("temp");
    let saved = folder.path().join("record.json");
    let target = format!("cmd:{launcher}");
    let arguments =
        ["profile", SIREN, "--act", "mish", "--forks", "2", "--time", "20s", "--target", &target, "--save"];
    let output = program(&arguments).arg(&saved).output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", told(&output));
    let record: Record = serde_json::from_slice(&std::fs::read(&saved).expect("kept")).expect("a record");
    assert!(record.environment.emulated);
    assert_eq!(record.environment.arch, "aarch64");
    let kernels = record.variants.iter().flat_map(|v| &v.ops).filter_map(|op| op.kernel.as_deref());
    let kernels: Vec<&str> = kernels.collect();
    assert!(kernels.iter().any(|k| k.contains("neon")), "no kernel of ours: {kernels:?}");
    assert!(kernels.iter().any(|k| k.starts_with("arm64")), "no kernel of the engine's: {kernels:?}");
    assert!(record.variants.iter().all(|v| v.error.is_none() && v.latency.is_some()), "{printed}");
    assert!(printed.contains("emulated"), "{printed}");
    let timed = |line: &&str| [" ms", " µs", "p50"].iter().any(|unit| line.contains(unit));
    assert_eq!(printed.lines().find(timed), None, "{printed}");

    // The swapped sites are those of the other architecture, too.
    let inspect = |words: &[String]| {
        let (program, arguments) = words.split_first().expect("a program");
        let file = folder.path().join("swapped.onnx");
        let mut command = Command::new(program);
        command.args(arguments).args(["swap", SIREN, "--act", "mish", "-o"]).arg(&file);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", told(&output));
        (output.stdout, std::fs::read(&file).expect("written"))
    };
    assert!(inspect(&words) == inspect(&[env!("CARGO_BIN_EXE_oplat").to_owned()]));
}
