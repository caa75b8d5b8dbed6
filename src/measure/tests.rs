//! The whole measurement against workers that answer from a script. Time is what the script says it is:
//! nothing waits, and the ratios to be found are known.

mod climates;
mod grouped;
mod resumed;
mod sequential;
mod together;
mod told;
mod unable;
pub(super) mod world;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::device::{End, Lost};
use crate::error::Exit;
use crate::protocol::{Failure, Profile, Reply, Request};
use crate::record::Verdict;
use world::{Fake, World, measurement, planned, subject};

fn measured(world: &Rc<World>, interrupt: &Interrupt) -> Result<Record> {
    let record = measure_by(world, &measurement(), None, &Fake(Rc::clone(world)), &mut Silent, interrupt);
    assert_eq!(world.alive.get(), 0, "a worker was left behind");
    record
}

fn by_the_book(run_ns: &[u64]) -> Record {
    measured(&World::new(run_ns, |_, _| None), &Interrupt::default()).expect("measured")
}

fn died(end: End, at: Option<usize>) -> Option<Result<Reply, Lost>> {
    Some(Err(Lost::Died { end, last_words: None, at }))
}

const MS: u64 = 1_000_000;

/// For others' tests: a measurement by scripted workers.
pub(crate) mod scripted {
    use super::*;

    pub(crate) use super::world::{Fake, Moment, World, measurement};

    /// Workers by the book, or ones whose user interrupts them in their third fork.
    pub(crate) fn measured(measurement: &Measurement, interrupted: bool) -> Result<Record> {
        let interrupt = Interrupt::default();
        let raised = interrupt.clone();
        let world = World::new(&vec![10 * MS; measurement.variants.len()], move |m, request| {
            let now = (m.variant, m.start, m.turns) == (1, 3, 2) && matches!(request, Request::Turn { .. });
            (interrupted && now).then(|| {
                raised.raise();
                Err(Lost::Interrupted)
            })
        });
        measure_by(&world, measurement, None, &Fake(Rc::clone(&world)), &mut Silent, &interrupt)
    }
}

/// Keeps the notes.
#[derive(Default)]
struct Notes(Vec<String>);

impl Progress for Notes {
    fn note(&mut self, message: &str) {
        self.0.push(message.into());
    }
}

fn with_notes(world: &Rc<World>, measurement: &Measurement) -> (Result<Record>, Vec<String>) {
    let mut notes = Notes::default();
    let fake = Fake(Rc::clone(world));
    let record = measure_by(world, measurement, None, &fake, &mut notes, &Interrupt::default());
    (record, notes.0)
}

#[test]
fn a_variant_ten_percent_slower_is_found_so_and_its_activations_priced() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS + MS / 2], |_, _| None);
    let record = measured(&world, &Interrupt::default()).expect("measured");
    let [original, mish, control] = &record.variants[..] else { panic!("three variants") };

    let delta = mish.delta.as_ref().expect("compared");
    let [low, high] = delta.interval.expect("eight forks");
    assert_eq!((delta.verdict, delta.against.as_str()), (Verdict::Slower, "original"));
    assert!(low < 1.1 && 1.1 < high && high - low < 0.01, "{delta:?}");
    assert_eq!(original.delta, None);
    assert_eq!(control.delta.as_ref().map(|d| d.verdict), Some(Verdict::Faster));

    let cost = mish.activation_cost.expect("there is a control");
    let [low, high] = cost.interval.expect("eight forks");
    assert!(low < 1_500_000 && 1_500_000 < high, "{cost:?}");
    assert!((cost.share - 1.5 / 11.0).abs() < 0.02);
    assert!((original.activation_cost.expect("there is a control").ns - 500_000).abs() < 60_000);
    assert_eq!(control.activation_cost, None);

    assert_eq!(record.settings.forks, 8);
    assert!(record.settings.rounds.iter().all(|&r| r > 10), "{:?}", record.settings.rounds);
    let took = world.now.get().as_secs_f64();
    assert!((34.0..=42.0).contains(&took), "took {took} s of 40");
}

#[test]
fn the_same_variant_again_shows_no_difference() {
    let record = by_the_book(&[10 * MS, 10 * MS, 10 * MS]);
    let delta = record.variants[1].delta.as_ref().expect("compared");
    assert_eq!(delta.verdict, Verdict::None, "{delta:?}");
    assert!(delta.resolution.expect("eight forks") < 0.01);
    let warnings = &record.environment.warnings;
    assert!(
        warnings.iter().any(|w| w.starts_with("speed changed by 2")),
        "forks differ by 0.2: {warnings:?}"
    );
}

