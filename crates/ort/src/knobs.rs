//! ONNX Runtime's settings of a session, under names of ours: it has no common ones.

use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use oplat_engine::{Knob, Knobs};

/// What the names start with.
const PREFIX: &str = "ORT_";

/// A setting with its values, the default first, and what it does.
struct Row {
    name: &'static str,
    values: &'static [&'static str],
    about: &'static str,
    elsewhere: &'static str,
    parses: fn(&str) -> bool,
    set: fn(SessionBuilder, &str) -> ort::Result<SessionBuilder>,
}

const LEVELS: [&str; 4] = ["all", "extended", "basic", "disable"];
const ON_FIRST: [&str; 2] = ["1", "0"];
const OFF_FIRST: [&str; 2] = ["0", "1"];

const ROWS: [Row; 5] = [
    Row {
        name: "ORT_OPTIMIZATION",
        values: &LEVELS,
        about: "How far the graph is optimised: `basic` folds constants and drops what does nothing, `extended` merges \
                operators, `all` also changes the layout of data.",
        elsewhere: "SessionOptions.graph_optimization_level",
        parses: |value| LEVELS.contains(&value),
        set: |builder, value| {
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
        set: |builder, value| {
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
        set: |builder, value| Ok(builder.with_memory_pattern(value == "1")?),
    },
    Row {
        name: "ORT_PREPACKING",
        values: &ON_FIRST,
        about: "Whether weights are laid out for the matrix products when the model is loaded, beside the weights as they \
                are in the file.",
        elsewhere: "session.disable_prepacking",
        parses: |value| ON_FIRST.contains(&value),
        set: |builder, value| Ok(builder.with_prepacking(value == "1")?),
    },
    Row {
        name: "ORT_SPINNING",
        values: &OFF_FIRST,
        about: "Whether threads that wait for work spin for a while before they sleep. It matters with several threads.",
        elsewhere: "session.intra_op.allow_spinning",
        parses: |value| OFF_FIRST.contains(&value),
        set: |builder, value| Ok(builder.with_config_entry("session.intra_op.allow_spinning", value)?),
    },
];

/// Every knob that there is.
pub fn all() -> Vec<Knob> {
    let of = |row: &Row| Knob {
        name: row.name,
        prefix: PREFIX,
        about: row.about,
        kind: if row.values.len() == 2 { "bool" } else { "word" },
        default: row.values[0].to_owned(),
        parses: row.parses,
        elsewhere: row.elsewhere,
    };
    ROWS.iter().map(of).collect()
}

/// The builder with these settings; those that are not ours are for others.
pub fn set(builder: SessionBuilder, knobs: &Knobs) -> ort::Result<SessionBuilder> {
    let ours = ROWS.iter().filter_map(|row| Some((row, knobs.get(row.name)?)));
    ours.into_iter().try_fold(builder, |builder, (row, value)| (row.set)(builder, value))
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
    }
}
