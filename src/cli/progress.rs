//! How far a measurement is: on standard error, and drawn only if that is a terminal.
//!
//! Drawn between turns and never by a thread of its own, which would disturb what is measured.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::note;
use crate::measure::Progress;
use crate::units;

/// Steps of the bar.
const WHOLE: u64 = 1000;

/// The bar, or only notes where nobody would see one.
pub fn on_stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(Bar::new()) } else { Box::new(Notes) }
}

struct Notes;

impl Progress for Notes {
    fn note(&mut self, message: &str) {
        note(message);
    }
}

struct Bar {
    bar: ProgressBar,
    fork: String,
    left: String,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(WHOLE), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, fork: String::new(), left: String::new() }
    }

    fn show(&self, what: &str) {
        let parts = [self.left.as_str(), self.fork.as_str(), what];
        let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        self.bar.set_message(told.join(", "));
    }
}

impl Progress for Bar {
    fn fork(&mut self, fork: usize, forks: usize) {
        self.fork = format!("fork {fork} of {forks}");
        self.show("");
    }

    fn phase(&mut self, what: &str) {
        self.show(what);
    }

    fn advance(&mut self, done: f64, left: Duration) {
        self.left = format!("about {} left", units::duration(left));
        self.bar.set_position((done.clamp(0.0, 1.0) * WHOLE as f64) as u64);
    }

    fn note(&mut self, message: &str) {
        self.bar.suspend(|| note(message));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
