//! What workers said, before anything is made of it.

use std::time::Duration;

use super::{Measurement, Only};
use crate::error::{Error, Exit, Result};
use crate::protocol::{Batched, Described, Loaded, Memory, Op, Runs};
use crate::record::{Fork, Look, OutputChange, Record, Variant};

/// What is said where an engine is not the same from fork to fork.
pub const OTHER_OPS: &str = "the engine made other ops of it than in the first fork";

/// A measurement's raw data.
#[derive(Debug, Default)]
pub struct Raw {
    /// By variant, as planned.
    pub variants: Vec<RawVariant>,
    /// `order[fork][round]`: variants in the order of their turns.
    pub order: Vec<Vec<Vec<usize>>>,
    pub runs_per_turn: u32,
    pub interrupted: bool,
    /// Why the target was lost, if it was.
    pub lost: Option<String>,
    /// Wall time that all of it took.
    pub elapsed: Duration,
    /// The part of it in which workers were made ready; `None` where forks of before don't tell.
    pub starting: Option<Duration>,
    /// How often it was resumed.
    pub resumed: usize,
    /// When it was looked whether all is known; `None` where it isn't looked before the end.
    pub looks: Option<Vec<Look>>,
    /// Where only these are still to be measured, each lost before, beside those that they are compared with; else
    /// empty, and all are.
    pub taken_up: Vec<TakenUp>,
}

/// A variant that was lost in a measurement which went on to its end without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenUp {
    pub variant: usize,
    pub beside: Vec<usize>,
    /// Forks that it has not.
    pub forks: usize,
}

/// What the workers of one variant said.
#[derive(Debug, Default)]
pub struct RawVariant {
    pub loaded: Option<Loaded>,
    /// In order of their numbers. A variant that was lost and taken up again has gaps.
    pub forks: Vec<RawFork>,
    /// The ops that the engine made of it before, where it was measured before; else empty.
    pub ops_before: Vec<String>,
    /// `None` as long as it wasn't asked for; what the engine can't tell is `None` in it.
    pub memory: Option<Memory>,
    pub batched: Option<Batched>,
    pub change: Option<OutputChange>,
    pub error: Option<Failed>,
}

/// One process.
#[derive(Debug, Default)]
pub struct RawFork {
    pub fork: Fork,
    /// `ops_ns[op][run]`: profiled runs of all rounds, one after another.
    pub ops_ns: Vec<Vec<u64>>,
    /// Whether the process has made what profiled runs need beside the model, so that its peak tells of both.
    pub profiled_apart: bool,
}

/// Why a variant has no more figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    pub message: String,
    /// The engine said no (bad input), a worker is gone, or it is a bug of ours.
    pub exit: Exit,
}

impl RawVariant {
    /// Whether the engine has made the same ops of it this time as in the forks before, where it tells them when it has
    /// loaded the model.
    pub fn has_ops(&self, loaded: &Loaded) -> bool {
        loaded.ops.is_empty() || self.are_known(&loaded.ops)
    }

    fn are_known(&self, ops: &[Op]) -> bool {
        let same = || self.ops_before.iter().eq(ops.iter().map(|op| &op.op));
        self.loaded.as_ref().is_none_or(|known| known.ops.is_empty() || known.ops == ops)
            && (self.ops_before.is_empty() || same())
    }

    /// Takes over what the engine tells of its ops after it has loaded the model. Fails if it told something else before.
    pub fn describe(&mut self, described: Described) -> std::result::Result<(), String> {
        if !self.are_known(&described.ops) {
            return Err(OTHER_OPS.to_owned());
        }
        if let Some(loaded) = &mut self.loaded {
            (loaded.ops, loaded.shapes) = (described.ops, described.shapes);
        }
        Ok(())
    }

    /// Its part of a fork, if it was started in it.
    fn fork(&mut self, number: usize) -> Option<&mut RawFork> {
        self.forks.iter_mut().find(|fork| fork.fork.number == Some(number))
    }
}

impl RawFork {
    /// Keeps the newest figures of the process: they only grow.
    pub fn note_usage(&mut self, runs: &Runs) {
        let fork = &mut self.fork;
        if !self.profiled_apart {
            fork.peak_rss_bytes = runs.peak_rss_bytes.or(fork.peak_rss_bytes);
        }
        fork.minor_faults = runs.minor_faults.or(fork.minor_faults);
        fork.involuntary_switches = runs.involuntary_switches.or(fork.involuntary_switches);
    }

    /// Keeps the first so many rounds, and what was profiled in them.
    fn truncate(&mut self, rounds: usize) {
        self.fork.rounds.truncate(rounds);
        self.fork.profiled_rounds.retain(|p| p.round < rounds);
        let runs = self.fork.profiled_rounds.iter().map(|p| p.runs_ns.len()).sum();
        self.ops_ns.iter_mut().for_each(|op| op.truncate(runs));
    }
}

impl Raw {
    pub fn new(variants: usize) -> Self {
        let variants = (0..variants).map(|_| RawVariant::default()).collect();
        Self { variants, starting: Some(Duration::ZERO), ..Self::default() }
    }

