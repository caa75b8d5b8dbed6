//! Every kernel on every instruction set of this machine against the exact value.

use proptest::prelude::*;

use super::*;
use oplat_graph::activation::{Activation, kinds};
use oplat_graph::onnx::erf::erf;

/// The activations with kernels, with parameters that are tried.
fn activations() -> Vec<Activation> {
    let others = [
        "leaky_relu:1.5",
        "leaky_relu:-0.2",
        "swish:1.5",
        "swish:-0.7",
        "elu:0.3",
        "celu:2.5",
        "softplus:3",
        "softplus:0.2",
        "sine:1",
    ];
    let defaults = kinds().map(Activation::new);
    let others = others.iter().map(|text| Activation::parse(text).unwrap());
    let with_kernel = |a: &Activation| {
        let parameters: Option<Vec<f64>> = a.parameters.iter().copied().collect();
        parameters.is_some_and(|p| Kernel::best(a.kind.name, &p).is_some())
    };
    defaults.chain(others).filter(with_kernel).collect()
}

fn parameters(activation: &Activation) -> Vec<f64> {
    activation.parameters.iter().map(|p| p.unwrap()).collect()
}

/// The registry's formula, and where that cancels in double precision, one that doesn't.
fn exact(activation: &Activation, x: f64) -> f64 {
    match activation.kind.name {
        "gelu" if x.is_finite() && x < -2.0 => {
            let a = -x * std::f64::consts::FRAC_1_SQRT_2;
            let fraction = (1..=200).rev().fold(0.0, |f, k| f64::from(k) / 2.0 / (a + f));
            x * (-x * x / 2.0).exp() / ((a + fraction) * std::f64::consts::PI.sqrt()) / 2.0
        }
        "gelu" if x.abs() < 1e-3 => x * (0.5 + erf(x * std::f64::consts::FRAC_1_SQRT_2) / 2.0),
        "gelu_tanh" if x.is_finite() => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * 2.0 * (x + 0.044715 * x * x * x);
            x * if inner < 0.0 { inner.exp() / (1.0 + inner.exp()) } else { 1.0 / (1.0 + (-inner).exp()) }
        }
        _ => activation.value(x),
    }
}

/// All exponents, both signs, subnormal numbers included; dense where functions bend; the tails.
fn sweep() -> Vec<f32> {
    let mut xs = vec![0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1)];
    for exponent in 0..255u32 {
        for step in 0..48u32 {
            let mantissa = (step * 0x2_AAAB + exponent * 0x1_3579) & 0x7F_FFFF;
            xs.extend([0, 1].map(|sign| f32::from_bits(sign << 31 | exponent << 23 | mantissa)));
        }
    }
    xs.extend((-160_000..160_000).map(|i| i as f32 / 8192.0 + 1e-5));
    xs.extend((-120_000..-80_000).map(|i| i as f32 / 1000.0));
    xs.extend((-20_000..20_000).map(|i| i as f32 / 60.0));
    xs
}

/// Distance in units of the exact value's last place.
fn distance(is: f32, exact: f64) -> f64 {
    if exact.abs() > f64::from(f32::MAX) {
        return if f64::from(is) == exact.signum() * f64::INFINITY { 0.0 } else { f64::INFINITY };
    }
    let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
    (f64::from(is) - exact).abs() / 2f64.powi(exponent.max(-126) - 23)
}

