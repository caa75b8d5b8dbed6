//! What an estimated ratio of latencies allows to say.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Delta, Verdict};
use crate::stats::{Interval, Mean};
use crate::units;

/// The largest difference, as a share, that doesn't matter, 2% unless a user says otherwise: an interval within so much of 1
/// on either side means "no difference". A wider one means that the measurement can't tell.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Margin(pub f64);

impl Default for Margin {
    fn default() -> Self {
        Self(0.02)
    }
}

/// Reads `2%` and `0.02`.
impl FromStr for Margin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match units::parse_share(text)? {
            share if share > 0.0 && share < 1.0 => Ok(Self(share)),
            _ => {
                Err("give more than 0% and less than 100%: no measurement shows that nothing differs at all"
                    .into())
            }
        }
    }
}

/// What a verdict goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criteria {
    /// Confidence of the interval.
    pub confidence: f64,
    pub margin: Margin,
    /// The share by which the machine itself may have changed from one measurement to the other, which forks can't show:
    /// an interval is a difference only if it lies beyond that. 0 where runs are paired, since what happened to the
    /// machine happened to both sides.
    pub drift: f64,
}

impl Delta {
    /// From the logarithm of the ratio. An interval that reaches beyond all numbers says as much as none, and could not be
    /// written.
    pub fn new(against: &str, log_ratio: &Mean, by: Criteria) -> Self {
        let ratio = log_ratio.estimate(by.confidence).exp();
        let interval = ratio.interval.filter(|i| i.high.is_finite());
        let detectable = interval.and_then(|_| log_ratio.detectable(by.confidence));
        Self {
            against: against.to_owned(),
            ratio: ratio.point,
            interval: interval.map(|i| [i.low, i.high]),
            confidence: by.confidence,
            verdict: interval.map_or(Verdict::Inconclusive, |i| verdict(i, by)),
            resolution: detectable.map(|log| (1.0 + by.drift) * log.exp() - 1.0).filter(|r| r.is_finite()),
        }
    }
}

impl Delta {
    /// Whether it is surely no more than so much slower (a share), or surely more; `None` if that can't be told.
    pub fn keeps(&self, limit: f64) -> Option<bool> {
        match self.interval? {
            [_, high] if high < 1.0 + limit => Some(true),
            [low, _] if low > 1.0 + limit => Some(false),
            _ => None,
        }
    }

    /// The verdict that the interval of a paired comparison allows.
    pub fn judge(&mut self, margin: Margin) {
        let by = Criteria { confidence: self.confidence, margin, drift: 0.0 };
        let interval = self.interval.map(|[low, high]| Interval { low, high });
        self.verdict = interval.map_or(Verdict::Inconclusive, |i| verdict(i, by));
    }
}

fn verdict(i: Interval, by: Criteria) -> Verdict {
    match i {
        _ if i.low > 1.0 + by.drift => Verdict::Slower,
        _ if i.high < 1.0 / (1.0 + by.drift) => Verdict::Faster,
        _ if i.low >= 1.0 - by.margin.0 && i.high <= 1.0 + by.margin.0 => Verdict::None,
        _ => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::stats::Samples;

    const PAIRED: Criteria = Criteria { confidence: 0.99, margin: Margin(0.02), drift: 0.0 };

    #[test]
    fn an_unpaired_difference_must_lie_beyond_the_drift_of_a_machine() {
        for (low, high, paired, unpaired) in [
            (1.035, 1.050, Verdict::Slower, Verdict::Slower),
            (1.005, 1.015, Verdict::Slower, Verdict::None),
            (1.010, 1.040, Verdict::Slower, Verdict::Inconclusive),
            (0.990, 1.010, Verdict::None, Verdict::None),
            (0.999, 1.039, Verdict::Inconclusive, Verdict::Inconclusive),
            (0.960, 1.040, Verdict::Inconclusive, Verdict::Inconclusive),
            (0.970, 0.990, Verdict::Faster, Verdict::Inconclusive),
            (0.900, 0.950, Verdict::Faster, Verdict::Faster),
        ] {
            let told = [0.0, 0.03].map(|drift| verdict(Interval { low, high }, Criteria { drift, ..PAIRED }));
            assert_eq!(told, [paired, unpaired], "{low} to {high}");
        }
        let wide = Criteria { margin: "5%".parse().expect("a share"), ..PAIRED };
        assert_eq!(
            verdict(Interval { low: 0.999, high: 1.039 }, wide),
            Verdict::None,
            "the margin is a setting"
        );
    }

    #[test]
    fn what_an_older_version_called_none_is_judged_again() {
        let mean = Mean::of(&Samples::new([0.0, 0.001, 0.002]).expect("three"));
        let mut delta = Delta::new("a", &mean, PAIRED);
        (delta.interval, delta.verdict) = (Some([0.999, 1.039]), Verdict::None);
        delta.judge(Margin::default());
        assert_eq!(delta.verdict, Verdict::Inconclusive);
        delta.judge(Margin(0.05));
        assert_eq!(delta.verdict, Verdict::None);
    }

    #[test]
    fn what_could_have_been_seen_is_more_than_half_the_interval_and_one_fork_sees_nothing() {
        let logs = |values: &[f64]| Mean::of(&Samples::new(values.iter().copied()).expect("samples"));
        let eight = logs(&[-0.01, 0.01, -0.01, 0.01, -0.01, 0.01, -0.01, 0.01]);
        let [paired, unpaired] = [0.0, 0.03].map(|drift| {
            let delta = Delta::new("a", &eight, Criteria { drift, ..PAIRED });
            (delta.resolution.expect("seen"), delta.interval.expect("eight"))
        });
        let half = (paired.1[1] - paired.1[0]) / 2.0;
        assert!((1.2..1.35).contains(&(paired.0 / half)), "{paired:?}");
        assert!((unpaired.0 - paired.0 - 0.03).abs() < 1e-3, "the drift comes on top");
        let one = Delta::new("a", &logs(&[0.5]), PAIRED);
        assert_eq!((one.verdict, one.interval, one.resolution), (Verdict::Inconclusive, None, None));
    }

    /// 8 forks whose logarithms of ratios deviate by 1.2, 1.5 and 2%, and a truth of 2% in either direction.
    #[test]
    fn a_true_difference_of_the_margin_is_called_none_in_one_of_a_hundred_at_most() {
        let mut random = SplitMix64::new(3);
        for deviation in [0.012, 0.015, 0.02] {
            for truth in [1.02f64.ln(), 0.98f64.ln()] {
                let mut normal = || (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0;
                let mut none = || {
                    let forks = (0..8).map(|_| truth + deviation * normal());
                    let mean = Mean::of(&Samples::new(forks).expect("eight"));
                    Delta::new("a", &mean, PAIRED).verdict == Verdict::None
                };
                let none = (0..4000).filter(|_| none()).count();
                assert!(none <= 40, "{deviation}, {truth}: {none} of 4000");
            }
        }
    }
}
