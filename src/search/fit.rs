//! What each level of each site costs, from the latencies of designs.
//!
//! A design's latency is taken for the sum of its block's mean, of what each of its sites costs, and of noise (a process's own, for
//! the most part). With many more designs than costs these are fitted all at once, by least squares; with fewer each is the
//! difference of the designs that have the level and those that have not, in which the other sites are noise, since they go by
//! themselves. That is done where it is clearly surer: all at once tells whether costs add up, too.

use crate::stats::{Samples, t_quantile};

/// A design that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    pub block: usize,
    pub design: Vec<usize>,
    pub ns: f64,
}

/// A cost and how sure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub ns: f64,
    /// Standard error.
    pub error: f64,
}

/// What was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// By site and level, beside level 0, whose cost is none by definition.
    pub costs: Vec<Vec<Cost>>,
    /// Latency with all sites at level 0, in a block of mean speed.
    pub base_ns: f64,
    /// Degrees of freedom of the errors.
    pub freedom: f64,
    /// What is left of a design's latency, one standard deviation.
    pub residual_ns: f64,
    /// Whether all costs were fitted at once.
    pub joint: bool,
}

/// The most costs that are fitted at once: the work grows with their third power.
const MOST_AT_ONCE: usize = 600;

/// How many times as large as one by one errors may be at once.
const HARDLY_LARGER: f64 = 1.1;

impl Fit {
    /// Fits costs to what was measured, of sites with so many levels each. `None` if there are too few designs to tell errors.
    pub fn of(levels: &[usize], observed: &[Observation]) -> Option<Self> {
        let columns = Columns::of(levels);
        let centred = Centred::of(&columns, observed)?;
        let free = observed.len().checked_sub(centred.blocks)?;
        let by_itself = one_by_one(&columns, &centred, observed, free)?;
        let at_once = (columns.count <= MOST_AT_ONCE).then(|| joint(&columns, &centred, free)).flatten();
        let error = |costs: &[Cost]| costs.iter().map(|cost| cost.error).sum::<f64>();
        let at_once = at_once.filter(|(costs, ..)| error(costs) <= HARDLY_LARGER * error(&by_itself.0));
        let joint = at_once.is_some();
        let (values, freedom, residual_ns) = at_once.unwrap_or(by_itself);
        let base_ns = centred.mean_ns
            - centred.mean_design.iter().zip(&values).map(|(share, cost)| share * cost.ns).sum::<f64>();
        Some(Self { costs: columns.by_site(&values), base_ns, freedom, residual_ns, joint })
    }

    /// The cost of a level of a site.
    pub fn cost(&self, site: usize, level: usize) -> Cost {
        level.checked_sub(1).map_or(Cost::default(), |at| self.costs[site][at])
    }

    /// Half the width of a cost's interval.
    pub fn half_width(&self, cost: Cost, confidence: f64) -> f64 {
        t_quantile(0.5 + 0.5 * confidence, self.freedom) * cost.error
    }

    /// A design's latency by its sites' costs.
    pub fn latency_ns(&self, design: &[usize]) -> f64 {
        let costs = design.iter().enumerate().map(|(site, &level)| self.cost(site, level).ns);
        self.base_ns + costs.sum::<f64>()
    }
}

/// Which column of the fit is for which level of which site.
struct Columns<'l> {
    levels: &'l [usize],
    /// By site: the column of its level 1.
    first: Vec<usize>,
    count: usize,
}

impl<'l> Columns<'l> {
    fn of(levels: &'l [usize]) -> Self {
        let mut count = 0;
        let first = levels.iter().map(|&levels| {
            count += levels.saturating_sub(1);
            count - levels.saturating_sub(1)
        });
        let first = first.collect();
        Self { levels, first, count }
    }

    /// The columns that are 1 in a design.
    fn set<'d>(&'d self, design: &'d [usize]) -> impl Iterator<Item = usize> + 'd {
        self.first.iter().zip(design).filter_map(|(first, &level)| Some(first + level.checked_sub(1)?))
    }

    fn by_site(&self, values: &[Cost]) -> Vec<Vec<Cost>> {
        let of =
            |(first, &levels): (&usize, &usize)| values[*first..*first + levels.saturating_sub(1)].to_vec();
        self.first.iter().zip(self.levels).map(of).collect()
    }
}

/// Designs and latencies without their blocks' means.
struct Centred {
    rows: Vec<Vec<f64>>,
    ns: Vec<f64>,
    blocks: usize,
    /// Of all designs: the share that has each column, and the mean latency.
    mean_design: Vec<f64>,
    mean_ns: f64,
}

