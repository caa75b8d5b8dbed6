//! What was found, in a sentence for each variant: before any table, since it answers what was asked.

use super::facts;
use super::section::{Section, Tone};
use crate::record::{ActivationCost, Delta, Margin, Record, Role, Variant, Verdict};
use crate::units::{self, percent, ratio};

/// From this ratio on, people say "times as long" and not "per cent slower".
const TIMES: f64 = 2.0;

/// Where not even such a difference could have been seen, as a share, the interval is not worth showing.
const BLIND: f64 = 0.5;

/// Why no times are shown.
pub const EMULATED: &str = "The target is emulated: the emulator's times say nothing about a device, so none are shown. \
                            Operators, memory and outputs hold.";

pub fn section(record: &Record) -> Section {
    let timed = facts::timed(record);
    let (mut section, mut blind) = (Section::plain(), vec![]);
    if !timed {
        section = section.line(EMULATED);
    }
    for variant in &record.variants {
        if let Some(failure) = failure(record, variant) {
            section = section.toned(failure, Some(Tone::Bad));
        }
        if !timed || !is_compared(variant) {
            continue;
        }
        let (subject, base) = (facts::phrase(record, variant), base(record, variant));
        let Some(delta) = &variant.delta else {
            section = section.line(format!("{subject}: there is no original to compare it against."));
            continue;
        };
        match finding(&subject, &base, delta, claims(record)) {
            Finding::Blind => blind.push(subject),
            Finding::Kept(line) => section = section.line(line),
            _ => section = section.toned(told(&subject, &base, delta, claims(record)), tone(delta)),
        }
    }
    if blind.is_empty() {
        return section;
    }
    let most = (BLIND * 100.0).round();
    let line = format!(
        "Inconclusive: {}. This measurement would hardly find even a difference of {most}%: it was too short or too disturbed. \
         Give more --time or --forks, and an idle machine.",
        blind.join(", ")
    );
    section.toned(line, Some(Tone::Open))
}

/// What verdicts of a record claim: its runs are paired.
pub fn claims(record: &Record) -> Claims {
    Claims { margin: record.settings.margin, drift: 0.0, limit: record.settings.max_regression }
}

/// What a variant is compared with, in running text.
pub fn base(record: &Record, variant: &Variant) -> String {
    match facts::only_activation(record) {
        _ if variant.model.is_some() => {
            variant.delta.as_ref().map_or_else(String::new, |d| d.against.clone())
        }
        Some(activation) if variant.sites.iter().all(|s| s.from != s.to) => activation.to_owned(),
        _ => "the original".into(),
    }
}

/// Whether a variant's comparison is one of those that were asked for.
pub fn is_compared(variant: &Variant) -> bool {
    let compared = variant.role == Role::Swap || variant.role == Role::Original && variant.delta.is_some();
    compared && variant.latency.is_some()
}

/// What became of a variant that failed, or that has not all that it should.
pub fn failure(record: &Record, variant: &Variant) -> Option<String> {
    let what = if variant.latency.is_some() { "is incomplete" } else { "failed" };
    Some(format!("{} {what}: {}", facts::phrase(record, variant), variant.error.as_ref()?))
}

