//! What happened one after another: a waterfall, time to the right and one step below another, under a strip of all of it.

use super::axis::{Axis, Quantity};
use super::legend::Legend;
use super::svg::{BELOW, Drawing, WIDTH, number};

/// What is marked in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    None,
    /// It is what is looked for.
    Whole,
    /// What is looked for is part of it.
    Part,
}

pub struct Span {
    pub ns: f64,
    pub mark: Mark,
    /// What it says when it is pointed at.
    pub told: String,
}

pub struct Spans<'a> {
    pub title: &'a str,
    pub description: &'a str,
    pub axis: &'a str,
    /// Names of the marks: of none, of the whole, and of a part.
    pub names: [&'a str; 3],
    pub spans: &'a [Span],
}

const LEFT: f64 = 14.0;
/// The lowest and the highest that the steps may be together.
const LEAST: f64 = 120.0;
const MOST: f64 = 460.0;
/// The least height of a step: those of many overlap.
const STEP: f64 = 4.0;
/// Height of the strip, and its distance from what is above and below.
const STRIP: f64 = 20.0;
const APART: f64 = 8.0;
/// What is narrower has no text of its own, in a run of many steps.
const NARROW: f64 = 0.25;
const MANY: usize = 500;

impl Spans<'_> {
    pub fn svg(&self, id: &str) -> String {
        let all = self.spans.len().max(1);
        let height = (all as f64 * 6.0).clamp(LEAST, MOST);
        let row = height / all as f64;
        let legend = Legend::new(self.names);
        let strip = legend.height() + APART;
        let (top, bottom) = (strip + STRIP + APART, strip + STRIP + APART + height);
        let mut drawing = Drawing::new(bottom + BELOW);
        let sum = self.spans.iter().map(|span| span.ns).sum::<f64>();
        let axis = Axis::from_zero(Quantity::Time, [sum], LEFT, WIDTH - LEFT);
        drawing.across(&axis, strip, bottom, self.axis);
        self.strip(&mut drawing, &axis, strip);
        let mut begun = 0.0;
        for (at, span) in self.spans.iter().enumerate() {
            let (x, wide) = (axis.within(begun), axis.within(begun + span.ns) - axis.within(begun));
            begun += span.ns;
            let y = (top + at as f64 * row).min(bottom - STEP);
            let d = shape(span.mark, x, y, wide, row);
            match self.spans.len() > MANY && wide < NARROW {
                true => drawing.path(class(span.mark), &d),
                false => drawing.told_path(class(span.mark), &d, &span.told),
            }
        }
        legend.draw(&mut drawing, 0.0, |drawing, at, x, y| {
            let mark = [Mark::None, Mark::Whole, Mark::Part][at];
            drawing.path(class(mark), &shape(mark, x + 8.0, y - 5.0, 14.0, 10.0));
        });
        drawing.finish(id, self.title, self.description)
    }

    /// All steps in one row.
    fn strip(&self, drawing: &mut Drawing, axis: &Axis, top: f64) {
        let mut marked = [String::new(), String::new(), String::new()];
        let mut begun = 0.0;
        for span in self.spans {
            let (x, wide) = (axis.within(begun), axis.within(begun + span.ns) - axis.within(begun));
            begun += span.ns;
            if wide > 0.0 {
                marked[span.mark as usize] += &format!("M{x:.2} {top}h{wide:.2}v{STRIP}h-{wide:.2}z");
            }
        }
        let marks = [Mark::None, Mark::Whole, Mark::Part];
        let filled = marks.into_iter().zip(&marked).filter(|(_, d)| !d.is_empty());
        filled.for_each(|(mark, d)| drawing.path(&format!("strip {}", class(mark)), d));
    }
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::None => "span",
        Mark::Whole => "span whole",
        Mark::Part => "span part",
    }
}

/// A bar; one that holds what is looked for has a rhombus at its start.
fn shape(mark: Mark, x: f64, y: f64, wide: f64, row: f64) -> String {
    let (wide, high) = (wide.max(0.8), row.max(STEP));
    let bar = format!("M{} {}h{:.2}v{}h-{:.2}z", number(x), number(y), wide, number(high), wide);
    match mark {
        Mark::Part => {
            let half = 3.5;
            bar + &format!(
                "M{} {}l-{half} {half}l-{half} -{half}l{half} -{half}z",
                number(x - 1.0),
                number(y + high / 2.0)
            )
        }
        _ => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(times: &[f64]) -> String {
        let span = |(at, ns): (usize, &f64)| Span {
            ns: *ns,
            mark: [Mark::None, Mark::Whole, Mark::Part][at % 3],
            told: format!("op {at}"),
        };
        let spans: Vec<Span> = times.iter().enumerate().map(span).collect();
        Spans { title: "", description: "", axis: "time", names: ["op", "act", "folded"], spans: &spans }
            .svg("s")
    }

    #[test]
    fn steps_of_any_number_and_length_stay_inside() {
        for times in [vec![], vec![0.0], vec![0.0; 3], vec![1.0, 3.6e12, 5.0], vec![7.0; 3_000]] {
            let svg = drawn(&times);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{times:?}");
            assert_eq!(svg.matches("class=\"span").count(), times.len() + 3, "the legend has three");
            assert_eq!(svg.contains("\"strip span"), times.iter().any(|ns| *ns > 0.0));
        }
        assert!(drawn(&[5.0; 3_000]).len() < 400_000);
    }
}
