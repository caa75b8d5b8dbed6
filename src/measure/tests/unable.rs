//! Engines that can't tell all that is asked: what they tell is measured, the rest stays unknown and is no error.

use std::collections::BTreeSet;

use super::world::Moment;
use super::*;
use crate::report::{self, Breakdowns, By, Format};

/// A measurement by an engine that answers so, of which nothing else is out of the ordinary.
fn measured_in(world: Rc<World>) -> Record {
    // About 25 steps for the convolution, and 8 for the activation, which is too short.
    world.timer_ns.set(MS * 3 / 10);
    let (record, notes) = with_notes(&world, &measurement());
    assert_eq!(notes, [""; 0]);
    let record = record.expect("measured");
    assert!(complete(&record, true).is_ok());
    assert_eq!(record.settings.forks, 8);
    for variant in &record.variants {
        assert_eq!((variant.error.as_ref(), variant.forks.len()), (None, 8));
        assert!(variant.latency.is_some() && variant.output_change.is_some());
    }
    let delta = record.variants[1].delta.as_ref().expect("compared");
    assert!(delta.verdict == Verdict::Slower && (delta.ratio - 1.1).abs() < 0.01, "{delta:?}");
    assert!(record.variants[1].activation_cost.is_some());
    record
}

fn unable(is_asked: fn(Moment, &Request) -> bool) -> Record {
    measured_in(World::new(&[10 * MS, 11 * MS, 9 * MS], move |m, request| {
        is_asked(m, request).then_some(Ok(Reply::Unable))
    }))
}

/// The whole report, and the lines of the breakdowns with single spaces.
fn table(record: &Record) -> (String, Vec<String>) {
    let by = vec![By::Type, By::Shape, By::Op, By::Site, By::Activation];
    let text =
        report::render(record, Format::Table, &Breakdowns { by, ..Breakdowns::default() }).expect("a table");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let from = |line: &String| !line.contains(" by type") && !line.contains("ops by type");
    let breakdowns = lines.skip_while(from).collect();
    (text, breakdowns)
}

/// The columns of CSV that rows of this sort fill, of one variant.
fn filled(record: &Record, row: &str, variant: &str) -> BTreeSet<String> {
    let by = vec![By::Type, By::Shape, By::Op, By::Site, By::Activation];
    let text = report::render(record, Format::Csv, &Breakdowns { by, ..Breakdowns::default() }).expect("CSV");
    // No cell of these records has a comma.
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let at = |name: &str| header.iter().position(|column| *column == name).expect("a column");
    let rows: Vec<_> =
        lines.filter(|line| line[at("row")] == row && line[at("variant")] == variant).collect();
    assert!(!rows.is_empty(), "there are rows of {row}");
    let cells = rows.into_iter().flat_map(|line| header.iter().zip(line));
    cells.filter(|(_, cell)| !cell.is_empty()).map(|(column, _)| (*column).to_owned()).collect()
}

const TIMES: [&str; 7] = ["p50_ns", "mean_ns", "sd_ns", "min_ns", "p90_ns", "share", "batched_ns"];

fn none_of(columns: &[&str], filled: &BTreeSet<String>) {
    assert!(columns.iter().all(|column| !filled.contains(*column)), "{columns:?} in {filled:?}");
}

fn json(record: &Record) -> serde_json::Value {
    serde_json::to_value(record).expect("written")
}

#[test]
fn without_profiles_ops_have_no_times() {
    let record = unable(|_, request| matches!(request, Request::Profile { .. }));
    for variant in &record.variants {
        assert!(variant.profiled.is_none() && variant.forks.iter().all(|f| f.profiled_rounds.is_empty()));
        assert!(variant.ops.len() == 2 && variant.ops.iter().all(|op| op.fork_mean_ns.is_empty()));
        assert!(variant.ops.iter().all(|op| op.batched_ns.is_none()), "none is known to be short");
    }
    assert!(json(&record)["variants"][1]["profiled"].is_null());

    let (text, breakdowns) = table(&record);
    for times in [" 0.0%", "by time", "unaccounted", "profiled"] {
        assert!(!text.contains(times), "{times} in {text}");
    }
    assert_eq!(breakdowns[..4], ["ops by type original mish", "relu", "Conv 1 1", "Relu 1 1"]);
    for row in ["mish: 2 of 2 ops by memory", "Conv /conv 5", "/act relu -> mish 1x4 Relu"] {
        assert!(breakdowns.iter().any(|line| line == row), "{row} in {breakdowns:?}");
    }
    for row in ["type", "shape", "op", "site", "activation"] {
        none_of(&TIMES, &filled(&record, row, "mish"));
    }
    none_of(&["overhead_ratio", "unaccounted_ns", "before_ops_ns"], &filled(&record, "variant", "mish"));
}

