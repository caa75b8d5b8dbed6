//! How a network's description becomes a graph: blocks are wired up, and the simple ones expanded.

use std::collections::HashMap;

use super::activation::Activation;
use super::graph::{Graph, Scope, Value, Window, image};
use super::kind::{Block, BlockKind};
use super::proto::{float, int, text};
use super::spec::Spec;
use super::{detect, stages};
use crate::error::{Error, Result};
use crate::{limits, suggest, units};

/// The network's graph and its output, for an input of this shape. Without `fill` the weights are left empty.
pub fn expand(spec: &Spec, shape: &[i64], fill: bool) -> Result<(Graph, Value)> {
    let mut graph = Graph::new(fill);
    let input = graph.input(&spec.input.name, shape);
    let mut wiring = Wiring { input: input.clone(), previous: input, named: HashMap::new() };
    for (index, (block, act)) in spec.blocks().enumerate() {
        let context = |e: Error| e.context(format_args!("{}, block {index}", spec.name));
        let mut writer = Writer { graph: &mut graph, spec, act: act.clone(), scope: Scope::block(index) };
        let output = writer.expand(block, &wiring).map_err(context)?;
        if output.shape.iter().any(|&extent| extent < 1) {
            return Err(context(Error::input(format!(
                "nothing is left of it: {}",
                units::shape(&output.shape)
            ))));
        }
        let elements = output.shape.iter().fold(1u64, |n, &extent| n.saturating_mul(extent.unsigned_abs()));
        limits::check(elements, limits::ELEMENTS, "elements").map_err(context)?;
        if let Some(id) = &block.id {
            if wiring.get(id).is_ok() {
                return Err(context(Error::input(format!("`{id}` is the name of something above already"))));
            }
            wiring.named.insert(id.clone(), output.clone());
        }
        wiring.previous = output;
    }
    Ok((graph, wiring.previous))
}

/// What a block can read.
struct Wiring {
    input: Value,
    previous: Value,
    named: HashMap<String, Value>,
}

impl Wiring {
    fn get(&self, id: &str) -> Result<&Value> {
        match id {
            "input" => return Ok(&self.input),
            "previous" => return Ok(&self.previous),
            _ => {}
        }
        self.named.get(id).ok_or_else(|| {
            let mut known: Vec<&str> =
                self.named.keys().map(String::as_str).chain(["input", "previous"]).collect();
            known.sort_unstable();
            let near = suggest::nearest(id, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            Error::input(format!("no block above has id `{id}`; {near}known here: {}", known.join(", ")))
        })
    }

    fn all(&self, ids: &[String]) -> Result<Vec<&Value>> {
        ids.iter().map(|id| self.get(id)).collect()
    }
}

/// Writes one block.
pub struct Writer<'w> {
    pub graph: &'w mut Graph,
    pub spec: &'w Spec,
    /// The activation that is usual here.
    pub act: Activation,
    pub scope: Scope,
}

