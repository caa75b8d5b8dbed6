//! Formulas: the one notation in which an activation's operators are written down.
//!
//! `x * Sigmoid(beta * x)` is written as nodes by [`super::build`], and evaluated here to check it against the
//! definition. `x` is the input, other lower-case names are parameters, capitalised names are ONNX operators (with their domain in front
//! where it isn't the standard one), positional arguments are inputs and `name=value` ones attributes. A list
//! in brackets is one of integers, and a lower-case name with sizes, as in `weight(channels, 1, 3, 3)`, is a
//! tensor of seeded weights. A part that occurs twice is computed once.

use std::fmt;

use super::operators;

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
        self.value(None, parameter)
    }

    fn value(&self, x: Option<f64>, parameter: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        match self {
            Self::X => x,
            Self::Param(name) => parameter(name),
            Self::Number(value) => Some(*value),
            Self::List(_) | Self::Weights(..) => None,
            Self::Op(op) => {
                let inputs = op.args.iter().map(|a| a.value(x, parameter)).collect::<Option<Vec<f64>>>()?;
                op.value(&inputs, parameter)
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
            let own = operators::named(&op.name).map_or(0, |operator| operator.transcendentals);
            own + op.args.iter().map(|a| visit(a, seen)).sum::<u32>()
        }
        visit(self, &mut vec![])
    }
}

/// What a formula computes at `x`, in double precision; `None` for an operator whose value isn't known or an unbound
/// parameter. It is how the registry's formulas are held against its definitions.
pub fn evaluate(expr: &Expr, x: f64, parameter: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
    expr.value(Some(x), parameter)
}

impl Op {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, attribute)| attribute)
    }

    fn value(&self, inputs: &[f64], parameter: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let operator = operators::find(&self.name, inputs.len())?;
        let number = |&(name, default): &(&str, f64)| match self.attribute(name) {
            None => Some(default),
            Some(Attribute::Value(value)) => value.constant(parameter),
            Some(Attribute::Text(_)) => None,
        };
        let numbers: Vec<f64> = operator.numbers.iter().map(number).collect::<Option<_>>()?;
        let text = operator.text.map_or("", |(name, default)| match self.attribute(name) {
            Some(Attribute::Text(text)) => text,
            _ => default,
        });
        operator.value(inputs, &numbers, text)
    }
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
    fn says_where_it_stopped_reading() {
        for text in ["x *", "Clip(x, ", "x ! 2", "(x", "Op(x; 2)", "--x"] {
            assert!(Expr::parse(text).unwrap_err().contains("expected"), "{text}");
        }
    }
}
