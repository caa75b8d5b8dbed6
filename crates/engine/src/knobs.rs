//! An engine's own settings: what they are called, and whether a value fits.
//!
//! Some engines read them from their environment, once for a process. A worker is given them with its model instead, so
//! that variants with other settings are measured beside each other, and so that every target takes them.

use std::collections::BTreeMap;

use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::Op;
use oplat_ground::suggest::nearest;

/// Settings by full name: `TRACT_DISABLE_DIRECT_SPATIAL` to `1`.
pub type Knobs = BTreeMap<String, String>;

/// A setting as its maker describes it.
#[derive(Clone, Debug)]
pub struct Knob {
    pub name: &'static str,
    /// What names of this engine start with; people may leave it out, and tables do.
    pub prefix: &'static str,
    /// What it is for, in its maker's words.
    pub about: &'static str,
    /// `bool`, `usize`, `string`, …
    pub kind: &'static str,
    /// All values that it takes, the default first; empty where there are too many.
    pub values: &'static [&'static str],
    pub default: String,
    /// Whether a value is one for it.
    pub parses: fn(&str) -> bool,
    /// How a program that isn't this one has the setting.
    pub elsewhere: &'static str,
}

/// Settings that may make a model faster without changing what it computes.
pub struct Trial {
    pub knobs: Knobs,
    /// The ops that it is about, where it works while the model runs and the plan doesn't show it.
    pub about: Option<fn(&Op) -> bool>,
}

/// The full name of a knob that is given with or without its prefix, if the value is one for it. Fails with the nearest
/// name, or with what the knob takes.
pub fn check(known: &[Knob], name: &str, value: &str) -> Result<&'static str> {
    let full = |knob: &Knob| format!("{}{name}", knob.prefix);
    let Some(knob) = known.iter().find(|k| k.name == name || k.name == full(k)) else {
        let names = || known.iter().map(|k| k.name);
        let with_prefix = || known.iter().find_map(|k| nearest(&full(k), names()));
        let near = nearest(name, names()).or_else(with_prefix);
        let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        return Err(Error::input(format!("there is no knob {name}{near}: `oplat knobs` lists them")));
    };
    if !(knob.parses)(value) {
        let values = match knob.values {
            [] => String::new(),
            values => format!(": give {}", values.join(", ")),
        };
        return Err(Error::input(format!(
            "{}: {value:?} is not a {} (default {}){values}",
            knob.name, knob.kind, knob.default
        )));
    }
    Ok(knob.name)
}

/// The settings as names and tables have them, without their prefixes.
pub fn short(known: &[Knob], knobs: &Knobs) -> String {
    let one = |(name, value): (&String, &String)| {
        let own = known.iter().find_map(|k| name.strip_prefix(k.prefix));
        format!("{}={value}", own.unwrap_or(name))
    };
    knobs.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// How a program that isn't this one has the settings.
pub fn elsewhere(known: &[Knob], knobs: &Knobs) -> String {
    let mut ways: Vec<&str> = vec![];
    for knob in known.iter().filter(|k| knobs.contains_key(k.name)) {
        if !ways.contains(&knob.elsewhere) {
            ways.push(knob.elsewhere);
        }
    }
    ways.join("; ")
}

/// The settings that this process' environment holds: they are every variant's that has no other.
pub fn of_environment(known: &[Knob]) -> Knobs {
    known.iter().filter_map(|k| Some((k.name.to_owned(), std::env::var(k.name).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Knob> {
        let knob = |name, elsewhere| Knob {
            name,
            prefix: "FAST_",
            about: "",
            kind: "bool",
            values: &[],
            default: "false".into(),
            parses: |value| matches!(value, "0" | "1"),
            elsewhere,
        };
        vec![knob("FAST_DIRECT_SPATIAL", "as environment variables"), knob("OWN_KNOB", "built otherwise")]
    }

    fn set(names: &[&str]) -> Knobs {
        names.iter().map(|name| (name.to_string(), "1".to_owned())).collect()
    }

    #[test]
    fn a_knob_is_known_with_and_without_its_prefix() {
        for name in ["FAST_DIRECT_SPATIAL", "DIRECT_SPATIAL"] {
            assert_eq!(check(&known(), name, "1").expect("a knob"), "FAST_DIRECT_SPATIAL");
        }
        assert_eq!(check(&known(), "OWN_KNOB", "0").expect("a knob without prefix"), "OWN_KNOB");
        assert_eq!(
            short(&known(), &set(&["FAST_DIRECT_SPATIAL", "OWN_KNOB"])),
            "DIRECT_SPATIAL=1 OWN_KNOB=1"
        );
    }

    #[test]
    fn a_slip_is_told_with_what_would_do() {
        let error = check(&known(), "DIRECT_SPACIAL", "1").expect_err("a slip");
        assert!(error.message.contains("did you mean FAST_DIRECT_SPATIAL?"), "{error}");
        let error = check(&known(), "DIRECT_SPATIAL", "perhaps").expect_err("not a bool");
        assert!(error.message.contains("\"perhaps\" is not a bool (default false)"), "{error}");
    }

    #[test]
    fn a_knob_is_to_be_had_elsewhere() {
        assert_eq!(elsewhere(&known(), &set(&["FAST_DIRECT_SPATIAL"])), "as environment variables");
        let both = elsewhere(&known(), &set(&["FAST_DIRECT_SPATIAL", "OWN_KNOB"]));
        assert_eq!(both, "as environment variables; built otherwise");
    }
}
