//! What can be asked for. A file and flags have the same settings; flags go before the file.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::activation::{Activation, kinds};
use crate::error::Result;
use crate::experiment::planned_engines;
use crate::measure::PlannedEngine;
use crate::record::Denormals;
use crate::swap::Lowering;
use crate::yaml;
use crate::yaml::Word;

/// Settings as they are given; `plan` has the defaults of those that are not. `configs/README.md` is the reference for
/// who writes a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What it is for, in a few words.
    pub about: Option<String>,
    pub activations: Option<Activations>,
    pub lowerings: Option<Vec<Lowering>>,
    #[serde(deserialize_with = "some_engines")]
    pub engines: Option<Vec<PlannedEngine>>,
    /// Numbers of elements.
    pub sizes: Option<Vec<u64>>,
    /// Forwards of each row in all; goes before `time`.
    pub forwards: Option<u64>,
    #[serde(deserialize_with = "yaml::some_time")]
    pub time: Option<Duration>,
    pub forks: Option<usize>,
    pub seed: Option<u64>,
    pub denormals: Option<Denormals>,
    pub in_place: Option<bool>,
    /// Instruction set of the kernels.
    pub isa: Option<String>,
    #[serde(deserialize_with = "some_cpus")]
    pub cpus: Option<String>,
    pub target: Option<String>,
}

/// Activations, each once; `all` stands for the whole registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Activations(pub Vec<Activation>);

impl Config {
    /// Reads a file's text; `file` is its name in errors, which name the line and the nearest key.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        yaml::read(text, file)
    }

    /// These settings, and those of `others` where these have none. A time in these replaces forwards in the others:
    /// both say how much is measured.
    pub fn over(self, others: Self) -> Self {
        let forwards = if self.time.is_some() { self.forwards } else { self.forwards.or(others.forwards) };
        Self {
            about: self.about.or(others.about),
            activations: self.activations.or(others.activations),
            lowerings: self.lowerings.or(others.lowerings),
            engines: self.engines.or(others.engines),
            sizes: self.sizes.or(others.sizes),
            forwards,
            time: self.time.or(others.time),
            forks: self.forks.or(others.forks),
            seed: self.seed.or(others.seed),
            denormals: self.denormals.or(others.denormals),
            in_place: self.in_place.or(others.in_place),
            isa: self.isa.or(others.isa),
            cpus: self.cpus.or(others.cpus),
            target: self.target.or(others.target),
        }
    }
}

impl Activations {
    /// Reads names. Fails with the nearest one.
    pub fn parse<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self> {
        let mut all = Self(vec![]);
        for name in names {
            all.add(name)?;
        }
        Ok(all)
    }

