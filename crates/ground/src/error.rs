//! One error type for everything that reaches a user: a sentence that names the file or node and the
//! remedy, and the exit code that scripts rely on.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, as far as a script needs to know. The discriminant is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A latency regression beyond the limit that was asked for.
    Regression = 1,
    /// Bad input or usage: a file, name, shape or flag that can't be used as given.
    Input = 2,
    /// A worker or target was lost, or the measurement was interrupted.
    Lost = 3,
    /// The measurement can't tell.
    Inconclusive = 4,
    /// A fault of oplat's own, which says nothing of the input: the number that sysexits.h has for it.
    Bug = 70,
}

/// An error with one line for the user and an exit code for scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub exit: Exit,
    pub message: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Bad input or usage (exit code 2).
    pub fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into() }
    }

    /// A lost worker, target or an interruption (exit code 3).
    pub fn lost(message: impl Into<String>) -> Self {
        Self { exit: Exit::Lost, message: message.into() }
    }

    /// A fault of our own (exit code 70): what happened. It is told with what to report.
    pub fn bug(what: impl fmt::Display) -> Self {
        let report = "please report it with this line, the command and the model";
        Self {
            exit: Exit::Bug,
            message: format!("this is a bug in oplat, not in your input: {what}; {report}"),
        }
    }

    /// A file that can't be read or written (exit code 2); `action` is "read", "write", …
    pub fn file(action: &str, path: &Path, error: &io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk is full; make room, or give another place".into()
            }
            io::ErrorKind::FileTooLarge => {
                "it would be larger than files may be here; raise the limit (`ulimit -f`), or give another place".into()
            }
            _ => error.to_string(),
        };
        Self::input(format!("cannot {action} {}: {why}", path.display()))
    }

    /// The same error with what was being done in front of it.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub fn exit_code(&self) -> u8 {
        self.exit as u8
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
