//! Formulas: the one notation in which an activation's operators are written down.
//!
//! `x * Sigmoid(beta * x)` is read by [`super::pattern`] to find the activation in a graph, by
//! [`super::build`] to write it, and evaluated here to check it against the definition. `x` is the input,
//! other lower-case names are parameters, capitalised names are ONNX operators (with their domain in front
//! where it isn't the standard one), positional arguments are inputs and `name=value` ones attributes. A list
//! in brackets is one of integers, and a lower-case name with sizes, as in `weight(channels, 1, 3, 3)`, is a
//! tensor of seeded weights. A part that occurs twice is computed once.

use std::fmt;

/// A formula, as written: association and order are those of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// The activation's input.
    X,
    /// A parameter.
    Param(String),
    Number(f64),
    /// Integers: the axes of a reduction, a shape.
    List(Vec<Expr>),
    /// Weights of this name and these sizes, made up from a seed.
    Weights(String, Vec<Expr>),
    Op(Op),
}

/// An ONNX operator applied to arguments. Arithmetic signs are the operators `Add`, `Sub`, `Mul`, `Div`.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    pub domain: String,
    pub name: String,
    pub args: Vec<Expr>,
    pub attributes: Vec<(String, Attribute)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(String),
    /// A number or a parameter.
    Value(Expr),
}

impl Expr {
    /// Reads a formula. The formulas are ours, so the error is for the person who writes one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, rest: text };
        let expr = parser.sum()?;
        match parser.peek() {
            None => Ok(expr),
            Some(_) => Err(parser.error("the end")),
        }
    }

    /// The value of a formula made of numbers and parameters only.
    pub fn constant(&self, parameter: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        match self {
            Self::X | Self::List(_) | Self::Weights(..) => None,
            Self::Param(name) => parameter(name),
            Self::Number(value) => Some(*value),
            Self::Op(op) => {
                let [a, b] = op.args.as_slice() else { return None };
                let (a, b) = (a.constant(parameter)?, b.constant(parameter)?);
                match op.name.as_str() {
                    "Add" => Some(a + b),
                    "Sub" => Some(a - b),
                    "Mul" => Some(a * b),
                    "Div" => Some(a / b),
                    _ => None,
                }
            }
        }
    }

    /// The formula without factors of exactly 1.
    pub fn without_ones(&self, parameter: &impl Fn(&str) -> Option<f64>) -> Self {
        let Self::Op(op) = self else { return self.clone() };
        let is_one = |e: &Self| e.constant(parameter) == Some(1.0);
        match (op.name.as_str(), op.args.as_slice()) {
            ("Mul" | "Div", [a, one]) if is_one(one) && a.has_input() => a.without_ones(parameter),
            ("Mul", [one, a]) if is_one(one) && a.has_input() => a.without_ones(parameter),
            _ => {
                let args = op.args.iter().map(|a| a.without_ones(parameter)).collect();
                Self::Op(Op { args, ..op.clone() })
            }
        }
    }

    /// Whether the input occurs in it.
    pub fn has_input(&self) -> bool {
        match self {
            Self::X => true,
            Self::Param(_) | Self::Number(_) | Self::List(_) | Self::Weights(..) => false,
            Self::Op(op) => op.args.iter().any(Self::has_input),
        }
    }

    /// Whether a parameter of this name occurs in it.
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Self::X | Self::Number(_) => false,
            Self::Param(own) => own == name,
            Self::List(parts) | Self::Weights(_, parts) => parts.iter().any(|p| p.mentions(name)),
            Self::Op(op) => {
                let attribute = |(_, a): &(String, Attribute)| match a {
                    Attribute::Text(_) => false,
                    Attribute::Value(value) => value.mentions(name),
                };
                op.args.iter().any(|a| a.mentions(name)) || op.attributes.iter().any(attribute)
            }
        }
    }

    /// How many exponentials, logarithms and their like it takes for an element; what occurs twice counts once.
    pub fn transcendentals(&self) -> u32 {
        fn visit<'e>(expr: &'e Expr, seen: &mut Vec<&'e Expr>) -> u32 {
            let Expr::Op(op) = expr else { return 0 };
            if seen.contains(&expr) {
                return 0;
            }
            seen.push(expr);
            let own = match op.name.as_str() {
                "Exp" | "Log" | "Erf" | "Sin" | "Tanh" | "Sigmoid" | "Elu" | "Selu" | "Celu" | "Softmax"
                | "Gelu" | "Swish" => 1,
                "Softplus" => 2,
                "Mish" => 3,
                _ => 0,
            };
            own + op.args.iter().map(|a| visit(a, seen)).sum::<u32>()
        }
        visit(self, &mut vec![])
    }
}

