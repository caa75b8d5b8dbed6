//! Kernels: an activation as one pass over memory, in place, as fast as the processor can.
//!
//! A network's activation is often lowered to several operators, each of which reads and writes the whole
//! tensor. A kernel shows what the function itself costs. Each is written once (`functions`, `found`) in a few
//! operations (`lanes`) which every instruction set implements; entry points with the set's features are
//! chosen when the program runs.
//!
//! Most numbers in a network are of ordinary size. Where all of a block of vectors are, it takes a function's
//! `near` form, without clamps, tails that end in subnormal numbers, or overflow; where one isn't, the block
//! takes both forms and each float keeps its own. A kernel's time hangs on its data to that degree: beyond the
//! reach (`reach`: 16 to 80 for most, for GELU 6 or 7) a block costs two to three times as much.
//!
//! The vectors of a block are computed in step (`pair`), since each is a chain of instructions that wait for one
//! another. On a Zen 1 processor that and shorter polynomials for ordinary numbers took a quarter off ELU, a third
//! off GELU and half off softplus.
//!
//! The bottleneck of AVX-512 is two ports that compute: what counts is how many instructions a vector takes.
//! There the exponential looks a power of two up in a table in registers and is left with two terms of its
//! polynomial, and a quotient starts from the processor's estimate of an inverse, since a division takes ten
//! cycles.
//!
//! Why not a crate: at 9,216 elements in place, one thread of a Zen 1 processor with AVX2, the sigmoid takes
//! 0.87 ns an element here and 1.48 in `rten-vecmath` 0.27, the SiLU 0.91 and 1.47, the tangent 0.82 and 2.62,
//! GELU 1.36 and 2.15; ELU, 0.77 and 1.42, is there off by 400 units in the last place near 0. The other twenty
//! would be written here anyhow. The near sigmoid, a term longer and without the test of range, takes 0.86 both
//! through `pulp` 0.22 and as a plain loop compiled for AVX2: abstractions cost nothing, and loops that the
//! compiler makes vectors of do as well where no step is special. Tables in registers, estimates of inverses, a
//! test of a block and vectors in step are special. So what decides is size: some twenty operations for three
//! instruction sets, without a dependency that sets the compiler's version. (`rten-simd` is what `rten-vecmath`
//! is made of; `fearless_simd` was not measured.) The portable path keeps the bounds as well, and is several
//! times slower.
//!
//! What is promised: every kernel keeps within its bound ([`Kernel::bound`]) of the exact value for every
//! finite single float; NaN stays NaN (a step's comparison apart); zeros keep the sign that the formula gives;
//! where the formula has no value at ±∞ neither has the kernel; nothing overflows where the value doesn't;
//! tails go down to the least subnormal number, unless the processor is told to flush those. A float's result
//! doesn't depend on where it stands, so that threads may cut a tensor anywhere. Half floats are widened,
//! computed and rounded.
//!
//! All SIMD, and with it all `unsafe` arithmetic of the program, is in here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod found;
mod functions;
mod isa;
mod lanes;
mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pair;
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

use found::*;
use functions::*;
use lanes::{Lanes, MOST};
use pair::Pair;

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

/// How far a kernel may be from the exact value: the larger of a relative and an absolute distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Units in the last place of the exact value, subnormal ones included.
    pub ulp: f64,
    /// Units of 2⁻²³, for functions with zeros away from 0, beside which a float can't be relatively right…
    pub absolute: f64,
    /// … and the same times |x|, for those that grow.
    pub linear: f64,
}

impl Bound {
    /// The absolute distance that is allowed at x, whatever the value.
    pub fn absolute_at(&self, x: f64) -> f64 {
        (self.absolute + self.linear * x.abs()) / f64::from(1 << 23)
    }
}

const fn ulp(ulp: f64) -> Bound {
    Bound { ulp, absolute: 0.0, linear: 0.0 }
}

