//! The schema of `configs/*.yaml`: what to measure, in a file that a person can read, checked strictly.
//!
//! `configs/README.md` is the reference for who writes one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::variants::{combinations, count};
use crate::activation::Activation;
use crate::engine::knobs::{self, Knobs};
use crate::error::{Error, Result};
use crate::limits;
use crate::measure::{PlannedEngine, Until};
use crate::record::{Denormals, Margin};
use crate::swap::{Lowering, Mix, mix};
use crate::yaml;

/// An experiment, as its file describes it. Each model is measured once for every number of threads, with all
/// its variants paired.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is for, in a few words.
    pub about: String,
    /// Wall time of each measurement.
    #[serde(default = "forty_seconds", deserialize_with = "yaml::time")]
    pub time: Duration,
    /// When each ends: with its plan, or as soon as every verdict is known.
    #[serde(default)]
    pub until: Until,
    /// Fresh processes for each variant of a measurement.
    #[serde(default = "usual_forks")]
    pub forks: usize,
    /// The largest difference that a verdict calls none.
    #[serde(default, deserialize_with = "yaml::margin")]
    pub margin: Margin,
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub denormals: Denormals,
    /// Whether the control is measured beside the swaps.
    #[serde(default = "yes")]
    pub control: bool,
    #[serde(default = "one_thread")]
    pub threads: Vec<usize>,
    #[serde(default = "as_exported")]
    pub lowerings: Vec<Lowering>,
    /// Those that run all variants: `tract`, `ort`, `ort=LIBRARY`.
    #[serde(default = "default_engine", deserialize_with = "engines")]
    pub engines: Vec<PlannedEngine>,
    /// Knobs of the engine with the values that all variants are measured with, beside the default.
    #[serde(default, deserialize_with = "knobs")]
    pub knobs: Vec<Knobs>,
    /// Those that every model is measured with, unless it names its own.
    #[serde(default, deserialize_with = "activations")]
    activations: Vec<Activation>,
    /// Different activations at different sites, by the mix's name, likewise.
    #[serde(default, deserialize_with = "mixes")]
    mixes: Vec<Mix>,
    models: Vec<Entry>,
}

/// A model of an experiment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a model, as in `- model: yolov5s`")]
pub struct Entry {
    /// An ONNX file or a built-in model, named as on the command line.
    pub model: String,
    /// What its records are called, where that isn't the model's own name.
    name: Option<String>,
    /// Shapes of inputs by name.
    #[serde(default)]
    pub inputs: BTreeMap<String, Vec<usize>>,
    /// Sizes of named dimensions.
    #[serde(default)]
    pub dims: BTreeMap<String, usize>,
    #[serde(default, deserialize_with = "some_activations")]
    activations: Option<Vec<Activation>>,
    #[serde(default, deserialize_with = "some_mixes")]
    mixes: Option<Vec<Mix>>,
}

/// One case of an experiment: a model at one number of threads, all its variants in one measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What its record is called, the same every time: `yolov5s-threads1`.
    pub name: String,
    pub entry: Entry,
    /// The activations and the mixes.
    pub mixes: Vec<Mix>,
    pub threads: usize,
}

impl Config {
    /// Reads a description; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        yaml::read(text, file)
    }

    /// The cases that it comes to, in order. Fails if there are none, or if two have the same name.
    pub fn cases(&self) -> Result<Vec<Case>> {
        limits::check((self.models.len() * self.threads.len()) as u64, limits::MEASUREMENTS, "measurements")?;
        let variants = self.models.iter().map(|entry| {
            count(self.mixes_of(entry).len(), self.lowerings.len(), self.control, self.knobs.len())
                .saturating_mul(self.engines.len() as u64)
        });
        let variants = variants.fold(0, u64::saturating_add).saturating_mul(self.threads.len() as u64);
        limits::check(variants, limits::EXPERIMENT_VARIANTS, "variants in all measurements")?;
        let of = |entry: &Entry, threads: usize| Case {
            name: format!("{}-threads{threads}", entry.file_name()),
            entry: entry.clone(),
            mixes: self.mixes_of(entry),
            threads,
        };
        let all = self.models.iter().flat_map(|entry| self.threads.iter().map(move |&n| of(entry, n)));
        let all: Vec<Case> = all.collect();
        if all.is_empty() || self.lowerings.is_empty() {
            return Err(Error::input(
                "there is nothing to measure: `models`, `threads` and `lowerings` each need an entry",
            ));
        }
        let mut names = BTreeSet::new();
        match all.iter().find(|m| !names.insert(&m.name)) {
            Some(twice) => Err(Error::input(format!(
                "two measurements would be called {}: give one of the models a `name` of its own",
                twice.name
            ))),
            None => Ok(all),
        }
    }
}

impl Config {
    /// The mixes that the file names for all models, and those of single ones.
    pub fn all_mixes(self) -> Vec<Mix> {
        self.mixes
            .into_iter()
            .chain(self.models.into_iter().flat_map(|entry| entry.mixes.unwrap_or_default()))
            .collect()
    }

