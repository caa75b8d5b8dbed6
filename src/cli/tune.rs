//! `oplat profile --tune`: which of the engine's knobs make this model faster here.
//!
//! First a short look at where the time goes, then the knobs that could change it measured beside the model as it is,
//! then those that helped together.

use crate::device::Target;
use crate::engine::knobs::{self, Knobs};
use crate::engines;
use crate::error::{Error, Result};
use crate::measure::{self, Candidate, Interrupt, Measurement, Planned, Progress};
use crate::record::{Record, Verdict};
use crate::units;

/// Shares of the time: the first look, and the measurement of the candidates.
const LOOK: f64 = 0.15;
const TRIALS: f64 = 0.5;

/// What was found.
pub struct Tuned {
    /// The last measurement: the model as it is beside what helped, or beside what was tried if nothing did.
    pub record: Record,
    /// What to tell the user, a line each.
    pub lines: Vec<String>,
}

/// Where a stage is done, and by whom it may be ended.
pub struct Place<'a> {
    pub target: &'a dyn Target,
    pub interrupt: &'a Interrupt,
    pub progress: &'a mut dyn Progress,
}

/// Tunes the first variant of an experiment; `command` is what the user typed, without --tune.
pub fn run(experiment: &Measurement, command: &[String], place: &mut Place) -> Result<Tuned> {
    let original = experiment.variants[0].clone();
    let stage = |share: f64, forks: usize, settings: &[Knobs]| Measurement {
        variants: std::iter::once(original.clone())
            .chain(settings.iter().map(|k| with(&original, k)))
            .collect::<Vec<_>>()
            .into(),
        time: experiment.time.mul_f64(share),
        forks,
        ..experiment.clone()
    };
    let look = measured(&stage(LOOK, experiment.forks.min(2), &[]), place)?;
    if look.settings.interrupted || look.settings.lost.is_some() {
        return Ok(Tuned { record: look, lines: vec![] });
    }
    let found = measure::candidates(experiment, &look, place.target, place.progress, place.interrupt);
    let candidates = match found {
        Ok(candidates) => candidates,
        Err(error) => return Ok(Tuned { record: cut_off(look, error, place.interrupt), lines: vec![] }),
    };
    if candidates.is_empty() {
        let lines = vec!["no knob of the engine changes what takes time here".to_owned()];
        return Ok(Tuned { record: look, lines });
    }
    for candidate in &candidates {
        let (knobs, share) = (short(&candidate.knobs), units::share(candidate.share));
        place.progress.note(&format!("{knobs} is about {share} of the time: {}", candidate.ops.join(", ")));
    }
    let settings: Vec<Knobs> = candidates.iter().map(|c| c.knobs.clone()).collect();
    let tried = match measured(&stage(TRIALS, experiment.forks, &settings), place) {
        Ok(tried) => tried,
        Err(error) => return Ok(Tuned { record: cut_off(look, error, place.interrupt), lines: vec![] }),
    };
    let helped = helped(&tried);
    let together = combined(&helped);
    let record = match &together {
        Some(all) if !tried.settings.interrupted && tried.settings.lost.is_none() => {
            let settings: Vec<Knobs> = helped.iter().chain([all]).cloned().collect();
            match measured(&stage(1.0 - LOOK - TRIALS, experiment.forks, &settings), place) {
                Ok(last) if !last.settings.interrupted && last.settings.lost.is_none() => last,
                // The trials are whole and tell more than a part of what came after them.
                Ok(last) => {
                    let why = Error::lost(last.settings.lost.unwrap_or_default());
                    cut_off(tried.clone(), why, place.interrupt)
                }
                Err(error) => cut_off(tried.clone(), error, place.interrupt),
            }
        }
        _ => tried.clone(),
    };
    let lines = lines(&tried, &record, &candidates, command);
    Ok(Tuned { record, lines })
}

