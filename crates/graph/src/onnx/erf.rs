//! The error function, which the standard library lacks.

/// The error function, to about 1e-15 of its value.
pub fn erf(x: f64) -> f64 {
    if x.abs() < 1.0 { erf_series(x) } else { (1.0 - erfc(x.abs())).copysign(x) }
}

/// 1 - erf(x), to about 1e-15 of its value also where that is small.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 1.0 {
        return 1.0 - erf_series(x);
    }
    // Laplace's continued fraction.
    let fraction = (1..=240).rev().fold(0.0, |f, k| f64::from(k) / 2.0 / (x + f));
    (-x * x).exp() / ((x + fraction) * std::f64::consts::PI.sqrt())
}

/// The series of erf whose terms have one sign, so that nothing cancels.
fn erf_series(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..60 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_keeps_its_digits_in_both_tails() {
        // 60-digit values, rounded.
        let rows = [
            (0.5, 0.479_500_122_186_953_5),
            (0.999, 0.157_714_729_793_503_07),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (5.0, 1.537_459_794_428_035e-12),
            (-3.0, 1.999_977_909_503_001_4),
        ];
        for (x, expected) in rows {
            assert!((erfc(x) / expected - 1.0f64).abs() < 1e-14, "erfc({x}) = {}", erfc(x));
            assert!((erf(x) - (1.0 - expected)).abs() < 1e-15, "erf({x}) = {}", erf(x));
        }
        assert!((erf(1e-9) / 1.128_379_167_095_512_6e-9 - 1.0).abs() < 1e-15);
    }
}
