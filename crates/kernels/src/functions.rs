//! The activation functions, each written once for vectors of any width.

use super::lanes::Lanes;
use super::math::{
    self, LEAST, NEAR, NEARER, clamp, exp, exp_of_minus_nearer, exp_of_product, exp_of_product_near,
    one_minus_exp_of_negative, polynomial,
};
use super::tables;

/// An activation function with its parameters.
pub trait Function: Copy + Send + Sync + 'static {
    fn at<L: Lanes>(self, x: L) -> L;
    /// The same for numbers of at most this magnitude where that is cheaper: without clamps, tails and
    /// overflow. NaN must stay NaN there, too.
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        self.at(x)
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        None
    }
}

/// A number as the nearest float and what is left of it.
pub const fn split(value: f64) -> [f32; 2] {
    let near = value as f32;
    [near, (value - near as f64) as f32]
}

/// How far x goes while factor · x stays within ± `NEAR`.
pub fn reach(factor: f64) -> f32 {
    (f64::from(NEAR) / factor.abs()).min(1e30) as f32
}

/// min(max(x, low), high)
#[derive(Clone, Copy)]
pub struct Clip {
    pub low: f32,
    pub high: f32,
}

impl Function for Clip {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        clamp(x, self.low, self.high)
    }
}

/// max(x, 0)
#[derive(Clone, Copy)]
pub struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x.positive()
    }
}

/// x if x ≥ 0, else alpha x
#[derive(Clone, Copy)]
pub struct LeakyRelu {
    pub alpha: f32,
}

impl Function for LeakyRelu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        // A product for all: where some are kept, the compiler writes only the others, which is slow.
        x * L::select(x.less(x.splat(0.0)), x.splat(self.alpha), x.splat(1.0))
    }
}

/// The same where alpha is positive and at most 1: max(x, alpha x)
#[derive(Clone, Copy)]
pub struct Leak {
    pub alpha: f32,
}

impl Function for Leak {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x.max(x * x.splat(self.alpha))
    }
}

/// min(max(alpha x + beta, 0), 1)
#[derive(Clone, Copy)]
pub struct HardSigmoid {
    alpha: [f32; 2],
    beta: [f32; 2],
}

impl HardSigmoid {
    pub fn new(alpha: f64, beta: f64) -> Self {
        Self { alpha: split(alpha), beta: split(beta) }
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let near = x.fma_exact(x.splat(self.alpha[0]), x.splat(self.beta[0]));
        // Beyond every bend the rest changes nothing; it must not turn ∞ into NaN.
        let rest = clamp(x, -1e30, 1e30).fma(x.splat(self.alpha[1]), x.splat(self.beta[1]));
        clamp(near + rest, 0.0, 1.0)
    }
}

/// x · min(max(x + 3, 0), 6) / 6: the sum is exact where it is small.
#[derive(Clone, Copy)]
pub struct HardSwish;

impl Function for HardSwish {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x * (clamp(x + x.splat(3.0), 0.0, 6.0) * x.splat(1.0 / 6.0))
    }
}

/// x / (1 + |x|)
#[derive(Clone, Copy)]
pub struct Softsign;

impl Function for Softsign {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        x / (x.abs() + x.splat(1.0))
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        x * (x.abs() + x.splat(1.0)).inverse()
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(1e30)
    }
}

/// 1 / (1 + e⁻ˣ) = n / (1 + n), n = eˣ
#[derive(Clone, Copy)]
pub struct Sigmoid;

impl Function for Sigmoid {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp(clamp(x, LEAST, 40.0));
        n.scale(n.near_one / (n.value() + x.splat(1.0)))
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = math::exp_for_sigmoid(x);
        near_one.fma(power, x.splat(1.0)).inverse()
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(math::sigmoid_reach::<L>())
    }
}

