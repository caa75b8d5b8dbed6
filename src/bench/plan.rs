//! What settings come to: the rows, and how much of each is measured.

use std::time::Duration;

use super::config::Config;
use crate::activation::Activation;
use crate::engine::Backend;
use crate::error::{Error, Result};
use crate::measure::PlannedEngine;
use crate::protocol::Solo;
use crate::record::Denormals;
use crate::swap::Lowering;
use crate::{engines, limits, zoo};

/// The network whose shapes are measured where none are given.
const NETWORK: &str = "yolov5s";

/// What is measured where nothing is asked for: what detectors and classifiers use today.
const EVERYDAY: [&str; 8] = ["relu", "leaky_relu", "hard_swish", "sigmoid", "tanh", "silu", "gelu", "mish"];

/// Time of a whole measurement.
const TIME: Duration = Duration::from_secs(60);

const FORKS: usize = 8;

/// Confidence of every interval.
const CONFIDENCE: f64 = 0.99;

/// The instruction sets that kernels know.
const ISAS: [&str; 4] = ["portable", "avx2", "avx512", "neon"];

/// All that is needed to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    pub command: Vec<String>,
    /// The engines, each of which runs all of it; never empty.
    pub engines: Vec<PlannedEngine>,
    /// By size; of each size copies first, then relu if it isn't among the others anyway; each in one engine after the other.
    pub rows: Vec<Planned>,
    /// The lowerings that are asked for.
    pub lowerings: Vec<Lowering>,
    pub effort: Effort,
    pub forks: usize,
    pub seed: u64,
    pub cpus: Option<String>,
    pub denormals: Denormals,
    pub in_place: bool,
    pub isa: Option<String>,
    pub confidence: f64,
}

/// A row: an activation on its own, or a copy, in an engine.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Index among the engines.
    pub engine: usize,
    pub solo: Solo,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// At least so many forwards of each row, over all forks.
    Forwards(u64),
    /// What can be done in this time.
    Time(Duration),
}

impl Plan {
    /// Checks settings and works out the rows. `command` is for the record.
    ///
    /// Fails with the setting that can't be used.
    pub fn new(config: Config, command: Vec<String>) -> Result<Self> {
        let activations = match config.activations {
            Some(named) => named.0,
            None => EVERYDAY.iter().map(|name| Activation::parse(name)).collect::<Result<_>>()?,
        };
        let lowerings = config.lowerings.unwrap_or_else(|| vec![Lowering::Exported, Lowering::Kernel]);
        let shapes = match config.sizes {
            Some(sizes) => sizes.into_iter().map(checked_size).collect::<Result<Vec<_>>>()?,
            None => zoo::activation_shapes(NETWORK)?,
        };
        if activations.is_empty() || lowerings.is_empty() || shapes.is_empty() {
            return Err(Error::input(
                "there is nothing to measure: activations, lowerings and sizes each need an entry",
            ));
        }
        let engines = config.engines.unwrap_or_else(|| vec![PlannedEngine::default()]);
        let each = (lowerings.len() * shapes.len() * engines.len()) as u64;
        let rows = (activations.len() as u64).saturating_mul(each);
        limits::check(rows, limits::BENCH_ROWS, "rows").map_err(|e| e.context("the bench"))?;
        let effort = match (config.forwards, config.time) {
            (Some(n), _) if n == 0 || n > limits::BENCH_FORWARDS => {
                return Err(Error::input(format!(
                    "{n} forwards: give at least 1 and at most {}",
                    limits::BENCH_FORWARDS
                )));
            }
            (Some(n), _) => Effort::Forwards(n),
            (None, time) => Effort::Time(time.unwrap_or(TIME)),
        };
        if let Effort::Forwards(n) = effort {
            let elements = shapes.iter().map(|shape| shape.iter().product::<usize>() as u64);
            let elements = elements.fold(0, u64::saturating_add).saturating_mul(rows / shapes.len() as u64);
            limits::check(elements.saturating_mul(n), limits::BENCH_WORK, "elements in all forwards")
                .map_err(|e| e.context("the bench"))?;
        }
        if let Some(isa) = config.isa.as_deref().filter(|isa| !ISAS.contains(isa)) {
            return Err(Error::input(format!("unknown instruction set {isa:?}: give {}", ISAS.join(", "))));
        }
        Ok(Self {
            command,
            rows: rows_of(&activations, &lowerings, &shapes, &engines)?,
            engines,
            lowerings,
            effort,
            forks: config.forks.unwrap_or(FORKS),
            seed: config.seed.unwrap_or(0),
            cpus: config.cpus,
            denormals: config.denormals.unwrap_or_default(),
            in_place: config.in_place.unwrap_or(false),
            isa: config.isa,
            confidence: CONFIDENCE,
        })
    }
}

