//! How much time of the CPUs the processes of this program took, as one of them sees it. On a device, where the parent
//! can't look, that tells the measurement's own share from that of other programs.
//!
//! Of a worker that has ended, what it took until the last look counts. So one has to look while workers live.

use std::collections::BTreeMap;

use super::machine::Machine;

#[derive(Debug, Default)]
pub struct OwnProcesses {
    /// Ticks of every process that was seen, by its number.
    seen: BTreeMap<u32, u64>,
    /// Ticks of those that have ended and whose number another process has now.
    ended: u64,
    /// Ticks of all at the start.
    before: u64,
}

impl OwnProcesses {
    pub fn start(machine: &Machine) -> Self {
        let mut own = Self::default();
        own.look(machine);
        own.before = own.all();
        own
    }

    pub fn look(&mut self, machine: &Machine) {
        for (process, ticks) in processes(machine) {
            if let Some(before) = self.seen.insert(process, ticks).filter(|&before| before > ticks) {
                self.ended += before;
            }
        }
    }

    /// Ticks that they took since the start; `None` where not even this process can be seen.
    pub fn ticks(&self) -> Option<u64> {
        (!self.seen.is_empty()).then(|| self.all() - self.before)
    }

    fn all(&self) -> u64 {
        self.ended + self.seen.values().sum::<u64>()
    }
}

/// User and system time of every process that runs the same file as this one.
fn processes(machine: &Machine) -> BTreeMap<u32, u64> {
    let Some(own) = machine.link("proc/self/exe") else { return BTreeMap::new() };
    let of = |name: String| {
        let process = name.parse().ok()?;
        let is_own = machine.link(&format!("proc/{name}/exe"))? == own;
        let times = if is_own { machine.times(&format!("proc/{name}/stat"))? } else { return None };
        Some((process, times[0] + times[1]))
    };
    machine.folder("proc").into_iter().filter_map(of).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::machine::tests::fixture;
    use super::*;
    use std::path::Path;

    fn process(root: &Path, name: &str, runs: &str, ticks: u64) {
        let folder = root.join("proc").join(name);
        std::fs::create_dir_all(&folder).expect("made");
        let stat = format!("7 (a) S 1 1 1 0 -1 0 1 2 3 4 {ticks} 1 60 14 20 0 1\n");
        std::fs::write(folder.join("stat"), stat).expect("written");
        let _ = std::fs::remove_file(folder.join("exe"));
        std::os::unix::fs::symlink(runs, folder.join("exe")).expect("linked");
    }

    #[test]
    fn workers_count_as_ours_after_they_ended_and_others_never() {
        let root = fixture(&[]);
        let machine = Machine::new(root.path());
        for (name, runs) in [("self", "/oplat"), ("10", "/oplat"), ("11", "/bin/other")] {
            process(root.path(), name, runs, 5);
        }
        let mut own = OwnProcesses::start(&machine);
        assert_eq!(own.ticks(), Some(0));
        process(root.path(), "11", "/bin/other", 900);
        process(root.path(), "12", "/oplat", 100);
        own.look(&machine);
        assert_eq!(own.ticks(), Some(101));
        std::fs::remove_dir_all(root.path().join("proc/12")).expect("ended");
        own.look(&machine);
        assert_eq!(own.ticks(), Some(101));
        // Another worker that has the number of the first.
        process(root.path(), "12", "/oplat", 30);
        own.look(&machine);
        assert_eq!(own.ticks(), Some(132));
        assert_eq!(OwnProcesses::start(&Machine::new(fixture(&[]).path())).ticks(), None);
    }
}
