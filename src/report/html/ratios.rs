//! Ratios with their intervals.

use super::markup::{Html, said};
use super::page::{beside, figure};
use super::part::Part;
use crate::compare::distinct;
use crate::plot::{Estimate, Forest};
use crate::record::{Delta, Record, Variant, Verdict};
use crate::report::{facts, verdict};
use crate::units;

/// A forest for each engine, and one of each later engine against the first.
pub fn figures(part: &Part) -> Html {
    let record = part.record;
    if !facts::timed(record) {
        return Html::default();
    }
    let several = facts::has_engines(record);
    let own = distinct(record.variants.iter().map(|v| v.engine.as_str())).into_iter().map(|engine| {
        let of_it = record.variants.iter().filter(|v| v.engine == engine);
        let against = if several {
            format!("in {engine}, to the original in the same engine")
        } else {
            "to the original".into()
        };
        forest(
            part,
            &format!("own-{engine}"),
            &format!("Ratio of times {against}"),
            of_it.filter_map(|v| Some((v, v.delta.as_ref()?))),
        )
    });
    let across = facts::engines(record).iter().skip(1).map(|engine| {
        let first = &facts::engines(record)[0].id;
        let of_it = record.variants.iter().filter(|v| v.engine == engine.id);
        let title = format!("Ratio of times in {} to those in {first}", engine.id);
        forest(
            part,
            &format!("across-{}", engine.id),
            &title,
            of_it.filter_map(|v| Some((v, v.across.as_ref()?))),
        )
    });
    beside(own.chain(across))
}

fn forest<'r>(
    part: &Part,
    id: &str,
    title: &str,
    rows: impl Iterator<Item = (&'r Variant, &'r Delta)>,
) -> Html {
    let rows = rows.map(|(variant, delta)| estimate(facts::label(part.record, variant), Some(delta)));
    drawn(
        part.record,
        &format!("{}-{}", part.id, id.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
        title,
        rows.collect(),
    )
}

fn drawn(record: &Record, id: &str, title: &str, rows: Vec<Estimate>) -> Html {
    if rows.is_empty() {
        return Html::default();
    }
    if rows.iter().all(|row| row.ratio.is_none()) {
        return said("p", &format!("{title}: no interval tells anything, so none is drawn."));
    }
    let margin = record.settings.margin.0;
    let plot = Forest { title, axis: "ratio of paired runs, below 1 is faster", rows, margin };
    let caption = format!(
        "{title}{}. The band: differences below {}%, which are called none. A filled mark is slower or faster for sure; an arrow says \
         that the interval goes on. The table below has the figures.",
        facts::interval_note(record),
        units::percent(margin).trim_end_matches(".0")
    );
    figure(plot.svg(id), &caption, Html::default())
}

/// A row of a forest.
pub fn estimate(name: String, delta: Option<&Delta>) -> Estimate {
    let Some(delta) = delta else {
        return Estimate { name, ratio: None, interval: None, told: "not known".into(), sure: false };
    };
    let word = match delta.interval {
        Some(_) => verdict::word(delta.verdict),
        None => "one process, no interval",
    };
    if verdict::is_blind(delta) {
        let told = format!("{word}: the interval says nothing");
        return Estimate { name, ratio: None, interval: None, told, sure: false };
    }
    let word = if delta.verdict == Verdict::None && delta.interval.is_some() {
        "no difference that matters"
    } else {
        word
    };
    Estimate {
        name,
        ratio: Some(delta.ratio),
        interval: delta.interval,
        told: format!("{} {word}", units::ratio(delta.ratio, delta.interval)),
        sure: matches!(delta.verdict, Verdict::Slower | Verdict::Faster),
    }
}

/// Each variant's ratio in every record, one below another.
pub fn across_records(parts: &[Part]) -> Html {
    let timed = || parts.iter().filter(|part| facts::timed(part.record));
    let names = distinct(
        timed().flat_map(|part| &part.record.variants).filter(|v| v.delta.is_some()).map(|v| v.name.as_str()),
    );
    let row = |name: &str, part: &Part| {
        let delta = part.record.variants.iter().find(|v| v.name == name)?.delta.as_ref()?;
        Some(estimate(format!("{name}: {}", part.name), Some(delta)))
    };
    let rows: Vec<Estimate> =
        names.iter().flat_map(|name| timed().filter_map(move |part| row(name, part))).collect();
    let Some(first) = timed().next() else { return Html::default() };
    beside([drawn(first.record, "all-ratios", "Ratio of times to each record's own original", rows)])
}
