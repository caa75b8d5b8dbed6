//! How it was measured.

use serde::{Deserialize, Serialize};

use super::Margin;
use crate::stats;

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
