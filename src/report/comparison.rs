//! A comparison of records for people: what changed, how sure that is, and what could not be seen.

use super::comparison_csv::outcome;
use super::csv::verdict as word;
use super::grid::Grid;
use super::section::Section;
use super::text::shorten;
use super::verdict::told;
use crate::compare::{Against, Breakdown, Comparison, JoinedBy, Matched, Source, difference};
use crate::record::{Delta, Role, Verdict};
use crate::units::{self, Scale, percent};

/// Newer records side by side in one table.
const BAND: usize = 3;
/// A record's name above its column.
const TITLE: usize = 26;

pub fn sections(comparison: &Comparison, top: usize) -> Vec<Section> {
    let base = &comparison.base;
    let mut head = Section::plain().line(about("base", base)).warnings(warnings("base", base));
    let mut sections = vec![];
    if comparison.against.len() > 1 {
        sections.extend(overview(comparison));
    }
    for against in &comparison.against {
        head = one(comparison, against, top, head, &mut sections);
    }
    sections
}

fn warnings(what: &str, source: &Source) -> impl Iterator<Item = String> {
    source.warnings.iter().map(move |warning| format!("{what}: {warning}"))
}

fn about(what: &str, source: &Source) -> String {
    let Source { name, model, engine, started_at, forks, .. } = source;
    let records = match source.records {
        1 => String::new(),
        n => format!("{n} records, "),
    };
    format!("{what} {name}: {model} | {engine} | {records}{} | {started_at}", units::count(*forks, "fork"))
}

/// Every variant's ratio in every newer record.
fn overview(comparison: &Comparison) -> Vec<Section> {
    let mut names: Vec<&str> = vec![];
    for matched in comparison.against.iter().flat_map(|a| &a.variants) {
        if !names.contains(&matched.name.as_str()) {
            names.push(&matched.name);
        }
    }
    let table = |band: &[Against]| {
        let titles = band.iter().map(|a| shorten(&a.new.name, TITLE));
        let mut grid = titles.fold(Grid::new().name("new / base"), |grid, title| grid.number(&title));
        for name in &names {
            let cell = |a: &Against| {
                let change = a.variants.iter().find(|m| m.name == *name).and_then(|m| m.change.as_ref());
                change.map_or("-".into(), |c| units::ratio(c.ratio, c.interval))
            };
            grid.row(std::iter::once(name.to_string()).chain(band.iter().map(cell)));
        }
        Section::plain().table(grid)
    };
    comparison.against.chunks(BAND).map(table).collect()
}

/// One newer record: adds its sections, the first of which is `head` continued.
fn one(
    comparison: &Comparison,
    against: &Against,
    top: usize,
    head: Section,
    sections: &mut Vec<Section>,
) -> Section {
    let new = &against.new;
    let differs = against.differences.iter().map(|d| format!("differs: {}: {} -> {}", d.what, d.base, d.new));
    let head = head
        .line(about("new", new))
        .warnings(warnings("new", new))
        .lines(differs)
        .lines(alone("base", &against.only_base))
        .lines(alone("new", &against.only_new));
    let mut found = Section::plain().warnings(against.no_latency.clone());
    for matched in &against.variants {
        found = found.warnings(failures(matched));
        found = found.lines(matched.change.as_ref().map(|c| sentence(&matched.name, c, against.drift)));
    }
    sections.extend([head, found]);
    if against.no_latency.is_none() {
        sections.push(latencies(comparison, against));
    }
    sections.push(memory(against));
    if against.no_latency.is_none() {
        for matched in against.variants.iter().filter(|m| m.role != Role::Control) {
            sections.extend(section(matched, "op", &matched.ops, top));
            sections.extend(section(matched, "site", &matched.sites, top));
        }
    }
    Section::plain()
}

fn alone(which: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("only in {which}: {}", names.join(" | ")))
}

fn failures(matched: &Matched) -> Vec<String> {
    let sides = [("base", &matched.base), ("new", &matched.new)];
    let failure = |(which, side): (&str, &crate::compare::Half)| {
        Some(format!("{} of {which}: {}", side.name, side.error.as_ref()?))
    };
    sides.into_iter().filter_map(failure).collect()
}

/// What changed, with the smallest difference that could have been seen where none was.
fn sentence(name: &str, change: &Delta, drift: f64) -> String {
    let told = told(name, "the base", change);
    match (change.verdict, change.interval) {
        (Verdict::None, Some([low, high])) if low > 1.0 || high < 1.0 => format!(
            "{told} The machine itself may differ by {}% from one measurement to the next.",
            percent(drift)
        ),
        _ => told,
    }
}

