//! Devices that have to be had before they are used: what `lab.yaml` says of acquiring them, of pools and of labels. Each is this
//! machine behind a launcher; commands of the lab write down when they were run. `.ci/labgrid` does the same with labgrid.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use oplat::device::Lab;
use oplat::record::Record;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::program;

const SIREN: &str = "tests/models/siren.onnx";

/// A folder with a lab, and with what its commands wrote down.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    /// `@` in the text of the devices stands for the folder.
    pub fn new(devices: &str) -> Self {
        let bench = Self { folder: TempDir::new().expect("temp") };
        let text = devices.replace('@', bench.folder.path().to_str().expect("UTF-8"));
        fs::write(bench.path("lab.yaml"), format!("targets:\n{text}")).expect("written");
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.arg("--lab").arg(self.path("lab.yaml")).env("XDG_STATE_HOME", self.path("state"));
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        ended(self.command(arguments).output().expect("oplat runs"))
    }

    /// `oplat targets` reaches a target and measures nothing.
    pub fn look(&self, name: &str) -> (Option<i32>, String, String) {
        self.run(&["targets", "--target", name])
    }

    pub fn profile(&self, record: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let save = self.path(record);
        let mut arguments = vec!["profile", SIREN, "--time", "3s", "--save", save.to_str().expect("UTF-8")];
        if !more.contains(&"--forks") {
            arguments.extend(["--forks", "1"]);
        }
        self.run(&[&arguments, more].concat())
    }

    pub fn record(&self, name: &str) -> Record {
        serde_json::from_slice(&fs::read(self.path(name)).expect("a record")).expect("a record")
    }

    /// What the lab's commands wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn fifo(&self, name: &str) -> PathBuf {
        let made = Command::new("mkfifo").arg(self.path(name)).status().expect("mkfifo runs");
        assert!(made.success());
        self.path(name)
    }
}

pub fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A program that is still running, with what it says on stderr.
pub struct Running {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("oplat runs");
        let said = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, said }
    }

    /// Reads on until a line has this in it.
    pub fn says(&mut self, text: &str) -> String {
        let mut all = String::new();
        while self.said.read_line(&mut all).expect("a line") > 0 {
            if all.lines().last().is_some_and(|line| line.contains(text)) {
                return all;
            }
        }
        panic!("it never said {text:?}: {all}");
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("an id")).expect("an id");
        kill_process(id, signal).expect("it runs");
    }

    pub fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("waited for").code(), rest)
    }
}

/// Opens a pipe for reading, which waits until somebody writes to it.
pub fn wait_for(fifo: &Path) {
    fs::read(fifo).expect("somebody wrote");
}

/// A device whose commands write down that they ran, and which is the worker that `acquire` names.
const NOTED: &str = "  board:\n    acquire: 'echo acquire $OPLAT_TARGET >>@/log; echo export KIND=nice; echo N=\"5\"'\n    \
                     release: 'echo release $OPLAT_TARGET $KIND >>@/log'\n    target: 'cmd:${KIND} -n ${N}'\n";

