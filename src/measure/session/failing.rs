//! What becomes of a variant that fails: its error, in the user's words and with the node where it is known.

use super::{Session, Stop};
use crate::device::{End, Lost};
use crate::error::{Error, Exit};
use crate::measure::Only;
use crate::measure::client::{ClientError, WorkerClient};
use crate::measure::raw::{Failed, RawVariant};
use crate::onnx;

/// Workers in a row that may give no answer before it is the target that is taken to be gone: each is waited for as long as a
/// measurement may take.
const MOST_HUNG: usize = 2;

impl Session<'_, '_> {
    /// Notes why a variant is measured no longer; finds the node at which its worker died, if it does so again.
    pub(super) fn fail(&mut self, variant: usize, error: ClientError) -> Result<(), Stop> {
        if let ClientError::Died(_) | ClientError::Other(_) = &error {
            self.still_there(&error)?;
        }
        let failed = match error {
            ClientError::Interrupted => return Err(Stop::Interrupted),
            ClientError::Other(message) => Failed { message, exit: Exit::Lost },
            ClientError::Refused(failure) if failure.machine => {
                Failed { message: failure.message, exit: Exit::Lost }
            }
            ClientError::Refused(failure) => {
                let at =
                    failure.node.map_or_else(String::new, |node| format!(" ({})", self.node(variant, node)));
                // The user knows the model, not the file that was written for the worker.
                let message = failure.message.replace(&format!("{}: ", self.files.model(variant)), "");
                let error = match failure.bug {
                    true => Error::bug(format!("{message}{at}")),
                    false => Error::input(format!("the engine can't run it{at}: {message}")),
                };
                Failed { message: error.message, exit: error.exit }
            }
            ClientError::Died(lost) => {
                self.note_hung(&lost)?;
                let loaded = self.raw.variants[variant].loaded.is_some();
                let place = if loaded { self.place(variant)? } else { " while loading".into() };
                Failed { message: format!("worker {lost}{place}"), exit: Exit::Lost }
            }
        };
        self.raw.variants[variant].error = Some(failed);
        self.untold.push(variant);
        Ok(())
    }

    /// Whether it was the variant that failed, and not the way to its target.
    fn still_there(&self, error: &ClientError) -> Result<(), Stop> {
        match self.target().check(self.interrupt) {
            Err(_) if self.interrupt.is_raised() => Err(Stop::Interrupted),
            Err(error) => Err(Stop::Lost(error)),
            Ok(()) => match error {
                ClientError::Died(Lost::Died { end: End::Disconnected, .. }) => Err(Stop::Broken),
                _ => Ok(()),
            },
        }
    }

    /// Stops if one worker after another hangs.
    fn note_hung(&mut self, lost: &Lost) -> Result<(), Stop> {
        let Lost::Died { end: End::Hung(_), .. } = lost else { return Ok(()) };
        self.hung += 1;
        if self.hung < MOST_HUNG {
            return Ok(());
        }
        let name = self.target().name();
        Err(Stop::Lost(Error::lost(format!("target {name}: one worker after another {lost}; check it"))))
    }

    /// A target on which every worker dies at last, when some have run there, is lost: the rest can be measured when it is back.
    pub(super) fn lose_if_all_died(&mut self) {
        let has_run = self.raw.variants.iter().any(|v| v.forks.iter().any(|f| !f.fork.rounds.is_empty()));
        let died = self.raw.variants.iter().all(|v| v.error.as_ref().is_some_and(|e| e.exit == Exit::Lost));
        if self.measurement.only != Only::Everything || !has_run || !died {
            return;
        }
        let last = self.raw.variants.iter().rev().find_map(|v| v.error.as_ref());
        let why = last.map_or_else(String::new, |failed| failed.message.clone());
        self.raw.lose(format!("target {}: every worker fails: {why}", self.target().name()));
        // It isn't those that failed just now.
        let forks = self.raw.order.len();
        let has_all = |v: &&mut RawVariant| v.forks.len() == forks;
        self.raw.variants.iter_mut().filter(has_all).for_each(|v| v.error = None);
    }

    /// Tells which variants failed since it was last told. This waits until one is known to be alive: if all
    /// fail alike, one line at the end says more than as many as there are variants.
    pub(super) fn tell(&mut self) {
        for variant in std::mem::take(&mut self.untold) {
            if let Some(failed) = &self.raw.variants[variant].error {
                let name = &self.measurement.variants[variant].name;
                self.progress.note(&format!("{name}: {}", failed.message));
            }
        }
    }

    /// As [`tell`](Self::tell), when the measurement has ended: nothing if all failed alike, since that is the error of
    /// the whole.
    pub(super) fn tell_unless_alike(&mut self) {
        if self.raw.shared_failure().is_none() {
            self.tell();
        }
    }

    /// Runs the variant once more, alone and traced, to find the node at which it dies.
    fn place(&mut self, variant: usize) -> Result<String, Stop> {
        self.progress.phase(&format!("finding where {} dies", self.measurement.variants[variant].name));
        let patience = self.patience(variant, 1);
        let Ok(worker) = self.target().start(self.interrupt) else { return Ok(String::new()) };
        let mut client = WorkerClient::new(variant, worker);
        let again = match client.load(self.load(variant), self.patience(variant, 0)) {
            Ok(_) => {
                self.hung = 0;
                client.run(true, patience)
            }
            Err(ClientError::Died(lost)) => {
                self.note_hung(&lost)?;
                return Ok(String::new());
            }
            Err(error) => Err(error),
        };
        match again {
            Ok(_) => Ok("; it went through when run alone".into()),
            Err(ClientError::Interrupted) => Err(Stop::Interrupted),
            Err(ClientError::Died(Lost::Died { at: Some(node), .. })) => {
                Ok(format!(" at {}", self.node(variant, node)))
            }
            Err(_) => Ok(String::new()),
        }
    }

    /// A node of the variant as the user knows it: `node /model.3/conv (Conv)`.
    fn node(&self, variant: usize, index: usize) -> String {
        let mut nodes = vec![];
        let graph = self.measurement.variants[variant].variant.model.graph();
        onnx::for_each_node(graph, &mut |node| nodes.push(node));
        nodes.get(index).map_or_else(
            || format!("node {index}"),
            |node| format!("node {} ({})", onnx::label(node), node.op_type.as_deref().unwrap_or("")),
        )
    }
}
