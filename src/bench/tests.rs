//! Whole measurements of a made-up worker, whose every time is known.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::config::Activations;
use super::*;
use crate::device::{End, Lost, Worker};
use crate::measure::Silent;
use crate::protocol::{self, Batches, Failure, InPlace, Reply, Request, Solo, SoloReady, SolosReady};
use crate::record::Lowering;
use crate::record::bench::Values;
use crate::record::bench::Verdict;

/// A machine on which an element takes a copy 100 ns, relu 200, another kernel 400 and the rest 2,000; each process is
/// slower than the one before.
#[derive(Clone, Default)]
struct World {
    /// Workers that made activations ready.
    started: Rc<Cell<u64>>,
    /// Rows of all turns, in order.
    turns: Rc<RefCell<Vec<usize>>>,
    /// The process that dies in its first turn.
    dies: Option<u64>,
    /// The activation at which a process ends.
    panics: Option<&'static str>,
    emulated: bool,
}

struct Process {
    world: World,
    number: u64,
    solos: Vec<Solo>,
    asked: Option<Request>,
}

impl Target for World {
    fn name(&self) -> String {
        "made up".into()
    }

    fn emulated(&self) -> bool {
        self.emulated
    }

    fn put(&self, _: &Path) -> Result<String> {
        unreachable!("no files are needed")
    }

    fn get(&self, _: &str, _: u64) -> Result<Vec<u8>> {
        unreachable!("no files are needed")
    }

    fn start(&self, _: &Interrupt) -> Result<Box<dyn Worker>> {
        Ok(Box::new(Process { world: self.clone(), number: 0, solos: vec![], asked: None }))
    }
}

impl Process {
    fn forward_ns(&self, solo: &Solo) -> u64 {
        let each = match (solo.activation.as_deref(), solo.lowering) {
            (None, _) => 100,
            (Some("relu"), _) => 200,
            (_, Lowering::Kernel) => 400,
            _ => 2000,
        };
        each * solo.elements() * (9 + self.number) / 10
    }
}

impl Worker for Process {
    fn send(&mut self, request: &Request) -> Result<(), Lost> {
        self.asked = Some(request.clone());
        Ok(())
    }

    fn reply(&mut self, _: Duration) -> Result<Reply, Lost> {
        let request = &self.asked.take().expect("a question");
        match request {
            Request::Watch { .. } | Request::Watched { .. } => {
                Ok(Reply::Machine(Box::new(protocol::Machine {
                    oplat: crate::environment::this_program(),
                    environment: crate::record::Environment { affinity: vec![1], ..Default::default() },
                    ready_on: vec![],
                    others: None,
                })))
            }
            Request::Engine(_) => Ok(Reply::Engine(Default::default())),
            Request::Solos(asked) => {
                self.world.started.set(self.world.started.get() + 1);
                self.number = self.world.started.get();
                self.solos.clone_from(&asked.solos);
                let panics = |(i, solo): &(usize, &Solo)| {
                    solo.activation.as_deref() == self.world.panics && !asked.failed.contains_key(i)
                };
                let at = asked.solos.iter().enumerate().find(panics);
                if let Some((i, _)) = at.filter(|_| self.world.panics.is_some()) {
                    return Ok(Reply::Error(Failure { solo: Some(i), ..Failure::new("tract panicked: so") }));
                }
                let ready = |solo: &Solo| SoloReady {
                    ops: solo.activation.iter().map(|name| format!("Opt{name}")).collect(),
                    plain_ops: solo.activation.clone().into_iter().collect(),
                    isa: (solo.lowering == Lowering::Kernel).then(|| "avx2".into()),
                    batch: 5,
                    batch_ns: 5 * self.forward_ns(solo),
                    batch_wall_ns: 6 * self.forward_ns(solo),
                    output_elements: solo.elements(),
                    error: solo.activation.as_ref().filter(|a| *a == "identity").map(|_| "nothing".into()),
                    ..SoloReady::default()
                };
                let mut solos: Vec<SoloReady> = asked.solos.iter().map(ready).collect();
                asked.failed.iter().for_each(|(&i, why)| solos[i].error = Some(why.clone()));
                Ok(Reply::Solos(SolosReady {
                    solos,
                    cache_bytes: Some(1 << 20),
                    clock_ns: 20,
                    operator_ns: Some(50.0),
                    run_ns: None,
                    engine: Default::default(),
                }))
            }
            Request::Batches { solo, batch, batches } => {
                if self.world.dies == Some(self.number) {
                    return Err(Lost::Died { end: End::Signal(9), last_words: None, at: None });
                }
                self.world.turns.borrow_mut().push(*solo);
                let ns = u64::from(*batch) * self.forward_ns(&self.solos[*solo]);
                // An odd batch, which the median leaves out.
                let batch_ns = (0..*batches).map(|i| if i == 1 { 90 * ns } else { ns }).collect();
                Ok(Reply::Batches(Batches { batch_ns }))
            }
            Request::InPlace { solo, forwards } => Ok(Reply::InPlace(InPlace {
                ns: 3 * forwards * self.forward_ns(&self.solos[*solo]),
                end: Values { subnormal: 8, ..Values::default() },
            })),
            other => panic!("{other:?}"),
        }
    }
}

