//! What a parent and a worker say to each other: one JSON object a line, one reply to a request.
//!
//! The parent decides everything; a worker only obeys. It is the same on every target, so a reply holds
//! numbers and names and nothing that needs the parent's memory or files.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::Error;
use crate::limits;
use crate::record::bench::Values;
use crate::record::read::Looks;
use crate::record::{DEFAULT_ENGINE, Denormals, Engine, Environment, InTurns, Lowering, Oplat};

/// What a parent asks for. A worker answers each with one [`Reply`], in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Read, optimise and plan a model; make its inputs. Must come first. Answer: [`Reply::Loaded`].
    Load(Load),
    /// Move what runs the model to these CPUs, from those that it was loaded on. Answer: [`Reply::Pinned`].
    Pin { cpus: Vec<usize> },
    /// Run once and say how long it took: the first run after `Load` is the cold one. Answer: [`Reply::Runs`].
    /// With `trace`, announce each op's ONNX node on stderr (`at NODE_INDEX`) before it is evaluated, so that
    /// a crash can be named.
    Run { trace: bool },
    /// Run untimed once, then timed `runs` times, unprofiled. Answer: [`Reply::Runs`]. A `warm` worker needs no untimed
    /// run: it was the last to run, or its runs are so long that the state of the caches doesn't matter.
    Turn {
        runs: u32,
        #[serde(default)]
        warm: bool,
    },
    /// Load the library of an engine, if it has one, and say what the engine is. Needs no model. Answer: [`Reply::Engine`].
    Engine(EngineChoice),
    /// Say what the engine makes of the model, where `Loaded` didn't: an engine may have to prepare profiled runs for that.
    /// Answer: [`Reply::Described`], or [`Reply::Unable`].
    Describe,
    /// Say what the engine makes of the model, where `Loaded` didn't, before anything runs: without inputs, outputs and shapes.
    /// Answer: [`Reply::Described`], or [`Reply::Unable`].
    Plan,
    /// As `Turn`, with every op timed. Answer: [`Reply::Profile`], or [`Reply::Unable`].
    Profile {
        runs: u32,
        #[serde(default)]
        warm: bool,
    },
    /// One run in which allocations are attributed to ops, and one in which the time inside the allocator is.
    /// Answer: [`Reply::Memory`], or [`Reply::Unable`].
    Memory,
    /// One run in which each of these ops, by index, is evaluated many times between two readings of the clock. A batch
    /// that takes less than `least_ns` is too short to tell anything. Answer: [`Reply::Batched`], or [`Reply::Unable`].
    Batched { ops: Vec<usize>, least_ns: u64 },
    /// One run; its outputs are written to `file` (see [`Outputs`]). Answer: [`Reply::Outputs`].
    Outputs { file: String },
    /// Choose CPUs, note the state of the machine, and say what it is. Needs no model. Answer: [`Reply::Machine`].
    Watch {
        /// As `--cpus` has it; `None` for the default.
        cpus: Option<String>,
        threads: usize,
    },
    /// Say how the machine fared since `Watch`. Answer: [`Reply::Machine`].
    Watched {
        /// Ticks of the CPU that the measurement itself took meanwhile, where the parent knows them.
        own_ticks: Option<u64>,
    },
    /// Make activations ready to be measured on their own. Needs no model. Answer: [`Reply::Solos`].
    Solos(Solos),
    /// One untimed batch of an activation and `batches` timed ones, of `batch` forwards each. Answer:
    /// [`Reply::Batches`].
    Batches {
        /// Index into the solos that were made ready.
        solo: usize,
        batch: u32,
        batches: u32,
    },
    /// So many forwards of an activation, each on the output of the one before. Answer: [`Reply::InPlace`].
    InPlace { solo: usize, forwards: u64 },
    /// End. No answer; the end of the input means the same.
    Stop,
}

/// The model to load and how to run it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Path of an ONNX file on the worker's side.
    pub model: String,
    /// The folder to which its external data is relative, if that is not the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The engine that is to run it; `None` is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
    /// Shapes and element types that replace those of the file, by input name.
    pub inputs: Vec<Input>,
    /// Values for named dimensions (`--dim N=1`). The parent fills in 1 for a batch dimension.
    pub dims: Vec<(String, i64)>,
    /// Seed of the inputs: uniform in [0, 1) for floats; see `engine::inputs`.
    pub seed: u64,
    /// A file with the bytes of all inputs, one behind the other and little-endian, to be fed instead of seeded ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// Threads that compute; 0 and 1 mean no thread pool at all.
    pub threads: usize,
    /// CPUs to pin to; empty means unpinned.
    pub cpus: Vec<usize>,
    /// What every computing thread does with subnormal numbers.
    pub denormals: Denormals,
    /// The engine's own knobs, by full name. A process takes one set of them.
    #[serde(default)]
    pub knobs: BTreeMap<String, String>,
}

