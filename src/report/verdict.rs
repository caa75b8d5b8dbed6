//! What was found, in a sentence for each variant: before any table, since it answers what was asked.

use super::facts;
use super::section::Section;
use crate::record::{Delta, Record, Role, Variant, Verdict};
use crate::units::{percent, ratio, signed_percent, times};

/// From this ratio on, people say "times as long" and not "per cent slower".
const TIMES: f64 = 2.0;

/// Where not even such a difference could have been seen, as a share, the interval is not worth showing.
const BLIND: f64 = 0.5;

pub fn section(record: &Record) -> Section {
    let timed = facts::timed(record);
    let mut section = Section::plain();
    if !timed {
        section = section.line(
            "The target is emulated: the emulator's times say nothing about a device, so none are shown. \
             Operators, memory and outputs hold.",
        );
    }
    for variant in &record.variants {
        if let Some(error) = &variant.error {
            let what = if variant.latency.is_some() { "is incomplete" } else { "failed" };
            section = section.line(format!("{} {what}: {error}", facts::phrase(record, variant)));
        }
        let compared =
            variant.role == Role::Swap || variant.role == Role::Original && variant.delta.is_some();
        if timed && compared && variant.latency.is_some() {
            section = section.line(sentence(record, variant));
        }
    }
    section
}

fn sentence(record: &Record, variant: &Variant) -> String {
    let subject = facts::phrase(record, variant);
    let base = match facts::only_activation(record) {
        _ if variant.model.is_some() => facts::original(record).map_or_else(String::new, |v| v.name.clone()),
        Some(activation) if variant.sites.iter().all(|s| s.from != s.to) => activation.to_string(),
        _ => "the original".into(),
    };
    match &variant.delta {
        Some(delta) => told(&subject, &base, delta),
        None => format!("{subject}: there is no original to compare it against."),
    }
}

/// What tables call a verdict.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Slower => "slower",
        Verdict::Faster => "faster",
        Verdict::None => "none",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// What a comparison found.
pub fn told(subject: &str, base: &str, delta: &Delta) -> String {
    let Some([low, high]) = delta.interval else {
        return format!(
            "{subject} took {} times as long as {base}. One fork gives no interval, so this is no verdict \
             (--forks 2 or more gives one).",
            ratio(delta.ratio, None)
        );
    };
    let between = format!("{} to {}", signed_percent(low), signed_percent(high));
    match delta.verdict {
        Verdict::None => {
            let seen =
                delta.resolution.map(|seen| format!(" One of {}% could have been seen.", percent(seen)));
            format!("{subject} against {base}: no difference found ({between}%).{}", seen.unwrap_or_default())
        }
        Verdict::Inconclusive => inconclusive(subject, base, &between, delta),
        Verdict::Slower | Verdict::Faster if !(1.0 / TIMES..TIMES).contains(&delta.ratio) => format!(
            "{subject} takes {} times as long as {base} ({} to {}).",
            times(delta.ratio),
            times(low),
            times(high)
        ),
        Verdict::Slower => format!(
            "{subject} is {}% slower than {base} ({} to {}).",
            percent(delta.ratio - 1.0),
            percent(low - 1.0),
            percent(high - 1.0)
        ),
        Verdict::Faster => format!(
            "{subject} is {}% faster than {base} ({} to {}).",
            percent(1.0 - delta.ratio),
            percent(1.0 - high),
            percent(1.0 - low)
        ),
    }
}

fn inconclusive(subject: &str, base: &str, between: &str, delta: &Delta) -> String {
    if delta.resolution.is_none_or(|resolution| resolution > BLIND) {
        return format!(
            "{subject} against {base}: inconclusive: this measurement could not even have seen a difference of \
             {}%. It was too short or too disturbed: give more --time or --forks, and an idle machine.",
            (BLIND * 100.0).round()
        );
    }
    let seen = percent(delta.resolution.unwrap_or(BLIND));
    format!(
        "{subject} against {base}: inconclusive ({between}%): this measurement could only have seen ±{seen}%; more \
         --time or --forks sees more."
    )
}