    /// One activation everywhere for each that is named, and the mixes.
    fn mixes_of(&self, entry: &Entry) -> Vec<Mix> {
        let activations = entry.activations.as_ref().unwrap_or(&self.activations);
        let mixes = entry.mixes.as_ref().unwrap_or(&self.mixes);
        activations.iter().cloned().map(Mix::from).chain(mixes.iter().cloned()).collect()
    }
}

impl Entry {
    /// The model's name in a file's name: what is special in neither paths nor shells.
    fn file_name(&self) -> String {
        let path = Path::new(&self.model);
        let stem = match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("onnx") => path.file_stem(),
            _ => path.file_name(),
        };
        let stem = stem.map_or_else(|| self.model.clone(), |stem| stem.to_string_lossy().into_owned());
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
        self.name.as_ref().unwrap_or(&stem).chars().map(plain).collect()
    }
}

fn forty_seconds() -> Duration {
    Duration::from_secs(40)
}

fn usual_forks() -> usize {
    crate::measure::FORKS
}

fn default_engine() -> Vec<PlannedEngine> {
    vec![PlannedEngine::default()]
}

fn engines<'de, D: Deserializer<'de>>(names: D) -> Result<Vec<PlannedEngine>, D::Error> {
    let names = Vec::<String>::deserialize(names)?;
    super::planned_engines(&names).map_err(|e| de::Error::custom(e.message))
}

fn yes() -> bool {
    true
}

fn one_thread() -> Vec<usize> {
    vec![1]
}

fn as_exported() -> Vec<Lowering> {
    vec![Lowering::Exported]
}

/// A value as it is written: `1`, `true`, `-avx512f`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "give a word, a whole number, true or false")]
enum Value {
    Bool(bool),
    Number(u64),
    Text(String),
}

fn knobs<'de, D: Deserializer<'de>>(axes: D) -> Result<Vec<Knobs>, D::Error> {
    let axes = BTreeMap::<String, Vec<Value>>::deserialize(axes)?;
    let engine = crate::engines::knobs();
    let axis = |(name, values): (String, Vec<Value>)| {
        let values = values.into_iter().map(|value| match value {
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Text(value) => value,
        });
        let values: Vec<String> = values.collect();
        let known = values.iter().try_fold(name, |name, value| {
            knobs::check(&engine, &name, value).map(str::to_owned).map_err(|e| de::Error::custom(e.message))
        })?;
        Ok((known, values))
    };
    let axes: Vec<(String, Vec<String>)> = axes.into_iter().map(axis).collect::<Result<_, D::Error>>()?;
    combinations(&axes).map_err(|e| de::Error::custom(e.message))
}

struct NamedActivation(Activation);

impl<'de> Deserialize<'de> for NamedActivation {
    fn deserialize<D: Deserializer<'de>>(name: D) -> Result<Self, D::Error> {
        let parse = |name: &str| Activation::parse(name).map(Self).map_err(|e| e.message);
        name.deserialize_str(yaml::Word { what: "the name of an activation", parse })
    }
}

fn activations<'de, D: Deserializer<'de>>(names: D) -> Result<Vec<Activation>, D::Error> {
    Ok(Vec::<NamedActivation>::deserialize(names)?.into_iter().map(|named| named.0).collect())
}

fn some_activations<'de, D: Deserializer<'de>>(names: D) -> Result<Option<Vec<Activation>>, D::Error> {
    activations(names).map(Some)
}

/// Mixes by name, in the order of the file.
fn mixes<'de, D: Deserializer<'de>>(by_name: D) -> Result<Vec<Mix>, D::Error> {
    struct ByName;
    impl<'de> de::Visitor<'de> for ByName {
        type Value = Vec<Mix>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("names of mixes, each with what it puts where, as in `fast: relu, /model.24*=silu`")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Vec<Mix>, A::Error> {
            let mut mixes: Vec<Mix> = vec![];
            while let Some(name) = map.next_key::<String>()? {
                mixes.push(map.next_value_seed(Named(&name))?);
                mix::check_names(&mixes).map_err(|e| de::Error::custom(e.message))?;
            }
            Ok(mixes)
        }
    }
    struct Named<'n>(&'n str);
    impl<'de> de::DeserializeSeed<'de> for Named<'_> {
        type Value = Mix;

        fn deserialize<D: Deserializer<'de>>(self, rules: D) -> Result<Mix, D::Error> {
            rules.deserialize_str(self)
        }
    }
    impl de::Visitor<'_> for Named<'_> {
        type Value = Mix;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("what the mix puts where, as in `relu, /model.24*=silu`")
        }

        fn visit_str<E: de::Error>(self, rules: &str) -> Result<Mix, E> {
            Mix::called(self.0, rules).map_err(|e| E::custom(e.message))
        }
    }
    by_name.deserialize_map(ByName)
}

