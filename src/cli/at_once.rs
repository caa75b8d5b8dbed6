//! Several targets at once, each in a thread of its own: devices don't disturb one another.

use std::thread::ScopedJoinHandle;

use super::note;
use crate::error::{Error, Result};
use crate::experiment;
use crate::units;

/// Does all jobs at once and waits for them; the results are in the jobs' order. `what` is what a job does, for
/// the error where its thread panicked.
pub fn at_once<J: Send, T: Send>(
    jobs: impl IntoIterator<Item = J>,
    what: &str,
    run: impl Fn(J) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = jobs.into_iter().map(|job| scope.spawn(move || run(job))).collect();
        let ended = |thread: ScopedJoinHandle<_>| {
            thread.join().unwrap_or_else(|_| Err(Error::lost(format!("{what} ended for an unknown reason"))))
        };
        threads.into_iter().map(ended).collect()
    })
}

/// The errors of several targets, of which a command can end with one only.
pub struct Failures {
    /// Whether there are several, so that an error needs its target's name.
    pub several: bool,
    worst: Option<Error>,
    /// How many of those that were told before.
    told: usize,
}

impl Failures {
    pub fn new(several: bool) -> Self {
        Self { several, worst: None, told: 0 }
    }

    /// Adds one of which nobody knows. Of two, the less bad one is told at once.
    pub fn add(&mut self, target: &str, error: Error) {
        if let Some(other) = self.keep(target, error) {
            note(&format!("oplat: {other}"));
        }
    }

    /// Adds one that was told when its target ended.
    pub fn add_told(&mut self, target: &str, error: Error) {
        self.told += 1;
        self.keep(target, error);
    }

    /// Ends the command with this one.
    pub fn stop(&mut self, error: Error) {
        self.worst = Some(error);
    }

    fn keep(&mut self, target: &str, error: Error) -> Option<Error> {
        let error = if self.several { error.context(target) } else { error };
        experiment::keep_worst(&mut self.worst, error)
    }

    /// Fails with the worst.
    pub fn end(self) -> Result<()> {
        let Some(mut worst) = self.worst else { return Ok(()) };
        if self.told > 1 {
            worst.message += &format!(" ({} failed, as told above)", units::count(self.told, "target"));
        }
        Err(worst)
    }
}

/// That the user interrupted a command on several targets, of which so many have all that was asked for, and so many a part of it;
/// `kept` says whether that is in files to go on from.
pub fn interrupted(complete: usize, part: usize, of: usize, kept: bool) -> Error {
    let is = if kept { "kept" } else { "reported" };
    let part = if part > 0 { format!(", and of {part} a part is {is}") } else { String::new() };
    let rest = if kept { "; --resume measures the rest" } else { "" };
    Error::lost(format!("interrupted: {complete} of {} are complete{part}{rest}", units::count(of, "target")))
}
