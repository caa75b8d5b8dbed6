//! The ONNX operators that formulas are written in: a row for each.
//!
//! An operator without a row can be written, but not evaluated.

use super::erf::erf;

/// What is known of an operator with so many inputs.
#[derive(Debug)]
pub struct Operator {
    pub name: &'static str,
    value: Value,
    /// Its attributes that are numbers, with their values where they are left out.
    pub numbers: &'static [(&'static str, f64)],
    /// Its attribute that is a text, likewise.
    pub text: Option<(&'static str, &'static str)>,
    /// How many exponentials, logarithms and their like it takes for an element.
    pub transcendentals: u32,
    /// How a formula shows it between its two inputs.
    pub sign: Option<&'static str>,
    /// Whether the domain `com.microsoft` has it; the standard one has all others, and those of `BOTH`.
    microsoft: bool,
}

/// What an element of the output is.
#[derive(Clone, Copy, Debug)]
enum Value {
    OfOne(fn(f64) -> f64),
    OfTwo(fn(f64, f64) -> f64),
    OfThree(fn(f64, f64, f64) -> f64),
    /// Of any number of inputs, one at least.
    OfMany(fn(f64, f64) -> f64),
    /// The mean of any number of inputs.
    Mean,
    /// Of one input and the numbers, in the order of `numbers`.
    WithNumbers(fn(f64, &[f64]) -> f64),
    /// Of one input and the text.
    WithText(fn(f64, &str) -> f64),
    /// Of more than the inputs' elements at its place.
    OfOthersToo,
}

/// α and γ of SELU.
const SELU: &[(&str, f64)] = &[("alpha", 1.673_263_192_176_818_8), ("gamma", 1.050_701_022_148_132_3)];

