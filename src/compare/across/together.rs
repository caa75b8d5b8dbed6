//! A variant on several devices: what it shows on each, what on all, and where devices contradict each other.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::devices::short;
use super::{CONFIDENCE, Contradiction, Device, LeftOut, OfSoc, OnDevice, Over, Unit, Variant, Why};
use crate::figures;
use crate::record::{self, Lowering, Margin, Record, Role};
use crate::stats::{Mean, across, holm};

/// What makes variants of two records one.
#[derive(PartialEq)]
struct Key<'r> {
    model: &'r str,
    sha256: &'r str,
    name: &'r str,
    engine: &'r str,
    role: Role,
    rule: &'r str,
    lowering: Lowering,
    knobs: &'r BTreeMap<String, String>,
}

impl<'r> Key<'r> {
    fn of(record: &'r Record, variant: &'r record::Variant) -> Self {
        let named = |model: &&record::Model| variant.model.as_ref() == Some(&model.name);
        let model = record.models.iter().find(named).unwrap_or(&record.model);
        Self {
            model: &model.name,
            sha256: &model.sha256,
            name: &variant.name,
            engine: &variant.engine,
            role: variant.role,
            rule: &variant.rule,
            lowering: variant.lowering,
            knobs: &variant.knobs,
        }
    }
}

/// A variant on one device, with its ratio as statistics have it.
struct Found<'r> {
    variant: &'r record::Variant,
    ratio: Option<Mean>,
}

/// One variant: on each device what was found.
struct Row<'r> {
    key: Key<'r>,
    label: String,
    on: Vec<Option<Found<'r>>>,
}

pub fn variants(
    devices: &[Device],
    records: &[Vec<Cow<Record>>],
    left_out: &mut Vec<LeftOut>,
) -> Vec<Variant> {
    let rows = rows(records);
    let several = |of: fn(&Row) -> String| rows.iter().any(|row| of(row) != of(&rows[0]));
    let (models, files) = (several(|row| row.key.model.into()), several(|row| row.key.sha256.into()));
    let named = |row: &Row| match (models && !row.label.contains(row.key.model), files && !models) {
        (true, _) => format!("{}: {}", row.key.model, row.label),
        (_, true) => format!("{} ({})", row.label, short(row.key.sha256)),
        _ => row.label.clone(),
    };
    let mut all: Vec<Variant> = vec![];
    let mut found = vec![];
    for row in &rows {
        let label = named(row);
        let counted = counted(row, devices, &label, left_out);
        found.push(contradictions(&counted, devices));
        all.push(variant(row, label, devices, &counted));
    }
    // No device of the whole table is wrongly named, with this confidence.
    let tails: Vec<Option<f64>> = found.iter().flatten().map(|(tail, _)| Some(*tail)).collect();
    let mut needed = holm(&tails, CONFIDENCE, |alpha| alpha).into_iter();
    for (variant, found) in all.iter_mut().zip(found) {
        for (tail, contradiction) in found {
            let sure = needed.next().is_some_and(|confidence| tail <= 1.0 - confidence);
            let known = |c: &Contradiction| (&c.who, c.unit) == (&contradiction.who, contradiction.unit);
            if sure && !variant.contradictions.iter().any(known) {
                variant.contradictions.push(contradiction);
            }
        }
    }
    all
}

/// All variants of all devices, in the order in which they appear.
fn rows<'r>(records: &'r [Vec<Cow<'_, Record>>]) -> Vec<Row<'r>> {
    let mut rows: Vec<Row> = vec![];
    for (at, of_device) in records.iter().enumerate() {
        for record in of_device.iter().map(AsRef::as_ref) {
            for (variant, ratio) in record.variants.iter().zip(figures::log_ratios(&record.variants)) {
                let key = Key::of(record, variant);
                let place = rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
                    let on = records.iter().map(|_| None).collect();
                    rows.push(Row { key, label: label(record, variant), on });
                    rows.len() - 1
                });
                rows[place].on[at] = Some(Found { variant, ratio });
            }
        }
    }
    rows
}

