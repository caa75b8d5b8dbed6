//! Record against record: what changed between two measurements, and how sure that is.
//!
//! The records were made at different times, so nothing pairs their runs: the ratio of a variant's latencies is
//! estimated from one number a fork on either side (Welch), and whatever else changed on the machine in between
//! counts as a difference. That is why every comparison is labelled unpaired and names everything that is not the
//! same. Ops and sites are attribution: both means are shown, and no verdict is given on them.
//!
//! A side may be several records (A B A B): then their forks are put together, and less drift has to be allowed for.
//! Verdicts on the variants of one newer record hold together, as those of a single record do: each interval is as wide as
//! Holm's procedure asks, and with a limit the variants are ranked by how far they are beyond it.
//!
//! `pool` makes one record of the several of a side, `join` finds which variant, op or site is which, `variants` and
//! `breakdown` say what is compared of each, `latency` estimates ratios and `limit` judges them, and `differences`
//! names what else is not the same. `across` has what a variant shows on several devices. `align` puts operators of any number of runs side by side. How a comparison is shown is the business of reports.

pub mod across;
mod align;
mod breakdown;
mod differences;
mod join;
mod latency;
mod limit;
mod pool;
#[cfg(test)]
mod tests;
mod variants;

use std::borrow::Cow;

use serde::Serialize;

use join::{JoinedPair, join};
use variants::Comparable;

pub use align::{Aligned, align};
pub use breakdown::{Breakdown, JoinedBy, Pair, difference};
pub use differences::Difference;
pub use latency::{DRIFT, per_fork};
pub use limit::{Limit, Outcome};
pub use variants::{MEMORY, Matched, MatchedSide, MemorySize, SizeOf};

use crate::error::{Error, Result};
use crate::files::{Kind, is_json};
use crate::record::{Criteria, Delta, Margin, Record};
use crate::stats::Mean;

/// The schema of a comparison as JSON.
pub const SCHEMA: &str = "oplat.compare/1";

/// Files of it, in any version.
pub const KIND: Kind = Kind { what: "a comparison of oplat's", is: |file| is_json(file, "oplat.compare") };

/// A record and its name: the file that it came from.
#[derive(Clone, Copy, Debug)]
pub struct NamedRecord<'r> {
    pub name: &'r str,
    pub record: &'r Record,
}

/// A base against one or more newer records.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Comparison {
    pub schema: &'static str,
    /// Always `unpaired`: Welch over forks.
    pub method: &'static str,
    pub base: Source,
    /// Confidence that all verdicts on one newer record hold together.
    pub confidence: f64,
    /// The largest difference that a verdict calls none, as a share.
    pub margin: Margin,
    /// What was allowed, as a share: 0.05 is 5% slower.
    pub max_regression: Option<f64>,
    /// One for each newer record, in the order given.
    pub against: Vec<Against>,
    /// The worst of all outcomes; null without a limit.
    pub outcome: Option<Outcome>,
}

/// What one side is: model, engine, and when and how often it was measured.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Source {
    /// The file that it came from; of several records all of them.
    pub name: String,
    /// How many records it is.
    pub records: usize,
    pub model: String,
    pub engine: String,
    pub started_at: String,
    pub forks: usize,
    pub threads: usize,
    /// Where it was measured, and what that says of itself; empty where it isn't known.
    pub target: String,
    pub host: String,
    pub cpu: String,
    pub system: String,
    /// The command line; of several records the first one's.
    pub command: Vec<String>,
    /// What makes its figures less sure, each once.
    pub warnings: Vec<String>,
}

impl Source {
    fn new(side: &Side) -> Self {
        let record = side.record.as_ref();
        let models: Vec<&str> = match record.models.as_slice() {
            [] => vec![&record.model.name],
            models => models.iter().map(|m| m.name.as_str()).collect(),
        };
        Self {
            name: side.name.clone(),
            records: side.records,
            model: models.join(" and "),
            engine: engines(record),
            started_at: record.started_at.clone(),
            forks: record.settings.forks,
            threads: record.settings.threads,
            target: record.environment.target.clone(),
            host: record.environment.host.clone(),
            cpu: record.environment.cpu.clone().unwrap_or_default(),
            system: record.environment.os.clone(),
            command: record.command.clone(),
            warnings: distinct(record.environment.warnings.iter().cloned()),
        }
    }
}

/// All engines of a record with their versions.
fn engines(record: &Record) -> String {
    let all = if record.engines.is_empty() { std::slice::from_ref(&record.engine) } else { &record.engines };
    let named = all.iter().map(|e| format!("{} {}", e.name, e.version).trim_end().to_owned());
    named.collect::<Vec<_>>().join(" and ")
}

/// A side of a comparison: one record, or several as one.
struct Side<'r> {
    name: String,
    records: usize,
    record: Cow<'r, Record>,
    /// What differs between its own records, which should be nothing.
    differences: Vec<Difference>,
}

