//! How a worker is started and spoken to, and nothing more.
//!
//! Targets differ only in how they start `oplat worker` and in how files get there and back. What is measured,
//! and in which order, is decided elsewhere and is the same everywhere.

mod connection;
mod interrupt;
mod launch;
mod lost;

use std::path::Path;

use crate::error::{Error, Result};
use crate::worker::protocol::{Reply, Request};

pub use interrupt::Interrupt;
pub use launch::{Command, Local};
pub use lost::{End, Lost};

/// A place where workers run.
pub trait Target {
    /// As the user spells it: `local`, `cmd:nice -n 5`.
    fn name(&self) -> String;

    /// Whether the workers' processor is emulated, so that their times say nothing of a device.
    fn emulated(&self) -> bool;

    /// Makes a folder, with all in it, reachable for workers; its path on their side.
    fn put(&self, folder: &Path) -> Result<String>;

    /// The bytes of a file that a worker wrote into a folder that was [`put`](Target::put).
    fn get(&self, path: &str) -> Result<Vec<u8>>;

    /// Starts a worker. Waiting for it ends when the interrupt is raised.
    fn start(&self, interrupt: &Interrupt) -> Result<Box<dyn Worker>>;
}

/// A started worker. Dropping it ends it, whatever it is doing.
pub trait Worker {
    /// Sends a request and waits for its reply, no longer than `patience`.
    fn ask(&mut self, request: &Request, patience: std::time::Duration) -> Result<Reply, Lost>;
}

/// The target that the user means: `local` or `cmd:PREFIX`.
pub fn parse(text: &str) -> Result<Box<dyn Target>> {
    match text.split_once(':') {
        None if text == "local" => Ok(Box::new(Local)),
        Some(("cmd", prefix)) => Ok(Box::new(Command::new(prefix)?)),
        Some((kind @ ("ssh" | "adb"), _)) => Err(Error::input(format!(
            "target {text}: {kind} is not supported yet; use local, or cmd:PREFIX with a launcher of your own"
        ))),
        _ => Err(Error::input(format!("unknown target {text:?}: use local or cmd:PREFIX (a launcher)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_known_by_the_users_spelling() {
        assert_eq!(parse("local").expect("local").name(), "local");
        assert_eq!(parse("cmd:nice -n 5").expect("a launcher").name(), "cmd:nice -n 5");
    }

    #[test]
    fn an_unusable_target_says_what_can_be_used() {
        for text in ["", "remote", "ssh:phone", "adb:1", "cmd:", "cmd:'nice"] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text:?} was taken"));
            assert_eq!(error.kind, crate::error::Kind::Input, "{text:?}");
        }
    }
}
