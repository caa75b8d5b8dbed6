//! `lab.yaml`: the devices of a lab by name, each with how it is had and reached, and what it needs to be measured well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Options;
use super::adb::Adb;
use super::variables::{has_names, no_name, unclosed};
use crate::error::{Error, Result};
use crate::{engines, environment, limits, suggest, yaml};

/// How the user names all devices with a label.
const LABEL: &str = "label=";

/// The file: devices by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// The adb server of all phones that name none.
    #[serde(default, deserialize_with = "adb_server")]
    adb_server: Option<String>,
    #[serde(deserialize_with = "devices")]
    pub targets: BTreeMap<String, Device>,
}

/// A device as the file describes it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// As `--target` has it: `ssh:pi@board`, `adb:SERIAL`, `cmd:PREFIX` or `local`; empty where `acquire` prints it.
    #[serde(default)]
    pub target: String,
    /// Any free one of the devices with this word is meant by it.
    pub pool: Option<String>,
    /// All devices with such a word are meant by `label=WORD`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The command that makes the device ours, and the one that gives it back.
    pub acquire: Option<String>,
    pub release: Option<String>,
    /// The longest to wait until it is ours.
    #[serde(default = "ten_minutes", deserialize_with = "yaml::time")]
    pub acquire_limit: Duration,
    /// The longest that giving it back may take.
    #[serde(default = "half_a_minute", deserialize_with = "yaml::time")]
    pub release_limit: Duration,
    /// The adb server that has the phone: `HOST[:PORT]`.
    pub adb_server: Option<String>,
    /// The host through which ssh goes: `[user@]host[:port]`.
    pub jump: Option<String>,
    /// More words for ssh.
    pub ssh_options: Option<String>,
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

/// Devices by name, each of which can be as it is described.
fn devices<'de, D: Deserializer<'de>>(map: D) -> Result<BTreeMap<String, Device>, D::Error> {
    yaml::by_name(map, "what it is, as in { target: \"ssh:pi@board\" }", |name, device: &Device| {
        check_name(name)?;
        device.check()
    })
}

fn adb_server<'de, D: Deserializer<'de>>(server: D) -> Result<Option<String>, D::Error> {
    let parse = |server: &str| match Adb::parse(None, Some(server)) {
        Ok(_) => Ok(server.to_owned()),
        Err(error) => Err(error.message),
    };
    server.deserialize_option(yaml::Optional(yaml::Word { what: "the server's HOST or HOST:PORT", parse }))
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// What a name of the user's stands for: a device, or any one of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub name: String,
    pub is_pool: bool,
    /// By name; never none.
    pub devices: Vec<(String, Device)>,
}

impl Lab {
    /// The devices of the file that comes with the program: examples, which nobody has.
    pub fn examples() -> Self {
        Self::parse(include_str!("../../configs/lab.yaml"), "configs/lab.yaml").unwrap_or_default()
    }