fn plan(activations: &[&str], change: impl FnOnce(&mut Config)) -> Plan {
    let mut config = Config {
        activations: Some(Activations::parse(activations.iter().copied()).unwrap()),
        sizes: Some(vec![8, 64]),
        forwards: Some(1000),
        forks: Some(3),
        ..Config::default()
    };
    change(&mut config);
    Plan::new(config, vec!["oplat".into()]).unwrap()
}

fn measured(plan: &Plan, world: &World) -> Result<Bench> {
    measure(plan, world, &mut Silent, &Interrupt::default())
}

#[test]
fn every_figure_is_what_was_measured_and_ratios_are_paired() {
    let world = World::default();
    let bench = measured(&plan(&["mish", "identity"], |_| ()), &world).unwrap();
    assert_eq!((bench.settings.rounds.as_slice(), bench.rows.len()), (&[20; 3][..], 8));
    let row = &bench.rows[2];
    assert_eq!((row.activation.as_str(), row.lowering, row.elements), ("mish", Lowering::Exported, 8));
    // 2,000 ns an element at speeds 1, 1.1 and 1.2.
    assert!((row.ns_per_element - 2000.0 * 1.32f64.cbrt()).abs() < 0.1, "{}", row.ns_per_element);
    assert!((row.gb_per_s * row.ns_per_element - 8.0).abs() < 1e-9);
    let [low, high] = row.interval.unwrap();
    assert!(low < 2000.0 && high > 2400.0);
    for (row, relu, copy) in [(&bench.rows[0], 1.0, 2.0), (row, 10.0, 20.0), (&bench.rows[3], 2.0, 4.0)] {
        assert!((row.ratio_to_relu.unwrap() - relu).abs() < 1e-2, "{row:?}");
        assert!((row.ratio_to_memcpy.unwrap() - copy).abs() < 1e-2, "{row:?}");
        let [low, high] = row.relu_interval.unwrap();
        assert!(high - low < 0.05 * relu, "the processes' speeds cancel: {low} {high}");
    }
    assert!(row.forwards >= 1000 && row.forwards < 1600, "{}", row.forwards);
    assert_eq!(bench.growth.len(), 4);
    assert!(bench.growth.iter().all(|g| (g.ratio - 8.0).abs() < 0.05 && g.linear == 8.0));
    let left: Vec<(&str, u64)> = bench.left_out.iter().map(|l| (l.activation.as_str(), l.elements)).collect();
    assert_eq!(left, [("identity", 8), ("identity", 64)]);
    let verdict =
        bench.claims.iter().find(|c| c.claim.starts_with("Mish") && c.lowering == Lowering::Exported);
    assert_eq!(verdict.map(|c| c.verdict), Some(Verdict::Confirmed));
    assert!(complete(&bench).is_ok());
}

