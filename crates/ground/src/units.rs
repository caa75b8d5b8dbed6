//! Numbers as people read them: one unit for a column, enough digits to tell two rows apart, and no zero
//! that isn't one. Also the texts of shapes and of lists of CPUs.
//!
//! Sizes are decimal: 1 kB is 1,000 bytes and 1 MB is 1,000,000.

use std::time::Duration;

/// The unit and the number of decimals of a column, chosen by its largest figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// `ms`, `MB`, …
    pub unit: &'static str,
    divisor: f64,
    decimals: usize,
}

impl Scale {
    /// A scale for times, `largest` in ns.
    pub fn time(largest: u64) -> Self {
        Self::fit(largest, &[(1e6, "ms"), (1e3, "µs"), (1.0, "ns")])
    }

    /// A scale for sizes, `largest` in bytes.
    pub fn bytes(largest: u64) -> Self {
        Self::fit(largest, &[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")])
    }

    fn fit(largest: u64, units: &[(f64, &'static str)]) -> Self {
        let largest = largest as f64;
        let fits = units.iter().find(|(divisor, _)| largest >= *divisor);
        let &(divisor, unit) = fits.or(units.last()).unwrap_or(&(1.0, ""));
        let decimals = match largest / divisor {
            _ if divisor == 1.0 => 0,
            shown if shown >= 1000.0 => 0,
            shown if shown >= 100.0 => 1,
            shown if shown >= 10.0 => 2,
            _ => 3,
        };
        Self { unit, divisor, decimals }
    }

    /// The same unit with at most so many decimals, where figures are not worth more.
    pub fn coarse(self, decimals: usize) -> Self {
        Self { decimals: self.decimals.min(decimals), ..self }
    }

    /// The same unit for figures that may be off by this much.
    fn worth(self, error: f64) -> Self {
        let shown = error.abs() / self.divisor;
        self.coarse(worth([-shown, shown], f64::NAN, self.decimals))
    }

    /// What figures are divided by, and how many decimals they have then.
    pub fn parts(&self) -> (f64, usize) {
        (self.divisor, self.decimals)
    }

    /// The figure without its unit. What is too small for the column's digits is written `<0.001`, never `0.000`.
    pub fn text(&self, value: u64) -> String {
        let step = 10f64.powi(-(self.decimals as i32));
        match value {
            0 => "0".into(),
            _ if value as f64 / self.divisor < step / 2.0 => format!("<{}", decimal(step, self.decimals)),
            _ => self.signed(value as f64),
        }
    }

    /// The figure of what took some time or room, though none was seen: never `0`.
    pub fn of_some(&self, value: u64) -> String {
        match value {
            0 => format!("<{}", decimal(10f64.powi(-(self.decimals as i32)), self.decimals)),
            _ => self.text(value),
        }
    }

    /// A difference without its unit, rounded: here zero may stand for less than a digit.
    pub fn signed(&self, value: f64) -> String {
        decimal(value / self.divisor, self.decimals)
    }

    /// The figure with its unit, for running text.
    pub fn with_unit(&self, value: u64) -> String {
        format!("{} {}", self.text(value), self.unit)
    }
}

/// A time with a unit of its own: `41.25 ms`.
pub fn time(ns: u64) -> String {
    Scale::time(ns).with_unit(ns)
}

/// A size with a unit of its own: `28.90 MB`, decimal.
pub fn bytes(bytes: u64) -> String {
    Scale::bytes(bytes).with_unit(bytes)
}

/// A time that a person waits: `350 ms`, `41 s`, `2 min 5 s`.
pub fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{} ms", duration.as_millis());
    }
    match duration.as_secs_f64().round() as u64 {
        s @ ..=99 => format!("{s} s"),
        s if s.is_multiple_of(60) => format!("{} min", integer(s / 60)),
        s => format!("{} min {} s", integer(s / 60), s % 60),
    }
}

/// Reads a time as people write it: `40s`, `2m`, `500ms`, `1.5h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let wrong = || "give a number and a unit, as in 40s, 2m or 500ms".to_string();
    let (unit, number) = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((seconds, text.strip_suffix(unit)?)))
        .ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// A whole number with thousands separators: `7,225,885`.
pub fn integer(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted: `1 site`, `57 sites`.
pub fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", integer(n as u64))
}

/// A number with thousands separators and this many decimals.
fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_string(), integer);
    let sign = if value < 0.0 && text.contains(|c| matches!(c, '1'..='9')) { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// `1x3x640x640`; a scalar has no dimensions and is `scalar`.
pub fn shape<T: ToString>(shape: &[T]) -> String {
    match shape {
        [] => "scalar".to_owned(),
        _ => dimensions(shape),
    }
}

/// `1x3x640x640`; empty where there are none, as where a shape isn't known.
pub fn dimensions<T: ToString>(shape: &[T]) -> String {
    joined(shape, "x")
}

/// Numbers of CPUs: `0,2,3`.
pub fn cpus(cpus: &[usize]) -> String {
    joined(cpus, ",")
}

/// The same after a noun: `CPU 1`, `cpus 0,2,3`.
pub fn cpus_as(noun: &str, cpus: &[usize]) -> String {
    let plural = if cpus.len() == 1 { "" } else { "s" };
    format!("{noun}{plural} {}", self::cpus(cpus))
}

fn joined<T: ToString>(things: &[T], between: &str) -> String {
    things.iter().map(T::to_string).collect::<Vec<_>>().join(between)
}

/// A share of a whole as a percentage: `15.1%`, `<0.1%`.
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.05 { "<0.1%".into() } else { format!("{}%", decimal(percent, 1)) }
}

