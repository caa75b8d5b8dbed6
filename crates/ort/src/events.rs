//! The file in which ONNX Runtime writes what a session did: events, of which some are runs and some operators.

use std::collections::HashMap;

use serde::Deserialize;

/// An entry of the file.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub cat: String,
    pub name: String,
    /// Microseconds.
    pub ts: u64,
    pub dur: u64,
    #[serde(default)]
    pub args: Args,
}

#[derive(Debug, Default, Deserialize)]
pub struct Args {
    #[serde(default)]
    pub input_type_shape: Vec<HashMap<String, Vec<u64>>>,
    #[serde(default)]
    pub output_type_shape: Vec<HashMap<String, Vec<u64>>>,
    pub provider: Option<String>,
    mem_bytes_in_use: Option<String>,
    mem_in_use_delta: Option<String>,
    mem_in_use_peak: Option<String>,
}

impl Args {
    /// What the arena held after the operator, how much more than before it, and the most that it ever held; bytes.
    pub fn arena(&self) -> Option<[i64; 3]> {
        let number = |text: &Option<String>| text.as_deref()?.parse().ok();
        Some([
            number(&self.mem_bytes_in_use)?,
            number(&self.mem_in_use_delta)?,
            number(&self.mem_in_use_peak)?,
        ])
    }
}

/// What the names of operators end with in it.
pub const KERNEL_TIME: &str = "_kernel_time";

/// One run's part of a profile.
pub struct Run<'e> {
    pub whole: &'e Event,
    /// Its operators in the order in which they ran, those of bodies among them.
    pub ops: Vec<&'e Event>,
}

impl Run<'_> {
    /// The time before the first operator and after the last one, ns.
    pub fn around_ns(&self) -> [u64; 2] {
        let end = |e: &Event| e.ts + e.dur;
        let first = self.ops.iter().map(|e| e.ts).min().unwrap_or(self.whole.ts);
        let last = self.ops.iter().map(|e| end(e)).max().unwrap_or(self.whole.ts);
        [first.saturating_sub(self.whole.ts), end(self.whole).saturating_sub(last)].map(|us| us * 1000)
    }
}

/// The runs of a profile, in order.
pub fn runs(events: &[Event]) -> Vec<Run<'_>> {
    let mut ops: Vec<&Event> =
        events.iter().filter(|e| e.cat == "Node" && e.name.ends_with(KERNEL_TIME)).collect();
    ops.sort_by_key(|e| e.ts);
    let mut wholes: Vec<&Event> =
        events.iter().filter(|e| e.cat == "Session" && e.name == "model_run").collect();
    wholes.sort_by_key(|e| e.ts);
    let within = |whole: &Event| {
        let from = ops.partition_point(|e| e.ts < whole.ts);
        let to = ops.partition_point(|e| e.ts <= whole.ts + whole.dur);
        ops[from..to].to_vec()
    };
    wholes.into_iter().map(|whole| Run { whole, ops: within(whole) }).collect()
}

/// `1x64x40x40xf32`, in order.
pub fn facts(types: &[HashMap<String, Vec<u64>>]) -> Vec<String> {
    types.iter().flat_map(|one| one.iter().map(|(kind, dims)| fact(kind, dims))).collect()
}

/// `1x64x40x40xf32`
pub fn fact(kind: &str, dims: &[u64]) -> String {
    let dims: String = dims.iter().map(|d| format!("{d}x")).collect();
    format!("{dims}{}", short(kind))
}

fn short(kind: &str) -> &str {
    const NAMES: [(&str, &str); 12] = [
        ("float", "f32"),
        ("double", "f64"),
        ("float16", "f16"),
        ("bfloat16", "bf16"),
        ("int8", "i8"),
        ("int16", "i16"),
        ("int32", "i32"),
        ("int64", "i64"),
        ("uint8", "u8"),
        ("uint16", "u16"),
        ("uint32", "u32"),
        ("uint64", "u64"),
    ];
    NAMES.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, short)| short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_written_as_for_other_engines() {
        let types = [
            HashMap::from([("float".to_owned(), vec![1, 3, 8])]),
            HashMap::from([("bool".to_owned(), vec![])]),
        ];
        assert_eq!(facts(&types), ["1x3x8xf32", "bool"]);
    }
}
