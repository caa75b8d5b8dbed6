//! Which records were made on which device.
//!
//! A device is a target, a machine's name, what the machine says of its CPU and maker, and its own number where that is known.
//! Several records of one device are its forks put together if they are of the same model, inputs, engine and settings; else the
//! newest counts. Models may differ: a device has a record of each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Device, LeftOut, Unlike};
use crate::compare::{NamedRecord, distinct, pool};
use crate::record::{Engine, Environment, Input, Model, Record};
use crate::units;

/// The devices, with the records of each.
pub struct Measured<'r> {
    /// Ordered so that those of one SoC stand together, the SoC with most devices first.
    pub devices: Vec<Device>,
    /// Of each device, one record for each model.
    pub records: Vec<Vec<Cow<'r, Record>>>,
    pub left_out: Vec<LeftOut>,
    pub notes: Vec<String>,
}

pub fn of<'r>(records: &[NamedRecord<'r>]) -> Measured<'r> {
    let mut left_out = vec![];
    let (mut found, mut names_of_found) = (vec![], vec![]);
    let devices = by_device(records);
    for (name, of_it) in names(&devices).into_iter().zip(devices) {
        let (fit, others): (Vec<_>, Vec<_>) =
            of_it.into_iter().partition(|named| unfit(named.record).is_none());
        left_out.extend(others.iter().filter_map(|named| {
            let what = if named.name.is_empty() { &name } else { named.name };
            Some(LeftOut { what: what.to_owned(), variant: None, why: unfit(named.record)?.to_owned() })
        }));
        if !fit.is_empty() {
            found.push(fit);
            names_of_found.push(name);
        }
    }
    let socs: Vec<Option<String>> = found.iter().map(|of_it| soc(of_it[0].record)).collect();
    let groups = groups(&socs);
    let mut notes: Vec<String> = vec![];
    let mut all: Vec<Measurements> = vec![];
    for (((of_it, name), soc), group) in found.into_iter().zip(names_of_found).zip(socs).zip(groups) {
        let environment = &of_it[0].record.environment;
        let (pooled, measured, mut older) = newest(&of_it, &name);
        left_out.append(&mut older);
        if pooled > 1 {
            notes.push(format!(
                "{name}: {} of this device are put together{}",
                units::count(pooled, "record"),
                match environment.id {
                    Some(_) => "",
                    None => "; boards that have one name are taken for one: give each a host name of its own",
                }
            ));
        }
        let device = Device {
            name,
            soc,
            group,
            target: environment.target.clone(),
            host: environment.host.clone(),
            records: of_it.iter().map(|named| named.name.to_owned()).collect(),
        };
        all.push((device, measured));
    }
    notes.extend(twins(&all));
    all.sort_by_key(|(device, _)| device.group);
    let (devices, records) = all.into_iter().unzip();
    Measured { devices, records, left_out, notes }
}

/// What each record's device is called.
pub fn device_names(records: &[NamedRecord]) -> Vec<String> {
    let devices = by_device(records);
    let names = names(&devices);
    let has = |of_it: &[NamedRecord], named: &NamedRecord| {
        of_it.iter().any(|known| std::ptr::eq(known.record, named.record))
    };
    let place = |named: &NamedRecord| devices.iter().position(|of_it| has(of_it, named));
    records.iter().map(|named| place(named).map_or_else(String::new, |at| names[at].clone())).collect()
}

/// The records of each device.
fn by_device<'r>(records: &[NamedRecord<'r>]) -> Vec<Vec<NamedRecord<'r>>> {
    let mut found: Vec<Vec<NamedRecord<'r>>> = vec![];
    for &named in records {
        let is_it =
            |of_it: &&mut Vec<NamedRecord>| of_it.iter().all(|known| is_one(known.record, named.record));
        match found.iter_mut().find(is_it) {
            Some(of_it) => of_it.push(named),
            None => found.push(vec![named]),
        }
    }
    found
}

/// Why a record's times say nothing of a device.
fn unfit(record: &Record) -> Option<&'static str> {
    match record {
        _ if record.environment.emulated => Some("emulated: its times say nothing of a device"),
        _ if !record.imported.is_empty() => {
            Some("profiled runs of an app, and no others: they give no ratios")
        }
        _ => None,
    }
}