impl Plan {
    /// What rows and records call an engine: nothing where there is only one.
    pub fn label(&self, engine: usize) -> String {
        let label = self.engines.get(engine).filter(|_| self.engines.len() > 1);
        label.map_or_else(String::new, |engine| engine.label.clone())
    }

    /// What messages call a row: `mish, kernel, 1,152 elements in ort`.
    pub fn name(&self, row: usize) -> String {
        let Planned { engine, solo } = &self.rows[row];
        match self.label(*engine) {
            label if label.is_empty() => solo.to_string(),
            label => format!("{solo} in {label}"),
        }
    }

    /// The rows of an engine, by index.
    pub fn of_engine(&self, engine: usize) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| self.rows[row].engine == engine).collect()
    }

    /// A row's index among those of its engine.
    pub fn place(&self, row: usize) -> usize {
        self.rows[..row].iter().filter(|other| other.engine == self.rows[row].engine).count()
    }
}

fn checked_size(elements: u64) -> Result<Vec<usize>> {
    match usize::try_from(elements) {
        Ok(n) if n > 0 && elements <= limits::BENCH_ELEMENTS => Ok(feature_map(n)),
        _ => Err(Error::input(format!(
            "{elements} elements: give sizes of at least 1 and at most {} elements",
            limits::BENCH_ELEMENTS
        ))),
    }
}

/// The shape of a feature map of so many elements: the largest square for which there are at least as many
/// channels as its side is long. Networks' own are like it: 9,216 elements are 36 maps of 16 by 16.
fn feature_map(elements: usize) -> Vec<usize> {
    let fits = |side: &usize| elements.is_multiple_of(side * side) && elements / (side * side) >= *side;
    // The cube of a larger side is more than there are elements.
    let most = (elements as f64).cbrt() as usize + 1;
    let side = (1..=most).rev().find(fits).unwrap_or(1);
    vec![1, elements / (side * side), side, side]
}

