//! Text for a terminal or an issue tracker: no line is wider than a page. Names give way in their middle, numbers
//! never do.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::grid::{Column, Grid, Shown};
use super::section::{Part, Section, Writer};
use crate::escape;

/// Columns that a terminal and an issue tracker can be expected to show.
pub const PAGE: usize = 100;

/// Spaces between columns.
const GAP: usize = 2;
/// No name is cut to less, so that it can still be told from others.
const SHORTEST: usize = 8;

pub struct Text;

impl Writer for Text {
    fn section(&self, section: &Section) -> String {
        heading(section).into_iter().chain(section.parts.iter().map(part)).collect()
    }
}

pub fn heading(section: &Section) -> Option<String> {
    let heading = section.heading.as_ref().filter(|heading| heading.in_text);
    heading.map(|heading| wrap(&heading.name, "  "))
}

/// A part of a section, its last line ended.
pub fn part(part: &Part) -> String {
    match part {
        Part::Title(record) => wrap(&format!("record {record}"), "  "),
        Part::Line(line) => wrap(line, "  "),
        Part::Warning(warning) => wrap(&format!("! {warning}"), "  "),
        Part::Table(grid) => table(grid),
    }
}

/// The table with each line ended; at most [`PAGE`] columns wide if the numbers alone allow it.
pub fn table(grid: &Grid) -> String {
    let Shown { columns, rows } = grid.shown();
    let widths = widths(&columns, &rows);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().zip(&widths).map(|(column, &width)| {
        let lines = column.title.lines().map(|line| shorten(line, width));
        lines.collect::<Vec<_>>().join("\n")
    }));
    for row in &rows {
        table.add_row(row.iter().zip(&widths).map(|(cell, &width)| shorten(cell, width)));
    }
    for (at, column) in columns.iter().enumerate() {
        if let Some(out) = table.column_mut(at) {
            out.set_cell_alignment(if column.is_name { CellAlignment::Left } else { CellAlignment::Right });
            out.set_padding((0, if at + 1 == columns.len() { 0 } else { GAP as u16 }));
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The width of each column: its widest cell, then the widest name gives way until the table fits.
fn widths(columns: &[&Column], rows: &[Vec<&str>]) -> Vec<usize> {
    let widest = |(i, column): (usize, &&Column)| {
        let cells = rows.iter().map(|row| width(&escape::line(row[i])));
        cells.chain([widest_line(&column.title)]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = columns.iter().enumerate().map(widest).collect();
    let gaps = GAP * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > PAGE {
        let names = widths.iter_mut().zip(columns).filter(|(_, column)| column.is_name);
        match names.map(|(width, _)| width).max() {
            Some(width) if *width > SHORTEST => *width -= 1,
            _ => break,
        }
    }
    widths
}

fn widest_line(text: &str) -> usize {
    text.lines().map(width).max().unwrap_or(0)
}

/// Columns that the text takes on a terminal: ideographs and emoji take two. Errs on the wide side.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..) { 2 } else { 1 }).sum()
}

/// The text in at most `most` columns: cut in the middle, where names differ least. What a model's author could have put
/// there to be obeyed by a terminal is written out.
pub fn shorten(text: &str, most: usize) -> String {
    let text = escape::line(text);
    if width(&text) <= most {
        return text.into_owned();
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

/// The first words of running text, that [`wrap`] makes so many lines of at most.
pub fn cut(text: &str, lines: usize) -> String {
    let fits = |text: &str| wrap(&format!("! {text}"), "  ").lines().count() <= lines;
    let mut words: Vec<&str> = text.split(' ').collect();
    if words.len() <= lines * PAGE && fits(text) {
        return text.to_owned();
    }
    words.truncate(lines * PAGE);
    loop {
        words.pop();
        let shorter = format!("{} …", words.join(" "));
        if words.len() < 2 || fits(&shorter) {
            return shorter;
        }
    }
}

/// Running text broken at spaces, at most [`PAGE`] columns wide; the lines after the first start with `indent`.
/// A word that is too long for a line is cut in its middle.
pub fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in text.trim_end().split(' ') {
        let word = shorten(word, PAGE - width(indent));
        let wide = width(&word);
        if used > 0 && used + 1 + wide > PAGE {
            if wide == 0 {
                continue;
            }
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
        let text = table(&grid);
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
        assert_eq!(shorten("a\u{1b}[2Jb\nc", 20), "a\\u001b[2Jb\\nc");
        let mut grid = Grid::new().name("node").number("ms");
        grid.row(["\u{202e}x".into(), "1".into()]);
        grid.row(["plain name".into(), "2".into()]);
        assert_eq!(table(&grid), "node        ms\n\\u202ex      1\nplain name   2\n");
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