#[test]
fn a_device_is_acquired_once_and_released_after_all_was_measured() {
    let bench = Bench::new(NOTED);
    let (code, _, said) = bench.profile("record.json", &["--target", "board", "--act", "relu"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(bench.log(), "acquire board\nrelease board nice\n");
    assert_eq!(bench.record("record.json").environment.target, "cmd:nice -n 5");
    // A model that can't be read needs no device.
    assert_eq!(bench.run(&["profile", "no-such.onnx", "--target", "board"]).0, Some(2));
    assert_eq!(bench.log(), "acquire board\nrelease board nice\n");
}

#[test]
fn it_is_released_when_the_measurement_fails() {
    let bench = Bench::new(
        "  board: { acquire: 'echo a >>@/log; echo cmd:false', release: 'echo r >>@/log' }\n  \
         refused: { acquire: 'echo a >>@/log; echo cmd:nice', release: 'echo r >>@/log', cpus: '9999' }\n",
    );
    for (name, exit, told) in [("board", 3, "ended with code 1"), ("refused", 2, "9999")] {
        fs::write(bench.path("log"), "").expect("written");
        let (code, _, said) = bench.profile("record.json", &["--target", name]);
        assert_eq!((code, bench.log().as_str()), (Some(exit), "a\nr\n"), "{said}");
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn ctrl_c_and_sigterm_release_it_in_the_middle_of_a_measurement_and_of_acquiring() {
    let bench = Bench::new(
        "  measuring: { target: 'cmd:sh -c ''echo >@/fifo; exec sleep 600'' x', acquire: 'echo a >>@/log', release: \
         'echo r >>@/log' }\n  waiting: { target: local, acquire: 'echo a >>@/log; echo >@/fifo; sleep 600', release: \
         'echo r >>@/log' }\n",
    );
    let fifo = bench.fifo("fifo");
    for name in ["measuring", "waiting"] {
        for signal in [Signal::INT, Signal::TERM] {
            fs::write(bench.path("log"), "").expect("written");
            let running = Running::start(bench.command(&["profile", SIREN, "--target", name]));
            wait_for(&fifo);
            running.signal(signal);
            let (code, said) = running.end();
            assert_eq!((code, bench.log().as_str()), (Some(3), "a\nr\n"), "{name}, {signal:?}: {said}");
            assert!(said.contains("interrupted"), "{said}");
        }
    }
}

#[test]
fn a_release_that_has_begun_is_not_cut_off_by_who_interrupts_then() {
    let bench = Bench::new(
        "  board: { target: cmd:nice, acquire: 'true', release: 'echo >@/begun; until [ -e @/go ]; do :; done; echo r >>@/log' }\n",
    );
    let begun = bench.fifo("begun");
    let mut running = Running::start(bench.command(&["targets", "--target", "board"]));
    wait_for(&begun);
    // The first asks for an end, one that comes a while later for an end at once.
    let id = Pid::from_child(&running.child);
    let is_heard = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_heard.load(Ordering::SeqCst) {
                kill_process(id, Signal::INT).expect("it runs");
                std::thread::yield_now();
            }
        });
        running.says("interrupted again");
        is_heard.store(true, Ordering::SeqCst);
    });
    fs::write(bench.path("go"), "").expect("written");
    let (code, said) = running.end();
    assert_eq!((code, bench.log().as_str()), (Some(3), "r\n"), "{said}");
}

#[test]
fn what_a_killed_program_had_is_released_by_the_next_one() {
    let bench = Bench::new(
        "  board: { target: 'cmd:sh @/start', acquire: 'echo a >>@/log; echo TOKEN=t', release: 'echo r $TOKEN >>@/log' }\n",
    );
    let fifo = bench.fifo("fifo");
    let start = |text: &str| fs::write(bench.path("start"), text).expect("written");
    start(&format!("echo >'{}'; exec sleep 600", fifo.display()));
    let running = Running::start(bench.command(&["profile", SIREN, "--target", "board"]));
    wait_for(&fifo);
    let (_, printed, _) = bench.run(&["targets"]);
    assert!(printed.contains("board\n  used by pid ") && printed.contains("oplat profile"), "{printed}");
    running.signal(Signal::KILL);
    running.end();
    assert_eq!(bench.log(), "a\n");
    let (_, printed, said) = bench.run(&["targets"]);
    assert!(said.contains("board was not released by pid ") && said.contains("it is released now"), "{said}");
    assert!(printed.contains("board\n  to be acquired by: echo a"), "{printed}");
    assert_eq!(bench.log(), "a\nr t\n");
    start("exec \"$@\"");
    let (code, _, said) = bench.look("board");
    assert!(code == Some(0) && !said.contains("released"), "{said}");
}

