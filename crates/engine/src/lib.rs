//! The seam between the program and the engines that run models. No inference library is imported here.
//!
//! An engine is a [`Backend`]: it says what it is and can, and loads models. A [`LoadedModel`] runs. What they speak are
//! the types of the protocol between parent and worker, and [`RawTensor`]s. What an engine can't tell is `None`: null in
//! the record and `-` in a table.
//!
//! Beside it stands what every engine needs that knows a graph's operators by name alone: a private copy of the model
//! whose nodes are named by their index ([`prepare`], [`names`], [`inline`], [`plain`]), and from the names of the engine's own
//! operators back to the nodes that they compute ([`attribution`]).

pub mod at;
pub mod attribution;
mod imported;
pub mod inline;
pub mod inputs;
pub mod knobs;
pub mod made;
pub mod names;
pub mod outputs;
pub mod own;
pub mod plain;
pub mod prepare;
pub mod solo;
mod tensor;
pub mod timing;

pub use imported::{Imported, Process};
pub use knobs::{Knob, Knobs, Trial};
pub use tensor::RawTensor;

use std::path::{Path, PathBuf};

use oplat_graph::activation::Activation;
use oplat_graph::onnx::Model;
use oplat_graph::onnx::messages::ModelProto;
use oplat_graph::swap;
use oplat_ground::error::Result;
pub use oplat_ground::protocol::Described;
use oplat_ground::protocol::{
    Abilities, Allocated, Batched, Batches, Failure, InPlace, Load, Loaded, Memory, Op, Profile, Solos,
    SolosReady,
};
use oplat_ground::record::Engine;

/// What an engine runs of the operators that a model may hold.
pub trait Operators {
    /// Takes nodes of a model before its functions are inlined: what the engine runs as operators of its own.
    fn claim(&self, model: &mut ModelProto);

    /// Puts right what the engine would compute wrongly, in a model whose functions are inlined. Fails for a node, by the
    /// name that it has there, that can't be.
    fn correct(&self, _: &mut ModelProto) -> Result<()> {
        Ok(())
    }

    /// Whether it runs the operators of this name and of a domain that isn't the standard one.
    fn runs(&self, domain: &str, op: &str) -> bool;
}

/// An engine that is linked into the program or can be.
pub trait Backend: Sync {
    /// What people call it by: `tract`, `ort`.
    fn name(&self) -> &'static str;

    /// Whether it is loaded from a library, which may be given.
    fn has_library(&self) -> bool {
        false
    }

    /// Loads its library, if it has one: this one, or one that it finds. Says what the engine is. Fails with what is wrong
    /// with the library, or how to get one.
    fn open(&self, _: Option<&Path>) -> Result<Engine, Failure> {
        Ok(self.about().0)
    }

    /// Name, version and instruction sets, as records have them, and what it can do.
    fn about(&self) -> (Engine, Abilities);

    /// The engine's settings that `--knob` takes.
    fn knobs(&self) -> Vec<Knob>;

    /// Fails for settings that the engine, as it was found, can't have.
    fn check(&self, _: &Engine, _: &Knobs) -> Result<()> {
        Ok(())
    }

    /// Settings that may make a model faster on so many threads of this machine without changing what it computes.
    fn trials(&self, threads: usize) -> Vec<Trial>;

    /// Reads, optimises and plans the model that `load` asks for, and makes its inputs.
    ///
    /// Fails with one line that names the file, and the node where the engine says which.
    fn load(&self, load: &Load) -> Result<(Box<dyn LoadedModel>, Loaded), Failure>;

    /// The operators that the engine makes of a model whose inputs are concrete, in the order in which they would run.
    fn plan(&self, model: &Model) -> Result<Vec<Op>, Failure>;

