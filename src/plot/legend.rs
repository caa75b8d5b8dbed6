//! What the colours, numbers, dashes and shapes of a plot stand for.

use super::svg::{Anchor, Drawing, LINE, WIDTH, fitted, width};

/// Room for a mark before its name, and between two.
const MARK: f64 = 30.0;
const BETWEEN: f64 = 14.0;
const LONGEST: f64 = 250.0;

/// Names in rows, each with its place: the left end of its mark.
pub struct Legend {
    entries: Vec<(f64, usize, String)>,
    rows: usize,
}

impl Legend {
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let (mut x, mut row, mut entries) = (0.0, 0, vec![]);
        for name in names {
            let name = fitted(name, LONGEST);
            let wide = MARK + width(&name) + BETWEEN;
            if x > 0.0 && x + wide > WIDTH {
                (x, row) = (0.0, row + 1);
            }
            entries.push((x, row, name));
            x += wide;
        }
        let rows = if entries.is_empty() { 0 } else { row + 1 };
        Self { entries, rows }
    }

    pub fn height(&self) -> f64 {
        self.rows as f64 * LINE
    }

    /// Draws the names from `top` on; `mark` draws what is before each, in the middle of its line.
    pub fn draw(&self, drawing: &mut Drawing, top: f64, mut mark: impl FnMut(&mut Drawing, usize, f64, f64)) {
        for (at, (x, row, name)) in self.entries.iter().enumerate() {
            let y = top + *row as f64 * LINE + LINE / 2.0;
            mark(drawing, at, *x, y);
            drawing.text(x + MARK, y + 4.5, Anchor::Start, "", name);
        }
    }
}
