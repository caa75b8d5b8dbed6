//! Tables that never get wider than a page: names give way in their middle, numbers never do.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Columns that a terminal and an issue tracker can be expected to show.
pub const PAGE: usize = 100;

/// Spaces between columns.
const GAP: usize = 2;
/// What a name is never cut below, so that it stays a name.
const SHORTEST: usize = 8;

/// A table under construction: titles, then rows of as many cells.
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

struct Column {
    title: String,
    name: bool,
}

impl Grid {
    pub fn new() -> Self {
        Self { columns: vec![], rows: vec![] }
    }

    /// A left-aligned column of names, which may be cut in the middle.
    pub fn name(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.into(), name: true });
        self
    }

    /// A right-aligned column of numbers. A line break in the title makes it two lines.
    pub fn number(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.into(), name: false });
        self
    }

    /// Adds a row: a cell for every column, in order.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line ended; at most [`PAGE`] columns wide if the numbers alone allow it.
    pub fn render(&self) -> String {
        let widths = self.widths();
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().zip(&widths).map(|(column, &width)| {
            let lines = column.title.lines().map(|line| shorten(line, width));
            lines.collect::<Vec<_>>().join("\n")
        }));
        for row in &self.rows {
            table.add_row(row.iter().zip(&widths).map(|(cell, &width)| shorten(cell, width)));
        }
        let last = self.columns.len().saturating_sub(1);
        for (i, column) in self.columns.iter().enumerate() {
            if let Some(out) = table.column_mut(i) {
                out.set_cell_alignment(if column.name { CellAlignment::Left } else { CellAlignment::Right });
                out.set_padding((0, if i == last { 0 } else { GAP as u16 }));
            }
        }
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }

    /// The width of each column: its widest cell, then the widest name gives way until the table fits.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| widest_line(&c.title)).collect();
        for row in &self.rows {
            for (have, cell) in widths.iter_mut().zip(row) {
                *have = (*have).max(width(&clean(cell)));
            }
        }
        let gaps = GAP * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > PAGE {
            let names = widths.iter_mut().zip(&self.columns).filter(|(_, column)| column.name);
            match names.map(|(width, _)| width).max() {
                Some(width) if *width > SHORTEST => *width -= 1,
                _ => break,
            }
        }
        widths
    }
}

fn widest_line(text: &str) -> usize {
    text.lines().map(width).max().unwrap_or(0)
}

/// Columns that the text takes on a terminal: ideographs and emoji take two. Errs on the wide side.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..) { 2 } else { 1 }).sum()
}

/// The text in at most `most` columns: cut in the middle, where names differ least, and without control
/// characters, which a model's author could have put there.
pub fn shorten(text: &str, most: usize) -> String {
    let text = clean(text);
    if width(&text) <= most {
        return text;
    }
    let keep = most.saturating_sub(1);
    let (front, back) = (keep - keep / 2, keep / 2);
    let take = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let fits = chars.take_while(|&c| {
            used += width(c.encode_utf8(&mut [0; 4]));
            used <= room
        });
        fits.collect::<Vec<char>>()
    };
    let head = take(&mut text.chars(), front);
    let tail = take(&mut text.chars().rev(), back);
    head.into_iter().chain(['…']).chain(tail.into_iter().rev()).collect()
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Running text broken at spaces, at most [`PAGE`] columns wide; the lines after the first start with `indent`.
/// A word that is too long for a line is cut in its middle.
pub fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let word = shorten(word, PAGE - width(indent));
        let wide = width(&word);
        if used > 0 && used + 1 + wide > PAGE {
            out.push('\n');
            out.push_str(indent);
            used = width(indent);
        } else if !out.is_empty() {
            out.push(' ');
            used += 1;
        }
        out.push_str(&word);
        used += wide;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_give_way_in_their_middle_and_numbers_stay_whole() {
        let mut grid = Grid::new().name("node").number("mean ms");
        grid.row(["/model.0/".repeat(30) + "act/Mul", "1,234.56".into()]);
        let text = grid.render();
        assert!(text.lines().all(|line| width(line) <= PAGE), "{text}");
        assert!(text.contains('…') && text.contains("act/Mul  1,234.56"), "{text}");
    }

    #[test]
    fn names_of_any_script_are_cut_between_characters() {
        for name in ["活性化関数の層".repeat(20), "é".repeat(300), "👩‍🔬".repeat(80)] {
            for most in [1, 2, 7, 50] {
                let short = shorten(&name, most);
                assert!(width(&short) <= most && short.contains('…'), "{short}");
            }
        }
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("abcdefgh", 5), "ab…gh");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(shorten("a\u{1b}[2Jb\nc", 20), "a\u{fffd}[2Jb\u{fffd}c");
    }

    #[test]
    fn running_text_is_broken_at_spaces() {
        let text = wrap(&"word ".repeat(50), "  ");
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| width(line) <= PAGE));
        assert!(text.lines().skip(1).all(|line| line.starts_with("  word")));
        assert!(wrap(&"x".repeat(500), "").lines().all(|line| width(line) <= PAGE));
    }
}