/// An engine by the name that people call it by, and its library on the worker's side where it has one and it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EngineChoice {
    pub name: String,
    pub library: Option<String>,
}

impl EngineChoice {
    /// The engine that is taken unless another is asked for.
    pub const DEFAULT: &str = DEFAULT_ENGINE;
}

/// A concrete input: element type in ONNX's lower-case names (`f32`, `f16`, `i64`, `bool`, …).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub shape: Vec<usize>,
    /// `None` keeps the file's.
    pub dtype: Option<String>,
}

/// Activations to measure on their own, on inputs that are standard normal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Solos {
    /// The engine that is to run them; `None` is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
    pub solos: Vec<Solo>,
    /// Those to leave out, by index, with the reason: an earlier worker ended at them.
    #[serde(default, deserialize_with = "by_index")]
    pub failed: BTreeMap<usize, String>,
    /// The kernels' instruction set; `None` is the best one.
    pub isa: Option<String>,
    /// Whether to look at times, memory and values; else the reply says only what computes each.
    pub survey: bool,
    /// Seed of the inputs.
    pub seed: u64,
    /// CPUs to pin to; empty means unpinned.
    pub cpus: Vec<usize>,
    pub denormals: Denormals,
}

/// An activation on its own, or the copy that all are compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Solo {
    /// As a user spells it; `None` is a copy from one buffer to another.
    pub activation: Option<String>,
    /// An activation without a kernel is computed by the engine either way.
    pub lowering: Lowering,
    /// Of the input, f32.
    pub shape: Vec<usize>,
}

/// JSON's keys are texts, and in a request that is told by its tag they stay so.
fn by_index<'de, D: Deserializer<'de>>(map: D) -> Result<BTreeMap<usize, String>, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(map)?;
    map.into_iter().map(|(key, why)| Ok((key.parse().map_err(de::Error::custom)?, why))).collect()
}

impl Solo {
    /// Elements of the input.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |n, &d| n.saturating_mul(d as u64))
    }
}

/// What it is called in messages: `mish, kernel, 1,152 elements`.
impl std::fmt::Display for Solo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let elements = crate::units::count(self.elements() as usize, "element");
        match &self.activation {
            None => write!(f, "memcpy of {elements}"),
            Some(activation) => write!(f, "{activation}, {}, {elements}", self.lowering),
        }
    }
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Loaded(Loaded),
    Pinned,
    Described(Described),
    Engine(Engine),
    Runs(Runs),
    Profile(Profile),
    Memory(Memory),
    Batched(Batched),
    Outputs(Outputs),
    Machine(Box<Machine>),
    Solos(SolosReady),
    Batches(Batches),
    InPlace(InPlace),
    /// The engine can't tell. Nothing has failed: the figures stay unknown.
    Unable,
    /// The request can't be read: the two sides may be of different versions.
    Unknown {
        why: String,
    },
    /// The request failed; the worker is still there to be stopped.
    Error(Failure),
}

impl Reply {
    /// Reads a worker's line. Fails where it is no reply, or where its numbers are larger than any measurement's: sums of
    /// several must not overflow.
    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        let looks: Looks = serde_json::from_str(line)?;
        if looks.sum > limits::ANSWER_SUM.into() {
            return Err(de::Error::custom("numbers that no measurement has"));
        }
        serde_json::from_str(line)
    }
}

/// Why a request failed, with the ONNX node where it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    /// Index of the ONNX node (as `onnx::for_each_node` counts).
    pub node: Option<usize>,
    /// Index of the solo that was being made ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solo: Option<usize>,
    /// The machine is to blame, as by a full disk: it may be done another time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub machine: bool,
    /// A fault of oplat's own: neither the model nor the engine is to blame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bug: bool,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// For the user, whose input it is unless it is a fault of our own.
    pub fn into_error(self) -> Error {
        if self.bug { Error::bug(self.message) } else { Error::input(self.message) }
    }
}

