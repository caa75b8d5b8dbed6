//! ONNX Runtime's settings of a session, under names of ours: it has no common ones.

use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use oplat_engine::{Knob, Trial};
use oplat_ground::limits;
use oplat_ground::protocol::{Load, Op};

use crate::providers;

/// What the names start with.
const PREFIX: &str = "ORT_";

/// A setting with its values, the default first, and what it does.
struct Row {
    name: &'static str,
    values: &'static [&'static str],
    about: &'static str,
    elsewhere: &'static str,
    parses: fn(&str) -> bool,
    set: fn(SessionBuilder, &str, threads: usize) -> ort::Result<SessionBuilder>,
}

const LEVELS: [&str; 4] = ["all", "extended", "basic", "disable"];
const ON_FIRST: [&str; 2] = ["1", "0"];
const OFF_FIRST: [&str; 2] = ["0", "1"];
const MODES: [&str; 2] = ["sequential", "parallel"];

const ROWS: [Row; 8] = [
    Row {
        name: "ORT_OPTIMIZATION",
        values: &LEVELS,
        about: "How far the graph is optimised: `basic` folds constants and drops what does nothing, `extended` merges \
                operators, `all` also changes the layout of data.",
        elsewhere: "SessionOptions.graph_optimization_level",
        parses: |value| LEVELS.contains(&value),
        set: |builder, value, _| {
            Ok(builder.with_optimization_level(match value {
                "disable" => GraphOptimizationLevel::Disable,
                "basic" => GraphOptimizationLevel::Level1,
                "extended" => GraphOptimizationLevel::Level2,
                _ => GraphOptimizationLevel::All,
            })?)
        },
    },
    Row {
        name: "ORT_ARENA",
        values: &ON_FIRST,
        about: "Whether memory is kept in an arena between runs, or asked of the system for each tensor.",
        elsewhere: "SessionOptions.enable_cpu_mem_arena",
        parses: |value| ON_FIRST.contains(&value),
        set: |builder, value, _| {
            let cpu = ep::CPU::default().with_arena_allocator(value == "1");
            Ok(builder.with_execution_providers([cpu.build()])?)
        },
    },
    Row {
        name: "ORT_MEMORY_PATTERN",
        values: &ON_FIRST,
        about: "Whether a run takes its memory in one block, by the pattern of the run before it.",
        elsewhere: "SessionOptions.enable_mem_pattern",
        parses: |value| ON_FIRST.contains(&value),
        set: |builder, value, _| Ok(builder.with_memory_pattern(value == "1")?),
    },
    Row {
        name: "ORT_PREPACKING",
        values: &ON_FIRST,
        about: "Whether weights are laid out for the matrix products when the model is loaded, beside the weights as they \
                are in the file.",
        elsewhere: "session.disable_prepacking",
        parses: |value| ON_FIRST.contains(&value),
        set: |builder, value, _| Ok(builder.with_prepacking(value == "1")?),
    },
    Row {
        name: "ORT_SPINNING",
        values: &OFF_FIRST,
        about: "Whether threads that wait for work spin for a while before they sleep. It matters with several threads.",
        elsewhere: "session.intra_op.allow_spinning",
        parses: |value| OFF_FIRST.contains(&value),
        set: |builder, value, _| Ok(builder.with_config_entry("session.intra_op.allow_spinning", value)?),
    },
    Row {
        name: "ORT_EXECUTION_MODE",
        values: &MODES,
        about: "Whether operators run one after another, or those that don't wait for each other at once, on the threads of \
                ORT_INTER_THREADS. These share the measurement's CPUs with the threads inside operators.",
        elsewhere: "SessionOptions.execution_mode",
        parses: |value| MODES.contains(&value),
        set: |builder, value, _| Ok(builder.with_parallel_execution(value == "parallel")?),
    },
    Row {
        name: "ORT_INTER_THREADS",
        values: &[],
        about: "Threads that run operators at once. It matters with ORT_EXECUTION_MODE=parallel.",
        elsewhere: "SessionOptions.inter_op_num_threads",
        parses: |value| threads(value).is_some(),
        set: |builder, value, _| Ok(builder.with_inter_threads(threads(value).unwrap_or(1))?),
    },
    Row {
        name: providers::KNOB,
        values: &providers::NAMES,
        about: "What runs the operators that it can; the others run on the CPU as usual. `xnnpack` is a library of kernels for \
                CPUs, `nnapi` Android's interface to accelerators, `qnn` Qualcomm's, `coreml` Apple's. The library must have \
                been built with it.",
        elsewhere: "SessionOptions.append_execution_provider",
        parses: |value| providers::NAMES.contains(&value),
        set: providers::set,
    },
];

/// Every knob that there is.
pub fn all() -> Vec<Knob> {
    let of = |row: &Row| Knob {
        name: row.name,
        prefix: PREFIX,
        about: row.about,
        kind: match row.values {
            [] => "number of threads",
            values if values.contains(&"0") => "bool",
            _ => "word",
        },
        values: row.values,
        default: row.values.first().copied().unwrap_or("1").to_owned(),
        parses: row.parses,
        elsewhere: row.elsewhere,
    };
    ROWS.iter().map(of).collect()
}

/// The builder with these settings; those that are not ours are for others.
pub fn set(builder: SessionBuilder, load: &Load) -> ort::Result<SessionBuilder> {
    let ours = ROWS.iter().filter_map(|row| Some((row, load.knobs.get(row.name)?)));
    ours.into_iter().try_fold(builder, |builder, (row, value)| (row.set)(builder, value, load.threads))
}

/// A number of threads that can be asked for.
fn threads(value: &str) -> Option<usize> {
    value.parse().ok().filter(|n| (1..=limits::THREADS as usize).contains(n))
}

/// Settings that may make a model faster on so many threads without changing what it computes.
pub fn trials(threads: usize) -> Vec<Trial> {
    let planned = [("ORT_OPTIMIZATION", "extended")];
    let running = [("ORT_ARENA", "0"), ("ORT_MEMORY_PATTERN", "0"), ("ORT_PREPACKING", "0")];
    let threaded = [("ORT_SPINNING", "1")].into_iter().filter(|_| threads > 1);
    let of = |(name, value): (&str, &str), about: Option<fn(&Op) -> bool>| Trial {
        knobs: [(name.to_owned(), value.to_owned())].into(),
        about,
    };
    let planned = planned.into_iter().map(|set| of(set, None));
    // They are about all operators and show in none.
    planned.chain(running.into_iter().chain(threaded).map(|set| of(set, Some(|_| true)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_takes_its_values_and_nothing_else() {
        for (row, knob) in ROWS.iter().zip(all()) {
            assert!(
                row.name.starts_with(PREFIX) && row.values.iter().all(|value| (knob.parses)(value)),
                "{}",
                row.name
            );
            assert!(!(knob.parses)("perhaps") && (knob.parses)(&knob.default), "{}", row.name);
        }
        assert!(threads("2") == Some(2) && threads("0").is_none());
    }

    #[test]
    fn every_trial_is_a_knob_with_a_value_for_it_and_not_its_default() {
        assert!(trials(2).len() > trials(1).len());
        for (name, value) in trials(2).iter().flat_map(|trial| &trial.knobs) {
            oplat_engine::knobs::check(&all(), name, value).expect("a knob and a value for it");
            assert!(all().iter().any(|knob| knob.name == name && knob.default != *value), "{name}");
        }
    }
}
