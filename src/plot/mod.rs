//! Drawings as SVG: activations' functions in files of their own (`functions`), and what reports draw of measurements.
//!
//! Each plot takes numbers and texts, and knows nothing of records. `axis` maps numbers to places and chooses ticks, `svg` is the
//! one place where text becomes markup. Colours follow the reader's light or dark scheme; shapes, dashes and numbers tell things
//! apart without them.

mod axis;
mod bars;
mod forest;
mod functions;
mod legend;
mod lines;
mod points;
mod runs;
mod spans;
mod svg;

pub use axis::Quantity;
pub use bars::{Bar, Bars};
pub use forest::{Estimate, Forest};
pub use functions::{KIND, svg};
pub use lines::{Line, Lines};
pub use points::{Point, Points, Series};
pub use runs::Runs;
pub use spans::{Mark, Span, Spans};
pub use svg::{CSS, standing_alone, style, symbol};
