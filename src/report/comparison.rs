//! A comparison of records for people: what changed, how sure that is, and what could not be seen.

use super::grid::{Grid, known};
use super::section::Section;
use super::text::shorten;
use super::verdict::{Claims, is_blind, told, tone, word};
use crate::compare::{
    Against, Breakdown, Comparison, JoinedBy, Matched, MatchedSide, Pair, Source, difference, distinct,
};
use crate::record::{Delta, Role};
use crate::units::{self, Scale, percent};

/// The most newer records side by side in one table; more go into another below it.
const BAND: usize = 3;
/// Width of a record's name above its column.
const TITLE: usize = 26;

pub fn sections(comparison: &Comparison, top: usize) -> Vec<Section> {
    let base = &comparison.base;
    let mut head = Section::plain().line(about("base", base)).warnings(warnings("base", base));
    let mut sections = vec![];
    if comparison.against.len() > 1 {
        sections.extend(overview(comparison));
    }
    for against in &comparison.against {
        // What is said of the base begins the first newer record's section.
        sections.push(introduction(std::mem::take(&mut head), against));
        sections.push(findings(comparison, against));
        sections.extend(figures(comparison, against, top));
    }
    sections
}

pub fn warnings(what: &str, source: &Source) -> impl Iterator<Item = String> {
    source.warnings.iter().map(move |warning| format!("{what}: {warning}"))
}

pub fn about(what: &str, source: &Source) -> String {
    let Source { name, model, engine, started_at, forks, .. } = source;
    let records = match source.records {
        1 => String::new(),
        n => format!("{n} records, "),
    };
    format!("{what} {name}: {model} | {engine} | {records}{} | {started_at}", units::count(*forks, "fork"))
}

/// Every variant's ratio in every newer record.
pub fn overview(comparison: &Comparison) -> Vec<Section> {
    let names = distinct(comparison.against.iter().flat_map(|a| &a.variants).map(|m| m.name.as_str()));
    let table = |band: &[Against]| {
        let titles = band.iter().map(|a| shorten(&a.new.name, TITLE));
        let mut grid = titles.fold(Grid::new().name("new / base"), |grid, title| grid.number(&title));
        for name in &names {
            let cell = |a: &Against| {
                let change = a.variants.iter().find(|m| m.name == *name).and_then(|m| m.change.as_ref());
                known(change, |c| units::ratio(c.ratio, c.interval))
            };
            grid.row(std::iter::once(name.to_string()).chain(band.iter().map(cell)));
        }
        Section::plain().table(grid)
    };
    comparison.against.chunks(BAND).map(table).collect()
}

/// What a newer record is, and what is not the same in the base.
fn introduction(head: Section, against: &Against) -> Section {
    let differs = against.differences.iter().map(|d| format!("differs: {}: {} -> {}", d.what, d.base, d.new));
    let head = head.line(about("new", &against.new)).warnings(warnings("new", &against.new));
    in_one_only(head.lines(differs), against)
}

/// Variants that nothing is compared with.
pub fn in_one_only(section: Section, against: &Against) -> Section {
    section.warnings(alone("base", &against.only_base)).lines(alone("new", &against.only_new))
}

/// What failed and what changed, in a sentence a variant.
pub fn findings(comparison: &Comparison, against: &Against) -> Section {
    let section = Section::plain().warnings(against.no_latency.clone());
    let claims = Claims { margin: comparison.margin, drift: against.drift, limit: None };
    let mut blind: Vec<(&str, &Delta)> = vec![];
    let section = against.variants.iter().fold(section, |section, matched| {
        let section = section.warnings(failures(matched));
        match &matched.change {
            Some(change) if is_blind(change) => {
                blind.push((&matched.name, change));
                section
            }
            Some(change) => section.toned(told(&matched.name, "the base", change, claims), tone(change)),
            None => section,
        }
    });
    // What holds for all of them is said once.
    let names = blind.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | ");
    match blind.first() {
        Some((_, change)) => section.toned(told(&names, "the base", change, claims), tone(change)),
        None => section,
    }
}

/// The tables of a newer record: latencies, memory and where a variant's time goes.
fn figures(comparison: &Comparison, against: &Against, top: usize) -> Vec<Section> {
    whole(comparison, against).into_iter().chain(breakdowns(against, top, usize::MAX)).collect()
}

