//! tract's own knobs: documented settings by which it can be told to choose otherwise; and two of ours.
//!
//! tract reads them from its environment, once for a process.

use oplat_engine::knobs::check;
use oplat_engine::{Knob, Knobs, Trial};
use oplat_ground::error::Result;
use oplat_ground::process::heap::Counting;
use oplat_ground::protocol::Op;
use tract_onnx::tract_hir::tract_core::knobs as tract;
use tract_onnx::tract_hir::tract_core::tract_data::declare_knob;

/// What tract's knobs start with.
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

/// Every knob that there is, by name.
pub fn all() -> Vec<Knob> {
    let of = |k: &tract::KnobInfo| Knob {
        name: k.name,
        prefix: PREFIX,
        about: k.doc,
        kind: k.type_name,
        values: &[],
        default: (k.default)(),
        parses: k.parses,
        elsewhere: match k.name == OPLAT_CLEAN_VECTORS.name {
            true => "built with -C target-cpu=x86-64-v3 it has no code without AVX to slow down",
            false => "the same names as environment variables",
        },
    };
    tract::all().into_iter().map(of).collect()
}

/// Brings this process' memory into the state that [`OPLAT_KEEP_MEMORY`] asks for.
pub(super) fn settle_memory() {
    if OPLAT_KEEP_MEMORY.get() {
        Counting::settle();
    }
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
        let name = check(&all(), name, value)?;
        tract::set_str(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracts_knobs_and_ours_are_known() {
        for name in ["TRACT_DISABLE_DIRECT_SPATIAL", "DISABLE_DIRECT_SPATIAL"] {
            assert_eq!(check(&all(), name, "1").expect("a knob"), "TRACT_DISABLE_DIRECT_SPATIAL");
        }
        assert_eq!(check(&all(), "OPLAT_CLEAN_VECTORS", "1").expect("a knob of ours"), "OPLAT_CLEAN_VECTORS");
        assert!(all().iter().any(|k| k.name == "TRACT_CPU_ISA") && all().iter().all(|k| !k.about.is_empty()));
        let error = check(&all(), "DISABLE_DIRECT_SPACIAL", "1").expect_err("a slip");
        assert!(error.message.contains("did you mean TRACT_DISABLE_DIRECT_SPATIAL?"), "{error}");
        assert!(check(&all(), "LAZY_IM2COL_MIN_KERNEL", "-1").is_err());
    }

    #[test]
    fn all_that_is_tried_are_settings_that_tract_takes() {
        assert!(trials(2).len() > trials(1).len());
        let vectors = trials(1).iter().any(|t| t.knobs.contains_key("OPLAT_CLEAN_VECTORS"));
        assert_eq!(vectors, cfg!(target_arch = "x86_64"));
        for trial in trials(2) {
            for (name, value) in &trial.knobs {
                check(&all(), name, value).expect("a knob and a value for it");
            }
        }
    }
}
