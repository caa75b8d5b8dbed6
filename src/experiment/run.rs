//! An experiment from its first measurement to its last: nothing that was measured is lost on the way.

use std::time::Duration;

use super::{Case, Folder, summary};
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::measure::{self, Measurement, Part, Progress};
use crate::record::Record;
use crate::report::{self, Breakdowns, Format};
use crate::units;

/// Who measures, and whom results are told to.
pub trait Executor {
    /// The measurement that a case comes to. Fails if it can't be made as the experiment says.
    fn prepare(&mut self, case: &Case) -> Result<Measurement>;

    /// A record of an earlier run stands: all else is to be measured where it was.
    fn go_on(&mut self, _record: &Record) {}

    /// Measures; fails if there is nothing to make a record of.
    fn measure(&mut self, measurement: &Measurement, position: Position) -> Result<Record>;

    /// Whether the user wants to stop.
    fn interrupted(&self) -> bool;

    /// Results, for the standard output, in the form of a table that it shows.
    fn print(&mut self, text: &dyn Fn(Format) -> Result<String>) -> Result<()>;

    /// What else the user should know.
    fn note(&mut self, line: &str);
}

/// Which case of an experiment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub number: usize,
    pub of: usize,
    /// About how long those after it take together.
    pub rest: Duration,
}

impl Position {
    /// What its measurement tells, as a part of the whole experiment.
    pub fn part<'w>(&self, whole: &'w mut dyn Progress) -> Part<'w> {
        let share = 1.0 / self.of as f64;
        let name = format!("measurement {} of {}", self.number, self.of);
        Part::new(whole, name, (self.number - 1) as f64 * share, share, self.rest)
    }
}

/// An experiment of which it is known what was measured before.
pub struct Begun {
    done: Vec<Option<Record>>,
    /// How long each case takes.
    times: Vec<Duration>,
}

/// Looks, with `resume`, which cases have a good record already. Fails if a case can't be prepared.
pub fn begin(cases: &[Case], folder: &Folder, resume: bool, executor: &mut dyn Executor) -> Result<Begun> {
    let mut begun = Begun { done: vec![], times: vec![] };
    for case in cases {
        if executor.interrupted() {
            return Err(Error::lost("interrupted before anything was measured"));
        }
        let planned = executor.prepare(case)?;
        begun.times.push(planned.time);
        begun.done.push(if resume { earlier(case, folder, &planned, executor) } else { None });
    }
    Ok(begun)
}

/// Measures all other cases in order, and keeps each record as soon as it is there. A case that fails, or whose record can't be
/// written, doesn't stop the others: it fails at the end if something was not measured or not kept.
pub fn finish(cases: &[Case], folder: &Folder, begun: Begun, executor: &mut dyn Executor) -> Result<()> {
    let Begun { mut done, times } = begun;
    let mut failed: Option<Error> = None;
    for (i, case) in cases.iter().enumerate().filter(|(i, _)| done[*i].is_none()).collect::<Vec<_>>() {
        let rest =
            (i + 1..times.len()).filter(|&later| done[later].is_none()).map(|later| times[later]).sum();
        let position = Position { number: i + 1, of: cases.len(), rest };
        match one(case, position, folder, executor) {
            Ok((record, complete)) => {
                done[i] = Some(record);
                complete.err().and_then(|error| keep_worst(&mut failed, error));
            }
            Err(error) => {
                executor.note(&format!("{}: {error}", case.name));
                keep_worst(&mut failed, error.context(&case.name));
            }
        }
        if executor.interrupted() {
            let complete = done.iter().flatten().filter(|record| !record.settings.interrupted).count();
            failed = Some(Error::lost(format!(
                "interrupted after {complete} of {}: --resume goes on from there",
                units::count(cases.len(), "measurement")
            )));
            break;
        }
    }
    let measured =
        cases.iter().zip(&done).filter_map(|(case, record)| Some((case.name.as_str(), record.as_ref()?)));
    let table = summary::render(measured);
    if !table.is_empty() {
        executor.print(&|_| Ok(format!("\n{table}")))?;
    }
    failed.map_or(Ok(()), Err)
}

/// The record of an earlier run, if it can stand for the case. Tells the user either way.
fn earlier(
    case: &Case,
    folder: &Folder,
    planned: &Measurement,
    executor: &mut dyn Executor,
) -> Option<Record> {
    let name = &case.name;
    match folder.earlier(case, planned) {
        Ok(record) => {
            executor.note(&format!("{name}: measured already"));
            executor.go_on(&record);
            Some(record)
        }
        Err(why) => {
            if let Some(why) = why {
                executor.note(&format!("{name}: measured again, since {why}"));
            }
            None
        }
    }
}

/// Measures one case, keeps its record and tells the verdict. The inner result says whether all of it was measured and
/// kept.
fn one(
    case: &Case,
    position: Position,
    folder: &Folder,
    executor: &mut dyn Executor,
) -> Result<(Record, Result<()>)> {
    let planned = executor.prepare(case)?;
    let name = &case.name;
    let rest = match position.rest {
        Duration::ZERO => String::new(),
        rest => format!("; about {} more after it", units::duration(rest)),
    };
    executor.note(&format!(
        "measurement {} of {}: {name}, {}, {}{rest}",
        position.number,
        position.of,
        units::count(planned.variants.len(), "variant"),
        units::duration(planned.time)
    ));
    let record = executor.measure(&planned, position)?;
    drop(planned);
    let kept = folder.write(case, &record);
    let title = escape::line(name);
    executor.print(&|format| Ok(format!("\n{title}\n{}", report::verdict(&record, format))))?;
    if let Err(error) = &kept {
        executor.note(&format!("{error}; {name} is printed instead"));
        let all = Breakdowns::default();
        executor.print(&|format| Ok(format!("\n{}", report::render(&record, format, &all)?)))?;
    }
    let complete = measure::complete(&record, true).map_err(|e| e.context(name));
    Ok((record, kept.and(complete)))
}

/// Keeps the first error, but a bug of ours or something that was lost rather than what can't be done. Returns the other,
/// if there are two.
pub fn keep_worst(kept: &mut Option<Error>, error: Error) -> Option<Error> {
    let rank = |error: &Error| match error.exit {
        Exit::Bug => 2,
        Exit::Lost => 1,
        _ => 0,
    };
    match kept {
        Some(known) if rank(known) >= rank(&error) => Some(error),
        _ => kept.replace(error),
    }
}