/// x n / (1 + n), n = eˣ
#[derive(Clone, Copy)]
pub struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp(clamp(x, LEAST, 40.0));
        n.scale(n.near_one / (n.value() + x.splat(1.0)) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = math::exp_for_sigmoid(x);
        x.over(near_one.fma(power, x.splat(1.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(math::sigmoid_reach::<L>())
    }
}

/// x n / (1 + n), n = e^(beta x)
#[derive(Clone, Copy)]
pub struct Swish {
    beta: [f32; 2],
    reach: f32,
    /// Where beta x is `LEAST` and 40, the lesser first.
    ends: [f32; 2],
}

impl Swish {
    pub fn new(beta: f64) -> Self {
        let ends = [f64::from(LEAST) / beta, 40.0 / beta].map(|end| end as f32);
        let ends = if beta < 0.0 { [ends[1], ends[0]] } else { ends };
        Self { beta: split(beta), reach: reach(beta), ends }
    }
}

impl Function for Swish {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let inner = clamp(x, self.ends[0], self.ends[1]);
        let n = exp_of_product(inner, x.splat(self.beta[0]), x.splat(self.beta[1]));
        n.scale(n.near_one / (n.value() + x.splat(1.0)) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = exp_of_product_near(x, x.splat(-self.beta[0]), Some(x.splat(-self.beta[1])));
        x.over(near_one.fma(power, x.splat(1.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}

/// x n (n + 2) / (n (n + 2) + 2), n = eˣ: the tangent and the logarithm cancel the exponential's inverses.
#[derive(Clone, Copy)]
pub struct Mish;

impl Function for Mish {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let n = exp(clamp(x, LEAST, 20.0));
        let value = n.value();
        let sum = value + x.splat(2.0);
        n.scale(n.near_one * sum / value.fma(sum, x.splat(2.0)) * x)
    }
    /// x (m + ½) / (m² + m + ½), m = e⁻ˣ
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) = exp_of_minus_nearer(x);
        let m = near_one * power;
        let above = m + x.splat(0.5);
        (x * above).over(m.fma(m, above))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(NEARER)
    }
}

#[derive(Clone, Copy)]
pub struct Tanh;

impl Function for Tanh {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        math::tanh(x)
    }
}

/// above · x if x ≥ 0, else below (eˣ - 1): ELU and SELU. (Where the compiler sees that x is kept it writes only
/// the others, which is slow.)
#[derive(Clone, Copy)]
pub struct Elu {
    pub above: f32,
    pub below: f32,
}

impl Function for Elu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let below = one_minus_exp_of_negative(x) * x.splat(-self.below);
        L::select_negative(x, below, x * x.splat(self.above))
    }
}

/// x if x ≥ 0, else alpha (e^(x / alpha) - 1)
#[derive(Clone, Copy)]
pub struct Celu {
    alpha: f32,
    inner: f32,
}

impl Celu {
    /// `None` unless alpha is positive.
    pub fn new(alpha: f64) -> Option<Self> {
        (alpha > 0.0).then_some(Self { alpha: alpha as f32, inner: (1.0 / alpha) as f32 })
    }
}

impl Function for Celu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let below = one_minus_exp_of_negative(x * x.splat(self.inner)) * x.splat(-self.alpha);
        L::select_negative(x, below, x.max(x.splat(0.0)))
    }
}

/// ln(1 + e^(beta x)) / beta = max(x, 0) + ln(1 + n) / beta, n = e^(-beta |x|)
#[derive(Clone, Copy)]
pub struct Softplus {
    beta: [f32; 2],
    over_beta: [f32; 2],
    end: f32,
}

impl Softplus {
    /// `None` unless beta is positive.
    pub fn new(beta: f64) -> Option<Self> {
        let made =
            Self { beta: split(-beta), over_beta: split(1.0 / beta), end: (f64::from(LEAST) / -beta) as f32 };
        (beta > 0.0).then_some(made)
    }
}

