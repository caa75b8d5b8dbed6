//! Whole reports, kept as files beside this one: read them as a user would.

use super::fixture::{MS, delta, op, record, variant};
use super::section::Writer;
use super::text::{PAGE, Text, width};
use super::{Breakdowns, By, Format, render};
use crate::record::{Engine, Lowering, Record, Role, Verdict};

fn table(record: &Record, breakdowns: &Breakdowns) -> String {
    let text = render(record, Format::Table, breakdowns).expect("a table");
    for line in text.lines() {
        assert!(width(line) <= PAGE, "wider than {PAGE} columns: {line}");
        assert_eq!(line.trim_end(), line, "trailing space");
    }
    assert!(text.ends_with('\n') && !text.contains("\n\n\n"));
    text
}

#[test]
fn the_whole_report() {
    insta::assert_snapshot!(table(&record(), &Breakdowns::default()));
}

#[test]
fn only_the_first_rows_are_shown_and_the_rest_is_summed_up() {
    let breakdowns = Breakdowns { top: 2, by: vec![By::Op, By::Site], ..Breakdowns::default() };
    insta::assert_snapshot!(table(&record(), &breakdowns));
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
    insta::assert_snapshot!(table(&record, &Breakdowns::default()));
}

#[test]
fn a_variant_that_failed_says_why_and_has_no_figures() {
    let mut record = record();
    let sites = record.variants[1].sites.clone();
    record.variants[1] = variant("mish, exported", Role::Swap, "mish", sites);
    record.variants[1].error = Some("the worker was killed (signal 9) at node /model.3/act/Tanh".into());
    record.settings.interrupted = true;
    record.environment.warnings.push("interrupted after 5 rounds in 2 forks: intervals are wide".into());
    record.settings.rounds = vec![3, 2];
    record.settings.forks = 2;
    insta::assert_snapshot!(table(&record, &Breakdowns { by: vec![By::Type], ..Breakdowns::default() }));
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
    insta::assert_snapshot!(table(&record, &Breakdowns { by: vec![], ..Breakdowns::default() }));
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
            o.allocator_ns = o.allocator_ns.map(|ns| ns / 10_000);
            (o.output_bytes, o.scratch_bytes, o.live_bytes) = (Some(4608), Some(0), Some(13_824));
        }
        if let Some(p) = &mut v.profiled {
            p.unaccounted_ns /= 10_000;
            if let Some(b) = &mut p.bookkeeping {
                for ns in [&mut b.before_ns, &mut b.between_ns, &mut b.after_ns, &mut b.clock_ns] {
                    *ns /= 10_000;
                }
            }
        }
    }
    // Some of its ops take little more than reading the clock does.
    record.environment.clock_ns = Some(30);
    insta::assert_snapshot!(table(&record, &Breakdowns { top: 3, ..Breakdowns::default() }));
}

#[test]
fn an_op_that_the_clock_can_hardly_time_is_marked() {
    let mut record = record();
    assert!(!table(&record, &Breakdowns::default()).contains('~'));
    record.environment.clock_ns = Some(9 * MS);
    let text = table(&record, &Breakdowns::default());
    assert!(text.contains("~85.0") && !text.contains("~120.0"), "{text}");
    assert!(text.contains("~ less than 10 times the step") && !text.contains("~<"), "{text}");
    assert!(!text.contains("= less than"), "{text}");
    for op in record.variants.iter_mut().flat_map(|v| &mut v.ops) {
        op.batched_ns = Some(op.mean_ns / 10 * 8);
    }
    let text = table(&record, &Breakdowns::default());
    assert!(text.contains("=68.0") && text.contains("120.0") && !text.contains('~'), "{text}");
    assert!(text.contains("= less than 10 times the step"), "{text}");
}