/// Whether two records are of one device. Older ones don't have its number.
fn is_one(a: &Record, b: &Record) -> bool {
    let (a, b) = (&a.environment, &b.environment);
    let phone = |e: &Environment| e.android.as_ref().map(|android| android.device.clone());
    (&a.target, &a.host, &a.cpu, phone(a)) == (&b.target, &b.host, &b.cpu, phone(b))
        && a.id.as_ref().zip(b.id.as_ref()).is_none_or(|(a, b)| a == b)
}

/// What Android calls the SoC, else the CPU's name.
pub fn soc(record: &Record) -> Option<String> {
    let environment = &record.environment;
    let soc = environment.android.as_ref().and_then(|android| android.soc.clone());
    // Boards call themselves by their revision, too: `Raspberry Pi 5 Model B Rev 1.0`.
    let board = || environment.cpu.as_ref().and_then(|cpu| cpu.split(" Rev ").next()).map(str::to_owned);
    soc.or_else(board).filter(|name| !name.trim().is_empty())
}

/// The group of each device, the one with most devices first. What has no known SoC is a group of its own.
fn groups(socs: &[Option<String>]) -> Vec<usize> {
    let mut known: Vec<(Option<&String>, Vec<usize>)> = vec![];
    for (at, soc) in socs.iter().enumerate() {
        match known.iter_mut().find(|(name, _)| name.is_some() && *name == soc.as_ref()) {
            Some((_, of_it)) => of_it.push(at),
            None => known.push((soc.as_ref(), vec![at])),
        }
    }
    known.sort_by_key(|(_, of_it)| std::cmp::Reverse(of_it.len()));
    let mut groups = vec![0; socs.len()];
    for (group, (_, of_it)) in known.into_iter().enumerate() {
        of_it.into_iter().for_each(|at| groups[at] = group);
    }
    groups
}

/// A name for each device that no other has: the first of model, host, target and file that is its own.
fn names(devices: &[Vec<NamedRecord>]) -> Vec<String> {
    let candidates = |of_it: &[NamedRecord]| {
        let environment = &of_it[0].record.environment;
        let android = environment.android.as_ref().map_or(String::new(), |android| android.device.clone());
        let host = if android.is_empty() { environment.host.clone() } else { String::new() };
        // A name that the user gave the target, or the target.
        let target = match of_it[0].name {
            "" => environment.target.clone(),
            name => name.to_owned(),
        };
        [android, host, environment.target.clone(), target]
    };
    let all: Vec<[String; 4]> = devices.iter().map(|of_it| candidates(of_it)).collect();
    let own = |at: usize, which: usize| {
        let name = &all[at][which];
        !name.trim().is_empty()
            && !all.iter().enumerate().any(|(other, names)| other != at && names.contains(name))
    };
    let name = |at: usize| {
        let which = (0..4).find(|&which| own(at, which));
        which.map_or_else(|| format!("device {}", at + 1), |which| all[at][which].clone())
    };
    (0..devices.len()).map(name).collect()
}

/// What two records must have in common so that their forks may be put together.
#[derive(PartialEq)]
struct Setup<'r> {
    models: Vec<(&'r str, &'r str)>,
    inputs: Vec<&'r [Input]>,
    /// Those of the first variant: more of them tell a record's variants apart.
    knobs: Option<&'r BTreeMap<String, String>>,
    engines: Vec<(&'r str, &'r str)>,
    threads: usize,
    denormals: crate::record::Denormals,
    cold: bool,
    affinity: &'r [usize],
}

impl<'r> Setup<'r> {
    fn of(record: &'r Record) -> Self {
        Self {
            models: models(record).iter().map(|m| (m.name.as_str(), m.sha256.as_str())).collect(),
            inputs: models(record).iter().map(|m| m.inputs.as_slice()).collect(),
            knobs: record.variants.first().map(|v| &v.knobs),
            engines: engines(record).iter().map(|e| (e.name.as_str(), e.version.as_str())).collect(),
            threads: record.settings.threads,
            denormals: record.settings.denormals,
            cold: record.settings.cold,
            affinity: &record.environment.affinity,
        }
    }
}

fn models(record: &Record) -> &[Model] {
    if record.models.is_empty() { std::slice::from_ref(&record.model) } else { &record.models }
}

fn engines(record: &Record) -> &[Engine] {
    if record.engines.is_empty() { std::slice::from_ref(&record.engine) } else { &record.engines }
}

