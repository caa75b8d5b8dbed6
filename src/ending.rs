//! What is still to be done when the process ends by a panic.
//!
//! The release is built without unwinding: its tables and landing pads would be an eighth of the program that is pushed
//! to devices. So a panic ends the process in every build, by one hook, and nothing is dropped any more. What must not
//! stay behind (a temporary file, what was pushed to a device, a mode that a device was put into) is a [`Duty`]: done
//! when it is dropped, or by the hook.

use std::collections::BTreeMap;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Kind;

type Act = Box<dyn FnOnce() + Send>;

/// By number, in the order in which they were taken on.
static DUTIES: Mutex<BTreeMap<u64, Act>> = Mutex::new(BTreeMap::new());

/// Whether a thread is ending the process.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Something that is done once: when this is dropped, or when a panic ends the process before.
#[must_use = "it is done as soon as this is dropped"]
pub struct Duty {
    number: u64,
}

impl Duty {
    pub fn new(act: impl FnOnce() + Send + 'static) -> Self {
        let mut duties = duties();
        let number = duties.last_key_value().map_or(0, |(last, _)| last + 1);
        duties.insert(number, Box::new(act));
        Self { number }
    }

    /// There is no need for it any more.
    pub fn lift(self) {
        // Dropped outside of the lock: it may hold others.
        let act = duties().remove(&self.number);
        drop(act);
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        let act = duties().remove(&self.number);
        if let Some(act) = act {
            act();
        }
    }
}

/// From now on a panic, in whatever thread, is told in one line, all duties are done, the latest first, and the process
/// ends as it does after bad input.
pub fn on_panic(tell: impl Fn(&str) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        if ENDING.swap(true, Ordering::SeqCst) {
            // Another thread is at it: the end finds this one here.
            loop {
                std::thread::park();
            }
        }
        tell(&line(panic));
        loop {
            let latest = duties().pop_last();
            match latest {
                Some((_, act)) => act(),
                None => break,
            }
        }
        std::process::exit(Kind::Input as i32);
    }));
}

fn duties() -> MutexGuard<'static, BTreeMap<u64, Act>> {
    DUTIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was said, in one line, and where.
fn line(panic: &PanicHookInfo) -> String {
    let text = panic.payload_as_str().unwrap_or("for no stated reason");
    let words: Vec<&str> = text.split_whitespace().collect();
    let place = panic.location().map(|place| {
        let file = Path::new(place.file()).file_name().unwrap_or_default().to_string_lossy();
        format!(" ({file}:{})", place.line())
    });
    format!("{}{}", words.join(" "), place.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_duty_is_done_once_unless_it_is_lifted() {
        let done = Arc::new(AtomicUsize::new(0));
        let duty = || {
            let done = done.clone();
            Duty::new(move || {
                done.fetch_add(1, Ordering::SeqCst);
            })
        };
        let (first, second) = (duty(), duty());
        drop(first);
        assert_eq!(done.load(Ordering::SeqCst), 1);
        second.lift();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
