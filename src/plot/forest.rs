//! Ratios with their intervals, one below another, beside the line that stands for no difference.

use super::axis::{Axis, Quantity};
use super::svg::{BELOW, Drawing, WIDTH, headed, symbol};

/// A ratio, if it is known.
pub struct Estimate {
    pub name: String,
    pub ratio: Option<f64>,
    pub interval: Option<[f64; 2]>,
    /// The figures, or why there are none: at the end of the row.
    pub told: String,
    /// Whether it is surely a difference: its mark is filled.
    pub sure: bool,
}

pub struct Forest<'a> {
    pub title: &'a str,
    /// What is on the axis.
    pub axis: &'a str,
    pub rows: Vec<Estimate>,
    /// Differences up to this share are called none.
    pub margin: f64,
}

const ROW: f64 = 40.0;
/// An interval is drawn at most so many times beyond its ratio.
const FAR: f64 = 3.0;

impl Forest<'_> {
    pub fn svg(&self, id: &str) -> String {
        let bottom = 8.0 + self.rows.len() as f64 * ROW;
        let mut drawing = Drawing::new(bottom + BELOW);
        let axis = self.axis();
        let band = [1.0 - self.margin, 1.0 + self.margin].map(|ratio| axis.within(ratio));
        drawing.rect("margin", [band[0], 8.0, band[1] - band[0], bottom - 8.0], None);
        drawing.across(&axis, 8.0, bottom, self.axis);
        drawing.line("axis", [axis.at(1.0), 8.0], [axis.at(1.0), bottom]);
        for (at, row) in self.rows.iter().enumerate() {
            draw(&mut drawing, &axis, row, 8.0 + at as f64 * ROW);
        }
        let told: Vec<String> =
            self.rows.iter().take(12).map(|row| format!("{}: {}", row.name, row.told)).collect();
        let more = if self.rows.len() > told.len() { "; more in the table" } else { "" };
        drawing.finish(id, self.title, &format!("{}{more}", told.join("; ")))
    }

    fn axis(&self) -> Axis {
        let reach = |row: &Estimate| {
            let ratio = row.ratio.filter(|ratio| *ratio > 0.0 && ratio.is_finite())?;
            let [low, high] = row.interval.unwrap_or([ratio; 2]);
            Some([ratio, low.max(ratio / FAR), high.min(ratio * FAR)])
        };
        let values = self.rows.iter().filter_map(reach).flatten();
        let margin = [1.0 - self.margin, 1.0, 1.0 + self.margin];
        Axis::spread(Quantity::Number, values.chain(margin), 20.0, WIDTH - 20.0)
    }
}

fn draw(drawing: &mut Drawing, axis: &Axis, row: &Estimate, top: f64) {
    let y = top + 28.0;
    headed(drawing, 4.0, top + 14.0, &row.name, &row.told);
    let Some(ratio) = row.ratio.filter(|ratio| *ratio > 0.0 && ratio.is_finite()) else { return };
    let told = format!("{}: {}", row.name, row.told);
    if let Some([low, high]) = row.interval {
        let [left, right] = [low, high].map(|end| axis.within(end));
        let end = |x: f64, inside: bool, out: f64| match inside {
            true => format!("M{x:.1} {:.1}v8", y - 4.0),
            // An arrow says that the interval goes on.
            false => format!("M{:.1} {:.1}l{out} 4l{} 4", x - out, y - 4.0, -out),
        };
        let ends = end(left, axis.holds(low), -5.0) + &end(right, axis.holds(high), 5.0);
        drawing.told_path("interval", &format!("M{left:.1} {y:.1}H{right:.1}{ends}"), &told);
    }
    let (x, class) = (axis.within(ratio), if row.sure { "estimate sure" } else { "estimate" });
    drawing.told_path(class, &symbol(3, x, y), &told);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratio: Option<f64>, interval: Option<[f64; 2]>) -> Estimate {
        Estimate { name: "<mish>".into(), ratio, interval, told: "1.1".into(), sure: true }
    }

    #[test]
    fn an_interval_that_says_nothing_doesnt_squeeze_the_others() {
        let rows =
            vec![row(Some(1.1), Some([1.05, 1.15])), row(Some(1.2), Some([0.0, 1e9])), row(None, None)];
        let svg = Forest { title: "t", axis: "ratio", rows, margin: 0.02 }.svg("f");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<mish>"), "{svg}");
        assert_eq!((svg.matches("\"interval\"").count(), svg.matches("estimate sure").count()), (2, 2));
        assert!(svg.contains("l5 4l-5 4"), "it goes on beyond the drawing: {svg}");
    }

    #[test]
    fn ratios_of_nothing_and_of_everything_are_drawn_somewhere() {
        for ratio in [0.0, 1e-9, 1.0, 1e12, f64::NAN, f64::INFINITY] {
            let svg =
                Forest { title: "", axis: "", rows: vec![row(Some(ratio), None)], margin: 0.02 }.svg("f");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{ratio}: {svg}");
        }
    }
}
