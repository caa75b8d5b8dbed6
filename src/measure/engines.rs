//! The engines that run variants: whether they can be loaded on the target, and what they say of themselves.

use std::time::Duration;

use super::raw::Raw;
use super::{Interrupt, Measurement, PlannedEngine, Progress};
use crate::device::{Lost, Target};
use crate::engines;
use crate::error::{Error, Result};
use crate::protocol::{EngineChoice, Reply, Request};
use crate::record::{self, Record};

/// Makes ready for workers what they need on the target, libraries of engines among it.
pub fn open_target<'e>(
    engines: impl Iterator<Item = &'e PlannedEngine>,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let engines: Vec<EngineChoice> =
        with_library(engines)?.into_iter().map(|engine| engine.choice.clone()).collect();
    target.open(&engines, &mut |line| progress.note(line), interrupt)
}

/// Fails before anything is measured if an engine's library isn't on the target or can't be loaded; else tells which it is.
pub fn check_engines<'e>(
    engines: impl Iterator<Item = &'e PlannedEngine>,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<(&'e PlannedEngine, record::Engine)>> {
    let mut checked = vec![];
    for engine in with_library(engines)? {
        let failed = |what: String| Error::input(format!("engine {}: {what}", engine.label));
        let mut worker = target.start(interrupt)?;
        match worker.ask(&Request::Engine(target.engine(&engine.choice)), LOADING) {
            Ok(Reply::Engine(found)) => {
                let library = found.library.clone().map(|there| target.library(there)).unwrap_or_default();
                let sha256: String = found.sha256.iter().flat_map(|hash| hash.chars()).take(12).collect();
                let (label, name, version) = (&engine.label, &found.name, &found.version);
                progress.note(&format!("{label} is {name} {version}: {library} (SHA-256 {sha256}…)"));
                checked.push((engine, found));
            }
            Ok(Reply::Error(failure)) => return Err(failed(failure.message)),
            Ok(_) => {
                return Err(failed(
                    "the worker knows no such engine: use the same oplat on both sides".into(),
                ));
            }
            Err(Lost::Interrupted) => return Err(Error::lost("interrupted before anything was measured")),
            Err(lost) => {
                let library = engine.choice.library.as_deref().unwrap_or("its library");
                return Err(failed(format!(
                    "{library} can't be loaded: worker {lost}; give another library"
                )));
            }
        }
    }
    Ok(checked)
}

/// Fails before anything is measured if an engine, as it was found, can't have the settings of a variant.
pub(super) fn check_knobs(
    measurement: &Measurement,
    found: &[(&PlannedEngine, record::Engine)],
) -> Result<()> {
    let with_knobs = measurement.variants.iter().filter(|variant| !variant.knobs.is_empty());
    for variant in with_knobs {
        let engine = found.iter().find(|(engine, _)| **engine == variant.engine);
        if let Some((engine, found)) = engine {
            let backend = engines::named(&engine.choice.name)?;
            backend
                .check(found, &variant.knobs)
                .map_err(|e| e.context(format!("engine {}", engine.label)))?;
        }
    }
    Ok(())
}

/// The engines that load a library, each once.
fn with_library<'e>(engines: impl Iterator<Item = &'e PlannedEngine>) -> Result<Vec<&'e PlannedEngine>> {
    let mut all: Vec<&PlannedEngine> = vec![];
    for engine in engines {
        if !all.contains(&engine) && engines::named(&engine.choice.name)?.has_library() {
            all.push(engine);
        }
    }
    Ok(all)
}

/// How long a library may take to be loaded.
const LOADING: Duration = Duration::from_secs(60);

/// The engines as they described themselves, in the order in which variants have them; those that ran nothing this time as
/// an earlier record has them.
pub(super) fn engines_of(
    groups: &[Measurement],
    measured: &[Raw],
    earlier: Option<&Record>,
) -> Vec<record::Engine> {
    let mut engines: Vec<record::Engine> = vec![];
    let variants =
        groups.iter().zip(measured).flat_map(|(group, raw)| group.variants.iter().zip(&raw.variants));
    for (planned, raw) in variants {
        let label = &planned.engine.label;
        if engines.iter().any(|e| e.id == *label) {
            continue;
        }
        let before = || {
            let earlier = earlier?;
            let all = earlier.engines.iter().find(|e| e.id == *label);
            Some(all.unwrap_or(&earlier.engine).clone())
        };
        if let Some(engine) = raw.loaded.as_ref().map(|l| l.engine.clone()).or_else(before) {
            engines.push(record::Engine { id: label.clone(), ..engine });
        }
    }
    if let [only] = engines.as_mut_slice() {
        only.id.clear();
    }
    engines
}