const fn with_zeros(ulp: f64, absolute: f64, linear: f64) -> Bound {
    Bound { ulp, absolute, linear }
}

/// An activation of the registry by name, its bound, and how the kernel is made of its parameters.
struct Row {
    name: &'static str,
    bound: Bound,
    make: fn(&[f64]) -> Option<Arc<dyn Pass>>,
}

const ROWS: &[Row] = &[
    Row { name: "relu", bound: ulp(0.0), make: |_| pass_of(Relu) },
    Row { name: "leaky_relu", bound: ulp(2.0), make: |p| leaky_relu(*p.first()? as f32) },
    Row { name: "relu6", bound: ulp(0.0), make: |_| pass_of(Clip { low: 0.0, high: 6.0 }) },
    Row { name: "hard_tanh", bound: ulp(0.0), make: |_| pass_of(Clip { low: -1.0, high: 1.0 }) },
    Row { name: "elu", bound: ulp(4.0), make: |p| pass_of(Elu { above: 1.0, below: *p.first()? as f32 }) },
    Row { name: "selu", bound: ulp(4.0), make: |_| pass_of(SELU) },
    Row { name: "celu", bound: ulp(4.0), make: |p| pass_of(Celu::new(*p.first()?)?) },
    Row { name: "sigmoid", bound: ulp(4.0), make: |_| pass_of(Sigmoid) },
    Row {
        name: "hard_sigmoid",
        bound: ulp(2.0),
        make: |p| pass_of(HardSigmoid::new(*p.first()?, *p.get(1)?)),
    },
    Row { name: "tanh", bound: ulp(4.0), make: |_| pass_of(Tanh) },
    Row { name: "softsign", bound: ulp(2.0), make: |_| pass_of(Softsign) },
    Row { name: "softplus", bound: ulp(4.0), make: |p| pass_of(Softplus::new(*p.first()?)?) },
    Row { name: "silu", bound: ulp(4.0), make: |_| pass_of(Silu) },
    Row { name: "quick_gelu", bound: ulp(4.0), make: |_| pass_of(Swish::new(1.702)) },
    Row { name: "swish", bound: ulp(4.0), make: |p| pass_of(Swish::new(*p.first()?)) },
    Row { name: "hard_swish", bound: ulp(4.0), make: |_| pass_of(HardSwish) },
    Row { name: "mish", bound: ulp(6.0), make: |_| pass_of(Mish) },
    Row { name: "gelu", bound: ulp(8.0), make: |_| pass_of(Gelu) },
    Row { name: "gelu_tanh", bound: ulp(8.0), make: |_| pass_of(GeluTanh) },
    Row { name: "step", bound: ulp(0.0), make: |_| pass_of(Step) },
    Row { name: "tanhsoft1", bound: ulp(8.0), make: |p| pass_of(TanhSoft1 { alpha: *p.first()? as f32 }) },
    Row { name: "tanhsoft2", bound: ulp(8.0), make: |p| pass_of(TanhSoft2::new(*p.first()?, *p.get(1)?)) },
    Row { name: "eis1", bound: ulp(8.0), make: |p| pass_of(Eis1::new(*p.first()?)?) },
    Row { name: "eis2", bound: ulp(8.0), make: |_| pass_of(Eis2) },
    Row { name: "pau", bound: with_zeros(8.0, 1.0, 1.0), make: |p| pass_of(Pau::new(p)?) },
    Row { name: "hp1", bound: with_zeros(8.0, 1.0, 1.0), make: |p| pass_of(HermitePade::probabilists(p)?) },
    Row { name: "hp2", bound: with_zeros(8.0, 1.0, 1.0), make: |p| pass_of(HermitePade::physicists(p)?) },
    Row {
        name: "acon_c",
        // The scale is that of its lines: (|d| + |p2|) |x|.
        bound: with_zeros(4.0, 0.0, 3.0),
        make: |p| pass_of(AconC::new(*p.first()?, *p.get(1)?, *p.get(2)?)),
    },
    Row { name: "sine", bound: with_zeros(4.0, 1.0, 0.0), make: |p| pass_of(Sine::new(*p.first()?)) },
];

