//! README and `docs/` can't go stale: their commands are commands of this program, those that are cheap are run, and links
//! lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use tempfile::TempDir;

use crate::support::{program, text};

/// What people read of how the program is used.
const PAGES: [&str; 4] = ["README.md", "CONTRIBUTING.md", "configs/README.md", "models/README.md"];

/// Commands that take a moment, on the files that the documents name.
const CHEAP: [&str; 10] =
    ["acts", "compare", "completions", "import", "inspect", "knobs", "man", "models", "report", "swap"];

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// All documents, by their path from the root.
fn documents() -> Vec<(String, String)> {
    let below = |folder: &str, extension: &str| {
        let entries =
            fs::read_dir(root().join(folder)).expect("a folder").map(|e| e.expect("an entry").path());
        let of_it = entries.filter(|path| path.extension().is_some_and(|e| e == extension));
        of_it
            .map(|path| format!("{folder}/{}", path.file_name().expect("a name").display()))
            .collect::<Vec<_>>()
    };
    let all = PAGES.map(str::to_owned).into_iter().chain(below("docs", "md")).chain(below("docs/ci", "yml"));
    all.map(|name| (name.clone(), fs::read_to_string(root().join(name)).expect("a document"))).collect()
}

/// One command of the program, as it would be typed: without the program's own name.
#[derive(Debug)]
struct Example {
    place: String,
    words: Vec<String>,
    /// What is said to be printed, if that is.
    printed: Option<String>,
}

/// Those of a document's blocks for a shell, or of a workflow.
fn examples(name: &str, text: &str) -> Vec<Example> {
    let mut all: Vec<Example> = vec![];
    // A workflow is one block.
    let mut language = name.ends_with(".yml").then_some("sh");
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some(opens) = trimmed.strip_prefix("```") {
            language = if language.is_some() { None } else { Some(opens) };
            continue;
        }
        let place = format!("{name}, line {}", number + 1);
        match language {
            Some("sh") => all.extend(commands(&place, trimmed)),
            Some("console") => match trimmed.strip_prefix("$ ") {
                Some(command) => {
                    let shown = |example| Example { printed: Some(String::new()), ..example };
                    all.extend(commands(&place, command).into_iter().map(shown));
                }
                None => {
                    let printed = all.last_mut().and_then(|example| example.printed.as_mut());
                    *printed.unwrap_or_else(|| panic!("{place}: no command prints this")) +=
                        &format!("{line}\n");
                }
            },
            _ => {}
        }
    }
    all
}

/// The commands of this program in a line of a shell, or in the prose of a page.
fn commands(place: &str, line: &str) -> Vec<Example> {
    let words = words(line);
    let parts = words.split(|word| ["&&", "||", "|", ";"].contains(&word.as_str()));
    let ours = parts.filter_map(|part| {
        let part: Vec<&str> =
            part.iter().map(String::as_str).take_while(|word| !word.starts_with('>')).collect();
        let rest = match part.as_slice() {
            ["cargo", "run", "--release", "--", rest @ ..] | ["cargo", "run", "--", rest @ ..] => rest,
            [first, rest @ ..] if *first == "oplat" || first.starts_with("./oplat-") => rest,
            _ => return None,
        };
        let words = rest.iter().map(|word| word.to_string()).collect();
        Some(Example { place: place.to_owned(), words, printed: None })
    });
    ours.collect()
}

/// Words of a shell, up to a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (vec![], String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, '#') if word.is_empty() => break,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, ';') => words.extend([std::mem::take(&mut word), ";".into()]),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn a_line_of_a_shell_is_read() {
    let told = |line: &str| -> Vec<Vec<String>> { commands("", line).into_iter().map(|e| e.words).collect() };
    assert_eq!(told("cargo run -- profile x # oplat y"), [["profile", "x"]]);
    assert_eq!(
        told("a && oplat acts mish > f; ./oplat-main knobs | less"),
        [vec!["acts", "mish"], vec!["knobs"]]
    );
    assert_eq!(
        told("oplat profile \"base/$MODEL\" --target 'cmd:nice -n 5'"),
        [["profile", "base/$MODEL", "--target", "cmd:nice -n 5"]]
    );
    assert!(told("cargo test").is_empty() && told("echo oplat").is_empty());
}

