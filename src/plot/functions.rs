//! Activations and their derivatives as a drawing: the quickest way to see what a swap changes.
//!
//! The drawing is an SVG of two panels without scripts or fonts of its own. Colours follow the reader's light or
//! dark scheme, and lines differ in their dashes too, so that colours aren't needed to tell them apart.

use std::fmt::Write;

use super::axis::{self, Axis};
use super::svg::{COLOURS, DASHES};
use crate::activation::Activation;
use crate::escape;
use crate::files::{Kind, start_of_text};

const WIDTH: f64 = 960.0;
const PANEL: f64 = 400.0;
const HEIGHT: f64 = 320.0;
/// Left and upper edge of the first panel, room between the panels, and below them.
const LEFT: f64 = 56.0;
const TOP: f64 = 40.0;
const BETWEEN: f64 = 64.0;
const BELOW: f64 = 44.0;
/// Height of a row of the legend.
const ROW: f64 = 22.0;
/// Points of a curve.
const POINTS: i32 = 1600;

/// Drawings of activations.
pub const KIND: Kind = Kind {
    what: "a drawing of oplat's",
    is: |file| start_of_text(file).is_some_and(|text| is_drawing(&text)),
};

/// What follows the activations' names in a drawing's title.
const TITLE: &str = ": the function and its derivative</title>\n";

fn is_drawing(text: &str) -> bool {
    text.starts_with("<svg ") && text.lines().nth(1).is_some_and(|line| line.ends_with(TITLE.trim_end()))
}

/// The drawing of some activations, as an SVG document.
pub fn svg(activations: &[Activation]) -> String {
    let names: Vec<String> =
        activations.iter().map(|activation| escape::xml(&activation.to_string())).collect();
    let half = activations.iter().map(half_width).fold(5.0, f64::min);
    let columns = legend_columns(&names);
    let rows = names.len().div_ceil(columns) as f64;
    let height = TOP + HEIGHT + BELOW + rows * ROW + 10.0;

    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>{}{TITLE}{}\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n",
        names.join(", "),
        style()
    );
    let panels: [(&str, Function); 2] = [("f(x)", Activation::value), ("f\u{2032}(x)", Activation::slope)];
    for (i, (title, function)) in panels.into_iter().enumerate() {
        let left = LEFT + i as f64 * (PANEL + BETWEEN);
        Panel::new(left, half, activations, function).draw(&mut out, title);
    }
    draw_legend(&mut out, &names, columns);
    out.push_str("</svg>\n");
    out
}

fn draw_legend(out: &mut String, names: &[String], columns: usize) {
    for (i, name) in names.iter().enumerate() {
        let column = (i % columns) as f64 * (WIDTH - LEFT) / columns as f64;
        let (x, y) = (LEFT + column, TOP + HEIGHT + BELOW + (i / columns) as f64 * ROW + 6.0);
        let _ = writeln!(
            out,
            "<path class=\"line {}\" d=\"M{x} {y}h34\"/><text x=\"{}\" y=\"{}\">{name}</text>",
            classes(i),
            x + 42.0,
            y + 4.5
        );
    }
}

/// The function of an activation, or its derivative.
type Function = fn(&Activation, f64) -> f64;

/// One function of every activation, with its axes.
struct Panel {
    left: f64,
    across: Axis,
    up: Axis,
    /// Of each activation.
    curves: Vec<Curve>,
}

/// Points in pieces: a line doesn't lead over a jump.
type Curve = Vec<Vec<(f64, f64)>>;

impl Panel {
    /// The functions from `-half` to `half`.
    fn new(left: f64, half: f64, activations: &[Activation], function: Function) -> Self {
        let curves: Vec<Curve> =
            activations.iter().map(|a| curve(half, &a.kinks(), |x| function(a, x))).collect();
        let values = || curves.iter().flatten().flatten().map(|&(_, y)| y);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        Self {
            left,
            across: Axis::new(-half, half, left, left + PANEL),
            up: Axis::padded(low, high, TOP + HEIGHT, TOP),
            curves,
        }
    }

    fn draw(&self, out: &mut String, title: &str) {
        let _ =
            writeln!(out, "<text class=\"title\" x=\"{}\" y=\"{}\">{title}</text>", self.left, TOP - 14.0);
        self.draw_grid(out);
        for (i, curve) in self.curves.iter().enumerate() {
            let _ = writeln!(out, "<path class=\"line {}\" d=\"{}\"/>", classes(i), self.path(curve));
        }
    }

    fn draw_grid(&self, out: &mut String) {
        let class = |tick: f64| if tick == 0.0 { "axis" } else { "grid" };
        for tick in self.across.ticks() {
            let _ = writeln!(
                out,
                "<path class=\"{}\" d=\"M{x:.1} {TOP}v{HEIGHT}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                class(tick),
                TOP + HEIGHT + 18.0,
                axis::label(tick),
                x = self.across.at(tick)
            );
        }
        for tick in self.up.ticks() {
            let (left, y) = (self.left, self.up.at(tick));
            let _ = writeln!(
                out,
                "<path class=\"{}\" d=\"M{left} {y:.1}h{PANEL}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                class(tick),
                left - 8.0,
                y + 4.0,
                axis::label(tick)
            );
        }
    }

