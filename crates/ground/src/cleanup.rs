//! Cleaning up, also when a panic ends the process.
//!
//! The release is built without unwinding: its tables and landing pads would be an eighth of the program that is pushed
//! to devices. So a panic ends the process in every build, by one hook, and nothing is dropped any more. What must not
//! stay behind (a temporary file, what was pushed to a device, a mode that a device was put into) is removed by a
//! [`Guard`]: when it is dropped, or by the hook.

use std::collections::BTreeMap;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Exit;

type Action = Box<dyn FnOnce() + Send>;

/// The actions of all guards, by number, in the order in which they were made.
static ACTIONS: Mutex<BTreeMap<u64, Action>> = Mutex::new(BTreeMap::new());

/// Whether a thread is ending the process.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Runs an action once: when this is dropped, or when a panic ends the process before.
#[must_use = "its action runs as soon as this is dropped"]
pub struct Guard {
    number: u64,
}

impl Guard {
    pub fn new(action: impl FnOnce() + Send + 'static) -> Self {
        let mut actions = actions();
        let number = actions.last_key_value().map_or(0, |(last, _)| last + 1);
        actions.insert(number, Box::new(action));
        Self { number }
    }

    /// Drops the action without running it.
    pub fn disarm(self) {
        // Dropped outside of the lock: it may hold other guards.
        let action = actions().remove(&self.number);
        drop(action);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let action = actions().remove(&self.number);
        if let Some(action) = action {
            action();
        }
    }
}

/// A panic, as far as anybody is told of it.
pub struct Panic {
    /// What was said, in one line.
    pub message: String,
    /// The source file from which it came; empty where the compiler didn't note it.
    pub file: String,
}

/// From now on a panic, in whatever thread, is told, all guards' actions run, the latest first, and the process ends as
/// it does after bad input.
pub fn on_panic(tell: impl Fn(&Panic) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        if ENDING.swap(true, Ordering::SeqCst) {
            // Another thread is at it: the end finds this one here.
            loop {
                std::thread::park();
            }
        }
        tell(&Panic::of(panic));
        loop {
            let latest = actions().pop_last();
            match latest {
                Some((_, action)) => action(),
                None => break,
            }
        }
        std::process::exit(Exit::Input as i32);
    }));
}

fn actions() -> MutexGuard<'static, BTreeMap<u64, Action>> {
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Panic {
    fn of(panic: &PanicHookInfo) -> Self {
        let text = panic.payload_as_str().unwrap_or("for no stated reason");
        let words: Vec<&str> = text.split_whitespace().collect();
        let place = panic.location().map(|place| {
            let file = Path::new(place.file()).file_name().unwrap_or_default().to_string_lossy();
            format!(" ({file}:{})", place.line())
        });
        Self {
            message: format!("{}{}", words.join(" "), place.unwrap_or_default()),
            file: panic.location().map_or(String::new(), |place| place.file().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn an_action_runs_once_unless_its_guard_is_disarmed() {
        let done = Arc::new(AtomicUsize::new(0));
        let guard = || {
            let done = done.clone();
            Guard::new(move || {
                done.fetch_add(1, Ordering::SeqCst);
            })
        };
        let (first, second) = (guard(), guard());
        drop(first);
        assert_eq!(done.load(Ordering::SeqCst), 1);
        second.disarm();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
