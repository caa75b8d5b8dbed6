//! Detection heads with anchors: a convolution for every scale, and the decoding of its numbers into boxes.
//!
//! Every pixel of a scale holds, for each anchor, box centre (2), box size (2), objectness and classes. Centres
//! are offsets from the pixel, sizes factors of the anchor; both come out in pixels of the input, so the
//! constants written here follow the input's size.

use super::blocks::Writer;
use super::graph::{Graph, Scope, Value, image};
use super::kind::{Detect, Yolo};
use super::proto::{int, ints};
use crate::error::{Error, Result};

/// YOLOv5's head. Output: batch, boxes of all scales, 5 + classes.
pub fn detect(w: &mut Writer, input: &Value, maps: &[&Value], head: &Detect) -> Result<Value> {
    let mut sizes = None;
    // The raw numbers are of unit order, behind a sigmoid.
    expand(w, input, maps, &head.anchors, head.classes, 1.0, |decoder, _, raw| decoder.v5(raw, &mut sizes))
}

/// Darknet's head, with the same output.
pub fn yolo(w: &mut Writer, input: &Value, maps: &[&Value], head: &Yolo) -> Result<Value> {
    let stretch = head.stretch.clone().unwrap_or_else(|| vec![1.0; maps.len()]);
    if stretch.len() != maps.len() {
        let (maps, given) = (maps.len(), stretch.len());
        return Err(Error::input(format!("a head that reads {maps} blocks has a stretch for {given}")));
    }
    // A box's size is an exponential of a raw number: small ones keep it near its anchor, as training does.
    expand(w, input, maps, &head.anchors, head.classes, 0.1, |decoder, level, raw| {
        decoder.darknet(raw, stretch.get(level).copied().unwrap_or(1.0))
    })
}

fn expand(
    w: &mut Writer,
    input: &Value,
    maps: &[&Value],
    anchors: &[Vec<[f32; 2]>],
    classes: i64,
    deviation: f64,
    mut decode: impl FnMut(&mut Decoder, usize, &str) -> String,
) -> Result<Value> {
    if anchors.len() != maps.len() || maps.is_empty() {
        let (maps, anchors) = (maps.len(), anchors.len());
        return Err(Error::input(format!("a head that reads {maps} blocks has anchors for {anchors}")));
    }
    let scope = w.scope.clone();
    let [_, _, input_height, _] = image(input);
    let fields = 5 + classes;
    let mut scales = vec![];
    for (level, (x, anchors)) in maps.iter().zip(anchors).enumerate() {
        let boxes = anchors.len() as i64;
        let raw = w.graph.pointwise(&scope.member("m", level), x, boxes * fields, deviation);
        let [batch, _, height, width] = image(&raw);
        let graph = &mut *w.graph;
        let shape = graph.ints(&scope, &[batch, boxes, fields, height, width]);
        let apart = graph.node(&scope, "Reshape", &[&raw.name, &shape], vec![int("allowzero", 0)]);
        let last = graph.node(&scope, "Transpose", &[&apart], vec![ints("perm", &[0, 1, 3, 4, 2])]);
        let stride = (input_height / height) as f32;
        let mut decoder = Decoder { graph, scope: &scope, height, width, stride, fields, anchors };
        let joined = decode(&mut decoder, level, &last);
        let rows = boxes * height * width;
        let shape = w.graph.ints(&scope, &[batch, rows, fields]);
        let name = w.graph.node(&scope, "Reshape", &[&joined, &shape], vec![int("allowzero", 0)]);
        scales.push(Value { name, shape: vec![batch, rows, fields], spread: raw.spread });
    }
    Ok(w.graph.concat(&scope, 1, &scales.iter().collect::<Vec<_>>()))
}

/// Decodes the raw numbers of one scale: batch, boxes, height, width, fields.
struct Decoder<'d> {
    graph: &'d mut Graph,
    scope: &'d Scope,
    height: i64,
    width: i64,
    /// Pixels of the input for one of the scale.
    stride: f32,
    fields: i64,
    anchors: &'d [[f32; 2]],
}

impl Decoder<'_> {
    /// One sigmoid over everything; centre = (2 s - 1/2 + pixel) stride, size = (2 s)^2 anchor. All scales are
    /// split by one constant, made by the first.
    fn v5(&mut self, raw: &str, sizes: &mut Option<String>) -> String {
        let unit = self.node("Sigmoid", &[raw]);
        let sizes = sizes.get_or_insert_with(|| self.graph.ints(self.scope, &[2, 2, self.fields - 4]));
        let [centre, size, rest] = self.graph.split(self.scope, &unit, sizes, 4);

        let centre = self.scaled(&centre, 2.0);
        let centre = self.placed(&centre, 0.5);

        let size = self.scaled(&size, 2.0);
        let two = self.graph.number(self.scope, 2.0);
        let size = self.node("Pow", &[&size, &two]);
        let size = self.times_anchors(&size);
        self.joined(&centre, &size, &rest)
    }

    /// centre = (stretch s - (stretch - 1)/2 + pixel) stride, size = e^raw anchor, a sigmoid over the rest.
    fn darknet(&mut self, raw: &str, stretch: f32) -> String {
        let sizes = self.graph.ints(self.scope, &[2, 2, self.fields - 4]);
        let [centre, size, rest] = self.graph.split(self.scope, raw, &sizes, 4);
        let mut centre = self.node("Sigmoid", &[&centre]);
        if stretch != 1.0 {
            centre = self.scaled(&centre, stretch);
        }
        let centre = self.placed(&centre, (stretch - 1.0) / 2.0);
        let size = self.node("Exp", &[&size]);
        let size = self.times_anchors(&size);
        let rest = self.node("Sigmoid", &[&rest]);
        self.joined(&centre, &size, &rest)
    }

    fn node(&mut self, op: &str, inputs: &[&str]) -> String {
        self.graph.node(self.scope, op, inputs, vec![])
    }

    fn scaled(&mut self, x: &str, factor: f32) -> String {
        let factor = self.graph.number(self.scope, factor);
        self.node("Mul", &[x, &factor])
    }

    /// Offsets, less `back`, moved to their pixels and into pixels of the input.
    fn placed(&mut self, offsets: &str, back: f32) -> String {
        let (height, width) = (self.height, self.width);
        let row = |y: i64| (0..width).flat_map(move |x| [x as f32 - back, y as f32 - back]);
        let pixels: Vec<f32> = self.anchors.iter().flat_map(|_| (0..height).flat_map(row)).collect();
        let pixels = self.grid(&pixels);
        let placed = self.node("Add", &[offsets, &pixels]);
        self.scaled(&placed, self.stride)
    }

    fn times_anchors(&mut self, size: &str) -> String {
        let area = (self.height * self.width) as usize;
        let anchors: Vec<f32> = self.anchors.iter().flat_map(|a| a.repeat(area)).collect();
        let anchors = self.grid(&anchors);
        self.node("Mul", &[size, &anchors])
    }

    /// A constant of two numbers for every box.
    fn grid(&mut self, values: &[f32]) -> String {
        let dims = [1, self.anchors.len() as i64, self.height, self.width, 2];
        self.graph.floats(self.scope, &dims, values)
    }

    fn joined(&mut self, centre: &str, size: &str, rest: &str) -> String {
        self.graph.node(self.scope, "Concat", &[centre, size, rest], vec![int("axis", 4)])
    }
}
