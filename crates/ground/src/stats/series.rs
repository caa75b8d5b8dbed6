//! Samples in the order in which they were taken: whether they drift, hang together, or have outliers.

use super::Samples;

/// Samples outside Tukey's fences: beyond 1.5 (mild) or 3 (severe) times the distance of the quartiles from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outliers {
    pub mild: usize,
    pub severe: usize,
}

/// Fewer samples have no quartiles worth the name.
const FEWEST_FOR_FENCES: usize = 8;

/// Counts outliers; none where there are too few samples to tell.
pub fn outliers(samples: &Samples) -> Outliers {
    if samples.count() < FEWEST_FOR_FENCES {
        return Outliers::default();
    }
    let (low, high) = (samples.quantile(0.25), samples.quantile(0.75));
    let beyond = |times: f64| {
        let fence = times * (high - low);
        samples.0.iter().filter(|&&v| v < low - fence || v > high + fence).count()
    };
    let severe = beyond(3.0);
    Outliers { mild: beyond(1.5) - severe, severe }
}

/// The correlation of each sample with the next, -1 to 1; `None` of fewer than four, or if all are equal.
pub fn autocorrelation(series: &[f64]) -> Option<f64> {
    if series.len() < 4 {
        return None;
    }
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    let around: Vec<f64> = series.iter().map(|v| v - mean).collect();
    let all: f64 = around.iter().map(|v| v * v).sum();
    let next: f64 = around.windows(2).map(|pair| pair[0] * pair[1]).sum();
    (all > 0.0).then(|| next / all)
}

/// The logarithm of the last third's median over the first third's; `None` of fewer than six.
pub fn drift(series: &[f64]) -> Option<f64> {
    let third = series.len() / 3;
    if third < 2 {
        return None;
    }
    let median = |part: &[f64]| Some(Samples::new(part.iter().copied())?.median());
    Some((median(&series[series.len() - third..])? / median(&series[..third])?).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nearly normal numbers around 0 from a fixed seed.
    fn noise(n: usize) -> Vec<f64> {
        let mut state = 5u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..n).map(|_| (0..12).map(|_| uniform()).sum()).collect()
    }

    fn found(values: &[f64]) -> Outliers {
        outliers(&Samples::new(values.iter().copied()).expect("samples"))
    }

    #[test]
    fn outliers_lie_beyond_tukeys_fences() {
        // Quartiles 2 and 6 of 0 to 8: fences at -4 and 12, and at -10 and 18.
        let steady: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(found(&steady), Outliers::default());
        let two = [steady.clone(), vec![13.5, 30.0]].concat();
        assert_eq!(found(&two), Outliers { mild: 0, severe: 1 }, "the quartiles move with them");
        assert_eq!(found(&[1.0, 1.0, 99.0]), Outliers::default(), "too few");
        let normal = found(&noise(10_000));
        assert!((20..140).contains(&normal.mild) && normal.severe < 5, "0.7% of normal samples: {normal:?}");
    }

    #[test]
    fn independent_samples_are_not_correlated_and_slow_waves_are() {
        assert!(autocorrelation(&noise(1000)).expect("enough").abs() < 0.1);
        let wave: Vec<f64> = (0..100).map(|i| f64::from(i / 25 % 2)).collect();
        assert!(autocorrelation(&wave).expect("enough") > 0.9);
        let alternating: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        assert!(autocorrelation(&alternating).expect("enough") < -0.9);
        assert_eq!((autocorrelation(&[1.0; 9]), autocorrelation(&[1.0, 2.0, 3.0])), (None, None));
    }

    #[test]
    fn a_machine_that_throttles_drifts() {
        let slowing: Vec<f64> = (0..30).map(|i| 100.0 + f64::from(i)).collect();
        let drift = super::drift(&slowing).expect("enough").exp();
        assert!((drift - 124.5 / 104.5).abs() < 1e-12);
        assert_eq!(super::drift(&[1.0, 1.0, 1.0, 2.0, 2.0]), None);
    }
}
