//! Activations on their own: a kernel or the engine's operators, timed without a network and without a plan.
//!
//! What is timed is a batch: one clock reading around so many forwards, each in a buffer of its own that was
//! filled anew, untimed, just before. So nothing is measured on its own output, and the clock's step is spread
//! over the batch; what the two readings cost themselves is taken off.
//!
//! The cache state is that which an activation meets in a network: the operator before has just written its
//! input. The buffers of a batch take at most half of the second-level cache together, so that they stay there,
//! unless a single one is larger: then a batch is one forward, and the buffer is where it fits. A copy needs two
//! buffers for each, so its batch has half as many. Tensors are owned solely: a second owner would make the
//! engine's operators copy what they otherwise change in place.

mod pool;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use tract_onnx::tract_hir::internal::*;

use pool::{Pool, floats, values};

use super::chain::Chain;
use super::{failure, knobs, ops};
use oplat_engine::timing::{repeated, two_readings_ns};
use oplat_engine::{SoloRunner, solo};
use oplat_graph::activation::Activation;
use oplat_graph::swap::{self, Lowering};
use oplat_ground::process::heap::{Counting, Detail};
use oplat_ground::protocol::{self, Batches, Failure, InPlace, SoloReady, Solos, SolosReady};
use oplat_ground::random::normal;
use oplat_ground::stats::median_high;
use oplat_kernels::{Isa, Kernel};

/// Most forwards of a batch.
const MOST: u64 = 1024;

/// All that a worker was asked to make ready.
pub struct Runner {
    solos: Vec<Result<Solo, String>>,
    /// Buffers by number of elements, shared by all solos of that size.
    pools: HashMap<usize, Pool>,
    seed: u64,
    clock_ns: u64,
}

struct Solo {
    /// `None` for a copy.
    activation: Option<Activation>,
    work: Work,
    shape: Vec<usize>,
}

/// What a forward is.
enum Work {
    Copy,
    Kernel(Kernel),
    Ops(Chain),
}

impl Runner {
    /// Makes the solos ready, and says of each what computes it or why it can't be measured. Fails if the
    /// processor lacks the instruction set that is asked for.
    pub fn new(asked: &Solos, cache_bytes: Option<u64>) -> Result<(Self, SolosReady), Failure> {
        let isa = isa(asked.isa.as_deref()).map_err(Failure::new)?;
        // Or what a small size costs would hang on the larger ones beside it.
        knobs::settle_memory();
        let make = |(i, solo): (usize, &protocol::Solo)| match asked.failed.get(&i) {
            Some(why) => Err(why.clone()),
            None => making(i, || Solo::new(solo, isa)),
        };
        let solos = asked.solos.iter().enumerate().map(make).collect();
        let mut bench = Self { solos, pools: HashMap::new(), seed: asked.seed, clock_ns: two_readings_ns() };
        let cache = cache_bytes.unwrap_or(solo::USUAL_CACHE);
        let all = 0..bench.solos.len();
        let solos = all
            .map(|i| {
                let ready = making(i, || bench.make_ready(i, cache, asked.survey));
                ready.unwrap_or_else(|error| SoloReady { error: Some(error), ..SoloReady::default() })
            })
            .collect();
        let operator_ns = if asked.survey { operator_ns(isa).ok() } else { None };
        let (clock_ns, engine) = (bench.clock_ns, super::engine());
        Ok((bench, SolosReady { solos, cache_bytes, clock_ns, operator_ns, run_ns: None, engine }))
    }

    fn make_ready(&mut self, index: usize, cache: u64, survey: bool) -> TractResult<SoloReady> {
        let mut ready = if survey { self.one_forward(index)? } else { SoloReady::default() };
        let (solo, _) = self.solo(index)?;
        (ready.ops, ready.isa) = match &solo.work {
            Work::Copy => (vec![], None),
            Work::Kernel(kernel) => (vec![kernel.name().to_owned()], Some(kernel.isa().name().to_owned())),
            Work::Ops(chain) => (chain.names(), None),
        };
        ready.plain_ops = ready.ops.iter().map(|op| ops::plain(op).to_owned()).collect();
        let buffers = if matches!(solo.work, Work::Copy) { 2 } else { 1 };
        ready.batch = solo::batch(cache, solo.elements(), buffers, MOST);
        if !survey {
            return Ok(ready);
        }
        let start = Instant::now();
        let timed = self.timed(index, ready.batch as usize, 1)?;
        ready.batch_wall_ns = start.elapsed().as_nanos() as u64 / 2;
        ready.batch_ns = timed.first().copied().unwrap_or(1);
        Ok(ready)
    }

