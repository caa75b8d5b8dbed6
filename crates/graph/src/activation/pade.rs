//! Learnable quotients of polynomials of degrees 5 and 4 whose denominators can't vanish.
//!
//! Networks start from coefficients that make them a leaky ReLU on [-3, 3]; `fit` holds those below to that.

#[cfg(test)]
mod fit;

use super::{Form, Kind, Parameter};

/// Degree of the numerators; the denominators have one less.
const DEGREE: usize = 5;

/// A function and its derivative at a point.
#[derive(Clone, Copy)]
struct Jet {
    value: f64,
    slope: f64,
}

impl Jet {
    const ZERO: Self = Self { value: 0.0, slope: 0.0 };

    fn plus(self, factor: f64, other: Self) -> Self {
        Self { value: self.value + factor * other.value, slope: self.slope + factor * other.slope }
    }

    /// The absolute value; the derivative from the right where it is 0.
    fn abs(self) -> Self {
        if self.value < 0.0 { Self::ZERO.plus(-1.0, self) } else { self }
    }

    fn over(self, below: Self) -> Self {
        let value = self.value / below.value;
        Self { value, slope: (self.slope - value * below.slope) / below.value }
    }
}

/// The first polynomials of a family at x.
type Basis = fn(f64) -> [Jet; DEGREE + 1];

fn powers(x: f64) -> [Jet; DEGREE + 1] {
    let mut basis = [Jet { value: 1.0, slope: 0.0 }; DEGREE + 1];
    for n in 1..=DEGREE {
        let below = basis[n - 1];
        basis[n] = Jet { value: x * below.value, slope: n as f64 * below.value };
    }
    basis
}

/// Hermite polynomials: f(n+1) = s (x f(n) - n f(n-1)) and f'(n) = s n f(n-1), with s = 1 for the probabilists'
/// and 2 for the physicists'.
fn hermite(x: f64, s: f64) -> [Jet; DEGREE + 1] {
    let mut basis = [Jet { value: 1.0, slope: 0.0 }; DEGREE + 1];
    for n in 1..=DEGREE {
        let k = (n - 1) as f64;
        let before = if n > 1 { basis[n - 2].value } else { 0.0 };
        let below = basis[n - 1].value;
        basis[n] = Jet { value: s * (x * below - k * before), slope: s * n as f64 * below };
    }
    basis
}

fn probabilists(x: f64) -> [Jet; DEGREE + 1] {
    hermite(x, 1.0)
}

fn physicists(x: f64) -> [Jet; DEGREE + 1] {
    hermite(x, 2.0)
}

fn numerator(basis: &[Jet; DEGREE + 1], p: &[f64]) -> Jet {
    basis.iter().zip(p).fold(Jet::ZERO, |sum, (&f, &c)| sum.plus(c, f))
}

/// Σ cᵢ xⁱ / (1 + |Σ dⱼ xʲ|)
fn pau(x: f64, p: &[f64]) -> Jet {
    let basis = powers(x);
    let inner = basis[1..].iter().zip(&p[DEGREE + 1..]).fold(Jet::ZERO, |sum, (&f, &d)| sum.plus(d, f));
    numerator(&basis, p).over(basis[0].plus(1.0, inner.abs()))
}

/// Σ cᵢ fᵢ(x) / (1 + Σ |dⱼ| |fⱼ(x)|)
fn orthogonal(x: f64, p: &[f64], basis: Basis) -> Jet {
    let basis = basis(x);
    let terms = basis[1..].iter().zip(&p[DEGREE + 1..]);
    let below = terms.fold(basis[0], |sum, (f, d)| sum.plus(d.abs(), f.abs()));
    numerator(&basis, p).over(below)
}

fn hp1(x: f64, p: &[f64]) -> Jet {
    orthogonal(x, p, probabilists)
}

fn hp2(x: f64, p: &[f64]) -> Jet {
    orthogonal(x, p, physicists)
}

/// The zeros of the Hermite polynomials that a denominator has, where their absolute values turn.
fn hermite_zeros(p: &[f64], scale: f64) -> Vec<f64> {
    let root = |x: f64| [-x.sqrt(), x.sqrt()];
    let [inner, outer] = root(6.0).map(|r| root(3.0 + r));
    let zeros =
        [vec![0.0], root(1.0).into(), [vec![0.0], root(3.0).into()].concat(), [inner, outer].concat()];
    let used = zeros.into_iter().zip(&p[DEGREE + 1..]).filter(|(_, d)| **d != 0.0);
    used.flat_map(|(zeros, _)| zeros).map(|x| x / scale).collect()
}

/// The zeros of the polynomial in PAU's denominator, as far as it changes its sign there, in [-64, 64].
fn sign_changes(p: &[f64]) -> Vec<f64> {
    let inner = |x: f64| p[DEGREE + 1..].iter().rev().fold(0.0, |sum, d| (sum + d) * x);
    let step = 1.0 / 64.0;
    // Between the zeros of numbers that are seldom a model's.
    let points = (-4096..4096).map(|i| (f64::from(i) + 0.496_093_75) * step);
    let crossed = points.filter(|&low| inner(low) * inner(low + step) < 0.0);
    let bisect = |low: f64| {
        let mut bounds = (low, low + step);
        for _ in 0..60 {
            let middle = (bounds.0 + bounds.1) / 2.0;
            if inner(bounds.0) * inner(middle) <= 0.0 { bounds.1 = middle } else { bounds.0 = middle }
        }
        bounds.1
    };
    crossed.map(bisect).collect()
}

