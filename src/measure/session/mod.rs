//! The measurement as it happens: forks of workers, rounds of turns, and what to do when one fails.
//!
//! A [`Session`] goes from fork to fork. Each fork is a fresh worker for every variant: `start` begins it, `turns` are its
//! rounds, `survey` asks once for what needs no timing, `failing` is for variants that fail on the way. `budget` knows
//! what all that costs, `pace` how fast each variant is, `so_far` what is known of it by now, and `looks` whether that is enough.

mod budget;
mod failing;
mod looks;
mod pace;
mod so_far;
mod start;
mod survey;
mod turns;

use std::time::Duration;

use super::client::{ClientError, WorkerClient};
use super::files::Files;
use super::machine::MachineClient;
use super::plan::Schedule;
use super::raw::Raw;
use super::{Clock, Interrupt, Measurement, Only, Progress};
use crate::device::Target;
use crate::error::{Error, Result};
use crate::record::Verdict;
use crate::units;
use budget::Budget;
use pace::Pace;
use survey::Survey;

/// How often a connection may break before its target is given up.
const MOST_BREAKS: usize = 3;

/// Measures until time is up, the user interrupts or no variant is left.
///
/// Fails only if workers can't be started at all.
pub fn run(
    measurement: &Measurement,
    raw: Raw,
    machine: &mut MachineClient,
    files: &Files,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
    clock: &dyn Clock,
) -> Result<Raw> {
    let mut session = Session {
        budget: Budget::new(measurement, raw.order.len(), raw.forks_at_end(measurement.forks)),
        pace: Pace::new(measurement),
        survey: Survey::new(measurement.subjects.len()),
        untold: vec![],
        hung: 0,
        forks_planned: measurement.forks,
        verdicts: vec![None; measurement.variants.len()],
        measurement,
        machine,
        files,
        progress,
        interrupt,
        clock,
        raw,
    };
    session.begin_looking();
    session.forks()?;
    session.look_at_the_end();
    session.tell_unless_alike();
    Ok(session.raw)
}

/// A measurement in progress.
struct Session<'a, 't> {
    measurement: &'a Measurement,
    machine: &'a mut MachineClient<'t>,
    files: &'a Files,
    progress: &'a mut dyn Progress,
    interrupt: &'a Interrupt,
    clock: &'a dyn Clock,
    /// What workers have said so far.
    raw: Raw,
    budget: Budget,
    pace: Pace,
    survey: Survey,
    /// Variants whose failure the user has not been told of.
    untold: Vec<usize>,
    /// Workers in a row that gave no answer.
    hung: usize,
    /// Forks that there will be, as far as is known by now.
    forks_planned: usize,
    /// What the last look found (see [`looks`]).
    verdicts: Vec<Option<Verdict>>,
}

/// Why the measurement ends before its plan does.
enum Stop {
    Interrupted,
    /// The connection to the target broke, and can be used again: what ran there is gone.
    Broken,
    /// The target can't be reached any more.
    Lost(Error),
    /// No variant is left to measure.
    Nobody,
    Error(Error),
}

