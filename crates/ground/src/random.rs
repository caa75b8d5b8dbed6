//! Reproducible random numbers: integer arithmetic only, so that they are the same on every platform.

/// SplitMix64 (Steele, Lea and Flood, 2014): 64 random bits a step; the whole generator is its state.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by a name (its FNV-1a hash), so that a change of one tensor leaves the others alone.
    pub fn named(name: &str) -> Self {
        let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in [0, 1), with so many random bits (1 to 64).
    pub fn unit(&mut self, bits: u32) -> f64 {
        (self.bits() >> (64 - bits)) as f64 / (1u128 << bits) as f64
    }

    /// Uniform in [-1, 1).
    #[inline]
    pub fn symmetric(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Puts the items into a random order (Fisher and Yates). The modulo's bias is far below what a handful of items
    /// could show.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.bits() % (last as u64 + 1)) as usize);
        }
    }
}

/// The output function of SplitMix64, which is also a good hash of a number.
#[inline]
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// So many numbers of a standard normal distribution, as batch normalisation leaves them before an activation
/// (Box and Muller, in double precision).
pub fn normal(n: usize, seed: u64) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    let mut pair = || {
        let radius = (-2.0 * (1.0 - random.unit(53)).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * random.unit(53)).sin_cos();
        [radius * cos, radius * sin]
    };
    std::iter::repeat_with(&mut pair).flatten().map(|x| x as f32).take(n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as published with the reference implementation.
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        let xs = normal(100_001, 3);
        let moment = |power: i32| xs.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / xs.len() as f64;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.02 && (moment(4) - 3.0).abs() < 0.15);
        assert_eq!(normal(3, 3), xs[..3]);
        assert_ne!(normal(3, 4), xs[..3]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..20).collect();
        SplitMix64::new(5).shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }
}
