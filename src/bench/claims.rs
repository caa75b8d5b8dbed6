//! What the study says, and whether it holds here.
//!
//! Each claim is taken at its word and tried at every size that was measured, among the study's own activations, for
//! each lowering by itself. An interval decides: if it lies wholly on one side, it confirms or refutes; if not, the
//! claim can't be told. A general claim is refuted by one size and confirmed only by all.
//!
//! Kernels are timed bare, the engine's operators with what the engine does around them. So that neither has an
//! advantage, a kernel counts with what it takes the engine to call it as an operator.

use super::figures;
use crate::record::Lowering;
use crate::record::bench::{Claim, Row, Verdict};
use crate::stats::Estimate;
use crate::units::{self, integer};

/// The study's activations, by the names of the registry.
const STUDY: [&str; 7] = ["relu", "leaky_relu", "sigmoid", "silu", "hard_swish", "selu", "mish"];

/// The rows in these lowerings, tried against the study. A claim whose activations are not there is left out.
/// `operator_ns` is what a kernel takes longer as an operator.
pub fn claims(rows: &[Row], lowerings: &[Lowering], operator_ns: Option<f64>, confidence: f64) -> Vec<Claim> {
    let rows: Vec<Row> = rows.iter().map(|row| as_operator(row, operator_ns.unwrap_or(0.0))).collect();
    let of = |&lowering: &Lowering| Table::new(&rows, lowering, confidence).claims();
    lowerings.iter().flat_map(of).collect()
}

/// The row as the engine would run it.
fn as_operator(row: &Row, operator_ns: f64) -> Row {
    let mut row = row.clone();
    if row.isa.is_some() {
        let more = (operator_ns * f64::from(row.turns.batch)).round() as u64;
        row.turns.forks.iter_mut().flatten().for_each(|ns| *ns += more);
    }
    row
}

/// The rows of one lowering, by size. An activation without a kernel has its one row in both lowerings.
struct Table<'r> {
    lowering: Lowering,
    sizes: Vec<Size<'r>>,
    confidence: f64,
}

struct Size<'r> {
    elements: u64,
    rows: Vec<&'r Row>,
}

/// What one size says: a verdict, and the figure that it rests on.
struct Finding {
    verdict: Verdict,
    figure: String,
}

impl<'r> Table<'r> {
    fn new(rows: &'r [Row], lowering: Lowering, confidence: f64) -> Self {
        let mut elements: Vec<u64> = rows.iter().map(|row| row.elements).collect();
        elements.sort_unstable();
        elements.dedup();
        let size = |elements: u64| {
            let of_it = |kind: &&str| {
                let named = |row: &&Row| row.elements == elements && kind_of(&row.activation) == *kind;
                let mut both = rows.iter().filter(named);
                both.clone().find(|row| row.lowering == lowering).or_else(|| {
                    // An activation with a single row has no kernel.
                    both.next().filter(|first| first.isa.is_none() && both.next().is_none())
                })
            };
            Size { elements, rows: STUDY.iter().filter_map(of_it).collect() }
        };
        Self { lowering, sizes: elements.into_iter().map(size).collect(), confidence }
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![];
        let mut tried = |claim: &str, findings: Vec<Finding>, missing: Option<String>| {
            if !findings.is_empty() {
                let verdict = all_of(&findings);
                let figures: Vec<String> = telling(findings, verdict).chain(missing).collect();
                let (claim, lowering) = (claim.into(), self.lowering);
                let figures = figures.join("; ");
                claims.push(Claim { claim, engine: String::new(), lowering, verdict, figures });
            }
        };
        tried("Mish is the dearest", self.each(|size| self.dearest(size)), self.missing());
        tried("Swish is 15 to 20% faster than Mish", self.each(|size| self.swish(size)), None);
        tried("ReLU and LeakyReLU are the cheapest", self.each(|size| self.cheapest(size)), self.missing());
        tried("the ratio of Mish to ReLU grows with size", self.grows().into_iter().collect(), None);
        claims
    }

    /// The study's activations that were not measured, for claims on all of them.
    fn missing(&self) -> Option<String> {
        let is_missing = |kind: &&&str| self.sizes.iter().any(|size| size.row(kind).is_none());
        let missing: Vec<&str> = STUDY.iter().filter(is_missing).copied().collect();
        (!missing.is_empty()).then(|| format!("not among them: {}", missing.join(", ")))
    }

    fn each(&self, find: impl Fn(&Size) -> Option<Finding>) -> Vec<Finding> {
        self.sizes.iter().filter_map(find).collect()
    }

    fn ratio(&self, a: &Row, b: &Row) -> Option<Estimate> {
        figures::ratio(&a.turns, &b.turns, self.confidence)
    }

