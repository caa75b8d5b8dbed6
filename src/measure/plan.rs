//! The arithmetic of time: how many forks, rounds and runs fit, and in which order variants have their turns.
//!
//! The fork is the unit of replication, so forks come before rounds: with few of them Student's t makes
//! intervals wide. But a fork of a slow model costs a cold start of every variant, so their number falls
//! when time is short: a user who gave a minute wants an answer in about that, with the interval it allows.

use std::time::Duration;

/// Forks below which intervals get very wide: made even if they take somewhat more than the time.
const FEWEST_FORKS: usize = 4;

/// Forks that are made whatever they take: without two there is no interval at all.
const LAST_RESORT: usize = 2;

/// Rounds that a fork should have before more forks are made.
const WANTED_ROUNDS: usize = 3;

/// Rounds that a fork has at most: its median is as good as it gets long before.
const MOST_ROUNDS: usize = 1000;

/// One round in so many has a profiled turn beside the plain one.
const PROFILE_EVERY: usize = 3;

/// How far the time may be overrun to give the fewest forks more rounds than one.
const OVERRUN_FOR_ROUNDS: f64 = 1.2;

/// How far the time may be overrun to have that many forks.
const OVERRUN_FOR_FORKS: f64 = 1.4;

/// Timed runs of a turn should take this long together, so that the untimed one doesn't dominate.
const TURN: Duration = Duration::from_millis(15);

/// Models are warmed up for this long; slower ones are warm after their first run.
const WARM_UP: Duration = Duration::from_millis(100);

/// What the parts of a measurement cost, of all variants together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Starting, loading and first runs of a fork.
    pub fork: Duration,
    /// One turn of every variant, plain or profiled.
    pub pass: Duration,
    /// What is yet to be done once: memory and outputs.
    pub survey: Duration,
}

/// What to do from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Forks to come, this one included.
    pub forks: usize,
    /// Rounds of this fork.
    pub rounds: usize,
}

/// Plans the rest, when a fork has been loaded.
///
/// `time` is that of the whole measurement, of which `spent` is gone; `done` forks of at most `wanted` are
/// finished.
pub fn schedule(costs: Costs, time: Duration, spent: Duration, done: usize, wanted: usize) -> Schedule {
    let most = wanted.saturating_sub(done).max(1);
    let at_least = |forks: usize| forks.min(wanted).saturating_sub(done).max(1);
    let fewest = at_least(FEWEST_FORKS);
    let rounds = |forks: usize, overrun: f64| {
        let once = (spent + costs.survey).as_secs_f64() + costs.fork.as_secs_f64() * (forks - 1) as f64;
        let left = time.as_secs_f64() * overrun - once;
        let passes = left / (forks as f64 * costs.pass.as_secs_f64().max(1e-9));
        rounds_of(passes.clamp(0.0, 2.0 * MOST_ROUNDS as f64) as usize).min(MOST_ROUNDS)
    };
    let plenty = (fewest..=most).rev().map(|forks| (forks, rounds(forks, 1.0)));
    if let Some((forks, rounds)) = { plenty }.find(|&(_, rounds)| rounds >= WANTED_ROUNDS) {
        return Schedule { forks, rounds };
    }
    match rounds(fewest, OVERRUN_FOR_ROUNDS).min(WANTED_ROUNDS) {
        0 => {
            let last = at_least(LAST_RESORT);
            let forks = { last..=fewest }.rev().find(|&forks| rounds(forks, OVERRUN_FOR_FORKS) > 0);
            Schedule { forks: forks.unwrap_or(last), rounds: 1 }
        }
        rounds => Schedule { forks: fewest, rounds },
    }
}

/// Rounds that fit into so many passes, if every third is profiled too.
fn rounds_of(passes: usize) -> usize {
    passes - passes.div_ceil(PROFILE_EVERY + 1)
}

/// Passes that the rounds take.
fn passes_of(rounds: usize) -> usize {
    rounds + rounds.div_ceil(PROFILE_EVERY)
}

impl Schedule {
    /// About how long the rest takes, when so many rounds of this fork are done (its load is).
    pub fn left(&self, costs: Costs, rounds: usize) -> Duration {
        let passes = self.forks * passes_of(self.rounds) - passes_of(rounds.min(self.rounds));
        let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let passes = costs.pass.saturating_mul(times(passes));
        let more = costs.fork.saturating_mul(times(self.forks.saturating_sub(1)));
        passes.saturating_add(more).saturating_add(costs.survey)
    }
}

/// Which turns a round gives a variant, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    Plain,
    PlainThenProfiled,
    ProfiledThenPlain,
}

/// Profiled turns come beside every third plain one, before and after it by turns: a drift then cancels.
pub fn turns(fork: usize, round: usize) -> Turns {
    match (round % PROFILE_EVERY, (fork + round / PROFILE_EVERY) % 2) {
        (0, 0) => Turns::PlainThenProfiled,
        (0, _) => Turns::ProfiledThenPlain,
        _ => Turns::Plain,
    }
}

/// Untimed runs to warm up a model whose first run took `first`; 0 for a slow one.
pub fn warm_up_runs(first: Duration) -> u32 {
    runs_in(WARM_UP, first).min(100)
}

/// Timed runs of a turn, from the run time of the fastest variant.
pub fn runs_per_turn(fastest: Duration) -> u32 {
    (runs_in(TURN, fastest) + 1).min(100)
}

