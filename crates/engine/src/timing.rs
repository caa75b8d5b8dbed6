//! The clock: what it costs, and how an interruption is told from what is timed.

use std::time::Instant;

use oplat_ground::stats::median_high;

/// Length of the parts in which repeated calls are timed, ns.
const PART_NS: u64 = 50_000;

/// Times so many calls, ns, in parts, so that an interruption can be told from what the calls took.
pub fn repeated<E>(calls: u64, mut call: impl FnMut() -> Result<(), E>) -> Result<u64, E> {
    let mut part = 1;
    let mut parts = vec![];
    let mut left = calls;
    while left > 0 {
        let held = part.min(left);
        let start = Instant::now();
        for _ in 0..held {
            call()?;
        }
        let ns = start.elapsed().as_nanos() as u64;
        if parts.is_empty() {
            part = (PART_NS / ns.max(1)).max(1);
        }
        parts.push((held, ns));
        left -= held;
    }
    Ok(uninterrupted(&parts))
}

/// Time of all calls from that of parts of them (calls, ns). Of eleven parts in a row the median stands for all:
/// an interruption by another program is no part of what the calls took, a change of what they do is.
fn uninterrupted(parts: &[(u64, u64)]) -> u64 {
    let each = |part: &(u64, u64)| part.1 as f64 / part.0.max(1) as f64;
    let of_window = |window: &[(u64, u64)]| {
        let calls: u64 = window.iter().map(|part| part.0).sum();
        let median = median_high(window.iter().map(each).collect(), f64::total_cmp);
        median.unwrap_or(0.0) * calls as f64
    };
    parts.chunks(11).map(of_window).sum::<f64>() as u64
}

/// What two readings of the clock take, one right after the other: the median, ns.
pub fn two_readings_ns() -> u64 {
    let both = |_| {
        let start = Instant::now();
        start.elapsed().as_nanos() as u64
    };
    median_high((0..1001).map(both).collect(), u64::cmp).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_is_no_part_of_what_calls_take_and_a_change_is() {
        let mut parts = vec![(10, 1000); 22];
        (parts[3].1, parts[21]) = (90_000, (1, 100));
        assert_eq!(uninterrupted(&parts), 21_100);
        let slower: Vec<(u64, u64)> = (0..22).map(|i| (10, if i < 11 { 1000 } else { 5000 })).collect();
        assert_eq!(uninterrupted(&slower), 66_000);
        let mut calls = 0;
        repeated(1000, || {
            calls += 1;
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(calls, 1000);
    }
}
