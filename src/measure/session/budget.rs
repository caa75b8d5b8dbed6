//! What a session may take, and what its parts cost as far as it is known by now.

use std::time::Duration;

use crate::measure::Measurement;
use crate::measure::plan::{self, Costs, Schedule};

/// What the survey of a variant takes, in runs.
pub const SURVEY_RUNS: u32 = 3;

/// By how much the plan may exceed the time before the user is told.
const TOLERATED: f64 = 1.25;

pub struct Budget {
    /// Wall time for what is still to be measured.
    pub time: Duration,
    /// Forks that are wanted.
    forks: usize,
    /// The pause before every fork but the first.
    pause: Duration,
    /// The fork with which the session began: not the first of all, where it goes on from a record.
    first: usize,
    /// What it took last to start a fork's workers one by one, and together.
    one_by_one: Option<Duration>,
    together: Option<Duration>,
    costs: Costs,
}

impl Budget {
    /// For the forks from `first` to `last`, this one not included.
    pub fn new(measurement: &Measurement, first: usize, last: usize) -> Self {
        let share = last.saturating_sub(first) as f64 / measurement.forks.max(1) as f64;
        Self {
            time: measurement.time.mul_f64(share.min(1.0)),
            forks: last,
            pause: measurement.rest.pause,
            first,
            one_by_one: None,
            together: None,
            costs: Costs::default(),
        }
    }

    /// Whether the session began with this fork.
    pub fn is_first(&self, fork: usize) -> bool {
        fork <= self.first
    }

    /// Notes what it took to start this fork's workers, `together` or one by one, and to warm them up.
    pub fn note_start(&mut self, fork: usize, took: Duration, together: bool) {
        // The first had no pause, all others have.
        let took = if self.is_first(fork) { took + self.pause } else { took };
        *(if together { &mut self.together } else { &mut self.one_by_one }) = Some(took);
        self.costs.fork = match (self.one_by_one, self.together) {
            (Some(one_by_one), Some(together)) => plan::usual_start(one_by_one, together),
            _ => took,
        };
    }

    /// Notes what a fork took in which only first runs count.
    pub fn note_first_runs(&mut self, took: Duration) {
        self.costs = Costs { fork: took, ..Costs::default() };
    }

    /// Notes what turns of so many timed runs cost, from one run of every variant.
    pub fn note_turns(&mut self, run: Duration, runs_per_turn: u32) {
        self.costs.turn = turn(run, runs_per_turn);
        self.costs.profile = run * plan::profiled_runs(runs_per_turn);
    }

    /// Notes what the survey will cost, from one run of every variant.
    pub fn note_survey(&mut self, run: Duration) {
        self.costs.survey = run * SURVEY_RUNS;
    }

    pub fn survey_is_done(&mut self) {
        self.costs.survey = Duration::ZERO;
    }

    /// Timed runs of a turn, from the fastest variant's run and one run of every variant.
    pub fn runs_per_turn(&self, fastest: Duration, run: Duration, spent: Duration, fork: usize) -> u32 {
        plan::runs_per_turn(fastest, |runs| {
            let profile = run * plan::profiled_runs(runs);
            let costs = Costs { turn: turn(run, runs), profile, ..self.costs };
            plan::has_plenty(costs, self.time, spent, fork, self.forks)
        })
    }

    /// Plans the rest, this fork included.
    pub fn schedule(&self, runs_per_turn: u32, spent: Duration, fork: usize) -> Schedule {
        plan::schedule(self.costs, runs_per_turn, self.time, spent, fork, self.forks)
    }

    /// Plans a fork that is the only one of its variants.
    pub fn single_fork(&self, runs_per_turn: u32) -> Schedule {
        plan::single_fork(self.costs, runs_per_turn)
    }

    /// About how long the rest takes, when so many rounds of this fork are done.
    pub fn left(&self, schedule: Schedule, rounds: usize) -> Duration {
        schedule.left(self.costs, rounds)
    }

    /// How many times as long as its time the whole plan takes; `None` if it is near it.
    pub fn overrun(&self, whole: Duration) -> Option<f64> {
        let times = whole.as_secs_f64() / self.time.as_secs_f64();
        (whole.as_secs_f64() > TOLERATED * self.time.as_secs_f64()).then_some(times)
    }
}

/// One plain turn of every variant, from one run of every variant.
fn turn(run: Duration, runs_per_turn: u32) -> Duration {
    run * (runs_per_turn + plan::untimed_runs(runs_per_turn))
}
