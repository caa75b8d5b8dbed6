//! Where workers run: the flags that say so, and `oplat targets`, which says what can be reached.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{note, output};
use crate::device::{self, Chosen, Claims, Device, Lab, Member, Options, Target};
use crate::error::{Error, Result};
use crate::escape;
use crate::measure::{self, Interrupt, Rest};
use crate::record::{Android, Cluster, Environment};
use crate::{files, limits, units};

/// The files in which names are looked up: the first that exists. The second comes with the program's source, as an example.
const LABS: [&str; 2] = ["lab.yaml", "configs/lab.yaml"];

/// The flags of every command that runs workers.
#[derive(Default, clap::Args)]
pub struct TargetFlags {
    /// Where workers run: local, ssh:[user@]host[:port], adb[:serial], cmd:PREFIX for a launcher, or a name in
    /// the lab's file: of a device, of a pool (any free one of it), label=WORD (all that have it); may be repeated, and
    /// all are measured at once
    #[arg(long, value_name = "TARGET", default_value = "local")]
    pub target: Vec<String>,
    /// The file that names targets [default: lab.yaml or configs/lab.yaml]
    #[arg(long, value_name = "FILE")]
    pub lab: Option<PathBuf>,
    /// The program to push to devices [default: one that was built for them]
    #[arg(long, value_name = "FILE")]
    pub runner: Option<PathBuf>,
    /// Leave what was pushed on the devices, for the next time
    #[arg(long)]
    pub keep: bool,
    /// What the lab's file says, once it was read: it may be a pipe.
    #[arg(skip)]
    read: OnceCell<(Lab, String)>,
}

/// A target, and what is particular to a measurement on it.
pub struct TargetSetup {
    /// As the user named it.
    pub name: String,
    pub target: Box<dyn Target + Send>,
    pub cpus: Option<String>,
    /// The longest that a measurement may take.
    pub time: Option<Duration>,
    pub rest: Rest,
}

impl TargetSetup {
    /// Its name as a part of a file's.
    pub fn file_name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
        self.name.chars().map(plain).collect()
    }

    /// Its name, with the device that it is of a pool.
    pub fn shown(&self) -> String {
        match self.target.member() {
            Some(member) => format!("{} ({member})", self.name),
            None => self.name.clone(),
        }
    }
}

impl TargetFlags {
    /// Those of one target.
    pub fn of(target: String) -> Self {
        Self { target: vec![target], ..Self::default() }
    }

    /// The targets, in order. Fails if one is named twice or isn't known. Of a pool, there may be as many as it has devices that
    /// aren't named by themselves, too.
    pub fn setups(&self) -> Result<Vec<TargetSetup>> {
        let mut asked = vec![];
        for word in &self.target {
            for one in self.asked(word)? {
                let known = asked.iter().find(|known: &&Asked| known.is(&one));
                match known {
                    None => asked.push(one),
                    // What a label stands for may have been named.
                    Some(known) if Lab::is_label(word) && known.name == one.name => {}
                    Some(known) => return Err(twice(word, &known.name, &one.name)),
                }
            }
        }
        let alone: Vec<Member> = asked.iter().filter_map(Asked::alone).cloned().collect();
        for pool in asked.iter_mut().filter(|asked| asked.is_pool) {
            pool.members.retain(|member| !alone.iter().any(|named| named.is(member)));
        }
        let numbered = (0..asked.len()).map(|at| numbered(&asked, at)).collect::<Result<Vec<_>>>()?;
        let claims = Claims::default();
        for (one, address) in asked.iter().filter_map(|one| Some((one, one.alone()?.address()?))) {
            claims.note(address, &one.name);
        }
        asked.into_iter().zip(numbered).map(|(one, name)| setup(name, one, &claims)).collect()
    }

    /// What a word after `--target` stands for, each with its devices as they are reached.
    fn asked(&self, word: &str) -> Result<Vec<Asked>> {
        let asked = |chosen: Chosen| {
            let members = chosen.devices.into_iter().map(|(name, device)| self.member(name, device));
            Ok(Asked { name: chosen.name, is_pool: chosen.is_pool, members: members.collect::<Result<_>>()? })
        };
        self.chosen(word)?.into_iter().map(asked).collect()
    }