    /// Reads the text of a file; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let mut lab: Self = yaml::read(text, file)?;
        for device in lab.targets.values_mut().filter(|device| matches!(device.kind(), "adb" | "")) {
            device.adb_server = device.adb_server.take().or(lab.adb_server.clone());
        }
        for pool in lab.pools() {
            lab.check_pool(pool).map_err(|e| e.context(format!("pool {pool}")).context(file))?;
        }
        Ok(lab)
    }

    /// Whether a word after `--target` stands for all devices that have a label.
    pub fn is_label(word: &str) -> bool {
        word.starts_with(LABEL)
    }

    /// The names of the pools.
    pub fn pools(&self) -> BTreeSet<&str> {
        self.targets.values().filter_map(|device| device.pool.as_deref()).collect()
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        self.targets.values().flat_map(|device| device.labels.iter().map(String::as_str))
    }

    /// What a name stands for, and each device for itself where it is a label. Fails with the nearest name if there is none.
    pub fn chosen(&self, name: &str, file: &str) -> Result<Vec<Chosen>> {
        let of = |name: &str, is_pool, all: &dyn Fn(&str, &Device) -> bool| {
            let devices = self.targets.iter().filter(|(name, device)| all(name, device));
            let devices = devices.map(|(name, device)| (name.clone(), device.clone())).collect();
            Chosen { name: name.into(), is_pool, devices }
        };
        if let Some(label) = name.strip_prefix(LABEL) {
            let all = of(label, false, &|_, device| device.labels.iter().any(|l| l == label)).devices;
            if all.is_empty() {
                let near = match self.targets.contains_key(label) || self.pools().contains(label) {
                    true => format!("; did you mean --target {label}?"),
                    false => did_you_mean(label, self.labels()),
                };
                return Err(Error::input(format!(
                    "--target {name}: no device in {file} has that label{near}"
                )));
            }
            let each = |(name, device): (String, Device)| Chosen {
                name: name.clone(),
                is_pool: false,
                devices: vec![(name, device)],
            };
            return Ok(all.into_iter().map(each).collect());
        }
        let found = match self.targets.contains_key(name) {
            true => of(name, false, &|other, _| other == name),
            false => of(name, true, &|_, device| device.pool.as_deref() == Some(name)),
        };
        if !found.devices.is_empty() {
            return Ok(vec![found]);
        }
        let near = match self.labels().any(|label| label == name) {
            true => format!("; did you mean {LABEL}{name}?"),
            false => did_you_mean(name, self.targets.keys().map(String::as_str).chain(self.pools())),
        };
        Err(Error::input(format!(
            "unknown target {name:?}: use local, ssh:[user@]host[:port], adb[:serial], cmd:PREFIX (a launcher), \
             or a name in {file}{near}"
        )))
    }

    /// Fails for a pool whose devices are measured differently, so that it would matter which one is taken.
    fn check_pool(&self, pool: &str) -> Result<()> {
        check_name(pool)?;
        if self.targets.contains_key(pool) {
            return Err(Error::input("a device has that name: choose another"));
        }
        let mut members = self.targets.iter().filter(|(_, device)| device.pool.as_deref() == Some(pool));
        let Some((first, like)) = members.next() else { return Ok(()) };
        let address = |d: &Device| [Some(d.target.clone()), d.jump.clone(), d.adb_server.clone()];
        let mut addresses = BTreeMap::from([(address(like), first)]);
        for (name, device) in members {
            let how = |d: &Device| (d.cpus.clone(), d.cool_down, d.hottest, d.time);
            if how(device) != how(like) {
                return Err(Error::input(format!(
                    "{first} and {name} differ in cpus, cool_down, hottest or time: any one is to do, so give all the same"
                )));
            }
            let is_open =
                device.target.is_empty() || address(device).iter().flatten().any(|text| has_names(text));
            if let Some(other) = addresses.insert(address(device), name).filter(|_| !is_open) {
                return Err(Error::input(format!(
                    "{other} and {name} have the same `target`: they are one device"
                )));
            }
        }
        Ok(())
    }
}

impl Device {
    /// Whether one program at a time has it.
    pub fn is_leased(&self) -> bool {
        self.acquire.is_some() || self.pool.is_some()
    }

