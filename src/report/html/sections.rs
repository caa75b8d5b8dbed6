//! Sections of a document, the same that text and Markdown show, as HTML.

use super::markup::{Html, element, folded, said};
use crate::report::grid::{Grid, Shown};
use crate::report::section::{Part, Section};
use crate::report::text::shorten;

/// The longest name in full, in columns; all of it shows when it is pointed at.
const NAME: usize = 90;
/// Nobody reads more of a name.
const LONGEST: usize = 400;

/// A section; one with a heading is folded away if `fold` says so.
pub fn section(section: &Section, fold: bool) -> Html {
    let parts = section.parts.iter().map(part);
    match &section.heading {
        Some(heading) if fold => folded(&heading.name, parts),
        Some(heading) => std::iter::once(said("h3", &heading.name)).chain(parts).collect(),
        None => parts.collect(),
    }
}

pub fn sections(all: &[Section], fold: bool) -> Html {
    all.iter().filter(|one| !one.is_empty()).map(|one| section(one, fold)).collect()
}

fn part(part: &Part) -> Html {
    match part {
        Part::Title(record) => said("h2", record),
        Part::Line(line) => element("p", &[], [prose(line)]),
        Part::Warning(text) => warning(text),
        Part::Table(grid) => table(grid, ""),
    }
}

pub fn warning(text: &str) -> Html {
    element("p", &[("class", "warning")], [said("strong", "Warning: "), prose(text)])
}

/// Running text: names of flags are not broken at their hyphens.
fn prose(text: &str) -> Html {
    let words = text.split(' ').enumerate().flat_map(|(at, word)| {
        let space = (at > 0).then(|| Html::text(" "));
        let is_flag = word.trim_start_matches('(').starts_with("--");
        let word = match is_flag {
            true => element("span", &[("class", "flag")], [Html::text(word)]),
            false => Html::text(word),
        };
        space.into_iter().chain([word])
    });
    words.collect()
}

/// A table that scrolls by itself where the page is too narrow.
pub fn table(grid: &Grid, caption: &str) -> Html {
    let Shown { columns, rows } = grid.shown();
    let class = |is_name: bool| if is_name { ("class", "name") } else { ("class", "number") };
    let titles = columns.iter().map(|column| {
        element("th", &[("scope", "col"), class(column.is_name)], [Html::lines(&column.title)])
    });
    let row = |cells: Vec<&str>| {
        let cell = |(at, text): (usize, &str)| match at {
            0 => element("th", &[("scope", "row"), class(columns[0].is_name)], [name(text)]),
            _ if columns[at].is_name => element("td", &[class(true)], [name(text)]),
            _ => element("td", &[class(false)], [Html::text(text)]),
        };
        element("tr", &[], cells.into_iter().enumerate().map(cell))
    };
    let caption = (!caption.is_empty()).then(|| said("caption", caption));
    let head = element("thead", &[], [element("tr", &[], titles)]);
    let body = element("tbody", &[], rows.into_iter().map(row));
    let table = element("table", &[], caption.into_iter().chain([head, body]));
    let label = columns.first().map_or("table", |column| column.title.trim()).replace('\n', " ");
    let label = if label.is_empty() { "table" } else { &label };
    element(
        "div",
        &[("class", "scroll"), ("role", "region"), ("aria-label", label), ("tabindex", "0")],
        [table],
    )
}

/// A name, cut in its middle if it is long.
fn name(text: &str) -> Html {
    let short = shorten(text, NAME);
    let whole = shorten(text, LONGEST);
    if short == whole {
        Html::text(&short)
    } else {
        element("span", &[("title", &whole)], [Html::text(&short)])
    }
}
