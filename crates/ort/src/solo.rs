//! Activations on their own in ONNX Runtime.
//!
//! It runs only whole models, and a run has a cost beside its operators: for small tensors much more than theirs. So a batch is
//! one run of a graph that holds the activation once for each forward, from inputs of their own into outputs of their own that
//! are there already, and what an empty run costs is taken off. What is left is what ONNX Runtime does for the operators
//! in a network, too: to call each, and to get memory for what lies between them.
//!
//! Inputs are written anew before every batch, and a graph doesn't overwrite them: a forward reads one buffer and writes another,
//! as a copy does, which is ONNX Runtime's own here (`Identity`). Buffers of a batch take at most half of the second-level cache.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::session::{IoBinding, Session};
use ort::value::{Tensor, ValueType};

use oplat_engine::timing::{repeated, two_readings_ns};
use oplat_engine::{SoloRunner, solo};
use oplat_graph::activation::Activation;
use oplat_graph::onnx::Model;
use oplat_graph::onnx::messages::{GraphProto, NodeProto, ValueInfoProto};
use oplat_graph::swap::{self, Lowering};
use oplat_ground::error::Error;
use oplat_ground::protocol::{
    self, Batches, EngineChoice, Failure, InPlace, Load, SoloReady, Solos, SolosReady,
};
use oplat_ground::random::normal;
use oplat_ground::record::bench::Values;
use oplat_ground::stats::median_high;

use crate::model::Copy;
use crate::session::session;
use crate::{library, operators, plan};

/// Most forwards of a batch: the cost of a run is taken off, and a graph of more takes long to make.
const MOST: u64 = 64;

/// The operator that is a copy.
const COPY: &str = "Identity";

/// All that a worker was asked to make ready.
pub struct Runner {
    solos: Vec<Result<Alone, String>>,
    /// Buffers by the shapes of input and output, shared by all that have them.
    pools: HashMap<(Vec<usize>, Vec<usize>), Pool>,
    load: Load,
    seed: u64,
    /// What two readings of the clock and an empty run cost together, ns: taken off every batch.
    overhead_ns: u64,
    run_ns: u64,
}

/// An activation, or a copy.
struct Alone {
    /// `None` for a copy.
    activation: Option<Activation>,
    model: Model,
    shape: Vec<usize>,
    output: Vec<usize>,
    ops: Vec<String>,
    /// The instruction set of our kernel, if it is one.
    isa: Option<String>,
    load: Load,
    /// The sessions that run it so many times.
    sessions: HashMap<usize, Session>,
}

/// Buffers of one shape.
#[derive(Default)]
struct Pool {
    /// What inputs are filled with.
    fresh: Vec<f32>,
    inputs: Vec<Tensor<f32>>,
    outputs: Vec<Tensor<f32>>,
}

type Made<T> = Result<T, String>;

impl Runner {
    /// Makes the solos ready, and says of each what computes it or why it can't be measured.
    pub fn new(asked: &Solos, cache_bytes: Option<u64>) -> Result<(Self, SolosReady), Failure> {
        let library = asked.engine.as_ref().and_then(|engine| engine.library.as_deref());
        let engine = library::load(library.map(Path::new))?;
        share_memory();
        let load = Load {
            engine: Some(EngineChoice { name: "ort".into(), library: None }),
            denormals: asked.denormals,
            threads: 1,
            ..Load::default()
        };
        let clock_ns = two_readings_ns();
        let run_ns = empty_run_ns(&load).map_err(Failure::new)?;
        let mut runner = Self {
            solos: vec![],
            pools: HashMap::new(),
            load,
            seed: asked.seed,
            overhead_ns: clock_ns + run_ns,
            run_ns,
        };
        let cache = cache_bytes.unwrap_or(solo::USUAL_CACHE);
        let mut solos = vec![];
        for (index, solo) in asked.solos.iter().enumerate() {
            let made = match asked.failed.get(&index) {
                Some(why) => Err(why.clone()),
                None => solo::making(index, || Alone::new(solo, asked.isa.as_deref(), &runner.load)),
            };
            runner.solos.push(made);
            let ready = solo::making(index, || runner.make_ready(index, cache, asked.survey));
            solos
                .push(ready.unwrap_or_else(|error| SoloReady { error: Some(error), ..SoloReady::default() }));
        }
        let ready =
            SolosReady { solos, cache_bytes, clock_ns, operator_ns: None, run_ns: Some(run_ns), engine };
        Ok((runner, ready))
    }

