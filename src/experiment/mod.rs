//! Experiments: many measurements from one file. Each is kept as soon as it is made, so that a study can be repeated,
//! and resumed where it was stopped.
//!
//! `config` is the file and the cases that it comes to, `variants` what is measured in each of them, `folder` where
//! records are kept and which of them need no second measurement, `run` the whole in order, `summary` the table at its
//! end. An [`Executor`] makes the measurements.

mod config;
mod folder;
mod run;
mod summary;
#[cfg(test)]
mod tests;
mod variants;

pub use config::{Case, Config, Entry};
pub use folder::{Folder, planned_otherwise};
pub use run::{Begun, Executor, Position, begin, finish, keep_worst};
pub use variants::{Swaps, combinations, planned_engines, tell_apart, variants};