impl Writer<'_> {
    fn expand(&mut self, block: &Block, wiring: &Wiring) -> Result<Value> {
        let x = wiring.get(block.from.as_deref().unwrap_or("previous"))?;
        Ok(match &block.kind {
            BlockKind::Conv(c) => {
                let pad = c.pad.unwrap_or(c.kernel / 2);
                let window = Window { kernel: c.kernel, stride: c.stride, pads: [pad, pad] };
                self.act = c.activation.clone().unwrap_or_else(|| self.act.clone());
                let scope = self.scope.clone();
                self.conv(&scope, x, self.spec.channels(c.out), window)
            }
            BlockKind::Bottleneck(b) => stages::bottleneck(self, x, b),
            BlockKind::C3(c) => stages::c3(self, x, c),
            BlockKind::Csp(c) => stages::csp(self, x, c),
            BlockKind::Inverted(i) => stages::inverted(self, x, i)?,
            BlockKind::Sppf(s) => stages::sppf(self, x, s),
            BlockKind::MaxPool(pool) => {
                let same = Window::same(pool.kernel);
                let window = if pool.stride == 1 {
                    same
                } else {
                    Window { stride: pool.stride, pads: [0, 0], ..same }
                };
                self.graph.max_pool(&self.scope, x, window)
            }
            BlockKind::Upsample(factor) => self.upsample(x, *factor),
            BlockKind::Concat(ids) => self.concat(&wiring.all(ids)?)?,
            BlockKind::SecondHalf(_) => self.second_half(x),
            BlockKind::GlobalPool(_) => self.global_pool(x),
            BlockKind::Linear(l) => {
                let y = self.graph.linear(&self.scope, x, self.spec.channels(l.out), 1.0);
                let act = l.activation.as_ref().unwrap_or(&Activation::NONE);
                act.write(self.graph, &self.scope.child("act"), &y)
            }
            BlockKind::Sine(s) => {
                let deviation = s.deviation / f64::from(s.frequency);
                let mut y = self.graph.linear(&self.scope, x, self.spec.channels(s.out), deviation);
                let frequency = self.graph.number(&self.scope, s.frequency);
                y.name = self.graph.node(&self.scope, "Mul", &[&y.name, &frequency], vec![]);
                Activation::parse("sine:1")?.write(self.graph, &self.scope, &y)
            }
            BlockKind::Detect(head) => detect::detect(self, &wiring.input, &wiring.all(&head.from)?, head)?,
            BlockKind::Yolo(head) => detect::yolo(self, &wiring.input, &wiring.all(&head.from)?, head)?,
        })
    }

    /// A convolution and the activation that is usual here.
    pub fn conv(&mut self, scope: &Scope, x: &Value, out: i64, window: Window) -> Value {
        let y = self.graph.conv(&scope.child("conv"), x, out, window);
        self.act.clone().write(self.graph, &scope.child("act"), &y)
    }

    fn upsample(&mut self, x: &Value, factor: i64) -> Value {
        let scale = factor as f32;
        let scales = self.graph.floats(&self.scope, &[4], &[1.0, 1.0, scale, scale]);
        let attributes = vec![
            text("coordinate_transformation_mode", "asymmetric"),
            float("cubic_coeff_a", -0.75),
            text("mode", "nearest"),
            text("nearest_mode", "floor"),
        ];
        let name = self.graph.node(&self.scope, "Resize", &[&x.name, "", &scales], attributes);
        let [batch, channels, height, width] = image(x);
        Value { name, shape: vec![batch, channels, height * factor, width * factor], spread: x.spread }
    }

    fn concat(&mut self, parts: &[&Value]) -> Result<Value> {
        let area = |v: &Value| {
            let [batch, _, height, width] = image(v);
            [batch, height, width]
        };
        let mut areas = parts.iter().map(|p| area(p));
        let Some(first) = areas.next() else { return Err(Error::input("concat needs blocks to join")) };
        if areas.any(|a| a != first) {
            let shapes: Vec<String> = parts.iter().map(|p| units::shape(&p.shape)).collect();
            return Err(Error::input(format!(
                "concat joins images of one size, not {}",
                shapes.join(" and ")
            )));
        }
        Ok(self.graph.concat(&self.scope, 1, parts))
    }

    fn second_half(&mut self, x: &Value) -> Value {
        let [batch, channels, height, width] = image(x);
        let [axis, start, end, step] =
            [1, channels / 2, channels, 1].map(|number| self.graph.ints(&self.scope, &[number]));
        let name = self.graph.node(&self.scope, "Slice", &[&x.name, &start, &end, &axis, &step], vec![]);
        Value { name, shape: vec![batch, channels - channels / 2, height, width], spread: x.spread }
    }

    fn global_pool(&mut self, x: &Value) -> Value {
        let mean = self.graph.global_mean(&self.scope, x);
        let [batch, channels, ..] = image(&mean);
        let name = self.graph.node(&self.scope, "Flatten", &[&mean.name], vec![int("axis", 1)]);
        Value { name, shape: vec![batch, channels], spread: mean.spread }
    }
}