/// The model as the engine will run it, and what making it so cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Reading and translating the file, ns.
    pub load_ns: u64,
    /// Optimising and planning, ns.
    pub optimise_ns: u64,
    /// Inputs as they will be fed.
    pub inputs: Vec<Input>,
    /// The ops in the order in which they run.
    pub ops: Vec<Op>,
    /// Shape of the first output of every ONNX node, by index; null where the engine knows none (constants,
    /// bodies).
    #[serde(default)]
    pub shapes: Vec<Option<Vec<usize>>>,
    /// Multiply-accumulates of one run in convolutions and matrix products, before kernels are chosen.
    pub macs: Option<u64>,
    /// Resident set before the first run, bytes (null where the system doesn't say).
    pub rss_bytes: Option<u64>,
    pub engine: Engine,
    pub abilities: Abilities,
}

/// What an engine makes of a model, as in [`Loaded`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Described {
    pub ops: Vec<Op>,
    pub shapes: Vec<Option<Vec<usize>>>,
}

/// What an engine can do and tell, as far as anything else depends on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Abilities {
    /// Whether it runs our kernels as operators of its own; else a `kernel` lowering would be its exported form.
    pub own_kernels: bool,
    /// Activations, by their name in the registry, that it merges into the operators before them: a network is better
    /// off without a kernel for these.
    pub merges: Vec<String>,
    /// Where the memory of single ops is known from.
    pub op_memory: OpMemorySource,
    /// Whether an op can be evaluated many times between two readings of the clock.
    pub batched: bool,
}

/// Where the memory of single ops is known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpMemorySource {
    /// From this program's allocator.
    Measured,
    /// From what the engine says of itself.
    Reported,
    #[default]
    Unknown,
}

/// One operator of the optimised graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// The engine's name of the operator (`OptMatMul`, `Silu`, …).
    pub op: String,
    /// The kernel that computes it, where there is a choice.
    pub kernel: Option<String>,
    /// True where that kernel is a portable fallback.
    pub generic_kernel: bool,
    /// Indices of the ONNX nodes that it computes, ascending; never empty. The last is the one it is named by.
    pub onnx: Vec<usize>,
    /// Element-wise functions that the engine merged into it, in the engine's words.
    pub fused: Vec<String>,
    /// `1x64x40x40xf32`, in order.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// Elements of the outputs.
    pub elements: u64,
}

/// Wall times of timed runs, ns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    pub runs_ns: Vec<u64>,
    /// High-water mark of the resident set so far, bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Minor page faults and involuntary context switches since the process started.
    pub minor_faults: Option<u64>,
    pub involuntary_switches: Option<u64>,
    /// What happened during this turn, where the system counts it.
    #[serde(default)]
    pub in_turn: Option<InTurns>,
    /// By the untimed run, if there was one.
    #[serde(default)]
    pub allocated: Option<Allocated>,
}

/// What a run allocated, inputs included: observing must not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    pub allocations: u64,
    pub bytes: u64,
}

/// Profiled runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Wall time of each profiled run, ns.
    pub runs_ns: Vec<u64>,
    /// `ops_ns[op][run]`: time inside each op's evaluation, ns.
    pub ops_ns: Vec<Vec<u64>>,
    /// Of each run, the time before its first op and after its last one, ns.
    #[serde(default)]
    pub around_ns: Vec<[u64; 2]>,
    /// By the untimed run, if there was one; it is observed like the timed ones.
    #[serde(default)]
    pub allocated: Option<Allocated>,
    /// Indices of the ops in the order in which the last run evaluated them.
    pub order: Vec<usize>,
}

/// Memory, from a pass of its own. What the engine doesn't tell is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes of the model's weights as the engine holds them after loading.
    pub weights_bytes: Option<u64>,
    /// Most bytes that tensors held at once after any op.
    pub peak_live_bytes: Option<u64>,
    /// Most bytes allocated at once during a run, above what was held before it.
    pub peak_heap_bytes: Option<u64>,
    /// What the engine keeps between runs, beyond what it held after loading.
    pub retained_bytes: Option<u64>,
    pub ops: Vec<OpMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpMemory {
    /// Bytes that the op newly allocated and that outlived it (0 where it works in place).
    pub output_bytes: Option<u64>,
    /// Most bytes allocated inside the op beyond what was live before it and its new outputs.
    pub scratch_bytes: Option<u64>,
    /// Bytes held by tensors after the op.
    pub live_bytes: Option<u64>,
    /// Allocations inside the op.
    pub allocations: Option<u64>,
    /// Time inside the allocator during the op, ns, from a run of its own.
    pub allocator_ns: Option<u64>,
    /// Minor page faults inside the op, where the system counts them.
    pub minor_faults: Option<u64>,
}