    fn add(&mut self, name: &str) -> Result<()> {
        let named = match name.trim() {
            "all" => kinds().map(Activation::new).collect(),
            name => vec![Activation::parse(name)?],
        };
        for activation in named {
            if !self.0.contains(&activation) {
                self.0.push(activation);
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Activations {
    fn deserialize<D: Deserializer<'de>>(list: D) -> Result<Self, D::Error> {
        /// Refuses a name where it stands, so that the error has its line.
        struct Names;
        impl<'de> de::Visitor<'de> for Names {
            type Value = Activations;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("names of activations, or `all`")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Activations, A::Error> {
                let mut all = Activations(vec![]);
                while let Some(Named(names)) = list.next_element()? {
                    let new = names.into_iter().filter(|a| !all.0.contains(a)).collect::<Vec<_>>();
                    all.0.extend(new);
                }
                Ok(all)
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Activations, E> {
                Activations::parse([name]).map_err(|e| E::custom(e.message))
            }
        }
        list.deserialize_any(Names)
    }
}

struct Named(Vec<Activation>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(name: D) -> Result<Self, D::Error> {
        let parse = |name: &str| Activations::parse([name]).map(|a| Self(a.0)).map_err(|e| e.message);
        name.deserialize_str(Word { what: "the name of an activation", parse })
    }
}

fn some_engines<'de, D: Deserializer<'de>>(names: D) -> Result<Option<Vec<PlannedEngine>>, D::Error> {
    let names = Vec::<String>::deserialize(names)?;
    planned_engines(&names).map(Some).map_err(|e| de::Error::custom(e.message))
}

fn some_cpus<'de, D: Deserializer<'de>>(cpus: D) -> Result<Option<String>, D::Error> {
    struct Cpus;
    impl de::Visitor<'_> for Cpus {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("CPUs, as in 1 or 0,2-3")
        }

        fn visit_u64<E: de::Error>(self, cpu: u64) -> Result<String, E> {
            Ok(cpu.to_string())
        }

        fn visit_str<E: de::Error>(self, cpus: &str) -> Result<String, E> {
            Ok(cpus.to_owned())
        }
    }
    cpus.deserialize_any(Cpus).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_flags_say() {
        let text = "about: x\nactivations: [relu, mish, ReLU, leaky_relu:0.2]\nlowerings: [kernel]\n\
                    engines: [tract, ort=lib.so]\nsizes: [1152, 9216]\nforwards: 100000\ntime: 10s\nforks: 4\nseed: 3\ndenormals: flush\n\
                    in_place: true\nisa: avx2\ncpus: 0,1\ntarget: local\n";
        let config = Config::parse(text, "b.yaml").unwrap();
        let names: Vec<String> =
            config.activations.as_ref().unwrap().0.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["relu", "mish", "leaky_relu:0.2"]);
        let engines: Vec<&str> = config.engines.iter().flatten().map(|e| e.label.as_str()).collect();
        assert_eq!(engines, ["tract", "ort"]);
        assert_eq!(config.time, Some(Duration::from_secs(10)));
        assert_eq!((config.sizes.as_deref(), config.in_place), (Some(&[1152, 9216][..]), Some(true)));
        let all = Config::parse("activations: all\n", "b.yaml").unwrap().activations.unwrap();
        assert_eq!(all.0.len(), kinds().count());
        assert_eq!(Config::parse("cpus: 1\n", "b.yaml").unwrap().cpus.as_deref(), Some("1"));
        assert_eq!(Config::parse("{}", "b.yaml").unwrap(), Config::default());
    }

    #[test]
    fn the_study_can_be_read_and_planned() {
        let config = Config::parse(include_str!("../../configs/yolo-study.yaml"), "yolo-study.yaml").unwrap();
        assert_eq!((config.forwards, config.in_place), (Some(100_000), Some(true)));
        let plan = crate::bench::Plan::new(config, vec![]).unwrap();
        // A copy, and seven in both lowerings, at three sizes.
        assert_eq!(plan.rows.len(), 3 * (1 + 7 * 2));
    }

    #[test]
    fn flags_go_before_the_file() {
        let file = Config { forks: Some(4), forwards: Some(100), seed: Some(1), ..Config::default() };
        let flags = Config { forks: Some(2), ..Config::default() };
        let both = flags.over(file.clone());
        assert_eq!((both.forks, both.forwards, both.seed), (Some(2), Some(100), Some(1)));
        let timed = Config { time: Some(Duration::from_secs(1)), ..Config::default() }.over(file);
        assert_eq!((timed.forwards, timed.forks), (None, Some(4)));
    }

    #[test]
    fn what_is_wrong_names_its_line_and_what_would_be_right() {
        for (text, told) in [
            ("about: x\nsize: [3]\n", "line 2, column 1: unknown key `size`; did you mean `sizes`?"),
            ("activations: [relu,\n  mihs]\n", "line 2, column 3"),
            ("activations: [mihs]\n", "did you mean mish?"),
            ("lowerings: [kernels]\n", "unknown word `kernels`"),
            ("time: 40\n", "line 1, column 7: time: give a number and a unit"),
            ("sizes: [-3]\n", "line 1"),
            ("engines: [onnx]\n", "there is no engine onnx"),
        ] {
            let error = Config::parse(text, "b.yaml").unwrap_err();
            assert!(error.message.contains("b.yaml, line") && error.message.contains(told), "{error}");
        }
    }
}