/// The name, with the activation of an original that has only one.
fn label(record: &Record, variant: &record::Variant) -> String {
    let mut kinds = record.variants.iter().flat_map(|v| &v.sites).map(|site| site.from.as_str());
    let first = kinds.next().filter(|first| kinds.all(|kind| kind == *first));
    match first {
        Some(kind)
            if variant.role == Role::Original && variant.model.is_none() && variant.knobs.is_empty() =>
        {
            format!("{} ({kind})", variant.name)
        }
        _ => variant.name.clone(),
    }
}

/// The ratio of each device that counts; what doesn't is said.
fn counted(row: &Row, devices: &[Device], label: &str, left_out: &mut Vec<LeftOut>) -> Vec<Option<Mean>> {
    let errors: Vec<Option<f64>> =
        row.on.iter().map(|found| found.as_ref()?.ratio.as_ref()?.error()).collect();
    let rough = across::rough(&errors, Margin::default().0);
    let mut counted = vec![];
    for (at, found) in row.on.iter().enumerate() {
        let ratio = found.as_ref().and_then(|found| found.ratio);
        let why = match (found, ratio) {
            (None, _) => None,
            (Some(found), None) => found.variant.error.as_ref().map(|error| format!("failed: {error}")),
            (Some(_), Some(ratio)) if ratio.error().is_none() => {
                Some("a single fork gives no interval".to_owned())
            }
            _ if rough[at] => Some(format!(
                "measured too roughly: ±{:.0}%, more than three times as much as on most devices",
                errors[at].map_or(0.0, f64::exp_m1) * 100.0
            )),
            _ => None,
        };
        let counts = why.is_none();
        let what = devices[at].name.clone();
        left_out.extend(why.map(|why| LeftOut { what, variant: Some(label.to_owned()), why }));
        counted.push(ratio.filter(|_| counts));
    }
    counted
}

fn variant(row: &Row, label: String, devices: &[Device], counted: &[Option<Mean>]) -> Variant {
    let on = |(found, counts): (&Option<Found>, &Option<Mean>)| {
        let found = found.as_ref()?;
        Some(OnDevice {
            p50_ns: found.variant.latency.map(|latency| latency.p50_ns),
            delta: found.variant.delta.clone(),
            error: found.ratio.as_ref().and_then(Mean::error),
            counts: counts.is_some(),
            failed: found.variant.error.is_some() && found.variant.latency.is_none(),
        })
    };
    let groups = groups(devices, counted);
    let several = groups.len() > 1;
    let of_soc = |(group, of_it): &(usize, Vec<(usize, Mean)>)| {
        let device = devices.iter().find(|device| device.group == *group)?;
        let soc = device.soc.clone().unwrap_or_else(|| device.name.clone());
        Some(OfSoc { group: *group, soc, over: over(std::slice::from_ref(&ratios(of_it)))? })
    };
    Variant {
        name: row.key.name.to_owned(),
        label,
        model: row.key.model.to_owned(),
        sha256: row.key.sha256.to_owned(),
        engine: row.key.engine.to_owned(),
        role: row.key.role,
        rule: row.key.rule.to_owned(),
        lowering: row.key.lowering,
        knobs: row.key.knobs.clone(),
        on: row.on.iter().zip(counted).map(on).collect(),
        over: over(&groups.iter().map(|(_, of_it)| ratios(of_it)).collect::<Vec<_>>()),
        by_soc: groups.iter().filter(|_| several).filter_map(of_soc).collect(),
        contradictions: vec![],
    }
}

/// The devices that count by group, each with its place.
fn groups(devices: &[Device], counted: &[Option<Mean>]) -> Vec<(usize, Vec<(usize, Mean)>)> {
    let mut groups: BTreeMap<usize, Vec<(usize, Mean)>> = BTreeMap::new();
    for (at, (device, ratio)) in devices.iter().zip(counted).enumerate() {
        if let Some(ratio) = ratio {
            groups.entry(device.group).or_default().push((at, *ratio));
        }
    }
    groups.into_iter().collect()
}

