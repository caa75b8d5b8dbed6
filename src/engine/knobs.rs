//! tract's own knobs: documented settings by which it can be told to choose otherwise.
//!
//! tract reads them from its environment, once for a process. A worker is given them with its model instead, so
//! that variants with other knobs are measured beside each other, and so that every target takes them.

use tract_onnx::tract_hir::tract_core::knobs as tract;

use crate::error::{Error, Result};
use crate::yaml::nearest;

/// Knob settings by name: `TRACT_DISABLE_DIRECT_SPATIAL` to `1`.
pub type Knobs = std::collections::BTreeMap<String, String>;

/// What tract's knobs start with; people may leave it out.
const PREFIX: &str = "TRACT_";

/// A knob as tract describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    pub name: &'static str,
    /// What it is for, in tract's words.
    pub about: &'static str,
    /// `bool`, `usize`, `string`, …
    pub kind: &'static str,
    pub default: String,
}

/// Every knob that this tract has, by name.
pub fn all() -> Vec<Knob> {
    let of =
        |k: &tract::KnobInfo| Knob { name: k.name, about: k.doc, kind: k.type_name, default: (k.default)() };
    tract::all().into_iter().map(of).collect()
}

/// The knob of that name, with or without `TRACT_`, and whether the value is one for it. Fails with the nearest name,
/// or with what the knob takes.
pub fn check(name: &str, value: &str) -> Result<&'static str> {
    let known = tract::all();
    let full = if name.starts_with(PREFIX) { name.to_owned() } else { format!("{PREFIX}{name}") };
    let Some(knob) = known.iter().find(|k| k.name == full) else {
        let near = nearest(&full, known.iter().map(|k| k.name));
        let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        return Err(Error::input(format!("tract has no knob {name}{near}: `oplat knobs` lists them")));
    };
    if !(knob.parses)(value) {
        let default = (knob.default)();
        return Err(Error::input(format!(
            "{}: {value:?} is not a {} (default {default})",
            knob.name, knob.type_name
        )));
    }
    Ok(knob.name)
}

/// The settings as names and tables have them, without the prefix that all share.
pub fn short(knobs: &Knobs) -> String {
    let one = |(name, value): (&String, &String)| format!("{}={value}", name.trim_start_matches(PREFIX));
    knobs.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A setting that may make a model faster without changing what it computes.
pub struct Trial {
    pub knobs: Knobs,
    /// The op that it is about, where it works while the model runs and the plan doesn't show it.
    pub about: Option<&'static str>,
}

/// What is worth a try: of each knob that chooses between ways to compute the same, the other ways. Those that are
/// known to compute less exactly are left to `--knob`.
const CHOICES: &[(&str, &[&str])] = &[
    ("TRACT_DISABLE_DIRECT_SPATIAL", &["1"]),
    ("TRACT_ENABLE_BLOCKED_CONV", &["1"]),
    ("TRACT_DISABLE_DEPTHWISE_DECONV", &["1"]),
    ("TRACT_LAZY_IM2COL_MIN_KERNEL", &["1", "1000000"]),
    ("TRACT_LAZY_IM2COL_MAX_EAGER_BYTES", &["262144", "67108864"]),
    ("TRACT_CPU_ISA", &["-avx512f", "-sve2"]),
    ("TRACT_CPU_AARCH64_KIND", &["a53", "a55", "a72", "a73", "a75", "neoverse"]),
];

/// Knobs that work while a model runs, and only where it runs on several threads.
const OF_THREADS: &[(&str, &[&str])] = &[("TRACT_MMM_CHUNKS_PER_THREAD", &["1", "2", "4", "8"])];

pub fn trials(threads: usize) -> Vec<Trial> {
    let known: Vec<&str> = tract::all().into_iter().map(|k| k.name).collect();
    let of = |choices: &'static [(&'static str, &'static [&'static str])], about| {
        let known = known.clone();
        let choices = choices.iter().filter(move |(name, _)| known.contains(name));
        choices.flat_map(move |&(name, values)| {
            values
                .iter()
                .map(move |value| Trial { knobs: [(name.to_owned(), value.to_string())].into(), about })
        })
    };
    let threaded = of(OF_THREADS, Some("OptMatMul")).filter(|_| threads > 1);
    of(CHOICES, None).filter(|t| has_effect(&t.knobs)).chain(threaded).collect()
}

/// Whether this machine's architecture knows the setting.
fn has_effect(knobs: &Knobs) -> bool {
    let of = |name: &str, value: &str| match name {
        "TRACT_CPU_AARCH64_KIND" => cfg!(target_arch = "aarch64"),
        "TRACT_CPU_ISA" => value.contains("sve") == cfg!(target_arch = "aarch64"),
        _ => true,
    };
    knobs.iter().all(|(name, value)| of(name, value))
}

/// Sets knobs for this process. Must come before tract is asked for anything: it looks at some only once.
pub fn set(knobs: &Knobs) -> Result<()> {
    for (name, value) in knobs {
        let name = check(name, value)?;
        tract::set_str(name, value);
    }
    Ok(())
}

/// The knobs that this process' environment sets: they hold for every variant that has no other setting.
pub fn of_environment() -> Knobs {
    let set = |k: &tract::KnobInfo| Some((k.name.to_owned(), std::env::var(k.name).ok()?));
    tract::all().into_iter().filter_map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_is_known_with_and_without_its_prefix() {
        for name in ["TRACT_DISABLE_DIRECT_SPATIAL", "DISABLE_DIRECT_SPATIAL"] {
            assert_eq!(check(name, "1").expect("a knob"), "TRACT_DISABLE_DIRECT_SPATIAL");
        }
        let all = all();
        assert!(all.iter().any(|k| k.name == "TRACT_CPU_ISA") && all.iter().all(|k| !k.about.is_empty()));
    }

    #[test]
    fn all_that_is_tried_are_settings_that_tract_takes() {
        assert!(trials(2).len() > trials(1).len());
        for trial in trials(2) {
            for (name, value) in &trial.knobs {
                check(name, value).expect("a knob and a value for it");
            }
        }
    }

    #[test]
    fn a_slip_is_told_with_what_would_do() {
        let error = check("DISABLE_DIRECT_SPACIAL", "1").expect_err("a slip");
        assert!(error.message.contains("did you mean TRACT_DISABLE_DIRECT_SPATIAL?"), "{error}");
        let error = check("DISABLE_DIRECT_SPATIAL", "perhaps").expect_err("not a bool");
        assert!(error.message.contains("\"perhaps\" is not a bool (default false)"), "{error}");
        assert!(check("LAZY_IM2COL_MIN_KERNEL", "-1").is_err());
    }
}