impl<'t> Session<'_, 't> {
    fn target(&self) -> &'t dyn Target {
        self.machine.target()
    }

    /// Makes forks until the plan has no more, all is known, or something stops it.
    fn forks(&mut self) -> Result<()> {
        let mut breaks = 0;
        loop {
            match self.fork(self.raw.order.len()) {
                Ok(schedule) if schedule.forks > 1 && !self.is_decided() => {}
                Ok(_) => return Ok(()),
                Err(Stop::Nobody) => {
                    self.lose_if_all_died();
                    return Ok(());
                }
                Err(Stop::Interrupted) => {
                    self.raw.interrupted = true;
                    self.raw.drop_partial();
                    return Ok(());
                }
                Err(Stop::Broken) if breaks < MOST_BREAKS => {
                    breaks += 1;
                    let name = self.target().name();
                    self.progress.note(&format!("{name}: the connection broke and is back"));
                    self.raw.drop_partial();
                }
                Err(Stop::Broken) => {
                    let name = self.target().name();
                    self.raw.lose(format!("target {name}: its connection breaks again and again"));
                    return Ok(());
                }
                Err(Stop::Lost(error)) => {
                    self.raw.lose(error.message);
                    return Ok(());
                }
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }

    /// One fork, from starting its workers to ending them. Gives the plan as it was for it.
    fn fork(&mut self, fork: usize) -> Result<Schedule, Stop> {
        self.progress.fork(fork + 1, self.forks_planned.max(fork + 1));
        let began = self.clock.elapsed();
        if !self.budget.is_first(fork) {
            self.rest();
        }
        let rested = self.clock.elapsed();
        let mut clients = self.start_workers(fork)?;
        if self.measurement.cold {
            return self.first_runs(fork, began, &mut clients);
        }
        if self.measurement.only == Only::Outputs {
            return self.outputs_alone(&mut clients);
        }
        self.warm_up(&mut clients)?;
        if let Some(starting) = &mut self.raw.starting {
            *starting += self.clock.elapsed() - rested;
        }
        self.estimate(fork, self.clock.elapsed() - began);
        if self.measurement.only == Only::Latency {
            let schedule = self.budget.single_fork(self.raw.runs_per_turn);
            self.rounds(fork, schedule, &mut clients)?;
            return Ok(schedule);
        }
        let schedule = self.plan(fork);
        self.rounds(fork, schedule, &mut clients)?;
        // At once, while the machine is as hot and as fast as under load.
        self.machine.look();
        // In the first fork, unless that was cut off.
        if !self.survey.done {
            self.survey(&mut clients)?;
            self.machine.look();
            self.budget.survey_is_done();
        }
        self.any_alive()?;
        Ok(schedule)
    }

    /// The rest of a fork of which only the first runs count: they are its one round.
    fn first_runs(
        &mut self,
        fork: usize,
        began: Duration,
        clients: &mut Vec<WorkerClient>,
    ) -> Result<Schedule, Stop> {
        self.raw.runs_per_turn = 1;
        self.raw.order.push(vec![clients.iter().map(|client| client.variant).collect()]);
        for client in clients.iter() {
            if let Some(raw) = self.raw.newest_fork(client.variant) {
                raw.fork.rounds.push(vec![raw.fork.first_run_ns]);
            }
        }
        self.budget.note_first_runs(self.clock.elapsed() - began);
        if !self.survey.done {
            self.survey(clients)?;
        }
        self.machine.look();
        self.any_alive()?;
        Ok(self.plan(fork))
    }

    /// Works out what forks and rounds will cost; fixes the runs of a turn in the first fork.
    fn estimate(&mut self, fork: usize, took: Duration) {
        self.budget.note_start(fork, took, self.raw.started_together(fork));
        if !self.budget.is_first(fork) {
            return;
        }
        let runs = self.pace.runs(&self.raw.alive());
        let of_all: Duration = runs.iter().sum();
        self.budget.note_survey(of_all);
        if self.raw.runs_per_turn == 0 {
            let fastest = runs.into_iter().min().unwrap_or_default();
            let now = self.clock.elapsed();
            self.raw.runs_per_turn = self.budget.runs_per_turn(fastest, of_all, now, fork);
        }
        self.budget.note_turns(of_all, self.raw.runs_per_turn);
    }

    /// Plans the rest, and tells the user what it comes to.
    fn plan(&mut self, fork: usize) -> Schedule {
        let now = self.clock.elapsed();
        let schedule = self.budget.schedule(self.raw.runs_per_turn, now, fork);
        self.forks_planned = fork + schedule.forks;
        self.progress.fork(fork + 1, self.forks_planned);
        let left = self.budget.left(schedule, 0);
        if let Some(times) = self.budget.overrun(now + left).filter(|_| self.budget.is_first(fork)) {
            self.progress.note(&format!(
                "{}: --time {} is too short: even {} of one round take {} times as long",
                self.measurement.name(),
                units::duration(self.budget.time),
                units::count(schedule.forks, "fork"),
                units::times(times)
            ));
        }
        self.progress.advance(share(now, left), left);
        schedule
    }

    /// Does something with every worker, in the given order of variants or their own; those that fail are
    /// dropped.
    fn each(
        &mut self,
        clients: &mut Vec<WorkerClient>,
        order: Option<&[usize]>,
        mut act: impl FnMut(&mut Self, &mut WorkerClient) -> Result<(), ClientError>,
    ) -> Result<(), Stop> {
        let mut all: Vec<usize> = clients.iter().map(|client| client.variant).collect();
        all.sort_unstable();
        for &variant in order.unwrap_or(&all) {
            if self.interrupt.is_raised() {
                return Err(Stop::Interrupted);
            }
            let Some(at) = clients.iter().position(|client| client.variant == variant) else { continue };
            match act(self, &mut clients[at]) {
                Ok(()) => self.hung = 0,
                Err(error) => {
                    drop(clients.swap_remove(at));
                    self.fail(variant, error)?;
                }
            }
        }
        self.any_alive()
    }

    /// Stops if no variant is left; else tells which have failed.
    fn any_alive(&mut self) -> Result<(), Stop> {
        if self.raw.alive().is_empty() {
            return Err(Stop::Nobody);
        }
        self.tell();
        Ok(())
    }

    /// How long to wait for an answer (see [`Pace::patience`]).
    fn patience(&self, variant: usize, runs: u32) -> Duration {
        let patience = self.pace.patience(variant, runs);
        if self.machine.emulated() { patience * 10 } else { patience }
    }
}

/// The share of the whole that is done.
fn share(done: Duration, left: Duration) -> f64 {
    done.as_secs_f64() / (done + left).as_secs_f64().max(1e-9)
}
