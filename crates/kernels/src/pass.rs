//! One pass over memory, in place: a function applied to every float of a slice.

use crate::functions::Function;
use crate::isa::Isa;
use crate::lanes::{Lanes, MOST};
#[cfg(target_arch = "aarch64")]
use crate::neon;
use crate::pair::Pair;
#[cfg(target_arch = "x86_64")]
use crate::{avx2, avx512};

/// A function over a slice, behind which its type is hidden.
pub trait Pass: Send + Sync {
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

/// Vectors that are computed in step, and tested together for whether all of their numbers are within `reach`.
type Block<L> = Pair<Pair<L>>;

/// Applies a function to a slice, in vectors whose addresses are multiples of their size. The loops have no closures,
/// which the compiler doesn't always inline into a function with an instruction set's features.
#[inline(always)]
pub fn pass<L: Lanes>(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
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

/// Applies it to fewer floats than a vector has: by the same instructions, in a padded copy.
#[inline(always)]
fn part<L: Lanes>(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
    if !xs.is_empty() {
        let mut padded = [0.0; MOST];
        padded[..xs.len()].copy_from_slice(xs);
        L::anywhere(isa, f, &mut padded[..L::COUNT]);
        xs.copy_from_slice(&padded[..xs.len()]);
    }
}

/// Applies it to whole vectors of any numbers: each float takes the form for its own magnitude, whatever stands beside
/// it.
#[inline(always)]
pub fn anywhere<L: Lanes>(isa: L::Isa, f: impl Function, xs: &mut [f32]) {
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
