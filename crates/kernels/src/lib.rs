//! Kernels: an activation as one pass over memory, in place, as fast as the processor can.
//!
//! A network's activation is often lowered to several operators, each of which reads and writes the whole tensor. A
//! kernel shows what the function itself costs. Each is written once (`functions`) in a few operations (`lanes`) that
//! every instruction set implements (`portable`, `avx2`, `avx512`, `neon`). Which set is used is decided when the
//! program runs: only a proof that the processor has it (`isa`) leads to its vectors.
//!
//! Most numbers in a network are of ordinary size. A block of vectors in which all are (`pass`) is computed by a
//! function's `near` form, without clamps, tails that end in subnormal numbers, or overflow. Where one isn't, both
//! forms are computed and each float takes the one for its size. So a kernel's time depends on its data: a block with a
//! number beyond the function's `reach` (16 to 80 for most, 6 or 7 for GELU) costs two to three times as much.
//!
//! The vectors of a block are computed in step (`pair`), since each is a chain of instructions that wait for one
//! another. On a Zen 1 processor that, and shorter polynomials for ordinary numbers, took a quarter off ELU, a third
//! off GELU and half off softplus.
//!
//! AVX-512 has two ports that compute, so what counts is how many instructions a vector takes. There the exponential
//! looks a power of two up in a table in registers, which leaves two terms of its polynomial, and a quotient starts
//! from the processor's estimate of an inverse, since a division takes ten cycles.
//!
//! Why not a crate: at 9,216 elements in place, one thread of a Zen 1 processor with AVX2, the sigmoid takes 0.87 ns an
//! element here and 1.48 in `rten-vecmath` 0.27, the SiLU 0.91 and 1.47, the tangent 0.82 and 2.62, GELU 1.36 and 2.15;
//! ELU, 0.77 and 1.42, is there off by 400 units in the last place near 0. The other twenty activations would be
//! written here anyhow. The near sigmoid, a term longer and without the test of range, takes 0.86 both through `pulp`
//! 0.22 and as a plain loop compiled for AVX2: abstractions cost nothing, and loops that the compiler makes vectors of
//! do as well where no step is special. Tables in registers, estimates of inverses, one test for a block and vectors in
//! step are special. So size decides: some twenty operations for three instruction sets, and no dependency that sets
//! the compiler's version. (`rten-simd` is what `rten-vecmath` is made of; `fearless_simd` was not measured.) The
//! portable path keeps the bounds as well, and is several times slower.
//!
//! What is promised:
//! - Every kernel keeps within its bound ([`Kernel::bound`]) of the exact value for every finite single float.
//! - NaN stays NaN, but for the step function, which compares. Zeros have the sign that the formula gives them. Where
//!   the formula gives NaN for ±∞, so does the kernel.
//! - Nothing overflows where the value doesn't. Tails go down to the least subnormal number, unless the processor is
//!   told to flush those.
//! - A float's result doesn't depend on where it stands, so that threads may cut a tensor anywhere.
//! - Half floats are widened, computed and rounded.
//!
//! All SIMD, and with it all `unsafe` arithmetic of the program, is in here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod functions;
mod isa;
mod lanes;
mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pair;
mod pass;
mod portable;
mod tables;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::Isa;
#[cfg(target_arch = "x86_64")]
pub use x86::vectors_in_use;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;

use pass::Pass;

/// Clears the upper halves of x86's vector registers, of the thread that calls it. While they are in use, whatever is
/// compiled without AVX is slower.
#[inline]
pub fn clean_vectors() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instruction.
        unsafe { x86::clean_vectors() };
    }
}

/// Has the upper halves of x86's vector registers in use, as tract's assembly leaves them.
#[inline]
pub fn use_vectors() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        // SAFETY: as above.
        unsafe { x86::use_vectors() };
    }
}

/// How far a kernel may be from the exact value: as far as a relative or an absolute distance allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Units in the last place of the exact value, subnormal ones included.
    pub ulp: f64,
    /// Units of 2⁻²³, whatever the value: near a zero away from 0 no relative bound can hold.
    pub absolute: f64,
    /// Units of 2⁻²³ · |x|, beside `absolute`, for functions that grow.
    pub linear: f64,
}

impl Bound {
    const fn ulp(ulp: f64) -> Self {
        Self::with_zeros(ulp, 0.0, 0.0)
    }

    const fn with_zeros(ulp: f64, absolute: f64, linear: f64) -> Self {
        Self { ulp, absolute, linear }
    }

    /// The absolute distance that is allowed at x, whatever the value.
    pub fn absolute_at(&self, x: f64) -> f64 {
        (self.absolute + self.linear * x.abs()) / f64::from(1 << 23)
    }
}

/// An activation's kernel on this processor.
#[derive(Clone)]
pub struct Kernel {
    name: &'static str,
    bound: Bound,
    parameters: Vec<f64>,
    isa: Isa,
    pass: Arc<dyn Pass>,
}

/// Whether there is a kernel for the activation of this name and these parameters, in the registry's order.
pub fn exists(name: &str, parameters: &[f64]) -> bool {
    Kernel::on(Isa::Portable, name, parameters).is_some()
}

impl Kernel {
    /// The best kernel that this processor can run; `None` for an activation that has none (of such
    /// parameters, which are those of the registry, in its order).
    pub fn best(name: &str, parameters: &[f64]) -> Option<Self> {
        Self::on(*Isa::available().last()?, name, parameters)
    }

    /// The kernel for this instruction set.
    pub fn on(isa: Isa, name: &str, parameters: &[f64]) -> Option<Self> {
        let row = functions::rows().find(|row| row.name == name)?;
        if !parameters.iter().all(|p| (*p as f32).is_finite()) {
            return None;
        }
        let pass = (row.make)(parameters)?;
        Some(Self { name: row.name, bound: row.bound, parameters: parameters.to_vec(), isa, pass })
    }

    /// The activation.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Replaces every float by its activation.
    pub fn apply(&self, xs: &mut [f32]) {
        self.pass.run(self.isa, xs);
    }

    /// The same for half floats, each rounded from the single float's result.
    pub fn apply_f16(&self, xs: &mut [f16]) {
        /// At an address where every vector is at a multiple of its size.
        #[repr(align(64))]
        struct Wide([f32; 1024]);
        let mut wide = Wide([0.0; 1024]);
        for chunk in xs.chunks_mut(wide.0.len()) {
            let wide = &mut wide.0[..chunk.len()];
            chunk.convert_to_f32_slice(wide);
            self.pass.run(self.isa, wide);
            chunk.convert_from_f32_slice(wide);
        }
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.parameters, self.isa) == (other.name, &other.parameters, other.isa)
    }
}

/// `mish avx2`
impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.isa.name())
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {:?}", self.parameters)
    }
}
