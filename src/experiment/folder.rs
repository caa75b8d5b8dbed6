//! Where an experiment's records are kept, each written whole, and which of them need no second measurement.

use std::fs;
use std::path::{Path, PathBuf};

use super::Case;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::measure::{self, Measurement, Subject};
use crate::protocol::Input;
use crate::record::{self, Record, SCHEMA};
use crate::units;

/// A folder with one record for each case.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder if there is none, and checks that all records can be written. Unless `resume`, fails if there
    /// is one of them already: what was measured is not thrown away unasked.
    pub fn open(path: &Path, cases: &[Case], resume: bool) -> Result<Self> {
        fs::create_dir_all(path).map_err(|e| Error::file("make the folder", path, &e))?;
        let folder = Self { path: path.into() };
        for case in cases {
            let file = folder.file(case);
            if !resume && file.exists() {
                return Err(Error::input(format!(
                    "{} is there already: give --resume to go on from it, or another folder with -o",
                    file.display()
                )));
            }
            Destination::replacing(&file, &record::KIND, &[])?;
        }
        Ok(folder)
    }

    pub fn file(&self, case: &Case) -> PathBuf {
        self.path.join(format!("{}.json", case.name))
    }

    /// Writes a record whole, in the place of an older one.
    pub fn write(&self, case: &Case, record: &Record) -> Result<()> {
        let file = self.file(case);
        let text = crate::report::json::record(record)?;
        Destination::replacing(&file, &record::KIND, &[])?.write(text.as_bytes())
    }

    /// The record of an earlier run, if measuring the case would come to the same. Else why it wouldn't; `None` if
    /// there is no record.
    pub fn earlier(&self, case: &Case, planned: &Measurement) -> Result<Record, Option<String>> {
        let bytes = match fs::read(self.file(case)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(None),
            Err(e) => return Err(Some(format!("its record can't be read: {e}"))),
        };
        let record: Record =
            record::read::record(&bytes).map_err(|e| Some(format!("its record can't be read: {e}")))?;
        match differs(&record, planned) {
            Some(why) => Err(Some(why)),
            None => Ok(record),
        }
    }
}

/// Why a record can't stand for the planned measurement: it is incomplete, or was planned otherwise. `None` if it can.
fn differs(record: &Record, planned: &Measurement) -> Option<String> {
    if record.schema != SCHEMA {
        return Some(format!("its record has the schema {}", record.schema));
    }
    if record.settings.interrupted {
        return Some("it was interrupted".into());
    }
    if record.settings.lost.is_some() {
        return Some("its target was lost".into());
    }
    if let Some(lost) = record.variants.iter().find(|v| v.error.is_some() && !v.refused) {
        return Some(format!("{} was lost", lost.name));
    }
    planned_otherwise(record, planned)
}

/// In what a record, complete or not, was planned otherwise than the measurement is now; `None` if in nothing.
pub fn planned_otherwise(record: &Record, planned: &Measurement) -> Option<String> {
    let version = env!("CARGO_PKG_VERSION");
    if record.oplat.version != version {
        return Some(format!("it was measured by version {}, this is {version}", record.oplat.version));
    }
    let (was, may) = (&record.environment.target, &planned.targets);
    if !may.is_empty() && !may.contains(was) {
        let now = may.join(" or ");
        return Some(format!("it was measured on target {was}, this is {now}"));
    }
    let cut_off = record.settings.interrupted || record.settings.lost.is_some();
    if (cut_off || record.variants.iter().any(measure::is_lost)) && record.settings.groups.is_some() {
        return Some("it was measured in groups, which can't be gone on with".into());
    }
    model(record, planned).or_else(|| settings(record, planned)).or_else(|| variants(record, planned))
}

fn model(record: &Record, planned: &Measurement) -> Option<String> {
    let models = if record.models.is_empty() { std::slice::from_ref(&record.model) } else { &record.models };
    if models.len() != planned.subjects.len() {
        return Some("it was of other models".into());
    }
    models.iter().zip(&planned.subjects).find_map(|(was, now)| one_model(was, now))
}

