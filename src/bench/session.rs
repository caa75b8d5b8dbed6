//! The measurement as it happens: one worker a fork, rounds of turns, and the schedule that they follow.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::plan::{Effort, Plan};
use crate::device::{Lost, Target, Worker};
use crate::error::{Error, Result};
use crate::measure::{self, Interrupt, Progress};
use crate::protocol::{Failure, Reply, Request, SoloReady, Solos, SolosReady};
use crate::record::Engine;
use crate::record::bench::{InPlace, Turns};
use crate::stats::median_high;
use crate::units;

/// Timed batches of a turn should take about this long: with the untimed one and the filling of buffers, a turn
/// is two to three times as long.
const TURN: Duration = Duration::from_millis(1);

/// A batch that is thousands of clock steps long.
const LONG: Duration = Duration::from_micros(100);

/// Rounds that a number of forwards is spread over.
const ROUNDS: u64 = 20;

/// Most rounds of a fork: its median gets no better long before.
const MOST_ROUNDS: usize = 200;

const MOST_BATCHES: u64 = 1000;

/// Forwards of the study, each on the last one's output.
const STUDY: u64 = 100_000;

/// What it takes to make a fork ready, until it is known: the first one also looks at memory and values.
const USUAL_LOADING: Duration = Duration::from_millis(300);

/// What a question and its answer take beside the work.
const EXCHANGE: Duration = Duration::from_micros(200);