#[test]
fn engines_have_workers_of_their_own_and_take_turns_in_the_same_rounds() {
    let world = World::default();
    let names = ["tract", "ort"].map(str::to_owned);
    let both = crate::experiment::planned_engines(&names).unwrap();
    let plan = plan(&["mish"], |config| config.engines = Some(both));
    let bench = measured(&plan, &world).unwrap();
    assert_eq!(world.started.get(), 3 * 2);
    let ids: Vec<&str> = bench.engines.iter().map(|engine| engine.id.as_str()).collect();
    assert_eq!((ids, bench.memcpy.len()), (vec!["tract", "ort"], 4));
    let of = |label: &str| bench.rows.iter().filter(|row| row.engine == label).collect::<Vec<_>>();
    assert_eq!((of("tract").len(), of("ort").len()), (8, 6), "no kernel of relu in the second");
    for row in of("ort") {
        // The made-up relu takes two copies' time, whichever process it is.
        let relu = if row.activation == "relu" {
            1.0
        } else if row.isa.is_some() {
            2.0
        } else {
            10.0
        };
        assert!((row.ratio_to_relu.unwrap() - relu).abs() < 1e-2, "{row:?}");
        assert!((row.ratio_to_memcpy.unwrap() - 2.0 * relu).abs() < 1e-2, "{row:?}");
        // Each of its processes is started after tract's, and a tenth slower.
        assert!(row.across.is_some_and(|ratio| ratio > 1.05 && ratio < 1.1), "{row:?}");
    }
    assert!(of("tract").iter().all(|row| row.across.is_none()));
    assert!(bench.growth.iter().any(|growth| growth.engine == "ort"));
    let claims = |label: &str| bench.claims.iter().filter(|claim| claim.engine == label).count();
    assert!(claims("tract") > 0 && claims("ort") > 0);
}

#[test]
fn a_round_gives_every_row_one_turn_in_an_order_of_its_own() {
    let world = World::default();
    let plan = plan(&["mish", "silu"], |config| config.forwards = Some(60));
    let bench = measured(&plan, &world).unwrap();
    let rows = plan.rows.len();
    let turns = world.turns.borrow();
    assert_eq!(turns.len(), rows * bench.settings.rounds.iter().sum::<usize>());
    let rounds: Vec<&[usize]> = turns.chunks(rows).collect();
    for round in &rounds {
        let mut sorted = round.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
    }
    assert!(rounds.windows(2).any(|two| two[0] != two[1]));
    // 60 forwards over 3 forks are 20 rounds of one.
    assert!(bench.rows.iter().all(|row| row.turns.batch == 1 && row.turns.batches == 1));
    assert!(bench.rows.iter().all(|row| row.forwards == 60));
}

#[test]
fn the_studys_method_stands_beside_fresh_input() {
    let bench = measured(&plan(&["mish"], |c| c.in_place = Some(true)), &World::default()).unwrap();
    let run = bench.rows[2].in_place.as_ref().unwrap();
    assert_eq!((run.forwards, run.end.subnormal), (1000, 8));
    assert!((run.ns_per_element / run.fresh_ns_per_element - 3.0).abs() < 0.01, "{run:?}");
}

/// Keeps what is said to be left.
#[derive(Default)]
struct Left(Vec<Duration>);

impl Progress for Left {
    fn advance(&mut self, _: f64, left: Duration) {
        self.0.push(left);
    }
}