#[test]
fn a_release_that_fails_is_told_and_tried_again_by_the_next_program() {
    let bench = Bench::new(
        "  board: { target: cmd:nice, acquire: 'true', release: 'echo r >>@/log; [ -e @/may ] || { echo no line >&2; exit 4; }' }\n",
    );
    let (code, _, said) = bench.look("board");
    assert_eq!(code, Some(0));
    assert!(said.contains("board: `release` failed: no line (code 4); release it by hand: echo r"), "{said}");
    fs::write(bench.path("may"), "").expect("written");
    assert!(bench.look("board").2.contains("it is released now"));
    assert_eq!(bench.log(), "r\n".repeat(3));
    assert_eq!(bench.look("board").2, "");
}

#[test]
fn who_interrupts_while_an_earlier_programs_device_is_released_leaves_that_to_the_next() {
    let bench = Bench::new(
        "  board: { target: 'cmd:sh @/start', acquire: 'true', release: 'echo >>@/begun; [ -e @/go ] || sleep 600; echo r >>@/log', \
         release_limit: 1h }\n",
    );
    let (fifo, begun) = (bench.fifo("fifo"), bench.fifo("begun"));
    fs::write(bench.path("start"), format!("echo >'{}'; exec sleep 600", fifo.display())).expect("written");
    let killed = Running::start(bench.command(&["profile", SIREN, "--target", "board"]));
    wait_for(&fifo);
    killed.signal(Signal::KILL);
    killed.end();
    for targets in [&["targets"][..], &["targets", "--target", "board"]] {
        let interrupted = Running::start(bench.command(targets));
        wait_for(&begun);
        interrupted.signal(Signal::INT);
        let (code, said) = interrupted.end();
        assert_eq!((code, bench.log().as_str()), (Some(3), ""), "{said}");
    }
    for name in ["go", "start"] {
        fs::write(bench.path(name), "exec \"$@\"").expect("written");
    }
    fs::remove_file(begun).expect("removed");
    let (code, _, said) = bench.look("board");
    assert!(code == Some(0) && said.contains("it is released now"), "{said}");
    assert_eq!(bench.log(), "r\n".repeat(2), "the killed one's, and its own");
}

#[test]
fn what_acquire_prints_does_not_keep_release_from_its_programs() {
    let bench = Bench::new(
        "  board: { target: cmd:nice, acquire: 'echo PATH=/nowhere; echo HOME=/nowhere; echo A=a', release: 'touch @/released-$A' }\n",
    );
    let (code, _, said) = bench.look("board");
    assert!(code == Some(0) && bench.path("released-a").exists(), "{said}");
}

#[test]
fn acquiring_that_goes_wrong_is_one_line_with_its_remedy() {
    for (entry, told, log) in [
        (
            "acquire: 'echo a >>@/log; echo no such place >&2; exit 1'",
            "`acquire` failed: no such place (code 1)",
            "a\n",
        ),
        ("acquire: 'echo ARN=x; echo no >&2; exit 1'", "`acquire` failed: no (code 1)", "r\n"),
        ("acquire: 'no-such-tool -p x'", "install it", ""),
        ("acquire: 'echo a >>@/log; sleep 600', acquire_limit: 10ms", "it was ended after 10 ms", "r\n"),
        ("acquire: 'echo hello'", "is no address: \"hello\"; have it print ssh:…", "r\n"),
        ("acquire: 'true'", "is no address: \"\"", "r\n"),
        (
            "acquire: 'true', target: 'ssh:${BOARD_HOST_1}'",
            "what ${BOARD_HOST_1} is; have `acquire` print",
            "r\n",
        ),
        ("acquire: 'echo H=-oX', target: 'ssh:${H}'", "target board: target ssh:-oX: give", "r\n"),
        ("acquire: 'echo ssh:-oProxyCommand=x'", "is no address", "r\n"),
        ("acquire: 'cat /dev/zero'", "it said more than 1.000 MB", "r\n"),
    ] {
        let bench = Bench::new(&format!("  board: {{ {entry}, release: 'echo r >>@/log' }}\n"));
        let (code, _, said) = bench.profile("record.json", &["--target", "board"]);
        assert_eq!(code, Some(3), "{entry}: {said}");
        assert!(said.starts_with("oplat: target board") && said.lines().count() == 1, "{said}");
        assert!(said.contains(told), "{entry}: {said}");
        // Where it can't be known how far it came, it is released.
        assert!(
            bench.log().ends_with(log) && (log == "r\n") == bench.log().contains('r'),
            "{entry}: {}",
            bench.log()
        );
    }
}