/// A ratio and its interval in as many digits as that is worth: `1.151 [1.144, 1.159]`, `1.14 [1.11, 1.17]`; without an
/// interval just the ratio.
pub fn ratio(ratio: f64, interval: Option<[f64; 2]>) -> String {
    match interval {
        None => factor(ratio, 3, false),
        Some([low, high]) => {
            let [ratio, low, high] = factors([ratio, low, high]);
            format!("{ratio} [{low}, {high}]")
        }
    }
}

/// Ratios in as many digits as an interval from the second to the third is worth.
pub fn factors([ratio, low, high]: [f64; 3]) -> [String; 3] {
    let decimals = worth([low, high], 1.0, 3).max(1);
    let vague = high > 10.0 * low;
    [ratio, low, high].map(|ratio| factor(ratio, decimals, vague))
}

/// A ratio in so many digits. An interval over few forks can end anywhere: where it is `vague`, an end beyond 100 only says that
/// nothing is known.
fn factor(ratio: f64, decimals: usize, vague: bool) -> String {
    match ratio {
        known if known < 10.0 => decimal(known, decimals),
        large if large < 100.0 => decimal(large, decimals.min(1)),
        _ if vague => ">99".into(),
        vast if vast < 1e6 => decimal(vast, 0),
        _ => magnitude(ratio),
    }
}

/// Decimals, at most so many, that a figure with this interval is worth: half of its width is told in one digit, or in two that
/// begin with 1. Rounding never makes an end of it touch `nothing`, the value that stands for no difference.
pub fn worth([low, high]: [f64; 2], nothing: f64, most: usize) -> usize {
    let half = (high - low) / 2.0;
    if !half.is_finite() {
        return 0;
    }
    let place = half.log10().floor();
    let begins_with_1 = half / 10f64.powf(place) < 2.0;
    // As a cast ends at its limits, nothing is as exact as it takes.
    let decimals = ((-place) as i64 + i64::from(begins_with_1)).clamp(0, most as i64) as usize;
    let touches = |end: f64, decimals: usize| {
        end != nothing && decimal(end - nothing, decimals) == decimal(0.0, decimals)
    };
    (decimals..most).find(|&d| !touches(low, d) && !touches(high, d)).unwrap_or(most)
}

/// Shares as numbers of per cent, in as many digits as an interval from the second to the third is worth.
pub fn percents(shares: [f64; 3]) -> [String; 3] {
    let percents = shares.map(|share| share * 100.0);
    let decimals = worth([percents[1].min(percents[2]), percents[1].max(percents[2])], 0.0, 1);
    percents.map(|percent| decimal(percent, decimals))
}

/// A figure that may be off by this much, both in the unit of the scale: `56.4 ±1.3`, `44 ±11`.
pub fn with_error(value: f64, error: f64, scale: Scale) -> String {
    let scale = scale.worth(error);
    format!("{} ±{}", scale.signed(value), scale.text(error.abs() as u64))
}

/// A figure in as many digits as one that may be off by this much.
pub fn as_exact(value: f64, error: f64, scale: Scale) -> String {
    scale.worth(error).signed(value)
}

