//! What about the machine makes its numbers less sure, in plain words with a remedy.

use crate::record::{Android, Environment, Throttle, ThrottleKind};
use crate::units;

/// Steal that is worth a warning, as a share.
const STEAL: f64 = 0.02;

/// Share of the used CPUs' time, taken by other programs, that is worth a warning.
const BUSY: f64 = 0.05;

/// A zone this hot is about to throttle, if it doesn't already; thousandths of a degree Celsius.
const HOT: i64 = 85_000;

/// A CPU is slowed whose frequency falls below this share of what it was at first.
const SLOWED: f64 = 0.9;

/// All warnings about a machine. `others` is the share of the used CPUs' time that other programs took meanwhile.
pub fn warnings(e: &Environment, others: Option<f64>) -> Vec<String> {
    let own = [
        emulated(e),
        debug_build(e),
        stolen(e),
        busy(e, others),
        governor(e),
        single_cpu(e),
        hot(e),
        slowed(e),
    ];
    let throttled = e.throttle.iter().map(|(name, sign)| held_back(name, sign));
    let mut warnings: Vec<String> = own.into_iter().chain(throttled).chain([knobs(e)]).flatten().collect();
    warnings.extend(e.android.as_ref().map(of_android).unwrap_or_default());
    warnings
}

fn emulated(e: &Environment) -> Option<String> {
    let warning = "emulated CPU: times say nothing of a device; measure on the device";
    e.emulated.then(|| warning.to_owned())
}

fn debug_build(e: &Environment) -> Option<String> {
    let warning = "debug build: times are not those of a release; build with the given profiles";
    let is_debug = e.runner.as_ref().map_or(cfg!(debug_assertions), |runner| runner.debug_assertions);
    is_debug.then(|| warning.to_owned())
}

fn stolen(e: &Environment) -> Option<String> {
    let percent = (100.0 * e.steal.filter(|&steal| steal > STEAL)?).round();
    Some(format!("shared VM: steal {percent:.0}%; use a dedicated machine, or more --time"))
}

fn busy(e: &Environment, others: Option<f64>) -> Option<String> {
    let percent = 100.0 * others.filter(|&others| others > BUSY)?;
    let cpus = match e.affinity.as_slice() {
        [] => "all CPUs".to_owned(),
        cpus => units::cpus_as("CPU", cpus),
    };
    Some(format!(
        "busy machine: other programs took {percent:.0}% of {cpus} while it was measured; stop them, pin to other \
         --cpus, or use more --time"
    ))
}

fn governor(e: &Environment) -> Option<String> {
    let governor = e.governor.iter().find(|g| *g != "performance")?;
    Some(format!("CPU governor {governor}: speed may vary; set it to performance"))
}

fn single_cpu(e: &Environment) -> Option<String> {
    let warning = "a single CPU: this program and the system disturb what is measured";
    (e.cores == 1).then(|| warning.to_owned())
}

fn hot(e: &Environment) -> Option<String> {
    let zones = e.temperature_mc.iter().filter_map(|(zone, t)| Some((t.highest?, zone)));
    let (mc, zone) = zones.max().filter(|&(mc, _)| mc >= HOT)?;
    Some(format!(
        "hot: zone {zone} reached {} °C and may throttle; cool it, or give it --cool-down or --max-temperature",
        mc / 1000
    ))
}

/// The first CPU whose frequency fell.
fn slowed(e: &Environment) -> Option<String> {
    let (cpu, before, lowest) = e.frequency_khz.iter().find_map(|(cpu, f)| {
        let (before, lowest) = (f.before?, f.lowest?);
        ((lowest as f64) < SLOWED * before as f64).then_some((cpu, before / 1000, lowest / 1000))
    })?;
    Some(format!("CPU {cpu} slowed from {before} to {lowest} MHz: throttled? cool it, or fix the speed"))
}

