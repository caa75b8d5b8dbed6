//! The first screen, kept as files beside this one.

use super::fixture::{delta, record};
use super::text::{PAGE, width};
use super::{Breakdowns, Format, render};
use crate::record::{Engine, Lowering, Record, Role, Variant, Verdict};

/// Lines that a screen holds, with the command above and a line on where there is more below.
const LINES: usize = 28;

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
fn what_decides_nothing_says_what_to_do() {
    let mut record = main_job();
    for variant in &mut record.variants {
        let blind = delta(1.3, 0.1, 90.0, Verdict::Inconclusive);
        variant.delta = variant.delta.take().and(blind);
    }
    insta::assert_snapshot!(screen(&record));
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
