//! From numbers to places on the page, with ticks at round numbers.

/// An axis of a drawing: a linear map from an interval of numbers to places.
pub struct Axis {
    low: f64,
    high: f64,
    /// Where `low` is drawn.
    from: f64,
    /// Where `high` is drawn.
    to: f64,
}

impl Axis {
    /// Maps `low` to `from` and `high` to `to`.
    pub fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high, from, to }
    }

    /// The same with room beyond both ends; an interval without length gets one.
    pub fn padded(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let room = if high - low > 1e-9 { 0.06 * (high - low) } else { 0.5 };
        Self::new(low - room, high + room, from, to)
    }

    pub fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About six round numbers, ascending, 0 among them if it is inside.
    pub fn ticks(&self) -> Vec<f64> {
        let step = round_up((self.high - self.low) / 7.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below the value.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|d| d * power >= value * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

/// The largest of 1, 2 and 5 times a power of ten that is not above the value.
pub fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|d| d * power <= value * (1.0 + 1e-9));
    digit.unwrap_or(1.0) * power
}

/// A tick's number without the digits that rounding leaves behind, and with a real minus.
pub fn label(value: f64) -> String {
    let text = ((value * 1e9).round() / 1e9 + 0.0).to_string();
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_inside_the_interval() {
        let rows = [
            (-5.0, 5.0, vec!["−4", "−2", "0", "2", "4"]),
            (-0.3, 1.1, vec!["−0.2", "0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (-33.0, 33.0, vec!["−30", "−20", "−10", "0", "10", "20", "30"]),
        ];
        for (low, high, expected) in rows {
            let labels: Vec<_> = Axis::new(low, high, 0.0, 1.0).ticks().into_iter().map(label).collect();
            assert_eq!(labels, expected);
        }
    }

    #[test]
    fn a_constant_is_in_the_middle() {
        let axis = Axis::padded(1.0, 1.0, 0.0, 100.0);
        assert_eq!(axis.at(1.0), 50.0);
    }

    #[test]
    fn rounding_goes_to_one_two_or_five() {
        assert_eq!((round_up(0.3), round_up(3.0), round_up(6.0)), (0.5, 5.0, 10.0));
        assert_eq!((round_down(0.63), round_down(3.0), round_down(1.9)), (0.5, 2.0, 1.0));
    }
}
