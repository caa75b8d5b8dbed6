//! What is known of the machine, and whether it was fit to measure on.
//!
//! All is read from the system's text files under a root, so that any machine can be tried as a fixture. What a system
//! doesn't say is `None`, and no reason to fail.

mod android;
mod arm;
mod cpus;
mod machine;
#[cfg(test)]
mod machines;
mod own_processes;
mod state;
mod thermal;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::protocol;
use crate::record::{Android, BeforeAfter, Environment, Oplat, Throttle};

pub use cpus::{are_cpus, default_cpus, like, parse_cpus};
use machine::Machine;
use own_processes::OwnProcesses;
use state::State;

/// A machine that is watched while something is measured.
#[derive(Debug)]
pub struct Monitor {
    machine: Machine,
    root: PathBuf,
    cpus: Vec<usize>,
    before: State,
    available_bytes: Option<u64>,
    own_processes: OwnProcesses,
    /// What was read so far.
    frequency_khz: BTreeMap<String, BeforeAfter>,
    temperature_mc: BTreeMap<String, BeforeAfter>,
    throttle: BTreeMap<String, Throttle>,
    android: Option<Android>,
}

impl Monitor {
    /// Notes the state of this machine; `cpus` are those that will be used, empty for all.
    pub fn start(cpus: &[usize]) -> Self {
        Self::under(Path::new("/"), cpus)
    }

    /// As [`Monitor::start`], for a system whose files are under `root`.
    pub fn under(root: &Path, cpus: &[usize]) -> Self {
        let machine = Machine::new(root);
        let before = State::of(&machine, cpus);
        let first = |readings: &BTreeMap<String, i64>| {
            readings.iter().map(|(name, &value)| (name.clone(), BeforeAfter::first(value))).collect()
        };
        let throttle = before.throttle.iter().map(|(name, &(kind, value))| {
            (name.clone(), Throttle { kind, reading: BeforeAfter::first(value) })
        });
        Self {
            root: root.into(),
            cpus: cpus.to_vec(),
            frequency_khz: first(&before.frequency_khz),
            temperature_mc: first(&before.temperature_mc),
            throttle: throttle.collect(),
            android: android::state(root),
            available_bytes: machine.available_bytes(),
            own_processes: OwnProcesses::start(&machine),
            machine,
            before,
        }
    }

    fn note(&mut self, state: &State) {
        for (name, &value) in &state.frequency_khz {
            self.frequency_khz.entry(name.clone()).or_default().note(value);
        }
        for (name, &value) in &state.temperature_mc {
            self.temperature_mc.entry(name.clone()).or_default().note(value);
        }
        for (name, &(kind, value)) in &state.throttle {
            let unknown = Throttle { kind, reading: BeforeAfter::default() };
            self.throttle.entry(name.clone()).or_insert(unknown).reading.note(value);
        }
        if let Some((known, now)) = self.android.as_mut().zip(android::state(&self.root)) {
            android::note(known, &now);
        }
    }

    /// What the machine is, and how it was until now.
    pub fn now(&self) -> Environment {
        Environment {
            target: String::new(),
            host: self.machine.host().unwrap_or_default(),
            id: self.machine.id().or_else(|| android::id(&self.root)),
            arch: std::env::consts::ARCH.into(),
            cpu: self.machine.cpu(),
            isa: self.machine.isa(),
            os: self.machine.os(),
            cores: self.machine.online().len(),
            available_bytes: self.available_bytes,
            clusters: self.machine.clusters(),
            governor: self.machine.governors(&self.cpus),
            affinity: self.cpus.clone(),
            emulated: self.machine.emulates(),
            timer_ns: timer_ns(),
            clock_ns: Some(reading_ns()),
            frequency_khz: self.frequency_khz.clone(),
            temperature_mc: self.temperature_mc.clone(),
            throttle: self.throttle.clone(),
            steal: None,
            memory_bytes: self.machine.memory_bytes(),
            huge_pages: self.machine.huge_pages(),
            hypervisor: self.machine.hypervisor(),
            knobs: BTreeMap::new(),
            android: self.android.clone(),
            runner: None,
            warnings: vec![],
        }
    }

