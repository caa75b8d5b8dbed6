//! What an engine makes of an activation, tried: on its own, and behind a convolution that it could merge it into.

use serde::Serialize;

use crate::activation::Activation;
use crate::engine::Backend;
use crate::error::Result;
use crate::onnx::Model;
use crate::protocol::Op;
use crate::swap::{self, Lowering};
use crate::units::count;

/// What an engine makes of an activation.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Made {
    engine: String,
    version: String,
    /// The engine's operators, in order; null where it can't run the activation on its own.
    alone: Option<Vec<String>>,
    /// The same behind a convolution, without those of the convolution; none is left where it is merged into that.
    /// Null for what can't stand there.
    behind_convolution: Option<Vec<String>>,
}

impl Made {
    /// Has the engine plan the activation in both places.
    pub fn of(activation: &Activation, engine: &dyn Backend) -> Self {
        let about = engine.about().0;
        let plan = |model: Result<Model>| engine.plan(&model.ok()?).ok();
        let names = |ops: Vec<Op>| ops.iter().map(|op| engine.plain(&op.op).to_owned()).collect();
        let shape: &[usize] =
            if activation.kind.unswappable_because.is_some() { &[1, 64] } else { &[1, 16, 8, 8] };
        // The convolution is node 0.
        let without_convolution =
            |ops: Vec<Op>| ops.into_iter().filter(|op| !op.onnx.contains(&0)).collect::<Vec<_>>();
        Self {
            engine: about.name,
            version: about.version,
            alone: plan(swap::alone(activation, shape, Lowering::Exported)).map(names),
            behind_convolution: plan(swap::behind_convolution(activation, 16))
                .map(without_convolution)
                .map(names),
        }
    }

    /// `1 op: LeakyRelu; merged into a 1x1 convolution before it`
    pub fn text(&self) -> String {
        let list = |ops: &[String]| match ops {
            [] => "no op".to_owned(),
            ops => format!("{}: {}", count(ops.len(), "op"), ops.join(", ")),
        };
        let Some(alone) = &self.alone else { return "can't run it".into() };
        match &self.behind_convolution {
            Some(behind) if behind.is_empty() && !alone.is_empty() => {
                format!("{}; merged into a 1x1 convolution before it", list(alone))
            }
            Some(behind) if behind != alone => {
                format!("{}; behind a 1x1 convolution {}", list(alone), list(behind))
            }
            _ => list(alone),
        }
    }
}
