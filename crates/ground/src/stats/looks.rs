//! Looking at a measurement before its end, so that what is said then holds as surely as if nobody had looked.
//!
//! Who looks again and again, and stops when he sees a difference, sees one too often. So the probability of a false alarm that
//! the whole may have is spent bit by bit, by the share of the replications that are there: little at first, nearly all at the end
//! (the spending function of Lan and DeMets 1983 that comes near to the boundaries of O'Brien and Fleming 1979). What was spent by
//! then fixes the boundary of each look, by the recursion of Armitage, McPherson and Rowe (1969) for sums of normal numbers; its
//! level is then that of Student's t (Jennison and Turnbull 2000, 3.8). An interval of that level is a repeated confidence
//! interval: those of all looks hold together.
//!
//! Simulated at 99%, with looks after 4, 6, 8, 10, 12, 15, 18 and 24 of 24 forks: 1.0% of false alarms for normal forks, 0.6% for such
//! with t's distribution of 3 degrees of freedom, 0.4% where one fork in ten scatters five times as much. Of the power of the
//! fixed plan (85%), a point is lost, with 8 or 12 forks two; with Holm's procedure for 8 variants two to four. Kim and DeMets'
//! cubic spending ends a look earlier and loses two points more. Holm's shares of the level are spent each by itself: boundaries of
//! the whole level whose levels are divided win nothing.

/// A look: after how many replications, of how many that were planned then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub done: usize,
    pub of: usize,
}

/// The share of the level that several looks may spend. Boundaries that are exact for sums of normal numbers are crossed somewhat
/// too often where the deviation is estimated: 1.09 times where 8 or 12 replications are planned, 1.03 times with 24 (of a
/// million). So it is never more than the level.
const SPENT: f64 = 0.92;

/// The level that a test has at the last of these looks, both directions together, where all of them have the level `alpha`
/// together. It is `alpha` itself where there is no look but the last one, and 0 where nothing is left.
pub fn level(looks: &[Look], alpha: f64) -> f64 {
    match looks {
        [] => alpha,
        [only] if only.done >= only.of => alpha,
        several => last(several, SPENT * alpha),
    }
}

/// The same of a known deviation.
fn last(looks: &[Look], alpha: f64) -> f64 {
    let mut before: Option<Inside> = None;
    let (mut spent, mut level) = (0.0f64, alpha);
    for look in looks {
        let (done, all) = (look.done as f64, spent.max(spending(look.done as f64 / look.of as f64, alpha)));
        let bound = match &before {
            None => boundary(all, done, |bound| 2.0 * normal_tail(bound / done.sqrt())),
            Some(inside) if inside.done < done => {
                boundary(all - spent, done, |bound| inside.leaves(done, bound))
            }
            // The same numbers once more.
            Some(_) => continue,
        };
        level = 2.0 * normal_tail(bound / done.sqrt());
        before = Some(Inside::new(before.as_ref(), done, bound));
        spent = all;
    }
    level
}

/// What may be spent when this share of the replications is there: twice what each direction has, of which each may spend half.
fn spending(share: f64, alpha: f64) -> f64 {
    if share >= 1.0 {
        return alpha;
    }
    let end = smallest(0.0, 40.0, |z| normal_tail(z) <= alpha / 4.0);
    4.0 * normal_tail(end / share.max(0.0).sqrt())
}

/// The sum beyond which the probability is no more than `left`; beyond all numbers if nothing is left.
fn boundary(left: f64, done: f64, beyond: impl Fn(f64) -> f64) -> f64 {
    if left > 0.0 { smallest(0.0, 40.0 * done.sqrt(), |bound| beyond(bound) <= left) } else { f64::INFINITY }
}

/// Where a condition begins to hold that holds from there on.
fn smallest(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}

/// The density of the sum of so many standard normal numbers that lay within the boundary at every look.
struct Inside {
    done: f64,
    /// Places, and the density at each times its weight in a sum that stands for an integral (Simpson's rule).
    mass: Vec<(f64, f64)>,
}

/// A step of the places, in deviations of what the next look adds.
const STEP: f64 = 0.25;

/// Deviations beyond which there is nothing.
const FAR: f64 = 9.0;

impl Inside {
    fn new(before: Option<&Self>, done: f64, bound: f64) -> Self {
        let more = done - before.map_or(0.0, |before| before.done);
        let density = |at: f64| match before {
            None => normal(at, more),
            Some(before) => before.mass.iter().map(|(from, mass)| mass * normal(at - from, more)).sum(),
        };
        let end = bound.min(FAR * done.sqrt());
        // The next look may add less than this one: one replication at least.
        let pairs = (end / (STEP * more.min(2.0).sqrt())).ceil().max(8.0);
        let (step, last) = (end / pairs, 2 * pairs as usize);
        let weight = |place: usize| match place {
            0 => step / 3.0,
            _ if place == last => step / 3.0,
            _ if place.is_multiple_of(2) => step * 2.0 / 3.0,
            _ => step * 4.0 / 3.0,
        };
        let mass = |place: usize| {
            let at = place as f64 * step - end;
            (at, weight(place) * density(at))
        };
        Self { done, mass: (0..=last).map(mass).collect() }
    }