    /// How it is reached: `ssh`, `adb`, `cmd`, `local`; nothing where only `acquire` tells.
    fn kind(&self) -> &str {
        self.target.split([':', '$']).next().unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::input(what));
        let is = |kinds: &[&str]| self.kind().is_empty() || kinds.contains(&self.kind());
        match (&self.acquire, &self.release) {
            (None, _) if self.target.is_empty() => {
                return wrong(
                    "missing `target`: give ssh:[user@]host[:port], adb[:serial], cmd:PREFIX or local",
                );
            }
            (Some(_), None) => {
                return wrong("`acquire` without `release`: nobody else would get it any more");
            }
            (None, Some(_)) => return wrong("`release` without `acquire`: there is nothing to give back"),
            (Some(line), _) | (_, Some(line)) if line.trim().is_empty() || line.contains('\0') => {
                return wrong("`acquire` and `release` are commands for sh: give both, or leave them out");
            }
            _ => {}
        }
        if !self.is_leased() && self.acquire_limit != ten_minutes() {
            return wrong("`acquire_limit` is for devices with `acquire` or `pool`");
        }
        if self.acquire.is_none() && self.release_limit != half_a_minute() {
            return wrong("`release_limit` is for devices with `release`");
        }
        if self.adb_server.is_some() && !is(&["adb"]) {
            return wrong("`adb_server` is for phones (adb:)");
        }
        if (self.jump.is_some() || self.ssh_options.is_some()) && !is(&["ssh"]) {
            return wrong("`jump` and `ssh_options` are for boards (ssh:)");
        }
        if let Some(label) = self.labels.iter().find(|label| !is_word(label)) {
            return wrong(&format!("label {label:?}: use letters, digits, dots, - and _"));
        }
        if let Some(cpus) = self.cpus.as_ref().filter(|cpus| !environment::are_cpus(cpus)) {
            return wrong(&format!("cpus {cpus:?}: give numbers, as \"0,2-3\", or big or little"));
        }
        let times = [
            ("acquire_limit", Some(self.acquire_limit)),
            ("release_limit", Some(self.release_limit)),
            ("time", self.time),
        ];
        for (key, time) in times {
            if time.is_some_and(|time| time.is_zero() || time > limits::TIME) {
                return wrong(&format!(
                    "{key}: give more than nothing and at most a day, as in 40s, 2m or 500ms"
                ));
            }
        }
        if self.cool_down > limits::TIME {
            return wrong("cool_down: give at most a day, as in 40s, 2m or 500ms");
        }
        if let Some(degrees) = self.hottest {
            limit_mc("hottest", degrees)?;
        }
        if self.folder.as_ref().is_some_and(|folder| !folder.starts_with('/')) {
            return wrong("`folder` is a path on the device and begins with /");
        }
        self.check_names()?;
        self.check_address()?;
        check_libraries(self).map_err(|e| e.context("libraries"))
    }

    /// Fails for a `$` by which nothing is put in. What a shell reads may have others, if they are closed.
    fn check_names(&self) -> Result<()> {
        let is_for_shells = !["ssh", "adb"].contains(&self.kind());
        let texts = [
            ("target", Some(&self.target), is_for_shells),
            ("adb_server", self.adb_server.as_ref(), false),
            ("jump", self.jump.as_ref(), false),
            ("ssh_options", self.ssh_options.as_ref(), true),
        ];
        for (key, text, is_for_shells) in texts {
            let odd = text.and_then(|text| if is_for_shells { unclosed(text) } else { no_name(text) });
            if let Some(odd) = odd {
                return Err(Error::input(format!(
                    "{key}: {odd:?} names nothing to put there: write ${{NAME}}, closed, with letters, digits and _"
                )));
            }
        }
        Ok(())
    }

    /// Fails where it can't be as it is described, as far as that is known before it is acquired.
    fn check_address(&self) -> Result<()> {
        let (adb_server, jump) = (self.adb_server.clone(), self.jump.clone());
        let options =
            Options { adb_server, jump, ssh_options: self.ssh_options.clone(), ..Options::default() };
        let more = [&options.adb_server, &options.jump, &options.ssh_options];
        let is_open = self.target.is_empty() || has_names(&self.target);
        if !is_open && !more.into_iter().flatten().any(|text| has_names(text)) {
            super::parse(&self.target, &options)?;
        }
        Ok(())
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
}

/// Fails for a name that means something else already.
fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::input("a name is empty: give it one"));
    }
    if name.contains([':', '=', '\0']) || ["local", "adb"].contains(&name) {
        return Err(Error::input("such a name is a target already: choose another"));
    }
    Ok(())
}

fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    suggest::nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near}?"))
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
            let is_open = device.target.is_empty() || has_names(&device.target);
            assert!(is_open || super::super::parse(&device.target, &Default::default()).is_ok(), "{name}");
        }
        assert!(!lab.pools().is_empty() && lab.targets.values().any(|device| device.acquire.is_some()));
    }

    #[test]
    fn a_device_has_what_its_entry_says() {
        let text =
            "targets:\n  phone: { target: 'adb:1', cpus: big, cool_down: 20s, hottest: 45, time: 2m }\n";
        let lab = Lab::parse(text, "lab.yaml").expect("valid");
        let [chosen] = <[_; 1]>::try_from(lab.chosen("phone", "lab.yaml").expect("there")).expect("one");
        let (_, phone) = &chosen.devices[0];
        assert_eq!((phone.cool_down.as_secs(), phone.time), (20, Some(Duration::from_secs(120))));
        assert_eq!((phone.acquire_limit.as_secs(), phone.release_limit.as_secs()), (600, 30));
        let error = lab.chosen("fone", "lab.yaml").expect_err("unknown");
        assert!(error.message.contains("did you mean phone?"), "{error}");
    }

    #[test]
    fn a_shell_may_have_other_signs_than_names() {
        let text = "targets:\n  a: { target: 'cmd:sh -c ''exec $X ${Y:-z}''' }\n  b: { target: 'ssh:${HOST}:${PORT}', ssh_options: \
                    '-o ProxyCommand=\"nc ${H:-gate} $P\"' }\n";
        assert_eq!(Lab::parse(text, "lab.yaml").map(|lab| lab.targets.len()), Ok(2));
        for nothing in ["~", "null", ""] {
            let text = format!("adb_server: {nothing}\ntargets:\n  a: {{ target: adb, time: ~ }}\n");
            let lab = Lab::parse(&text, "lab.yaml").expect(nothing);
            assert_eq!((&lab.targets["a"].adb_server, lab.targets["a"].time), (&None, None), "{nothing:?}");
        }
        let error = Lab::parse("adb_server: 'h:0'\ntargets: {}\n", "lab.yaml").expect_err("no port");
        assert!(
            error.message.starts_with("lab.yaml, line 1, column 13: adb_server: adb_server h:0: give"),
            "{error}"
        );
    }

    #[test]
    fn a_name_is_a_device_or_a_pool_and_a_label_is_all_that_have_it() {
        let text = "adb_server: farm:5038\ntargets:\n  b1: { target: 'ssh:b1', pool: pi5, labels: [arm64] }\n  \
                    b2: { target: 'ssh:b2', pool: pi5, labels: [arm64, bench] }\n  \
                    p: { target: adb, labels: [arm64] }\n  q: { target: adb, adb_server: here }\n";
        let lab = Lab::parse(text, "lab.yaml").expect("valid");
        let names = |name: &str| -> Vec<(String, bool, Vec<String>)> {
            let chosen = lab.chosen(name, "lab.yaml").expect(name);
            let of = |c: Chosen| (c.name, c.is_pool, c.devices.into_iter().map(|(name, _)| name).collect());
            chosen.into_iter().map(of).collect()
        };
        let one = |name: &str| (name.to_owned(), false, vec![name.to_owned()]);
        assert_eq!(names("pi5"), [("pi5".into(), true, vec!["b1".into(), "b2".into()])]);
        assert_eq!((names("b2"), names("label=bench")), (vec![one("b2")], vec![one("b2")]));
        assert_eq!(names("label=arm64"), [one("b1"), one("b2"), one("p")]);
        for (name, near) in [
            ("pi6", "did you mean pi5?"),
            ("label=arm46", "did you mean arm64?"),
            ("arm64", "did you mean label=arm64?"),
            ("label=pi5", "did you mean --target pi5?"),
            ("label=b1", "did you mean --target b1?"),
        ] {
            let error = lab.chosen(name, "lab.yaml").expect_err(name);
            assert!(error.message.contains(near), "{error}");
        }
        let server = |name: &str| lab.targets[name].adb_server.as_deref();
        assert_eq!([server("b1"), server("p"), server("q")], [None, Some("farm:5038"), Some("here")]);
    }

    #[test]
    fn boards_of_one_address_behind_different_hosts_are_a_pool() {
        for (a, b) in [
            ("target: 'ssh:pi@10.0.0.2', jump: h1", "target: 'ssh:pi@10.0.0.2', jump: h2"),
            ("target: adb, adb_server: h1", "target: adb"),
            (
                "target: adb, adb_server: '${S}', acquire: x, release: y",
                "target: adb, adb_server: '${S}', acquire: z, release: y",
            ),
        ] {
            let lab = Lab::parse(
                &format!("targets:\n  a: {{ {a}, pool: p }}\n  b: {{ {b}, pool: p }}\n"),
                "lab.yaml",
            );
            assert_eq!(lab.map(|lab| lab.targets.len()), Ok(2), "{a}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (entry, told) in [
            ("a: { target: local, hottest: 451 }", "degrees"),
            ("a: { target: local, folder: x }", "begins with /"),
            ("local: { target: local }", "another"),
            ("a=b: { target: local }", "another"),
            (
                "a: { target: local, cooldown: 1s }",
                "line 2, column 23: unknown key `cooldown` in targets.a; did you mean `cool_down`",
            ),
            ("a: { cpus: big }", "target"),
            ("'': { target: local }", "a name is empty"),
            ("a:", "line 2, column 5: targets.a: missing `target`: give ssh"),
            (
                "a: ssh:pi@board",
                "line 2, column 6: targets.a: give what it is, as in { target: \"ssh:pi@board\" }, not the text",
            ),
            ("- { target: local }", "line 2, column 3: targets: give names, each with what it is"),
            ("a: { target: local, hottest: hot }", "targets.a.hottest: give a number, not the text \"hot\""),
            (
                "a: { target: local, labels: arm64 }",
                "targets.a.labels: give a list, as in [a, b], not the text \"arm64\"",
            ),
            ("a: { target: local, fixed_performance: yes }", "give true or false, not the text"),
            ("a: { target: local, cpus: bigg }", "targets.a: cpus \"bigg\": give numbers"),
            ("a: { target: local, pool: p, acquire_limit: 0s }", "acquire_limit: give more than nothing"),
            ("a: { target: local, time: 25h }", "time: give more than nothing and at most a day"),
            ("a: { target: 'ssh:${X' }", "targets.a: target: \"${X\" names nothing to put there"),
            ("a: { target: 'adb:$X' }", "target: \"$X\" names nothing"),
            ("a: { target: 'cmd:a ${X' }", "target: \"${X\" names nothing"),
            ("a: { target: 'ssh:b', jump: '${X:-y}' }", "jump: \"${X:-y}\" names nothing"),
            ("a: { target: 'ssh:b', libraries: { tract: x.so } }", "linked in"),
            ("a: { target: 'ssh:b', libraries: { ert: x.so } }", "did you mean ort?"),
            ("a: { target: local, libraries: { ort: x.so } }", "--engine ort=LIBRARY"),
            (
                "a: { target: local, cool_down: 7 }",
                "line 2, column 34: targets.a.cool_down: give a number and a unit",
            ),
            ("a: { target: local }\n  a: { target: adb }", "line 3, column 3: targets: `a` is there twice"),
            ("a: { acquire: x }", "without `release`"),
            ("a: { target: local, release: x }", "without `acquire`"),
            ("a: { acquire: ' ', release: x }", "are commands"),
            ("a: { target: local, acquire_limit: 1m }", "for devices with `acquire` or `pool`"),
            ("a: { target: local, pool: x, release_limit: 1m }", "for devices with `release`"),
            ("a: { target: 'ssh:a', adb_server: x }", "for phones"),
            ("a: { target: adb, jump: x }", "for boards"),
            ("a: { target: loca }", "lab.yaml, line 2, column 6: targets.a: unknown target"),
            ("a: { target: 'ssh:a', jump: '-x' }", "line 2, column 6: targets.a: jump"),
            ("a: { target: adb, adb_server: 'h:0' }", "line 2, column 6: targets.a: adb_server"),
            ("a: { target: local, ssh_options: x }", "for boards"),
            ("a: { target: local, labels: ['a b'] }", "use letters"),
            ("a: { target: local, pool: b }\n  b: { target: adb }", "a device has that name"),
            ("a: { target: local, pool: 'x:y' }", "a target already"),
            ("a: { target: adb, pool: p }\n  b: { target: local, pool: p, cpus: big }", "give all the same"),
            ("a: { target: adb, pool: p }\n  b: { target: adb, pool: p }", "a and b have the same `target`"),
            (
                "a: { target: 'ssh:b', jump: h, pool: p }\n  b: { target: 'ssh:b', jump: h, pool: p }",
                "a and b have the same `target`",
            ),
        ] {
            let error = Lab::parse(&format!("targets:\n  {entry}\n"), "lab.yaml").expect_err(entry);
            assert!(error.message.contains(told), "{error}");
        }
    }
}