/// What a formula computes at `x`, in double precision; `None` for an operator it doesn't know or an unbound
/// parameter. It is how the registry's formulas are held against its definitions.
pub fn evaluate(expr: &Expr, x: f64, parameter: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let op = match expr {
        Expr::X => return Some(x),
        Expr::Param(name) => return parameter(name),
        Expr::Number(value) => return Some(*value),
        Expr::List(_) | Expr::Weights(..) => return None,
        Expr::Op(op) => op,
    };
    let args: Vec<f64> = op.args.iter().map(|a| evaluate(a, x, parameter)).collect::<Option<_>>()?;
    let attribute = |name: &str| match op.attributes.iter().find(|(n, _)| n == name)? {
        (_, Attribute::Value(value)) => value.constant(parameter),
        (_, Attribute::Text(_)) => None,
    };
    let is_tanh = op.attributes.iter().any(|(_, a)| *a == Attribute::Text("tanh".to_owned()));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let gelu = |x: f64| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
    let gelu_tanh = |x: f64| {
        let c = (2.0 / std::f64::consts::PI).sqrt();
        0.5 * x * (1.0 + (c * (x + 0.044715 * x.powi(3))).tanh())
    };
    Some(match (op.name.as_str(), args.as_slice()) {
        ("Add", [a, b]) => a + b,
        ("Sub", [a, b]) => a - b,
        ("Mul", [a, b]) => a * b,
        ("Div", [a, b]) => a / b,
        ("Pow", [a, b]) => a.powf(*b),
        ("Max", [a, b]) => a.max(*b),
        ("Min", [a, b]) => a.min(*b),
        ("Greater", [a, b]) => f64::from(a > b),
        ("GreaterOrEqual", [a, b]) => f64::from(a >= b),
        ("Where", [condition, a, b]) => {
            if *condition != 0.0 {
                *a
            } else {
                *b
            }
        }
        ("Clip", [x, low]) => x.max(*low),
        ("Clip", [x, low, high]) => x.max(*low).min(*high),
        ("PRelu", [x, slope]) => {
            if *x < 0.0 {
                slope * x
            } else {
                *x
            }
        }
        ("Identity", [x]) => *x,
        ("Neg", [x]) => -x,
        ("Abs", [x]) => x.abs(),
        ("Exp", [x]) => x.exp(),
        ("Log", [x]) => x.ln(),
        ("Erf", [x]) => erf(*x),
        ("Sin", [x]) => x.sin(),
        ("Sqrt", [x]) => x.sqrt(),
        ("Tanh", [x]) => x.tanh(),
        ("Sigmoid", [x]) => sigmoid(*x),
        ("Softplus", [x]) => x.exp().ln_1p(),
        ("Softsign", [x]) => x / (1.0 + x.abs()),
        ("Relu", [x]) => x.max(0.0),
        ("LeakyRelu", [x]) => {
            if *x < 0.0 {
                attribute("alpha")? * x
            } else {
                *x
            }
        }
        ("Elu", [x]) => {
            if *x < 0.0 {
                attribute("alpha")? * x.exp_m1()
            } else {
                *x
            }
        }
        ("Celu", [x]) => {
            let alpha = attribute("alpha")?;
            x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0)
        }
        ("Selu", [x]) => attribute("gamma")? * if *x < 0.0 { attribute("alpha")? * x.exp_m1() } else { *x },
        ("HardSigmoid", [x]) => (attribute("alpha")? * x + attribute("beta")?).clamp(0.0, 1.0),
        ("HardSwish", [x]) => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        ("Mish", [x]) => x * x.exp().ln_1p().tanh(),
        ("Swish" | "QuickGelu", [x]) => x * sigmoid(attribute("alpha")? * x),
        ("FastGelu", [x]) => gelu_tanh(*x),
        ("Gelu", [x]) => {
            if is_tanh {
                gelu_tanh(*x)
            } else {
                gelu(*x)
            }
        }
        _ => return None,
    })
}

