//! `lab.yaml`: the devices of a lab by name, each with how it is reached and what it needs to be measured well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::{engines, suggest, yaml};

/// The file: devices by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    pub targets: BTreeMap<String, Device>,
}

/// A device as the file describes it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// As `--target` has it: `ssh:pi@board`, `adb:SERIAL`, `cmd:PREFIX` or `local`.
    pub target: String,
    /// CPUs to pin to, as `--cpus` has them, unless that is given.
    pub cpus: Option<String>,
    /// Pause before every fork but the first.
    #[serde(default, deserialize_with = "yaml::time")]
    pub cool_down: Duration,
    /// No fork begins while a zone is as hot as this, degrees Celsius.
    pub hottest: Option<f64>,
    /// The longest that a measurement may take there, whatever `--time` says.
    #[serde(default, deserialize_with = "yaml::some_time")]
    pub time: Option<Duration>,
    /// Whether an Android device is put into its mode of fixed performance meanwhile.
    #[serde(default)]
    pub fixed_performance: bool,
    /// Where to keep files on the device, if not in the user's cache (ssh) or /data/local/tmp/oplat (adb).
    pub folder: Option<String>,
    /// The program to push, unless `--runner` names one.
    pub runner: Option<PathBuf>,
    /// Libraries by engine, files here to push or paths on the device, unless `--engine` names one.
    #[serde(default)]
    pub libraries: BTreeMap<String, String>,
}

impl Lab {
    /// The devices of the file that comes with the program: examples, which nobody has.
    pub fn examples() -> Self {
        Self::parse(include_str!("../../configs/lab.yaml"), "configs/lab.yaml").unwrap_or_default()
    }

    /// Reads the text of a file; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let lab: Self = yaml::read(text, file)?;
        let wrong = |name: &str, what: &str| Err(Error::input(format!("{file}: {name}: {what}")));
        for (name, device) in &lab.targets {
            if name.is_empty() || name.contains(':') || ["local", "adb"].contains(&name.as_str()) {
                return wrong(name, "such a name is a target already: choose another");
            }
            if let Some(degrees) = device.hottest {
                limit_mc("hottest", degrees).map_err(|e| e.context(name).context(file))?;
            }
            if device.folder.as_ref().is_some_and(|folder| !folder.starts_with('/')) {
                return wrong(name, "`folder` is a path on the device and begins with /");
            }
            check_libraries(device).map_err(|e| e.context("libraries").context(name).context(file))?;
        }
        Ok(lab)
    }

    /// The device of this name; it fails with the nearest name if there is none.
    pub fn device(&self, name: &str, file: &str) -> Result<&Device> {
        self.targets.get(name).ok_or_else(|| {
            let near = suggest::nearest(name, self.targets.keys().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Error::input(format!(
                "unknown target {name:?}: use local, ssh:[user@]host[:port], adb[:serial], cmd:PREFIX (a launcher), \
                 or a name in {file}{near}"
            ))
        })
    }
}

/// Fails for an engine that is unknown or has no library, and where nothing is pushed.
fn check_libraries(device: &Device) -> Result<()> {
    for engine in device.libraries.keys() {
        if !engines::named(engine)?.has_library() {
            return Err(Error::input(format!("{engine} is linked in: it takes no library")));
        }
        if device.target == "local" || device.target.starts_with("cmd:") {
            return Err(Error::input(format!(
                "they are for devices (ssh:, adb:): here give --engine {engine}=LIBRARY"
            )));
        }
    }
    Ok(())
}

/// A limit of temperature that makes sense, in thousandths of a degree; `what` is what asked for it.
pub fn limit_mc(what: &str, degrees: f64) -> Result<i64> {
    if (0.0..=150.0).contains(&degrees) {
        return Ok((1000.0 * degrees) as i64);
    }
    Err(Error::input(format!(
        "{what}: {degrees} is no temperature to wait for: give degrees Celsius, from 0 to 150"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_ships_is_one() {
        let lab = Lab::examples();
        assert!(lab.targets.len() >= 2, "it is read");
        for (name, device) in &lab.targets {
            assert!(super::super::parse(&device.target, &Default::default()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_device_has_what_its_entry_says() {
        let text =
            "targets:\n  phone: { target: 'adb:1', cpus: big, cool_down: 20s, hottest: 45, time: 2m }\n";
        let lab = Lab::parse(text, "lab.yaml").expect("valid");
        let phone = lab.device("phone", "lab.yaml").expect("there");
        assert_eq!((phone.cool_down.as_secs(), phone.time), (20, Some(Duration::from_secs(120))));
        let error = lab.device("fone", "lab.yaml").expect_err("unknown");
        assert!(error.message.contains("did you mean phone?"), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (entry, told) in [
            ("a: { target: local, hottest: 451 }", "degrees"),
            ("a: { target: local, folder: x }", "begins with /"),
            ("local: { target: local }", "another"),
            ("a: { target: local, cool: 1s }", "cool_down"),
            ("a: { cpus: big }", "target"),
            ("a: { target: 'ssh:b', libraries: { tract: x.so } }", "linked in"),
            ("a: { target: 'ssh:b', libraries: { ert: x.so } }", "did you mean ort?"),
            ("a: { target: local, libraries: { ort: x.so } }", "--engine ort=LIBRARY"),
            ("a: { target: local, cool_down: 7 }", ""),
        ] {
            let error = Lab::parse(&format!("targets:\n  {entry}\n"), "lab.yaml").expect_err(entry);
            assert!(error.message.contains(told), "{error}");
        }
    }
}
