//! The files in which Linux and Android describe the machine.

use std::path::{Path, PathBuf};

use super::arm;
use crate::random::SplitMix64;
use crate::record::Cluster;

/// Instruction sets worth telling, as `/proc/cpuinfo` names them.
const ISA: [&str; 17] = [
    "avx512f",
    "avx512_vnni",
    "avx512_fp16",
    "amx_tile",
    "avx_vnni",
    "avx2",
    "fma",
    "f16c",
    "avx",
    "sse4_2",
    "sve2",
    "sve",
    "i8mm",
    "bf16",
    "asimdhp",
    "asimddp",
    "asimd",
];

/// Sixteen digits that stand for a name.
pub(super) fn hashed(name: &str) -> String {
    format!("{:016x}", SplitMix64::named(name).bits())
}

/// A system whose files are under a root.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// A file's text, trimmed; `None` if there is none, or nothing in it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read(self.root.join(path)).ok()?;
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(super) fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    pub(super) fn of_cpu(&self, cpu: usize, file: &str) -> Option<String> {
        self.text(&format!("sys/devices/system/cpu/cpu{cpu}/{file}"))
    }

    /// CPUs that are switched on.
    pub fn online(&self) -> Vec<usize> {
        let listed = self.text("sys/devices/system/cpu/online").and_then(|list| parse_list(&list));
        listed.unwrap_or_else(|| (0..std::thread::available_parallelism().map_or(1, usize::from)).collect())
    }

    /// Memory that can be had without swapping.
    pub fn available_bytes(&self) -> Option<u64> {
        self.meminfo("MemAvailable")
    }

    pub fn memory_bytes(&self) -> Option<u64> {
        self.meminfo("MemTotal")
    }

    fn meminfo(&self, field: &str) -> Option<u64> {
        let info = self.text("proc/meminfo")?;
        let kilobytes = cpuinfo(&info, field)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?;
        Some(kilobytes * 1024)
    }

    pub fn host(&self) -> Option<String> {
        self.text("proc/sys/kernel/hostname").or_else(|| self.text("etc/hostname"))
    }

    /// A hash of what no other machine has: the board's serial number, or the identifier that the system was installed with.
    pub fn id(&self) -> Option<String> {
        let own =
            ["proc/device-tree/serial-number", "etc/machine-id"].iter().find_map(|file| self.text(file))?;
        Some(hashed(&own))
    }

    /// The CPU's name; on ARM, where the kernel gives only numbers, the board's.
    pub fn cpu(&self) -> Option<String> {
        let info = self.text("proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| cpuinfo(&info, name).map(str::to_owned);
        field("model name")
            .or_else(|| field("Hardware"))
            .or_else(|| field("Model"))
            .or_else(|| self.text("proc/device-tree/model"))
            .or_else(|| self.cores(&info))
    }

    /// The kinds of core that there are: `Cortex-X1, Cortex-A76, Cortex-A55`.
    fn cores(&self, info: &str) -> Option<String> {
        let mut kinds: Vec<String> =
            self.online().into_iter().rev().filter_map(|cpu| core(info, cpu)).collect();
        kinds.dedup();
        (!kinds.is_empty()).then(|| kinds.join(", "))
    }

    /// Instruction sets that the kernel says the CPU has.
    pub fn isa(&self) -> Vec<String> {
        let info = self.text("proc/cpuinfo").unwrap_or_default();
        let flags = cpuinfo(&info, "flags").or_else(|| cpuinfo(&info, "Features")).unwrap_or_default();
        let has = |isa: &&&str| flags.split_whitespace().any(|flag| flag == **isa);
        ISA.iter().filter(has).map(|isa| (*isa).to_owned()).collect()
    }

    /// Names in a folder, in no order; none if there is no such folder.
    pub(super) fn folder(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Whether the system backs memory with huge pages of its own accord: the word in brackets of
    /// `always [madvise] never`.
    pub fn huge_pages(&self) -> Option<String> {
        let modes = self.text("sys/kernel/mm/transparent_hugepage/enabled")?;
        let chosen = modes.split_whitespace().find_map(|m| m.strip_prefix('[')?.strip_suffix(']'));
        chosen.map(str::to_owned)
    }

    /// What the machine is a guest of. Only some hypervisors tell; of others the processor knows that there is one.
    pub fn hypervisor(&self) -> Option<String> {
        let info = self.text("proc/cpuinfo").unwrap_or_default();
        let flagged =
            cpuinfo(&info, "flags").is_some_and(|f| f.split_whitespace().any(|f| f == "hypervisor"));
        let told = self
            .text("sys/hypervisor/type")
            .or_else(|| self.text("proc/device-tree/hypervisor/compatible"))
            .or_else(|| self.text("sys/class/dmi/id/product_name").filter(|_| flagged));
        told.or_else(|| flagged.then(|| "unnamed".to_owned()))
    }

    /// Whether this process runs on an emulated processor. An emulator answers for `/proc/self/exe` with the file that
    /// it runs, but not for `/proc/thread-self/exe`, which is then the emulator itself.
    pub fn emulates(&self) -> bool {
        match (self.link("proc/self/exe"), self.link("proc/thread-self/exe")) {
            (Some(told), Some(real)) => told != real,
            _ => false,
        }
    }

    /// `Ubuntu 24.04, Linux 6.8.0`.
    pub fn os(&self) -> String {
        let release = self.text("etc/os-release").unwrap_or_default();
        let pretty =
            release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).map(|n| n.trim_matches('"'));
        let kernel = self.text("proc/sys/kernel/osrelease").map(|version| format!("Linux {version}"));
        match (pretty, kernel) {
            (Some(name), Some(kernel)) => format!("{name}, {kernel}"),
            (Some(name), None) => name.to_owned(),
            (None, Some(kernel)) => kernel,
            (None, None) => std::env::consts::OS.to_owned(),
        }
    }

    /// CPUs by kind, the most capable first; empty where the system tells nothing of them.
    pub fn clusters(&self) -> Vec<Cluster> {
        let info = self.text("proc/cpuinfo").unwrap_or_default();
        let one = |cpu: usize| {
            let read = |file| self.of_cpu(cpu, file).and_then(|n| n.parse().ok());
            let (capacity, max_khz) = (read("cpu_capacity"), read("cpufreq/cpuinfo_max_freq"));
            Cluster { cpus: vec![cpu], core: core(&info, cpu), capacity, max_khz }
        };
        let mut cpus: Vec<Cluster> = self.online().into_iter().map(one).collect();
        cpus.retain(|c| c.capacity.is_some() || c.max_khz.is_some());
        cpus.sort_by_key(|c| std::cmp::Reverse((c.capacity, c.max_khz)));
        let mut clusters: Vec<Cluster> = vec![];
        for cpu in cpus {
            match clusters.last_mut() {
                Some(last) if alike(last, &cpu) => last.cpus.extend(cpu.cpus),
                _ => clusters.push(cpu),
            }
        }
        clusters.iter_mut().for_each(|c| c.cpus.sort_unstable());
        clusters
    }

    /// CPUs that share a core with this one, itself included.
    pub fn siblings(&self, cpu: usize) -> Vec<usize> {
        let list = self.of_cpu(cpu, "topology/thread_siblings_list");
        list.and_then(|list| parse_list(&list)).unwrap_or_else(|| vec![cpu])
    }

    /// The package (socket) that this one is in, where the system says.
    pub fn package(&self, cpu: usize) -> Option<String> {
        self.of_cpu(cpu, "topology/physical_package_id")
    }

    /// The governors of the used CPUs.
    pub fn governors(&self, cpus: &[usize]) -> Vec<String> {
        self.used(cpus).into_iter().filter_map(|cpu| self.of_cpu(cpu, "cpufreq/scaling_governor")).collect()
    }

    pub(super) fn used(&self, cpus: &[usize]) -> Vec<usize> {
        if cpus.is_empty() { self.online() } else { cpus.to_vec() }
    }

    /// User and system time of this process and of the children it has waited for.
    pub fn own_ticks(&self) -> Option<u64> {
        Some(self.times("proc/self/stat")?.iter().sum())
    }

    /// Fields 14 to 17 of a process' line, the second of which may itself hold spaces and parentheses: ticks in user
    /// and system mode, of the process and of the children it has waited for.
    pub(super) fn times(&self, stat: &str) -> Option<[u64; 4]> {
        let stat = self.text(stat)?;
        let (_, fields) = stat.rsplit_once(')')?;
        let times: Vec<u64> =
            fields.split_whitespace().skip(11).take(4).map_while(|field| field.parse().ok()).collect();
        times.try_into().ok()
    }

    /// Where a link leads.
    pub(super) fn link(&self, path: &str) -> Option<PathBuf> {
        std::fs::read_link(self.root.join(path)).ok()
    }
}