/// Whether a verdict is good news.
pub fn tone(delta: &Delta) -> Option<Tone> {
    match delta.verdict {
        Verdict::Slower => Some(Tone::Bad),
        Verdict::Faster => Some(Tone::Good),
        Verdict::Inconclusive => Some(Tone::Open),
        Verdict::None => None,
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
    /// How much slower it may be, as a share, if that is what was asked.
    pub limit: Option<f64>,
}

/// What a comparison found, and what it could have found.
pub fn told(subject: &str, base: &str, delta: &Delta, claims: Claims) -> String {
    let could = delta.resolution.map_or_else(String::new, |seen| format!(" {}", found(seen)));
    match finding(subject, base, delta, claims) {
        Finding::Change(line) | Finding::Unknown(line) | Finding::Kept(line) => line,
        Finding::None(line) => line + &could,
        Finding::Open(line) => format!(
            "{line} There may be a difference of {}% or more, or none.{could} More --time or --forks find a smaller one.",
            trimmed(claims.margin.0)
        ),
        Finding::Blind => format!(
            "{subject} against {base}: inconclusive: this measurement would hardly find even a difference of {}%. It was too \
             short or too disturbed: give more --time or --forks, and an idle machine.",
            (BLIND * 100.0).round()
        ),
    }
}

/// What a comparison found, in a sentence with its interval.
pub enum Finding {
    /// Slower or faster.
    Change(String),
    /// No difference that matters.
    None(String),
    /// No slower than the limit that was asked for; more was not asked.
    Kept(String),
    /// Inconclusive: the interval says how much it may be.
    Open(String),
    /// Inconclusive, and the interval says nothing.
    Blind,
    /// There is no interval.
    Unknown(String),
}

pub fn finding(subject: &str, base: &str, delta: &Delta, claims: Claims) -> Finding {
    let Some([low, high]) = delta.interval else {
        return Finding::Unknown(format!(
            "{subject} took {} times as long as {base}. Too few forks for an interval, so this is no verdict: give more \
             --time or --forks.",
            ratio(delta.ratio, None)
        ));
    };
    match delta.verdict {
        Verdict::None => Finding::None(format!(
            "{subject} against {base}: no difference of {}% or more ({}){}.",
            trimmed(claims.margin.0),
            between(delta.ratio, low, high),
            aside(claims)
        )),
        Verdict::Inconclusive if claims.limit.is_some_and(|limit| delta.keeps(limit) == Some(true)) => {
            Finding::Kept(format!(
                "{subject} is not slower than {base} by more than {}% ({}).",
                trimmed(claims.limit.unwrap_or_default()),
                between(delta.ratio, low, high)
            ))
        }
        Verdict::Inconclusive if is_blind(delta) => Finding::Blind,
        Verdict::Inconclusive => Finding::Open(format!(
            "{subject} against {base}: inconclusive ({}).",
            between(delta.ratio, low, high)
        )),
        Verdict::Slower | Verdict::Faster => {
            Finding::Change(format!("{subject} {}.", change(base, delta.ratio, low, high)))
        }
    }
}

/// Whether the interval is so wide that it says nothing.
pub fn is_blind(delta: &Delta) -> bool {
    delta.interval.is_some()
        && delta.verdict == Verdict::Inconclusive
        && delta.resolution.is_none_or(|seen| seen > BLIND)
}

/// Whether a cost may be off by so much of the variant's own time that it says nothing.
pub fn is_blind_cost(cost: &ActivationCost, variant: &Variant) -> bool {
    let (Some([low, high]), Some(latency)) = (cost.interval, variant.latency) else { return false };
    (high - low) as f64 / 2.0 > BLIND * latency.p50_ns as f64
}

/// `is 14% slower than silu (11 to 17%)`, `takes 3.4 times as long as silu (3.2 to 3.6)`.
fn change(base: &str, ratio: f64, low: f64, high: f64) -> String {
    if ratio >= TIMES {
        let [ratio, low, high] = units::factors([ratio, low, high]);
        return format!("takes {ratio} times as long as {base} ({low} to {high})");
    }
    if ratio <= 1.0 / TIMES {
        let [times, least, most] = units::factors([1.0 / ratio, 1.0 / high, 1.0 / low]);
        return format!("is {times} times as fast as {base} ({least} to {most})");
    }
    if ratio >= 1.0 {
        let [more, least, most] = units::percents([ratio - 1.0, low - 1.0, high - 1.0]);
        format!("is {more}% slower than {base} ({least} to {most}%)")
    } else {
        let [less, least, most] = units::percents([1.0 - ratio, 1.0 - high, 1.0 - low]);
        format!("is {less}% faster than {base} ({least} to {most}%)")
    }
}

/// `-3.4 to +3.1%`
fn between(ratio: f64, low: f64, high: f64) -> String {
    let [_, least, most] = units::percents([ratio - 1.0, low - 1.0, high - 1.0]);
    let signed = |text: String, value: f64| {
        let positive = value > 0.0 && text.contains(|c| matches!(c, '1'..='9'));
        if positive { format!("+{text}") } else { text }
    };
    format!("{} to {}%", signed(least, low - 1.0), signed(most, high - 1.0))
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
    format!("Four of five such measurements find a difference of {}%.", percent(seen))
}

fn trimmed(share: f64) -> String {
    percent(share).trim_end_matches(".0").to_owned()
}
