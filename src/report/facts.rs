//! What several parts of a report need to know about a record.

use crate::compare::distinct;
use crate::record::{Engine, Lowering, Model, Record, Role, Variant};
use crate::swap::Mix;
use crate::units;

/// How often each thing occurs, the most frequent first, else in order of appearance.
pub fn counted<T: PartialEq>(things: impl IntoIterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: Vec<(T, usize)> = vec![];
    for thing in things {
        match counts.iter_mut().find(|(known, _)| *known == thing) {
            Some((_, n)) => *n += 1,
            None => counts.push((thing, 1)),
        }
    }
    counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    counts
}

/// All models of a record.
pub fn models(record: &Record) -> &[Model] {
    if record.models.is_empty() { std::slice::from_ref(&record.model) } else { &record.models }
}

/// The engine that ran a variant.
pub fn engine<'r>(record: &'r Record, variant: &Variant) -> &'r Engine {
    record.engines.iter().find(|engine| engine.id == variant.engine).unwrap_or(&record.engine)
}

/// All engines of a record.
pub fn engines(record: &Record) -> &[Engine] {
    if record.engines.is_empty() { std::slice::from_ref(&record.engine) } else { &record.engines }
}

/// Whether it is measured in more than one, so that its variants must say in which.
pub fn has_engines(record: &Record) -> bool {
    record.engines.len() > 1
}

/// The variant that tells best which sites were selected, among those of `model` if there are several models. The
/// control changes every selected site; a swap leaves alone those that had the new activation already.
pub fn reference<'r>(record: &'r Record, model: Option<&str>) -> Option<&'r Variant> {
    let own = |v: &&Variant| model.is_none() || v.model.as_deref() == model;
    let of = |role| record.variants.iter().filter(own).find(|v| v.role == role && !v.sites.is_empty());
    let original = || record.variants.iter().filter(own).find(|v| v.role == Role::Original);
    of(Role::Control).or_else(|| of(Role::Swap)).or_else(original)
}

/// The activation that all of the original's sites have, if it is only one.
pub fn only_activation(record: &Record) -> Option<&str> {
    let sites = &reference(record, None)?.sites;
    let first = sites.first()?;
    sites.iter().all(|s| s.from == first.from).then_some(first.from.as_str())
}

/// A variant's name in tables: the original's with its activation.
pub fn label(record: &Record, variant: &Variant) -> String {
    match only_activation(record) {
        // Where there are several models or knobs, the name has all of it.
        _ if variant.model.is_some() || !variant.knobs.is_empty() => variant.name.clone(),
        Some(activation) if variant.role == Role::Original => format!("{} ({activation})", variant.name),
        _ => variant.name.clone(),
    }
}

/// A variant's name in running text: a swap is called by its activation and its lowering.
pub fn phrase(record: &Record, variant: &Variant) -> String {
    let plain = plain_phrase(record, variant);
    match variant.knobs.is_empty() {
        true => plain,
        false => {
            let plain = if variant.role == Role::Original && variant.model.is_none() {
                "the original"
            } else {
                &plain
            };
            let knobs = variant.knobs.iter().map(|(name, value)| format!("{name}={value}"));
            format!("{plain} with {}", knobs.collect::<Vec<_>>().join(" "))
        }
    }
}

fn plain_phrase(record: &Record, variant: &Variant) -> String {
    // An original's name has its engine.
    let told = has_engines(record) && variant.role != Role::Original;
    let of_engine = if told { format!(" in {}", variant.engine) } else { String::new() };
    in_any_engine(record, variant) + &of_engine
}

fn in_any_engine(record: &Record, variant: &Variant) -> String {
    let model = variant.model.as_ref().map_or(String::new(), |model| format!("{model} with "));
    match (variant.role, variant.lowering) {
        (Role::Swap, Lowering::Exported) => format!("{model}{} as exported", swapped_in(&variant.rule)),
        (Role::Swap, Lowering::Kernel) => {
            let kernel = if is_mixed(variant) { "with kernels" } else { "as one kernel" };
            format!("{model}{} {kernel}{}", swapped_in(&variant.rule), of_how_many(variant))
        }
        (Role::Control, _) if variant.model.is_none() => "the control".into(),
        _ => label(record, variant),
    }
}

