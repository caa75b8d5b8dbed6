//! tract as an engine of oplat. Nothing else in the program imports it.
//!
//! A model is copied and made concrete (`prepare`, of the seam), translated (`operators`), optimised, described (`ops`) and
//! then run from one kept state, plain or observed (`observe`, `memory`, `batched`). Activations on their own run without a
//! plan (`chain`, `solo`).

mod attributes;
pub mod bare;
mod batched;
mod chain;
mod failure;
mod gemm;
mod kernels;
mod knobs;
mod macs;
mod memory;
mod observe;
mod operators;
mod ops;
mod outputs;
mod recurrence;
mod sequence;
mod solo;
mod tensor;
mod upsample;
mod wrong;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::tract_linalg::multithread::Executor;

use oplat_engine::prepare::{self, Prepared};
use oplat_engine::{Backend, Knob, LoadedModel, SoloRunner, Trial, inputs};
use oplat_graph::activation::Activation;
use oplat_graph::onnx::Model;
use oplat_graph::onnx::external::DataFolder;
use oplat_graph::onnx::index::Index;
use oplat_graph::onnx::messages::ModelProto;
use oplat_graph::swap;
use oplat_ground::process::cpu;
use oplat_ground::protocol::{Abilities, Failure, Load, Loaded, Op, OpMemorySource, Solos, SolosReady};
use oplat_ground::record::Engine;

use failure::{Labels, own};

/// tract, in the version that is linked in.
pub struct Tract;

/// As `Cargo.toml` pins it.
const VERSION: &str = "0.23.9";

/// What tract merges into a matrix product, or does in one pass anyway.
const MERGES: [&str; 2] = ["relu", "leaky_relu"];

