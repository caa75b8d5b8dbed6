//! One variant's worker in one fork: a method for each request, which gives the answer that fits it, or why there is none.

use std::time::Duration;

use crate::device::{Lost, Worker};
use crate::protocol::{
    Batched, Described, Failure, Load, Loaded, Memory, Outputs, Profile, Reply, Request, Runs,
};

/// A running worker and the variant that it runs.
pub struct WorkerClient {
    /// Index of the variant.
    pub variant: usize,
    worker: Box<dyn Worker>,
    /// Ops of the graph, once it is loaded.
    ops: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The user wants to stop.
    Interrupted,
    /// The engine can't do it, and says so.
    Refused(Failure),
    /// The worker is lost.
    Died(Lost),
    /// Anything else: a worker that can't be started, an answer that doesn't fit.
    Other(String),
}

type Answer<T> = Result<T, ClientError>;

impl WorkerClient {
    pub fn new(variant: usize, worker: Box<dyn Worker>) -> Self {
        Self { variant, worker, ops: 0 }
    }

    pub fn load(&mut self, load: Load, patience: Duration) -> Answer<Loaded> {
        self.send(&Request::Load(load))?;
        self.loaded(patience)
    }

    /// Has it load a model, run it once and move to these CPUs, while others do the same. What comes of it are
    /// [`loaded`](Self::loaded), [`ran_once`](Self::ran_once) and [`pinned`](Self::pinned), to be asked for in this order.
    pub fn begin(&mut self, load: Load, cpus: &[usize]) -> Answer<()> {
        self.send(&Request::Load(load))?;
        self.send(&Request::Run { trace: false })?;
        self.send(&Request::Pin { cpus: cpus.to_vec() })
    }

    pub fn loaded(&mut self, patience: Duration) -> Answer<Loaded> {
        match self.reply(patience)? {
            Reply::Loaded(loaded) => {
                self.ops = loaded.ops.len();
                Ok(loaded)
            }
            other => unexpected(&other),
        }
    }

    pub fn ran_once(&mut self, patience: Duration) -> Answer<Runs> {
        ran(self.reply(patience)?, 1)
    }

    pub fn pinned(&mut self, patience: Duration) -> Answer<()> {
        match self.reply(patience)? {
            Reply::Pinned => Ok(()),
            other => unexpected(&other),
        }
    }

    /// One run; with `trace` it announces every node before it is evaluated.
    pub fn run(&mut self, trace: bool, patience: Duration) -> Answer<Runs> {
        self.runs(&Request::Run { trace }, 1, patience)
    }

    /// Timed runs, after an untimed one if the worker isn't `warm`.
    pub fn turn(&mut self, runs: u32, warm: bool, patience: Duration) -> Answer<Runs> {
        self.runs(&Request::Turn { runs, warm }, runs, patience)
    }

    fn runs(&mut self, request: &Request, runs: u32, patience: Duration) -> Answer<Runs> {
        ran(self.ask(request, patience)?, runs)
    }

    /// What the engine makes of the model, where loading it didn't tell.
    pub fn describe(&mut self, patience: Duration) -> Answer<Option<Described>> {
        self.described(&Request::Describe, patience)
    }

    /// As [`describe`](Self::describe), before anything runs: without inputs, outputs and shapes.
    pub fn plan(&mut self, patience: Duration) -> Answer<Option<Described>> {
        self.described(&Request::Plan, patience)
    }

    fn described(&mut self, request: &Request, patience: Duration) -> Answer<Option<Described>> {
        match self.ask(request, patience)? {
            Reply::Described(described) => {
                self.ops = described.ops.len();
                Ok(Some(described))
            }
            Reply::Unable => Ok(None),
            other => unexpected(&other),
        }
    }

    /// Whether it is known what the engine makes of the model.
    pub fn has_ops(&self) -> bool {
        self.ops > 0
    }

    /// As [`turn`](Self::turn), with every op timed; `None` if the engine can't.
    pub fn profile(&mut self, runs: u32, warm: bool, patience: Duration) -> Answer<Option<Profile>> {
        match self.ask(&Request::Profile { runs, warm }, patience)? {
            Reply::Profile(profile)
                if profile.runs_ns.len() == runs as usize
                    && profile.ops_ns.len() == self.ops
                    && profile.ops_ns.iter().all(|op| op.len() == runs as usize) =>
            {
                Ok(Some(profile))
            }
            Reply::Unable => Ok(None),
            other => unexpected(&other),
        }
    }

    /// `None` if the engine tells nothing of memory.
    pub fn memory(&mut self, patience: Duration) -> Answer<Option<Memory>> {
        match self.ask(&Request::Memory, patience)? {
            Reply::Memory(memory) if memory.ops.len() == self.ops => Ok(Some(memory)),
            Reply::Unable => Ok(None),
            other => unexpected(&other),
        }
    }

    /// `None` if the engine can't repeat an op.
    pub fn batched(&mut self, ops: Vec<usize>, least_ns: u64, patience: Duration) -> Answer<Option<Batched>> {
        match self.ask(&Request::Batched { ops, least_ns }, patience)? {
            Reply::Batched(batched) if batched.ops_ns.len() == self.ops => Ok(Some(batched)),
            Reply::Unable => Ok(None),
            other => unexpected(&other),
        }
    }

    pub fn outputs(&mut self, file: String, patience: Duration) -> Answer<Outputs> {
        match self.ask(&Request::Outputs { file }, patience)? {
            Reply::Outputs(outputs) => Ok(outputs),
            other => unexpected(&other),
        }
    }

    fn ask(&mut self, request: &Request, patience: Duration) -> Answer<Reply> {
        self.send(request)?;
        self.reply(patience)
    }

    fn send(&mut self, request: &Request) -> Answer<()> {
        self.worker.send(request).map_err(gone)
    }

    fn reply(&mut self, patience: Duration) -> Answer<Reply> {
        match self.worker.reply(patience).map_err(gone)? {
            Reply::Error(failure) => Err(ClientError::Refused(failure)),
            reply => Ok(reply),
        }
    }
}

fn gone(lost: Lost) -> ClientError {
    match lost {
        Lost::Interrupted => ClientError::Interrupted,
        lost => ClientError::Died(lost),
    }
}

/// The answer, if it is of so many runs.
fn ran(reply: Reply, runs: u32) -> Answer<Runs> {
    match reply {
        Reply::Runs(answer) if answer.runs_ns.len() == runs as usize => Ok(answer),
        other => unexpected(&other),
    }
}

fn unexpected<T>(reply: &Reply) -> Answer<T> {
    let kind = match reply {
        Reply::Loaded(_) => "loaded",
        Reply::Pinned => "pinned",
        Reply::Described(_) => "described",
        Reply::Engine(_) => "engine",
        Reply::Runs(_) => "runs",
        Reply::Profile(_) => "profile",
        Reply::Memory(_) => "memory",
        Reply::Batched(_) => "batched",
        Reply::Outputs(_) => "outputs",
        Reply::Machine(_) => "machine",
        Reply::Solos(_) => "solos",
        Reply::Batches(_) => "batches",
        Reply::InPlace(_) => "in place",
        Reply::Unable => "unable",
        Reply::Unknown { .. } => "unknown request",
        Reply::Error(_) => "error",
    };
    Err(ClientError::Other(format!(
        "the worker's answer ({kind}) doesn't fit the question: use the same oplat on both sides, or report it"
    )))
}