fn one_model(was: &record::Model, now: &Subject) -> Option<String> {
    if was.sha256 != now.model.sha256 {
        return Some(format!("{} has changed", now.model.name));
    }
    let fed = |name: &str| was.inputs.iter().find(|i: &&record::Input| i.name == name);
    let same_type = |fed: &record::Input, i: &Input| i.dtype.as_ref().is_none_or(|now| *now == fed.dtype);
    let same = |fed: &record::Input, i: &Input| fed.shape == i.shape && same_type(fed, i);
    let other = now.inputs.iter().find(|i| fed(&i.name).is_none_or(|fed| !same(fed, i)))?;
    let before = fed(&other.name)
        .map_or("another shape".into(), |fed| format!("{} {}", units::shape(&fed.shape), fed.dtype));
    let dtype = other.dtype.as_deref().unwrap_or_default();
    Some(format!("input {} was {before} and is {} {dtype} now", other.name, units::shape(&other.shape)))
}

fn settings(record: &Record, planned: &Measurement) -> Option<String> {
    let (was, load) = (&record.settings, &planned.load);
    let changed = |what: &str, was: String, now: String| {
        (was != now).then(|| format!("{what} was {was} and is {now} now"))
    };
    let time = |ns: u64| units::duration(std::time::Duration::from_nanos(ns));
    let now_ns = u64::try_from(planned.time.as_nanos()).unwrap_or(u64::MAX);
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    // Groups are all measured to their end.
    let is_looked_at = planned.is_looked_at() && was.groups.is_none();
    let when = |early: bool| if early { "--until decided" } else { "--until end" }.to_owned();
    let limit = |share: Option<f64>| share.map_or("none".into(), |share| share.to_string());
    let forks = was.forks_wanted.map_or("unknown".into(), |n| n.to_string());
    changed("the time", time(was.time_limit_ns), time(now_ns))
        .or_else(|| changed("the number of forks", forks, planned.forks.to_string()))
        .or_else(|| changed("the end", when(was.looks.is_some()), when(is_looked_at)))
        .or_else(|| changed("the seed", was.seed.to_string(), load.seed.to_string()))
        .or_else(|| changed("denormals", was.denormals.name().into(), load.denormals.name().into()))
        .or_else(|| changed("first runs only", yes(was.cold), yes(planned.cold)))
        .or_else(|| changed("threads", was.threads.to_string(), load.threads.to_string()))
        .or_else(|| changed("the confidence", was.confidence.to_string(), planned.confidence.to_string()))
        .or_else(|| changed("the limit", limit(was.max_regression), limit(planned.limit)))
        .or_else(|| changed("the margin", was.margin.0.to_string(), planned.margin.0.to_string()))
}

fn variants(record: &Record, planned: &Measurement) -> Option<String> {
    let was: Vec<_> = record.variants.iter().map(|v| (&v.name, &v.rule, &v.lowering, &v.knobs)).collect();
    let now: Vec<_> = planned.variants.iter().map(|p| (&p.name, &p.rule, &p.lowering, &p.knobs)).collect();
    let same = match record.settings.groups {
        None => was == now,
        // Each group has its own originals beside the planned variants.
        Some(_) => now.iter().all(|planned| was.contains(planned)),
    };
    if !same {
        return Some("its variants were others".into());
    }
    let sites_before = |name: &str| {
        let variant = record.variants.iter().find(|v| v.name == name)?;
        Some(variant.sites.iter().map(|s| [&s.node, &s.from, &s.to]).collect::<Vec<_>>())
    };
    let other = planned.variants.iter().find(|p| {
        let now: Vec<_> = p.variant.sites.iter().map(|s| [&s.node, &s.from, &s.to]).collect();
        sites_before(&p.name).is_some_and(|before| before != now)
    })?;
    Some(format!("the sites of {} were others", other.name))
}