    /// The probability that the sum leaves the boundary when there are so many numbers, and not before.
    fn leaves(&self, done: f64, bound: f64) -> f64 {
        let deviation = (done - self.done).sqrt();
        let beyond = |at: f64| normal_tail((bound - at) / deviation) + normal_tail((bound + at) / deviation);
        self.mass.iter().map(|&(at, mass)| mass * beyond(at)).sum()
    }
}

/// The density of a normal number of mean 0.
fn normal(at: f64, variance: f64) -> f64 {
    (-0.5 * at * at / variance).exp() / (2.0 * std::f64::consts::PI * variance).sqrt()
}

/// The probability that a standard normal number is above this.
fn normal_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - normal_tail(-z);
    }
    if z < 3.0 {
        let mut term = z;
        let mut sum = z;
        for odd in (3..200).step_by(2) {
            term *= z * z / f64::from(odd);
            sum += term;
            if term < 1e-17 * sum {
                break;
            }
        }
        return 0.5 - normal(z, 1.0) * sum;
    }
    // Laplace's continued fraction, from the inside out.
    normal(z, 1.0) / (1..=40).rev().fold(z, |inner, n| z + f64::from(n) / inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::stats::student::t_tail;
    use crate::stats::{holm, t_quantile};

    fn looks(done: &[usize]) -> Vec<Look> {
        let of = done.last().copied().unwrap_or(0);
        done.iter().map(|&done| Look { done, of }).collect()
    }

    /// The boundaries as normal numbers.
    fn bounds(done: &[usize], alpha: f64) -> Vec<f64> {
        let looks = looks(done);
        let bound = |upto: usize| {
            let level = last(&looks[..upto], alpha);
            smallest(0.0, 40.0, |z| 2.0 * normal_tail(z) <= level)
        };
        (1..=looks.len()).map(bound).collect()
    }

    #[test]
    fn a_normal_tail_is_that_of_the_tables() {
        for (z, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_9),
            (1.959_963_985, 0.025),
            (2.999_999, 1.349_902_5e-3),
            (3.0, 1.349_898_0e-3),
            (5.0, 2.866_515_7e-7),
            (10.0, 7.619_853e-24),
            (-1.0, 0.841_344_746_1),
        ] {
            let error = normal_tail(z) / tail - 1.0;
            assert!(error.abs() < 1e-6, "{z}: off by {error:e}");
        }
    }

    #[test]
    fn boundaries_are_those_that_are_published() {
        // Five looks at 5% of both directions: Lan and DeMets (1983) and all programs since.
        let found = bounds(&[1, 2, 3, 4, 5], 0.05);
        let published = [4.877, 3.357, 2.680, 2.290, 2.031];
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 2e-3;
        assert!(found.iter().zip(&published).all(near), "{found:?}");
        // Two looks, of which the first has half: 2.963, 1.969.
        let found = bounds(&[12, 24], 0.05);
        assert!(found.iter().zip(&[2.963, 1.969]).all(near), "{found:?}");
    }

    #[test]
    fn one_look_has_it_all_and_after_that_nothing_is_left() {
        assert!((level(&looks(&[24]), 0.01) - 0.01).abs() < 1e-12);
        assert_eq!(level(&[], 0.01), 0.01);
        let again = [Look { done: 24, of: 24 }, Look { done: 30, of: 30 }];
        assert_eq!(level(&again, 0.01), 0.0);
        let twice = [Look { done: 6, of: 24 }, Look { done: 6, of: 24 }];
        assert_eq!(level(&twice, 0.01), level(&twice[..1], 0.01));
    }

    #[test]
    fn a_plan_that_gets_longer_or_shorter_takes_back_nothing() {
        let shorter = [Look { done: 6, of: 24 }, Look { done: 8, of: 8 }];
        let planned = [Look { done: 6, of: 8 }, Look { done: 8, of: 8 }];
        assert!(level(&shorter, 0.01) > level(&planned, 0.01), "less was spent at its first look");
        let longer = [Look { done: 6, of: 8 }, Look { done: 8, of: 24 }];
        assert_eq!(level(&longer, 0.01), 0.0, "more was spent than a third of the whole may");
    }

    #[test]
    fn more_looks_leave_less_for_the_last() {
        let last = |done: &[usize]| level(&looks(done), 0.01);
        let all: Vec<usize> = (6..=24).collect();
        let [one, few, many] = [last(&[24]), last(&[6, 8, 10, 12, 15, 18, 24]), last(&all)];
        assert!(0.006 < many && many < few && few < one, "{one} {few} {many}");
        let hundreds: Vec<usize> = (1..=40).map(|n| 5 * n).collect();
        assert!((0.004..0.01).contains(&last(&hundreds)));
    }

    /// What forks' numbers are like: their deviation is 1.
    #[derive(Clone, Copy, Debug)]
    enum Forks {
        Normal,
        /// Student's t with 3 degrees of freedom.
        HeavyTails,
        /// One in ten scatters five times as much as the others.
        Disturbed,
    }

    fn draw(random: &mut SplitMix64, forks: Forks) -> f64 {
        let mut normal = || {
            let radius = (-2.0 * (1.0 - random.unit(53)).ln()).sqrt();
            radius * (2.0 * std::f64::consts::PI * random.unit(53)).cos()
        };
        match forks {
            Forks::Normal => normal(),
            Forks::HeavyTails => {
                let freedom: f64 = (0..3).map(|_| normal().powi(2)).sum();
                normal() / freedom.sqrt()
            }
            Forks::Disturbed => {
                let scatter = if random.unit(53) < 0.1 { 5.0 } else { 1.0 };
                let radius = (-2.0 * (1.0 - random.unit(53)).ln()).sqrt();
                scatter * radius * (2.0 * std::f64::consts::PI * random.unit(53)).cos() / 3.4f64.sqrt()
            }
        }
    }

    /// How many standard errors the interval reaches at each look.
    fn reach(done: &[usize]) -> Vec<f64> {
        let looks = looks(done);
        let at = |upto: usize| {
            t_quantile(1.0 - 0.5 * level(&looks[..upto], 0.01), looks[upto - 1].done as f64 - 1.0)
        };
        (1..=looks.len()).map(at).collect()
    }

    /// The largest logarithm of a ratio that is no difference.
    const MARGIN: f64 = 0.019_8;

    /// The verdict, 1 or -1 for a difference, 0 for none, nothing if it is open to the end; and after how many forks.
    fn verdict(forks: &[f64], done: &[usize], reach: &[f64]) -> (Option<i8>, usize) {
        for (&n, reach) in done.iter().zip(reach) {
            let mean = forks[..n].iter().sum::<f64>() / n as f64;
            let squares: f64 = forks[..n].iter().map(|x| (x - mean).powi(2)).sum();
            let half = reach * (squares / (n as f64 - 1.0) / n as f64).sqrt();
            match () {
                () if mean - half > 0.0 => return (Some(1), n),
                () if mean + half < 0.0 => return (Some(-1), n),
                () if mean.abs() + half < MARGIN => return (Some(0), n),
                () => {}
            }
        }
        (None, forks.len())
    }

    const LOOKS: [usize; 8] = [4, 6, 8, 10, 12, 15, 18, 24];

    /// Shares of so many measurements, by the plan that is looked at and by the fixed one: a difference is told, and none is;
    /// and forks that were made.
    fn shares(tries: usize, kind: Forks, truth: f64, deviation: f64) -> [[f64; 3]; 2] {
        let plans = [&LOOKS[..], &LOOKS[7..]].map(|done| (done, reach(done)));
        let mut random = SplitMix64::new(11);
        let mut told = [[0.0; 3]; 2];
        for _ in 0..tries {
            let forks: Vec<f64> = (0..24).map(|_| truth + deviation * draw(&mut random, kind)).collect();
            for ((done, reach), told) in plans.iter().zip(&mut told) {
                let (verdict, after) = verdict(&forks, done, reach);
                told[0] += f64::from(u8::from(verdict.is_some_and(|v| v != 0)));
                told[1] += f64::from(u8::from(verdict == Some(0)));
                told[2] += after as f64;
            }
        }
        told.map(|sums| sums.map(|sum| sum / tries as f64))
    }

    /// With this deviation the fixed plan finds a difference of 2% in 85 of 100 measurements.
    const DEVIATION: f64 = 0.0249;

    #[test]
    fn looking_makes_no_more_false_alarms_and_takes_little_of_the_power() {
        for kind in [Forks::Normal, Forks::HeavyTails, Forks::Disturbed] {
            // Three standard errors of so many tries are 0.2%.
            let [looked, _] = shares(20_000, kind, 0.0, DEVIATION);
            assert!(looked[0] <= 0.012, "{kind:?}: {} false alarms", looked[0]);
            let [looked, fixed] = shares(8_000, kind, 1.02f64.ln(), DEVIATION);
            assert!((0.8..0.9).contains(&fixed[0]), "{kind:?}: the fixed plan finds {}", fixed[0]);
            assert!(looked[0] > fixed[0] - 0.03, "{kind:?}: {} of {}", looked[0], fixed[0]);
            assert!(looked[1] < 0.01, "{kind:?}: none is told of 2% in {}", looked[1]);
        }
    }

    #[test]
    fn what_is_clear_is_known_in_half_the_forks() {
        for kind in [Forks::Normal, Forks::HeavyTails, Forks::Disturbed] {
            let [looked, _] = shares(2_000, kind, 1.1f64.ln(), DEVIATION);
            assert!(looked[0] > 0.99 && looked[2] < 12.0, "{kind:?}: 10% slower: {looked:?}");
            let [looked, _] = shares(2_000, kind, 0.0, DEVIATION / 3.0);
            assert!(looked[1] > 0.99 && looked[2] < 12.0, "{kind:?}: no difference: {looked:?}");
        }
    }

    /// What Holm's procedure asks at a look: by how many variants are tried, the level and how many standard errors it is.
    struct Asked {
        forks: usize,
        by_tries: Vec<(f64, f64)>,
    }

    fn asked(done: &[usize], variants: usize) -> Vec<Asked> {
        let looks = looks(done);
        let at = |upto: usize| {
            let forks = looks[upto - 1].done;
            let one = |tries: usize| {
                let level = level(&looks[..upto], 0.01 / tries as f64);
                (level, t_quantile(1.0 - 0.5 * level, forks as f64 - 1.0))
            };
            Asked { forks, by_tries: (1..=variants).map(one).collect() }
        };
        (1..=looks.len()).map(at).collect()
    }

    /// Verdicts of variants that are compared with one original, together by Holm's procedure: whether any is false, and the
    /// share of differences that are told.
    fn together(random: &mut SplitMix64, truths: &[f64], plan: &[Asked]) -> (bool, f64) {
        let mut forks = |truth: f64| -> Vec<f64> {
            (0..24).map(|_| truth + DEVIATION * 0.5f64.sqrt() * draw(random, Forks::Normal)).collect()
        };
        let original = forks(0.0);
        let pair = |&truth: &f64| -> Vec<f64> {
            forks(truth).iter().zip(&original).map(|(own, base)| own - base).collect()
        };
        let pairs: Vec<Vec<f64>> = truths.iter().map(pair).collect();
        for Asked { forks, by_tries } in plan {
            let n = *forks as f64;
            let means = pairs.iter().map(|pairs| {
                let mean = pairs[..*forks].iter().sum::<f64>() / n;
                let squares: f64 = pairs[..*forks].iter().map(|x| (x - mean).powi(2)).sum();
                (mean, (squares / (n - 1.0) / n).sqrt())
            });
            let means: Vec<(f64, f64)> = means.collect();
            let tails: Vec<Option<f64>> =
                means.iter().map(|(mean, error)| Some(t_tail(mean.abs() / error, n - 1.0))).collect();
            let needed = holm(&tails, 0.99, |alpha| by_tries[(0.01 / alpha).round() as usize - 1].0);
            let told = |((mean, error), needed): (&(f64, f64), &f64)| {
                let (_, reach) = by_tries.iter().find(|(level, _)| 1.0 - level == *needed).expect("asked");
                match mean.abs() {
                    far if far > reach * error => Some(true),
                    far if far + reach * error < MARGIN => Some(false),
                    _ => None,
                }
            };
            let told: Vec<Option<bool>> = means.iter().zip(&needed).map(told).collect();
            if *forks == 24 || told.iter().all(Option::is_some) {
                let called = |differ: bool| {
                    (0..truths.len())
                        .filter(move |&at| (truths[at] != 0.0) == differ)
                        .filter(|&at| told[at] == Some(true))
                        .count()
                };
                let differ = truths.iter().filter(|&&truth| truth != 0.0).count();
                return (called(false) > 0, called(true) as f64 / differ.max(1) as f64);
            }
        }
        unreachable!("the last look is the end")
    }

    #[test]
    fn verdicts_of_several_variants_hold_together_whenever_it_ends() {
        let plans = [&LOOKS[..], &LOOKS[7..]].map(|done| asked(done, 4));
        let two = 1.02f64.ln();
        for (truths, tries) in [([0.0; 4], 6000), ([0.0, two, two, two], 2000)] {
            let [looked, fixed] = plans.each_ref().map(|plan| {
                let mut random = SplitMix64::new(12);
                let told = (0..tries).map(|_| together(&mut random, &truths, plan));
                told.fold((0, 0.0), |(alarms, found), (alarm, one)| {
                    (alarms + usize::from(alarm), found + one)
                })
            });
            // 1%, and three standard errors.
            let most = tries as f64 * 0.01 + 3.0 * (tries as f64 * 0.01).sqrt();
            assert!(looked.0 as f64 <= most, "{} false alarms in {tries}", looked.0);
            assert!(looked.1 >= fixed.1 - 0.03 * tries as f64, "{} of {} are found", looked.1, fixed.1);
        }
    }
}