/// By the ONNX specification, and that of ONNX Runtime's domain `com.microsoft`.
const OPERATORS: &[Operator] = &[
    of_two("Add", |a, b| a + b).sign("+"),
    of_two("Sub", |a, b| a - b).sign("-"),
    of_two("Mul", |a, b| a * b).sign("*"),
    of_two("Div", |a, b| a / b).sign("/"),
    of_two("Pow", f64::powf),
    of_many("Sum", |a, b| a + b),
    row("Mean", Value::Mean),
    of_many("Max", larger),
    of_many("Min", smaller),
    of_two("Greater", |a, b| f64::from(a > b)).sign(">"),
    of_two("GreaterOrEqual", |a, b| f64::from(a >= b)).sign(">="),
    of_two("Less", |a, b| f64::from(a < b)).sign("<"),
    of_two("LessOrEqual", |a, b| f64::from(a <= b)).sign("<="),
    of_two("Equal", |a, b| f64::from(a == b)).sign("=="),
    of_two("And", |a, b| f64::from(a != 0.0 && b != 0.0)),
    of_two("Or", |a, b| f64::from(a != 0.0 || b != 0.0)),
    of_two("Xor", |a, b| f64::from((a != 0.0) != (b != 0.0))),
    of_one("Not", |a| f64::from(a == 0.0)),
    of_three("Where", |condition, a, b| if condition != 0.0 { a } else { b }),
    of_one("Identity", |x| x),
    of_one("Neg", |x| -x),
    of_one("Abs", f64::abs),
    of_one("Sign", |x| if x == 0.0 { 0.0 } else { x.signum() }),
    of_one("Reciprocal", f64::recip),
    of_one("Sqrt", f64::sqrt),
    of_one("Floor", f64::floor),
    of_one("Ceil", f64::ceil),
    of_one("Round", f64::round_ties_even),
    of_one("Exp", f64::exp).transcendentals(1),
    of_one("Log", f64::ln).transcendentals(1),
    of_one("Erf", erf).transcendentals(1),
    of_one("Sin", f64::sin).transcendentals(1),
    of_one("Cos", f64::cos).transcendentals(1),
    of_one("Tan", f64::tan).transcendentals(1),
    of_one("Asin", f64::asin).transcendentals(1),
    of_one("Acos", f64::acos).transcendentals(1),
    of_one("Atan", f64::atan).transcendentals(1),
    of_one("Sinh", f64::sinh).transcendentals(1),
    of_one("Cosh", f64::cosh).transcendentals(1),
    of_one("Asinh", f64::asinh).transcendentals(1),
    of_one("Acosh", f64::acosh).transcendentals(1),
    of_one("Atanh", f64::atanh).transcendentals(1),
    of_one("Tanh", f64::tanh).transcendentals(1),
    of_one("Sigmoid", sigmoid).transcendentals(1),
    of_one("Softplus", softplus).transcendentals(2),
    of_one("Softsign", |x| x / (1.0 + x.abs())),
    of_one("Relu", |x| larger(x, 0.0)),
    of_two("Clip", larger),
    of_three("Clip", |x, low, high| smaller(larger(x, low), high)),
    of_two("PRelu", |x, slope| if x < 0.0 { slope * x } else { x }),
    with_numbers("LeakyRelu", &[("alpha", 0.01)], |x, p| if x < 0.0 { p[0] * x } else { x }),
    with_numbers("ThresholdedRelu", &[("alpha", 1.0)], |x, p| if x > p[0] { x } else { 0.0 }),
    with_numbers("Shrink", &[("lambd", 0.5), ("bias", 0.0)], shrink),
    with_numbers("Elu", &[("alpha", 1.0)], |x, p| elu(x, p[0])).transcendentals(1),
    with_numbers("Celu", &[("alpha", 1.0)], |x, p| if x < 0.0 { p[0] * (x / p[0]).exp_m1() } else { x })
        .transcendentals(1),
    with_numbers("Selu", SELU, |x, p| p[1] * elu(x, p[0])).transcendentals(1),
    with_numbers("HardSigmoid", &[("alpha", 0.2), ("beta", 0.5)], |x, p| (p[0] * x + p[1]).clamp(0.0, 1.0)),
    of_one("HardSwish", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    with_numbers("Swish", &[("alpha", 1.0)], |x, p| x * sigmoid(p[0] * x)).transcendentals(1),
    with_numbers("QuickGelu", &[("alpha", 1.702)], |x, p| x * sigmoid(p[0] * x))
        .transcendentals(1)
        .microsoft(),
    of_one("Mish", |x| x * softplus(x).tanh()).transcendentals(3),
    with_text("Gelu", ("approximate", "none"), |x, by| if by == "tanh" { gelu_tanh(x) } else { gelu(x) })
        .transcendentals(1),
    of_one("FastGelu", gelu_tanh).transcendentals(1).microsoft(),
    of_others_too("Softmax").transcendentals(1),
];

/// Operators of both domains.
const BOTH: [&str; 1] = ["Gelu"];

/// The larger number; not a number if one of them isn't, as ONNX has it.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller number, likewise.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// ln(1 + eˣ), which is x where eˣ overflows.
fn softplus(x: f64) -> f64 {
    if x > 40.0 { x } else { x.exp().ln_1p() }
}

fn shrink(x: f64, p: &[f64]) -> f64 {
    match x {
        _ if x < -p[0] => x + p[1],
        _ if x > p[0] => x - p[1],
        _ => 0.0,
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x < 0.0 { alpha * x.exp_m1() } else { x }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

fn gelu_tanh(x: f64) -> f64 {
    let c = (2.0 / std::f64::consts::PI).sqrt();
    0.5 * x * (1.0 + (c * (x + 0.044715 * x.powi(3))).tanh())
}

const fn row(name: &'static str, value: Value) -> Operator {
    Operator { name, value, numbers: &[], text: None, transcendentals: 0, sign: None, microsoft: false }
}

const fn of_one(name: &'static str, value: fn(f64) -> f64) -> Operator {
    row(name, Value::OfOne(value))
}

const fn of_two(name: &'static str, value: fn(f64, f64) -> f64) -> Operator {
    row(name, Value::OfTwo(value))
}

const fn of_three(name: &'static str, value: fn(f64, f64, f64) -> f64) -> Operator {
    row(name, Value::OfThree(value))
}

const fn of_many(name: &'static str, value: fn(f64, f64) -> f64) -> Operator {
    row(name, Value::OfMany(value))
}

const fn with_numbers(
    name: &'static str,
    numbers: &'static [(&'static str, f64)],
    value: fn(f64, &[f64]) -> f64,
) -> Operator {
    Operator { numbers, ..row(name, Value::WithNumbers(value)) }
}

const fn with_text(
    name: &'static str,
    text: (&'static str, &'static str),
    value: fn(f64, &str) -> f64,
) -> Operator {
    Operator { text: Some(text), ..row(name, Value::WithText(value)) }
}

const fn of_others_too(name: &'static str) -> Operator {
    row(name, Value::OfOthersToo)
}

/// The operator of this name, with however many inputs.
pub fn named(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

/// The operator of this name with so many inputs.
pub fn find(name: &str, inputs: usize) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name && operator.takes(inputs))
}

