//! A drawing under construction: the one place where texts become SVG, and how lines, areas and marks look.

use std::fmt::Write;

use super::axis::Axis;
use crate::escape;

/// Colours of lines and areas, on light and on dark ground.
pub const COLOURS: [(&str, &str); 8] = [
    ("#0b62b5", "#6cb6ff"),
    ("#c2410c", "#ff9b5e"),
    ("#15803d", "#5ad184"),
    ("#9333ea", "#c69bff"),
    ("#b91c57", "#ff86b3"),
    ("#0f766e", "#4fd1c5"),
    ("#7c5c00", "#e3bf4d"),
    ("#4b5563", "#b6bec9"),
];
pub const DASHES: [&str; 4] = ["none", "8 3", "2.5 2.5", "9 3 2 3"];

/// Width of every plot; it grows and shrinks with the page.
pub const WIDTH: f64 = 640.0;
/// Height of a line of text, and the width of most of its characters.
pub const LINE: f64 = 18.0;
const CHARACTER: f64 = 7.0;
/// Room for a horizontal axis with its ticks and its title.
pub const BELOW: f64 = 44.0;

/// Which side of a text stands at its place.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

pub struct Drawing {
    height: f64,
    body: String,
}

impl Drawing {
    pub fn new(height: f64) -> Self {
        Self { height, body: String::new() }
    }

    /// The SVG, with what it shows for those who don't see it. `id` is its own in the page.
    pub fn finish(self, id: &str, title: &str, description: &str) -> String {
        let (title, description) = (escape::xml(title), escape::xml(description));
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>{}</svg>",
            number(self.height),
            self.body
        )
    }

    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let class = match anchor {
            Anchor::Start => class.to_owned(),
            Anchor::Middle => format!("{class} mid"),
            Anchor::End => format!("{class} end"),
        };
        let (x, y, text) = (number(x), number(y), escape::xml(text));
        let _ = write!(self.body, "<text class=\"{}\" x=\"{x}\" y=\"{y}\">{text}</text>", class.trim());
    }

    pub fn path(&mut self, class: &str, d: &str) {
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{d}\"/>");
    }

    /// A path that says what it is when it is pointed at.
    pub fn told_path(&mut self, class: &str, d: &str, told: &str) {
        let told = escape::xml(told);
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{d}\"><title>{told}</title></path>");
    }

    pub fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], told: Option<&str>) {
        let d =
            format!("M{} {}h{}v{}h-{}z", number(x), number(y), number(width), number(height), number(width));
        match told {
            Some(told) => self.told_path(class, &d, told),
            None => self.path(class, &d),
        }
    }

    pub fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.path(class, &format!("M{} {}L{} {}", number(x1), number(y1), number(x2), number(y2)));
    }

    /// A horizontal axis: lines from `top` to `bottom`, ticks below, and the title with the unit below these.
    pub fn across(&mut self, axis: &Axis, top: f64, bottom: f64, title: &str) {
        for tick in axis.labelled() {
            let x = axis.at(tick.value);
            self.line("grid", [x, top], [x, bottom]);
            self.text(x, bottom + 15.0, Anchor::Middle, "tick", &tick.label);
        }
        let middle = (axis.at_ends()[0] + axis.at_ends()[1]) / 2.0;
        self.text(middle, bottom + 34.0, Anchor::Middle, "tick", &with_unit(title, axis));
    }

    /// A vertical axis: lines from `left` to `right`, ticks at the left, and the title above.
    pub fn up(&mut self, axis: &Axis, left: f64, right: f64, title: &str) {
        for tick in axis.labelled() {
            let y = axis.at(tick.value);
            self.line("grid", [left, y], [right, y]);
            self.text(left - 6.0, y + 4.0, Anchor::End, "tick", &tick.label);
        }
        let top = axis.at_ends().into_iter().fold(f64::INFINITY, f64::min);
        self.text(4.0, top - 10.0, Anchor::Start, "tick", &with_unit(title, axis));
    }
}

/// `latency, ms`
fn with_unit(title: &str, axis: &Axis) -> String {
    if axis.unit().is_empty() { title.to_owned() } else { format!("{title}, {}", axis.unit()) }
}

