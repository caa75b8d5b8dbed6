//! Statistics of repeated measurements, and nothing else: this module imports nothing of ours, so that every
//! figure in a record can be checked here.
//!
//! [`Samples`] are what was measured; [`Summary`] and [`Estimate`] are what was derived from them. The two are
//! never the same type, so a derived figure can't be averaged again by mistake.

pub mod across;
#[cfg(test)]
mod across_tests;
mod estimate;
mod looks;
pub mod series;
mod student;

use std::cmp::Ordering;

pub use estimate::{Estimate, Interval, Mean, holm};
pub use looks::{Look, level};
pub use student::t_quantile;

/// Finite numbers in ascending order, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(Vec<f64>);

/// What is said of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub p50: f64,
    pub mean: f64,
    /// Standard deviation with n - 1 below the line; 0 for a single sample.
    pub sd: f64,
    pub min: f64,
    pub p90: f64,
    pub p99: f64,
}

impl Samples {
    /// The finite ones of the values; `None` if there are none.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then_some(Self(sorted))
    }

    /// Samples from counts of nanoseconds; `None` if there are none.
    pub fn from_ns<'a>(ns: impl IntoIterator<Item = &'a u64>) -> Option<Self> {
        Self::new(ns.into_iter().map(|&n| n as f64))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The value below which the share `p` (0 to 1) of the samples lies, interpolated linearly between the
    /// two samples around position `p (n - 1)` (definition 7 of Hyndman and Fan, that of R and NumPy).
    pub fn quantile(&self, p: f64) -> f64 {
        let position = p.clamp(0.0, 1.0) * (self.0.len() - 1) as f64;
        let below = self.0[position.floor() as usize];
        let above = self.0[position.ceil() as usize];
        below + (above - below) * position.fract()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Standard deviation with n - 1 below the line; 0 for a single sample.
    pub fn sd(&self) -> f64 {
        if self.0.len() < 2 {
            return 0.0;
        }
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|v| (v - mean).powi(2)).sum();
        (squares / (self.0.len() - 1) as f64).sqrt()
    }

    pub fn min(&self) -> f64 {
        self.0[0]
    }

    pub fn summary(&self) -> Summary {
        Summary {
            p50: self.median(),
            mean: self.mean(),
            sd: self.sd(),
            min: self.min(),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
        }
    }
}

/// The value in the middle of the sorted ones, the higher of two if their number is even; `None` if there are none.
///
/// It is one that was measured, where [`Samples::median`] lies between two.
pub fn median_high<T>(mut values: Vec<T>, compare: impl FnMut(&T, &T) -> Ordering) -> Option<T> {
    values.sort_unstable_by(compare);
    let middle = values.len() / 2;
    values.into_iter().nth(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.iter().copied()).expect("test samples")
    }

    #[test]
    fn quantiles_interpolate_as_r_and_numpy_do() {
        let s = samples(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(s.median(), 2.5);
        assert_eq!(s.quantile(0.0), 1.0);
        assert_eq!(s.quantile(1.0), 4.0);
        assert!((s.quantile(0.9) - 3.7).abs() < 1e-12);
        assert!((s.quantile(0.25) - 1.75).abs() < 1e-12);
    }

    #[test]
    fn the_high_median_is_one_of_the_values() {
        assert_eq!(median_high(vec![4, 1, 3, 2], u64::cmp), Some(3));
        assert_eq!(median_high(vec![0.5, 9.0, -1.0], f64::total_cmp), Some(0.5));
        assert_eq!(median_high(vec![], u64::cmp), None);
    }

    #[test]
    fn a_single_sample_has_no_spread() {
        let s = samples(&[7.0]).summary();
        assert_eq!(s, Summary { p50: 7.0, mean: 7.0, sd: 0.0, min: 7.0, p90: 7.0, p99: 7.0 });
    }

    #[test]
    fn the_deviation_is_that_of_a_sample_not_of_a_population() {
        assert!(
            (samples(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).sd() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12
        );
    }

    #[test]
    fn what_is_not_finite_is_no_sample() {
        assert_eq!(Samples::new([f64::NAN, f64::INFINITY]), None);
        assert_eq!(Samples::new([]), None);
        assert_eq!(samples(&[f64::NAN, 1.0]).count(), 1);
    }
}
