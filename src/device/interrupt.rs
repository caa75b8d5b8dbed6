//! The user's wish to stop, which must also wake whoever is waiting for a worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::connection::Event;

/// A flag that is raised once (by the handler of Ctrl-C) and seen by all its clones.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    waiting: Mutex<Vec<Weak<SyncSender<Event>>>>,
}

impl Interrupt {
    /// Raises the flag and wakes all who wait for a worker. Not for use in a raw signal handler.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::SeqCst);
        for sender in self.waiting().iter().filter_map(Weak::upgrade) {
            // A connection that is gone needs no waking, nor one that has something else to hear.
            let _ = sender.try_send(Event::Interrupted);
        }
    }

    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Waits so long, or until the flag is raised.
    pub fn wait(&self, time: Duration) {
        let (sender, receiver) = sync_channel(1);
        let sender = Arc::new(sender);
        self.wake(&sender);
        if !self.is_raised() {
            // It doesn't matter which of the two ends the wait.
            let _ = receiver.recv_timeout(time);
        }
    }

    /// Has `sender` told when the flag is raised, as long as it lives.
    pub(super) fn wake(&self, sender: &Arc<SyncSender<Event>>) {
        let mut waiting = self.waiting();
        waiting.retain(|w| w.strong_count() > 0);
        waiting.push(Arc::downgrade(sender));
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Weak<SyncSender<Event>>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