    /// Memory and values, from one forward that isn't timed.
    fn one_forward(&mut self, index: usize) -> TractResult<SoloReady> {
        let (solo, pool) = self.solo(index)?;
        pool.targets(&solo.shape, usize::from(matches!(solo.work, Work::Copy)))?;
        let input = pool.first(&solo.shape)?;
        let at = input.as_bytes().as_ptr();
        Counting::set_detail(Detail::Counts);
        Counting::reset_peak();
        let before = Counting::counters();
        let output = solo.forward(input, &mut pool.targets);
        let after = Counting::counters();
        Counting::set_detail(Detail::Nothing);
        let output = output?;
        let bytes = output.as_bytes();
        let kept = if bytes.as_ptr() == at { 0 } else { bytes.len() as u64 };
        Ok(SoloReady {
            output_elements: output.len() as u64,
            output_bytes: Some(kept),
            scratch_bytes: Some((after.peak - before.held).max(0).unsigned_abs().saturating_sub(kept)),
            output: values(&output)?,
            largest_error: solo.activation.as_ref().and_then(|activation| {
                solo::largest_error(activation, &pool.fresh, output.try_as_plain_ram().ok()?.as_slice().ok()?)
            }),
            ..SoloReady::default()
        })
    }

    fn timed(&mut self, index: usize, batch: usize, batches: usize) -> TractResult<Vec<u64>> {
        let clock_ns = self.clock_ns;
        let (solo, pool) = self.solo(index)?;
        let mut all = Vec::with_capacity(batches);
        for i in 0..=batches {
            let ns = solo.batch(pool, batch)?;
            if i > 0 {
                all.push(ns.saturating_sub(clock_ns).max(1));
            }
        }
        Ok(all)
    }

    fn on_its_own_output(&mut self, index: usize, forwards: u64) -> TractResult<InPlace> {
        let (solo, pool) = self.solo(index)?;
        let mut tensor = pool.first(&solo.shape)?;
        let ns = match &mut solo.work {
            Work::Copy => bail!("a copy changes nothing"),
            Work::Kernel(kernel) => {
                let xs = floats(&mut tensor)?;
                repeated(forwards, || -> TractResult<()> {
                    kernel.apply(xs);
                    Ok(())
                })?
            }
            Work::Ops(chain) => {
                let mut value = Some(tensor.into_tvalue());
                let ns = repeated(forwards, || -> TractResult<()> {
                    value = value.take().map(|x| chain.forward(x)).transpose()?;
                    Ok(())
                })?;
                tensor = value.context("nothing was put out")?.into_tensor();
                ns
            }
        };
        ensure!(tensor.shape() == solo.shape, "its output has another shape than its input");
        Ok(InPlace { ns, end: values(&tensor)? })
    }

    fn solo(&mut self, index: usize) -> TractResult<(&mut Solo, &mut Pool)> {
        let solo = match self.solos.get_mut(index) {
            Some(Ok(solo)) => solo,
            Some(Err(why)) => bail!("{why}"),
            None => bail!("there is no such solo"),
        };
        let (elements, seed) = (solo.elements(), self.seed);
        let new = || Pool { fresh: normal(elements, seed), ..Pool::default() };
        let pool = self.pools.entry(elements).or_insert_with(new);
        Ok((solo, pool))
    }
}

impl SoloRunner for Runner {
    fn batches(&mut self, solo: usize, batch: usize, batches: usize) -> Result<Batches, Failure> {
        let batch_ns = self.timed(solo, batch.max(1), batches).map_err(|e| failure::from_error("run", &e))?;
        Ok(Batches { batch_ns })
    }

    fn in_place(&mut self, solo: usize, forwards: u64) -> Result<InPlace, Failure> {
        self.on_its_own_output(solo, forwards).map_err(|e| failure::from_error("run", &e))
    }
}

