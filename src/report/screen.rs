//! A measurement at a glance: what was measured, what was found, what each variant takes and where the time goes, on one screen.
//! The full report has the rest.

use std::time::Duration;

use super::facts;
use super::fit;
use super::section::{Section, Tone};
use super::verdict::{self, Finding, finding};
use super::{header, networks, types, variants};
use crate::record::{Record, Variant, Verdict};
use crate::units;

/// Rows of where the time goes.
const ROWS: usize = 5;

/// Lines of a screen without the command above and the line below that says where there is more.
pub const LINES: usize = 28;
/// Of these, what was measured and what was found may take so many each where there is much else.
const SHARE: usize = 8;

pub fn sections(record: &Record) -> Vec<Section> {
    let found = fit::at_most(SHARE, "finding", in_short(record));
    let (figures, mut time) = (figures(record), time(record));
    let header = header::at_a_glance(record);
    let left = LINES.saturating_sub(fit::lines(&[&found, &figures, &time]) + 1);
    let header = fit::at_most(left.max(SHARE), "warning", header);
    // A page has all; where it can't hold both, the variants are what was asked for.
    if fit::lines(&[&header, &found, &figures, &time]) > LINES {
        time = Section::plain();
    }
    let left = LINES.saturating_sub(fit::lines(&[&header, &found]) + 1);
    let figures = fit::at_most(left, "variant", figures);
    vec![header, found, figures, time]
}

/// What was found; of many variants how many are slower, faster and so on, then what to do, and then what has room.
fn in_short(record: &Record) -> Section {
    let compared = record.variants.iter().filter(|v| verdict::is_compared(v));
    let verdicts: Vec<Verdict> = compared.filter_map(|v| v.delta.as_ref()).map(|d| d.verdict).collect();
    if !facts::timed(record) || verdicts.len() < SHARE {
        return found(record);
    }
    let count = |verdict| verdicts.iter().filter(|&&v| v == verdict).count();
    let told = [
        (Verdict::Slower, "slower"),
        (Verdict::Faster, "faster"),
        (Verdict::None, "no different"),
        (Verdict::Inconclusive, "inconclusive"),
    ];
    let told = told.map(|(verdict, word)| (count(verdict), word)).into_iter().filter(|&(n, _)| n > 0);
    let told: Vec<String> = told.map(|(n, word)| format!("{n} {word}")).collect();
    let head = Section::plain().line(format!("Of {} variants: {}.", verdicts.len(), told.join(", ")));
    let (all, advice) = findings(record);
    let mut head = head.lines(advice);
    let before = head.parts.len();
    head.tones.extend(all.tones.into_iter().map(|(at, tone)| (before + at, tone)));
    head.parts.extend(all.parts);
    head
}

/// What was found, a line for each variant of which something is, and what to do about the others.
pub fn found(record: &Record) -> Section {
    let (section, advice) = findings(record);
    section.lines(advice)
}

/// What was found, and what to do where that decides nothing.
fn findings(record: &Record) -> (Section, Option<String>) {
    let failures = record.variants.iter().filter_map(|v| verdict::failure(record, v));
    let mut section =
        failures.fold(Section::plain(), |section, failure| section.toned(failure, Some(Tone::Bad)));
    if !facts::timed(record) {
        return (section.line(verdict::EMULATED), None);
    }
    let (mut blind, mut open) = (vec![], vec![]);
    for variant in record.variants.iter().filter(|v| verdict::is_compared(v)) {
        let (subject, base) = (facts::phrase(record, variant), verdict::base(record, variant));
        let Some(delta) = &variant.delta else { continue };
        match finding(&subject, &base, delta, verdict::claims(record)) {
            Finding::Blind => blind.push(subject),
            Finding::Open(line) => {
                open.extend(delta.resolution);
                section = section.toned(line, verdict::tone(delta));
            }
            Finding::Kept(line) => section = section.line(line),
            Finding::Change(line) | Finding::None(line) | Finding::Unknown(line) => {
                section = section.toned(line, verdict::tone(delta));
            }
        }
    }
    if blind.is_empty() {
        let advice = open.into_iter().reduce(f64::max).map(|worst| remedy(record, worst));
        return (section, advice);
    }
    let why =
        format!("Inconclusive, since the measurement was too short or too disturbed: {}.", blind.join(", "));
    let advice = "Give more --time, and an idle machine.".to_owned();
    (section.toned(why, Some(Tone::Open)), Some(advice))
}

/// What nobody waits for.
const LONGEST: Duration = Duration::from_secs(3600);
const MOST_FORKS: f64 = 200.0;

/// How long it would take to decide, where such a difference is all that was sure to be found: errors fall as the root of the
/// number of processes.
fn remedy(record: &Record, resolution: f64) -> String {
    let margin = record.settings.margin.0;
    let times = (resolution / margin).powi(2);
    let forks = (record.settings.forks as f64 * times).ceil();
    let elapsed = record.settings.elapsed_ns.map(|ns| Duration::from_nanos(ns).as_secs_f64() * times);
    let percent = units::percent(margin);
    let percent = percent.trim_end_matches(".0");
    let bearable = |&seconds: &f64| seconds <= LONGEST.as_secs_f64() && forks <= MOST_FORKS && times > 1.0;
    match elapsed.filter(bearable) {
        Some(seconds) => {
            let minutes = (seconds / 60.0).ceil();
            let most = record.settings.forks_wanted.unwrap_or(record.settings.forks) as f64;
            let of_forks = if forks > most { format!(" --forks {forks}") } else { String::new() };
            format!(
                "With about --time {minutes}m{of_forks}, four of five measurements find a difference of {percent}%."
            )
        }
        None => {
            format!(
                "No reasonable --time finds a difference of {percent}% under these conditions: use an idle machine."
            )
        }
    }
}

/// The variants, or of several engines the networks with a group of columns for each engine.
fn figures(record: &Record) -> Section {
    if !facts::timed(record) || !record.variants.iter().any(|v| v.latency.is_some()) {
        return Section::plain().warnings(variants::odd_values(record));
    }
    let section = if facts::has_engines(record) {
        networks::section(record)
    } else {
        Section::plain().table(variants::latencies(record)).line(variants::short_key(record))
    };
    section.warnings(variants::odd_values(record))
}

/// Where the time goes, of one engine's variants that fit side by side. Where no difference between them could have been seen, their
/// operators' would be noise.
fn time(record: &Record) -> Section {
    let compared = record.variants.iter().filter(|v| verdict::is_compared(v));
    let mut deltas = compared.filter_map(|v| v.delta.as_ref()).peekable();
    if deltas.peek().is_some() && deltas.all(verdict::is_blind) {
        return Section::plain();
    }
    let variants: Vec<&Variant> = facts::broken_down(record).filter(|v| facts::profiled(record, v)).collect();
    if facts::has_engines(record) || variants.is_empty() || variants.len() > types::BAND {
        return Section::plain();
    }
    types::glance(record, &variants, ROWS)
}
