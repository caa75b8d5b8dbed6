//! Odd processes: a few in a hundred run far slower than others of the same variant, from their first run to
//! their last, and say nothing of the variant.
//!
//! They are told by pairing: what slows a machine down slows all variants of a fork, while an odd process is slow
//! beside its own neighbours. A variant that was measured alone has none: there a fork is odd whose fastest run is far
//! slower than usual, if few are. They stay in the record; ratios and the times of ops leave
//! them out, and a warning counts them.

use std::collections::{BTreeSet, HashMap};

use crate::record::Fork;
use crate::stats::Samples;

/// How many times as long as its neighbours explain an odd process takes.
const ODD: f64 = 1.5;

/// Forks below which none can be told to be odd.
const ENOUGH: usize = 4;

/// One in so many forks may be odd. Where more look so, the machine is restless, and no process is.
const FEW: usize = 4;

/// Forks of a variant, each in its place (see [`Fork::number`]): `None` where it has none, or where that is an odd one.
pub type Steady<'r> = Vec<Option<&'r Fork>>;

/// The forks of each variant without the odd ones: `[variant][fork]`. All must have been measured side by side.
pub fn steady<'r>(variants: &[&'r [Fork]]) -> Vec<Steady<'r>> {
    let placed = placed(variants);
    if let [alone] = placed.as_slice() {
        return vec![steady_alone(alone)];
    }
    let relative: Vec<Vec<Option<f64>>> = placed.iter().map(|forks| relative(forks)).collect();
    let least = |fork: usize| {
        relative.iter().filter_map(|v| v.get(fork).copied().flatten()).fold(f64::INFINITY, f64::min)
    };
    let odd = |fork: usize, relative: Option<f64>| relative.is_some_and(|r| r > ODD * least(fork));
    let keep = |(forks, relative): (&Steady<'r>, &Vec<Option<f64>>)| {
        let odd: Vec<bool> = relative.iter().enumerate().map(|(at, relative)| odd(at, *relative)).collect();
        let few = odd.iter().filter(|odd| **odd).count() <= forks.iter().flatten().count() / FEW;
        forks.iter().zip(odd).map(|(fork, odd)| fork.filter(|_| !(odd && few))).collect()
    };
    placed.iter().zip(&relative).map(keep).collect()
}

/// The forks of each variant by their numbers: all of one place have the same one.
fn placed<'r>(variants: &[&'r [Fork]]) -> Vec<Steady<'r>> {
    let numbers: BTreeSet<usize> =
        variants.iter().flat_map(|forks| numbered(forks)).map(|(n, _)| n).collect();
    let place = |forks: &&'r [Fork]| {
        let by_number: HashMap<usize, &'r Fork> = numbered(forks).collect();
        numbers.iter().map(|number| by_number.get(number).copied()).collect()
    };
    variants.iter().map(place).collect()
}

fn numbered(forks: &[Fork]) -> impl Iterator<Item = (usize, &Fork)> {
    forks.iter().enumerate().map(|(at, fork)| (fork.number.unwrap_or(at), fork))
}

fn steady_alone<'r>(forks: &[Option<&'r Fork>]) -> Steady<'r> {
    let each = || forks.iter().flatten();
    let usual = Samples::new(each().filter_map(|fork| median(fork))).map(|s| s.median());
    let fastest = |fork: &Fork| Samples::from_ns(fork.rounds.iter().flatten()).map(|s| s.min());
    let odd = |fork: &Fork| fastest(fork).zip(usual).is_some_and(|(fastest, usual)| fastest > ODD * usual);
    let few = each().filter(|f| odd(f)).count() <= each().count() / FEW;
    forks.iter().map(|fork| fork.filter(|fork| !few || !odd(fork))).collect()
}

/// Each fork's median run time over that of the variant's usual fork; unknown where there are too few forks.
fn relative(forks: &[Option<&Fork>]) -> Vec<Option<f64>> {
    let medians: Vec<Option<f64>> = forks.iter().map(|fork| fork.and_then(median)).collect();
    let known = medians.iter().flatten().count();
    let usual = Samples::new(medians.iter().flatten().copied()).filter(|_| known >= ENOUGH);
    let usual = usual.map(|s| s.median());
    medians.into_iter().map(|m| Some(m? / usual?)).collect()
}

fn median(fork: &Fork) -> Option<f64> {
    Samples::from_ns(fork.rounds.iter().flatten()).map(|s| s.median())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forks(ns: &[u64]) -> Vec<Fork> {
        ns.iter().map(|&ns| Fork { rounds: vec![vec![ns, ns + 1]], ..Fork::default() }).collect()
    }

    fn left_out(variants: &[&[Fork]]) -> Vec<Vec<usize>> {
        let gaps = |v: Steady| (0..v.len()).filter(|&at| v[at].is_none()).collect();
        steady(variants).into_iter().map(gaps).collect()
    }

    #[test]
    fn a_process_far_slower_than_its_neighbours_is_odd() {
        let (a, b) = (forks(&[100, 101, 250, 100, 99]), forks(&[200, 202, 201, 200, 199]));
        assert_eq!(left_out(&[&a, &b]), [vec![2], vec![]]);
    }

    #[test]
    fn where_most_forks_look_odd_none_is() {
        let restless = forks(&[100, 250, 101, 260, 270]);
        let calm: Vec<Vec<Fork>> = (0..8).map(|_| forks(&[100; 5])).collect();
        let mut all: Vec<&[Fork]> = calm.iter().map(Vec::as_slice).collect();
        all.push(&restless);
        assert!(left_out(&all).iter().all(Vec::is_empty), "{:?}", left_out(&all));
    }

    #[test]
    fn a_machine_that_slows_down_makes_no_process_odd() {
        let (a, b) = (forks(&[100, 100, 190, 200, 200]), forks(&[110, 110, 205, 220, 221]));
        assert_eq!(left_out(&[&a, &b]), [vec![], vec![0usize; 0]]);
        assert_eq!(left_out(&[&a]), [vec![0usize; 0]]);
    }

    #[test]
    fn alone_a_fork_is_odd_if_even_its_fastest_run_is_slow_and_few_are() {
        let mut a = forks(&[100, 250, 101, 100, 99, 100, 98, 100]);
        assert_eq!(left_out(&[&a]), [vec![1]]);
        // One that was only disturbed has a fast run, too.
        a[1].rounds.push(vec![101]);
        assert_eq!(left_out(&[&a]), [vec![0usize; 0]]);
    }

    #[test]
    fn three_forks_are_too_few_to_tell_and_one_without_runs_is_kept() {
        let (a, b) = (forks(&[100, 300, 100]), forks(&[100, 100, 100]));
        assert_eq!(left_out(&[&a, &b]), [vec![], vec![0usize; 0]]);
        let mut cut = forks(&[100, 100, 100, 100]);
        cut.push(Fork::default());
        assert_eq!(left_out(&[&cut, &forks(&[100; 5])]), [vec![], vec![0usize; 0]]);
    }

    #[test]
    fn forks_stand_by_their_numbers_so_that_one_that_is_missing_moves_no_other() {
        let mut a = forks(&[100, 100, 100]);
        a.iter_mut().zip([0, 2, 3]).for_each(|(fork, number)| fork.number = Some(number));
        let b = forks(&[200, 201, 202, 203]);
        let steady = steady(&[&a, &b]);
        assert!(steady[0][1].is_none() && steady[0][2] == Some(&a[1]) && steady[1].len() == 4);
    }
}