    /// Mish against each of the others. The one that comes nearest to it, or is dearer, decides.
    fn dearest(&self, size: &Size) -> Option<Finding> {
        let mish = size.row("mish")?;
        let others = size.rows.iter().filter(|row| kind_of(&row.activation) != "mish");
        let ratios: Vec<(&Row, Estimate)> =
            others.filter_map(|&row| Some((row, self.ratio(mish, row)?))).collect();
        let (next, ratio) = least(&ratios)?;
        Some(Finding {
            verdict: all_above(&ratios),
            figure: format!(
                "at {} it takes {} times as long as {}",
                integer(size.elements),
                told(ratio),
                next.activation
            ),
        })
    }

    /// 15 to 20% faster: in 80 to 85% of the time.
    fn swish(&self, size: &Size) -> Option<Finding> {
        let ratio = self.ratio(size.row("silu")?, size.row("mish")?)?;
        let verdict = match ratio.interval {
            Some(i) if i.low >= 0.80 && i.high <= 0.85 => Verdict::Confirmed,
            Some(i) if i.high < 0.80 || i.low > 0.85 => Verdict::Refuted,
            _ => Verdict::Inconclusive,
        };
        let figure = format!("at {} it takes {} of Mish's time", integer(size.elements), told(&ratio));
        Some(Finding { verdict, figure })
    }

    /// Each of the others against the dearer of the two.
    fn cheapest(&self, size: &Size) -> Option<Finding> {
        let two = [size.row("relu")?, size.row("leaky_relu")?];
        let others = size.rows.iter().filter(|row| !two.iter().any(|known| known == *row));
        let ratios: Vec<(&Row, Estimate)> = others
            .flat_map(|&other| two.iter().filter_map(move |one| Some((other, self.ratio(other, one)?))))
            .collect();
        let (next, ratio) = least(&ratios)?;
        Some(Finding {
            verdict: all_above(&ratios),
            figure: format!(
                "at {} the cheapest of the others, {}, takes {} times as long as the dearer of the two",
                integer(size.elements),
                next.activation,
                told(ratio)
            ),
        })
    }

    fn grows(&self) -> Option<Finding> {
        let both = |size: &Size<'r>| Some((size.elements, size.row("mish")?, size.row("relu")?));
        let sizes: Vec<(u64, &Row, &Row)> = self.sizes.iter().filter_map(both).collect();
        let [(from, mish, relu), .., (to, large_mish, large_relu)] = sizes.as_slice() else { return None };
        let change = figures::change(
            [&mish.turns, &relu.turns],
            [&large_mish.turns, &large_relu.turns],
            self.confidence,
        )?;
        let [then, now] = [self.ratio(mish, relu)?, self.ratio(large_mish, large_relu)?];
        let verdict = all_above(&[(*mish, change)]);
        let figure = format!(
            "{} at {}, {} at {}: {} times as much",
            units::times(then.point),
            integer(*from),
            units::times(now.point),
            integer(*to),
            told(&change)
        );
        Some(Finding { verdict, figure })
    }
}

impl<'r> Size<'r> {
    fn row(&self, kind: &str) -> Option<&'r Row> {
        self.rows.iter().copied().find(|row| kind_of(&row.activation) == kind)
    }
}

/// `leaky_relu:0.1` is a leaky_relu.
fn kind_of(activation: &str) -> &str {
    activation.split(':').next().unwrap_or(activation)
}

/// The ratio that is the least.
fn least<'a, 'r>(ratios: &'a [(&'r Row, Estimate)]) -> Option<(&'r Row, &'a Estimate)> {
    let least = ratios.iter().min_by(|a, b| a.1.point.total_cmp(&b.1.point))?;
    Some((least.0, &least.1))
}

/// Whether every ratio is above 1: refuted by one that is below.
fn all_above(ratios: &[(&Row, Estimate)]) -> Verdict {
    let above = |ratio: &Estimate| match ratio.interval {
        Some(i) if i.low > 1.0 => Verdict::Confirmed,
        Some(i) if i.high < 1.0 => Verdict::Refuted,
        _ => Verdict::Inconclusive,
    };
    worst(ratios.iter().map(|(_, ratio)| above(ratio)))
}

/// The figures that say most: those of the smallest and the largest size, and of the first one that decides.
fn telling(findings: Vec<Finding>, verdict: Verdict) -> impl Iterator<Item = String> {
    let last = findings.len().saturating_sub(1);
    let decides = findings.iter().position(|finding| finding.verdict == verdict);
    let tells = move |i: usize| i == 0 || i == last || Some(i) == decides;
    findings.into_iter().enumerate().filter(move |(i, _)| tells(*i)).map(|(_, finding)| finding.figure)
}

fn all_of(findings: &[Finding]) -> Verdict {
    worst(findings.iter().map(|finding| finding.verdict))
}

fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let order = [Verdict::Refuted, Verdict::Inconclusive, Verdict::Confirmed];
    verdicts.min_by_key(|v| order.iter().position(|o| o == v)).unwrap_or(Verdict::Inconclusive)
}