#[test]
fn every_kernel_keeps_its_bound_on_every_instruction_set() {
    let (sweep, mut broken) = (sweep(), vec![]);
    for activation in activations() {
        let should: Vec<f64> = sweep.iter().map(|&x| exact(&activation, x.into())).collect();
        for isa in Isa::available() {
            let kernel = Kernel::on(isa, activation.kind.name, &parameters(&activation)).unwrap();
            let mut is = sweep.clone();
            kernel.apply(&mut is);
            let Bound { ulp, .. } = kernel.bound();
            let (mut worst, mut at) = (0.0, 0.0);
            for ((&x, &is), &should) in sweep.iter().zip(&is).zip(&should) {
                let near = (f64::from(is) - should).abs() <= kernel.bound().absolute_at(x.into());
                let off = if near { 0.0 } else { distance(is, should) };
                if off.is_nan() || off > worst {
                    (worst, at) = (off, x);
                }
            }
            println!("{activation} {}: {worst:.2} ULP at {at:e}", isa.name());
            if worst.is_nan() || worst > ulp {
                broken.push(format!("{activation} {}: {worst} ULP at {at:e}, not {ulp}", isa.name()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_row_is_an_activation_and_has_a_kernel_for_its_defaults() {
    let mut names = vec![];
    for row in functions::rows() {
        let kind = kinds().find(|kind| kind.name == row.name).unwrap_or_else(|| panic!("{}", row.name));
        assert!(exists(kind.name, &kind.defaults()), "{}", kind.name);
        names.push(row.name);
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "an activation has two rows");
}

#[test]
fn nan_infinities_and_zeros_are_those_of_the_formula() {
    for activation in activations() {
        for isa in Isa::available() {
            let kernel = Kernel::on(isa, activation.kind.name, &parameters(&activation)).unwrap();
            let xs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
            let mut is = xs;
            kernel.apply(&mut is);
            for (x, is) in xs.into_iter().zip(is) {
                let should = activation.value(x.into()) as f32;
                let same = match (is.is_nan(), should.is_nan()) {
                    (false, false) => (is - should).abs() <= 1e-6 || is == should,
                    (a, b) => a == b,
                };
                assert!(same, "{kernel} at {x}: {is}, not {should}");
                if should == 0.0 && x == 0.0 {
                    assert_eq!(is.is_sign_negative(), should.is_sign_negative(), "{kernel} at {x}");
                }
            }
        }
    }
}

/// Vectors of a block are tested together: none may hide another's odd number, nor change its neighbours.
#[test]
fn odd_numbers_are_computed_beside_others_as_alone() {
    let signalling = f32::from_bits(0x7F80_0001);
    let odd =
        [f32::NAN, signalling, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -95.0, 1.0, 1e30, 7.0, -3.0];
    let xs: Vec<f32> = (0..2000).map(|i| odd[(i * i / 7 + i / 16) % odd.len()]).collect();
    for activation in activations() {
        for isa in Isa::available() {
            let kernel = Kernel::on(isa, activation.kind.name, &parameters(&activation)).unwrap();
            let mut is = xs.clone();
            kernel.apply(&mut is);
            for (x, is) in xs.iter().zip(is) {
                let mut alone = [*x];
                kernel.apply(&mut alone);
                let same = is.to_bits() == alone[0].to_bits() || is.is_nan() && alone[0].is_nan();
                assert!(same, "{kernel} at {x}: {is}, alone {}", alone[0]);
            }
        }
    }
}

#[test]
fn large_values_pass_self_gated_functions_unchanged() {
    for name in ["silu", "swish", "mish", "gelu", "gelu_tanh", "hard_swish", "elu", "softplus"] {
        let kernel = Kernel::best(name, &[1.0]).unwrap();
        let xs = [50.0, 100.0, 1234.567, 1e30, f32::MAX];
        let mut is = xs;
        kernel.apply(&mut is);
        assert_eq!(is, xs, "{name}");
    }
}

#[test]
fn the_tangent_stays_within_one() {
    let xs: Vec<f32> = (0..200_000).map(|i| i as f32 / 10_000.0 - 10.0).collect();
    for isa in Isa::available() {
        let mut is = xs.clone();
        Kernel::on(isa, "tanh", &[]).unwrap().apply(&mut is);
        assert!(is.iter().all(|y| y.abs() <= 1.0), "{}", isa.name());
    }
}

#[test]
fn there_is_no_kernel_for_impossible_parameters() {
    assert!(exists("relu", &[]) && exists("leaky_relu", &[0.1]) && !exists("identity", &[]));
    assert!(!exists("celu", &[-1.0]) && !exists("softplus", &[0.0]) && !exists("swish", &[f64::NAN]));
    assert!(!exists("elu", &[]));
}

#[test]
fn half_floats_are_rounded_from_the_single_float() {
    let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|x| !x.is_nan()).collect();
    for activation in activations() {
        let kernel = Kernel::best(activation.kind.name, &parameters(&activation)).unwrap();
        let (mut is, mut wide): (Vec<f16>, Vec<f32>) =
            (all.clone(), all.iter().map(|x| x.to_f32()).collect());
        kernel.apply_f16(&mut is);
        kernel.apply(&mut wide);
        for ((x, is), wide) in all.iter().zip(is).zip(wide) {
            let should = f16::from_f32(wide);
            assert!(is == should || is.is_nan() && should.is_nan(), "{kernel} at {x}: {is}, not {should}");
        }
    }
}

proptest! {
    #[test]
    fn instruction_sets_agree(bits in proptest::collection::vec(any::<u32>(), 1..70), small: bool) {
        let xs: Vec<f32> = bits
            .iter()
            .map(|&b| if small { (b as f32 / u32::MAX as f32 - 0.5) * 30.0 } else { f32::from_bits(b) })
            .collect();
        for activation in activations() {
            let results: Vec<Vec<f32>> = Isa::available()
                .into_iter()
                .map(|isa| {
                    let mut is = xs.clone();
                    Kernel::on(isa, activation.kind.name, &parameters(&activation)).unwrap().apply(&mut is);
                    is
                })
                .collect();
            let bound = Kernel::best(activation.kind.name, &parameters(&activation)).unwrap().bound();
            for other in &results[1..] {
                for ((x, a), b) in xs.iter().zip(&results[0]).zip(other) {
                    let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                    let near = f64::from((a - b).abs()) <= 2.0 * bound.absolute_at((*x).into())
                        || distance(*a, (*b).into()) <= 2.0 * bound.ulp;
                    prop_assert!(same || near, "{} at {:e}: {:e} and {:e}", activation, x, a, b);
                }
            }
        }
    }

    #[test]
    fn a_result_does_not_depend_on_where_its_float_stands(
        xs in proptest::collection::vec(prop_oneof![9 => -30f32..30.0, 1 => -150f32..150.0], 40..150),
        cut in 0usize..40,
    ) {
        for activation in activations() {
            let kernel = Kernel::best(activation.kind.name, &parameters(&activation)).unwrap();
            let (mut whole, mut parts) = (xs.clone(), xs.clone());
            kernel.apply(&mut whole);
            let (left, right) = parts.split_at_mut(cut);
            kernel.apply(left);
            kernel.apply(right);
            prop_assert_eq!(&whole, &parts);
        }
    }
}
