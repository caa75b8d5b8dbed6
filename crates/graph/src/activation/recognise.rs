//! Which activation a function is, by its values alone.

use super::samples::Samples;
use super::{Activation, Kind, Learnt, kinds};

/// A function this near to a kind is of that kind. Constants rounded to half floats, or to 0.1667 for a sixth, move a
/// function by up to 3e-4; GELU's two forms, the nearest two kinds, are 5e-4 apart, and the nearer one is taken.
pub const TOLERANCE: f64 = 6e-4;
/// So near, a kind without parameters is taken although one with parameters may be nearer.
const SURE: f64 = 1.6e-4;
/// Farther away, one with parameters must be nearer by so much to be taken for it.
const MUCH_NEARER: f64 = 10.0;

/// What is known of a function beside its values.
pub struct Clues<'c> {
    /// The operators that compute it.
    pub operators: &'c [&'c str],
}

/// A kind, how far the function is from it, and its parameters in each of the function's channels.
struct Fit {
    kind: &'static Kind,
    distance: f64,
    parameters: Vec<Vec<f64>>,
}

/// The activation that a function is, given its values in one channel, or in some of those that have constants of their
/// own (in which its parameters then are tensors). `None` if it is none of the registry.
pub fn recognise(channels: &[Samples], clues: &Clues) -> Option<Activation> {
    let tensors = channels.len() > 1;
    let looked_for = |kind: &&Kind| kind.detectable && (tensors || kind.learnt != Learnt::Always);
    let fits: Vec<Fit> = kinds().filter(looked_for).filter_map(|kind| fit(kind, channels)).collect();
    let nearest = |with: bool| {
        let some = fits.iter().filter(move |fit| fit.kind.parameters.is_empty() != with);
        some.min_by(|a, b| a.distance.total_cmp(&b.distance))
    };
    let (plain, fitted) = (nearest(false), nearest(true));
    let beaten = |plain: &Fit| fitted.is_some_and(|f| f.distance * MUCH_NEARER <= plain.distance);
    match plain {
        Some(plain) if plain.distance <= SURE || !beaten(plain) => Some(plain.activation()),
        _ => likeliest(&fits, fitted?, clues, tensors).map(Fit::activation),
    }
}

/// Of kinds with parameters that are about as near as the nearest: the one that the operators tell, else the one with
/// the fewest parameters, else the first.
fn likeliest<'f>(fits: &'f [Fit], nearest: &Fit, clues: &Clues, tensors: bool) -> Option<&'f Fit> {
    let near = nearest.distance.max(SURE);
    let as_near = fits.iter().filter(|fit| !fit.kind.parameters.is_empty() && fit.distance <= near);
    as_near.min_by_key(|fit| {
        let told = fit.kind.told_by.iter().any(|op| clues.operators.contains(op));
        (fit.kind.parameters.len(), !told, (fit.kind.learnt != Learnt::Never) != tensors)
    })
}

/// The kind's parameters for the function in all channels; `None` where it is farther away than the tolerance.
fn fit(kind: &'static Kind, channels: &[Samples]) -> Option<Fit> {
    let mut worst = 0.0f64;
    let mut parameters = vec![];
    for samples in channels {
        let (distance, own) = nearest_parameters(kind, samples)?;
        worst = worst.max(distance);
        parameters.push(own);
    }
    Some(Fit { kind, distance: worst, parameters })
}

fn nearest_parameters(kind: &Kind, samples: &Samples) -> Option<(f64, Vec<f64>)> {
    let distance = |p: &[f64], limit: f64| samples.distance_within(limit, |x| (kind.value)(x, p));
    let defaults = kind.defaults();
    // What a file rounds the defaults to is the defaults.
    let far = distance(&defaults, if defaults.is_empty() { TOLERANCE } else { SURE });
    if far.is_finite() {
        return Some((far, defaults));
    }
    let start = (kind.fit?)(samples).filter(|p| p.iter().all(|v| v.is_finite()))?;
    if distance(&start, HOPELESS).is_infinite() {
        return None;
    }
    let found = refine(kind, samples, start);
    let far = distance(&found, TOLERANCE);
    far.is_finite().then_some((far, found))
}

