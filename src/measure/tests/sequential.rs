//! Measurements that end when all verdicts are known.

use super::world::Climate;
use super::*;
use crate::record::Look;

const DAY: u64 = 5;

fn decided() -> Measurement {
    Measurement { forks: 24, until: Until::Decided, ..measurement() }
}

fn run(world: &Rc<World>, measurement: &Measurement, earlier: Option<&Record>) -> Record {
    let fake = Fake(Rc::clone(world));
    let record = measure_by(world, measurement, earlier, &fake, &mut Silent, &Interrupt::default());
    record.expect("measured")
}

/// After how many forks it was looked, of how many.
fn looks(record: &Record) -> Vec<(usize, usize)> {
    record.settings.looks.iter().flatten().map(|look| (look.forks, look.of)).collect()
}

fn verdicts(record: &Record) -> Vec<Option<Verdict>> {
    record.variants.iter().map(|v| v.delta.as_ref().map(|d| d.verdict)).collect()
}

/// Nobody can tell which is slower: a third of the processes take 1.2 times as long.
fn hopeless() -> Rc<World> {
    World::on_day(&[10 * MS, 10 * MS + MS / 20, 9 * MS], Climate::TwoModes, DAY)
}

#[test]
fn it_ends_when_every_verdict_is_known_and_its_record_says_so() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let record = run(&world, &decided(), None);
    let took = world.now.get().as_secs_f64();
    let look = record.settings.decided().expect("it ended early");
    assert!(look.forks < 12 && look.of == 24 && took < 20.0, "{:?} in {took} s", looks(&record));
    assert_eq!((record.settings.forks, record.settings.forks_wanted), (look.forks, Some(24)));
    assert_eq!(verdicts(&record), [None, Some(Verdict::Slower), Some(Verdict::Faster)]);
    assert!(complete(&record, true).is_ok());
    let [low, high] = record.variants[1].delta.as_ref().and_then(|d| d.interval).expect("forks");
    assert!(low < 1.1 && 1.1 < high, "{low} to {high}");

    // Whoever makes the figures again comes to the same, and none of them is as sure as if nobody had looked.
    let mut again = record.clone();
    figures::make(&mut again);
    assert_eq!(again.variants, record.variants);
    again.settings.looks = None;
    figures::make(&mut again);
    let width = |record: &Record| {
        let variant = &record.variants[1];
        let [low, high] = variant.delta.as_ref().and_then(|d| d.interval).expect("forks");
        let [least, most] = variant.activation_cost.and_then(|c| c.interval).expect("forks");
        (high - low, most - least)
    };
    let (looked, fixed) = (width(&record), width(&again));
    assert!(looked.0 > 2.0 * fixed.0 && looked.1 > 2 * fixed.1, "{looked:?} {fixed:?}");
    let same = measure(&decided(), Some(record.clone()), &Fake(world), &mut Silent, &Interrupt::default());
    assert_eq!(same.expect("complete"), record, "there is nothing to go on with");
}

#[test]
fn the_same_variant_again_is_known_to_be_the_same_before_the_end() {
    let world = World::new(&[10 * MS, 10 * MS, 10 * MS], |_, _| None);
    let record = run(&world, &decided(), None);
    assert!(record.settings.decided().is_some(), "{:?}", looks(&record));
    assert_eq!(record.variants[1].delta.as_ref().map(|d| d.verdict), Some(Verdict::None));
}

#[test]
fn what_is_open_is_measured_to_the_end_where_all_is_spent() {
    let record = run(&hopeless(), &decided(), None);
    assert_eq!(looks(&record), [(4, 24), (6, 24), (8, 24), (10, 24), (12, 24), (15, 24), (18, 24), (24, 24)]);
    assert_eq!((record.settings.forks, record.settings.decided()), (24, None));
    assert_eq!(verdicts(&record)[1], Some(Verdict::Inconclusive));
    let confidence: Vec<f64> = record.settings.looks.iter().flatten().map(|look| look.confidence).collect();
    assert!(
        confidence.is_sorted_by(|a, b| a > b) && (0.99..0.994).contains(&confidence[7]),
        "{confidence:?}"
    );
    let fixed = run(&hopeless(), &Measurement { until: Until::End, ..decided() }, None);
    assert_eq!(fixed.settings.looks, None);
    assert_eq!(fixed.variants[1].forks, record.variants[1].forks, "a look changes nothing");
}

