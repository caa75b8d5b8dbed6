//! Built-in networks: `oplat profile yolov5s.onnx` works on a fresh clone, with nothing to download.
//!
//! A network is a description in `models/*.yaml`, which is part of the program. It is expanded to ONNX with seeded
//! weights (`weights`): accuracy needs trained ones, latency only the structure.

mod activation;
mod blocks;
mod detect;
mod graph;
mod kind;
mod proto;
pub mod spec;
mod stages;
mod weights;

use std::path::Path;

use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::onnx::messages::{GraphProto, ModelProto, OperatorSetIdProto};
use crate::suggest;
use spec::Spec;

/// The opset that the networks are written in.
const OPSET: i64 = 17;

/// Name and description of every built-in network.
const NETWORKS: &[(&str, &str)] = &[
    ("yolov3", include_str!("../../models/yolov3.yaml")),
    ("yolov3-tiny", include_str!("../../models/yolov3-tiny.yaml")),
    ("yolov4", include_str!("../../models/yolov4.yaml")),
    ("yolov4-tiny", include_str!("../../models/yolov4-tiny.yaml")),
    ("yolov5n", include_str!("../../models/yolov5n.yaml")),
    ("yolov5s", include_str!("../../models/yolov5s.yaml")),
    ("yolov5m", include_str!("../../models/yolov5m.yaml")),
    ("mobilenet_v2", include_str!("../../models/mobilenet_v2.yaml")),
    ("mobilenet_v3_small", include_str!("../../models/mobilenet_v3_small.yaml")),
    ("mobilenet_v3_large", include_str!("../../models/mobilenet_v3_large.yaml")),
    ("siren", include_str!("../../models/siren.yaml")),
];

/// What is known of a network without making its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub name: String,
    pub about: String,
    pub source: String,
    pub licence: String,
    /// Name and usual shape of the input; f32.
    pub input: (String, Vec<i64>),
    /// Elements of all weights and biases, with batch norm folded.
    pub parameters: u64,
    /// Multiplications of all convolutions and matrix products, for the usual input.
    pub macs: u64,
    /// Activation sites by kind.
    pub sites: Vec<(String, usize)>,
}

/// The names of the built-in networks.
pub fn names() -> Vec<&'static str> {
    NETWORKS.iter().map(|(name, _)| *name).collect()
}

/// The built-in network that a user means by `yolov5s`, `yolov5s.onnx` or `some/folder/YOLOv5s.onnx`.
pub fn find(model: &str) -> Option<&'static str> {
    let file = Path::new(model).file_name()?.to_str()?;
    let stem = file.strip_suffix(".onnx").unwrap_or(file);
    let plain = |name: &str| name.to_lowercase().replace('_', "-");
    names().into_iter().find(|name| plain(name) == plain(stem))
}

/// What is known of a network. Fails with the names that there are.
pub fn describe(model: &str) -> Result<Description> {
    let spec = spec(model)?;
    let (graph, _) = blocks::expand(&spec, &spec.input.shape, false)?;
    Ok(Description {
        parameters: graph.parameters.unsigned_abs(),
        macs: graph.macs.unsigned_abs(),
        sites: graph.sites.iter().map(|(activation, count)| (activation.to_string(), *count)).collect(),
        name: spec.name,
        about: spec.about,
        source: spec.source,
        licence: spec.licence,
        input: (spec.input.name, spec.input.shape),
    })
}

/// The shapes to which a network applies its activations, for its usual input, in order and as often as it does.
pub fn activation_shapes(model: &str) -> Result<Vec<Vec<usize>>> {
    let spec = spec(model)?;
    let (graph, _) = blocks::expand(&spec, &spec.input.shape, false)?;
    let size = |&n: &i64| usize::try_from(n).unwrap_or(0);
    Ok(graph.site_shapes.iter().map(|shape| shape.iter().map(size).collect()).collect())
}

/// A network as an ONNX model, the same bytes every time. `shape` is that of the input where it isn't the
/// usual one; it fails if the network can't take it, and for an unknown network with the names that there are.
pub fn build(model: &str, shape: Option<&[i64]>) -> Result<Model> {
    assemble(&spec(model)?, shape, true)
}

/// The model, with its weights left empty unless `fill`.
pub fn assemble(spec: &Spec, shape: Option<&[i64]>, fill: bool) -> Result<Model> {
    let (graph, output) = blocks::expand(spec, &spec.input_shape(shape)?, fill)?;
    Ok(Model { proto: model_of(spec, graph.finish(&output, &spec.output)), dir: None })
}

fn spec(model: &str) -> Result<Spec> {
    let found = find(model).and_then(|name| NETWORKS.iter().find(|(n, _)| *n == name));
    let Some((name, text)) = found else { return Err(unknown(model)) };
    Spec::parse(text, &format!("models/{name}.yaml"))
}

fn unknown(model: &str) -> Error {
    let near = suggest::nearest(model.strip_suffix(".onnx").unwrap_or(model), names());
    let near = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
    Error::input(format!("no built-in model `{model}`{near}; there are {}", names().join(", ")))
}

fn model_of(spec: &Spec, graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        producer_name: Some("oplat".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        doc_string: Some(format!(
            "{}: {}. Seeded weights, not trained. Source: {}",
            spec.name, spec.about, spec.source
        )),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { version: Some(OPSET), domain: Some(String::new()) }],
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