#[test]
fn what_is_left_holds_the_studys_method_too() {
    let plan = plan(&["mish"], |c| (c.in_place, c.forwards) = (Some(true), Some(100_000)));
    let mut left = Left::default();
    measure(&plan, &World::default(), &mut left, &Interrupt::default()).unwrap();
    // Relu and mish in both lowerings, on 8 and 64 elements, in the third process, which takes 1.2 times as long.
    let expected = (200.0 + 200.0 + 2000.0 + 400.0) * 72.0 * 1.2 * 1e-9 * 100_000.0;
    let [.., last_round, a, b, c, d, e, f, g, h] = left.0.as_slice() else {
        panic!("{left:?}", left = left.0)
    };
    assert!((last_round.as_secs_f64() / expected - 1.0).abs() < 0.01, "{last_round:?} of {expected} s");
    let rest = [last_round, a, b, c, d, e, f, g, h];
    assert!(rest.windows(2).all(|two| two[1] <= two[0]) && h.is_zero(), "{rest:?}");
}

#[test]
fn a_lost_worker_costs_its_own_fork() {
    let world = World { dies: Some(3), ..World::default() };
    let bench = measured(&plan(&["mish"], |_| ()), &world).unwrap();
    assert_eq!((bench.settings.forks, bench.settings.interrupted), (2, true));
    assert!(bench.rows.iter().all(|row| row.turns.forks.len() == 2));
    assert!(bench.warnings.iter().any(|w| w.contains("signal 9") && w.contains("2 of 3")), "{bench:?}");
    assert_eq!(complete(&bench).unwrap_err().exit_code(), 3);
    let world = World { dies: Some(1), ..World::default() };
    let error = measured(&plan(&["mish"], |_| ()), &world).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.message.contains("no fork was completed"), "{error}");
}

#[test]
fn what_cannot_be_measured_is_left_out_beside_what_can() {
    // Relu, for comparison, is always among them.
    let bench = measured(&plan(&["identity"], |_| ()), &World::default()).unwrap();
    assert_eq!((bench.rows.len(), bench.left_out.len()), (4, 2));
}

#[test]
fn a_worker_that_ends_at_an_activation_is_replaced_by_one_without_it() {
    let world = World { panics: Some("mish"), ..World::default() };
    let bench = measured(&plan(&["mish", "silu"], |_| ()), &world).unwrap();
    let left: Vec<&str> = bench.left_out.iter().map(|l| l.activation.as_str()).collect();
    assert_eq!(left, ["mish"; 4], "two sizes, two lowerings");
    assert!(bench.left_out.iter().all(|l| l.reason.contains("tract panicked")), "{:?}", bench.left_out);
    assert_eq!((bench.settings.forks, world.started.get()), (3, 3 + 4));
}

#[test]
fn one_fork_has_figures_and_no_intervals() {
    let bench = measured(&plan(&["mish"], |c| c.forks = Some(1)), &World::default()).unwrap();
    assert!(bench.rows.iter().all(|row| row.interval.is_none() && row.ratio_to_relu.is_some()));
    assert!(bench.warnings.iter().any(|w| w.contains("one fork gives no intervals")));
    assert!(bench.claims.iter().all(|c| c.verdict == Verdict::Inconclusive));
}

#[test]
fn a_time_is_filled_with_rounds() {
    let timed = |config: &mut Config| {
        (config.forwards, config.time) = (None, Some(Duration::from_millis(30)));
    };
    let bench = measured(&plan(&["mish"], timed), &World::default()).unwrap();
    assert!(bench.settings.rounds.len() == 3 && bench.settings.time_limit_ns == Some(30_000_000));
    // A turn is about a millisecond of timed batches, a thousand at most.
    // Batches of five forwards, or of 100 µs where these are longer.
    let turns = bench.rows.iter().map(|row| (row.turns.batch, row.turns.batches));
    assert_eq!(
        turns.collect::<Vec<_>>(),
        [(5, 125), (5, 125), (5, 12), (5, 62), (5, 15), (5, 15), (1, 7), (4, 9)]
    );
}
