//! Machines as they are: a verdict must be right on one that drifts, throttles, has its good and bad processes or is
//! disturbed, and say what it was like.

use super::world::{Climate, Fake, World, measurement, planned};
use super::*;

const DAYS: u64 = 60;

/// When a machine gets too hot.
const NOON: Duration = Duration::from_secs(13);

/// A measurement of two variants of which the second takes so many times as long.
fn measured_on(day: u64, climate: Climate, ratio: f64, time: u64) -> Record {
    measured_with(10 * MS, day, climate, ratio, time)
}

fn measured_with(ns: u64, day: u64, climate: Climate, ratio: f64, time: u64) -> Record {
    let ns = ns as f64;
    let world = World::on_day(&[ns as u64, (ns * ratio) as u64], climate, day * 7919 + 1);
    let two = Measurement {
        variants: vec![planned("original", Role::Original), planned("mish", Role::Swap)].into(),
        time: Duration::from_secs(time),
        ..measurement()
    };
    measure_by(&world, &two, None, &Fake(Rc::clone(&world)), &mut Silent, &Interrupt::default())
        .expect("measured")
}

fn verdict(record: &Record) -> Verdict {
    record.variants[1].delta.as_ref().expect("compared").verdict
}

/// Days on which a difference was called, of a model that takes so long.
fn called_of(ns: u64, climate: Climate, ratio: f64) -> usize {
    let calls = |day: &u64| {
        matches!(verdict(&measured_with(ns, *day, climate, ratio, 30)), Verdict::Slower | Verdict::Faster)
    };
    (0..DAYS).filter(calls).count()
}

fn called(climate: Climate, ratio: f64) -> usize {
    called_of(10 * MS, climate, ratio)
}

const CLIMATES: [Climate; 7] = [
    Climate::Usual,
    Climate::Odd,
    Climate::Warming(2e-4),
    Climate::TwoModes,
    Climate::Waves,
    Climate::Throttled(NOON),
    Climate::Interrupted,
];

#[test]
fn the_same_model_twice_gives_no_verdict_whatever_the_machine_does() {
    for climate in CLIMATES {
        let wrong = called(climate, 1.0);
        assert!(wrong <= 3, "{climate:?}: {wrong} false verdicts on {DAYS} days");
    }
}

#[test]
fn two_per_cent_are_seen_on_a_machine_that_is_not_made_of_two() {
    for climate in CLIMATES.into_iter().filter(|c| *c != Climate::TwoModes) {
        let right = called(climate, 1.02);
        assert!(right >= 51, "{climate:?}: seen on {right} of {DAYS} days");
    }
    // Where processes differ by a fifth among each other, an honest interval is wide.
    let record = measured_on(1, Climate::TwoModes, 1.02, 30);
    let seen = record.variants[1].delta.as_ref().and_then(|d| d.resolution).expect("eight forks");
    assert!(seen > 0.05, "±{seen}");
}

#[test]
fn a_slow_model_has_as_many_false_verdicts_and_two_per_cent_are_seen_of_it_too() {
    for climate in CLIMATES {
        let wrong = called_of(250 * MS, climate, 1.0);
        assert!(wrong <= 3, "{climate:?}: {wrong} false verdicts on {DAYS} days");
    }
    for climate in [Climate::Usual, Climate::Warming(2e-4), Climate::Waves, Climate::Throttled(NOON)] {
        let right = called_of(250 * MS, climate, 1.02);
        assert!(right >= 45, "{climate:?}: seen on {right} of {DAYS} days");
    }
}

#[test]
fn the_record_says_what_the_machine_was_like() {
    let warning = |record: &Record, part: &str| record.environment.warnings.iter().any(|w| w.contains(part));
    let steadiness = |record: &Record| record.variants[0].steadiness.expect("runs");
    let calm = measured_on(2, Climate::Usual, 1.1, 30);
    assert!(!warning(&calm, "drift") && !warning(&calm, "settled"), "{:?}", calm.environment.warnings);
    assert!(steadiness(&calm).autocorrelation.expect("runs").abs() < 0.2);

    let warming = measured_on(2, Climate::Warming(2e-3), 1.1, 30);
    assert!(warning(&warming, "run times drift from the first third of a fork to the last"));
    let drift = steadiness(&warming);
    assert!(drift.drift > Some(1.05) && drift.drift_interval.is_some_and(|[low, _]| low > 1.0), "{drift:?}");

    let waves = measured_on(2, Climate::Waves, 1.1, 30);
    assert!(steadiness(&waves).autocorrelation.expect("runs") > 0.5);

    let disturbed = steadiness(&measured_on(2, Climate::Interrupted, 1.1, 30));
    let share = (disturbed.outliers_mild + disturbed.outliers_severe) as f64 / disturbed.runs as f64;
    assert!((0.05..0.15).contains(&share), "one in ten: {disturbed:?}");

    let throttled = measured_on(2, Climate::Throttled(Duration::from_secs(13)), 1.1, 30);
    assert!(warning(&throttled, "between forks"), "{:?}", throttled.environment.warnings);
}

#[test]
fn odd_processes_are_no_part_of_what_ops_take() {
    let mut odd = 0;
    for day in 0..8 {
        let record = measured_on(day, Climate::Odd, 1.0, 30);
        for variant in &record.variants {
            // Three quarters of 10 ms, give or take what a fork does to all.
            let mean = variant.ops[0].mean_ns as f64 / (7.53 * MS as f64);
            assert!((mean - 1.0).abs() < 0.1, "day {day}: {mean}");
        }
        odd += usize::from(record.environment.warnings.iter().any(|w| w.contains("all their life long")));
    }
    assert!(odd > 1, "there were such days: {odd}");
}
