//! Record against record: what changed between two measurements, and how sure that is.
//!
//! The records were made at different times, so nothing pairs their runs: the ratio of a variant's latencies is
//! estimated from one number a fork on either side (Welch), and whatever else changed on the machine in between
//! counts as a difference. That is why every comparison is labelled unpaired and names everything that is not the
//! same. Ops and sites are attribution: both means are shown, and no verdict is given on them.

mod breakdown;
mod differences;
mod join;
mod latency;
mod limit;
#[cfg(test)]
mod tests;
mod variants;

use serde::Serialize;

pub use breakdown::{Breakdown, JoinedBy, Pair, difference};
pub use differences::Difference;
pub use latency::DRIFT;
pub use limit::{Limit, Outcome};
pub use variants::{Figure, Matched, Side};

use crate::error::{Error, Result};
use crate::record::{Record, Variant};

/// The schema of a comparison as JSON.
pub const SCHEMA: &str = "oplat.compare/1";

/// A record and what to call it: the file that it came from.
#[derive(Clone, Copy, Debug)]
pub struct Named<'r> {
    pub name: &'r str,
    pub record: &'r Record,
}

/// A base against one or more newer records.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub schema: &'static str,
    /// Always `unpaired`: Welch over forks.
    pub method: &'static str,
    pub base: Source,
    /// What was allowed, as a share: 0.05 is 5% slower.
    pub max_regression: Option<f64>,
    /// One for each newer record, in the order given.
    pub against: Vec<Against>,
    /// The worst of all outcomes; null without a limit.
    pub outcome: Option<Outcome>,
}

/// What a record is a record of.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// The file that it came from.
    pub name: String,
    pub model: String,
    pub engine: String,
    pub started_at: String,
    pub forks: usize,
    /// What makes its figures less sure, each once.
    pub warnings: Vec<String>,
}

impl Source {
    fn new(named: Named) -> Self {
        let record = named.record;
        let mut warnings: Vec<String> = vec![];
        for warning in &record.environment.warnings {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        Self {
            name: named.name.to_owned(),
            model: record.model.name.clone(),
            engine: format!("{} {}", record.engine.name, record.engine.version),
            started_at: record.started_at.clone(),
            forks: record.settings.forks,
            warnings,
        }
    }
}

/// One newer record against the base.
#[derive(Clone, Debug, Serialize)]
pub struct Against {
    pub new: Source,
    pub differences: Vec<Difference>,
    /// Why latencies can't be compared, if they can't.
    pub no_latency: Option<String>,
    /// Variants that both have, the worst first: by ratio, those without one last.
    pub variants: Vec<Matched>,
    /// Variants that only one of the two has.
    pub only_base: Vec<String>,
    pub only_new: Vec<String>,
    /// The worst of the variants; null without a limit.
    pub outcome: Option<Outcome>,
}

/// Compares every newer record to the base. Fails where two have no variant in common.
pub fn compare(base: Named, newer: &[Named], limit: Option<Limit>) -> Result<Comparison> {
    let against = newer.iter().map(|&new| one(base, new, limit)).collect::<Result<Vec<_>>>()?;
    Ok(Comparison {
        schema: SCHEMA,
        method: "unpaired",
        base: Source::new(base),
        max_regression: limit.map(Limit::share),
        outcome: limit.and_then(|_| Outcome::worst(against.iter().filter_map(|a| a.outcome))),
        against,
    })
}

fn one(base: Named, new: Named, limit: Option<Limit>) -> Result<Against> {
    let (old, young) = (base.record, new.record);
    let joined = join::join(&old.variants, &young.variants, variants::KEYS);
    if joined.pairs.is_empty() {
        let names = |r: &Record| r.variants.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(" | ");
        return Err(Error::input(format!(
            "{} and {} have no variant in common: the one has {}, the other {}",
            base.name,
            new.name,
            names(old),
            names(young)
        )));
    }
    let no_latency = latency::incomparable(old, young);
    let confidence = old.settings.confidence.max(young.settings.confidence);
    let matched = joined.pairs.iter().map(|pair| {
        let change = match no_latency {
            Some(_) => None,
            None => latency::change(base.name, pair.base, pair.new, confidence),
        };
        Matched::new(pair.base, pair.new, change, limit)
    });
    let mut variants: Vec<Matched> = matched.collect();
    let ratio = |m: &Matched| m.change.as_ref().map_or(f64::NEG_INFINITY, |c| c.ratio);
    variants.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)));
    let names = |left: Vec<&Variant>| left.into_iter().map(|v| v.name.clone()).collect();
    Ok(Against {
        new: Source::new(new),
        differences: differences::all(old, young),
        no_latency,
        outcome: limit.and_then(|_| Outcome::worst(variants.iter().filter_map(|m| m.outcome))),
        variants,
        only_base: names(joined.only_base),
        only_new: names(joined.only_new),
    })
}
