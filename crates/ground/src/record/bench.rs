//! The record of activations on their own (`oplat.bench/1`).
//!
//! As in [`super::Record`], what was measured stands beside what was derived from it. Figures for an element are
//! fractions of a nanosecond, so they are floats; the batches that they come from are integer nanoseconds.

use serde::{Deserialize, Serialize};

use crate::files::{Kind, is_json};

use super::{Denormals, Engine, Environment, Lowering, Oplat};

/// The schema that this version writes.
pub const SCHEMA: &str = "oplat.bench/1";

/// Files of it, in any version.
pub const KIND: Kind =
    Kind { what: "a record of activations on their own", is: |file| is_json(file, "oplat.bench") };

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bench {
    pub schema: String,
    pub oplat: Oplat,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub command: Vec<String>,
    /// The engine; of several the first one's.
    pub engine: Engine,
    /// All engines, in order; empty where there is only `engine`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<Engine>,
    pub environment: Environment,
    pub settings: Settings,
    /// The copy that rows are compared with, by size and engine.
    pub memcpy: Vec<Memcpy>,
    /// By size and engine, in the order in which they were asked for; relu is always among them.
    pub rows: Vec<Row>,
    /// From the smallest to the largest size.
    pub growth: Vec<Growth>,
    /// What the study says of these activations, where they allow to tell.
    pub claims: Vec<Claim>,
    pub left_out: Vec<LeftOut>,
    /// What makes the figures less sure, beside what is said of the environment.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Settings {
    pub seed: u64,
    /// Processes that completed their rounds.
    pub forks: usize,
    pub forks_wanted: usize,
    /// Rounds of each fork: in each, every row has one turn.
    pub rounds: Vec<usize>,
    /// Forwards that were asked for; null where a time was.
    pub forwards: Option<u64>,
    pub time_limit_ns: Option<u64>,
    pub elapsed_ns: u64,
    pub denormals: Denormals,
    /// The instruction set of kernels that was asked for.
    pub isa: Option<String>,
    pub threads: usize,
    /// Confidence of every interval, e.g. 0.99.
    pub confidence: f64,
    /// What the inputs are.
    pub inputs: String,
    /// The second-level cache, which the buffers of a batch half fill; null where the system doesn't say.
    pub cache_bytes: Option<u64>,
    /// What the clock's own readings cost: taken off each batch.
    pub clock_ns: u64,
    /// What it takes the engine to run a kernel as an operator, ns a call beside the kernel itself: kernels are
    /// timed bare, claims are tried with this added.
    pub operator_ns: Option<f64>,
    /// What a run costs an engine that runs only whole models, ns, beside the operators in it: taken off each batch. Absent
    /// where there is no such engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ns: Option<u64>,
    /// True if the measurement was ended early.
    pub interrupted: bool,
}

/// Turns of a row: what was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Turns {
    /// Forwards of a batch, and timed batches of a turn.
    pub batch: u32,
    pub batches: u32,
    /// `forks[fork][round]`: the median batch of the turn, ns.
    pub forks: Vec<Vec<u64>>,
}

/// A copy from one buffer to another: by the C library, or by the operator of an engine that runs only whole models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Memcpy {
    /// The engine, by its label in `engines`; absent where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    pub elements: u64,
    pub ns_per_element: f64,
    pub interval: Option<[f64; 2]>,
    /// Bytes read and written, over the time.
    pub gb_per_s: f64,
    pub turns: Turns,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Row {
    /// As a user spells it: `mish`, `leaky_relu:0.1`.
    pub activation: String,
    /// The engine, by its label in `engines`; absent where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// `exported` or `kernel`.
    pub lowering: Lowering,
    /// Of the input.
    pub elements: u64,
    pub shape: Vec<usize>,
    /// Time of a forward over its elements: the mean over forks of each one's median, as logarithms.
    pub ns_per_element: f64,
    pub interval: Option<[f64; 2]>,
    /// Bytes of the input read and of the output written (4 for an element each), over the time. Passes between
    /// them are not counted: what takes several passes moves more.
    pub gb_per_s: f64,
    /// Paired within forks, as are those to relu.
    pub ratio_to_memcpy: Option<f64>,
    pub memcpy_interval: Option<[f64; 2]>,
    /// A kernel is timed bare; relu, if it has no kernel, as the engine's operator.
    pub ratio_to_relu: Option<f64>,
    pub relu_interval: Option<[f64; 2]>,
    /// Time of a forward over that of the same in the first engine, paired likewise; null in that one.
    #[serde(default)]
    pub across: Option<f64>,
    #[serde(default)]
    pub across_interval: Option<[f64; 2]>,
    /// What computed it: our kernel, or the engine's operators (`5 ops: Exp Add Ln Tanh Mul`).
    pub kernel: String,
    /// The instruction set of our kernel; null for the engine's operators.
    pub isa: Option<String>,
    pub ops: Vec<String>,
    pub output_elements: u64,
    /// Bytes that a forward newly allocates and leaves behind: 0 if it works in place. Null where the engine doesn't tell.
    pub output_bytes: Option<u64>,
    /// Most bytes that it allocates beyond these.
    pub scratch_bytes: Option<u64>,
    /// Special values among the outputs for fresh input.
    pub output: Values,
    /// Largest difference of an output from the function's definition in double precision, as a share of the value where
    /// that is above 1; null where the function isn't one of single numbers.
    #[serde(default)]
    pub largest_error: Option<f64>,
    /// All timed forwards.
    pub forwards: u64,
    pub turns: Turns,
    /// The study's method, where it was asked for.
    pub in_place: Option<InPlace>,
}

/// Forwards one after another in one buffer, each on the last one's output, from one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InPlace {
    pub forwards: u64,
    /// Mean over all forwards.
    pub ns_per_element: f64,
    /// That of fresh input, in the same process.
    pub fresh_ns_per_element: f64,
    /// What is in the buffer at the end.
    pub end: Values,
}

/// How much longer a larger size takes, paired within forks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Growth {
    pub activation: String,
    /// The engine, by its label in `engines`; absent where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    pub lowering: Lowering,
    pub from_elements: u64,
    pub to_elements: u64,
    /// Time of a forward over that of the smaller one.
    pub ratio: f64,
    pub interval: Option<[f64; 2]>,
    /// What it would be if time went with size.
    pub linear: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Confirmed,
    Refuted,
    /// The measurement can't tell.
    Inconclusive,
}

/// A sentence of the study, and what this measurement says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    pub claim: String,
    /// The engine, by its label in `engines`; absent where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// In which lowering; what has no kernel stands for itself in both.
    pub lowering: Lowering,
    pub verdict: Verdict,
    /// The figures that it rests on.
    pub figures: String,
}

/// What was asked for and can't be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    pub activation: String,
    /// The engine, by its label in `engines`; absent where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    pub lowering: Lowering,
    pub elements: u64,
    pub reason: String,
}

/// How many of a tensor's elements are special.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Values {
    pub zero: u64,
    pub subnormal: u64,
    pub infinite: u64,
    pub nan: u64,
}

impl Values {
    /// Counts what is special.
    pub fn of(numbers: &[f32]) -> Self {
        let mut count = Self::default();
        for x in numbers {
            count.zero += u64::from(*x == 0.0);
            count.subnormal += u64::from(x.is_subnormal());
            count.infinite += u64::from(x.is_infinite());
            count.nan += u64::from(x.is_nan());
        }
        count
    }
}
