//! The registry of activation functions.
//!
//! Everything that the program knows of an activation stands in one [`Kind`]: what it computes, how exporters
//! write it, how it is recognised and how it is put in. A family of activations is one file; to add one, write
//! its `Kind` there and, for a new file, one line in [`FAMILIES`].

mod elu;
mod gelu;
mod relu;
mod sigmoid;
mod sine;
mod swish;

use std::fmt;
use std::sync::LazyLock;

use crate::error::{Error, Result};
use crate::onnx::formula::Expr;
use crate::onnx::messages::data_type;

/// The families, in the order of tables. Where two patterns explain the same nodes, the first one wins.
const FAMILIES: &[&[Kind]] =
    &[relu::KINDS, elu::KINDS, sigmoid::KINDS, swish::KINDS, gelu::KINDS, sine::KINDS];

/// An activation function, without the values of its parameters.
#[derive(Debug)]
pub struct Kind {
    /// The name in records and tables.
    pub name: &'static str,
    /// Other spellings, compared without case and punctuation.
    pub aliases: &'static [&'static str],
    /// What it computes, for people.
    pub formula: &'static str,
    /// Where it is defined: ONNX operator or paper.
    pub source: &'static str,
    pub parameters: &'static [Parameter],
    /// f(x) for the given parameters, in the order of `parameters`.
    pub value: fn(f64, &[f64]) -> f64,
    /// The formulas by which it is recognised, beside those in which it is written.
    pub recognised: &'static [&'static str],
    /// The formulas in which exporters write it: the first that fits opset and exporter is taken.
    pub exported: &'static [Form],
    pub place: Place,
}

#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub default: f64,
}

/// A formula that an exporter writes.
#[derive(Debug)]
pub struct Form {
    pub formula: &'static str,
    /// The first opset that has its operators.
    pub since: i64,
    /// The only exporter that writes it so; any if `None`.
    pub only: Option<Exporter>,
    /// Whether its operators are defined for single floats only.
    pub f32_only: bool,
}

impl Form {
    const fn since(since: i64, formula: &'static str) -> Self {
        Self { formula, since, only: None, f32_only: false }
    }
}

/// Who writes a model's nodes, as far as it makes a difference to activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// PyTorch's TorchScript exporter, and whoever the file doesn't tell.
    TorchScript,
    /// PyTorch's dynamo exporter.
    Dynamo,
}

/// Where a match is an activation. Functions that also serve as gates, decoders and encodings are activations
/// only in certain places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Anywhere,
    BetweenLinear,
    AfterLinear,
}

/// All kinds, in the order of tables.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// Every formula by which some kind is recognised, read once.
pub(crate) fn patterns() -> &'static [(&'static Kind, Expr)] {
    static PATTERNS: LazyLock<Vec<(&'static Kind, Expr)>> = LazyLock::new(|| {
        let formulas = kinds().flat_map(|k| {
            k.exported.iter().map(|f| f.formula).chain(k.recognised.iter().copied()).map(move |f| (k, f))
        });
        formulas.filter_map(|(kind, formula)| Some((kind, Expr::parse(formula).ok()?))).collect()
    });
    &PATTERNS
}

/// An activation: a kind and its parameters.
#[derive(Clone, Debug)]
pub struct Activation {
    pub kind: &'static Kind,
    /// As many as the kind has; `None` for one that is a tensor in the model (the slopes of PReLU).
    pub parameters: Vec<Option<f64>>,
}

impl PartialEq for Activation {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.kind, other.kind) && self.parameters == other.parameters
    }
}

impl Activation {
    /// The kind with its default parameters.
    pub fn new(kind: &'static Kind) -> Self {
        Self { kind, parameters: kind.parameters.iter().map(|p| Some(p.default)).collect() }
    }