    fn path(&self, curve: &Curve) -> String {
        let mut path = String::new();
        for (i, &(x, y)) in curve.iter().flat_map(|piece| piece.iter().enumerate()) {
            let command = if i == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.across.at(x), self.up.at(y));
        }
        path
    }
}

/// A function from `-half` to `half`, in pieces between its kinks.
fn curve(half: f64, kinks: &[f64], function: impl Fn(f64) -> f64) -> Curve {
    let mut bounds = vec![-half];
    bounds.extend(kinks.iter().copied().filter(|k| k.abs() < half));
    bounds.push(half);
    let step = 2.0 * half / f64::from(POINTS);
    let piece = |ends: &[f64]| {
        let (from, to) = (ends[0] + 1e-9, ends[1] - 1e-9);
        let between = (0..=POINTS).map(|i| -half + f64::from(i) * step).filter(|x| from < *x && *x < to);
        let points = [from].into_iter().chain(between).chain([to]).map(|x| (x, function(x)));
        points.filter(|(_, y)| y.is_finite()).collect()
    };
    bounds.windows(2).map(piece).collect()
}

/// How far from 0 a function is drawn: less than 5 if it would turn too often to be seen.
fn half_width(activation: &Activation) -> f64 {
    const MOST_TURNS: f64 = 12.0;
    let slope = |i: i32| activation.slope(f64::from(i) / 800.0);
    let turns = (-4000..4000).filter(|&i| slope(i) * slope(i + 1) < 0.0).count() as f64;
    if turns <= MOST_TURNS { 5.0 } else { axis::round_down(5.0 * MOST_TURNS / turns) }
}

/// How many names fit beside each other.
fn legend_columns(names: &[String]) -> usize {
    let widest = names.iter().map(|n| n.chars().count()).max().unwrap_or(1) as f64 * 8.0 + 62.0;
    (((WIDTH - LEFT) / widest) as usize).clamp(1, names.len().max(1))
}

fn classes(i: usize) -> String {
    format!("c{} d{}", i % COLOURS.len(), i % DASHES.len())
}

fn style() -> String {
    let mut css = String::from(
        "<style>\n.ground{fill:#fff}\ntext{font:13px system-ui,sans-serif;fill:#1f2328}\n\
         .title{font-size:15px;font-weight:600}\n.tick{fill:#59636e}\n.line{fill:none;stroke-width:2;\
         stroke-linejoin:round}\n.grid{stroke:#d8dde3;stroke-width:1}\n.axis{stroke:#8b949e;stroke-width:1.4}\n",
    );
    for (i, (light, _)) in COLOURS.iter().enumerate() {
        let _ = writeln!(css, ".c{i}{{stroke:{light}}}");
    }
    for (i, dashes) in DASHES.iter().enumerate() {
        let _ = writeln!(css, ".d{i}{{stroke-dasharray:{dashes}}}");
    }
    css.push_str(
        "@media screen and (prefers-color-scheme:dark){\n.ground{fill:#16191d}\ntext{fill:#e6e9ed}\n.tick{fill:#a4adb8}\n\
         .grid{stroke:#30363d}\n.axis{stroke:#767f8a}\n",
    );
    for (i, (_, dark)) in COLOURS.iter().enumerate() {
        let _ = writeln!(css, ".c{i}{{stroke:{dark}}}");
    }
    css.push_str("}\n</style>\n");
    css
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::kinds;

    fn drawn(names: &[&str]) -> String {
        svg(&names.iter().map(|n| Activation::parse(n).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn every_row_can_be_drawn_inside_its_panels() {
        for kind in kinds() {
            let text = svg(&[Activation::new(kind)]);
            assert!(is_drawing(&text));
            assert!(!text.contains("NaN") && !text.contains("inf"), "{}", kind.name);
            assert_eq!(text.matches("<path class=\"line").count(), 3, "{}", kind.name);
            let lines = text.split("class=\"line c0 d0\" d=\"M").skip(1);
            for point in lines.take(2).flat_map(|path| path.split('"').next().unwrap().split(['L', 'M'])) {
                let (x, y) = point.split_once(' ').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!(
                    (LEFT..=WIDTH).contains(&x) && (TOP..=TOP + HEIGHT).contains(&y),
                    "{}: {point}",
                    kind.name
                );
            }
        }
    }

    #[test]
    fn several_share_axes_and_have_a_legend() {
        let text = drawn(&["relu", "silu", "leaky_relu:0.1"]);
        for name in ["relu", "silu", "leaky_relu:0.1"] {
            assert!(text.contains(&format!(">{name}</text>")));
        }
        assert_eq!(text.matches("class=\"title\"").count(), 2);
        assert!(text.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn a_jump_is_a_gap_and_not_a_slope() {
        let pieces = curve(5.0, &[0.0], |x| f64::from(x > 0.0));
        assert_eq!(pieces.len(), 2);
        assert!(pieces[0].iter().all(|p| p.1 == 0.0) && pieces[1].iter().all(|p| p.1 == 1.0));
    }

    #[test]
    fn a_fast_sine_is_drawn_near_zero() {
        assert_eq!(half_width(&Activation::parse("sine").unwrap()), 0.5);
        assert_eq!(half_width(&Activation::parse("sine:1").unwrap()), 5.0);
    }
}