impl Centred {
    fn of(columns: &Columns, observed: &[Observation]) -> Option<Self> {
        if observed.is_empty() {
            return None;
        }
        let mut rows: Vec<Vec<f64>> = observed.iter().map(|o| dummies(columns, &o.design)).collect();
        let mut ns: Vec<f64> = observed.iter().map(|o| o.ns).collect();
        let mean = |rows: &[Vec<f64>], which: &[usize]| -> Vec<f64> {
            let sum = |column: usize| which.iter().map(|&row| rows[row][column]).sum::<f64>();
            (0..columns.count).map(|column| sum(column) / which.len() as f64).collect()
        };
        let all: Vec<usize> = (0..rows.len()).collect();
        let (mean_design, mean_ns) = (mean(&rows, &all), ns.iter().sum::<f64>() / ns.len() as f64);
        let mut numbers: Vec<usize> = observed.iter().map(|o| o.block).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for &number in &numbers {
            let of_it: Vec<usize> = (0..rows.len()).filter(|&row| observed[row].block == number).collect();
            let shares = mean(&rows, &of_it);
            let block_ns = of_it.iter().map(|&row| ns[row]).sum::<f64>() / of_it.len() as f64;
            for row in of_it {
                rows[row].iter_mut().zip(&shares).for_each(|(value, share)| *value -= share);
                ns[row] -= block_ns;
            }
        }
        Some(Self { rows, ns, blocks: numbers.len(), mean_design, mean_ns })
    }
}

fn dummies(columns: &Columns, design: &[usize]) -> Vec<f64> {
    let mut row = vec![0.0; columns.count];
    columns.set(design).for_each(|column| row[column] = 1.0);
    row
}

/// All costs at once: least squares by the normal equations, with the degrees of freedom and the residual's deviation. `None` where
/// the designs don't tell all of them apart.
fn joint(columns: &Columns, centred: &Centred, free: usize) -> Option<(Vec<Cost>, f64, f64)> {
    let n = columns.count;
    let freedom = free.checked_sub(n).filter(|&freedom| freedom > 0)? as f64;
    let mut products = vec![vec![0.0; n]; n];
    let mut right = vec![0.0; n];
    for (row, ns) in centred.rows.iter().zip(&centred.ns) {
        for i in 0..n {
            right[i] += row[i] * ns;
            products[i][..=i].iter_mut().zip(&row[..=i]).for_each(|(sum, value)| *sum += row[i] * value);
        }
    }
    let factor = cholesky(products)?;
    let values = solve(&factor, &right);
    let fitted = |row: &Vec<f64>| row.iter().zip(&values).map(|(x, cost)| x * cost).sum::<f64>();
    let squares: f64 = centred.rows.iter().zip(&centred.ns).map(|(row, ns)| (ns - fitted(row)).powi(2)).sum();
    let variance = squares / freedom;
    let error = |column: usize| {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        (variance * solve(&factor, &unit)[column]).sqrt()
    };
    let costs = values.iter().enumerate().map(|(column, &ns)| Cost { ns, error: error(column) });
    Some((costs.collect(), freedom, variance.sqrt()))
}

/// The lower triangle L of a matrix (given by its lower triangle) that is L Lᵀ; `None` where it is not positive definite.
fn cholesky(mut a: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    for i in 0..a.len() {
        let whole = a[i][i];
        for j in 0..=i {
            let (before, from) = a.split_at_mut(i);
            let other = if i == j { from[0][..j].to_vec() } else { before[j][..j].to_vec() };
            let dot: f64 = from[0][..j].iter().zip(&other).map(|(x, y)| x * y).sum();
            let left = from[0][j] - dot;
            from[0][j] = match i == j {
                true if left > 1e-9 * whole.max(1e-300) => left.sqrt(),
                true => return None,
                false => left / before[j][j],
            };
        }
    }
    Some(a)
}

/// The x for which L Lᵀ x is `right`.
fn solve(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let mut x = right.to_vec();
    for i in 0..n {
        let dot: f64 = factor[i][..i].iter().zip(&x).map(|(l, x)| l * x).sum();
        x[i] = (x[i] - dot) / factor[i][i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|j| factor[j][i] * x[j]).sum();
        x[i] = (x[i] - dot) / factor[i][i];
    }
    x
}