    /// Reads `silu`, `LeakyReLU:0.1`, `nn.ELU:1.0`, … Fails with the nearest name, or the parameters it has.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, given) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let given: Vec<&str> = given.map_or(vec![], |rest| rest.split(':').collect());
        let kind = find(name, given.len())?;
        let mut activation = Self::new(kind);
        for (i, part) in given.into_iter().enumerate() {
            let Some(slot) = activation.parameters.get_mut(i) else {
                let names: Vec<_> = kind.parameters.iter().map(|p| p.name).collect();
                let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(Error::input(format!("{text}: too many parameters: {} has {has}", kind.name)));
            };
            let value: f64 = part.trim().parse().unwrap_or(f64::NAN);
            if !value.is_finite() {
                let name = kind.parameters[i].name;
                return Err(Error::input(format!(
                    "{text}: `{part}` is not a number for {name} (as in {}:{})",
                    kind.name, kind.parameters[i].default
                )));
            }
            *slot = Some(value);
        }
        Ok(activation)
    }

    /// f(x), NaN where a parameter isn't one number.
    pub fn value(&self, x: f64) -> f64 {
        let parameters: Vec<f64> = self.parameters.iter().map(|p| p.unwrap_or(f64::NAN)).collect();
        (self.kind.value)(x, &parameters)
    }

    /// The value of a parameter by name.
    pub fn parameter(&self, name: &str) -> Option<f64> {
        let i = self.kind.parameters.iter().position(|p| p.name == name)?;
        self.parameters[i]
    }

    /// The formula that the exporter writes at this opset for values of this ONNX element type.
    pub fn exported(&self, opset: i64, exporter: Exporter, data_type: i32) -> Result<&'static str> {
        let fits = |f: &&Form| {
            let typed = !f.f32_only || data_type == data_type::FLOAT;
            f.since <= opset && typed && f.only.is_none_or(|only| only == exporter)
        };
        match self.kind.exported.iter().find(fits) {
            Some(form) => Ok(form.formula),
            None => {
                let least = self.kind.exported.iter().map(|f| f.since).min().unwrap_or(1);
                Err(Error::input(format!(
                    "{} needs opset {least}, the model has {opset}: export it again with a newer one",
                    self.kind.name
                )))
            }
        }
    }
}

/// The spelling that [`Activation::parse`] reads back: parameters only where they aren't the default.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name)?;
        let is_default = |(p, d): (&Option<f64>, &Parameter)| {
            p.is_none_or(|p| (p - d.default).abs() <= 1e-6 * d.default.abs())
        };
        let keep = self.parameters.iter().zip(self.kind.parameters).rposition(|pair| !is_default(pair));
        for value in self.parameters.iter().take(keep.map_or(0, |i| i + 1)) {
            // Models keep parameters as single floats; their shortest form is what the author wrote.
            write!(f, ":{}", value.unwrap_or(f64::NAN) as f32)?;
        }
        Ok(())
    }
}

