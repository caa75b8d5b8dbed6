//! The page of a comparison.

use super::data::{Cell, Table, Unit};
use super::markup::{Html, element, said};
use super::page::{Page, beside, figure, paired};
use super::ratios::estimate;
use super::{repeat, sections};
use crate::compare::{Against, Comparison, JoinedBy, Matched, Pair, difference};
use crate::plot::{Estimate, Forest};
use crate::report::comparison::{about, breakdowns, findings, in_one_only, overview, whole};
use crate::report::section::Section;
use crate::report::{comparison, text};
use crate::units::{self, Scale};

/// Variants whose breakdowns stand in the page itself: the worst.
const BROKEN_DOWN: usize = 8;

pub fn page(compared: &Comparison, top: usize) -> String {
    let base = &compared.base;
    let side = |section: Section, role, run| {
        section.line(about(role, run)).warnings(comparison::warnings(role, run))
    };
    let mut head = side(Section::plain(), "base", base);
    if let [against] = compared.against.as_slice() {
        head = side(head, "new", &against.new);
    }
    let mut page = Page::new(
        format!("{}: what changed", text::shorten(&base.model, 80)),
        sections::section(&head, false),
    );
    let several = compared.against.len() > 1;
    if several {
        page.section("Side by side", [sections::sections(&overview(compared), false)]);
    }
    for (at, against) in compared.against.iter().enumerate() {
        let of = |heading: &str| match several {
            true => format!("{heading}: {}", text::shorten(&against.new.name, 60)),
            false => heading.to_owned(),
        };
        let found = sections::section(&findings(compared, against), false);
        let head = match several {
            true => side(Section::plain(), "new", &against.new),
            false => Section::plain(),
        };
        let introduction = sections::section(&in_one_only(head, against), false);
        page.section(
            &of("What changed"),
            [
                element("div", &[("class", "verdicts")], [found]),
                said("h3", "What was compared"),
                introduction,
                repeat::both(base, against),
            ],
        );
        page.section(
            &of("Ratios and times"),
            [paired(forest(compared, against, at), sections::sections(&whole(compared, against), false))],
        );
        page.section(
            &of("Where the time goes"),
            [sections::sections(&breakdowns(against, top, BROKEN_DOWN), true)],
        );
    }
    page.tables(vec![
        pairs(compared, "ops", "Operators in both", |m| &m.ops.rows),
        pairs(compared, "sites", "Sites in both", |m| &m.sites.rows),
    ]);
    page.finish()
}

fn forest(compared: &Comparison, against: &Against, at: usize) -> Html {
    let rows: Vec<Estimate> = against
        .variants
        .iter()
        .filter(|m| m.change.is_some())
        .map(|m| estimate(m.name.clone(), m.change.as_ref()))
        .collect();
    if rows.is_empty() {
        return Html::default();
    }
    let margin = compared.margin.0;
    let title = "Ratio of times, new over base";
    let plot = Forest { title, axis: "ratio of unpaired runs, below 1 is faster now", rows, margin };
    let confidence = units::percent(compared.confidence);
    let drift = units::percent(against.drift);
    let caption = format!(
        "{title}, unpaired, with intervals so wide that all verdicts hold together at {}%. The band: differences below {}%, which are \
         called none. Less than {}% may be the machine's own drift and is called neither slower nor faster. A filled mark is slower or \
         faster; an arrow says that the interval goes on.",
        confidence.trim_end_matches(".0"),
        units::percent(margin).trim_end_matches(".0"),
        drift.trim_end_matches(".0")
    );
    beside([figure(plot.svg(&format!("changes-{at}")), &caption, Html::default())])
}

fn pairs(compared: &Comparison, id: &'static str, title: &str, of: fn(&Matched) -> &Vec<Pair>) -> Table {
    let shown = || compared.against.iter().filter(|a| !a.emulated);
    let all = shown().flat_map(|a| &a.variants).flat_map(of);
    let scale = Scale::time(all.flat_map(|pair| [pair.base_ns, pair.new_ns]).flatten().max().unwrap_or(0));
    let mut table = Table::new(id, title);
    if compared.against.len() > 1 {
        table = table.choice("new record");
    }
    let mut table = table
        .choice("variant")
        .name("what")
        .name("node")
        .name("shape")
        .choice("joined by")
        .number("base, mean", Unit::of_some(scale))
        .number("new, mean", Unit::of_some(scale))
        .figure(&format!("difference, {}", scale.unit));
    for against in shown() {
        for matched in &against.variants {
            table.cut();
            for pair in of(matched) {
                let by = match pair.joined_by {
                    JoinedBy::Name => "node",
                    JoinedBy::Shape => "type and shape",
                    JoinedBy::Nothing => "nothing: in one only",
                };
                let known = pair.base_ns.or(pair.new_ns);
                let change = known.map_or(String::new(), |_| {
                    comparison::signed(scale, difference(pair.base_ns, pair.new_ns))
                });
                let record = (compared.against.len() > 1).then_some(Cell::Text(&against.new.name));
                let cells = [
                    Cell::Text(&matched.name),
                    Cell::Text(&pair.what),
                    Cell::Text(&pair.node),
                    Cell::Text(&pair.shape),
                    Cell::Text(by),
                    Cell::Number(pair.base_ns),
                    Cell::Number(pair.new_ns),
                    Cell::Text(&change),
                ];
                table.row(record.into_iter().chain(cells));
            }
        }
    }
    table
}