#[test]
fn an_op_is_too_short_for_the_clock_of_its_engine_too() {
    let mut record = record();
    record.engine.op_clock_ns = Some(9 * MS);
    let text = table(&record, &Breakdowns::default());
    assert!(text.contains("~85.0") && !text.contains("~120.0"), "{text}");
    // The record of two engines says it of one.
    let tract = Engine { id: "tract".into(), op_clock_ns: None, ..record.engine.clone() };
    record.engines = vec![tract, Engine { id: "ort".into(), ..record.engine.clone() }];
    record.variants.iter_mut().for_each(|v| v.engine = "tract".into());
    assert!(!table(&record, &Breakdowns::default()).contains("~85.0"));
}

#[test]
fn an_emulated_target_shows_no_times() {
    let mut record = record();
    record.environment.emulated = true;
    record.environment.target = "cmd:qemu-aarch64-static".into();
    record.environment.warnings.clear();
    let text = table(&record, &Breakdowns::default());
    for time in ["p50", " ms", "slower", "faster", "share", "mean"] {
        assert!(!text.contains(time), "{time} in an emulated report:\n{text}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_site_that_any_variant_changes_is_swapped() {
    let mut record = record();
    // An identity that becomes mish; the control leaves it alone.
    for variant in &mut record.variants {
        variant.sites[1].from = "identity".into();
    }
    let text = table(&record, &Breakdowns::default());
    assert!(text.contains("2 silu, 1 identity sites swapped"), "{text}");
    record.variants.retain(|v| v.role != Role::Swap);
    let text = table(&record, &Breakdowns::default());
    assert!(text.contains("2 silu sites swapped, 1 identity site left as it is"), "{text}");
}

#[test]
fn a_mixture_says_at_how_many_sites_a_kernel_runs() {
    let mut record = record();
    let swap = &mut record.variants[1];
    swap.lowering = Lowering::Kernel;
    for (at, site) in swap.sites.iter_mut().enumerate() {
        site.lowering = Some(if at == 0 { Lowering::Exported } else { Lowering::Kernel });
    }
    let told = Text.section(&super::verdict::section(&record)).replace("\n  ", " ");
    let expected = "mish as one kernel (at 2 of 3 sites; the others are of types without kernels) is";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_mix_is_called_by_its_name_and_said_in_full_once() {
    let mut record = record();
    let swap = &mut record.variants[1];
    swap.lowering = Lowering::Kernel;
    for (at, site) in swap.sites.iter_mut().enumerate() {
        site.lowering = Some(if at == 0 { Lowering::Exported } else { Lowering::Kernel });
    }
    for (rule, phrase, legend) in [
        ("fast: mish, /a*=relu", "fast with kernels (at 2 of 3 sites; the others are as exported) is", true),
        ("mish, /a*=relu", "`mish /a*=relu` with kernels (at 2 of 3 sites", false),
        (
            "all: mish",
            "all as one kernel (at 2 of 3 sites; the others are of types without kernels) is",
            false,
        ),
    ] {
        record.variants[1].rule = rule.to_owned();
        let told = Text.section(&super::verdict::section(&record)).replace("\n  ", " ");
        assert!(told.contains(phrase), "{phrase}: {told}");
        for screen in [super::header::section(&record), super::header::at_a_glance(&record)] {
            let lines = Text.section(&screen);
            assert_eq!(lines.lines().filter(|line| *line == rule).count(), usize::from(legend), "{lines}");
        }
    }
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
        told.push(Text.section(&super::verdict::section(&record)));
    }
    record.variants[1].sites[0].from = "relu".into();
    record.variants[2].sites[0].from = "relu".into();
    told.push(Text.section(&super::verdict::section(&record)));
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
    insta::assert_snapshot!(table(&record, &Breakdowns::default()));
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
    insta::assert_snapshot!(table(&record, &Breakdowns { by: vec![By::Type], ..Breakdowns::default() }));
}

#[test]
fn json_is_the_record_and_can_be_read_again() {
    let mut record = record();
    let text = render(&record, Format::Json, &Breakdowns::default()).expect("JSON");
    let read: Record = serde_json::from_str(&text).expect("a record");
    assert_eq!(read.variants[1].latency, record.variants[1].latency);
    assert_eq!(table(&read, &Breakdowns::default()), table(&record, &Breakdowns::default()));

    let change = record.variants[1].output_change.as_mut().expect("a change");
    change.max_abs = f64::INFINITY;
    let text = render(&record, Format::Json, &Breakdowns::default()).expect("JSON");
    let read: Record = serde_json::from_str(&text).expect("infinities don't make a record unreadable");
    assert!(read.variants[1].output_change.expect("a change").max_abs.is_nan());
}

fn compared(base: &Record, new: &Record, limit: Option<&str>) -> crate::compare::Comparison {
    let named = |name, record| super::NamedRecord { name, record };
    let limit = limit.and_then(|text| text.parse().ok());
    crate::compare::compare(
        &[named("base.json", base)],
        &[&[named("new.json", new)]],
        crate::compare::Options { limit, margin: None },
    )
    .expect("variants in common")
}

/// The record, with forks whose runs take what its variants' medians say.
fn with_forks(mut record: Record, speeds: &[u64]) -> Record {
    for v in &mut record.variants {
        let p50 = v.latency.map_or(0, |l| l.p50_ns);
        let fork = |speed: &u64| crate::record::Fork {
            rounds: vec![vec![p50 / 1000 * speed, p50 / 1000 * speed]],
            ..Default::default()
        };
        v.forks = speeds.iter().map(fork).collect();
        v.ops.iter_mut().for_each(|o| o.fork_mean_ns = vec![o.mean_ns]);
    }
    record
}

/// The record again after a new version of the engine, which computes mish in one pass.
fn newer() -> Record {
    let mut new = record();
    new.started_at = "2026-02-02T03:04:05Z".into();
    new.engine.version = "0.24.0".into();
    new.oplat.profile = "release".into();
    new.environment.warnings.truncate(1);
    let mish = &mut new.variants[1];
    mish.latency = mish.latency.map(|l| crate::record::Latency { p50_ns: l.p50_ns / 10 * 12, ..l });
    mish.memory = mish.memory.map(|m| crate::record::Memory { peak_heap_bytes: Some(41 * MS), ..m });
    mish.ops.retain(|o| !matches!(o.op.as_str(), "Exp" | "Ln"));
    mish.ops.iter_mut().filter(|o| o.op == "Tanh").for_each(|o| o.mean_ns *= 9);
    mish.ops[0].node = "/model.0/renamed/Conv".into();
    new.variants.remove(2);
    with_forks(new, &[1000, 1004, 998, 1001, 1003, 997, 999, 1002])
}

#[test]
fn a_comparison_says_what_changed_and_what_it_can_see() {
    let base = with_forks(record(), &[1001, 996, 999, 1003, 1002, 997, 1004, 998]);
    let comparison = compared(&base, &newer(), Some("5%"));
    let text = super::comparison(&comparison, Format::Table, 4).expect("a table");
    for line in text.lines() {
        assert!(width(line) <= PAGE, "wider than {PAGE} columns: {line}");
    }
    insta::assert_snapshot!(text);
    insta::assert_snapshot!(
        "a_comparison_in_a_pull_request",
        super::comparison(&comparison, Format::Markdown, 2).expect("Markdown")
    );
}

#[test]
fn a_comparison_with_an_emulated_record_shows_memory_only() {
    let base = with_forks(record(), &[1001, 996, 999, 1003]);
    let mut new = base.clone();
    new.environment.emulated = true;
    new.environment.warnings.clear();
    let text = super::comparison(&compared(&base, &new, None), Format::Table, 4).expect("a table");
    for time in ["p50", " ms", "slower", "faster", "mean"] {
        assert!(!text.contains(time), "{time} in an emulated comparison:\n{text}");
    }
    assert!(text.contains("under an emulator") && text.contains("peak heap"), "{text}");
}

#[test]
fn several_newer_records_stand_side_by_side_and_one_after_another() {
    let base = with_forks(record(), &[1001, 996, 999, 1003]);
    let new = newer();
    let named = |name, record| super::NamedRecord { name, record };
    let newer = [named("new.json", &new), named("again.json", &base)];
    let sides: Vec<_> = newer.chunks(1).collect();
    let base = [named("base.json", &base)];
    let comparison =
        crate::compare::compare(&base, &sides, crate::compare::Options::default()).expect("in common");
    let text = super::comparison(&comparison, Format::Table, 1).expect("a table");
    let first = text.find("new / base  ").expect("an overview");
    let (one, other) = (text.find("new new.json:"), text.find("new again.json:"));
    assert!(Some(first) < one && one < other, "{text}");
}

#[test]
fn a_report_in_a_pull_request() {
    let breakdowns = Breakdowns { top: 2, ..Breakdowns::default() };
    insta::assert_snapshot!(render(&record(), Format::Markdown, &breakdowns).expect("Markdown"));
}

#[test]
fn time_by_shape_and_by_activation() {
    let mut record = record();
    for v in &mut record.variants {
        for o in &mut v.ops {
            let outer = o.node.contains("model.0");
            o.outputs = vec![if outer { "1x32x320x320xf32" } else { "1x64x160x160xf32" }.into()];
        }
    }
    let breakdowns = Breakdowns { by: vec![By::Shape, By::Activation], ..Breakdowns::default() };
    let text = table(&record, &breakdowns);
    insta::assert_snapshot!(text.split_once("mean ms by shape").map_or("", |(_, text)| text));
}

/// Cells of every row, with quotes undone: RFC 4180, read independently of how it is written.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut cell, mut quoted) = (vec![vec![]], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',' | '\n', false) => {
                rows.last_mut().expect("a row").push(std::mem::take(&mut cell));
                if c == '\n' {
                    rows.push(vec![]);
                }
            }
            _ => cell.push(c),
        }
    }
    assert!(!quoted && rows.pop().is_some_and(|last| last.is_empty()), "the last line is ended");
    rows
}