    /// What a word after `--target` stands for.
    fn chosen(&self, named: &str) -> Result<Vec<Chosen>> {
        if named == "local" || named == "adb" || named.contains(':') {
            let device = Device { target: named.into(), ..Device::default() };
            let devices = vec![(named.to_owned(), device)];
            return Ok(vec![Chosen { name: named.into(), is_pool: false, devices }]);
        }
        let (lab, file) = self.read_lab()?;
        lab.chosen(named, file)
    }

    /// The only target; `what` is made on one.
    pub fn only(&self, what: &str) -> Result<TargetSetup> {
        let several = |_| {
            Error::input(format!(
                "{what} is made on one target at a time: give one --target, and no label of several"
            ))
        };
        let [setup] = <[_; 1]>::try_from(self.setups()?).map_err(several)?;
        Ok(setup)
    }

    /// A device with what the flags say.
    fn member(&self, name: String, device: Device) -> Result<Member> {
        let options = Options {
            runner: self.runner.clone().or(device.runner.clone()),
            folder: device.folder.clone(),
            keep: self.keep,
            libraries: device.libraries.clone(),
            fixed_performance: device.fixed_performance,
            adb_server: device.adb_server.clone(),
            jump: device.jump.clone(),
            ssh_options: device.ssh_options.clone(),
        };
        Member::new(name, device, options)
    }

    /// The lab and its file's name; an empty one where there is no file.
    fn read_lab(&self) -> Result<&(Lab, String)> {
        if let Some(read) = self.read.get() {
            return Ok(read);
        }
        let found = LABS.iter().map(Path::new).find(|path| path.exists());
        let Some(path) = self.lab.as_deref().or(found) else {
            return Ok(self.read.get_or_init(|| (Lab::default(), LABS.join(" or "))));
        };
        let name = path.display().to_string();
        let text = files::read_text(path, limits::CONFIG_BYTES)?;
        let lab = Lab::parse(&text, &name)?;
        Ok(self.read.get_or_init(|| (lab, name)))
    }
}

/// A target that was asked for, and the devices by which it may be had.
struct Asked {
    name: String,
    is_pool: bool,
    members: Vec<Member>,
}

impl Asked {
    /// The device that it is, unless it is any one of a pool.
    fn alone(&self) -> Option<&Member> {
        self.members.first().filter(|_| !self.is_pool)
    }

    /// Whether both are one device.
    fn is(&self, other: &Self) -> bool {
        self.alone().zip(other.alone()).is_some_and(|(a, b)| a.is(b))
    }
}

/// The name of one of these. A pool that is there several times gets a number at each of them: `pi5-1`, `pi5-2`. Fails if it hasn't
/// as many devices.
fn numbered(asked: &[Asked], at: usize) -> Result<String> {
    let Asked { name, is_pool, members } = &asked[at];
    let count = |asked: &[Asked]| asked.iter().filter(|one| one.is_pool && one.name == *name).count();
    let (times, devices) = (count(asked), members.len());
    match is_pool {
        true if times > devices => Err(Error::input(format!(
            "--target {name}: it is given {}, and the pool has {} that no other --target names",
            units::count(times, "time"),
            units::count(devices, "device")
        ))),
        true if times > 1 => Ok(format!("{name}-{}", count(&asked[..=at]))),
        _ => Ok(name.clone()),
    }
}

/// What is measured, by the name, on the target that was asked for.
fn setup(name: String, asked: Asked, claims: &Claims) -> Result<TargetSetup> {
    // All of a pool are measured alike.
    let [Member { device, .. }, ..] = asked.members.as_slice() else {
        return Err(Error::input("there is no target"));
    };
    let (cpus, time) = (device.cpus.clone(), device.time);
    let below_mc = device.hottest.map(|degrees| (1000.0 * degrees) as i64);
    let rest = Rest { pause: device.cool_down, below_mc };
    let target = device::target(&name, asked.is_pool, asked.members, claims)?;
    Ok(TargetSetup { name, target, cpus, time, rest })
}