/// What is swapped in, in running text: an activation, or a mix by its name or in short.
fn swapped_in(rule: &str) -> String {
    match Mix::parse(rule) {
        Ok(mix) if mix.rules.is_empty() || mix.name.is_some() => mix.short(),
        Ok(mix) => format!("`{}`", mix.short()),
        Err(_) => rule.to_owned(),
    }
}

/// Whether its sites differ in what was swapped in.
fn is_mixed(variant: &Variant) -> bool {
    Mix::parse(&variant.rule).is_ok_and(|mix| !mix.rules.is_empty())
}

/// What the mixes are that tables call by a name, or in short: `fast: relu, /model.2*=silu`.
pub fn mixes(record: &Record) -> Vec<String> {
    let swaps = record.variants.iter().filter(|v| v.role == Role::Swap);
    let mixes = swaps.filter_map(|v| Mix::parse(&v.rule).ok()).filter(Mix::is_shortened);
    distinct(mixes.map(|mix| match mix.name {
        Some(_) => mix.to_string(),
        None => format!("{}: {mix}", mix.short()),
    }))
}

/// At how many of the swapped sites a kernel runs, where it isn't all of them: ` (at 55 of 57 sites)`.
fn of_how_many(variant: &Variant) -> String {
    let swapped = variant.sites.iter().filter_map(|site| site.lowering);
    let (all, kernels) = (swapped.clone().count(), swapped.filter(|l| *l == Lowering::Kernel).count());
    if kernels == all {
        return String::new();
    }
    // An activation without a kernel is measured as exported alone, unless it is one of a mix.
    let others = if is_mixed(variant) { "are as exported" } else { "are of types without kernels" };
    format!(" (at {kernels} of {all} sites; the others {others})")
}

/// The variants that breakdowns show: not the control, which is only there to be compared against.
pub fn broken_down(record: &Record) -> impl Iterator<Item = &Variant> {
    record.variants.iter().filter(|v| v.role != Role::Control && !v.ops.is_empty())
}

/// Whether a variant's ops have times that may be shown: not every engine can profile.
pub fn profiled(record: &Record, variant: &Variant) -> bool {
    timed(record) && variant.profiled.is_some()
}

/// What the brackets after ratios hold, if any of the record's has an interval: ` [99% interval over forks]`. In older records
/// each interval has that confidence by itself.
pub fn interval_note(record: &Record) -> String {
    match confidence(record) {
        None => String::new(),
        Some((percent, true)) => {
            format!(" [interval over forks, so wide that all verdicts hold together at {percent}%]")
        }
        Some((percent, false)) => format!(" [{percent}% interval over forks]"),
    }
}

/// The same for who has read no more than this.
pub fn interval_in_short(record: &Record) -> String {
    match confidence(record) {
        None => String::new(),
        Some((percent, together)) => {
            let within = if together { "all true ratios lie within" } else { "the true ratio lies within" };
            format!(" [{within}: {percent}% sure]")
        }
    }
}

/// The confidence of intervals in per cent, and whether it is that of all together; `None` if there are none.
fn confidence(record: &Record) -> Option<(String, bool)> {
    let deltas = record.variants.iter().flat_map(|v| v.delta.iter().chain(&v.across));
    let deltas: Vec<_> = deltas.filter(|delta| delta.interval.is_some()).collect();
    let settings = record.settings.confidence;
    let percent = units::percent(settings).trim_end_matches(".0").to_owned();
    (!deltas.is_empty()).then(|| (percent, deltas.iter().any(|delta| delta.confidence > settings)))
}

/// Whether times may be shown as the device's.
pub fn timed(record: &Record) -> bool {
    !record.environment.emulated
}
