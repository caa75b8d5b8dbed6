//! YOLOv5's detection head: a convolution for every scale, and the decoding of its numbers into boxes.
//!
//! Every pixel of a scale holds, for each anchor, box centre (2), box size (2), objectness and classes, all behind
//! one sigmoid. Centres are offsets from the pixel, sizes factors of the anchor; both come out in pixels of the
//! input, so the constants written here follow the input's size.

use super::graph::{Graph, Scope, Value, Window, image, int, ints};
use super::spec::Detect;
use crate::error::{Error, Result};

/// The head's output: batch, boxes of all scales, 5 + classes.
pub fn expand(
    graph: &mut Graph,
    scope: &Scope,
    input: &Value,
    maps: &[&Value],
    head: &Detect,
) -> Result<Value> {
    if head.anchors.len() != maps.len() || maps.is_empty() {
        let (maps, anchors) = (maps.len(), head.anchors.len());
        return Err(Error::input(format!("detect reads {maps} blocks but has anchors for {anchors}")));
    }
    let mut sizes = None;
    let mut scales = vec![];
    for (level, (x, anchors)) in maps.iter().zip(&head.anchors).enumerate() {
        let member = scope.member("m", level);
        let boxes = anchors.len() as i64;
        let window = Window { out: boxes * (5 + head.classes), kernel: 1, stride: 1, pad: 0 };
        let raw = graph.conv(&member, x, window);
        scales.push(decode(graph, scope, input, &raw, anchors, head.classes, &mut sizes));
    }
    Ok(graph.concat(scope, 1, &scales.iter().collect::<Vec<_>>()))
}

/// Decodes one scale. `sizes` is the constant by which all scales are split, made by the first.
fn decode(
    graph: &mut Graph,
    scope: &Scope,
    input: &Value,
    raw: &Value,
    anchors: &[[f32; 2]],
    classes: i64,
    sizes: &mut Option<String>,
) -> Value {
    let [batch, _, height, width] = image(raw);
    let [_, _, input_height, _] = image(input);
    let boxes = anchors.len() as i64;
    let fields = 5 + classes;

    let shape = graph.ints(scope, &[batch, boxes, fields, height, width]);
    let apart = graph.node(scope, "Reshape", &[&raw.name, &shape], vec![int("allowzero", 0)]);
    let last = graph.node(scope, "Transpose", &[&apart], vec![ints("perm", &[0, 1, 3, 4, 2])]);
    let unit = graph.node(scope, "Sigmoid", &[&last], vec![]);
    let sizes = sizes.get_or_insert_with(|| graph.ints(scope, &[2, 2, fields - 4]));
    let parts = graph.split(scope, &unit, sizes, 4, 3);

    let grid = [1, boxes, height, width, 2];
    let centre = scaled(graph, scope, &parts[0], 2.0);
    let offsets = graph.floats(scope, &grid, &offsets(boxes, height, width));
    let centre = graph.node(scope, "Add", &[&centre, &offsets], vec![]);
    let centre = scaled(graph, scope, &centre, (input_height / height) as f32);

    let size = scaled(graph, scope, &parts[1], 2.0);
    let two = graph.floats(scope, &[], &[2.0]);
    let size = graph.node(scope, "Pow", &[&size, &two], vec![]);
    let area = (height * width) as usize;
    let anchors: Vec<f32> = anchors.iter().flat_map(|a| a.repeat(area)).collect();
    let anchors = graph.floats(scope, &grid, &anchors);
    let size = graph.node(scope, "Mul", &[&size, &anchors], vec![]);

    let joined = graph.node(scope, "Concat", &[&centre, &size, &parts[2]], vec![int("axis", 4)]);
    let rows = boxes * height * width;
    let shape = graph.ints(scope, &[batch, rows, fields]);
    let name = graph.node(scope, "Reshape", &[&joined, &shape], vec![int("allowzero", 0)]);
    Value { name, shape: vec![batch, rows, fields], spread: raw.spread }
}

fn scaled(graph: &mut Graph, scope: &Scope, x: &str, factor: f32) -> String {
    let factor = graph.floats(scope, &[], &[factor]);
    graph.node(scope, "Mul", &[x, &factor], vec![])
}

/// For every box its pixel's x and y, less a half: an offset of 0 to 2 is centred on the pixel.
fn offsets(boxes: i64, height: i64, width: i64) -> Vec<f32> {
    let row = |y: i64| (0..width).flat_map(move |x| [x as f32 - 0.5, y as f32 - 0.5]);
    (0..boxes).flat_map(|_| (0..height).flat_map(row)).collect()
}
