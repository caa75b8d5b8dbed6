//! The records of several devices: each variant's ratio on each device, against that device's own original, and what it is over
//! all of them.
//!
//! `devices` says which records are of one device and which devices stand together, `together` what a variant shows on all.

mod devices;
#[cfg(test)]
mod tests;
mod together;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{NamedRecord, distinct};
use crate::files::{Kind, is_json};
use crate::record::{Delta, Lowering, Role};
use devices::Measured;

pub use devices::{device_names, soc};

/// The schema of what is found across devices, as JSON.
pub const SCHEMA: &str = "oplat.across/1";

/// Files of it, in any version.
pub const KIND: Kind =
    Kind { what: "a summary over devices of oplat's", is: |file| is_json(file, "oplat.across") };

/// Confidence of each interval over devices. Devices are few: at 99%, an interval over four of them is twice as wide and says
/// nothing.
pub const CONFIDENCE: f64 = 0.95;

/// What several devices show.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Across {
    pub schema: &'static str,
    /// Of each interval over devices by itself; and that with which no device of the whole document is wrongly said to
    /// contradict the rest.
    pub confidence: f64,
    /// Those of one SoC stand together.
    pub devices: Vec<Device>,
    /// How many SoCs they have.
    pub socs: usize,
    pub variants: Vec<Variant>,
    /// Records and variants that are not counted, and why.
    pub left_out: Vec<LeftOut>,
    /// What is not the same in all records, though it changes ratios.
    pub differences: Vec<Unlike>,
    /// What a reader must know of which records are one device, and of devices that may be one.
    pub notes: Vec<String>,
}

/// A device, and the records that were made on it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Device {
    /// What tells it from the others: maker and model, the machine's name, the target, or the record's file.
    pub name: String,
    /// The SoC as Android tells it, else the CPU's name; null where neither is known.
    pub soc: Option<String>,
    /// Which of the groups of devices it is in, from 0: those with the same SoC.
    pub group: usize,
    pub target: String,
    pub host: String,
    /// The files.
    pub records: Vec<String>,
}

/// A variant on all devices.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Variant {
    pub name: String,
    /// What tables call it, with the activation of an original that has only one.
    pub label: String,
    pub model: String,
    /// SHA-256 of the model's file.
    pub sha256: String,
    pub engine: String,
    pub role: Role,
    pub rule: String,
    pub lowering: Lowering,
    pub knobs: BTreeMap<String, String>,
    /// One for each device, in their order; null where the device doesn't have the variant.
    pub on: Vec<Option<OnDevice>>,
    /// Over all devices that count; null where there are fewer than two.
    pub over: Option<Over>,
    /// Over the devices of one SoC, for each that has two or more which count, where there are several SoCs.
    pub by_soc: Vec<OfSoc>,
    /// Devices and SoCs that contradict the others.
    pub contradictions: Vec<Contradiction>,
}

/// A variant on one device.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OnDevice {
    pub p50_ns: Option<u64>,
    /// Against the device's own original, as its record has it; null for the original.
    pub delta: Option<Delta>,
    /// Standard error of the logarithm of the ratio, over forks; null of a single fork.
    pub error: Option<f64>,
    /// Whether it is a part of what is said over devices.
    pub counts: bool,
    /// Whether it has no figures, since it failed there.
    pub failed: bool,
}

/// What independent devices or SoCs say together: factors, as ratios are.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Over {
    pub devices: usize,
    /// What the interval rests on: so many devices of one SoC, or so many SoCs.
    pub unit: Unit,
    pub units: usize,
    /// Geometric mean of the units.
    pub ratio: f64,
    /// Of the mean; null where it reaches beyond all numbers.
    pub interval: Option<[f64; 2]>,
    /// Where a device that was not measured would lie: of this SoC, or of another one. Null with two units.
    pub another: Option<[f64; 2]>,
    /// Standard deviation between units, beyond errors of measurement, as a share: 0.05 is 5%.
    pub between: f64,
    /// The same between devices of one SoC; null where the units are devices, and where all SoCs have one.
    pub within: Option<f64>,
    /// By how much one device's ratio would differ if it were measured again: its standard error, as a share.
    pub again: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Device,
    Soc,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Soc => "SoC",
        }
    }
}

/// The devices of one SoC.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OfSoc {
    pub group: usize,
    pub soc: String,
    pub over: Over,
}

/// What contradicts the rest, surely so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Contradiction {
    /// The device, or the SoC if all of its devices do.
    pub who: String,
    pub unit: Unit,
    pub why: Why,
    pub ratio: f64,
    /// The mean of those that it contradicts.
    pub others: f64,
    /// Whether these are the other devices of its SoC, and not all others.
    pub of_its_soc: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Slower where all together are faster, or the other way.
    Opposite,
    /// Farther from the others than these differ.
    Outside,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The device, or the record's file.
    pub what: String,
    /// Null where it is all of the record.
    pub variant: Option<String>,
    pub why: String,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unlike {
    pub what: &'static str,
    /// Each value, and of how many records, the most frequent first.
    pub values: Vec<(String, usize)>,
}

/// Devices that are named where nothing can be said over them.
const NAMED: usize = 3;

/// Why the records of several devices show nothing over them; `None` if they do, or are all of one device.
pub fn why_not(records: &[NamedRecord]) -> Option<String> {
    let of = distinct(device_names(records)).len();
    let Measured { devices, left_out, .. } = devices::of(records);
    if of < 2 || devices.len() > 1 {
        return None;
    }
    let mut whole: Vec<String> =
        left_out.iter().map(|left| format!("{} ({})", left.what, left.why)).collect();
    if whole.len() > NAMED {
        let more = whole.split_off(NAMED).len();
        whole.push(format!("{more} more"));
    }
    let few = if devices.is_empty() { "none" } else { "only one" };
    Some(format!("{few} of {of} devices can be compared; left out: {}", whole.join(", ")))
}

/// What the records show over the devices that they were made on; `None` unless these are two or more.
pub fn across(records: &[NamedRecord]) -> Option<Across> {
    let Measured { devices, records, mut left_out, notes } = devices::of(records);
    if devices.len() < 2 {
        return None;
    }
    let variants = together::variants(&devices, &records, &mut left_out);
    let groups = devices.iter().map(|d| d.group).max().map_or(0, |last| last + 1);
    Some(Across {
        schema: SCHEMA,
        confidence: CONFIDENCE,
        socs: groups,
        variants,
        left_out,
        differences: devices::differences(&records),
        notes,
        devices,
    })
}
