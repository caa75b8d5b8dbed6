//! The functions that searches and fits found: products of tanh and softplus, quotients of polynomials, and
//! the switch between two lines.

use super::functions::{Function, reach, split};
use super::lanes::Lanes;
use super::math::{
    self, Exp, LEAST, NEAR, clamp, exp, exp_of_minus_near_closely, exp_of_product, exp_of_product_near,
    polynomial,
};

/// ln(1 + eˣ), from n = e^-|x|.
#[inline(always)]
fn softplus<L: Lanes>(x: L, n: Exp<L>) -> L {
    x.max(x.splat(0.0)) + n.scale(math::log_1p_over(n.value(), n.near_one))
}

/// The same for |x| ≤ `NEAR`, and n.
#[inline(always)]
fn softplus_near<L: Lanes>(x: L) -> (L, L) {
    let (near_one, power) = exp_of_minus_near_closely(x.abs());
    let n = near_one * power;
    (math::log_1p_over(n, near_one).fma(power, x.max(x.splat(0.0))), n)
}

#[inline(always)]
fn exp_of_minus_abs<L: Lanes>(x: L) -> Exp<L> {
    exp((-x.abs()).max(x.splat(LEAST)))
}

/// tanh(alpha x) ln(1 + eˣ)
#[derive(Clone, Copy)]
pub struct TanhSoft1 {
    pub alpha: f32,
}

impl Function for TanhSoft1 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        math::tanh(x * x.splat(self.alpha)) * softplus(x, exp_of_minus_abs(x))
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        math::tanh(x * x.splat(self.alpha)) * softplus_near(x).0
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEAR)
    }
}

/// x tanh(beta n), n = e^(gamma x)
#[derive(Clone, Copy)]
pub struct TanhSoft2 {
    beta: f32,
    gamma: [f32; 2],
    reach: f32,
    /// Where gamma x is `LEAST` and 80, the lesser first.
    ends: [f32; 2],
}

impl TanhSoft2 {
    pub fn new(beta: f64, gamma: f64) -> Self {
        let ends = [f64::from(LEAST) / gamma, 80.0 / gamma].map(|end| end as f32);
        let ends = if gamma < 0.0 { [ends[1], ends[0]] } else { ends };
        Self { beta: beta as f32, gamma: split(gamma), reach: reach(gamma), ends }
    }
}

impl Function for TanhSoft2 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let inner = clamp(x, self.ends[0], self.ends[1]);
        let n = exp_of_product(inner, x.splat(self.gamma[0]), x.splat(self.gamma[1]));
        let u = n.value() * x.splat(self.beta);
        // Where the tangent is its argument, the product with x comes before the scaling: the tail stays.
        let tail = n.near_one * x.splat(self.beta) * n.scales.0 * x * n.scales.1;
        L::select(u.abs().less(x.splat(1e-5)), tail, math::tanh(u) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = exp_of_product_near(x, x.splat(self.gamma[0]), Some(x.splat(self.gamma[1])));
        let u = near_one * power * x.splat(self.beta);
        math::tanh(u) * x
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}

/// x ln(1 + eˣ) / (x + delta e⁻ˣ), the quotient extended by eˣ where x is negative.
#[derive(Clone, Copy)]
pub struct Eis1 {
    delta: f32,
}

impl Eis1 {
    /// `None` where the denominator comes near 0, or crosses it.
    pub fn new(delta: f64) -> Option<Self> {
        (delta >= 0.5).then_some(Self { delta: delta as f32 })
    }

    /// x and x + delta e⁻ˣ, or both times eˣ.
    #[inline(always)]
    fn quotient<L: Lanes>(self, x: L, n: L) -> (L, L) {
        let (negative, delta) = (x.less(x.splat(0.0)), x.splat(self.delta));
        let above = L::select(negative, x * n, x);
        (above, above + L::select(negative, delta, delta * n))
    }
}

impl Function for Eis1 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp_of_minus_abs(x);
        let (above, below) = self.quotient(x, n.value());
        above / below * softplus(x, n)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (softplus, n) = softplus_near(x);
        let (above, below) = self.quotient(x, n);
        above / below * softplus
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEAR)
    }
}

/// x ln(1 + eˣ) / √(1 + x²)
#[derive(Clone, Copy)]
pub struct Eis2;

impl Function for Eis2 {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        // Beyond 1e9 x is its own root's value, and its square might overflow.
        let inner = clamp(x, -1e9, 1e9);
        let root = inner.fma(inner, x.splat(1.0)).sqrt();
        let finite = math::unless_infinite(x) + x.splat(1.0);
        inner / root * softplus(x, exp_of_minus_abs(x)) * finite
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        x.over(x.fma(x, x.splat(1.0)).sqrt()) * softplus_near(x).0
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEAR)
    }
}

/// d x σ(beta d x) + p2 x, d = p1 - p2
#[derive(Clone, Copy)]
pub struct AconC {
    /// Halves, so that no product overflows where the sum doesn't.
    d: f32,
    p2: f32,
    inner: [f32; 2],
    reach: f32,
    /// Where beta d x is `LEAST` and 40, the lesser first.
    ends: [f32; 2],
}

impl AconC {
    pub fn new(p1: f64, p2: f64, beta: f64) -> Self {
        let (d, inner) = (p1 - p2, beta * (p1 - p2));
        let ends = [f64::from(LEAST) / inner, 40.0 / inner].map(|end| end as f32);
        let ends = if inner < 0.0 { [ends[1], ends[0]] } else { ends };
        Self { d: (d / 2.0) as f32, p2: (p2 / 2.0) as f32, inner: split(inner), reach: reach(inner), ends }
    }
}

impl Function for AconC {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = clamp(x, self.ends[0], self.ends[1]);
        let n = exp_of_product(n, x.splat(self.inner[0]), x.splat(self.inner[1]));
        let sigmoid = n.scale(n.near_one / (n.value() + x.splat(1.0)));
        let half = (x * x.splat(self.d)).fma(sigmoid, x * x.splat(self.p2));
        half + half
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) =
            exp_of_product_near(x, x.splat(-self.inner[0]), Some(x.splat(-self.inner[1])));
        let sigmoid = near_one.fma(power, x.splat(1.0)).inverse();
        let half = (x * x.splat(self.d)).fma(sigmoid, x * x.splat(self.p2));
        half + half
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}

/// 1 if x > 0, else 0
#[derive(Clone, Copy)]
pub struct Step;

impl Function for Step {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        L::select(x.splat(0.0).less(x), x.splat(1.0), x.splat(0.0))
    }
}

/// Beyond, fifth powers might overflow, and the quotients are lines to within a float.
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
pub struct Pau {
    above: [f32; 6],
    below: [f32; 4],
    /// Far from 0.
    slope: f32,
}

impl Pau {
    /// From a0 … a5, b1 … b4.
    pub fn new(p: &[f64]) -> Option<Self> {
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

/// Σ cᵢ fᵢ(x) / (1 + Σ |dⱼ fⱼ(x)|) over Hermite polynomials, the sum above multiplied out.
#[derive(Clone, Copy)]
pub struct HermitePade {
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
    pub fn probabilists(p: &[f64]) -> Option<Self> {
        Self::new(p, 1.0)
    }

    /// The same over the physicists' polynomials.
    pub fn physicists(p: &[f64]) -> Option<Self> {
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