fn told(ratio: &Estimate) -> String {
    match figures::interval(ratio) {
        Some(interval) if interval[1] < 100.0 => units::ratio(ratio.point, Some(interval)),
        Some([low, high]) => {
            format!("{} [{}, {}]", units::times(ratio.point), units::times(low), units::times(high))
        }
        None => units::times(ratio.point),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::turns;
    use super::*;
    use crate::bench::assemble::tests::row;
    use Lowering::{Exported, Kernel};

    const SPEEDS: [u64; 4] = [100, 101, 99, 100];

    fn of(activation: &str, lowering: Lowering, elements: u64, ns: u64) -> Row {
        Row {
            isa: (lowering == Kernel).then(|| "avx2".into()),
            turns: turns(ns, &SPEEDS),
            ..row(activation, lowering, elements)
        }
    }

    fn verdicts(rows: &[Row], lowering: Lowering) -> Vec<(String, Verdict)> {
        let claims = claims(rows, &[lowering], None, 0.99);
        claims.into_iter().map(|claim| (claim.claim, claim.verdict)).collect()
    }

    fn study() -> Vec<Row> {
        let mut rows = vec![];
        for (elements, relu, mish) in [(1152, 1000, 10_000), (9216, 8000, 120_000)] {
            rows.extend([
                of("relu", Exported, elements, relu),
                of("leaky_relu:0.1", Exported, elements, relu * 101 / 100),
                of("silu", Exported, elements, mish * 82 / 100),
                of("silu", Kernel, elements, relu * 2),
                of("mish", Exported, elements, mish),
                of("mish", Kernel, elements, relu * 2),
            ]);
        }
        rows
    }

    #[test]
    fn claims_that_hold_are_confirmed_with_their_figures() {
        let rows = study();
        let all = claims(&rows, &[Exported], None, 0.99);
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|c| c.verdict == Verdict::Confirmed), "{all:#?}");
        assert!(all[0].figures.starts_with("at 1,152 it takes 1.220 [1.2"), "{}", all[0].figures);
        assert!(all[3].figures.starts_with("10.00 at 1,152, 15.00 at 9,216: 1.50"), "{}", all[3].figures);
    }

    #[test]
    fn a_kernel_is_judged_among_kernels_and_what_has_none() {
        assert_eq!(
            verdicts(&study(), Kernel).into_iter().map(|(_, v)| v).collect::<Vec<_>>(),
            // As dear as Swish; not 15% apart; relu and leaky relu cheaper than both; no growth.
            [Verdict::Inconclusive, Verdict::Refuted, Verdict::Confirmed, Verdict::Inconclusive]
        );
    }

    #[test]
    fn a_kernel_has_no_advantage_over_an_operator() {
        // Bare, hard swish is cheaper than relu by what an operator adds.
        let rows = [
            of("relu", Exported, 64, 300),
            of("leaky_relu", Exported, 64, 290),
            of("hard_swish", Kernel, 64, 250),
        ];
        let verdict = |operator_ns| claims(&rows, &[Kernel], operator_ns, 0.99)[0].verdict;
        assert_eq!(verdict(None), Verdict::Refuted);
        assert_eq!(verdict(Some(100.0)), Verdict::Confirmed);
    }

    #[test]
    fn of_many_sizes_the_ends_and_the_deciding_one_are_told() {
        let mut rows = vec![];
        for (elements, mish) in [(1, 500), (2, 500), (3, 90), (4, 500), (5, 90), (6, 500)] {
            rows.extend([of("relu", Exported, elements, 100), of("mish", Exported, elements, mish)]);
        }
        let claim = &claims(&rows, &[Exported], None, 0.99)[0];
        assert_eq!(claim.verdict, Verdict::Refuted);
        let sizes: Vec<&str> =
            claim.figures.split("; ").filter_map(|figure| figure.split(' ').nth(1)).take(3).collect();
        assert_eq!(sizes, ["1", "3", "6"], "{}", claim.figures);
    }

    #[test]
    fn one_size_refutes_and_one_fork_tells_nothing() {
        let mut rows = study();
        rows.push(of("selu", Exported, 9216, 200_000));
        assert_eq!(verdicts(&rows, Exported)[0].1, Verdict::Refuted);
        let mut single = study();
        single.iter_mut().for_each(|row| row.turns.forks.truncate(1));
        assert!(verdicts(&single, Exported).iter().all(|(_, v)| *v == Verdict::Inconclusive));
    }

    #[test]
    fn what_was_not_measured_is_not_claimed() {
        let rows = [of("relu", Exported, 8, 100), of("gelu", Exported, 8, 100)];
        assert_eq!(verdicts(&rows, Exported), []);
        let rows = [of("relu", Exported, 8, 100), of("mish", Exported, 8, 300)];
        assert_eq!(verdicts(&rows, Exported), [("Mish is the dearest".into(), Verdict::Confirmed)]);
        let claim = &claims(&rows, &[Exported], None, 0.99)[0];
        assert!(claim.figures.ends_with("not among them: leaky_relu, sigmoid, silu, hard_swish, selu"));
    }
}
