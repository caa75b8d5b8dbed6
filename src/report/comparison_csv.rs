//! Comparisons as comma-separated values. As in a record's, the column `row` says what a row is of: `variant` with
//! ratio, interval and verdict, `memory`, `op` and `site` with two figures and no verdict, and `difference` for
//! what else is not the same in the two records.

use super::csv::{columns, known, line, number, role, verdict};
use crate::compare::{Against, Breakdown, Comparison, JoinedBy, Matched, Outcome, difference};

columns! {
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
    /// The smallest difference that could have been seen: half the interval's width and a machine's drift.
    resolution,
    verdict,
    /// Against --max-regression: `within`, `inconclusive` or `regression`.
    outcome,
    base_bytes, new_bytes, difference_bytes,
    /// What the records say where they differ.
    base_value, new_value,
    error,
}

pub fn render(comparison: &Comparison) -> String {
    let mut out = String::new();
    line(&mut out, Row::HEADER);
    for against in &comparison.against {
        let common =
            Row { base: comparison.base.name.clone(), new: against.new.name.clone(), ..Row::default() };
        for matched in &against.variants {
            variant(&common, comparison.method, against, matched, &mut out);
        }
        for difference in &against.differences {
            let row = Row {
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

pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Within => "within",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Regression => "regression",
    }
}

fn variant(common: &Row, method: &str, against: &Against, matched: &Matched, out: &mut String) {
    let timed = against.no_latency.is_none();
    let common = Row {
        variant: matched.name.clone(),
        role: role(matched.role),
        rule: matched.rule.clone(),
        lowering: matched.lowering.to_string(),
        ..common.clone()
    };
    let errors = [&matched.base, &matched.new].map(|side| side.error.clone());
    let mut row = Row {
        row: "variant".into(),
        base_forks: matched.base.forks.to_string(),
        new_forks: matched.new.forks.to_string(),
        outcome: matched.outcome.map(outcome).unwrap_or_default().into(),
        error: errors.into_iter().flatten().collect::<Vec<_>>().join("; "),
        ..common.clone()
    };
    if timed {
        let p50 = |side: &crate::compare::Half| side.latency.map(|l| l.p50_ns);
        row.times(p50(&matched.base), p50(&matched.new));
    }
    if let Some(change) = &matched.change {
        row.method = method.into();
        row.ratio = number(change.ratio);
        [row.ratio_low, row.ratio_high] = change.interval.map_or_else(Default::default, |i| i.map(number));
        row.confidence = number(change.confidence);
        row.resolution = change.resolution.map(number).unwrap_or_default();
        row.verdict = verdict(change.verdict).into();
    }
    row.write(out);
    for figure in &matched.memory {
        let mut row = Row {
            row: "memory".into(),
            what: figure.what.into(),
            base_bytes: known(figure.base_bytes),
            new_bytes: known(figure.new_bytes),
            ..common.clone()
        };
        if figure.base_bytes.is_some() && figure.new_bytes.is_some() {
            row.difference_bytes = difference(figure.base_bytes, figure.new_bytes).to_string();
        }
        row.write(out);
    }
    if timed {
        breakdown(&common, "op", &matched.ops, out);
        breakdown(&common, "site", &matched.sites, out);
    }
}

fn breakdown(common: &Row, row: &str, breakdown: &Breakdown, out: &mut String) {
    for pair in &breakdown.rows {
        let mut row = Row {
            row: row.into(),
            what: pair.what.clone(),
            node: pair.node.clone(),
            shape: pair.shape.clone(),
            joined_by: joined_by(pair.joined_by).into(),
            ..common.clone()
        };
        row.times(pair.base_ns, pair.new_ns);
        row.write(out);
    }
}

fn joined_by(by: JoinedBy) -> &'static str {
    match by {
        JoinedBy::Name => "name",
        JoinedBy::Shape => "shape",
        JoinedBy::Nothing => "nothing",
    }
}

impl Row {
    /// Both times, and their difference if there are two.
    fn times(&mut self, base: Option<u64>, new: Option<u64>) {
        (self.base_ns, self.new_ns) = (known(base), known(new));
        if base.is_some() && new.is_some() {
            self.difference_ns = difference(base, new).to_string();
        }
    }
}
