//! The same text with colours, for those who see them: words alone say all of it.

use super::section::{Part, Section, Tone, Writer};
use super::text;
use crate::escape::COLOURS;

pub struct Terminal;

impl Writer for Terminal {
    fn section(&self, section: &Section) -> String {
        let parts = section.parts.iter().enumerate().map(|(at, part)| {
            let warning = matches!(part, Part::Warning(_)).then_some(Tone::Open);
            let text = text::part(part);
            match section.tones.get(&at).copied().or(warning) {
                Some(tone) => painted(&text, tone),
                None => text,
            }
        });
        text::heading(section).into_iter().chain(parts).collect()
    }
}

/// Each line by itself, so that a pager may begin anywhere.
fn painted(text: &str, tone: Tone) -> String {
    let [bad, good, open, end] = COLOURS;
    let colour = match tone {
        Tone::Bad => bad,
        Tone::Good => good,
        Tone::Open => open,
    };
    text.lines().map(|line| format!("{colour}{line}{end}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::Text;

    #[test]
    fn colours_are_added_to_the_text_and_say_nothing_that_it_does_not() {
        let section = Section::headed("head")
            .line("a line")
            .toned("slower ".repeat(20), Some(Tone::Bad))
            .toned("faster", Some(Tone::Good))
            .toned("none", None)
            .warning("a warning of \u{1b}[32m");
        let [bad, good, open, end] = COLOURS;
        let coloured = Terminal.section(&section);
        let plain = COLOURS.iter().fold(coloured.clone(), |text, colour| text.replace(colour, ""));
        assert_eq!(plain, Text.section(&section));
        assert_eq!(coloured.matches(bad).count(), 2, "both lines that it is wrapped into: {coloured:?}");
        assert!(coloured.contains(&format!("{good}faster{end}\nnone\n")), "{coloured:?}");
        assert!(coloured.ends_with(&format!("{open}! a warning of \\u001b[32m{end}\n")), "{coloured:?}");
    }
}