#[test]
fn what_acquire_says_on_a_full_disk_is_kept_as_far_as_it_came() {
    let bench = Bench::new(
        "  board: { acquire: 'printf TOKEN=t', release: 'echo r $TOKEN >>@/log', target: cmd:nice }\n",
    );
    let oplat = bench.command(&["targets", "--target", "board"]);
    // No file may have more than a few hundred bytes: some fit, as in the last block of a disk.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]).arg(oplat.get_program());
    command.args(oplat.get_args()).env("XDG_STATE_HOME", bench.path("state"));
    let (code, printed, said) = ended(command.output().expect("sh runs"));
    assert!(
        code == Some(3) && said.contains("`acquire` failed: what it says can't be kept"),
        "{printed}{said}"
    );
    assert_eq!(bench.log(), "r t\n");
}

#[test]
fn a_device_that_somebody_else_has_is_waited_for() {
    let bench = Bench::new(
        "  board: { target: cmd:nice, acquire: '[ -e @/free ] || { echo ann has it >&2; exit 75; }', release: 'true' }\n  \
         short: { target: 'cmd:nice -n 1', acquire: 'echo bob has it >&2; exit 75', release: 'echo r >>@/log', acquire_limit: 1ms }\n",
    );
    let mut running = Running::start(bench.command(&["targets", "--target", "board"]));
    running.says("waiting for board: board is not free: ann has it");
    fs::write(bench.path("free"), "").expect("written");
    assert_eq!(running.end(), (Some(0), String::new()));
    let (code, printed, _) = bench.look("short");
    assert_eq!(code, Some(3));
    assert!(printed.contains("it was not free within 1 ms: short is not free: bob has it"), "{printed}");
    assert_eq!(bench.log(), "", "what was never ours is not given back");
}

/// Two devices that are alike, of which the worker waits where there is a pipe.
const POOL: &str = "  b1: { target: 'cmd:sh @/start b1', pool: pair, labels: [bench] }\n  b2: { target: 'cmd:sh @/start b2', pool: \
                    pair, labels: [bench, second] }\n";

/// What starts a worker, with the device's name before it: it waits while there is a pipe of that name. While there is a trap, the
/// fourth is none.
const START: &str = "cd 'FOLDER'; [ ! -p $1 ] || cat $1 >/dev/null\n\
                     if [ -e trap ]; then echo x >>trap; [ $(wc -l <trap) -lt 4 ] || exit 3; fi\n\
                     cd - >/dev/null; shift; exec \"$@\"";

fn pool() -> Bench {
    let bench = Bench::new(POOL);
    let text = START.replace("FOLDER", bench.folder.path().to_str().expect("UTF-8"));
    fs::write(bench.path("start"), text).expect("written");
    bench
}