impl Solo {
    fn new(asked: &protocol::Solo, isa: Isa) -> TractResult<Self> {
        let shape = asked.shape.clone();
        solo::elements(asked).map_err(|why| format_err!("{why}"))?;
        let Some(text) = &asked.activation else {
            return Ok(Self { activation: None, work: Work::Copy, shape });
        };
        let own = |e: oplat_ground::error::Error| format_err!("{e}");
        let activation = Activation::parse(text).map_err(own)?;
        let work = if asked.lowering == Lowering::Kernel && swap::has_kernel(&activation) {
            Work::Kernel(kernel(&activation, isa)?)
        } else {
            let model = swap::alone(&activation, &shape, Lowering::Exported).map_err(own)?;
            Work::Ops(Chain::new(&model)?)
        };
        Ok(Self { activation: Some(activation), work, shape })
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&mut self, mut input: Tensor, targets: &mut [Tensor]) -> TractResult<Tensor> {
        match &mut self.work {
            Work::Copy => {
                let target = targets.first_mut().context("no target")?;
                floats(target)?.copy_from_slice(floats(&mut input)?);
            }
            Work::Kernel(kernel) => kernel.apply(floats(&mut input)?),
            Work::Ops(chain) => return Ok(chain.forward(input.into_tvalue())?.into_tensor()),
        }
        Ok(input)
    }

    /// One batch from fresh input; its wall time in ns, with that of the clock.
    fn batch(&mut self, pool: &mut Pool, batch: usize) -> TractResult<u64> {
        pool.refill(&self.shape, batch)?;
        let ns = match &mut self.work {
            Work::Copy => {
                pool.targets(&self.shape, batch)?;
                let Pool { buffers, targets, .. } = pool;
                let mut pairs = vec![];
                for (from, to) in buffers.iter_mut().zip(targets).take(batch) {
                    pairs.push((floats(from)?, floats(to)?));
                }
                let start = Instant::now();
                for (from, to) in &mut pairs {
                    to.copy_from_slice(from);
                    black_box(to);
                }
                start.elapsed()
            }
            Work::Kernel(kernel) => {
                let slices = pool.buffers.iter_mut().take(batch).map(floats);
                let mut slices = slices.collect::<TractResult<Vec<_>>>()?;
                let start = Instant::now();
                for xs in &mut slices {
                    kernel.apply(xs);
                }
                start.elapsed()
            }
            Work::Ops(chain) => {
                let mut inputs: Vec<TValue> = pool.buffers.drain(..batch).map(Tensor::into_tvalue).collect();
                let mut outputs = Vec::with_capacity(batch);
                // As a matrix product before them would, whatever was measured last.
                oplat_kernels::use_vectors();
                let start = Instant::now();
                for x in inputs.drain(..) {
                    outputs.push(chain.forward(x)?);
                }
                let took = start.elapsed();
                pool.buffers.extend(outputs.into_iter().map(TValue::into_tensor));
                took
            }
        };
        Ok(ns.as_nanos() as u64)
    }
}

fn kernel(activation: &Activation, isa: Isa) -> TractResult<Kernel> {
    let parameters: Option<Vec<f64>> = activation.parameters.iter().copied().collect();
    let kernel = parameters.and_then(|p| Kernel::on(isa, activation.kind.name, &p));
    kernel.with_context(|| format!("no kernel for {activation}"))
}

/// What it takes the engine to run a kernel as an operator, ns a call beside the kernel itself.
fn operator_ns(isa: Isa) -> TractResult<f64> {
    const BATCH: usize = 256;
    let shape = vec![1, 16];
    let own = |e: oplat_ground::error::Error| format_err!("{e}");
    let activation = Activation::parse("relu6").map_err(own)?;
    let model = swap::alone(&activation, &shape, Lowering::Kernel).map_err(own)?;
    let mut pool = Pool { fresh: normal(16, 0), ..Pool::default() };
    let mut median = |work: Work| -> TractResult<u64> {
        let mut solo = Solo { activation: None, work, shape: shape.clone() };
        let all = (0..101).map(|_| solo.batch(&mut pool, BATCH)).collect::<TractResult<Vec<_>>>()?;
        median_high(all, u64::cmp).context("no batch")
    };
    let bare = median(Work::Kernel(kernel(&activation, isa)?))?;
    let operator = median(Work::Ops(Chain::new(&model)?))?;
    Ok(operator.saturating_sub(bare) as f64 / BATCH as f64)
}

