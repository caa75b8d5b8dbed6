//! Which engines load a model, and what each makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::inputs::Feed;
use super::super::model::Chosen;
use crate::device::{Interrupt, Local, Target};
use crate::engine::Backend;
use crate::engines;
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::measure::{self, ClientError, PlannedEngine, Silent, WorkerClient, reach};
use crate::protocol::{Load, Loaded};
use crate::record;
use crate::swap::{self, Found};
use crate::units;

/// How long an engine may take to load a model.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of the model in an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InEngine {
    /// `tract`, `ort`; of several of one name `ort #2`.
    pub id: String,
    /// Its name with its version; null where it wasn't asked.
    pub engine: Option<String>,
    /// The file that it was loaded from and that file's SHA-256; null for one that is linked in.
    pub library: Option<String>,
    pub sha256: Option<String>,
    /// Why it can't run the model; null if it can.
    pub refused: Option<String>,
    /// What it makes of the model: operators by type. Null where it doesn't load the model or can't tell.
    pub operators: Option<BTreeMap<String, usize>>,
    /// Sites that have no operator of their own there, since they were merged into others.
    pub folded: Option<usize>,
}

/// An engine's answer: the model as it loads it, or why it can't.
pub struct Answer {
    pub planned: PlannedEngine,
    /// As the library described itself, of an engine that has one.
    found: Option<record::Engine>,
    pub loaded: Result<Loaded, String>,
}

/// Has every engine load the model, each in a process of its own. Fails if a library isn't there or can't be loaded.
pub fn ask(planned: Vec<PlannedEngine>, chosen: &Chosen, feed: Result<Feed, String>) -> Result<Vec<Answer>> {
    let found = measure::check_engines(planned.iter(), &Local, &mut Silent, &Interrupt::default())?;
    let found: Vec<Option<record::Engine>> = planned
        .iter()
        .map(|engine| found.iter().find(|(known, _)| *known == engine).map(|(_, found)| found.clone()))
        .collect();
    let answers = match feed {
        Err(reason) => planned.iter().map(|_| Err(reason.clone())).collect(),
        Ok(feed) => load(&planned, chosen, feed)?,
    };
    let all = planned.into_iter().zip(found).zip(answers);
    Ok(all.map(|((planned, found), loaded)| Answer { planned, found, loaded }).collect())
}

/// The model as each engine loads it, or why it can't. Fails if it can't be given to engines.
fn load(planned: &[PlannedEngine], chosen: &Chosen, feed: Feed) -> Result<Vec<Result<Loaded, String>>> {
    let folder = Folder::temporary()?;
    let (file, data) = (folder.path().join("model.onnx"), folder.path().join("data"));
    fs::write(&file, chosen.model.encode()).map_err(|e| Error::file("write", &file, &e))?;
    let has_data = reach(&[&chosen.model], &data, true)?;
    let load = Load {
        model: file.display().to_string(),
        data: has_data.then(|| data.display().to_string()),
        inputs: feed.inputs,
        dims: feed.dims,
        ..Load::default()
    };
    let by = |engine: &PlannedEngine| loaded(Load { engine: Some(engine.choice.clone()), ..load.clone() });
    Ok(planned.iter().map(by).collect())
}

fn loaded(load: Load) -> Result<Loaded, String> {
    let why = |error: ClientError| match error {
        ClientError::Refused(failure) => failure.into_error().message,
        ClientError::Died(lost) => lost.to_string(),
        ClientError::Interrupted => "interrupted".to_owned(),
        ClientError::Other(message) => message,
    };
    let worker = Local.start(&Interrupt::default()).map_err(|error| error.message)?;
    let mut worker = WorkerClient::new(0, worker);
    let mut loaded = worker.load(load, PATIENCE).map_err(why)?;
    if loaded.ops.is_empty() {
        // That it can't tell is no reason not to load it.
        loaded.ops = worker.plan(PATIENCE).ok().flatten().unwrap_or_default().ops;
    }
    Ok(loaded)
}

impl Answer {
    pub fn describe(&self, chosen: &Chosen, sites: &Found) -> Result<InEngine> {
        let loaded = self.loaded.as_ref().ok();
        let engine = loaded.map(|loaded| &loaded.engine).or(self.found.as_ref());
        let known = loaded.filter(|loaded| !loaded.ops.is_empty());
        let backend = engines::named(&self.planned.choice.name)?;
        let variant = known.map(|_| swap::original(&chosen.model, sites, &[]));
        Ok(InEngine {
            id: self.planned.label.clone(),
            engine: engine.map(|engine| format!("{} {}", engine.name, engine.version)),
            library: engine.and_then(|engine| engine.library.clone()),
            sha256: engine.and_then(|engine| engine.sha256.clone()),
            refused: self.loaded.as_ref().err().cloned(),
            operators: known.map(|loaded| counted(loaded, backend)),
            folded: known.zip(variant).map(|(loaded, variant)| measure::folded(&variant, loaded)),
        })
    }
}

fn counted(loaded: &Loaded, backend: &dyn Backend) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    loaded.ops.iter().for_each(|op| *counts.entry(backend.plain(&op.op).to_owned()).or_insert(0) += 1);
    counts
}

impl InEngine {
    /// `ONNX Runtime 1.32.0 loads it: 61 operators, 57 of 57 sites merged into others`; of one that doesn't `None`.
    pub fn line(&self, sites: usize) -> Option<String> {
        let engine = self.engine.as_ref().filter(|_| self.refused.is_none())?;
        let Some(operators) = &self.operators else { return Some(format!("{engine} loads it")) };
        let operators = units::count(operators.values().sum(), "operator");
        let folded = match (self.folded, sites) {
            (_, 0) | (None, _) => String::new(),
            (Some(0), _) => ", no site merged into another".to_owned(),
            (Some(n), sites) => {
                let sites = units::count(sites, "site");
                format!(", {} of {sites} merged into others", units::integer(n as u64))
            }
        };
        Some(format!("{engine} loads it: {operators}{folded}"))
    }
}
