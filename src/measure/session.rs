//! The measurement as it happens: forks of workers, rounds of turns, and what to do when one fails.

use std::time::Duration;

use super::client::{ClientError, WorkerClient};
use super::files::Files;
use super::machine::MachineClient;
use super::plan::{self, Costs, Schedule, Turns};
use super::raw::{Raw, RawFork};
use super::{Clock, Interrupt, Measurement, Planned, Progress};
use crate::device::Target;
use crate::error::{Error, Result};
use crate::protocol::{Load, Runs};
use crate::record::{Environment, Fork, OutputChange, ProfiledRound, Role};
use crate::stats::Samples;
use crate::units;

/// Runs that the memory and outputs passes come to.
const SURVEY_RUNS: u32 = 3;

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
    let variants = measurement.variants.len();
    let first = raw.order.len();
    let target = machine.target();
    let costs = Costs::default();
    let mut session = Session {
        measurement,
        target,
        machine,
        files,
        progress,
        interrupt,
        clock,
        raw,
        first,
        costs,
        run: vec![None; variants],
        last: None,
        surveyed: false,
        originals: vec![None; measurement.subjects.len()],
        untold: vec![],
    };
    let mut breaks = 0;
    loop {
        let fork = session.raw.order.len();
        match session.fork(fork) {
            Ok(Schedule { forks: 0 | 1, .. }) | Err(Stop::Nobody) => break,
            Ok(_) => {}
            Err(Stop::Interrupted) => {
                session.raw.interrupted = true;
                session.raw.drop_partial();
                break;
            }
            Err(Stop::Broken) if breaks < MOST_BREAKS => {
                breaks += 1;
                session.progress.note(&format!("{}: the connection broke and is back", target.name()));
                session.raw.drop_partial();
            }
            Err(Stop::Broken) => {
                session.lose(format!("target {}: its connection breaks again and again", target.name()));
                break;
            }
            Err(Stop::Lost(error)) => {
                session.lose(error.message);
                break;
            }
            Err(Stop::Error(error)) => return Err(error),
        }
    }
    session.tell_unless_alike();
    Ok(session.raw)
}

/// A measurement that goes on.
pub(super) struct Session<'a, 't> {
    pub(super) measurement: &'a Measurement,
    pub(super) target: &'a dyn Target,
    pub(super) machine: &'a mut MachineClient<'t>,
    pub(super) files: &'a Files,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) interrupt: &'a Interrupt,
    pub(super) clock: &'a dyn Clock,
    pub(super) raw: Raw,
    /// The fork with which it began; not the first of all, if it is gone on with.
    pub(super) first: usize,
    pub(super) costs: Costs,
    /// How long a run of each variant takes, as far as it is known.
    pub(super) run: Vec<Option<Duration>>,
    /// The variant that ran last, whose data may be in the caches.
    pub(super) last: Option<usize>,
    /// Whether memory and outputs were asked for, of all that were alive then.
    pub(super) surveyed: bool,
    /// The originals' outputs by model, as long as others are to be compared with them.
    originals: Vec<Option<Vec<f64>>>,
    /// Variants whose failure the user has not been told of.
    pub(super) untold: Vec<usize>,
}

/// Why the measurement ends before its plan does.
pub(super) enum Stop {
    Interrupted,
    /// The connection to the target broke, and can be used again: what ran there is gone.
    Broken,
    /// The target can't be reached any more.
    Lost(Error),
    /// No variant is left to measure.
    Nobody,
    Error(Error),
}

impl Session<'_, '_> {
    /// The target is lost: what was finished until then stays.
    fn lose(&mut self, why: String) {
        self.raw.lost = Some(why);
        self.raw.drop_partial();
    }

