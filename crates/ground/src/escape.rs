//! Text that others wrote, made safe to show: models, records and devices may put anything into a name.
//!
//! A terminal obeys some characters, draws others in another order than they stand in, and shows some not at all. All
//! these are written out as JSON writes them (`\u001b`, `\u202e`): so one function serves all that is printed, and a JSON
//! document stays valid and says the same.

use std::borrow::Cow;

/// The text with every character written out that a terminal obeys, that changes the order of others, or that nobody can
/// see. Line breaks stay: they are the caller's own, see [`line()`].
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// The same in one line, for what others wrote into it: their line breaks are written out too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

/// Text for an attribute or an element of XML, HTML or SVG.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            c => out.push(c),
        }
    }
    out
}

/// What a report for a terminal may colour its lines with: bad, good, open, and the end of any of them.
pub const COLOURS: [&str; 4] = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];

/// As [`visible`], but with the colours of a text whose names are written out already.
pub fn coloured(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\u{1b}') {
        let colour = COLOURS.into_iter().find(|colour| rest[at..].starts_with(colour));
        out += &visible(&rest[..at]);
        out += &colour.map_or_else(|| visible("\u{1b}"), Cow::Borrowed);
        rest = &rest[at + colour.map_or(1, str::len)..];
    }
    out + &visible(rest)
}

fn escaped(text: &str, breaks: bool) -> Cow<'_, str> {
    let hidden = |c: char| if c == '\n' { breaks } else { is_hidden(c) };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = c == JOINER && is_pictograph(before) && chars.peek().is_some_and(|&c| is_pictograph(c));
        before = c;
        match c {
            _ if joins || !hidden(c) => out.push(c),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
        }
    }
    Cow::Owned(out)
}

/// Makes one emoji of two. Anywhere else it is just invisible.
const JOINER: char = '\u{200d}';

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Control characters, those that Unicode calls format characters (direction, joiners, tags, soft hyphens), separators of
/// lines and paragraphs, fillers, and what is no character at all.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_written_out() {
        for (hostile, shown) in [
            ("\u{1b}[2J\u{1b}]0;t\u{7}", "\\u001b[2J\\u001b]0;t\\u0007"),
            ("a\rb\tc\u{8}\u{0}", "a\\rb\\tc\\u0008\\u0000"),
            ("\u{9b}31m\u{7f}\u{85}", "\\u009b31m\\u007f\\u0085"),
            ("\u{202e}gnp.\u{202c}", "\\u202egnp.\\u202c"),
            ("\u{2066}\u{2067}\u{2068}\u{2069}", "\\u2066\\u2067\\u2068\\u2069"),
            ("\u{200e}\u{200f}\u{61c}", "\\u200e\\u200f\\u061c"),
            ("a\u{200b}b\u{200c}c\u{200d}d\u{2060}\u{feff}", "a\\u200bb\\u200cc\\u200dd\\u2060\\ufeff"),
            ("a\u{2028}b\u{2029}", "a\\u2028b\\u2029"),
            ("\u{ad}\u{3164}\u{ffff}", "\\u00ad\\u3164\\uffff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(visible(hostile), shown, "{hostile:?}");
        }
    }

    #[test]
    fn what_can_be_read_stays_as_it_is() {
        for text in
            ["/model.0/act/Mul", "Größe a\u{308} 活性化 ①", "نص עברית हिन्दी", "👩‍🔬 👍🏽 ❤️‍🔥 🇩🇪", "a\\b \"c\"", ""]
        {
            assert!(matches!(visible(text), Cow::Borrowed(_)) || visible(text) == text, "{text}");
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn line_breaks_are_the_callers_own_but_for_what_others_wrote_into_a_line() {
        assert_eq!(visible("one\ntwo\u{1b}\n"), "one\ntwo\\u001b\n");
        assert_eq!(line("one\ntwo"), "one\\ntwo");
    }

    #[test]
    fn a_json_document_says_the_same() {
        let said = "\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}\u{e0041}\r\n\t👩‍🔬 \\u0041 é";
        let document = serde_json::to_string_pretty(&[said]).expect("JSON");
        let shown = visible(&document).into_owned();
        assert!(!shown.contains(['\u{7f}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{e0041}']));
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).expect("JSON"), [said]);
    }

    #[test]
    fn of_what_a_terminal_obeys_only_the_four_colours_are_let_through() {
        let [bad, .., end] = COLOURS;
        assert_eq!(
            coloured(&format!("{bad}a\u{1b}[2J\u{1b}[35mb{end}\n")),
            format!("{bad}a\\u001b[2J\\u001b[35mb{end}\n")
        );
        assert_eq!(coloured("\u{1b}"), "\\u001b");
        assert_eq!(coloured("plain ü\u{202e}"), "plain ü\\u202e");
    }

    #[test]
    fn markup_stays_text() {
        assert_eq!(xml("a<b>&\"'\u{1b}\n"), "a&lt;b&gt;&amp;&quot;&apos;\\u001b\\n");
    }
}
