//! The arithmetic of time: how many forks, rounds and runs fit, and in which order variants have their turns.
//!
//! The fork is the unit of replication, so forks come before rounds: with few of them Student's t makes
//! intervals wide. But a fork of a slow model costs a cold start of every variant, so their number falls
//! when time is short: a user who gave a minute wants an answer in about that, with the interval it allows.
//!
//! What else happens on a machine lasts for a second or a few, so variants must follow one another faster than that.
//! A fast model's turn is several runs after an untimed one, which finds the caches as the run before it left them. Of a
//! slow model a turn is a single run: it refills caches in a hundredth of its time, while a second run would double the
//! time between variants.

use std::time::Duration;

use crate::random::{SplitMix64, mix};
use crate::stats::t_quantile;

/// One fork in so many starts its workers one by one, the others together. A median of cold starts needs few of them, and
/// starting is what most of the time goes into that isn't spent on timed runs.
const ONE_BY_ONE_EVERY: usize = 4;

/// Forks below which intervals get very wide: made even if they take a good deal more than the time.
const FEWEST_FORKS: usize = 3;

/// Forks for which the time may be overrun: with more of them, it only has to be filled.
const PLENTY: usize = 8;

/// Forks that are made whatever they take: without two there is no interval at all.
const LAST_RESORT: usize = 2;

/// Rounds that a fork has at most: its median is as good as it gets long before.
const MOST_ROUNDS: usize = 1000;

/// Variance of the ratios of single runs over that of the ratios of forks. On a virtual machine, their deviations were
/// 3.0% and 1.3%.
const RUN_SCATTER: f64 = 5.0;

/// One round in so many has a profiled turn beside the plain one: it takes fewer runs to say where time goes than to
/// give a verdict. Where forks have fewer rounds, every other fork has one.
const PROFILE_EVERY: usize = 6;

/// How far the time may be overrun for another fork.
const OVERRUN: f64 = 1.2;

/// How far the time may be overrun to have the fewest forks.
const OVERRUN_FOR_FEWEST: f64 = 1.4;

/// Timed runs of a turn should take this long together, so that the untimed one doesn't dominate.
const TURN: Duration = Duration::from_millis(15);

/// Timed runs for one untimed one that make good use of the time.
const GOOD_RUNS: u32 = 3;

/// A run that takes this long is a turn of its own.
const LONG_RUN: Duration = Duration::from_millis(80);

/// Models are warmed up for about this long if run times settle at once; those of which not one run fits in it are warm
/// after their first.
const WARM_UP: Duration = Duration::from_millis(100);
const WARM_UP_STEPS: u32 = 2;

/// Steps of a warm-up after which it ends, settled or not.
pub const MOST_STEPS: usize = 6;

/// By how much a step may still be faster than the one before.
const SETTLED: f64 = 0.02;

/// What the parts of a measurement cost, of all variants together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Starting and loading a fork, and warming it up before its first round.
    pub fork: Duration,
    /// One plain turn of every variant.
    pub turn: Duration,
    /// One profiled turn of every variant, beside the plain one.
    pub profile: Duration,
    /// What is still to be done, and only once: memory and outputs.
    pub survey: Duration,
}

/// What to do from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Forks that are finished.
    done: usize,
    /// Forks to come, this one included.
    pub forks: usize,
    /// Rounds of each.
    pub rounds: usize,
}

