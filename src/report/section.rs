//! A report in parts: what is said and in which table, apart from the form in which it is written. Text and
//! Markdown are two ways to write the same sections.

use super::grid::{Grid, wrap};
use super::markdown;

/// Lines and tables that belong together.
#[derive(Default)]
pub struct Section {
    /// What a reader may fold away, by this name.
    details: Option<String>,
    /// Whether text shows that name too; else the table's own titles say it.
    headed: bool,
    parts: Vec<Part>,
}

enum Part {
    Line(String),
    /// What makes figures less sure, or what went wrong.
    Warning(String),
    Table(Grid),
}

impl Section {
    /// A section that is always seen.
    pub fn plain() -> Self {
        Self::default()
    }

    /// A section that Markdown folds away under this name.
    pub fn details(name: impl Into<String>) -> Self {
        Self { details: Some(name.into()), ..Self::default() }
    }

    /// As [`details`](Self::details), with the name as a heading in text too.
    pub fn headed(name: impl Into<String>) -> Self {
        Self { headed: true, ..Self::details(name) }
    }

    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.parts.push(Part::Line(line.into()));
        self
    }

    pub fn lines(self, lines: impl IntoIterator<Item = String>) -> Self {
        lines.into_iter().fold(self, Self::line)
    }

    pub fn warning(mut self, warning: impl Into<String>) -> Self {
        self.parts.push(Part::Warning(warning.into()));
        self
    }

    pub fn warnings(self, warnings: impl IntoIterator<Item = String>) -> Self {
        warnings.into_iter().fold(self, Self::warning)
    }

    pub fn table(mut self, grid: Grid) -> Self {
        self.parts.push(Part::Table(grid));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// For a terminal: no line wider than a page.
    pub fn text(&self) -> String {
        let heading = self.details.iter().filter(|_| self.headed).map(|name| wrap(name, "  "));
        let parts = self.parts.iter().map(|part| match part {
            Part::Line(line) => wrap(line, "  "),
            Part::Warning(warning) => wrap(&format!("! {warning}"), "  "),
            Part::Table(grid) => grid.render(),
        });
        heading.chain(parts).collect()
    }

    /// For an issue, a pull request or a page.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let mut listing = false;
        for part in &self.parts {
            let item = matches!(part, Part::Line(_) | Part::Warning(_));
            if !(text.is_empty() || listing && item) {
                text.push('\n');
            }
            listing = item;
            text += &match part {
                Part::Line(line) => markdown::item(line),
                Part::Warning(warning) => markdown::warning(warning),
                Part::Table(grid) => grid.markdown(),
            };
        }
        match &self.details {
            Some(name) => markdown::details(name, &text),
            None => text,
        }
    }
}

/// Sections as one text, an empty line between two.
pub fn text(sections: &[Section]) -> String {
    joined(sections, Section::text)
}

pub fn markdown(sections: &[Section]) -> String {
    joined(sections, Section::markdown)
}

fn joined(sections: &[Section], form: fn(&Section) -> String) -> String {
    let written = sections.iter().filter(|s| !s.is_empty()).map(form);
    written.collect::<Vec<_>>().join("\n")
}