#[test]
fn ops_explain_the_profiled_time_and_the_rest_is_unaccounted() {
    let record = by_the_book(&[10 * MS, 11 * MS, 9 * MS]);
    let original = &record.variants[0];
    let profiled = original.profiled.expect("profiled");
    assert!(profiled.overhead_ratio.is_some_and(|ratio| (ratio - 1.004).abs() < 0.002), "{profiled:?}");
    let [conv, relu] = &original.ops[..] else { panic!("two ops") };
    assert!((conv.share - 0.75).abs() < 1e-4 && (relu.share - 0.24).abs() < 1e-4);
    let wall = (conv.mean_ns + relu.mean_ns + profiled.unaccounted_ns) as f64;
    assert!((profiled.unaccounted_ns as f64 / wall - 0.01).abs() < 1e-4);
    assert_eq!(conv.fork_mean_ns.len(), 8);
    assert!(conv.min_ns < conv.p50_ns && conv.p50_ns < conv.p90_ns && conv.sd_ns > 0);
    assert_eq!((relu.site.as_deref(), relu.node.as_str()), (Some("/act"), "/act"));
    assert_eq!(original.sites[0].shape, [1, 4]);
}

#[test]
fn an_op_that_is_too_short_for_the_clock_is_timed_in_batches() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    // The convolution takes 0.75 of a run, the activation 0.24: about 25 and 8 steps.
    world.timer_ns.set(MS * 3 / 10);
    let record = measured(&world, &Interrupt::default()).expect("measured");
    for variant in &record.variants {
        let batched: Vec<Option<u64>> = variant.ops.iter().map(|op| op.batched_ns).collect();
        assert_eq!(batched, [None, Some(2_222_222)], "{}", variant.name);
        assert!(variant.ops.iter().all(|op| op.mean_ns > 2 * MS), "what was seen in the run stays");
    }
    let usual = by_the_book(&[10 * MS, 11 * MS, 9 * MS]);
    assert!(usual.variants.iter().flat_map(|v| &v.ops).all(|op| op.batched_ns.is_none()));
}

#[test]
fn a_record_says_what_was_done_and_can_be_read_back() {
    let record = by_the_book(&[10 * MS, 11 * MS, 9 * MS]);
    assert_eq!((record.model.inputs[0].shape.as_slice(), record.model.macs), (&[1, 4][..], Some(99)));
    assert_eq!(record.engine.name, "fake");
    let mish = &record.variants[1];
    let memory = mish.memory.expect("surveyed");
    assert_eq!((memory.retained_bytes, memory.peak_rss_bytes), (Some(44), Some(1008)));
    assert_eq!(mish.ops[0].scratch_bytes, Some(5));
    let bookkeeping = mish.profiled.and_then(|p| p.bookkeeping).expect("profiled");
    assert!(bookkeeping.before_ns.abs_diff(2 * bookkeeping.after_ns) <= 2, "{bookkeeping:?}");
    assert!(bookkeeping.between_ns.abs_diff(7 * bookkeeping.after_ns) <= 40, "{bookkeeping:?}");
    let turns = mish.forks[0].in_turns.expect("counted");
    assert_eq!(turns.minor_faults, 2 * mish.forks[0].rounds.len() as u64);
    let change = mish.output_change.expect("compared");
    assert_eq!((change.max_abs, change.relative_l2, change.subnormal), (0.5, 0.1, Some(6)));
    assert_eq!(record.variants[0].output_change.map(|c| c.max_abs), Some(0.0));
    for (fork, order) in record.order.iter().enumerate() {
        assert_eq!(order.len(), record.settings.rounds[fork]);
        assert!(mish.forks[fork].rounds.len() == order.len() && !mish.forks[fork].profiled_rounds.is_empty());
        assert!(mish.forks[fork].rounds.iter().all(|r| r.len() == record.settings.runs_per_turn));
    }
    let json = serde_json::to_string(&record).expect("written");
    let read: Record = serde_json::from_str(&json).expect("read");
    assert!(read.order == record.order && read.environment == record.environment);
    assert!(
        read.variants.iter().zip(&record.variants).all(|(r, w)| r.forks == w.forks && r.sites == w.sites)
    );
}

