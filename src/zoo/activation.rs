//! The activations that the built-in networks are written with, and what they do to the size of numbers.

use serde::Deserialize;

use super::graph::{Graph, Scope, Value};
use super::weights::Spread;

/// An activation as a network's file names it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    None,
    Silu,
}

impl Activation {
    /// Writes the operators that an exporter writes for it.
    pub fn write(self, graph: &mut Graph, scope: &Scope, x: &Value) -> Value {
        let name = match self {
            Self::None => return x.clone(),
            Self::Silu => {
                let sigmoid = graph.node(scope, "Sigmoid", &[&x.name], vec![]);
                graph.node(scope, "Mul", &[&x.name, &sigmoid], vec![])
            }
        };
        graph.count_site(self);
        Value { name, shape: x.shape.clone(), spread: self.spread() }
    }

    /// Mean and variance of its values for an input of mean 0 and variance 1, normally distributed. Constants
    /// rather than code, so that the weights don't depend on a platform's `exp`.
    fn spread(self) -> Spread {
        let (mean, variance) = match self {
            Self::None => (0.0, 1.0),
            Self::Silu => (0.2066, 0.3131),
        };
        Spread { mean, variance }
    }
}

impl std::fmt::Display for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Silu => "silu",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of `f(z)` for a normal `z`, by the trapezoid rule.
    fn integrate(f: impl Fn(f64) -> f64) -> (f64, f64) {
        let step = 1.0 / 256.0;
        let density = |z: f64| (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let moment = |power: i32| -> f64 {
            (-2560..=2560).map(|i| f64::from(i) * step).map(|z| f(z).powi(power) * density(z) * step).sum()
        };
        let mean = moment(1);
        (mean, moment(2) - mean * mean)
    }

    fn value(activation: Activation, z: f64) -> f64 {
        match activation {
            Activation::None => z,
            Activation::Silu => z / (1.0 + (-z).exp()),
        }
    }

    #[test]
    fn the_constants_are_those_of_the_functions() {
        for activation in [Activation::None, Activation::Silu] {
            let (mean, variance) = integrate(|z| value(activation, z));
            let Spread { mean: m, variance: v } = activation.spread();
            assert!(
                (m - mean).abs() < 1e-4 && (v - variance).abs() < 1e-4,
                "{activation}: {mean} {variance}"
            );
        }
    }
}
