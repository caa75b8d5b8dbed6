//! The blocks that are small networks themselves.

use super::activation::Activation;
use super::blocks::Writer;
use super::graph::{Scope, Value, Window, image};
use super::kind::{Bottleneck, C3, Csp, Inverted, Sppf};
use super::proto::float;
use super::weights::Spread;
use crate::error::Result;

const POINT: Window = Window { kernel: 1, stride: 1, pads: [0, 0] };

pub fn bottleneck(w: &mut Writer, x: &Value, b: &Bottleneck) -> Value {
    let out = w.spec.channels(b.out);
    let scope = w.scope.clone();
    (0..w.spec.repeats(b.repeats))
        .fold(x.clone(), |x, i| residual(w, &scope.step("m", i), &x, out / 2, out, b.shortcut))
}

/// 1x1 to `hidden` channels, 3x3 to `out`, and perhaps the input added.
fn residual(w: &mut Writer, scope: &Scope, x: &Value, hidden: i64, out: i64, shortcut: bool) -> Value {
    let narrow = w.conv(&scope.child("cv1"), x, hidden, POINT);
    let wide = w.conv(&scope.child("cv2"), &narrow, out, Window::same(3));
    if shortcut { w.graph.sum(scope, x, &wide) } else { wide }
}

pub fn c3(w: &mut Writer, x: &Value, c: &C3) -> Value {
    let out = w.spec.channels(c.out);
    let half = out / 2;
    let scope = w.scope.clone();
    let mut deep = w.conv(&scope.child("cv1"), x, half, POINT);
    for i in 0..w.spec.repeats(c.repeats) {
        deep = residual(w, &scope.step("m", i), &deep, half, half, c.shortcut);
    }
    let flat = w.conv(&scope.child("cv2"), x, half, POINT);
    let joined = w.graph.concat(&scope, 1, &[&deep, &flat]);
    w.conv(&scope.child("cv3"), &joined, out, POINT)
}

pub fn csp(w: &mut Writer, x: &Value, c: &Csp) -> Value {
    let out = w.spec.channels(c.out);
    let branch = c.branch.map_or(out / 2, |channels| w.spec.channels(channels));
    let hidden = c.hidden.map_or(branch, |channels| w.spec.channels(channels));
    let scope = w.scope.clone();
    let flat = w.conv(&scope.child("cv1"), x, branch, POINT);
    let mut deep = w.conv(&scope.child("cv2"), x, branch, POINT);
    for i in 0..w.spec.repeats(c.repeats) {
        deep = residual(w, &scope.step("m", i), &deep, hidden, branch, true);
    }
    let deep = w.conv(&scope.child("cv3"), &deep, branch, POINT);
    let joined = w.graph.concat(&scope, 1, &[&deep, &flat]);
    w.conv(&scope.child("cv4"), &joined, out, POINT)
}

pub fn sppf(w: &mut Writer, x: &Value, s: &Sppf) -> Value {
    let [_, channels, ..] = image(x);
    let scope = w.scope.clone();
    let x = w.conv(&scope.child("cv1"), x, channels / 2, POINT);
    // One pooling module that is called three times, which the exporter numbers.
    let a = w.graph.max_pool(&scope.child("m"), &x, Window::same(s.kernel));
    let b = w.graph.max_pool(&scope.child("m_1"), &a, Window::same(s.kernel));
    let c = w.graph.max_pool(&scope.child("m_2"), &b, Window::same(s.kernel));
    let joined = w.graph.concat(&scope, 1, &[&x, &a, &b, &c]);
    w.conv(&scope.child("cv2"), &joined, w.spec.channels(s.out), POINT)
}

pub fn inverted(w: &mut Writer, x: &Value, i: &Inverted) -> Result<Value> {
    let (hidden, out) = (w.spec.channels(i.hidden), w.spec.channels(i.out));
    w.act = i.activation.clone().unwrap_or_else(|| w.act.clone());
    let scope = w.scope.clone();
    let [_, channels, ..] = image(x);
    let wide = if hidden == channels { x.clone() } else { w.conv(&scope.child("expand"), x, hidden, POINT) };
    let depthwise = scope.child("depthwise");
    let window = Window { stride: i.stride, ..Window::same(i.kernel) };
    let y = w.graph.depthwise(&depthwise.child("conv"), &wide, window);
    let mut y = w.act.clone().write(w.graph, &depthwise.child("act"), &y);
    if let Some(squeeze) = i.squeeze {
        y = squeeze_excite(w, &scope.child("se"), &y, w.spec.channels(squeeze))?;
    }
    let y = w.graph.conv(&scope.child("project"), &y, out, POINT);
    Ok(if i.stride == 1 && channels == out { w.graph.sum(&scope, &y, x) } else { y })
}

/// Scales every channel by a gate that is computed from the means of all channels.
fn squeeze_excite(w: &mut Writer, scope: &Scope, x: &Value, squeeze: i64) -> Result<Value> {
    let [_, channels, ..] = image(x);
    let mean = w.graph.global_mean(&scope.child("avgpool"), x);
    let few = w.graph.pointwise(&scope.child("fc1"), &mean, squeeze, 1.0);
    let few = Activation::parse("relu")?.write(w.graph, &scope.child("activation"), &few);
    // Half the usual size, so that no gate is all open or shut.
    let all = w.graph.pointwise(&scope.child("fc2"), &few, channels, 0.5);
    let sixth = vec![float("alpha", 1.0 / 6.0)];
    let gate = w.graph.node(&scope.child("scale_activation"), "HardSigmoid", &[&all.name], sixth);
    let name = w.graph.node(scope, "Mul", &[&gate, &x.name], vec![]);
    // A gate is a half, give or take a twelfth.
    let Spread { mean, variance } = x.spread;
    let spread = Spread { mean: mean / 2.0, variance: 0.257 * variance + mean * mean / 144.0 };
    Ok(Value { name, shape: x.shape.clone(), spread })
}
