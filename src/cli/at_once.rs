//! Several targets at once, each in a thread of its own: devices don't disturb one another.

use std::thread::ScopedJoinHandle;

use super::note;
use crate::error::{Error, Result};
use crate::experiment;

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

/// The errors of several targets, of which a command can end with one only. The others are told at once.
pub struct Failures {
    /// Whether there are several, so that an error needs its target's name.
    pub several: bool,
    worst: Option<Error>,
}

impl Failures {
    pub fn new(several: bool) -> Self {
        Self { several, worst: None }
    }

    pub fn add(&mut self, target: &str, error: Error) {
        let error = if self.several { error.context(target) } else { error };
        if let Some(other) = experiment::keep_worst(&mut self.worst, error) {
            note(&format!("oplat: {other}"));
        }
    }

    /// Fails with the worst.
    pub fn end(self) -> Result<()> {
        self.worst.map_or(Ok(()), Err)
    }
}