const fn parameters(names: [&'static str; 2 * DEGREE], values: [f64; 2 * DEGREE]) -> [Parameter; 2 * DEGREE] {
    let mut all = [const { Parameter::new("", 0.0) }; 2 * DEGREE];
    let mut i = 0;
    while i < all.len() {
        all[i] = Parameter::new(names[i], values[i]);
        i += 1;
    }
    all
}

const POWERS: [&str; 2 * DEGREE] = ["a0", "a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "b4"];
const HERMITE: [&str; 2 * DEGREE] = ["c0", "c1", "c2", "c3", "c4", "c5", "d1", "d2", "d3", "d4"];

/// Leaky ReLU is a line and an even function, for which the fit makes b1 and b3 0.
const PAU: [f64; 2 * DEGREE] = [
    0.03357825,
    0.505,
    1.652224083,
    2.006973682,
    0.929753232,
    0.151949976,
    0.0,
    3.974205503,
    0.0,
    0.300891067,
];

/// Left alone, the fit drives d3 and d4 to 0, and the function grows cubically outside the interval, so that
/// networks overflow. So d4 is held at 0.01, d3 at 0, and c5 where the function follows the mean of the two slopes.
const HP1: [f64; 2 * DEGREE] = [
    1.202019521,
    1.912659071,
    1.183508811,
    0.379604332,
    0.045838058,
    0.00505,
    1.103595132,
    0.44391488,
    0.0,
    0.01,
];

const HP2: [f64; 2 * DEGREE] = [
    3.567589748,
    4.246033315,
    2.028621296,
    0.509256322,
    0.0574563605,
    0.00183877084,
    4.884314485,
    0.887682959,
    0.0807525164,
    0.00842425108,
];

pub const KINDS: &[Kind] = &[
    Kind {
        name: "pau",
        aliases: &["pade_activation_unit"],
        formula: "P(x) / (1 + |Q(x)|), degrees 5 and 4",
        derivative: "(P' - f(x) Q' sign(Q)) / (1 + |Q|), with P = a0 + .. + a5 x^5 and Q = b1 x + .. + b4 x^4",
        source: "arXiv 1907.06732 (starts as a leaky ReLU)",
        parameters: &parameters(POWERS, PAU),
        value: |x, p| pau(x, p).value,
        slope: |x, p| pau(x, p).slope,
        kinks: sign_changes,
        exported: &[Form::since(
            1,
            "(((((x * a5 + a4) * x + a3) * x + a2) * x + a1) * x + a0) \
             / (Abs((((x * b4 + b3) * x + b2) * x + b1) * x) + 1)",
        )],
        // Its values don't tell its parameters: those of Q may have either sign.
        detectable: false,
        ..Kind::PLAIN
    },
    Kind {
        name: "hp1",
        aliases: &["hermite_pade1"],
        formula: "sum c He(x) / (1 + sum |d He(x)|)",
        derivative: "(P' - f(x) D') / D, with P = c0 He0 + .. + c5 He5 above and D below; He_n' = n He_(n-1)",
        source: "arXiv 2106.09693 (probabilists' Hermite polynomials; starts as a leaky ReLU)",
        parameters: &parameters(HERMITE, HP1),
        value: |x, p| hp1(x, p).value,
        slope: |x, p| hp1(x, p).slope,
        kinks: |p| hermite_zeros(p, 1.0),
        exported: &[Form::since(
            1,
            "(((((x * c5 + c4) * x + (c3 - 10 * c5)) * x + (c2 - 6 * c4)) * x + (c1 - 3 * c3 + 15 * c5)) * x \
             + (c0 - c2 + 3 * c4)) / (Abs(x * d1) + Abs((x * x - 1) * d2) + Abs((x * x - 3) * x * d3) \
             + Abs(((x * x - 6) * (x * x) + 3) * d4) + 1)",
        )],
        detectable: false,
        ..Kind::PLAIN
    },
    Kind {
        name: "hp2",
        aliases: &["hermite_pade2"],
        formula: "sum c H(x) / (1 + sum |d H(x)|)",
        derivative: "(P' - f(x) D') / D, with P = c0 H0 + .. + c5 H5 above and D below; H_n' = 2 n H_(n-1)",
        source: "arXiv 2106.09693 (physicists' Hermite polynomials; starts as a leaky ReLU)",
        parameters: &parameters(HERMITE, HP2),
        value: |x, p| hp2(x, p).value,
        slope: |x, p| hp2(x, p).slope,
        kinks: |p| hermite_zeros(p, std::f64::consts::SQRT_2),
        exported: &[Form::since(
            1,
            "(((((x * (32 * c5) + 16 * c4) * x + (8 * c3 - 160 * c5)) * x + (4 * c2 - 48 * c4)) * x \
             + (2 * c1 - 12 * c3 + 120 * c5)) * x + (c0 - 2 * c2 + 12 * c4)) \
             / (Abs(x * (2 * d1)) + Abs((x * x * 4 - 2) * d2) + Abs((x * x * 8 - 12) * x * d3) \
             + Abs(((x * x * 16 - 48) * (x * x) + 12) * d4) + 1)",
        )],
        detectable: false,
        ..Kind::PLAIN
    },
];
