//! The record, from what was planned and what was measured.

use std::time::{Duration, SystemTime};

use super::claims;
use super::figures::{self, interval};
use super::plan::{Effort, Plan, Planned};
use super::session::{Raw, RawEngine, RawRow};
use crate::environment;
use crate::record::bench::{Bench, Claim, Growth, LeftOut, Memcpy, Row, SCHEMA, Settings, Turns};
use crate::record::{Engine, Environment};
use crate::units;

/// Bytes of a float.
const FLOAT: u64 = 4;

/// Steps of the clock below which a batch is too short.
const STEPS: u64 = 50;

pub fn record(
    plan: &Plan,
    raw: Raw,
    environment: Environment,
    started: SystemTime,
    elapsed: Duration,
) -> Bench {
    let settings = settings(plan, &raw, elapsed);
    let warnings = warnings(plan, &raw, environment.timer_ns);
    let planned = || plan.rows.iter().zip(&raw.rows);
    let memcpy: Vec<Memcpy> = planned()
        .filter(|(planned, _)| planned.solo.activation.is_none())
        .filter_map(|(planned, row)| copy(plan, planned, row))
        .collect();
    let mut rows: Vec<Row> =
        planned().filter_map(|(planned, measured)| row(plan, planned, measured)).collect();
    relate(&mut rows, &memcpy, plan.confidence);
    let engines = engines(plan, &raw);
    let left_out = planned().filter_map(|(Planned { engine, solo }, row)| {
        Some(LeftOut {
            activation: solo.activation.clone()?,
            engine: plan.label(*engine),
            lowering: solo.lowering,
            elements: solo.elements(),
            reason: row.ready.error.clone()?,
        })
    });
    Bench {
        schema: SCHEMA.into(),
        oplat: environment::this_program(),
        started_at: environment::rfc3339(started),
        command: plan.command.clone(),
        growth: growth(&rows, plan.confidence),
        claims: claims_of(plan, &raw, &rows),
        left_out: left_out.collect(),
        engine: engines.first().cloned().unwrap_or_default(),
        engines: if engines.len() > 1 { engines } else { vec![] },
        environment,
        settings,
        memcpy,
        rows,
        warnings,
    }
}

/// The engines as they described themselves, under the labels that rows have.
fn engines(plan: &Plan, raw: &Raw) -> Vec<Engine> {
    let engine = |(at, raw): (usize, &RawEngine)| Engine { id: plan.label(at), ..raw.engine.clone() };
    raw.engines.iter().enumerate().map(engine).collect()
}

/// What the study says, in each engine by itself.
fn claims_of(plan: &Plan, raw: &Raw, rows: &[Row]) -> Vec<Claim> {
    let in_engine = |(at, engine): (usize, &RawEngine)| {
        let label = plan.label(at);
        let rows: Vec<Row> = rows.iter().filter(|row| row.engine == label).cloned().collect();
        let claims = claims::claims(&rows, &plan.lowerings, engine.operator_ns, plan.confidence);
        claims.into_iter().map(|claim| Claim { engine: label.clone(), ..claim }).collect::<Vec<_>>()
    };
    raw.engines.iter().enumerate().flat_map(in_engine).collect()
}

fn settings(plan: &Plan, raw: &Raw, elapsed: Duration) -> Settings {
    let (forwards, time) = match plan.effort {
        Effort::Forwards(n) => (Some(n), None),
        Effort::Time(time) => (None, Some(time.as_nanos() as u64)),
    };
    Settings {
        seed: plan.seed,
        forks: raw.forks,
        forks_wanted: plan.forks,
        rounds: raw.rows.iter().map(rounds).find(|rounds| !rounds.is_empty()).unwrap_or_default(),
        forwards,
        time_limit_ns: time,
        elapsed_ns: elapsed.as_nanos() as u64,
        denormals: plan.denormals,
        isa: plan.isa.clone(),
        threads: 1,
        confidence: plan.confidence,
        inputs: "standard normal".into(),
        cache_bytes: raw.cache_bytes,
        clock_ns: raw.clock_ns,
        operator_ns: raw.engines.iter().find_map(|engine| engine.operator_ns),
        run_ns: raw.engines.iter().find_map(|engine| engine.run_ns),
        interrupted: raw.ended.is_some(),
    }
}

/// Turns of a row in each fork.
fn rounds(row: &RawRow) -> Vec<usize> {
    row.turns.forks.iter().map(Vec::len).filter(|&rounds| rounds > 0).collect()
}

fn copy(plan: &Plan, Planned { engine, solo }: &Planned, row: &RawRow) -> Option<Memcpy> {
    let elements = solo.elements();
    let time = figures::per_element(&row.turns, elements, plan.confidence)?;
    Some(Memcpy {
        engine: plan.label(*engine),
        elements,
        ns_per_element: time.point,
        interval: interval(&time),
        gb_per_s: (2 * FLOAT) as f64 / time.point,
        turns: row.turns.clone(),
    })
}

