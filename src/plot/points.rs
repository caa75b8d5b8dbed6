//! Two numbers against each other, a mark for each thing.

use super::axis::{Axis, Quantity};
use super::legend::Legend;
use super::svg::{Anchor, BELOW, Drawing, WIDTH, colour, fitted, symbol, width};

pub struct Point {
    pub x: f64,
    pub y: f64,
    /// What it says when it is pointed at.
    pub told: String,
    /// Its name beside it; empty for none.
    pub name: String,
}

/// Points that have a mark in common.
pub struct Series {
    pub name: String,
    pub points: Vec<Point>,
}

pub struct Points<'a> {
    pub title: &'a str,
    pub description: &'a str,
    pub axes: [(&'a str, Quantity); 2],
    pub series: Vec<Series>,
    /// Whether axes may go by powers of ten.
    pub spread: bool,
}

const LEFT: f64 = 58.0;
const HEIGHT: f64 = 280.0;

impl Points<'_> {
    pub fn svg(&self, id: &str) -> String {
        let names = self.series.iter().map(|series| series.name.as_str());
        let legend = Legend::new(names.filter(|name| !name.is_empty()));
        let top = legend.height() + 28.0;
        let bottom = top + HEIGHT;
        let mut drawing = Drawing::new(bottom + BELOW);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (xs, ys) = (points().map(|p| p.x), points().map(|p| p.y));
        let [(x_title, x_of), (y_title, y_of)] = self.axes;
        let (left, right) = (LEFT, WIDTH - 14.0);
        let [x, y] = match self.spread {
            true => [Axis::spread(x_of, xs, left, right), Axis::spread(y_of, ys, bottom, top)],
            false => [Axis::around(x_of, apart(xs), left, right), Axis::around(y_of, apart(ys), bottom, top)],
        };
        drawing.across(&x, top, bottom, x_title);
        drawing.up(&y, left, right, y_title);
        let mut taken = vec![];
        for (at, series) in self.series.iter().enumerate() {
            for point in series.points.iter().filter(|p| p.x.is_finite() && p.y.is_finite()) {
                let (px, py) = (x.within(point.x), y.within(point.y));
                drawing.told_path(&format!("point {}", colour(at)), &symbol(at, px, py), &point.told);
                beside(&mut drawing, &mut taken, [px, py], &point.name);
            }
        }
        legend.draw(&mut drawing, 0.0, |drawing, at, x, y| {
            drawing.path(&format!("point {}", colour(at)), &symbol(at, x + 16.0, y));
        });
        drawing.finish(id, self.title, self.description)
    }
}

/// The values and two more, lest what is much the same looks different.
fn apart(values: impl Iterator<Item = f64>) -> Vec<f64> {
    const LEAST: f64 = 0.05;
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let middle = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.extend([middle * (1.0 - LEAST), middle * (1.0 + LEAST)]);
    values
}

/// Writes a name beside its point where no other name is: right or left of it, or a line lower or higher; else not at all.
fn beside(drawing: &mut Drawing, taken: &mut Vec<[f64; 3]>, [x, y]: [f64; 2], name: &str) {
    if name.is_empty() {
        return;
    }
    let name = fitted(name, 190.0);
    let wide = width(&name);
    let places = [0.0, 14.0, -14.0, 28.0, -28.0].into_iter().flat_map(|down| {
        [(x + 9.0, Anchor::Start), (x - 9.0 - wide, Anchor::End)]
            .map(|(left, anchor)| (left, y + 4.0 + down, anchor))
    });
    let free = |left: f64, y: f64| {
        let apart = |[from, to, at]: &[f64; 3]| left > *to || left + wide < *from || (at - y).abs() > 13.0;
        left > LEFT && left + wide < WIDTH && taken.iter().all(apart)
    };
    for (left, y, anchor) in places {
        if free(left, y) {
            taken.push([left, left + wide, y]);
            let at = if matches!(anchor, Anchor::End) { left + wide } else { left };
            drawing.text(at, y, anchor, "small", &name);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_anywhere_are_drawn_and_the_unknown_left_out() {
        let point = |x, y| Point { x, y, told: "<b>".into(), name: "variant".into() };
        for points in [
            vec![],
            vec![point(1.0, 1.0)],
            vec![point(0.0, 0.0), point(0.0, 0.0)],
            vec![point(f64::NAN, 2.0), point(1e12, 1e-9)],
        ] {
            let count = points.iter().filter(|p| p.x.is_finite()).count();
            let axes = [("elements", Quantity::Count), ("time", Quantity::Time)];
            let series = vec![Series { name: String::new(), points }];
            let svg = Points { title: "", description: "", axes, series, spread: true }.svg("p");
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<b>"));
            assert_eq!(svg.matches("class=\"point").count(), count);
        }
    }

    #[test]
    fn names_dont_stand_upon_each_other() {
        let (mut drawing, mut taken) = (Drawing::new(100.0), vec![]);
        for _ in 0..40 {
            beside(&mut drawing, &mut taken, [300.0, 200.0], "a name");
        }
        assert_eq!(taken.len(), 10, "five lines on either side");
    }
}
