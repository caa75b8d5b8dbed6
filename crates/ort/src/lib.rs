//! ONNX Runtime as an engine of oplat. Nothing else in the program imports it.
//!
//! Its library is not linked in: it is found (`library`), and loaded by the process that runs a model with it. A model's
//! nodes are named by their index in the copy that it gets (`model`); what it makes of them is read from the optimised model
//! that it writes (`ops`). Plain runs come from a session without profiling, profiled ones from a second (`profile`, `events`), which is
//! made when it is first asked for, after cold figures and resident memory have been read. Profiles that an app wrote are read
//! without the library (`imported`).

pub mod bare;
mod events;
mod imported;
mod knobs;
pub mod library;
mod loaded;
mod memory;
mod model;
mod operators;
mod ops;
mod plan;
mod profile;
mod providers;
mod session;
mod solo;
mod tensor;

use std::path::{Path, PathBuf};

use oplat_engine::{Backend, Imported, Knob, Knobs, LoadedModel, SoloRunner, Trial};
use oplat_graph::onnx::Model;
use oplat_ground::error::Result;
use oplat_ground::protocol::{Abilities, Failure, Load, Loaded, Op, OpMemorySource, Solos, SolosReady};
use oplat_ground::record::Engine;

/// ONNX Runtime, in whatever version is found.
pub struct OnnxRuntime;

/// What ONNX Runtime 1.32 merges into the convolution before it.
const MERGES: [&str; 8] =
    ["relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "hard_tanh", "sigmoid", "tanh"];

impl Backend for OnnxRuntime {
    fn name(&self) -> &'static str {
        "ort"
    }

    fn has_library(&self) -> bool {
        true
    }

    fn open(&self, given: Option<&Path>) -> Result<Engine, Failure> {
        library::load(given)
    }

    fn about(&self) -> (Engine, Abilities) {
        let engine = Engine { name: "ONNX Runtime".to_owned(), ..Engine::default() };
        let abilities = Abilities {
            own_kernels: true,
            merges: MERGES.map(str::to_owned).to_vec(),
            op_memory: OpMemorySource::Reported,
            batched: false,
        };
        (engine, abilities)
    }

    fn knobs(&self) -> Vec<Knob> {
        knobs::all()
    }

    fn check(&self, engine: &Engine, knobs: &Knobs) -> Result<()> {
        providers::check(&engine.providers, knobs)
    }

    fn trials(&self, threads: usize) -> Vec<Trial> {
        knobs::trials(threads)
    }

    fn load(&self, load: &Load) -> Result<(Box<dyn LoadedModel>, Loaded), Failure> {
        let (model, loaded) = loaded::OrtModel::load(load)?;
        Ok((Box::new(model), loaded))
    }

    fn plan(&self, model: &Model) -> Result<Vec<Op>, Failure> {
        library::load(None)?;
        let load = Load::default();
        let copy = model::Copy::made(model.clone(), &load).map_err(|e| Failure::new(e.message))?;
        plan::ops(&copy, &load)
    }

    fn imported(
        &self,
        profiles: &[PathBuf],
        model: &Model,
        optimised: Option<&Model>,
    ) -> Result<Imported, Failure> {
        imported::imported(profiles, model, optimised)
    }

    fn solos(
        &self,
        asked: &Solos,
        cache_bytes: Option<u64>,
    ) -> Result<(Box<dyn SoloRunner>, SolosReady), Failure> {
        let (runner, ready) = solo::Runner::new(asked, cache_bytes)?;
        Ok((Box::new(runner), ready))
    }
}
