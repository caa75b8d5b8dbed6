//! Which device each target of a command has or had: of a pool that is named twice, or beside one of its devices, each device is
//! measured once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the targets of one command know of each other.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<Mutex<BTreeMap<String, String>>>);

impl Claims {
    /// The device at this address is that of the target `by`, until the command ends.
    pub fn note(&self, address: &str, by: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(address.into()).or_insert_with(|| by.into());
    }

    /// The target, if there is another than `by`, whose device that is.
    pub fn other(&self, address: &str, by: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(address).filter(|owner| *owner != by).cloned()
    }
}