/// A row without its ratios to others; `None` for a copy and for what couldn't be measured.
fn row(plan: &Plan, Planned { engine, solo }: &Planned, raw: &RawRow) -> Option<Row> {
    let RawRow { ready, turns, in_place } = raw;
    let elements = solo.elements();
    let activation = solo.activation.clone()?;
    let time = figures::per_element(turns, elements, plan.confidence)?;
    let bytes = (FLOAT * (elements + ready.output_elements)) as f64;
    Some(Row {
        activation,
        engine: plan.label(*engine),
        lowering: solo.lowering,
        elements,
        shape: solo.shape.clone(),
        ns_per_element: time.point,
        interval: interval(&time),
        gb_per_s: bytes / (time.point * elements.max(1) as f64),
        ratio_to_memcpy: None,
        memcpy_interval: None,
        ratio_to_relu: None,
        relu_interval: None,
        across: None,
        across_interval: None,
        kernel: kernel(&ready.plain_ops, ready.isa.is_some()),
        isa: ready.isa.clone(),
        ops: ready.ops.clone(),
        output_elements: ready.output_elements,
        output_bytes: ready.output_bytes,
        scratch_bytes: ready.scratch_bytes,
        output: ready.output,
        largest_error: ready.largest_error,
        forwards: forwards(turns),
        turns: turns.clone(),
        in_place: in_place.clone(),
    })
}

fn forwards(turns: &Turns) -> u64 {
    let all: usize = turns.forks.iter().map(Vec::len).sum();
    all as u64 * u64::from(turns.batch) * u64::from(turns.batches)
}

/// What computed it, in a few words: `5 ops: Exp Add Ln Tanh Mul`, `oplat.mish` for a kernel of ours.
fn kernel(ops: &[String], own: bool) -> String {
    match ops {
        [one] if own => format!("oplat.{one}"),
        _ => format!("{}: {}", units::count(ops.len(), "op"), ops.join(" ")),
    }
}

/// Works out the ratios to the copy and to relu of the same size and engine (and lowering, where relu has it), and to the same
/// in the first engine.
fn relate(rows: &mut [Row], memcpy: &[Memcpy], confidence: f64) {
    let all = rows.to_vec();
    let first_engine = all.first().map_or("", |row| &row.engine);
    for row in rows {
        let copy = memcpy.iter().find(|copy| copy.elements == row.elements && copy.engine == row.engine);
        let of_size = || all.iter().filter(|other| other.elements == row.elements);
        let mut relus = of_size().filter(|r| r.activation == "relu" && r.engine == row.engine);
        // Of the same lowering, if there is one; else the first.
        let first = relus.clone().next();
        let relu = relus.find(|relu| relu.lowering == row.lowering).or(first);
        let same = |other: &&Row| other.activation == row.activation && other.lowering == row.lowering;
        let counterpart = of_size().find(|other| other.engine == first_engine && same(other));
        let against = |base: Option<&Turns>| figures::ratio(&row.turns, base?, confidence);
        let (to_copy, to_relu) = (against(copy.map(|c| &c.turns)), against(relu.map(|r| &r.turns)));
        let across = counterpart.filter(|_| row.engine != first_engine);
        let across = against(across.map(|other| &other.turns));
        (row.across, row.across_interval) = (across.map(|e| e.point), across.as_ref().and_then(interval));
        (row.ratio_to_memcpy, row.memcpy_interval) =
            (to_copy.map(|e| e.point), to_copy.as_ref().and_then(interval));
        (row.ratio_to_relu, row.relu_interval) =
            (to_relu.map(|e| e.point), to_relu.as_ref().and_then(interval));
    }
}

/// Each row's largest size against its smallest.
fn growth(rows: &[Row], confidence: f64) -> Vec<Growth> {
    let Some(smallest) = rows.iter().map(|row| row.elements).min() else { return vec![] };
    let largest = |row: &&Row| {
        let same = |other: &&Row| {
            (&other.activation, &other.engine, other.lowering) == (&row.activation, &row.engine, row.lowering)
        };
        rows.iter().filter(same).max_by_key(|other| other.elements)
    };
    let of = |row: &Row| {
        let to = largest(&row).filter(|to| to.elements > row.elements)?;
        let ratio = figures::ratio(&to.turns, &row.turns, confidence)?;
        Some(Growth {
            activation: row.activation.clone(),
            engine: row.engine.clone(),
            lowering: row.lowering,
            from_elements: row.elements,
            to_elements: to.elements,
            ratio: ratio.point,
            interval: interval(&ratio),
            linear: to.elements as f64 / row.elements as f64,
        })
    };
    rows.iter().filter(|row| row.elements == smallest).filter_map(of).collect()
}

