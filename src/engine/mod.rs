//! The engine: tract, and all that is known of it. Nothing else in the program imports it.
//!
//! A model is copied and made concrete (`prepare`), translated (`operators`), optimised, described
//! (`ops`, `attribution`) and then run from one kept state, plain or observed (`observe`, `memory`, `batched`).

mod attribution;
mod batched;
mod chain;
mod failure;
mod inline;
pub mod inputs;
mod kernels;
pub mod knobs;
mod macs;
mod memory;
mod names;
mod observe;
mod operators;
mod ops;
mod outputs;
mod prepare;
pub mod solo;

pub use observe::Plain;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_hir::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::tract_core::tract_linalg::multithread::Executor;

use crate::onnx::index::Index;
use crate::onnx::messages::ModelProto;
use crate::onnx::{Model, for_each_node, label};
use crate::worker::cpu;
use crate::worker::protocol::{Failure, Load, Loaded};
use prepare::Prepared;

/// A loaded model, ready to run.
pub struct Engine {
    state: TypedSimpleState,
    rows: ops::Rows,
    labels: Labels,
    inputs: Vec<Tensor>,
    weights_bytes: u64,
    /// Bytes held when the first run began.
    held_at_first_run: Option<i64>,
    /// As [`knobs::OPLAT_CLEAN_VECTORS`] says.
    clean_vectors: bool,
}

/// The ONNX node that a traced run is at, for whoever catches a panic.
static AT: AtomicUsize = AtomicUsize::new(usize::MAX);

fn traced_node() -> Option<usize> {
    Some(AT.load(Ordering::Relaxed)).filter(|&node| node != usize::MAX)
}

/// The engine, as it describes itself on this machine.
pub fn description() -> crate::worker::protocol::Engine {
    use tract_onnx::tract_hir::tract_core::tract_linalg::isa;
    let mut sets: Vec<_> = isa::native().iter().collect();
    sets.reverse();
    crate::worker::protocol::Engine {
        name: "tract".to_owned(),
        version: "0.23.9".to_owned(),
        isa: sets.iter().map(|set| set.name().to_owned()).collect(),
        libc: cpu::libc(),
        allocator: "system".to_owned(),
    }
}

/// The failure that a panic with this message is, with the node where a traced run or the message tells, or the solo that
/// was being made ready.
pub fn panicked(message: &str) -> Failure {
    let node = traced_node().or_else(|| names::decode(message));
    let message = failure::line(&format!("tract panicked: {message}"));
    Failure { message, node, solo: solo::in_the_making() }
}

impl Engine {
    /// Reads, optimises and plans the model that `load` asks for, and makes its inputs.
    ///
    /// Fails with one line that names the file, and the node where the engine says which.
    pub fn load(load: &Load) -> Result<(Self, Loaded), Failure> {
        let start = Instant::now();
        knobs::set(&load.knobs).map_err(own)?;
        let path = Path::new(&load.model);
        let model = Model::read(path).map_err(own)?;
        let labels = Labels::new(&model);
        let named = |doing: &'static str| {
            let labels = &labels;
            move |error: TractError| labels.failure(doing, &error)
        };
        let Prepared { proto, inputs: asked, weights_bytes } =
            prepare::prepare(&model, load).map_err(|e| own(e.context(path.display())))?;
        let inputs = inputs::generate(&asked, load.seed).map_err(own)?;
        let mut read = read(proto, model.dir.as_deref()).map_err(named("translate"))?;
        read.analyse(false).map_err(named("translate"))?;
        let shapes = ops::shapes(&read, &model);
        let mut typed = read.into_typed().map_err(named("translate"))?;
        forget_between_runs(&mut typed);
        let load_ns = start.elapsed().as_nanos() as u64;

        let start = Instant::now();
        // What `into_optimized` does, which would simplify a second time what has to be simplified for counting.
        typed.declutter().map_err(named("simplify"))?;
        let macs = macs::count(&typed);
        typed.optimize().map_err(named("optimise"))?;
        let options = RunOptions { executor: Some(executor(load)?), ..RunOptions::default() };
        let plan = TypedSimplePlan::new_with_options(typed, &options).map_err(named("plan"))?;
        let state = plan.spawn().map_err(named("plan"))?;
        let optimise_ns = start.elapsed().as_nanos() as u64;

