//! What was found, in a sentence for each variant: before any table, since it answers what was asked.

use super::facts;
use super::section::Section;
use crate::record::{Delta, Engine, Margin, Record, Role, Variant, Verdict};
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
    section.lines(between_engines(record).into_iter().filter(|_| timed))
}

/// The same networks in each further engine against the first.
fn between_engines(record: &Record) -> Vec<String> {
    let [first, others @ ..] = facts::engines(record) else { return vec![] };
    let line = |engine: &Engine| {
        let of_it = record.variants.iter().filter(|v| v.engine == engine.id && v.role != Role::Control);
        let ratios = of_it.filter_map(|v| {
            let across = v.across.as_ref()?;
            Some(format!("{} {}", facts::label(record, v), ratio(across.ratio, across.interval)))
        });
        let ratios: Vec<String> = ratios.collect();
        (!ratios.is_empty()).then(|| {
            format!("{} against {}, times of the same network: {}", engine.id, first.id, ratios.join(" | "))
        })
    };
    others.iter().filter_map(line).collect()
}

fn sentence(record: &Record, variant: &Variant) -> String {
    let subject = facts::phrase(record, variant);
    let base = match facts::only_activation(record) {
        _ if variant.model.is_some() => {
            variant.delta.as_ref().map_or_else(String::new, |d| d.against.clone())
        }
        Some(activation) if variant.sites.iter().all(|s| s.from != s.to) => activation.to_string(),
        _ => "the original".into(),
    };
    match &variant.delta {
        Some(delta) => told(&subject, &base, delta, Claims { margin: record.settings.margin, drift: 0.0 }),
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

/// What a verdict claims beside its interval.
#[derive(Clone, Copy)]
pub struct Claims {
    /// The largest difference that is called none.
    pub margin: Margin,
    /// What the machine itself may differ by, where runs are not paired; else 0.
    pub drift: f64,
}

/// What a comparison found.
pub fn told(subject: &str, base: &str, delta: &Delta, claims: Claims) -> String {
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
            let found = delta.resolution.map_or_else(String::new, |seen| format!(" {}", found(seen)));
            format!(
                "{subject} against {base}: no difference of {}% or more ({between}%){}.{found}",
                trimmed(claims.margin.0),
                aside(claims)
            )
        }
        Verdict::Inconclusive => inconclusive(subject, base, &between, delta, claims),
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

fn inconclusive(subject: &str, base: &str, between: &str, delta: &Delta, claims: Claims) -> String {
    let Some(seen) = delta.resolution.filter(|&resolution| resolution <= BLIND) else {
        return format!(
            "{subject} against {base}: inconclusive: this measurement would hardly find even a difference of {}%. It \
             was too short or too disturbed: give more --time or --forks, and an idle machine.",
            (BLIND * 100.0).round()
        );
    };
    format!(
        "{subject} against {base}: inconclusive ({between}%): there may be a difference of {}% or more, or none. {} \
         More --time or --forks find a smaller one.",
        trimmed(claims.margin.0),
        found(seen)
    )
}

/// What the machine may add.
fn aside(claims: Claims) -> String {
    match claims.drift {
        0.0 => String::new(),
        drift => format!(", leaving aside the {}% that the machine itself may drift by", trimmed(drift)),
    }
}

/// Which difference such a measurement finds.
fn found(seen: f64) -> String {
    format!("One of {}% is found in four of five such measurements.", percent(seen))
}

fn trimmed(share: f64) -> String {
    percent(share).trim_end_matches(".0").to_owned()
}