#[test]
fn where_time_runs_out_first_the_last_look_spends_what_is_left() {
    let slow = [330 * MS, 331 * MS, 317 * MS];
    let world = World::on_day(&slow, Climate::TwoModes, DAY);
    let record = run(&world, &decided(), None);
    let forks = record.settings.forks;
    assert!((9..24).contains(&forks), "{forks}");
    let looks = looks(&record);
    assert_eq!(looks.last(), Some(&(forks, forks)), "{looks:?}");
    let last = record.settings.looks.as_ref().and_then(|looks| looks.last()).expect("the end");
    assert!((0.99..0.994).contains(&last.confidence), "{last:?}");
}

/// Interrupted in the seventh fork, in a turn of the second variant.
fn interrupted() -> Record {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let world = Rc::into_inner(hopeless()).expect("alone").scripted(move |m, request| {
        let now = (m.variant, m.start, m.turns) == (1, 7, 9) && matches!(request, Request::Turn { .. });
        now.then(|| {
            raised.raise();
            Err(Lost::Interrupted)
        })
    });
    let fake = Fake(Rc::clone(&world));
    measure_by(&world, &decided(), None, &fake, &mut Silent, &interrupt).expect("six forks and a bit")
}

#[test]
fn an_interrupt_is_a_look_and_leaves_the_rest_for_those_that_come_when_it_is_gone_on_with() {
    let cut = interrupted();
    assert_eq!(looks(&cut), [(4, 24), (6, 24), (7, 24)]);
    assert!(cut.settings.decided().is_none() && cut.settings.interrupted);
    let delta = cut.variants[2].delta.as_ref().expect("compared");
    assert!(delta.confidence > 0.99999, "{delta:?}");

    let whole = run(&hopeless(), &decided(), Some(&cut));
    assert_eq!(looks(&whole)[..4], [(4, 24), (6, 24), (7, 24), (9, 24)]);
    assert_eq!((looks(&whole).last(), whole.settings.forks), (Some(&(24, 24)), 24));
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let early = run(&world, &decided(), Some(&cut));
    assert!(early.settings.forks >= 9, "one more look at least: {:?}", looks(&early));
}

#[test]
fn an_interrupt_in_the_last_fork_leaves_something_too() {
    let before = [Look::after(&[], 6, 24, 0.99)];
    let end = Look::after(&before, 23, 24, 0.99);
    let after = Look::after(&[before[0], end], 24, 24, 0.99);
    assert!(after.confidence < 1.0 && end.confidence < after.confidence + 0.01, "{end:?} {after:?}");
}

#[test]
fn a_variant_that_is_lost_is_no_longer_waited_for_and_taken_up_without_another_look() {
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |m, request| {
        let now = (m.variant, m.start) == (1, 3) && matches!(request, Request::Turn { .. });
        now.then(|| died(End::Signal(9), None)).flatten()
    });
    let variants =
        [planned("original", Role::Original), planned("mish", Role::Swap), planned("gelu", Role::Swap)];
    let three = Measurement { variants: variants.to_vec().into(), ..decided() };
    let lost = run(&world, &three, None);
    let look = lost.settings.decided().expect("gelu is known");
    assert!(look.forks < 12 && lost.variants[1].forks.len() == 3, "{:?}", looks(&lost));
    let whole = run(&World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None), &three, Some(&lost));
    assert_eq!(looks(&whole), looks(&lost), "no more looks");
    assert!(complete(&whole, true).is_ok() && whole.variants[1].forks.len() >= look.forks);
    assert_eq!(whole.variants[1].delta.as_ref().map(|d| d.verdict), Some(Verdict::Slower));
}

