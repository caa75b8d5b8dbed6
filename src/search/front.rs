//! The Pareto front: designs of which none is both faster and cheaper than another.
//!
//! Costs and prices both add up over the sites, so the front is that of a multiple-choice knapsack problem. The designs on its convex
//! hull, which are found here, are made site by site, the most time for the least price first (Sinha and Zoltners, 1979).

use super::design::Design;

/// A design of the front.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub design: Design,
    /// Sum of its sites' costs against all sites at level 0; ns.
    pub cost_ns: f64,
    /// Sum of its sites' prices.
    pub price: f64,
}

/// A change of one site from a level to a faster one.
struct Step {
    site: usize,
    level: usize,
    cost_ns: f64,
    price: f64,
}

/// The front from level 0 everywhere to the fastest design. Costs and prices are by site and level, level 0 included, of which both
/// are 0; prices are not below that.
pub fn front(costs: &[Vec<f64>], prices: &[Vec<f64>]) -> Vec<Point> {
    let mut steps: Vec<Step> =
        costs.iter().zip(prices).enumerate().flat_map(|(site, (c, p))| steps(site, c, p)).collect();
    // What is gained for a price; what costs nothing comes first. Steps of one site are in this order already.
    let gain = |step: &Step| -step.cost_ns / step.price.max(f64::MIN_POSITIVE);
    steps.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    let mut points = vec![Point { design: vec![0; costs.len()], cost_ns: 0.0, price: 0.0 }];
    for step in steps {
        let Some(last) = points.last() else { break };
        let mut design = last.design.clone();
        design[step.site] = step.level;
        let next = Point { design, cost_ns: last.cost_ns + step.cost_ns, price: last.price + step.price };
        points.push(next);
    }
    points
}

/// The steps of a site along the lower hull of its levels.
fn steps(site: usize, costs: &[f64], prices: &[f64]) -> Vec<Step> {
    let mut steps = vec![];
    let mut now = 0;
    loop {
        let step = |level: usize| Step {
            site,
            level,
            cost_ns: costs[level] - costs[now],
            price: prices[level] - prices[now],
        };
        let faster = (0..costs.len()).map(step).filter(|step| step.cost_ns < 0.0 && step.price >= 0.0);
        let slope = |step: &Step| step.cost_ns / step.price.max(f64::MIN_POSITIVE);
        let best = faster.min_by(|a, b| slope(a).total_cmp(&slope(b)).then(a.cost_ns.total_cmp(&b.cost_ns)));
        let Some(best) = best else { return steps };
        now = best.level;
        steps.push(best);
    }
}

/// So many points at most that stand for the front: those whose costs are spread evenly, the last one among them. None of them is the
/// first, which changes nothing.
pub fn chosen(front: &[Point], most: usize) -> Vec<usize> {
    let Some(last) = front.len().checked_sub(1).filter(|&last| last > 0 && most > 0) else { return vec![] };
    let whole = front[last].cost_ns;
    let nearest = |share: f64| {
        let away = |at: &usize| (front[*at].cost_ns - share * whole).abs();
        (1..=last).min_by(|a, b| away(a).total_cmp(&away(b)))
    };
    let mut chosen: Vec<usize> =
        (1..most).filter_map(|i| nearest(i as f64 / most as f64)).chain(Some(last)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ones(costs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        costs.iter().map(|c| (0..c.len()).map(|level| f64::from(u8::from(level > 0))).collect()).collect()
    }

    #[test]
    fn by_number_of_sites_the_largest_gains_come_first() {
        let costs = vec![vec![0.0, -3.0, -1.0], vec![0.0, 2.0, 1.0], vec![0.0, -1.0, -5.0]];
        let front = front(&costs, &ones(&costs));
        let told: Vec<(Vec<usize>, f64, f64)> =
            front.iter().map(|p| (p.design.clone(), p.cost_ns, p.price)).collect();
        assert_eq!(
            told,
            [(vec![0, 0, 0], 0.0, 0.0), (vec![0, 0, 2], -5.0, 1.0), (vec![1, 0, 2], -8.0, 2.0)],
            "a site whose every change is slower stays as it is"
        );
    }

    #[test]
    fn a_dearer_level_of_a_site_comes_when_it_is_the_next_best_gain() {
        let costs = vec![vec![0.0, -4.0, -6.0], vec![0.0, -3.0]];
        let prices = vec![vec![0.0, 1.0, 3.0], vec![0.0, 2.0]];
        let front = front(&costs, &prices);
        let designs: Vec<&[usize]> = front.iter().map(|p| p.design.as_slice()).collect();
        assert_eq!(designs, [[0, 0], [1, 0], [1, 1], [2, 1]]);
        assert_eq!((front[3].cost_ns, front[3].price), (-9.0, 5.0));
    }

    #[test]
    fn no_design_at_all_is_faster_for_less_than_one_of_the_hull() {
        use crate::random::SplitMix64;
        let mut random = SplitMix64::new(4);
        for _ in 0..50 {
            let table = |random: &mut SplitMix64, price: bool| -> Vec<Vec<f64>> {
                let value = |random: &mut SplitMix64| match price {
                    true => random.unit(20),
                    false => random.symmetric(),
                };
                (0..4).map(|_| vec![0.0, value(random), value(random)]).collect()
            };
            let (costs, prices) = (table(&mut random, false), table(&mut random, true));
            let front = front(&costs, &prices);
            let of = |table: &[Vec<f64>], number: usize| -> f64 {
                (0..4).map(|site| table[site][number / 3usize.pow(site as u32) % 3]).sum()
            };
            for number in 0..81 {
                let (cost, price) = (of(&costs, number), of(&prices, number));
                let beaten = front.windows(2).any(|pair| {
                    // Between two points of the hull, time is at most what the line between them says.
                    let share = (price - pair[0].price) / (pair[1].price - pair[0].price);
                    (0.0..=1.0).contains(&share)
                        && cost < pair[0].cost_ns + share * (pair[1].cost_ns - pair[0].cost_ns) - 1e-9
                });
                assert!(!beaten, "design {number} lies below the hull");
            }
        }
    }

    #[test]
    fn the_points_that_stand_for_a_front_are_spread_by_cost() {
        let point = |cost_ns: f64| Point { design: vec![], cost_ns, price: 0.0 };
        let front: Vec<Point> = [0.0, -10.0, -50.0, -52.0, -75.0, -99.0, -100.0].map(point).into();
        assert_eq!(chosen(&front, 2), [2, 6]);
        assert_eq!(chosen(&front, 20).len(), 6);
        assert_eq!(chosen(&front[..1], 5), [0; 0]);
    }
}