/// The cells of one column in the rows of one sort.
fn column(csv: &[Vec<String>], row: &str, name: &str) -> Vec<String> {
    let at = |name: &str| csv[0].iter().position(|title| title == name).expect("a column");
    csv[1..].iter().filter(|r| r[at("row")] == row).map(|r| r[at(name)].clone()).collect()
}

const HOSTILE: &str = "a,b \"c\"\nd|`e`\r\\ <b>*x*</b>";

#[test]
fn csv_has_one_header_full_figures_and_whole_names() {
    let mut record = record();
    record.variants[0].ops[0].node = HOSTILE.into();
    record.variants[0].ops.iter_mut().for_each(|o| o.fork_mean_ns = vec![o.mean_ns]);
    let by = vec![By::Type, By::Op, By::Site, By::Shape, By::Activation];
    let named = super::NamedRecord { name: "r.json", record: &record };
    let breakdowns = Breakdowns { top: 1, by, ..Breakdowns::default() };
    let text = super::records(&[named, named], Format::Csv, &breakdowns).expect("CSV");
    let csv = read_csv(&text);
    assert!(csv.iter().all(|row| row.len() == csv[0].len()), "{text}");
    assert_eq!(column(&csv, "variant", "p50_ns")[..3], ["325100000", "374200000", "317200000"]);
    assert_eq!(column(&csv, "variant", "ratio")[..3], ["", "1.151", "0.976"]);
    assert_eq!(column(&csv, "variant", "record"), ["r.json"; 6]);
    assert_eq!(column(&csv, "op", "node")[0], HOSTILE);
    assert_eq!(column(&csv, "op", "mean_ns")[0], "120000000");
    assert_eq!(column(&csv, "site", "folded")[..6], ["0", "0", "0", "0", "0", "1"]);
    assert_eq!(column(&csv, "site", "mean_ns")[3..6], ["40000000", "20000000", ""]);
    assert_eq!(column(&csv, "activation", "count")[..2], ["3", "3"]);
    assert_eq!(column(&csv, "type", "op")[..3], ["OptMatMul", "Reshape", "Silu"]);
    insta::assert_snapshot!("the_columns_of_a_records_csv", csv[0].join("\n"));

    record.environment.emulated = true;
    let csv = read_csv(&render(&record, Format::Csv, &Breakdowns::default()).expect("CSV"));
    assert!(column(&csv, "variant", "p50_ns").iter().all(String::is_empty), "an emulator's times");
}