#[test]
fn first_runs_end_when_they_are_known_too() {
    let world = World::new(&[100 * MS, 150 * MS, 90 * MS], |_, _| None);
    let record = run(&world, &Measurement { cold: true, ..decided() }, None);
    assert!(record.settings.decided().is_some(), "{:?}", looks(&record));
    assert_eq!(verdicts(&record)[1], Some(Verdict::Slower));
}

#[test]
fn where_nothing_is_compared_or_groups_have_ends_of_their_own_the_plan_is_the_end() {
    let world = World::new(&[10 * MS], |_, _| None);
    let alone = [planned("original", Role::Original)];
    let record = run(&world, &Measurement { variants: alone.to_vec().into(), ..decided() }, None);
    assert_eq!((record.settings.forks, record.settings.looks), (24, None));

    let world = World::new(&[10 * MS, 12 * MS, 9 * MS, 10 * MS], |_, _| None);
    world.available_bytes.set(grouped::four_fit());
    let record = run(&world, &Measurement { until: Until::Decided, ..grouped::six() }, None);
    assert_eq!((record.settings.groups, record.settings.looks), (Some(2), None));
}

#[test]
fn where_there_is_a_limit_it_ends_when_that_is_surely_kept_or_surely_broken() {
    // 1.5% slower, by processes that differ by some per cent: that it is slower takes longer to know than that it is not by 30%.
    let ended = |limit: Option<f64>| {
        let world = World::on_day(&[10 * MS, 10 * MS + MS / 7, 9 * MS], Climate::TwoModes, DAY);
        let record = run(&world, &Measurement { limit, ..decided() }, None);
        let delta = record.variants[1].delta.clone().expect("compared");
        (record.settings.forks, record.settings.max_regression, limit.and_then(|limit| delta.keeps(limit)))
    };
    let (verdict, kept, broken) = (ended(None), ended(Some(0.6)), ended(Some(0.0)));
    assert_eq!((verdict.0, kept.1, kept.2), (24, Some(0.6), Some(true)), "{verdict:?} {kept:?}");
    assert!(kept.0 < 24 && broken.2.is_none(), "{kept:?} {broken:?}");
    let world = World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None);
    let record = run(&world, &Measurement { limit: Some(0.05), ..decided() }, None);
    assert!(record.settings.decided().is_some());
    assert_eq!(record.variants[1].delta.as_ref().and_then(|d| d.keeps(0.05)), Some(false));
}

/// Keeps what is told of a variant.
#[derive(Default)]
struct Watching {
    early: bool,
    verdicts: Vec<Option<Verdict>>,
}

impl Progress for Watching {
    fn may_end_early(&mut self) {
        self.early = true;
    }

    fn estimates(&mut self, variants: &[SoFar]) {
        self.verdicts.push(variants.iter().find(|v| v.name == "mish").expect("told").verdict);
    }
}

#[test]
fn a_verdict_is_told_as_soon_as_it_is_known() {
    let told = |world: Rc<World>| {
        let mut watching = Watching::default();
        let fake = Fake(Rc::clone(&world));
        let record = measure_by(&world, &decided(), None, &fake, &mut watching, &Interrupt::default());
        assert!(watching.early && watching.verdicts[0].is_none(), "nobody has looked yet");
        (record.expect("measured"), watching.verdicts)
    };
    let (record, verdicts) = told(World::new(&[10 * MS, 11 * MS, 9 * MS], |_, _| None));
    assert!(record.settings.decided().is_some());
    assert_eq!(verdicts.last(), Some(&Some(Verdict::Slower)));
    let (_, verdicts) = told(hopeless());
    assert!(verdicts.contains(&Some(Verdict::Inconclusive)), "it is open all the time");
}