/// The kind of this name, in any spelling, that takes so many parameters (`swish` is SiLU, `swish:1.5` is
/// Swish). Fails with the nearest name.
fn find(name: &str, parameters: usize) -> Result<&'static Kind> {
    let wanted = plain(name);
    let names =
        || kinds().flat_map(|k| std::iter::once(&k.name).chain(k.aliases).map(move |n| (plain(n), k)));
    let called: Vec<&'static Kind> = names().filter(|(n, _)| *n == wanted).map(|(_, k)| k).collect();
    if let Some(kind) = called.iter().find(|k| k.parameters.len() >= parameters).or(called.first()) {
        return Ok(kind);
    }
    let nearest = names()
        .map(|(n, kind)| (strsim::jaro_winkler(&n, &wanted), kind.name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    let hint = nearest.map_or(String::new(), |(_, n)| format!("did you mean {n}? "));
    let all: Vec<_> = kinds().map(|k| k.name).collect();
    Err(Error::input(format!("unknown activation `{name}`: {hint}there are {}", all.join(", "))))
}

/// `nn.LeakyReLU`, `leaky-relu` and `leaky_relu` are one name.
fn plain(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name = name.rsplit('.').next().unwrap_or(&name);
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::onnx::formula::evaluate;

    fn sample_parameters(kind: &Kind) -> Vec<f64> {
        kind.parameters.iter().map(|p| p.default).collect()
    }

    #[test]
    fn every_formula_computes_the_function() {
        let mut formulas = 0;
        for kind in kinds() {
            let parameters = sample_parameters(kind);
            let texts = kind.exported.iter().map(|f| f.formula).chain(kind.recognised.iter().copied());
            for text in texts {
                let expr = Expr::parse(text).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
                let named =
                    |name: &str| kind.parameters.iter().position(|p| p.name == name).map(|i| parameters[i]);
                for i in -160..=160 {
                    let x = f64::from(i) / 16.0 + 1e-3;
                    let (is, should) = (evaluate(&expr, x, &named), (kind.value)(x, &parameters));
                    let is = is.unwrap_or_else(|| panic!("{text} can't be evaluated"));
                    assert!(
                        (is - should).abs() <= 2e-6 * should.abs().max(1.0),
                        "{text} at {x}: {is}, not {should}"
                    );
                }
                formulas += 1;
            }
        }
        assert_eq!(formulas, patterns().len(), "a formula was left out");
    }

    #[test]
    fn names_take_peoples_spellings() {
        let rows = [
            ("LeakyReLU", "leaky_relu"),
            ("Hardswish", "hard_swish"),
            ("hard-swish", "hard_swish"),
            ("SiLU", "silu"),
            ("swish", "silu"),
            ("nn.SiLU", "silu"),
            ("swish:1.5", "swish:1.5"),
            ("leaky_relu:0.1", "leaky_relu:0.1"),
            ("LeakyReLU:0.01", "leaky_relu"),
            ("ELU:1.0", "elu"),
            ("relu_6", "relu6"),
            ("hardtanh", "hard_tanh"),
        ];
        for (text, expected) in rows {
            assert_eq!(Activation::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn every_spelling_means_one_kind_of_so_many_parameters() {
        let mut seen = HashMap::new();
        for kind in kinds() {
            for name in std::iter::once(&kind.name).chain(kind.aliases) {
                if let Some(other) = seen.insert((plain(name), kind.parameters.len()), kind.name) {
                    assert_eq!(other, kind.name, "{name} means two kinds");
                }
            }
        }
    }

    #[test]
    fn a_wrong_name_or_parameter_says_what_there_is() {
        let rows = [
            ("missh", "did you mean mish?"),
            ("foo", "there are"),
            ("relu:1", "has none"),
            ("leaky_relu:a", "`a` is not a number for alpha"),
            ("elu:nan", "not a number"),
            ("", "unknown activation"),
        ];
        for (text, expected) in rows {
            let message = Activation::parse(text).unwrap_err().message;
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn the_form_depends_on_opset_and_exporter() {
        let form = |name, opset, exporter| {
            Activation::parse(name).unwrap().exported(opset, exporter, data_type::FLOAT).unwrap()
        };
        assert_eq!(form("mish", 22, Exporter::TorchScript), "x * Tanh(Softplus(x))");
        assert_eq!(form("mish", 18, Exporter::Dynamo), "Mish(x)");
        assert_eq!(form("mish", 17, Exporter::Dynamo), "x * Tanh(Softplus(x))");
        assert_eq!(form("hard_swish", 14, Exporter::TorchScript), "HardSwish(x)");
        assert_eq!(form("hard_swish", 13, Exporter::TorchScript), "x * HardSigmoid(x, alpha=1/6, beta=0.5)");
        assert!(form("gelu", 20, Exporter::TorchScript).starts_with("Gelu("));
        assert!(form("gelu", 19, Exporter::TorchScript).contains("Erf"));
        let celu = Activation::parse("celu").unwrap();
        let half = celu.exported(17, Exporter::TorchScript, data_type::FLOAT16).unwrap();
        assert!(half.contains("Elu"), "Celu is defined for single floats only: {half}");
        let error = Activation::parse("gelu")
            .unwrap()
            .exported(8, Exporter::TorchScript, data_type::FLOAT)
            .unwrap_err();
        assert!(error.message.contains("needs opset 9"), "{error}");
    }
}