#[test]
fn a_variant_without_profiles_has_none_beside_others_that_have() {
    let record = unable(|m, request| m.variant == 1 && matches!(request, Request::Profile { .. }));
    let (text, breakdowns) = table(&record);
    assert!(!text.contains(" 0.0%"), "{text}");
    // Columns in which nothing is known are left out: here mish's.
    assert_eq!(breakdowns[..2], ["mean ms by type original", "relu"]);
    assert!(breakdowns[2].starts_with("Conv 7.") && breakdowns[2].split(' ').count() == 2, "{breakdowns:?}");
    assert!(breakdowns.iter().any(|line| line == "mish mish 1 0 - -"), "{breakdowns:?}");
    none_of(&TIMES, &filled(&record, "op", "mish"));
    assert!(filled(&record, "op", "original").contains("mean_ns"));
}

#[test]
fn without_memory_only_that_of_the_process_is_known() {
    let record = unable(|_, request| matches!(request, Request::Memory));
    for variant in &record.variants {
        let known = record::Memory { peak_rss_bytes: Some(1008), ..record::Memory::default() };
        assert_eq!(variant.memory, Some(known));
        assert!(variant.ops.iter().all(|op| op.scratch_bytes.is_none() && op.mean_ns > 0));
    }
    let memory = &json(&record)["variants"][1]["memory"];
    assert!(memory["weights_bytes"].is_null() && memory["peak_rss_bytes"] == 1008);

    let (text, breakdowns) = table(&record);
    assert!(
        text.contains("memory, kB       peak resident\n")
            && text.contains("\nmish                      1.01\n")
    );
    for unknown in ["weights  ", "heap:", "live", "scratch", "alloc"] {
        assert!(!text.contains(unknown), "{unknown} in {text}");
    }
    assert!(breakdowns.iter().any(|line| line == "mish: 2 of 2 ops by time"), "{breakdowns:?}");
    let sizes = ["output_bytes", "scratch_bytes", "live_bytes", "allocator_ns", "minor_faults"];
    none_of(&sizes, &filled(&record, "op", "mish"));
    let whole = filled(&record, "variant", "mish");
    none_of(&["weights_bytes", "peak_live_bytes", "peak_heap_bytes", "retained_bytes"], &whole);
    assert!(whole.contains("peak_rss_bytes"));
}

#[test]
fn without_batches_short_ops_have_the_times_within_a_run() {
    let answers = unable(|_, request| matches!(request, Request::Batched { .. }));
    let says_so = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, request| {
        assert!(!matches!(request, Request::Batched { .. }), "it said that it can't");
        None
    });
    says_so.batches.set(false);
    for record in [answers, measured_in(says_so)] {
        assert!(record.variants.iter().flat_map(|v| &v.ops).all(|op| op.batched_ns.is_none()));
        assert!(json(&record)["variants"][1]["ops"][1]["batched_ns"].is_null());
        let (_, breakdowns) = table(&record);
        assert!(breakdowns.iter().any(|line| line.starts_with("Relu (mish) /act ~2.")), "{breakdowns:?}");
        let ops = filled(&record, "op", "mish");
        assert!(ops.contains("mean_ns") && !ops.contains("batched_ns"), "{ops:?}");
    }
}

#[test]
fn without_counts_of_odd_numbers_none_is_reported() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    world.counts.set(false);
    let record = measured_in(world);
    for variant in &record.variants {
        let change = variant.output_change.expect("compared");
        assert_eq!((change.non_finite, change.subnormal), (None, None));
    }
    let change = &json(&record)["variants"][1]["output_change"];
    assert!(change["non_finite"].is_null() && change["subnormal"].is_null() && change["max_abs"] == 0.5);
    let (text, _) = table(&record);
    assert!(text.contains("change of the outputs, relative L2: mish 0.100"), "{text}");
    assert!(!text.contains("non-finite") && !text.contains("subnormal"), "{text}");
}

#[test]
fn an_engine_that_tells_nothing_but_times_is_measured() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, request| {
        let unable = matches!(request, Request::Profile { .. } | Request::Memory);
        unable.then_some(Ok(Reply::Unable))
    });
    world.batches.set(false);
    world.counts.set(false);
    let (text, breakdowns) = table(&measured_in(world));
    assert!(!text.contains(" 0.0%"), "{text}");
    assert!(breakdowns.contains(&"mish: 2 of 2 ops in the engine's order".to_owned()), "{breakdowns:?}");
    assert!(breakdowns.contains(&"Conv /conv".to_owned()), "{breakdowns:?}");
}
