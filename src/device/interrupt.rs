//! The user's wish to stop, which must also wake whoever is waiting for a worker.

#[cfg(unix)]
use std::io::{PipeReader, PipeWriter};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A flag that is raised once (by the handler of Ctrl-C) and seen by all its clones.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: Mutex<bool>,
    changed: Condvar,
    /// Something can be read from it once the flag is raised. Nobody does, so it wakes all who wait for that.
    #[cfg(unix)]
    pipe: std::sync::OnceLock<(PipeReader, PipeWriter)>,
}

impl Interrupt {
    /// Raises the flag and wakes all who wait. Not for use in a raw signal handler.
    pub fn raise(&self) {
        let was_raised = std::mem::replace(&mut *self.raised(), true);
        self.0.changed.notify_all();
        #[cfg(unix)]
        if let Some((_, pipe)) = self.0.pipe.get().filter(|_| !was_raised) {
            // It is empty, and its other end is here.
            let _ = std::io::Write::write_all(&mut &*pipe, b"!");
        }
    }

    pub fn is_raised(&self) -> bool {
        *self.raised()
    }

    /// Waits so long, or until the flag is raised.
    pub fn wait(&self, time: Duration) {
        // It doesn't matter which of the two ends the wait.
        drop(self.0.changed.wait_timeout_while(self.raised(), time, |raised| !*raised));
    }

    /// What can be read from as soon as the flag is raised, if it wasn't before. For those who wait for other things, too.
    #[cfg(unix)]
    pub(super) fn pipe(&self) -> std::io::Result<&PipeReader> {
        if let Some((reader, _)) = self.0.pipe.get() {
            return Ok(reader);
        }
        let made = std::io::pipe()?;
        // Another thread may have been quicker.
        Ok(&self.0.pipe.get_or_init(|| made).0)
    }

    fn raised(&self) -> MutexGuard<'_, bool> {
        self.0.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_wait_are_woken() {
        let interrupt = Interrupt::default();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let interrupt = interrupt.clone();
                std::thread::spawn(move || interrupt.wait(Duration::from_secs(600)))
            })
            .collect();
        interrupt.raise();
        interrupt.raise();
        waiting.into_iter().for_each(|thread| thread.join().expect("woken"));
        interrupt.wait(Duration::from_secs(600));
    }
}
