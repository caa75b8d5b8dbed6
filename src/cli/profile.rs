//! `oplat profile`: models as they are, with other activations, and with none, measured against each other.

use std::io::Write;
use std::thread::ScopedJoinHandle;

use super::settings::{Args, Settings};
use super::targets::Where;
use super::{interrupt, note, output, progress, subjects, tune};
use crate::error::{Error, Exit, Result};
use crate::experiment;
use crate::files::Destination;
use crate::measure::{self, Measurement, Progress, Rest};
use crate::protocol::Load;
use crate::record::Record;
use crate::report::{self, Format, Named, Options};
use crate::units;

/// Confidence of every interval.
pub(super) const CONFIDENCE: f64 = 0.99;

/// Measures, keeps and prints. What was measured is printed whatever went wrong after it.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let settings = Settings::check(args)?;
    let experiment = experiment(&settings)?;
    let Settings { places, save, resume, tune, format, options, output, cpus, .. } = settings;
    let names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
    let (mut all, interrupt) = (progress::several(&names), interrupt());
    // At once, each target in a thread of its own: devices don't disturb one another.
    let results: Vec<Result<Done>> = std::thread::scope(|scope| {
        let mut threads = vec![];
        for (number, (place, mut progress)) in places.into_iter().zip(all.drain(..)).enumerate() {
            let experiment = on(&place, &experiment, cpus.as_ref());
            let (file, interrupt, options) = (save.get(number), &interrupt, &options);
            threads.push(scope.spawn(move || {
                let (target, progress) = (place.target.as_ref(), progress.as_mut());
                let (record, lines) = if tune {
                    let mut place = tune::Place { target, interrupt, progress };
                    let tuned = tune::run(&experiment, &untuned(super::command_line()), &mut place)?;
                    (tuned.record, tuned.lines)
                } else {
                    let kept = file.filter(|_| resume);
                    let earlier =
                        kept.map(|file| earlier(file, &experiment, progress)).transpose()?.flatten();
                    (measure::measure(&experiment, earlier, target, progress, interrupt)?, vec![])
                };
                // Not when all are done: the others may take long, or never end.
                let saved = file.map_or(Ok(()), |file| keep(&record, file, options));
                Ok(Done { record, lines, saved })
            }));
        }
        let ended = |thread: ScopedJoinHandle<_>| {
            thread.join().unwrap_or_else(|_| Err(Error::lost("a measurement ended for an unknown reason")))
        };
        threads.into_iter().map(ended).collect()
    });
    drop(experiment);
    let mut trouble = None;
    let (mut measured, mut told) = (vec![], vec![]);
    for (name, result) in names.iter().zip(results) {
        let named = |e: Error| if names.len() > 1 { e.context(name) } else { e };
        match result {
            Ok(Done { record, lines, saved }) => {
                if let Err(error) = saved.and_then(|()| measure::complete(&record, !tune)).map_err(named) {
                    worst(&mut trouble, error);
                }
                measured.push((name, record));
                let of = if names.len() > 1 { format!("{name}: ") } else { String::new() };
                told.extend(lines.iter().map(|line| format!("{of}{line}")));
            }
            Err(error) => worst(&mut trouble, named(error)),
        }
    }
    if !measured.is_empty() {
        let records: Vec<Named> = measured.iter().map(|(name, record)| Named { name, record }).collect();
        let text = report::records(&records, format, &options)?;
        match &output {
            Some(file) => file.write(text.as_bytes())?,
            None => output::print(out, &text)?,
        }
    }
    told.iter().for_each(|line| note(line));
    trouble.map_or(Ok(()), Err)
}

/// What became of one target.
struct Done {
    record: Record,
    /// What tuning has to say.
    lines: Vec<String>,
    /// Whether the record could be saved, where it was to be.
    saved: Result<()>,
}

/// Keeps the first error, but one of something that was lost rather than one of what can't be done; others are
/// told at once.
pub(super) fn worst(trouble: &mut Option<Error>, error: Error) {
    let told = match trouble {
        Some(known) if known.exit == Exit::Lost || error.exit != Exit::Lost => error,
        _ => match trouble.replace(error) {
            Some(known) => known,
            None => return,
        },
    };
    note(&format!("oplat: {told}"));
}

/// What a saved record has of the measurement already; told if it is of no use, and nothing if there is none.
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
    progress.note(&format!(
        "{}: {} are there already",
        path.display(),
        units::count(record.settings.forks, "fork")
    ));
    Ok(Some(record))
}

fn experiment(settings: &Settings) -> Result<Measurement> {
    let Settings { models, inputs, dims, swaps, .. } = settings;
    let (subjects, variants) = subjects::plan(models, inputs, dims, swaps, &mut |text| note(text))?;
    Ok(Measurement {
        command: super::command_line(),
        subjects,
        variants: variants.into(),
        load: Load {
            seed: settings.seed,
            threads: settings.threads,
            denormals: settings.denormals,
            ..Load::default()
        },
        target: String::new(),
        cpus: None,
        forks: settings.forks,
        time: settings.time,
        confidence: CONFIDENCE,
        cold: settings.cold,
        rest: Rest::default(),
    })
}

/// The experiment as it is made on one target.
fn on(place: &Where, experiment: &Measurement, cpus: Option<&String>) -> Measurement {
    Measurement {
        target: place.target.name(),
        cpus: cpus.or(place.cpus.as_ref()).cloned(),
        time: place.time.map_or(experiment.time, |limit| limit.min(experiment.time)),
        rest: place.rest,
        ..experiment.clone()
    }
}

/// The command without the flag that asked for tuning.
fn untuned(command: Vec<String>) -> Vec<String> {
    command.into_iter().filter(|word| word != "--tune").collect()
}

fn keep(record: &Record, file: &Destination, options: &Options) -> Result<()> {
    file.write(report::render(record, Format::Json, options)?.as_bytes())
}
