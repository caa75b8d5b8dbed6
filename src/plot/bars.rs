//! Bars made of parts, one below another, each with a mark of its own.

use super::axis::{Axis, Quantity};
use super::legend::Legend;
use super::svg::{Anchor, BELOW, Drawing, WIDTH, colour, headed, width};

pub struct Bar {
    pub name: String,
    /// One for each of the plot's parts; `None` where it isn't known.
    pub parts: Vec<Option<f64>>,
    /// Where the mark is.
    pub mark: Option<f64>,
    /// What the mark says.
    pub told: String,
}

pub struct Bars<'a> {
    pub title: &'a str,
    pub axis: &'a str,
    pub quantity: Quantity,
    /// Names of the parts, in order.
    pub parts: Vec<String>,
    pub bars: Vec<Bar>,
    /// What the mark is; empty if there is none.
    pub mark: &'a str,
    /// How far the axis goes at least: so plots beside each other have one scale.
    pub reach: f64,
}

const ROW: f64 = 46.0;
const HEIGHT: f64 = 20.0;
const LEFT: f64 = 14.0;

impl Bars<'_> {
    pub fn svg(&self, id: &str) -> String {
        let names: Vec<String> =
            self.parts.iter().enumerate().map(|(at, name)| format!("{} {name}", at + 1)).collect();
        let mark = Some(self.mark).filter(|mark| !mark.is_empty());
        let legend = Legend::new(names.iter().map(String::as_str).chain(mark));
        let (top, bottom) = (legend.height() + 6.0, legend.height() + 6.0 + self.bars.len() as f64 * ROW);
        let mut drawing = Drawing::new(bottom + BELOW);
        let totals = self.bars.iter().flat_map(|bar| [Some(total(bar)), bar.mark]).flatten();
        let axis = Axis::from_zero(self.quantity, totals.chain([self.reach]), LEFT, WIDTH - LEFT);
        drawing.across(&axis, top, bottom, self.axis);
        for (at, bar) in self.bars.iter().enumerate() {
            self.draw(&mut drawing, &axis, bar, top + at as f64 * ROW);
        }
        legend.draw(&mut drawing, 0.0, |drawing, at, x, y| match self.parts.get(at) {
            Some(_) => drawing.rect(&format!("area {}", colour(at)), [x + 6.0, y - 7.0, 18.0, 14.0], None),
            None => drawing.path("median", &format!("M{} {}v16", x + 15.0, y - 8.0)),
        });
        let told: Vec<&str> = self.bars.iter().take(12).map(|bar| bar.told.as_str()).collect();
        drawing.finish(id, self.title, &told.join("; "))
    }

    fn draw(&self, drawing: &mut Drawing, axis: &Axis, bar: &Bar, top: f64) {
        headed(drawing, LEFT, top + 14.0, &bar.name, &bar.told);
        let mut done = 0.0;
        for (at, part) in bar.parts.iter().enumerate() {
            let part = part.filter(|part| *part > 0.0).unwrap_or(0.0);
            let [left, right] = [done, done + part].map(|value| axis.within(value));
            done += part;
            if right - left < 0.3 {
                continue;
            }
            let told = format!("{}, {}: {}", bar.name, self.parts[at], self.quantity.text(part));
            drawing.rect(
                &format!("area {}", colour(at)),
                [left, top + 20.0, right - left, HEIGHT],
                Some(&told),
            );
            let named = format!("{} {}", at + 1, self.parts[at]);
            let short = (at + 1).to_string();
            let label = [named, short].into_iter().find(|label| width(label) + 6.0 < right - left);
            if let Some(label) = label {
                drawing.text((left + right) / 2.0, top + 34.5, Anchor::Middle, "inside", &label);
            }
        }
        if let Some(mark) = bar.mark {
            drawing.told_path(
                "median",
                &format!("M{:.1} {:.1}v28", axis.within(mark), top + 16.0),
                &bar.told,
            );
        }
    }
}

fn total(bar: &Bar) -> f64 {
    bar.parts.iter().flatten().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar_and_the_unknown_is_left_out() {
        let bar = |parts, mark| Bar { name: "original".into(), parts, mark, told: "p50".into() };
        let bars = vec![bar(vec![Some(30e6), None, Some(0.0)], Some(31e6)), bar(vec![None; 3], None)];
        let parts = ["Conv", "Silu", "Add"].map(String::from).to_vec();
        let plot = Bars {
            title: "",
            axis: "time",
            quantity: Quantity::Time,
            parts,
            bars,
            mark: "plain",
            reach: 0.0,
        };
        let svg = plot.svg("b");
        assert_eq!(
            (svg.matches("area c0").count(), svg.matches("area c1").count()),
            (2, 1),
            "one is the legend's"
        );
        assert_eq!(svg.matches("\"median\"").count(), 2);
        assert!(svg.contains(">1 Conv</text>") && svg.contains("time, ms"), "{svg}");
        let empty = Bars { bars: vec![], ..plot }.svg("b");
        assert!(!empty.contains("NaN"));
    }
}
