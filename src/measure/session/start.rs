//! How a fork begins: the target's rest, cold starts one after another, and the warm-up of those that need one.

use std::time::Duration;

use super::{Session, Stop};
use crate::measure::Rest;
use crate::measure::client::{ClientError, WorkerClient};
use crate::measure::plan;
use crate::measure::raw::{OTHER_OPS, RawFork};
use crate::protocol::Load;
use crate::record::Fork;
use crate::stats::Samples;

/// How often, and how many times at most, a hot target is looked at before a fork.
const LOOK: Duration = Duration::from_secs(5);
const MOST_LOOKS: usize = 120;

impl Session<'_, '_> {
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
            self.target().name(),
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
            let mut client = match self.target().start(self.interrupt) {
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
            match self.cold_start(fork, &mut client) {
                Ok(()) => clients.push(client),
                Err(error) => {
                    drop(client);
                    self.fail(variant, error)?;
                }
            }
        }
        self.any_alive()?;
        Ok(clients)
    }

    fn cold_start(&mut self, fork: usize, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        let mut loaded = client.load(self.load(variant), self.patience(variant, 0))?;
        loaded.engine.library = loaded.engine.library.map(|there| self.machine.target().library(there));
        let raw = &mut self.raw.variants[variant];
        if !raw.has_ops(&loaded) {
            return Err(ClientError::Other(OTHER_OPS.into()));
        }
        let fork = Fork {
            number: Some(fork),
            load_ns: loaded.load_ns,
            optimise_ns: loaded.optimise_ns,
            loaded_rss_bytes: loaded.rss_bytes,
            ..Fork::default()
        };
        raw.forks.push(RawFork { fork, ops_ns: vec![vec![]; loaded.ops.len()], ..RawFork::default() });
        raw.loaded.get_or_insert(loaded);
        let first = client.run(false, self.patience(variant, 0))?;
        let first_run_ns = first.runs_ns[0];
        self.pace.set_last(variant);
        self.pace.note_first(variant, Duration::from_nanos(first_run_ns));
        if let Some(raw) = self.raw.newest_fork(variant) {
            raw.fork.first_run_ns = first_run_ns;
            raw.fork.first_run_rss_bytes = first.peak_rss_bytes;
            raw.note_usage(&first);
        }
        Ok(())
    }

    /// What the variant's worker is to load.
    pub(super) fn load(&self, variant: usize) -> Load {
        let planned = &self.measurement.variants[variant];
        let subject = &self.measurement.subjects[planned.subject];
        Load {
            model: self.files.model(variant),
            data: self.files.data(variant),
            engine: Some(self.machine.target().engine(&planned.engine.choice)),
            inputs: subject.inputs.clone(),
            dims: subject.dims.clone(),
            knobs: planned.knobs.clone(),
            cpus: self.machine.cpus().to_vec(),
            ..self.measurement.load.clone()
        }
    }

    /// Runs fast models until their run times have settled; the times are not kept.
    pub(super) fn warm_up(&mut self, clients: &mut Vec<WorkerClient>) -> Result<(), Stop> {
        self.each(clients, None, |session, client| {
            let variant = client.variant;
            let first = session.raw.newest_fork(variant).map_or(0, |raw| raw.fork.first_run_ns);
            let runs = plan::warm_up_runs(Duration::from_nanos(first));
            if runs == 0 {
                return Ok(());
            }
            let mut steps = vec![];
            while !plan::settled(&steps) && steps.len() < plan::MOST_STEPS {
                let warm = session.pace.ran_last(variant);
                let step = client.turn(runs, warm, session.patience(variant, runs))?;
                session.pace.set_last(variant);
                let run = Samples::from_ns(&step.runs_ns).map(|s| nanos(s.median()));
                session.pace.note(variant, run);
                steps.extend(run);
            }
            if let Some(raw) = session.raw.newest_fork(variant) {
                raw.fork.warm_up_runs = Some(runs * steps.len() as u32);
                raw.fork.settled = Some(plan::settled(&steps));
            }
            Ok(())
        })
    }
}

fn nanos(ns: f64) -> Duration {
    Duration::from_nanos(ns.max(0.0) as u64)
}