fn ratios(of_it: &[(usize, Mean)]) -> Vec<Mean> {
    of_it.iter().map(|(_, ratio)| *ratio).collect()
}

fn over(groups: &[Vec<Mean>]) -> Option<Over> {
    let all = across::Across::of(groups)?;
    let mean = all.mean(CONFIDENCE).exp();
    let ends = |low: f64, high: f64| Some([low, high]).filter(|_| high.is_finite());
    Some(Over {
        devices: all.devices,
        unit: if groups.len() > 1 { Unit::Soc } else { Unit::Device },
        units: all.units,
        ratio: mean.point,
        interval: mean.interval.and_then(|i| ends(i.low, i.high)),
        another: all.further(CONFIDENCE).and_then(|i| ends(i.low.exp(), i.high.exp())),
        between: all.between.exp_m1(),
        within: all.within.map(f64::exp_m1),
        again: all.again.exp_m1(),
    })
}

/// What may contradict the rest, with the probability of it where nothing does.
fn contradictions(counted: &[Option<Mean>], devices: &[Device]) -> Vec<(f64, Contradiction)> {
    let groups = groups(devices, counted);
    let mut found = opposite(&groups, devices);
    if groups.len() > 1 {
        let of_groups: Vec<(String, Unit, Mean)> = groups
            .iter()
            .filter_map(|(_, of_it)| {
                let device = &devices[of_it.first()?.0];
                let (who, unit) = match of_it.as_slice() {
                    [_] => (device.name.clone(), Unit::Device),
                    _ => (device.soc.clone()?, Unit::Soc),
                };
                Some((who, unit, across::together(&ratios(of_it))?))
            })
            .collect();
        found.extend(outside(&of_groups, false));
    }
    for (_, of_it) in &groups {
        let named = of_it.iter().map(|&(at, ratio)| (devices[at].name.clone(), Unit::Device, ratio));
        found.extend(outside(&named.collect::<Vec<_>>(), true));
    }
    found
}

/// Those that lie farther from the others than these differ.
fn outside(all: &[(String, Unit, Mean)], of_its_soc: bool) -> Vec<(f64, Contradiction)> {
    let ratios: Vec<Mean> = all.iter().map(|(_, _, ratio)| *ratio).collect();
    let tails = across::apart(&ratios, Margin::default().0);
    let sum: f64 = ratios.iter().map(|ratio| ratio.estimate(CONFIDENCE).point).sum();
    let found = all.iter().zip(tails).filter_map(|((who, unit, ratio), tail)| {
        let ratio = ratio.estimate(CONFIDENCE).point;
        let others = (sum - ratio) / (all.len() as f64 - 1.0);
        let contradiction = Contradiction {
            who: who.clone(),
            unit: *unit,
            why: Why::Outside,
            ratio: ratio.exp(),
            others: others.exp(),
            of_its_soc,
        };
        Some((tail?, contradiction))
    });
    found.collect()
}

/// Devices on which the variant is slower where over all it is surely faster, or the other way.
fn opposite(groups: &[(usize, Vec<(usize, Mean)>)], devices: &[Device]) -> Vec<(f64, Contradiction)> {
    let Some(over) = over(&groups.iter().map(|(_, of_it)| ratios(of_it)).collect::<Vec<_>>()) else {
        return vec![];
    };
    let direction = match over.interval {
        Some([low, _]) if low > 1.0 => 1.0,
        Some([_, high]) if high < 1.0 => -1.0,
        _ => return vec![],
    };
    let all = groups.iter().flat_map(|(_, of_it)| of_it);
    let against = all.filter_map(|(at, ratio)| {
        let point = ratio.estimate(CONFIDENCE).point;
        let contradiction = Contradiction {
            who: devices[*at].name.clone(),
            unit: Unit::Device,
            why: Why::Opposite,
            ratio: point.exp(),
            others: over.ratio,
            of_its_soc: false,
        };
        Some((ratio.tail_beyond(0.0), contradiction)).filter(|_| point * direction < 0.0)
    });
    against.collect()
}