/// Ops that are too short for the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batched {
    /// `ops_ns[op]`: one evaluation, ns; null for an op that wasn't asked for, that can't be repeated, or of which even
    /// a batch is too short.
    pub ops_ns: Vec<Option<u64>>,
}

/// A run's outputs: `file` holds the outputs one after another as little-endian f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    /// Element counts of the outputs, in the model's order.
    pub elements: Vec<u64>,
    /// Non-finite and subnormal numbers among the floats that any op of the run put out; null where the engine doesn't
    /// show them.
    pub non_finite: Option<u64>,
    pub subnormal: Option<u64>,
}

impl Outputs {
    /// More than any network puts out is a slip, or worse: 2 GB.
    const MOST: u64 = 2_000_000_000;

    /// Bytes of the file; `None` if they are more than anybody would fetch.
    pub fn bytes(&self) -> Option<u64> {
        let elements = self.elements.iter().try_fold(0u64, |sum, &n| sum.checked_add(n))?;
        elements.checked_mul(8).filter(|&bytes| bytes <= Self::MOST)
    }
}

/// The machine on which the worker runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The program that answers.
    pub oplat: Oplat,
    /// What is known of the machine. Its target, the instruction sets that only the engine knows, and warnings are
    /// the parent's to add.
    pub environment: Environment,
    /// CPUs on which workers may be made ready at once: those to pin to, and others like them.
    #[serde(default)]
    pub ready_on: Vec<usize>,
    /// Share of the used CPUs' time since `Watch` that programs other than ours took, 0 to 1.
    pub others: Option<f64>,
}

/// What became of the solos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SolosReady {
    /// In the order in which they were asked for.
    pub solos: Vec<SoloReady>,
    /// Size of the second-level cache, as far as the system tells.
    pub cache_bytes: Option<u64>,
    /// What two readings of the clock cost, ns: it is taken off every batch.
    pub clock_ns: u64,
    /// What it costs the engine to run a kernel as an operator, ns a call, beside the kernel's own time: where kernels are
    /// timed bare.
    pub operator_ns: Option<f64>,
    /// What a run costs an engine that runs only whole models, ns, beside the operators in it: it is taken off every batch.
    #[serde(default)]
    pub run_ns: Option<u64>,
    pub engine: Engine,
}

/// A solo that can be measured, or why it can't.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SoloReady {
    /// The engine's operators in the order in which they run; one of ours; none for a copy.
    pub ops: Vec<String>,
    /// The same under plain names, without what the engine adds for how an operator is specialised.
    pub plain_ops: Vec<String>,
    /// The instruction set of our kernel, if it is one.
    pub isa: Option<String>,
    /// Forwards that a batch may have at most, so that its buffers fit the same cache as a single forward's.
    pub batch: u32,
    /// Timed part of one such batch, ns, and wall time with everything around it.
    pub batch_ns: u64,
    pub batch_wall_ns: u64,
    pub output_elements: u64,
    /// Bytes that a forward newly allocates and leaves behind (0 if it works in place), and most bytes that it
    /// allocates beyond these; null where the engine doesn't tell.
    pub output_bytes: Option<u64>,
    pub scratch_bytes: Option<u64>,
    /// Of one forward from fresh input.
    pub output: Values,
    /// Its largest error, as in [`Row`](crate::record::bench::Row).
    #[serde(default)]
    pub largest_error: Option<f64>,
    pub error: Option<String>,
}

/// Wall times of timed batches, ns, without the clock's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    pub batch_ns: Vec<u64>,
}

/// What repeated forwards in one buffer took and left there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InPlace {
    /// All forwards together, ns, without interruptions by other programs.
    pub ns: u64,
    pub end: Values,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solos_that_failed_are_named_in_a_request() {
        let request = Request::Solos(Solos {
            engine: None,
            solos: vec![Solo { activation: None, lowering: Lowering::Exported, shape: vec![usize::MAX, 2] }],
            failed: [(7, "killed".to_owned())].into(),
            isa: None,
            survey: true,
            seed: u64::MAX,
            cpus: vec![],
            denormals: Denormals::Keep,
        });
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        let Request::Solos(solos) = request else { panic!("solos") };
        assert_eq!(solos.solos[0].elements(), u64::MAX);
    }

    #[test]
    fn an_answer_of_figures_that_nothing_takes_is_none() {
        let line = |ns: u64| format!(r#"{{"reply": "batches", "batch_ns": [{ns}, 1]}}"#);
        assert!(Reply::read(&line(1)).is_ok());
        for ns in [1 << 53, u64::MAX] {
            assert!(Reply::read(&line(ns)).is_err(), "{ns}");
        }
    }
}