#[test]
fn a_slow_model_takes_little_more_than_its_time() {
    let world = World::new(&[330 * MS, 374 * MS, 317 * MS], |_, _| None);
    let mut world = Rc::into_inner(world).expect("alone");
    world.load = Duration::from_secs(1);
    let world = Rc::new(world);
    let record = measured(&world, &Interrupt::default()).expect("measured");
    let took = world.now.get().as_secs_f64();
    assert_eq!(record.settings.forks, 8);
    assert!(took < 50.0, "took {took} s of 40: {:?}", record.settings.rounds);
    assert!(record.variants[1].delta.as_ref().is_some_and(|d| d.verdict == Verdict::Slower));
}

#[test]
fn a_worker_that_dies_is_its_variants_error_with_the_node_and_the_others_go_on() {
    // The second worker of mish is killed in its third turn; run again with a trace it dies at the Relu.
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| match (m.variant, m.start, request) {
        (1, 2, Request::Turn { .. }) if m.turns > 2 => died(End::Signal(9), None),
        (1, 3, Request::Run { trace: true }) => died(End::Signal(9), Some(1)),
        _ => None,
    });
    let record = measured(&world, &Interrupt::default()).expect("the others are measured");
    let mish = &record.variants[1];
    assert_eq!(
        mish.error.as_deref(),
        Some("worker killed by signal 9 (SIGKILL: out of memory?) at node /act (Relu)")
    );
    assert_eq!(mish.forks.len(), 2);
    assert!(mish.latency.is_some(), "what it did before is kept");
    assert!(record.order[2].iter().all(|round| !round.contains(&1)));
    for other in [&record.variants[0], &record.variants[2]] {
        assert_eq!((other.error.as_deref(), other.forks.len()), (None, 8));
    }
}

#[test]
fn a_worker_that_hangs_or_does_not_die_again_is_said_so() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| match (m.variant, request) {
        (1, Request::Turn { .. }) => died(End::Hung(Duration::from_secs(11)), None),
        (2, Request::Memory) => died(End::Signal(11), None),
        _ => None,
    });
    let record = measured(&world, &Interrupt::default()).expect("the original is measured");
    let errors: Vec<Option<&str>> = record.variants.iter().map(|v| v.error.as_deref()).collect();
    assert_eq!(
        errors,
        [
            None,
            Some("worker hung: no answer for 11 s; it went through when run alone"),
            Some("worker killed by signal 11 (SIGSEGV); it went through when run alone"),
        ]
    );
}

#[test]
fn a_target_whose_workers_hang_one_after_the_other_is_lost_and_not_waited_for_again_and_again() {
    // From the third fork on.
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| match request {
        Request::Turn { .. } | Request::Load(_) if m.start > 2 => {
            died(End::Hung(Duration::from_secs(60)), None)
        }
        _ => None,
    });
    let record = measured(&world, &Interrupt::default()).expect("two forks are there");
    assert_eq!(record.settings.forks, 2);
    let lost = record.settings.lost.expect("lost");
    assert!(lost.starts_with("target fake: one worker after another hung: no answer for 60 s"), "{lost}");
    assert!(world.now.get() < 4 * measurement().time, "two were waited for, and not three");
    // Where not even the first loads, nothing is there to be kept.
    let world = World::new(&[MS; 3], |_, request| match request {
        Request::Load(_) => died(End::Hung(Duration::from_secs(60)), None),
        _ => None,
    });
    let error = measured(&world, &Interrupt::default()).expect_err("nothing was measured");
    assert!(error.exit == Exit::Lost && error.message.contains("nothing was measured yet"), "{error}");
}

#[test]
fn a_machine_that_can_keep_no_outputs_is_lost_and_not_the_engines_no() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, request| match request {
        Request::Outputs { .. } => {
            Some(Ok(Reply::Error(Failure { machine: true, ..Failure::new("the disk is full") })))
        }
        _ => None,
    });
    let record = measured(&world, &Interrupt::default()).expect("a fork is there");
    assert_eq!(record.settings.lost.as_deref(), Some("target fake: every worker fails: the disk is full"));
    assert!(record.variants.iter().all(|v| v.forks.len() == 1 && !v.refused && v.error.is_none()));
}

#[test]
fn without_the_original_the_others_are_measured_but_not_compared() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| {
        let refused = Failure { node: Some(0), ..Failure::new("no such operator") };
        (m.variant == 0 && matches!(request, Request::Load(_))).then_some(Ok(Reply::Error(refused)))
    });
    let record = measured(&world, &Interrupt::default()).expect("two are measured");
    let [original, mish, _] = &record.variants[..] else { panic!("three variants") };
    assert_eq!(
        original.error.as_deref(),
        Some("the engine can't run it (node /conv (Conv)): no such operator")
    );
    assert_eq!((original.latency, original.sites.len()), (None, 1));
    assert!(mish.latency.is_some() && mish.delta.is_none() && mish.output_change.is_none());
    assert!(mish.activation_cost.is_some(), "the control is there");
}

