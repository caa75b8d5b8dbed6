//! How a fork begins: the target's rest, workers that start one by one or together, and the warm-up of those that need one.

use std::time::Duration;

use super::{Session, Stop};
use crate::measure::client::{ClientError, WorkerClient};
use crate::measure::plan;
use crate::measure::raw::{OTHER_OPS, RawFork};
use crate::measure::{Measurement, Only, Rest};
use crate::protocol::{Load, Loaded, Runs};
use crate::record::Fork;
use crate::stats::Samples;
use crate::units;

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

    /// Workers that have loaded their variant and run it once. Each fork begins with another variant, since the first finds the
    /// caches coldest.
    pub(super) fn start_workers(&mut self, fork: usize) -> Result<Vec<WorkerClient>, Stop> {
        let mut variants = self.raw.alive();
        let first = fork % variants.len().max(1);
        variants.rotate_left(first);
        let clients = match self.start_together(fork, &variants) {
            true => self.together(fork, &variants)?,
            false => self.one_by_one(fork, &variants)?,
        };
        self.any_alive()?;
        Ok(clients)
    }

    /// Whether this fork's workers are made ready at the same time, each on a CPU of its own. What their cold starts take says
    /// nothing then, so some forks are left for that.
    fn start_together(&self, fork: usize, variants: &[usize]) -> bool {
        let Measurement { cold, only, ref load, .. } = *self.measurement;
        let tells_cold_starts = only == Only::Everything && plan::starts_one_by_one(fork);
        // The threads of several would be in each other's way.
        let one_thread_each = load.threads < 2 && self.machine.ready_on().len() > 1;
        !cold && !tells_cold_starts && one_thread_each && self.fit_together(variants)
    }

    /// Whether these variants' workers can all need the most memory at the same time, as far as is known from forks before.
    fn fit_together(&self, variants: &[usize]) -> bool {
        let most = |&variant: &usize| {
            let forks = &self.raw.variants[variant].forks;
            forks.iter().filter_map(|fork| fork.fork.peak_rss_bytes).max().unwrap_or(0)
        };
        let all = variants.iter().map(most).fold(0, u64::saturating_add);
        self.machine.available_bytes().is_none_or(|available| all <= available)
    }

    /// Starts, loads and first runs, one variant after another so that none disturbs the other's cold start.
    fn one_by_one(&mut self, fork: usize, variants: &[usize]) -> Result<Vec<WorkerClient>, Stop> {
        let mut clients = vec![];
        for &variant in variants {
            self.progress.phase(&format!("loading {}", self.measurement.variants[variant].name));
            let Some(mut client) = self.start_worker(variant, clients.is_empty())? else { continue };
            let outcome = self.cold_start(fork, &mut client);
            self.keep(client, outcome, &mut clients)?;
        }
        Ok(clients)
    }

    /// Starts, loads and first runs of as many variants at a time as there are CPUs like those to be measured on, to which all move
    /// then.
    fn together(&mut self, fork: usize, variants: &[usize]) -> Result<Vec<WorkerClient>, Stop> {
        let (ready_on, cpus) = (self.machine.ready_on().to_vec(), self.machine.cpus().to_vec());
        let mut clients = vec![];
        for variants in variants.chunks(ready_on.len()) {
            self.progress.phase(&format!("loading {}", units::count(variants.len(), "variant")));
            let mut started = vec![];
            for (&variant, &cpu) in variants.iter().zip(&ready_on) {
                let is_first = clients.is_empty() && started.is_empty();
                let Some(mut client) = self.start_worker(variant, is_first)? else { continue };
                let load = Load { cpus: vec![cpu], ..self.load(variant) };
                let outcome = client.begin(load, &cpus);
                self.keep(client, outcome, &mut started)?;
            }
            // Every answer of one is heard before the next ones of any: who isn't heard may have to wait before it goes on.
            let stages = [Self::has_loaded, Self::has_run, Self::has_moved];
            for stage in stages {
                for mut client in std::mem::take(&mut started) {
                    let outcome = stage(self, fork, &mut client);
                    self.keep(client, outcome, &mut started)?;
                }
            }
            clients.extend(started);
        }
        Ok(clients)
    }

    /// Keeps a worker for the fork, or notes why it is none of it.
    fn keep(
        &mut self,
        client: WorkerClient,
        outcome: Result<(), ClientError>,
        clients: &mut Vec<WorkerClient>,
    ) -> Result<(), Stop> {
        match outcome {
            Ok(()) => clients.push(client),
            Err(error) => {
                let variant = client.variant;
                drop(client);
                self.fail(variant, error)?;
            }
        }
        Ok(())
    }

    /// A worker for this variant; none if it can't be started. If not even the `first` of all can, none can.
    fn start_worker(&mut self, variant: usize, first: bool) -> Result<Option<WorkerClient>, Stop> {
        match self.target().start(self.interrupt) {
            Ok(worker) => Ok(Some(WorkerClient::new(variant, worker))),
            Err(error) if self.raw.order.is_empty() && first => Err(Stop::Error(error)),
            Err(error) => {
                self.fail(variant, ClientError::Other(error.message))?;
                Ok(None)
            }
        }
    }

    /// Loads the variant, runs it once and keeps what that took.
    fn cold_start(&mut self, fork: usize, client: &mut WorkerClient) -> Result<(), ClientError> {
        let (variant, patience) = (client.variant, self.patience(client.variant, 0));
        let loaded = client.load(self.load(variant), patience)?;
        self.is_loaded(fork, variant, loaded, false)?;
        let first = client.run(false, patience)?;
        self.ran_first(variant, &first);
        Ok(())
    }

    /// What comes of a worker that was told to begin beside others, in this order.
    fn has_loaded(&mut self, fork: usize, client: &mut WorkerClient) -> Result<(), ClientError> {
        let loaded = client.loaded(self.patience(client.variant, 0))?;
        self.is_loaded(fork, client.variant, loaded, true)
    }

    fn has_run(&mut self, _: usize, client: &mut WorkerClient) -> Result<(), ClientError> {
        let first = client.ran_once(self.patience(client.variant, 0))?;
        self.ran_first(client.variant, &first);
        Ok(())
    }

    fn has_moved(&mut self, _: usize, client: &mut WorkerClient) -> Result<(), ClientError> {
        client.pinned(self.patience(client.variant, 0))
    }

    /// A worker has loaded its variant, `together` with others or alone: its part of the fork begins.
    fn is_loaded(
        &mut self,
        fork: usize,
        variant: usize,
        mut loaded: Loaded,
        together: bool,
    ) -> Result<(), ClientError> {
        loaded.engine.library = loaded.engine.library.map(|there| self.machine.target().library(there));
        let raw = &mut self.raw.variants[variant];
        if !raw.has_ops(&loaded) {
            return Err(ClientError::Other(OTHER_OPS.into()));
        }
        let fork = Fork {
            number: Some(fork),
            started_together: together,
            load_ns: loaded.load_ns,
            optimise_ns: loaded.optimise_ns,
            loaded_rss_bytes: loaded.rss_bytes,
            ..Fork::default()
        };
        raw.forks.push(RawFork { fork, ops_ns: vec![vec![]; loaded.ops.len()], ..RawFork::default() });
        raw.loaded.get_or_insert(loaded);
        Ok(())
    }

    fn ran_first(&mut self, variant: usize, first: &Runs) {
        self.hung = 0;
        let first_run_ns = first.runs_ns[0];
        self.pace.set_last(variant);
        self.pace.note_first(variant, Duration::from_nanos(first_run_ns));
        if let Some(raw) = self.raw.newest_fork(variant) {
            raw.fork.first_run_ns = first_run_ns;
            raw.fork.first_run_rss_bytes = first.peak_rss_bytes;
            raw.note_usage(first);
        }
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
