//! The user's own files: what is read once, what is replaced and what isn't, and what is left behind.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use oplat::onnx::Model;
use tempfile::TempDir;

use crate::support::{oplat, path, program, run, text};

const RECORD: &str = "tests/fixtures/records/1-minidet-silu.json";
const OTHER: &str = "tests/fixtures/records/1-fanout-silu.json";
const BENCH: &str = "tests/fixtures/records/bench/1-mish-silu.json";

/// A folder with copies of these files.
fn with(files: &[&Path]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in files {
        fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    folder
}

/// A model with its weights in another file, alone in a folder.
fn external() -> (TempDir, PathBuf, PathBuf) {
    let model = path("minidet_silu_external");
    let folder = with(&[&model, &model.with_extension("onnx.data")]);
    let [model, data] =
        ["onnx", "onnx.data"].map(|e| folder.path().join(format!("minidet_silu_external.{e}")));
    (folder, model, data)
}

/// Names in a folder that are hidden, or as our temporary ones.
fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.') || name.contains("oplat-")).collect()
}

/// The one line with which a command is refused, before it has done anything.
fn refused(arguments: &[&str]) -> String {
    let (code, printed, said) = run(arguments);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{arguments:?}: {printed}{said}");
    assert!(said.starts_with("oplat: cannot "), "{arguments:?}: {said}");
    said
}

#[test]
fn what_a_command_reads_is_never_written_whatever_it_is_called() {
    let (folder, model, data) = external();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::copy(RECORD, at("record.json")).unwrap();
    fs::copy(OTHER, at("other.json")).unwrap();
    fs::write(at("config.yaml"), "about: x\nsizes: [8]\nactivations: [relu]\n").unwrap();
    fs::hard_link(&model, at("hard.onnx")).unwrap();
    symlink(&model, at("link.onnx")).unwrap();
    symlink("record.json", at("link.json")).unwrap();
    let before = contents(folder.path());
    let (model, data) = (model.to_str().unwrap(), data.to_str().unwrap());
    for output in [model, data, &at("hard.onnx"), &at("link.onnx"), &at("./hard.onnx")] {
        refused(&["inspect", model, "-o", output]);
        refused(&["profile", model, "--save", output]);
        refused(&["profile", model, "-o", output]);
        refused(&["swap", model, "--act", "relu", "-o", output]);
    }
    for output in [at("record.json"), at("link.json"), at("other.json")] {
        for format in ["json", "table"] {
            refused(&["compare", &at("record.json"), &at("other.json"), "--format", format, "-o", &output]);
        }
        refused(&["report", &at("other.json"), &at("record.json"), "--format", "json", "-o", &output]);
        let regression = ["--max-regression", "5%", "--junit", &output];
        refused(&[&["compare", &at("record.json"), &at("other.json")], &regression[..]].concat());
    }
    refused(&["bench", &at("config.yaml"), "-o", &at("config.yaml")]);
    assert!(contents(folder.path()) == before);
}

