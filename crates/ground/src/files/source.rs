//! Files that the user names to be read: once, whole, and never by waiting for somebody who may not come.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits;

/// The bytes of a file, of the standard input (`/dev/stdin`) or of a pipe that the shell has opened (`<(command)`). Fails for
/// a folder, a device, a socket and a named pipe, and for more than `most` bytes, even if they never end.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let cannot = |e: io::Error| Error::file("read", path, &e);
    let about = fs::metadata(path).map_err(cannot)?;
    match special(about.file_type()) {
        None => {
            let file = File::open(path).map_err(cannot)?;
            limits::check(about.len(), most, "bytes").map_err(|e| e.context(path.display()))?;
            at_most(file, about.len(), most, path)
        }
        Some(Special { streams: true, .. }) if is_standard(path, "stdin", 0) => {
            at_most(io::stdin().lock(), 0, most.min(limits::STREAM_BYTES), path)
        }
        Some(Special { what: "a pipe", .. }) if is_open_already(path) => {
            let file = File::open(path).map_err(cannot)?;
            at_most(file, 0, most.min(limits::STREAM_BYTES), path)
        }
        Some(Special { what, .. }) => Err(Error::input(format!(
            "cannot read {}: it is {what}; give a file, or /dev/stdin",
            path.display()
        ))),
    }
}

/// All that comes, which is of about this length.
fn at_most(from: impl Read, length: u64, most: u64, path: &Path) -> Result<Vec<u8>> {
    let cannot = |e: io::Error| Error::file("read", path, &e);
    let mut bytes = vec![];
    bytes.try_reserve(length as usize).map_err(|_| cannot(io::ErrorKind::OutOfMemory.into()))?;
    from.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    limits::check(bytes.len() as u64, most, "bytes or more").map_err(|e| e.context(path.display()))?;
    Ok(bytes)
}

/// As [`read`], for a file that must be text.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| Error::input(format!("cannot read {}: it is not text (UTF-8)", path.display())))
}

/// What isn't a file of bytes.
pub(super) struct Special {
    pub what: &'static str,
    /// Whether it hands bytes on as they come, in one direction at a time.
    pub streams: bool,
}

/// What is special about a thing of this type; `None` for a file.
pub(super) fn special(kind: FileType) -> Option<Special> {
    let is = |what, streams| Some(Special { what, streams });
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return is("a pipe", true);
        }
        if kind.is_socket() {
            return is("a socket", true);
        }
        if kind.is_char_device() {
            return is("a device", false);
        }
    }
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => is("a folder", false),
        _ => is("a device", false),
    }
}

/// Whether the path is a name of this process's standard stream.
pub(super) fn is_standard(path: &Path, name: &str, number: u8) -> bool {
    [format!("/dev/{name}"), format!("/dev/fd/{number}"), format!("/proc/self/fd/{number}")]
        .iter()
        .any(|known| path == Path::new(known))
}

/// Whether the path is a file that this process has open, so that opening it again waits for nobody: a pipe without a name.
pub(super) fn is_open_already(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    let has_no_name = || fs::canonicalize(path).is_err();
    folder.is_some_and(|folder| folder.starts_with("/dev/fd") || folder.starts_with("/proc") && has_no_name())
}
