//! How far a measurement is, for whoever looks on.

use std::collections::HashSet;
use std::time::Duration;

use crate::error::Error;
use crate::record::Verdict;

/// Whoever wants to see how far a measurement is. Called between turns, never during one.
pub trait Progress {
    /// A fork begins: the `fork`th (from 1) of about `forks`; the number may change as speeds become known.
    fn fork(&mut self, _fork: usize, _forks: usize) {}

    /// What is done now, in a few words: `loading mish, exported`, `round 2 of 5`.
    fn phase(&mut self, _what: &str) {}

    /// The share of the whole that is done (0 to 1), and about how long the rest takes.
    fn advance(&mut self, _done: f64, _left: Duration) {}

    /// It ends as soon as all verdicts are known: forks and times are what it takes at most.
    fn may_end_early(&mut self) {}

    /// What is known of each variant by now.
    fn estimates(&mut self, _variants: &[SoFar]) {}

    /// Something that the user should know now: a variant was lost, the time is too short.
    fn note(&mut self, _message: &str) {}

    /// Nothing more comes: all is measured, or why not.
    fn ended(&mut self, _how: Result<(), &Error>) {}

    /// Does something to the terminal that must not be drawn over.
    fn aside(&mut self, act: &mut dyn FnMut()) {
        act();
    }
}

/// A variant while it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct SoFar {
    pub name: String,
    /// Median of its plain runs.
    pub p50_ns: u64,
    /// How many times as long as its original's they take, and the interval as soon as there is one; nothing of an original.
    pub ratio: Option<(f64, Option<[f64; 2]>)>,
    /// What the last look found, of a measurement that is looked at: inconclusive means that it is still open. `None` as long as
    /// there was none, and of what is compared with nothing.
    pub verdict: Option<Verdict>,
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Says no note twice: parts of something longer find the same.
pub struct Once<'w> {
    whole: &'w mut dyn Progress,
    said: HashSet<String>,
}

impl<'w> Once<'w> {
    pub fn new(whole: &'w mut dyn Progress) -> Self {
        Self { whole, said: HashSet::new() }
    }
}

impl Progress for Once<'_> {
    fn fork(&mut self, fork: usize, forks: usize) {
        self.whole.fork(fork, forks);
    }

    fn phase(&mut self, what: &str) {
        self.whole.phase(what);
    }

    fn advance(&mut self, done: f64, left: Duration) {
        self.whole.advance(done, left);
    }

    fn may_end_early(&mut self) {
        self.whole.may_end_early();
    }

    fn estimates(&mut self, variants: &[SoFar]) {
        self.whole.estimates(variants);
    }

    fn note(&mut self, message: &str) {
        if self.said.insert(message.to_owned()) {
            self.whole.note(message);
        }
    }

    fn ended(&mut self, how: Result<(), &Error>) {
        self.whole.ended(how);
    }

    fn aside(&mut self, act: &mut dyn FnMut()) {
        self.whole.aside(act);
    }
}

/// A measurement that is a part of something longer: shares and times are those of the whole.
pub struct Part<'w> {
    whole: &'w mut dyn Progress,
    name: String,
    /// The share of the whole that was done before, and its own.
    before: f64,
    share: f64,
    /// What comes after it.
    rest: Duration,
}

impl<'w> Part<'w> {
    /// `name` is shown beside what it does: `measurement 2 of 5`.
    pub fn new(
        whole: &'w mut dyn Progress,
        name: impl Into<String>,
        before: f64,
        share: f64,
        rest: Duration,
    ) -> Self {
        Self { whole, name: name.into(), before, share, rest }
    }
}

impl Progress for Part<'_> {
    fn fork(&mut self, fork: usize, forks: usize) {
        self.whole.fork(fork, forks);
    }

    fn phase(&mut self, what: &str) {
        self.whole.phase(&format!("{what} ({})", self.name));
    }

    fn advance(&mut self, done: f64, left: Duration) {
        self.whole.advance(self.before + self.share * done, left + self.rest);
    }

    fn may_end_early(&mut self) {
        self.whole.may_end_early();
    }

    fn estimates(&mut self, variants: &[SoFar]) {
        self.whole.estimates(variants);
    }

    fn note(&mut self, message: &str) {
        self.whole.note(message);
    }

    fn aside(&mut self, act: &mut dyn FnMut()) {
        self.whole.aside(act);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_note_is_said_twice() {
        struct Notes(Vec<String>);
        impl Progress for Notes {
            fn note(&mut self, message: &str) {
                self.0.push(message.into());
            }
        }
        let mut notes = Notes(vec![]);
        let mut once = Once::new(&mut notes);
        ["a", "b", "a"].iter().for_each(|note| once.note(note));
        assert_eq!(notes.0, ["a", "b"]);
    }
}