/// What was measured.
pub struct Raw {
    /// As planned, each as it describes itself.
    pub engines: Vec<RawEngine>,
    pub cache_bytes: Option<u64>,
    pub clock_ns: u64,
    /// By row, as planned.
    pub rows: Vec<RawRow>,
    /// Forks that are complete.
    pub forks: usize,
    /// Why the measurement ended early, if it did.
    pub ended: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct RawEngine {
    pub engine: Engine,
    pub operator_ns: Option<f64>,
    pub run_ns: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct RawRow {
    pub ready: SoloReady,
    pub turns: Turns,
    pub in_place: Option<InPlace>,
}

/// Measures until all is done. A fork that isn't completed doesn't count.
///
/// Fails if nothing can be measured, or not one fork was completed.
pub fn run(
    plan: &Plan,
    cpus: &[usize],
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Raw> {
    let raw = Raw {
        engines: vec![RawEngine::default(); plan.engines.len()],
        cache_bytes: None,
        clock_ns: 0,
        rows: vec![RawRow::default(); plan.rows.len()],
        forks: 0,
        ended: None,
    };
    let began = Instant::now();
    let loading = Duration::ZERO;
    let failed = BTreeMap::new();
    let mut session =
        Session { plan, cpus, target, progress, interrupt, raw, failed, rounds: 0, began, loading };
    for fork in 0..plan.forks {
        session.progress.fork(fork + 1, plan.forks);
        match session.fork(fork) {
            Ok(()) => {}
            Err(Stop::Refused(error)) => return Err(error),
            Err(Stop::Lost(why)) if session.raw.forks == 0 => {
                return Err(Error::lost(format!("{why}: no fork was completed")));
            }
            Err(Stop::Lost(why)) => {
                session.progress.note(&why);
                session.raw.ended = Some(why);
                break;
            }
        }
    }
    let Session { mut raw, .. } = session;
    for row in &mut raw.rows {
        row.turns.forks.truncate(raw.forks);
    }
    Ok(raw)
}

struct Session<'a> {
    plan: &'a Plan,
    cpus: &'a [usize],
    target: &'a dyn Target,
    progress: &'a mut dyn Progress,
    interrupt: &'a Interrupt,
    raw: Raw,
    /// Rows at which a worker ended, and what it said.
    failed: BTreeMap<usize, String>,
    /// Rounds of this fork.
    rounds: usize,
    began: Instant,
    /// What it takes to make a fork ready.
    loading: Duration,
}

/// Why a fork isn't completed.
enum Stop {
    /// It can't be done: bad input.
    Refused(Error),
    /// A worker is gone, or the user wants to stop.
    Lost(String),
}

impl Session<'_> {
    fn fork(&mut self, fork: usize) -> Result<(), Stop> {
        let started = Instant::now();
        let mut workers = vec![];
        for engine in 0..self.plan.engines.len() {
            workers.push(self.ready_worker(fork, engine)?);
        }
        self.check_rows()?;
        if fork == 0 {
            self.schedule();
            self.loading = started.elapsed().min(USUAL_LOADING);
        } else {
            self.loading = started.elapsed();
        }
        let alive = self.alive();
        let mut cost: Duration = alive.iter().map(|&i| self.cost(i)).sum();
        self.plan_rounds(fork, 0, cost);
        let (mut round, mut all) = (0, Duration::ZERO);
        while round < self.rounds {
            self.progress.phase(&format!("round {} of {}", round + 1, self.rounds));
            let began = Instant::now();
            for index in measure::order(self.plan.seed, fork, round, &alive) {
                self.turn(&mut workers, index)?;
            }
            round += 1;
            cost = began.elapsed();
            all += cost;
            if round == 1 {
                self.plan_rounds(fork, round, cost);
            }
            self.tell(fork, round, all / round as u32, &alive);
        }
        self.raw.forks += 1;
        if fork + 1 == self.plan.forks && self.plan.in_place {
            for (done, &index) in alive.iter().enumerate() {
                self.in_place(&mut workers, index)?;
                self.advance(self.in_place_time(&alive[done + 1..]));
            }
        }
        Ok(())
    }

    fn tell(&mut self, fork: usize, round: usize, cost: Duration, alive: &[usize]) {
        let this = cost * (self.rounds - round) as u32;
        let others = (self.loading + cost * self.rounds as u32) * (self.plan.forks - fork - 1) as u32;
        let in_place = if self.plan.in_place { self.in_place_time(alive) } else { Duration::ZERO };
        self.advance(this + others + in_place);
    }

    fn advance(&mut self, left: Duration) {
        let done = self.began.elapsed();
        let share = done.as_secs_f64() / (done + left).as_secs_f64().max(1e-9);
        self.progress.advance(share, left);
    }

    /// About how long forwards in place take, if their numbers stay normal.
    fn in_place_time(&self, rows: &[usize]) -> Duration {
        let of_row = |&row: &usize| {
            let fresh = fresh_ns(&self.raw.rows[row].turns);
            Some(Duration::from_nanos((fresh * self.in_place_forwards(row)? as f64) as u64))
        };
        rows.iter().filter_map(of_row).sum()
    }

    /// Forwards of a row in place; `None` if it can't have any.
    fn in_place_forwards(&self, index: usize) -> Option<u64> {
        let (solo, row) = (&self.plan.rows[index].solo, &self.raw.rows[index]);
        if solo.activation.is_none() || row.ready.output_elements != solo.elements() {
            return None;
        }
        Some(match self.plan.effort {
            Effort::Forwards(n) => n,
            // As many as the rows have time for, if each had its share of it.
            Effort::Time(time) => {
                let share = time.as_nanos() as f64 / self.plan.rows.len() as f64;
                ((share / fresh_ns(&row.turns)) as u64).clamp(1, STUDY)
            }
        })
    }

    fn alive(&self) -> Vec<usize> {
        let rows = self.raw.rows.iter().enumerate();
        rows.filter(|(_, row)| row.ready.error.is_none()).map(|(i, _)| i).collect()
    }

    /// A worker of an engine that has made all of its rows ready. One that ends at a row is replaced by one that leaves this row
    /// out.
    fn ready_worker(&mut self, fork: usize, engine: usize) -> Result<Box<dyn Worker>, Stop> {
        const WHAT: &str = "making activations ready";
        let rows = self.plan.of_engine(engine);
        let label = self.plan.label(engine);
        let what = if label.is_empty() { WHAT.to_owned() } else { format!("{WHAT} in {label}") };
        self.progress.phase(&what);
        loop {
            let mut worker = self.target.start(self.interrupt).map_err(Stop::Refused)?;
            let failed = |(place, row)| Some((place, self.failed.get(row)?.clone()));
            let request = Request::Solos(Solos {
                engine: Some(self.target.engine(&self.plan.engines[engine].choice)),
                solos: rows.iter().map(|&row| self.plan.rows[row].solo.clone()).collect(),
                failed: rows.iter().enumerate().filter_map(failed).collect(),
                isa: self.plan.isa.clone(),
                survey: fork == 0,
                seed: self.plan.seed,
                cpus: self.cpus.to_vec(),
                denormals: self.plan.denormals,
            });
            match self.answer(worker.as_mut(), &request, Duration::from_secs(300), &what)? {
                Ok(Reply::Solos(ready)) if ready.solos.len() == rows.len() => {
                    self.take(fork, engine, &rows, ready)?;
                    return Ok(worker);
                }
                Ok(other) => return Err(unexpected(&other)),
                Err(failure) => match failure.solo.and_then(|place| rows.get(place)) {
                    Some(row) if !self.failed.contains_key(row) => {
                        self.failed.insert(*row, failure.message);
                    }
                    _ => return Err(refused(&what, failure)),
                },
            }
        }
    }

    /// Takes what became of an engine's rows.
    fn take(&mut self, fork: usize, engine: usize, rows: &[usize], ready: SolosReady) -> Result<(), Stop> {
        let SolosReady { solos, cache_bytes, clock_ns, operator_ns, run_ns, engine: mut described } = ready;
        described.library = described.library.map(|there| self.target.library(there));
        for (&row, new) in rows.iter().zip(solos) {
            let row = &mut self.raw.rows[row];
            if fork == 0 {
                row.ready = new;
            } else if row.ready.error.is_none() && (new.error.is_some() || new.ops != row.ready.ops) {
                return Err(Stop::Lost("the engine made other operators than in the first fork".into()));
            }
            row.turns.forks.push(vec![]);
        }
        if fork == 0 {
            self.raw.engines[engine] = RawEngine { engine: described, operator_ns, run_ns };
            if engine == 0 {
                (self.raw.cache_bytes, self.raw.clock_ns) = (cache_bytes, clock_ns);
            }
        }
        Ok(())
    }

    /// Fails where no activation at all can be measured.
    fn check_rows(&self) -> Result<(), Stop> {
        let planned = 0..self.plan.rows.len();
        let mut asked = planned.filter(|&row| self.plan.rows[row].solo.activation.is_some());
        if asked.clone().any(|row| self.raw.rows[row].ready.error.is_none()) {
            return Ok(());
        }
        let first = asked.next();
        let why = first.and_then(|row| self.raw.rows[row].ready.error.as_deref());
        let why = why.unwrap_or("no activation is given");
        let name = first.map_or_else(String::new, |row| self.plan.name(row));
        Err(Stop::Refused(Error::input(format!("nothing can be measured: {name}: {why}"))))
    }

    /// Fixes batches, from what one of each row took.
    fn schedule(&mut self) {
        let forks = self.plan.forks.max(1) as u64;
        match self.plan.effort {
            Effort::Forwards(all) => {
                let each = all.div_ceil(forks);
                let turn = each.div_ceil(each.min(ROUNDS));
                for row in &mut self.raw.rows {
                    let batch = u64::from(batch_of(&row.ready)).min(turn);
                    row.turns.batch = batch as u32;
                    row.turns.batches = turn.div_ceil(batch) as u32;
                }
            }
            Effort::Time(_) => {
                for row in &mut self.raw.rows {
                    row.turns.batch = batch_of(&row.ready);
                    let part = f64::from(row.turns.batch) / f64::from(row.ready.batch.max(1));
                    let batch_ns = row.ready.batch_ns as f64 * part;
                    let batches = (TURN.as_nanos() as f64 / batch_ns.max(1.0)) as u64;
                    row.turns.batches = batches.clamp(1, MOST_BATCHES) as u32;
                }
            }
        }
    }

    /// Works out the rounds of a fork that has done so many. Of a time, this fork and each one to come has the same
    /// share of what is left.
    fn plan_rounds(&mut self, fork: usize, done: usize, round: Duration) {
        let time = match self.plan.effort {
            Effort::Forwards(all) => {
                self.rounds = all.div_ceil(self.plan.forks.max(1) as u64).min(ROUNDS) as usize;
                return;
            }
            Effort::Time(time) => time,
        };
        let forks = (self.plan.forks - fork).max(1) as u32;
        let left = time.saturating_sub(self.began.elapsed() + self.loading * (forks - 1));
        let fit = (left / forks).as_secs_f64() / round.as_secs_f64().max(1e-6);
        self.rounds = (done + fit as usize).clamp(done.max(1), MOST_ROUNDS);
        let whole = self.began.elapsed() + (self.loading + round) * forks;
        if fork == 0 && done == 0 && whole.as_secs_f64() > 1.25 * time.as_secs_f64() {
            self.progress.note(&format!(
                "{} is too short: {} of one round take about {}; give more time, fewer sizes or fewer forks",
                units::duration(time),
                units::count(self.plan.forks, "fork"),
                units::duration(whole)
            ));
        }
    }

    /// About how long a turn of a row takes.
    fn cost(&self, index: usize) -> Duration {
        let RawRow { ready, turns, .. } = &self.raw.rows[index];
        let full = u64::from(ready.batch.max(1));
        let forwards = u64::from(turns.batch) * (u64::from(turns.batches) + 1);
        EXCHANGE + Duration::from_nanos(ready.batch_wall_ns.saturating_mul(forwards) / full)
    }

    fn turn(&mut self, workers: &mut [Box<dyn Worker>], index: usize) -> Result<(), Stop> {
        let Turns { batch, batches, .. } = self.raw.rows[index].turns;
        let patience = Duration::from_secs(20) + self.cost(index) * 20;
        let what = self.plan.name(index);
        let request = Request::Batches { solo: self.plan.place(index), batch, batches };
        let worker = &mut workers[self.plan.rows[index].engine];
        let batch_ns = match self.ask(worker.as_mut(), &request, patience, &what)? {
            Reply::Batches(answer) if answer.batch_ns.len() == batches as usize => answer.batch_ns,
            other => return Err(unexpected(&other)),
        };
        let median = median_high(batch_ns, u64::cmp).unwrap_or(1);
        if let Some(fork) = self.raw.rows[index].turns.forks.last_mut() {
            fork.push(median.max(1));
        }
        Ok(())
    }

    /// The study's method: forwards in place. In the last fork alone, since every fork starts from the same numbers.
    fn in_place(&mut self, workers: &mut [Box<dyn Worker>], index: usize) -> Result<(), Stop> {
        let Some(forwards) = self.in_place_forwards(index) else { return Ok(()) };
        let elements = self.plan.rows[index].solo.elements();
        let fresh = fresh_ns(&self.raw.rows[index].turns);
        let what = self.plan.name(index);
        self.progress.phase(&format!("in place: {what}"));
        // Subnormal numbers can make it a hundred times slower.
        let expected = Duration::from_nanos((fresh * forwards as f64) as u64);
        let request = Request::InPlace { solo: self.plan.place(index), forwards };
        let worker = workers[self.plan.rows[index].engine].as_mut();
        let answer = match self.ask(worker, &request, Duration::from_secs(60) + expected * 300, &what)? {
            Reply::InPlace(answer) => answer,
            other => return Err(unexpected(&other)),
        };
        let per_element = |forward: f64| forward / elements.max(1) as f64;
        self.raw.rows[index].in_place = Some(InPlace {
            forwards,
            ns_per_element: per_element(answer.ns as f64 / forwards as f64),
            fresh_ns_per_element: per_element(fresh),
            end: answer.end,
        });
        Ok(())
    }

    fn ask(
        &self,
        worker: &mut dyn Worker,
        request: &Request,
        patience: Duration,
        what: &str,
    ) -> Result<Reply, Stop> {
        self.answer(worker, request, patience, what)?.map_err(|failure| refused(what, failure))
    }

    /// The reply, or what the worker says against it.
    fn answer(
        &self,
        worker: &mut dyn Worker,
        request: &Request,
        patience: Duration,
        what: &str,
    ) -> Result<Result<Reply, Failure>, Stop> {
        let patience = if self.target.emulated() { patience * 10 } else { patience };
        match worker.ask(request, patience) {
            Ok(Reply::Error(failure)) => Ok(Err(failure)),
            Ok(reply) => Ok(Ok(reply)),
            Err(Lost::Interrupted) => {
                let took = units::duration(self.began.elapsed());
                Err(Stop::Lost(format!("interrupted after {took}")))
            }
            Err(lost) => Err(Stop::Lost(format!("{what}: the worker {lost}"))),
        }
    }
}

/// Forwards of a batch: as many as fit the cache, but no more than make it [`LONG`]. The shorter a batch, the less
/// likely another program interrupts it; the median leaves out one that was interrupted.
fn batch_of(ready: &SoloReady) -> u32 {
    let most = ready.batch.max(1);
    let forward = ready.batch_ns as f64 / f64::from(most);
    let enough = LONG.as_nanos() as f64 / forward.max(1.0);
    most.min(enough.ceil().clamp(1.0, f64::from(u32::MAX)) as u32)
}

/// Median time of a forward in the last fork, ns.
fn fresh_ns(turns: &Turns) -> f64 {
    let of_turns = turns.forks.last().cloned().unwrap_or_default();
    let median = median_high(of_turns, u64::cmp).unwrap_or(1);
    median as f64 / f64::from(turns.batch.max(1))
}

fn refused(what: &str, failure: Failure) -> Stop {
    Stop::Refused(failure.into_error().context(what))
}

fn unexpected(reply: &Reply) -> Stop {
    let start: String = format!("{reply:?}").chars().take(60).collect();
    Stop::Lost(format!(
        "the worker's answer ({start}…) doesn't fit the question: use the same oplat on both sides"
    ))
}