#[test]
fn csv_of_a_comparison_has_one_row_a_thing() {
    let base = with_forks(record(), &[1001, 996, 999, 1003, 1002, 997, 1004, 998]);
    let mut new = newer();
    new.variants[1].name = HOSTILE.into();
    new.environment.cpu = Some(HOSTILE.into());
    let mut old = base.clone();
    old.environment.cpu = Some("plain".into());
    let text = super::comparison(&compared(&old, &new, Some("5%")), Format::Csv, 1).expect("CSV");
    let csv = read_csv(&text);
    assert!(csv.iter().all(|row| row.len() == csv[0].len()), "{text}");
    assert_eq!(column(&csv, "variant", "verdict"), ["slower", "none", ""]);
    assert_eq!(column(&csv, "variant", "outcome"), ["regression", "within", "missing"]);
    assert_eq!(column(&csv, "variant", "difference_ns"), ["74840000", "0", ""]);
    assert!(column(&csv, "difference", "new_value").contains(&HOSTILE.into()));
    assert!(column(&csv, "op", "verdict").iter().all(String::is_empty), "attribution has no verdict");
    assert!(column(&csv, "op", "joined_by").contains(&"shape".into()), "{text}");
    insta::assert_snapshot!("the_columns_of_a_comparisons_csv", csv[0].join("\n"));
}

