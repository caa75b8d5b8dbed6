//! A measurement at a glance: what was measured, what was found, what each variant takes and where the time goes, on one screen.
//! The full report has the rest.

use std::time::Duration;

use super::facts;
use super::section::{Section, Tone};
use super::verdict::{self, Finding, finding};
use super::{header, networks, types, variants};
use crate::record::{Record, Variant};
use crate::units;

/// Rows of where the time goes.
const ROWS: usize = 5;

pub fn sections(record: &Record) -> Vec<Section> {
    vec![header::at_a_glance(record), found(record), figures(record), time(record)]
}

/// What was found, a line for each variant of which something is, and what to do about the others.
pub fn found(record: &Record) -> Section {
    let failures = record.variants.iter().filter_map(|v| verdict::failure(record, v));
    let mut section =
        failures.fold(Section::plain(), |section, failure| section.toned(failure, Some(Tone::Bad)));
    if !facts::timed(record) {
        return section.line(verdict::EMULATED);
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
            Finding::Change(line) | Finding::None(line) | Finding::Unknown(line) => {
                section = section.toned(line, verdict::tone(delta));
            }
        }
    }
    if !blind.is_empty() {
        let why = format!(
            "Inconclusive, since the measurement was too short or too disturbed: {}. Give more --time, and an idle machine.",
            blind.join(", ")
        );
        section = section.toned(why, Some(Tone::Open));
    } else if let Some(worst) = open.into_iter().reduce(f64::max) {
        section = section.line(remedy(record, worst));
    }
    section
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
                "About --time {minutes}m{of_forks} finds a difference of {percent}% in four of five measurements."
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

/// Where the time goes, of one engine's variants that fit side by side.
fn time(record: &Record) -> Section {
    let variants: Vec<&Variant> = facts::broken_down(record).filter(|v| facts::profiled(record, v)).collect();
    if facts::has_engines(record) || variants.is_empty() || variants.len() > types::BAND {
        return Section::plain();
    }
    types::glance(record, &variants, ROWS)
}