#[test]
fn two_programs_take_different_devices_of_a_pool_and_a_third_waits() {
    let bench = pool();
    let (b1, b2) = (bench.fifo("b1"), bench.fifo("b2"));
    let look = || bench.command(&["targets", "--target", "pair"]);
    // Each has its device when it starts a worker there, which opens the pipe.
    let first = Running::start(look());
    let open = |fifo: &Path| fs::OpenOptions::new().write(true).open(fifo).expect("the worker reads");
    let b1_holds = open(&b1);
    let second = Running::start(look());
    let b2_holds = open(&b2);
    let mut third = Running::start(look());
    let said = third.says("waiting for pair: b1 is used by pid ");
    assert!(said.contains(&format!("b1 is used by pid {}", first.child.id())), "{said}");
    assert!(said.contains(&format!("b2 is used by pid {}", second.child.id())), "{said}");
    // The second gives its device back, and the third goes on.
    fs::remove_file(&b2).expect("removed");
    drop(b2_holds);
    assert_eq!(second.end().0, Some(0));
    third.says("pair is b2 (cmd:sh");
    assert_eq!(third.end().0, Some(0));
    fs::remove_file(&b1).expect("removed");
    drop(b1_holds);
    let (code, said) = first.end();
    assert!(code == Some(0) && said.contains("pair is b1 (cmd:sh"), "{said}");
}

#[test]
fn a_killed_program_keeps_no_device() {
    let bench = pool();
    let b1 = bench.fifo("b1");
    let first = Running::start(bench.command(&["targets", "--target", "b1"]));
    let held = fs::OpenOptions::new().write(true).open(&b1).expect("the worker reads");
    first.signal(Signal::KILL);
    first.end();
    drop(held);
    fs::remove_file(&b1).expect("removed");
    let (code, _, said) = bench.look("pair");
    assert!(code == Some(0) && said.contains("pair is b1"), "{said}");
}

#[test]
fn a_pool_that_is_named_twice_is_two_devices_each_with_its_record() {
    let bench = pool();
    let (code, printed, said) = bench.profile("r.json", &["--target", "pair", "--target", "pair"]);
    assert_eq!(code, Some(0), "{said}");
    let targets = ["r.pair-1.json", "r.pair-2.json"].map(|name| bench.record(name).environment.target);
    assert!(targets[0] != targets[1] && targets.iter().all(|t| t.starts_with("cmd:sh")), "{targets:?}");
    assert!(printed.contains("pair-1 (b") && printed.contains("pair-2 (b"), "{printed}");
    let (code, _, said) = bench.look("label=nothing");
    assert!(code == Some(2) && said.contains("no device in"), "{said}");
    let three = ["--target", "pair", "--target", "pair", "--target", "pair"];
    let (code, _, said) = bench.profile("r.json", &three);
    assert!(code == Some(2) && said.contains("given 3 times, and the pool has 2 devices"), "{said}");
}

#[test]
fn a_label_is_all_devices_that_have_it() {
    let bench = pool();
    let (code, printed, _) = bench.run(&["targets", "--target", "label=bench", "--target", "label=second"]);
    let names: Vec<&str> = printed.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!((code, names), (Some(0), vec!["b1", "b2"]));
    let (_, printed, _) = bench.run(&["targets"]);
    assert!(printed.ends_with("label=bench: b1, b2\nlabel=second: b2\npool pair: b1, b2\n"), "{printed}");
}

#[test]
fn a_lab_of_ones_own_stands_before_the_examples() {
    let folder = TempDir::new().expect("temp");
    fs::create_dir(folder.path().join("configs")).expect("made");
    for (file, name) in [("lab.yaml", "mine"), ("configs/lab.yaml", "theirs")] {
        let text = format!("targets:\n  {name}: {{ target: local }}\n");
        fs::write(folder.path().join(file), text).expect("written");
    }
    let look = |name: &str| {
        let mut command = program(&["targets", "--target", name]);
        ended(command.current_dir(folder.path()).output().expect("oplat runs")).0
    };
    assert_eq!([look("mine"), look("theirs")], [Some(0), Some(2)]);
}

