//! Measurements that go on from a record of one that was cut off.

use std::cell::Cell;

use super::*;

/// Through a file, as it would be.
fn kept(record: &Record) -> Record {
    serde_json::from_str(&serde_json::to_string(record).expect("JSON")).expect("a record")
}

fn cut_off_after_two_forks() -> Record {
    let world = breaking();
    world.reachable.set(false);
    kept(&measured(&world, &Interrupt::default()).expect("two forks are there"))
}

fn gone_on(world: &Rc<World>, earlier: &Record, interrupt: &Interrupt) -> Record {
    let fake = Fake(Rc::clone(world));
    measure_by(world, &measurement(), Some(earlier), &fake, &mut Silent, interrupt).expect("a record")
}

#[test]
fn a_target_that_is_lost_keeps_its_forks_and_is_gone_on_with() {
    let world = breaking();
    world.reachable.set(false);
    let cut = measured(&world, &Interrupt::default()).expect("two forks are there");
    assert_eq!((cut.settings.forks, cut.settings.lost.as_deref()), (2, Some("target fake: no route to it")));
    assert!(cut.variants.iter().all(|v| v.error.is_none() && v.forks.len() == 2));
    let error = complete(&cut, true).expect_err("forks are missing");
    assert_eq!(error.exit, Exit::Lost);
    assert!(error.message.contains("after 2 of 8 forks"), "{error}");

    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let whole = gone_on(&world, &kept(&cut), &Interrupt::default());
    assert_eq!((whole.settings.forks, whole.settings.lost.as_deref(), whole.settings.resumed), (8, None, 1));
    for (now, before) in whole.variants.iter().zip(&cut.variants) {
        assert_eq!(
            now.forks[..2].iter().map(|f| &f.rounds).collect::<Vec<_>>(),
            before.forks.iter().map(|f| &f.rounds).collect::<Vec<_>>()
        );
        assert_eq!(now.ops[0].fork_mean_ns[..2], before.ops[0].fork_mean_ns[..]);
        assert_eq!(now.ops[0].fork_mean_ns.len(), 8);
        assert!(now.memory.is_some() && now.forks.iter().all(|f| f.ops_ns.is_empty()));
    }
    assert!(complete(&whole, true).is_ok());
}

/// The second variant died in the third fork, and the user interrupted in the fifth.
fn lost_and_interrupted() -> Record {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let world =
        World::new(&[10 * MS, 11 * MS, 9 * MS], move |m, request| match (m.variant, m.start, request) {
            (1, 3.., Request::Turn { .. }) => died(End::Signal(9), None),
            (2, 5, Request::Load(_)) => {
                raised.raise();
                Some(Err(Lost::Interrupted))
            }
            _ => None,
        });
    kept(&measured(&world, &interrupt).expect("four forks are there"))
}

/// Forks in which it has run.
fn runs(v: &record::Variant) -> usize {
    v.forks.iter().filter(|f| !f.rounds.is_empty()).count()
}

#[test]
fn a_variant_that_was_lost_before_an_interrupt_gets_all_its_forks() {
    let cut = lost_and_interrupted();
    assert_eq!((cut.settings.forks, runs(&cut.variants[1])), (4, 2));
    let well = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let fake = Fake(Rc::clone(&well));
    let whole =
        go_on(&well, &measurement(), &cut, &fake, &mut Silent, &Interrupt::default()).expect("measured");
    assert!(complete(&whole, true).is_ok() && has_all(&whole, &measurement()));
    assert_eq!(runs(&whole.variants[1]), 8);
    assert!(whole.variants.iter().all(|v| runs(v) >= 8 && v.forks.iter().all(|f| f.ops_ns.is_empty())));
    assert_eq!(whole.variants[1].ops[0].fork_mean_ns.len(), 8);
}

#[test]
fn forks_of_all_stay_when_those_that_one_lacks_cannot_be_made() {
    let well = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    // One that watches, and those of four forks.
    well.startable.set(1 + 4 * 3);
    let fake = Fake(Rc::clone(&well));
    let cut = lost_and_interrupted();
    let part = go_on(&well, &measurement(), &cut, &fake, &mut Silent, &Interrupt::default());
    let part = kept(&part.expect("what was measured first"));
    assert_eq!((part.settings.forks, runs(&part.variants[1])), (8, 6));
    assert!(complete(&part, true).is_err_and(|e| e.exit == Exit::Lost && e.message.contains("cannot start")));
    well.startable.set(usize::MAX);
    let whole = measure(&measurement(), Some(part), &fake, &mut Silent, &Interrupt::default());
    assert_eq!(runs(&whole.expect("measured").variants[1]), 8);
}