/// The error function, to about 1e-15 of its value.
pub fn erf(x: f64) -> f64 {
    if x.abs() < 1.0 { erf_series(x) } else { (1.0 - erfc(x.abs())).copysign(x) }
}

/// 1 - erf(x), to about 1e-15 of its value also where that is small.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 1.0 {
        return 1.0 - erf_series(x);
    }
    // Laplace's continued fraction.
    let fraction = (1..=240).rev().fold(0.0, |f, k| f64::from(k) / 2.0 / (x + f));
    (-x * x).exp() / ((x + fraction) * std::f64::consts::PI.sqrt())
}

/// The series of erf whose terms have one sign, so that nothing cancels.
fn erf_series(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..60 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X => write!(f, "x"),
            Self::Param(name) => write!(f, "{name}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::List(parts) => write!(f, "[{}]", Joined(parts)),
            Self::Weights(name, sizes) => write!(f, "{name}({})", Joined(sizes)),
            Self::Op(op) => write!(f, "{}({})", op.name, Joined(&op.args)),
        }
    }
}

struct Joined<'e>(&'e [Expr]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, e)| write!(f, "{}{e}", if i > 0 { ", " } else { "" }))
    }
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.rest = &self.rest[c.len_utf8()..];
        }
        found
    }

    fn error(&self, expected: &str) -> String {
        let at = self.text.len() - self.rest.len();
        format!("expected {expected} at character {at} of formula `{}`", self.text)
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let mut left = self.product()?;
        loop {
            let name = if self.eat('+') {
                "Add"
            } else if self.eat('-') {
                "Sub"
            } else {
                return Ok(left);
            };
            left = binary(name, left, self.product()?);
        }
    }

    fn product(&mut self) -> Result<Expr, String> {
        let mut left = self.atom()?;
        loop {
            let name = if self.eat('*') {
                "Mul"
            } else if self.eat('/') {
                "Div"
            } else {
                return Ok(left);
            };
            left = binary(name, left, self.atom()?);
        }
    }

    fn atom(&mut self) -> Result<Expr, String> {
        if self.eat('(') {
            let inner = self.sum()?;
            return if self.eat(')') { Ok(inner) } else { Err(self.error("`)`")) };
        }
        if self.eat('[') {
            return Ok(Expr::List(self.list(']', "`,` or `]`")?));
        }
        if self.eat('-') {
            let Expr::Number(value) = self.atom()? else { return Err(self.error("a number after `-`")) };
            return Ok(Expr::Number(-value));
        }
        match self.peek() {
            Some(c) if c.is_ascii_digit() => {
                let word = self.word(|c| c.is_ascii_digit() || c == '.');
                word.parse().map(Expr::Number).map_err(|_| self.error("a number"))
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let word = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
                let lower = c.is_ascii_lowercase() && !word.contains('.');
                if self.eat('(') {
                    if !lower {
                        return self.call(word);
                    }
                    Ok(Expr::Weights(word.to_owned(), self.list(')', "`,` or `)`")?))
                } else if word == "x" {
                    Ok(Expr::X)
                } else {
                    Ok(Expr::Param(word.to_owned()))
                }
            }
            _ => Err(self.error("a value")),
        }
    }

    /// Values up to the closing bracket.
    fn list(&mut self, end: char, expected: &str) -> Result<Vec<Expr>, String> {
        let mut parts = vec![self.sum()?];
        while !self.eat(end) {
            if !self.eat(',') {
                return Err(self.error(expected));
            }
            parts.push(self.sum()?);
        }
        Ok(parts)
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn call(&mut self, qualified: &str) -> Result<Expr, String> {
        let (domain, name) = qualified.rsplit_once('.').unwrap_or(("", qualified));
        let mut op =
            Op { domain: domain.to_owned(), name: name.to_owned(), args: vec![], attributes: vec![] };
        loop {
            let start = self.rest;
            let key = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ' '));
            if !key.is_empty() && self.eat('=') {
                let value = if self.eat('"') {
                    let text = self.word(|c| c != '"').to_owned();
                    if !self.eat('"') {
                        return Err(self.error("`\"`"));
                    }
                    Attribute::Text(text)
                } else {
                    Attribute::Value(self.sum()?)
                };
                op.attributes.push((key.trim().to_owned(), value));
            } else {
                self.rest = start;
                op.args.push(self.sum()?);
            }
            if self.eat(')') {
                return Ok(Expr::Op(op));
            }
            if !self.eat(',') {
                return Err(self.error("`,` or `)`"));
            }
        }
    }
}

