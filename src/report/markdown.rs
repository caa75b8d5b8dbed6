//! Markdown as pull requests show it (GitHub's). Names come from models and may hold anything: nothing in them
//! may end a cell, open a tag or format what follows.

/// What formats something, or starts to, in running text.
const SPECIAL: &str = "\\`*<~&#@";

/// An item of a list.
pub fn item(line: &str) -> String {
    format!("- {}\n", escape(line))
}

/// An item of a list that is marked as a warning.
pub fn warning(warning: &str) -> String {
    format!("- **Warning:** {}\n", escape(warning))
}

/// A block that is folded away until somebody wants it.
pub fn details(name: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n\n{body}\n</details>\n", escape(name))
}

/// Running text in which nothing formats: special characters are written as entities.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let in_word = before.is_alphanumeric() && next.is_alphanumeric();
        match c {
            _ if c.is_control() => out.push('\u{fffd}'),
            '_' if !in_word => out += "&#95;",
            // What could make a link of the words before it; elsewhere brackets hold intervals.
            ']' if "([".contains(next) => out += "&#93;",
            _ if SPECIAL.contains(c) => out += &format!("&#{};", u32::from(c)),
            _ => out.push(c),
        }
        before = c;
    }
    out
}

/// Running text in a cell of a table.
pub fn cell(text: &str) -> String {
    escape(text).replace('|', "&#124;")
}

/// A name as code. One that a code span can't hold in a table is written as a tag with entities.
pub fn code(name: &str) -> String {
    let hostile = |c: char| c.is_control() || matches!(c, '`' | '|' | '\\');
    match name.trim() {
        "" => String::new(),
        name if name.contains(hostile) => format!("<code>{}</code>", cell(name)),
        name => format!("`{name}`"),
    }
}

/// A row of a table; the cells are Markdown already.
pub fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_formats_nothing_and_ends_no_cell() {
        assert_eq!(escape("<img> *x* [y](z) [1, 2]"), "&#60;img> &#42;x&#42; [y&#93;(z) [1, 2]");
        assert_eq!(cell("a|b"), "a&#124;b");
        assert_eq!(escape("line\nbreak @you #1"), "line\u{fffd}break &#64;you &#35;1");
        assert_eq!(escape("leaky_relu _x_"), "leaky_relu &#95;x&#95;");
        assert_eq!(code("/model.0/act/Mul"), "`/model.0/act/Mul`");
        assert_eq!(code("a|b`c\\"), "<code>a&#124;b&#96;c&#92;</code>");
        assert_eq!(code(" "), "");
    }

    #[test]
    fn a_warning_is_marked_and_a_line_that_looks_like_one_is_not() {
        assert_eq!(warning("steal 3%"), "- **Warning:** steal 3%\n");
        assert_eq!(item("! no warning"), "- ! no warning\n");
    }
}