/// A figure in as many digits as one is worth that may be off by this much, though two at least: `305`, `1.3`.
pub fn known_to(value: u64, error: Option<f64>, scale: Scale) -> String {
    let Some(error) = error else { return scale.text(value) };
    let shown = value as f64 / scale.divisor;
    let two = if shown > 0.0 { 1.0 - shown.log10().floor() } else { 0.0 };
    let decimals = scale.worth(error).decimals.max(two.max(0.0) as usize);
    scale.coarse(decimals).text(value)
}

/// A part as a percentage that may be off by this much: `64%`, `2.4%`, and never `0%` of what took some.
pub fn part_known_to(part: f64, error: Option<f64>) -> String {
    let Some(error) = error else { return share(part) };
    match share_with_error(part, error) {
        zero if part > 0.0 && !zero.contains(|c| matches!(c, '1'..='9')) => {
            format!("<{}", zero.replace("0.0", "0.1").replace("0%", "1%"))
        }
        text => text,
    }
}

/// A share that may be off by this much: `15.1%`, `8%`.
pub fn share_with_error(share: f64, error: f64) -> String {
    let shown = error.abs() * 100.0;
    decimal(share * 100.0, worth([-shown, shown], f64::NAN, 1)) + "%"
}

/// A ratio in running text, `4.30`: how many times.
pub fn times(ratio: f64) -> String {
    decimal(ratio, 2)
}

/// A share as a bare number of per cent: `15.1`.
pub fn percent(share: f64) -> String {
    decimal(share * 100.0, 1)
}

/// A float of any magnitude in three significant digits: `0.412`, `1.2e-7`, `NaN`.
pub fn magnitude(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        small if small < 1e-3 => format!("{value:.1e}"),
        large if large >= 1e5 => format!("{value:.1e}"),
        middle if middle >= 100.0 => decimal(value, 0),
        middle if middle >= 1.0 => decimal(value, 2),
        _ => decimal(value, 3),
    }
}

