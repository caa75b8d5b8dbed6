//! Learnable quotients of polynomials of degrees 5 and 4 whose denominators can't vanish.

use super::{Function, Row, pass_of};
use crate::Bound;
use crate::lanes::Lanes;
use crate::math::{self, clamp, polynomial};

pub const ROWS: &[Row] = &[
    Row { name: "pau", bound: BOUND, make: |p| pass_of(Pau::new(p)?) },
    Row { name: "hp1", bound: BOUND, make: |p| pass_of(HermitePade::probabilists(p)?) },
    Row { name: "hp2", bound: BOUND, make: |p| pass_of(HermitePade::physicists(p)?) },
];

const BOUND: Bound = Bound::with_zeros(8.0, 1.0, 1.0);

/// Beyond ± this, fifth powers might overflow, and the quotients are lines to within a float.
const LINE: f32 = 2e7;

/// P(x) / D(x), where P is of degree 5, D grows with x⁴ and `inner` is x within ±`LINE`.
#[inline(always)]
fn quotient<L: Lanes>(x: L, inner: L, above: &[f32; 6], below: L, slope: f32) -> L {
    let value = polynomial(inner, above) / below;
    (x - inner).fma(x.splat(slope), value) + math::unless_infinite(x)
}

/// Whether coefficients are such that nothing overflows, and the quotient becomes a line.
fn is_tame(above: &[f32; 6], below: f64) -> bool {
    let all = above.iter().map(|&c| f64::from(c)).chain([below]);
    all.clone().all(|c| c.abs() < 64.0) && above[5] != 0.0 && below != 0.0
}

/// P(x) / (1 + |Q(x)|), degrees 5 and 4.
#[derive(Clone, Copy)]
struct Pau {
    above: [f32; 6],
    below: [f32; 4],
    /// Far from 0.
    slope: f32,
}

impl Pau {
    /// From a0 … a5, b1 … b4.
    fn new(p: &[f64]) -> Option<Self> {
        let p: &[f64; 10] = p.try_into().ok()?;
        let p = p.map(|c| c as f32);
        let above = [p[0], p[1], p[2], p[3], p[4], p[5]];
        let slope = p[5] / p[9].abs();
        is_tame(&above, f64::from(p[9])).then_some(Self { above, below: [p[6], p[7], p[8], p[9]], slope })
    }
}

impl Function for Pau {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let inner = clamp(x, -LINE, LINE);
        let below = (polynomial(inner, &self.below) * inner).abs() + x.splat(1.0);
        quotient(x, inner, &self.above, below, self.slope)
    }
}

/// Σ cᵢ fᵢ(x) / (1 + Σ |dⱼ fⱼ(x)|) over Hermite polynomials, the numerator as powers of x.
#[derive(Clone, Copy)]
struct HermitePade {
    above: [f32; 6],
    /// dⱼ fⱼ in x².
    first: f32,
    second: [f32; 2],
    third: [f32; 2],
    fourth: [f32; 3],
    /// Far from 0.
    slope: f32,
}

impl HermitePade {
    /// From c0 … c5, d1 … d4 over the probabilists' polynomials.
    fn probabilists(p: &[f64]) -> Option<Self> {
        Self::new(p, 1.0)
    }

    /// The same over the physicists' polynomials.
    fn physicists(p: &[f64]) -> Option<Self> {
        Self::new(p, 2.0)
    }

    /// f₀ = 1, fₙ₊₁ = s (x fₙ - n fₙ₋₁)
    fn new(p: &[f64], s: f64) -> Option<Self> {
        let p: &[f64; 10] = p.try_into().ok()?;
        let mut basis = [[0.0; 6]; 6];
        basis[0][0] = 1.0;
        for n in 0..5 {
            for power in 0..6 {
                let shifted = if power > 0 { basis[n][power - 1] } else { 0.0 };
                let before = if n > 0 { basis[n - 1][power] } else { 0.0 };
                basis[n + 1][power] = s * (shifted - n as f64 * before);
            }
        }
        let above: [f64; 6] = std::array::from_fn(|power| (0..6).map(|n| p[n] * basis[n][power]).sum());
        let above = above.map(|c| c as f32);
        let term = |n: usize, power: usize| (p[5 + n] * basis[n][power]) as f32;
        let leading = (p[9] * basis[4][4]).abs();
        is_tame(&above, leading).then_some(Self {
            above,
            slope: (f64::from(above[5]) / leading) as f32,
            first: term(1, 1),
            second: [term(2, 0), term(2, 2)],
            third: [term(3, 1), term(3, 3)],
            fourth: [term(4, 0), term(4, 2), term(4, 4)],
        })
    }
}

impl Function for HermitePade {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let inner = clamp(x, -LINE, LINE);
        let square = inner * inner;
        let odd = (inner * x.splat(self.first)).abs() + (polynomial(square, &self.third) * inner).abs();
        let even = polynomial(square, &self.second).abs() + polynomial(square, &self.fourth).abs();
        quotient(x, inner, &self.above, odd + even + x.splat(1.0), self.slope)
    }
}