/// The operator of this domain ("" for the standard one) and name with so many inputs.
pub fn in_domain(domain: &str, name: &str, inputs: usize) -> Option<&'static Operator> {
    let both = BOTH.contains(&name);
    find(name, inputs).filter(|operator| match domain {
        "" => !operator.microsoft || both,
        "com.microsoft" => operator.microsoft || both,
        _ => false,
    })
}

impl Operator {
    const fn transcendentals(self, transcendentals: u32) -> Self {
        Self { transcendentals, ..self }
    }

    const fn sign(self, sign: &'static str) -> Self {
        Self { sign: Some(sign), ..self }
    }

    const fn microsoft(self) -> Self {
        Self { microsoft: true, ..self }
    }

    fn takes(&self, inputs: usize) -> bool {
        match self.value {
            Value::OfOne(_) | Value::WithNumbers(_) | Value::WithText(_) => inputs == 1,
            Value::OfTwo(_) => inputs == 2,
            Value::OfThree(_) => inputs == 3,
            Value::OfMany(_) | Value::Mean => inputs > 0,
            Value::OfOthersToo => false,
        }
    }

    /// An element of the output, from those of as many inputs as it has, the values of `numbers` and that of `text`.
    pub fn value(&self, inputs: &[f64], numbers: &[f64], text: &str) -> Option<f64> {
        match (self.value, inputs) {
            (Value::OfOne(f), &[a]) => Some(f(a)),
            (Value::OfTwo(f), &[a, b]) => Some(f(a, b)),
            (Value::OfThree(f), &[a, b, c]) => Some(f(a, b, c)),
            (Value::OfMany(f), _) => inputs.iter().copied().reduce(f),
            (Value::Mean, _) => Some(inputs.iter().sum::<f64>() / inputs.len() as f64),
            (Value::WithNumbers(f), &[a]) => Some(f(a, numbers)),
            (Value::WithText(f), &[a]) => Some(f(a, text)),
            _ => None,
        }
    }

    /// The value of an attribute that is a number, where it is left out.
    pub fn default_number(&self, attribute: &str) -> Option<f64> {
        self.numbers.iter().find(|(name, _)| *name == attribute).map(|&(_, default)| default)
    }

    /// The value of an attribute that is a text, where it is left out.
    pub fn default_text(&self, attribute: &str) -> Option<&'static str> {
        self.text.filter(|(name, _)| *name == attribute).map(|(_, default)| default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_are_for_the_same_nodes() {
        for (i, row) in OPERATORS.iter().enumerate() {
            let both = |other: &Operator| (0..4).any(|n| other.takes(n) && row.takes(n));
            assert!(
                !OPERATORS[..i].iter().any(|other| other.name == row.name && both(other)),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn an_operator_of_another_domain_is_another_one() {
        let known = |domain, name| in_domain(domain, name, 1).is_some();
        assert!(known("", "Relu") && known("", "Gelu"));
        assert!(known("com.microsoft", "Gelu") && known("com.microsoft", "QuickGelu"));
        assert!(!known("my.plugin", "Relu") && !known("com.microsoft", "Relu") && !known("", "QuickGelu"));
    }

    #[test]
    fn not_a_number_is_kept() {
        for name in ["Max", "Min", "Relu", "Sum"] {
            let value = find(name, 1).and_then(|operator| operator.value(&[f64::NAN], &[], ""));
            assert!(value.is_some_and(f64::is_nan), "{name}");
        }
    }

    #[test]
    fn attributes_that_are_left_out_have_the_values_of_the_specification() {
        let number = |operator, attribute| named(operator)?.default_number(attribute);
        assert_eq!(number("HardSigmoid", "alpha"), Some(0.2));
        assert_eq!(number("Selu", "gamma"), Some(1.050_701_022_148_132_3));
        assert_eq!(number("Selu", "beta"), None);
        assert_eq!(number("Conv", "group"), None);
        assert_eq!(named("Gelu").and_then(|o| o.default_text("approximate")), Some("none"));
    }
}
