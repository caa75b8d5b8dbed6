//! From numbers to what can be said of them: a variant against the original, its cost against the control.

use crate::record::{ActivationCost, Delta, Fork};
use crate::stats::{Samples, mean_estimate};

/// How far outputs are from the original's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    pub max_abs: f64,
    /// Norm of the difference over the norm of the original's outputs; over the variant's where the former is 0.
    pub relative_l2: f64,
}

/// Compares outputs of the same shapes; `None` if they are not. Pairs with a non-finite number are left out:
/// those numbers are counted elsewhere.
pub fn difference(original: &[f64], variant: &[f64]) -> Option<Difference> {
    if original.len() != variant.len() {
        return None;
    }
    let (mut max_abs, mut squares, mut of_original, mut of_variant) = (0.0f64, 0.0, 0.0, 0.0);
    for (&o, &v) in original.iter().zip(variant).filter(|(o, v)| o.is_finite() && v.is_finite()) {
        max_abs = max_abs.max((v - o).abs());
        squares += (v - o).powi(2);
        of_original += o * o;
        of_variant += v * v;
    }
    let norm = if of_original > 0.0 { of_original } else { of_variant };
    let relative_l2 = if norm > 0.0 { (squares / norm).sqrt() } else { 0.0 };
    Some(Difference { max_abs, relative_l2 })
}

/// The median ratio of latencies of `variant` over `base`, with Student's t over forks.
///
/// A fork's number is the median over its rounds of the log ratio of the turns' medians. `None` without a
/// fork in which both had a turn.
pub fn delta(against: &str, base: &[Fork], variant: &[Fork], confidence: f64) -> Option<Delta> {
    let logs = per_fork(base, variant, |base, variant| (variant / base).ln())?;
    Some(Delta::paired(against, &mean_estimate(&logs, confidence).exp()))
}

/// The paired difference to the control, ns; `p50_ns` is the variant's latency.
pub fn activation_cost(
    control: &[Fork],
    variant: &[Fork],
    p50_ns: u64,
    confidence: f64,
) -> Option<ActivationCost> {
    let differences = per_fork(control, variant, |control, variant| variant - control)?;
    let estimate = mean_estimate(&differences, confidence);
    Some(ActivationCost {
        ns: estimate.point.round() as i64,
        interval: estimate.interval.map(|i| [i.low.round() as i64, i.high.round() as i64]),
        share: if p50_ns > 0 { estimate.point / p50_ns as f64 } else { 0.0 },
    })
}

/// One number a fork: the median over rounds of what two variants' turns, by their medians, come to. Forks in
/// which either process was an odd one are left out; [`odd_processes`] tells of them.
fn per_fork(base: &[Fork], variant: &[Fork], pair: impl Fn(f64, f64) -> f64) -> Option<Samples> {
    let of_fork = |(base, variant): (&Fork, &Fork), pair: &dyn Fn(f64, f64) -> f64| {
        let turns = base.rounds.iter().zip(&variant.rounds);
        let pairs = turns.filter_map(|(b, v)| Some(pair(turn(b)?, turn(v)?)));
        Samples::new(pairs).map(|s| s.median())
    };
    let ratio = |base: f64, variant: f64| variant / base;
    let both: Vec<(&Fork, &Fork)> = base.iter().zip(variant).collect();
    let ratios: Vec<Option<f64>> = both.iter().map(|&forks| of_fork(forks, &ratio)).collect();
    let usual = usual(&ratios);
    let kept = both.iter().zip(&ratios).filter(|(_, ratio)| ratio.is_some_and(|r| !is_odd(r, usual)));
    Samples::new(kept.filter_map(|(&forks, _)| of_fork(forks, &pair)))
}

/// A process that runs this many times as long as others of the same variant, for its whole life, is odd: it
/// drew a bad place in memory, as a few in a hundred do, and says nothing of the activation.
const ODD: f64 = 1.5;

/// Forks below which none can be told to be odd.
const ENOUGH: usize = 4;

/// The median of what is known; `None` where too little is.
fn usual(values: &[Option<f64>]) -> Option<f64> {
    let known = Samples::new(values.iter().flatten().copied())?;
    (values.iter().flatten().count() >= ENOUGH).then(|| known.median())
}

fn is_odd(value: f64, usual: Option<f64>) -> bool {
    usual.is_some_and(|usual| !(usual / ODD..=usual * ODD).contains(&value))
}

/// Number of odd processes of each variant: those that took longer, relative to the variant's other forks, than
/// what the same fork did to another variant can explain.
pub fn odd_processes(variants: &[&[Fork]]) -> Vec<usize> {
    let relative = |forks: &&[Fork]| -> Vec<Option<f64>> {
        let medians: Vec<Option<f64>> =
            forks.iter().map(|f| Samples::from_ns(f.rounds.iter().flatten()).map(|s| s.median())).collect();
        let usual = usual(&medians);
        medians.iter().map(|m| Some((*m)? / usual?)).collect()
    };
    let relative: Vec<Vec<Option<f64>>> = variants.iter().map(relative).collect();
    let least = |fork: usize| {
        relative.iter().filter_map(|v| v.get(fork).copied().flatten()).fold(f64::INFINITY, f64::min)
    };
    let odd = |(fork, value): (usize, &Option<f64>)| value.is_some_and(|v| v > ODD * least(fork));
    relative.iter().map(|v| v.iter().enumerate().filter(|&(f, v)| odd((f, v))).count()).collect()
}

