//! A search, for people: what the best designs gain, what each activation costs at each site, and whether costs add up.

use std::time::Duration;

use super::csv::{columns, line, number};
use super::grid::{Grid, known};
use super::header;
use super::section::{Section, Tone};
use crate::search::document::{Additivity, Against, AtOnce, Budget, Measured, Point, Search, SiteCost};
use crate::units::{self, Scale};

/// Sites whose costs are shown; CSV has them all.
const SITES: usize = 15;

/// An interval whose ends are so many times apart says nothing.
const BLIND: f64 = 2.0;

pub fn sections(search: &Search) -> Vec<Section> {
    let mut all = vec![head(search), found(search), front(search)];
    if let Some(additivity) = &search.additivity {
        all.push(at_once(search, additivity));
        all.push(adds_up(search, additivity));
    }
    all.push(sites(search));
    all.push(notes(search));
    all
}

pub fn head(search: &Search) -> Section {
    let settings = &search.settings;
    let designs: usize = search.blocks.iter().map(|block| block.designs.len()).sum();
    let effort = format!(
        "{} in {}, {}",
        units::count(designs, "design"),
        units::count(search.blocks.len(), "block"),
        units::duration(Duration::from_nanos(settings.elapsed_ns))
    );
    let place = header::place(settings.threads, &search.environment);
    let setting = [header::model(&search.model), header::engine(&search.engine), place, effort].join(" | ");
    let what = format!(
        "{}, each as it is or {}{}",
        units::count(search.levels.len(), "site"),
        settings.among.join(" or "),
        if settings.lowering == crate::record::Lowering::Kernel { ", as one kernel" } else { "" }
    );
    let interrupted = settings.interrupted.then(|| match search.front.iter().any(|p| p.measured.is_some()) {
        true => "it was interrupted while the front was measured".to_owned(),
        false => "it was interrupted: the front is predicted and was not measured".to_owned(),
    });
    let failed = search.blocks.iter().flat_map(|block| &block.ns).filter(|ns| ns.is_none()).count();
    let failed = (failed > 0)
        .then(|| format!("{failed} of {} failed and are left out", units::count(designs, "design")));
    let warnings =
        search.warnings.iter().cloned().chain(failed).chain(interrupted).chain(settings.lost.clone());
    Section::plain().line(setting).line(what).warnings(warnings)
}

/// What it comes to, in sentences.
pub fn found(search: &Search) -> Section {
    let section = Section::plain();
    let Some(last) = search.front.last() else {
        let why = match search.sites.is_empty() {
            true => "Too little was measured to tell what any activation costs at any site.".to_owned(),
            false => format!("No site is expected to be faster with {}.", search.settings.among.join(" or ")),
        };
        return with_budget(section.toned(why, Some(Tone::Open)), search);
    };
    with_budget(section.toned(verdict(search, last), tone(last)), search)
}

fn with_budget(section: Section, search: &Search) -> Section {
    let budget = search.settings.budget.filter(|_| !search.sites.is_empty());
    section.lines(budget.and_then(|budget| in_budget(search, budget)))
}

fn tone(point: &Point) -> Option<Tone> {
    let [low, high] = point.measured?.interval?;
    Some(if high < 1.0 {
        Tone::Good
    } else if low > 1.0 {
        Tone::Bad
    } else {
        Tone::Open
    })
}

fn is_blind([low, high]: [f64; 2]) -> bool {
    high >= BLIND * low
}

/// A ratio to the original with its interval, unless that says nothing.
fn against(measured: Measured) -> String {
    match measured.interval {
        Some(interval) if is_blind(interval) => "inconclusive".into(),
        interval => units::ratio(measured.ratio, interval),
    }
}

