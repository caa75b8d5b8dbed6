//! Temporary folders, which are gone in every case: when dropped, by a guard when the process ends before, and, where it was
//! killed and could do nothing, by the next start of the program.
//!
//! Each holds a locked file that says what it is. The lock ends with the process, however that ends, so a folder with that
//! file and without its lock is nobody's any more. Nothing else is ever taken for a stale one, whatever its name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cleanup::Guard;
use crate::error::{Error, Result};

/// How the names of our folders begin; those beside a file of the user's are hidden.
const NAMES: [&str; 2] = ["oplat-", ".oplat-"];

/// The locked file, and what it says.
const LOCK: &str = ".lock";
const SAYS: &str =
    "A temporary folder of oplat's. The next oplat removes it if no process holds a lock on this file.\n";

/// A temporary folder, readable for its owner alone; removed when dropped, with all that is in it.
pub struct Folder {
    path: PathBuf,
    _removal: Guard,
    _lock: File,
}

impl Folder {
    pub fn temporary() -> Result<Self> {
        Self::within(&std::env::temp_dir(), NAMES[0]).map_err(|e| {
            Error::input(format!("cannot make a temporary folder: {e}; make room, or set TMPDIR elsewhere"))
        })
    }

    /// One in which a file can be made that is to be put into the given folder.
    pub(super) fn beside(folder: &Path) -> io::Result<Self> {
        Self::within(folder, NAMES[1])
    }

    fn within(parent: &Path, name: &str) -> io::Result<Self> {
        let ((path, lock), removal) = Guard::over(|| -> io::Result<_> {
            let made = tempfile::Builder::new().prefix(name).tempdir_in(parent)?;
            let lock = locked(&made.path().join(LOCK))?;
            let path = made.keep();
            let removed = path.clone();
            Ok(((path, lock), move || remove(&removed)))
        })?;
        Ok(Self { path, _removal: removal, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file that marks a folder as ours. It says so only once it is locked; where nothing can be locked it stays empty, and the
/// folder is never taken for a stale one.
fn locked(path: &Path) -> io::Result<File> {
    let mut lock = File::create_new(path)?;
    if lock.try_lock().is_ok() {
        lock.write_all(SAYS.as_bytes())?;
    }
    Ok(lock)
}

/// Removes the folder under another name, so that nothing is put into it meanwhile.
fn remove(path: &Path) {
    let mut name = path.as_os_str().to_owned();
    name.push("-old");
    let old = PathBuf::from(name);
    let path = if fs::rename(path, &old).is_ok() { &old } else { path };
    // Fails only if somebody else has removed it.
    let _ = fs::remove_dir_all(path);
}

/// Removes what processes that were killed left among the temporary files.
pub fn sweep() {
    sweep_in(&std::env::temp_dir());
}

pub(super) fn sweep_in(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_named_like_ours(&entry.file_name())
            && let Some(_lock) = stale(&entry.path())
        {
            remove(&entry.path());
        }
    }
}

fn is_named_like_ours(name: &OsStr) -> bool {
    NAMES.iter().any(|ours| name.as_encoded_bytes().starts_with(ours.as_bytes()))
}

/// The lock of a folder whose process has ended; `None` for any other.
fn stale(path: &Path) -> Option<File> {
    let lock = path.join(LOCK);
    let [folder, file] = [path, &lock].map(fs::symlink_metadata);
    let (folder, file) = (folder.ok()?, file.ok()?);
    if !folder.is_dir() || !file.is_file() || !is_own(&folder) || fs::read(&lock).ok()? != SAYS.as_bytes() {
        return None;
    }
    let lock = File::open(&lock).ok()?;
    lock.try_lock().is_ok().then_some(lock)
}

#[cfg(unix)]
fn is_own(folder: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(folder) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str, lock: Option<&str>| {
            let path = place.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("data"), "bytes").unwrap();
            if let Some(text) = lock {
                fs::write(path.join(LOCK), text).unwrap();
            }
            path
        };
        let stale = [
            folder("oplat-a", Some(SAYS)),
            folder(".oplat-b", Some(SAYS)),
            folder("oplat-c-old", Some(SAYS)),
        ];
        let live = Folder::within(place.path(), NAMES[0]).unwrap();
        let others = [
            folder("oplat-mine", None),
            folder("oplat-starting", Some("")),
            folder("oplat-other", Some("mine")),
            folder("notes", Some(SAYS)),
        ];
        fs::write(place.path().join("oplat-file"), SAYS).unwrap();
        sweep_in(place.path());
        assert!(stale.iter().all(|path| !path.exists()));
        assert!(live.path().exists() && others.iter().all(|path| path.join("data").exists()));
        assert!(place.path().join("oplat-file").exists());
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed_when_sweeping() {
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join(LOCK), SAYS).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), place.path().join("oplat-link")).unwrap();
        sweep_in(place.path());
        assert!(elsewhere.path().join(LOCK).exists() && place.path().join("oplat-link").is_symlink());
    }
}
