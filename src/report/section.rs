//! What a document says and shows in which table, apart from the format in which it is drawn.

use std::collections::BTreeMap;

use super::grid::Grid;

/// A format that people read. It draws every document, since all are sections.
pub trait Writer {
    /// One section, its last line ended.
    fn section(&self, section: &Section) -> String;

    /// The whole document: its sections, an empty line between two.
    fn document(&self, sections: &[Section]) -> String {
        let drawn =
            sections.iter().filter(|section| !section.is_empty()).map(|section| self.section(section));
        drawn.collect::<Vec<_>>().join("\n")
    }
}

/// Lines and tables that belong together.
#[derive(Default)]
pub struct Section {
    /// Of a section that may be folded away; without one it is always seen.
    pub heading: Option<Heading>,
    pub parts: Vec<Part>,
    /// What lines are good or bad news, by their place among the parts. Their words say it, too.
    pub tones: BTreeMap<usize, Tone>,
}

/// What a line is to its reader, where a format can show that beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Bad,
    Good,
    Open,
}

/// The name of a section that may be folded away.
pub struct Heading {
    pub name: String,
    /// Whether text, which folds nothing, has it too; else the table's own titles say it.
    pub in_text: bool,
}

pub enum Part {
    /// The name of the record that the sections from here on are about.
    Title(String),
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

    /// Nothing but the name of the record that the sections after it are about.
    pub fn title(record: impl Into<String>) -> Self {
        Self { parts: vec![Part::Title(record.into())], ..Self::default() }
    }

    /// A section that may be folded away under this name, which text leaves out.
    pub fn details(name: impl Into<String>) -> Self {
        Self { heading: Some(Heading { name: name.into(), in_text: false }), ..Self::default() }
    }

    /// As [`details`](Self::details), with the name as a heading in text too.
    pub fn headed(name: impl Into<String>) -> Self {
        Self { heading: Some(Heading { name: name.into(), in_text: true }), ..Self::default() }
    }

    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.parts.push(Part::Line(line.into()));
        self
    }

    /// A line that is good or bad news.
    pub fn toned(mut self, line: impl Into<String>, tone: Option<Tone>) -> Self {
        self.tones.extend(tone.map(|tone| (self.parts.len(), tone)));
        self.line(line)
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
}