#[test]
fn hostile_names_break_no_markdown_table() {
    let mut record = record();
    record.variants[1].name = HOSTILE.into();
    record.variants[1].error = Some(format!("node {HOSTILE}"));
    record.variants[0].ops[0].node = HOSTILE.into();
    record.environment.warnings = vec![HOSTILE.into()];
    let text = render(&record, Format::Markdown, &Breakdowns::default()).expect("Markdown");
    for (at, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let above = text.lines().nth(at - 1).filter(|above| above.starts_with('|'));
        if let Some(above) = above {
            assert_eq!(above.matches('|').count(), line.matches('|').count(), "{above}\n{line}");
        }
    }
    assert!(!text.contains("<b>") && !text.contains("*x*"), "{text}");
}

#[test]
fn cold_starts_and_steadiness_have_their_tables() {
    let mut record = with_forks(record(), &[1000, 1010, 990]);
    for (i, fork) in record.variants.iter_mut().flat_map(|v| v.forks.iter_mut()).enumerate() {
        (fork.load_ns, fork.optimise_ns) = (80_000_000 + i as u64, 210_000_000);
        fork.first_run_ns = 390_000_000;
        (fork.loaded_rss_bytes, fork.first_run_rss_bytes) = (Some(61_000_000), Some(95_000_000));
    }
    (record.settings.starting_ns, record.settings.elapsed_ns) = (Some(9_000_000_000), Some(40_000_000_000));
    for variant in &mut record.variants {
        // Others that loaded at the same time disturbed it.
        let fork = &mut variant.forks[2];
        (fork.started_together, fork.load_ns, fork.first_run_ns) = (true, 900_000_000, 900_000_000);
    }
    record.variants[0].steadiness = Some(crate::record::Steadiness {
        runs: 240,
        outliers_mild: 7,
        outliers_severe: 2,
        drift: Some(1.021),
        drift_interval: Some([1.013, 1.029]),
        autocorrelation: Some(0.31),
    });
    let tables = [super::cold_start::section(&record), super::steadiness::section(&record)];
    insta::assert_snapshot!(Text.document(&tables));
}
