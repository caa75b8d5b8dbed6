//! Which device each target of a command has or had: of a pool that is named twice, or beside one of its devices, each device is
//! measured once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the targets of one command know of each other.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<Mutex<BTreeMap<String, String>>>);

impl Claims {
    /// The device at this address is that of the target `by`, until the command ends, unless it is another's: whose.
    pub fn note(&self, address: &str, by: &str) -> Option<String> {
        let mut known = self.known();
        let owner = known.entry(address.into()).or_insert_with(|| by.into());
        (owner != by).then(|| owner.clone())
    }

    /// The target `by` can't be measured there: others may try.
    pub fn give_up(&self, address: &str, by: &str) {
        self.known().retain(|known, owner| known != address || owner != by);
    }

    /// The target, if there is another than `by`, whose device that is.
    pub fn other(&self, address: &str, by: &str) -> Option<String> {
        self.known().get(address).filter(|owner| *owner != by).cloned()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
