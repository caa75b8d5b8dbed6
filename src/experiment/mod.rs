//! Experiments: many measurements from one file, kept as they are made, so that a study can be repeated, and
//! gone on with where it was stopped.
//!
//! `config` is the file and the measurements that it comes to, `variants` what each of them measures, `folder`
//! where records are kept and which of them need no second measurement, `run` the whole in order, `summary`
//! the table at its end. How a measurement is made is the [`Lab`]'s business.

mod config;
mod folder;
mod run;
mod summary;
#[cfg(test)]
mod tests;
mod variants;

pub use config::{Config, Entry, Measurement};
pub use folder::{Folder, planned_otherwise};
pub use run::{Lab, Part, Place, keep_worst, run};
pub use variants::{Swaps, combinations, tell_apart, variants};
