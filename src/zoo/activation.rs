//! The activations that the built-in networks are written with, and what they do to the size of numbers.

use serde::Deserialize;

use super::graph::{Graph, Scope, Value};
use super::proto::float;
use super::weights::Spread;

/// An activation as a network's file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    None,
    Relu,
    Relu6,
    /// With slope 0.1, as Darknet has it.
    LeakyRelu,
    Silu,
    HardSwish,
    Mish,
    Sine,
}

impl Activation {
    /// Writes the operators that an exporter writes for it.
    pub fn write(self, graph: &mut Graph, scope: &Scope, x: &Value) -> Value {
        let name = match self {
            Self::None => return x.clone(),
            Self::Relu => graph.node(scope, "Relu", &[&x.name], vec![]),
            Self::Relu6 => {
                let (low, high) = (graph.number(scope, 0.0), graph.number(scope, 6.0));
                graph.node(scope, "Clip", &[&x.name, &low, &high], vec![])
            }
            Self::LeakyRelu => graph.node(scope, "LeakyRelu", &[&x.name], vec![float("alpha", 0.1)]),
            Self::Silu => {
                let sigmoid = graph.node(scope, "Sigmoid", &[&x.name], vec![]);
                graph.node(scope, "Mul", &[&x.name, &sigmoid], vec![])
            }
            Self::HardSwish => graph.node(scope, "HardSwish", &[&x.name], vec![]),
            Self::Mish => {
                let softplus = graph.node(scope, "Softplus", &[&x.name], vec![]);
                let tanh = graph.node(scope, "Tanh", &[&softplus], vec![]);
                graph.node(scope, "Mul", &[&x.name, &tanh], vec![])
            }
            Self::Sine => graph.node(scope, "Sin", &[&x.name], vec![]),
        };
        graph.count_site(self);
        Value { name, shape: x.shape.clone(), spread: self.spread() }
    }

    /// Mean and variance of its values for an input of mean 0 and variance 1, normally distributed. Constants
    /// rather than code, so that the weights don't depend on a platform's `exp`.
    fn spread(self) -> Spread {
        let (mean, variance) = match self {
            Self::None => (0.0, 1.0),
            Self::Relu | Self::Relu6 => (0.3989, 0.3408),
            Self::LeakyRelu => (0.3590, 0.3761),
            Self::Silu => (0.2066, 0.3131),
            Self::HardSwish => (0.1662, 0.3039),
            Self::Mish => (0.2404, 0.3945),
            Self::Sine => (0.0, 0.4323),
        };
        Spread { mean, variance }
    }
}

impl std::fmt::Display for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu => "leaky_relu",
            Self::Silu => "silu",
            Self::HardSwish => "hard_swish",
            Self::Mish => "mish",
            Self::Sine => "sine",
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
            Activation::Relu => z.max(0.0),
            Activation::Relu6 => z.clamp(0.0, 6.0),
            Activation::LeakyRelu => z.max(0.1 * z),
            Activation::Silu => z / (1.0 + (-z).exp()),
            Activation::HardSwish => z * (z + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::Mish => z * z.exp().ln_1p().tanh(),
            Activation::Sine => z.sin(),
        }
    }

    #[test]
    fn the_constants_are_those_of_the_functions() {
        use Activation::*;
        for activation in [None, Relu, Relu6, LeakyRelu, Silu, HardSwish, Mish, Sine] {
            let (mean, variance) = integrate(|z| value(activation, z));
            let Spread { mean: m, variance: v } = activation.spread();
            assert!(
                (m - mean).abs() < 1e-4 && (v - variance).abs() < 1e-4,
                "{activation}: {mean} {variance}"
            );
        }
    }
}
