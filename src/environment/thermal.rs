//! Temperatures, and what the system says of processors that it slows down for heat.

use std::collections::BTreeMap;

use super::machine::Machine;
use crate::record::ThrottleKind;

/// Cooling devices that slow processors, by what their types begin with; others are fans, GPUs and the like.
const SLOWS_PROCESSORS: [&str; 4] = ["thermal-cpufreq", "cpu", "Processor", "thermal-idle"];

/// Thousandths of a degree Celsius by zone: `0 (cpu-thermal)`.
pub fn temperatures(machine: &Machine) -> BTreeMap<String, i64> {
    let zone = |name: String| {
        let number = name.strip_prefix("thermal_zone")?;
        let kind = machine.text(&format!("sys/class/thermal/{name}/type")).unwrap_or_default();
        let temperature = machine.number(&format!("sys/class/thermal/{name}/temp"))?;
        Some((format!("{number} ({kind})"), temperature))
    };
    machine.folder("sys/class/thermal").into_iter().filter_map(zone).collect()
}

/// Signs that the used CPUs (all, if none is given) are slowed down, by name.
pub fn throttling(machine: &Machine, cpus: &[usize]) -> BTreeMap<String, (ThrottleKind, i64)> {
    let mut signs = BTreeMap::new();
    for cpu in machine.used(cpus) {
        for part in ["core", "package"] {
            let counter = machine.of_cpu(cpu, &format!("thermal_throttle/{part}_throttle_count"));
            if let Some(count) = counter.and_then(|n| n.parse().ok()) {
                signs.insert(format!("cpu {cpu} {part}"), (ThrottleKind::Counter, count));
            }
        }
    }
    for name in machine.folder("sys/class/thermal") {
        let Some(number) = name.strip_prefix("cooling_device") else { continue };
        let file = |file: &str| format!("sys/class/thermal/{name}/{file}");
        let kind = machine.text(&file("type")).unwrap_or_default();
        let slows = SLOWS_PROCESSORS.iter().any(|start| kind.starts_with(start));
        // An idle powerclamp says -1.
        if let Some(state) = machine.number(&file("cur_state")).filter(|&state| slows && state >= 0) {
            signs.insert(format!("cooling {number} ({kind})"), (ThrottleKind::Level, state));
        }
    }
    // In hexadecimal digits, which kernels write with and without 0x.
    let firmware = machine.text("sys/devices/platform/soc/soc:firmware/get_throttled");
    let bits = firmware.and_then(|hex| i64::from_str_radix(hex.trim_start_matches("0x"), 16).ok());
    if let Some(bits) = bits {
        signs.insert("firmware".to_owned(), (ThrottleKind::Firmware, bits));
    }
    signs
}
