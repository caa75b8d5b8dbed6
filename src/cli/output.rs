//! Where results go: standard output that may be closed early, and files that are whole or not there.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Standard output. A reader that goes away (`| head -1`) has what it wanted: the rest is dropped quietly.
pub struct Stdout {
    inner: BufWriter<io::Stdout>,
    closed: bool,
}

impl Stdout {
    pub fn new() -> Self {
        Self { inner: BufWriter::new(io::stdout()), closed: false }
    }

    fn quietly<T>(&mut self, done: io::Result<T>, dropped: T) -> io::Result<T> {
        match done {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(dropped)
            }
            done => done,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let done = self.inner.write(bytes);
        self.quietly(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.inner.flush();
        self.quietly(done, ())
    }
}

/// Writes all of the text and flushes it.
pub fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    let done = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    done.map_err(|e| Error::input(format!("cannot write to the standard output: {e}")))
}

/// A file to be written later, known now to be writable.
#[derive(Debug)]
pub struct Destination {
    /// As the user named it.
    named: PathBuf,
    /// Where that leads, through links.
    real: PathBuf,
}

impl Destination {
    /// Checks that the file could be written, so that a measurement isn't lost for a mistyped folder.
    pub fn check(path: &Path) -> Result<Self> {
        let named = path.to_path_buf();
        let cannot = |e: &io::Error| Error::file("write", path, e);
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
        let write = || -> io::Result<()> {
            if self.is_special() {
                return fs::OpenOptions::new().write(true).open(&self.real)?.write_all(bytes);
            }
            let mut file = self.temporary()?;
            file.write_all(bytes)?;
            file.persist(&self.real)?;
            Ok(())
        };
        write().map_err(|e| Error::file("write", &self.named, &e))
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
            assert!(error.message.contains(&path.display().to_string()), "{error}");
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
