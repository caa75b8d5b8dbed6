//! From numbers to places on the page, with ticks at round numbers.

/// What an axis counts: how its ticks are written, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A number as it is.
    Number,
    /// How many of something: `10k`, `2M`.
    Count,
    /// Nanoseconds.
    Time,
    Bytes,
}

impl Quantity {
    /// The units, the largest first: from which value on each is used, and what it is worth.
    fn units(self) -> &'static [(f64, f64, &'static str)] {
        const MINUTE: f64 = 60e9;
        match self {
            Self::Number => &[],
            Self::Count => &[(1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e3, "k")],
            Self::Time => &[
                (600.0 * MINUTE, 60.0 * MINUTE, "h"),
                (10.0 * MINUTE, MINUTE, "min"),
                (1e9, 1e9, "s"),
                (1e6, 1e6, "ms"),
                (1e3, 1e3, "µs"),
                (0.0, 1.0, "ns"),
            ],
            Self::Bytes => {
                &[(1e12, 1e12, "TB"), (1e9, 1e9, "GB"), (1e6, 1e6, "MB"), (1e3, 1e3, "kB"), (0.0, 1.0, "B")]
            }
        }
    }

    /// What one of the unit is worth that suits such a value, and its name.
    fn unit(self, value: f64) -> (f64, &'static str) {
        let suits = |(from, ..): &&(f64, f64, &str)| value.abs() >= *from * (1.0 - 1e-9);
        self.units().iter().find(suits).map_or((1.0, ""), |&(_, worth, name)| (worth, name))
    }

    /// The number in its own unit: `12.5 ms`, `10k`.
    pub fn text(self, value: f64) -> String {
        let (worth, unit) = self.unit(value);
        let shown = value / worth;
        if is_far(shown) {
            return label(shown);
        }
        if self == Self::Number && shown.abs() >= 1e6 {
            return power(shown);
        }
        let decimals =
            if shown.abs() >= 100.0 || shown == 0.0 { 0 } else { 2 - shown.abs().log10().floor() as i32 };
        let step = 10f64.powi(decimals.clamp(0, 9));
        let space = if self == Self::Count || unit.is_empty() { "" } else { " " };
        format!("{}{space}{unit}", label((shown * step).round() / step))
    }
}

/// An axis of a drawing: a map from an interval of numbers to places, linear or by the logarithm.
pub struct Axis {
    low: f64,
    high: f64,
    /// Where `low` is drawn.
    from: f64,
    /// Where `high` is drawn.
    to: f64,
    log: bool,
    quantity: Quantity,
}

/// A place that is marked, and what it is marked with.
#[derive(Debug, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

impl Axis {
    /// Maps `low` to `from` and `high` to `to`.
    pub fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high, from, to, log: false, quantity: Quantity::Number }
    }

    /// The same with room beyond both ends; an interval without length gets one.
    pub fn padded(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let largest = low.abs().max(high.abs());
        let room = match high - low {
            wide if wide > 1e-9 * largest => 0.06 * wide,
            _ if largest == 0.0 => 0.5,
            _ => 0.5 * largest,
        };
        Self::new(low - room, high + room, from, to)
    }

    /// From zero to the largest of the values.
    pub fn from_zero(quantity: Quantity, values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let high = finite(values).fold(0.0, f64::max);
        Self { quantity, ..Self::new(0.0, if high > 0.0 { high } else { 1.0 }, from, to) }
    }

    /// Around the values, with room at the ends; what is positive stays so.
    pub fn around(quantity: Quantity, values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = ends(values);
        let axis = Self::padded(low, high, from, to);
        let low = if low >= 0.0 { axis.low.max(0.0) } else { axis.low };
        Self { quantity, low, ..axis }
    }

    /// Around the values by their logarithms, if all are positive and they differ enough for it; else as [`around`](Self::around).
    pub fn spread(quantity: Quantity, values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        const ENOUGH: f64 = 8.0;
        let values: Vec<f64> = finite(values).collect();
        let (low, high) = ends(values.iter().copied());
        if low > 0.0 && high.ln() - low.ln() >= ENOUGH.ln() {
            let room = (0.05 * (high.ln() - low.ln())).exp();
            let (low, high) = ((low / room).max(f64::MIN_POSITIVE), (high * room).min(f64::MAX));
            return Self { log: true, quantity, ..Self::new(low, high, from, to) };
        }
        Self::around(quantity, values, from, to)
    }

    pub fn at(&self, value: f64) -> f64 {
        let share = match self.log {
            true => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + share * (self.to - self.from)
    }

    /// The place of a value, or that of the end which it is beyond.
    pub fn within(&self, value: f64) -> f64 {
        self.at(value.clamp(self.low, self.high))
    }

    /// Where the axis begins and ends on the page.
    pub fn at_ends(&self) -> [f64; 2] {
        [self.from, self.to]
    }

    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The unit of all ticks; empty where each has its own, or there is none.
    pub fn unit(&self) -> &'static str {
        if self.log { "" } else { self.quantity.unit(self.largest()).1 }
    }

    fn largest(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// About six round numbers, ascending, 0 among them if it is inside.
    pub fn ticks(&self) -> Vec<f64> {
        if self.log {
            self.decades()
        } else {
            steps(self.low, self.high, self.quantity.unit(self.largest()).0)
        }
    }

    /// Ticks with what is written beside them.
    pub fn labelled(&self) -> Vec<Tick> {
        let worth = self.quantity.unit(self.largest()).0;
        let text = |value: f64| if self.log { self.quantity.text(value) } else { label(value / worth) };
        self.ticks().into_iter().map(|value| Tick { value, label: text(value) }).collect()
    }

    /// Powers of ten, some of them if there are many, and 2 and 5 times them if there are few.
    fn decades(&self) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let every = ((last - first) / 7).max(1);
        let digits: &[f64] = if last - first > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
        let all = powers.flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)));
        all.filter(|tick| self.holds(*tick)).collect()
    }
}

