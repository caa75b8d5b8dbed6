//! An operator of a variant's graph.

use serde::{Deserialize, Serialize};

/// One operator of the engine's graph. Times are attribution, from profiled runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Op {
    pub index: usize,
    pub op: String,
    pub kernel: Option<String>,
    pub generic_kernel: bool,
    /// Name of the ONNX node it is named by.
    pub node: String,
    /// Names of all ONNX nodes it computes.
    pub onnx: Vec<String>,
    /// The site (its node's name) whose activation this op computes.
    pub site: Option<String>,
    /// Sites whose activation the engine merged into this op.
    pub folded: Vec<String>,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub fork_mean_ns: Vec<u64>,
    pub p50_ns: u64,
    pub mean_ns: u64,
    pub sd_ns: u64,
    pub min_ns: u64,
    pub p90_ns: u64,
    /// One evaluation of many between two readings of the clock, on inputs of their own, for an op that is too short to
    /// be timed within a run; null for all others.
    #[serde(default)]
    pub batched_ns: Option<u64>,
    /// Of the profiled run's mean wall time.
    pub share: f64,
    /// Null is what the engine doesn't tell.
    pub output_bytes: Option<u64>,
    pub scratch_bytes: Option<u64>,
    pub live_bytes: Option<u64>,
    pub elements: u64,
    pub allocator_ns: Option<u64>,
    pub minor_faults: Option<u64>,
}
