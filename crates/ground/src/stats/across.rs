//! One ratio on many devices: what it is on average, how much devices differ, what another device may show, and which device
//! contradicts the rest.
//!
//! A device's value is the mean of its forks' logarithms. Devices of one group (a SoC) are alike, so that what is said of all
//! groups rests on one number a group, the mean of its devices; of a single group it rests on its devices. These units count
//! equally: their mean and its interval are Student's, and they hold whatever part of the spread is error of measurement; where
//! units agree better than their errors allow, the errors count. Weights
//! by the errors (DerSimonian and Laird's, or Paule and Mandel's with the interval of Hartung and Knapp) are the better the more
//! errors differ, but a device has few forks, and errors known from so few mislead them: with 4 forks a device, where devices do
//! not differ, such an interval at 95% held the truth in 90% of tries, and that for a further device (Higgins, Thompson and
//! Spiegelhalter 2009) in 85 to 90% where devices differ as much as measurements. Instead, a device that was measured far less
//! exactly than the others is left out (see [`rough`]).

use super::Samples;
use super::estimate::{Estimate, Interval, Mean};
use super::student::{t_quantile, t_tail};

/// What several devices show together, in logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Across {
    pub devices: usize,
    /// The groups, or the devices of the only one.
    pub units: usize,
    mean: Mean,
    /// Standard deviation of what a device of another unit would show, our mean's error included.
    further: f64,
    /// Standard deviation of units beyond what their devices and the errors of measurement explain.
    pub between: f64,
    /// The same of devices of one group beyond errors; `None` where groups have one device each, or there is one group.
    pub within: Option<f64>,
    /// Standard error of one device's value: by how much it would be another if it were measured again.
    pub again: f64,
}

impl Across {
    /// Of devices by group. Those that have no error, since they were measured in a single fork, are not counted. `None` of fewer
    /// than two.
    pub fn of(groups: &[Vec<Mean>]) -> Option<Self> {
        let known = |group: &Vec<Mean>| group.iter().copied().filter(|m| m.df.is_some()).collect::<Vec<_>>();
        let groups: Vec<Vec<Mean>> = groups.iter().map(known).filter(|group| !group.is_empty()).collect();
        let devices = groups.iter().map(Vec::len).sum();
        let variances = Samples::new(groups.iter().flatten().map(|m| m.error * m.error))?;
        let again = variances.mean();
        // Of one device in a group of n there is 1/n in the group's mean.
        let (units, own, in_mean) = match groups.as_slice() {
            [only] => (Samples::new(only.iter().map(|m| m.point))?, None, 1.0),
            _ => {
                let shares = Samples::new(groups.iter().map(|group| 1.0 / group.len() as f64))?;
                let means = groups.iter().filter_map(|group| Some(values(group)?.mean()));
                (Samples::new(means)?, within(&groups), shares.mean())
            }
        };
        if units.count() < 2 {
            return None;
        }
        // Units that agree by chance are known no better than they were measured.
        let errors: f64 = match groups.as_slice() {
            [_] => again,
            _ => Samples::new(groups.iter().filter_map(|group| Some(together(group)?.error.powi(2))))?.mean(),
        };
        let n = units.count() as f64;
        let spread = units.sd().powi(2).max(errors);
        let explained = own.unwrap_or(again) * in_mean;
        let further = spread * (1.0 + 1.0 / n) + own.unwrap_or(0.0) * (1.0 - in_mean);
        Some(Self {
            devices,
            units: units.count(),
            mean: Mean { point: units.mean(), error: (spread / n).sqrt(), df: Some(n - 1.0) },
            further: further.sqrt(),
            between: (spread - explained).max(0.0).sqrt(),
            within: own.map(|own| (own - again).max(0.0).sqrt()),
            again: again.sqrt(),
        })
    }

    /// The mean over units.
    pub fn mean(&self, confidence: f64) -> Estimate {
        self.mean.estimate(confidence)
    }

    /// Where a device of a unit that was not measured would lie. `None` of two units, which say next to nothing of a third.
    pub fn further(&self, confidence: f64) -> Option<Interval> {
        let t = t_quantile(0.5 + 0.5 * confidence, self.units as f64 - 1.0);
        let (centre, half) = (self.mean.point, t * self.further);
        (self.units > 2).then_some(Interval { low: centre - half, high: centre + half })
    }
}

fn values(group: &[Mean]) -> Option<Samples> {
    Samples::new(group.iter().map(|m| m.point))
}

/// The variance of values of one group, of all groups together.
fn within(groups: &[Vec<Mean>]) -> Option<f64> {
    let (mut squares, mut df) = (0.0, 0.0);
    for values in groups.iter().filter_map(|group| values(group)) {
        let n = values.count() as f64 - 1.0;
        squares += n * values.sd().powi(2);
        df += n;
    }
    (df > 0.0).then(|| squares / df)
}

/// Errors that many times the usual one are too large to count.
const ROUGH: f64 = 3.0;

/// Which of several devices were measured so much less exactly than the others that they would blur what these show: their
/// standard error is above `least` and more than three times the median. `None` is one that has no error.
pub fn rough(errors: &[Option<f64>], least: f64) -> Vec<bool> {
    let usual = Samples::new(errors.iter().flatten().copied()).map_or(0.0, |errors| errors.median());
    errors.iter().map(|error| error.is_some_and(|error| error > (ROUGH * usual).max(least))).collect()
}

/// How probable it is of each value to lie so far from the others if it is one of them: neither the spread of the others nor
/// the value's own error may explain it, so that the larger probability counts. `None` where that can't be told (fewer than four
/// values), and of a value that is no more than `margin` from the mean of the others.
pub fn apart(all: &[Mean], margin: f64) -> Vec<Option<f64>> {
    let tail = |at: usize| {
        let others = || all.iter().enumerate().filter(move |&(other, _)| other != at).map(|(_, m)| m);
        let points = Samples::new(others().map(|m| m.point)).filter(|points| points.count() > 2)?;
        let errors = Samples::new(others().map(|m| m.error * m.error))?;
        let this = all[at];
        let distance = (this.point - points.mean()).abs();
        let n = points.count() as f64;
        let rougher = (this.error * this.error - errors.mean()).max(0.0);
        let spread = (points.sd().powi(2) * (1.0 + 1.0 / n) + rougher).sqrt();
        let tail = |error: f64, df: f64| if error > 0.0 { t_tail(distance / error, df) } else { 0.0 };
        let told =
            (distance > margin).then(|| tail(spread, n - 1.0).max(tail(this.error, this.df.unwrap_or(0.0))));
        this.df.map(|_| told.unwrap_or(1.0))
    };
    (0..all.len()).map(tail).collect()
}

/// A group as one value: the mean of its devices, with the errors of measurement alone.
pub fn together(group: &[Mean]) -> Option<Mean> {
    let n = group.len() as f64;
    let error = group.iter().map(|m| m.error * m.error).sum::<f64>().sqrt() / n;
    let df = group.iter().map(|m| m.df).sum::<Option<f64>>();
    Some(Mean { point: values(group)?.mean(), error, df })
}
