//! From the latencies of designs to what is said of them: costs with intervals, whether they add up, and what is expected of each.

use super::design;
use super::document::{Additivity, Block, Levels, SiteCost};
use super::fit::{Cost, Fit, Observation};
use super::odd;
use crate::stats::Samples;

/// Parts into which blocks are dealt, each of which is predicted from the others.
const FOLDS: usize = 5;

/// Costs by site and level, and how they were come by.
pub struct Costs {
    /// What they are of: all blocks, without the latencies of odd processes, and how many these are.
    pub blocks: Vec<Block>,
    pub odd: usize,
    pub fit: Fit,
    /// By site and level, level 0 included, ns.
    pub expected: Vec<Vec<f64>>,
}

impl Costs {
    /// What a design adds to the latency of the original, by its sites' expected costs, ns.
    pub fn expected_of(&self, design: &[usize]) -> f64 {
        design.iter().zip(&self.expected).map(|(&level, site)| site[level]).sum()
    }

    /// Half the width of the interval of that. Sites are drawn independently of each other, so are their errors. It is made for the
    /// fitted costs: expected ones are surer, but for all sites at once.
    pub fn half_of(&self, design: &[usize], confidence: f64) -> f64 {
        let half = |(site, &level): (usize, &usize)| {
            self.fit.half_width(self.fit.cost(site, level), confidence).powi(2)
        };
        design.iter().enumerate().map(half).sum::<f64>().sqrt()
    }
}

/// Fits costs to the blocks. `None` if there are too few.
pub fn of(levels: &[Levels], blocks: &[Block]) -> Option<Costs> {
    let (blocks, odd) = odd::left_out(levels, blocks);
    let fit = Fit::of(&counts(levels), &observations(&blocks))?;
    let expected = expected(levels, &fit);
    Some(Costs { blocks, odd, fit, expected })
}

pub fn counts(levels: &[Levels]) -> Vec<usize> {
    levels.iter().map(|levels| levels.activations.len()).collect()
}

/// What was measured, each design once: the mean of a design and its repeat, which differ by noise alone, is one observation of how
/// its sites stand.
pub fn observations(blocks: &[Block]) -> Vec<Observation> {
    let mut observed = vec![];
    for block in blocks.iter().filter(|block| !design::repeats(block.number)) {
        let repeat = blocks.iter().find(|other| other.number == block.number + 1);
        let repeat = repeat.filter(|other| design::repeats(other.number)).map(|other| aligned(block, other));
        for (i, design) in block.designs.iter().enumerate() {
            let again = repeat.as_ref().and_then(|ns| ns[i]);
            let both = block.ns[i].into_iter().chain(again);
            if let Some(ns) = Samples::new(both).map(|both| both.mean()) {
                observed.push(Observation { block: block.number, design: design.clone(), ns });
            }
        }
    }
    observed
}

/// The latencies of a repeated block, as if it had been as fast as the first one.
fn aligned(first: &Block, again: &Block) -> Vec<Option<f64>> {
    let pairs = first.ns.iter().zip(&again.ns);
    let slower = Samples::new(pairs.filter_map(|(a, b)| Some((*b)? - (*a)?))).map_or(0.0, |d| d.mean());
    again.ns.iter().map(|ns| ns.map(|ns| ns - slower)).collect()
}

/// Of what noise is one process's, the share that is left in observations: those of two processes have half of its variance.
fn share_of_noise(blocks: &[Block]) -> f64 {
    let repeated = blocks.iter().filter(|block| design::repeats(block.number)).count() as f64;
    let all = blocks.len() as f64 - repeated;
    if all > 0.0 { (all - 0.5 * repeated) / all } else { 1.0 }
}