#[test]
fn an_earlier_output_is_replaced_and_what_others_wrote_is_not() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let silu = path("minidet_silu").display().to_string();
    let compare = ["compare", RECORD, OTHER, "--max-regression", "90%"];
    let commands: [(&[&str], &str, &str); 13] = [
        (&["report", RECORD], "-o", "a.txt"),
        (&["report", RECORD, "--format", "csv"], "-o", "a.csv"),
        (&["report", RECORD, OTHER, "--format", "markdown"], "-o", "a.md"),
        (&["report", RECORD, OTHER, "--format", "json"], "-o", "a.json"),
        (&["report", BENCH], "-o", "b.txt"),
        (&["report", BENCH, "--format", "json"], "-o", "b.json"),
        (&[&compare[..], &["--format", "json"]].concat(), "-o", "c.json"),
        (&compare, "-o", "c.txt"),
        (&compare, "--junit", "c.xml"),
        (&["inspect", &silu], "-o", "i.txt"),
        (&["acts", "mish"], "--plot", "p.svg"),
        (&["swap", &silu, "--act", "mish"], "-o", "s.onnx"),
        (&["models", "export", "yolov5n", "--input", "images=1x3x32x32"], "-o", "m.onnx"),
    ];
    let theirs: [(&str, Vec<u8>); 5] = [
        ("theirs.onnx", fs::read(&silu).unwrap()),
        ("theirs.rs", b"fn main() {}\n".to_vec()),
        ("theirs.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>\n".to_vec()),
        ("theirs.csv", b"name,value\n1,2\n".to_vec()),
        ("theirs.json", b"{\"schema\": \"other/1\"}\n".to_vec()),
    ];
    for (command, flag, file) in commands {
        let to = |file: &str| {
            [command, &[flag, &at(file)]].concat().iter().map(|s| s.to_string()).collect::<Vec<_>>()
        };
        let words = |arguments: &[String]| run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..2 {
            let (code, _, said) = words(&to(file));
            // A comparison with another model can't be told.
            assert!(matches!(code, Some(0 | 4)), "{command:?}: {said}");
        }
        for (name, bytes) in &theirs {
            fs::write(at(name), bytes).unwrap();
            let (code, _, said) = words(&to(name));
            assert_eq!((code, said.lines().count()), (Some(2), 1), "{command:?}: {said}");
            assert!(said.contains("is there already and is not"), "{said}");
            assert!(&fs::read(at(name)).unwrap() == bytes, "{command:?}: {name}");
        }
    }
    // A record is no report, nor is what the other command made a model of this one's once it was changed.
    let table = ["report", RECORD, "--format", "table", "-o", &at("a.json")];
    assert!(refused(&table).contains("is not a report"));
    let mut changed = Model::read(Path::new(&at("s.onnx"))).unwrap();
    changed.proto.producer_name = Some("another".into());
    fs::write(at("s.onnx"), changed.encode()).unwrap();
    assert!(refused(&["swap", &silu, "--act", "relu", "-o", &at("s.onnx")]).contains("as oplat wrote it"));
    assert_eq!(left(folder.path()), [""; 0]);
}

#[test]
fn a_swapped_model_has_its_weights_and_takes_nobodys_place() {
    let home = TempDir::new().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(home.path().join(name)).unwrap();
    }
    // Two tensors in files of one name: the data in halves.
    let (_folder, file, data) = external();
    let mut model = Model::read(&file).unwrap();
    let weights = fs::read(data).unwrap();
    let mut in_a = true;
    for tensor in &mut model.graph_mut().initializer {
        for entry in tensor.external_data.iter_mut().filter(|e| e.key.as_deref() == Some("location")) {
            entry.value = Some(if in_a { "a/w.bin" } else { "b/w.bin" }.into());
            in_a = !in_a;
        }
    }
    fs::write(home.path().join("a/w.bin"), &weights).unwrap();
    fs::write(home.path().join("b/w.bin"), [&weights[..], b"b"].concat()).unwrap();
    let two = home.path().join("two.onnx");
    fs::write(&two, model.encode()).unwrap();

    let out = TempDir::new().unwrap();
    for (name, bytes) in [("a", None), ("out.onnx.w.bin", Some("mine"))] {
        match bytes {
            Some(bytes) => fs::write(out.path().join(name), bytes).unwrap(),
            None => fs::create_dir(out.path().join(name)).unwrap(),
        }
    }
    fs::write(out.path().join("a/w.bin"), "mine").unwrap();
    symlink(home.path(), out.path().join("b")).unwrap();
    let (two, to) = (two.display().to_string(), out.path().join("out.onnx"));
    for _ in 0..2 {
        let (code, _, said) = run(&["swap", &two, "--act", "mish", "-o", to.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{said}");
        let written = Model::read(&to).unwrap();
        let locations = oplat::onnx::external::locations(&written);
        let sizes = locations.iter().map(|l| fs::metadata(out.path().join(l)).unwrap());
        let mut sizes: Vec<(u64, u64)> = sizes.map(|m| (m.len(), m.nlink())).collect();
        sizes.sort_unstable();
        let whole = weights.len() as u64;
        assert_eq!(sizes, [(whole, 1), (whole + 1, 1)], "{locations:?}");
    }
    for mine in ["a/w.bin", "out.onnx.w.bin"] {
        assert_eq!(fs::read_to_string(out.path().join(mine)).unwrap(), "mine");
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 6, "used again, not written again");
}

#[test]
fn a_failed_swap_leaves_no_weights() {
    // The data is small, and the model too large for the limit: many names for nothing.
    let (folder, file, _) = external();
    let mut model = Model::read(&file).unwrap();
    model.proto.doc_string = Some("word ".repeat(200_000));
    fs::write(&file, model.encode()).unwrap();
    let out = TempDir::new().unwrap();
    let script = "ulimit -f 570; exec \"$0\" swap \"$1\" --act mish -o \"$2\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_oplat")]).arg(&file).arg(out.path().join("x.onnx"));
    let output = command.env("TMPDIR", folder.path()).output().unwrap();
    let said = text(output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("x.onnx") && said.contains("ulimit -f"), "{said}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    assert_eq!(left(folder.path()), [""; 0]);
}

