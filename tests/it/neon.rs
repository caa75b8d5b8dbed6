//! NEON against the formulas, and against the portable path on the processor itself. `.ci/aarch64` runs this under an
//! emulator, which is why there are fewer numbers than where every kernel is tried at home.
#![cfg(target_arch = "aarch64")]

use oplat::activation::{Activation, kinds};
use oplat::kernel::{Isa, Kernel};

fn neon_isa() -> Isa {
    Isa::available().into_iter().find(|isa| isa.name() == "neon").expect("the processor has NEON")
}

/// All exponents with both signs, densely where functions bend.
fn values() -> Vec<f32> {
    let bits = |high: u32| f32::from_bits(high << 16 | high.wrapping_mul(0x9E37) & 0xFFFF);
    let far = (0..=u32::from(u16::MAX)).step_by(29).map(bits);
    let near = (-1_000..1_000).map(|i| i as f32 / 50.0 + 1e-5);
    far.chain(near).collect()
}

#[test]
fn neon_keeps_its_bound_against_the_formula() {
    let values: Vec<f32> = values().into_iter().step_by(5).filter(|x| x.is_finite()).collect();
    let mut wrong = vec![];
    for activation in kinds().map(Activation::new) {
        let parameters: Vec<f64> = activation.parameters.iter().flatten().copied().collect();
        let Some(kernel) = Kernel::on(neon_isa(), activation.kind.name, &parameters) else { continue };
        let (bound, mut is) = (kernel.bound(), values.clone());
        kernel.apply(&mut is);
        let off = values.iter().zip(&is).find(|&(&x, &is)| {
            let should = activation.value(x.into());
            // In double precision the formulas themselves cancel, below this.
            let near =
                bound.absolute_at(x.into()).max((bound.ulp + 1.0) * f64::from(f32::EPSILON) * should.abs());
            let beyond =
                should.abs() > f64::from(f32::MAX) && f64::from(is) == should.signum() * f64::INFINITY;
            !beyond && (f64::from(is) - should).abs() > near.max(1e-15)
        });
        if let Some((x, is)) = off {
            wrong.push(format!("{activation} at {x:e}: {is:e}, not {:e}", activation.value((*x).into())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Kernels of sums, products, quotients and comparisons alone, each of which IEEE 754 rounds in one way: others have
/// fused steps, which the portable path rounds twice.
const EXACT: [&str; 3] = ["hard_sigmoid", "hard_swish", "softsign"];

#[test]
fn neon_and_portable_kernels_give_the_same_bits_where_all_steps_are_exact() {
    assert!(Isa::available().contains(&Isa::Portable));
    let mut tried = 0;
    let mut differing = vec![];
    for activation in kinds().map(Activation::new) {
        let parameters: Vec<f64> = activation.parameters.iter().flatten().copied().collect();
        let on = |isa| Kernel::on(isa, activation.kind.name, &parameters);
        let (Some(neon), Some(portable)) = (on(neon_isa()), on(Isa::Portable)) else { continue };
        let (mut a, mut b) = (values(), values());
        neon.apply(&mut a);
        portable.apply(&mut b);
        let exact = EXACT.contains(&activation.kind.name);
        tried += usize::from(exact);
        let bound = neon.bound();
        let alike = |x: f32, a: f32, b: f32| {
            let unit = f64::from(f32::EPSILON) * f64::from(b.abs().max(f32::MIN_POSITIVE));
            let near = 2.0 * bound.absolute_at(x.into()).max(bound.ulp * unit);
            a.to_bits() == b.to_bits()
                || a.is_nan() && b.is_nan()
                || !exact && (f64::from(a) - f64::from(b)).abs() <= near
        };
        let off = values().into_iter().zip(a.iter().zip(&b)).find(|&(x, (&a, &b))| !alike(x, a, b));
        if let Some((x, (a, b))) = off {
            differing.push(format!("{activation} at {x:e}: {a:e} and {b:e}"));
        }
    }
    assert_eq!(tried, EXACT.len(), "each of them has a kernel");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