#[test]
fn if_all_fail_the_exit_code_says_whether_the_model_or_the_workers_are_to_blame() {
    let refused = World::new(&[MS; 3], |_, request| {
        let Request::Load(load) = request else { return None };
        let message = format!("{}: input x has no shape", load.model);
        Some(Ok(Reply::Error(Failure::new(message))))
    });
    let error = measured(&refused, &Interrupt::default()).expect_err("nothing to measure");
    assert_eq!(error, Error::input("tiny: the engine can't run it: input x has no shape"));

    let killed = World::new(&[MS; 3], |_, request| match request {
        Request::Run { .. } => died(End::Signal(9), Some(0)),
        _ => None,
    });
    let error = measured(&killed, &Interrupt::default()).expect_err("nothing to measure");
    assert_eq!(error.exit, Exit::Lost);
    assert!(error.message.contains("(SIGKILL: out of memory?) at node /conv (Conv)"), "{error}");
}

#[test]
fn a_target_on_which_every_worker_dies_is_lost_and_is_gone_on_with() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    // One watches the machine.
    world.startable.set(1 + 3 + 1);
    let record = measured(&world, &Interrupt::default()).expect("a fork is there");
    let forks: Vec<usize> = record.variants.iter().map(|v| v.forks.len()).collect();
    assert_eq!(forks, [1, 2, 1], "the second fork begins with the second variant");
    assert_eq!(record.settings.lost.as_deref(), Some("target fake: every worker fails: cannot start"));
    let error = complete(&record, true).expect_err("forks are missing");
    assert!(error.message.contains("after 2 of 8 forks") && error.exit == Exit::Lost, "{error}");

    world.startable.set(usize::MAX);
    let fake = Fake(Rc::clone(&world));
    let whole = go_on(&world, &measurement(), &record, &fake, &mut Silent, &Interrupt::default());
    let whole = whole.expect("measured");
    assert!(whole.variants.iter().all(|v| v.forks.len() >= 8) && complete(&whole, true).is_ok());
    assert!(has_all(&whole, &measurement()) && !has_all(&record, &measurement()));

    world.startable.set(0);
    let error = measured(&world, &Interrupt::default()).expect_err("no worker at all");
    assert_eq!(error, Error::lost("cannot start"));
}

/// A world whose connection breaks in the third fork, in the first turn of the second variant.
fn breaking() -> Rc<World> {
    World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| {
        let now = (m.variant, m.start, m.turns) == (1, 3, 1) && matches!(request, Request::Turn { .. });
        now.then(|| died(End::Disconnected, None)).flatten()
    })
}

#[test]
fn a_connection_that_breaks_and_is_back_costs_the_fork_and_no_variant() {
    let record = measured(&breaking(), &Interrupt::default()).expect("measured");
    assert!(record.variants.iter().all(|v| v.error.is_none() && v.forks.len() == 8));
    assert_eq!((record.settings.forks, record.settings.lost), (8, None));
}

#[test]
fn an_interrupt_keeps_the_rounds_that_are_complete() {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |m, request| {
        if (m.variant, m.start, m.turns) == (1, 3, 9) && matches!(request, Request::Turn { .. }) {
            raised.raise();
            return Some(Err(Lost::Interrupted));
        }
        None
    });
    let record = measured(&world, &interrupt).expect("two forks and a bit are there");
    assert!(record.settings.interrupted);
    assert_eq!(record.settings.forks, 3);
    let complete = record.settings.rounds[2];
    assert!(complete > 0 && complete < record.settings.rounds[0]);
    for v in &record.variants {
        assert_eq!((v.error.as_deref(), v.forks.len(), v.forks[2].rounds.len()), (None, 3, complete));
        assert!(v.forks[2].profiled_rounds.iter().all(|p| p.round < complete));
    }
}

