//! Looks at a measurement that ends when all verdicts are known: after which forks, and what is known then.
//!
//! A look makes the same figures as the record (see [`figures`]), so that the record says what ended it. A variant whose verdict
//! is known runs on beside the others: its pairs stay those of the same rounds, and its interval gets narrower. It ends when all
//! are known at the same look. What any end but that of the plan finds (an interrupt, a target that is lost) is a look, too.

use super::Session;
use crate::figures;
use crate::measure::assemble;
use crate::record::{Look, Role, Settings, Variant, Verdict};

/// Forks at the first look: with fewer, hardly anything is surely known.
const FIRST: usize = 4;

/// A look comes when there are this share more forks than at the last one. With more looks each would say less.
const SHARE: usize = 4;
const LEAST: usize = 2;

impl Session<'_, '_> {
    pub(super) fn begin_looking(&mut self) {
        if !self.measurement.is_looked_at() {
            self.raw.looks = None;
        } else if self.raw.taken_up.is_empty() {
            self.raw.looks.get_or_insert_default();
            self.progress.may_end_early();
        }
    }

    /// Whether all that was asked is known, if it is time to look.
    pub(super) fn is_decided(&mut self) -> bool {
        let (forks, planned) = (self.raw.order.len(), self.forks_planned);
        let Some(looks) = self.raw.looks.as_ref().filter(|looks| self.goes_by(looks, forks, planned)) else {
            return false;
        };
        let look = Look::after(looks, forks, planned, self.measurement.confidence);
        self.note_look(look);
        let known = self.look();
        self.tell_estimates();
        known
    }

    fn goes_by(&self, looks: &[Look], forks: usize, planned: usize) -> bool {
        self.raw.taken_up.is_empty() && is_due(looks, forks, planned)
    }

    /// The last look: all that is left is spent if the plan is at its end, and not if forks may still be made.
    pub(super) fn look_at_the_end(&mut self) {
        let forks = self.raw.order.len();
        let looked = |looks: &Vec<Look>| looks.last().is_some_and(|last| last.forks == forks);
        if forks == 0 || !self.raw.taken_up.is_empty() || self.raw.looks.as_ref().is_none_or(looked) {
            return;
        }
        let is_cut_off = self.raw.interrupted || self.raw.lost.is_some();
        let of = if is_cut_off { self.forks_planned.max(forks + 1) } else { forks };
        let before = self.raw.looks.as_deref().unwrap_or(&[]);
        self.note_look(Look::after(before, forks, of, self.measurement.confidence));
    }

    fn note_look(&mut self, look: Look) {
        self.raw.looks.get_or_insert_default().push(look);
    }

    /// The looks with one now, if there wasn't.
    pub(super) fn looks_until_now(&self) -> Vec<Look> {
        let Some(looks) = &self.raw.looks else { return vec![] };
        let forks = self.raw.order.len();
        let new = looks.last().is_none_or(|last| last.forks < forks) && self.raw.taken_up.is_empty();
        let now = Look { forks, of: self.forks_planned.max(forks), confidence: 0.0 };
        looks.iter().copied().chain(new.then_some(now)).collect()
    }

    /// What is known of each variant. Gives whether that is all that was asked.
    fn look(&mut self) -> bool {
        let measurement = self.measurement;
        let settings = Settings {
            confidence: measurement.confidence,
            margin: measurement.margin,
            max_regression: measurement.limit,
            looks: self.raw.looks.clone(),
            ..Settings::default()
        };
        let planned = measurement.variants.iter().zip(&self.raw.variants);
        let mut variants: Vec<Variant> =
            planned.map(|(planned, raw)| assemble::timed(measurement, planned, raw)).collect();
        figures::deltas(&settings, &mut variants);
        self.verdicts = variants.iter().map(verdict).collect();
        if measurement.limit.is_some_and(|limit| is_broken(&variants, limit)) {
            return true;
        }
        let asked = variants.iter().filter(|v| v.role != Role::Control && v.error.is_none());
        let known: Vec<bool> = asked.filter_map(|variant| is_known(variant, measurement.limit)).collect();
        !known.is_empty() && known.iter().all(|&known| known)
    }
}

/// Whether it is looked after so many forks. Not if the end is nearer than the next look would be: it is one itself.
fn is_due(looks: &[Look], forks: usize, planned: usize) -> bool {
    let step = |forks: usize| (forks / SHARE).max(LEAST);
    let next = looks.last().map_or(FIRST, |last| last.forks + step(last.forks));
    forks >= next && forks + step(forks) <= planned
}

/// Whether a limit is surely broken, whatever the other variants do.
fn is_broken(variants: &[Variant], limit: f64) -> bool {
    variants
        .iter()
        .any(|v| v.error.is_some() || v.delta.as_ref().is_some_and(|d| d.keeps(limit) == Some(false)))
}

/// Whether all is known that was asked of a variant: its verdicts, or whether it keeps to a limit. `None` of one that is compared
/// with nothing.
fn is_known(variant: &Variant, limit: Option<f64>) -> Option<bool> {
    match limit {
        Some(limit) => variant.delta.as_ref().map(|delta| delta.keeps(limit).is_some()),
        None => verdict(variant).map(|verdict| verdict != Verdict::Inconclusive),
    }
}

