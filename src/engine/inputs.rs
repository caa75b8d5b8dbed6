//! Inputs out of a seed: the same bytes on every target.
//!
//! Floats are uniform in [0, 1), with as many random bits as the type's significand holds, so that nothing is
//! rounded and 1 never occurs. 8-bit integers take every value (they are images, as a rule), wider ones are 0
//! (they may be indices), booleans are true (they are masks, as a rule).

use half::f16;
use tract_onnx::tract_hir::internal::*;

use crate::error::{Error, Result};
use crate::worker::protocol::Input;

/// SplitMix64: 64 random bits a step; the whole generator is its state.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1) with `bits` random bits.
    fn unit(&mut self, bits: u32) -> f64 {
        (self.next() >> (64 - bits)) as f64 / (1u64 << bits) as f64
    }
}

/// So many numbers of a standard normal distribution, as batch normalisation leaves them before an activation
/// (Box and Muller, in double precision).
pub fn normal(n: usize, seed: u64) -> Vec<f32> {
    let mut random = SplitMix64(seed);
    let mut pair = || {
        let radius = (-2.0 * (1.0 - random.unit(53)).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * random.unit(53)).sin_cos();
        [radius * cos, radius * sin]
    };
    std::iter::repeat_with(&mut pair).flatten().map(|x| x as f32).take(n).collect()
}

/// Tensors for all inputs, from one stream of numbers in the order of the inputs and their elements.
pub fn generate(inputs: &[Input], seed: u64) -> Result<Vec<Tensor>> {
    let mut random = SplitMix64(seed);
    inputs.iter().map(|input| tensor(input, &mut random)).collect()
}

fn tensor(input: &Input, random: &mut SplitMix64) -> Result<Tensor> {
    /// The most elements of an input, whose bytes can still be counted.
    const MOST: u64 = if cfg!(target_pointer_width = "64") { 1 << 40 } else { 1 << 27 };
    let n = input.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n as u64 <= MOST);
    let n =
        n.ok_or_else(|| Error::input(format!("input {:?} is too large: {:?}", input.name, input.shape)))?;
    let shape = &input.shape;
    fn filled<T: Datum + Copy>(shape: &[usize], n: usize, value: impl FnMut() -> T) -> TractResult<Tensor> {
        Tensor::from_shape(shape, &std::iter::repeat_with(value).take(n).collect::<Vec<T>>())
    }
    match input.dtype.as_deref().unwrap_or("f32") {
        "f32" => filled(shape, n, || random.unit(24) as f32),
        "f64" => filled(shape, n, || random.unit(53)),
        "f16" => filled(shape, n, || f16::from_f64(random.unit(11))),
        "u8" => filled(shape, n, || random.next() as u8),
        "i8" => filled(shape, n, || random.next() as i8),
        "i16" => filled(shape, n, || 0i16),
        "i32" => filled(shape, n, || 0i32),
        "i64" => filled(shape, n, || 0i64),
        "u16" => filled(shape, n, || 0u16),
        "u32" => filled(shape, n, || 0u32),
        "u64" => filled(shape, n, || 0u64),
        "bool" => filled(shape, n, || true),
        other => {
            return Err(Error::input(format!(
                "input {:?}: no values can be made of type {other}",
                input.name
            )));
        }
    }
    .map_err(|e| Error::input(format!("input {:?}: {e}", input.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(dtype: &str) -> Input {
        Input { name: "x".into(), shape: vec![100, 100], dtype: Some(dtype.into()) }
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn one_seed_gives_one_input_and_floats_stay_below_one() {
        for dtype in ["f32", "f16", "f64"] {
            let [a, b, other] = [7, 7, 8].map(|seed| generate(&[input(dtype)], seed).unwrap());
            assert_eq!(a, b);
            assert_ne!(a, other);
            let values = a[0].cast_to::<f64>().unwrap().into_owned();
            let values = values.to_plain_array_view::<f64>().unwrap();
            assert!(values.iter().all(|v| (0.0..1.0).contains(v)), "{dtype}");
            assert!((values.mean().unwrap() - 0.5).abs() < 0.01, "{dtype}");
        }
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
    fn integers_that_may_be_indices_are_zero() {
        let zeros = generate(&[input("i64")], 1).unwrap();
        assert!(zeros[0].is_all_zero().unwrap());
        assert!(!generate(&[input("u8")], 1).unwrap()[0].is_all_zero().unwrap());
    }
}
