//! Inputs out of a seed: the same bytes on every target and for every engine.
//!
//! Floats are uniform in [0, 1), with as many random bits as the type's significand holds, so that nothing is
//! rounded and 1 never occurs. 8-bit integers take every value (they are images, as a rule), wider ones are 0
//! (they may be indices), booleans are true (they are masks, as a rule).

use half::f16;

use oplat_graph::onnx::tensor::parse_type;
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::Input;
use oplat_ground::random::SplitMix64;
use oplat_ground::units;

use crate::RawTensor;

/// Tensors for all inputs, from one stream of numbers in the order of the inputs and their elements.
///
/// Fails with the name of an input that is too large, or of a type for which no values can be made.
pub fn generate(inputs: &[Input], seed: u64) -> Result<Vec<RawTensor>> {
    let mut random = SplitMix64::new(seed);
    inputs.iter().map(|input| tensor(input, &mut random)).collect()
}

fn tensor(input: &Input, random: &mut SplitMix64) -> Result<RawTensor> {
    /// The most elements of an input, whose bytes can still be counted.
    const MOST: u64 = if cfg!(target_pointer_width = "64") { 1 << 40 } else { 1 << 27 };
    let n = input.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n as u64 <= MOST);
    let n =
        n.ok_or_else(|| Error::input(format!("input {:?} is too large: {:?}", input.name, input.shape)))?;
    let name = input.dtype.as_deref().unwrap_or("f32");
    let mut bytes = Bytes { n, bytes: vec![], input };
    match name {
        "f32" => bytes.fill(|| (random.unit(24) as f32).to_le_bytes()),
        "f64" => bytes.fill(|| random.unit(53).to_le_bytes()),
        "f16" => bytes.fill(|| f16::from_f64(random.unit(11)).to_le_bytes()),
        "u8" | "i8" => bytes.fill(|| [random.bits() as u8]),
        "i16" | "u16" => bytes.fill(|| [0; 2]),
        "i32" | "u32" => bytes.fill(|| [0; 4]),
        "i64" | "u64" => bytes.fill(|| [0; 8]),
        "bool" => bytes.fill(|| [1]),
        other => Err(Error::input(format!("input {:?}: no values can be made of type {other}", input.name))),
    }?;
    let dtype = parse_type(name);
    let dtype = dtype
        .ok_or_else(|| Error::input(format!("input {:?}: unknown element type {name:?}", input.name)))?;
    Ok(RawTensor { dtype, shape: input.shape.clone(), bytes: bytes.bytes })
}

/// The bytes of an input of `n` elements, while they are made.
struct Bytes<'i> {
    n: usize,
    bytes: Vec<u8>,
    input: &'i Input,
}

impl Bytes<'_> {
    /// Fails where there is no memory for them: a hostile shape must not end the process.
    fn fill<const SIZE: usize>(&mut self, mut element: impl FnMut() -> [u8; SIZE]) -> Result<()> {
        let size = self.n.checked_mul(SIZE);
        let room = size.map(|size| self.bytes.try_reserve_exact(size).is_ok());
        if room != Some(true) {
            let Input { name, shape, .. } = self.input;
            return Err(Error::input(format!("input {name:?} is too large: {}", units::shape(shape))));
        }
        (0..self.n).for_each(|_| self.bytes.extend_from_slice(&element()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(dtype: &str) -> Input {
        Input { name: "x".into(), shape: vec![100, 100], dtype: Some(dtype.into()) }
    }

    #[test]
    fn one_seed_gives_one_input_and_floats_stay_below_one() {
        for dtype in ["f32", "f16", "f64"] {
            let [a, b, other] = [7, 7, 8].map(|seed| generate(&[input(dtype)], seed).unwrap());
            assert_eq!(a, b);
            assert_ne!(a, other);
            let values = a[0].to_f64().unwrap();
            assert!(values.iter().all(|v| (0.0..1.0).contains(v)), "{dtype}");
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((mean - 0.5).abs() < 0.01, "{dtype}");
        }
    }

    #[test]
    fn integers_that_may_be_indices_are_zero() {
        let zeros = generate(&[input("i64")], 1).unwrap();
        assert!(zeros[0].bytes.iter().all(|&b| b == 0));
        assert!(generate(&[input("u8")], 1).unwrap()[0].bytes.iter().any(|&b| b != 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let huge = Input { name: "x".into(), shape: vec![usize::MAX, 2], dtype: None };
        assert!(generate(&[huge], 1).unwrap_err().message.contains("input \"x\" is too large"));
    }
}
