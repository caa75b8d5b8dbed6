//! Files that the user names to be read: once, whole, and never by waiting for somebody who may not come.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of a file, of the standard input (`/dev/stdin`) or of a pipe that the shell has opened (`<(command)`). Fails for
/// a folder, a device, a socket and a named pipe.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = |e: io::Error| Error::file("read", path, &e);
    let kind = fs::metadata(path).map_err(cannot)?.file_type();
    let mut bytes = vec![];
    match special(kind) {
        None => File::open(path).map_err(cannot)?.read_to_end(&mut bytes),
        Some(Special { streams: true, .. }) if is_standard(path, "stdin", 0) => {
            io::stdin().lock().read_to_end(&mut bytes)
        }
        Some(Special { what: "a pipe", .. }) if is_open_already(path) => {
            File::open(path).map_err(cannot)?.read_to_end(&mut bytes)
        }
        Some(Special { what, .. }) => {
            return Err(Error::input(format!(
                "cannot read {}: it is {what}; give a file, or /dev/stdin",
                path.display()
            )));
        }
    }
    .map_err(cannot)?;
    Ok(bytes)
}

/// As [`read`], for a file that must be text.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
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
