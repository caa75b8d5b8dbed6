//! Lines over a common axis: curves through points, or steps that hold until the next one.

use super::axis::{Axis, Quantity};
use super::legend::Legend;
use super::svg::{BELOW, Drawing, WIDTH, colour, dashes, number, symbol};

pub struct Line {
    pub name: String,
    pub points: Vec<[f64; 2]>,
}

pub struct Lines<'a> {
    pub title: &'a str,
    pub description: &'a str,
    /// Titles and quantities of the axes: the horizontal one, then the vertical one.
    pub axes: [(&'a str, Quantity); 2],
    pub lines: Vec<Line>,
    /// Whether values hold until the next point, and begin at zero; else points are joined, and axes may go by powers of ten.
    pub steps: bool,
}

const LEFT: f64 = 58.0;
const HEIGHT: f64 = 260.0;

impl Lines<'_> {
    pub fn svg(&self, id: &str) -> String {
        let legend = Legend::new(self.lines.iter().map(|line| line.name.as_str()));
        let top = legend.height() + 28.0;
        let bottom = top + HEIGHT;
        let mut drawing = Drawing::new(bottom + BELOW);
        let all =
            |axis: usize| self.lines.iter().flat_map(move |line| line.points.iter().map(move |p| p[axis]));
        let [(x_title, x_of), (y_title, y_of)] = self.axes;
        let [x, y] = match self.steps {
            true => [
                Axis::from_zero(x_of, all(0), LEFT, WIDTH - 14.0),
                Axis::from_zero(y_of, all(1), bottom, top),
            ],
            false => {
                [Axis::spread(x_of, all(0), LEFT, WIDTH - 14.0), Axis::spread(y_of, all(1), bottom, top)]
            }
        };
        drawing.across(&x, top, bottom, x_title);
        drawing.up(&y, LEFT, WIDTH - 14.0, y_title);
        for (at, line) in self.lines.iter().enumerate() {
            self.draw(&mut drawing, [&x, &y], at, line);
        }
        legend.draw(&mut drawing, 0.0, |drawing, at, x, y| {
            drawing.path(&class(at), &format!("M{x} {y}h24"));
            if !self.steps {
                drawing.path(&format!("point {}", colour(at)), &symbol(at, x + 12.0, y));
            }
        });
        drawing.finish(id, self.title, self.description)
    }

    fn draw(&self, drawing: &mut Drawing, [x, y]: [&Axis; 2], at: usize, line: &Line) {
        let known = || line.points.iter().filter(|p| p[0].is_finite() && p[1].is_finite());
        let places: Vec<[f64; 2]> = known().map(|p| [x.within(p[0]), y.within(p[1])]).collect();
        let mut d = String::new();
        for (n, [x, y]) in places.iter().map(|place| place.map(number)).enumerate() {
            d += &match (n, self.steps) {
                (0, _) => format!("M{x} {y}"),
                (_, true) => format!("H{x}V{y}"),
                (_, false) => format!("L{x} {y}"),
            };
        }
        if !places.is_empty() {
            drawing.told_path(&class(at), &d, &line.name);
        }
        if !self.steps {
            for (place, point) in places.iter().zip(known()) {
                let [(_, x_of), (_, y_of)] = self.axes;
                let told = format!("{}: {}, {}", line.name, x_of.text(point[0]), y_of.text(point[1]));
                drawing.told_path(&format!("point {}", colour(at)), &symbol(at, place[0], place[1]), &told);
            }
        }
    }
}

fn class(at: usize) -> String {
    format!("line {} {}", colour(at), dashes(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_no_one_and_many_points_are_drawn() {
        for points in
            [vec![], vec![[0.0, 0.0]], vec![[1.0, f64::NAN], [2.0, 5.0]], vec![[1.0, 1.0], [1e9, 1e-3]]]
        {
            for steps in [true, false] {
                let lines = vec![Line { name: "a".into(), points: points.clone() }];
                let axes = [("op", Quantity::Count), ("live", Quantity::Bytes)];
                let svg = Lines { title: "", description: "", axes, lines, steps }.svg("l");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{points:?}");
            }
        }
    }
}