    /// One fork, from starting its workers to ending them. Gives the plan as it was for it.
    fn fork(&mut self, fork: usize) -> Result<Schedule, Stop> {
        self.progress.fork(fork + 1, self.measurement.forks.max(fork + 1));
        let began = self.clock.elapsed();
        if fork > self.first {
            self.rest();
        }
        let mut clients = self.cold_starts(fork)?;
        if self.measurement.cold {
            return self.first_runs(fork, began, &mut clients);
        }
        self.warm_up(&mut clients)?;
        self.estimate(fork, self.clock.elapsed() - began);
        let now = self.clock.elapsed();
        let schedule = plan::schedule(
            self.costs,
            self.raw.runs_per_turn,
            self.time(),
            now,
            fork,
            self.measurement.forks,
        );
        self.announce(fork, schedule, now);
        self.raw.order.push(vec![]);
        let mut units = vec![];
        for round in 0..schedule.rounds {
            self.progress.phase(&format!("round {} of {}", round + 1, schedule.rounds));
            let began = self.clock.elapsed();
            self.round(schedule, fork, round, &mut clients)?;
            let now = self.clock.elapsed();
            let runs = self.raw.runs_per_turn;
            let profiled = match schedule.turns(fork, round) {
                Turns::Plain => 0,
                _ => plan::profiled_runs(runs),
            };
            units.push((now - began).as_secs_f64() / f64::from(runs + plan::untimed_runs(runs) + profiled));
            let left = schedule.left(self.costs, round + 1);
            self.progress.advance(share(now, left), left);
        }
        // As hot and as fast as it is while it works.
        self.machine.look();
        // The median: one that waited for a hanging worker says nothing of those to come.
        if let Some(unit) = Samples::new(units).map(|s| s.median()) {
            self.cost_of_turns(Duration::from_secs_f64(unit));
        }
        // In the first fork, as a rule: it may have been cut off.
        if !self.surveyed {
            self.survey(&mut clients)?;
            self.machine.look();
            self.costs.survey = Duration::ZERO;
        }
        self.somebody()?;
        Ok(schedule)
    }

    /// Works out what forks and rounds will cost; fixes the runs of a turn in the first fork.
    fn estimate(&mut self, fork: usize, took: Duration) {
        let alive = self.raw.alive();
        let runs = || alive.iter().filter_map(|&v| self.run[v]);
        let all: Duration = runs().sum();
        // The first had no rest, all others have.
        self.costs.fork = if fork == self.first { took + self.measurement.rest.pause } else { took };
        if fork == self.first {
            self.costs.survey = all * SURVEY_RUNS;
            if self.raw.runs_per_turn == 0 {
                let now = self.clock.elapsed();
                let leave_plenty = |runs: u32| {
                    let turn = all * (runs + plan::untimed_runs(runs));
                    let profile = all * plan::profiled_runs(runs);
                    let costs = Costs { turn, profile, ..self.costs };
                    plan::has_plenty(costs, self.time(), now, fork, self.measurement.forks)
                };
                self.raw.runs_per_turn = plan::runs_per_turn(runs().min().unwrap_or_default(), leave_plenty);
            }
            self.cost_of_turns(all);
        }
    }

    /// Notes what turns cost, from that of one run of every variant.
    pub(super) fn cost_of_turns(&mut self, run: Duration) {
        let runs = self.raw.runs_per_turn;
        self.costs.turn = run * (runs + plan::untimed_runs(runs));
        self.costs.profile = run * plan::profiled_runs(runs);
    }

    /// Wall time for what is still to be measured.
    pub(super) fn time(&self) -> Duration {
        let forks = self.measurement.forks.max(1);
        self.measurement.time.mul_f64(forks.saturating_sub(self.first) as f64 / forks as f64)
    }

    /// Tells the user what the plan comes to.
    pub(super) fn announce(&mut self, fork: usize, schedule: Schedule, now: Duration) {
        self.progress.fork(fork + 1, fork + schedule.forks);
        let left = schedule.left(self.costs, 0);
        let (whole, time) = (now + left, self.time());
        if fork == self.first && whole.as_secs_f64() > 1.25 * time.as_secs_f64() {
            self.progress.note(&format!(
                "{}: --time {} is too short: even {} of one round take {} times as long",
                self.measurement.name(),
                units::duration(time),
                units::count(schedule.forks, "fork"),
                units::times(whole.as_secs_f64() / time.as_secs_f64())
            ));
        }
        self.progress.advance(share(now, left), left);
    }

