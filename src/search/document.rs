//! What a search found (`oplat.search/1`), and all that it takes to go on with one that was cut off.

use serde::{Deserialize, Serialize};

use super::design::{self, Design};
use crate::files::{Kind, is_json};
use crate::record::{Engine, Environment, Lowering, Model, Oplat, Record};

pub const SCHEMA: &str = "oplat.search/1";

/// Files of it, in any version.
pub const KIND: Kind = Kind { what: "what `search` wrote", is: |file| is_json(file, "oplat.search") };

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Search {
    pub schema: String,
    pub oplat: Oplat,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub command: Vec<String>,
    pub model: Model,
    pub engine: Engine,
    pub environment: Environment,
    pub settings: Settings,
    /// What the model is fed, as it was asked for: what is missing is as the file says.
    pub fed: Vec<String>,
    /// The sites in question, and what may stand there.
    pub levels: Vec<Levels>,
    /// What was measured, block by block.
    pub blocks: Vec<Block>,
    /// The price of each activation at each site, where it isn't one for each change.
    pub prices: Vec<Price>,
    /// What each activation costs at each site; empty as long as that can't be told.
    pub sites: Vec<SiteCost>,
    pub additivity: Option<Additivity>,
    /// The original as it was measured beside the front; before that, what the fit says of it.
    pub original_ns: Option<f64>,
    pub front: Vec<Point>,
    /// What was measured of the front if that was cut off, to go on with: an `oplat.record/1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<std::collections::BTreeMap<String, serde_json::Value>>"))]
    pub cut_off: Option<Box<Record>>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Settings {
    pub among: Vec<String>,
    pub lowering: Lowering,
    pub threads: usize,
    pub seed: u64,
    /// Of every interval of a site's cost on its own, and of all ratios of the front together.
    pub confidence: f64,
    pub time_limit_ns: u64,
    /// Of blocks, and of all.
    pub blocks_ns: u64,
    pub elapsed_ns: u64,
    /// Latency that the user asks for at most, if any: of the original's, or in ns.
    pub budget: Option<Budget>,
    /// What the front weighs latency against.
    pub against: Against,
    pub interrupted: bool,
    /// Why the target, or a design of the front, was lost.
    pub lost: Option<String>,
}

/// What is asked of the latency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// At most this share of the original's.
    OfOriginal(f64),
    Ns(f64),
}

impl Budget {
    pub fn ns(self, original_ns: f64) -> f64 {
        match self {
            Self::OfOriginal(share) => share * original_ns,
            Self::Ns(ns) => ns,
        }
    }
}

/// What the front weighs latency against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The number of sites that are changed.
    Sites,
    /// How far the outputs are from the original's, one site changed at a time; summed over sites.
    Outputs,
    /// The user's own figures, summed over sites.
    File,
}

/// A site and what may stand there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Levels {
    pub node: String,
    /// First the activation that is there, then the others.
    pub activations: Vec<String>,
}

/// Designs that were measured together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Block {
    /// Its number, which with the seed says what its designs are.
    pub number: usize,
    /// By design: the level of each site.
    pub designs: Vec<Design>,
    /// Median latency of each design's process; null for one that failed.
    pub ns: Vec<Option<f64>>,
}

/// What a change of a site is worth in what the front weighs latency against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Price {
    pub node: String,
    pub activation: String,
    pub price: f64,
}

/// What an activation costs at a site, against the one that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SiteCost {
    pub node: String,
    pub from: String,
    pub activation: String,
    /// As it was fitted, and its interval.
    pub cost_ns: f64,
    pub interval: [f64; 2],
    /// What the front is made of: drawn towards the mean of this activation's costs by as much as their scatter is noise.
    pub expected_ns: f64,
}

