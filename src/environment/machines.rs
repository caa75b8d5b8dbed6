//! Machines as their system files describe them, read as if this were one of them.

use super::cpus::tests::chosen;
use super::machine::tests::fixture;
use super::*;
use crate::record::ThrottleKind;

/// The files of a machine: `path: text`, or lines further in that belong to the path before them; `#` comments.
fn files(text: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = vec![];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match (line.strip_prefix("    "), files.last_mut()) {
            (Some(more), Some((_, text))) => *text += &format!("{more}\n"),
            // A path may itself hold a colon.
            _ => {
                let (path, text) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
                files.push((path.to_owned(), text.to_owned()));
            }
        }
    }
    files
}

macro_rules! machine {
    ($name:literal) => {{
        let files = files(include_str!(concat!("../../tests/fixtures/machines/", $name, ".txt")));
        fixture(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
    }};
}

/// The machine as it is seen before a measurement on the CPU that it would choose.
fn seen(root: &Path) -> Environment {
    Monitor::under(root, &chosen(root, 1)).now()
}

fn told(environment: &Environment) -> Vec<String> {
    let warnings = warnings::warnings(environment, None);
    warnings.into_iter().filter(|w| !w.starts_with("debug build")).collect()
}

type Kinds<'e> = Vec<(&'e [usize], Option<&'e str>)>;

fn kinds(environment: &Environment) -> Kinds<'_> {
    environment.clusters.iter().map(|c| (c.cpus.as_slice(), c.core.as_deref())).collect()
}

#[test]
fn a_phone_is_measured_on_its_biggest_core() {
    let root = machine!("pixel-6");
    let e = seen(root.path());
    let expected: Kinds = vec![
        (&[6, 7], Some("Cortex-X1")),
        (&[4, 5], Some("Cortex-A76")),
        (&[0, 1, 2, 3], Some("Cortex-A55")),
    ];
    assert_eq!(kinds(&e), expected);
    assert_eq!(e.cpu.as_deref(), Some("Cortex-X1, Cortex-A76, Cortex-A55"));
    assert_eq!((e.affinity.as_slice(), chosen(root.path(), 3)), (&[7][..], vec![5, 6, 7]));
    assert_eq!(e.frequency_khz["7"].before, Some(1_106_000));
    assert_eq!(e.temperature_mc["0 (BIG)"].before, Some(52_000));
    // Neither the accelerator's nor the bus' cooling slows the cores.
    let signs: Vec<&str> = e.throttle.keys().map(String::as_str).collect();
    let cpus =
        ["cooling 0 (thermal-cpufreq-0)", "cooling 1 (thermal-cpufreq-1)", "cooling 2 (thermal-cpufreq-2)"];
    assert_eq!(signs, cpus);
    assert_eq!((e.huge_pages.as_deref(), e.hypervisor.as_deref()), (Some("never"), None));
    assert!(matches!(told(&e).as_slice(), [one] if one.contains("sched_pixel")), "{:?}", told(&e));
}

#[test]
fn a_board_that_was_undervolted_before_is_fit_until_it_is_again() {
    let root = machine!("raspberry-pi-4");
    let mut monitor = Monitor::under(root.path(), &[3]);
    let e = monitor.now();
    assert_eq!(kinds(&e), [(&[0, 1, 2, 3][..], Some("Cortex-A72"))]);
    assert_eq!(e.cpu.as_deref(), Some("Raspberry Pi 4 Model B Rev 1.4"));
    assert_eq!(e.throttle["firmware"].kind, ThrottleKind::Firmware);
    assert!(matches!(told(&e).as_slice(), [one] if one.contains("ondemand")), "{:?}", told(&e));
    let set = |path: &str, text: &str| std::fs::write(root.path().join(path), text).expect("written");
    set("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
    set("sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", "1800000\n");
    set("sys/class/thermal/thermal_zone0/temp", "86112\n");
    monitor.look(None);
    set("sys/class/thermal/thermal_zone0/temp", "60000\n");
    set("proc/meminfo", "MemTotal: 3884376 kB\nMemAvailable: 9 kB\n");
    set("sys/class/thermal/cooling_device0/cur_state", "4\n");
    let e = monitor.look(None).0;
    let heat = e.temperature_mc["0 (cpu-thermal)"];
    assert_eq!((heat.before, heat.after, heat.highest), (Some(45_277), Some(60_000), Some(86_112)));
    assert_eq!(e.frequency_khz["3"].highest, Some(1_800_000));
    assert_eq!(e.available_bytes, Some(3_450_044 << 10), "what there was before the measurement");
    let all = told(&e).join("\n");
    for part in ["supply voltage", "reached 86 °C", "cooling 0 (cpufreq-cpu0), up to level 4"] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[test]
fn cores_of_one_kind_are_one_cluster_although_their_best_speeds_differ() {
    let root = machine!("rk3588");
    let e = seen(root.path());
    let expected: Kinds = vec![(&[4, 5, 6, 7], Some("Cortex-A76")), (&[0, 1, 2, 3], Some("Cortex-A55"))];
    assert_eq!(kinds(&e), expected);
    assert_eq!((e.affinity.as_slice(), e.huge_pages.as_deref()), (&[7][..], Some("madvise")));
    assert_eq!(e.memory_bytes, Some(16_219_144 << 10));
    assert!(matches!(told(&e).as_slice(), [one] if one.contains("thermal-cpufreq-2")), "{:?}", told(&e));
}

#[test]
fn a_laptop_uses_a_whole_fast_core_and_tells_when_it_throttles() {
    let root = machine!("x86-laptop");
    let mut monitor = Monitor::under(root.path(), &chosen(root.path(), 1));
    let e = monitor.now();
    assert_eq!(
        kinds(&e),
        [(&(0..8).collect::<Vec<_>>()[..], None), (&(8..16).collect::<Vec<_>>()[..], None)]
    );
    assert_eq!((e.affinity.as_slice(), chosen(root.path(), 4)), (&[7][..], vec![1, 3, 5, 7]));
    assert!(e.isa.contains(&"avx_vnni".to_owned()) && e.hypervisor.is_none());
    assert_eq!(e.throttle["cpu 7 core"].reading.before, Some(31));
    assert!(!e.throttle.keys().any(|name| name.contains("powerclamp")));
    assert!(matches!(told(&e).as_slice(), [one] if one.contains("powersave")), "{:?}", told(&e));
    let counter = "sys/devices/system/cpu/cpu7/thermal_throttle/core_throttle_count";
    std::fs::write(root.path().join(counter), "35\n").expect("written");
    let all = told(&monitor.look(None).0).join("\n");
    assert!(all.contains("throttled 4 times") && all.contains("cpu 7 core"), "{all}");
}

#[test]
fn a_guest_says_what_it_is_a_guest_of_if_it_knows() {
    let guest = "flags\t\t: fpu hypervisor\n";
    let seen = |files: &[(&str, &str)]| Machine::new(fixture(files).path()).hypervisor();
    assert_eq!(seen(&[("proc/cpuinfo", guest)]).as_deref(), Some("unnamed"));
    let named = [("proc/cpuinfo", guest), ("sys/class/dmi/id/product_name", "KVM Virtual Machine\n")];
    assert_eq!(seen(&named).as_deref(), Some("KVM Virtual Machine"));
    assert_eq!(seen(&[("sys/hypervisor/type", "xen\n")]).as_deref(), Some("xen"));
    assert_eq!(seen(&[("sys/class/dmi/id/product_name", "Notebook 14\n")]), None);
}