    /// One turn of every variant, in random order.
    fn round(
        &mut self,
        schedule: Schedule,
        fork: usize,
        round: usize,
        clients: &mut Vec<WorkerClient>,
    ) -> Result<(), Stop> {
        let variants: Vec<usize> = clients.iter().map(|l| l.variant).collect();
        let order = plan::order(self.measurement.load.seed, fork, round, &variants);
        self.raw.order[fork].push(order.clone());
        self.each(clients, Some(&order), |session, client| match schedule.turns(fork, round) {
            Turns::Plain => session.plain_turn(client),
            Turns::PlainThenProfiled => {
                session.plain_turn(client)?;
                session.profiled_turn(client, round)
            }
            Turns::ProfiledThenPlain => {
                session.profiled_turn(client, round)?;
                session.plain_turn(client)
            }
        })
    }

    /// Whether the variant needs no untimed run before its turn.
    fn is_warm(&mut self, variant: usize) -> bool {
        self.last.replace(variant) == Some(variant) || plan::untimed_runs(self.raw.runs_per_turn) == 0
    }

    fn plain_turn(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let (variant, runs) = (client.variant, self.raw.runs_per_turn);
        let warm = self.is_warm(variant);
        let answer = client.turn(runs, warm, self.patience(variant, runs))?;
        if let Some(RawFork { fork, .. }) = self.raw.variants[variant].forks.last_mut() {
            note_usage(fork, &answer);
            if let Some(more) = answer.in_turn {
                *fork.in_turns.get_or_insert_default() += more;
            }
            fork.rounds.push(answer.runs_ns);
        }
        Ok(())
    }

    fn profiled_turn(&mut self, client: &mut WorkerClient, round: usize) -> Result<(), ClientError> {
        let (variant, runs) = (client.variant, plan::profiled_runs(self.raw.runs_per_turn));
        let warm = self.is_warm(variant);
        let Some(profile) = client.profile(runs, warm, self.patience(variant, runs))? else { return Ok(()) };
        if let Some(raw) = self.raw.variants[variant].forks.last_mut() {
            raw.fork.profiled_rounds.push(ProfiledRound {
                round,
                runs_ns: profile.runs_ns,
                around_ns: profile.around_ns,
            });
            raw.ops_ns.iter_mut().zip(profile.ops_ns).for_each(|(all, new)| all.extend(new));
        }
        Ok(())
    }

    /// Memory, short ops and outputs, once, when the timing of the fork is done and can't be disturbed.
    pub(super) fn survey(&mut self, clients: &mut Vec<WorkerClient>) -> Result<(), Stop> {
        self.progress.phase("memory and outputs");
        let outcome = self.each(clients, None, |session, client| {
            let variant = client.variant;
            let memory = client.memory(session.patience(variant, SURVEY_RUNS))?;
            session.raw.variants[variant].memory = memory;
            let short = session.short_ops(variant);
            if !short.is_empty() {
                let least_ns = session.least_ns(variant);
                let batched = client.batched(short, least_ns, session.patience(variant, SURVEY_RUNS))?;
                session.raw.variants[variant].batched = batched;
            }
            session.outputs(client)
        });
        self.originals.fill(None);
        self.surveyed = outcome.is_ok();
        outcome
    }

    /// Ops that profiled runs can hardly have timed, where the engine can repeat them. All forks tell: one that goes on
    /// from a record may have no such run.
    fn short_ops(&self, variant: usize) -> Vec<usize> {
        if !self.raw.variants[variant].loaded.as_ref().is_some_and(|loaded| loaded.abilities.batched) {
            return vec![];
        }
        let forks = &self.raw.variants[variant].forks;
        let ops = forks.iter().map(|fork| fork.ops_ns.len()).max().unwrap_or(0);
        let runs = |op: usize| forks.iter().filter_map(move |fork| fork.ops_ns.get(op)).flatten();
        let mean = |op: usize| Samples::from_ns(runs(op)).map(|s| s.mean());
        let least_ns = self.least_ns(variant) as f64;
        (0..ops).filter(|&op| mean(op).is_some_and(|ns| ns < least_ns)).collect()
    }

    /// The shortest time of an op that can be told well: by the machine's clock, or by the engine's own if that is coarser.
    fn least_ns(&self, variant: usize) -> u64 {
        let engine = self.raw.variants[variant].loaded.as_ref().map_or(0, |l| l.abilities.op_clock_ns);
        self.machine.environment().least_ns().max(Environment::SHORT * engine)
    }