/// Profiled over plain run time: the fork's median ratio of turns in the same round, averaged over forks.
pub fn overhead_ratio(forks: &[Fork]) -> Option<f64> {
    let of_fork = |fork: &Fork| {
        let ratio = |p: &crate::record::ProfiledRound| {
            Some((turn(&p.runs_ns)? / turn(fork.rounds.get(p.round)?)?).ln())
        };
        Samples::new(fork.profiled_rounds.iter().filter_map(ratio)).map(|s| s.median())
    };
    Samples::new(forks.iter().filter_map(of_fork)).map(|s| s.mean().exp())
}

fn turn(runs_ns: &[u64]) -> Option<f64> {
    Samples::from_ns(runs_ns).map(|s| s.median())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Verdict;

    /// Forks of three rounds of two runs, each fork with its own speed.
    fn forks(ns: u64, speeds: &[u64]) -> Vec<Fork> {
        let round = |speed: u64, r: u64| vec![ns * (speed + r) / 100, ns * (speed + r) / 100 + 2];
        speeds
            .iter()
            .map(|&s| Fork { rounds: (0..3).map(|r| round(s, r)).collect(), ..Fork::default() })
            .collect()
    }

    #[test]
    fn pairing_cancels_what_a_fork_does_to_all() {
        let speeds = [100, 130, 90, 111];
        let d =
            delta("original", &forks(1_000_000, &speeds), &forks(1_100_000, &speeds), 0.99).expect("paired");
        assert!((d.ratio - 1.1).abs() < 1e-5, "{d:?}");
        assert_eq!(d.verdict, Verdict::Slower);
        assert!(d.resolution.expect("four forks") < 1e-4);
    }

    #[test]
    fn an_odd_process_is_told_and_not_averaged() {
        let base = forks(1_000_000, &[100, 101, 250, 100, 99, 100]);
        let variant = forks(1_100_000, &[100, 101, 100, 100, 99, 100]);
        let d = delta("original", &base, &variant, 0.99).expect("paired");
        assert!((d.ratio - 1.1).abs() < 1e-4 && d.verdict == Verdict::Slower, "{d:?}");
        assert_eq!(odd_processes(&[&base, &variant, &variant]), [1, 0, 0]);
        // A machine that slows down does so to all: nothing is odd.
        let slowing = [100, 100, 190, 200, 200];
        let (base, variant) = (forks(1000, &slowing), forks(1100, &slowing));
        assert_eq!(odd_processes(&[&base, &variant]), [0, 0]);
    }

    #[test]
    fn the_same_again_is_no_difference() {
        let d = delta("original", &forks(1000, &[100, 101, 99]), &forks(1000, &[101, 100, 99]), 0.9)
            .expect("paired");
        assert_eq!(d.verdict, Verdict::None, "{d:?}");
    }

    #[test]
    fn a_wide_interval_is_inconclusive_and_so_is_a_single_fork() {
        let base = forks(1000, &[100, 100, 100, 100]);
        let wild = delta("original", &base, &forks(1000, &[80, 130, 95, 120]), 0.99).expect("paired");
        assert_eq!(wild.verdict, Verdict::Inconclusive);
        let single = delta("original", &base[..1], &forks(1500, &[100]), 0.99).expect("paired");
        assert_eq!((single.verdict, single.interval, single.resolution), (Verdict::Inconclusive, None, None));
    }

    #[test]
    fn what_never_ran_together_is_not_compared() {
        assert_eq!(delta("original", &[], &forks(1, &[1]), 0.99), None);
        assert_eq!(delta("original", &[Fork::default()], &forks(1, &[1]), 0.99), None);
    }

    #[test]
    fn an_activation_costs_the_difference_to_the_control() {
        let speeds = [100, 120, 80, 100];
        let cost = activation_cost(&forks(900_000, &speeds), &forks(1_000_000, &speeds), 1_010_000, 0.99);
        let cost = cost.expect("paired");
        assert!((cost.ns - 101_000).abs() <= 1, "{cost:?}");
        assert!((cost.share - 0.1).abs() < 1e-4);
        let [low, high] = cost.interval.expect("four forks");
        assert!(low < cost.ns && cost.ns < high);
    }

    #[test]
    fn outputs_are_compared_where_both_are_numbers() {
        let d = difference(&[3.0, 4.0, f64::NAN], &[3.0, 4.5, 1.0]).expect("same shape");
        assert_eq!(d, Difference { max_abs: 0.5, relative_l2: 0.1 });
        assert_eq!(difference(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(difference(&[0.0], &[2.0]).map(|d| d.relative_l2), Some(1.0));
        assert_eq!(difference(&[0.0], &[0.0]).map(|d| d.relative_l2), Some(0.0));
    }
}