/// `34 of 57 sites changed (front-6): takes 6.1% less time than the original (5.2 to 7.0).`
fn verdict(search: &Search, point: &Point) -> String {
    let what = format!("{} with {} of {} sites changed", point.name, point.changed, search.levels.len());
    match point.measured.and_then(|m| Some((m.ratio, m.interval?))) {
        Some((ratio, [low, high])) if high < 1.0 => {
            let [less, most, least] = units::percents([1.0 - ratio, 1.0 - low, 1.0 - high]);
            format!("{what} takes {less}% less time than the original ({least} to {most}).")
        }
        Some((ratio, [low, high])) if low > 1.0 => {
            let [more, least, most] = units::percents([ratio - 1.0, low - 1.0, high - 1.0]);
            format!(
                "{what} takes {more}% more time than the original ({least} to {most}): the prediction was wrong here."
            )
        }
        Some((_, interval)) if is_blind(interval) => {
            format!("{what} is expected to be the fastest: too little was measured to say whether it is.")
        }
        Some((ratio, interval)) => {
            let told = units::ratio(ratio, Some(interval));
            format!(
                "{what} takes {told} times as long as the original: too little was measured to tell them apart."
            )
        }
        None if point.measured.is_some() => {
            format!("{what} is expected to be the fastest: too little was measured to say whether it is.")
        }
        None => format!("{what} is the fastest that is expected; it was not measured."),
    }
}

/// Which point keeps the budget, and whether it was seen to.
fn in_budget(search: &Search, budget: Budget) -> Option<String> {
    let original = search.original_ns?;
    let limit = budget.ns(original);
    let scale = Scale::time(original as u64);
    let asked = format!("{} {}", scale.signed(limit), scale.unit);
    if original <= limit {
        return Some(format!("The original takes {asked} or less already."));
    }
    let kept = search.front.iter().find(|point| point.predicted_ns <= limit);
    let Some(point) = kept else {
        return Some(format!(
            "No design is expected to take {asked} or less: the budget can't be kept by these activations."
        ));
    };
    let share = match budget {
        Budget::OfOriginal(share) => share,
        // The original's own latency is a measurement, too.
        Budget::Ns(_) => limit / original,
    };
    let seen = match (point.measured.map(|m| (m.p50_ns, m.interval)), budget) {
        (None, _) => "but it was not measured",
        (Some((p50, _)), Budget::Ns(_)) if p50 <= limit => "and in this measurement it does",
        (Some(_), Budget::Ns(_)) => "but in this measurement it takes more",
        (Some((_, Some([_, high]))), _) if high <= share => "and it surely does",
        (Some((_, Some([low, _]))), _) if low > share => "but measured it takes more",
        (Some(_), _) => "which the measurement doesn't decide",
    };
    Some(format!("{} is the first point expected to take {asked} or less, {seen}.", point.name))
}

pub fn front(search: &Search) -> Section {
    let Some(original) = search.original_ns.filter(|_| !search.front.is_empty()) else {
        return Section::plain();
    };
    let scale = Scale::time(original as u64);
    let weighed = match search.settings.against {
        Against::Sites => "",
        Against::Outputs => "output\nchange",
        Against::File => "drop",
    };
    let mut grid = Grid::new().name("design").number("sites\nchanged");
    if !weighed.is_empty() {
        grid = grid.number(weighed);
    }
    grid = grid
        .number(&format!("predicted\n{}", scale.unit))
        .number(&format!("measured\n{}", scale.unit))
        .number("against\noriginal")
        .number("predicted /\nmeasured");
    let weight = |price: f64| (!weighed.is_empty()).then(|| units::magnitude(price));
    let mut row = |name: &str,
                   changed: usize,
                   price: f64,
                   (predicted, half): (f64, Option<f64>),
                   measured: Option<Measured>,
                   is_original: bool| {
        let cells = [Some(name.to_owned()), Some(changed.to_string()), weight(price)];
        let ratio = match is_original {
            true => "1".to_owned(),
            false => known(measured, against),
        };
        let rest = [
            Some(if is_original { String::new() } else { give_or_take(predicted, half, scale) }),
            Some(known(measured, |m| scale.signed(m.p50_ns))),
            Some(ratio),
            // By ratios, since these are paired.
            Some(known(measured.filter(|_| !is_original), |m| units::times(predicted / original / m.ratio))),
        ];
        grid.row(cells.into_iter().chain(rest).flatten());
    };
    let as_is = Measured { p50_ns: original, ratio: 1.0, interval: None };
    row("original", 0, 0.0, (original, None), Some(as_is), true);
    for point in &search.front {
        let predicted = (point.predicted_ns, point.predicted_half_ns);
        row(&point.name, point.changed, point.price, predicted, point.measured, false);
    }
    let key = "design: what is expected to be the fastest for what it changes; predicted: the original and what is expected of the sites \
               [± of what they add, at 99%, each by itself]; measured: medians of unprofiled runs, and ratios of pairs with \
               the original [interval over forks, so wide that all hold together at 99%]";
    Section::plain().table(grid).line(key)
}

