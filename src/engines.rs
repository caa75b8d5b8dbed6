//! The engines that the program can run models with. A new one is a crate behind the seam ([`crate::engine`]) and a line here.

use crate::engine::{Backend, Knob};
use crate::error::{Error, Result};
use crate::suggest::nearest;

/// All of them; the first is the one that is taken unless another is asked for.
static ALL: &[&dyn Backend] = &[
    &oplat_tract::Tract,
    #[cfg(feature = "ort")]
    &oplat_ort::OnnxRuntime,
];

/// Those that a program may be built without.
const OPTIONAL: [&str; 1] = ["ort"];

/// The engine that is taken unless another is asked for.
pub fn default() -> &'static dyn Backend {
    ALL[0]
}

/// The knobs of all engines.
pub fn knobs() -> Vec<Knob> {
    ALL.iter().flat_map(|engine| engine.knobs()).collect()
}

/// The engine of this name. Fails with the names that there are.
pub fn named(name: &str) -> Result<&'static dyn Backend> {
    let names = || ALL.iter().map(|engine| engine.name());
    ALL.iter().copied().find(|engine| engine.name() == name).ok_or_else(|| {
        if OPTIONAL.contains(&name) {
            return Error::input(format!(
                "this program was built without engine {name}: use one that wasn't (docs/engines.md says how to build it)"
            ));
        }
        let near = nearest(name, names()).map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        Error::input(format!(
            "there is no engine {name}{near}: there are {}",
            names().collect::<Vec<_>>().join(" and ")
        ))
    })
}