/// A share as people give it: `5%` and `0.05`. A bare number of 1 or more would be a hundred per cent or more, and is
/// refused as a slip.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let (number, divisor) = match text.trim().strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(n) if divisor == 1.0 && n >= 1.0 => Err(format!("did you mean {n}%? Give 5% or 0.05")),
        Ok(n) if n.is_finite() && n >= 0.0 => Ok(n / divisor),
        _ => Err("give 5% or 0.05".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_takes_the_unit_of_its_largest_figure() {
        let ms = Scale::time(374_200_000);
        assert_eq!((ms.unit, ms.text(325_149_000)), ("ms", "325.1".into()));
        let us = Scale::time(79_400);
        assert_eq!((us.unit, us.text(33_016)), ("µs", "33.02".into()));
        assert_eq!(Scale::time(12).with_unit(7), "7 ns");
        assert_eq!(Scale::time(0).with_unit(0), "0 ns");
        assert_eq!(Scale::time(12_345_678_901).with_unit(12_345_678_901), "12,346 ms");
    }

    #[test]
    fn a_figure_too_small_for_its_column_is_not_written_as_zero() {
        let ms = Scale::time(374_200_000);
        assert_eq!(ms.text(300), "<0.1");
        assert_eq!(
            (ms.text(0), ms.of_some(0), ms.of_some(300_000)),
            ("0".into(), "<0.1".into(), "0.3".into())
        );
        assert_eq!(ms.signed(-300.0), "0.0");
        assert_eq!(ms.signed(-300_000.0), "-0.3");
        assert_eq!(share(0.0001), "<0.1%");
        assert_eq!(share(0.0), "0.0%");
    }

    #[test]
    fn a_figure_has_the_digits_that_its_interval_is_worth() {
        assert_eq!(ratio(1.1404, Some([1.1117, 1.1698])), "1.14 [1.11, 1.17]");
        assert_eq!(ratio(1.1510, Some([1.1444, 1.1588])), "1.151 [1.144, 1.159]");
        assert_eq!(ratio(0.99, Some([0.966, 1.031])), "0.99 [0.97, 1.03]");
        assert_eq!(
            ratio(1.03, Some([1.003, 1.06])),
            "1.030 [1.003, 1.060]",
            "an end is not rounded to no difference"
        );
        assert_eq!(ratio(2.0, Some([0.0, 1e9])), "2.0 [0.0, >99]");
        assert_eq!(percents([0.140, 0.112, 0.170]), ["14", "11", "17"]);
        assert_eq!(percents([0.0123, 0.005, 0.019]), ["1.2", "0.5", "1.9"]);
        assert_eq!(percents([0.03, 0.004, 0.06]), ["3.0", "0.4", "6.0"]);
        let ms = Scale::time(374_200_000);
        assert_eq!(with_error(43.64e6, 10.9e6, ms), "44 ±11");
        assert_eq!(with_error(56.41e6, 1.32e6, ms), "56.4 ±1.3");
        assert_eq!(share_with_error(0.085, 0.076), "8%");
        assert_eq!(share_with_error(0.1512, 0.013), "15.1%");
        let known = |ns: f64, error: f64| known_to((ns * 1e6) as u64, Some(error * 1e6), ms);
        assert_eq!((known(304.64, 11.0), known(304.64, 0.4)), ("305".into(), "304.6".into()));
        assert_eq!(known_to(304_642_936, None, ms), "304.6", "nothing says how exact it is");
        let fine = Scale::time(1_600_000);
        assert_eq!(known_to(1_251_000, Some(9e6), fine), "1.3", "two digits, whatever the error");
        assert_eq!(known_to(0, Some(9e6), fine), "0");
        assert_eq!(part_known_to(0.6436, Some(0.024)), "64%");
        assert_eq!(part_known_to(0.0238, Some(0.0004)), "2.4%");
        assert_eq!(
            (part_known_to(0.002, Some(0.03)), part_known_to(0.0002, Some(0.0001))),
            ("<1%".into(), "<0.1%".into())
        );
        assert_eq!(
            (part_known_to(0.0, Some(0.03)), part_known_to(0.6436, None)),
            ("0%".into(), "64.4%".into())
        );
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(bytes(28_903_540), "28.90 MB");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.000 kB");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(integer(7_225_885), "7,225,885");
        assert_eq!(integer(100), "100");
        assert_eq!(integer(1_000), "1,000");
        assert_eq!(count(1, "site"), "1 site");
        assert_eq!(count(1_152, "site"), "1,152 sites");
    }

    #[test]
    fn a_scalar_has_a_name_and_an_unknown_shape_has_none() {
        assert_eq!((shape(&[1, 3, 640, 640]), shape::<usize>(&[])), ("1x3x640x640".into(), "scalar".into()));
        assert_eq!((dimensions(&[8]), dimensions::<usize>(&[])), ("8".into(), String::new()));
    }

    #[test]
    fn cpus_are_listed_by_number() {
        assert_eq!((cpus(&[0, 2, 3]), cpus(&[])), ("0,2,3".into(), String::new()));
        assert_eq!((cpus_as("cpu", &[0, 2]), cpus_as("CPU", &[1])), ("cpus 0,2".into(), "CPU 1".into()));
    }

    #[test]
    fn ratios_carry_their_interval() {
        assert_eq!(ratio(1.151, Some([1.144, 1.159])), "1.151 [1.144, 1.159]");
        assert_eq!(ratio(0.9764, None), "0.976");
        assert_eq!(ratio(0.713, Some([0.0, 3254.4])), "0.7 [0.0, >99]");
        assert_eq!(ratio(12.34, Some([9.9, 15.0])), "12.3 [9.9, 15.0]");
        assert_eq!(ratio(1243.4, Some([1199.6, 1288.0])), "1,243 [1,200, 1,288]");
        assert_eq!((ratio(120.4, None), ratio(2.5e9, None)), ("120".into(), "2.5e9".into()));
    }

    #[test]
    fn waiting_times_are_round() {
        assert_eq!(duration(Duration::from_millis(350)), "350 ms");
        assert_eq!(duration(Duration::from_millis(41_300)), "41 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(duration(Duration::from_secs(120)), "2 min");
    }

    #[test]
    fn times_are_typed_as_people_write_them() {
        for (text, ms) in
            [("40s", 40_000), ("2m", 120_000), ("500ms", 500), ("1.5s", 1500), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "40", "s", "-1s", "1e400s", "NaNs", "infs", "5d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn magnitudes_keep_what_matters() {
        for (value, text) in [
            (0.0, "0"),
            (0.4123, "0.412"),
            (1.25e-7, "1.2e-7"),
            (3.1449, "3.14"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(magnitude(value), text);
        }
    }
}