#[test]
fn every_command_in_the_documents_is_one_of_this_program() {
    let (mut wrong, mut count) = (vec![], 0);
    for (name, text) in documents() {
        let prose =
            text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n') && !code.contains('…'));
        let in_prose = prose.flat_map(|code| commands(&format!("{name}, `{code}`"), code)).map(|e| (e, true));
        for (example, in_prose) in examples(&name, &text).into_iter().map(|e| (e, false)).chain(in_prose) {
            // COMMAND and the like stand for what a reader puts there.
            let stands = |word: &String| word.chars().all(|c| c.is_ascii_uppercase());
            if example.words.is_empty() || example.words.first().is_some_and(stands) {
                continue;
            }
            count += 1;
            let words = std::iter::once("oplat").chain(example.words.iter().map(String::as_str));
            if let Err(error) = oplat::cli::program().try_get_matches_from(words)
                && error.use_stderr()
                // Prose may name a command without all that it needs.
                && !(in_prose && error.kind() == ErrorKind::MissingRequiredArgument)
            {
                wrong.push(format!(
                    "{}: {}",
                    example.place,
                    error.to_string().lines().next().unwrap_or_default()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 60, "only {count} were found");
}

/// A folder with the files that the documents' examples name.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: &str, to: &str| {
        fs::copy(root().join(from), folder.path().join(to)).expect("copied");
    };
    for record in ["base.json", "new.json", "a1.json", "a2.json", "b1.json", "b2.json", "after.json"] {
        copy("tests/fixtures/records/1-fanout-silu.json", record);
    }
    // Three devices.
    fs::create_dir(folder.path().join("lab")).expect("a folder");
    let record = fs::read_to_string(folder.path().join("base.json")).expect("a record");
    for board in ["one", "two", "phone"] {
        let record = record.replacen("\"host\":\"\"", &format!("\"host\":\"{board}\""), 1);
        fs::write(folder.path().join(format!("lab/{board}.json")), record).expect("written");
    }
    // What README, docs/reading.md (its operators of a type as one) and docs/study.md (two of its sizes) show.
    copy("tests/fixtures/documents/yolov5s.json", "yolov5s.json");
    copy("tests/fixtures/documents/yolo-study.json", "yolo-study.json");
    for model in ["model.onnx", "MODEL.onnx"] {
        copy("tests/models/fanout_silu.onnx", model);
    }
    for profile in ["PROFILE.json", "profile_2026-11-27_12-00-00.json"] {
        copy("tests/fixtures/profiles/fanout-silu.json", profile);
    }
    // What is kept: two measurements.
    let kept = folder.path().join("state/oplat/measurements");
    fs::create_dir_all(&kept).expect("a folder");
    for name in ["a.json", "b.json"] {
        fs::copy(folder.path().join("base.json"), kept.join(name)).expect("copied");
    }
    folder
}

#[test]
fn what_is_cheap_is_run_and_prints_what_is_said() {
    let folder = workshop();
    let mut run = 0;
    for (name, page) in documents() {
        for Example { place, words, printed } in examples(&name, &page) {
            let cheap = words.first().is_some_and(|first| CHEAP.contains(&first.as_str()));
            // Another engine's library may not be here.
            if !cheap || words.iter().any(|word| word.contains("ort")) && words[0] == "inspect" {
                assert!(printed.is_none(), "{place}: what it prints is not checked, so it would go stale");
                continue;
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut command = program(&words);
            command.current_dir(folder.path()).env("XDG_STATE_HOME", folder.path().join("state"));
            let output = command.output().expect("the program runs");
            let (said, told) = (text(output.stdout), text(output.stderr));
            // A comparison may also have found something.
            let fine = [0].iter().chain(if words[0] == "compare" { [1, 4].iter() } else { [].iter() });
            assert!(fine.copied().any(|code| output.status.code() == Some(code)), "{place}: {told}");
            if let Some(printed) = printed {
                assert!(is_like(&said, &printed), "{place}: it prints\n{said}");
            }
            run += 1;
        }
    }
    assert!(run > 20, "only {run} were run");
}

/// Whether a text is as the document has it, where a line `…` stands for any number of them.
fn is_like(said: &str, shown: &str) -> bool {
    let mut rest = said;
    for (number, part) in shown.split("…\n").enumerate() {
        match rest.find(part) {
            Some(at) if number > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || shown.ends_with("…\n")
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = vec![];
    for (name, text) in documents() {
        let page = root().join(&name);
        let folder = page.parent().expect("a folder");
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            let found = target.is_dir() && anchor.is_empty()
                || fs::read_to_string(&target)
                    .is_ok_and(|text| anchor.is_empty() || anchors(&text).contains(anchor));
            if !found {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The targets of a page's links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

/// Headings as GitHub makes anchors of them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn the_readme_is_read_to_its_end() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let words = readme.split_whitespace().count();
    assert!(words <= 700, "{words} words");
    let documents = documents();
    let pages = documents.iter().filter(|(name, _)| name.starts_with("docs/") && name.ends_with(".md"));
    let named: BTreeSet<PathBuf> = documents
        .iter()
        .flat_map(|(name, text)| {
            let folder = Path::new(name).parent().expect("a folder").to_owned();
            links(text).map(move |link| folder.join(link.split('#').next().unwrap_or_default()))
        })
        .collect();
    for (page, _) in pages {
        assert!(named.contains(Path::new(page)), "nothing leads to {page}");
    }
}