/// From parameters so far away, no better ones are looked for.
const HOPELESS: f64 = 0.02;
/// Most steps of [`refine`]: from a start that is near, two or three do.
const STEPS: usize = 6;

/// Parameters that fit better, by Gauss and Newton's method of least squares; the start itself where none do.
fn refine(kind: &Kind, samples: &Samples, start: Vec<f64>) -> Vec<f64> {
    let residuals = |p: &[f64]| -> Vec<f64> {
        let at = |(x, is): (f64, f64)| {
            let should = (kind.value)(x, p);
            if is == should { 0.0 } else { (is - should) / should.abs().max(1.0) }
        };
        samples.pairs().map(at).collect()
    };
    let square = |r: &[f64]| r.iter().map(|v| v * v).sum::<f64>();
    let mut p = start;
    let mut r = residuals(&p);
    for _ in 0..STEPS {
        let error = square(&r);
        // Nothing to gain, or nothing to hope for.
        if !(1e-24..1e4).contains(&error) {
            break;
        }
        let columns: Vec<Vec<f64>> = (0..p.len())
            .map(|i| {
                let h = 1e-6 * p[i].abs().max(1e-3);
                let mut q = p.clone();
                q[i] += h;
                residuals(&q).iter().zip(&r).map(|(a, b)| (a - b) / h).collect()
            })
            .collect();
        let Some(step) = least_squares(&columns, &r) else { break };
        let q: Vec<f64> = p.iter().zip(step).map(|(p, s)| p - s).collect();
        let s = residuals(&q);
        let gained = square(&s) < error / 4.0;
        if square(&s) < error {
            (p, r) = (q, s);
        }
        if !gained {
            break;
        }
    }
    p
}

/// The step that makes the sum of the columns times it nearest to `target`.
fn least_squares(columns: &[Vec<f64>], target: &[f64]) -> Option<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut rows: Vec<Vec<f64>> =
        columns.iter().map(|a| columns.iter().map(|b| dot(a, b)).chain([dot(a, target)]).collect()).collect();
    let n = rows.len();
    for i in 0..n {
        let pivot = rows[i][i];
        if pivot.is_nan() || pivot.abs() < 1e-300 {
            return None;
        }
        rows[i].iter_mut().for_each(|v| *v /= pivot);
        let own = rows[i].clone();
        for (j, row) in rows.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = row[i];
            debug_assert_ne!(i, j);
            row.iter_mut().zip(&own).for_each(|(v, o)| *v -= factor * o);
        }
    }
    Some(rows.iter().map(|row| row[n]).collect())
}

/// The number of few digits that a file's single floats made this of, where there is one.
fn as_written(number: f64) -> f64 {
    let short = format!("{number:.3e}").parse().unwrap_or(number);
    if (short - number).abs() <= 2.5e-7 * number.abs() { short } else { number }
}

