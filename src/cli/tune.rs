//! `oplat profile --tune`: which of the engine's knobs make this model faster here.
//!
//! First a short look at where the time goes, then the knobs that could change it measured beside the model as it is,
//! then those that helped together.

use crate::device::Target;
use crate::engine::knobs::{self, Knobs};
use crate::engines;
use crate::error::{Error, Result};
use crate::measure::{self, Candidate, Interrupt, Measurement, Part, Planned, Progress};
use crate::record::{Record, Verdict};
use crate::units;

/// A step of it: what it is called, and its share of the time, after those before it.
#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    before: f64,
    share: f64,
}

const LOOK: Step = Step { name: "first look", before: 0.0, share: 0.15 };
const TRIALS: Step = Step { name: "trying knobs", before: LOOK.share, share: 0.5 };
/// What helped, measured again.
const AGAIN: Step = Step {
    name: "what helped, again",
    before: LOOK.share + TRIALS.share,
    share: 1.0 - LOOK.share - TRIALS.share,
};

/// One tuning.
pub struct Tuning<'a> {
    /// Whose first variant is tuned.
    pub measurement: &'a Measurement,
    pub target: &'a dyn Target,
    pub interrupt: &'a Interrupt,
    pub progress: &'a mut dyn Progress,
}

impl Tuning<'_> {
    /// Returns the last record, which has the model as it is beside what helped, or beside what was tried if nothing
    /// did; and what to tell the user, a line each. `command` is what the user typed, without --tune.
    pub fn run(mut self, command: &[String]) -> Result<(Record, Vec<String>)> {
        let look = self.stage(LOOK, self.measurement.forks.min(2), &[])?;
        if !is_whole(&look) {
            return Ok((look, vec![]));
        }
        let candidates =
            measure::candidates(self.measurement, &look, self.target, self.progress, self.interrupt);
        let candidates = match candidates {
            Ok(candidates) => candidates,
            Err(error) => return Ok((self.cut_off(look, error), vec![])),
        };
        if candidates.is_empty() {
            return Ok((look, vec!["no knob of the engine changes what takes time here".to_owned()]));
        }
        self.announce(&candidates);
        let settings: Vec<Knobs> = candidates.iter().map(|c| c.knobs.clone()).collect();
        let tried = match self.stage(TRIALS, self.measurement.forks, &settings) {
            Ok(tried) => tried,
            Err(error) => return Ok((self.cut_off(look, error), vec![])),
        };
        let last = self.together(&tried);
        let lines = lines(&tried, &last, &candidates, command);
        Ok((last, lines))
    }

    /// Measures the model as it is and with each of the settings, in a share of the time.
    fn stage(&mut self, step: Step, forks: usize, settings: &[Knobs]) -> Result<Record> {
        let original = &self.measurement.variants[0];
        let variants = std::iter::once(original.clone()).chain(settings.iter().map(|k| with(original, k)));
        let stage = Measurement {
            variants: variants.collect::<Vec<_>>().into(),
            time: self.measurement.time.mul_f64(step.share),
            forks,
            ..self.measurement.clone()
        };
        let rest = self.measurement.time.mul_f64((1.0 - step.before - step.share).max(0.0));
        let mut part = Part::new(self.progress, step.name, step.before, step.share, rest);
        measure::measure(&stage, None, self.target, &mut part, self.interrupt)
    }

    fn announce(&mut self, candidates: &[Candidate]) {
        for candidate in candidates {
            let (knobs, share) = (short(&candidate.knobs), units::share(candidate.share));
            let ops = candidate.ops.join(", ");
            self.progress.note(&format!("{knobs} is about {share} of the time: {ops}"));
        }
    }

    /// Measures what helped again, and all of it together. The trials are what is left if there is no such setting, or
    /// if that is cut off: they are whole and tell more than a part of what came after them.
    fn together(&mut self, tried: &Record) -> Record {
        let helped = helped(tried);
        let Some(all) = combined(&helped).filter(|_| is_whole(tried)) else { return tried.clone() };
        let settings: Vec<Knobs> = helped.into_iter().chain([all]).collect();
        match self.stage(AGAIN, self.measurement.forks, &settings) {
            Ok(last) if is_whole(&last) => last,
            Ok(last) => self.cut_off(tried.clone(), Error::lost(last.settings.lost.unwrap_or_default())),
            Err(error) => self.cut_off(tried.clone(), error),
        }
    }

    /// Marks a record as the last one, where a later step was interrupted or failed.
    fn cut_off(&self, mut record: Record, error: Error) -> Record {
        if self.interrupt.is_raised() {
            record.settings.interrupted = true;
        } else {
            record.settings.lost = Some(error.message);
        }
        record
    }
}