    fn make_ready(&mut self, index: usize, cache: u64, survey: bool) -> Made<SoloReady> {
        let (alone, pool) = self.of(index)?;
        let batch = solo::batch(cache, alone.shape.iter().product(), 2, MOST);
        let mut ready = SoloReady {
            ops: alone.ops.clone(),
            plain_ops: alone.ops.clone(),
            isa: alone.isa.clone(),
            batch,
            ..SoloReady::default()
        };
        if !survey {
            return Ok(ready);
        }
        pool.refill(&alone.shape, &alone.output, 1)?;
        let session = alone.session(1)?;
        run(session, &bind(session, &pool.inputs[..1], &pool.outputs[..1])?)?;
        let (inputs, outputs) = (numbers(&pool.inputs[0]), numbers(&pool.outputs[0]));
        ready.output_elements = outputs.len() as u64;
        ready.output_bytes = Some(4 * outputs.len() as u64);
        ready.output = Values::of(outputs);
        let activation = alone.activation.as_ref();
        ready.largest_error = activation.and_then(|a| solo::largest_error(a, inputs, outputs));
        self.timed(index, batch as usize, 0)?;
        let start = Instant::now();
        let timed = self.timed(index, batch as usize, 1)?;
        ready.batch_wall_ns = start.elapsed().as_nanos() as u64 / 2;
        ready.batch_ns = timed.first().copied().unwrap_or(1);
        Ok(ready)
    }

    fn timed(&mut self, index: usize, batch: usize, batches: usize) -> Made<Vec<u64>> {
        let overhead_ns = self.overhead_ns;
        let (alone, pool) = self.of(index)?;
        let (shape, output) = (alone.shape.clone(), alone.output.clone());
        pool.refill(&shape, &output, batch)?;
        let session = alone.session(batch)?;
        let bound = bind(session, &pool.inputs[..batch], &pool.outputs[..batch])?;
        let mut all = Vec::with_capacity(batches);
        for i in 0..=batches {
            pool.refill(&shape, &output, batch)?;
            // As a matrix product before them would, whatever was measured last.
            oplat_kernels::use_vectors();
            let start = Instant::now();
            run(session, &bound)?;
            let ns = start.elapsed().as_nanos() as u64;
            if i > 0 {
                all.push(ns.saturating_sub(overhead_ns).max(1));
            }
        }
        Ok(all)
    }

    /// Two buffers by turns, each the input of one forward and the output of the next.
    fn on_its_own_output(&mut self, index: usize, forwards: u64) -> Made<InPlace> {
        let run_ns = self.run_ns;
        let (alone, pool) = self.of(index)?;
        if alone.activation.is_none() {
            return Err("a copy changes nothing".into());
        }
        if alone.output != alone.shape {
            return Err("its output has another shape than its input".into());
        }
        pool.refill(&alone.shape, &alone.output, 1)?;
        let session = alone.session(1)?;
        let there = bind(session, &pool.inputs[..1], &pool.outputs[..1])?;
        let back = bind(session, &pool.outputs[..1], &pool.inputs[..1])?;
        let mut done = 0u64;
        let ns = repeated(forwards, || {
            done += 1;
            run(session, if done % 2 == 1 { &there } else { &back })
        })?;
        drop((there, back));
        let end = if forwards % 2 == 1 { &pool.outputs[0] } else { &pool.inputs[0] };
        Ok(InPlace {
            ns: ns.saturating_sub(run_ns.saturating_mul(forwards)).max(1),
            end: Values::of(numbers(end)),
        })
    }

    /// A solo with its buffers.
    fn of(&mut self, index: usize) -> Made<(&mut Alone, &mut Pool)> {
        let alone = match self.solos.get_mut(index) {
            Some(Ok(alone)) => alone,
            Some(Err(why)) => return Err(why.clone()),
            None => return Err("there is no such solo".into()),
        };
        let (shapes, seed) = ((alone.shape.clone(), alone.output.clone()), self.seed);
        let new = || Pool { fresh: normal(alone.shape.iter().product(), seed), ..Pool::default() };
        let pool = self.pools.entry(shapes).or_insert_with(new);
        Ok((alone, pool))
    }
}

impl SoloRunner for Runner {
    fn batches(&mut self, solo: usize, batch: usize, batches: usize) -> Result<Batches, Failure> {
        let batch_ns = self.timed(solo, batch.max(1), batches).map_err(Failure::new)?;
        Ok(Batches { batch_ns })
    }

    fn in_place(&mut self, solo: usize, forwards: u64) -> Result<InPlace, Failure> {
        self.on_its_own_output(solo, forwards).map_err(Failure::new)
    }
}