/// Plans the rest, when a fork has been loaded: the forks and rounds that fit the time and promise the narrowest interval.
///
/// A turn has `runs` timed runs; `time` is that of the whole measurement, of which `spent` is gone; `done` forks of at
/// most `wanted` are finished.
pub fn schedule(
    costs: Costs,
    runs: u32,
    time: Duration,
    spent: Duration,
    done: usize,
    wanted: usize,
) -> Schedule {
    let most = wanted.saturating_sub(done).max(1);
    let at_least = |forks: usize| forks.min(wanted).saturating_sub(done).max(1);
    let fits = |forks: usize, rounds: usize, overrun: f64| {
        let whole = spent + Schedule { done, forks, rounds }.left(costs, 0);
        whole.as_secs_f64() <= time.as_secs_f64() * overrun
    };
    let rounds_of = |forks: usize| {
        let (mut rounds, mut too_many) = (0, MOST_ROUNDS + 1);
        while too_many - rounds > 1 {
            let middle = rounds.midpoint(too_many);
            if fits(forks, middle, 1.0) {
                rounds = middle;
            } else {
                too_many = middle;
            }
        }
        let overrun = forks <= at_least(PLENTY) && fits(forks, 1, OVERRUN);
        (rounds > 0 || overrun).then_some(rounds.max(1))
    };
    let width = |forks| Some((forks, half_width(done, forks, rounds_of(forks)?, runs)));
    let best = (1..=most).filter_map(width).min_by(|(_, a), (_, b)| a.total_cmp(b));
    let fewest = (1..=at_least(FEWEST_FORKS)).rev().find(|&forks| fits(forks, 1, OVERRUN_FOR_FEWEST));
    let forks = best.map_or(1, |(forks, _)| forks).max(fewest.unwrap_or(1)).max(at_least(LAST_RESORT));
    let rounds = rounds_of(forks).unwrap_or(1);
    Schedule { done, forks, rounds }
}

/// Plans the rounds of a fork that is the only one of its variants, where more processes can be had instead of more rounds: so many
/// that a second of runs and one of starting a process narrow an interval alike. They are even, since a round and the one after it
/// cancel a drift.
pub fn single_fork(costs: Costs, runs: u32) -> Schedule {
    const MOST: f64 = 20.0;
    let turn = costs.turn.as_secs_f64().max(1e-9);
    let rounds = (RUN_SCATTER / f64::from(runs.max(1)) * costs.fork.as_secs_f64() / turn).sqrt();
    Schedule { done: 0, forks: 1, rounds: 2 * (0.5 * rounds.min(MOST)).round().max(1.0) as usize }
}

/// Half the width of the interval to expect, in standard deviations between forks, when `forks` of `rounds` rounds have
/// joined those that are `done`. These are taken to have one round each: where they have many, time is not short.
///
/// More rounds make a fork's number scatter less, more forks average over more numbers. Where a fork takes long to
/// start, the rounds are worth more.
fn half_width(done: usize, forks: usize, rounds: usize, runs: u32) -> f64 {
    let round = RUN_SCATTER / f64::from(runs.max(1));
    let scatter = |forks: usize, rounds: usize| (1.0 + round / rounds as f64) * forks as f64;
    let all = (done + forks) as f64;
    t_quantile(0.995, all - 1.0) * (scatter(done, 1) + scatter(forks, rounds)).sqrt() / all
}

impl Schedule {
    /// Nothing is left to do.
    pub fn last() -> Self {
        Self { done: 0, forks: 1, rounds: 0 }
    }

    /// About how long the rest takes, when so many rounds of this fork are done (its load is).
    pub fn left(&self, costs: Costs, rounds: usize) -> Duration {
        let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let turns = self.forks * self.rounds - rounds.min(self.rounds);
        // As `turns` has them.
        let profiled = |fork: usize, from: usize| match self.rounds {
            ..PROFILE_EVERY => usize::from(from == 0 && fork.is_multiple_of(2)),
            rounds => rounds.div_ceil(PROFILE_EVERY) - from.min(rounds).div_ceil(PROFILE_EVERY),
        };
        let profiles: usize =
            (0..self.forks).map(|i| profiled(self.done + i, if i == 0 { rounds } else { 0 })).sum();
        costs.turn.saturating_mul(times(turns))
            + costs.profile.saturating_mul(times(profiles))
            + costs.fork.saturating_mul(times(self.forks.saturating_sub(1)))
            + costs.survey
    }

    /// Which turns a variant has in a round of this or a later fork. One plain turn in [`PROFILE_EVERY`] has a profiled
    /// one beside it, alternately after and before it, so that a drift cancels.
    pub fn turns(&self, fork: usize, round: usize) -> Turns {
        let (profiled, count) = if self.rounds < PROFILE_EVERY {
            (round == 0 && fork.is_multiple_of(2), fork / 2)
        } else {
            (round.is_multiple_of(PROFILE_EVERY), fork + round / PROFILE_EVERY)
        };
        match (profiled, count.is_multiple_of(2)) {
            (false, _) => Turns::Plain,
            (true, true) => Turns::PlainThenProfiled,
            (true, false) => Turns::ProfiledThenPlain,
        }
    }
}