/// What is there when a later step can't be taken.
fn cut_off(mut record: Record, error: Error, interrupt: &Interrupt) -> Record {
    if interrupt.is_raised() {
        record.settings.interrupted = true;
    } else {
        record.settings.lost = Some(error.message);
    }
    record
}

fn measured(experiment: &Measurement, place: &mut Place) -> Result<Record> {
    measure::measure(experiment, None, place.target, place.progress, place.interrupt)
}

fn with(original: &Planned, knobs: &Knobs) -> Planned {
    let name = format!("{}, {}", original.name, short(knobs));
    Planned { name, knobs: knobs.clone(), ..original.clone() }
}

/// The settings as tables have them.
fn short(knobs: &Knobs) -> String {
    knobs::short(&engines::default().knobs(), knobs)
}

/// The settings that made it faster, the best first.
fn helped(record: &Record) -> Vec<Knobs> {
    let faster = record.variants.iter().filter_map(|v| {
        let delta = v.delta.as_ref().filter(|d| d.verdict == Verdict::Faster)?;
        Some((delta.ratio, v.knobs.clone()))
    });
    let mut faster: Vec<(f64, Knobs)> = faster.collect();
    faster.sort_by(|a, b| a.0.total_cmp(&b.0));
    faster.into_iter().map(|(_, knobs)| knobs).collect()
}

/// All of them together, the better one's value where two set the same knob; `None` if that is one of them.
fn combined(helped: &[Knobs]) -> Option<Knobs> {
    let mut all = Knobs::new();
    for (name, value) in helped.iter().flatten() {
        all.entry(name.clone()).or_insert_with(|| value.clone());
    }
    (!helped.is_empty() && !helped.contains(&all)).then_some(all)
}

/// What was tried and came to nothing, and how to have what helped.
fn lines(tried: &Record, last: &Record, candidates: &[Candidate], command: &[String]) -> Vec<String> {
    let mut lines = vec![];
    let best = helped(last).into_iter().next();
    match &best {
        None => lines
            .push(format!("no setting made it faster for sure, of {} that could matter", candidates.len())),
        Some(best) => {
            let set: Vec<String> = best.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.push(format!("fastest with {}; to measure it again:", set.join(" ")));
            let flags = set.iter().flat_map(|set| ["--knob".to_owned(), set.clone()]);
            let words: Vec<String> = command.iter().cloned().chain(flags).map(|word| quoted(&word)).collect();
            lines.push(format!("  {}", words.join(" ")));
            lines.push(format!(
                "  (in your own program: {})",
                knobs::elsewhere(&engines::default().knobs(), best)
            ));
        }
    }
    let shown = |knobs: &Knobs| last.variants.iter().any(|v| v.knobs == *knobs);
    for variant in tried.variants.iter().filter(|v| !v.knobs.is_empty() && !shown(&v.knobs)) {
        let knobs = short(&variant.knobs);
        let outcome = match (&variant.delta, &variant.error) {
            (Some(delta), _) => units::ratio(delta.ratio, delta.interval),
            (None, Some(error)) => error.clone(),
            (None, None) => continue,
        };
        lines.push(format!("tried and left: {knobs}: {outcome}"));
    }
    lines
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knobs(set: &[(&str, &str)]) -> Knobs {
        set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn what_helped_is_put_together_and_the_better_value_wins() {
        let (a, b, c) = (knobs(&[("A", "1")]), knobs(&[("B", "2")]), knobs(&[("A", "9")]));
        assert_eq!(combined(&[a.clone(), b, c.clone()]), Some(knobs(&[("A", "1"), ("B", "2")])));
        assert_eq!(combined(&[a.clone(), c]), None, "the better one is that already");
        assert_eq!((combined(&[a]), combined(&[])), (None, None));
    }

    #[test]
    fn a_command_line_can_be_copied() {
        assert_eq!(quoted("yolov5s.onnx"), "yolov5s.onnx");
        assert_eq!(quoted("my model's.onnx"), r"'my model'\''s.onnx'");
        assert_eq!(quoted(""), "''");
    }
}
