//! What an estimated ratio of latencies allows to say.

use super::{Delta, Verdict};
use crate::stats::{Estimate, Interval};

/// An interval around 1 that is this narrow (half its width) means: no difference that matters. A wider one
/// means that the measurement can't tell.
const NO_DIFFERENCE: f64 = 0.02;

impl Delta {
    /// A paired comparison: what happened to the machine happened to both sides, so an interval beside 1 is a
    /// difference.
    pub fn paired(against: &str, ratio: &Estimate) -> Self {
        Self::new(against, ratio, 0.0)
    }

    /// An unpaired comparison: the machine itself may have changed by the share `drift` from one measurement to
    /// the other, which forks can't show. An interval is a difference only if it lies beyond that.
    pub fn unpaired(against: &str, ratio: &Estimate, drift: f64) -> Self {
        Self::new(against, ratio, drift)
    }

    /// What can be seen is the half-width, and beyond it the drift. An interval that reaches beyond all numbers says as much as none, and could not be written.
    fn new(against: &str, ratio: &Estimate, drift: f64) -> Self {
        let interval = ratio.interval.filter(|i| i.high.is_finite());
        Self {
            against: against.to_owned(),
            ratio: ratio.point,
            interval: interval.map(|i| [i.low, i.high]),
            confidence: ratio.confidence,
            verdict: interval.map_or(Verdict::Inconclusive, |i| verdict(i, drift)),
            resolution: interval.map(|i| drift + i.half_width()),
        }
    }
}

fn verdict(i: Interval, drift: f64) -> Verdict {
    let same = Interval { low: 1.0 / (1.0 + drift), high: 1.0 + drift };
    let within = same.contains(i.low) && same.contains(i.high);
    match i {
        _ if i.low > same.high => Verdict::Slower,
        _ if i.high < same.low => Verdict::Faster,
        _ if within || i.contains(1.0) && i.half_width() <= NO_DIFFERENCE => Verdict::None,
        _ => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpaired_difference_must_lie_beyond_the_drift_of_a_machine() {
        for (low, high, paired, unpaired) in [
            (1.030, 1.050, Verdict::Slower, Verdict::Slower),
            (1.005, 1.015, Verdict::Slower, Verdict::None),
            (1.010, 1.040, Verdict::Slower, Verdict::Inconclusive),
            (0.990, 1.010, Verdict::None, Verdict::None),
            (0.990, 1.029, Verdict::None, Verdict::None),
            (0.960, 1.040, Verdict::Inconclusive, Verdict::Inconclusive),
            (0.970, 0.990, Verdict::Faster, Verdict::Inconclusive),
            (0.900, 0.950, Verdict::Faster, Verdict::Faster),
        ] {
            let ratio = Estimate { point: 1.0, interval: Some(Interval { low, high }), confidence: 0.99 };
            let told = [Delta::paired("a", &ratio).verdict, Delta::unpaired("a", &ratio, 0.02).verdict];
            assert_eq!(told, [paired, unpaired], "{low} to {high}");
        }
        let ratio =
            Estimate { point: 1.0, interval: Some(Interval { low: 0.99, high: 1.01 }), confidence: 0.99 };
        let seen = [Delta::paired("a", &ratio), Delta::unpaired("a", &ratio, 0.02)].map(|d| d.resolution);
        let [Some(paired), Some(unpaired)] = seen else { panic!("{seen:?}") };
        assert!((paired - 0.01).abs() < 1e-12 && (unpaired - 0.03).abs() < 1e-12, "both must be overcome");
        let none = Estimate { point: 1.5, interval: None, confidence: 0.99 };
        assert_eq!(Delta::paired("a", &none).verdict, Verdict::Inconclusive);
    }
}