impl Alone {
    fn new(asked: &protocol::Solo, isa: Option<&str>, load: &Load) -> Made<Self> {
        solo::elements(asked)?;
        let message = |e: Error| e.message;
        let shape = asked.shape.clone();
        let activation = asked.activation.as_deref().map(Activation::parse).transpose().map_err(message)?;
        let model = match &activation {
            Some(activation) => swap::alone(activation, &shape, asked.lowering).map_err(message)?,
            None => copy(&shape).map_err(message)?,
        };
        let mut alone = Self {
            activation,
            model,
            shape,
            output: vec![],
            ops: vec![],
            isa: None,
            load: load.clone(),
            sessions: HashMap::new(),
        };
        alone.look(isa)?;
        Ok(alone)
    }

    /// Finds out what ONNX Runtime makes of it, and which shape it puts out.
    fn look(&mut self, isa: Option<&str>) -> Made<()> {
        let copy = Copy::made(times(&self.model, 1), &self.load).map_err(|e| e.message)?;
        let (session, optimised) =
            plan::optimised(&copy, &self.load, &shares_memory).map_err(|failure| failure.message)?;
        let ops = plan::described(&copy.named().map_err(|e| e.message)?, &optimised);
        self.output = shape(&session).ok_or("its output has no shape before it runs")?;
        self.sessions.insert(1, session);
        let Some(activation) = &self.activation else { return Ok(()) };
        if ops.iter().all(|op| op.op == COPY) {
            return Err("ONNX Runtime has nothing to compute: nothing is left to measure".into());
        }
        self.ops = ops.iter().map(|op| op.op.clone()).collect();
        if ops.iter().any(|op| op.kernel.is_some()) {
            let parameters: Vec<f32> = activation.parameters.iter().flatten().map(|&p| p as f32).collect();
            let kernel = operators::kernel(activation.kind.name, &parameters).ok_or("it has no kernel")?;
            let best = kernel.isa().name();
            if isa.is_some_and(|isa| isa != best) {
                return Err(format!("operators in ONNX Runtime take the best instruction set, {best}"));
            }
            (self.isa, self.ops) = (Some(best.to_owned()), vec![kernel.name().to_owned()]);
        }
        Ok(())
    }

    /// A session that runs it so many times, made when it is first asked for.
    fn session(&mut self, batch: usize) -> Made<&Session> {
        if !self.sessions.contains_key(&batch) {
            let copy = Copy::made(times(&self.model, batch), &self.load).map_err(|e| e.message)?;
            let session = session(&copy, &self.load, &shares_memory).map_err(|failure| failure.message)?;
            self.sessions.insert(batch, session);
        }
        self.sessions.get(&batch).ok_or_else(|| "no session".to_owned())
    }
}

fn shares_memory(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder.with_env_allocators()?)
}

impl Pool {
    /// Writes the first inputs anew and reads as many outputs, so that both are as near as their size allows.
    fn refill(&mut self, shape: &[usize], output: &[usize], count: usize) -> Made<()> {
        // Aligned as ONNX Runtime's own tensors are.
        let allocator = Allocator::default();
        let made = |shape: &[usize]| Tensor::<f32>::new(&allocator, shape.to_vec());
        while self.inputs.len() < count {
            let tensors = made(shape).and_then(|input| Ok((input, made(output)?)));
            let (input, mut output) = tensors.map_err(|e| e.to_string())?;
            output.extract_tensor_mut().1.fill(0.0);
            self.inputs.push(input);
            self.outputs.push(output);
        }
        for (input, output) in self.inputs.iter_mut().zip(&self.outputs).take(count) {
            input.extract_tensor_mut().1.copy_from_slice(&self.fresh);
            black_box(numbers(output).iter().step_by(16).sum::<f32>());
        }
        Ok(())
    }
}

fn numbers(tensor: &Tensor<f32>) -> &[f32] {
    tensor.extract_tensor().1
}

/// The shape of a session's only output.
fn shape(session: &Session) -> Option<Vec<usize>> {
    let ValueType::Tensor { shape, .. } = session.outputs().first()?.dtype() else { return None };
    shape.iter().map(|&n| usize::try_from(n).ok()).collect()
}

/// A copy, as ONNX Runtime makes it.
fn copy(shape: &[usize]) -> oplat_ground::error::Result<Model> {
    let mut model = swap::alone(&Activation::parse("relu")?, shape, Lowering::Exported)?;
    model.graph_mut().node.iter_mut().for_each(|node| node.op_type = Some(COPY.to_owned()));
    Ok(model)
}

