//! Designs: which level stands at which site of each variant of a block.
//!
//! Every level of a site stands in as many of a block's designs as any other (but one, where the numbers don't divide), in random
//! places that differ from site to site. So each design tells something of every site, what a block adds to all of its designs
//! cancels. With two levels and little noise but a process's own, the error of a site's cost is 2/√N of that with N designs (Plackett
//! and Burman, 1946).

use crate::random::{SplitMix64, mix};

/// The level of each site, by index: 0 is the site as it is.
pub type Design = Vec<usize>;

/// The least designs of a block: what all of them have in common is one thing that can't be told.
const LEAST: usize = 6;

/// One block in so many repeats the one before it, in new processes: what differs then is noise alone.
const REPEATED: usize = 4;

/// Designs of a block, for sites with so many levels each.
pub fn size(levels: &[usize]) -> usize {
    let most = most(levels);
    most * LEAST.div_ceil(most)
}

/// The largest block of `at_most` designs in which each level of a site stands as often as any other; `None` if not even each once
/// has room.
pub fn size_within(levels: &[usize], at_most: usize) -> Option<usize> {
    let most = most(levels);
    Some(at_most.min(size(levels)) / most * most).filter(|&size| size > 1)
}

fn most(levels: &[usize]) -> usize {
    levels.iter().copied().max().unwrap_or(1).max(1)
}

/// Whether this block repeats the one before it.
pub fn repeats(block: usize) -> bool {
    block % REPEATED == REPEATED - 1
}

/// The designs of a block of this size: the same for the same seed.
pub fn block(levels: &[usize], seed: u64, block: usize, size: usize) -> Vec<Design> {
    let block = if repeats(block) { block - 1 } else { block };
    let mut random = SplitMix64::new(seed ^ mix(block as u64 + 1));
    let mut designs = vec![vec![0; levels.len()]; size];
    for (site, &levels) in levels.iter().enumerate() {
        // Where they don't divide, another level comes first in each block.
        let first = (random.bits() % levels.max(1) as u64) as usize;
        let mut column: Vec<usize> = (0..designs.len()).map(|i| (first + i) % levels.max(1)).collect();
        random.shuffle(&mut column);
        designs.iter_mut().zip(column).for_each(|(design, level)| design[site] = level);
    }
    designs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_of_a_site_is_as_frequent_in_a_block() {
        let levels = [3, 2, 3, 1, 4];
        for number in 0..40 {
            let designs = block(&levels, 7, number, size(&levels));
            assert_eq!(designs.len(), 8);
            for (site, &levels) in levels.iter().enumerate() {
                let count = |level: usize| designs.iter().filter(|d| d[site] == level).count();
                let counts: Vec<usize> = (0..levels).map(count).collect();
                assert_eq!(counts.iter().sum::<usize>(), designs.len());
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most - least <= 1, "{counts:?}");
            }
        }
    }

    #[test]
    fn a_block_that_has_less_room_is_balanced_too() {
        assert_eq!(
            [9, 6, 5, 3, 2].map(|room| size_within(&[3, 2], room)),
            [6, 6, 3, 3, 0].map(|n| Some(n).filter(|&n| n > 0))
        );
        assert_eq!([5, 2, 1].map(|room| size_within(&[2; 40], room)), [Some(4), Some(2), None]);
        for design in 0..3 {
            let designs = block(&[3; 9], 1, design, 3);
            assert!((0..9).all(|site| (0..3).all(|level| designs.iter().any(|d| d[site] == level))));
        }
    }

    #[test]
    fn blocks_differ_but_for_those_that_repeat_one_and_the_seed_fixes_them() {
        let levels = vec![3; 20];
        let all: Vec<_> = (0..8).map(|number| block(&levels, 1, number, 6)).collect();
        assert_eq!(all[3], all[2]);
        assert_eq!(all[7], all[6]);
        assert!(all[0] != all[1] && all[1] != all[2] && all[2] != all[4]);
        assert_ne!(all[0], block(&levels, 2, 0, 6));
        let pairs = |a: usize, b: usize| {
            let same = |d: &&Design| d[a] == d[b];
            all.iter().flatten().filter(same).count() as f64 / (8 * 6) as f64
        };
        let agree: f64 = (0..10).map(|i| pairs(i, i + 10)).sum::<f64>() / 10.0;
        assert!((0.2..0.47).contains(&agree), "sites go by themselves: {agree}");
    }
}