/// A prediction with what it may be off by, where that is known.
fn give_or_take(ns: f64, half: Option<f64>, scale: Scale) -> String {
    half.map_or_else(|| scale.signed(ns), |half| units::with_error(ns, half, scale))
}

fn predicted_ratio(row: &AtOnce, original: f64) -> String {
    let interval = row
        .predicted_half_ns
        .map(|half| [-half, half].map(|by| ((row.predicted_ns + by) / original).max(0.0)));
    match interval {
        Some(interval) if is_blind(interval) => "inconclusive".into(),
        interval => units::ratio(row.predicted_ns / original, interval),
    }
}

pub fn at_once(search: &Search, additivity: &Additivity) -> Section {
    let Some(original) = search.original_ns else { return Section::plain() };
    let scale = Scale::time(original as u64);
    let mut grid = Grid::new()
        .name("everywhere")
        .number(&format!("sum of expected\ncosts {}", scale.unit))
        .number("predicted\nratio")
        .number("measured against\noriginal");
    for row in &additivity.at_once {
        grid.row([
            row.activation.clone(),
            give_or_take(row.predicted_ns - original, row.predicted_half_ns, scale),
            predicted_ratio(row, original),
            known(row.measured, against),
        ]);
    }
    Section::headed("One activation at all sites at once").table(grid)
}

/// Whether costs add up, in sentences.
pub fn adds_up(search: &Search, additivity: &Additivity) -> Section {
    let Some(original) = search.original_ns else { return Section::plain() };
    let share = |ns: f64| format!("{}%", units::percent(ns / original));
    let fitted = match additivity.joint {
        true => "fitted all at once",
        false => "each taken by itself, as that is surer here than all at once",
    };
    let mut lines = vec![format!(
        "{} from {} designs, {fitted}.",
        units::count(additivity.costs, "cost"),
        additivity.designs
    )];
    let residual = share(additivity.residual_ns);
    let scatter =
        format!("Designs scatter by {residual} of the latency around the sum of their sites' costs");
    lines.push(match (additivity.joint, additivity.explained_ns, additivity.interaction_ns) {
        (false, ..) => format!(
            "Designs scatter by {residual} of the latency, by what their other sites are and by noise."
        ),
        (true, None, _) => format!("{scatter}, noise of processes included."),
        (true, Some(explained), Some(interaction)) => format!(
            "{scatter}; noise of processes explains {}. The rest, {}, is what sites do to each other.",
            share(explained),
            share(interaction)
        ),
        (true, Some(explained), None) => format!(
            "{scatter}; noise of processes explains {}, so as far as can be told they add up.",
            share(explained)
        ),
    });
    if let Some(held_out) = additivity.held_out_ns {
        lines
            .push(format!("Designs that a fit had not seen were off by {} of the latency.", share(held_out)));
    }
    Section::headed("Do costs add up?").lines(lines)
}

/// How far a cost may be off.
pub fn half(site: &SiteCost) -> f64 {
    0.5 * (site.interval[1] - site.interval[0])
}

pub fn is_sure(site: &SiteCost) -> bool {
    site.interval[0] > 0.0 || site.interval[1] < 0.0
}

/// Costs of changes, the largest expected ones first.
pub fn largest_first(search: &Search) -> Vec<&SiteCost> {
    let mut rows: Vec<&SiteCost> = search.sites.iter().collect();
    rows.sort_by(|a, b| {
        b.expected_ns.abs().total_cmp(&a.expected_ns.abs()).then_with(|| a.node.cmp(&b.node))
    });
    rows
}

/// The unit that suits the costs; `None` if there are none.
pub fn scale(search: &Search) -> Option<Scale> {
    let largest = search.sites.iter().map(|site| site.cost_ns.abs()).max_by(f64::total_cmp);
    largest.map(|largest| Scale::time(largest as u64))
}