/// Round multiples of the unit from `low` to `high`.
fn steps(low: f64, high: f64, worth: f64) -> Vec<f64> {
    const MOST: i64 = 20;
    let step = round_up((high - low) / worth / 7.0) * worth;
    if !(step.is_finite() && step > 0.0) {
        return vec![];
    }
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last.min(first.saturating_add(MOST))).map(|i| i as f64 * step).collect()
}

fn finite(values: impl IntoIterator<Item = f64>) -> impl Iterator<Item = f64> {
    values.into_iter().filter(|value| value.is_finite())
}

/// The least and the largest; both 0 where there is none.
fn ends(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let both = |ends: Option<(f64, f64)>, value: f64| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    };
    finite(values).fold(None, both).unwrap_or((0.0, 0.0))
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

/// Whether a number is written with a power of ten.
fn is_far(value: f64) -> bool {
    value != 0.0 && !(1e-6..1e15).contains(&value.abs())
}

/// A tick's number without the digits that rounding leaves behind, and with a real minus.
pub fn label(value: f64) -> String {
    let text = match value {
        _ if is_far(value) => return power(value),
        _ => ((value * 1e9).round() / 1e9 + 0.0).to_string(),
    };
    text.replace('-', "\u{2212}")
}

/// A number with a power of ten.
fn power(value: f64) -> String {
    format!("{value:.2e}").replace(".00e", "e").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.labelled().into_iter().map(|tick| tick.label).collect()
    }

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
    fn times_have_the_unit_of_the_largest() {
        const HOUR: f64 = 3600e9;
        for (high, unit, last) in [
            (0.0, "ns", "1"),
            (1.0, "ns", "1"),
            (700.0, "ns", "700"),
            (35e6, "ms", "35"),
            (2.6e9, "s", "2.5"),
            (1800e9, "min", "30"),
            (30.0 * HOUR, "h", "30"),
        ] {
            let axis = Axis::from_zero(Quantity::Time, [high, f64::NAN, f64::INFINITY], 0.0, 1.0);
            let labels = labels(&axis);
            assert_eq!((axis.unit(), labels[0].as_str(), labels.last().unwrap().as_str()), (unit, "0", last));
        }
    }

    #[test]
    fn every_range_has_a_few_distinct_ticks_inside() {
        let tiny = f64::MIN_POSITIVE;
        let values: &[&[f64]] = &[
            &[],
            &[0.0],
            &[1.0],
            &[3.6e15; 3],
            &[1.0, 1.0 + 1e-12],
            &[tiny, 1e300],
            &[f64::MIN_POSITIVE, f64::MAX / 4.0],
            &[-4.0, 4e9],
            &[f64::NAN, 7.0],
            &[1.0, 3.6e13],
            &[1e17, 1e17 + 64.0],
            &[0.02, 60.0],
        ];
        for quantity in [Quantity::Number, Quantity::Count, Quantity::Time, Quantity::Bytes] {
            for values in values {
                let of = || values.iter().copied();
                for axis in [
                    Axis::from_zero(quantity, of(), 0.0, 100.0),
                    Axis::around(quantity, of(), 0.0, 100.0),
                    Axis::spread(quantity, of(), 0.0, 100.0),
                ] {
                    let (ticks, mut labels) = (axis.ticks(), labels(&axis));
                    assert!((1..=25).contains(&ticks.len()), "{quantity:?} {values:?}: {ticks:?}");
                    assert!(
                        ticks.iter().all(|t| (-0.01..=100.01).contains(&axis.at(*t))),
                        "{values:?} {ticks:?}"
                    );
                    labels.dedup();
                    assert_eq!(labels.len(), ticks.len(), "{quantity:?} {values:?}: {labels:?}");
                    let places = of().filter(|v| v.is_finite()).map(|value| axis.within(value));
                    assert!(places.into_iter().all(|place| (-0.01..=100.01).contains(&place)), "{values:?}");
                }
            }
        }
    }

    #[test]
    fn wide_ranges_go_by_powers_of_ten_with_a_unit_each() {
        let axis = Axis::spread(Quantity::Time, [500.0, 2e9], 0.0, 1.0);
        assert_eq!(labels(&axis), ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(
            labels(&Axis::spread(Quantity::Count, [900.0, 21_000.0], 0.0, 1.0)),
            ["1k", "2k", "5k", "10k", "20k"]
        );
        assert!(!Axis::spread(Quantity::Time, [5.0, 7.0], 0.0, 1.0).log);
        assert_eq!(
            labels(&Axis::spread(Quantity::Number, [0.5, 1e11], 0.0, 1.0)),
            ["1", "10", "100", "1000", "10000", "100000", "1e6", "1e7", "1e8", "1e9", "1e10", "1e11"]
        );
    }

    #[test]
    fn a_figure_has_its_own_unit() {
        let texts = [0.0, 1.0, 12_345.0, 999.0, 35.2e6, 7.25e12].map(|ns| Quantity::Time.text(ns));
        assert_eq!(texts, ["0 ns", "1 ns", "12.3 µs", "999 ns", "35.2 ms", "121 min"]);
        assert_eq!([409_600.0, 12.0].map(|n| Quantity::Count.text(n)), ["410k", "12"]);
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