/// The instruction set of this name, or the best one.
fn isa(name: Option<&str>) -> Result<Isa, String> {
    let available = Isa::available();
    let named = |name| available.iter().copied().find(|isa| isa.name() == name);
    let isa = name.map_or_else(|| available.last().copied(), named);
    isa.ok_or_else(|| {
        let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
        format!("this processor can't run {}: it has {}", name.unwrap_or("any kernel"), names.join(", "))
    })
}

/// As for every engine, with the words of this one's errors.
fn making<T>(index: usize, act: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    solo::making(index, || act().map_err(|error| error.root_cause().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_ground::record::Denormals;

    fn bench(rows: &[(Option<&str>, &str)]) -> (Runner, SolosReady) {
        let solo = |&(activation, lowering): &(Option<&str>, &str)| protocol::Solo {
            activation: activation.map(str::to_owned),
            lowering: if lowering == "kernel" { Lowering::Kernel } else { Lowering::Exported },
            shape: vec![1, 16, 4, 4],
        };
        let solos = rows.iter().map(solo).collect();
        let asked = Solos {
            engine: None,
            solos,
            failed: Default::default(),
            isa: None,
            survey: true,
            seed: 1,
            cpus: vec![],
            denormals: Denormals::Keep,
        };
        Runner::new(&asked, Some(512 << 10)).unwrap_or_else(|e| panic!("{e:?}"))
    }

    #[test]
    fn every_forward_is_from_fresh_input() {
        let rows = [(Some("relu"), "exported"), (Some("leaky_relu"), "exported"), (Some("mish"), "kernel")];
        let (mut bench, ready) = bench(&rows);
        let zeros: Vec<u64> = ready.solos.iter().map(|s| s.output.zero).collect();
        assert!((80..180).contains(&zeros[0]), "half of 256 normal numbers are negative: {zeros:?}");
        assert_eq!(zeros[1..], [0, 0], "none of the others' output was left");
        bench.batches(0, 3, 2).unwrap();
        let again = bench.one_forward(1).unwrap();
        assert_eq!(again.output.zero, 0);
    }

    #[test]
    fn the_studys_method_drives_mish_into_subnormal_numbers() {
        let (mut bench, _) = bench(&[(Some("mish"), "kernel"), (Some("mish"), "exported"), (None, "")]);
        for solo in [0, 1] {
            let run = bench.in_place(solo, 2000).unwrap();
            assert!(run.end.subnormal + run.end.zero > 200, "{run:?}");
        }
        assert!(bench.in_place(2, 10).unwrap_err().message.contains("changes nothing"));
    }

    #[test]
    fn what_cannot_be_measured_says_why_and_the_others_go_on() {
        let (mut bench, ready) = bench(&[(Some("identity"), "kernel"), (Some("relu"), "kernel"), (None, "")]);
        assert!(ready.solos[0].error.as_ref().is_some_and(|e| e.contains("nothing is left")), "{ready:?}");
        assert_eq!((ready.solos[1].ops.len(), ready.solos[2].ops.len()), (1, 0));
        assert!(bench.batches(0, 1, 1).is_err());
        assert_eq!(bench.batches(2, 4, 3).unwrap().batch_ns.len(), 3);
    }

    #[test]
    fn a_batch_of_copies_has_half_as_many_buffers() {
        let (_, ready) = bench(&[(None, ""), (Some("mish"), "kernel")]);
        // Half of 512 kB holds 256 buffers of 1,024 bytes.
        assert_eq!((ready.solos[0].batch, ready.solos[1].batch), (128, 256));
    }

    #[test]
    fn an_instruction_set_that_is_not_there_is_refused_with_those_that_are() {
        let asked = Solos {
            engine: None,
            failed: Default::default(),
            solos: vec![],
            isa: Some("vax".into()),
            survey: false,
            seed: 1,
            cpus: vec![],
            denormals: Denormals::Keep,
        };
        let error = Runner::new(&asked, None).err().unwrap().message;
        assert!(error.contains("vax") && error.contains("portable"), "{error}");
    }
}
