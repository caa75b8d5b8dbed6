//! The record of a measurement (`oplat.record/1`): the only thing that crosses from measuring to reading.
//!
//! Raw samples are kept beside everything derived from them, so that a reader can check any figure. Every
//! time is integer nanoseconds and every size bytes. Fields may be added; a changed meaning is a new schema
//! number.

pub mod bench;
mod delta;
mod environment;
pub mod read;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use delta::{Criteria, Margin};
pub use environment::{Android, BeforeAfter, Cluster, Environment, Throttle, ThrottleKind};

use crate::files::{Kind, is_json};
use crate::stats::{self, Samples};

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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Settings {
    pub seed: u64,
    pub forks: usize,
    /// Forks that were asked for: fewer are made where time is short.
    #[serde(default)]
    pub forks_wanted: Option<usize>,
    /// Rounds that each fork completed.
    pub rounds: Vec<usize>,
    pub runs_per_turn: usize,
    pub time_limit_ns: u64,
    pub denormals: Denormals,
    pub threads: usize,
    /// Confidence of every interval, e.g. 0.99; of ratios, that with which all verdicts hold together.
    pub confidence: f64,
    /// The largest difference, as a share, that a verdict calls none.
    #[serde(default)]
    pub margin: Margin,
    /// How much slower than its original a variant may be, as a share, where that is a limit (`--max-regression`); else null.
    #[serde(default)]
    pub max_regression: Option<f64>,
    /// Pause before every fork but the first, and the temperature below which one may begin.
    #[serde(default)]
    pub cool_down_ns: u64,
    #[serde(default)]
    pub max_temperature_mc: Option<i64>,
    /// True if every run is the first one of its process: latencies are those of cold starts, after loading.
    #[serde(default)]
    pub cold: bool,
    /// True if the measurement was ended early (Ctrl-C).
    pub interrupted: bool,
    /// Why the target was lost before all forks were made; null if it was not.
    #[serde(default)]
    pub lost: Option<String>,
    /// Wall time that all of it took.
    #[serde(default)]
    pub elapsed_ns: Option<u64>,
    /// The part of it in which processes were started, loaded, run first and warmed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_ns: Option<u64>,
    /// How often it was gone on with after it had been cut off.
    #[serde(default)]
    pub resumed: usize,
    /// In how many groups, one after another, the variants were measured, since they don't fit into memory together; null
    /// where they do.
    #[serde(default)]
    pub groups: Option<usize>,
    /// When it was looked whether all verdicts are known, of a measurement that ends then (`--until decided`); the last one is
    /// its end. Null where all that was planned was measured anyway, and where nothing is compared.
    #[serde(default)]
    pub looks: Option<Vec<Look>>,
}

/// A look at a measurement that ends when all verdicts are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Look {
    /// Forks that there were, and how many were planned at that time. Equal when the plan was at its end.
    pub forks: usize,
    pub of: usize,
    /// Confidence that the interval of a single comparison needs at this look, so that those of all looks hold together with
    /// that of the settings.
    pub confidence: f64,
}

impl Settings {
    /// How unsure an interval may be so that all that is said after each look holds with `1 - alpha`.
    pub fn level(&self, alpha: f64) -> f64 {
        Look::level(self.looks.as_deref().unwrap_or(&[]), alpha)
    }

    /// After how many forks of how many a measurement ended because all verdicts were known; `None` of any other.
    pub fn decided(&self) -> Option<Look> {
        let last = self.looks.as_ref()?.last().copied()?;
        let ended_early = last.forks < last.of && !self.interrupted && self.lost.is_none();
        ended_early.then_some(last)
    }
}

impl Look {
    /// The level at the last of these looks (see [`stats::level`]).
    pub fn level(looks: &[Self], alpha: f64) -> f64 {
        let looks: Vec<stats::Look> =
            looks.iter().map(|look| stats::Look { done: look.forks, of: look.of }).collect();
        stats::level(&looks, alpha)
    }

    /// A look after those before, of a measurement with intervals of this confidence.
    pub fn after(before: &[Self], forks: usize, of: usize, confidence: f64) -> Self {
        let looks = [before, &[Self { forks, of, confidence }]].concat();
        Self { forks, of, confidence: 1.0 - Self::level(&looks, 1.0 - confidence) }
    }
}

/// How an activation becomes operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Lowering {
    /// As the model's exporter would write it.
    #[default]
    Exported,
    /// One operator, one pass over memory.
    Kernel,
}

impl Lowering {
    pub fn name(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Kernel => "kernel",
        }
    }
}

impl FromStr for Lowering {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "exported" => Ok(Self::Exported),
            "kernel" => Ok(Self::Kernel),
            _ => Err("give `exported` or `kernel`".into()),
        }
    }
}

