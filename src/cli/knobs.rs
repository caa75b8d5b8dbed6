//! `oplat knobs`, and the flag that sets them.

use std::io::Write;
use std::str::FromStr;

use super::output;
use crate::engine::knobs::{self, Knobs};
use crate::engines;
use crate::error::{Error, Result};
use crate::experiment::combinations;
use crate::report::text::wrap;

/// `NAME=VALUE[,VALUE…]`: a knob and the values to try.
#[derive(Clone, Debug, PartialEq)]
pub struct KnobFlag {
    name: String,
    values: Vec<String>,
}

impl FromStr for KnobFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = text.split_once('=').ok_or("give NAME=VALUE")?;
        let known = engines::knobs();
        let mut own = "";
        let mut checked = vec![];
        // A value may hold commas itself (`-avx512f,-fma`): it is tried whole first.
        let whole = knobs::check(&known, name, values).ok().filter(|_| is_list(name));
        let values: Vec<&str> = if whole.is_some() { vec![values] } else { values.split(',').collect() };
        for value in values {
            own = knobs::check(&known, name, value).map_err(|e| e.message)?;
            checked.push(value.to_owned());
        }
        Ok(Self { name: own.to_owned(), values: checked })
    }
}

/// The one knob whose value is itself a list.
fn is_list(name: &str) -> bool {
    name.ends_with("CPU_ISA")
}

/// All settings that the flags come to. Fails where a knob is given twice.
pub fn settings(flags: &[KnobFlag]) -> Result<Vec<Knobs>> {
    for (i, flag) in flags.iter().enumerate() {
        if flags[..i].iter().any(|other| other.name == flag.name) {
            return Err(Error::input(format!("--knob {}: give all its values in one --knob", flag.name)));
        }
    }
    let axes: Vec<_> = flags.iter().map(|flag| (flag.name.clone(), flag.values.clone())).collect();
    combinations(&axes)
}

pub fn run(out: &mut dyn Write) -> Result<()> {
    let mut text = String::new();
    for knob in engines::knobs() {
        let default = if knob.default.is_empty() { "(unset)" } else { &knob.default };
        let kind = if knob.values.is_empty() { knob.kind.to_owned() } else { knob.values.join(", ") };
        text += &format!("{} = {default}  [{kind}]\n", knob.name);
        text += &format!("    {}", wrap(knob.about, "    "));
    }
    output::print(out, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_a_knob_and_its_values() {
        let flag: KnobFlag = "LAZY_IM2COL_MIN_KERNEL=1,9".parse().expect("two values");
        assert_eq!(flag.values, ["1", "9"]);
        assert_eq!(flag.name, "TRACT_LAZY_IM2COL_MIN_KERNEL");
        let flag: KnobFlag = "TRACT_CPU_ISA=-avx512f,-fma".parse().expect("one list");
        assert_eq!(flag.values, ["-avx512f,-fma"]);
        for wrong in ["DISABLE_DIRECT_SPATIAL", "DISABLE_DIRECT_SPATIAL=maybe", "NO_SUCH=1", "=1"] {
            assert!(wrong.parse::<KnobFlag>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_knob_given_twice_is_a_slip() {
        let flag: KnobFlag = "AVGPOOL_SEPARABLE=1".parse().expect("a flag");
        assert_eq!(settings(std::slice::from_ref(&flag)).expect("one").len(), 1);
        assert!(settings(&[flag.clone(), flag]).is_err());
    }
}
