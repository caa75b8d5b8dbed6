//! The page of a search.

use super::data::{Cell, Table};
use super::markup::{Html, element};
use super::page::{Page, beside, figure, paired};
use super::sections;
use crate::report::section::Section;
use crate::report::{search as told, search_plot as drawn, text};
use crate::search::document::Search;
use crate::units;

pub fn page(search: &Search) -> String {
    let shown = |section: Section| sections::section(&section, false);
    let title = format!("{}: which activation where", text::shorten(&search.model.name, 80));
    let mut page = Page::new(title, shown(told::head(search)));
    let found = element("div", &[("class", "verdicts")], [shown(told::found(search))]);
    page.section("What was found", [found, shown(told::notes(search))]);
    page.section("The front", [paired(front(search), shown(told::front(search)))]);
    page.section("What each change costs", [paired(costs(search), shown(told::sites(search)))]);
    if let Some(additivity) = &search.additivity {
        let all = [told::at_once(search, additivity), told::adds_up(search, additivity)];
        page.section("All sites together", [sections::sections(&all, false)]);
    }
    page.tables(vec![all_costs(search)]);
    page.finish()
}

fn front(search: &Search) -> Html {
    if search.front.is_empty() {
        return Html::default();
    }
    let caption = "Latency of the original and of the designs of the front, as predicted from the costs of their changes and as measured: the ratio \
                   of pairs, times the original's latency. Further down is faster, further left changes less.";
    beside([figure(drawn::front(search).svg("front"), caption, Html::default())])
}

fn costs(search: &Search) -> Html {
    let Some(plot) = drawn::costs(search) else { return Html::default() };
    let confidence = units::percent(search.settings.confidence);
    let caption = format!(
        "The largest costs of single changes, with intervals that each hold at {}% by themselves. A filled mark is surely a difference; an \
         arrow says that the interval goes on.",
        confidence.trim_end_matches(".0")
    );
    beside([figure(plot.svg("costs"), &caption, Html::default())])
}

fn all_costs(search: &Search) -> Table {
    let unit = told::scale(search).map_or("", |scale| scale.unit);
    let mut table = Table::new("costs", "What each change costs")
        .name("site")
        .choice("from")
        .choice("to")
        .figure(&format!("cost, {unit}"))
        .figure(&format!("expected, {unit}"))
        .choice("told from 0");
    let Some(scale) = told::scale(search) else { return table };
    for site in told::largest_first(search) {
        let half = told::half(site);
        let cost = units::with_error(site.cost_ns, half, scale);
        let expected = units::as_exact(site.expected_ns, half, scale);
        table.row([
            Cell::Text(&site.node),
            Cell::Text(&site.from),
            Cell::Text(&site.activation),
            Cell::Text(&cost),
            Cell::Text(&expected),
            Cell::Text(if told::is_sure(site) { "yes" } else { "no" }),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::tests::checked;
    use super::*;
    use crate::report::search::tests::search;

    #[test]
    fn a_search_has_its_front_and_every_cost_on_a_page() {
        let mut found = search();
        found.model.name = "<script>\u{202e}".into();
        found.sites[0].node = "</script><b>".into();
        let page = checked(page(&found));
        assert!(page.contains("<h1>&lt;script&gt;\\u202e: which activation where</h1>"), "{page}");
        assert!(page.contains("id=\"front-t\"") && page.contains("id=\"costs-t\""), "both are drawn");
        assert!(page.contains("data-table=\"costs\""));
        assert!(!page.contains("<b>") && !page.contains("</script><b"));
    }
}