/// What was named by `named` is there by then, under the same name or another.
fn twice(named: &str, known: &str, name: &str) -> Error {
    let what = match known == name {
        true => "it is given twice".to_owned(),
        false => format!("{known} and {name} are one device"),
    };
    Error::input(format!(
        "--target {named}: {what}; one job at a time on each: measure them one after the other"
    ))
}

/// What the user typed after `oplat targets`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: TargetFlags,
}

/// Looks at the targets that were named, or at all that there are: this machine, those of the lab and the phones
/// that adb knows. One that can't be reached is named with the error, which has the remedy. What has to be acquired is
/// acquired only if it was named; otherwise it is said how that would be done.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let mut flags = args.flags;
    let named = flags.target != ["local"];
    let (mut devices, mut groups) = (BTreeMap::new(), String::new());
    if !named {
        let (lab, _) = flags.read_lab()?;
        // The file that ships has examples in it, which nobody means.
        if flags.lab.is_some() || *lab != Lab::examples() {
            (groups, devices) = (groups_of(lab), lab.targets.clone());
        }
        // One that the lab names is looked at by that name.
        let is_new = |phone: &String| devices.values().all(|device: &Device| device.target != *phone);
        match device::phones() {
            Ok(serials) => {
                let phones = serials.into_iter().map(|serial| format!("adb:{serial}"));
                flags.target.extend(phones.filter(is_new));
            }
            Err(why) => note(&format!("phones: {why}")),
        }
    }
    let interrupt = super::interrupt();
    let mut lost = None;
    let mut tell = |name: &str, looked: Result<String>| {
        if looked.is_err() && interrupt.is_raised() {
            return Ok(());
        }
        let text = looked.unwrap_or_else(|error| {
            let text = lines_of(name, [error.to_string()]);
            lost.get_or_insert(error);
            text
        });
        output::print(out, &text)
    };
    let mut looks: Vec<(String, Look)> = vec![];
    for setup in flags.setups()? {
        looks.push((setup.name.clone(), Box::new(|| look(setup, &interrupt))));
    }
    // One device may have several names: who looks at it has it to itself.
    let mut turns: BTreeMap<String, Arc<Mutex<()>>> = BTreeMap::new();
    for (name, device) in devices {
        let member = flags.member(name.clone(), device);
        let turn = turns.entry(member.as_ref().map(Member::id).unwrap_or_default()).or_default().clone();
        let interrupt = &interrupt;
        let look = move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            look_at_device(member?, interrupt)
        };
        looks.push((name, Box::new(look)));
    }
    while !looks.is_empty() && !interrupt.is_raised() {
        let some = looks.drain(..looks.len().min(AT_ONCE)).collect();
        at_once_in_order(some, &mut tell).inspect_err(|_| interrupt.raise())?;
    }
    if interrupt.is_raised() {
        return Err(Error::lost("interrupted: not all targets were looked at"));
    }
    output::print(out, &groups)?;
    match lost {
        Some(error) if named => Err(error),
        _ => Ok(()),
    }
}

/// How many targets are looked at at the same time: one that gives no answer holds few others up.
const AT_ONCE: usize = 64;

/// A look at a target.
type Look<'a> = Box<dyn FnOnce() -> Result<String> + Send + 'a>;

/// Takes all looks at once, and tells what comes of each as soon as those before it are told.
fn at_once_in_order(
    looks: Vec<(String, Look)>,
    tell: &mut dyn FnMut(&str, Result<String>) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = looks.into_iter().map(|(name, look)| (name, scope.spawn(look))).collect();
        looks.into_iter().try_for_each(|(name, look)| {
            let looked = look.join().unwrap_or_else(|_| Err(Error::bug("a look at a target panicked")));
            tell(&name, looked)
        })
    })
}

/// The pools and labels of a lab, a line each.
fn groups_of(lab: &Lab) -> String {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, device) in &lab.targets {
        let labels = device.labels.iter().map(|label| format!("label={label}"));
        for group in device.pool.iter().map(|pool| format!("pool {pool}")).chain(labels) {
            groups.entry(group).or_default().push(name);
        }
    }
    let line = |(group, names): (&String, &Vec<&str>)| format!("{group}: {}\n", names.join(", "));
    groups.iter().map(line).collect()
}

