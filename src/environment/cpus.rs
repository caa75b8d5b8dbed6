//! Which CPUs to pin workers to.

use std::path::Path;

use super::machine::{Machine, parse_list};
use crate::error::{Error, Result};
use crate::units;

/// The CPUs to use for so many threads where the user doesn't say: of those allowed, the most capable ones,
/// one a core, and not the first, which handles most interrupts, if there is a choice. Ascending.
pub fn default_cpus(threads: usize) -> Vec<usize> {
    let machine = Machine::new(Path::new("/"));
    choose(&machine, &allowed(&machine), threads)
}

/// Whether a text can mean CPUs, whichever a machine has.
pub fn are_cpus(text: &str) -> bool {
    ["big", "little"].contains(&text.trim()) || parse_list(text).is_some()
}

/// The CPUs that the user means: `0,2-3`, `big` or `little`. Fails if one isn't there or may not be used.
pub fn parse_cpus(text: &str) -> Result<Vec<usize>> {
    let machine = Machine::new(Path::new("/"));
    parse(text, &machine, &allowed(&machine))
}

/// These CPUs and others that are like them, one a core: of the same speed and in the same package, so that memory that a
/// process takes on one is as near to the others. Those given come first.
pub fn like(cpus: &[usize]) -> Vec<usize> {
    let machine = Machine::new(Path::new("/"));
    alike(&machine, &allowed(&machine), cpus)
}

fn alike(machine: &Machine, allowed: &[usize], cpus: &[usize]) -> Vec<usize> {
    let clusters = machine.clusters();
    let place = |cpu: usize| (clusters.iter().position(|c| c.cpus.contains(&cpu)), machine.package(cpu));
    let mut like = cpus.to_vec();
    for &cpu in allowed.iter().filter(|_| !cpus.is_empty()) {
        let is_like = cpus.iter().all(|&given| place(given) == place(cpu));
        if is_like && !machine.siblings(cpu).iter().any(|sibling| like.contains(sibling)) {
            like.push(cpu);
        }
    }
    like
}

fn choose(machine: &Machine, allowed: &[usize], threads: usize) -> Vec<usize> {
    let mut clusters: Vec<Vec<usize>> = machine.clusters().into_iter().map(|c| c.cpus).collect();
    if clusters.is_empty() {
        clusters.push(allowed.to_vec());
    }
    // By cluster, from the last CPU down; the second threads of cores come after all the first ones.
    let (mut first, mut second) = (vec![], vec![]);
    for cpu in clusters.into_iter().flat_map(|c| c.into_iter().rev()).filter(|cpu| allowed.contains(cpu)) {
        let taken = machine.siblings(cpu).iter().any(|sibling| first.contains(sibling));
        if taken {
            second.push(cpu)
        } else {
            first.push(cpu)
        };
    }
    first.extend(second);
    first.truncate(threads.max(1));
    first.sort_unstable();
    first
}

fn parse(text: &str, machine: &Machine, allowed: &[usize]) -> Result<Vec<usize>> {
    let text = text.trim();
    let wanted = match text {
        "big" | "little" => {
            let clusters = machine.clusters();
            let [big, .., little] = clusters.as_slice() else {
                return Err(Error::input(format!(
                    "--cpus {text}: all CPUs here are alike; give numbers, as 0,2-3"
                )));
            };
            if text == "big" { big.cpus.clone() } else { little.cpus.clone() }
        }
        _ => parse_list(text).ok_or_else(|| {
            Error::input(format!("--cpus {text:?}: give numbers, as 0,2-3, or big or little"))
        })?,
    };
    match wanted.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => Err(Error::input(format!(
            "--cpus {text}: CPU {cpu} can't be used here; use {}",
            units::cpus(allowed)
        ))),
        None => Ok(wanted),
    }
}

/// CPUs that this process may run on.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn allowed(machine: &Machine) -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => machine.online(),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allowed(machine: &Machine) -> Vec<usize> {
    machine.online()
}

#[cfg(test)]
pub mod tests {
    use super::super::machine::tests::{fixture, phone};
    use super::*;

    /// The CPUs that would be used of all those of a machine.
    pub fn chosen(root: &Path, threads: usize) -> Vec<usize> {
        let machine = Machine::new(root);
        choose(&machine, &machine.online(), threads)
    }

    #[test]
    fn a_phone_uses_its_big_cpu_first() {
        let root = phone();
        let machine = Machine::new(root.path());
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(choose(&machine, &all, 1), [7]);
        assert_eq!(choose(&machine, &all, 4), [4, 5, 6, 7]);
        assert_eq!(choose(&machine, &[0, 1], 1), [1]);
        assert_eq!(parse("big", &machine, &all).expect("big"), [7]);
        assert_eq!(parse("little", &machine, &all).expect("little"), [0, 1, 2, 3]);
    }

    #[test]
    fn a_server_uses_cores_before_their_second_threads_and_not_cpu_0() {
        let file = |cpu: usize| format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let files = [(file(0), "0-1"), (file(1), "0-1"), (file(2), "2-3"), (file(3), "2-3")];
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), *t)).collect();
        let root = fixture(&files);
        let machine = Machine::new(root.path());
        assert_eq!(choose(&machine, &[0, 1, 2, 3], 1), [3]);
        assert_eq!(choose(&machine, &[0, 1, 2, 3], 2), [1, 3]);
        assert_eq!(choose(&machine, &[0, 1, 2, 3], 9), [0, 1, 2, 3]);
        assert_eq!(choose(&machine, &[0], 1), [0]);
    }

    #[test]
    fn what_is_like_a_cpu_is_as_fast_in_the_same_package_and_another_core() {
        let root = phone();
        let machine = Machine::new(root.path());
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(alike(&machine, &all, &[7]), [7]);
        assert_eq!(alike(&machine, &all, &[5]), [5, 4, 6]);
        assert_eq!(alike(&machine, &[5, 6], &[5]), [5, 6]);
        let file = |cpu: usize, name: &str| format!("sys/devices/system/cpu/cpu{cpu}/topology/{name}");
        let of = |cpu| (file(cpu, "physical_package_id"), (cpu / 4).to_string());
        let siblings = |cpu: usize| (file(cpu, "thread_siblings_list"), format!("{}-{}", cpu & !1, cpu | 1));
        let files: Vec<(String, String)> = all.iter().flat_map(|&cpu| [of(cpu), siblings(cpu)]).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let root = fixture(&files);
        assert_eq!(alike(&Machine::new(root.path()), &all, &[7]), [7, 4]);
        assert_eq!(alike(&Machine::new(root.path()), &all, &[]), [0usize; 0]);
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_with_those_that_are() {
        let root = fixture(&[]);
        let error = parse("0,9", &Machine::new(root.path()), &[0, 1]).expect_err("no CPU 9");
        assert_eq!(error.message, "--cpus 0,9: CPU 9 can't be used here; use 0,1");
        let error = parse("big", &Machine::new(root.path()), &[0, 1]).expect_err("no clusters");
        assert!(error.message.contains("alike"), "{error}");
    }

    #[test]
    fn this_machine_has_a_cpu_to_use() {
        let cpus = default_cpus(1);
        assert_eq!(cpus.len(), 1);
        assert_eq!(parse_cpus(&cpus[0].to_string()).expect("usable"), cpus);
    }
}
