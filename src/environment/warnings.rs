//! What about the machine makes its numbers less sure, in plain words with a remedy.

use crate::record::{Android, Environment};

/// Steal that is worth a warning, as a share.
const STEAL: f64 = 0.02;

/// Share of the used CPUs' time, taken by other programs, that is worth a warning.
const BUSY: f64 = 0.05;

/// A zone this hot is about to throttle, if it doesn't already; thousandths of a degree Celsius.
const HOT: i64 = 85_000;

/// A frequency that fell below this share of what it was.
const SLOWED: f64 = 0.9;

/// `others` is the share of the used CPUs' time that other programs took meanwhile.
pub fn warnings(e: &Environment, others: Option<f64>) -> Vec<String> {
    let mut warnings = vec![];
    if e.emulated {
        warnings.push("emulated CPU: times say nothing of a device; measure on the device".to_owned());
    }
    if e.runner.as_ref().map_or(cfg!(debug_assertions), |runner| runner.debug_assertions) {
        warnings
            .push("debug build: times are not those of a release; build with the given profiles".to_owned());
    }
    if let Some(steal) = e.steal.filter(|&steal| steal > STEAL) {
        warnings.push(format!(
            "shared VM: steal {:.0}%; use a dedicated machine, or more --time",
            (100.0 * steal).round()
        ));
    }
    if let Some(others) = others.filter(|&others| others > BUSY) {
        let place = match e.affinity.as_slice() {
            [] => "of all CPUs".to_owned(),
            [cpu] => format!("of CPU {cpu}"),
            cpus => format!("of CPUs {}", cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")),
        };
        warnings.push(format!(
            "busy machine: other programs took {:.0}% {place} while it was measured; stop them, pin to other \
             --cpus, or use more --time",
            100.0 * others
        ));
    }
    if let Some(governor) = e.governor.iter().find(|g| *g != "performance") {
        warnings.push(format!("CPU governor {governor}: speed may vary; set it to performance"));
    }
    if e.cores == 1 {
        warnings.push("a single CPU: this program and the system disturb what is measured".to_owned());
    }
    if let Some((zone, t)) = e.temperature_mc.iter().find(|(_, t)| t.after.is_some_and(|after| after >= HOT))
    {
        let degrees = t.after.unwrap_or_default() / 1000;
        warnings.push(format!("hot: zone {zone} at {degrees} °C may throttle; cool it, and measure again"));
    }
    let slowed = e.frequency_khz.iter().find_map(|(cpu, f)| {
        let (before, after) = (f.before?, f.after?);
        ((after as f64) < SLOWED * before as f64).then_some((cpu, before / 1000, after / 1000))
    });
    if let Some((cpu, before, after)) = slowed {
        warnings.push(format!(
            "CPU {cpu} slowed from {before} to {after} MHz: throttled? cool it, or fix the speed"
        ));
    }
    warnings.extend(e.android.as_ref().map(of_android).unwrap_or_default());
    warnings
}

/// What about a phone's state disturbs it.
fn of_android(android: &Android) -> Vec<String> {
    let mut warnings = vec![];
    if android.screen_on == Some(true) {
        warnings.push("the screen is on: what is shown takes time and heat; switch it off".to_owned());
    }
    if android.charging == Some(true) {
        warnings.push("the battery is charging, which heats the phone: let it fill up first".to_owned());
    }
    let worst = android.thermal_status.before.max(android.thermal_status.after);
    if let Some(status @ 1..) = worst {
        let name = ["light", "moderate", "severe", "critical", "emergency", "shutdown"];
        let name = usize::try_from(status - 1).ok().and_then(|i| name.get(i)).unwrap_or(&"unknown");
        warnings
            .push(format!("Android says that the phone throttles ({name}): let it cool, and measure again"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BeforeAfter;

    #[test]
    fn a_fit_machine_has_no_warnings() {
        let fit = Environment {
            cores: 4,
            governor: vec!["performance".into()],
            steal: Some(0.001),
            ..Environment::default()
        };
        let expected: Vec<String> = if cfg!(debug_assertions) { warnings(&fit, None) } else { vec![] };
        assert_eq!(warnings(&fit, Some(0.01)), expected);
    }

    #[test]
    fn each_trouble_is_named_with_its_figure() {
        let both = |before, after| BeforeAfter { before: Some(before), after: Some(after) };
        let troubled = Environment {
            cores: 1,
            emulated: true,
            governor: vec!["powersave".into()],
            steal: Some(0.034),
            temperature_mc: [("0 (soc)".to_owned(), both(50_000, 91_000))].into(),
            frequency_khz: [("3".to_owned(), both(2_000_000, 1_200_000))].into(),
            ..Environment::default()
        };
        let all = warnings(&troubled, Some(0.3)).join("\n");
        for part in [
            "emulated",
            "steal 3%",
            "took 30% of all CPUs",
            "powersave",
            "single CPU",
            "91 °C",
            "2000 to 1200 MHz",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }

    #[test]
    fn a_phone_in_use_is_not_fit() {
        let status = BeforeAfter { before: Some(0), after: Some(3) };
        let android = Android {
            charging: Some(true),
            screen_on: Some(true),
            thermal_status: status,
            ..Android::default()
        };
        let all = of_android(&android).join("\n");
        for part in ["screen is on", "charging", "throttles (severe)"] {
            assert!(all.contains(part), "{part} in {all}");
        }
        let idle = Android { charging: Some(false), screen_on: Some(false), ..Android::default() };
        assert!(of_android(&idle).is_empty() && of_android(&Android::default()).is_empty());
    }
}