#[test]
fn the_weights_are_left_alone_while_they_are_used() {
    let (folder, model, data) = external();
    let script = "test $(stat -c %h \"$DATA\") = 1 || exit 9; exec \"$@\"";
    let target = format!("cmd:bash -c '{script}' x");
    let model = model.to_str().unwrap();
    let arguments = ["profile", model, "--act", "mish", "--time", "1s", "--forks", "2", "--target", &target];
    let output = program(&arguments).env("DATA", &data).env("TMPDIR", folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    assert_eq!(left(folder.path()), [""; 0]);
}

#[test]
fn weights_behind_a_link_to_elsewhere_are_refused() {
    let (folder, model, data) = external();
    let elsewhere = TempDir::new().unwrap();
    let real = elsewhere.path().join("weights");
    fs::rename(&data, &real).unwrap();
    symlink(&real, &data).unwrap();
    let (model, out) = (model.display().to_string(), folder.path().join("out.onnx").display().to_string());
    for arguments in [&["profile", &model][..], &["swap", &model, "--act", "relu", "-o", &out]] {
        let (code, printed, said) = run(arguments);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{printed}{said}");
        assert!(said.contains("is a link to outside the model's folder"), "{said}");
    }
    assert!(!Path::new(&out).exists());
    // Within the folder a link may lead where it likes.
    fs::remove_file(&data).unwrap();
    fs::rename(&real, folder.path().join("weights")).unwrap();
    symlink("weights", &data).unwrap();
    let (code, _, said) = run(&["profile", &model, "--time", "1s", "--forks", "2"]);
    assert_eq!(code, Some(0), "{said}");
    // As a pipe it is refused, and not waited for.
    fs::remove_file(&data).unwrap();
    mkfifo(&data);
    let (code, _, said) = run(&["profile", &model]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("is no file"), "{said}");
    assert_eq!(run(&["inspect", &model]).0, Some(0), "its sites are known without weights");
}

#[test]
fn pipes_and_devices_are_read_once_or_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe").display().to_string();
    mkfifo(Path::new(&pipe));
    for file in [&pipe, "/dev/zero"] {
        refused(&["report", file]);
        refused(&["compare", RECORD, file]);
        refused(&["run", file]);
        refused(&["bench", file]);
        refused(&["inspect", file]);
        refused(&["profile", file]);
        refused(&["profile", "siren", "--lab", file, "--target", "phone"]);
    }
    refused(&["report", RECORD, "-o", &pipe]);
    refused(&["profile", "siren", "--save", &pipe]);
    let silu = path("minidet_silu").display().to_string();
    let expected = oplat(&["report", RECORD]).stdout;
    let shell = |line: &str| {
        let arguments = ["-c", line, env!("CARGO_BIN_EXE_oplat"), RECORD, &silu];
        let output = Command::new("bash").args(arguments).env("COLUMNS", "100").output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(output.stderr));
        output.stdout
    };
    for line in [
        "\"$0\" report <(cat \"$1\")",
        "cat \"$1\" | \"$0\" report /dev/stdin",
        "\"$0\" report /dev/stdin < \"$1\"",
        "\"$0\" report \"$1\" -o /dev/stdout",
        "\"$0\" report \"$1\" -o >(cat) | cat",
    ] {
        assert!(shell(line) == expected, "{line}");
    }
    assert!(shell("\"$0\" report \"$1\" -o /dev/null").is_empty());
    assert!(!shell("\"$0\" inspect <(cat \"$2\")").is_empty());
    // A model on the standard output is nothing but a model.
    let model = shell("\"$0\" swap \"$2\" --act relu -o /dev/stdout");
    assert!(Model::decode(model, None).is_ok());
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let home = TempDir::new().unwrap();
    let model = home.path().join("m.onnx").display().to_string();
    assert_eq!(run(&["models", "export", "yolov5s", "-o", &model]).0, Some(0));
    let mut interrupted = 0;
    for signal in ["INT", "TERM"] {
        let commands: [&[&str]; 3] =
            [&["inspect", &model], &["swap", &model, "--act", "mish"], &["models", "export", "yolov5s"]];
        for command in commands {
            let place = TempDir::new().unwrap();
            let out = place.path().join("out");
            let mut child = begun(command, &out, place.path());
            // Fails where it has ended already.
            let _ = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).output();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            match child.wait().unwrap().code() {
                Some(3) => {
                    assert_eq!(said, "oplat: interrupted\n");
                    // It may have been at its very end.
                    let whole = |out: &Path| command[0] == "inspect" || Model::read(out).is_ok();
                    assert!(!out.exists() || whole(&out));
                    interrupted += 1;
                }
                code => assert_eq!(code, Some(0), "it had ended already: {command:?} {signal}: {said}"),
            }
            assert_eq!(left(place.path()), [""; 0], "{command:?} {signal}");
        }
    }
    assert!(interrupted > 0);
}