#[test]
fn an_interrupt_during_a_forks_loads_keeps_the_forks_before_it() {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], move |m, request| {
        if (m.variant, m.start) == (1, 2) && matches!(request, Request::Load(_)) {
            raised.raise();
            return Some(Err(Lost::Interrupted));
        }
        None
    });
    let record = measured(&world, &interrupt).expect("one fork is there");
    assert_eq!((record.settings.forks, record.settings.interrupted), (1, true));
    assert!(record.variants.iter().all(|v| v.forks.len() == 1));
    let delta = record.variants[1].delta.as_ref().expect("compared");
    assert_eq!((delta.verdict, delta.interval), (Verdict::Inconclusive, None));
    assert!(record.environment.warnings.iter().any(|w| w.ends_with("in 1 fork: intervals are wide")));
}

#[test]
fn an_interrupt_before_any_round_is_a_loss() {
    let interrupt = Interrupt::default();
    interrupt.raise();
    let world = World::new(&[MS; 3], |_, _| Some(Err(Lost::Interrupted)));
    let error = measured(&world, &interrupt).expect_err("nothing was measured");
    assert_eq!(error, Error::lost("tiny: interrupted before anything was measured"));
}

#[test]
fn an_answer_that_does_not_fit_the_question_is_an_error_of_its_variant() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| {
        let none =
            Profile { runs_ns: vec![], ops_ns: vec![], around_ns: vec![], allocated: None, order: vec![] };
        (m.variant == 2 && matches!(request, Request::Profile { .. })).then_some(Ok(Reply::Profile(none)))
    });
    let record = measured(&world, &Interrupt::default()).expect("two are measured");
    assert!(record.variants[2].error.as_deref().is_some_and(|e| e.contains("doesn't fit the question")));
}

/// Two models, the second with a swap and a control of its own.
fn two_models() -> Measurement {
    let mut two = measurement();
    two.subjects.push(Subject { dims: vec![("batch".into(), 2)], ..subject("other") });
    let others = [Role::Original, Role::Swap, Role::Control]
        .map(|role| Planned { subject: 1, ..planned(&format!("other: {role:?}"), role) });
    Arc::make_mut(&mut two.variants).extend(others);
    two
}

#[test]
fn models_are_paired_and_an_activation_costs_the_difference_to_its_own_models_control() {
    let world = World::new(&[10, 11, 9, 20, 24, 18].map(|ms| ms * MS), |m, request| {
        if let Request::Load(load) = request {
            assert_eq!(load.dims.len(), usize::from(m.variant > 2), "each is fed as its model wants");
        }
        None
    });
    let (record, notes) = with_notes(&world, &two_models());
    let record = record.expect("measured");
    assert_eq!(notes, [""; 0]);
    let names: Vec<&str> = record.models.iter().map(|m| m.name.as_str()).collect();
    assert_eq!((record.model.name.as_str(), names), ("tiny", vec!["tiny", "other"]));
    assert_eq!(record.models[1].macs, Some(99));
    let of: Vec<Option<&str>> = record.variants.iter().map(|v| v.model.as_deref()).collect();
    assert_eq!(of, [[Some("tiny"); 3], [Some("other"); 3]].concat());

    let [original, .., other, swap, control] = &record.variants[..] else { panic!("six variants") };
    assert_eq!(original.delta, None);
    for (variant, ratio) in [(other, 2.0), (swap, 2.4), (control, 1.8)] {
        let delta = variant.delta.as_ref().expect("paired with the first model's original");
        assert!((delta.ratio / ratio - 1.0).abs() < 0.01 && delta.against == "original", "{delta:?}");
    }
    let cost = |v: &record::Variant| v.activation_cost.expect("it has a control").ns as f64;
    assert!((cost(swap) / 6e6 - 1.0).abs() < 0.1 && (cost(original) / 1e6 - 1.0).abs() < 0.2);
    assert!((cost(other) / 2e6 - 1.0).abs() < 0.2);
    // The workers' outputs differ by their number: from the first model's for an original, else from its own.
    let change = |v: &record::Variant| v.output_change.expect("compared").max_abs;
    assert_eq!([change(other), change(swap)], [1.5, 0.5]);
}

#[test]
fn a_record_of_one_model_says_so_by_saying_nothing() {
    let json = serde_json::to_value(by_the_book(&[10 * MS, 11 * MS, 9 * MS])).expect("written");
    assert!(json.get("models").is_none() && json["variants"][0]["model"].is_null());
}

