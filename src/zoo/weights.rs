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

/// Standard deviation of the biases.
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
    /// What [`filters`] put out.
    pub const UNIT: Self = Self { mean: 0.0, variance: 1.0 };

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

    /// Of the largest of 25 neighbours: 2 deviations above the mean, and half as wide, as for normal numbers.
    pub fn pooled(self) -> Self {
        Self { mean: self.mean + 2.0 * self.variance.sqrt(), variance: self.variance / 4.0 }
    }
}

/// Weights of `count` filters of `length` elements, as raw little-endian f32: each sums to 0, and scaled so that
/// input of the given spread comes out, bias included, with variance 1. Filters too short to be centred are
/// scaled by the input's second moment instead.
pub fn filters(name: &str, count: i64, length: i64, input: Spread, centred: bool) -> Bytes {
    let mut random = Random::named(name);
    let (count, length) = (count.max(0) as usize, length.max(1) as usize);
    let power = if centred { input.variance } else { input.variance + input.mean * input.mean };
    let target = (1.0 - BIAS * BIAS) / power.max(1e-6);
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
pub fn biases(name: &str, count: i64) -> Bytes {
    let mut random = Random::named(name);
    let scale = BIAS * 3f64.sqrt();
    let bias = |_| ((random.symmetric() * scale) as f32).to_le_bytes();
    (0..count).flat_map(bias).collect::<Vec<u8>>().into()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    /// Seeded by a name (its FNV-1a hash).
    fn named(name: &str) -> Self {
        Self(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    fn symmetric(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(raw: &[u8]) -> Vec<f64> {
        raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as published with the reference implementation.
        let mut random = Random(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_filter_sums_to_zero_and_has_the_gain_that_its_input_needs() {
        let input = Spread { mean: 0.2, variance: 0.3 };
        for filter in numbers(&filters("w", 8, 144, input, true)).chunks(144) {
            let (sum, squares) = (filter.iter().sum::<f64>(), filter.iter().map(|w| w * w).sum::<f64>());
            assert!(sum.abs() < 1e-5, "{sum}");
            assert!((squares * input.variance - 0.99).abs() < 1e-5, "{squares}");
            assert!(filter.iter().any(|w| *w < 0.0) && filter.iter().any(|w| *w > 0.0));
        }
    }

    #[test]
    fn tensors_differ_by_name_and_biases_are_small() {
        assert_ne!(filters("a", 1, 9, Spread::UNIT, false), filters("b", 1, 9, Spread::UNIT, false));
        let biases = numbers(&biases("b", 1000));
        let deviation = (biases.iter().map(|b| b * b).sum::<f64>() / 1000.0).sqrt();
        assert!((deviation - BIAS).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn a_mixture_counts_the_distance_between_its_parts() {
        let apart = Spread { mean: 2.0, variance: 1.0 };
        let mixed = Spread::mixture(&[(Spread::UNIT, 8), (apart, 8)]);
        assert_eq!(mixed, Spread { mean: 1.0, variance: 2.0 });
    }
}
