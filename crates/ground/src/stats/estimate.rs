//! An estimate: a point and the interval in which the truth lies with a stated confidence.

use super::Samples;
use super::student::{t_quantile, t_tail};

/// The ends of an interval, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// A point and its interval, in the unit of the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub point: f64,
    /// `None` where there are too few replications to say.
    pub interval: Option<Interval>,
    /// The share of such intervals that hold the truth, e.g. 0.99.
    pub confidence: f64,
}

impl Interval {
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    pub fn half_width(&self) -> f64 {
        0.5 * (self.high - self.low)
    }
}

impl Estimate {
    /// The estimate of a ratio from that of its logarithm.
    pub fn exp(self) -> Self {
        self.map(f64::exp)
    }

    /// The estimate of a rising function of the value.
    fn map(self, rising: impl Fn(f64) -> f64) -> Self {
        let interval = self.interval.map(|i| Interval { low: rising(i.low), high: rising(i.high) });
        Self { point: rising(self.point), interval, ..self }
    }
}

/// A mean, or a difference of two, with what is needed for an interval of any confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub(super) point: f64,
    /// Standard error of the point.
    pub(super) error: f64,
    /// Degrees of freedom; none where a side has a single replication.
    pub(super) df: Option<f64>,
}

/// The normal distribution stays below this with probability 0.8: the power at which a difference counts as one that a
/// measurement would find.
const POWER: f64 = 0.841_621;

impl Mean {
    /// The mean of independent replications (one number a fork), for Student's t interval.
    ///
    /// For a paired ratio give the logarithms of each fork's ratio and take [`Estimate::exp`].
    pub fn of(replications: &Samples) -> Self {
        let n = replications.count() as f64;
        let error = replications.sd() / n.sqrt();
        Self { point: replications.mean(), error, df: (n > 1.0).then_some(n - 1.0) }
    }

    /// The difference `b - a` of two means whose replications are not paired (Welch: unequal variances).
    pub fn difference(a: &Samples, b: &Samples) -> Self {
        let part = |s: &Samples| s.sd().powi(2) / s.count() as f64;
        let freedom = |s: &Samples| part(s).powi(2) / (s.count() as f64 - 1.0);
        let variance = part(a) + part(b);
        let df = if variance > 0.0 { variance.powi(2) / (freedom(a) + freedom(b)) } else { 1.0 };
        let enough = a.count() > 1 && b.count() > 1;
        Self { point: b.mean() - a.mean(), error: variance.sqrt(), df: enough.then_some(df) }
    }

    /// The standard error; none where a side has a single replication.
    pub fn error(&self) -> Option<f64> {
        self.df.map(|_| self.error)
    }

    pub fn estimate(&self, confidence: f64) -> Estimate {
        let half = self.df.map(|df| t_quantile(0.5 + 0.5 * confidence, df) * self.error);
        let around = |half: f64| Interval { low: self.point - half, high: self.point + half };
        Estimate { point: self.point, interval: half.filter(|h| h.is_finite()).map(around), confidence }
    }

    /// The probability (of both directions together) of a value this far beyond `margin` from 0 where the truth is not
    /// beyond it.
    pub fn tail_beyond(&self, margin: f64) -> f64 {
        let beyond = self.point.abs() - margin;
        match self.df {
            Some(df) if beyond > 0.0 => t_tail(beyond / self.error, df),
            _ => 1.0,
        }
    }

    /// The distance from 0 of a truth that four of five such measurements would tell from 0 with this confidence; none
    /// where there is no interval. The noncentral t distribution is taken as Jennett and Welch (1939) approximate it.
    pub fn detectable(&self, confidence: f64) -> Option<f64> {
        let df = self.df?;
        let t = t_quantile(0.5 + 0.5 * confidence, df);
        let errors = t * (1.0 - 0.25 / df) + POWER * (1.0 + 0.5 * t * t / df).sqrt();
        Some(errors * self.error).filter(|distance| distance.is_finite())
    }
}