impl fmt::Display for Lowering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the processor does with subnormal numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Denormals {
    /// It computes with them.
    #[default]
    Keep,
    /// It takes them for zero.
    Flush,
}

impl Denormals {
    pub const ALL: [Self; 2] = [Self::Keep, Self::Flush];

    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Flush => "flush",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Original,
    Control,
    Swap,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Variant {
    /// What tables call it: `original`, `mish, exported`, `control`; of several models `yolov5s: control`.
    pub name: String,
    /// Name of the model it is made of, as in `models`; null where there is only one.
    #[serde(default)]
    pub model: Option<String>,
    /// Which of the groups it was measured in (see [`Settings::groups`]), from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub group: usize,
    /// The engine that ran it, by what people call it: `tract`, `ort`.
    #[serde(default = "tract")]
    pub engine: String,
    pub role: Role,
    /// The activation asked for (`mish`, `leaky_relu:0.1`), or the mix (`fast: silu, /model.2*=relu`): `sites` says what
    /// stands where; `identity` for the control, empty for the original.
    pub rule: String,
    pub lowering: Lowering,
    pub threads: usize,
    pub knobs: BTreeMap<String, String>,
    pub sites: Vec<Site>,
    pub skipped: Vec<Skipped>,
    pub forks: Vec<Fork>,
    pub latency: Option<Latency>,
    /// Against the original in the same engine; of that, against the measurement's first original.
    pub delta: Option<Delta>,
    /// Against the same network in the measurement's first engine; null for those of that engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<Delta>,
    /// How steady the plain runs were.
    #[serde(default)]
    pub steadiness: Option<Steadiness>,
    pub profiled: Option<Profiled>,
    pub activation_cost: Option<ActivationCost>,
    pub memory: Option<Memory>,
    pub output_change: Option<OutputChange>,
    pub ops: Vec<Op>,
    /// Why the variant has no figures, or not all of them.
    pub error: Option<String>,
    /// Whether that is because the engine refused the model, and not because a worker was lost.
    #[serde(default)]
    pub refused: bool,
    /// Whether it is a fault of oplat's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bug: bool,
}

/// A site and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Site {
    /// The name of the ONNX node that puts out the activation's value: the site's identity.
    pub node: String,
    /// Activation before and after (`silu`, `mish`); equal in the original.
    pub from: String,
    pub to: String,
    /// How the new activation becomes operators here; null where the site was not swapped, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowering: Option<Lowering>,
    /// Shape of the output as the engine sees it, if the site has an op.
    pub shape: Vec<usize>,
    /// Index of the op that the engine merged it into (`ops[i]`); null if it has ops of its own, or none.
    pub folded_into: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Skipped {
    pub node: String,
    pub op: String,
    pub reason: String,
}

/// One process: its cold start and its rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fork {
    /// Which fork of the measurement it is, from 0: forks of one number were measured side by side. A variant that failed
    /// has none of some numbers. Null in older records, where it is the place in the list.
    #[serde(default)]
    pub number: Option<usize>,
    /// Whether it was started at the same time as the fork's others: they disturbed its load and its first run, which tables
    /// leave out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started_together: bool,
    /// 0 where it isn't known, as the next two.
    pub load_ns: u64,
    pub optimise_ns: u64,
    pub first_run_ns: u64,
    /// Resident set when the model was loaded, and its high-water mark after the first run.
    #[serde(default)]
    pub loaded_rss_bytes: Option<u64>,
    #[serde(default)]
    pub first_run_rss_bytes: Option<u64>,
    /// Untimed runs until run times had settled, the first one not counted.
    #[serde(default)]
    pub warm_up_runs: Option<u32>,
    /// Whether they had: false where the patience for it ended first.
    #[serde(default)]
    pub settled: Option<bool>,
    pub peak_rss_bytes: Option<u64>,
    /// Since the process started.
    pub minor_faults: Option<u64>,
    pub involuntary_switches: Option<u64>,
    /// Of the plain turns alone, untimed runs included.
    #[serde(default)]
    pub in_turns: Option<InTurns>,
    /// `rounds[round][run]`: plain runs, ns.
    pub rounds: Vec<Vec<u64>>,
    /// Rounds of profiled runs: the index of the plain round each follows, and wall times, ns.
    pub profiled_rounds: Vec<ProfiledRound>,
    /// `ops_ns[op][run]`: the profiled runs' ops. Kept only where forks are missing, for who goes on from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops_ns: Vec<Vec<u64>>,
}

/// What disturbed a process in its plain turns, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InTurns {
    pub runs: u64,
    pub minor_faults: u64,
    pub involuntary_switches: u64,
}

