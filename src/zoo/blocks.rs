//! How each kind of block becomes operators.

use std::collections::HashMap;

use super::activation::Activation;
use super::detect;
use super::graph::{Graph, Scope, Value, Window, float, image, text};
use super::spec::{Block, C3, Conv, Kind, Spec, Sppf};
use crate::error::{Error, Result};
use crate::yaml;

/// The network's graph and its outputs, for an input of this shape. Without `fill` the weights are left empty.
pub fn expand(spec: &Spec, shape: &[i64], fill: bool) -> Result<(Graph, Value)> {
    let mut graph = Graph::new(fill);
    let input = graph.input(&spec.input.name, shape);
    let mut wiring = Wiring { input: input.clone(), previous: input, named: HashMap::new() };
    for (index, block) in spec.blocks().enumerate() {
        let scope = Scope::block(index);
        let output = expand_block(&mut graph, spec, &scope, block, &wiring)
            .map_err(|e| e.context(format_args!("{}, block {index}", spec.name)))?;
        if let Some(extent) = output.shape.iter().find(|&&extent| extent < 1) {
            return Err(Error::input(format!("{}, block {index}: an axis of {extent} is left", spec.name)));
        }
        if let Some(id) = &block.id {
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
            let near = yaml::nearest(id, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            Error::input(format!("no block above has id `{id}`; {near}known here: {}", known.join(", ")))
        })
    }

    fn all(&self, ids: &[String]) -> Result<Vec<&Value>> {
        ids.iter().map(|id| self.get(id)).collect()
    }
}

fn expand_block(
    graph: &mut Graph,
    spec: &Spec,
    scope: &Scope,
    block: &Block,
    wiring: &Wiring,
) -> Result<Value> {
    let x = wiring.get(block.from.as_deref().unwrap_or("previous"))?;
    let act = spec.activation;
    Ok(match &block.kind {
        Kind::Conv(c) => conv(graph, spec, scope, x, c),
        Kind::C3(c) => c3(graph, spec, scope, x, c, act),
        Kind::Sppf(s) => sppf(graph, spec, scope, x, s, act),
        Kind::Upsample(factor) => upsample(graph, scope, x, *factor),
        Kind::Concat(ids) => concat(graph, scope, &wiring.all(ids)?)?,
        Kind::Detect(head) => detect::expand(graph, scope, &wiring.input, &wiring.all(&head.from)?, head)?,
    })
}

fn conv(graph: &mut Graph, spec: &Spec, scope: &Scope, x: &Value, c: &Conv) -> Value {
    let pad = c.pad.unwrap_or(c.kernel / 2);
    let window = Window { out: spec.channels(c.out), kernel: c.kernel, stride: c.stride, pad };
    conv_act(graph, scope, x, window, c.activation.unwrap_or(spec.activation))
}

fn conv_act(graph: &mut Graph, scope: &Scope, x: &Value, window: Window, act: Activation) -> Value {
    let y = graph.conv(&scope.child("conv"), x, window);
    act.write(graph, &scope.child("act"), &y)
}

/// A convolution of stride 1 that keeps the size of the image.
fn same(out: i64, kernel: i64) -> Window {
    Window { out, kernel, stride: 1, pad: kernel / 2 }
}

fn c3(graph: &mut Graph, spec: &Spec, scope: &Scope, x: &Value, c: &C3, act: Activation) -> Value {
    let out = spec.channels(c.out);
    let half = out / 2;
    let mut deep = conv_act(graph, &scope.child("cv1"), x, same(half, 1), act);
    for i in 0..spec.repeats(c.repeats) {
        let scope = scope.step("m", i);
        let narrow = conv_act(graph, &scope.child("cv1"), &deep, same(half, 1), act);
        let wide = conv_act(graph, &scope.child("cv2"), &narrow, same(half, 3), act);
        deep = if c.shortcut { graph.sum(&scope, &deep, &wide) } else { wide };
    }
    let flat = conv_act(graph, &scope.child("cv2"), x, same(half, 1), act);
    let joined = graph.concat(scope, 1, &[&deep, &flat]);
    conv_act(graph, &scope.child("cv3"), &joined, same(out, 1), act)
}

fn sppf(graph: &mut Graph, spec: &Spec, scope: &Scope, x: &Value, s: &Sppf, act: Activation) -> Value {
    let [_, channels, ..] = image(x);
    let x = conv_act(graph, &scope.child("cv1"), x, same(channels / 2, 1), act);
    // One pooling module that is called three times, which the exporter numbers.
    let a = graph.max_pool(&scope.child("m"), &x, same(0, s.kernel));
    let b = graph.max_pool(&scope.child("m_1"), &a, same(0, s.kernel));
    let c = graph.max_pool(&scope.child("m_2"), &b, same(0, s.kernel));
    let joined = graph.concat(scope, 1, &[&x, &a, &b, &c]);
    conv_act(graph, &scope.child("cv2"), &joined, same(spec.channels(s.out), 1), act)
}

fn upsample(graph: &mut Graph, scope: &Scope, x: &Value, factor: i64) -> Value {
    let scale = factor as f32;
    let scales = graph.floats(scope, &[4], &[1.0, 1.0, scale, scale]);
    let attributes = vec![
        text("coordinate_transformation_mode", "asymmetric"),
        float("cubic_coeff_a", -0.75),
        text("mode", "nearest"),
        text("nearest_mode", "floor"),
    ];
    let name = graph.node(scope, "Resize", &[&x.name, "", &scales], attributes);
    let [batch, channels, height, width] = image(x);
    Value { name, shape: vec![batch, channels, height * factor, width * factor], spread: x.spread }
}

fn concat(graph: &mut Graph, scope: &Scope, parts: &[&Value]) -> Result<Value> {
    let area = |v: &Value| {
        let [n, _, h, w] = image(v);
        [n, h, w]
    };
    let mut areas = parts.iter().map(|p| area(p));
    let Some(first) = areas.next() else { return Err(Error::input("concat needs blocks to join")) };
    if areas.any(|a| a != first) {
        let shapes: Vec<String> = parts.iter().map(|p| super::spec::shape_text(&p.shape)).collect();
        return Err(Error::input(format!("concat joins images of one size, not {}", shapes.join(" and "))));
    }
    Ok(graph.concat(scope, 1, parts))
}
