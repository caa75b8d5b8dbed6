//! Odd processes among those of designs: a few in a hundred run far slower than others of the same network, as long as they live
//! (see [`crate::figures`]). One of them would make every interval wider.
//!
//! There are no pairs to tell them by, since designs differ. So a process is odd that takes far longer than its sites' costs and the
//! rest of its block explain, if few do, and no design does so twice: that one is slow by what its sites do to each other. They stay in
//! the document, and nothing is made of them.

use super::costs;
use super::design;
use super::document::{Block, Levels};
use super::fit::Fit;
use crate::stats::Samples;

/// How many times as long as is explained an odd process takes.
const ODD: f64 = 1.3;

/// So many deviations of all others it is away at least.
const FAR: f64 = 6.0;

/// One in so many processes may be odd. Where more look so, the machine is restless, or costs don't add up.
const FEW: usize = 10;

/// Each time that some are left out, the costs tell better which are left.
const TIMES: usize = 4;

/// The blocks without the latencies of odd processes, and how many these are.
pub fn left_out(levels: &[Levels], blocks: &[Block]) -> (Vec<Block>, usize) {
    let all = |blocks: &[Block]| blocks.iter().flat_map(|block| &block.ns).flatten().count();
    let mut steady = blocks.to_vec();
    for _ in 0..TIMES {
        let odd = odd(levels, &steady);
        odd.iter().for_each(|&(block, design)| steady[block].ns[design] = None);
        if odd.is_empty() {
            break;
        }
    }
    match all(blocks) - all(&steady) {
        few if few <= all(blocks) / FEW && !is_out_twice(blocks, &steady) => (steady, few),
        _ => (blocks.to_vec(), 0),
    }
}

/// Whether a design that was measured twice is left out twice.
fn is_out_twice(blocks: &[Block], steady: &[Block]) -> bool {
    let is_out = |block: usize, i: usize| blocks[block].ns[i].is_some() && steady[block].ns[i].is_none();
    (1..blocks.len())
        .filter(|&block| design::repeats(block))
        .any(|block| (0..blocks[block].ns.len()).any(|i| is_out(block, i) && is_out(block - 1, i)))
}

/// Places of odd processes, by block and design.
fn odd(levels: &[Levels], blocks: &[Block]) -> Vec<(usize, usize)> {
    let Some(fit) = Fit::of(&costs::counts(levels), &costs::observations(blocks)) else { return vec![] };
    let missed: Vec<(usize, usize, f64)> =
        blocks.iter().enumerate().flat_map(|(at, block)| missed(&fit, at, block)).collect();
    let Some(deviation) = Samples::new(missed.iter().map(|(.., by)| by.abs())).map(|by| 1.4826 * by.median())
    else {
        return vec![];
    };
    let expected = |&(block, design, _): &(usize, usize, f64)| fit.latency_ns(&blocks[block].designs[design]);
    missed
        .iter()
        .filter(|at| at.2 > FAR * deviation && at.2 > (ODD - 1.0) * expected(at))
        .map(|&(block, design, _)| (block, design))
        .collect()
}

/// By how much longer each process of a block took than is expected of it and of the block.
fn missed(fit: &Fit, at: usize, block: &Block) -> Vec<(usize, usize, f64)> {
    let all = block.designs.iter().zip(&block.ns).enumerate();
    let by: Vec<(usize, f64)> =
        all.filter_map(|(i, (design, ns))| Some((i, (*ns)? - fit.latency_ns(design)))).collect();
    let usual = Samples::new(by.iter().map(|(_, by)| *by)).map_or(0.0, |by| by.median());
    by.into_iter().map(|(design, by)| (at, design, by - usual)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::search::costs::tests::{levels, of_seed};

    /// A network of 30 sites and 10 ms, in which one process in `one_in` takes 2.5 times as long.
    fn measured(one_in: f64) -> (Vec<Levels>, Vec<Block>, usize) {
        let levels = levels(30);
        let cost = |d: &[usize]| d.iter().enumerate().map(|(i, &l)| 1e3 * (i * l) as f64).sum::<f64>();
        let mut blocks = of_seed(3, &levels, 40, 5e4, cost);
        let (mut random, mut odd) = (SplitMix64::new(4), 0);
        for ns in blocks.iter_mut().flat_map(|block| &mut block.ns).flatten() {
            if random.unit(53) < 1.0 / one_in {
                *ns *= 2.5;
                odd += 1;
            }
        }
        (levels, blocks, odd)
    }

    #[test]
    fn a_few_odd_processes_cost_no_precision() {
        let (levels, blocks, odd) = measured(30.0);
        let found = costs::of(&levels, &blocks).expect("enough");
        assert!(odd > 4 && found.odd == odd, "{} of {odd}", found.odd);
        let half = |site: usize, level: usize| found.fit.half_width(found.fit.cost(site, level), 0.99);
        assert!((0..30).all(|site| half(site, 1) < 1e5), "{}", half(0, 1));
        let adds_up = costs::additivity(&levels, &found);
        assert!(adds_up.noise_ns.expect("repeated") < 7e4 && adds_up.residual_ns < 7e4, "{adds_up:?}");
    }

    #[test]
    fn where_many_look_odd_none_is_and_a_slow_activation_is_no_odd_process() {
        let (levels, blocks, odd) = measured(4.0);
        assert!(odd > 40);
        assert_eq!(left_out(&levels, &blocks), (blocks, 0));
        // Two sites act on each other: one design in nine is slower than their sum by half.
        let both = |d: &[usize]| if d[0] == 2 && d[1] == 2 { 6e6 } else { 0.0 };
        let blocks = of_seed(3, &levels, 40, 5e4, both);
        assert_eq!(left_out(&levels, &blocks), (blocks, 0));
        // One site makes the network three times as slow.
        let slow = |d: &[usize]| if d[0] == 2 { 2e7 } else { 0.0 };
        let blocks = of_seed(3, &levels[..1], 12, 5e4, slow);
        assert_eq!(left_out(&levels[..1], &blocks), (blocks, 0));
    }
}
