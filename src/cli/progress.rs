//! How far a measurement is: on standard error, and drawn only if that is a terminal.
//!
//! Drawn between turns and never by a thread of its own, which would disturb what is measured.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::note;
use crate::escape;
use crate::measure::Progress;
use crate::units;

/// Steps of the bar.
const WHOLE: u64 = 1000;

/// The bar, or only notes where nobody would see one.
pub fn on_stderr() -> Box<dyn Progress + Send> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar::new(
            String::new(),
            ProgressBar::with_draw_target(Some(WHOLE), ProgressDrawTarget::stderr()),
        ))
    } else {
        Box::new(Notes { name: String::new() })
    }
}

/// As [`on_stderr`], for several targets at once: what each has to say has its name in front.
pub fn several(names: &[String]) -> Vec<Box<dyn Progress + Send>> {
    if let [_] = names {
        return vec![on_stderr()];
    }
    let bars = std::io::stderr()
        .is_terminal()
        .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
    let of = |name: &String| -> Box<dyn Progress + Send> {
        let name = format!("{name}: ");
        match &bars {
            Some(bars) => Box::new(Bar::new(name, bars.add(ProgressBar::new(WHOLE)))),
            None => Box::new(Notes { name }),
        }
    };
    names.iter().map(of).collect()
}

struct Notes {
    /// In front of every line: nothing where there is only one target.
    name: String,
}

impl Progress for Notes {
    fn note(&mut self, message: &str) {
        note(&format!("{}{message}", self.name));
    }
}

struct Bar {
    bar: ProgressBar,
    name: String,
    fork: String,
    left: String,
}

impl Bar {
    fn new(name: String, bar: ProgressBar) -> Self {
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, name, fork: String::new(), left: String::new() }
    }

    fn show(&self, what: &str) {
        let parts = [self.left.as_str(), self.fork.as_str(), what];
        let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let message = format!("{}{}", self.name, told.join(", "));
        self.bar.set_message(escape::line(&message).into_owned());
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
        self.bar.suspend(|| note(&format!("{}{message}", self.name)));
    }

    fn aside(&mut self, act: &mut dyn FnMut()) {
        self.bar.suspend(act);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
