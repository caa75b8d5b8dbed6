//! Measuring: which process does what when, and what becomes of its answers.

use std::time::Duration;

use crate::record::{self, Role};
use crate::swap;
use crate::worker::protocol::Load;

/// All that is needed to measure one model's variants against each other.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The command line, for the record.
    pub command: Vec<String>,
    /// What is known of the original before it is loaded; inputs and MACs come from the worker.
    pub model: record::Model,
    /// The first is the original: what the others are compared against.
    pub variants: Vec<Planned>,
    /// How to load each variant; `model` (the path) is filled in when the variant has been written.
    pub load: Load,
    /// Processes per variant: the number of replications.
    pub forks: usize,
    /// Wall time that all of it may take.
    pub time: Duration,
    /// Confidence of every interval.
    pub confidence: f64,
}

/// A variant and what tables call it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// `original`, `mish, exported`, `control`.
    pub name: String,
    pub role: Role,
    /// The activation asked for; `identity` for the control, empty for the original.
    pub rule: String,
    /// `exported` or `kernel`.
    pub lowering: String,
    pub variant: swap::Variant,
}