/// A list as Linux writes it, `0,2-3`: ascending, each once. `None` if it is none.
pub fn parse_list(text: &str) -> Option<Vec<usize>> {
    /// More CPUs than any machine has: a typing error shouldn't fill the memory.
    const MOST: usize = 1 << 16;
    let mut cpus = vec![];
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

/// Whether the second, which is no better than the first, is of the same kind: the best speeds of cores of one kind
/// differ by a few steps.
fn alike(best: &Cluster, other: &Cluster) -> bool {
    const SHARE: f64 = 0.9;
    let near = |best: Option<u64>, other: Option<u64>| match (best, other) {
        (Some(best), Some(other)) => other as f64 >= SHARE * best as f64,
        (best, other) => best == other,
    };
    best.core == other.core && near(best.capacity, other.capacity) && near(best.max_khz, other.max_khz)
}

/// The kind of core that this CPU is, where `/proc/cpuinfo` tells it by numbers, as it does on ARM.
fn core(info: &str, cpu: usize) -> Option<String> {
    let block =
        info.split("\n\n").find(|block| cpuinfo(block, "processor").is_some_and(|n| n.parse() == Ok(cpu)))?;
    arm::core(cpuinfo(block, "CPU implementer")?, cpuinfo(block, "CPU part")?)
}

/// The first value of a field of `/proc/cpuinfo`.
fn cpuinfo<'t>(info: &'t str, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    };
    info.lines().find_map(value)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A root folder that holds the given files.
    pub fn fixture(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temp");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("inside the root")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        root
    }

    /// A phone: four little CPUs, three middle ones and a big one.
    pub fn phone() -> tempfile::TempDir {
        let mut files = vec![
            ("sys/devices/system/cpu/online".to_owned(), "0-7\n".to_owned()),
            (
                "proc/cpuinfo".into(),
                "processor\t: 0\nFeatures\t: fp asimd asimddp\nHardware\t: Board X\n".into(),
            ),
            ("proc/sys/kernel/osrelease".into(), "5.10.0-android\n".into()),
            ("sys/class/thermal/thermal_zone3/type".into(), "big\n".into()),
            ("sys/class/thermal/thermal_zone3/temp".into(), "41000\n".into()),
        ];
        for cpu in 0..8 {
            let (capacity, khz) = [(250, 1_800_000), (700, 2_400_000), (1024, 3_000_000)][cpu / 4 + cpu / 7];
            let folder = format!("sys/devices/system/cpu/cpu{cpu}");
            files.push((format!("{folder}/cpu_capacity"), capacity.to_string()));
            files.push((format!("{folder}/cpufreq/cpuinfo_max_freq"), khz.to_string()));
            files.push((format!("{folder}/cpufreq/scaling_cur_freq"), (khz / 2).to_string()));
            files.push((format!("{folder}/cpufreq/scaling_governor"), "schedutil".into()));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        fixture(&files)
    }

    #[test]
    fn a_phone_is_described_by_its_clusters() {
        let root = phone();
        let machine = Machine::new(root.path());
        let clusters: Vec<Vec<usize>> = machine.clusters().into_iter().map(|c| c.cpus).collect();
        assert_eq!(clusters, [vec![7], vec![4, 5, 6], vec![0, 1, 2, 3]]);
        assert_eq!(machine.cpu().as_deref(), Some("Board X"));
        assert_eq!(machine.isa(), ["asimddp", "asimd"]);
        assert_eq!(machine.governors(&[7]), ["schedutil"]);
    }

    #[test]
    fn ticks_of_our_own_are_those_of_the_process_and_its_children() {
        // User and system of ourselves and of our children are 1, 2, 60 and 14.
        let stat = "7 (a )b) S 1 1 1 0 -1 0 1 2 3 4 1 2 60 14 20 0 1\n";
        assert_eq!(Machine::new(fixture(&[("proc/self/stat", stat)]).path()).own_ticks(), Some(77));
        assert_eq!(Machine::new(fixture(&[]).path()).own_ticks(), None);
    }

    #[test]
    fn lists_of_cpus_are_read_as_linux_writes_them() {
        assert_eq!(parse_list("0,2-3"), Some(vec![0, 2, 3]));
        assert_eq!(parse_list(" 3,1-2,2\n"), Some(vec![1, 2, 3]));
        for text in ["", "x", "3-1", "1,", "0-99999999999", "-1"] {
            assert_eq!(parse_list(text), None, "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_emulator_is_seen_where_it_forgets_to_hide() {
        let link = |real: &str| {
            let root = fixture(&[]);
            for (path, to) in [("self", "/data/oplat"), ("thread-self", real)] {
                let folder = root.path().join("proc").join(path);
                std::fs::create_dir_all(&folder).expect("made");
                std::os::unix::fs::symlink(to, folder.join("exe")).expect("linked");
            }
            Machine::new(root.path()).emulates()
        };
        assert!(link("/usr/bin/qemu-aarch64-static") && !link("/data/oplat"));
        assert!(!Machine::new(fixture(&[]).path()).emulates());
    }

    #[test]
    fn machines_of_one_name_are_told_apart_by_their_serial_numbers_which_nobody_learns() {
        let id = |files: &[(&str, &str)]| Machine::new(fixture(files).path()).id();
        let [one, two] = ["100000004a3f", "100000004a40"].map(|serial| {
            id(&[("proc/device-tree/serial-number", &format!("{serial}\0")), ("etc/machine-id", "same")])
        });
        assert!(
            one.is_some() && one != two && !one.as_ref().is_some_and(|id| id.contains("4a3f")),
            "{one:?}"
        );
        assert_eq!(id(&[("etc/machine-id", "same\n")]), id(&[("etc/machine-id", "same")]));
        assert_eq!(id(&[]), None);
    }

    #[test]
    fn the_system_is_named_by_release_and_kernel() {
        let root = fixture(&[
            ("etc/os-release", "NAME=x\nPRETTY_NAME=\"Board Linux 12\"\n"),
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("proc/sys/kernel/hostname", "board\n"),
            ("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 9 kB\n"),
        ]);
        let machine = Machine::new(root.path());
        assert_eq!(machine.os(), "Board Linux 12, Linux 6.1.0");
        assert_eq!(machine.host().as_deref(), Some("board"));
        assert_eq!(machine.memory_bytes(), Some(2048 * 1024));
    }
}