impl Function for Softplus {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let y = x.abs().min(x.splat(self.end));
        let n = exp_of_product(y, x.splat(self.beta[0]), x.splat(self.beta[1]));
        let (near, rest) = (x.splat(self.over_beta[0]), x.splat(self.over_beta[1]));
        let tail = math::log_1p_over(n.value(), n.near_one.fma_exact(near, n.near_one * rest));
        x.max(x.splat(0.0)) + n.scale(tail)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (near_one, power) =
            exp_of_product_near(x.abs(), x.splat(self.beta[0]), Some(x.splat(self.beta[1])));
        let (near, rest) = (x.splat(self.over_beta[0]), x.splat(self.over_beta[1]));
        let factor = near_one.fma_exact(near, near_one * rest);
        math::log_1p_over(near_one * power, factor).fma(power, x.max(x.splat(0.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.end / 4.0)
    }
}

/// x Φ(x): for y = |x| the positive part of x less y e^(-y²/2) g(y), where g is smooth and tame.
#[derive(Clone, Copy)]
pub struct Gelu;

/// Φ(-y) e^(y²/2) for y in [0, 14.6], as a quotient: to a relative 6.0e-9.
const GELU: ([f32; 5], [f32; 6]) = (
    [0.5, 4.384_968e-1, 1.833_848_8e-1, 4.068_376e-2, 4.123_826_5e-3],
    [1.0, 1.674_878_6, 1.203_124_6, 4.698_66e-1, 1.019_854_5e-1, 1.033_678_2e-2],
);

/// The same for y in [0, `GELU_NEAR`], to a relative 1.1e-7.
const NEAR_GELU: ([f32; 4], [f32; 5]) = (
    [0.5, 3.394_216_6e-1, 1.070_036_3e-1, 1.417_511_9e-2],
    [1.0, 1.476_724_3, 8.923_029e-1, 2.677_491_3e-1, 3.554_809_5e-2],
);
const GELU_NEAR: f32 = 7.0;

impl Function for Gelu {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let y = x.abs().min(x.splat(14.6));
        let n = exp_of_product(y, y * x.splat(-0.5), x.splat(0.0));
        let (p, q) = GELU;
        let tail = y * n.near_one * polynomial(y, &p) / polynomial(y, &q);
        math::unless_negative(x) - n.scale(tail)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let y = x.abs();
        if L::LOOKS_UP {
            return (-y).fma(math::piecewise(y, &tables::GELU), x.max(x.splat(0.0)));
        }
        let (near_one, power) = exp_of_product_near(y, y * x.splat(-0.5), None);
        let (p, q) = NEAR_GELU;
        let tail = y * near_one * polynomial(y, &p) / polynomial(y, &q);
        (-tail).fma(power, x.max(x.splat(0.0)))
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(if L::LOOKS_UP { 6.15 } else { GELU_NEAR })
    }
}

/// x n / (1 + n), n = e^(x (a + b x²)): the tangent written with one exponential.
#[derive(Clone, Copy)]
pub struct GeluTanh;

/// 2 √(2/π) and that times 0.044715.
const GELU_TANH: [[f32; 2]; 2] = [split(1.595_769_121_605_730_7), split(0.071_354_816_272_600_25)];

impl GeluTanh {
    /// a + b x² and what its roundings left over: the exponent is large where the tail is small.
    #[inline(always)]
    fn factor<L: Lanes>(x: L) -> (L, L) {
        let [[a, a_rest], [b, b_rest]] = GELU_TANH;
        let square = x * x;
        let square_rest = x.fma_exact(x, -square);
        let term = square * x.splat(b);
        let term_rest = square.fma_exact(x.splat(b), -term);
        let sum = term + x.splat(a);
        let of_sum = sum - term;
        let sum_rest = (term - (sum - of_sum)) + (x.splat(a) - of_sum);
        let rest = square_rest.fma(x.splat(b), term_rest) + sum_rest;
        (sum, rest + square.fma(x.splat(b_rest), x.splat(a_rest)))
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        // Between these the exponent goes from `LEAST` to 49.
        let inner = clamp(x, -12.964, 8.0);
        let (factor, rest) = Self::factor(inner);
        let n = exp_of_product(inner, factor, rest);
        n.scale(n.near_one / (n.value() + x.splat(1.0)) * x)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        let (factor, rest) = Self::factor(x);
        let (near_one, power) = exp_of_product_near(-x, factor, Some(rest));
        // The instruction, whose time the factor hides.
        x / near_one.fma(power, x.splat(1.0))
    }
    /// There the exponent is 80.
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(9.6)
    }
}

/// sin(omega x), far from 0 float by float in double precision
#[derive(Clone, Copy)]
pub struct Sine {
    omega: [f32; 2],
    reach: f32,
}

impl Sine {
    pub fn new(omega: f64) -> Self {
        let reach = f64::from(math::SIN_NEAR) / omega.abs();
        Self { omega: split(omega), reach: reach.min(1e30) as f32 }
    }
}

impl Function for Sine {
    #[inline(always)]
    fn at<L: Lanes>(self, x: L) -> L {
        let omega = f64::from(self.omega[0]) + f64::from(self.omega[1]);
        x.each(|x| (f64::from(x) * omega).sin() as f32)
    }
    #[inline(always)]
    fn near<L: Lanes>(self, x: L) -> L {
        math::sin_of_product(x, self.omega[0], self.omega[1])
    }
    #[inline(always)]
    fn reach<L: Lanes>(self) -> Option<f32> {
        Some(self.reach)
    }
}