#[test]
fn what_was_interrupted_when_it_had_all_its_forks_is_complete_when_it_is_gone_on_with() {
    let cut = cut_off_after_two_forks();
    // Its survey is made again when all forks are there.
    let interrupt = Interrupt::default();
    let (raised, three) = (interrupt.clone(), Measurement { forks: 3, ..measurement() });
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |_, request| match request {
        Request::Memory => {
            raised.raise();
            Some(Err(Lost::Interrupted))
        }
        _ => None,
    });
    let fake = Fake(Rc::clone(&world));
    let all = measure_by(&world, &three, Some(&cut), &fake, &mut Silent, &interrupt)
        .expect("three forks are there");
    assert!(all.settings.forks == 3 && all.settings.interrupted && complete(&all, true).is_err());
    world.startable.set(0);
    let whole = measure(&three, Some(kept(&all)), &fake, &mut Silent, &Interrupt::default())
        .expect("nothing is started");
    assert!(complete(&whole, true).is_ok() && has_all(&whole, &three));
    assert!(whole.variants.iter().all(|v| v.forks.len() == 3 && v.forks.iter().all(|f| f.ops_ns.is_empty())));
}

#[test]
fn short_ops_are_known_by_the_forks_before_where_one_has_no_profiled_run() {
    let slow = [2000 * MS, 2200 * MS, 1800 * MS];
    let world = World::new(&slow, |m, request| {
        let now = (m.variant, m.start) == (1, 2) && matches!(request, Request::Turn { .. });
        now.then(|| died(End::Disconnected, None)).flatten()
    });
    world.reachable.set(false);
    let cut = measured(&world, &Interrupt::default()).expect("a fork is there");
    assert_eq!(cut.settings.forks, 1);

    let fake = Fake(World::new(&slow, |_, _| None));
    fake.0.timer_ns.set(60 * MS);
    let whole = measure_by(&fake.0, &measurement(), Some(&cut), &fake, &mut Silent, &Interrupt::default());
    for variant in &whole.expect("whole").variants {
        assert!(variant.forks[0].profiled_rounds.len() == 1 && variant.forks[1].profiled_rounds.is_empty());
        assert_eq!(variant.ops[1].batched_ns, Some(2_222_222), "{}", variant.name);
    }
}

#[test]
fn going_on_that_is_interrupted_while_models_are_loaded_loses_nothing() {
    let earlier = cut_off_after_two_forks();
    assert!(earlier.variants.iter().all(|v| v.ops.len() == 2 && v.memory.is_some()));
    for loading in 0..3 {
        let interrupt = Interrupt::default();
        let raised = interrupt.clone();
        let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |m, request| {
            (m.variant == loading && matches!(request, Request::Load(_))).then(|| {
                raised.raise();
                Err(Lost::Interrupted)
            })
        });
        let again = gone_on(&world, &earlier, &interrupt);
        assert_eq!((again.settings.forks, again.settings.interrupted, again.settings.resumed), (2, true, 1));
        assert_eq!(
            (again.engine, again.model, again.started_at, again.variants),
            (
                earlier.engine.clone(),
                earlier.model.clone(),
                earlier.started_at.clone(),
                earlier.variants.clone()
            )
        );
    }
}

#[test]
fn going_on_that_is_interrupted_before_memory_is_asked_for_keeps_what_is_known_of_it() {
    let mut earlier = cut_off_after_two_forks();
    for variant in &mut earlier.variants {
        variant.forks.iter_mut().for_each(|fork| fork.peak_rss_bytes = Some(900));
        variant.memory.as_mut().expect("asked for").peak_rss_bytes = Some(900);
    }
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |_, request| {
        matches!(request, Request::Memory).then(|| {
            raised.raise();
            Err(Lost::Interrupted)
        })
    });
    let again = gone_on(&world, &earlier, &interrupt);
    assert_eq!(again.settings.forks, 3);
    for (now, was) in again.variants.iter().zip(&earlier.variants) {
        assert_eq!((now.forks.len(), now.output_change), (3, was.output_change));
        let memory = now.memory.expect("known from before");
        assert_eq!(
            (memory.peak_heap_bytes, memory.peak_rss_bytes),
            (Some(33), Some(1001)),
            "the third fork's"
        );
        assert_eq!(now.ops[0].scratch_bytes, Some(5));
    }
}

#[test]
fn going_on_that_is_interrupted_while_short_ops_are_timed_keeps_their_times() {
    let mut earlier = cut_off_after_two_forks();
    earlier.variants.iter_mut().for_each(|v| v.ops[1].batched_ns = Some(7));
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |_, request| {
        matches!(request, Request::Batched { .. }).then(|| {
            raised.raise();
            Err(Lost::Interrupted)
        })
    });
    world.timer_ns.set(MS / 3);
    let again = gone_on(&world, &earlier, &interrupt);
    assert!(again.settings.interrupted && again.variants[0].memory.is_some());
    assert!(again.variants.iter().all(|v| v.ops[1].batched_ns == Some(7)));
}