fn some_mixes<'de, D: Deserializer<'de>>(by_name: D) -> Result<Option<Vec<Mix>>, D::Error> {
    mixes(by_name).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>> {
        let cases = Config::parse(text, "e.yaml")?.cases()?;
        Ok(cases.into_iter().map(|case| case.name).collect())
    }

    #[test]
    fn an_experiment_is_its_models_times_its_threads() {
        let text = "about: x\ntime: 2m\nthreads: [1, 2]\nactivations: [mish, leaky_relu:0.2]\nmodels:\n\
                    - model: yolov5s\n- model: out/my net.onnx\n  activations: [relu]\n";
        assert_eq!(
            names(text).unwrap(),
            ["yolov5s-threads1", "yolov5s-threads2", "my-net-threads1", "my-net-threads2"]
        );
        let config = Config::parse(text, "e.yaml").unwrap();
        assert_eq!((config.time, config.forks), (Duration::from_secs(120), crate::measure::FORKS));
        let rules: Vec<Vec<String>> = config
            .cases()
            .unwrap()
            .iter()
            .map(|m| m.mixes.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(rules[1], ["mish", "leaky_relu:0.2"]);
        assert_eq!(rules[3], ["relu"]);
    }

    #[test]
    fn mixes_stand_beside_activations_in_the_order_of_the_file() {
        let text = "about: x\nactivations: [relu]\nmixes:\n  z: silu, /a=relu\n  a: '\"/b, c\"=keep, d=mish'\nmodels:\n\
                    - model: m\n- { model: n, mixes: { own: gelu } }\n";
        let config = Config::parse(text, "e.yaml").unwrap();
        let of = |case: &Case| case.mixes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let cases = config.cases().unwrap();
        assert_eq!(of(&cases[0]), ["relu", "z: silu, /a=relu", "a: \"/b, c\"=keep, d=mish"]);
        assert_eq!(of(&cases[1]), ["relu", "own: gelu"]);
        assert_eq!(config.all_mixes().len(), 3);
    }

    #[test]
    fn what_is_wrong_names_its_line_and_what_would_be_right() {
        for (text, told) in [
            (
                "about: x\nmodel:\n- model: yolov5s\n",
                "line 2, column 1: unknown key `model`; did you mean `models`?",
            ),
            (
                "about: x\nmodels:\n- model: yolov5s\n  input: {}\n",
                "line 4, column 3: unknown key `input` in models[0]",
            ),
            ("about: x\nlowerings: [kernels]\nmodels: []\n", "unknown word `kernels`"),
            ("about: x\nactivations: [relu,\n  mihs]\nmodels: []\n", "line 3, column 3"),
            ("about: x\nactivations: [mihs]\nmodels: []\n", "did you mean mish?"),
            (
                "about: x\nmodels: [yolov5s]\n",
                "models[0]: give a model, as in `- model: yolov5s`, not the text",
            ),
            ("about: x\ntime: 40y\nmodels: []\n", "line 2, column 7: time: give a number and a unit"),
            ("about: x\ntime: 40\nmodels: []\n", "time: give a number and a unit"),
            (
                "about: x\nmixes:\n  fast: relu, /a=silu\n  slow: relu, /a=sliu\nmodels: []\n",
                "line 4, column 9: mixes.slow: /a: unknown activation `sliu`",
            ),
            (
                "about: x\nmixes:\n  relu: silu\nmodels: []\n",
                "line 3, column 9: mixes.relu: a mix can't be called relu",
            ),
            (
                "about: x\nmixes: [relu]\nmodels: []\n",
                "line 2, column 8: mixes: give names of mixes, each with what it puts where, as in `fast: relu, /model.24*=silu`, not a list",
            ),
            (
                "about: x\nmixes:\n  fast: [relu]\nmodels: []\n",
                "mixes.fast: give what the mix puts where, as in `relu, /model.24*=silu`, not a list",
            ),
            ("about: x\nmodels:\n- model: a\n  mixes: { a: relu, a: silu }\n", "two mixes are called a"),
            ("about: x\nmodels:\n- model: a\n  inputs: { images: [1, -3] }\n", "line 4"),
        ] {
            let error = names(text).unwrap_err();
            assert!(error.message.contains("e.yaml, line") && error.message.contains(told), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn records_would_not_overwrite_each_other() {
        let error = names("about: x\nmodels:\n- model: a/m.onnx\n- model: b/m.onnx\n").unwrap_err();
        assert!(error.message.contains("called m-threads1: give one of the models a `name`"), "{error}");
        let named =
            names("about: x\nmodels:\n- model: a/m.onnx\n- { model: b/m.onnx, name: m/2 }\n").unwrap();
        assert_eq!(named, ["m-threads1", "m-2-threads1"]);
        assert!(names("about: x\nmodels: []\n").is_err());
    }

    #[test]
    fn the_experiments_that_come_with_it_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            // `lab.yaml` describes devices.
            if file.extension().is_some_and(|e| e == "yaml") && !file.ends_with("lab.yaml") {
                let text = std::fs::read_to_string(&file).unwrap();
                if crate::bench::Config::parse(&text, "").is_ok() {
                    continue;
                }
                let config = Config::parse(&text, &file.display().to_string()).unwrap();
                let cases = config.cases().unwrap();
                let whole = config.time * cases.len() as u32;
                assert!(whole <= Duration::from_secs(330), "{}: takes {whole:?}", file.display());
                count += 1;
            }
        }
        assert!(count >= 2);
    }
}
