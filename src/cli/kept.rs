//! Measurements that are kept without being asked for, so that `report` and `compare` find the last ones by name: `last`,
//! `last~1`. They lie in the user's folder for state (XDG base directories), and the oldest give way.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::files;
use crate::report::{Format, Listed};
use crate::{limits, units};

/// How many are kept.
const MOST: usize = 50;
/// How long a file may be half written: longer than any program takes over it.
const UNFINISHED: Duration = Duration::from_secs(3600);
/// The last measurement; `last~1` is the one before it.
pub const LAST: &str = "last";

/// Where they are kept; `None` where the system doesn't say where the user's files are.
fn folder() -> Option<PathBuf> {
    Some(files::state_folder()?.join("measurements"))
}

/// Keeps a record, and lets the oldest go. Gives whether it is kept: there may be no folder for it. Fails where there is one and
/// it can't be written.
pub fn keep(started_at: &str, model: &str, json: &[u8]) -> Result<bool> {
    let Some(folder) = folder() else { return Ok(false) };
    let kept = write(&folder, &stem(started_at, model), json).and_then(|()| forget(&folder));
    kept.map_err(|e| Error::input(format!("not kept for oplat report: {}: {e}", folder.display())))?;
    Ok(true)
}

/// `20261127T123007Z-yolov5s`: in the order of time, and never a path.
fn stem(started_at: &str, model: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let moment: String = started_at.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let model: String = model.chars().map(plain).take(40).collect();
    format!("{moment}-{model}")
}

fn write(folder: &Path, stem: &str, json: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    file.write_all(json)?;
    // Several targets, or several programs, may start in the same second.
    for number in 1.. {
        let name = if number == 1 { format!("{stem}.json") } else { format!("{stem}-{number}.json") };
        match file.persist_noclobber(folder.join(name)) {
            Ok(_) => break,
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => file = e.file,
            Err(e) => return Err(e.error),
        }
    }
    Ok(())
}

