//! The program on damaged files, thousands of them: whatever it is given, it ends soon, in a few lines, with an exit code
//! that is documented. `.ci/mutants` runs this; what fails is kept and named, and is made again from its seed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use oplat::onnx::Model;

use crate::mutate::Damage;

/// What is done with a file, and what was wrong.
type Try = fn(&Path) -> Result<(), String>;

/// Most lines on stderr, and most seconds and kilobytes of address space.
const LINES: usize = 3;
const SECONDS: &str = "10";
const KILOBYTES: u64 = 2_000_000;

#[test]
#[ignore = "takes a minute: .ci/mutants runs it"]
fn damaged_files_end_soon_and_in_few_words() {
    let (count, seed) = (number("OPLAT_MUTANTS", 300), number("OPLAT_SEED", 1));
    let (models, records, configs) = (
        files(&["tests/models", "tests/cases", "fuzz/corpus/onnx"], "onnx"),
        files(&["tests/fixtures/records", "tests/fixtures/records/bench"], "json"),
        files(&["fuzz/corpus/yaml/small"], "yaml"),
    );
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    fs::create_dir_all(&kept).expect("a folder");
    let next = AtomicU64::new(0);
    let some = || {
        let folder = tempfile::tempdir().expect("a folder");
        let mut wrong = vec![];
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return wrong;
            }
            let (of, try_it): (_, Try) = match i % 5 {
                3 => (&records, try_record),
                4 => (&configs, try_config),
                _ => (&models, try_model),
            };
            let (bytes, extension) = mutant(of, seed.wrapping_mul(1_000_003).wrapping_add(i));
            let file = folder.path().join(format!("{seed}-{i}.{extension}"));
            fs::write(&file, bytes).expect("written");
            if let Err(why) = try_it(&file) {
                let kept = kept.join(file.file_name().expect("a name"));
                fs::copy(&file, &kept).expect("kept");
                wrong.push(format!("{}: {why}", kept.display()));
            }
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        all.into_iter().flat_map(|thread| thread.join().expect("no panic here")).collect()
    });
    assert!(wrong.is_empty(), "{} of {count} with seed {seed}:\n{}", wrong.len(), wrong.join("\n"));
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn files(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let entries =
        |folder: &&str| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = folders.iter().flat_map(entries).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == extension));
    files.sort();
    assert!(!files.is_empty(), "{folders:?}");
    files
}

/// One of the files, damaged.
fn mutant(of: &[PathBuf], seed: u64) -> (Vec<u8>, String) {
    let mut damage = Damage::new(seed);
    let file = &of[damage.below(of.len())];
    let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
    let mut bytes = fs::read(file).expect("a file");
    let structured = match extension.as_str() {
        "onnx" => damage.model(&bytes),
        _ => std::str::from_utf8(&bytes).ok().map(|text| damage.text(text).into_bytes()),
    };
    match structured {
        Some(structured) if damage.below(4) > 0 => bytes = structured,
        _ => damage.bytes(&mut bytes),
    }
    (bytes, extension)
}

fn try_model(file: &Path) -> Result<(), String> {
    let name = file.display().to_string();
    let written = file.with_extension("swapped.onnx");
    let out = written.display().to_string();
    ends_well(&["inspect", &name])?;
    for lowering in ["exported", "kernel"] {
        if ends_well(&["swap", &name, "--act", "mish", "--lowering", lowering, "-o", &out])? == 0 {
            let bytes = fs::read(&written).map_err(|e| e.to_string())?;
            Model::decode(bytes, None).map_err(|e| format!("what swap wrote can't be read: {e}"))?;
        }
    }
    Ok(())
}

fn try_record(file: &Path) -> Result<(), String> {
    let name = file.display().to_string();
    for format in ["table", "json", "csv", "markdown"] {
        ends_well(&["report", &name, "--format", format, "--by", "type,op,site,shape,activation"])?;
    }
    ends_well(&["compare", &name, &name, "--max-regression", "5%"])?;
    ends_well(&["compare", "tests/fixtures/records/1-fanout-silu.json", &name])?;
    Ok(())
}

/// A configuration is read and checked; measuring fails at once, since there is no such launcher.
fn try_config(file: &Path) -> Result<(), String> {
    let name = file.display().to_string();
    let records = file.with_extension("records").display().to_string();
    ends_within(20, &["run", &name, "-o", &records, "--target", "cmd:/no/such/launcher"])?;
    ends_well(&["bench", &name, "--target", "cmd:/no/such/launcher"])?;
    ends_well(&["targets", "--lab", &name, "--target", "cmd:/no/such/launcher"])?;
    Ok(())
}

/// The exit code, if it is a documented one, in time and memory, and little was said; else what is wrong.
fn ends_well(arguments: &[&str]) -> Result<i32, String> {
    ends_within(LINES, arguments)
}

fn ends_within(lines: usize, arguments: &[&str]) -> Result<i32, String> {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {KILOBYTES}; exec timeout -s KILL {SECONDS} \"$@\""), "sh"]);
    limited.arg(env!("CARGO_BIN_EXE_oplat")).args(arguments).env("RUST_BACKTRACE", "0");
    limited.env("XDG_STATE_HOME", crate::support::state());
    let output = limited.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let begin: String = said.chars().take(300).collect();
    let wrong = |what: &str| Err(format!("`oplat {}` {what}: {begin}", arguments.join(" ")));
    match output.status.code() {
        Some(137) => wrong("took more than its time"),
        Some(code @ 0..=4) if said.contains("a fault of oplat's own") => wrong(&format!("panicked ({code})")),
        Some(0..=4) if said.lines().count() > lines => wrong("says too much"),
        Some(code @ 0..=4) => Ok(code),
        _ => wrong(&format!("ended by {}", output.status)),
    }
}
