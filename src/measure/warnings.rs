//! What about the measurement itself makes its numbers less sure. Warnings about the machine are `environment`'s.

use crate::figures;
use crate::record::{Settings, Variant};
use crate::stats::Samples;
use crate::units;

/// Forks below which Student's t makes intervals very wide: at 99%, 9.9 standard errors for three.
const FEW_FORKS: usize = 4;

/// Difference between the medians of forks that is worth a warning, as a share.
const DRIFT: f64 = 0.1;

/// A drift within forks that is worth a warning, as a share, if its interval excludes none.
const DRIFT_WITHIN: f64 = 0.03;

/// A sentence for each, the gravest first.
pub fn warnings(settings: &Settings, variants: &[Variant]) -> Vec<String> {
    let left_out = |(variant, steady): (&Variant, figures::Steady)| {
        variant.forks.len() - steady.iter().flatten().count()
    };
    let odd: Vec<usize> = variants.iter().zip(figures::steady(variants)).map(left_out).collect();
    let all = [
        cut_short(settings),
        gone_on_with(settings),
        odd_processes(variants, &odd),
        changed_speed(variants, &odd),
        drifting(variants),
        unsettled(variants),
    ];
    all.into_iter().flatten().collect()
}

/// Too few forks, and why.
pub fn cut_short(settings: &Settings) -> Option<String> {
    let forks = units::count(settings.forks, "fork");
    if let Some(lost) = &settings.lost {
        Some(format!("incomplete, only {forks}: {lost}"))
    } else if settings.interrupted {
        let rounds = units::count(settings.rounds.iter().sum(), "round");
        Some(format!("interrupted after {rounds} in {forks}: intervals are wide"))
    } else {
        let few = settings.forks < FEW_FORKS;
        few.then(|| format!("only {forks}: intervals are wide; give more --time"))
    }
}

fn gone_on_with(settings: &Settings) -> Option<String> {
    (settings.resumed > 0).then(|| {
        let times = units::count(settings.resumed, "time");
        format!("gone on with {times} after it was cut off: not all forks are of one sitting")
    })
}

/// A warning names as many variants at most; of more it says how many.
const NAMED: usize = 3;

/// Processes that are left out (see [`figures::steady`]); `odd` is their number by variant.
fn odd_processes(variants: &[Variant], odd: &[usize]) -> Option<String> {
    let odd: Vec<(&Variant, usize)> =
        variants.iter().zip(odd.iter().copied()).filter(|&(_, n)| n > 0).collect();
    let which = if odd.len() > NAMED {
        let of_all = variants.iter().map(|v| v.forks.len()).sum::<usize>();
        let all = odd.iter().map(|(_, n)| n).sum::<usize>();
        format!("{all} of {of_all}, of {} variants", odd.len())
    } else {
        let each = odd.iter().map(|(v, n)| format!("{n} of {} of {}", v.forks.len(), v.name));
        each.collect::<Vec<_>>().join(", ")
    };
    (!odd.is_empty()).then(|| {
        format!(
            "processes that ran far slower than others of the same variant, all their life long: {which}; they are \
             left out of ratios and of the ops' times, and kept in the record"
        )
    })
}

/// Forks that differ, by the first variant without odd processes.
fn changed_speed(variants: &[Variant], odd: &[usize]) -> Option<String> {
    let measured = |v: &&Variant| v.forks.iter().any(|f| !f.rounds.is_empty());
    let steady = variants.iter().zip(odd).filter(|(_, n)| **n == 0).map(|(v, _)| v).find(measured)?;
    let of_forks = steady.forks.iter().filter_map(|f| Samples::from_ns(f.rounds.iter().flatten()));
    let medians = Samples::new(of_forks.map(|s| s.median()))?;
    (medians.quantile(1.0) > (1.0 + DRIFT) * medians.min()).then(|| {
        let share = 100.0 * (medians.quantile(1.0) / medians.min() - 1.0);
        format!(
            "speed changed by {share:.0}% between forks: ratios are paired and hold, latencies hold less; \
             stop other programs"
        )
    })
}

/// Variants whose runs get slower or faster within a fork.
fn drifting(variants: &[Variant]) -> Option<String> {
    let drifts = variants.iter().filter_map(|v| {
        let s = v.steadiness?;
        let (drift, [low, high]) = (s.drift?, s.drift_interval?);
        let sure = low > 1.0 || high < 1.0;
        (sure && (drift - 1.0).abs() > DRIFT_WITHIN).then_some((v.name.as_str(), 100.0 * (drift - 1.0)))
    });
    let drifts: Vec<(&str, f64)> = drifts.collect();
    let which = if drifts.len() > NAMED {
        let of =
            |pick: fn(f64, f64) -> f64| drifts.iter().map(|(_, drift)| *drift).reduce(pick).unwrap_or(0.0);
        format!("{} variants, by {:+.0} to {:+.0}%", drifts.len(), of(f64::min), of(f64::max))
    } else {
        drifts.iter().map(|(name, drift)| format!("{name} {drift:+.0}%")).collect::<Vec<_>>().join(", ")
    };
    (!drifts.is_empty()).then(|| {
        format!(
            "run times drift from the first third of a fork to the last: {which}; a device that heats up needs \
             --cool-down, another a longer --time"
        )
    })
}

/// Processes that were not yet warm when they were measured.
fn unsettled(variants: &[Variant]) -> Option<String> {
    let forks = || variants.iter().flat_map(|v| &v.forks);
    let unsettled = forks().filter(|f| f.settled == Some(false)).count();
    (unsettled > 0).then(|| {
        format!(
            "run times had not settled after the warm-up in {unsettled} of {} processes: stop other programs",
            forks().count()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fork, Role};
    use crate::report::fixture::variant;

    #[test]
    fn many_odd_processes_are_counted_and_few_are_named() {
        let variants = |n: usize| -> Vec<Variant> {
            let forks = vec![Fork::default(); 8];
            let one =
                |i| Variant { forks: forks.clone(), ..variant(&format!("v{i}"), Role::Swap, "mish", vec![]) };
            (0..n).map(one).collect()
        };
        let told = |n: usize| odd_processes(&variants(n), &vec![1; n]).expect("some are odd");
        assert!(told(2).contains("life long: 1 of 8 of v0, 1 of 8 of v1; they"), "{}", told(2));
        assert!(told(5).contains("life long: 5 of 40, of 5 variants; they"), "{}", told(5));
        assert_eq!(odd_processes(&variants(5), &[0; 5]), None);
    }
}
