//! Every run in the order in which it was made, process beside process: drift within one and differences between them show.

use super::axis::{Axis, Quantity};
use super::svg::{Anchor, BELOW, Drawing, WIDTH, number};

pub struct Runs<'a> {
    pub title: &'a str,
    pub description: &'a str,
    /// Of each process, its runs in order, ns.
    pub forks: Vec<Vec<u64>>,
    /// The median of all.
    pub median: Option<f64>,
}

const LEFT: f64 = 58.0;
const HEIGHT: f64 = 200.0;
/// The most dots; of more runs only some are drawn.
const DOTS: usize = 3_000;
/// Runs so many times as long as most others are drawn at the upper edge.
const FAR: f64 = 2.0;

impl Runs<'_> {
    /// Of how many runs one is drawn.
    pub fn every(&self) -> usize {
        self.count().div_ceil(DOTS).max(1)
    }

    /// How many runs are at the upper edge, since they are too long to be drawn.
    pub fn beyond(&self) -> usize {
        let most = self.most();
        self.forks.iter().flatten().filter(|&&ns| ns as f64 > most).count()
    }

    fn count(&self) -> usize {
        self.forks.iter().map(Vec::len).sum()
    }

    /// The longest run that is drawn where it belongs.
    fn most(&self) -> f64 {
        let mut all: Vec<u64> = self.forks.iter().flatten().copied().collect();
        all.sort_unstable();
        let Some(&longest) = all.last() else { return 0.0 };
        let usual = all[(all.len() - 1) * 95 / 100] as f64 * FAR;
        usual.min(longest as f64)
    }

    pub fn svg(&self, id: &str) -> String {
        let (top, bottom) = (28.0, 28.0 + HEIGHT);
        let mut drawing = Drawing::new(bottom + BELOW);
        let most = self.most();
        let shown = self.forks.iter().flatten().map(|&ns| (ns as f64).min(most));
        let y = Axis::around(Quantity::Time, shown, bottom, top);
        let forks = self.forks.len().max(1) as f64;
        let wide = (WIDTH - LEFT - 14.0) / forks;
        let labels = (20.0 / wide).ceil().max(1.0) as usize;
        for (at, fork) in self.forks.iter().enumerate() {
            let left = LEFT + at as f64 * wide;
            if at % 2 == 0 {
                drawing.rect("band", [left, top, wide, HEIGHT], None);
            }
            if at % labels == 0 {
                drawing.text(left + wide / 2.0, bottom + 15.0, Anchor::Middle, "tick", &(at + 1).to_string());
            }
            self.draw(&mut drawing, &y, fork, [left, wide], most);
        }
        drawing.up(&y, LEFT, WIDTH - 14.0, "unprofiled run");
        let below = "process (fork); within each its runs in order";
        drawing.text(LEFT + (WIDTH - LEFT) / 2.0, bottom + 34.0, Anchor::Middle, "tick", below);
        if let Some(median) = self.median.filter(|median| y.holds(*median)) {
            drawing.line("median", [LEFT, y.at(median)], [WIDTH - 14.0, y.at(median)]);
        }
        drawing.finish(id, self.title, self.description)
    }

    /// The dots of a process, and its own median.
    fn draw(&self, drawing: &mut Drawing, y: &Axis, fork: &[u64], [left, wide]: [f64; 2], most: f64) {
        let (mut dots, mut far) = (String::new(), String::new());
        let step = (wide - 6.0).max(0.0) / fork.len().max(1) as f64;
        for (n, &ns) in fork.iter().enumerate().step_by(self.every()) {
            let x = number(left + 3.0 + (n as f64 + 0.5) * step);
            match ns as f64 > most {
                true => far += &format!("M{x} {}l3 5h-6z", number(y.at_ends()[1] - 2.0)),
                false => dots += &format!("M{x} {}h0", number(y.within(ns as f64))),
            }
        }
        if !dots.is_empty() {
            drawing.path("dots", &dots);
        }
        if !far.is_empty() {
            drawing.path("point c1", &far);
        }
        let mut sorted = fork.to_vec();
        sorted.sort_unstable();
        if let Some(&median) = sorted.get(sorted.len() / 2) {
            let (median, right) = (y.within((median as f64).min(most)), left + wide - 3.0);
            drawing.line("own", [left + 3.0, median], [right, median]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_any_number_are_drawn_and_long_ones_dont_squeeze_the_rest() {
        for forks in
            [vec![], vec![vec![]], vec![vec![5]], vec![vec![0, 0], vec![0]], vec![vec![7; 40_000]; 3]]
        {
            let plot = Runs { title: "", description: "", forks, median: Some(5.0) };
            let svg = plot.svg("r");
            assert!(!svg.contains("NaN") && svg.len() < 80_000, "{}", svg.len());
            assert_eq!(plot.beyond(), 0);
        }
        let mut fork = vec![1_000_000; 99];
        fork.push(900_000_000);
        let plot = Runs { title: "", description: "", forks: vec![fork], median: None };
        assert_eq!(plot.beyond(), 1);
        assert!(plot.svg("r").contains("point c1"));
    }
}
