//! What a user is told while a measurement goes on.

use super::*;

/// Keeps what it is told, and when.
struct Watching {
    world: Rc<World>,
    /// Now, the share that is done, and what is left.
    told: Vec<(Duration, f64, Duration)>,
    estimates: Vec<Vec<SoFar>>,
    phases: Vec<String>,
    forks: Vec<(usize, usize)>,
}

impl Progress for Watching {
    fn advance(&mut self, done: f64, left: Duration) {
        self.told.push((self.world.now.get(), done, left));
    }

    fn estimates(&mut self, variants: &[SoFar]) {
        self.estimates.push(variants.to_vec());
    }

    fn fork(&mut self, fork: usize, forks: usize) {
        self.forks.push((fork, forks));
    }

    fn phase(&mut self, what: &str) {
        self.phases.push(what.into());
    }
}

fn watched(world: &Rc<World>, measurement: &Measurement) -> (Record, Watching) {
    let (told, estimates, phases, forks) = (vec![], vec![], vec![], vec![]);
    let mut watching = Watching { world: Rc::clone(world), told, estimates, phases, forks };
    let fake = Fake(Rc::clone(world));
    let record = measure_by(world, measurement, None, &fake, &mut watching, &Interrupt::default());
    (record.expect("measured"), watching)
}

/// The largest error of the time that was said to be left, as a share of the whole, and what was said last to be done.
fn truth(world: &World, watching: &Watching) -> (f64, f64) {
    let end = world.now.get().as_secs_f64();
    let error = |&(now, _, left): &(Duration, f64, Duration)| {
        (now.as_secs_f64() + left.as_secs_f64() - end).abs() / end
    };
    let worst = watching.told.iter().map(error).fold(0.0, f64::max);
    (worst, watching.told.last().expect("told").1)
}

#[test]
fn the_time_that_is_said_to_be_left_is_what_it_takes() {
    let slow_to_load = |run_ns: &[u64]| {
        let mut world = Rc::into_inner(World::new(run_ns, |_, _| None)).expect("alone");
        world.load = Duration::from_secs(1);
        Rc::new(world)
    };
    let usual = |run_ns: &[u64]| World::new(run_ns, |_, _| None);
    let cold = Measurement { cold: true, ..measurement() };
    let many = Measurement { forks: 24, ..measurement() };
    for (what, world, measurement) in [
        ("fast", usual(&[10 * MS, 11 * MS, 9 * MS]), measurement()),
        ("very fast, many forks", usual(&[MS / 10, MS / 9, MS / 11]), many.clone()),
        ("slow", slow_to_load(&[330 * MS, 374 * MS, 317 * MS]), measurement()),
        ("slow, many forks", slow_to_load(&[330 * MS, 374 * MS, 317 * MS]), many),
        ("too slow", slow_to_load(&[3000 * MS, 3740 * MS, 3170 * MS]), measurement()),
        ("first runs", slow_to_load(&[330 * MS, 374 * MS, 317 * MS]), cold),
    ] {
        world.survey_runs.set(2);
        let (_, watching) = watched(&world, &measurement);
        let (worst, last) = truth(&world, &watching);
        assert!(worst < 0.1, "{what}: off by {worst:.3} of the whole");
        assert!(last > 0.9, "{what}: {last:.3} done at the end");
        assert!(
            watching.told.windows(2).all(|w| w[1].1 > w[0].1 - 0.03),
            "{what}: goes back: {:?}",
            watching.told.iter().map(|t| t.1).collect::<Vec<_>>()
        );
    }
}

#[test]
fn from_the_first_plan_on_forks_are_those_that_the_time_allows() {
    let world = World::new(&[330 * MS, 374 * MS, 317 * MS], |_, _| None);
    let (record, watching) = watched(&world, &Measurement { forks: 24, ..measurement() });
    let of: Vec<usize> = watching.forks.iter().skip(1).map(|told| told.1).collect();
    let made = record.settings.forks;
    assert!(
        made < 24 && of.iter().all(|of| of.abs_diff(made) * 3 <= made),
        "{made} forks were made of {of:?}"
    );
    let turns = watching.phases.iter().filter(|phase| *phase == "running mish").count();
    assert_eq!(turns, record.settings.rounds.iter().sum::<usize>(), "each turn of a slow model is told");
}

#[test]
fn groups_are_parts_of_one_whole() {
    let world = World::new(&[10 * MS, 12 * MS, 9 * MS, 10 * MS], |_, _| None);
    world.available_bytes.set(grouped::four_fit());
    let (record, watching) = watched(&world, &grouped::six());
    assert_eq!(record.settings.groups, Some(2));
    let (worst, last) = truth(&world, &watching);
    assert!(worst < 0.1 && last > 0.9, "off by {worst:.3} of the whole, {last:.3} done");
    assert!(watching.phases.iter().any(|phase| phase.ends_with("(group 2 of 2)")), "{:?}", watching.phases);
}

#[test]
fn each_variant_has_an_estimate_from_the_first_round_and_an_interval_from_the_second_fork() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let (record, watching) = watched(&world, &measurement());
    let of = |told: &[SoFar], name: &str| told.iter().find(|v| v.name == name).cloned().expect("told");
    let mish: Vec<SoFar> = watching.estimates.iter().map(|told| of(told, "mish")).collect();
    assert_eq!(mish.len(), 1 + record.settings.forks, "after the first round and each fork");
    let (ratio, interval) = mish[0].ratio.expect("an estimate");
    assert!((1.05..1.15).contains(&ratio) && interval.is_none(), "{:?}", mish[0]);
    let width = |so_far: &SoFar| so_far.ratio.and_then(|r| r.1).map(|[low, high]| high - low);
    assert!(width(&mish[2]) > width(mish.last().expect("told")), "more forks tell more: {mish:?}");
    let told = watching.estimates.last().expect("told");
    assert_eq!(of(told, "original").ratio, None, "it is what others are compared with");
    let (ratio, _) = of(told, "control").ratio.expect("an estimate");
    let last = record.variants[2].delta.as_ref().expect("compared").ratio;
    assert!((ratio - last).abs() < 0.005, "{ratio} was told, and the record has {last}");
}
