//! Forks whose workers are made ready at the same time.

use super::*;
use crate::measure::raw::{Raw, RawFork};

/// The record, and the most workers that were loading at once.
fn with_cpus(ready_on: &[usize], world: Rc<World>, measurement: &Measurement) -> (Record, usize) {
    world.ready_on.replace(ready_on.to_vec());
    let fake = Fake(Rc::clone(&world));
    let record = measure_by(&world, measurement, None, &fake, &mut Silent, &Interrupt::default());
    assert_eq!(world.alive.get(), 0, "a worker was left behind");
    (record.expect("measured"), world.most_loading.get())
}

fn usual() -> Rc<World> {
    World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None)
}

#[test]
fn as_many_load_at_once_as_there_are_cpus_and_are_marked() {
    let (record, at_once) = with_cpus(&[1, 0], usual(), &measurement());
    assert_eq!(at_once, 2);
    for variant in &record.variants {
        let forks = &variant.forks;
        assert!(forks.len() > 4, "{} forks", forks.len());
        for (number, fork) in forks.iter().enumerate() {
            assert_eq!(fork.started_together, number % 4 != 0);
            assert!(fork.load_ns > 0 && fork.first_run_ns > 0 && fork.warm_up_runs.is_some());
        }
    }
    assert!(record.settings.starting_ns.is_some_and(|ns| ns > 0 && Some(ns) < record.settings.elapsed_ns));
    assert_eq!(record.variants[1].delta.as_ref().map(|delta| delta.verdict), Some(Verdict::Slower));
}

#[test]
fn they_load_one_by_one_where_they_would_disturb_each_other() {
    let of = |change: fn(&mut Measurement)| {
        let mut measurement = measurement();
        change(&mut measurement);
        with_cpus(&[1, 0, 2], usual(), &measurement).1
    };
    assert_eq!(of(|_| {}), 3);
    assert_eq!(of(|m| m.load.threads = 2), 1, "threads of one are on another's CPU");
    assert_eq!(of(|m| m.cold = true), 1, "cold starts are what is asked");
    assert_eq!(with_cpus(&[1], usual(), &measurement()).1, 1, "there is one CPU");
    let of_memory = |available: u64| {
        let world = usual();
        world.available_bytes.set(Some(available));
        world.peak_rss_bytes.set(1 << 40);
        with_cpus(&[1, 0, 2], world, &measurement()).1
    };
    assert_eq!((of_memory(4 << 40), of_memory(2 << 40)), (3, 1), "each was seen to take 1 << 40 bytes");
}

#[test]
fn a_variant_that_fails_beside_others_is_the_only_one_to_end() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| {
        let dies = (m.variant, m.start) == (1, 2) && matches!(request, Request::Run { trace: false });
        if dies { died(End::Signal(9), None) } else { None }
    });
    let (record, _) = with_cpus(&[1, 0], world, &measurement());
    let forks = |v: usize| record.variants[v].forks.iter().filter(|fork| !fork.rounds.is_empty()).count();
    assert!(record.variants[1].error.as_ref().is_some_and(|e| e.contains("signal 9")));
    assert!(forks(0) > 4 && forks(2) == forks(0) && forks(1) == 1);
}

#[test]
fn a_cold_measurement_does_not_say_that_starting_took_no_time() {
    let measurement = Measurement { cold: true, ..measurement() };
    assert_eq!(with_cpus(&[1], usual(), &measurement).0.settings.starting_ns, None);
}

#[test]
fn how_a_fork_began_is_told_by_those_that_are_in_it() {
    let fork = |number, started_together| RawFork {
        fork: record::Fork { number: Some(number), started_together, ..Default::default() },
        ..RawFork::default()
    };
    let mut raw = Raw::new(2);
    raw.variants[0].forks = vec![fork(2, true), fork(4, false)];
    // It died in the third fork.
    raw.variants[1].forks = vec![fork(2, true)];
    assert_eq!([2, 4].map(|number| raw.started_together(number)), [true, false]);
}