impl<'r> Side<'r> {
    fn new(records: &[NamedRecord<'r>]) -> Result<Self> {
        let differences = records.iter().skip(1).flat_map(|r| differences::all(records[0].record, r.record));
        Ok(Self {
            name: records.iter().map(|r| r.name).collect::<Vec<_>>().join(" + "),
            records: records.len(),
            record: pool::pool(records)?,
            differences: differences.collect(),
        })
    }
}

/// One newer record against the base.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Against {
    pub new: Source,
    pub differences: Vec<Difference>,
    /// Why latencies can't be compared, if they can't.
    pub no_latency: Option<String>,
    /// Whether that is since no times are shown at all, those of ops neither: an emulator's.
    pub emulated: bool,
    /// The share by which the machine itself may differ between the two: less is neither slower nor faster.
    pub drift: f64,
    /// Variants that both have, the worst first: by ratio, those without one last.
    pub variants: Vec<Matched>,
    /// Variants that only one of the two has.
    pub only_base: Vec<String>,
    pub only_new: Vec<String>,
    /// The worst of the variants, those that only the base has included; null without a limit.
    pub outcome: Option<Outcome>,
}

/// What a comparison goes by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much slower a variant may have become.
    pub limit: Option<Limit>,
    /// The largest difference that a verdict calls none; the base's own where it isn't given.
    pub margin: Option<Margin>,
}

/// Compares every newer side to the base; a side is one record, or several that were measured in turn with the
/// other side's. Fails where two have no variant in common.
pub fn compare(base: &[NamedRecord], newer: &[&[NamedRecord]], options: Options) -> Result<Comparison> {
    let base = Side::new(base)?;
    let newer = newer.iter().map(|side| Side::new(side)).collect::<Result<Vec<_>>>()?;
    let confidence = newer.iter().map(|n| n.record.settings.confidence);
    let confidence = confidence.fold(base.record.settings.confidence, f64::max);
    let margin = options.margin.unwrap_or(base.record.settings.margin);
    let limit = options.limit;
    let by = |new: &Side| Criteria { confidence, margin, drift: latency::drift(base.records, new.records) };
    let against = newer.iter().map(|new| one(&base, new, by(new), limit)).collect::<Result<Vec<_>>>()?;
    Ok(Comparison {
        schema: SCHEMA,
        method: "unpaired",
        base: Source::new(&base),
        confidence,
        margin,
        max_regression: limit.map(Limit::share),
        outcome: limit.and_then(|_| Outcome::worst(against.iter().filter_map(|a| a.outcome))),
        against,
    })
}

fn one(base: &Side, new: &Side, by: Criteria, limit: Option<Limit>) -> Result<Against> {
    let (old, young) = (base.record.as_ref(), new.record.as_ref());
    let (of_base, of_new) = (Comparable::all(old), Comparable::all(young));
    let joined = join(&of_base, &of_new, &variants::keys());
    if joined.pairs.is_empty() {
        return Err(nothing_in_common(base, new));
    }
    let no_latency = latency::incomparable(old, young);
    let ratio = |pair: &JoinedPair<Comparable>| latency::log_ratio(&pair.base.latency, &pair.new.latency);
    let ratios = joined.pairs.iter().map(|pair| ratio(pair).filter(|_| no_latency.is_none()));
    let variants = judged(&joined.pairs, &ratios.collect::<Vec<_>>(), &base.name, by, limit);
    let names = |left: Vec<&Comparable>| left.into_iter().map(|one| one.variant.name.clone()).collect();
    let within = base.differences.iter().chain(&new.differences).cloned();
    let missing = joined.only_base.iter().map(|_| Outcome::Missing);
    let outcomes = variants.iter().filter_map(|m| m.outcome).chain(missing);
    Ok(Against {
        new: Source::new(new),
        differences: distinct(differences::all(old, young).into_iter().chain(within)),
        no_latency,
        emulated: old.environment.emulated || young.environment.emulated,
        drift: by.drift,
        outcome: limit.and_then(|_| Outcome::worst(outcomes)),
        variants,
        only_base: names(joined.only_base),
        only_new: names(joined.only_new),
    })
}

/// The variants with their verdicts, the worst first.
fn judged(
    pairs: &[JoinedPair<Comparable>],
    ratios: &[Option<Mean>],
    against: &str,
    by: Criteria,
    limit: Option<Limit>,
) -> Vec<Matched> {
    let deltas = latency::deltas(ratios, against, limit.map_or(0.0, Limit::share), by);
    let matched = pairs.iter().zip(ratios).zip(deltas).map(|((pair, ratio), together)| {
        let alone = ratio.as_ref().map(|ratio| Delta::new(against, ratio, by));
        let new = pair.new.variant;
        let outcome = limit.map(|limit| match new.error {
            Some(_) => Outcome::Failed,
            None => limit.judge(alone.as_ref(), together.as_ref()),
        });
        Matched::new(pair.base.variant, new, together, outcome)
    });
    let mut variants: Vec<Matched> = matched.collect();
    let ratio = |m: &Matched| m.change.as_ref().map_or(f64::NEG_INFINITY, |c| c.ratio);
    let failed = |m: &Matched| m.outcome == Some(Outcome::Failed);
    variants.sort_by(|a, b| failed(b).cmp(&failed(a)).then(ratio(b).total_cmp(&ratio(a))));
    variants
}

fn nothing_in_common(base: &Side, new: &Side) -> Error {
    let names =
        |side: &Side| side.record.variants.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(" | ");
    Error::input(format!(
        "{} and {} have no variant in common: the one has {}, the other {}",
        base.name,
        new.name,
        names(base),
        names(new)
    ))
}

/// Each thing once, where it stands first.
pub(crate) fn distinct<T: PartialEq>(things: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut kept: Vec<T> = vec![];
    for thing in things {
        if !kept.contains(&thing) {
            kept.push(thing);
        }
    }
    kept
}
