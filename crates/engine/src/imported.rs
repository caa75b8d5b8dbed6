//! What an engine's own profile tells, which an app wrote where no worker of ours runs.

use oplat_ground::protocol::{Described, Input, Profile};
use oplat_ground::record::Engine;

/// Profiles of one model in one session's settings. Figures that the files don't have are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    pub engine: Engine,
    /// Ops that could not be tied to a node of the model have none.
    pub described: Described,
    /// Inputs of the model whose shapes are known.
    pub inputs: Vec<Input>,
    /// Threads that computed.
    pub threads: Option<usize>,
    /// One for each file.
    pub processes: Vec<Process>,
    /// What a reader should know of the files, a sentence each.
    pub notes: Vec<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub load_ns: Option<u64>,
    pub optimise_ns: Option<u64>,
    pub first_run_ns: Option<u64>,
    /// The runs after those in which the session still got its memory together.
    pub profile: Profile,
}
