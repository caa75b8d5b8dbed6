//! The record of a measurement (`oplat.record/1`): the only thing that crosses from measuring to reading.
//!
//! Raw samples are kept beside everything derived from them, so that a reader can check any figure. Every
//! time is integer nanoseconds and every size bytes. Fields may be added; a changed meaning is a new schema
//! number.

pub mod bench;
mod delta;
mod environment;
mod fork;
mod op;
pub mod read;
mod settings;
mod variant;

use serde::{Deserialize, Serialize};

pub use delta::{Criteria, Margin};
pub use environment::{Android, BeforeAfter, Cluster, Environment, Throttle, ThrottleKind};
pub use fork::{Fork, InTurns, ProfiledRound};
pub use op::Op;
pub use settings::{Denormals, Look, Settings};
pub use variant::{
    ActivationCost, Bookkeeping, Delta, Latency, Lowering, Memory, OutputChange, Profiled, Role, Site,
    Skipped, Steadiness, Variant, Verdict,
};

use crate::files::{Kind, is_json};

/// The schema that this version writes.
pub const SCHEMA: &str = "oplat.record/1";

/// Files of it, in any version.
pub const KIND: Kind = Kind { what: "a record of oplat's", is: |file| is_json(file, "oplat.record") };

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    pub schema: String,
    pub oplat: Oplat,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub command: Vec<String>,
    /// The engine; of several the first one's.
    pub engine: Engine,
    /// All engines of the measurement, in order; empty where there is only `engine`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<Engine>,
    pub environment: Environment,
    /// Profiles that an app wrote, by file, where the record was made of these. All that they don't hold is null: unprofiled
    /// runs, memory, the machine; a number that can't be null is 0 (threads, times of loading).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imported: Vec<String>,
    /// The model; of several in one measurement the first, whose original all variants are compared against.
    pub model: Model,
    /// All models of the measurement, in order; empty where there is only `model`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    pub settings: Settings,
    /// `order[fork][round]`: indices of the variants in the order in which they had their turns.
    pub order: Vec<Vec<Vec<usize>>>,
    pub variants: Vec<Variant>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Oplat {
    pub version: String,
    /// Cargo profile: `dev` (optimised like release), `release`, …
    pub profile: String,
    pub debug_assertions: bool,
}

/// The engine, as it describes itself on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Engine {
    /// What variants call it: `tract`, `ort`. Empty in older records, and where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    pub name: String,
    pub version: String,
    /// Instruction sets that its kernels use here, most capable first (`avx512`, `avx2`, `fma`, `neon`, …).
    pub isa: Vec<String>,
    pub libc: String,
    pub allocator: String,
    /// The file that it was loaded from and that file's SHA-256; null for one that is linked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it can hand operators to beside its own code for the CPU, of an engine that has a choice (`cpu`, `xnnpack`, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Step of its own clock, which times ops, ns; absent where the machine's clock does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_clock_ns: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Model {
    /// File stem or built-in name.
    pub name: String,
    /// The path, or `built in`.
    pub source: String,
    pub sha256: String,
    pub inputs: Vec<Input>,
    /// Elements of all initialisers.
    pub parameters: u64,
    /// Multiply-accumulates of one run in convolutions and matrix products.
    pub macs: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Input {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: String,
}

/// The engine that is taken unless another is asked for; older records have it.
pub const DEFAULT_ENGINE: &str = "tract";
