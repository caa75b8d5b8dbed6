//! What the whole program stands on: nothing here knows of models, engines or devices.

pub mod cleanup;
pub mod elf;
pub mod error;
pub mod escape;
pub mod figures;
pub mod files;
pub mod limits;
pub mod process;
pub mod protocol;
pub mod random;
pub mod record;
pub mod stats;
pub mod suggest;
pub mod units;
