//! Formulas: the one notation in which an activation's operators are written down.
//!
//! `x * Sigmoid(beta * x)` is read by [`super::pattern`] to find the activation in a graph, by
//! [`super::build`] to write it, and evaluated here to check it against the definition. `x` is the input,
//! other lower-case names are parameters, capitalised names are ONNX operators (with their domain in front
//! where it isn't the standard one), positional arguments are inputs and `name=value` ones attributes.

use std::fmt;

/// A formula, as written: association and order are those of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// The activation's input.
    X,
    /// A parameter.
    Param(String),
    Number(f64),
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
            Self::X => None,
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

    /// Whether the input occurs in it.
    pub fn has_input(&self) -> bool {
        match self {
            Self::X => true,
            Self::Param(_) | Self::Number(_) => false,
            Self::Op(op) => op.args.iter().any(Self::has_input),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X => write!(f, "x"),
            Self::Param(name) => write!(f, "{name}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Op(op) => {
                write!(f, "{}(", op.name)?;
                for (i, arg) in op.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
                }
                write!(f, ")")
            }
        }
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
                if self.eat('(') {
                    self.call(word)
                } else if word == "x" {
                    Ok(Expr::X)
                } else {
                    Ok(Expr::Param(word.to_owned()))
                }
            }
            _ => Err(self.error("a value")),
        }
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
    fn says_where_it_stopped_reading() {
        for text in ["x *", "Clip(x, ", "x ! 2", "(x", "Op(x; 2)", "--x"] {
            assert!(Expr::parse(text).unwrap_err().contains("expected"), "{text}");
        }
    }
}
