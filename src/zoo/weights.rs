//! Seeded weights that keep an untrained network alive.
//!
//! Latency doesn't depend on what a network has learnt, but it does depend on its numbers being sane: an
//! activation must act on both signs, and nothing may decay to subnormal numbers or overflow. So every value of
//! the graph carries what is expected of its [`Spread`], and a filter is scaled by it to put out numbers of
//! mean 0 and variance 1. Filters sum to zero, since otherwise the mean that most activations leave behind
//! (0.2 for SiLU) adds up over the layers until all pixels are the same.
//!
//! Numbers come from integer arithmetic, additions and square roots only, so that they are the same on every
//! platform; each tensor is seeded by its own name, so that a change of one layer leaves the others alone.

use bytes::Bytes;

use crate::random::SplitMix64;

/// Standard deviation of the biases, relative to that of the output.
const BIAS: f64 = 0.1;

/// Mean and variance that a tensor's elements are expected to have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub variance: f64,
}

impl Spread {
    /// Uniform numbers in [0, 1), which all inputs are.
    pub const INPUT: Self = Self { mean: 0.5, variance: 1.0 / 12.0 };
    /// Of a sum of independent values.
    pub fn sum(self, other: Self) -> Self {
        Self { mean: self.mean + other.mean, variance: self.variance + other.variance }
    }

    /// Of values side by side, each with its number of elements.
    pub fn mixture(parts: &[(Self, i64)]) -> Self {
        let total: f64 = parts.iter().map(|&(_, n)| n as f64).sum();
        let average =
            |f: &dyn Fn(Self) -> f64| parts.iter().map(|&(s, n)| f(s) * n as f64).sum::<f64>() / total;
        let mean = average(&|s| s.mean);
        Self { mean, variance: average(&|s| s.variance + s.mean * s.mean) - mean * mean }
    }

    /// Of the largest of so many neighbours, for what activations put out: skewed to the right.
    pub fn largest_of(self, count: i64) -> Self {
        let (above, wider) = match count {
            ..=1 => (0.0, 1.0),
            2..=4 => (1.1, 1.2),
            5..=9 => (1.8, 1.1),
            _ => (2.5, 0.9),
        };
        Self { mean: self.mean + above * self.variance.sqrt(), variance: self.variance * wider }
    }

    /// Of the means of channels, whose differences are about a third of the variance.
    pub fn averaged(self) -> Self {
        Self { mean: self.mean, variance: self.variance / 3.0 }
    }

    /// Of centred values.
    pub fn of_deviation(deviation: f64) -> Self {
        Self { mean: 0.0, variance: deviation * deviation }
    }
}

/// The filters of a linear operator.
#[derive(Clone, Copy, Debug)]
pub struct Filters {
    pub count: i64,
    /// Elements of one filter.
    pub length: i64,
    /// What they read.
    pub input: Spread,
    /// Standard deviation of what they put out, biases included.
    pub deviation: f64,
    /// Whether a filter sums to zero. One that reads few values, or a single channel, would lose too much of them.
    pub centred: bool,
}

impl Filters {
    /// The weights, as raw little-endian f32.
    pub fn weights(self, name: &str) -> Bytes {
        let Self { count, length, input, deviation, centred } = self;
        let mut random = SplitMix64::named(name);
        let (count, length) = (count.max(0) as usize, length.max(1) as usize);
        let power = if centred { input.variance } else { input.variance + input.mean * input.mean };
        let target = deviation * deviation * (1.0 - BIAS * BIAS) / power.max(1e-6);
        let mut raw = Vec::with_capacity(count * length * 4);
        let mut filter = vec![0.0; length];
        for _ in 0..count {
            filter.fill_with(|| random.symmetric());
            if centred {
                let mean = filter.iter().sum::<f64>() / length as f64;
                filter.iter_mut().for_each(|w| *w -= mean);
            }
            let norm = filter.iter().map(|w| w * w).sum::<f64>();
            let scale = (target / norm.max(1e-12)).sqrt();
            raw.extend(filter.iter().flat_map(|w| ((w * scale) as f32).to_le_bytes()));
        }
        raw.into()
    }

    /// Small biases of both signs, as raw little-endian f32.
    pub fn biases(self, name: &str) -> Bytes {
        let mut random = SplitMix64::named(name);
        let scale = BIAS * self.deviation * 3f64.sqrt();
        let bias = |_| ((random.symmetric() * scale) as f32).to_le_bytes();
        (0..self.count).flat_map(bias).collect::<Vec<u8>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(raw: &[u8]) -> Vec<f64> {
        raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect()
    }

    const FILTERS: Filters = Filters {
        count: 8,
        length: 144,
        input: Spread { mean: 0.2, variance: 0.3 },
        deviation: 2.0,
        centred: true,
    };

    #[test]
    fn a_filter_sums_to_zero_and_has_the_gain_that_its_input_needs() {
        for filter in numbers(&FILTERS.weights("w")).chunks(144) {
            let (sum, squares) = (filter.iter().sum::<f64>(), filter.iter().map(|w| w * w).sum::<f64>());
            assert!(sum.abs() < 1e-5, "{sum}");
            assert!((squares * 0.3 - 3.96).abs() < 1e-5, "{squares}");
            assert!(filter.iter().any(|w| *w < 0.0) && filter.iter().any(|w| *w > 0.0));
        }
    }

    #[test]
    fn a_filter_that_is_not_centred_reckons_with_the_mean_of_its_input() {
        let short = Filters { length: 9, centred: false, ..FILTERS };
        for filter in numbers(&short.weights("w")).chunks(9) {
            let (sum, squares) = (filter.iter().sum::<f64>(), filter.iter().map(|w| w * w).sum::<f64>());
            assert!(sum.abs() > 1e-3, "{sum}");
            assert!((squares * 0.34 - 3.96).abs() < 1e-5, "{squares}");
        }
    }

    #[test]
    fn tensors_differ_by_name_and_biases_are_small() {
        assert_ne!(FILTERS.weights("a"), FILTERS.weights("b"));
        let biases = numbers(&Filters { count: 1000, ..FILTERS }.biases("b"));
        let deviation = (biases.iter().map(|b| b * b).sum::<f64>() / 1000.0).sqrt();
        assert!((deviation - 2.0 * BIAS).abs() < 0.02, "{deviation}");
    }

    #[test]
    fn a_mixture_counts_the_distance_between_its_parts() {
        let (one, two) = (Spread { mean: 0.0, variance: 1.0 }, Spread { mean: 2.0, variance: 1.0 });
        assert_eq!(Spread::mixture(&[(one, 8), (two, 8)]), Spread { mean: 1.0, variance: 2.0 });
    }
}
