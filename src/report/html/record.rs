//! The page of a record, or of several.

use super::markup::{Html, element, folded, said};
use super::page::{Page, beside, paired};
use super::part::Part;
use super::{
    across, aligned, convolutions, memory, ratios, repeat, run, samples, sections, sites, tables, time,
};
use crate::compare::across::{Across, why_not};
use crate::compare::{NamedRecord, distinct};
use crate::record::{Record, Role, Variant};
use crate::report::section::Section;
use crate::report::{
    Breakdowns, By, activations, cold_start, facts, header, memory as memory_tables, networks,
    ops as op_tables, sites as site_tables, steadiness, text, types, variants, verdict,
};
use crate::units;

/// The most variants that are drawn one by one, of one record and of several together.
const DRAWN: usize = 8;

/// `over` is what is said over devices, if the records are of several.
pub fn page(records: &[NamedRecord], over: Option<&Across>, breakdowns: &Breakdowns) -> String {
    let parts = parts(records);
    let mut page = match parts.as_slice() {
        [one] => Page::new(title(&parts), sections::section(&header::section(one.record), false)),
        _ => Page::new(
            title(&parts),
            said("p", &format!("{} records side by side, then one after another", parts.len())),
        ),
    };
    if parts.len() > 1 {
        let inside = over.map_or_else(|| ratios::across_records(&parts), across::inside);
        let why = if over.is_none() { why_not(records) } else { None };
        let why = why.map_or_else(Html::default, |why| said("p", &format!("No table over devices: {why}.")));
        page.section("Side by side", [why, inside]);
    }
    for part in &parts {
        add(&mut page, part, parts.len() > 1, breakdowns);
    }
    page.tables(tables::of_records(&parts).into_iter().chain(aligned::tables(&parts)).collect());
    for part in &parts {
        page.section(
            &named("Environment, and how to repeat it", part, parts.len() > 1),
            [repeat::record(part.record)],
        );
    }
    page.finish()
}

fn title(parts: &[Part]) -> String {
    let names =
        distinct(parts.iter().flat_map(|part| facts::models(part.record)).map(|model| model.name.as_str()));
    text::shorten(&names.join(" and "), 90)
}

fn parts<'r>(records: &[NamedRecord<'r>]) -> Vec<Part<'r>> {
    let most = (DRAWN / records.len().max(1)).max(2);
    let part = |(at, named): (usize, &NamedRecord<'r>)| Part {
        name: named.name,
        record: named.record,
        drawn: drawn(named.record, most),
        id: format!("r{at}"),
    };
    records.iter().enumerate().map(part).collect()
}

/// The originals, then others in order.
fn drawn(record: &Record, most: usize) -> Vec<&Variant> {
    let (mut first, rest): (Vec<&Variant>, Vec<&Variant>) =
        facts::broken_down(record).partition(|variant| variant.role == Role::Original);
    first.extend(rest);
    first.truncate(most);
    first
}

fn named(heading: &str, part: &Part, several: bool) -> String {
    if several { format!("{heading}: {}", text::shorten(part.name, 60)) } else { heading.to_owned() }
}

/// A record's own sections, in the order in which people ask.
fn add(page: &mut Page, part: &Part, several: bool, shown: &Breakdowns) {
    let record = part.record;
    let head = if several { open(&[header::section(record)]) } else { Html::default() };
    page.section(&named("What was found", part, several), [head, verdicts(record)]);
    // The contents of several name each once.
    let mut add = |heading: &str, inside: Html| match several {
        true => drop(page.unlisted(&named(heading, part, several), [inside])),
        false => page.section(heading, [inside]),
    };
    let tables = open(&[variants::section(record), networks::section(record)]);
    add("Ratios and times", paired(ratios::figures(part), tables));
    add("Time by type of operator", paired(time::figures(part), folded_away(&by_group(record, shown))));
    let ops = one_by_one(part, shown, By::Op, |v| op_tables::section(record, v, shown.top));
    add(
        "The network in its order",
        [run::figures(part), folded_away(&ops), left_out(part)].into_iter().collect(),
    );
    add("Memory", paired(memory::curve(part), open(&[memory_tables::section(record)])));
    let sites = one_by_one(part, shown, By::Site, |v| site_tables::section(record, v, shown.top));
    add("Activations by site", paired(beside([sites::figure(part)]), folded_away(&sites)));
    add("Latency against memory", beside([memory::against_latency(part)]));
    let quality = open(&[steadiness::section(record), cold_start::section(record)]);
    add("Runs over time and by process", [samples::figures(part), quality].into_iter().collect());
    add("Convolutions", convolutions::figures(part));
}

fn open(all: &[Section]) -> Html {
    sections::sections(all, false)
}

fn folded_away(all: &[Section]) -> Html {
    sections::sections(all, true)
}

/// The breakdowns that have all variants side by side.
fn by_group(record: &Record, shown: &Breakdowns) -> Vec<Section> {
    let group = |by: &By| match by {
        By::Type => types::sections(record, types::TYPE, shown.top),
        By::Shape => types::sections(record, types::SHAPE, shown.top),
        By::Activation => activations::sections(record),
        By::Op | By::Site => vec![],
    };
    shown.by.iter().flat_map(group).collect()
}

/// The breakdowns that have a table a variant, of those that are drawn.
fn one_by_one(part: &Part, shown: &Breakdowns, by: By, table: impl Fn(&Variant) -> Section) -> Vec<Section> {
    let wanted = shown.by.contains(&by);
    part.drawn.iter().filter(|v| wanted && (by == By::Op || !v.sites.is_empty())).map(|v| table(v)).collect()
}

/// The first verdicts, and all others folded away.
fn verdicts(record: &Record) -> Html {
    const FIRST: usize = 20;
    let mut first = verdict::section(record);
    if first.is_empty() {
        return said("p", "Nothing was compared: no variant beside the original.");
    }
    let parts = first.parts.split_off(first.parts.len().min(FIRST));
    let more = units::count(parts.len(), "more verdict");
    let more = (!parts.is_empty()).then(|| folded(&more, [open(&[Section { parts, ..Section::default() }])]));
    element("div", &[("class", "verdicts")], std::iter::once(open(&[first])).chain(more))
}

/// How many variants are not drawn one by one.
fn left_out(part: &Part) -> Html {
    match facts::broken_down(part.record).count() - part.drawn.len() {
        0 => Html::default(),
        n => said(
            "p",
            &format!(
                "{} of {} variants are drawn one by one; the tables below have all.",
                part.drawn.len(),
                part.drawn.len() + n
            ),
        ),
    }
}
