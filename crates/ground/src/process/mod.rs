//! The process itself, as a worker sets it up and reads it: its memory and its processors.

pub mod cpu;
pub mod heap;

/// From now on a file that grows beyond the limit of its size is an error, as a full disk is, and not the process's end.
pub fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        use std::ffi::c_int;
        unsafe extern "C" {
            fn signal(signal: c_int, handler: usize) -> usize;
        }
        const IGNORE: usize = 1;
        // SAFETY: no handler is installed, and none of Rust's is replaced.
        unsafe {
            signal(rustix::process::Signal::XFSZ.as_raw(), IGNORE);
        }
    }
}
