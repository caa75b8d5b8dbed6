//! What Android knows and `/sys` doesn't say: battery, thermal status, screen.
//!
//! All is asked from the system's own commands, which the shell user of adb may run; an ordinary Linux has none
//! of them. A command that fails or is not there is a fact that is not known.

use std::path::Path;
use std::process::{Command, Stdio};

use super::machine::hashed;
use crate::record::{Android, BeforeAfter};

/// Runs a command and gives what it prints, if it succeeds.
type Ask<'a> = &'a dyn Fn(&[&str]) -> Option<String>;

/// The state of an Android device; `None` if the system under `root` is none.
pub fn state(root: &Path) -> Option<Android> {
    root.join("system/bin/getprop").exists().then(|| read(&ask))
}

/// A hash of the device's serial number; `None` if it isn't told, or the system under `root` is no Android.
pub fn id(root: &Path) -> Option<String> {
    let asked = || ask(&["getprop", "ro.serialno"]).filter(|serial| !serial.trim().is_empty());
    root.join("system/bin/getprop").exists().then(asked)?.map(|serial| hashed(serial.trim()))
}

/// Adds what is seen now to what was seen before.
pub fn note(known: &mut Android, now: &Android) {
    let pairs = [
        (&mut known.battery_mc, now.battery_mc),
        (&mut known.battery_percent, now.battery_percent),
        (&mut known.thermal_status, now.thermal_status),
    ];
    for (known, now) in pairs {
        now.before.into_iter().for_each(|value| known.note(value));
    }
    // Seen once is enough.
    known.charging = known.charging.max(now.charging);
    known.screen_on = known.screen_on.max(now.screen_on);
}

fn read(ask: Ask) -> Android {
    let property = |name: &str| ask(&["getprop", name]).filter(|value| !value.is_empty());
    let battery = ask(&["dumpsys", "battery"]).unwrap_or_default();
    let thermal = ask(&["dumpsys", "thermalservice"]).unwrap_or_default();
    let power = ask(&["dumpsys", "power"]).unwrap_or_default();
    let number = |name: &str| field(&battery, name)?.parse::<i64>().ok();
    let now = |value: Option<i64>| value.map(BeforeAfter::first).unwrap_or_default();
    let powered: Vec<bool> = ["AC powered", "USB powered", "Wireless powered", "Dock powered"]
        .iter()
        .filter_map(|name| field(&battery, name)?.parse().ok())
        .collect();
    let device = [property("ro.product.manufacturer"), property("ro.product.model")];
    Android {
        version: property("ro.build.version.release").unwrap_or_default(),
        sdk: property("ro.build.version.sdk").and_then(|n| n.parse().ok()),
        device: device.into_iter().flatten().collect::<Vec<_>>().join(" "),
        soc: property("ro.soc.model").or_else(|| property("ro.board.platform")),
        // Tenths of a degree Celsius.
        battery_mc: now(number("temperature").map(|tenths| tenths * 100)),
        battery_percent: now(number("level")),
        thermal_status: now(field(&thermal, "Thermal Status").and_then(|n| n.parse().ok())),
        charging: (!powered.is_empty()).then(|| powered.contains(&true)),
        screen_on: power.lines().find_map(|line| {
            let state = line.trim().strip_prefix("mWakefulness=")?;
            Some(state == "Awake" || state == "Dreaming")
        }),
    }
}

/// The value of `name: value` in a dump.
fn field<'t>(dump: &'t str, name: &str) -> Option<&'t str> {
    dump.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

fn ask(words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A phone as its commands describe it, at two temperatures.
    fn phone(words: &[&str], tenths: i64) -> Option<String> {
        Some(match words {
            ["getprop", "ro.build.version.release"] => "14".into(),
            ["getprop", "ro.build.version.sdk"] => "34".into(),
            ["getprop", "ro.product.manufacturer"] => "Maker".into(),
            ["getprop", "ro.product.model"] => "Phone 1".into(),
            ["dumpsys", "battery"] => format!(
                "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n  level: 81\n  \
                 temperature: {tenths}\n"
            ),
            ["dumpsys", "thermalservice"] => "IsStatusOverride: false\nThermal Status: 2\n".into(),
            ["dumpsys", "power"] => "POWER MANAGER\n  mWakefulness=Asleep\n".into(),
            _ => return None,
        })
    }

    #[test]
    fn a_phone_tells_its_battery_before_and_after() {
        let state = |tenths| read(&|words| phone(words, tenths));
        let mut both = state(301);
        note(&mut both, &state(384));
        note(&mut both, &state(350));
        assert_eq!(
            (both.version.as_str(), both.sdk, both.device.as_str()),
            ("14", Some(34), "Maker Phone 1")
        );
        let battery = both.battery_mc;
        assert_eq!((battery.before, battery.after), (Some(30_100), Some(35_000)));
        assert_eq!((battery.lowest, battery.highest), (Some(30_100), Some(38_400)));
        assert_eq!((both.thermal_status.before, both.thermal_status.after), (Some(2), Some(2)));
        assert_eq!((both.charging, both.screen_on), (Some(true), Some(false)));
        assert_eq!(both.soc, None);
    }

    #[test]
    fn a_phone_that_says_nothing_and_a_linux_that_is_none_are_no_reason_to_fail() {
        assert_eq!(read(&|_| None), Android::default());
        let nothing = tempfile::tempdir().expect("temp");
        assert_eq!(state(nothing.path()), None);
    }
}