pub fn sites(search: &Search) -> Section {
    let rows = largest_first(search);
    let Some(scale) = scale(search) else { return Section::plain() };
    let mut grid = Grid::new()
        .name("site")
        .name("from")
        .name("to")
        .number(&format!("cost {}", scale.unit))
        .number("expected");
    for site in rows.iter().take(SITES) {
        let half = half(site);
        grid.row([
            site.node.clone(),
            site.from.clone(),
            site.activation.clone(),
            units::with_error(site.cost_ns, half, scale),
            units::as_exact(site.expected_ns, half, scale),
        ]);
    }
    let sure = rows.iter().filter(|site| is_sure(site)).count();
    let hidden = rows.len().saturating_sub(SITES);
    let more = if hidden > 0 { format!("; {hidden} more are in --format csv") } else { String::new() };
    let key = format!(
        "cost: what the change adds to the latency, below 0 it saves [± at {}%, each by itself]; {sure} of {} are told from 0. \
         expected: drawn towards the mean of the activation's costs as far as their scatter is noise; the front is made of \
         these{more}",
        units::percent(search.settings.confidence).trim_end_matches(".0"),
        rows.len()
    );
    Section::headed("What a change costs, the largest first").table(grid).line(key)
}

pub fn notes(search: &Search) -> Section {
    let mut lines = vec![
        "What accuracy a design keeps is not known until it is retrained.".to_owned(),
        "A site that the engine merges into the operator before it costs nothing there; a change that ends the merging costs what is \
         measured here."
            .to_owned(),
    ];
    if search.settings.against == Against::Outputs {
        lines.push(
            "output change: relative L2 distance of the outputs, one site changed at a time, summed. It orders designs; it is no \
             accuracy."
                .to_owned(),
        );
    }
    Section::plain().lines(lines)
}

columns! {
    struct SiteRow {
        model, engine, target, node, from, activation,
        cost_ns, low_ns, high_ns, confidence, expected_ns, price,
    }
}