/// Each cost by itself: the mean of the designs that have the level less that of those with level 0 at its site.
fn one_by_one(
    columns: &Columns,
    centred: &Centred,
    observed: &[Observation],
    free: usize,
) -> Option<(Vec<Cost>, f64, f64)> {
    let freedom = free.checked_sub(1).filter(|&freedom| freedom > 1)? as f64;
    let variance = centred.ns.iter().map(|ns| ns * ns).sum::<f64>() / free as f64;
    let with = |site: usize, level: usize| {
        let designs = observed.iter().zip(&centred.ns).filter(move |(o, _)| o.design[site] == level);
        Samples::new(designs.map(|(_, ns)| *ns))
    };
    let mut costs = vec![];
    for (site, &levels) in columns.levels.iter().enumerate() {
        let without = with(site, 0)?;
        for level in 1..levels {
            let with = with(site, level)?;
            let error = (variance * (1.0 / with.count() as f64 + 1.0 / without.count() as f64)).sqrt();
            costs.push(Cost { ns: with.mean() - without.mean(), error });
        }
    }
    Some((costs, freedom, variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::search::design;

    /// The costs of sites, up to ±1 ms, for `levels` levels each.
    fn truth(random: &mut SplitMix64, levels: &[usize]) -> Vec<Vec<f64>> {
        levels.iter().map(|&n| (1..n).map(|_| 1e6 * random.symmetric()).collect()).collect()
    }

    fn observe(
        levels: &[usize],
        truth: &[Vec<f64>],
        blocks: usize,
        seed: u64,
        noise: &mut dyn FnMut() -> f64,
    ) -> Vec<Observation> {
        let of_block = |block: usize| {
            design::block(levels, seed, block, design::size(levels)).into_iter().map(move |d| (block, d))
        };
        let cost = |design: &[usize]| -> f64 {
            design
                .iter()
                .zip(truth)
                .map(|(&level, costs)| if level > 0 { costs[level - 1] } else { 0.0 })
                .sum()
        };
        (0..blocks)
            .flat_map(of_block)
            .map(|(block, design)| {
                // Each block has its own speed.
                let ns = 40e6 + 1e5 * block as f64 + cost(&design) + noise();
                Observation { block, design, ns }
            })
            .collect()
    }

    /// Nearly normal noise of deviation 1.
    fn normal(random: &mut SplitMix64) -> f64 {
        (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0
    }

    /// One process in twenty is disturbed, and far slower.
    fn heavy(random: &mut SplitMix64) -> f64 {
        let noise = normal(random);
        if random.unit(53) < 0.05 { noise.abs() * 6.0 } else { noise }
    }

    fn coverage(noise: fn(&mut SplitMix64) -> f64, blocks: usize) -> (f64, bool) {
        let levels = [vec![3; 12], vec![2; 6]].concat();
        let mut random = SplitMix64::new(5);
        let (mut held, mut all, mut joint) = (0, 0, false);
        for seed in 0..60 {
            let truth = truth(&mut random, &levels);
            let observed = observe(&levels, &truth, blocks, seed, &mut || 4e5 * noise(&mut random));
            let fit = Fit::of(&levels, &observed).expect("enough");
            joint = fit.joint;
            for (costs, truth) in fit.costs.iter().zip(&truth) {
                for (cost, truth) in costs.iter().zip(truth) {
                    all += 1;
                    held += usize::from((cost.ns - truth).abs() <= fit.half_width(*cost, 0.99));
                }
            }
        }
        (f64::from(held as u32) / f64::from(all), joint)
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say_if_costs_add_up() {
        for noise in [normal, heavy] {
            let (held, joint) = coverage(noise, 16);
            assert!(joint && held >= 0.98, "together: {held}");
            let (held, joint) = coverage(noise, 4);
            assert!(!joint && held >= 0.98, "one by one: {held}");
        }
    }

    #[test]
    fn where_one_by_one_is_hardly_surer_costs_are_fitted_at_once_which_tells_whether_they_add_up() {
        let mut random = SplitMix64::new(6);
        for seed in 0..20 {
            let observed = observe(&[2], &[vec![1e3]], 3, seed, &mut || 1e5 * normal(&mut random));
            assert!(Fit::of(&[2], &observed).expect("enough").joint, "{seed}");
        }
    }

    #[test]
    fn without_noise_costs_are_exact_whatever_a_blocks_speed() {
        let levels = [3, 2, 4, 1, 3];
        let truth = truth(&mut SplitMix64::new(1), &levels);
        let fit = Fit::of(&levels, &observe(&levels, &truth, 8, 3, &mut || 0.0)).expect("enough");
        assert!(fit.joint);
        for (costs, truth) in fit.costs.iter().zip(&truth) {
            costs.iter().zip(truth).for_each(|(cost, truth)| assert!((cost.ns - truth).abs() < 1e-3));
        }
        assert!((fit.base_ns - (40e6 + 1e5 * 3.5)).abs() < 1e-3, "{}", fit.base_ns);
        assert!(
            (fit.latency_ns(&[2, 1, 0, 0, 1]) - fit.base_ns - truth[0][1] - truth[1][0] - truth[4][0]).abs()
                < 1e-3
        );
    }

    #[test]
    fn errors_fall_by_the_root_of_the_designs() {
        let levels = [3; 10];
        let mut random = SplitMix64::new(2);
        let truth = truth(&mut random, &levels);
        let mut error = |blocks: usize| {
            let observed = observe(&levels, &truth, blocks, 9, &mut || 1e5 * normal(&mut random));
            let fit = Fit::of(&levels, &observed).expect("enough");
            fit.costs.iter().flatten().map(|cost| cost.error).sum::<f64>() / 20.0
        };
        let ratio = error(20) / error(80);
        assert!((1.8..2.6).contains(&ratio), "{ratio}");
    }

    #[test]
    fn too_few_designs_give_no_costs() {
        let levels = [2; 4];
        assert_eq!(Fit::of(&levels, &[]), None);
        let one = Observation { block: 0, design: vec![0; 4], ns: 1.0 };
        assert_eq!(Fit::of(&levels, &[one]), None);
    }
}
