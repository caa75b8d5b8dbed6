//! The library of an engine that is to run on a device: a file here, which is pushed, or one that is there.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::runner;
use crate::elf::Elf;
use crate::error::{Error, Result};

/// Where a library is.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// Here: to be pushed.
    Here(PathBuf),
    /// On the device, under this path.
    There(String),
}

/// Where the library is that was given for the engine: a file here, if it is for the device, whose `uname -m` says
/// `machine`; else a path on the device. Fails if it is neither, before anything is pushed.
pub(super) fn find(
    engine: &str,
    given: &str,
    machine: &str,
    is_there: impl Fn(&str) -> Result<bool>,
) -> Result<Place> {
    let Some(unfit) = unfit(Path::new(given), machine) else { return Ok(Place::Here(given.into())) };
    if given.starts_with('/') && is_there(given)? {
        return Ok(Place::There(given.to_owned()));
    }
    Err(Error::input(format!("engine {engine}: library {given}: {unfit}")))
}

/// What is wrong with the file, or that there is none.
fn unfit(path: &Path, machine: &str) -> Option<String> {
    let get = "docs/engines.md says where to get it";
    if path.is_dir() {
        return Some("it is a folder: name the library's file in it".into());
    }
    match Elf::read(path) {
        Ok(elf) if runner::runs(machine, elf.machine) => None,
        Ok(elf) => Some(format!(
            "it is for {}, and the device is {}: give the library for that ({get})",
            runner::name_of(elf.machine),
            runner::called(machine)
        )),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            Some("there is no such file here or on the device".into())
        }
        Err(e) if e.kind() == ErrorKind::InvalidData => Some(format!(
            "it is no Linux library: give the one for {}, unpacked ({get})",
            runner::called(machine)
        )),
        Err(e) => Some(format!("cannot read it: {e}; check its permissions")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::runner::tests::elf;

    fn found(given: &Path, there: bool) -> Result<Place> {
        find("ort", given.to_str().expect("UTF-8"), "aarch64", |_| Ok(there))
    }

    #[test]
    fn a_library_for_the_device_is_pushed_and_any_other_path_is_one_there() {
        let folder = tempfile::tempdir().expect("temp");
        let arm = elf(folder.path(), "arm.so", 183, None);
        assert_eq!(found(&arm, true).expect("pushed"), Place::Here(arm));
        let there = |path: &Path| Place::There(path.display().to_string());
        for path in [elf(folder.path(), "x86.so", 62, None), folder.path().join("none.so")] {
            assert_eq!(found(&path, true).expect("there"), there(&path));
        }
    }

    #[test]
    fn what_is_wrong_with_a_library_is_told() {
        let folder = tempfile::tempdir().expect("temp");
        let package = folder.path().join("onnxruntime-android.aar");
        std::fs::write(&package, b"PK\x03\x04").expect("written");
        for (path, told) in [
            (elf(folder.path(), "x86.so", 62, None), "it is for x86-64, and the device is aarch64"),
            (folder.path().join("none.so"), "no such file here or on the device"),
            (folder.path().to_owned(), "a folder"),
            (package, "no Linux library"),
        ] {
            let error = found(&path, false).expect_err(told);
            assert!(error.message.contains(told), "{error}");
        }
        assert!(find("ort", "relative.so", "aarch64", |_| panic!("no path on the device")).is_err());
    }
}
