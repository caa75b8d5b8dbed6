//! The machine on which something was measured, as the record has it: what it is, and how it fared meanwhile.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Engine, Oplat};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Environment {
    /// `local`, `ssh:…`, `adb:…`, `cmd:…`.
    pub target: String,
    pub host: String,
    /// What tells this machine from another of the same name and kind: a hash of its serial number or of the system's own
    /// identifier, where the system lets it be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub arch: String,
    /// The CPU's name as the system gives it.
    pub cpu: Option<String>,
    pub isa: Vec<String>,
    pub os: String,
    pub cores: usize,
    /// Memory that could be had without swapping, before anything was measured.
    #[serde(default)]
    pub available_bytes: Option<u64>,
    pub clusters: Vec<Cluster>,
    /// Scaling governor of each CPU that is used.
    pub governor: Vec<String>,
    /// CPUs that the workers were pinned to; empty if not pinned.
    pub affinity: Vec<usize>,
    pub emulated: bool,
    /// Smallest step of the clock that was seen.
    pub timer_ns: u64,
    /// What one reading of the clock takes.
    #[serde(default)]
    pub clock_ns: Option<u64>,
    pub frequency_khz: BTreeMap<String, BeforeAfter>,
    pub temperature_mc: BTreeMap<String, BeforeAfter>,
    /// What the system says of processors that it holds back: counters, states and flags by name.
    #[serde(default)]
    pub throttle: BTreeMap<String, Throttle>,
    /// Share of CPU time that the hypervisor took while measuring, 0 to 1.
    pub steal: Option<f64>,
    /// All memory of the machine.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// `always`, `madvise` or `never`: whether the system backs memory with huge pages of its own accord.
    #[serde(default)]
    pub huge_pages: Option<String>,
    /// What the machine is a guest of, as far as it tells; null on one that is no guest.
    #[serde(default)]
    pub hypervisor: Option<String>,
    /// Knobs of the engine that the environment sets for every worker.
    #[serde(default)]
    pub knobs: BTreeMap<String, String>,
    /// Null on anything that is not Android.
    #[serde(default)]
    pub android: Option<Android>,
    /// The program that ran the workers, where that isn't the one that measured.
    #[serde(default)]
    pub runner: Option<Oplat>,
    pub warnings: Vec<String>,
}

impl Environment {
    /// An op that takes less than so many readings of the clock is timed no better than to a tenth.
    pub const SHORT: u64 = 10;

    /// The finest that the clock can tell: its step, or what reading it takes, ns. Of an engine whose own clock times ops,
    /// that clock's step if it is coarser.
    pub fn reading_ns(&self, engine: Option<&Engine>) -> u64 {
        let own = engine.and_then(|engine| engine.op_clock_ns);
        self.timer_ns.max(self.clock_ns.unwrap_or(0)).max(own.unwrap_or(0))
    }

    /// The shortest time of an op that the clock can well tell, ns.
    pub fn least_ns(&self, engine: Option<&Engine>) -> u64 {
        Self::SHORT * self.reading_ns(engine)
    }
}

/// What Android says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Android {
    pub version: String,
    pub sdk: Option<u32>,
    /// Maker and model.
    pub device: String,
    pub soc: Option<String>,
    /// Temperature of the battery, thousandths of a degree Celsius.
    pub battery_mc: BeforeAfter,
    pub battery_percent: BeforeAfter,
    /// Android's own scale: 0 none, 1 light, 2 moderate, 3 severe, and worse.
    pub thermal_status: BeforeAfter,
    pub charging: Option<bool>,
    pub screen_on: Option<bool>,
}

/// CPUs of one kind (big.LITTLE): of much the same capacity and highest frequency, of which the best CPU's are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cluster {
    pub cpus: Vec<usize>,
    /// What kind of core they are, where the system tells it of each: `Cortex-A76`.
    #[serde(default)]
    pub core: Option<String>,
    pub capacity: Option<u64>,
    pub max_khz: Option<u64>,
}

/// A reading before and after a measurement, and the extremes of all that were taken, one after each fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BeforeAfter {
    pub before: Option<i64>,
    pub after: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<i64>,
}

impl BeforeAfter {
    /// The first reading.
    pub fn first(value: i64) -> Self {
        Self { before: Some(value), after: None, lowest: Some(value), highest: Some(value) }
    }

    /// Adds a later reading.
    pub fn note(&mut self, value: i64) {
        self.after = Some(value);
        self.lowest = Some(self.lowest.map_or(value, |lowest| lowest.min(value)));
        self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
    }
}

/// A sign that a processor is held back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Throttle {
    pub kind: ThrottleKind,
    #[serde(flatten)]
    pub reading: BeforeAfter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ThrottleKind {
    /// Times that it happened since the machine started.
    Counter,
    /// How far it is held back now, 0 for not at all.
    Level,
    /// The firmware of a Raspberry Pi: bits 0 to 3 say what is the case now (supply voltage too low, frequency
    /// capped, throttled, soft limit of temperature), bits 16 to 19 what was since it started.
    Firmware,
}
