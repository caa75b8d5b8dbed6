//! How a fork begins: the target's rest, cold starts one after another, and the warm-up of those that need one.

use std::time::Duration;

use super::Rest;
use super::client::{ClientError, WorkerClient};
use super::plan::{self, Costs, Schedule};
use super::raw::RawFork;
use super::session::{Session, Stop, nanos, note_usage};
use crate::record::Fork;
use crate::stats::Samples;

/// How often, and how many times at most, a hot target is looked at before a fork.
const LOOK: Duration = Duration::from_secs(5);
const MOST_LOOKS: usize = 120;

impl Session<'_, '_> {
    /// The rest of a fork of which only the first runs count: they are its one round.
    pub(super) fn first_runs(
        &mut self,
        fork: usize,
        began: Duration,
        clients: &mut Vec<WorkerClient>,
    ) -> Result<Schedule, Stop> {
        self.raw.runs_per_turn = 1;
        self.raw.order.push(vec![clients.iter().map(|l| l.variant).collect()]);
        for client in clients.iter() {
            if let Some(RawFork { fork, .. }) = self.raw.variants[client.variant].forks.last_mut() {
                fork.rounds.push(vec![fork.first_run_ns]);
            }
        }
        self.costs = Costs { fork: self.clock.elapsed() - began, ..Costs::default() };
        if !self.surveyed {
            self.survey(clients)?;
        }
        self.machine.look();
        self.somebody()?;
        let now = self.clock.elapsed();
        let schedule = plan::schedule(self.costs, 1, self.time(), now, fork, self.measurement.forks);
        self.announce(fork, schedule, now);
        Ok(schedule)
    }

    /// Lets the target cool down, and longer if it is still hot, but not for ever.
    pub(super) fn rest(&mut self) {
        let Rest { pause, below_mc } = self.measurement.rest;
        if pause.is_zero() && below_mc.is_none() {
            return;
        }
        self.progress.phase("cooling down");
        self.interrupt.wait(pause);
        let Some(below_mc) = below_mc else { return };
        for _ in 0..MOST_LOOKS {
            match self.machine.hottest_mc() {
                Some(hottest) if hottest >= below_mc && !self.interrupt.is_raised() => {
                    self.interrupt.wait(LOOK)
                }
                _ => return,
            }
        }
        self.progress.note(&format!(
            "{}: still hotter than {} °C; measured all the same",
            self.target.name(),
            below_mc / 1000
        ));
    }

    /// Starts, loads and first runs, one variant after another so that none disturbs the other's cold start;
    /// each fork begins with another variant, since the first finds the caches coldest.
    pub(super) fn cold_starts(&mut self, fork: usize) -> Result<Vec<WorkerClient>, Stop> {
        let mut clients = vec![];
        let mut variants = self.raw.alive();
        let first = fork % variants.len().max(1);
        variants.rotate_left(first);
        for variant in variants {
            self.progress.phase(&format!("loading {}", self.measurement.variants[variant].name));
            let mut client = match self.target.start(self.interrupt) {
                Ok(worker) => WorkerClient::new(variant, worker),
                // If not even the first can be started, none can.
                Err(error) if self.raw.order.is_empty() && clients.is_empty() => {
                    return Err(Stop::Error(error));
                }
                Err(error) => {
                    self.fail(variant, ClientError::Other(error.message))?;
                    continue;
                }
            };
            match self.cold_start(&mut client) {
                Ok(()) => clients.push(client),
                Err(error) => {
                    drop(client);
                    self.fail(variant, error)?;
                }
            }
        }
        self.somebody()?;
        Ok(clients)
    }

    fn cold_start(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        let loaded = client.load(self.load(variant), self.patience(variant, 0))?;
        let ops = loaded.ops.len();
        let known = &self.raw.variants[variant];
        let resumed = known.forks.first().filter(|fork| !fork.ops_ns.is_empty());
        if known.loaded.as_ref().is_some_and(|known| known.ops != loaded.ops)
            || resumed.is_some_and(|fork| fork.ops_ns.len() != ops)
        {
            return Err(ClientError::Other("the engine made other ops of it than in the first fork".into()));
        }
        let fork = Fork {
            load_ns: loaded.load_ns,
            optimise_ns: loaded.optimise_ns,
            loaded_rss_bytes: loaded.rss_bytes,
            ..Fork::default()
        };
        self.raw.variants[variant].loaded.get_or_insert(loaded);
        self.raw.variants[variant].forks.push(RawFork { fork, ops_ns: vec![vec![]; ops] });
        let first = client.run(false, self.patience(variant, 0))?;
        self.last = Some(variant);
        let first_run_ns = first.runs_ns[0];
        self.run[variant].get_or_insert(Duration::from_nanos(first_run_ns));
        if let Some(RawFork { fork, .. }) = self.raw.variants[variant].forks.last_mut() {
            fork.first_run_ns = first_run_ns;
            fork.first_run_rss_bytes = first.peak_rss_bytes;
            note_usage(fork, &first);
        }
        Ok(())
    }

    /// Runs fast models until their run times have settled; the times are not kept.
    pub(super) fn warm_up(&mut self, clients: &mut Vec<WorkerClient>) -> Result<(), Stop> {
        self.each(clients, None, |session, client| {
            let variant = client.variant;
            let first = session.raw.variants[variant].forks.last().map_or(0, |f| f.fork.first_run_ns);
            let runs = plan::warm_up_runs(Duration::from_nanos(first));
            if runs == 0 {
                return Ok(());
            }
            let mut steps = vec![];
            while !plan::settled(&steps) && steps.len() < plan::MOST_STEPS {
                let warm = session.last == Some(variant);
                let step = client.turn(runs, warm, session.patience(variant, runs))?;
                session.last = Some(variant);
                let run = Samples::from_ns(&step.runs_ns).map(|s| nanos(s.median()));
                session.run[variant] = run;
                steps.extend(run);
            }
            if let Some(RawFork { fork, .. }) = session.raw.variants[variant].forks.last_mut() {
                fork.warm_up_runs = Some(runs * steps.len() as u32);
                fork.settled = Some(plan::settled(&steps));
            }
            Ok(())
        })
    }
}