impl std::ops::AddAssign for InTurns {
    fn add_assign(&mut self, more: Self) {
        self.runs += more.runs;
        self.minor_faults += more.minor_faults;
        self.involuntary_switches += more.involuntary_switches;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProfiledRound {
    pub round: usize,
    pub runs_ns: Vec<u64>,
    /// Of each run, the time before its first op and after its last one, ns.
    #[serde(default)]
    pub around_ns: Vec<[u64; 2]>,
}

/// Wall time of plain runs, pooled over forks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latency {
    pub p50_ns: u64,
    pub mean_ns: u64,
    pub sd_ns: u64,
    pub min_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
}

impl Latency {
    /// All plain runs of these forks; `None` without any.
    pub fn of<'f>(forks: impl IntoIterator<Item = &'f Fork>) -> Option<Self> {
        let s = Samples::from_ns(forks.into_iter().flat_map(|f| f.rounds.iter().flatten()))?.summary();
        let ns = |value: f64| value.max(0.0).round() as u64;
        Some(Self {
            p50_ns: ns(s.p50),
            mean_ns: ns(s.mean),
            sd_ns: ns(s.sd),
            min_ns: ns(s.min),
            p90_ns: ns(s.p90),
            p99_ns: ns(s.p99),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Slower,
    Faster,
    None,
    Inconclusive,
}

/// A paired comparison: the median ratio of latencies and its interval over forks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delta {
    /// Name of the variant that is compared against.
    pub against: String,
    pub ratio: f64,
    /// Null where there are too few forks to say.
    pub interval: Option<[f64; 2]>,
    /// That of this interval: the more variants, the wider, so that all verdicts hold together.
    pub confidence: f64,
    /// `none`: the interval lies within the margin (see [`Settings::margin`]).
    pub verdict: Verdict,
    /// A true difference, as a share, that four of five such measurements would call slower or faster; for an unpaired
    /// one with the drift of a machine on top.
    pub resolution: Option<f64>,
}

/// What the order and the spread of plain runs tell of the measurement. Nothing is left out for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Steadiness {
    pub runs: usize,
    /// Runs outside Tukey's fences of their fork: 1.5 and 3 times the distance of the quartiles.
    pub outliers_mild: usize,
    pub outliers_severe: usize,
    /// Median of a fork's last third of runs over that of its first third; null where forks have few runs.
    pub drift: Option<f64>,
    /// Over forks; null where there are too few to say.
    pub drift_interval: Option<[f64; 2]>,
    /// Correlation of a run with the next one of its fork, -1 to 1, averaged over forks.
    pub autocorrelation: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Profiled {
    pub p50_ns: u64,
    /// Profiled over plain run time, paired within rounds; null where there are no plain runs.
    #[serde(default)]
    pub overhead_ratio: Option<f64>,
    /// Over forks; null where there are too few to say.
    #[serde(default)]
    pub overhead_interval: Option<[f64; 2]>,
    /// Mean wall time of a profiled run that no op explains.
    pub unaccounted_ns: u64,
    /// Where in the run that time is.
    #[serde(default)]
    pub bookkeeping: Option<Bookkeeping>,
}

/// What the engine does around its ops, and the observer beside it: means over profiled runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bookkeeping {
    /// Before the first op: matching the inputs, setting up the run.
    pub before_ns: u64,
    /// Between ops: gathering inputs, keeping outputs, dropping what is not needed any more.
    pub between_ns: u64,
    /// After the last op: giving the outputs away, clearing the run's table.
    pub after_ns: u64,
    /// What reading the clock comes to outside ops; each op's own time holds one reading too.
    pub clock_ns: u64,
}

/// What the activations cost in this network: the paired difference to the control.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActivationCost {
    pub ns: i64,
    pub interval: Option<[i64; 2]>,
    /// Share of the variant's latency.
    pub share: f64,
}

/// Null is what the engine doesn't tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Memory {
    pub weights_bytes: Option<u64>,
    pub peak_live_bytes: Option<u64>,
    pub peak_heap_bytes: Option<u64>,
    pub retained_bytes: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
}

/// How far the variant's outputs are from those of its model's original on the same input; those of a further
/// model's original, from the first model's. NaN where their shapes differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutputChange {
    #[serde(deserialize_with = "null_is_nan")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<f64>"))]
    pub max_abs: f64,
    #[serde(deserialize_with = "null_is_nan")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<f64>"))]
    pub relative_l2: f64,
    /// Non-finite and subnormal numbers among the activations of one run; null where the engine doesn't show them.
    pub non_finite: Option<u64>,
    pub subnormal: Option<u64>,
}

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

/// The engine that is taken unless another is asked for; older records have it.
pub const DEFAULT_ENGINE: &str = "tract";

fn tract() -> String {
    DEFAULT_ENGINE.to_owned()
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// JSON has no infinities and no NaN: they are written as null, which must not make a record unreadable.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(number)?.unwrap_or(f64::NAN))
}