/// What is known of a device of the lab: who has it, if one program at a time has it, or how it would be acquired, or what it
/// is like.
fn look_at_device(member: Member, interrupt: &Interrupt) -> Result<String> {
    let name = member.name.clone();
    if member.device.is_leased()
        && let Some(who) = device::holder(&member, interrupt)?
    {
        return Ok(lines_of(&name, [format!("used by {who}")]));
    }
    let Device { acquire: Some(acquire), release, .. } = &member.device else {
        let asked = Asked { name: name.clone(), is_pool: false, members: vec![member] };
        return look(setup(name, asked, &Claims::default())?, interrupt);
    };
    let how = format!("to be acquired by: {acquire}");
    let missing =
        [Some(acquire), release.as_ref()].into_iter().flatten().find_map(|line| device::missing(line));
    let missing =
        missing.map(|word| format!("! there is no command {word} here; install it, or give its path"));
    Ok(lines_of(&name, [Some(how), missing].into_iter().flatten()))
}

/// What is known of a target that can be reached: a line for each thing, nothing of one that it doesn't tell.
fn look(setup: TargetSetup, interrupt: &Interrupt) -> Result<String> {
    let e = measure::look(setup.target.as_ref(), setup.cpus.as_deref(), &mut |line| note(line), interrupt)?;
    let mut lines = vec![processor(&e), system(&e)];
    lines.extend(e.android.iter().flat_map(phone));
    lines.extend(clusters(&e));
    lines.push(format!("a measurement of one thread would use cpu {}", units::cpus(&e.affinity)));
    lines.extend(hottest(&e));
    lines.extend(e.warnings.iter().map(|warning| format!("! {warning}")));
    Ok(lines_of(&setup.name, lines))
}

/// A target's name, and what is known of it: a line for each thing that says something.
fn lines_of(name: &str, known: impl IntoIterator<Item = String>) -> String {
    let known = known.into_iter().filter(|line| !line.is_empty());
    known.fold(format!("{}\n", escape::line(name)), |text, line| text + "  " + &escape::line(&line) + "\n")
}

fn processor(e: &Environment) -> String {
    let cpu = e.cpu.as_deref().unwrap_or("CPU unknown");
    let emulated = if e.emulated { ", emulated" } else { "" };
    format!("{} ({}{emulated}), {cpu}, {}", e.host, e.arch, units::count(e.cores, "core"))
}

fn system(e: &Environment) -> String {
    let memory = e.memory_bytes.map_or_else(|| "memory unknown".into(), units::bytes);
    format!("{}, {memory}", e.os)
}

/// The device, and the state of its battery.
fn phone(android: &Android) -> [String; 2] {
    let soc = android.soc.as_ref().map_or_else(String::new, |soc| format!(", {soc}"));
    let percent = android.battery_percent.before.map(|percent| format!("battery {percent}%"));
    let degrees = android.battery_mc.before.map(|mc| format!("{} °C", mc / 1000));
    let status = android.thermal_status.before.map(|status| format!("thermal status {status}"));
    let state: Vec<String> = [percent, degrees, status].into_iter().flatten().collect();
    [format!("Android {}, {}{soc}", android.version, android.device), state.join(", ")]
}

fn clusters(e: &Environment) -> Option<String> {
    let cluster = |c: &Cluster| {
        let speed = c.max_khz.map_or_else(String::new, |khz| format!(" at {} MHz", khz / 1000));
        let core = c.core.as_ref().map_or_else(String::new, |core| format!(", {core}"));
        format!("cpu {}{core}{speed}", units::cpus(&c.cpus))
    };
    let clusters: Vec<String> = e.clusters.iter().map(cluster).collect();
    (!clusters.is_empty()).then(|| format!("clusters: {}", clusters.join(" | ")))
}

fn hottest(e: &Environment) -> Option<String> {
    let zones = e.temperature_mc.iter().filter_map(|(zone, t)| Some((t.before?, zone)));
    let (mc, zone) = zones.max()?;
    Some(format!("hottest zone: {zone} at {} °C", mc / 1000))
}
