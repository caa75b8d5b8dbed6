//! The page around what a document says: one file that asks nobody for anything.

use super::data::{self, Table};
use super::markup::{Html, element, folded, said};
use crate::plot;

/// What every page begins with, and no page of somebody else's.
pub const START: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"oplat\">\n";

/// A page's sections in order, each with its place in the table of contents.
#[derive(Default)]
pub struct Page {
    title: String,
    head: Html,
    contents: Vec<(String, String)>,
    sections: Vec<Html>,
    tables: Vec<Table>,
}

impl Page {
    /// A page with what stands above its sections.
    pub fn new(title: impl Into<String>, head: Html) -> Self {
        Self { title: title.into(), head, ..Self::default() }
    }

    /// Adds a section under a heading, unless there is nothing in it.
    pub fn section(&mut self, heading: &str, inside: impl IntoIterator<Item = Html>) {
        if let Some(id) = self.unlisted(heading, inside) {
            self.contents.push((id, heading.to_owned()));
        }
    }

    /// The same, left out of the table of contents. Gives its place, if it has one.
    pub fn unlisted(&mut self, heading: &str, inside: impl IntoIterator<Item = Html>) -> Option<String> {
        let inside: Html = inside.into_iter().collect();
        if inside.is_empty() {
            return None;
        }
        let id = format!("s{}", self.sections.len() + 1);
        let heading_id = format!("{id}-h");
        let heading_of = element("h2", &[("id", &heading_id)], [Html::text(heading)]);
        let attributes = [("id", id.as_str()), ("aria-labelledby", &heading_id)];
        self.sections.push(element("section", &attributes, [heading_of, inside]));
        Some(id)
    }

    /// Adds tables that sort and filter, where the script shows them.
    pub fn tables(&mut self, tables: Vec<Table>) {
        let places = tables.iter().filter(|table| table.rows() > 0).map(|table| {
            element("div", &[("class", "explore"), ("data-table", table.id)], [said("h3", &table.title)])
        });
        let script = element(
            "p",
            &[("class", "no-script")],
            [Html::text(
                "These tables need JavaScript, which is off. The tables above hold the first rows; oplat report --format csv has all.",
            )],
        );
        let places: Vec<Html> = places.collect();
        if !places.is_empty() {
            self.section("All figures, to sort and to filter", std::iter::once(script).chain(places));
            self.tables = tables;
        }
    }

    pub fn finish(self) -> String {
        let Self { title, head, contents, sections, tables } = self;
        let link = |(id, heading): (String, String)| {
            element("li", &[], [element("a", &[("href", &format!("#{id}"))], [Html::text(&heading)])])
        };
        let contents = element(
            "nav",
            &[("aria-label", "Contents")],
            [element("ul", &[], contents.into_iter().map(link))],
        );
        let theme = element(
            "button",
            &[("type", "button"), ("id", "theme"), ("hidden", ""), ("aria-label", "Light or dark")],
            [Html::text("Dark")],
        );
        let heading = element("div", &[("class", "bar")], [said("h1", &title), theme]);
        let skip = element("a", &[("class", "skip"), ("href", "#main")], [Html::text("To the contents")]);
        let header = element("header", &[], [heading, head, contents]);
        let main = element("main", &[("id", "main")], sections);
        let said_by = format!("Made by oplat {}", env!("CARGO_PKG_VERSION"));
        let footer = element("footer", &[], [said("p", &said_by)]);
        let script = element("script", &[], [Html::trusted(format!("\n{}", include_str!("page.js")))]);
        let body = element("body", &[], [skip, header, main, footer, data::script(&tables), script]);
        format!(
            "{START}<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
             'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n{}\n<style>\n{}{}{}</style>\n</head>\n{}\n</html>\n",
            said("title", &title).into_string(),
            plot::style(
                ":root",
                [
                    "@media screen{:root[data-theme=dark]",
                    "@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light])"
                ]
            ),
            plot::CSS,
            include_str!("page.css"),
            body.into_string()
        )
    }
}

/// A plot with what it shows, and the same figures as a table for who doesn't see it.
pub fn figure(svg: String, caption: &str, figures: Html) -> Html {
    let plot = element(
        "div",
        &[("class", "scroll"), ("tabindex", "0"), ("role", "group"), ("aria-label", "plot")],
        [Html::trusted(svg)],
    );
    let table = (!figures.is_empty()).then(|| folded("The figures as a table", [figures]));
    element("figure", &[], [plot, said("figcaption", caption)].into_iter().chain(table))
}

/// Plots with tables and text: beside them where there is room for both.
pub fn paired(plots: Html, rest: Html) -> Html {
    match (plots.is_empty(), rest.is_empty()) {
        (true, _) => rest,
        (_, true) => plots,
        _ => element("div", &[("class", "pair")], [plots, element("div", &[], [rest])]),
    }
}

/// Plots beside each other where there is room.
pub fn beside(figures: impl IntoIterator<Item = Html>) -> Html {
    let figures: Vec<Html> = figures.into_iter().filter(|figure| !figure.is_empty()).collect();
    if figures.is_empty() { Html::default() } else { element("div", &[("class", "plots")], figures) }
}
