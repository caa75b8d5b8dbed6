//! The first screen, kept as files beside this one.

use super::fixture::{MS, delta, record};
use super::screen::LINES;
use super::text::{PAGE, width};
use super::{Breakdowns, By, Format, render};
use crate::random::SplitMix64;
use crate::record::{Engine, Fork, Lowering, Op, Record, Role, Variant, Verdict, read};

fn screen(record: &Record) -> String {
    let text = render(record, Format::Table, &Breakdowns { at_a_glance: true, ..Breakdowns::default() });
    let text = text.expect("a screen");
    assert!(text.lines().all(|line| width(line) <= PAGE), "{text}");
    text
}

/// As `profile yolov5s --act mish` measures it.
fn main_job() -> Record {
    let mut record = record();
    let mut kernel = record.variants[1].clone();
    kernel.name = "mish, kernel".into();
    kernel.lowering = Lowering::Kernel;
    kernel.delta = delta(0.998, 0.966, 1.031, Verdict::Inconclusive);
    record.variants.insert(2, kernel);
    record
}

#[test]
fn the_main_job_fits_a_screen() {
    let text = screen(&main_job());
    assert!(text.lines().count() <= LINES, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_screen_that_the_readme_shows_is_that_of_its_measurement() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |file: &str| std::fs::read_to_string(format!("{root}/{file}")).expect("read");
    let measured = read::record(read("tests/fixtures/documents/yolov5s.json").as_bytes()).expect("a record");
    let text = screen(&measured);
    let (shown, _) = text.split_once("\n\nmean ms by type").expect("where the time goes");
    assert!(read("README.md").contains(&format!("```\n{shown}\n```\n")), "{shown}");
}

#[test]
fn what_decides_nothing_says_what_to_do() {
    let mut record = main_job();
    for variant in &mut record.variants {
        let blind = delta(1.3, 0.1, 90.0, Verdict::Inconclusive);
        variant.delta = variant.delta.take().and(blind);
        if let Some(cost) = &mut variant.activation_cost {
            cost.interval = Some([-900 * MS as i64, 900 * MS as i64]);
        }
    }
    insta::assert_snapshot!(screen(&record));
}

#[test]
fn a_control_that_differs_does_not_make_noise_worth_a_table() {
    let mut record = main_job();
    for variant in record.variants.iter_mut().filter(|v| v.role == Role::Swap) {
        variant.delta = delta(1.3, 0.1, 90.0, Verdict::Inconclusive);
    }
    assert!(record.variants.iter().any(|v| v.role == Role::Control && v.delta.is_some()));
    assert!(!screen(&record).contains("by type"), "operators of variants that can't be told apart");
}

#[test]
fn means_that_are_far_above_the_medians_beside_them_are_explained() {
    let mut record = main_job();
    assert!(!screen(&record).contains("held up"));
    for op in &mut record.variants[1].ops {
        op.mean_ns *= 3;
    }
    let text = screen(&record);
    assert!(text.contains("up to 3.0 times the medians above: means count runs that were held up"), "{text}");
}

/// Forks of two runs each that take so long in ms.
fn forks(of: &[f64]) -> Vec<Fork> {
    let run = |ms: &f64| vec![(ms * MS as f64) as u64; 2];
    let fork = |(at, ms)| Fork { number: Some(at), rounds: vec![run(ms)], ..Fork::default() };
    of.iter().enumerate().map(fork).collect()
}

#[test]
fn times_have_the_digits_that_the_forks_agree_in() {
    let mut record = main_job();
    let median = record.variants[0].latency.expect("measured").p50_ns as f64 / MS as f64;
    let cell = |record: &Record| {
        let text = screen(record);
        let line = text.lines().find(|line| line.starts_with("original (silu)")).expect("its row");
        line.split_whitespace().nth(2).expect("p50").to_owned()
    };
    record.variants[0].forks = forks(&[median - 0.1, median, median + 0.1]);
    assert_eq!(cell(&record), format!("{median:.1}"));
    record.variants[0].forks = forks(&[median - 20.0, median, median + 20.0]);
    assert_eq!(cell(&record), format!("{median:.0}"));
}

#[test]
fn operators_have_the_digits_that_the_forks_agree_in() {
    let mut record = main_job();
    let ops = &mut record.variants[0].ops;
    ops.retain(|op| op.op != "OptMatMul" || op.index == 0);
    let ms = |ops: &[Op]| ops[0].mean_ns as f64 / MS as f64;
    let mean = ms(ops);
    let shown = |record: &Record| {
        let text = screen(record);
        let line = text.lines().find(|line| line.starts_with("OptMatMul")).expect("its type");
        line.split_whitespace().nth(1).expect("a mean").to_owned()
    };
    assert_eq!(shown(&record), format!("{mean:.1}"));
    let far = [mean - 20.0, mean, mean + 20.0].map(|ms| (ms * MS as f64) as u64);
    record.variants[0].ops[0].fork_mean_ns = far.to_vec();
    assert_eq!(shown(&record), format!("{mean:.0}"));
    let whole = Breakdowns { by: vec![By::Op], ..Breakdowns::default() };
    let text = render(&record, Format::Table, &whole).expect("a report");
    let row = text.lines().find(|line| line.starts_with("OptMatMul")).expect("its row");
    let share = row.split_whitespace().find(|word| word.ends_with('%')).expect("a share");
    assert!(!share.contains('.'), "{row}");
}

#[test]
fn what_keeps_the_limit_that_was_asked_for_is_not_inconclusive() {
    let mut record = main_job();
    record.variants.truncate(2);
    record.variants[1].delta = delta(1.02, 0.5, 1.6, Verdict::Inconclusive);
    record.settings.max_regression = Some(1.0);
    let text = screen(&record);
    assert!(text.contains("mish as exported is not slower than silu by more than 100%"), "{text}");
    assert!(!text.contains("Inconclusive") && !text.contains("Give more"), "{text}");
    let whole = render(&record, Format::Table, &Breakdowns::default()).expect("a report");
    assert!(whole.contains("by more than 100%") && !whole.contains("nconclusive: mish"), "{whole}");
    record.settings.max_regression = Some(0.05);
    assert!(screen(&record).contains("Inconclusive, since"), "the limit is open");
}

#[test]
fn many_mixes_push_no_warning_off_the_screen() {
    let mut record = main_job();
    let swap = record.variants[1].clone();
    record.variants.truncate(1);
    record.environment.warnings = vec!["busy machine".into()];
    record.variants.extend((1..7).map(|n| {
        let rule = format!("front-{n}: relu, {}", format!("/model.{n}/cv1/act/Mul=silu, ").repeat(8));
        Variant {
            name: format!("front-{n}, exported"),
            rule: rule.trim_end_matches(", ").into(),
            ..swap.clone()
        }
    }));
    let text = screen(&record);
    assert!(text.contains("5 more mixes: oplat report shows them"), "{text}");
    assert!(text.contains("! busy machine") && text.contains("accuracy does not"), "{text}");
}

#[test]
fn engines_stand_side_by_side() {
    let mut record = main_job();
    let in_engine = |variant: &Variant, id: &str| {
        let mut variant = variant.clone();
        variant.name = format!("{}, {id}", variant.name);
        variant.engine = id.into();
        if let Some(delta) = &mut variant.delta {
            delta.against = format!("original, {id}");
        }
        variant
    };
    let tract: Vec<Variant> = record.variants.iter().map(|v| in_engine(v, "tract")).collect();
    let mut ort: Vec<Variant> = record.variants.iter().map(|v| in_engine(v, "ort")).collect();
    for variant in &mut ort {
        variant.across = delta(0.52, 0.513, 0.528, Verdict::Faster);
    }
    let slower = ort.iter_mut().find(|v| v.role == Role::Swap).expect("a swap");
    slower.delta = delta(3.42, 3.31, 3.54, Verdict::Slower);
    slower.across = delta(1.58, 1.51, 1.66, Verdict::Slower);
    record.variants = tract.into_iter().chain(ort).collect();
    let library = Engine {
        id: "ort".into(),
        name: "ONNX Runtime".into(),
        version: "1.32.0".into(),
        ..Engine::default()
    };
    record.engines = vec![Engine { id: "tract".into(), ..record.engine.clone() }, library];
    let text = screen(&record);
    assert!(text.lines().count() <= LINES, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_model_alone_shows_where_its_time_goes() {
    let mut record = record();
    record.variants.truncate(1);
    insta::assert_snapshot!(screen(&record));
}

#[test]
fn an_emulator_shows_no_times() {
    let mut record = main_job();
    record.environment.emulated = true;
    insta::assert_snapshot!(screen(&record));
}

/// A record as bad as can be: everything that a screen may have to say, in names of any length.
fn worst(seed: u64, variants: usize, engines: usize, failed: usize, names: &str) -> Record {
    let mut record = main_job();
    let mut random = SplitMix64::new(seed);
    let long = |n: usize| names.repeat(n / names.chars().count().max(1) + 1);
    record.model.name = long(120);
    record.model.source = long(400);
    record.model.inputs = vec![record.model.inputs[0].clone(); 40];
    record.environment.warnings = (0..25).map(|n| format!("{n}: {}", long(700))).collect();
    record.environment.target = long(90);
    record.environment.affinity = (0..64).map(|cpu| 2 * cpu).collect();
    let swap = record.variants[1].clone();
    record.variants.truncate(1);
    for number in 0..variants {
        let mut variant = swap.clone();
        variant.name = format!("{}{number}, exported", long(60));
        variant.rule = format!("{}{number}", long(60));
        let ratio = f64::exp(8.0 * random.unit(53) - 4.0);
        let spread = f64::exp(random.unit(53).powi(3) * 6.0) - 1.0;
        let verdicts = [Verdict::Slower, Verdict::Faster, Verdict::None, Verdict::Inconclusive];
        let verdict = verdicts[(random.unit(53) * 4.0) as usize % 4];
        variant.delta = delta(ratio, ratio / (1.0 + spread), ratio * (1.0 + spread), verdict);
        if number < failed {
            variant.error = Some(long(900));
            if number % 2 == 0 {
                (variant.latency, variant.delta) = (None, None);
            }
        }
        record.variants.push(variant);
    }
    if engines > 1 {
        let mut of = |id: &str| {
            let mut all = record.variants.clone();
            for variant in &mut all {
                variant.name = format!("{}, {id}", variant.name);
                variant.engine = id.into();
                variant.across = delta(1234.5, 0.001, 9e9, Verdict::Slower).filter(|_| id == "ort");
                if let Some(latency) = &mut variant.latency {
                    latency.p50_ns = (random.unit(53) * 1e12) as u64;
                }
            }
            all
        };
        let (tract, ort) = (of("tract"), of("ort"));
        record.variants = tract.into_iter().chain(ort).collect();
        let library = Engine { id: "ort".into(), name: long(50), version: long(50), ..Engine::default() };
        record.engines = vec![Engine { id: "tract".into(), ..record.engine.clone() }, library];
    }
    record
}

#[test]
fn a_screen_is_a_screen_however_bad_it_is() {
    for seed in 0..8 {
        for (variants, failed) in [(1, 0), (1, 1), (3, 1), (4, 4), (9, 3), (30, 0), (72, 40)] {
            for names in ["long-name", "a word ", "活性化関数", "|\u{202e}<b>", "x"] {
                let engines = 1 + seed as usize % 2;
                let mut record = worst(seed, variants, engines, failed, names);
                record.environment.emulated = seed % 3 == 0;
                let text = screen(&record);
                assert!(
                    text.lines().count() <= LINES,
                    "{} lines of {variants} variants:\n{text}",
                    text.lines().count()
                );
                let rows = text.lines().filter(|line| line.contains("ms")).count();
                assert!(rows > 0 || record.environment.emulated || failed >= variants, "{text}");
            }
        }
    }
}

#[test]
fn many_variants_are_counted_before_the_first_ones_are_told() {
    let mut record = main_job();
    let swap = record.variants[1].clone();
    record.variants.extend((0..12).map(|n| Variant { name: format!("act{n}, exported"), ..swap.clone() }));
    insta::assert_snapshot!(screen(&record));
}
