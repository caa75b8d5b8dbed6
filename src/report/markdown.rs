//! Markdown as pull requests show it (GitHub's). Names come from models and may hold anything: nothing in them
//! may end a cell, open a tag or format what follows.

use super::grid::{Grid, Shown};
use super::section::{Part, Section, Writer};
use crate::escape;

/// Characters that format running text, or may begin to.
const SPECIAL: &str = "\\`*<~&$";

pub struct Markdown;

impl Writer for Markdown {
    /// Lines and warnings are the items of a list; a section with a heading is folded away until somebody wants it.
    fn section(&self, section: &Section) -> String {
        let mut text = String::new();
        let mut in_list = false;
        for part in &section.parts {
            let is_item = matches!(part, Part::Line(_) | Part::Warning(_));
            if !(text.is_empty() || in_list && is_item) {
                text.push('\n');
            }
            in_list = is_item;
            text += &match part {
                Part::Title(record) => format!("### {}\n", code(record)),
                Part::Line(line) => format!("- {}\n", item(line)),
                Part::Warning(warning) => format!("- **Warning:** {}\n", entities(warning)),
                Part::Table(grid) => table(grid),
            };
        }
        match &section.heading {
            Some(heading) => details(&heading.name, &text),
            None => text,
        }
    }
}

/// A block that is folded away until somebody wants it.
fn details(name: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n\n{body}\n</details>\n", entities(name))
}

/// The table with names as code, and never cut: a page scrolls.
fn table(grid: &Grid) -> String {
    let Shown { columns, rows } = grid.shown();
    let titles = columns.iter().map(|column| cell(column.title.trim().replace('\n', " ").as_str()));
    let rule = columns.iter().map(|column| if column.is_name { ":--" } else { "--:" }.to_owned());
    let mut text = row(titles) + &row(rule);
    for cells in rows {
        text += &row(columns.iter().zip(cells).map(|(column, text)| match column.is_name {
            true => code(text),
            false => cell(text),
        }));
    }
    text
}

/// Running text with special characters as entities, so that nothing in it formats, links or calls anybody.
fn entities(text: &str) -> String {
    let text = escape::line(text);
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let next = rest.chars().next().unwrap_or(' ');
        let in_word = before.is_alphanumeric() && next.is_alphanumeric();
        let formats = match c {
            '_' => !in_word,
            // It could make a link of the words before it; elsewhere brackets hold intervals.
            ']' => "([".contains(next),
            // GitHub makes links of addresses.
            ':' => rest.starts_with("//"),
            'w' | 'W' => !before.is_alphanumeric() && rest.to_ascii_lowercase().starts_with("ww."),
            _ => SPECIAL.contains(c),
        };
        match c {
            // GitHub looks for people and issues in what is drawn: the comment keeps the name apart.
            '@' | '#' => out += &format!("&#{};<!-- -->", u32::from(c)),
            _ if formats => out += &format!("&#{};", u32::from(c)),
            _ => out.push(c),
        }
        before = c;
    }
    out
}

/// Running text at the start of an item, where some signs would begin a quotation, another list or a box to tick.
fn item(text: &str) -> String {
    let text = entities(text);
    match text.chars().next() {
        Some(sign @ ('>' | '+' | '-' | '[')) => format!("&#{};{}", u32::from(sign), &text[1..]),
        _ => text,
    }
}

/// Running text in a cell of a table.
fn cell(text: &str) -> String {
    entities(text).replace('|', "&#124;")
}

/// A name as code. One that a code span can't hold in a table is written as a tag with entities.
fn code(name: &str) -> String {
    let hostile = |c: char| matches!(c, '`' | '|' | '\\');
    match escape::line(name).trim() {
        "" => String::new(),
        name if name.contains(hostile) => format!("<code>{}</code>", cell(name)),
        name => format!("`{name}`"),
    }
}

/// A row of a table; the cells are Markdown already.
fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_formats_nothing_and_ends_no_cell() {
        for (text, escaped) in [
            ("<img> *x* [y](z) [1, 2]", "&#60;img> &#42;x&#42; [y&#93;(z) [1, 2]"),
            ("line\nbreak @you #1", "line&#92;nbreak &#64;<!-- -->you &#35;<!-- -->1"),
            ("[x]: y", "[x]: y"),
            ("see https://x.y or www.x.y", "see https&#58;//x.y or &#119;ww.x.y"),
            ("cost $x$", "cost &#36;x&#36;"),
            ("\u{1b}[2J\u{202e}", "&#92;u001b[2J&#92;u202e"),
            ("1.004 [0.997, 1.011]: `none`", "1.004 [0.997, 1.011]: &#96;none&#96;"),
        ] {
            assert_eq!(entities(text), escaped);
        }
        assert_eq!(cell("a|b"), "a&#124;b");
        for (text, escaped) in [("> x", "&#62; x"), ("- x -1", "&#45; x -1"), ("[x]: /y", "&#91;x]: /y")] {
            assert_eq!(item(text), escaped);
        }
        assert_eq!(entities("leaky_relu _x_"), "leaky_relu &#95;x&#95;");
        assert_eq!(code("/model.0/act/Mul"), "`/model.0/act/Mul`");
        assert_eq!(code("a|b`c\\"), "<code>a&#124;b&#96;c&#92;</code>");
        assert_eq!(code("a\n| b"), "<code>a&#92;n&#124; b</code>");
        assert_eq!(code("<script>@you</script>"), "`<script>@you</script>`");
        assert_eq!(code(" "), "");
    }

    #[test]
    fn a_warning_is_marked_and_a_line_that_looks_like_one_is_not() {
        let section = Section::plain().warning("steal 3%").line("! no warning");
        assert_eq!(Markdown.section(&section), "- **Warning:** steal 3%\n- ! no warning\n");
    }
}