/// A graph that holds another's nodes so many times, each time from an input of its own into an output of its own.
fn times(model: &Model, count: usize) -> Model {
    let graph = model.graph();
    let shared: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    let name = |name: &String, number: usize| match name.is_empty() || shared.contains(name.as_str()) {
        true => name.clone(),
        false => format!("{name}.{number}"),
    };
    let all = |names: &[String], number| names.iter().map(|n| name(n, number)).collect::<Vec<_>>();
    let node = |node: &NodeProto, number| NodeProto {
        input: all(&node.input, number),
        output: all(&node.output, number),
        ..node.clone()
    };
    let value = |value: &ValueInfoProto, number| ValueInfoProto {
        name: value.name.as_ref().map(|n| name(n, number)),
        ..value.clone()
    };
    let mut many = model.clone();
    *many.graph_mut() = GraphProto {
        node: (0..count).flat_map(|i| graph.node.iter().map(move |n| node(n, i))).collect(),
        input: (0..count).flat_map(|i| graph.input.iter().map(move |v| value(v, i))).collect(),
        output: (0..count).flat_map(|i| graph.output.iter().map(move |v| value(v, i))).collect(),
        value_info: vec![],
        ..graph.clone()
    };
    many
}

/// What a run costs beside its operators, ns: that of one operator on one number, without what each of many takes.
fn empty_run_ns(load: &Load) -> Made<u64> {
    const MANY: usize = 64;
    const RUNS: usize = 301;
    let one = protocol::Solo {
        activation: Some("relu".into()),
        lowering: Lowering::Exported,
        shape: vec![1, 1, 1, 1],
    };
    let mut alone = Alone::new(&one, None, load)?;
    let mut pool = Pool { fresh: vec![1.0], ..Pool::default() };
    pool.refill(&alone.shape, &alone.output, MANY)?;
    let mut median = |count: usize| -> Made<f64> {
        let session = alone.session(count)?;
        let bound = bind(session, &pool.inputs[..count], &pool.outputs[..count])?;
        let mut all = vec![];
        for _ in 0..RUNS {
            let start = Instant::now();
            run(session, &bound)?;
            all.push(start.elapsed().as_nanos() as u64);
        }
        Ok(median_high(all, u64::cmp).unwrap_or(0) as f64)
    };
    let (few, many) = (median(1)?, median(MANY)?);
    Ok((few - (many - few) / (MANY - 1) as f64).max(0.0) as u64)
}

/// All sessions of the process get memory from one arena: each with its own would keep what the largest takes. Where it is there
/// already, or a library has none, nothing is lost but memory.
fn share_memory() {
    let made = || -> ort::Result<()> {
        let environment = Environment::current()?;
        let memory = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
        // SAFETY: both pointers are those of live objects; no configuration means the default one.
        unsafe {
            let register = ort::api().CreateAndRegisterAllocator;
            ort::Error::result_from_status(register(
                environment.ptr().cast_mut(),
                memory.ptr(),
                std::ptr::null(),
            ))
        }
    };
    let _ = made();
}

/// The session's inputs and outputs in these places, which must outlive what is returned.
fn bind(session: &Session, inputs: &[Tensor<f32>], outputs: &[Tensor<f32>]) -> Made<IoBinding> {
    let bound = || -> ort::Result<IoBinding> {
        let mut binding = session.create_binding()?;
        for (outlet, input) in session.inputs().iter().zip(inputs) {
            binding.bind_input(outlet.name(), input)?;
        }
        for (outlet, output) in session.outputs().iter().zip(outputs) {
            let name = CString::new(outlet.name()).unwrap_or_default();
            // SAFETY: binding, name and tensor are alive. The crate's own function would keep the tensor.
            unsafe {
                let bind = ort::api().BindOutput;
                ort::Error::result_from_status(bind(binding.ptr().cast_mut(), name.as_ptr(), output.ptr()))?;
            }
        }
        Ok(binding)
    };
    bound().map_err(|e| e.to_string())
}

/// One run into the bound outputs and nothing else: the crate's own function would also look at them.
fn run(session: &Session, bound: &IoBinding) -> Made<()> {
    // SAFETY: the binding was made for this session and its tensors are alive; no options are the default ones.
    let ran = unsafe {
        let run = ort::api().RunWithBinding;
        ort::Error::result_from_status(run(session.ptr().cast_mut(), std::ptr::null(), bound.ptr()))
    };
    ran.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_of_many_shares_nothing_but_constants() {
        let mish = Activation::parse("mish").unwrap();
        let one = swap::alone(&mish, &[1, 2, 2, 2], Lowering::Exported).unwrap();
        let many = times(&one, 3);
        let (few, graph) = (one.graph(), many.graph());
        assert_eq!((graph.node.len(), graph.input.len(), graph.output.len()), (3 * few.node.len(), 3, 3));
        assert_eq!(graph.initializer.len(), few.initializer.len());
        let mut names: Vec<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), graph.node.len());
    }
}
