//! Comparisons as comma-separated values. As in a record's, the column `row` says what a row is of: `variant` with
//! ratio, interval and verdict, `memory`, `op` and `site` with two figures and no verdict, and `difference` for
//! what else is not the same in the two records.

use super::csv::{columns, ends, known, line, number, role};
use super::verdict::word;
use crate::compare::{Against, Breakdown, Comparison, Matched, MatchedSide, MemorySize, Outcome, difference};

columns! {
    struct ComparisonRow {
        base, new,
        /// `variant`, `memory`, `op`, `site` or `difference`.
        row,
        variant, role, rule, lowering,
        /// Operator, activation, sort of memory, or what differs.
        what,
        node, shape,
        /// `name`, `shape` or `nothing`: how the two rows were found to be one.
        joined_by,
        /// p50 of a variant, mean of an op or site.
        base_ns, new_ns, difference_ns, base_forks, new_forks,
        /// How the ratio, new over base, was estimated: `unpaired`.
        method, ratio, ratio_low, ratio_high, confidence,
        /// A true difference that four of five such comparisons would find, a machine's drift included.
        resolution,
        verdict,
        /// Against --max-regression: `within`, `inconclusive`, `regression`, `failed` or `missing`.
        outcome,
        base_bytes, new_bytes, difference_bytes,
        /// What the records say where they differ.
        base_value, new_value,
        error,
    }
}

pub fn render(comparison: &Comparison) -> String {
    let mut out = String::new();
    line(&mut out, ComparisonRow::HEADER);
    for against in &comparison.against {
        let common = ComparisonRow {
            base: comparison.base.name.clone(),
            new: against.new.name.clone(),
            ..ComparisonRow::default()
        };
        for matched in &against.variants {
            variant(&common, comparison.method, against, matched, &mut out);
        }
        for name in &against.only_base {
            let outcome = comparison.max_regression.map(|_| Outcome::Missing.name().to_owned());
            let (row, variant) = ("variant".into(), name.clone());
            let what = "only in the base".into();
            ComparisonRow { row, variant, what, outcome: outcome.unwrap_or_default(), ..common.clone() }
                .write(&mut out);
        }
        for difference in &against.differences {
            let row = ComparisonRow {
                row: "difference".into(),
                what: difference.what.into(),
                base_value: difference.base.clone(),
                new_value: difference.new.clone(),
                ..common.clone()
            };
            row.write(&mut out);
        }
    }
    out
}

/// All rows of a variant.
fn variant(common: &ComparisonRow, method: &str, against: &Against, matched: &Matched, out: &mut String) {
    let timed = !against.emulated;
    let common = ComparisonRow {
        variant: matched.name.clone(),
        role: role(matched.role),
        rule: matched.rule.clone(),
        lowering: matched.lowering.to_string(),
        ..common.clone()
    };
    whole(&common, method, matched, timed).write(out);
    for size in &matched.memory {
        memory(&common, size).write(out);
    }
    if timed {
        breakdown(&common, "op", &matched.ops, out);
        breakdown(&common, "site", &matched.sites, out);
    }
}

fn whole(common: &ComparisonRow, method: &str, matched: &Matched, timed: bool) -> ComparisonRow {
    let errors = [&matched.base, &matched.new].map(|side| side.error.clone());
    let mut row = ComparisonRow {
        row: "variant".into(),
        base_forks: matched.base.forks.to_string(),
        new_forks: matched.new.forks.to_string(),
        outcome: matched.outcome.map(Outcome::name).unwrap_or_default().into(),
        error: errors.into_iter().flatten().collect::<Vec<_>>().join("; "),
        ..common.clone()
    };
    if timed {
        let p50 = |side: &MatchedSide| side.latency.map(|l| l.p50_ns);
        row.times(p50(&matched.base), p50(&matched.new));
    }
    if let Some(change) = &matched.change {
        row.method = method.into();
        row.ratio = number(change.ratio);
        [row.ratio_low, row.ratio_high] = ends(change.interval);
        row.confidence = number(change.confidence);
        row.resolution = change.resolution.map(number).unwrap_or_default();
        row.verdict = word(change.verdict).into();
    }
    row
}

fn memory(common: &ComparisonRow, size: &MemorySize) -> ComparisonRow {
    let (base, new) = (size.base_bytes, size.new_bytes);
    let difference_bytes = base.and(new).map(|_| difference(base, new));
    ComparisonRow {
        row: "memory".into(),
        what: size.what.into(),
        base_bytes: known(base),
        new_bytes: known(new),
        difference_bytes: known(difference_bytes),
        ..common.clone()
    }
}

fn breakdown(common: &ComparisonRow, row: &str, breakdown: &Breakdown, out: &mut String) {
    for pair in &breakdown.rows {
        let mut row = ComparisonRow {
            row: row.into(),
            what: pair.what.clone(),
            node: pair.node.clone(),
            shape: pair.shape.clone(),
            joined_by: pair.joined_by.name().into(),
            ..common.clone()
        };
        row.times(pair.base_ns, pair.new_ns);
        row.write(out);
    }
}

impl ComparisonRow {
    /// Both times, and their difference if there are two.
    fn times(&mut self, base: Option<u64>, new: Option<u64>) {
        (self.base_ns, self.new_ns) = (known(base), known(new));
        if base.is_some() && new.is_some() {
            self.difference_ns = difference(base, new).to_string();
        }
    }
}
