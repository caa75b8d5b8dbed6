//! tract's own knobs: documented settings by which it can be told to choose otherwise; and two of ours.
//!
//! tract reads them from its environment, once for a process. A worker is given them with its model instead, so
//! that variants with other knobs are measured beside each other, and so that every target takes them.

use tract_onnx::tract_hir::tract_core::knobs as tract;
use tract_onnx::tract_hir::tract_core::tract_data::declare_knob;

use crate::error::{Error, Result};
use crate::worker::heap::Counting;
use crate::worker::protocol::Op;
use crate::yaml::nearest;

/// Knob settings by name: `TRACT_DISABLE_DIRECT_SPATIAL` to `1`.
pub type Knobs = std::collections::BTreeMap<String, String>;

/// What tract's knobs start with; people may leave it out.
const PREFIX: &str = "TRACT_";

declare_knob!(
    OPLAT_KEEP_MEMORY,
    bool,
    true,
    "Runs use the memory again that the runs before them freed. Else glibc may give it back after each run, which hangs \
     on the largest block that the process has freed: with this knob off the model's file, elsewhere a weight."
);

declare_knob!(
    OPLAT_CLEAN_VECTORS,
    bool,
    false,
    "After each op, clear the upper halves of the vector registers of x86, on the thread that goes through the ops. \
     tract's assembly leaves them in use, and whatever is compiled without AVX, as by default most of tract is, is \
     slower after it."
);

/// A knob as its maker describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    pub name: &'static str,
    /// What it is for, in its maker's words.
    pub about: &'static str,
    /// `bool`, `usize`, `string`, …
    pub kind: &'static str,
    pub default: String,
}

/// Every knob that there is, by name.
pub fn all() -> Vec<Knob> {
    let of =
        |k: &tract::KnobInfo| Knob { name: k.name, about: k.doc, kind: k.type_name, default: (k.default)() };
    tract::all().into_iter().map(of).collect()
}

/// The knob of that name, with or without `TRACT_`, and whether the value is one for it. Fails with the nearest name,
/// or with what the knob takes.
pub fn check(name: &str, value: &str) -> Result<&'static str> {
    let known = tract::all();
    let full = format!("{PREFIX}{name}");
    let Some(knob) = known.iter().find(|k| k.name == name || k.name == full) else {
        let names = || known.iter().map(|k| k.name);
        let near = nearest(name, names()).or_else(|| nearest(&full, names()));
        let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        return Err(Error::input(format!("there is no knob {name}{near}: `oplat knobs` lists them")));
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

/// The settings as names and tables have them, without the prefix of tract's.
pub fn short(knobs: &Knobs) -> String {
    let one = |(name, value): (&String, &String)| format!("{}={value}", name.trim_start_matches(PREFIX));
    knobs.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Brings this process' memory into the state that [`OPLAT_KEEP_MEMORY`] asks for.
pub(super) fn settle_memory() {
    if OPLAT_KEEP_MEMORY.get() {
        Counting::settle();
    }
}

/// How a program that isn't this one has the settings.
pub fn elsewhere(knobs: &Knobs) -> String {
    let (own, engine): (Vec<_>, Vec<_>) =
        knobs.keys().partition(|name| name.as_str() == OPLAT_CLEAN_VECTORS.name);
    let engine = (!engine.is_empty()).then_some("the same names as environment variables");
    let own = (!own.is_empty())
        .then_some("built with -C target-cpu=x86-64-v3 it has no code without AVX to slow down");
    engine.into_iter().chain(own).collect::<Vec<_>>().join("; ")
}

/// A setting that may make a model faster without changing what it computes.
pub struct Trial {
    pub knobs: Knobs,
    /// The ops that it is about, where it works while the model runs and the plan doesn't show it.
    pub about: Option<fn(&Op) -> bool>,
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

/// Those that work while a model runs, on one thread, and matter to code that is compiled without AVX.
const OF_VECTORS: &[(&str, &[&str])] = &[("OPLAT_CLEAN_VECTORS", &["1"])];

pub fn trials(threads: usize) -> Vec<Trial> {
    let known: Vec<&str> = tract::all().into_iter().map(|k| k.name).collect();
    let of = |choices: &'static [(&'static str, &'static [&'static str])], about: Option<fn(&Op) -> bool>| {
        let known = known.clone();
        let choices = choices.iter().filter(move |(name, _)| known.contains(name));
        choices.flat_map(move |&(name, values)| {
            values
                .iter()
                .map(move |value| Trial { knobs: [(name.to_owned(), value.to_string())].into(), about })
        })
    };
    let threaded = of(OF_THREADS, Some(|op| op.op == "OptMatMul")).filter(|_| threads > 1);
    let vectors = of(OF_VECTORS, Some(|op| op.kernel.is_none())).filter(|_| threads == 1);
    of(CHOICES, None).chain(threaded).chain(vectors).filter(|t| has_effect(&t.knobs)).collect()
}

/// Whether this machine's architecture knows the setting.
fn has_effect(knobs: &Knobs) -> bool {
    let of = |name: &str, value: &str| match name {
        "TRACT_CPU_AARCH64_KIND" => cfg!(target_arch = "aarch64"),
        "TRACT_CPU_ISA" => value.contains("sve") == cfg!(target_arch = "aarch64"),
        "OPLAT_CLEAN_VECTORS" => cfg!(target_arch = "x86_64"),
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
        assert_eq!(check("OPLAT_CLEAN_VECTORS", "1").expect("a knob of ours"), "OPLAT_CLEAN_VECTORS");
        let all = all();
        assert!(all.iter().any(|k| k.name == "TRACT_CPU_ISA") && all.iter().all(|k| !k.about.is_empty()));
    }

    #[test]
    fn all_that_is_tried_are_settings_that_tract_takes() {
        assert!(trials(2).len() > trials(1).len());
        let vectors = trials(1).iter().any(|t| t.knobs.contains_key("OPLAT_CLEAN_VECTORS"));
        assert_eq!(vectors, cfg!(target_arch = "x86_64"));
        for trial in trials(2) {
            for (name, value) in &trial.knobs {
                check(name, value).expect("a knob and a value for it");
            }
        }
    }

    #[test]
    fn a_knob_is_to_be_had_elsewhere() {
        let knobs = |names: &[&str]| names.iter().map(|name| (name.to_string(), "1".to_owned())).collect();
        assert_eq!(elsewhere(&knobs(&["TRACT_CPU_ISA"])), "the same names as environment variables");
        let both = elsewhere(&knobs(&["OPLAT_CLEAN_VECTORS", "TRACT_CPU_ISA"]));
        assert!(both.contains("variables; built with -C target-cpu=x86-64-v3"), "{both}");
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
