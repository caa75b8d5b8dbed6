//! The activations of the built-in networks: those of the registry, and what they do to the size of numbers.

use std::rc::Rc;

use serde::{Deserialize, Deserializer};

use super::OPSET;
use super::graph::{Graph, Scope, Value};
use super::weights::Spread;
use crate::activation::{Activation as Registered, Exporter};
use crate::error::{Error, Result};
use crate::onnx::formula::Expr;
use crate::onnx::messages::data_type;
use crate::yaml::Word;

/// An activation as a network's file names it: in any spelling of the registry, or `none`.
#[derive(Clone, Debug)]
pub struct Activation(Option<Rc<Written>>);

#[derive(Debug)]
struct Written {
    activation: Registered,
    formula: Expr,
    spread: Spread,
}

impl Activation {
    pub const NONE: Self = Self(None);

    /// Reads the name. Fails with the nearest one.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        let activation = Registered::parse(text)?;
        if activation.kind.not_elementwise_because.is_some() {
            return Err(Error::input(format!(
                "{activation} looks beyond its own element: build the network with another activation and swap \
                 it in"
            )));
        }
        let formula = activation.exported(OPSET, Exporter::TorchScript, data_type::FLOAT)?;
        let formula = Expr::parse(formula).map_err(Error::input)?;
        let formula = formula.without_ones(&|name: &str| activation.parameter(name));
        let spread = spread(&activation);
        Ok(Self(Some(Rc::new(Written { activation, formula, spread }))))
    }

    /// Writes the operators that an exporter writes for it.
    pub fn write(&self, graph: &mut Graph, scope: &Scope, x: &Value) -> Value {
        let Some(written) = &self.0 else { return x.clone() };
        let name =
            graph.formula(scope, &written.formula, &x.name, &|name| written.activation.parameter(name));
        graph.count_site(written.activation.kind.name, &x.shape);
        Value { name, shape: x.shape.clone(), spread: written.spread }
    }
}

/// Mean and variance of its values for a standard normal input. Four digits are enough for weights, and few enough that
/// they don't depend on a platform's `exp`.
fn spread(activation: &Registered) -> Spread {
    const STEPS: i32 = 10 * 256;
    let step = 1.0 / 256.0;
    let density = |z: f64| (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let moment = |power: i32| -> f64 {
        let at = |z: f64| activation.value(z).powi(power) * density(z) * step;
        (-STEPS..=STEPS).map(|i| at(f64::from(i) * step)).sum()
    };
    let rounded = |value: f64| (value * 1e4).round() / 1e4;
    let mean = moment(1);
    Spread { mean: rounded(mean), variance: rounded(moment(2) - mean * mean) }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(name: D) -> Result<Self, D::Error> {
        let parse = |name: &str| Self::parse(name).map_err(|e| e.message);
        name.deserialize_str(Word { what: "the name of an activation", parse })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_that_looks_beyond_its_element_is_refused() {
        let message = Activation::parse("frelu").unwrap_err().message;
        assert!(message.contains("frelu looks beyond its own element"), "{message}");
    }

    #[test]
    fn moments_are_those_of_the_functions() {
        // ReLU of a standard normal by hand: mean 1/√(2π), variance 1/2 - 1/(2π). The others with a step of 1/256.
        let rows = [
            ("relu", 0.3989, 0.3408),
            ("leaky_relu:0.1", 0.3590, 0.3761),
            ("silu", 0.2066, 0.3131),
            ("hard_swish", 0.1662, 0.3039),
            ("mish", 0.2404, 0.3945),
            ("sine:1", 0.0, 0.4323),
        ];
        for (name, mean, variance) in rows {
            let is = spread(&Registered::parse(name).unwrap());
            assert!((is.mean - mean).abs() < 1e-9 && (is.variance - variance).abs() < 1e-9, "{name}: {is:?}");
        }
    }
}