    /// Looks again: what the machine has been like since the start, and the share of the used CPUs' time that other
    /// programs took. `own_ticks` is what the measurement itself took; where that isn't known, what processes of this
    /// program were seen to take.
    pub fn look(&mut self, own_ticks: Option<u64>) -> (Environment, Option<f64>) {
        let after = State::of(&self.machine, &self.cpus);
        self.note(&after);
        self.own_processes.look(&self.machine);
        let before = &self.before;
        let environment = Environment { steal: before.steal_until(&after), ..self.now() };
        (
            environment,
            own_ticks.or(self.own_processes.ticks()).and_then(|own| before.others_until(&after, own)),
        )
    }
}

/// Completes what a worker said of its machine by what only the parent knows: the target as the user spells it,
/// whether its launcher emulates, and the instruction sets that the engine uses.
pub fn complete(machine: protocol::Machine, target: &str, emulated: bool, isa: &[String]) -> Environment {
    let protocol::Machine { oplat, mut environment, others, .. } = machine;
    environment.target = target.to_owned();
    environment.emulated |= emulated;
    let known = std::mem::replace(&mut environment.isa, isa.to_vec());
    environment.isa.extend(known.into_iter().filter(|i| !isa.contains(i)));
    environment.runner = Some(oplat).filter(|oplat| *oplat != this_program());
    environment.warnings = warnings::warnings(&environment, others);
    environment
}

/// Ticks that this process and the children that it has waited for have computed; `None` where it isn't known.
pub fn own_ticks() -> Option<u64> {
    Machine::new(Path::new("/")).own_ticks()
}

/// This program, as the record knows it.
pub fn this_program() -> Oplat {
    Oplat {
        version: env!("CARGO_PKG_VERSION").into(),
        profile: env!("OPLAT_PROFILE").into(),
        debug_assertions: cfg!(debug_assertions),
    }
}

/// The smallest step of the clock that is seen in a few thousand readings, ns.
fn timer_ns() -> u64 {
    let mut smallest = u64::MAX;
    let mut last = Instant::now();
    for _ in 0..5000 {
        let now = Instant::now();
        let step = u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX);
        if step > 0 {
            smallest = smallest.min(step);
            last = now;
        }
    }
    if smallest == u64::MAX { 0 } else { smallest }
}

/// What one reading of the clock takes, ns: the mean of many.
fn reading_ns() -> u64 {
    const READINGS: u32 = 1000;
    let start = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    u64::try_from((start.elapsed() / READINGS).as_nanos()).unwrap_or(u64::MAX)
}

/// A moment as RFC 3339 has it, in UTC and whole seconds: `2026-11-24T05:00:00Z`.
pub fn rfc3339(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Years are taken to begin in March, so that the leap day comes last. An era is 400 years, which are 146,097 days.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, expected) in table {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_clock_has_a_step_and_the_program_a_version() {
        assert!(timer_ns() > 0);
        let this = this_program();
        assert!(!this.version.is_empty() && ["dev", "release"].contains(&this.profile.as_str()), "{this:?}");
    }

    #[test]
    fn a_system_that_says_nothing_is_no_reason_to_fail() {
        let nothing = tempfile::tempdir().expect("temp");
        let mut monitor = Monitor::under(nothing.path(), &[0]);
        let (environment, others) = monitor.look(Some(0));
        assert_eq!(others, None);
        let machine = protocol::Machine { oplat: this_program(), environment, ready_on: vec![], others };
        let e = complete(machine, "local", false, &["avx2".into()]);
        assert_eq!((e.cpu, e.steal, e.clusters.len(), e.governor.len()), (None, None, 0, 0));
        assert_eq!((e.isa.as_slice(), e.runner, e.emulated), (&["avx2".to_owned()][..], None, false));
        assert!(e.frequency_khz.is_empty() && e.temperature_mc.is_empty() && e.throttle.is_empty());
        assert!(e.id.is_none() && e.android.is_none() && e.hypervisor.is_none() && e.huge_pages.is_none());
    }

    #[test]
    fn another_program_than_this_is_told() {
        let nothing = tempfile::tempdir().expect("temp");
        let environment = Monitor::under(nothing.path(), &[]).now();
        let oplat = Oplat { version: "9".into(), ..this_program() };
        let machine = protocol::Machine { oplat: oplat.clone(), environment, ready_on: vec![], others: None };
        let e = complete(machine, "ssh:board", true, &[]);
        assert_eq!((e.runner, e.emulated, e.target.as_str()), (Some(oplat), true, "ssh:board"));
    }
}
