//! How a worker is started and spoken to, and nothing more.
//!
//! Targets differ only in how they start `oplat worker` and in how files get there and back. What is measured,
//! and in which order, is decided elsewhere and is the same everywhere.

mod adb;
mod bounded;
mod claims;
mod connection;
mod hook;
mod interrupt;
mod lab;
mod launch;
mod lease;
mod library;
mod lock;
mod lost;
mod own;
mod pipes;
mod remote;
mod runner;
mod shell;
mod ssh;
mod ssh_words;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::protocol::{EngineChoice, Reply, Request};

pub use adb::phones;
pub use claims::Claims;
pub use hook::missing;
pub use lab::{Chosen, Device, Lab, limit_mc};
pub use lease::{Member, holder};

use adb::Adb;
use lease::Leased;
use remote::Remote;
use ssh::Ssh;

pub use interrupt::Interrupt;
pub use launch::{Command, Local};
pub use lost::{End, Lost};

/// A place where workers run.
pub trait Target {
    /// As the user spells it: `local`, `cmd:nice -n 5`.
    fn name(&self) -> String;

    /// What it may be called once it is open; none if that isn't known before.
    fn names(&self) -> Vec<String> {
        vec![self.name()]
    }

    /// Of a pool, the device that it is; known once it is open.
    fn member(&self) -> Option<String> {
        None
    }

    /// What is gone on with was measured on the target of this name: no other will do. To be called before it is open.
    fn go_on_at(&self, _name: &str) {}

    /// Whether the workers' processor is emulated, so that their times say nothing of a device.
    fn emulated(&self) -> bool;

    /// Whether workers run on this machine, so that what they take of it can be told from what others do.
    fn is_here(&self) -> bool {
        true
    }

    /// Reaches the target, which may take long where others have it, and brings it what it needs; `engines` are those that load a
    /// library there. `say` tells the user what goes on. To be called before all else.
    fn open(
        &self,
        _engines: &[EngineChoice],
        _say: &mut dyn FnMut(&str),
        _interrupt: &Interrupt,
    ) -> Result<()> {
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
    /// The adb server that has the phone, `HOST[:PORT]`, if it isn't the usual one.
    pub adb_server: Option<String>,
    /// A host to go through by ssh.
    pub jump: Option<String>,
    /// More words for ssh.
    pub ssh_options: Option<String>,
}

/// The target that the user means: `local`, `ssh:[user@]host[:port]`, `adb[:serial]` or `cmd:PREFIX`.
pub fn parse(text: &str, options: &Options) -> Result<Box<dyn Target + Send>> {
    let options = options.clone();
    match text.split_once(':') {
        None if text == "local" => Ok(Box::new(Local)),
        None if text == "adb" => {
            Ok(Box::new(Remote::new(Adb::parse(None, options.adb_server.as_deref())?, options)))
        }
        Some(("cmd", prefix)) => Ok(Box::new(Command::new(prefix)?)),
        Some(("ssh", place)) => Ok(Box::new(Remote::new(Ssh::parse(place, &options)?, options))),
        Some(("adb", serial)) => {
            Ok(Box::new(Remote::new(Adb::parse(Some(serial), options.adb_server.as_deref())?, options)))
        }
        _ => Err(Error::input(format!(
            "unknown target {text:?}: use local, ssh:[user@]host[:port], adb[:serial] or cmd:PREFIX (a launcher)"
        ))),
    }
}

/// A device of the lab, or any free one of several: `is_pool` tells whether their names say more than `name` does. `claims` are
/// those of all targets of a command.
pub fn target(
    name: &str,
    is_pool: bool,
    members: Vec<Member>,
    claims: &Claims,
) -> Result<Box<dyn Target + Send>> {
    match members.as_slice() {
        [only] if !is_pool && !only.device.is_leased() => only.at_once(),
        _ => Ok(Box::new(Leased::new(name, is_pool, members, claims.clone()))),
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
    fn what_acquire_will_print_may_stand_in_all_that_says_how_a_device_is_reached() {
        let member = |target: &str, acquire: Option<&str>, options: Options| {
            let device =
                Device { target: target.into(), acquire: acquire.map(Into::into), ..Device::default() };
            Member::new("board".into(), device, options)
        };
        let name = || Some("${OPLAT_NO_SUCH_NAME}".to_owned());
        for (target, options) in [
            ("ssh:b", Options { ssh_options: Some("-i ${OPLAT_NO_SUCH_NAME}".into()), ..Options::default() }),
            ("ssh:b", Options { jump: name(), ..Options::default() }),
            ("adb", Options { adb_server: name(), ..Options::default() }),
        ] {
            assert!(member(target, Some("x"), options.clone()).is_ok(), "{options:?}");
            let error = member(target, None, options).expect_err("nothing says what it is");
            assert!(error.message.contains("OPLAT_NO_SUCH_NAME"), "{error}");
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