/// Whether all of it was measured.
fn is_whole(record: &Record) -> bool {
    !record.settings.interrupted && record.settings.lost.is_none()
}

fn with(original: &Planned, knobs: &Knobs) -> Planned {
    let name = format!("{}, {}", original.name, short(knobs));
    Planned { name, knobs: knobs.clone(), ..original.clone() }
}

/// The settings as tables have them.
fn short(knobs: &Knobs) -> String {
    knobs::short(&engines::knobs(), knobs)
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

/// All of them together; where two set the same knob, with the better one's value. `None` if that is one of them
/// already.
fn combined(helped: &[Knobs]) -> Option<Knobs> {
    let mut all = Knobs::new();
    for (name, value) in helped.iter().flatten() {
        all.entry(name.clone()).or_insert_with(|| value.clone());
    }
    (!helped.is_empty() && !helped.contains(&all)).then_some(all)
}

/// How to have what helped, and what was tried and did not.
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
            lines.push(format!("  (in your own program: {})", knobs::elsewhere(&engines::knobs(), best)));
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
    use crate::record::{Role, Variant};
    use crate::report::fixture;

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

    /// A measurement of the model as it is and with one knob set.
    fn tried(ratio: f64, low: f64, high: f64, verdict: Verdict) -> Record {
        let mut record = fixture::record();
        let knobs = knobs(&[("TRACT_DISABLE_DIRECT_SPATIAL", "1")]);
        let delta = fixture::delta(ratio, low, high, verdict);
        let variant = fixture::variant("original, knob", Role::Original, "", vec![]);
        record.variants.truncate(1);
        record.variants.push(Variant { knobs, delta, ..variant });
        record
    }

    #[test]
    fn what_helped_is_told_as_a_command_and_what_did_not_with_its_ratio() {
        let command = ["oplat", "profile", "m.onnx"].map(str::to_owned);
        let candidate = || Candidate { knobs: Knobs::new(), share: 0.5, ops: vec![] };
        let faster = tried(0.8, 0.78, 0.82, Verdict::Faster);
        let told = lines(&faster, &faster, &[candidate()], &command);
        assert_eq!(
            told,
            [
                "fastest with TRACT_DISABLE_DIRECT_SPATIAL=1; to measure it again:",
                "  oplat profile m.onnx --knob TRACT_DISABLE_DIRECT_SPATIAL=1",
                "  (in your own program: the same names as environment variables)",
            ]
        );
        let none = tried(1.01, 0.99, 1.03, Verdict::Inconclusive);
        let mut last = none.clone();
        last.variants.truncate(1);
        let told = lines(&none, &last, &[candidate(), candidate()], &command);
        assert_eq!(
            told,
            [
                "no setting made it faster for sure, of 2 that could matter",
                "tried and left: DISABLE_DIRECT_SPATIAL=1: 1.01 [0.99, 1.03]",
            ]
        );
    }

    #[test]
    fn a_command_line_can_be_copied() {
        assert_eq!(quoted("yolov5s.onnx"), "yolov5s.onnx");
        assert_eq!(quoted("my model's.onnx"), r"'my model'\''s.onnx'");
        assert_eq!(quoted(""), "''");
    }
}
