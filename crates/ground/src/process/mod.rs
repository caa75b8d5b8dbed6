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

/// Lets this process, and those that it starts, open as many files as the system allows: each worker has three pipes, and a lab
/// hundreds of workers.
pub fn open_many_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        // Some systems say that there is no limit, and refuse that.
        const PLENTY: u64 = 1 << 16;
        let mut limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(PLENTY, |most| most.min(PLENTY));
        if limit.current.is_some_and(|now| now < most) {
            limit.current = Some(most);
            // Fails where that is too many still; then a target says that there are too many.
            let _ = setrlimit(Resource::Nofile, limit);
        }
    }
}
