//! The upper halves of x86's vector registers: while they are in use, whatever is compiled without AVX is slower.

use std::arch::asm;
use std::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx")]
pub fn clean_vectors() {
    _mm256_zeroupper();
}

/// # Safety
/// The processor must have AVX. (The function is compiled without it: where the compiler knows of AVX, it cleans up at the
/// end.)
#[inline]
pub unsafe fn use_vectors() {
    // SAFETY: the register is given up, and the flags stay.
    unsafe { asm!("vorps ymm15, ymm15, ymm15", out("xmm15") _, options(nomem, nostack, preserves_flags)) };
}

/// Whether the upper halves are in use; `None` where the processor doesn't keep account.
pub fn vectors_in_use() -> Option<bool> {
    const AVX_STATE: u32 = 1 << 2;
    let keeps_account = is_x86_feature_detected!("xsavec") && __cpuid_count(0xd, 1).eax & 1 << 2 != 0;
    keeps_account.then(|| {
        let state: u32;
        // SAFETY: the processor has the instruction, and this register of it.
        unsafe { asm!("xgetbv", in("ecx") 1, out("eax") state, out("edx") _, options(nomem, nostack)) };
        state & AVX_STATE != 0
    })
}