/// What is known of a variant; open if either of its comparisons is.
fn verdict(variant: &Variant) -> Option<Verdict> {
    let (own, across) = (variant.delta.as_ref(), variant.across.as_ref());
    let open = across.is_some_and(|delta| delta.verdict == Verdict::Inconclusive);
    let own = own.or(across)?.verdict;
    Some(if open { Verdict::Inconclusive } else { own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::scripted;
    use crate::random::SplitMix64;
    use crate::record::{Fork, Margin};

    /// After which forks of so many it is looked.
    fn looks(planned: usize) -> Vec<usize> {
        let mut looks = vec![];
        for forks in 1..planned {
            if is_due(&looks, forks, planned) {
                looks.push(Look { forks, of: planned, confidence: 0.99 });
            }
        }
        looks.iter().map(|look| look.forks).collect()
    }

    #[test]
    fn looks_get_rarer_and_the_last_before_the_end_is_not_close_to_it() {
        assert_eq!(looks(24), [4, 6, 8, 10, 12, 15, 18]);
        assert_eq!(looks(8), [4, 6]);
        assert_eq!(looks(5), [0usize; 0]);
        assert_eq!(looks(13), [4, 6, 8, 10]);
        assert!(looks(1000).len() < 25);
    }

    const FORKS: usize = 24;

    /// What forks' ratios scatter by: then the fixed plan finds a difference of 2% in 85 of 100 measurements.
    const DEVIATION: f64 = 0.0249;

    /// A number of mean 0 and deviation 1; with heavy tails, one in ten scatters five times as much as the others.
    fn draw(random: &mut SplitMix64, heavy_tails: bool) -> f64 {
        let normal = (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0;
        match (heavy_tails, random.unit(53) < 0.1) {
            (false, _) => normal,
            (true, true) => normal * 5.0 / 3.4f64.sqrt(),
            (true, false) => normal / 3.4f64.sqrt(),
        }
    }

    /// Forks of two networks of which the second takes `truth` times as long.
    fn forks(random: &mut SplitMix64, truth: f64, heavy_tails: bool) -> [Vec<Fork>; 2] {
        let fork = |number: usize, ns: f64| Fork {
            number: Some(number),
            rounds: vec![vec![ns as u64]],
            ..Fork::default()
        };
        let pair = |number: usize| {
            let ns = 1e8 * (0.05 * draw(random, false)).exp();
            let ratio = truth * (DEVIATION * draw(random, heavy_tails)).exp();
            (fork(number, ns), fork(number, ns * ratio))
        };
        let (original, other) = (0..FORKS).map(pair).unzip();
        [original, other]
    }

    /// What a measurement of these forks ends with, and after how many: by the looks, the figures and the rule that end measurements.
    fn ended(pattern: &[Variant], made: &[Vec<Fork>; 2], is_looked_at: bool) -> (Option<Verdict>, usize) {
        let mut variants = pattern.to_vec();
        let mut before: Vec<Look> = vec![];
        for forks in 1..=FORKS {
            if forks < FORKS && !(is_looked_at && is_due(&before, forks, FORKS)) {
                continue;
            }
            before.push(Look::after(&before, forks, FORKS, 0.99));
            let looks = is_looked_at.then(|| before.clone());
            let settings =
                Settings { confidence: 0.99, margin: Margin::default(), looks, ..Settings::default() };
            variants.iter_mut().zip(made).for_each(|(variant, made)| variant.forks = made[..forks].to_vec());
            figures::deltas(&settings, &mut variants);
            if is_known(&variants[1], None) == Some(true) {
                return (verdict(&variants[1]), forks);
            }
        }
        (verdict(&variants[1]), FORKS)
    }

    /// Of so many measurements: how often a difference is told by the plan that is looked at and by the fixed one, and the mean number
    /// of forks of the first.
    fn called(tries: usize, truth: f64, heavy_tails: bool) -> ([usize; 2], f64) {
        let record = scripted::measured(&scripted::measurement(), false).expect("measured");
        let mut random = SplitMix64::new(21);
        let (mut called, mut after) = ([0, 0], 0);
        for _ in 0..tries {
            let made = forks(&mut random, truth, heavy_tails);
            let ended = [true, false].map(|is_looked_at| ended(&record.variants[..2], &made, is_looked_at));
            let differs = |verdict| matches!(verdict, Some(Verdict::Slower | Verdict::Faster));
            called.iter_mut().zip(ended).for_each(|(called, (v, _))| *called += usize::from(differs(v)));
            after += ended[0].1;
        }
        (called, after as f64 / tries as f64)
    }

    #[test]
    fn measurements_that_end_early_are_as_sure_and_find_as_much() {
        for (heavy_tails, tries) in [(false, 150), (true, 60)] {
            // Intervals of 99% at each look would be wrong in 9 of 150.
            let ([looked, fixed], _) = called(tries, 1.0, heavy_tails);
            assert!(looked <= 4 && fixed <= 4, "{looked} and {fixed} false alarms");
        }
        let ([looked, fixed], _) = called(60, 1.02, false);
        assert!((45..58).contains(&fixed) && looked + 3 >= fixed, "{looked} found, of {fixed}");
        let ([looked, _], after) = called(20, 1.1, false);
        assert!(looked == 20 && after < 12.0, "{looked} after {after} forks");
    }
}