/// The tables of whole runs: latencies and memory.
pub fn whole(comparison: &Comparison, against: &Against) -> Vec<Section> {
    match (against.emulated, &against.no_latency) {
        (true, _) => vec![memory(against)],
        (false, Some(_)) => vec![profiled(against), memory(against)],
        (false, None) => vec![latencies(comparison, against), memory(against)],
    }
}

/// Where the time of so many variants goes, of those about which something can be told.
pub fn breakdowns(against: &Against, top: usize, most: usize) -> Vec<Section> {
    let told = |m: &&Matched| m.role != Role::Control && !m.change.as_ref().is_some_and(is_blind);
    let swapped = against.variants.iter().filter(|m| told(m) && !against.emulated).take(most);
    let both = swapped.flat_map(|m| [breakdown(m, "op", &m.ops, top), breakdown(m, "site", &m.sites, top)]);
    both.flatten().collect()
}

fn alone(which: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("only in {which}: {}", names.join(" | ")))
}

fn failures(matched: &Matched) -> Vec<String> {
    let sides = [("base", &matched.base), ("new", &matched.new)];
    let failure = |(which, side): (&str, &MatchedSide)| {
        Some(format!("{} of {which}: {}", side.name, side.error.as_ref()?))
    };
    sides.into_iter().filter_map(failure).collect()
}

/// Profiled runs of both sides, where one has no others.
fn profiled(against: &Against) -> Section {
    let sides = |m: &Matched| [m.base.profiled_p50_ns, m.new.profiled_p50_ns];
    let Some(largest) = against.variants.iter().flat_map(sides).flatten().max() else {
        return Section::plain();
    };
    let scale = Scale::time(largest);
    let mut grid = Grid::new()
        .name("variant")
        .number(&format!("base profiled p50 {}", scale.unit))
        .number(&format!("new profiled p50 {}", scale.unit))
        .number("new / base");
    for matched in &against.variants {
        let [base, new] = sides(matched);
        let ratio = base.zip(new).filter(|&(base, _)| base > 0).map(|(base, new)| new as f64 / base as f64);
        let figure = |ns: Option<u64>| known(ns, |ns| scale.text(ns));
        grid.row([matched.name.clone(), figure(base), figure(new), known(ratio, |r| units::ratio(r, None))]);
    }
    Section::plain()
        .table(grid)
        .line("profiled runs hold what profiling takes, which differs by op and by engine")
}

fn latencies(comparison: &Comparison, against: &Against) -> Section {
    match latency_grid(comparison, against) {
        Some(grid) => Section::plain().table(grid).line(unpaired(comparison, against)),
        None => Section::plain(),
    }
}

fn latency_grid(comparison: &Comparison, against: &Against) -> Option<Grid> {
    let p50 = |side: &MatchedSide| side.latency.map(|l| l.p50_ns);
    let scale =
        Scale::time(against.variants.iter().flat_map(|m| [p50(&m.base), p50(&m.new)]).flatten().max()?);
    let mut grid = Grid::new()
        .name("variant")
        .number(&format!("base p50 {}", scale.unit))
        .number(&format!("new p50 {}", scale.unit))
        .number("new / base, unpaired")
        .number("finds ±")
        .number("verdict");
    if let Some(limit) = comparison.max_regression {
        grid = grid.number(&format!("limit {}%", percent(limit).trim_end_matches(".0")));
    }
    for matched in &against.variants {
        let change = matched.change.as_ref();
        let cells = [
            matched.name.clone(),
            known(p50(&matched.base), |ns| scale.text(ns)),
            known(p50(&matched.new), |ns| scale.text(ns)),
            known(change, |c| units::ratio(c.ratio, c.interval)),
            known(change.and_then(|c| c.resolution), found),
            known(change, |c| word(c.verdict).to_owned()),
        ];
        grid.row(cells.into_iter().chain(matched.outcome.map(|outcome| outcome.name().to_owned())));
    }
    Some(grid)
}

/// A difference that would be found, as far as it tells anything.
fn found(share: f64) -> String {
    if share > 1.0 { ">100%".into() } else { units::share(share) }
}