/// Whether the costs of sites add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Additivity {
    /// Processes that were measured, and costs that were fitted to them.
    pub designs: usize,
    pub costs: usize,
    /// Whether all costs were fitted at once; else each by itself.
    pub joint: bool,
    /// Standard deviation between processes of the same design; null if too few were repeated.
    pub noise_ns: Option<f64>,
    /// Standard deviation of designs (of the mean of two processes, where one was repeated) around the sum of their sites' costs.
    pub residual_ns: f64,
    /// What of that is noise of processes; null if that is unknown.
    pub explained_ns: Option<f64>,
    /// What is left of it, what sites do to each other; null if it is no more than noise may explain.
    pub interaction_ns: Option<f64>,
    /// How far designs that the fit had not seen are from what it says of them, root mean square.
    pub held_out_ns: Option<f64>,
    /// Every site changed at once.
    pub at_once: Vec<AtOnce>,
}

/// A network with one activation at all sites in question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AtOnce {
    pub activation: String,
    /// The sum of its sites' costs and the original's latency.
    pub predicted_ns: f64,
    /// Half the width of the interval of what it differs by from the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_half_ns: Option<f64>,
    pub measured: Option<Measured>,
}

/// A design of the front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Point {
    pub name: String,
    /// The design as `--mix` reads it.
    pub mix: String,
    /// Sites that are changed.
    pub changed: usize,
    /// Sum of its sites' prices.
    pub price: f64,
    pub predicted_ns: f64,
    /// Half the width of the interval of what it differs by from the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_half_ns: Option<f64>,
    /// Measured again, in pairs with the original; null for one that wasn't.
    pub measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Measured {
    pub p50_ns: f64,
    /// Against the original, in pairs.
    pub ratio: f64,
    pub interval: Option<[f64; 2]>,
}

/// No latency is longer, in ns.
const LONGEST_NS: f64 = 1e15;

impl Search {
    /// Whether another search is of the same plan, so that what was measured holds for it.
    pub fn is_of_plan(&self, other: &Self) -> Result<(), &'static str> {
        let (was, is) = (&self.environment, &other.environment);
        let checks = [
            (self.model.sha256 == other.model.sha256 && self.model.name == other.model.name, "another model"),
            (self.fed == other.fed, "other inputs"),
            (self.levels == other.levels, "other activations or sites"),
            (self.settings.lowering == other.settings.lowering, "another lowering"),
            (self.settings.threads == other.settings.threads, "another number of threads"),
            (self.settings.seed == other.settings.seed, "another seed"),
            (was.target == is.target, "another target"),
            (was.cpu == is.cpu && was.arch == is.arch, "another processor"),
            (was.affinity == is.affinity, "other CPUs"),
            (self.engine.id == other.engine.id, "another engine"),
            (self.settings.against == other.settings.against, "other prices"),
        ];
        checks.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what))
    }

    /// Fails for one that no search has written: it may have been edited.
    pub fn check(&self) -> Result<(), String> {
        let levels: Vec<usize> = self.levels.iter().map(|levels| levels.activations.len()).collect();
        if levels.is_empty() || levels.iter().any(|&n| n < 2) {
            return Err("a site has nothing to choose".into());
        }
        let is_time = |ns: &f64| *ns > 0.0 && *ns < LONGEST_NS;
        for (at, block) in self.blocks.iter().enumerate() {
            let size = block.designs.len();
            let is_whole = design::size_within(&levels, size) == Some(size);
            if block.number != at
                || !is_whole
                || block.designs != design::block(&levels, self.settings.seed, at, size)
            {
                return Err(format!("block {at} has designs that are not its own"));
            }
            if block.ns.len() != block.designs.len() || !block.ns.iter().flatten().all(is_time) {
                return Err(format!("block {at} has latencies that can't be"));
            }
        }
        match self.prices.iter().find(|price| !(price.price >= 0.0 && price.price.is_finite())) {
            Some(price) => Err(format!("the price of {} at {} can't be", price.activation, price.node)),
            None => Ok(()),
        }
    }
}