/// The confidence that each of several values needs so that everything that is said of them holds together with
/// `confidence`, by Holm's step-down procedure (1979): the clearest must be as sure as if each of `n` were tried, the next
/// as if one fewer were, until one is not sure enough; that one and the rest have the same.
///
/// `tails` are the probabilities of such values where there is nothing to find; `None` is not among the tries. `level` is how
/// unsure one of them may be which has so much of the whole: the same, unless it is looked at more than once.
pub fn holm(tails: &[Option<f64>], confidence: f64, level: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> =
        tails.iter().enumerate().filter_map(|(at, t)| Some((at, (*t)?))).collect();
    order.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut needed = vec![confidence; tails.len()];
    let (tries, alpha) = (order.len(), 1.0 - confidence);
    let (mut unsure, mut failed) = (alpha, false);
    for (rank, (at, tail)) in order.into_iter().enumerate() {
        if !failed {
            unsure = level(alpha / (tries - rank) as f64);
            failed = tail > unsure;
        }
        needed[at] = 1.0 - unsure;
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.iter().copied()).expect("test samples")
    }

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Mean 3, sd sqrt(2.5), n 5, t(0.995, 4) = 4.6041.
        let e = Mean::of(&samples(&[1.0, 2.0, 3.0, 4.0, 5.0])).estimate(0.99);
        let i = e.interval.expect("five replications");
        assert_eq!(e.point, 3.0);
        assert!((i.half_width() - 4.6041 * (2.5f64 / 5.0).sqrt()).abs() < 1e-4);
        assert!(i.contains(3.0) && !i.contains(7.0));
    }

    #[test]
    fn one_replication_gives_no_interval() {
        let one = Mean::of(&samples(&[3.0]));
        assert_eq!((one.estimate(0.99).interval, one.detectable(0.99)), (None, None));
        let welch = Mean::difference(&samples(&[3.0]), &samples(&[1.0, 2.0]));
        assert_eq!((welch.estimate(0.99).interval, welch.tail_beyond(0.0)), (None, 1.0));
    }

    #[test]
    fn a_ratio_is_estimated_through_its_logarithm() {
        let logs: Vec<f64> = [1.09f64, 1.10, 1.11].iter().map(|r| r.ln()).collect();
        let ratio = Mean::of(&samples(&logs)).estimate(0.95).exp();
        let i = ratio.interval.expect("three replications");
        assert!((ratio.point - 1.1).abs() < 1e-4);
        assert!(i.low > 1.0 && i.low < 1.1 && i.high > 1.1);
    }

    #[test]
    fn welch_matches_a_worked_example() {
        // Means 2 and 6, variances 1 and 4, three each: error sqrt(5/3), df (5/3)²/((1/9 + 16/9)/2) = 2.9412.
        let welch = Mean::difference(&samples(&[1.0, 2.0, 3.0]), &samples(&[4.0, 6.0, 8.0]));
        let e = welch.estimate(0.95);
        let half = t_quantile(0.975, 50.0 / 17.0) * (5.0f64 / 3.0).sqrt();
        assert_eq!(e.point, 4.0);
        assert!((e.interval.expect("enough").half_width() - half).abs() < 1e-9);
        // Where the interval ends, the tail is what it leaves out.
        assert!((welch.tail_beyond(4.0 - half) - 0.05).abs() < 1e-9);
        assert_eq!(welch.tail_beyond(4.5), 1.0);
    }

    /// So many nearly normal numbers around `mean` (sums of 12), of deviation 1.
    fn noise(random: &mut SplitMix64, n: usize, mean: f64) -> Samples {
        let mut normal = || (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0;
        Samples::new((0..n).map(|_| mean + normal())).expect("some")
    }

    /// The share of so many tries that are so.
    fn share(tries: usize, mut so: impl FnMut() -> bool) -> f64 {
        (0..tries).filter(|_| so()).count() as f64 / tries as f64
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut random = SplitMix64::new(1);
        let mut holds = || Mean::of(&noise(&mut random, 4, 0.0)).estimate(0.95).interval;
        let held = share(1000, || holds().is_some_and(|i| i.contains(0.0)));
        assert!((0.93..0.97).contains(&held), "held {held} of the time at 95%");
    }

    #[test]
    fn what_is_detectable_is_found_four_times_in_five() {
        let mut random = SplitMix64::new(2);
        for n in [3, 4, 8, 24] {
            // Of numbers whose deviation is 1, as theirs is on average.
            let known = Mean { point: 0.0, error: 1.0 / (n as f64).sqrt(), df: Some(n as f64 - 1.0) };
            let true_mean = known.detectable(0.99).expect("enough");
            let mut interval = || Mean::of(&noise(&mut random, n, true_mean)).estimate(0.99).interval;
            let found = share(4000, || interval().is_some_and(|i| i.low > 0.0));
            assert!((0.77..0.84).contains(&found), "{n} numbers: found {found} of the time");
        }
    }

    #[test]
    fn holm_asks_less_of_each_after_the_clearest_and_stops_at_the_first_that_fails() {
        let needed = holm(&[Some(0.004), None, Some(0.001), Some(0.3), Some(0.2)], 0.99, |alpha| alpha);
        let levels: Vec<f64> = needed.iter().map(|c| ((1.0 - c) * 1e6).round() / 1e6).collect();
        // 0.001 < 0.01/4, 0.004 > 0.01/3: that one fails, and all after it with it.
        assert_eq!(levels, [0.003333, 0.01, 0.0025, 0.003333, 0.003333]);
        assert_eq!(holm(&[Some(0.5)], 0.95, |alpha| alpha), [0.95], "one alone is as it was");
    }
}