/// A coordinate in as many digits as can be seen.
pub fn number(value: f64) -> String {
    let text = format!("{:.1}", if value.is_finite() { value } else { 0.0 });
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// How wide a text is drawn, about.
pub fn width(text: &str) -> f64 {
    escape::line(text).chars().map(|c| if c >= '\u{1100}' { 2.0 * CHARACTER } else { CHARACTER }).sum()
}

/// The text, cut in its middle if it doesn't fit.
pub fn fitted(text: &str, room: f64) -> String {
    let text = escape::line(text);
    if width(&text) <= room {
        return text.into_owned();
    }
    let fits = |chars: &mut dyn Iterator<Item = char>| {
        let mut used = CHARACTER / 2.0;
        let chars = chars.take_while(|c| {
            used += width(c.encode_utf8(&mut [0; 4]));
            used <= room / 2.0
        });
        chars.collect::<Vec<char>>()
    };
    let (head, tail) = (fits(&mut text.chars()), fits(&mut text.chars().rev()));
    head.into_iter().chain(['…']).chain(tail.into_iter().rev()).collect()
}

/// A name, and what is told of it behind: the name gives way where room is short.
pub fn headed(drawing: &mut Drawing, x: f64, y: f64, name: &str, told: &str) {
    const APART: f64 = 16.0;
    // No line of the plot goes through it.
    drawing.rect("cover", [0.0, y - LINE + 4.0, WIDTH, LINE], None);
    let name = fitted(name, (WIDTH - 2.0 * x - APART - width(told)).max(WIDTH / 4.0));
    drawing.text(x, y, Anchor::Start, "", &name);
    drawing.text(x + width(&name) + APART, y, Anchor::Start, "figure", told);
}

/// A mark around a point: each thing has a shape of its own beside its colour.
pub fn symbol(which: usize, x: f64, y: f64) -> String {
    let at = |dx: f64, dy: f64| format!("{} {}", number(x + dx), number(y + dy));
    match which % 6 {
        0 => format!("M{}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", at(-4.0, 0.0)),
        1 => format!("M{}h7v7h-7z", at(-3.5, -3.5)),
        2 => format!("M{}l4.5 8h-9z", at(0.0, -5.0)),
        3 => format!("M{}l5 5l-5 5l-5 -5z", at(0.0, -5.0)),
        4 => format!("M{}h9l-4.5 8z", at(-4.5, -3.5)),
        _ => format!("M{}h3v3h3v3h-3v3h-3v-3h-3v-3h3z", at(-1.5, -4.5)),
    }
}

pub fn colour(which: usize) -> String {
    format!("c{}", which % COLOURS.len())
}

pub fn dashes(which: usize) -> String {
    format!("d{}", which % DASHES.len())
}

/// The colours of a page's plots as CSS: `light` and `dark` are what they stand behind.
pub fn style(light: &str, dark: [&str; 2]) -> String {
    let colours = |of: fn(&(&'static str, &'static str)) -> &'static str| {
        let each = COLOURS.iter().enumerate().map(|(i, pair)| format!("--c{i}:{};", of(pair)));
        each.collect::<String>()
    };
    let mut css = format!("{light}{{{}}}\n", colours(|pair| pair.0));
    for behind in dark {
        let end = if behind.contains('{') { "}" } else { "" };
        let _ = writeln!(css, "{behind}{{{}}}{end}", colours(|pair| pair.1));
    }
    for i in 0..COLOURS.len() {
        let _ = writeln!(css, ".c{i}{{--c:var(--c{i})}}");
    }
    for (i, dashes) in DASHES.iter().enumerate() {
        let _ = writeln!(css, ".d{i}{{stroke-dasharray:{dashes}}}");
    }
    css
}

/// How lines, marks and texts of plots look, but for the colours that [`style`] has and those of the page: `--text`, `--dim`, `--ground`,
/// `--rule`, `--axis`, `--panel`, `--mark` and `--inside`.
pub const CSS: &str = include_str!("plot.css");

/// A plot as a file of its own.
pub fn standing_alone(plot: &str) -> String {
    const LIGHT: &str = "--text:#1f2328;--dim:#59636e;--ground:#fff;--rule:#d8dde3;--axis:#6b7480;--panel:#f6f8fa;--mark:#c2410c;--inside:#fff";
    const DARK: &str = "--text:#e6e9ed;--dim:#a4adb8;--ground:#16191d;--rule:#363d46;--axis:#8b949e;--panel:#1f242a;--mark:#ff9b5e;--inside:#101317";
    const IN_DARK: &str = "@media screen and (prefers-color-scheme:dark){svg";
    let style = style("svg", [IN_DARK, IN_DARK]);
    let css = format!("svg{{{LIGHT};background:var(--ground)}}\n{IN_DARK}{{{DARK}}}}}\n{style}{CSS}");
    let rest = plot.strip_prefix("<svg ").unwrap_or(plot);
    match rest.split_once('>') {
        Some((attributes, body)) => {
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" {attributes}>\n<style>\n{css}</style>\n{body}\n"
            )
        }
        None => plot.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_a_file_of_its_own() {
        let mut drawing = Drawing::new(10.0);
        drawing.path("line c0", "M0 0");
        let file = standing_alone(&drawing.finish("x", "t", "d"));
        assert!(file.starts_with("<svg xmlns=") && file.ends_with("</svg>\n"), "{file}");
        assert!(file.contains(".line{") && file.matches("<style>").count() == 1);
        assert_eq!(file.matches('{').count(), file.matches('}').count());
    }

    #[test]
    fn what_others_wrote_is_text_and_fits() {
        let mut drawing = Drawing::new(10.0);
        drawing.text(1.0, f64::NAN, Anchor::End, "tick", "</svg><script>\u{202e}\"'&");
        drawing.told_path("c0", "M0 0", "<b>");
        let svg = drawing.finish("x", "a<b", "c\nd");
        for told in [
            "a&lt;b",
            "c\\nd",
            "&lt;/svg&gt;&lt;script&gt;\\u202e&quot;&apos;&amp;",
            "<title>&lt;b&gt;</title>",
        ] {
            assert!(svg.contains(told), "{svg}");
        }
        assert!(!svg.contains("NaN"));
        for name in ["x".repeat(10_000), "活性".repeat(90)] {
            let cut = fitted(&name, 120.0);
            assert!(cut.contains('…') && width(&cut) <= 120.0 + 14.0, "{cut}");
        }
        assert_eq!(fitted("short", 120.0), "short");
    }
}