fn latencies(comparison: &Comparison, against: &Against) -> Section {
    let p50 = |side: &crate::compare::Half| side.latency.map(|l| l.p50_ns);
    let largest = against.variants.iter().flat_map(|m| [p50(&m.base), p50(&m.new)]).flatten().max();
    let Some(largest) = largest else { return Section::plain() };
    let scale = Scale::time(largest);
    let mut grid = Grid::new()
        .name("variant")
        .number(&format!("base p50 {}", scale.unit))
        .number(&format!("new p50 {}", scale.unit))
        .number("new / base, unpaired")
        .number("sees ±")
        .number("verdict");
    if let Some(limit) = comparison.max_regression {
        grid = grid.number(&format!("limit {}%", percent(limit).trim_end_matches(".0")));
    }
    let figure = |ns: Option<u64>| ns.map_or("-".into(), |ns| scale.text(ns));
    for matched in &against.variants {
        let change = matched.change.as_ref();
        let mut cells = vec![
            matched.name.clone(),
            figure(p50(&matched.base)),
            figure(p50(&matched.new)),
            change.map_or("-".into(), |c| units::ratio(c.ratio, c.interval)),
            change.and_then(|c| c.resolution).map_or("-".into(), units::share),
            change.map_or("-", |c| word(c.verdict)).into(),
        ];
        cells.extend(matched.outcome.map(|o| outcome(o).to_owned()));
        grid.row(cells);
    }
    let several = if against.variants.len() > 1 { " by Holm's procedure" } else { "" };
    let together =
        if against.variants.len() > 1 { "all verdicts hold together" } else { "the verdict holds" };
    let repeated = match (comparison.base.records, against.new.records) {
        (1, 1) => "; several records a side (--pool, --base) see less",
        _ => "",
    };
    Section::plain().table(grid).line(format!(
        "unpaired [interval: Welch over forks, so wide that {together} at {}%{several}]: the records were measured at \
         different times. Whatever else changed on the machine in between counts as a difference, and less than {}% \
         is not called{repeated}; oplat profile measures two variants paired, which sees far less",
        percent(comparison.confidence).trim_end_matches(".0"),
        percent(against.drift).trim_end_matches(".0")
    ))
}

/// One figure where both records have the same, else both.
fn memory(against: &Against) -> Section {
    let sizes = || against.variants.iter().flat_map(|m| &m.memory).flat_map(|f| [f.base_bytes, f.new_bytes]);
    let Some(largest) = sizes().flatten().max() else { return Section::plain() };
    let scale = Scale::bytes(largest).coarse(2);
    let figure = |bytes: Option<u64>| bytes.map_or("-".into(), |bytes| scale.text(bytes));
    let mut titles: Vec<&str> = vec![];
    for figures in against.variants.iter().flat_map(|m| &m.memory) {
        if !titles.contains(&figures.what) {
            titles.push(figures.what);
        }
    }
    let start = Grid::new().name(&format!("memory, {}", scale.unit));
    let mut grid = titles.iter().fold(start, |grid, title| grid.number(title));
    for matched in &against.variants {
        let cell = |title: &&str| {
            let figures = matched.memory.iter().find(|f| f.what == *title);
            let (base, new) = figures.map_or((None, None), |f| (f.base_bytes, f.new_bytes));
            let (base, new) = (figure(base), figure(new));
            if base == new { base } else { format!("{base} -> {new}") }
        };
        grid.row(std::iter::once(matched.name.clone()).chain(titles.iter().map(cell)));
    }
    Section::details("memory").table(grid)
}

fn signed(scale: Scale, value: i64) -> String {
    let text = scale.signed(value as f64);
    match value {
        0 => "0".into(),
        1.. => format!("+{text}"),
        _ => text,
    }
}

fn section(matched: &Matched, noun: &str, breakdown: &Breakdown, top: usize) -> Option<Section> {
    let rows = &breakdown.rows;
    let largest = rows.iter().flat_map(|pair| [pair.base_ns, pair.new_ns]).flatten().max()?;
    let scale = Scale::time(largest);
    let figure = |ns: Option<u64>| ns.map_or("-".into(), |ns| scale.text(ns));
    let (shown, rest) = rows.split_at(top.min(rows.len()));
    let mut grid = Grid::new()
        .name(noun)
        .name("node")
        .name("shape")
        .number(&format!("base\nmean {}", scale.unit))
        .number(&format!("new\nmean {}", scale.unit))
        .number("\ndifference");
    let mut add = |cells: [String; 3], base: Option<u64>, new: Option<u64>| {
        let difference = match (base, new) {
            (None, None) => "-".into(),
            _ => signed(scale, difference(base, new)),
        };
        grid.row(cells.into_iter().chain([figure(base), figure(new), difference]));
    };
    for pair in shown {
        let mark = match pair.joined_by {
            JoinedBy::Shape => " (by shape)",
            JoinedBy::Name | JoinedBy::Nothing => "",
        };
        add(
            [format!("{}{mark}", pair.what), pair.node.clone(), pair.shape.clone()],
            pair.base_ns,
            pair.new_ns,
        );
    }
    let sum = |of: fn(&crate::compare::Pair) -> Option<u64>| rest.iter().filter_map(of).reduce(|a, b| a + b);
    if !rest.is_empty() {
        let more = units::count(rest.len(), &format!("more {noun}"));
        add([more, String::new(), String::new()], sum(|p| p.base_ns), sum(|p| p.new_ns));
    }
    if breakdown.base_unaccounted_ns.is_some() || breakdown.new_unaccounted_ns.is_some() {
        let name = ["unaccounted".to_owned(), String::new(), String::new()];
        add(name, breakdown.base_unaccounted_ns, breakdown.new_unaccounted_ns);
    }
    let title = format!(
        "{}: {} of {} by difference (attribution from profiled runs: no verdict)",
        matched.name,
        shown.len(),
        units::count(rows.len(), noun)
    );
    Some(Section::headed(title).table(grid).lines(joined(breakdown, noun)))
}

/// What was not joined by name.
fn joined(breakdown: &Breakdown, noun: &str) -> Option<String> {
    let sort = if noun == "site" { "activation" } else { "operator" };
    let parts = [
        (
            JoinedBy::Shape,
            format!("joined by {sort} and shape, in order, for want of a node of the same name"),
        ),
        (JoinedBy::Nothing, "in one record only".to_owned()),
    ];
    let parts = parts.into_iter().map(|(by, how)| (breakdown.count(by), how)).filter(|&(n, _)| n > 0);
    let parts: Vec<String> = parts.map(|(n, how)| format!("{how}: {}", units::count(n, noun))).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