    /// The name of an operator without what it says of how the operator is specialised.
    fn plain<'o>(&self, op: &'o str) -> &'o str {
        op
    }

    /// Whether a kernel of ours can be measured on its own in it, bare or as its operator.
    fn times_kernel(&self, activation: &Activation) -> bool {
        swap::runs_kernel(&self.about().1, activation)
    }

    /// What profiles tell that an app wrote with this engine while it ran the model; `optimised` is what the engine made of
    /// it there, if the app kept that. Fails with the file's name.
    fn imported(
        &self,
        _profiles: &[PathBuf],
        _model: &Model,
        _optimised: Option<&Model>,
    ) -> Result<Imported, Failure> {
        Err(Failure::new(format!("{} writes no profiles that can be imported", self.name())))
    }

    /// Makes activations ready to be measured on their own, on a processor with a second-level cache of this size.
    fn solos(
        &self,
        asked: &Solos,
        cache_bytes: Option<u64>,
    ) -> Result<(Box<dyn SoloRunner>, SolosReady), Failure>;
}

/// A model that an engine has loaded, with its inputs. Every run starts from fresh ones.
pub trait LoadedModel {
    /// One run; its wall time, ns. With `trace`, an engine that can announces each operator's node before it is
    /// evaluated ([`at::announce`]).
    fn run(&mut self, trace: bool) -> Result<u64, Failure>;

    /// Makes the runs that a model needs until it has its memory, if it has not had as many: before its first turn.
    fn settle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// One untimed run, unless it is `warm`, and `runs` timed ones, unprofiled.
    fn turn(&mut self, runs: usize, warm: bool) -> Result<Turn, Failure> {
        if !warm {
            self.run(false)?;
        }
        let mut runs_ns = Vec::with_capacity(runs);
        for _ in 0..runs {
            runs_ns.push(self.run(false)?);
        }
        Ok(Turn { runs_ns, allocated: None })
    }

    /// The operators, of an engine that tells them only now: it may make what profiled runs need first, so the time and memory
    /// of loading and of first runs must have been read. `None` if `load` told them.
    fn describe(&mut self) -> Result<Option<Described>, Failure> {
        Ok(None)
    }

    /// The operators before anything runs, without inputs, outputs and shapes, of an engine that can tell them so. `None` if `load`
    /// told them, or if it can't.
    fn plan(&mut self) -> Result<Option<Described>, Failure> {
        Ok(None)
    }

    /// The same as a turn, with every operator timed; `None` if the engine can't time them.
    fn profile(&mut self, runs: usize, warm: bool) -> Result<Option<Profile>, Failure>;

    /// Memory, from a pass of its own; `None` if the engine tells nothing of it.
    fn memory(&mut self) -> Result<Option<Memory>, Failure>;

    /// The time of one evaluation of each of these operators, from batches of at least `least_ns`; `None` if the engine
    /// can't repeat an operator.
    fn batched(&mut self, ops: &[usize], least_ns: u64) -> Result<Option<Batched>, Failure>;

    /// The outputs of one run.
    fn outputs(&mut self) -> Result<RawOutputs, Failure>;
}

/// Plain runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Wall time of each timed run, ns.
    pub runs_ns: Vec<u64>,
    /// By the untimed run, if there was one and the engine's allocations can be counted.
    pub allocated: Option<Allocated>,
}

/// What a run put out.
#[derive(Clone, Debug, PartialEq)]
pub struct RawOutputs {
    /// In the model's order.
    pub tensors: Vec<RawTensor>,
    /// Non-finite and subnormal numbers among the floats that any operator of the run put out; `None` if the engine shows
    /// only the outputs.
    pub non_finite: Option<u64>,
    pub subnormal: Option<u64>,
}

/// Activations that are ready to be measured on their own, by their index among those that were asked for.
pub trait SoloRunner {
    /// Times so many batches of forwards, after an untimed one.
    fn batches(&mut self, solo: usize, batch: usize, batches: usize) -> Result<Batches, Failure>;

    /// Times forwards on their own output: one buffer, never filled anew.
    fn in_place(&mut self, solo: usize, forwards: u64) -> Result<InPlace, Failure>;
}