fn warnings(plan: &Plan, raw: &Raw, timer_ns: u64) -> Vec<String> {
    let mut warnings = vec![];
    if let Some(why) = &raw.ended {
        let missing =
            (raw.forks < plan.forks).then(|| format!(": only {} of {} forks count", raw.forks, plan.forks));
        warnings.push(format!("{why}{}", missing.unwrap_or_default()));
    }
    if raw.forks < 2 {
        warnings.push("one fork gives no intervals: give more --forks".into());
    }
    let is_short = |row: &RawRow| {
        row.turns.forks.iter().flatten().min().is_some_and(|&shortest| shortest < STEPS * timer_ns)
    };
    let short = raw.rows.iter().enumerate().filter(|(_, row)| is_short(row));
    let short: Vec<String> = short.map(|(at, _)| plan.name(at)).collect();
    if let Some(first) = short.first() {
        let rows = match short.len() {
            1 => first.clone(),
            n => format!("{first} and {} more", units::integer(n as u64 - 1)),
        };
        warnings.push(format!(
            "timed in batches of less than {STEPS} clock steps: {rows}; small differences between such mean nothing"
        ));
    }
    warnings
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::figures::tests::turns;
    use super::*;
    use crate::record::Lowering;
    use crate::record::bench::Values;

    pub fn row(activation: &str, lowering: Lowering, elements: u64) -> Row {
        Row {
            activation: activation.into(),
            engine: String::new(),
            lowering,
            elements,
            shape: vec![1, elements as usize],
            ns_per_element: 1.0,
            interval: None,
            gb_per_s: 8.0,
            ratio_to_memcpy: None,
            memcpy_interval: None,
            ratio_to_relu: None,
            relu_interval: None,
            across: None,
            across_interval: None,
            kernel: String::new(),
            isa: None,
            ops: vec![],
            output_elements: elements,
            output_bytes: None,
            scratch_bytes: None,
            output: Values::default(),
            largest_error: None,
            forwards: 0,
            turns: Turns::default(),
            in_place: None,
        }
    }

    #[test]
    fn rows_are_related_to_the_copy_and_the_relu_of_their_size() {
        let timed = |activation: &str, elements, ns| Row {
            turns: turns(ns, &[100, 102, 98]),
            ..row(activation, Lowering::Exported, elements)
        };
        let mut rows = vec![
            timed("relu", 8, 200),
            timed("mish", 8, 900),
            timed("relu", 64, 800),
            timed("mish", 64, 8000),
        ];
        let copy = Memcpy {
            engine: String::new(),
            elements: 64,
            ns_per_element: 1.0,
            interval: None,
            gb_per_s: 8.0,
            turns: turns(400, &[100, 102, 98]),
        };
        relate(&mut rows, &[copy], 0.99);
        assert_eq!(rows[0].ratio_to_relu, Some(1.0));
        assert!((rows[1].ratio_to_relu.unwrap() - 4.5).abs() < 1e-2 && rows[1].ratio_to_memcpy.is_none());
        assert!((rows[3].ratio_to_relu.unwrap() - 10.0).abs() < 1e-2);
        assert!((rows[3].ratio_to_memcpy.unwrap() - 20.0).abs() < 1e-2);
        let growth = growth(&rows, 0.99);
        assert_eq!(growth.len(), 2);
        assert!((growth[1].ratio - 80.0 / 9.0).abs() < 1e-2 && growth[1].linear == 8.0);
    }

    #[test]
    fn engines_are_related_to_their_own_and_across_to_the_first() {
        let timed = |activation: &str, engine: &str, ns| Row {
            engine: engine.into(),
            turns: turns(ns, &[100, 102, 98]),
            ..row(activation, Lowering::Exported, 8)
        };
        let mut rows = vec![
            timed("relu", "tract", 200),
            timed("relu", "ort", 400),
            timed("mish", "tract", 800),
            timed("mish", "ort", 1200),
        ];
        let copy = |engine: &str, ns| Memcpy {
            engine: engine.into(),
            elements: 8,
            ns_per_element: 1.0,
            interval: None,
            gb_per_s: 8.0,
            turns: turns(ns, &[100, 102, 98]),
        };
        relate(&mut rows, &[copy("tract", 100), copy("ort", 300)], 0.99);
        let near = |figure: Option<f64>, expected: f64| (figure.unwrap() / expected - 1.0).abs() < 1e-2;
        assert!(near(rows[3].ratio_to_relu, 3.0) && near(rows[3].ratio_to_memcpy, 4.0), "{rows:?}");
        assert!(near(rows[1].across, 2.0) && near(rows[3].across, 1.5), "{rows:?}");
        assert!(rows[0].across.is_none() && rows[2].across.is_none());
    }

    #[test]
    fn what_computed_a_row_is_said_in_a_few_words() {
        let ops = ["Exp", "Add", "Mul+Sub"].map(String::from);
        assert_eq!(kernel(&ops, false), "3 ops: Exp Add Mul+Sub");
        assert_eq!(kernel(&ops[1..2], false), "1 op: Add");
        assert_eq!(kernel(&["mish".to_owned()], true), "oplat.mish");
    }
}