        let rows = ops::describe(&plan, &Index::new(&model)).map_err(named("describe"))?;
        let loaded = Loaded {
            load_ns,
            optimise_ns,
            inputs: asked,
            ops: rows.ops.clone(),
            shapes,
            macs,
            rss_bytes: None,
            engine: description(),
        };
        // Not before loading, or its large blocks would stay in the heap.
        knobs::settle_memory();
        let clean_vectors = knobs::OPLAT_CLEAN_VECTORS.get();
        let engine =
            Self { state, rows, labels, inputs, weights_bytes, held_at_first_run: None, clean_vectors };
        Ok((engine, loaded))
    }

    /// A copy of the inputs, which a run may use up.
    fn fresh_inputs(&self) -> TVec<TValue> {
        self.inputs.iter().map(|t| t.clone().into_tvalue()).collect()
    }
}

/// Makes recurrent operators begin every run from their initial values, as ONNX has it. In tract they go on from where
/// the state's last run ended, and that state is kept here: runs would not be of the same input.
fn forget_between_runs(model: &mut TypedModel) {
    for node in model.nodes_mut() {
        if let Some(scan) = node.op_as_mut::<Scan>() {
            scan.reset_every_turn = true;
            forget_between_runs(&mut scan.body);
        } else if let Some(gru) = node.op_as_mut::<GruSeq>() {
            gru.reset_every_turn = true;
        }
    }
}

/// Translates a model whose external files lie in `dir`.
///
/// The graph's weights are handed over one by one, as tract's own reader makes them. Were they in one block that is freed
/// before they are packed, glibc would from then on keep blocks of that size in its heap, and what they leave there once
/// they are packed would be strewn with activations: YOLOv5n at 160 took 1.0% (0.6 to 1.5) longer and 7 MB more.
fn read(mut proto: ModelProto, dir: Option<&Path>) -> TractResult<InferenceModel> {
    use prost::Message;
    let own = proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    let weights: Vec<_> = own.map(|tensor| tensor.raw_data.take()).collect();
    let mut proto = tract_onnx::pb::ModelProto::decode(proto.encode_to_vec().as_slice())?;
    let theirs = proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    for (tensor, bytes) in theirs.zip(weights) {
        tensor.raw_data = bytes.map_or(vec![], |bytes| bytes.to_vec());
    }
    let dir = match dir {
        None => None,
        Some(dir) if dir.as_os_str().is_empty() => Some("."),
        Some(dir) => {
            Some(dir.to_str().ok_or_else(|| format_err!("the folder's name is not UTF-8: {dir:?}"))?)
        }
    };
    let parsed = operators::translator().parse(&proto, dir)?;
    ensure!(
        parsed.unresolved_inputs.is_empty(),
        "nothing defines the value {}",
        parsed.unresolved_inputs.join(", ")
    );
    Ok(parsed.model)
}

/// One thread means no pool; more mean a pool of our own, whose threads are set up as the main one is.
fn executor(load: &Load) -> Result<Executor, Failure> {
    if load.threads <= 1 {
        return Ok(Executor::SingleThread);
    }
    let (cpus, threads, flush) = (load.cpus.clone(), load.threads, load.flush_denormals);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(8 << 20)
        .thread_name(|i| format!("compute-{i}"))
        .start_handler(move |i| {
            // Each thread on a CPU of its own where there are enough. The main thread's pinning has succeeded
            // with the same CPUs, so this can't fail.
            let own = cpus.get(i..=i).filter(|_| cpus.len() >= threads);
            let _ = cpu::pin(own.unwrap_or(&cpus));
            cpu::flush_denormals(flush);
        })
        .build()
        .map_err(|e| failure::plain(format!("cannot start {threads} threads: {e}")))?;
    Ok(Executor::MultiThread(Arc::new(pool)))
}

fn own(error: crate::error::Error) -> Failure {
    failure::plain(error.message)
}

/// What the user knows the nodes as: label and operator, by index.
struct Labels(Vec<(String, String)>);

impl Labels {
    fn new(model: &Model) -> Self {
        let mut labels = vec![];
        for_each_node(model.graph(), &mut |node| {
            labels.push((label(node).to_owned(), node.op_type.clone().unwrap_or_default()));
        });
        Self(labels)
    }

    /// The failure that an error of the engine is: with the user's names of nodes, and the node that it is
    /// about in front.
    fn failure(&self, doing: &str, error: &TractError) -> Failure {
        let mut failure = failure::from_error(doing, error);
        let known = |i: usize| self.0.get(i);
        failure.message = names::restore(&failure.message, |i| known(i).map(|(label, _)| label.clone()));
        if let Some((label, op)) = failure.node.and_then(known) {
            failure.message = format!("node {label:?} ({op}): {}", failure.message);
        }
        failure
    }
}
