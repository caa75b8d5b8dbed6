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

/// The mean of independent replications (one number a fork) with Student's t interval.
///
/// For a paired ratio give the logarithms of each fork's ratio and take [`Estimate::exp`].
pub fn mean_estimate(replications: &Samples, confidence: f64) -> Estimate {
    let (n, mean) = (replications.count() as f64, replications.mean());
    let error = replications.sd() / n.sqrt();
    around(mean, error, n - 1.0, confidence)
}

/// The difference of two means whose replications are not paired (Welch: unequal variances).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    difference: f64,
    error: f64,
    /// Degrees of freedom; none where a side has a single replication.
    df: Option<f64>,
}

impl Welch {
    /// The difference `b - a`.
    pub fn new(a: &Samples, b: &Samples) -> Self {
        let part = |s: &Samples| s.sd().powi(2) / s.count() as f64;
        let freedom = |s: &Samples| part(s).powi(2) / (s.count() as f64 - 1.0);
        let variance = part(a) + part(b);
        let df = if variance > 0.0 { variance.powi(2) / (freedom(a) + freedom(b)) } else { 1.0 };
        let enough = a.count() > 1 && b.count() > 1;
        Self { difference: b.mean() - a.mean(), error: variance.sqrt(), df: enough.then_some(df) }
    }

    pub fn estimate(&self, confidence: f64) -> Estimate {
        match self.df {
            Some(df) => around(self.difference, self.error, df, confidence),
            None => Estimate { point: self.difference, interval: None, confidence },
        }
    }

    /// The probability (of both directions together) of a difference this far beyond `margin` where the truth is
    /// not beyond it.
    pub fn tail_beyond(&self, margin: f64) -> f64 {
        let beyond = self.difference.abs() - margin;
        match self.df {
            Some(df) if beyond > 0.0 => t_tail(beyond / self.error, df),
            _ => 1.0,
        }
    }
}

fn around(point: f64, error: f64, df: f64, confidence: f64) -> Estimate {
    let half = t_quantile(0.5 + 0.5 * confidence, df) * error;
    let interval = half.is_finite().then_some(Interval { low: point - half, high: point + half });
    Estimate { point, interval, confidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.iter().copied()).expect("test samples")
    }

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Mean 3, sd sqrt(2.5), n 5, t(0.995, 4) = 4.6041.
        let e = mean_estimate(&samples(&[1.0, 2.0, 3.0, 4.0, 5.0]), 0.99);
        let i = e.interval.expect("five replications");
        assert_eq!(e.point, 3.0);
        assert!((i.half_width() - 4.6041 * (2.5f64 / 5.0).sqrt()).abs() < 1e-4);
        assert!(i.contains(3.0) && !i.contains(7.0));
    }

    #[test]
    fn one_replication_gives_no_interval() {
        assert_eq!(mean_estimate(&samples(&[3.0]), 0.99).interval, None);
        let welch = Welch::new(&samples(&[3.0]), &samples(&[1.0, 2.0]));
        assert_eq!((welch.estimate(0.99).interval, welch.tail_beyond(0.0)), (None, 1.0));
    }

    #[test]
    fn a_ratio_is_estimated_through_its_logarithm() {
        let logs: Vec<f64> = [1.09f64, 1.10, 1.11].iter().map(|r| r.ln()).collect();
        let ratio = mean_estimate(&samples(&logs), 0.95).exp();
        let i = ratio.interval.expect("three replications");
        assert!((ratio.point - 1.1).abs() < 1e-4);
        assert!(i.low > 1.0 && i.low < 1.1 && i.high > 1.1);
    }

    #[test]
    fn welch_matches_a_worked_example() {
        // Means 2 and 6, variances 1 and 4, three each: error sqrt(5/3), df (5/3)²/((1/9 + 16/9)/2) = 2.9412.
        let welch = Welch::new(&samples(&[1.0, 2.0, 3.0]), &samples(&[4.0, 6.0, 8.0]));
        let e = welch.estimate(0.95);
        let half = t_quantile(0.975, 50.0 / 17.0) * (5.0f64 / 3.0).sqrt();
        assert_eq!(e.point, 4.0);
        assert!((e.interval.expect("enough").half_width() - half).abs() < 1e-9);
        // Where the interval ends, the tail is what it leaves out.
        assert!((welch.tail_beyond(4.0 - half) - 0.05).abs() < 1e-9);
        assert_eq!(welch.tail_beyond(4.5), 1.0);
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        // 1000 means of four nearly normal numbers around 0 (sums of 12), from a fixed generator.
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let trials = 1000;
        let held = (0..trials).filter(|_| {
            let mut normal = || (0..12).map(|_| uniform()).sum::<f64>();
            let four = samples(&[normal(), normal(), normal(), normal()]);
            mean_estimate(&four, 0.95).interval.is_some_and(|i| i.contains(0.0))
        });
        let share = held.count() as f64 / f64::from(trials);
        assert!((0.93..0.97).contains(&share), "held {share} of the time at 95%");
    }
}