/// Whole runs of this length that fit in the time; many if the length is unknown.
fn runs_in(time: Duration, run: Duration) -> u32 {
    u32::try_from(time.as_nanos() / run.as_nanos().max(1)).unwrap_or(u32::MAX - 1)
}

/// The order in which the variants have their turns: a random permutation, the same for the same seed.
pub fn order(seed: u64, fork: usize, round: usize, variants: &[usize]) -> Vec<usize> {
    let mut state = seed ^ mix(((fork as u64) << 32) | round as u64);
    let mut order = variants.to_vec();
    for last in (1..order.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // The modulo's bias is far below what a handful of variants could show.
        order.swap(last, (mix(state) % (last as u64 + 1)) as usize);
    }
    order
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn costs(fork: f64, pass: f64, survey: f64) -> Costs {
        let s = Duration::from_secs_f64;
        Costs { fork: s(fork), pass: s(pass), survey: s(survey) }
    }

    const FORTY: Duration = Duration::from_secs(40);

    #[test]
    fn a_fast_model_has_all_its_forks_and_fills_the_time() {
        let costs = costs(0.3, 0.06, 0.2);
        let plan = schedule(costs, FORTY, costs.fork, 0, 8);
        assert_eq!(plan.forks, 8);
        let whole = costs.fork + plan.left(costs, 0);
        assert!((38.0..=40.0).contains(&whole.as_secs_f64()), "{plan:?} takes {whole:?}");
    }

    #[test]
    fn a_slow_model_has_fewer_forks_rather_than_much_more_time() {
        // Three variants of yolov5s at 640: 1 s to load, 0.33 s a run.
        let costs = costs(4.2, 2.0, 4.0);
        let plan = schedule(costs, FORTY, costs.fork, 0, 8);
        let whole = costs.fork + plan.left(costs, 0);
        assert_eq!(plan, Schedule { forks: 4, rounds: 2 });
        assert!(whole.as_secs_f64() <= 48.0, "{plan:?} takes {whole:?}");
        // The first round is profiled too: two passes less to come.
        assert_eq!(plan.left(costs, 1) + 2 * costs.pass, plan.left(costs, 0));
    }

    #[test]
    fn a_slower_model_has_as_many_forks_as_take_only_somewhat_more_than_the_time() {
        let costs = costs(4.8, 2.6, 6.0);
        assert_eq!(schedule(costs, FORTY, costs.fork, 0, 8), Schedule { forks: 4, rounds: 1 });
        assert_eq!(
            schedule(self::costs(7.0, 2.5, 6.0), FORTY, costs.fork, 0, 8),
            Schedule { forks: 4, rounds: 1 }
        );
        assert_eq!(
            schedule(self::costs(7.0, 5.0, 6.0), FORTY, costs.fork, 0, 8),
            Schedule { forks: 3, rounds: 1 }
        );
    }

    #[test]
    fn a_model_too_slow_for_the_time_has_two_forks_of_a_round() {
        let plan = schedule(costs(60.0, 30.0, 60.0), FORTY, Duration::from_secs(60), 0, 8);
        assert_eq!(plan, Schedule { forks: 2, rounds: 1 });
    }

    #[test]
    fn fewer_forks_are_made_only_if_asked_for_or_made_already() {
        assert_eq!(schedule(costs(0.1, 0.1, 0.1), FORTY, Duration::ZERO, 0, 1).forks, 1);
        assert_eq!(schedule(costs(60.0, 30.0, 60.0), FORTY, FORTY, 0, 1).forks, 1);
        assert_eq!(schedule(costs(60.0, 30.0, 0.0), FORTY, FORTY, 3, 8).forks, 1);
    }

    #[test]
    fn an_estimate_of_nothing_is_still_a_plan() {
        let plan = schedule(Costs::default(), FORTY, Duration::ZERO, 0, 8);
        assert_eq!(plan, Schedule { forks: 8, rounds: MOST_ROUNDS });
    }

    #[test]
    fn one_round_in_three_is_profiled_before_and_after_by_turns() {
        let fork: Vec<Turns> = (0..7).map(|round| turns(0, round)).collect();
        use Turns::*;
        assert_eq!(
            fork,
            [PlainThenProfiled, Plain, Plain, ProfiledThenPlain, Plain, Plain, PlainThenProfiled]
        );
        assert_eq!(turns(1, 0), ProfiledThenPlain);
        assert_eq!((1..20).map(|p| passes_of(rounds_of(p))).filter(|&p| p == 0).count(), 1);
        assert!((1..200).all(|p| passes_of(rounds_of(p)) <= p && passes_of(rounds_of(p) + 1) > p));
    }

    #[test]
    fn turns_of_fast_models_have_many_runs_and_slow_ones_a_single_run() {
        let ms = Duration::from_millis;
        let runs = [ms(400), ms(15), ms(5), Duration::from_micros(3), Duration::ZERO].map(runs_per_turn);
        assert_eq!(runs, [1, 2, 4, 100, 100]);
        assert_eq!([ms(400), ms(30), ms(1), Duration::ZERO].map(warm_up_runs), [0, 3, 100, 100]);
    }

    #[test]
    fn every_order_is_as_likely_and_the_seed_fixes_it() {
        let mut seen: HashMap<Vec<usize>, u32> = HashMap::new();
        for round in 0..6000 {
            *seen.entry(order(7, 0, round, &[0, 1, 2])).or_default() += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        assert_eq!(order(7, 3, 5, &[0, 2, 4, 6]), order(7, 3, 5, &[0, 2, 4, 6]));
    }
}