/// Of a device's records one for each model: the newest, with those of the same setup. Also how many were put together at most,
/// and what is left out.
fn newest<'r>(of_it: &[NamedRecord<'r>], device: &str) -> (usize, Vec<Cow<'r, Record>>, Vec<LeftOut>) {
    let mut rest: Vec<NamedRecord<'r>> = of_it.to_vec();
    rest.sort_by(|a, b| b.record.started_at.cmp(&a.record.started_at));
    let (mut most, mut measured, mut left_out) = (1, vec![], vec![]);
    while let Some(first) = rest.first().copied() {
        let setup = Setup::of(first.record);
        let (of_models, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|named| Setup::of(named.record).models == setup.models);
        let (alike, older): (Vec<_>, Vec<_>) =
            of_models.into_iter().partition(|named| Setup::of(named.record) == setup);
        let unused = |named: &NamedRecord, why: &str| LeftOut {
            what: format!("{device} ({})", named.name),
            variant: None,
            why: why.to_owned(),
        };
        let why = "an older record of the same device, with another engine, other inputs or other settings";
        left_out.extend(older.iter().map(|named| unused(named, why)));
        match pool::pool(&alike) {
            Ok(pooled) => {
                most = most.max(alike.len());
                measured.push(pooled);
            }
            Err(error) => {
                left_out.extend(alike.iter().skip(1).map(|named| unused(named, &error.message)));
                measured.push(Cow::Borrowed(first.record));
            }
        }
        rest = others;
    }
    (most, measured, left_out)
}

/// A device, and its record of each model.
type Measurements<'r> = (Device, Vec<Cow<'r, Record>>);

/// Devices that may be one: of the same name and CPU, by different targets.
fn twins(all: &[Measurements]) -> Option<String> {
    // Machines whose own numbers differ are two.
    let id = |records: &[Cow<Record>]| records.first().and_then(|record| record.environment.id.clone());
    let same = |(a, of_a): &Measurements, (b, of_b): &Measurements| {
        let told_apart = id(of_a).zip(id(of_b)).is_some_and(|(a, b)| a != b);
        a.target != b.target && !a.host.is_empty() && (&a.host, &a.soc) == (&b.host, &b.soc) && !told_apart
    };
    let is_twin = |at: usize| (0..all.len()).any(|other| other != at && same(&all[at], &all[other]));
    let twins = (0..all.len()).filter(|&at| is_twin(at)).count();
    (twins > 0).then(|| {
        format!(
            "{twins} targets have a machine's name and CPU in common with another: if they are one machine, they are not \
             independent, and intervals over devices are too narrow"
        )
    })
}

/// What is not the same on all devices.
pub fn differences(records: &[Vec<Cow<Record>>]) -> Vec<Unlike> {
    let all = || records.iter().flatten().map(AsRef::as_ref);
    let inputs = |model: &Model| {
        let shapes = model.inputs.iter().map(|input| units::shape(&input.shape));
        format!("{} {}", model.name, shapes.collect::<Vec<_>>().join(" "))
    };
    let named = |e: &Engine| format!("{} {}", e.name, e.version).trim_end().to_owned();
    let joined = |names: Vec<String>| distinct(names).join(" and ");
    type Value<'v> = &'v dyn Fn(&Record) -> String;
    let looked_at: [(&'static str, Value); 6] = [
        ("engine", &|r| joined(engines(r).iter().map(named).collect())),
        ("threads", &|r| r.settings.threads.to_string()),
        ("denormals", &|r| r.settings.denormals.name().to_owned()),
        ("runs", &|r| if r.settings.cold { "first runs".into() } else { "warm runs".to_owned() }),
        ("build", &|r| r.oplat.profile.clone()),
        ("oplat", &|r| r.oplat.version.clone()),
    ];
    let mut differ: Vec<Unlike> = looked_at
        .into_iter()
        .map(|(what, value)| Unlike { what, values: counted(all().map(value)) })
        .filter(|unlike| unlike.values.len() > 1)
        .collect();
    // Of the same model by name.
    let all_models = || all().flat_map(models);
    for name in distinct(all_models().map(|model| &model.name)) {
        let of_it = || all_models().filter(|model| model.name == *name);
        let shapes = counted(of_it().map(inputs));
        if shapes.len() > 1 {
            differ.push(Unlike { what: "input", values: shapes });
        }
        let files = counted(of_it().map(|model| format!("{name} {}", short(&model.sha256))));
        if files.len() > 1 {
            differ.push(Unlike { what: "model file", values: files });
        }
    }
    differ
}

/// The first characters of a hash.
pub fn short(sha256: &str) -> &str {
    sha256.get(..8).unwrap_or(sha256)
}

fn counted(values: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = vec![];
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, n)) => *n += 1,
            None => counts.push((value, 1)),
        }
    }
    counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    counts
}
