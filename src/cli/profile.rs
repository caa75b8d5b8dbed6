//! `oplat profile`: models as they are, with other activations, and with none, measured against each other.

use std::io::Write;

use super::at_once::{Failures, at_once, interrupted};
use super::settings::{Args, Checked};
use super::targets::TargetSetup;
use super::tune::Tuning;
use super::{gate, interrupt, kept, note, output, progress, subjects};
use crate::compare::Limit;
use crate::error::{Error, Result};
use crate::experiment;
use crate::files::Destination;
use crate::measure::{self, Interrupt, Measurement, Only, Progress, Rest};
use crate::protocol::Load;
use crate::record::{Record, Role};
use crate::report::{self, Format, NamedRecord, json};
use crate::units;

/// Confidence of every interval.
pub(super) const CONFIDENCE: f64 = 0.99;

/// Whether an engine runs a variant beside its original.
fn compares(measurement: &Measurement) -> bool {
    let asked = || measurement.variants.iter().filter(|variant| variant.role != Role::Control);
    asked().any(|one| asked().filter(|other| other.engine == one.engine).count() > 1)
}

/// Measures, keeps and prints. What was measured is printed whatever went wrong after it.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let checked = Checked::new(args)?;
    let measurement = plan(&checked)?;
    if checked.limit.is_some() && !compares(&measurement) {
        return Err(Error::input(format!("--max-regression: {}", gate::NOTHING)));
    }
    let Checked { targets, save, resume, tune, format, breakdowns, output, cpus, limit, .. } = checked;
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    let (bars, interrupt) = (progress::several(&names), interrupt());
    let job = |(number, (setup, progress))| Job {
        measurement: on(&setup, &measurement, cpus.as_ref()),
        setup,
        progress,
        file: save.get(number),
        resume,
        tune,
        interrupt: &interrupt,
    };
    let mut jobs: Vec<Job> = targets.into_iter().zip(bars).enumerate().map(job).collect();
    // All are read before any is measured: of a pool, nobody takes the device that another target goes on with.
    let earlier = at_once(&mut jobs, "reading a record", Job::earlier);
    let results = at_once(jobs.into_iter().zip(earlier), "a measurement", |(job, earlier)| job.run(earlier));
    drop(measurement);

    let mut failures = Failures::new(names.len() > 1);
    let is_interrupted = failures.several && interrupt.is_raised();
    let (mut measured, mut all_kept, mut complete, mut part) = (vec![], true, 0, 0);
    for (number, (name, result)) in names.iter().zip(results).enumerate() {
        let was_kept = || resume && save.get(number).is_some_and(|file| file.path().exists());
        let is_kept = result.as_ref().map_or_else(|_| was_kept(), |done| done.is_saved);
        let failed = match result {
            Ok(done) => {
                all_kept &= done.kept;
                if let (true, false, Err(error)) = (is_interrupted, done.is_saved, &done.complete) {
                    note(&format!("oplat: {name}: {error}"));
                }
                measured.push((done.name, done.record, done.lines));
                done.complete.err()
            }
            Err(error) => Some(error),
        };
        complete += usize::from(failed.is_none());
        part += usize::from(failed.is_some() && is_kept);
        match failed {
            None => {}
            Some(error) if failures.several => failures.add_told(name, error),
            Some(error) => failures.add(name, error),
        }
    }
    if is_interrupted && complete < names.len() {
        failures = Failures::new(true);
        failures.stop(interrupted(complete, part, names.len(), !save.is_empty()));
    }
    if !measured.is_empty() {
        let records: Vec<NamedRecord> =
            measured.iter().map(|(name, record, _)| NamedRecord { name, record }).collect();
        output::report(output.as_ref(), format, out, |format| {
            report::records(&records, format, &breakdowns)
        })?;
        if breakdowns.at_a_glance && format == Format::Table && output.is_none() {
            output::print_line(out, "")?;
            if failures.several && records.len() < 2 {
                let of = names.len();
                output::print_line(
                    out,
                    &format!("No table over devices: only one of {of} targets was measured."),
                )?;
            }
            output::print_line(out, more(all_kept, records.len()))?;
        }
    }
    for (name, record, _) in &measured {
        let judged = limit.map_or(Ok(()), |limit| gate::kept(record, limit));
        judged.err().into_iter().for_each(|error| failures.add(name, error));
    }
    for (name, _, lines) in &measured {
        let of = if failures.several { format!("{name}: ") } else { String::new() };
        lines.iter().for_each(|line| note(&format!("{of}{line}")));
    }
    failures.end()
}

/// Where there is more to be seen.
fn more(kept: bool, records: usize) -> &'static str {
    match (kept, records) {
        (true, 1) => "All tables: oplat report (this measurement is kept as `last`), or --detail.",
        (true, _) => "All tables: oplat report (`oplat report --list` shows what is kept), or --detail.",
        (false, _) => "All tables: --detail.",
    }
}

/// What is done on one target.
struct Job<'a> {
    setup: TargetSetup,
    progress: Box<dyn Progress + Send>,
    measurement: Measurement,
    /// Where the record is kept.
    file: Option<&'a Destination>,
    /// Whether a record that is there is gone on with.
    resume: bool,
    tune: bool,
    interrupt: &'a Interrupt,
}

/// What became of one target.
struct Done {
    /// What it is called, with the device that it was of a pool.
    name: String,
    record: Record,
    /// What tuning has to say.
    lines: Vec<String>,
    /// Whether `oplat report` finds it.
    kept: bool,
    /// Whether the record is where it was to be saved, if anywhere.
    is_saved: bool,
    /// Whether all was measured and saved.
    complete: Result<()>,
}

