//! Where workers run: the flags that say so, and `oplat targets`, which says what can be reached.

use std::cell::OnceCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{note, output};
use crate::device::{self, Device, Lab, Options, Target};
use crate::error::{Error, Result};
use crate::escape;
use crate::measure::{self, Interrupt, Rest};
use crate::record::{Android, Cluster, Environment};
use crate::{files, limits, units};

/// The files in which names are looked up: the first that exists.
const LABS: [&str; 2] = ["configs/lab.yaml", "lab.yaml"];

/// The flags of every command that runs workers.
#[derive(Default, clap::Args)]
pub struct TargetFlags {
    /// Where workers run: local, ssh:[user@]host[:port], adb[:serial], cmd:PREFIX for a launcher, or a name in
    /// the lab's file; may be repeated, and all are measured at once
    #[arg(long, value_name = "TARGET", default_value = "local")]
    pub target: Vec<String>,
    /// The file that names targets [default: configs/lab.yaml or lab.yaml]
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
}

impl TargetFlags {
    /// Those of one target.
    pub fn of(target: String) -> Self {
        Self { target: vec![target], ..Self::default() }
    }

    /// The targets, in order. Fails if one is named twice or isn't known.
    pub fn setups(&self) -> Result<Vec<TargetSetup>> {
        let mut setups: Vec<TargetSetup> = vec![];
        for name in &self.target {
            let setup = self.setup(name)?;
            if setups.iter().any(|known| known.target.name() == setup.target.name()) {
                return Err(Error::input(format!(
                    "--target {name}: it is given twice; one job at a time on each"
                )));
            }
            setups.push(setup);
        }
        Ok(setups)
    }

    /// The only target.
    pub fn only(&self) -> Result<TargetSetup> {
        match self.setups()?.pop() {
            Some(setup) => Ok(setup),
            None => Err(Error::input("there is no target")),
        }
    }

    fn setup(&self, name: &str) -> Result<TargetSetup> {
        let plain = name == "local" || name == "adb" || name.contains(':');
        let device = match plain {
            true => Device { target: name.into(), ..Device::default() },
            false => {
                let (lab, file) = self.read_lab()?;
                lab.device(name, file)?.clone()
            }
        };
        let options = Options {
            runner: self.runner.clone().or(device.runner),
            folder: device.folder,
            keep: self.keep,
            libraries: device.libraries,
            fixed_performance: device.fixed_performance,
        };
        let below_mc = device.hottest.map(|degrees| (1000.0 * degrees) as i64);
        Ok(TargetSetup {
            name: name.into(),
            target: device::parse(&device.target, &options)?,
            cpus: device.cpus,
            time: device.time,
            rest: Rest { pause: device.cool_down, below_mc },
        })
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

/// What the user typed after `oplat targets`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: TargetFlags,
}

/// Looks at the targets that were named, or at all that there are: this machine, those of the lab and the phones
/// that adb knows. One that can't be reached is named with the error, which has the remedy.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let mut flags = args.flags;
    let named = flags.target != ["local"];
    if !named {
        let (lab, _) = flags.read_lab()?;
        // The file that ships has examples in it, which nobody means.
        if flags.lab.is_some() || *lab != Lab::examples() {
            let names: Vec<String> = lab.targets.keys().cloned().collect();
            flags.target.extend(names);
        }
        match device::phones() {
            Ok(serials) => flags.target.extend(serials.into_iter().map(|serial| format!("adb:{serial}"))),
            Err(why) => note(&format!("phones: {why}")),
        }
    }
    let interrupt = super::interrupt();
    let setups = flags.setups()?;
    let mut lost = None;
    for setup in &setups {
        let text = match look(setup, &interrupt) {
            Ok(text) => text,
            Err(error) => {
                let text = lines_of(&setup.name, [error.to_string()]);
                lost.get_or_insert(error);
                text
            }
        };
        output::print(out, &text)?;
    }
    match lost {
        Some(error) if named => Err(error),
        _ => Ok(()),
    }
}

/// What is known of a target that can be reached: a line for each thing, nothing of one that it doesn't tell.
fn look(setup: &TargetSetup, interrupt: &Interrupt) -> Result<String> {
    let e = measure::look(setup.target.as_ref(), setup.cpus.as_deref(), interrupt)?;
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