/// Which turns a round gives a variant, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    Plain,
    PlainThenProfiled,
    ProfiledThenPlain,
}

/// Whether a fork's workers start one by one, so that it is known what a cold start takes.
pub fn starts_one_by_one(fork: usize) -> bool {
    fork.is_multiple_of(ONE_BY_ONE_EVERY)
}

/// What the start of a fork takes, on average over many.
pub fn usual_start(one_by_one: Duration, together: Duration) -> Duration {
    (one_by_one + together * (ONE_BY_ONE_EVERY as u32 - 1)) / ONE_BY_ONE_EVERY as u32
}

/// Untimed runs of one step of the warm-up of a model whose first run took `first`; 0 for a slow one, which is warm
/// after it.
pub fn warm_up_runs(first: Duration) -> u32 {
    runs_in(WARM_UP, first).min(100).div_ceil(WARM_UP_STEPS)
}

/// Whether run times have settled: the last step of the warm-up (its median run) was no faster than the one before,
/// but for a little.
pub fn settled(steps: &[Duration]) -> bool {
    let [.., before, last] = steps else { return false };
    last.as_secs_f64() > (1.0 - SETTLED) * before.as_secs_f64()
}

/// Timed runs of a turn, from the run time of the fastest variant: enough for the untimed one not to dominate. A single
/// one for a slow model, and where more would leave no time for plenty of forks.
pub fn runs_per_turn(fastest: Duration, leave_plenty: impl Fn(u32) -> bool) -> u32 {
    let least = (runs_in(TURN, fastest) + 1).min(100);
    match least {
        1 if fastest >= LONG_RUN || !leave_plenty(GOOD_RUNS) => 1,
        _ => least.max(GOOD_RUNS),
    }
}

/// Untimed runs before that many timed ones of a worker that wasn't the last to run.
pub fn untimed_runs(runs_per_turn: u32) -> u32 {
    u32::from(runs_per_turn > 1)
}

/// Whether plenty of forks, or all that are wanted, fit into the time with a round each.
pub fn has_plenty(costs: Costs, time: Duration, spent: Duration, done: usize, wanted: usize) -> bool {
    let forks = wanted.min(PLENTY).saturating_sub(done).max(1);
    spent + Schedule { done, forks, rounds: 1 }.left(costs, 0) <= time
}

/// Profiled runs of a turn of so many: attribution needs fewer than a verdict does.
pub fn profiled_runs(runs_per_turn: u32) -> u32 {
    runs_per_turn.div_ceil(3)
}

/// Whole runs of this length that fit in the time; many if the length is unknown.
fn runs_in(time: Duration, run: Duration) -> u32 {
    u32::try_from(time.as_nanos() / run.as_nanos().max(1)).unwrap_or(u32::MAX - 1)
}