impl Job<'_> {
    /// What comes of the target is told and on disk when it ends, and not when all do: the others may take long, or never end.
    fn run(mut self, earlier: Result<Option<Record>>) -> Result<Done> {
        let done = earlier.and_then(|earlier| self.done(earlier));
        // Otherwise who interrupted knows why it ended.
        if !self.interrupt.is_raised() {
            let how = done.as_ref().map_or_else(Err, |done| done.complete.as_ref().map(|_| ()));
            self.progress.ended(how);
        }
        done
    }

    fn done(&mut self, earlier: Option<Record>) -> Result<Done> {
        if earlier.as_ref().is_some_and(|record| is_whole(record, &self.measurement)) {
            // It stays the file that it is, and the measurement of then.
            let record = self.measured(earlier)?;
            let complete = measure::complete(&record, true);
            return Ok(Done {
                name: self.setup.shown(),
                record,
                lines: vec![],
                kept: false,
                is_saved: true,
                complete,
            });
        }
        let (record, lines) = if self.tune { self.tuned()? } else { (self.measured(earlier)?, vec![]) };
        let json = json::record(&record);
        let kept = json
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|json| kept::keep(&record.started_at, &record.model.name, json.as_bytes()));
        let kept = kept.unwrap_or_else(|error| {
            self.progress.note(&error.message);
            false
        });
        let saved = self.file.map_or(Ok(()), |file| file.write(json?.as_bytes()));
        let is_saved = saved.is_ok();
        let complete = saved.and_then(|()| measure::complete(&record, !self.tune));
        Ok(Done { name: self.setup.shown(), record, lines, kept, is_saved, complete })
    }

    fn tuned(&mut self) -> Result<(Record, Vec<String>)> {
        let tuning = Tuning {
            measurement: &self.measurement,
            target: self.setup.target.as_ref(),
            interrupt: self.interrupt,
            progress: self.progress.as_mut(),
        };
        tuning.run(&untuned(super::command_line()))
    }

    /// What an earlier run saved of it, which is gone on with where that was measured.
    fn earlier(&mut self) -> Result<Option<Record>> {
        let kept = self.file.filter(|_| self.resume);
        let earlier = kept.map(|file| earlier(file, &self.measurement, self.progress.as_mut()));
        let earlier = earlier.transpose()?.flatten();
        earlier.iter().for_each(|record| self.setup.target.go_on_at(&record.environment.target));
        Ok(earlier)
    }

    fn measured(&mut self, earlier: Option<Record>) -> Result<Record> {
        let (target, progress) = (self.setup.target.as_ref(), self.progress.as_mut());
        measure::measure(&self.measurement, earlier, target, progress, self.interrupt)
    }
}

/// Whether nothing would change in a record by going on from it.
fn is_whole(record: &Record, planned: &Measurement) -> bool {
    measure::has_all(record, planned) && !record.settings.interrupted && record.settings.lost.is_none()
}

/// The record of the same plan that an earlier run saved, if there is a file. Fails if it is of another plan.
fn earlier(file: &Destination, planned: &Measurement, progress: &mut dyn Progress) -> Result<Option<Record>> {
    let path = file.path();
    if !path.exists() {
        return Ok(None);
    }
    let record = super::report::read(path)?;
    if let Some(why) = experiment::planned_otherwise(&record, planned) {
        return Err(Error::input(format!(
            "--resume: {} is of another plan: {why}; measure anew without --resume, or give another --save",
            path.display()
        )));
    }
    let all = if is_whole(&record, planned) { ", and none is missing" } else { "" };
    progress.note(&format!(
        "{}: {} there already{all}",
        path.display(),
        units::count(record.settings.forks, "fork")
    ));
    Ok(Some(record))
}

/// The measurement that was asked for, before a target is known.
fn plan(checked: &Checked) -> Result<Measurement> {
    let Checked { models, inputs, dims, swaps, .. } = checked;
    let (subjects, variants) = subjects::plan(models, inputs, dims, swaps, &mut |text| note(text))?;
    Ok(Measurement {
        command: super::command_line(),
        subjects,
        variants: variants.into(),
        load: Load {
            seed: checked.seed,
            threads: checked.threads,
            denormals: checked.denormals,
            ..Load::default()
        },
        targets: vec![],
        cpus: None,
        forks: checked.forks,
        time: checked.time,
        until: checked.until,
        confidence: CONFIDENCE,
        margin: checked.margin,
        limit: checked.limit.map(Limit::share),
        cold: checked.cold,
        only: Only::Everything,
        rest: Rest::default(),
    })
}

/// The measurement as it is made on one target.
fn on(setup: &TargetSetup, measurement: &Measurement, cpus: Option<&String>) -> Measurement {
    Measurement {
        targets: setup.target.names(),
        cpus: cpus.or(setup.cpus.as_ref()).cloned(),
        time: setup.time.map_or(measurement.time, |limit| limit.min(measurement.time)),
        rest: setup.rest,
        ..measurement.clone()
    }
}

/// The command without the flag that asked for tuning.
fn untuned(command: Vec<String>) -> Vec<String> {
    command.into_iter().filter(|word| word != "--tune").collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::measure::{PlannedEngine, scripted};

    #[test]
    fn a_limit_is_one_within_an_engine() {
        let mut measurement = scripted::measurement();
        assert!(compares(&measurement));
        let second = &mut Arc::make_mut(&mut measurement.variants)[1];
        second.engine = PlannedEngine { label: "ort".into(), ..PlannedEngine::default() };
        assert!(!compares(&measurement), "two originals, each in an engine of its own, and a control");
    }
}