    fn outputs(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        let file = self.files.outputs(variant);
        let outputs = client.outputs(file.clone(), self.patience(variant, SURVEY_RUNS))?;
        let values = self.target.get(&file).map_err(|e| ClientError::Other(e.message))?;
        let values: Vec<f64> =
            values.as_chunks().0.iter().map(|&eight: &[u8; 8]| f64::from_le_bytes(eight)).collect();
        if outputs.elements.iter().sum::<u64>() != values.len() as u64 {
            return Err(ClientError::Other("the outputs' file doesn't hold what the worker says".into()));
        }
        let Planned { subject, role, ref knobs, .. } = self.measurement.variants[variant];
        let is_original = role == Role::Original && knobs.is_empty();
        let base = match variant {
            0 => Some(&values),
            _ if is_original => self.originals[0].as_ref(),
            _ => self.originals[subject].as_ref(),
        };
        self.raw.variants[variant].change = base.map(|base| {
            let difference = super::compare::difference(base, &values);
            OutputChange {
                max_abs: difference.map_or(f64::NAN, |d| d.max_abs),
                relative_l2: difference.map_or(f64::NAN, |d| d.relative_l2),
                non_finite: outputs.non_finite,
                subnormal: outputs.subnormal,
            }
        });
        if is_original {
            self.originals[subject] = Some(values);
        }
        Ok(())
    }

    /// Does something with every worker, in the given order of variants or their own; those that fail are
    /// dropped.
    pub(super) fn each(
        &mut self,
        clients: &mut Vec<WorkerClient>,
        order: Option<&[usize]>,
        mut act: impl FnMut(&mut Self, &mut WorkerClient) -> Result<(), ClientError>,
    ) -> Result<(), Stop> {
        let mut all: Vec<usize> = clients.iter().map(|l| l.variant).collect();
        all.sort_unstable();
        for &variant in order.unwrap_or(&all) {
            if self.interrupt.is_raised() {
                return Err(Stop::Interrupted);
            }
            let Some(at) = clients.iter().position(|l| l.variant == variant) else { continue };
            if let Err(error) = act(self, &mut clients[at]) {
                drop(clients.swap_remove(at));
                self.fail(variant, error)?;
            }
        }
        self.somebody()
    }

    pub(super) fn somebody(&mut self) -> Result<(), Stop> {
        if self.raw.alive().is_empty() {
            return Err(Stop::Nobody);
        }
        self.tell();
        Ok(())
    }

    pub(super) fn load(&self, variant: usize) -> Load {
        let planned = &self.measurement.variants[variant];
        let subject = &self.measurement.subjects[planned.subject];
        Load {
            model: self.files.model(variant),
            inputs: subject.inputs.clone(),
            dims: subject.dims.clone(),
            knobs: planned.knobs.clone(),
            cpus: self.machine.cpus().to_vec(),
            ..self.measurement.load.clone()
        }
    }

    /// How long to wait for an answer: far longer than it should take. `runs` is 0 for loads and first runs.
    pub(super) fn patience(&self, variant: usize, runs: u32) -> Duration {
        let patience = match self.run[variant] {
            Some(run) if runs > 0 => Duration::from_secs(10) + run * 20 * (runs + 1),
            _ => self.measurement.time.max(Duration::from_secs(60)),
        };
        if self.machine.emulated() { patience * 10 } else { patience }
    }
}

/// The share of the whole that is done.
fn share(done: Duration, left: Duration) -> f64 {
    done.as_secs_f64() / (done + left).as_secs_f64().max(1e-9)
}

pub(super) fn nanos(ns: f64) -> Duration {
    Duration::from_nanos(ns.max(0.0) as u64)
}

/// Keeps the newest figures of the process: they only grow.
pub(super) fn note_usage(fork: &mut Fork, runs: &Runs) {
    fork.peak_rss_bytes = runs.peak_rss_bytes.or(fork.peak_rss_bytes);
    fork.minor_faults = runs.minor_faults.or(fork.minor_faults);
    fork.involuntary_switches = runs.involuntary_switches.or(fork.involuntary_switches);
}
