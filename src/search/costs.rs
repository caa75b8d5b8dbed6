//! From the latencies of designs to what is said of them: costs with intervals, whether they add up, and what is expected of each.

use super::design;
use super::document::{Additivity, Block, Levels, SiteCost};
use super::fit::{Cost, Fit, Observation};
use crate::stats::Samples;

/// Parts into which blocks are dealt, each of which is predicted from the others.
const FOLDS: usize = 5;

/// Costs by site and level, and how they were come by.
pub struct Costs {
    pub fit: Fit,
    /// By site and level, level 0 included, ns.
    pub expected: Vec<Vec<f64>>,
}

/// Fits costs to the blocks. `None` if there are too few.
pub fn of(levels: &[Levels], blocks: &[Block]) -> Option<Costs> {
    let fit = Fit::of(&counts(levels), &observations(blocks))?;
    let expected = expected(levels, &fit);
    Some(Costs { fit, expected })
}

pub fn counts(levels: &[Levels]) -> Vec<usize> {
    levels.iter().map(|levels| levels.activations.len()).collect()
}

fn observations(blocks: &[Block]) -> Vec<Observation> {
    let of_block = |block: &Block| {
        let number = block.number;
        let designs = block.designs.iter().zip(&block.ns);
        let observed = designs.filter_map(|(design, ns)| {
            Some(Observation { block: number, design: design.clone(), ns: (*ns)? })
        });
        observed.collect::<Vec<_>>()
    };
    blocks.iter().flat_map(of_block).collect()
}

/// What is expected of each site's cost, given all costs of its activation: of their scatter, a part is noise, and by that part they
/// are drawn towards their mean (empirical Bayes, as James and Stein, 1961). Without it the fastest designs would be those whose
/// noise was luckiest.
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
        for (site, level, cost) in costs {
            expected[site][level] = mean + kept * (cost.ns - mean);
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
pub fn additivity(levels: &[Levels], blocks: &[Block], fit: &Fit) -> Additivity {
    let observed = observations(blocks);
    let noise_ns = noise(blocks);
    let interaction = |noise: f64| (fit.residual_ns.powi(2) - noise.powi(2)).max(0.0).sqrt();
    Additivity {
        designs: observed.len(),
        costs: fit.costs.iter().map(Vec::len).sum(),
        joint: fit.joint,
        noise_ns,
        residual_ns: fit.residual_ns,
        // Fitted one by one, what is left holds the other sites.
        interaction_ns: noise_ns.filter(|_| fit.joint).map(interaction),
        held_out_ns: held_out(&counts(levels), &observed),
        at_once: vec![],
    }
}

/// Standard deviation between processes of the same design, from blocks that repeat the one before them. `None` from fewer than ten
/// pairs.
fn noise(blocks: &[Block]) -> Option<f64> {
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
    (freedom >= 10).then(|| (0.5 * squares / freedom as f64).sqrt())
}

/// How far designs are from what a fit to other blocks says of them, root mean square; without what their block adds.
fn held_out(levels: &[usize], observed: &[Observation]) -> Option<f64> {
    // A block that repeats another is held out with it.
    let fold = |block: usize| (if design::repeats(block) { block - 1 } else { block }) % FOLDS;
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
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn levels(sites: usize) -> Vec<Levels> {
        let activations = ["silu", "relu", "hard_swish"].map(str::to_owned).to_vec();
        (0..sites).map(|i| Levels { node: format!("/act.{i}"), activations: activations.clone() }).collect()
    }

    /// Blocks of a network whose sites cost `cost` and whose processes scatter by so much.
    fn blocks(levels: &[Levels], number: usize, noise: f64, cost: impl Fn(&[usize]) -> f64) -> Vec<Block> {
        of_seed(8, levels, number, noise, cost)
    }

    fn of_seed(
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
                let designs = design::block(&counts(levels), 3, number);
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
            additivity(&levels, &blocks, &costs.fit)
        };
        let adding = measure(&sum);
        let noise = adding.noise_ns.expect("repeated");
        assert!((1.6e4..2.4e4).contains(&noise), "{noise}");
        assert!(adding.interaction_ns.expect("repeated") < 1e4, "{adding:?}");
        assert!(adding.held_out_ns.expect("enough") < 3e4, "{adding:?}");
        // Two neighbours that are alike save a conversion.
        let pairs = |d: &[usize]| d.windows(2).filter(|w| w[0] == w[1]).count() as f64 * -1e5;
        let not = measure(&|d| sum(d) + pairs(d));
        assert!(not.interaction_ns.expect("repeated") > 5e4, "{not:?}");
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
    fn designs_that_failed_are_left_out() {
        let levels = levels(3);
        let mut blocks = blocks(&levels, 12, 1.0, |d| d[0] as f64 * 1e5);
        blocks.iter_mut().for_each(|block| block.ns[0] = None);
        let costs = of(&levels, &blocks).expect("enough");
        assert!((costs.fit.cost(0, 1).ns - 1e5).abs() < 10.0);
        assert_eq!(additivity(&levels, &blocks, &costs.fit).designs, 12 * 5);
    }
}