#[test]
fn going_on_with_other_cpus_is_refused() {
    let mut earlier = cut_off_after_two_forks();
    earlier.environment.affinity = vec![4, 5];
    let fake = Fake(World::new(&[MS; 3], |_, _| None));
    let error =
        measure_by(&fake.0, &measurement(), Some(&earlier), &fake, &mut Silent, &Interrupt::default());
    assert!(error.expect_err("refused").message.ends_with("--cpus 4,5"));
}

#[test]
fn a_connection_that_breaks_before_the_last_outputs_are_there_costs_none() {
    let broken = Cell::new(false);
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |m, request| {
        let now = m.variant == 2 && matches!(request, Request::Outputs { .. }) && !broken.replace(true);
        now.then(|| died(End::Disconnected, None)).flatten()
    });
    let record = measured(&world, &Interrupt::default()).expect("it is back");
    assert!(record.variants.iter().all(|v| v.output_change.is_some()));
}

#[test]
fn a_variant_that_was_lost_is_taken_up_again_beside_what_it_is_compared_with() {
    let four = |world: &Rc<World>, earlier: Option<&Record>| {
        let variants = [
            planned("original", Role::Original),
            planned("mish", Role::Swap),
            planned("gelu", Role::Swap),
            planned("control", Role::Control),
        ];
        let measurement = Measurement { variants: variants.to_vec().into(), ..measurement() };
        let fake = Fake(Rc::clone(world));
        measure_by(world, &measurement, earlier, &fake, &mut Silent, &Interrupt::default()).expect("a record")
    };
    let speeds = [10 * MS, 11 * MS, 12 * MS, 9 * MS];
    let world = World::new(&speeds, |m, request| {
        let now = (m.variant, m.start) == (1, 3) && matches!(request, Request::Turn { .. });
        now.then(|| died(End::Signal(9), None)).flatten()
    });
    let lost = kept(&four(&world, None));
    assert_eq!((lost.settings.forks, lost.variants[1].forks.len()), (8, 3));
    assert!(complete(&lost, true).is_err_and(|e| e.exit == Exit::Lost));

    let whole = four(&World::new(&speeds, |_, _| None), Some(&lost));
    assert!(complete(&whole, true).is_ok(), "{:?}", whole.variants[1].error);
    let forks: Vec<usize> = whole.variants.iter().map(|v| v.forks.len()).collect();
    assert_eq!(forks, [14, 9, 8, 14], "mish has not run in its third fork; gelu has all it needs");
    let numbers: Vec<_> = whole.variants[1].forks.iter().filter_map(|f| f.number).collect();
    assert_eq!(numbers, [0, 1, 2, 8, 9, 10, 11, 12, 13]);
    for (at, ratio) in [(1, 1.1), (2, 1.2)] {
        let delta = whole.variants[at].delta.as_ref().expect("paired");
        assert!((delta.ratio / ratio - 1.0).abs() < 0.01 && delta.verdict == Verdict::Slower, "{delta:?}");
    }
    assert_eq!(whole.variants[0].ops[0].fork_mean_ns.len(), 14, "the forks before count, too");
    assert_eq!(whole.variants[2].ops, lost.variants[2].ops);
}

#[test]
fn a_variant_that_the_engine_refused_is_not_tried_again() {
    let refuse = |m: world::Moment, request: &Request| {
        let refused = || Reply::Error(Failure::new("no such operator"));
        (m.variant == 1 && matches!(request, Request::Load(_))).then(|| Ok(refused()))
    };
    let refused = kept(
        &measured(&World::new(&[10 * MS, 11 * MS, 9 * MS], refuse), &Interrupt::default()).expect("others"),
    );
    assert!(refused.variants[1].refused);
    let fake = Fake(World::new(&[MS; 3], |_, _| panic!("nothing is asked for")));
    let again = measure(&measurement(), Some(refused.clone()), &fake, &mut Silent, &Interrupt::default());
    assert_eq!(again.expect("the same"), refused);
}

#[test]
fn an_engine_that_makes_other_ops_than_before_is_not_gone_on_with() {
    let mut earlier = cut_off_after_two_forks();
    earlier.variants[1].ops[1].op = "Tanh".into();
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let whole = gone_on(&world, &earlier, &Interrupt::default());
    assert!(
        whole.variants[1].error.as_ref().is_some_and(|e| e.contains("other ops")),
        "{:?}",
        whole.variants[1].error
    );
    assert_eq!(whole.variants[1].forks.len(), 2);
}
