//! What changes about a machine while something is measured: speed, heat, and who has its processors.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::thermal;
use crate::record::ThrottleKind;

/// What changes while something is measured.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub frequency_khz: BTreeMap<String, i64>,
    pub temperature_mc: BTreeMap<String, i64>,
    pub throttle: BTreeMap<String, (ThrottleKind, i64)>,
    /// Ticks of the used CPUs since boot.
    ticks: Option<Ticks>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    stolen: u64,
    /// Neither idle nor stolen.
    busy: u64,
    all: u64,
}

impl State {
    /// How the machine is now; `cpus` are those that are used, empty for all.
    pub fn of(machine: &Machine, cpus: &[usize]) -> Self {
        let frequency = |cpu: usize| {
            let khz = machine.of_cpu(cpu, "cpufreq/scaling_cur_freq")?.parse().ok()?;
            Some((cpu.to_string(), khz))
        };
        Self {
            frequency_khz: machine.used(cpus).into_iter().filter_map(frequency).collect(),
            temperature_mc: thermal::temperatures(machine),
            throttle: thermal::throttling(machine, cpus),
            ticks: ticks(machine, cpus),
        }
    }

    /// Share of the used CPUs' time that the hypervisor took between the two.
    pub fn steal_until(&self, later: &State) -> Option<f64> {
        let (before, after) = (self.ticks?, later.ticks?);
        let all = after.all.checked_sub(before.all).filter(|&all| all > 0)?;
        Some(after.stolen.saturating_sub(before.stolen) as f64 / all as f64)
    }

    /// Share of the used CPUs' time between the two that other programs took: what ran there less what is ours,
    /// all of which is taken to have run there.
    pub fn others_until(&self, later: &State, own: u64) -> Option<f64> {
        let (before, after) = (self.ticks?, later.ticks?);
        let all = after.all.checked_sub(before.all).filter(|&all| all > 0)?;
        let others = after.busy.checked_sub(before.busy)?.saturating_sub(own);
        Some(others as f64 / all as f64)
    }
}

/// The used CPUs' lines of `/proc/stat`: user nice system idle iowait irq softirq steal guest guest_nice,
/// where guests are counted under user and nice already.
fn ticks(machine: &Machine, cpus: &[usize]) -> Option<Ticks> {
    let stat = machine.text("proc/stat")?;
    let wanted: Vec<String> = match cpus {
        [] => vec!["cpu".into()],
        cpus => cpus.iter().map(|cpu| format!("cpu{cpu}")).collect(),
    };
    let mut ticks = None;
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        if !words.next().is_some_and(|first| wanted.iter().any(|w| w == first)) {
            continue;
        }
        let numbers: Vec<u64> = words.map_while(|w| w.parse().ok()).collect();
        let ticks: &mut Ticks = ticks.get_or_insert_default();
        let number = |i: usize| numbers.get(i).copied().unwrap_or(0);
        let all = numbers.iter().take(8).sum::<u64>();
        ticks.all += all;
        ticks.stolen += number(7);
        ticks.busy += all - number(7) - number(3) - number(4);
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{fixture, phone};
    use super::*;

    #[test]
    fn the_speed_of_the_used_cpus_and_all_zones_are_read() {
        let state = State::of(&Machine::new(phone().path()), &[7]);
        assert_eq!(state.frequency_khz, BTreeMap::from([("7".to_owned(), 1_500_000)]));
        assert_eq!(state.temperature_mc, BTreeMap::from([("3 (big)".to_owned(), 41_000)]));
    }

    #[test]
    fn stolen_time_is_that_of_the_used_cpus() {
        let stat = |all: u64, stolen: u64| {
            format!(
                "cpu 900 0 0 0 0 0 0 800 0 0\ncpu0 9 0 0 0 0 0 0 9 0 0\ncpu1 {all} 0 0 0 0 0 0 {stolen} 7 7\n"
            )
        };
        let states = [stat(100, 10), stat(190, 20)].map(|text| {
            let root = fixture(&[("proc/stat", &text)]);
            State::of(&Machine::new(root.path()), &[1])
        });
        assert_eq!(states[0].steal_until(&states[1]), Some(0.1));
        assert_eq!(states[0].steal_until(&states[0]), None);
    }

    #[test]
    fn what_ran_on_the_used_cpus_and_is_not_ours_is_others() {
        // User, idle, stolen.
        let state = |[user, idle, stolen]: [u64; 3]| {
            let stat = format!("cpu0 99 0 0 9 0 0 0 0\ncpu1 {user} 0 0 {idle} 0 0 0 {stolen} 0 0\n");
            State::of(&Machine::new(fixture(&[("proc/stat", &stat)]).path()), &[1])
        };
        let before = state([100, 50, 0]);
        assert_eq!(before.others_until(&state([180, 60, 10]), 55), Some((80 - 55) as f64 / 100.0));
        // Rounded to ticks, ours may seem to be more than all.
        assert_eq!(before.others_until(&state([110, 140, 0]), 20), Some(0.0));
        assert_eq!(before.others_until(&before, 0), None);
    }
}