/// What is expected of each site's cost, given all costs of its activation: of their scatter, a part is noise, and by that part they
/// are drawn towards their mean (empirical Bayes, as James and Stein, 1961). One that is further from it than the largest of so many
/// costs would be by noise alone is drawn by no more than a standard error: a cost that is sure is not given up for the others (Efron
/// and Morris, 1972). Without it the fastest designs would be those whose noise was luckiest.
fn expected(levels: &[Levels], fit: &Fit) -> Vec<Vec<f64>> {
    let mut expected: Vec<Vec<f64>> =
        levels.iter().map(|levels| vec![0.0; levels.activations.len()]).collect();
    let all = |activation: &str| -> Vec<(usize, usize, Cost)> {
        let at = |(site, levels): (usize, &Levels)| {
            let level = levels.activations.iter().skip(1).position(|a| a == activation)? + 1;
            Some((site, level, fit.cost(site, level)))
        };
        levels.iter().enumerate().filter_map(at).collect()
    };
    let mut names: Vec<&str> = levels.iter().flat_map(|l| &l.activations[1..]).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    for activation in names {
        let costs = all(activation);
        let n = costs.len() as f64;
        let mean = costs.iter().map(|(.., cost)| cost.ns).sum::<f64>() / n;
        let noise = costs.iter().map(|(.., cost)| cost.error.powi(2)).sum::<f64>() / n;
        let scatter =
            costs.iter().map(|(.., cost)| (cost.ns - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        // Of a few costs, the mean is as uncertain as they are.
        let kept = if n > 3.0 && scatter > 0.0 { (1.0 - noise / scatter).max(0.0) } else { 1.0 };
        // The largest of so many normal numbers is hardly beyond this (Donoho and Johnstone, 1994).
        let noise_alone = (2.0 * n.ln()).sqrt();
        for (site, level, cost) in costs {
            let drawn = mean + kept * (cost.ns - mean);
            let is_sure = (cost.ns - mean).abs() > noise_alone * cost.error;
            let most = if is_sure { cost.error } else { f64::INFINITY };
            expected[site][level] = drawn.clamp(cost.ns - most, cost.ns + most);
        }
    }
    expected
}

/// The costs as a document has them.
pub fn by_site(levels: &[Levels], costs: &Costs, confidence: f64) -> Vec<SiteCost> {
    let of_site = |(site, levels): (usize, &Levels)| {
        let from = levels.activations.first().cloned().unwrap_or_default();
        let node = levels.node.clone();
        let rest = levels.activations.iter().enumerate().skip(1);
        let costs = rest.map(move |(level, activation)| {
            let cost = costs.fit.cost(site, level);
            let half = costs.fit.half_width(cost, confidence);
            SiteCost {
                node: node.clone(),
                from: from.clone(),
                activation: activation.clone(),
                cost_ns: cost.ns,
                interval: [cost.ns - half, cost.ns + half],
                expected_ns: costs.expected[site][level],
            }
        });
        costs.collect::<Vec<_>>()
    };
    levels.iter().enumerate().flat_map(of_site).collect()
}

/// Whether the costs add up, as far as blocks tell.
pub fn additivity(levels: &[Levels], costs: &Costs) -> Additivity {
    let Costs { blocks, fit, .. } = costs;
    let observed = observations(blocks);
    let noise = noise(blocks);
    let explained = noise.map(|(ns, _)| ns * share_of_noise(blocks).sqrt());
    // Fitted one by one, what is left holds the other sites.
    let both = noise.zip(explained).filter(|_| fit.joint);
    let interaction_ns = both.and_then(|((_, freedom), explained)| {
        let surely = is_larger([fit.residual_ns, explained], [fit.freedom, freedom]);
        surely.then(|| (fit.residual_ns.powi(2) - explained.powi(2)).sqrt())
    });
    Additivity {
        designs: observed.len(),
        costs: fit.costs.iter().map(Vec::len).sum(),
        joint: fit.joint,
        noise_ns: noise.map(|(ns, _)| ns),
        residual_ns: fit.residual_ns,
        explained_ns: explained,
        interaction_ns,
        held_out_ns: held_out(&counts(levels), &observed),
        at_once: vec![],
    }
}

/// Whether the first of two standard deviations is surely the larger one (99%): the logarithm of their ratio is nearly normal
/// (Fisher, 1924).
fn is_larger(deviations: [f64; 2], freedom: [f64; 2]) -> bool {
    const ONE_IN_A_HUNDRED: f64 = 2.326;
    let error = (0.5 / freedom[0] + 0.5 / freedom[1]).sqrt();
    (deviations[0] / deviations[1]).ln() > ONE_IN_A_HUNDRED * error
}

/// Standard deviation between processes of the same design, from blocks that repeat the one before them. `None` from fewer than ten
/// pairs. With its degrees of freedom.
fn noise(blocks: &[Block]) -> Option<(f64, f64)> {
    let (mut squares, mut freedom) = (0.0, 0usize);
    for block in blocks.iter().filter(|block| design::repeats(block.number)) {
        let Some(before) = blocks.iter().find(|other| other.number + 1 == block.number) else { continue };
        let pairs = before.ns.iter().zip(&block.ns);
        let differences = Samples::new(pairs.filter_map(|(a, b)| Some((*b)? - (*a)?)));
        if let Some(differences) = differences.filter(|d| d.count() > 1) {
            freedom += differences.count() - 1;
            squares += differences.sd().powi(2) * (differences.count() - 1) as f64;
        }
    }
    (freedom >= 10).then(|| ((0.5 * squares / freedom as f64).sqrt(), freedom as f64))
}

/// How far designs are from what a fit to other blocks says of them, root mean square; without what their block adds.
fn held_out(levels: &[usize], observed: &[Observation]) -> Option<f64> {
    let mut numbers: Vec<usize> = observed.iter().map(|o| o.block).collect();
    numbers.dedup();
    let fold = |block: usize| numbers.iter().position(|&number| number == block).unwrap_or(0) % FOLDS;
    let (mut squares, mut freedom) = (0.0, 0usize);
    for held in 0..FOLDS {
        let (out, rest): (Vec<_>, Vec<_>) = observed.iter().cloned().partition(|o| fold(o.block) == held);
        let fit = Fit::of(levels, &rest)?;
        let mut blocks: Vec<usize> = out.iter().map(|o| o.block).collect();
        blocks.dedup();
        for block in blocks {
            let of_it = out.iter().filter(|o| o.block == block);
            let missed = Samples::new(of_it.map(|o| o.ns - fit.latency_ns(&o.design)))?;
            if missed.count() > 1 {
                squares += missed.sd().powi(2) * (missed.count() - 1) as f64;
                freedom += missed.count() - 1;
            }
        }
    }
    (freedom > 0).then(|| (squares / freedom as f64).sqrt())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::random::SplitMix64;

    pub fn levels(sites: usize) -> Vec<Levels> {
        let activations = ["silu", "relu", "hard_swish"].map(str::to_owned).to_vec();
        (0..sites).map(|i| Levels { node: format!("/act.{i}"), activations: activations.clone() }).collect()
    }

    /// Blocks of a network whose sites cost `cost` and whose processes scatter by so much.
    fn blocks(levels: &[Levels], number: usize, noise: f64, cost: impl Fn(&[usize]) -> f64) -> Vec<Block> {
        of_seed(8, levels, number, noise, cost)
    }

    pub fn of_seed(
        seed: u64,
        levels: &[Levels],
        number: usize,
        noise: f64,
        cost: impl Fn(&[usize]) -> f64,
    ) -> Vec<Block> {
        let mut random = SplitMix64::new(seed);
        let mut normal = move || (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0;
        (0..number)
            .map(|number| {
                let designs = design::block(&counts(levels), 3, number, design::size(&counts(levels)));
                let ns = designs.iter().map(|d| Some(1e7 + cost(d) + noise * normal())).collect();
                Block { number, designs, ns }
            })
            .collect()
    }

    #[test]
    fn what_sites_do_to_each_other_is_told_from_noise() {
        let levels = levels(8);
        let sum = |d: &[usize]| d.iter().map(|&level| 1e5 * level as f64).sum::<f64>();
        let measure = |cost: &dyn Fn(&[usize]) -> f64| {
            let blocks = blocks(&levels, 40, 2e4, cost);
            let costs = of(&levels, &blocks).expect("enough");
            additivity(&levels, &costs)
        };
        let adding = measure(&sum);
        let noise = adding.noise_ns.expect("repeated");
        assert!((1.6e4..2.4e4).contains(&noise), "{noise}");
        assert_eq!(adding.interaction_ns, None, "{adding:?}");
        assert!(adding.explained_ns.expect("repeated") < noise, "two processes of a design scatter less");
        assert!(adding.held_out_ns.expect("enough") < 3e4, "{adding:?}");
        // Two neighbours that are alike save a conversion.
        let pairs = |d: &[usize]| d.windows(2).filter(|w| w[0] == w[1]).count() as f64 * -1e5;
        let not = measure(&|d| sum(d) + pairs(d));
        assert!(not.interaction_ns.expect("far more than noise") > 5e4, "{not:?}");
    }

    #[test]
    fn predictions_hold_within_their_intervals_for_all_sites_at_once_and_for_those_that_look_cheapest() {
        let levels = levels(20);
        let cost = |site: usize, level: usize| 2e3 * ((site * 7 + level * 3) % 11) as f64 * level as f64;
        let total = |d: &[usize]| d.iter().enumerate().map(|(i, &l)| cost(i, l)).sum::<f64>();
        let (mut all, mut cheapest) = (0, 0);
        for seed in 0..200 {
            let found = of(&levels, &of_seed(seed, &levels, 24, 1e5, total)).expect("enough");
            let holds = |design: &[usize]| {
                (found.expected_of(design) - total(design)).abs() <= found.half_of(design, 0.99)
            };
            all += usize::from(holds(&[1; 20]));
            let mut order: Vec<usize> = (0..20).collect();
            order.sort_by(|&a, &b| found.expected[a][1].total_cmp(&found.expected[b][1]));
            let mut design = vec![0; 20];
            order[..7].iter().for_each(|&site| design[site] = 1);
            cheapest += usize::from(holds(&design));
        }
        assert!(all >= 196 && cheapest >= 196, "{all} and {cheapest} of 200");
    }

    #[test]
    fn what_is_expected_of_noise_is_its_mean_and_what_is_sure_stays() {
        let levels = levels(20);
        let spread = |costs: &Costs, level: usize| {
            let expected = Samples::new(costs.expected.iter().map(|site| site[level])).expect("some").sd();
            let fitted = Samples::new((0..20).map(|site| costs.fit.cost(site, level).ns)).expect("some").sd();
            expected / fitted
        };
        let noisy = |seed: u64| {
            let costs = of(&levels, &of_seed(seed, &levels, 24, 2e5, |_| 0.0)).expect("enough");
            spread(&costs, 1)
        };
        let kept: Vec<f64> = (0..20).map(noisy).collect();
        assert!(kept.iter().sum::<f64>() / 20.0 < 0.25, "{kept:?}");
        let cost = |d: &[usize]| d.iter().enumerate().map(|(i, &l)| 1e5 * (i * l) as f64).sum::<f64>();
        let sure = of(&levels, &blocks(&levels, 24, 1e3, cost)).expect("enough");
        assert!(spread(&sure, 1) > 0.99);
        assert!(sure.expected.iter().all(|site| site[0] == 0.0));
    }

    #[test]
    fn a_cost_that_is_sure_is_not_given_up_for_many_that_are_nothing() {
        let levels = levels(30);
        let one = |d: &[usize]| if d[4] == 1 { -2e6 } else { 0.0 };
        let costs = of(&levels, &blocks(&levels, 30, 2e5, one)).expect("enough");
        let (fitted, expected) = (costs.fit.cost(4, 1), costs.expected[4][1]);
        assert!((expected - fitted.ns).abs() <= fitted.error && expected < -1.7e6, "{fitted:?} {expected}");
    }

    /// Of intervals at 99%, the share that holds the truth, where a quarter of the blocks are repeats.
    #[test]
    fn repeats_make_no_interval_narrower_than_it_is() {
        let levels = levels(25);
        let mut random = SplitMix64::new(11);
        for blocks in [12, 40] {
            let (mut held, mut all) = (0, 0);
            for seed in 0..12 {
                let truth: Vec<[f64; 3]> =
                    (0..25).map(|_| [0.0, 1e6 * random.symmetric(), 1e6 * random.symmetric()]).collect();
                let cost =
                    |d: &[usize]| d.iter().zip(&truth).map(|(&level, costs)| costs[level]).sum::<f64>();
                let fit = of(&levels, &of_seed(seed, &levels, blocks, 5e5, cost)).expect("enough").fit;
                for (site, costs) in truth.iter().enumerate() {
                    for level in [1, 2] {
                        let cost = fit.cost(site, level);
                        all += 1;
                        held += u32::from((cost.ns - costs[level]).abs() <= fit.half_width(cost, 0.99));
                    }
                }
            }
            assert!(f64::from(held) >= 0.98 * f64::from(all), "{blocks} blocks: {held} of {all}");
        }
    }

    #[test]
    fn designs_that_failed_are_left_out() {
        let levels = levels(3);
        let mut blocks = blocks(&levels, 12, 1.0, |d| d[0] as f64 * 1e5);
        blocks.iter_mut().for_each(|block| block.ns[0] = None);
        let costs = of(&levels, &blocks).expect("enough");
        assert!((costs.fit.cost(0, 1).ns - 1e5).abs() < 10.0);
        let designs = additivity(&levels, &costs).designs;
        assert_eq!(designs, 9 * 5, "a design and its repeat are one");
    }
}