/// The order in which the variants have their turns: a random permutation, the same for the same seed, and its reverse
/// in the round after it, so that a machine that gets slower all the while slows all variants alike.
pub fn order(seed: u64, fork: usize, round: usize, variants: &[usize]) -> Vec<usize> {
    if !round.is_multiple_of(2) {
        let mut order = order(seed, fork, round - 1, variants);
        order.reverse();
        return order;
    }
    let mut order = variants.to_vec();
    SplitMix64::new(seed ^ mix(((fork as u64) << 32) | round as u64)).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn costs(fork: f64, turn: f64, profile: f64, survey: f64) -> Costs {
        let s = Duration::from_secs_f64;
        Costs { fork: s(fork), turn: s(turn), profile: s(profile), survey: s(survey) }
    }

    const FORTY: Duration = Duration::from_secs(40);

    /// Forks and rounds, and seconds in all, if the first fork's load took as long as the others' do.
    fn planned(costs: Costs) -> (usize, usize, f64) {
        let plan = schedule(costs, 3, FORTY, costs.fork, 0, 8);
        (plan.forks, plan.rounds, (costs.fork + plan.left(costs, 0)).as_secs_f64())
    }

    #[test]
    fn a_fast_model_has_all_its_forks_and_fills_the_time() {
        let (forks, rounds, whole) = planned(costs(0.3, 0.06, 0.05, 0.2));
        assert_eq!(forks, 8);
        assert!(rounds > 30 && (38.0..=40.0).contains(&whole), "{rounds} rounds take {whole} s");
    }

    #[test]
    fn a_slow_model_has_forks_rather_than_rounds() {
        // Three variants of yolov5s at 640: 0.3 s to load, 0.33 s a run.
        let (forks, rounds, whole) = planned(costs(1.0, 2.0, 1.0, 3.0));
        assert_eq!((forks, rounds), (8, 1));
        assert!((25.0..=40.0).contains(&whole), "{whole} s");
        // On a machine half as fast.
        let (forks, rounds, whole) = planned(costs(1.2, 4.4, 2.2, 6.6));
        assert_eq!((forks, rounds), (6, 1));
        assert!(whole <= 48.0, "{whole} s");
    }

    #[test]
    fn a_model_that_takes_long_to_start_has_several_rounds_a_fork() {
        // Four variants of yolov5n at 160 in ten seconds: 1.6 s to start, 0.19 s a turn.
        let time = Duration::from_secs(10);
        let costs = costs(1.6, 0.19, 0.12, 0.2);
        let plan = schedule(costs, 4, time, costs.fork, 0, 8);
        assert_eq!(plan.forks, 6);
        let plan = schedule(costs, 4, 3 * time, costs.fork, 0, 12);
        assert!(plan.forks >= 10 && plan.rounds >= 3, "{plan:?}");
    }

    #[test]
    fn a_model_too_slow_for_the_time_has_few_forks_and_never_less_than_two() {
        assert_eq!(planned(costs(4.0, 9.0, 5.0, 5.0)).0, 3);
        assert_eq!(planned(costs(7.0, 15.0, 6.0, 6.0)).0, 2);
        assert_eq!(planned(costs(60.0, 30.0, 15.0, 60.0)).0, 2);
    }

    #[test]
    fn fewer_forks_are_made_only_if_asked_for_or_made_already() {
        let forks = |costs, spent, done, wanted| schedule(costs, 1, FORTY, spent, done, wanted).forks;
        assert_eq!(forks(costs(0.1, 0.1, 0.1, 0.1), Duration::ZERO, 0, 1), 1);
        assert_eq!(forks(costs(60.0, 30.0, 15.0, 60.0), FORTY, 0, 1), 1);
        assert_eq!(forks(costs(60.0, 30.0, 15.0, 0.0), FORTY, 3, 8), 1);
    }

    #[test]
    fn a_single_fork_has_more_rounds_where_processes_take_long_to_start() {
        let rounds = |fork, turn, runs| single_fork(costs(fork, turn, 0.0, 0.0), runs).rounds;
        assert_eq!(rounds(0.6, 0.16, 3), 2);
        assert_eq!(rounds(6.0, 0.16, 3), 8);
        assert_eq!(rounds(600.0, 0.16, 1), 20);
        assert_eq!(rounds(0.0, 1.0, 1), 2);
    }

    #[test]
    fn a_warm_up_ends_when_it_gets_no_faster() {
        let steps = |ms: &[u64]| settled(&ms.iter().map(|&ms| Duration::from_millis(ms)).collect::<Vec<_>>());
        assert!(!steps(&[]) && !steps(&[100]));
        assert!(!steps(&[100, 90]) && !steps(&[100, 90, 80]));
        assert!(steps(&[100, 90, 89]) && steps(&[100, 90, 95]));
    }

    #[test]
    fn an_estimate_of_nothing_is_still_a_plan() {
        let plan = schedule(Costs::default(), 1, FORTY, Duration::ZERO, 0, 8);
        assert_eq!((plan.forks, plan.rounds), (8, MOST_ROUNDS));
    }

    #[test]
    fn what_is_left_shrinks_by_what_was_done() {
        let costs = costs(1.0, 2.0, 0.5, 3.0);
        let plan = Schedule { done: 0, forks: 2, rounds: 6 };
        assert_eq!(plan.left(costs, 0) - plan.left(costs, 1), costs.turn + costs.profile);
        assert_eq!(plan.left(costs, 1) - plan.left(costs, 2), costs.turn);
        let rest = Schedule { done: 1, forks: 1, rounds: 6 };
        assert_eq!(plan.left(costs, 6) - rest.left(costs, 0), costs.fork);
    }

    #[test]
    fn what_is_left_holds_the_turns_that_will_be_profiled() {
        let costs = costs(0.0, 0.0, 1.0, 0.0);
        for (done, rounds, from) in
            [(0, 1, 0), (1, 1, 0), (0, 1, 1), (0, 13, 0), (3, 19, 1), (2, 20, 7), (1, 4, 4)]
        {
            let plan = Schedule { done, forks: 3, rounds };
            let turns = |fork: usize, from| {
                (from..rounds).filter(|&round| plan.turns(fork, round) != Turns::Plain).count() as f64
            };
            let profiled = turns(done, from) + turns(done + 1, 0) + turns(done + 2, 0);
            assert_eq!(plan.left(costs, from).as_secs_f64(), profiled, "{plan:?} from {from}");
        }
    }

    #[test]
    fn one_round_in_six_is_profiled_before_and_after_by_turns() {
        use Turns::*;
        let turns = |rounds: usize, fork: usize| -> Vec<Turns> {
            let plan = Schedule { done: 0, forks: 8, rounds };
            (0..rounds).map(|round| plan.turns(fork, round)).collect()
        };
        let six = [&[PlainThenProfiled][..], &[Plain; 5]].concat();
        assert_eq!(turns(8, 0), [&six[..], &[ProfiledThenPlain, Plain]].concat());
        assert_eq!(turns(5, 2), [&[ProfiledThenPlain][..], &[Plain; 4]].concat());
        assert_eq!(turns(5, 3), [Plain; 5]);
        let single: Vec<_> = (0..5).flat_map(|fork| turns(1, fork)).collect();
        assert_eq!(single, [PlainThenProfiled, Plain, ProfiledThenPlain, Plain, PlainThenProfiled]);
    }

    #[test]
    fn more_forks_than_plenty_fill_the_time_and_do_not_overrun_it() {
        let slow = costs(0.9, 1.6, 0.4, 1.2);
        let plan = schedule(slow, 1, Duration::from_secs(30), slow.fork, 0, 16);
        let whole = (slow.fork + plan.left(slow, 0)).as_secs_f64();
        assert!((9..16).contains(&plan.forks) && whole <= 30.0, "{} forks in {whole} s", plan.forks);
    }

    #[test]
    fn turns_of_fast_models_have_many_runs_and_those_of_slow_ones_a_single_one() {
        let ms = Duration::from_millis;
        let all = [ms(400), ms(16), ms(15), ms(5), Duration::from_micros(3), Duration::ZERO];
        assert_eq!(all.map(|run| runs_per_turn(run, |_| true)), [1, 3, 3, 4, 100, 100]);
        assert_eq!(all.map(|run| runs_per_turn(run, |_| false)), [1, 1, 3, 4, 100, 100]);
        assert_eq!([1, 2, 100].map(untimed_runs), [0, 1, 1]);
        let slow = |runs: u32| costs(5.0, 2.4 * f64::from(runs + 1), 2.4, 7.0);
        assert!(!has_plenty(slow(1), FORTY, slow(1).fork, 0, 16), "a slow model takes what it can get");
        assert!(has_plenty(slow(2), 4 * FORTY, slow(2).fork, 0, 16));
        assert!(has_plenty(slow(2), FORTY, slow(2).fork, 0, 2), "no more are wanted");
        assert_eq!([1, 3, 4, 100].map(profiled_runs), [1, 1, 2, 34]);
        assert_eq!([ms(400), ms(30), ms(1), Duration::ZERO].map(warm_up_runs), [0, 2, 50, 50]);
    }

    #[test]
    fn every_order_is_as_likely_and_the_seed_fixes_it() {
        let mut seen: HashMap<Vec<usize>, u32> = HashMap::new();
        for round in (0..12000).step_by(2) {
            *seen.entry(order(7, 0, round, &[0, 1, 2])).or_default() += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        let [once, again, next] = [4, 4, 5].map(|round| order(7, 3, round, &[0, 2, 4, 6]));
        assert_eq!(once, again);
        assert!(next.iter().eq(once.iter().rev()), "a round is the reverse of the one before it");
    }
}
