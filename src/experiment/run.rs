//! An experiment from its first measurement to its last: nothing that was measured is lost on the way.

use std::time::Duration;

use super::{Folder, Measurement, summary};
use crate::error::{Error, Kind, Result};
use crate::measure::{self, Experiment, Progress};
use crate::record::Record;
use crate::report::{self, Breakdowns, Format};
use crate::units;

/// Who measures, and whom results are told to.
pub trait Lab {
    /// What a measurement comes to. Fails if it can't be made as the experiment says.
    fn prepare(&mut self, measurement: &Measurement) -> Result<Experiment>;

    /// Measures; fails if there is nothing to make a record of.
    fn measure(&mut self, experiment: &Experiment, place: Place) -> Result<Record>;

    /// Whether the user wants to stop.
    fn interrupted(&self) -> bool;

    /// Results, for the standard output.
    fn print(&mut self, text: &str) -> Result<()>;

    /// What else the user should know.
    fn note(&mut self, line: &str);
}

/// Which measurement of an experiment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub number: usize,
    pub of: usize,
    /// About how long those after it take together.
    pub rest: Duration,
}

/// Runs all measurements in order, or with `resume` those that have no good record yet, and keeps each record
/// as soon as it is there. A measurement that fails, or whose record can't be written, doesn't stop the others.
///
/// Fails at once if a measurement can't be prepared; at the end if something was not measured or not kept.
pub fn run(measurements: &[Measurement], folder: &Folder, resume: bool, lab: &mut dyn Lab) -> Result<()> {
    let mut done: Vec<Option<Record>> = vec![];
    let mut times = vec![];
    for measurement in measurements {
        let planned = lab.prepare(measurement)?;
        times.push(planned.time);
        done.push(if resume { earlier(measurement, folder, &planned, lab) } else { None });
    }
    let mut trouble: Option<Error> = None;
    for (i, measurement) in
        measurements.iter().enumerate().filter(|(i, _)| done[*i].is_none()).collect::<Vec<_>>()
    {
        let rest =
            (i + 1..times.len()).filter(|&later| done[later].is_none()).map(|later| times[later]).sum();
        let place = Place { number: i + 1, of: measurements.len(), rest };
        match one(measurement, place, folder, lab) {
            Ok((record, complete)) => {
                done[i] = Some(record);
                complete.err().and_then(|error| keep_worst(&mut trouble, error));
            }
            Err(error) => {
                lab.note(&format!("{}: {error}", measurement.name));
                keep_worst(&mut trouble, error.context(&measurement.name));
            }
        }
        if lab.interrupted() {
            let complete = done.iter().flatten().filter(|record| !record.settings.interrupted).count();
            trouble = Some(Error::lost(format!(
                "interrupted after {complete} of {}: --resume goes on from there",
                units::count(measurements.len(), "measurement")
            )));
            break;
        }
    }
    let measured =
        measurements.iter().zip(&done).filter_map(|(m, record)| Some((m.name.as_str(), record.as_ref()?)));
    let table = summary::render(measured);
    if !table.is_empty() {
        lab.print(&format!("\n{table}"))?;
    }
    trouble.map_or(Ok(()), Err)
}

/// The record of an earlier run, if it will do; says so either way.
fn earlier(
    measurement: &Measurement,
    folder: &Folder,
    planned: &Experiment,
    lab: &mut dyn Lab,
) -> Option<Record> {
    let name = &measurement.name;
    match folder.earlier(measurement, planned) {
        Ok(record) => {
            lab.note(&format!("{name}: measured already"));
            Some(record)
        }
        Err(why) => {
            if let Some(why) = why {
                lab.note(&format!("{name}: measured again, since {why}"));
            }
            None
        }
    }
}

/// One measurement, told and kept. The second result says whether all of it was measured and could be kept.
fn one(
    measurement: &Measurement,
    place: Place,
    folder: &Folder,
    lab: &mut dyn Lab,
) -> Result<(Record, Result<()>)> {
    let planned = lab.prepare(measurement)?;
    let name = &measurement.name;
    let rest = match place.rest {
        Duration::ZERO => String::new(),
        rest => format!("; about {} more after it", units::duration(rest)),
    };
    lab.note(&format!(
        "measurement {} of {}: {name}, {}, {}{rest}",
        place.number,
        place.of,
        units::count(planned.variants.len(), "variant"),
        units::duration(planned.time)
    ));
    let record = lab.measure(&planned, place)?;
    drop(planned);
    let kept = folder.write(measurement, &record);
    lab.print(&format!("\n{name}\n{}", report::verdict(&record)))?;
    if let Err(error) = &kept {
        lab.note(&format!("{error}; {name} is printed instead"));
        lab.print(&format!("\n{}", report::render(&record, Format::Table, &Breakdowns::default())?))?;
    }
    let complete = measure::complete(&record, true).map_err(|e| e.context(name));
    Ok((record, kept.and(complete)))
}

/// Keeps the first error, but one of something that was lost rather than one of what can't be done. Returns the
/// other, if there are two.
pub fn keep_worst(kept: &mut Option<Error>, error: Error) -> Option<Error> {
    match kept {
        Some(known) if known.kind == Kind::Lost || error.kind != Kind::Lost => Some(error),
        _ => kept.replace(error),
    }
}

/// Progress of a measurement as a part of the whole experiment.
pub struct Part<'w> {
    whole: &'w mut dyn Progress,
    place: Place,
}

impl<'w> Part<'w> {
    pub fn new(whole: &'w mut dyn Progress, place: Place) -> Self {
        Self { whole, place }
    }
}

impl Progress for Part<'_> {
    fn fork(&mut self, fork: usize, forks: usize) {
        self.whole.fork(fork, forks);
    }

    fn phase(&mut self, what: &str) {
        let Place { number, of, .. } = self.place;
        self.whole.phase(&format!("{what} (measurement {number} of {of})"));
    }

    fn advance(&mut self, done: f64, left: Duration) {
        let Place { number, of, rest } = self.place;
        self.whole.advance(((number - 1) as f64 + done) / of as f64, left + rest);
    }

    fn note(&mut self, message: &str) {
        self.whole.note(message);
    }
}
