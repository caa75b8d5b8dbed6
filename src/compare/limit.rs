//! A limit on how much slower a variant may have become, and whether it holds.

use std::str::FromStr;

use serde::Serialize;

use crate::record::{Delta, Verdict};
use crate::units;

/// How much slower is allowed, as a share: `5%` is 0.05.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit(f64);

/// Whether a variant keeps to the limit; in order from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole interval lies below the limit.
    Within,
    /// The interval holds the limit, or there is no interval.
    Inconclusive,
    /// The whole interval lies above the limit, and beyond what records drift apart by.
    Regression,
    /// It failed in the newer record, whatever was measured of it until then.
    Failed,
    /// The newer record doesn't have it.
    Missing,
}

impl Limit {
    pub fn share(self) -> f64 {
        self.0
    }

    /// Judges a variant by where its interval lies; without one nothing can be told. Any of many variants may be a
    /// regression by chance, so that is judged by `together`, whose interval is wide enough for all verdicts to hold
    /// at once. A variant is within the limit by itself, which is judged by `alone`.
    pub fn judge(self, alone: Option<&Delta>, together: Option<&Delta>) -> Outcome {
        let beyond =
            |d: &Delta| d.verdict == Verdict::Slower && d.interval.is_some_and(|[low, _]| low > 1.0 + self.0);
        let within = |d: &Delta| d.interval.is_some_and(|[_, high]| high < 1.0 + self.0);
        match (alone, together) {
            (_, Some(delta)) if beyond(delta) => Outcome::Regression,
            (Some(delta), _) if within(delta) => Outcome::Within,
            _ => Outcome::Inconclusive,
        }
    }
}

impl Outcome {
    /// As records and tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Inconclusive => "inconclusive",
            Self::Regression => "regression",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }

    /// Whether the gate is closed by it, and not only left open to doubt.
    pub fn is_failure(self) -> bool {
        self >= Self::Regression
    }

    pub fn worst(outcomes: impl Iterator<Item = Self>) -> Option<Self> {
        outcomes.max()
    }
}

/// Reads `5%` and `0.05`.
impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        units::parse_share(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_percentage_or_a_share() {
        for (text, share) in [("5%", 0.05), ("0.05", 0.05), ("0%", 0.0), ("0", 0.0), (" 12.5 %", 0.125)] {
            assert_eq!(text.parse::<Limit>().map(Limit::share), Ok(share), "{text}");
        }
        assert_eq!("5".parse::<Limit>().unwrap_err(), "did you mean 5%? Give 5% or 0.05");
        for wrong in ["", "%", "-5%", "NaN", "inf", "inf%", "five"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }
}
