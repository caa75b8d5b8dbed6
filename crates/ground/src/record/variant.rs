//! A variant: what it is, what was measured of it, and what follows from that.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Settings;
use super::{DEFAULT_ENGINE, Fork, Op};
use crate::stats::Samples;

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
