//! What oplat takes at most. What is larger is refused in one line that names the limit: a small file mustn't fill the
//! memory or the day. Each limit is far above what real models and experiments come to. `docs/limits.md` is this table
//! for users, and a test holds it to that.

use std::fmt::Display;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::units;

/// Bytes of a model's file: the most that its format (protobuf) allows.
pub const MODEL_BYTES: u64 = 1 << 31;
/// Bytes of what isn't a file and may never end: half of that.
pub const STREAM_BYTES: u64 = 1 << 30;
/// Bytes of a record: twice what one of 200 variants of 1,000 ops has.
pub const RECORD_BYTES: u64 = 256_000_000;
/// Bytes of an experiment, a bench or a lab: people write them, and reading one takes time with the square of its brackets.
pub const CONFIG_BYTES: u64 = 250_000;
/// Bytes of a profile that is imported: a million events, the most that ONNX Runtime writes, have two thirds of it.
pub const PROFILE_BYTES: u64 = 1 << 30;
/// Events of a profile that is imported: ONNX Runtime writes a million unless it is told otherwise.
pub const PROFILE_EVENTS: u64 = 2_000_000;
/// Ops of an imported profile times its runs: ten times as many as there can be events.
pub const PROFILE_TIMES: u64 = 20_000_000;
/// Sites of a model times the ops of a profile of it: a network of a thousand sites has some millions.
pub const PROFILE_SITES: u64 = 20_000_000;
/// Bytes of one answer of a worker: that for a model of a hundred thousand ops has a tenth of it.
pub const ANSWER_BYTES: u64 = 256_000_000;

/// Nodes of a model: several times those of the largest language models.
pub const NODES: u64 = 150_000;
/// Nodes of a model with those of functions at each call: the same, since sites are looked for in each call.
pub const INLINED: u64 = 150_000;
/// Values that a model's nodes read and write, inputs, outputs and initialisers: ten a node.
pub const VALUES: u64 = 2_000_000;
/// Bytes of all names in a model: 500 a node.
pub const NAME_BYTES: u64 = 100_000_000;
/// Dimensions of a tensor: as many as NumPy takes.
pub const DIMENSIONS: u64 = 64;
/// Elements of a tensor: above it, sizes in bytes and counts of operations can't be added up any more.
pub const ELEMENTS: u64 = if cfg!(target_pointer_width = "64") { 1 << 40 } else { 1 << 27 };
/// Calls of functions in each other: real ones are three deep, and each call is a call of ours.
pub const CALLS: u64 = 64;
/// Nodes and values of a model that `inspect` gives to the engine: it would look at a larger one for minutes.
pub const INSPECTED: u64 = 20_000;
pub const INSPECTED_VALUES: u64 = 80_000;

/// Variants in a measurement: each is a process in every fork.
pub const VARIANTS: u64 = 256;
/// Ops of a variant that are repeated since they are too short for the clock: each takes a few milliseconds.
pub const SHORT_OPS: u64 = 2_000;
/// Measurements in an experiment: at a minute each they take most of a day.
pub const MEASUREMENTS: u64 = 1_000;
/// Variants in all measurements of an experiment: all are made before the first is measured.
pub const EXPERIMENT_VARIANTS: u64 = 10_000;
/// Rows of a bench: each has its inputs in memory.
pub const BENCH_ROWS: u64 = 10_000;
/// Elements of a row of a bench: a gigabyte.
pub const BENCH_ELEMENTS: u64 = 1 << 28;
/// Forwards of a row of a bench: at a microsecond each they take a quarter of an hour.
pub const BENCH_FORWARDS: u64 = 1_000_000_000;
/// Forwards of all rows of a bench times their elements: at a nanosecond each they take a day.
pub const BENCH_WORK: u64 = 100_000_000_000_000;
/// Fresh processes for a variant: more is taken for a slip, as are more threads and a longer time.
pub const FORKS: u64 = 1_000;
pub const THREADS: u64 = 1_024;
pub const TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The sum of all whole numbers in one answer of a worker: 104 days in nanoseconds.
pub const ANSWER_SUM: u64 = 1 << 53;
/// The sum of all whole numbers in a record: two years in nanoseconds. So no sum over records overflows.
pub const RECORD_SUM: u64 = 1 << 56;
/// Bytes that a report of a record may come to, by its rows and its longest text: it is made in memory.
pub const REPORT_BYTES: u64 = 1_000_000_000;

/// Fails, with what is there and what is taken, if there is more than `most`: `check(3_000_000, NODES, "nodes")`.
pub fn check(n: u64, most: u64, of: impl Display) -> Result<()> {
    if n <= most {
        return Ok(());
    }
    let (n, most) = (units::integer(n), units::integer(most));
    Err(Error::input(format!("it has {n} {of}, more than the {most} that oplat takes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_taken_and_what_is_above_it_is_named() {
        assert_eq!(check(NODES, NODES, "nodes"), Ok(()));
        assert_eq!(
            check(3_000_000, NODES, "nodes").unwrap_err().message,
            "it has 3,000,000 nodes, more than the 150,000 that oplat takes"
        );
    }
}
