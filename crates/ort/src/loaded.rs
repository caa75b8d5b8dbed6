//! A loaded model: its session, its inputs, and what the worker asks of it.

use std::path::Path;
use std::time::Instant;

use ort::session::Session;
use ort::value::DynTensor;

use oplat_engine::{Backend, Described, LoadedModel, RawOutputs, inputs};
use oplat_ground::protocol::{Batched, Failure, Load, Loaded, Memory, Profile};

use crate::model::Copy;
use crate::profile::{Profiled, WARM_UP};
use crate::session::{run, session};
use crate::{OnnxRuntime, library, plan, providers, tensor};

/// A loaded model, ready to run.
pub struct OrtModel {
    copy: Copy,
    load: Load,
    session: Session,
    inputs: Vec<(String, DynTensor)>,
    /// Runs of the session so far, as far as it is of interest.
    runs: usize,
    profiled: Option<Profiled>,
}

impl OrtModel {
    pub fn load(load: &Load) -> Result<(Self, Loaded), Failure> {
        let library = load.engine.as_ref().and_then(|engine| engine.library.as_deref());
        let engine = library::load(library.map(Path::new))?;
        let start = Instant::now();
        let copy = Copy::of(load).map_err(|e| Failure::new(e.message))?;
        let load_ns = start.elapsed().as_nanos() as u64;
        let start = Instant::now();
        let session = session(&copy, load, &|builder| Ok(builder))?;
        let optimise_ns = start.elapsed().as_nanos() as u64;
        let inputs = inputs::values(&copy.inputs, load).map_err(|e| Failure::new(e.message))?;
        let inputs = inputs.iter().zip(&copy.inputs).map(|(raw, input)| {
            let tensor = tensor::to_ort(raw, session.allocator());
            Ok((
                input.name.clone(),
                tensor.map_err(|e| Failure::new(format!("input {:?}: {e}", input.name)))?,
            ))
        });
        let inputs = inputs.collect::<Result<_, Failure>>()?;
        let loaded = Loaded {
            load_ns,
            optimise_ns,
            inputs: copy.inputs.clone(),
            ops: vec![],
            shapes: vec![],
            macs: None,
            rss_bytes: None,
            engine,
            abilities: OnnxRuntime.about().1,
        };
        Ok((Self { copy, load: load.clone(), session, inputs, runs: 0, profiled: None }, loaded))
    }

    /// What profiled runs come from: made when it is first asked for.
    fn profiled(&mut self) -> Result<&mut Profiled, Failure> {
        if self.profiled.is_none() {
            self.profiled = Some(Profiled::new(&self.copy, &self.load, &self.inputs)?);
        }
        self.profiled.as_mut().ok_or_else(|| Failure::new("no session"))
    }
}

impl LoadedModel for OrtModel {
    fn run(&mut self, _: bool) -> Result<u64, Failure> {
        self.runs = self.runs.saturating_add(1);
        match run(&mut self.session, &self.inputs) {
            Ok((ns, _)) => Ok(ns),
            Err(error) => Err(self.copy.failure("run", &error)),
        }
    }

    fn plan(&mut self) -> Result<Option<Described>, Failure> {
        if providers::compiles(&self.load.knobs) {
            return Ok(None);
        }
        let ops = plan::ops(&self.copy, &self.load)?;
        Ok(Some(Described { ops, shapes: vec![] }))
    }

    fn settle(&mut self) -> Result<(), Failure> {
        (self.runs..WARM_UP).try_for_each(|_| self.run(false).map(drop))
    }

    fn describe(&mut self) -> Result<Option<Described>, Failure> {
        if providers::compiles(&self.load.knobs) {
            return Ok(None);
        }
        Ok(Some(self.profiled()?.described.clone()))
    }

    fn profile(&mut self, runs: usize, _: bool) -> Result<Option<Profile>, Failure> {
        if providers::compiles(&self.load.knobs) {
            return Ok(None);
        }
        self.profiled()?;
        self.profiled.as_ref().map(|profiled| profiled.runs(&self.copy, &self.inputs, runs)).transpose()
    }

    fn memory(&mut self) -> Result<Option<Memory>, Failure> {
        if providers::compiles(&self.load.knobs) {
            return Ok(None);
        }
        Ok(Some(self.profiled()?.memory.clone()))
    }

    fn batched(&mut self, _: &[usize], _: u64) -> Result<Option<Batched>, Failure> {
        Ok(None)
    }

    fn outputs(&mut self) -> Result<RawOutputs, Failure> {
        let outputs: Vec<String> = self.session.outputs().iter().map(|o| o.name().to_owned()).collect();
        let (_, values) = run(&mut self.session, &self.inputs).map_err(|e| self.copy.failure("run", &e))?;
        let tensors = outputs.iter().map(|name| {
            let value =
                values.get(name).ok_or_else(|| Failure::new(format!("there is no output {name:?}")))?;
            tensor::from_ort(value).map_err(|e| Failure::new(format!("output {name:?}: {e}")))
        });
        Ok(RawOutputs { tensors: tensors.collect::<Result<_, _>>()?, non_finite: None, subnormal: None })
    }
}