#[test]
fn a_bench_and_a_search_refuse_a_label_of_several_devices() {
    let lab = TempDir::new().expect("temp");
    let text = "targets:\n  a: { target: cmd:nice, labels: [all] }\n  b: { target: 'cmd:nice -n 1', labels: [all] }\n";
    fs::write(lab.path().join("lab.yaml"), text).expect("written");
    let siren = fs::canonicalize(SIREN).expect("there");
    let siren = siren.to_str().expect("UTF-8");
    for arguments in [&["bench", "--act", "relu"][..], &["search", siren, "--among", "relu"]] {
        let mut command = program(&[arguments, &["--target", "label=all"]].concat());
        let (code, _, said) = ended(command.current_dir(lab.path()).output().expect("oplat runs"));
        assert!(code == Some(2) && said.contains("is made on one target at a time"), "{said}");
    }
}

#[test]
fn where_one_of_a_pool_will_not_do_the_next_is_taken() {
    let bench = Bench::new(
        "  a: { target: cmd:false, pool: some }\n  b: { target: cmd:nice, pool: some, acquire: 'echo broken; exit 1', release: \
         'true' }\n  c: { target: 'cmd:nice -n 2', pool: some, acquire: 'exit 75', release: 'true' }\n  d: { target: 'cmd:nice -n 3', \
         pool: some }\n",
    );
    let (_, _, said) = bench.look("some");
    // A worker is more than `open`: a launcher that starts none is known by it alone.
    assert!(said.contains("some is a"), "{said}");
    let text =
        fs::read_to_string(bench.path("lab.yaml")).expect("read").replace("cmd:false", "ssh:127.0.0.1:1");
    fs::write(bench.path("lab.yaml"), text).expect("written");
    let (code, _, said) = bench.look("some");
    assert_eq!(code, Some(0), "{said}");
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what}: {said}"));
    assert!(at("127.0.0.1:1: cannot connect") < at("target b: `acquire` failed: broken"), "{said}");
    assert!(at("target b") < at("some is d (cmd:nice -n 3)"), "{said}");
}

#[test]
fn what_was_begun_on_one_of_a_pool_goes_on_there() {
    let bench = pool();
    fs::write(bench.path("trap"), "").expect("written");
    let more =
        ["--forks", "3", "--act", "relu", "--no-control", "--lowering", "exported", "--resume", "--target"];
    let (code, _, said) = bench.profile("r.json", &[&more[..], &["b2"]].concat());
    assert_eq!(code, Some(3), "{said}");
    fs::remove_file(bench.path("trap")).expect("removed");
    let (code, _, said) = bench.profile("r.json", &[&more[..], &["b1"]].concat());
    assert!(code == Some(2) && said.contains("it was measured on target cmd:sh"), "{said}");
    let (code, _, said) = bench.profile("r.json", &[&more[..], &["pair"]].concat());
    assert!(code == Some(0) && said.contains("pair is b2"), "{said}");
    assert_eq!(bench.record("r.json").settings.resumed, 1);
}

#[test]
fn what_is_missing_is_told_without_acquiring_anything() {
    let bench = Bench::new(
        "  board: { acquire: 'echo a >>@/log; no-such-tool', release: 'no-such-release x' }\n  other: { acquire: 'no-such-tool -p x', \
         release: 'true' }\n",
    );
    let (code, printed, _) = bench.run(&["targets"]);
    assert_eq!((code, bench.log().as_str()), (Some(0), ""), "{printed}");
    assert!(
        printed.contains(
            "other\n  to be acquired by: no-such-tool -p x\n  ! there is no command no-such-tool here"
        ),
        "{printed}"
    );
    assert!(printed.contains("! there is no command no-such-release here"), "{printed}");
}

#[test]
fn the_labs_of_the_documents_are_ones() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/labs.md");
    let text = fs::read_to_string(page).expect("the page");
    let blocks =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    let labs: Vec<Lab> = blocks
        .filter(|block| block.contains("targets:\n"))
        .map(|block| Lab::parse(block, "docs/labs.md").expect("a lab"))
        .collect();
    assert!(labs.len() >= 4, "{} were found", labs.len());
}