/// A row for each activation at each site.
pub fn csv(search: &Search) -> String {
    let mut out = String::new();
    line(&mut out, SiteRow::HEADER);
    for site in &search.sites {
        let price = search.prices.iter().find(|p| p.node == site.node && p.activation == site.activation);
        SiteRow {
            model: search.model.name.clone(),
            engine: format!("{} {}", search.engine.name, search.engine.version),
            target: search.environment.target.clone(),
            node: site.node.clone(),
            from: site.from.clone(),
            activation: site.activation.clone(),
            cost_ns: number(site.cost_ns),
            low_ns: number(site.interval[0]),
            high_ns: number(site.interval[1]),
            confidence: number(search.settings.confidence),
            expected_ns: number(site.expected_ns),
            price: price.map_or(String::new(), |price| number(price.price)),
        }
        .write(&mut out);
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::{Format, fixture};
    use crate::search::document::{self, AtOnce, Block, Levels, Settings};

    pub fn search() -> Search {
        let record = fixture::record();
        let levels = |node: &str| Levels {
            node: node.into(),
            activations: ["silu", "relu"].map(str::to_owned).to_vec(),
        };
        let cost = |node: &str, cost_ns: f64, half: f64| SiteCost {
            node: node.into(),
            from: "silu".into(),
            activation: "relu".into(),
            cost_ns,
            interval: [cost_ns - half, cost_ns + half],
            expected_ns: 0.9 * cost_ns,
        };
        let point =
            |name: &str, changed: usize, predicted_ns: f64, measured: Option<(f64, [f64; 2])>| Point {
                name: name.into(),
                mix: format!("{name}: /a=relu"),
                changed,
                price: changed as f64,
                predicted_ns,
                predicted_half_ns: Some(5e5 * (changed as f64).sqrt()),
                measured: measured.map(|(ratio, interval)| Measured {
                    p50_ns: ratio * 4e7,
                    ratio,
                    interval: Some(interval),
                }),
            };
        Search {
            schema: document::SCHEMA.into(),
            oplat: record.oplat,
            started_at: record.started_at,
            command: record.command,
            model: record.model,
            engine: record.engine,
            environment: record.environment,
            settings: Settings {
                among: vec!["relu".into()],
                lowering: crate::record::Lowering::Exported,
                threads: 1,
                seed: 0,
                confidence: 0.99,
                time_limit_ns: 600_000_000_000,
                blocks_ns: 420_000_000_000,
                elapsed_ns: 598_000_000_000,
                budget: Some(Budget::OfOriginal(0.95)),
                against: Against::Sites,
                interrupted: false,
                lost: None,
            },
            fed: vec![],
            levels: vec![levels("/a"), levels("/b|<b>")],
            blocks: vec![Block { number: 0, designs: vec![vec![0, 1]; 6], ns: vec![Some(4e7); 6] }],
            prices: vec![],
            sites: vec![cost("/a", -3e6, 4e5), cost("/b|<b>", 2e5, 5e5)],
            additivity: Some(Additivity {
                designs: 240,
                costs: 2,
                joint: true,
                noise_ns: Some(4e5),
                residual_ns: 4.4e5,
                explained_ns: Some(3.8e5),
                interaction_ns: Some(2.2e5),
                held_out_ns: Some(5e5),
                at_once: vec![AtOnce {
                    activation: "relu".into(),
                    predicted_ns: 3.75e7,
                    predicted_half_ns: Some(7e5),
                    measured: Some(Measured { p50_ns: 3.7e7, ratio: 0.93, interval: Some([0.92, 0.94]) }),
                }],
            }),
            original_ns: Some(4e7),
            front: vec![
                point("front-1", 1, 3.73e7, Some((0.932, [0.921, 0.944]))),
                point("front-2", 2, 3.71e7, None),
            ],
            cut_off: None,
            warnings: vec!["busy machine".into()],
        }
    }

    fn drawn(search: &Search, format: Format) -> String {
        crate::report::search(search, format).expect("drawn")
    }

    #[test]
    fn a_page_of_a_search() {
        let text = drawn(&search(), Format::Table);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        insta::assert_snapshot!("search", text);
        insta::assert_snapshot!("search_csv", drawn(&search(), Format::Csv));
    }

    #[test]
    fn only_what_was_measured_is_claimed() {
        let mut found = search();
        assert!(
            drawn(&found, Format::Table)
                .contains("front-2 with 2 of 2 sites changed is the fastest that is expected; it was")
        );
        found.front.pop();
        assert!(
            drawn(&found, Format::Table).contains("takes 6.8% less time than the original (5.6 to 7.9).")
        );
        let mut measured = |ratio: f64, interval: [f64; 2]| {
            found.front[0].measured = Some(Measured { p50_ns: 4e7, ratio, interval: Some(interval) });
            drawn(&found, Format::Table).replace("\n  ", " ")
        };
        assert!(measured(0.99, [0.97, 1.01]).contains("too little was measured to tell them apart"));
        assert!(measured(0.01, [0.0, 99.0]).contains("too little was measured to say whether it is."));
        let wide = measured(0.9, [0.5, 1.6]);
        assert!(
            wide.contains("too little was measured to say whether it is.") && wide.contains("inconclusive"),
            "{wide}"
        );
        assert!(measured(0.93, [0.92, 0.96]).contains("which the measurement doesn't decide"));
        assert!(measured(0.93, [0.92, 0.94]).contains("and it surely does"));
        let slower = measured(1.05, [1.03, 1.07]);
        assert!(
            slower.contains("takes 5% more time") && slower.contains("but measured it takes more"),
            "{slower}"
        );
        found.front[0].measured = Some(Measured { p50_ns: 4e7, ratio: 0.9, interval: None });
        let one_fork = drawn(&found, Format::Table).replace("\n  ", " ");
        assert!(one_fork.contains("too little was measured to say whether it is."), "{one_fork}");
        found.front.clear();
        let none = drawn(&found, Format::Table);
        assert!(none.contains("No site is expected to be faster with relu."), "{none}");
        assert!(none.contains("No design is expected to take 38.00 ms or less"), "{none}");
        found.sites.clear();
        assert!(drawn(&found, Format::Table).contains("Too little was measured"));
    }

    #[test]
    fn names_of_nodes_are_text_in_every_format() {
        let found = search();
        let page = drawn(&found, Format::Html);
        assert!(page.contains("/b|&lt;b&gt;") && !page.contains("/b|<b>"));
        assert!(!drawn(&found, Format::Markdown).contains("/b|<b>"));
        let drawing = crate::report::front(&found);
        assert!(
            drawing.contains("front-1") && drawing.ends_with("</svg>\n"),
            "{}",
            &drawing[drawing.len() - 20..]
        );
    }
}
