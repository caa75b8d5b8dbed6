//! Instruction sets, and proofs that this processor has them.
//!
//! A proof is a value without content, of a type for each set. It comes from asking the processor, so whoever holds
//! one may run the set's instructions: a safe function that needs them takes the proof as an argument. A vector is a
//! proof, too, since it is only made from one, or from another vector.

/// A type of proofs for an instruction set, and the features that `new` looks for.
#[allow(unused_macros)] // where there are kernels for no instruction set
macro_rules! proof {
    ($(#[$doc:meta])* $name:ident, $detected:ident: $($feature:tt),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(());

        impl $name {
            /// `None` where the processor lacks the instruction set.
            pub fn new() -> Option<Self> {
                ($(std::arch::$detected!($feature))&&+).then_some(Self(()))
            }

            /// # Safety
            /// The processor has the instruction set.
            #[inline(always)]
            pub(crate) const unsafe fn new_unchecked() -> Self {
                Self(())
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
proof!(
    /// The processor has AVX2 and FMA.
    Avx2, is_x86_feature_detected: "avx2", "fma"
);
#[cfg(target_arch = "x86_64")]
proof!(
    /// The processor has AVX-512 with its instructions for doubles and quadwords.
    Avx512, is_x86_feature_detected: "avx512f", "avx512dq"
);
#[cfg(target_arch = "aarch64")]
proof!(
    /// The processor has NEON.
    Neon, is_aarch64_feature_detected: "neon"
);

/// An instruction set for which there are kernels, and which this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl Isa {
    /// All that this processor has, the best last.
    pub fn available() -> Vec<Self> {
        let all = [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            Avx2::new().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Avx512::new().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            Neon::new().map(Self::Neon),
        ];
        all.into_iter().flatten().collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }
}