#[test]
fn what_all_variants_share_is_said_once_and_what_one_has_by_name() {
    let refusing = |which: fn(usize) -> bool| {
        World::new(&[10 * MS; 3], move |m, request| {
            let refused = Failure::new("no such operator");
            (which(m.variant) && matches!(request, Request::Load(_))).then_some(Ok(Reply::Error(refused)))
        })
    };
    let (all, notes) = with_notes(&refusing(|_| true), &measurement());
    assert_eq!(
        all.expect_err("nothing runs"),
        Error::input("tiny: the engine can't run it: no such operator")
    );
    assert_eq!(notes, [""; 0]);

    let (one, notes) = with_notes(&refusing(|variant| variant == 1), &measurement());
    assert_eq!(notes, ["mish: the engine can't run it: no such operator"]);
    let record = one.expect("two are measured");
    assert!(record.variants[1].refused && !record.variants[0].refused);
    let error = complete(&record, true).expect_err("one is missing");
    assert_eq!(error, Error::input("mish: the engine can't run it: no such operator"));
}

#[test]
fn something_lost_outweighs_something_refused() {
    let world = World::new(&[10 * MS; 3], |m, request| match (m.variant, request) {
        (1, Request::Load(_)) => Some(Ok(Reply::Error(Failure::new("no")))),
        (2, Request::Turn { .. }) => died(End::Signal(9), None),
        _ => None,
    });
    let record = measured(&world, &Interrupt::default()).expect("one is measured");
    let error = complete(&record, true).expect_err("two are missing");
    assert_eq!(error.exit, Exit::Lost);
    assert!(
        error.message.starts_with("control: worker killed") && error.message.contains("2 of 3"),
        "{error}"
    );
    complete(&by_the_book(&[10 * MS; 3]), true).expect("all there");
}

#[test]
fn a_bug_of_ours_is_neither_the_models_fault_nor_the_workers() {
    let bug = |request: &Request| {
        let failure =
            Failure { node: Some(0), bug: true, ..Failure::new("oplat panicked: index (ops.rs:1)") };
        matches!(request, Request::Load(_)).then_some(Ok(Reply::Error(failure)))
    };
    let said = "this is a bug in oplat, not in your input: oplat panicked: index (ops.rs:1) (node /conv (Conv)); \
                please report it with this line, the command and the model";
    let all = World::new(&[MS; 3], move |_, request| bug(request));
    let error = measured(&all, &Interrupt::default()).expect_err("nothing to measure");
    assert_eq!((error.exit_code(), error.message.as_str()), (70, format!("tiny: {said}").as_str()));
    // It outweighs what was lost, also when the record is read again.
    let one = World::new(&[10 * MS; 3], move |m, request| match (m.variant, request) {
        (1, Request::Turn { .. }) => died(End::Signal(9), None),
        (2, request) => bug(request),
        _ => None,
    });
    let record = measured(&one, &Interrupt::default()).expect("one is measured");
    let record: Record =
        serde_json::from_str(&serde_json::to_string(&record).expect("JSON")).expect("a record");
    let error = complete(&record, true).expect_err("two are missing");
    assert_eq!(error.exit, Exit::Bug);
    assert!(error.message.starts_with(&format!("control: {said}")), "{error}");
}

#[test]
fn a_model_too_slow_for_its_time_is_said_so_with_how_much() {
    let world = World::new(&[4_000 * MS; 3], |_, _| None);
    let (record, notes) = with_notes(&world, &measurement());
    assert_eq!(record.expect("measured").settings.forks, 2);
    let [note] = &notes[..] else { panic!("one note: {notes:?}") };
    assert!(note.starts_with("tiny: --time 40 s is too short: even 2 forks of one round take "), "{note}");
    assert!(note.ends_with(" times as long"), "{note}");
}

#[test]
fn a_cold_measurement_is_first_runs_and_nothing_else() {
    let world = World::new(&[10 * MS, 12 * MS, 9 * MS], |_, _| None);
    let cold = Measurement { cold: true, forks: 500, time: Duration::from_secs(10), ..measurement() };
    let fake = Fake(Rc::clone(&world));
    let record =
        measure_by(&world, &cold, None, &fake, &mut Silent, &Interrupt::default()).expect("measured");
    assert!(record.settings.cold && record.settings.forks > 8, "{} forks", record.settings.forks);
    for variant in &record.variants {
        let first = |f: &record::Fork| f.rounds == [vec![f.first_run_ns]] && f.profiled_rounds.is_empty();
        assert!(variant.forks.iter().all(first), "{:?}", variant.forks);
        assert!(variant.memory.is_some() && variant.latency.is_some());
    }
    assert_eq!(record.variants[1].delta.as_ref().map(|d| d.verdict), Some(Verdict::Slower));
}
