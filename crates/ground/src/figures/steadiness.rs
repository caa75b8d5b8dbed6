//! How steady the plain runs of a variant were.

use crate::record::{Fork, Steadiness};
use crate::stats::{Mean, Samples, series};

/// Outliers, drift and autocorrelation of the runs of all forks; `None` without a run.
pub fn steadiness(forks: &[Fork], confidence: f64) -> Option<Steadiness> {
    let series = |fork: &Fork| fork.rounds.iter().flatten().map(|&ns| ns as f64).collect::<Vec<f64>>();
    let all: Vec<Vec<f64>> = forks.iter().map(series).filter(|s| !s.is_empty()).collect();
    let counted = all.iter().filter_map(|s| Some(series::outliers(&Samples::new(s.iter().copied())?)));
    let outliers = counted.fold((0, 0), |(mild, severe), o| (mild + o.mild, severe + o.severe));
    let drift = Samples::new(all.iter().filter_map(|s| series::drift(s)));
    let drift = drift.map(|d| Mean::of(&d).estimate(confidence).exp());
    let correlation = Samples::new(all.iter().filter_map(|s| series::autocorrelation(s)));
    (!all.is_empty()).then(|| Steadiness {
        runs: all.iter().map(Vec::len).sum(),
        outliers_mild: outliers.0,
        outliers_severe: outliers.1,
        drift: drift.map(|d| d.point),
        drift_interval: drift.and_then(|d| d.interval).map(|i| [i.low, i.high]),
        autocorrelation: correlation.map(|c| c.mean()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_get_slower_in_every_fork_drift_and_one_that_was_disturbed_is_an_outlier() {
        let fork = |offset: u64| {
            let mut runs: Vec<u64> = (0..12).map(|i| 1000 + offset + 10 * i).collect();
            runs[5] = 9000;
            Fork { rounds: runs.chunks(3).map(<[u64]>::to_vec).collect(), ..Fork::default() }
        };
        let s = steadiness(&[fork(0), fork(3), fork(1)], 0.99).expect("runs");
        assert_eq!((s.runs, s.outliers_mild, s.outliers_severe), (36, 0, 3));
        let [low, high] = s.drift_interval.expect("three forks");
        assert!(low > 1.06 && high < 1.09 && s.autocorrelation.is_some(), "{s:?}");
        assert_eq!(steadiness(&[Fork::default()], 0.99), None);
    }
}
