//! The processor as a worker sets it up and reads it: affinity, subnormal numbers, page faults, memory.

use std::fs::File;
use std::io::Read;

use crate::record::Denormals;

/// Pins the calling thread to `cpus`; does nothing if the list is empty.
///
/// Fails, with a sentence that names the CPUs, if the system refuses or can't do it at all.
pub fn pin(cpus: &[usize]) -> Result<(), String> {
    pin_thread(None, cpus)
}

/// As [`pin`], with all threads of the process: those that the calling thread started are where it was then.
pub fn pin_all(cpus: &[usize]) -> Result<(), String> {
    pin(cpus)?;
    // Where they can't be listed there is nothing more to do.
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Ok(()) };
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    ids.into_iter().try_for_each(|id: i32| pin_thread(Some(id), cpus))
}

/// Pins a thread by its number; `None` is the calling one.
fn pin_thread(thread: Option<i32>, cpus: &[usize]) -> Result<(), String> {
    if cpus.is_empty() {
        return Ok(());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::thread::{CpuSet, Pid, sched_setaffinity};
        let mut set = CpuSet::new();
        for &cpu in cpus {
            if cpu >= CpuSet::MAX_CPU {
                return Err(format!(
                    "cannot pin to cpu {cpu}: the highest possible is {}",
                    CpuSet::MAX_CPU - 1
                ));
            }
            set.set(cpu);
        }
        let thread = thread.and_then(Pid::from_raw);
        match sched_setaffinity(thread, &set) {
            // One that has ended meanwhile needs no CPU.
            Err(rustix::io::Errno::SRCH) if thread.is_some() => Ok(()),
            done => done.map_err(|e| format!("cannot pin to cpus {cpus:?}: {e}; choose others with --cpus")),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    Err("this system cannot pin a process to CPUs: leave out --cpus".to_owned())
}

/// Makes the calling thread's floating-point unit keep subnormal numbers, or flush them to zero.
///
/// False if they are to be flushed and no way to do so is known for this architecture.
pub fn set_denormals(denormals: Denormals) -> bool {
    let flush = denormals == Denormals::Flush;
    #[cfg(target_arch = "x86_64")]
    {
        const DAZ_FTZ: u32 = 1 << 6 | 1 << 15;
        let mut mode = 0u32;
        // SAFETY: reads and writes only the control bits for subnormal numbers of this thread's MXCSR.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &mut mode, options(nostack));
            mode = if flush { mode | DAZ_FTZ } else { mode & !DAZ_FTZ };
            std::arch::asm!("ldmxcsr [{}]", in(reg) &mode, options(nostack));
        }
        true
    }
    #[cfg(target_arch = "aarch64")]
    {
        const FZ: u64 = 1 << 24;
        let mut mode: u64;
        // SAFETY: reads and writes only the control bit for subnormal numbers of this thread's FPCR.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) mode, options(nomem, nostack));
            mode = if flush { mode | FZ } else { mode & !FZ };
            std::arch::asm!("msr fpcr, {}", in(reg) mode, options(nomem, nostack));
        }
        true
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    !flush
}

/// A field of `/proc/self/status` in kB, in bytes; `None` where the system has no such thing.
fn status_bytes(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes =
        status.lines().find_map(|l| l.strip_prefix(field)?.strip_suffix("kB")?.trim().parse().ok());
    kilobytes.map(|k: u64| k * 1024)
}

/// Resident set now, bytes.
pub fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// High-water mark of the resident set, bytes.
pub fn peak_resident_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Involuntary context switches of all threads since the process started.
pub fn involuntary_switches() -> Option<u64> {
    let mut sum = None;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let switches = status.lines().find_map(|l| l.strip_prefix("nonvoluntary_ctxt_switches:"))?;
        sum = Some(sum.unwrap_or(0) + switches.trim().parse::<u64>().ok()?);
    }
    sum
}

/// Size of the second-level cache of this CPU (of the first one, if none is given), bytes, where the system says.
pub fn second_level_cache(cpu: Option<usize>) -> Option<u64> {
    let folder = format!("/sys/devices/system/cpu/cpu{}/cache", cpu.unwrap_or(0));
    std::fs::read_dir(folder).ok()?.flatten().find_map(|cache| {
        let read = |name: &str| std::fs::read_to_string(cache.path().join(name)).ok();
        if read("level")?.trim() != "2" {
            return None;
        }
        kibibytes(read("size")?.trim())
    })
}

/// `512K`, `2M` as the system writes them.
fn kibibytes(size: &str) -> Option<u64> {
    let (digits, unit) = size.split_at_checked(size.len().checked_sub(1)?)?;
    let unit = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Reads the process's minor page faults without allocating, so that it can be asked between operators.
pub struct MinorFaults(Option<File>);

impl MinorFaults {
    pub fn open() -> Self {
        Self(File::open("/proc/self/stat").ok())
    }

    /// Minor page faults of all threads since the process started.
    pub fn read(&mut self) -> Option<u64> {
        use std::io::Seek;
        let file = self.0.as_mut()?;
        let mut text = [0u8; 1024];
        file.rewind().ok()?;
        let length = file.read(&mut text).ok()?;
        minor_faults(std::str::from_utf8(text.get(..length)?).ok()?)
    }
}

/// The tenth field of a `/proc/PID/stat` line; the second may itself hold spaces and parentheses.
fn minor_faults(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(7)?.parse().ok()
}

/// The C library, with its version where it says one.
pub fn libc() -> String {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn gnu_get_libc_version() -> *const std::ffi::c_char;
        }
        // SAFETY: glibc returns a static, NUL-terminated string.
        let version = unsafe { std::ffi::CStr::from_ptr(gnu_get_libc_version()) };
        format!("glibc {}", version.to_string_lossy())
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        let name = if cfg!(target_env = "musl") {
            "musl"
        } else if cfg!(target_os = "android") {
            "bionic"
        } else {
            std::env::consts::OS
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_spaces_does_not_shift_the_fields() {
        assert_eq!(minor_faults("12 (a b) c) R 1 2 3 4 5 6 77 8 9"), Some(77));
        assert_eq!(minor_faults("12 (cut"), None);
    }

    #[test]
    fn cache_sizes_have_units() {
        assert_eq!(kibibytes("512K"), Some(512 << 10));
        assert_eq!(kibibytes("2M"), Some(2 << 20));
        assert_eq!((kibibytes(""), kibibytes("12"), kibibytes("µ")), (None, None, None));
    }

    #[test]
    fn flushed_subnormals_become_zero_and_kept_ones_do_not() {
        let half = |x: f32| std::hint::black_box(x) * std::hint::black_box(0.5);
        std::thread::spawn(move || {
            if set_denormals(Denormals::Flush) {
                assert_eq!(half(f32::MIN_POSITIVE), 0.0);
            }
            set_denormals(Denormals::Keep);
            assert!(half(f32::MIN_POSITIVE) > 0.0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn an_impossible_cpu_is_refused_by_name() {
        assert!(pin(&[9999]).unwrap_err().contains("9999"));
        assert_eq!(pin(&[]), Ok(()));
    }
}
