//! Files that are written whole or not at all, and temporary ones, which are removed in every case.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cleanup::Guard;
use crate::error::{Error, Result};

/// A temporary folder, readable for its owner alone; removed when dropped, with all that is in it.
pub struct Folder {
    path: PathBuf,
    _removal: Guard,
}

impl Folder {
    pub fn temporary() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oplat-").tempdir().map_err(|e| {
            Error::input(format!("cannot make a temporary folder: {e}; make room, or set TMPDIR elsewhere"))
        })?;
        let path = folder.keep();
        let removed = path.clone();
        // Fails only if somebody else has removed it.
        Ok(Self { path, _removal: Guard::new(move || drop(fs::remove_dir_all(removed))) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A file to be written later, which was checked to be writable.
#[derive(Debug)]
pub struct Destination {
    /// As the user named it.
    named: PathBuf,
    /// The file itself, if that is a link.
    real: PathBuf,
}

impl Destination {
    /// Checks that the file could be written, so that a measurement isn't lost for a mistyped folder.
    pub fn check(path: &Path) -> Result<Self> {
        let named = path.to_path_buf();
        let cannot = |e: &io::Error| Error::file("write", path, &plain(e));
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
            Err(e) => return Err(cannot(&e)),
        };
        if path.file_name().is_none() || real.is_dir() {
            return Err(Error::input(format!("cannot write {}: it is a folder", path.display())));
        }
        let destination = Self { named, real };
        if destination.is_special() {
            fs::OpenOptions::new().write(true).open(&destination.real).map_err(|e| cannot(&e))?;
        } else {
            destination.temporary().map_err(|e| cannot(&e))?;
        }
        Ok(destination)
    }

    pub fn path(&self) -> &Path {
        &self.named
    }

    /// Writes the file whole: readers see the old one or the new one, never a part.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.fill(|out| out.write_all(bytes))
    }

    /// As [`write`](Self::write), with whatever `fill` puts out.
    pub fn fill(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let write = || -> io::Result<()> {
            if self.is_special() {
                let mut out = fs::OpenOptions::new().write(true).open(&self.real)?;
                return fill(&mut out);
            }
            let file = self.temporary()?;
            let part = file.path().to_owned();
            // Fails if it is gone, as it is after every error.
            let removal = Guard::new(move || drop(fs::remove_file(part)));
            let mut out = BufWriter::new(file);
            fill(&mut out)?;
            let file = out.into_inner().map_err(|e| e.into_error())?;
            file.as_file().sync_all()?;
            file.persist(&self.real)?;
            removal.disarm();
            Ok(())
        };
        write().map_err(|e| Error::file("write", &self.named, &plain(&e)))
    }

    /// A device or a pipe can't be replaced: it is written to as it is.
    fn is_special(&self) -> bool {
        self.real.metadata().is_ok_and(|m| !m.is_file())
    }

    /// A file beside the destination, with the permissions that the destination has or would get; removed when
    /// dropped.
    fn temporary(&self) -> io::Result<NamedTempFile> {
        let folder = match self.real.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".oplat-");
        let existing = self.real.metadata().ok().map(|m| m.permissions());
        #[cfg(unix)]
        let existing = {
            use std::os::unix::fs::PermissionsExt;
            Some(existing.unwrap_or(Permissions::from_mode(0o666)))
        };
        if let Some(permissions) = existing {
            builder.permissions(permissions);
        }
        builder.tempfile_in(folder)
    }
}

/// The error without the temporary file's name, of which the user knows nothing.
fn plain(error: &io::Error) -> io::Error {
    match (error.raw_os_error(), error.kind()) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, kind @ io::ErrorKind::NotFound) => io::Error::new(kind, "there is no such folder"),
        (None, kind @ (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)) => kind.into(),
        (None, kind) => io::Error::new(kind, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        for text in ["first", "second"] {
            Destination::check(&path).unwrap().write(text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::check(&folder.path().join("a")).unwrap();
        destination.write(b"first").unwrap();
        let error = destination.fill(|out| {
            out.write_all(b"sec")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().message.contains("disk full"));
        assert_eq!(fs::read(destination.path()).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
    }

    #[test]
    fn checking_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        Destination::check(&folder.path().join("record.json")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_folder_or_a_folder_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("no/record.json"), folder.path().to_path_buf()] {
            let error = Destination::check(&path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.message.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
            assert!(!error.message.contains(".oplat-"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        Destination::check(Path::new("/dev/null")).unwrap().write(b"text").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Destination::check(&link).unwrap().write(b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }
}
