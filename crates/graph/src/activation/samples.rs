//! A function that is known by its values at fixed points.

use std::sync::LazyLock;

/// The points, ascending: dense around 0, where activations bend, and some in the tails. Single floats can hold what the
/// exponential is at all of them.
static POINTS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let tails = (11..24).chain((24..=80).step_by(4)).map(f64::from);
    let near = (1..=160).map(|i| f64::from(i) / 16.0);
    let nearest = [-14, -10, -7, -5].map(|power: i32| 2f64.powi(power));
    let positive: Vec<f64> = nearest.into_iter().chain(near).chain(tails).collect();
    positive.iter().rev().map(|x| -x).chain([0.0]).chain(positive.iter().copied()).collect()
});

/// From here on, a function's tail is looked at: what is 0 there is 0 for good.
const TAIL: f64 = 16.0;
/// So many points on either side of 0 are near it.
const NEAR: usize = 64;
/// No single float but 0 is smaller.
const NOTHING: f64 = 1e-46;

/// The points at which functions are sampled, ascending.
pub fn points() -> &'static [f64] {
    &POINTS
}

/// The values of a function at [`points`].
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    pub fn of(f: impl Fn(f64) -> f64) -> Self {
        Self(points().iter().map(|&x| f(x)).collect())
    }

    /// The value at one of the points; NaN elsewhere.
    pub fn at(&self, x: f64) -> f64 {
        points().binary_search_by(|p| p.total_cmp(&x)).map_or(f64::NAN, |i| self.0[i])
    }

    /// The value at one of the points divided by another number, where that isn't next to 0 and not 0: so small a slope or
    /// limit is a guard against a division by 0.
    pub fn ratio(&self, x: f64, to: f64) -> Option<f64> {
        Some(self.at(x) / to).filter(|&ratio| ratio == 0.0 || ratio.abs() > 1e-6)
    }

    pub fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        points().iter().copied().zip(self.0.iter().copied())
    }

    /// The largest distance to another function: absolute where that is below 1, relative beyond. Infinite where one is
    /// infinite or no number and the other isn't so, too, or where the other's tail is 0 and this one's isn't.
    pub fn distance(&self, other: impl Fn(f64) -> f64) -> f64 {
        self.distance_within(f64::INFINITY, other)
    }

    /// The distance to another function, infinite as soon as it is beyond a limit.
    pub fn distance_within(&self, limit: f64, other: impl Fn(f64) -> f64) -> f64 {
        let mut largest = 0.0f64;
        // Tails are much alike: what is different is so near 0.
        let middle = points().len() / 2;
        let near = (middle - NEAR..=middle + NEAR).step_by(NEAR / 4);
        for i in near.chain(0..points().len()) {
            let (x, is) = (points()[i], self.0[i]);
            let should = other(x);
            if is == should {
                continue;
            }
            let off = (is - should).abs() / should.abs().max(1.0);
            let tail = x.abs() >= TAIL && should == 0.0 && is.abs() > NOTHING;
            if !off.is_finite() || tail || off > limit {
                return f64::INFINITY;
            }
            largest = largest.max(off);
        }
        largest
    }

    /// Whether it is a straight line, to the precision of double floats.
    pub fn is_line(&self) -> bool {
        let (a, b) = (self.at(0.0), self.at(1.0) - self.at(0.0));
        self.distance_within(1e-9, |x| a + b * x).is_finite()
    }

    /// Whether it gives back its input.
    pub fn is_identity(&self) -> bool {
        self.distance_within(1e-9, |x| x).is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_ascending_and_hold_what_fits_ask_for() {
        assert!(points().windows(2).all(|pair| pair[0] < pair[1]));
        let line = Samples::of(|x| x);
        for x in [0.0, 1.0, -1.0, 0.25, -0.0625, 80.0, -80.0, 2f64.powi(-14)] {
            assert_eq!(line.at(x), x);
        }
        assert!(line.at(0.3).is_nan());
    }

    #[test]
    fn infinity_is_only_near_infinity_and_a_tail_of_0_is_only_near_0() {
        let relu = |x: f64| x.max(0.0);
        assert_eq!(Samples::of(|x| if x == 0.0 { f64::NAN } else { relu(x) }).distance(relu), f64::INFINITY);
        assert_eq!(Samples::of(|x| x.max(f64::NEG_INFINITY)).distance(|x| x), 0.0);
        assert_eq!(Samples::of(|x| x.max(1e-12)).distance(relu), f64::INFINITY);
        assert!((Samples::of(|x| 1.001 * x).distance(|x| x) - 1e-3).abs() < 1e-12);
    }

    #[test]
    fn a_line_is_told_from_a_curve() {
        assert!(Samples::of(|x| 2.0 * x - 1.0).is_line() && !Samples::of(|x| 2.0 * x - 1.0).is_identity());
        assert!(!Samples::of(|x| x * x).is_line() && Samples::of(|x| x).is_identity());
    }
}
