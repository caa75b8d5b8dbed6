//! What every engine needs to measure activations on their own.

use oplat_graph::activation::Activation;
use oplat_ground::limits;
use oplat_ground::protocol::Solo;

use crate::at;

/// What the second-level cache is taken for where the system doesn't say, bytes.
pub const USUAL_CACHE: u64 = 256 << 10;

/// Outputs that are compared with the function's definition.
const COMPARED: usize = 1 << 16;

/// Makes one ready. What goes wrong with it is its own trouble, and a crash names it.
pub fn making<T>(index: usize, act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    at::SOLO.set(index);
    let made = act().map_err(|error| at::one_line(&error));
    at::SOLO.clear();
    made
}

/// The number of elements of its input. Fails where there are too many.
pub fn elements(solo: &Solo) -> Result<usize, String> {
    let elements = solo.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    elements
        .filter(|&n| n as u64 <= limits::BENCH_ELEMENTS)
        .ok_or_else(|| format!("a tensor of shape {:?} is too large", solo.shape))
}

/// Forwards of a batch whose buffers, so many for each, take half of the second-level cache together; one where a single
/// forward's are larger.
pub fn batch(cache_bytes: u64, elements: usize, buffers: u64, most: u64) -> u32 {
    let bytes = elements.max(1) as u64 * 4 * buffers;
    (cache_bytes / 2 / bytes).clamp(1, most) as u32
}

/// The largest difference of outputs from the function's definition in double precision, as a share of the value where that is
/// above 1. What isn't finite doesn't count: it is counted otherwise. `None` for a function that isn't one of single numbers.
pub fn largest_error(activation: &Activation, inputs: &[f32], outputs: &[f32]) -> Option<f64> {
    let is_single = inputs.len() == outputs.len() && activation.value(0.5).is_finite();
    let error = |(x, y): (&f32, &f32)| {
        let exact = activation.value(f64::from(*x));
        (f64::from(*y) - exact).abs() / exact.abs().max(1.0)
    };
    let errors = inputs.iter().zip(outputs).take(COMPARED).map(error);
    is_single.then(|| errors.filter(|e| e.is_finite()).fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fits_half_the_cache_and_is_never_empty() {
        assert_eq!(batch(512 << 10, 256, 1, 1024), 256);
        assert_eq!(batch(512 << 10, 256, 2, 1024), 128);
        assert_eq!((batch(512 << 10, 256, 1, 64), batch(1 << 10, 4096, 2, 64)), (64, 1));
    }

    #[test]
    fn an_error_is_that_of_the_worst_output_and_only_of_functions_of_single_numbers() {
        let relu = Activation::parse("relu").unwrap();
        assert_eq!(largest_error(&relu, &[-1.0, 2.0, 8.0], &[0.0, 2.0, 8.0]), Some(0.0));
        assert_eq!(largest_error(&relu, &[-1.0, 2.0, 8.0], &[0.25, 2.0, 10.0]), Some(0.25));
        assert_eq!(largest_error(&relu, &[1.0], &[f32::NAN]), Some(0.0));
        let maxout = Activation::parse("maxout").unwrap();
        assert_eq!(largest_error(&maxout, &[1.0, 2.0], &[2.0]), None);
    }
}