    /// What a record has already that is to be gone on with. What loads and the survey say is asked for again: it comes
    /// to the same. A variant that was lost gets another try, one that the engine refused would be refused again.
    pub fn from_record(record: &Record, taken_up: Vec<TakenUp>) -> Self {
        let fork = |(at, fork): (usize, &Fork)| {
            let (number, ops_ns) = (fork.number.or(Some(at)), fork.ops_ns.clone());
            let fork = Fork { number, ops_ns: vec![], ..fork.clone() };
            RawFork { fork, ops_ns, ..RawFork::default() }
        };
        let variant = |v: &Variant| RawVariant {
            forks: v.forks.iter().enumerate().map(fork).collect(),
            ops_before: v.ops.iter().map(|op| op.op.clone()).collect(),
            error: failure_of(v).filter(|failed| failed.exit != Exit::Lost),
            ..RawVariant::default()
        };
        Self {
            variants: record.variants.iter().map(variant).collect(),
            order: record.order.clone(),
            runs_per_turn: u32::try_from(record.settings.runs_per_turn).unwrap_or(1),
            elapsed: Duration::from_nanos(record.settings.elapsed_ns.unwrap_or(0)),
            starting: record.settings.starting_ns.map(Duration::from_nanos),
            resumed: record.settings.resumed + 1,
            looks: record.settings.looks.clone(),
            taken_up,
            ..Self::default()
        }
    }

    /// Variants that are still measured.
    pub fn alive(&self) -> Vec<usize> {
        let can_run = |v: &usize| self.variants[*v].error.is_none();
        let is_needed = |v: &usize| {
            let taken_up = self.taken_up.iter().filter(|t| can_run(&t.variant));
            self.taken_up.is_empty() || taken_up.clone().any(|t| t.variant == *v || t.beside.contains(v))
        };
        (0..self.variants.len()).filter(can_run).filter(is_needed).collect()
    }

    /// Forks that it has at its end, where so many were planned.
    pub fn forks_at_end(&self, planned: usize) -> usize {
        self.taken_up.iter().map(|t| self.order.len() + t.forks).max().unwrap_or(planned)
    }

    /// Whether the workers of this fork started at the same time.
    pub fn started_together(&self, number: usize) -> bool {
        let mut newest = self.variants.iter().filter_map(|v| v.forks.last()).map(|f| &f.fork);
        newest.any(|fork| fork.number == Some(number) && fork.started_together)
    }

    /// The fork of a variant that is being measured.
    pub fn newest_fork(&mut self, variant: usize) -> Option<&mut RawFork> {
        self.variants[variant].forks.last_mut()
    }

    /// The target is lost: what was finished until then stays.
    pub fn lose(&mut self, why: String) {
        self.lost = Some(why);
        self.drop_partial();
    }

    /// Drops what an interrupt cut off: rounds that not all living variants completed, and forks without any. If none lives, it goes
    /// by those that had begun the last fork.
    pub fn drop_partial(&mut self) {
        let mut alive = self.alive();
        if let Some(last) = self.order.len().checked_sub(1) {
            if alive.is_empty() {
                alive.extend((0..self.variants.len()).filter(|&v| self.variants[v].fork(last).is_some()));
            }
            let mut rounds = |v: &usize| self.variants[*v].fork(last).map_or(0, |f| f.fork.rounds.len());
            let complete = alive.iter().map(&mut rounds).min().unwrap_or(0);
            self.order[last].truncate(complete);
            let forks = self.variants.iter_mut().filter_map(|v| v.fork(last));
            forks.for_each(|fork| fork.truncate(complete));
        }
        if self.order.last().is_some_and(Vec::is_empty) {
            self.order.pop();
        }
        let forks = self.order.len();
        for variant in &mut self.variants {
            variant.forks.retain(|fork| fork.fork.number.is_some_and(|number| number < forks));
        }
    }

    /// Why nothing at all could be measured, if all variants failed alike.
    pub fn shared_failure(&self) -> Option<&Failed> {
        let measured = self.variants.iter().flat_map(|v| &v.forks).any(|f| !f.fork.rounds.is_empty());
        let first = self.variants.first()?.error.as_ref().filter(|_| !measured)?;
        let same = |v: &RawVariant| v.error.as_ref().is_some_and(|e| e.message == first.message);
        self.variants.iter().all(same).then_some(first)
    }

    /// Fails if there is nothing to make a record of.
    pub fn usable(&self, measurement: &Measurement) -> Result<()> {
        let rounds = self.variants.iter().flat_map(|v| &v.forks).any(|f| !f.fork.rounds.is_empty());
        let outputs = self.variants.iter().any(|v| v.change.is_some());
        if rounds || (measurement.only == Only::Outputs && outputs) {
            return Ok(());
        }
        let name = measurement.name();
        let failed = || {
            self.variants
                .iter()
                .zip(measurement.variants.iter())
                .filter_map(|(v, p)| Some((p, v.error.as_ref()?)))
        };
        if let Some(why) = &self.lost {
            return Err(Error::lost(format!("{why}; {name}: nothing was measured yet")));
        }
        let Some((planned, error)) = failed().next() else {
            return Err(Error::lost(format!("{name}: interrupted before anything was measured")));
        };
        // A failure that all share is the model's, not one variant's.
        let alike = self.shared_failure().is_some();
        let who = if alike { String::new() } else { format!("{}: ", planned.name) };
        let message = format!("{name}: {who}{}", error.message);
        match worst(failed().map(|(_, error)| error.exit)) {
            Exit::Lost => Err(Error::lost(format!("{message}; try a smaller --input, or another --target"))),
            exit => Err(Error { exit, message }),
        }
    }
}

/// Why a variant of a record failed, if it did.
pub fn failure_of(variant: &Variant) -> Option<Failed> {
    let exit = match (variant.bug, variant.refused) {
        (true, _) => Exit::Bug,
        (false, true) => Exit::Input,
        (false, false) => Exit::Lost,
    };
    Some(Failed { message: variant.error.clone()?, exit })
}

/// What outweighs the others: a bug of ours, then something lost.
pub fn worst(exits: impl Iterator<Item = Exit> + Clone) -> Exit {
    let found = [Exit::Bug, Exit::Lost].into_iter().find(|&exit| exits.clone().any(|other| other == exit));
    found.unwrap_or(Exit::Input)
}
