//! This program as it is running, to start workers from: a build that takes its place meanwhile is another program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// Where the kernel keeps the program of the process that asks, whatever became of its file.
const RUNNING: &str = "/proc/self/exe";

/// What the system says after the name of a file that is gone.
const GONE: &str = " (deleted)";

/// The program's file as it was named when it was started. Another may be there by now.
pub fn path() -> Result<PathBuf> {
    let path = std::env::current_exe()
        .map_err(|e| Error::lost(format!("cannot find this program to start workers: {e}")))?;
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(GONE));
    Ok(match name {
        Some(name) if !path.exists() => path.with_file_name(name),
        _ => path,
    })
}

/// A command that runs this program.
pub fn command() -> Result<Command> {
    let path = path()?;
    if !Path::new(RUNNING).exists() {
        return Ok(Command::new(path));
    }
    let mut command = Command::new(RUNNING);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, path);
    Ok(command)
}

/// A path under which another process finds this program, as long as this one runs.
pub fn for_others() -> Result<PathBuf> {
    let path = path()?;
    match Path::new(RUNNING).exists() && !is_running(&path) {
        true => Ok(format!("/proc/{}/exe", std::process::id()).into()),
        false => Ok(path),
    }
}

/// Whether this file is the program that is running.
fn is_running(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let [a, b] = [path, Path::new(RUNNING)].map(|path| path.metadata().map(|m| (m.dev(), m.ino())));
        matches!((a, b), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}
