//! The ONNX operators that formulas are written in: a row for each.
//!
//! An operator without a row can be found in a graph and be written, but not evaluated, and its attributes must be
//! given. Operators of other domains stand here by their names alone, as no two have the same one.

use super::erf::erf;

/// What is known of an operator with so many inputs.
pub struct Operator {
    name: &'static str,
    value: Value,
    /// Its attributes that are numbers, with their values where they are left out.
    pub numbers: &'static [(&'static str, f64)],
    /// Its attribute that is a text, likewise.
    pub text: Option<(&'static str, &'static str)>,
    /// How many exponentials, logarithms and their like it takes for an element.
    pub transcendentals: u32,
    /// Whether its two inputs may change places. (A product does more: its factors may stand in any order.)
    pub commutes: bool,
}

/// What an element of the output is.
#[derive(Clone, Copy)]
enum Value {
    OfOne(fn(f64) -> f64),
    OfTwo(fn(f64, f64) -> f64),
    OfThree(fn(f64, f64, f64) -> f64),
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
    of_two("Add", |a, b| a + b).commutes(),
    of_two("Sub", |a, b| a - b),
    of_two("Mul", |a, b| a * b),
    of_two("Div", |a, b| a / b),
    of_two("Pow", f64::powf),
    of_two("Max", f64::max).commutes(),
    of_two("Min", f64::min).commutes(),
    of_two("Greater", |a, b| f64::from(a > b)),
    of_two("GreaterOrEqual", |a, b| f64::from(a >= b)),
    of_three("Where", |condition, a, b| if condition != 0.0 { a } else { b }),
    of_one("Identity", |x| x),
    of_one("Neg", |x| -x),
    of_one("Abs", f64::abs),
    of_one("Sqrt", f64::sqrt),
    of_one("Exp", f64::exp).transcendentals(1),
    of_one("Log", f64::ln).transcendentals(1),
    of_one("Erf", erf).transcendentals(1),
    of_one("Sin", f64::sin).transcendentals(1),
    of_one("Tanh", f64::tanh).transcendentals(1),
    of_one("Sigmoid", sigmoid).transcendentals(1),
    of_one("Softplus", |x| x.exp().ln_1p()).transcendentals(2),
    of_one("Softsign", |x| x / (1.0 + x.abs())),
    of_one("Relu", |x| x.max(0.0)),
    of_two("Clip", f64::max),
    of_three("Clip", |x, low, high| x.max(low).min(high)),
    of_two("PRelu", |x, slope| if x < 0.0 { slope * x } else { x }),
    with_numbers("LeakyRelu", &[("alpha", 0.01)], |x, p| if x < 0.0 { p[0] * x } else { x }),
    with_numbers("ThresholdedRelu", &[("alpha", 1.0)], |x, p| if x > p[0] { x } else { 0.0 }),
    with_numbers("Elu", &[("alpha", 1.0)], |x, p| elu(x, p[0])).transcendentals(1),
    with_numbers("Celu", &[("alpha", 1.0)], |x, p| x.max(0.0) + (p[0] * (x / p[0]).exp_m1()).min(0.0))
        .transcendentals(1),
    with_numbers("Selu", SELU, |x, p| p[1] * elu(x, p[0])).transcendentals(1),
    with_numbers("HardSigmoid", &[("alpha", 0.2), ("beta", 0.5)], |x, p| (p[0] * x + p[1]).clamp(0.0, 1.0)),
    of_one("HardSwish", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    with_numbers("Swish", &[("alpha", 1.0)], |x, p| x * sigmoid(p[0] * x)).transcendentals(1),
    with_numbers("QuickGelu", &[("alpha", 1.702)], |x, p| x * sigmoid(p[0] * x)).transcendentals(1),
    of_one("Mish", |x| x * x.exp().ln_1p().tanh()).transcendentals(3),
    with_text("Gelu", ("approximate", "none"), |x, by| if by == "tanh" { gelu_tanh(x) } else { gelu(x) })
        .transcendentals(1),
    of_one("FastGelu", gelu_tanh).transcendentals(1),
    of_others_too("Softmax").transcendentals(1),
];

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
    Operator { name, value, numbers: &[], text: None, transcendentals: 0, commutes: false }
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
    OPERATORS.iter().find(|operator| operator.name == name && operator.inputs() == Some(inputs))
}

impl Operator {
    const fn transcendentals(self, transcendentals: u32) -> Self {
        Self { transcendentals, ..self }
    }

    const fn commutes(self) -> Self {
        Self { commutes: true, ..self }
    }

    fn inputs(&self) -> Option<usize> {
        match self.value {
            Value::OfOne(_) | Value::WithNumbers(_) | Value::WithText(_) => Some(1),
            Value::OfTwo(_) => Some(2),
            Value::OfThree(_) => Some(3),
            Value::OfOthersToo => None,
        }
    }

    /// An element of the output, from those of as many inputs as it has, the values of `numbers` and that of `text`.
    pub fn value(&self, inputs: &[f64], numbers: &[f64], text: &str) -> Option<f64> {
        match (self.value, inputs) {
            (Value::OfOne(f), &[a]) => Some(f(a)),
            (Value::OfTwo(f), &[a, b]) => Some(f(a, b)),
            (Value::OfThree(f), &[a, b, c]) => Some(f(a, b, c)),
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
            let same = |other: &Operator| other.name == row.name && other.inputs() == row.inputs();
            assert!(!OPERATORS[..i].iter().any(same), "{}", row.name);
        }
    }

    #[test]
    fn what_is_said_to_commute_does() {
        let rows: Vec<_> = OPERATORS.iter().filter(|row| row.commutes).collect();
        assert!(!rows.is_empty());
        for row in rows {
            let [there, back] = [[2.0, -3.0], [-3.0, 2.0]].map(|inputs| row.value(&inputs, &[], ""));
            assert!(there.is_some() && there == back, "{}", row.name);
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
