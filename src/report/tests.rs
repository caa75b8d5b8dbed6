//! Whole reports, kept as files beside this one: read them as a user would.

use super::fixture::{MS, delta, op, record, variant};
use super::grid::{PAGE, width};
use super::{By, Format, Options, render};
use crate::record::{Record, Role, Verdict};

fn table(record: &Record, options: &Options) -> String {
    let text = render(record, Format::Table, options).expect("a table");
    for line in text.lines() {
        assert!(width(line) <= PAGE, "wider than {PAGE} columns: {line}");
        assert_eq!(line.trim_end(), line, "trailing space");
    }
    assert!(text.ends_with('\n') && !text.contains("\n\n\n"));
    text
}

#[test]
fn the_whole_report() {
    insta::assert_snapshot!(table(&record(), &Options::default()));
}

#[test]
fn only_the_first_rows_are_shown_and_the_rest_is_summed_up() {
    let options = Options { top: 2, by: vec![By::Op, By::Site] };
    insta::assert_snapshot!(table(&record(), &options));
}

#[test]
fn names_of_any_length_and_script_fit_the_page() {
    let mut record = record();
    let long = "/model/backbone/stage_with_a_very_long_name/".repeat(8) + "活性化/Mul";
    record.model.name = "a_network_".repeat(30);
    record.model.source = "/data/".repeat(60) + "model.onnx";
    record.environment.warnings = vec!["a warning of many words ".repeat(12)];
    for v in &mut record.variants {
        v.name = format!("{} {}", v.name, "and_its_parameters_".repeat(6));
        v.error = (v.role == Role::Control).then(|| format!("node {long}: the engine lacks it"));
        for o in &mut v.ops {
            o.node = format!("{long}{}", o.index);
            o.op = format!("{}WithAVeryLongOperatorName", o.op.repeat(4));
            o.kernel = o.kernel.as_ref().map(|k| k.repeat(4));
            o.mean_ns *= 1000;
        }
        for s in &mut v.sites {
            s.from = "leaky_relu:0.10000000149011612".into();
            s.to = "swish:1.7020000219345093".into();
        }
    }
    insta::assert_snapshot!(table(&record, &Options::default()));
}

#[test]
fn a_variant_that_failed_says_why_and_has_no_figures() {
    let mut record = record();
    let sites = record.variants[1].sites.clone();
    record.variants[1] = variant("mish, exported", Role::Swap, "mish", sites);
    record.variants[1].error = Some("the worker was killed (signal 9) at node /model.3/act/Tanh".into());
    record.settings.interrupted = true;
    record.settings.rounds = vec![3, 2];
    record.settings.forks = 2;
    insta::assert_snapshot!(table(&record, &Options { by: vec![By::Type], ..Options::default() }));
}

#[test]
fn one_fork_gives_no_interval_and_no_verdict() {
    let mut record = record();
    record.settings.forks = 1;
    for v in &mut record.variants {
        if let Some(delta) = &mut v.delta {
            (delta.interval, delta.resolution, delta.verdict) = (None, None, Verdict::Inconclusive);
        }
        if let Some(cost) = &mut v.activation_cost {
            cost.interval = None;
        }
    }
    insta::assert_snapshot!(table(&record, &Options { by: vec![], ..Options::default() }));
}

#[test]
fn a_tiny_model_is_shown_in_microseconds() {
    let mut record = record();
    for v in &mut record.variants {
        if let Some(l) = &mut v.latency {
            for ns in [&mut l.p50_ns, &mut l.p90_ns] {
                *ns /= 10_000;
            }
        }
        if let Some(cost) = &mut v.activation_cost {
            cost.ns /= 10_000;
            cost.interval = cost.interval.map(|i| i.map(|ns| ns / 10_000));
        }
        for o in &mut v.ops {
            o.mean_ns /= 10_000;
            o.allocator_ns /= 10_000;
            (o.output_bytes, o.scratch_bytes, o.live_bytes) = (4608, 0, 13_824);
        }
        if let Some(p) = &mut v.profiled {
            p.unaccounted_ns /= 10_000;
        }
    }
    insta::assert_snapshot!(table(&record, &Options { top: 3, ..Options::default() }));
}

#[test]
fn an_emulated_target_shows_no_times() {
    let mut record = record();
    record.environment.emulated = true;
    record.environment.target = "cmd:qemu-aarch64-static".into();
    record.environment.warnings.clear();
    let text = table(&record, &Options::default());
    for time in ["p50", " ms", "slower", "faster", "share", "mean"] {
        assert!(!text.contains(time), "{time} in an emulated report:\n{text}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn verdicts_are_plain_words() {
    let mut record = record();
    let mut told = vec![];
    for (ratio, low, high, verdict) in [
        (1.151, 1.144, 1.159, Verdict::Slower),
        (0.9, 0.891, 0.909, Verdict::Faster),
        (4.3, 4.21, 4.4, Verdict::Slower),
        (0.4, 0.39, 0.41, Verdict::Faster),
        (1.004, 0.997, 1.011, Verdict::None),
        (1.01, 0.969, 1.052, Verdict::Inconclusive),
        (0.713, 0.0, 3254.357, Verdict::Inconclusive),
    ] {
        record.variants[1].delta = delta(ratio, low, high, verdict);
        told.push(super::verdict::render(&record));
    }
    record.variants[1].sites[0].from = "relu".into();
    record.variants[2].sites[0].from = "relu".into();
    told.push(super::verdict::render(&record));
    insta::assert_snapshot!(told.concat());
}

#[test]
fn a_model_without_swaps_or_sites_is_still_profiled() {
    let mut record = record();
    record.variants.truncate(1);
    let v = &mut record.variants[0];
    (v.sites, v.activation_cost, v.memory, v.output_change) = (vec![], None, None, None);
    v.skipped.clear();
    v.ops.iter_mut().for_each(|o| o.site = None);
    insta::assert_snapshot!(table(&record, &Options::default()));
}

#[test]
fn many_variants_go_into_several_tables() {
    let mut record = record();
    let mish = record.variants[1].clone();
    for rule in ["relu", "gelu", "elu:1.5", "leaky_relu:0.1", "hard_swish"] {
        let mut v = mish.clone();
        (v.name, v.rule) = (format!("{rule}, exported"), rule.into());
        v.ops.push(op(99, "OnlyHere", "node", MS));
        record.variants.push(v);
    }
    insta::assert_snapshot!(table(&record, &Options { by: vec![By::Type], ..Options::default() }));
}

#[test]
fn json_is_the_record_and_can_be_read_again() {
    let mut record = record();
    let text = render(&record, Format::Json, &Options::default()).expect("JSON");
    let read: Record = serde_json::from_str(&text).expect("a record");
    assert_eq!(read.variants[1].latency, record.variants[1].latency);
    assert_eq!(table(&read, &Options::default()), table(&record, &Options::default()));

    let change = record.variants[1].output_change.as_mut().expect("a change");
    change.max_abs = f64::INFINITY;
    let text = render(&record, Format::Json, &Options::default()).expect("JSON");
    let read: Record = serde_json::from_str(&text).expect("infinities don't make a record unreadable");
    assert!(read.variants[1].output_change.expect("a change").max_abs.is_nan());
}
