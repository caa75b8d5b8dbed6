//! Inputs out of a seed: the same bytes on every target and for every engine.
//!
//! Floats are uniform in [0, 1), with as many random bits as the type's significand holds, so that nothing is
//! rounded and 1 never occurs. 8-bit integers take every value (they are images, as a rule), wider ones are 0
//! (they may be indices), booleans are true (they are masks, as a rule).

use std::path::Path;

use half::f16;

use oplat_graph::onnx::tensor::{element_bytes, parse_type};
use oplat_ground::error::{Error, Result};
use oplat_ground::limits;
use oplat_ground::protocol::{Input, Load};
use oplat_ground::random::SplitMix64;

use crate::RawTensor;

/// Tensors for all inputs, as `load` asks for them: from a file, or made up.
///
/// Fails with the name of the file, or of an input that is too large, or of a type for which no values can be made.
pub fn values(inputs: &[Input], load: &Load) -> Result<Vec<RawTensor>> {
    load.values.as_deref().map_or_else(|| generate(inputs, load.seed), |file| read(inputs, Path::new(file)))
}

fn read(inputs: &[Input], file: &Path) -> Result<Vec<RawTensor>> {
    let all = std::fs::read(file).map_err(|e| Error::file("read", file, &e))?;
    let mut rest = all.as_slice();
    let mut tensors = vec![];
    for Input { name, shape, dtype } in inputs {
        let dtype = parse_type(dtype.as_deref().unwrap_or("f32"));
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let bytes = dtype.and_then(element_bytes).zip(elements).and_then(|(size, n)| size.checked_mul(n));
        let taken = bytes.and_then(|bytes| rest.split_at_checked(bytes));
        let (Some((own, left)), Some(dtype)) = (taken, dtype) else {
            return Err(Error::input(format!("{}: it holds no values for input {name:?}", file.display())));
        };
        tensors.push(RawTensor { dtype, shape: shape.clone(), bytes: own.to_vec() });
        rest = left;
    }
    Ok(tensors)
}

/// Tensors for all inputs, from one stream of numbers in the order of the inputs and their elements.
///
/// Fails with the name of an input that is too large, or of a type for which no values can be made.
pub fn generate(inputs: &[Input], seed: u64) -> Result<Vec<RawTensor>> {
    let mut random = SplitMix64::new(seed);
    inputs.iter().map(|input| tensor(input, &mut random)).collect()
}

fn tensor(input: &Input, random: &mut SplitMix64) -> Result<RawTensor> {
    let Input { name, shape, dtype } = input;
    let too_large = || Error::input(format!("input {name:?} is too large: {shape:?}"));
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n as u64 <= limits::ELEMENTS);
    let n = n.ok_or_else(too_large)?;
    let kind = dtype.as_deref().unwrap_or("f32");
    let bytes = match kind {
        "f32" => filled(n, || (random.unit(24) as f32).to_le_bytes()),
        "f64" => filled(n, || random.unit(53).to_le_bytes()),
        "f16" => filled(n, || f16::from_f64(random.unit(11)).to_le_bytes()),
        "u8" | "i8" => filled(n, || [random.bits() as u8]),
        "i16" | "u16" => filled(n, || [0; 2]),
        "i32" | "u32" => filled(n, || [0; 4]),
        "i64" | "u64" => filled(n, || [0; 8]),
        "bool" => filled(n, || [1]),
        _ => return Err(Error::input(format!("input {name:?}: no values can be made of type {kind}"))),
    };
    let dtype = parse_type(kind).ok_or_else(|| Error::input(format!("input {name:?}: no type {kind:?}")))?;
    Ok(RawTensor { dtype, shape: shape.clone(), bytes: bytes.ok_or_else(too_large)? })
}

/// The bytes of so many elements; `None` where there is no memory for them, since a hostile shape must not end the process.
fn filled<const SIZE: usize>(n: usize, mut element: impl FnMut() -> [u8; SIZE]) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    bytes.try_reserve_exact(n.checked_mul(SIZE)?).ok()?;
    (0..n).for_each(|_| bytes.extend_from_slice(&element()));
    Some(bytes)
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
    fn values_from_a_file_are_cut_by_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values");
        std::fs::write(&file, [1, 0, 0, 0, 2, 0, 0, 0, 3]).unwrap();
        let input = |name: &str, shape: &[usize], dtype: &str| Input {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: Some(dtype.into()),
        };
        let load = Load { values: Some(file.display().to_string()), ..Load::default() };
        let two = [input("a", &[2], "i32"), input("b", &[1], "u8")];
        let tensors = values(&two, &load).unwrap();
        assert_eq!(tensors[0].to_f64().unwrap(), [1.0, 2.0]);
        assert_eq!(tensors[1].to_f64().unwrap(), [3.0]);
        let more = values(&[input("c", &[9], "i32")], &load).unwrap_err().message;
        assert!(more.contains("no values for input \"c\""), "{more}");
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
