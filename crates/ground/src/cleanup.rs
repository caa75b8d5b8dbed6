//! Cleaning up, also when a panic or a signal ends the process.
//!
//! The release is built without unwinding: its tables and landing pads would be an eighth of the program that is pushed
//! to devices. So a panic ends the process in every build, by one hook, and nothing is dropped any more; nor is it when the
//! user wants to stop. What must not stay behind (a temporary folder, what was pushed to a device, a mode that a device was
//! put into) is removed by a [`Guard`]: when it is dropped, or before the process ends.

use std::collections::BTreeMap;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::error::Exit;

type Action = Box<dyn FnOnce() + Send>;

/// How long the end of the process takes over its actions, and waits for those that other threads are at: of a hundred devices,
/// many may be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// The guards of the process.
struct Guards {
    /// Their actions by number, in the order in which they were made.
    actions: BTreeMap<u64, Action>,
    /// Actions that dropped guards are running.
    running: usize,
    /// The thread that ends the process.
    ending: Option<ThreadId>,
}

static GUARDS: Mutex<Guards> = Mutex::new(Guards { actions: BTreeMap::new(), running: 0, ending: None });

/// Told whenever `running` falls.
static DONE: Condvar = Condvar::new();

/// Runs an action once: when this is dropped, or when the process ends before.
#[must_use = "its action runs as soon as this is dropped"]
#[derive(Debug)]
pub struct Guard {
    number: u64,
}

impl Guard {
    pub fn new(action: impl FnOnce() + Send + 'static) -> Self {
        guards().add(action)
    }

    /// Makes something and the guard that removes it, with nothing in between: a process that is ending makes nothing new.
    pub fn over<T, E, A: FnOnce() + Send + 'static>(
        make: impl FnOnce() -> Result<(T, A), E>,
    ) -> Result<(T, Self), E> {
        let mut guards = guards();
        let (made, action) = make()?;
        Ok((made, guards.add(action)))
    }

    /// Drops the action without running it.
    pub fn disarm(self) {
        // Dropped outside of the lock: it may hold other guards.
        let action = guards().actions.remove(&self.number);
        drop(action);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let action = {
            let mut guards = guards();
            let Some(action) = guards.actions.remove(&self.number) else { return };
            guards.running += 1;
            action
        };
        action();
        locked().running -= 1;
        DONE.notify_all();
    }
}

impl Guards {
    fn add(&mut self, action: impl FnOnce() + Send + 'static) -> Guard {
        let number = self.actions.last_key_value().map_or(0, |(last, _)| last + 1);
        self.actions.insert(number, Box::new(action));
        Guard { number }
    }
}

/// Locks them, for good where another thread is ending the process: its end finds this thread here.
fn guards() -> MutexGuard<'static, Guards> {
    let guards = locked();
    if guards.ending.is_none_or(|ender| ender == thread::current().id()) {
        return guards;
    }
    drop(guards);
    park()
}

fn locked() -> MutexGuard<'static, Guards> {
    GUARDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn park() -> ! {
    loop {
        thread::park();
    }
}

/// Returns unless another thread is ending the process: then it, and not this one, says how.
pub fn unless_ending() {
    drop(guards());
}

/// Runs the actions of all guards, the latest first, once `tell` has been called, and ends the process as that says.
pub fn end(tell: impl FnOnce() -> Exit) -> ! {
    guards().ending = Some(thread::current().id());
    let exit = tell();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let latest = guards().actions.pop_last();
        match latest {
            Some((_, action)) => action(),
            None => break,
        }
    }
    let _ = DONE.wait_timeout_while(guards(), PATIENCE, |guards| guards.running > 0);
    std::process::exit(exit as i32)
}

/// A panic, as far as anybody is told of it.
pub struct Panic {
    /// What was said, in one line.
    pub message: String,
    /// The source file from which it came; empty where the compiler didn't note it.
    pub file: String,
}

/// From now on a panic, in whatever thread, is told by `tell`, all guards' actions run, the latest first, and the process ends
/// as `tell` says.
pub fn on_panic(tell: impl Fn(&Panic) -> Exit + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        end(|| tell(&Panic::of(panic)));
    }));
}

impl Panic {
    fn of(panic: &PanicHookInfo) -> Self {
        let text = panic.payload_as_str().unwrap_or("for no stated reason");
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some(place) = panic.location().map(|place| format!("{}:{}", place.file(), place.line())) else {
            return Self { message: words.join(" "), file: String::new() };
        };
        let trace = || std::backtrace::Backtrace::force_capture().to_string();
        let caller = if is_std(&place) { caller(&trace()) } else { None };
        let place = caller.unwrap_or(place);
        let mut parts = place.split(':');
        let file = parts.next().unwrap_or_default();
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        let line = parts.next().unwrap_or_default();
        Self { message: format!("{} ({name}:{line})", words.join(" ")), file: file.to_owned() }
    }
}

/// Whether a source file is the standard library's, which panics for whoever called it.
fn is_std(file: &str) -> bool {
    file.starts_with("/rustc/") || file.contains("/library/")
}

/// The place outside of the standard library from which a panic comes, `FILE:LINE`, by its stack: a function, then `at` its
/// place where that is known. `None` if the function isn't known, or is of a crate whose places aren't.
fn caller(trace: &str) -> Option<String> {
    let mut lines = trace.lines().skip_while(|line| !line.contains("rust_begin_unwind")).skip(1).peekable();
    while let Some(function) = lines.next() {
        let place = lines.next_if(|line| line.trim_start().starts_with("at "));
        let Some((_, name)) = function.split_once(": ") else { continue };
        let of_std =
            ["core::", "alloc::", "std::"].iter().any(|std| name.trim_start_matches('<').starts_with(std));
        match place.and_then(|place| place.trim_start().strip_prefix("at ")) {
            Some(place) if is_std(place) => {}
            Some(place) => return Some(place.to_owned()),
            None if of_std => {}
            None => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_standard_library_is_its_callers() {
        let trace = |frames: &str| {
            format!(
                "   0: hook\n   1: __rustc::rust_begin_unwind\n   2: core::panicking::panic_fmt\n{frames}"
            )
        };
        let std = "   3: alloc::raw_vec::capacity_overflow\n             at /rustc/59/library/alloc/src/raw_vec/mod.rs:28:5\n\
                   \x20  4: <alloc::vec::Vec<T> as core::iter::Extend>::extend\n";
        let ours = "   6: describe\n             at ./crates/tract/src/ops.rs:12:9\n";
        let place = caller(&trace(&format!("{std}{ours}")));
        assert_eq!(place.as_deref(), Some("./crates/tract/src/ops.rs:12:9"));
        for other in ["   5: <tract_core::ops::Conv as tract_core::Op>::eval\n", "   5: <unknown>\n"] {
            assert_eq!(caller(&trace(&format!("{std}{other}{ours}"))), None, "{other}");
        }
        assert_eq!(caller("stripped"), None);
    }
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

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