#[test]
fn what_a_killed_process_left_is_swept_at_the_next_start() {
    let place = TempDir::new().unwrap();
    let out = place.path().join("out");
    let mut child = begun(&["inspect", "yolov5s"], &out, place.path());
    child.kill().unwrap();
    child.wait().unwrap();
    fs::create_dir(place.path().join("oplat-mine")).unwrap();
    let output = program(&["acts", "mish"]).env("TMPDIR", place.path()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(left(place.path()), ["oplat-mine"]);
}

/// A command that is at work: a temporary folder is there, and marked.
fn begun(command: &[&str], out: &Path, temporary: &Path) -> Child {
    let mut program = program(command);
    program.arg("-o").arg(out).env("TMPDIR", temporary);
    let mut child = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let is_marked =
        |name: &String| fs::read(temporary.join(name).join(".lock")).is_ok_and(|mark| !mark.is_empty());
    while !left(temporary).iter().any(is_marked) && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_rebuild_during_a_measurement_changes_nothing() {
    // The launcher of the first worker puts another build into the program's place; later ones find what is running.
    let rebuild = "cmd:bash -c 'test -e kept || { cp oplat kept; rm oplat; echo other >oplat; shift; set -- ./kept \"$@\"; }; \
                   exec \"$@\"' x";
    for target in ["local", rebuild] {
        let folder = with(&[&path("minidet_silu")]);
        let program = folder.path().join("oplat");
        // By another process: a child that is started meanwhile would keep this one's copy open for writing.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_oplat")).arg(&program).status();
        assert!(copied.unwrap().success());
        let mut command = Command::new(&program);
        command.args(["profile", "minidet_silu.onnx", "--time", "3s", "--forks", "3", "--target", target]);
        command.args(["--format", "markdown"]);
        command.current_dir(&folder).env("TMPDIR", folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if target == "local" {
            while left(folder.path()).is_empty() && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            fs::remove_file(&program).unwrap();
            fs::write(&program, "other").unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(0), "{target}: {said}");
        assert!(!text(output.stdout).contains("| 1 fork,"), "{target}: {said}");
        assert_eq!(fs::read_to_string(&program).unwrap().trim(), "other");
    }
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// All files of a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    all.sort();
    all
}