/// The rows: sizes ascending, each once.
fn rows_of(
    activations: &[Activation],
    lowerings: &[Lowering],
    shapes: &[Vec<usize>],
    engines: &[PlannedEngine],
) -> Result<Vec<Planned>> {
    let backends = engines.iter().map(|engine| engines::named(&engine.choice.name));
    let backends = backends.collect::<Result<Vec<_>>>()?;
    let elements = |shape: &[usize]| shape.iter().product::<usize>();
    let mut shapes: Vec<&Vec<usize>> = shapes.iter().collect();
    shapes.sort_by_key(|shape| elements(shape));
    shapes.dedup_by_key(|shape| elements(shape));
    let is_relu = |a: &Activation| a.kind.name == "relu";
    let relu = Activation::parse("relu").ok().filter(|_| !activations.iter().any(is_relu));
    let mut rows = vec![];
    for shape in shapes {
        let solo = |activation: Option<&Activation>, lowering: Lowering| Solo {
            activation: activation.map(ToString::to_string),
            lowering,
            // An activation that leaves fewer channels is written for values without rows and columns.
            shape: match activation.and_then(|a| a.kind.unswappable_because) {
                Some(_) => vec![1, elements(shape)],
                None => shape.clone(),
            },
        };
        let copy = solo(None, Lowering::Exported);
        rows.extend((0..backends.len()).map(|engine| Planned { engine, solo: copy.clone() }));
        for activation in relu.iter().chain(activations) {
            for &lowering in lowerings {
                let solo = solo(Some(activation), lowering);
                // An activation without a kernel is measured once in either lowering.
                let is_made = |backend: &dyn Backend| {
                    lowering == Lowering::Exported
                        || backend.times_kernel(activation)
                        || !lowerings.contains(&Lowering::Exported)
                };
                let made = backends.iter().enumerate().filter(|(_, backend)| is_made(**backend));
                rows.extend(made.map(|(engine, _)| Planned { engine, solo: solo.clone() }));
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::config::Activations;

    fn config(activations: &[&str], sizes: &[u64]) -> Config {
        Config {
            activations: Some(Activations::parse(activations.iter().copied()).unwrap()),
            sizes: Some(sizes.to_vec()),
            ..Config::default()
        }
    }

    fn names(plan: &Plan) -> Vec<String> {
        let name = |s: &Solo| {
            let elements = s.elements();
            match &s.activation {
                Some(activation) => format!("{activation} {} {elements}", s.lowering),
                None => format!("copy  {elements}"),
            }
        };
        plan.rows.iter().map(|row| name(&row.solo)).collect()
    }

    #[test]
    fn every_size_has_a_copy_and_a_relu_and_each_lowering_that_makes_a_difference() {
        let plan = Plan::new(config(&["mish"], &[64, 8, 64]), vec![]).unwrap();
        assert_eq!(
            names(&plan),
            [
                "copy  8",
                "relu exported 8",
                "relu kernel 8",
                "mish exported 8",
                "mish kernel 8",
                "copy  64",
                "relu exported 64",
                "relu kernel 64",
                "mish exported 64",
                "mish kernel 64",
            ]
        );
        let kernels = Config { lowerings: Some(vec![Lowering::Kernel]), ..config(&["relu", "mish"], &[8]) };
        assert_eq!(
            names(&Plan::new(kernels, vec![]).unwrap()),
            ["copy  8", "relu kernel 8", "mish kernel 8"]
        );
    }

    #[test]
    fn the_default_sweep_is_a_real_networks() {
        let plan = Plan::new(Config::default(), vec![]).unwrap();
        let mut sizes: Vec<u64> = plan.rows.iter().map(|row| row.solo.elements()).collect();
        sizes.dedup();
        // yolov5s at 640: 32 channels of 320 by 320 down to 512 of 20 by 20, and half as many of each.
        assert_eq!(sizes, [102_400, 204_800, 409_600, 819_200, 1_638_400, 3_276_800]);
        assert_eq!(plan.rows.last().map(|row| row.solo.shape.clone()), Some(vec![1, 32, 320, 320]));
        assert_eq!(plan.effort, Effort::Time(TIME));
    }

    #[test]
    fn every_engine_has_a_copy_and_what_it_can_run_side_by_side() {
        let engines = crate::experiment::planned_engines(&["tract".to_owned(), "ort".to_owned()]).unwrap();
        let plan = Plan::new(Config { engines: Some(engines), ..config(&["mish"], &[8]) }, vec![]).unwrap();
        let rows: Vec<String> = (0..plan.rows.len()).map(|row| plan.name(row)).collect();
        assert_eq!(
            rows,
            [
                "memcpy of 8 elements in tract",
                "memcpy of 8 elements in ort",
                "relu, exported, 8 elements in tract",
                "relu, exported, 8 elements in ort",
                // ONNX Runtime merges ReLU, so that it gets no kernel there.
                "relu, kernel, 8 elements in tract",
                "mish, exported, 8 elements in tract",
                "mish, exported, 8 elements in ort",
                "mish, kernel, 8 elements in tract",
                "mish, kernel, 8 elements in ort",
            ]
        );
        assert_eq!((plan.of_engine(1), plan.place(8)), (vec![1, 3, 6, 8], 3));
    }

    #[test]
    fn a_size_becomes_a_feature_map() {
        for (elements, shape) in [
            (1152, [1, 18, 8, 8]),
            (2304, [1, 16, 12, 12]),
            (9216, [1, 36, 16, 16]),
            (102_400, [1, 64, 40, 40]),
            (1, [1, 1, 1, 1]),
            (8, [1, 2, 2, 2]),
            (9973, [1, 9973, 1, 1]),
        ] {
            assert_eq!(feature_map(elements), shape, "{elements}");
        }
    }

    #[test]
    fn what_needs_no_rows_and_columns_has_none() {
        let plan = Plan::new(config(&["maxout", "softmax"], &[64]), vec![]).unwrap();
        let shape = |name: &str| {
            let solos = plan.rows.iter().map(|row| &row.solo);
            solos.into_iter().find(|s| s.activation.as_deref() == Some(name)).map(|s| s.shape.clone())
        };
        assert_eq!(shape("maxout"), Some(vec![1, 64]));
        assert_eq!(shape("softmax"), Some(vec![1, 4, 4, 4]));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        let refused = |config: Config| Plan::new(config, vec![]).unwrap_err().message;
        assert!(refused(config(&["mish"], &[0])).starts_with("0 elements"));
        assert!(refused(config(&["mish"], &[1 << 40])).contains("at most 268435456"));
        assert!(refused(config(&[], &[1])).contains("nothing to measure"));
        assert!(refused(Config { isa: Some("avx9".into()), ..Config::default() }).contains("avx512"));
        assert!(refused(Config { forwards: Some(0), ..Config::default() }).starts_with("0 forwards"));
    }
}
