//! Who has which device: of those that are shared, one oplat at a time has one.
//!
//! Each device has a file in the user's folder for state, locked as long as a program has the device. The lock ends with the
//! program, however that ends. What stands in the file tells others who has it and, if that program was killed, what is still
//! to be released.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hook::Release;
use crate::error::{Error, Result};
use crate::{environment, files};

/// What a file may say, and how much of a command is shown.
const LONGEST: u64 = 1_000_000;
const COMMAND: usize = 60;

/// Who has a device, or had it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// The device's name in the lab.
    pub device: String,
    pid: u32,
    user: String,
    command: String,
    since: String,
    /// What is to be done when it is given back.
    pub release: Option<Release>,
}

impl Holder {
    /// This program.
    pub fn here(device: &str, release: Option<Release>) -> Self {
        let words: Vec<String> =
            std::env::args_os().skip(1).map(|w| w.to_string_lossy().into_owned()).collect();
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        Self {
            device: device.into(),
            pid: std::process::id(),
            user: user.unwrap_or_else(|| "somebody".into()),
            command: std::iter::once("oplat".to_owned()).chain(words).collect::<Vec<_>>().join(" "),
            since: environment::rfc3339(SystemTime::now()),
            release,
        }
    }

    /// Whether it is this very program, if it is on this machine.
    pub fn is_us(&self) -> bool {
        self.pid == std::process::id()
    }

    /// `pid 4711 (pi: oplat profile …) since …`.
    pub fn describe(&self) -> String {
        let command: String = self.command.chars().take(COMMAND).collect();
        let more = if command.len() < self.command.len() { "…" } else { "" };
        format!("pid {} ({}: {command}{more}) since {}", self.pid, self.user, self.since)
    }
}

/// A device's file, which is locked as long as this lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// What became of an attempt to lock a device's file.
pub enum Attempt {
    Locked(Lock),
    /// Somebody has it; `None` if it isn't known who.
    Held(Option<Holder>),
}

impl Lock {
    /// Takes the device that is known by `id` on this machine, if nobody has it.
    pub fn take(id: &str) -> Result<Attempt> {
        let path = path(id)?;
        let failed = |e: std::io::Error| {
            Error::input(format!(
                "cannot note who has a device in {}: {e}; set XDG_STATE_HOME to a folder of this machine",
                path.display()
            ))
        };
        let mut file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Attempt::Locked(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(Attempt::Held(read(&mut file))),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    /// What a program noted that was killed, or could not give the device back.
    pub fn left(&mut self) -> Option<Holder> {
        read(&mut self.file).filter(|holder| holder.release.is_some())
    }

    /// Says who has it. What was said before stands until the new is there: this program may be killed at any moment.
    pub fn note(&mut self, holder: &Holder) {
        let text = serde_json::to_vec_pretty(holder).unwrap_or_default();
        let written = self.file.rewind().and_then(|()| self.file.write_all(&text));
        // Whoever asks isn't told then; the device is ours all the same.
        let _ = written.and_then(|()| self.file.set_len(text.len() as u64));
    }

    /// Says that nobody has it.
    pub fn clear(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()
    }
}

fn open(path: &PathBuf) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // What a farm gave to prove that a device is ours may stand in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = vec![];
    file.rewind().ok()?;
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    // The end of an older note may stand after it.
    serde_json::Deserializer::from_slice(&text).into_iter().next()?.ok()
}

fn path(id: &str) -> Result<PathBuf> {
    let unknown = || Error::input("nothing says where to note who has a device: set XDG_STATE_HOME or HOME");
    let hash: String = Sha256::digest(id).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(files::state_folder().ok_or_else(unknown)?.join("devices").join(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_older_note_is_none_of_the_new_one() {
        let (mut lock, other) = (Lock { file: tempfile::tempfile().expect("temp") }, "x".repeat(500));
        let (older, newer) = (Holder::here(&other, Some(Release::default())), Holder::here("b", None));
        lock.note(&older);
        // As it is before the file is cut to its length.
        let text = serde_json::to_vec_pretty(&newer).expect("text");
        lock.file.rewind().and_then(|()| lock.file.write_all(&text)).expect("written");
        assert_eq!(read(&mut lock.file).as_ref(), Some(&newer));
        lock.note(&older);
        assert_eq!(lock.left().as_ref(), Some(&older));
        lock.note(&newer);
        assert_eq!((read(&mut lock.file).as_ref(), lock.left()), (Some(&newer), None));
        let length = lock.file.metadata().expect("there").len();
        assert_eq!(length, text.len() as u64, "nothing of the older one is left");
    }
}
