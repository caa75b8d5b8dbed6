//! The machine that was measured on, with its speed, heat and clock meanwhile: what has to be alike before two
//! records can be compared.

use super::section::Section;
use crate::record::{BeforeAfter, Environment, Record};
use crate::units;

/// A line for each thing that is known; nothing of one that the system doesn't tell.
pub fn section(record: &Record) -> Section {
    let e = &record.environment;
    let known = [system(e), Some(memory(e)), clusters(e), speed(e), heat(e), Some(clock(record))];
    let lines: Vec<String> = known.into_iter().flatten().filter(|line| !line.is_empty()).collect();
    if e.cpu.is_none() && e.os.is_empty() {
        return Section::plain();
    }
    Section::headed("machine").lines(lines)
}

fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn system(e: &Environment) -> Option<String> {
    let guest = e.hypervisor.as_ref().map(|name| match name.as_str() {
        "unnamed" => "a virtual machine".to_owned(),
        name => format!("a virtual machine ({name})"),
    });
    let cores = units::count(e.cores, "core");
    let cpu = e.cpu.clone().unwrap_or_else(|| "CPU unknown".into());
    Some(joined([Some(cpu), Some(e.arch.clone()), Some(cores), guest, Some(e.os.clone())]))
}

fn memory(e: &Environment) -> String {
    let all = e.memory_bytes.map(|bytes| format!("memory {}", units::bytes(bytes)));
    let free = e.available_bytes.map(|bytes| format!("{} of it available at first", units::bytes(bytes)));
    joined([all, free, e.huge_pages.as_ref().map(|mode| format!("huge pages: {mode}"))])
}

fn clusters(e: &Environment) -> Option<String> {
    let cluster = |c: &crate::record::Cluster| {
        let speed = c.max_khz.map(|khz| format!("{} MHz", khz / 1000));
        let capacity = c.capacity.map(|capacity| format!("capacity {capacity}"));
        format!("cpu {}: {}", units::cpus(&c.cpus), joined([c.core.clone(), speed, capacity]))
    };
    let clusters: Vec<String> = e.clusters.iter().map(cluster).collect();
    (!clusters.is_empty()).then(|| format!("clusters: {}", clusters.join(" | ")))
}

/// The lowest and the highest reading, `1800 to 2400`, or the one figure where they are the same.
fn range(of: BeforeAfter, scale: i64) -> Option<String> {
    let (lowest, highest) =
        (of.lowest.or(of.before)? / scale, of.highest.or(of.after).or(of.before)? / scale);
    Some(if lowest == highest { lowest.to_string() } else { format!("{lowest} to {highest}") })
}

fn speed(e: &Environment) -> Option<String> {
    let mut governors = e.governor.clone();
    governors.dedup();
    let governor = (!governors.is_empty()).then(|| format!("governor {}", governors.join(" and ")));
    let frequency =
        |(cpu, &f): (&String, &BeforeAfter)| Some(format!("cpu {cpu} at {} MHz", range(f, 1000)?));
    let frequencies: Vec<Option<String>> = e.frequency_khz.iter().map(frequency).collect();
    let steal = e.steal.map(|steal| format!("steal {}", units::share(steal)));
    Some(joined(std::iter::once(governor).chain(frequencies).chain([steal])))
}

fn heat(e: &Environment) -> Option<String> {
    let hottest = e.temperature_mc.iter().max_by_key(|(_, t)| t.highest.or(t.after).or(t.before));
    let hottest =
        hottest.and_then(|(zone, &t)| Some(format!("hottest zone {zone} at {} °C", range(t, 1000)?)));
    let signs =
        e.throttle.iter().filter_map(|(name, sign)| Some(format!("{name}: {}", range(sign.reading, 1)?)));
    let signs: Vec<String> = signs.collect();
    let signs = (!signs.is_empty()).then(|| format!("signs of throttling: {}", signs.join(", ")));
    Some(joined([hottest, signs]))
}

fn clock(record: &Record) -> String {
    let e = &record.environment;
    let step = (e.timer_ns > 0).then(|| format!("clock in steps of {}", units::time(e.timer_ns)));
    let reading = e.clock_ns.map(|ns| format!("{} a reading", units::time(ns)));
    let libc = (!record.engine.libc.is_empty())
        .then(|| format!("{}, {} allocator", record.engine.libc, record.engine.allocator));
    joined([step, reading, libc])
}
