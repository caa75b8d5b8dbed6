//! The program's allocator: the system's, which counts.
//!
//! What an operator allocates, keeps and frees is part of what it costs, and what the engine says of sizes is wrong for
//! packed tensors. So every figure of memory comes from here. Only the bytes that are held are followed all the time
//! (one relaxed atomic addition). The rest is counted after [`Counting::set_detail`] has asked for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64};
use std::time::Instant;

/// The global allocator. Counters are process-wide, so that those of a thread pool are included.
pub struct Counting;

/// What is counted beside the bytes held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Detail {
    Nothing,
    /// Allocations, their bytes, and the most bytes held.
    Counts,
    /// The same, and the time spent in the allocator.
    Time,
}

/// Counters at one moment. Differences between two of them are what happened in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that gave out memory.
    pub allocations: u64,
    /// Bytes that they gave out.
    pub bytes: u64,
    /// Bytes held.
    pub held: i64,
    /// Most bytes held at once since [`Counting::reset_peak`].
    pub peak: i64,
    /// Time inside the allocator, ns.
    pub time_ns: u64,
}

static DETAIL: AtomicU8 = AtomicU8::new(Detail::Nothing as u8);
static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static TIME: AtomicU64 = AtomicU64::new(0);

impl Counting {
    /// Has glibc keep memory that is freed, as it does by itself once a process has freed large blocks. Other C
    /// libraries are left as they are.
    ///
    /// glibc has limits beyond which it gives freed memory back to the system. It raises them when a large block is
    /// freed, to at most what is set here. In a process that hasn't freed such a block, chance decides whether a run
    /// gives memory back at its end and then asks for it again, page by page: it depends on the largest block that
    /// loading has freed, and on what is left where in the heap. With yolov5n at 640, one process around tract had no
    /// page faults and the next 5,300 a run, which took 3.6% (2.2 to 5.1) more time on average. A variant that needs a
    /// little more memory than the original could be the one that pays.
    pub fn settle() {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        {
            use std::ffi::c_int;
            unsafe extern "C" {
                fn mallopt(parameter: c_int, value: c_int) -> c_int;
            }
            const M_TRIM_THRESHOLD: c_int = -1;
            const M_MMAP_THRESHOLD: c_int = -3;
            /// The largest that glibc takes on 64 bits.
            const MOST: c_int = 32 << 20;
            // SAFETY: sets two limits of this process' allocator, under its lock.
            unsafe {
                mallopt(M_MMAP_THRESHOLD, MOST);
                mallopt(M_TRIM_THRESHOLD, 2 * MOST);
            }
        }
    }

    /// Chooses what is counted from now on.
    pub fn set_detail(detail: Detail) {
        DETAIL.store(detail as u8, Relaxed);
    }

    /// The counters now.
    pub fn counters() -> Counters {
        Counters {
            allocations: ALLOCATIONS.load(Relaxed),
            bytes: BYTES.load(Relaxed),
            held: HELD.load(Relaxed),
            peak: PEAK.load(Relaxed),
            time_ns: TIME.load(Relaxed),
        }
    }

    /// Lowers the peak to what is held now.
    pub fn reset_peak() {
        PEAK.store(HELD.load(Relaxed), Relaxed);
    }
}

/// Follows a call that gave out `new` bytes and took back `old`.
#[inline]
fn count(old: usize, new: usize) {
    let change = new as i64 - old as i64;
    let held = HELD.fetch_add(change, Relaxed) + change;
    if DETAIL.load(Relaxed) != Detail::Nothing as u8 && new > 0 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(new as u64, Relaxed);
        PEAK.fetch_max(held, Relaxed);
    }
}

#[inline]
fn timed<T>(call: impl FnOnce() -> T) -> T {
    if DETAIL.load(Relaxed) != Detail::Time as u8 {
        return call();
    }
    let start = Instant::now();
    let result = call();
    TIME.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
    result
}

// SAFETY: every call is passed on to `System` unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = timed(|| unsafe { System.alloc(layout) });
        if !block.is_null() {
            count(0, layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = timed(|| unsafe { System.alloc_zeroed(layout) });
        if !block.is_null() {
            count(0, layout.size());
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let moved = timed(|| unsafe { System.realloc(block, layout, size) });
        if !moved.is_null() {
            count(layout.size(), size);
        }
        moved
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        timed(|| unsafe { System.dealloc(block, layout) });
        count(layout.size(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counters are the process's and the test harness allocates too: what is looked for is large.
    #[test]
    fn counts_what_is_held_and_its_peak() {
        const SIZE: usize = 64 << 20;
        let layout = Layout::from_size_align(SIZE, 64).unwrap();
        Counting::set_detail(Detail::Counts);
        Counting::reset_peak();
        let before = Counting::counters();
        // SAFETY: the block is freed with the layout that it has after `realloc`, and only its ends are touched.
        unsafe {
            let block = Counting.alloc_zeroed(layout);
            assert!(!block.is_null());
            assert_eq!((*block, *block.add(SIZE - 1)), (0, 0));
            let block = Counting.realloc(block, layout, SIZE / 2);
            assert!(!block.is_null());
            let during = Counting::counters();
            assert!(during.held - before.held > SIZE as i64 / 4);
            assert!(during.held - before.held < SIZE as i64 * 3 / 4);
            Counting.dealloc(block, Layout::from_size_align(SIZE / 2, 64).unwrap());
        }
        let after = Counting::counters();
        Counting::set_detail(Detail::Nothing);
        assert!(after.peak - before.held >= SIZE as i64 * 3 / 4);
        assert!(after.held - before.held < SIZE as i64 / 4);
        assert!(after.allocations >= before.allocations + 2);
        assert!(after.bytes >= before.bytes + SIZE as u64 * 3 / 2);
    }
}