/// What the ratios of a comparison are, and what they can't tell.
fn unpaired(comparison: &Comparison, against: &Against) -> String {
    let several = if against.variants.len() > 1 { " by Holm's procedure" } else { "" };
    let together =
        if against.variants.len() > 1 { "all verdicts hold together" } else { "the verdict holds" };
    let repeated = match (comparison.base.records, against.new.records) {
        (1, 1) => "; several records a side (--pool, --base) find smaller ones",
        _ => "",
    };
    format!(
        "unpaired [interval: Welch over forks, so wide that {together} at {}%{several}]: the records were measured at \
         different times. Whatever else changed on the machine in between counts as a difference, and less than {}% \
         is not called{repeated}; oplat profile measures two variants paired, which finds far smaller ones. finds ±: a \
         difference that four of five such comparisons would find",
        percent(comparison.confidence).trim_end_matches(".0"),
        percent(against.drift).trim_end_matches(".0")
    )
}

/// One figure where both records have the same, else both.
fn memory(against: &Against) -> Section {
    let sizes = || against.variants.iter().flat_map(|m| &m.memory);
    let Some(largest) = sizes().flat_map(|size| [size.base_bytes, size.new_bytes]).flatten().max() else {
        return Section::plain();
    };
    let scale = Scale::bytes(largest).coarse(2);
    let titles = distinct(sizes().map(|size| size.what));
    let start = Grid::new().name(&format!("memory, {}", scale.unit));
    let mut grid = titles.iter().fold(start, |grid, title| grid.number(title));
    for matched in &against.variants {
        let cell = |title: &&str| {
            let size = matched.memory.iter().find(|size| size.what == *title);
            let figure = |bytes: Option<u64>| known(bytes, |bytes| scale.text(bytes));
            let (base, new) =
                (figure(size.and_then(|s| s.base_bytes)), figure(size.and_then(|s| s.new_bytes)));
            if base == new { base } else { format!("{base} -> {new}") }
        };
        grid.row(std::iter::once(matched.name.clone()).chain(titles.iter().map(cell)));
    }
    Section::details("memory").table(grid)
}

/// Where a variant's time goes in both records.
fn breakdown(matched: &Matched, noun: &str, breakdown: &Breakdown, top: usize) -> Option<Section> {
    let rows = &breakdown.rows;
    let scale = Scale::time(rows.iter().flat_map(|pair| [pair.base_ns, pair.new_ns]).flatten().max()?);
    let (shown, rest) = rows.split_at(top.min(rows.len()));
    let mut grid = Grid::new()
        .name(noun)
        .name("node")
        .name("shape")
        .number(&format!("base\nmean {}", scale.unit))
        .number(&format!("new\nmean {}", scale.unit))
        .number("\ndifference");
    for pair in shown {
        let names = [marked(pair), pair.node.clone(), pair.shape.clone()];
        grid.row(names.into_iter().chain(times(pair.base_ns, pair.new_ns, scale)));
    }
    let alone = |name: String| [name, String::new(), String::new()].into_iter();
    if !rest.is_empty() {
        let sum = |of: fn(&Pair) -> Option<u64>| rest.iter().filter_map(of).reduce(|a, b| a + b);
        let more = units::count(rest.len(), &format!("more {noun}"));
        grid.row(alone(more).chain(times(sum(|p| p.base_ns), sum(|p| p.new_ns), scale)));
    }
    let (base, new) = (breakdown.base_unaccounted_ns, breakdown.new_unaccounted_ns);
    if base.is_some() || new.is_some() {
        grid.row(alone("unaccounted".to_owned()).chain(times(base, new, scale)));
    }
    let title = format!(
        "{}: {} of {} by difference (attribution from profiled runs: no verdict)",
        matched.name,
        shown.len(),
        units::count(rows.len(), noun)
    );
    Some(Section::headed(title).table(grid).lines(joined(breakdown, noun)))
}

/// The op or activation, and how it was found if not by its node's name.
fn marked(pair: &Pair) -> String {
    match pair.joined_by {
        JoinedBy::Shape => format!("{} (by shape)", pair.what),
        JoinedBy::Name | JoinedBy::Nothing => pair.what.clone(),
    }
}

/// Both means and their difference.
fn times(base: Option<u64>, new: Option<u64>, scale: Scale) -> [String; 3] {
    let figure = |ns: Option<u64>| known(ns, |ns| scale.text(ns));
    let either = base.or(new);
    [figure(base), figure(new), known(either, |_| signed(scale, difference(base, new)))]
}

pub fn signed(scale: Scale, value: i64) -> String {
    let text = scale.signed(value as f64);
    match value {
        0 => "0".into(),
        1.. => format!("+{text}"),
        _ => text,
    }
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