/// As the ONNX operator rounds its parameters.
const SELU: Elu = Elu { above: 1.050_701, below: (1.050_701_022_148_132_3 * 1.673_263_192_176_818_8) as f32 };

fn leaky_relu(alpha: f32) -> Option<Arc<dyn Pass>> {
    if alpha > 0.0 && alpha <= 1.0 { pass_of(Leak { alpha }) } else { pass_of(LeakyRelu { alpha }) }
}

fn pass_of(f: impl Function) -> Option<Arc<dyn Pass>> {
    Some(Arc::new(f))
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
        let row = ROWS.iter().find(|row| row.name == name)?;
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

/// A function over a slice, behind which its type is hidden.
trait Pass: Send + Sync {
    fn run(&self, isa: Isa, xs: &mut [f32]);
}

impl<F: Function> Pass for F {
    fn run(&self, isa: Isa, xs: &mut [f32]) {
        match isa {
            Isa::Portable => pass::<f32>((), *self, xs),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(isa) => avx2::pass(isa, *self, xs),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(isa) => avx512::pass(isa, *self, xs),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(isa) => neon::pass(isa, *self, xs),
        }
    }
}

/// Vectors that are computed in step, having been tested together for whether the near path does.
type Block<L> = Pair<Pair<L>>;

/// The function over a slice, vector by vector, each at an address that is a multiple of its size: loops
/// without closures, which the compiler doesn't always put in line, where the instruction set is known.
#[inline(always)]
fn pass<L: Lanes>(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
    let start = xs.as_ptr().align_offset(size_of::<L>()).min(xs.len());
    let (first, xs) = xs.split_at_mut(start);
    part::<L>(isa, f, first);
    let reach = f.reach::<L>();
    let mut blocks = xs.chunks_exact_mut(Block::<L>::COUNT);
    for block in &mut blocks {
        let at = block.as_mut_ptr();
        // SAFETY: the chunk holds as many floats as the block.
        let x = unsafe { Block::<L>::load(isa, at) };
        let y = match reach {
            None => f.at(x),
            Some(limit) if x.within(limit) => f.near(x),
            Some(_) => {
                L::anywhere(isa, f, block);
                continue;
            }
        };
        // SAFETY: as above.
        unsafe { y.store(at) };
    }
    let rest = blocks.into_remainder();
    let (rest, last) = rest.split_at_mut(rest.len() / L::COUNT * L::COUNT);
    if !rest.is_empty() {
        L::anywhere(isa, f, rest);
    }
    part::<L>(isa, f, last);
}

/// Fewer floats than a vector has: computed in a padded copy, by the same instructions.
#[inline(always)]
fn part<L: Lanes>(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
    if !xs.is_empty() {
        let mut padded = [0.0; MOST];
        padded[..xs.len()].copy_from_slice(xs);
        L::anywhere(isa, f, &mut padded[..L::COUNT]);
        xs.copy_from_slice(&padded[..xs.len()]);
    }
}

/// Whole vectors of any numbers. A float's result is that of its own magnitude, whatever stands beside it.
#[inline(always)]
fn anywhere<L: Lanes>(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
    let reach = f.reach::<L>();
    for vector in xs.chunks_exact_mut(L::COUNT) {
        let at = vector.as_mut_ptr();
        // SAFETY: the chunk holds as many floats as the vector.
        let x = unsafe { L::load(isa, at) };
        let y = match reach {
            None => f.at(x),
            Some(limit) if x.within(limit) => f.near(x),
            Some(limit) => L::select(x.splat(limit).less(x.abs()), f.at(x), f.near(x)),
        };
        // SAFETY: as above.
        unsafe { y.store(at) };
    }
}
