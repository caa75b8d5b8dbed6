//! How a worker is started and spoken to, and nothing more.
//!
//! Targets differ only in how they start `oplat worker` and in how files get there and back. What is measured,
//! and in which order, is decided elsewhere and is the same everywhere.

mod adb;
mod bounded;
mod connection;
mod interrupt;
mod lab;
mod launch;
mod library;
mod lost;
mod own;
mod pipes;
mod remote;
mod runner;
mod shell;
mod ssh;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::protocol::{EngineChoice, Reply, Request};

pub use adb::phones;
pub use lab::{Device, Lab, limit_mc};

use adb::Adb;
use remote::Remote;
use ssh::Ssh;

pub use interrupt::Interrupt;
pub use launch::{Command, Local};
pub use lost::{End, Lost};

/// A place where workers run.
pub trait Target {
    /// As the user spells it: `local`, `cmd:nice -n 5`.
    fn name(&self) -> String;

    /// Whether the workers' processor is emulated, so that their times say nothing of a device.
    fn emulated(&self) -> bool;

    /// Whether workers run on this machine, so that what they take of it can be told from what others do.
    fn is_here(&self) -> bool {
        true
    }

    /// Reaches the target and brings it what it needs; `engines` are those that load a library there. To be called before
    /// all else.
    fn open(&self, _engines: &[EngineChoice], _interrupt: &Interrupt) -> Result<()> {
        Ok(())
    }

    /// The engine as workers are to be asked for it: with its library where they see it.
    fn engine(&self, asked: &EngineChoice) -> EngineChoice {
        asked.clone()
    }

    /// What the user calls a library that workers see under this path.
    fn library(&self, there: String) -> String {
        there
    }

    /// Whether it can still be reached: fails, after some tries, if not.
    fn check(&self, _interrupt: &Interrupt) -> Result<()> {
        Ok(())
    }

    /// Makes a folder, with all in it, reachable for workers; its path on their side. Workers that run here see it
    /// where it is.
    fn put(&self, folder: &Path) -> Result<String> {
        let text = folder.to_str().map(str::to_owned);
        let not_text = || format!("{}: not UTF-8; set TMPDIR to a plain path", folder.display());
        text.ok_or_else(|| Error::input(not_text()))
    }

    /// The bytes of a file that a worker wrote into a folder that was [`put`](Target::put), as many as it said it wrote.
    fn get(&self, path: &str, bytes: u64) -> Result<Vec<u8>> {
        let read = std::fs::File::open(path).and_then(|file| bounded::read_all(file, bytes, |_| {}));
        read.map_err(|e| Error::file("read", Path::new(path), &e))
    }

    /// Starts a worker. Waiting for it ends when the interrupt is raised.
    fn start(&self, interrupt: &Interrupt) -> Result<Box<dyn Worker>>;
}

/// A started worker. Dropping it ends it, whatever it is doing.
pub trait Worker {
    /// Sends a request; its reply comes after those to earlier ones.
    fn send(&mut self, request: &Request) -> Result<(), Lost>;

    /// Waits for the next reply, no longer than `patience`.
    fn reply(&mut self, patience: Duration) -> Result<Reply, Lost>;

    /// Sends a request and waits for its reply.
    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Reply, Lost> {
        self.send(request)?;
        self.reply(patience)
    }
}

/// What the user may choose of a device.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program to push; without it, one that was built for the device is looked for.
    pub runner: Option<PathBuf>,
    /// Where to keep files on the device.
    pub folder: Option<String>,
    /// Whether what was pushed stays there for the next time.
    pub keep: bool,
    /// Libraries by engine, where none is given with the engine itself: files here, or paths on the device.
    pub libraries: BTreeMap<String, String>,
    /// Whether an Android device is put into its mode of fixed performance as long as it is used.
    pub fixed_performance: bool,
}

/// The target that the user means: `local`, `ssh:[user@]host[:port]`, `adb[:serial]` or `cmd:PREFIX`.
pub fn parse(text: &str, options: &Options) -> Result<Box<dyn Target + Send>> {
    let options = options.clone();
    match text.split_once(':') {
        None if text == "local" => Ok(Box::new(Local)),
        None if text == "adb" => Ok(Box::new(Remote::new(Adb::parse(None)?, options))),
        Some(("cmd", prefix)) => Ok(Box::new(Command::new(prefix)?)),
        Some(("ssh", place)) => Ok(Box::new(Remote::new(Ssh::parse(place)?, options))),
        Some(("adb", serial)) => Ok(Box::new(Remote::new(Adb::parse(Some(serial))?, options))),
        _ => Err(Error::input(format!(
            "unknown target {text:?}: use local, ssh:[user@]host[:port], adb[:serial] or cmd:PREFIX (a launcher)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_known_by_the_users_spelling() {
        for text in ["local", "cmd:nice -n 5", "ssh:pi@board:2222", "adb", "adb:0123"] {
            assert_eq!(parse(text, &Options::default()).expect(text).name(), text);
        }
    }

    #[test]
    fn an_unusable_target_says_what_can_be_used() {
        for text in ["", "remote", "ssh", "ssh:", "adb:", "cmd:", "cmd:'nice"] {
            let error =
                parse(text, &Options::default()).err().unwrap_or_else(|| panic!("{text:?} was taken"));
            assert_eq!(error.exit, crate::error::Exit::Input, "{text:?}");
        }
    }
}