impl Backend for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn about(&self) -> (Engine, Abilities) {
        (engine(), abilities())
    }

    fn knobs(&self) -> Vec<Knob> {
        knobs::all()
    }

    fn trials(&self, threads: usize) -> Vec<Trial> {
        knobs::trials(threads)
    }

    fn load(&self, load: &Load) -> Result<(Box<dyn LoadedModel>, Loaded), Failure> {
        let (model, loaded) = TractModel::load(load)?;
        Ok((Box::new(model), loaded))
    }

    fn plan(&self, model: &Model) -> Result<Vec<Op>, Failure> {
        let described = plan(model).and_then(|plan| ops::describe(&plan, &Index::new(model)));
        Ok(described.map_err(|error| Labels::new(model).failure("plan", &error))?.ops)
    }

    fn plain<'o>(&self, op: &'o str) -> &'o str {
        ops::plain(op)
    }

    /// Kernels are timed bare, those too that no network is better off with.
    fn times_kernel(&self, activation: &Activation) -> bool {
        swap::has_kernel(activation)
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

/// tract, as it describes itself on this machine.
fn engine() -> Engine {
    use tract_onnx::tract_hir::tract_core::tract_linalg::isa;
    let mut sets: Vec<_> = isa::native().iter().collect();
    sets.reverse();
    Engine {
        name: "tract".to_owned(),
        version: VERSION.to_owned(),
        isa: sets.iter().map(|set| set.name().to_owned()).collect(),
        libc: cpu::libc(),
        allocator: "system".to_owned(),
        ..Engine::default()
    }
}

fn abilities() -> Abilities {
    Abilities {
        own_kernels: true,
        merges: MERGES.map(str::to_owned).to_vec(),
        op_memory: OpMemorySource::Measured,
        batched: true,
    }
}

/// The plan of a model whose inputs are concrete, for one thread.
fn plan(model: &Model) -> TractResult<Arc<TypedSimplePlan>> {
    let prepared =
        prepare::prepare(model, &Load::default(), &operators::Known).map_err(|e| format_err!("{e}"))?;
    let backwards = recurrence::backwards(&prepared.proto);
    let sized = attributes::sized(&prepared.proto);
    let mut read = read(prepared.proto, model.dir.as_ref().map(DataFolder::path))?;
    read.analyse(false)?;
    attributes::check_sizes(&read, &sized)?;
    let mut typed = read.into_typed()?;
    recurrence::turn(&mut typed, &backwards)?;
    TypedSimplePlan::new(typed.into_optimized()?)
}

/// A loaded model, ready to run.
struct TractModel {
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

impl TractModel {
    fn load(load: &Load) -> Result<(Self, Loaded), Failure> {
        let start = Instant::now();
        knobs::set(&load.knobs).map_err(own)?;
        let path = Path::new(&load.model);
        let mut model = Model::read(path).map_err(own)?;
        if let Some(data) = &load.data {
            model.dir = Some(Path::new(data).into());
        }
        let labels = Labels::new(&model);
        let named = |doing: &'static str| {
            let labels = &labels;
            move |error: TractError| labels.failure(doing, &error)
        };
        let Prepared { proto, inputs: asked, weights_bytes } =
            prepare::prepare(&model, load, &operators::Known).map_err(own)?;
        let inputs = inputs::values(&asked, load).map_err(own)?;
        let inputs =
            inputs.iter().map(tensor::from_raw).collect::<TractResult<_>>().map_err(named("feed"))?;
        let backwards = recurrence::backwards(&proto);
        let sized = attributes::sized(&proto);
        let mut read = read(proto, model.dir.as_ref().map(DataFolder::path)).map_err(named("translate"))?;
        read.analyse(false).map_err(named("translate"))?;
        attributes::check_sizes(&read, &sized).map_err(named("translate"))?;
        let shapes = ops::shapes(&read, &model);
        let mut typed = read.into_typed().map_err(named("translate"))?;
        recurrence::turn(&mut typed, &backwards).map_err(named("translate"))?;
        recurrence::forget_between_runs(&mut typed);
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
        let (engine, abilities) = Tract.about();
        let loaded = Loaded {
            load_ns,
            optimise_ns,
            inputs: asked,
            ops: rows.ops.clone(),
            shapes,
            macs,
            rss_bytes: None,
            engine,
            abilities,
        };
        // Not before loading, or its large blocks would stay in the heap.
        knobs::settle_memory();
        let clean_vectors = knobs::OPLAT_CLEAN_VECTORS.get();
        let model =
            Self { state, rows, labels, inputs, weights_bytes, held_at_first_run: None, clean_vectors };
        Ok((model, loaded))
    }

    /// A copy of the inputs, which a run may use up.
    fn fresh_inputs(&self) -> TVec<TValue> {
        self.inputs.iter().map(|t| t.clone().into_tvalue()).collect()
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
    let (cpus, threads, denormals) = (load.cpus.clone(), load.threads, load.denormals);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(8 << 20)
        .thread_name(|i| format!("compute-{i}"))
        .start_handler(move |i| {
            // Each thread on a CPU of its own where there are enough. The main thread's pinning has succeeded
            // with the same CPUs, so this can't fail.
            let own = cpus.get(i..=i).filter(|_| cpus.len() >= threads);
            let _ = cpu::pin(own.unwrap_or(&cpus));
            cpu::set_denormals(denormals);
        })
        .build()
        .map_err(|e| Failure::new(format!("cannot start {threads} threads: {e}")))?;
    Ok(Executor::MultiThread(Arc::new(pool)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_linked_in() {
        let pinned = format!("tract-onnx = {{ version = \"={VERSION}\"");
        assert!(include_str!("../../../Cargo.toml").contains(&pinned));
    }

    /// What stands in `MERGES` is left to tract in networks, although there is a kernel.
    #[test]
    fn tract_merges_what_its_abilities_say() {
        for name in MERGES {
            let model = swap::behind_convolution(&Activation::parse(name).unwrap(), 16).unwrap();
            let ops = Tract.plan(&model).unwrap();
            assert!(ops.iter().all(|op| op.onnx.contains(&0)), "{name}: {ops:?}");
            assert!(ops.iter().any(|op| !op.fused.is_empty()), "{name}: {ops:?}");
        }
    }
}
