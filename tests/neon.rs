//! NEON against the portable path on the processor itself: every step of both is one that IEEE 754 rounds exactly, so
//! what comes out is the same to the bit. `.ci/aarch64` runs this under an emulator.
#![cfg(target_arch = "aarch64")]

use oplat::activation::{Activation, kinds};
use oplat::kernel::{Isa, Kernel};

/// All exponents with both signs, densely where functions bend.
fn values() -> Vec<f32> {
    let far =
        (0..=u32::from(u16::MAX)).map(|high| f32::from_bits(high << 16 | high.wrapping_mul(0x9E37) & 0xFFFF));
    let near = (-20_000..20_000).map(|i| i as f32 / 1024.0 + 1e-5);
    far.chain(near).collect()
}

#[test]
fn neon_and_portable_kernels_give_the_same_bits() {
    let isas = Isa::available();
    assert!(isas.contains(&Isa::Neon) && isas.contains(&Isa::Portable));
    let mut tried = 0;
    let mut differing = vec![];
    for activation in kinds().map(Activation::new) {
        let parameters: Vec<f64> = activation.parameters.iter().flatten().copied().collect();
        let on = |isa| Kernel::on(isa, activation.kind.name, &parameters);
        let (Some(neon), Some(portable)) = (on(Isa::Neon), on(Isa::Portable)) else { continue };
        let (mut a, mut b) = (values(), values());
        neon.apply(&mut a);
        portable.apply(&mut b);
        tried += 1;
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        if let Some(at) = a.iter().zip(&b).position(|pair| !same(pair)) {
            differing.push(format!("{activation} at {:e}: {:e} and {:e}", values()[at], a[at], b[at]));
        }
    }
    assert!(tried > 10, "only {tried} activations have kernels");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