/// Removes all but the newest, and what programs left half written that were killed.
fn forget(folder: &Path) -> io::Result<()> {
    for old in all(folder)?.into_iter().skip(MOST).chain(left_behind(folder)?) {
        match fs::remove_file(old) {
            // Another program may be at it.
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Files that nobody writes any more and that never were whole.
fn left_behind(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut left = vec![];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let changed = entry.metadata().and_then(|m| m.modified()).ok();
        let age = changed.and_then(|changed| changed.elapsed().ok());
        if is_file && is_unfinished(&entry) && age.is_some_and(|age| age > UNFINISHED) {
            left.push(entry.path());
        }
    }
    Ok(left)
}

/// Whether a file is one that is being written, or was when its program was killed.
fn is_unfinished(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// All that are kept, the newest first.
fn all(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut files: Vec<(Option<std::time::SystemTime>, PathBuf)> = vec![];
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if !is_unfinished(&entry) && path.extension() == Some(OsStr::new("json")) {
            files.push((entry.metadata().and_then(|m| m.modified()).ok(), path));
        }
    }
    // Of the same moment, `x.json` is older than `x-2.json`, and that than `x-10.json`.
    files.sort_by(|(at, a), (bt, b)| (at, a.as_os_str().len(), a).cmp(&(bt, b.as_os_str().len(), b)));
    Ok(files.into_iter().rev().map(|(_, path)| path).collect())
}

/// The file that a user means: one of this name, or else the kept measurement that `last` or `last~N` is. Fails where as many
/// are not kept.
pub fn named(path: &Path) -> Result<PathBuf> {
    match number(path) {
        Some(number) if !path.exists() => nth(number),
        _ => Ok(path.to_owned()),
    }
}

/// What the file is called in what is shown: a kept one by its name alone, which says when it was measured.
pub fn title(path: &Path) -> String {
    let kept = folder().filter(|folder| path.parent() == Some(folder)).and_then(|_| path.file_name());
    kept.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// How many measurements ago, of `last` and `last~N`.
fn number(path: &Path) -> Option<usize> {
    let text = path.to_str()?.strip_prefix(LAST)?;
    if text.is_empty() { Some(0) } else { text.strip_prefix('~')?.parse().ok() }
}

fn nth(number: usize) -> Result<PathBuf> {
    let kept = kept()?;
    let name = if number == 0 { LAST.to_owned() } else { format!("{LAST}~{number}") };
    let count = kept.len();
    kept.into_iter().nth(number).ok_or_else(|| {
        Error::input(match count {
            0 => "no measurement is kept yet: oplat profile MODEL makes one".to_owned(),
            _ => format!(
                "{name}: only {} kept: oplat report --list shows what there is",
                units::count(count, "measurement")
            ),
        })
    })
}

fn kept() -> Result<Vec<PathBuf>> {
    let unknown = || Error::input("no measurement is kept: neither HOME nor XDG_STATE_HOME says where");
    let folder = folder().ok_or_else(unknown)?;
    all(&folder).map_err(|e| Error::input(format!("{}: {e}", folder.display())))
}

/// What a list shows of a record or of a bench.
#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    model: Option<Model>,
    #[serde(default)]
    variants: Vec<Named>,
    #[serde(default)]
    environment: Option<Environment>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Environment {
    #[serde(default)]
    target: String,
}

/// The kept measurements as a table. One that can't be read is shown by its file's name alone.
pub fn list(format: Format) -> Result<String> {
    let one = |(number, path): (usize, PathBuf)| {
        let text = files::read(&path, limits::RECORD_BYTES).ok();
        let seen: Option<Seen> = text.and_then(|text| serde_json::from_slice(&text).ok());
        let name = if number == 0 { LAST.to_owned() } else { format!("{LAST}~{number}") };
        let mut listed = Listed { name, file: path.display().to_string(), ..Listed::default() };
        let Some(seen) = seen else {
            return Listed { model: format!("{} (can't be read)", title(&path)), ..listed };
        };
        listed.started_at = seen.started_at;
        listed.model = seen.model.map_or_else(|| "activations".into(), |model| model.name);
        listed.variants = seen.variants.into_iter().map(|variant| variant.name).collect();
        listed.target = seen.environment.map_or_else(String::new, |environment| environment.target);
        listed
    };
    crate::report::list(&kept()?.into_iter().enumerate().map(one).collect::<Vec<_>>(), format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_named_by_its_time_and_model_and_by_nothing_that_leads_elsewhere() {
        assert_eq!(stem("2026-11-27T12:30:07Z", "yolov5s"), "20261127T123007Z-yolov5s");
        assert_eq!(stem("2026-11-27T12:30:07Z", "../a b/ü"), "20261127T123007Z-.._a_b__");
    }

    #[test]
    fn the_newest_are_kept_and_those_of_one_second_have_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        for number in 0..MOST + 2 {
            write(&folder, &format!("{number:03}"), b"{}").unwrap();
            forget(&folder).unwrap();
        }
        let kept = all(&folder).unwrap();
        assert_eq!(kept.len(), MOST);
        assert_eq!((&kept[0], &kept[MOST - 1]), (&folder.join("051.json"), &folder.join("002.json")));
        for _ in 0..11 {
            write(&folder, "2026", b"{}").unwrap();
        }
        assert_eq!(all(&folder).unwrap()[..2], [folder.join("2026-11.json"), folder.join("2026-10.json")]);
    }

    #[test]
    fn what_a_killed_program_left_half_written_goes_when_nobody_can_be_at_it_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, age: Duration| {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        };
        made(".left", 2 * UNFINISHED);
        made(".written", Duration::ZERO);
        made("kept.json", 2 * UNFINISHED);
        forget(folder.path()).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".written", "kept.json"]);
    }

    #[test]
    fn last_is_counted_back_from_the_newest() {
        assert_eq!(number(Path::new("last")), Some(0));
        assert_eq!(number(Path::new("last~2")), Some(2));
        assert_eq!(
            [number(Path::new("lastly")), number(Path::new("last~x")), number(Path::new("a.json"))],
            [None; 3]
        );
    }
}
