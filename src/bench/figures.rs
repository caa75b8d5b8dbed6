//! The statistics: of the logarithms of its turns each fork has the median, and intervals are over forks.
//!
//! All figures are ratios of times, or times an element. Logarithms suit them: errors are relative, and the interval of
//! a ratio doesn't depend on which of the two is on top.

use crate::record::bench::Turns;
use crate::stats::{Estimate, Mean, Samples};

/// Logarithms of the time of a forward, ns: `[fork][round]`.
fn logs(turns: &Turns) -> impl Iterator<Item = Vec<f64>> {
    let batch = f64::from(turns.batch.max(1));
    turns.forks.iter().map(move |fork| fork.iter().map(|&ns| (ns as f64 / batch).ln()).collect())
}

/// The mean of forks' medians with its interval, back from logarithms.
fn over_forks(forks: impl Iterator<Item = Option<f64>>, confidence: f64) -> Option<Estimate> {
    let medians = Samples::new(forks.flatten())?;
    Some(Mean::of(&medians).estimate(confidence).exp())
}

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    Samples::new(values).map(|samples| samples.median())
}

/// Time of a forward over so many elements, ns each.
pub fn per_element(turns: &Turns, elements: u64, confidence: f64) -> Option<Estimate> {
    let each = (elements.max(1) as f64).ln();
    over_forks(logs(turns).map(|fork| median(fork.into_iter().map(|log| log - each))), confidence)
}

/// Time of a forward of `a` over that of `b`, paired by rounds within forks.
pub fn ratio(a: &Turns, b: &Turns, confidence: f64) -> Option<Estimate> {
    let forks = logs(a).zip(logs(b));
    over_forks(forks.map(|(a, b)| median(a.iter().zip(&b).map(|(a, b)| a - b))), confidence)
}

/// The ratio of two times now over their ratio then, paired likewise; each pair is `[a, b]`, whose ratio is `a` to `b`.
pub fn change(then: [&Turns; 2], now: [&Turns; 2], confidence: f64) -> Option<Estimate> {
    let [a_then, b_then] = then.map(|turns| logs(turns).collect::<Vec<_>>());
    let [a, b] = now.map(|turns| logs(turns).collect::<Vec<_>>());
    let forks = (0..a.len().min(b.len()).min(a_then.len()).min(b_then.len())).map(|fork| {
        let rounds = a[fork].iter().zip(&b[fork]).zip(a_then[fork].iter().zip(&b_then[fork]));
        median(rounds.map(|((a, b), (a_then, b_then))| (a - b) - (a_then - b_then)))
    });
    over_forks(forks, confidence)
}

/// The ends of an estimate's interval, as records have them.
pub fn interval(estimate: &Estimate) -> Option<[f64; 2]> {
    estimate.interval.map(|i| [i.low, i.high])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Turns in which a forward takes `base` ns times the fork's speed, with noise in the rounds.
    pub fn turns(base: u64, speeds: &[u64]) -> Turns {
        let fork = |speed: &u64| [100, 99, 101, 100, 130].map(|noise| base * speed * noise / 1000).to_vec();
        Turns { batch: 10, batches: 1, forks: speeds.iter().map(fork).collect() }
    }

    #[test]
    fn a_forks_figure_is_its_median_and_the_interval_is_over_forks() {
        // A forward of 1,000 ns: 10 of them in a batch, over 500 elements.
        let all = per_element(&turns(1000, &[100, 100, 100]), 500, 0.99).unwrap();
        assert!((all.point - 2.0).abs() < 1e-9, "{all:?}");
        let spread = per_element(&turns(1000, &[100, 110, 90]), 500, 0.99).unwrap();
        let [low, high] = interval(&spread).unwrap();
        assert!(low < 1.9 && high > 2.1 && (low * high - spread.point.powi(2)).abs() < 1e-9);
        assert_eq!(per_element(&turns(1000, &[100]), 500, 0.99).unwrap().interval, None);
        assert_eq!(per_element(&Turns::default(), 500, 0.99), None);
    }

    #[test]
    fn ratios_are_paired_so_that_a_slow_process_cancels() {
        let speeds = [100, 150, 80];
        let ratio = ratio(&turns(3000, &speeds), &turns(1000, &speeds), 0.99).unwrap();
        let [low, high] = interval(&ratio).unwrap();
        assert!((ratio.point - 3.0).abs() < 1e-3 && high - low < 0.01, "{ratio:?}");
        let [small, large] = [turns(1000, &speeds), turns(4000, &speeds)];
        let [small_base, large_base] = [turns(500, &speeds), turns(1000, &speeds)];
        let change = change([&small, &small_base], [&large, &large_base], 0.99).unwrap();
        assert!((change.point - 2.0).abs() < 1e-3, "{change:?}");
    }

    #[test]
    fn batches_of_other_sizes_are_the_same_forward() {
        let mut twice = turns(1000, &[100, 100]);
        twice.batch = 20;
        twice.forks.iter_mut().flatten().for_each(|ns| *ns *= 2);
        let same = ratio(&twice, &turns(1000, &[100, 100]), 0.99).unwrap();
        assert!((same.point - 1.0).abs() < 1e-9);
    }
}
