//! The registry of activation functions.
//!
//! Everything that the program knows of an activation stands in one [`Kind`]: what it computes, by which it is recognised,
//! and how exporters write it. A family of activations is one file; to add one, write its `Kind` there
//! and, for a new file, one line in `FAMILIES`. Its kernel, if it gets one, is in the file of the same name in
//! `oplat-kernels`.

mod acon;
mod channels;
mod elu;
mod gelu;
mod pade;
pub mod recognise;
mod relu;
pub mod samples;
mod sigmoid;
mod sine;
mod swish;
mod tanhsoft;

use std::fmt;

use crate::onnx::formula::Expr;
use crate::onnx::messages::data_type;
use oplat_ground::error::{Error, Result};
use samples::Samples;

/// The families, in the order of tables. Of two kinds that are as near to a function, the first one is taken.
const FAMILIES: &[&[Kind]] = &[
    relu::KINDS,
    elu::KINDS,
    sigmoid::KINDS,
    swish::KINDS,
    gelu::KINDS,
    sine::KINDS,
    tanhsoft::KINDS,
    pade::KINDS,
    acon::KINDS,
    channels::KINDS,
];

/// Reads parameters off a function's values; `None` for a function that has none such.
pub type FindParameters = fn(&Samples) -> Option<Vec<f64>>;

/// An activation function, without the values of its parameters.
#[derive(Debug)]
pub struct Kind {
    /// The name in records and tables.
    pub name: &'static str,
    /// Other spellings, compared without case and punctuation.
    pub aliases: &'static [&'static str],
    /// What it computes, for people.
    pub formula: &'static str,
    /// Its derivative, for people.
    pub derivative: &'static str,
    /// Where it is defined: ONNX operators and papers, divided by `; `, the first one for tables.
    pub source: &'static str,
    pub parameters: &'static [Parameter],
    /// f(x) for the given parameters, in the order of `parameters`.
    pub value: fn(f64, &[f64]) -> f64,
    /// f'(x) likewise; at a kink, the derivative on one of its sides.
    pub slope: fn(f64, &[f64]) -> f64,
    /// Where the derivative jumps.
    pub kinks: fn(&[f64]) -> Vec<f64>,
    /// Infimum and supremum, for the default parameters.
    pub range: [f64; 2],
    /// Whether it never falls, for the default parameters.
    pub monotonic: bool,
    /// Parameters with which it may have these values; `None` where it has no parameters, or isn't looked for. Those
    /// found need only be near.
    pub fit: Option<FindParameters>,
    /// Operators that tell it from another kind of the same values.
    pub told_by: &'static [&'static str],
    pub learnt: Learnt,
    /// The formulas in which exporters write it: the first that fits opset and exporter is taken.
    pub exported: &'static [Form],
    /// Whether its sites are looked for in models.
    pub detectable: bool,
    pub place: Place,
    /// Why it can't take another activation's place in a model; `None` where it can.
    pub unswappable_because: Option<&'static str>,
    /// Why an element of its output doesn't depend on that of its input alone, and for which case `value` stands;
    /// `None` for an element-wise function.
    pub not_elementwise_because: Option<&'static str>,
}

impl Kind {
    /// What most rows have in common: no parameters, no kinks, and sites anywhere.
    pub(crate) const PLAIN: Self = Self {
        name: "",
        aliases: &[],
        formula: "",
        derivative: "",
        source: "",
        parameters: &[],
        value: |_, _| f64::NAN,
        slope: |_, _| f64::NAN,
        kinks: |_| vec![],
        range: [f64::NEG_INFINITY, f64::INFINITY],
        monotonic: false,
        fit: None,
        told_by: &[],
        learnt: Learnt::Never,
        exported: &[],
        detectable: true,
        place: Place::Anywhere,
        unswappable_because: None,
        not_elementwise_because: None,
    };

    pub fn defaults(&self) -> Vec<f64> {
        self.parameters.iter().map(|p| p.default).collect()
    }

    /// Whether it is recognised in a model wherever it stands, and not only where its parameters are tensors.
    pub fn is_found(&self) -> bool {
        self.detectable && self.learnt != Learnt::Always
    }

    /// Whether its derivative is continuous, for the default parameters.
    pub fn is_smooth(&self) -> bool {
        (self.kinks)(&self.defaults()).is_empty()
    }

    /// How many exponentials, logarithms and their like its most elementary exported form takes for an element.
    pub fn transcendentals(&self) -> u32 {
        let form = self.exported.last().and_then(|f| Expr::parse(f.formula).ok());
        form.map_or(0, |f| f.transcendentals())
    }
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
    /// What any exporter writes from this opset on.
    const fn since(since: i64, formula: &'static str) -> Self {
        Self { formula, since, only: None, f32_only: false }
    }
}

impl Parameter {
    const fn new(name: &'static str, default: f64) -> Self {
        Self { name, default }
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

/// Whether a kind's parameters are learnt for each channel, and then are tensors in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    Never,
    Sometimes,
    /// Without tensors, functions of these values are sums of others: x + SiLU(x) is an ACON, too.
    Always,
}

/// All kinds, in the order of tables.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    FAMILIES.iter().flat_map(|family| family.iter())
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
        (self.kind.value)(x, &self.numbers())
    }

    /// f'(x), NaN where a parameter isn't one number.
    pub fn slope(&self, x: f64) -> f64 {
        (self.kind.slope)(x, &self.numbers())
    }

    /// Where the derivative jumps, ascending.
    pub fn kinks(&self) -> Vec<f64> {
        let mut kinks = (self.kind.kinks)(&self.numbers());
        kinks.sort_by(f64::total_cmp);
        kinks.dedup();
        kinks
    }

    fn numbers(&self) -> Vec<f64> {
        self.parameters.iter().map(|p| p.unwrap_or(f64::NAN)).collect()
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

/// The kinds that have this name, in any spelling; the one that it is the first name of in front.
pub fn named(name: &str) -> Vec<&'static Kind> {
    let wanted = plain(name);
    let first = kinds().filter(|kind| plain(kind.name) == wanted);
    let other = kinds().filter(|kind| kind.aliases.iter().any(|alias| plain(alias) == wanted));
    first.chain(other).collect()
}

/// `nn.LeakyReLU`, `leaky-relu` and `leaky_relu` are one name.
fn plain(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name = name.rsplit('.').next().unwrap_or(&name);
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests;