fn binary(name: &str, a: Expr, b: Expr) -> Expr {
    Expr::Op(Op { domain: String::new(), name: name.to_owned(), args: vec![a, b], attributes: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_says() {
        let rows = [
            ("x * Sigmoid(beta * x)", "Mul(x, Sigmoid(Mul(beta, x)))"),
            ("x - 1 - 2", "Sub(Sub(x, 1), 2)"),
            ("x * (Erf(x / 1.5) + 1) * 0.5", "Mul(Mul(x, Add(Erf(Div(x, 1.5)), 1)), 0.5)"),
            ("Clip(x, -1, 1)", "Clip(x, -1, 1)"),
            ("Conv(x, weight(channels, 1), pads=[1, 1])", "Conv(x, weight(channels, 1))"),
            ("Reshape(x, [0, -1, k])", "Reshape(x, [0, -1, k])"),
        ];
        for (text, expected) in rows {
            assert_eq!(Expr::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn keeps_domains_and_attributes() {
        let Expr::Op(op) = Expr::parse("com.microsoft.Gelu(x, approximate=\"tanh\", alpha=1/6)").unwrap()
        else {
            panic!("an operator")
        };
        assert_eq!((op.domain.as_str(), op.name.as_str(), op.args.len()), ("com.microsoft", "Gelu", 1));
        assert_eq!(op.attributes[0], ("approximate".into(), Attribute::Text("tanh".into())));
        let Attribute::Value(alpha) = &op.attributes[1].1 else { panic!("a number") };
        assert_eq!(alpha.constant(&|_| None), Some(1.0 / 6.0));
    }

    #[test]
    fn a_shared_part_is_one_transcendental() {
        let count = |text| Expr::parse(text).unwrap().transcendentals();
        assert_eq!(count("Exp(x) / (Exp(x) + Exp(x * 2))"), 2);
        assert_eq!(count("x * Tanh(Softplus(x))"), 3);
        assert_eq!(count("Clip(x, 0, 6)"), 0);
    }

    #[test]
    fn the_error_function_keeps_its_digits_in_both_tails() {
        // 60-digit values, rounded.
        let rows = [
            (0.5, 0.479_500_122_186_953_5),
            (0.999, 0.157_714_729_793_503_07),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (5.0, 1.537_459_794_428_035e-12),
            (-3.0, 1.999_977_909_503_001_4),
        ];
        for (x, expected) in rows {
            assert!((erfc(x) / expected - 1.0f64).abs() < 1e-14, "erfc({x}) = {}", erfc(x));
            assert!((erf(x) - (1.0 - expected)).abs() < 1e-15, "erf({x}) = {}", erf(x));
        }
        assert!((erf(1e-9) / 1.128_379_167_095_512_6e-9 - 1.0).abs() < 1e-15);
    }

    #[test]
    fn says_where_it_stopped_reading() {
        for text in ["x *", "Clip(x, ", "x ! 2", "(x", "Op(x; 2)", "--x"] {
            assert!(Expr::parse(text).unwrap_err().contains("expected"), "{text}");
        }
    }
}