impl Fit {
    fn activation(&self) -> Activation {
        let first = &self.parameters[0];
        let same =
            |i: usize| self.parameters.iter().all(|p| (p[i] - first[i]).abs() <= 1e-6 * first[i].abs());
        let parameters = (0..first.len()).map(|i| same(i).then_some(as_written(first[i]))).collect();
        Activation { kind: self.kind, parameters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(f: impl Fn(f64) -> f64, operators: &[&str]) -> Option<String> {
        recognise(&[Samples::of(f)], &Clues { operators }).map(|activation| activation.to_string())
    }

    #[test]
    fn every_kind_is_recognised_with_its_parameters() {
        for kind in kinds().filter(|kind| kind.is_found()) {
            for factor in [1.0, 0.3, 2.75, -0.6] {
                let p: Vec<f64> = kind.defaults().iter().map(|p| p * factor).collect();
                let found =
                    recognise(&[Samples::of(|x| (kind.value)(x, &p))], &Clues { operators: kind.told_by });
                let found = found.unwrap_or_else(|| panic!("{} {p:?} is not found", kind.name));
                // With other parameters a kind may be another one, as a swish of factor 1 is SiLU; its values tell.
                let is = found.parameters.iter().map(|p| p.unwrap()).collect::<Vec<_>>();
                let far = Samples::of(|x| (kind.value)(x, &p)).distance(|x| (found.kind.value)(x, &is));
                assert!(far <= 1e-6, "{} {p:?} is told as {found}, {far} away", kind.name);
                if factor == 1.0 && !["swish", "prelu"].contains(&kind.name) {
                    assert_eq!(found.kind.name, kind.name);
                }
            }
        }
    }

    #[test]
    fn rounded_constants_are_what_they_stand_for() {
        type Row = (fn(f64) -> f64, &'static str);
        let rows: [Row; 5] = [
            (|x| x * (0.1667 * x + 0.5).clamp(0.0, 1.0), "hard_swish"),
            (|x| x * (0.166_625_98 * x + 0.5).clamp(0.0, 1.0), "hard_swish"),
            (|x| (0.166_625_98 * x + 0.5).clamp(0.0, 1.0), "hard_sigmoid"),
            (|x| x / (1.0 + (-1.702_148_4 * x).exp()), "quick_gelu"),
            (|x| 0.5 * x * (1.0 + (0.797_851_6 * (x + 0.044_708_25 * x.powi(3))).tanh()), "gelu_tanh"),
        ];
        for (f, expected) in rows {
            assert_eq!(told(f, &[]).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_near_and_not_the_same_is_not_taken() {
        assert_eq!(told(|x| x * (0.2 * x + 0.5).clamp(0.0, 1.0), &[]), None);
        assert_eq!(told(|x| x.max(1e-12), &[]), None);
        assert_eq!(told(|x| x.clamp(0.0, 6.01), &[]), None);
        assert_eq!(told(|x| x + (0.5 * x).sin().powi(2) * 2.0, &[]), None);
        assert_eq!(told(|x| x / (1.0 + (-1.71 * x).exp()), &[]).as_deref(), Some("swish:1.71"));
    }

    #[test]
    fn operators_tell_kinds_of_the_same_values_apart() {
        let leaky = |x: f64| if x < 0.0 { 0.3 * x } else { x };
        assert_eq!(told(leaky, &["LeakyRelu"]).as_deref(), Some("leaky_relu:0.3"));
        assert_eq!(told(leaky, &["PRelu"]).as_deref(), Some("prelu:0.3"));
        assert_eq!(told(leaky, &["Max", "Mul"]).as_deref(), Some("leaky_relu:0.3"));
        assert_eq!(told(leaky, &["Relu", "Neg", "Mul", "Add"]).as_deref(), Some("prelu:0.3"));
        let elu = |x: f64| if x < 0.0 { x.exp_m1() } else { x };
        assert_eq!(told(elu, &["Celu"]).as_deref(), Some("celu"));
        assert_eq!(told(elu, &["Where", "Exp"]).as_deref(), Some("elu"));
    }

    #[test]
    fn what_is_always_learnt_is_only_told_of_channels() {
        let acon = Activation::parse("acon_c").unwrap();
        let of = |p1: f64| Samples::of(|x| (acon.kind.value)(x, &[p1, -0.8, 1.0]));
        let clues = Clues { operators: &[] };
        assert_eq!(recognise(&[of(1.2)], &clues), None);
        let found = recognise(&[of(1.2), of(0.9)], &clues).unwrap();
        assert_eq!((found.kind.name, found.parameters[0]), ("acon_c", None));
        assert!((found.parameters[1].unwrap() + 0.8).abs() < 1e-6);
    }

    #[test]
    fn parameters_that_differ_by_channel_are_tensors() {
        let channels = [0.1, 0.2, 0.0].map(|slope: f64| Samples::of(|x| if x < 0.0 { slope * x } else { x }));
        let found = recognise(&channels, &Clues { operators: &["Max", "Mul"] }).unwrap();
        assert_eq!((found.kind.name, found.parameters), ("prelu", vec![None]));
    }
}