fn knobs(e: &Environment) -> Option<String> {
    let knobs: Vec<String> = e.knobs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!knobs.is_empty()).then(|| {
        format!(
            "the environment sets {} for every variant that has no other value: unset it, or say it with --knob",
            knobs.join(" ")
        )
    })
}

/// What a sign of throttling says about the time of the measurement; `None` if all was well.
fn held_back(name: &str, sign: &Throttle) -> Option<String> {
    let r = sign.reading;
    match sign.kind {
        ThrottleKind::Counter => {
            let times = r.after?.checked_sub(r.before?).filter(|&times| times > 0)?;
            let times = units::count(usize::try_from(times).ok()?, "time");
            Some(format!("throttled {times} while it was measured ({name}): cool it, and measure again"))
        }
        ThrottleKind::Level => r.highest.filter(|&level| level > 0).map(|level| {
            format!("held back by {name}, up to level {level}: cool it, or give it --cool-down")
        }),
        ThrottleKind::Firmware => {
            const SINCE_START: u32 = 16;
            let (before, after) = (r.before?, r.after.or(r.before)?);
            // What is so at either end, and what has happened in between for the first time since the board started.
            let bits = before | after | ((after & !before) >> SINCE_START);
            let words =
                ["its supply voltage is too low", "its frequency is capped", "it throttles", "it is hot"];
            let told: Vec<&str> =
                (0..).zip(words).filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, word)| word).collect();
            let remedy = "give it a better power supply, and cool it";
            (!told.is_empty()).then(|| format!("the board's firmware says: {}; {remedy}", told.join(", ")))
        }
    }
}

/// What about a phone's state disturbs a measurement.
fn of_android(android: &Android) -> Vec<String> {
    let mut warnings = vec![];
    if android.screen_on == Some(true) {
        warnings.push("the screen is on: what is shown takes time and heat; switch it off".to_owned());
    }
    if android.charging == Some(true) {
        warnings.push("the battery is charging, which heats the phone: let it fill up first".to_owned());
    }
    let worst = android.thermal_status.highest;
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

    fn readings(all: &[i64]) -> BeforeAfter {
        let mut readings = BeforeAfter::first(all[0]);
        all[1..].iter().for_each(|&value| readings.note(value));
        readings
    }

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
        let troubled = Environment {
            cores: 1,
            emulated: true,
            governor: vec!["powersave".into()],
            steal: Some(0.034),
            temperature_mc: [("0 (soc)".to_owned(), readings(&[50_000, 91_000, 60_000]))].into(),
            frequency_khz: [("3".to_owned(), readings(&[2_000_000, 1_200_000, 2_000_000]))].into(),
            knobs: [("TRACT_CPU_ISA".to_owned(), "-avx2".to_owned())].into(),
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
            "TRACT_CPU_ISA=-avx2",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }

    #[test]
    fn a_processor_that_was_held_back_is_told_and_one_that_once_was_is_not() {
        let told = |kind, all: &[i64]| held_back("cpu 1 core", &Throttle { kind, reading: readings(all) });
        let counted = told(ThrottleKind::Counter, &[7, 9]).expect("it rose");
        assert!(counted.contains("2 times") && counted.contains("cpu 1 core"), "{counted}");
        assert_eq!(told(ThrottleKind::Counter, &[7, 7]), None);
        assert!(told(ThrottleKind::Level, &[0, 3, 0]).expect("in between").contains("level 3"));
        assert_eq!(told(ThrottleKind::Level, &[0, 0]), None);
        let board = told(ThrottleKind::Firmware, &[0x10000, 0x50005]).expect("now");
        assert!(
            board.contains("voltage") && board.contains("throttles") && !board.contains("capped"),
            "{board}"
        );
        assert_eq!(told(ThrottleKind::Firmware, &[0x50000, 0x50000]), None);
        assert!(told(ThrottleKind::Firmware, &[0, 0x20000]).expect("it was meanwhile").contains("capped"));
    }

    #[test]
    fn a_phone_in_use_is_not_fit() {
        let status = readings(&[0, 3]);
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
