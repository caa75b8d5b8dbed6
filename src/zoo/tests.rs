//! The built-in networks against what is known of the real ones.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::onnx::index::{Index, Source};
use crate::onnx::messages::{DimensionValue, TypeValue, ValueInfoProto};
use crate::onnx::tensor;

fn histogram(model: &Model) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for node in &model.graph().node {
        *counts.entry(node.op_type.as_deref().unwrap()).or_default() += 1;
    }
    counts
}

fn parameters(model: &Model) -> u64 {
    model.graph().initializer.iter().map(|t| tensor::elements(t).unwrap()).sum()
}

fn dims(info: &ValueInfoProto) -> Vec<i64> {
    let Some(TypeValue::Tensor(tensor)) = &info.r#type.as_ref().unwrap().value else { panic!("a tensor") };
    let dim = |d: &crate::onnx::messages::Dimension| match d.value {
        Some(DimensionValue::Value(value)) => value,
        _ => panic!("a known extent"),
    };
    tensor.shape.as_ref().unwrap().dim.iter().map(dim).collect()
}

/// The operators of the real yolov5s and yolov5n, as Ultralytics' exporter writes them.
const YOLOV5: [(&str, usize); 12] = [
    ("Add", 10),
    ("Concat", 17),
    ("Constant", 27),
    ("Conv", 60),
    ("MaxPool", 3),
    ("Mul", 69),
    ("Pow", 3),
    ("Reshape", 6),
    ("Resize", 2),
    ("Sigmoid", 60),
    ("Split", 3),
    ("Transpose", 3),
];

#[test]
fn yolov5n_and_yolov5s_have_the_operators_and_parameters_of_the_real_ones() {
    for (name, expected) in [("yolov5n", 1_867_405), ("yolov5s", 7_225_885)] {
        let model = build(name, None).unwrap();
        assert_eq!(histogram(&model), BTreeMap::from(YOLOV5), "{name}");
        assert_eq!(parameters(&model), expected, "{name}");
        let known = describe(name).unwrap();
        assert_eq!((known.parameters, known.sites), (expected, vec![("silu".to_owned(), 57)]), "{name}");
    }
}

#[test]
fn yolov5m_is_the_deeper_and_wider_one() {
    // Of the real one: 21,172,173 weights with batch norm folded (79 convolutions and the head's 3).
    let model = build("yolov5m", None).unwrap();
    assert_eq!(parameters(&model), 21_172_173);
    let counts = histogram(&model);
    assert_eq!((counts["Conv"], counts["Sigmoid"], counts["Add"]), (82, 82, 17));
    assert_eq!(describe("yolov5m").unwrap().sites, [("silu".to_owned(), 79)]);
}

#[test]
fn the_head_follows_the_input() {
    for (shape, boxes) in [([1, 3, 640, 640], 25_200), ([1, 3, 320, 320], 6_300), ([2, 3, 64, 96], 378)] {
        let model = build("yolov5n", Some(&shape)).unwrap();
        assert_eq!(dims(&model.graph().input[0]), shape);
        assert_eq!(dims(&model.graph().output[0]), [shape[0], boxes, 85]);
        assert_eq!(model.graph().output[0].name.as_deref(), Some("output0"));
    }
}

#[test]
fn an_input_that_the_network_cannot_take_is_refused() {
    for shape in
        [&[1, 3, 640][..], &[1, 1, 640, 640], &[1, 3, 650, 640], &[0, 3, 64, 64], &[1, 3, 1 << 40, 64]]
    {
        let message = build("yolov5s", Some(shape)).unwrap_err().message;
        assert!(message.contains("give Nx3xHxW, H and W multiples of 32"), "{message}");
    }
}

#[test]
fn every_network_is_sound() {
    for name in names() {
        let model = build(name, None).unwrap();
        let index = Index::new(&model);
        for node in &index.nodes {
            for &value in node.inputs.iter().flatten().chain(&node.outputs) {
                assert!(!matches!(index.source(value), Source::Missing), "{name}: {}", index.name(value));
            }
            for &value in &node.outputs {
                assert!(!index.uses(value).is_empty(), "{name}: nobody reads {}", index.name(value));
            }
        }
        let outputs: usize = index.nodes.iter().map(|n| n.outputs.len()).sum();
        let mut unique: Vec<_> = index.nodes.iter().flat_map(|n| &n.proto.output).collect();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), outputs, "{name}: values have names of their own");
        assert_eq!(describe(name).unwrap().name, name);
    }
}

#[test]
fn weights_are_the_same_everywhere_and_always() {
    let bytes =
        build("yolov5n", None).unwrap().proto.graph.map(|g| prost::Message::encode_to_vec(&g)).unwrap();
    let again =
        build("yolov5n.onnx", None).unwrap().proto.graph.map(|g| prost::Message::encode_to_vec(&g)).unwrap();
    assert!(bytes == again);
    let hash: String = Sha256::digest(&bytes)[..8].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hash, "5ca911adbed761d6");
}

#[test]
fn names_are_found_in_the_spellings_that_people_use() {
    for spelling in ["yolov5s", "yolov5s.onnx", "YOLOv5s", "models/yolov5s.onnx"] {
        assert_eq!(find(spelling), Some("yolov5s"), "{spelling}");
    }
    for other in ["yolov5", "yolov5s.pt", "", "yolov5s.onnx.data"] {
        assert_eq!(find(other), None, "{other}");
    }
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let message = build("yolo5s.onnx", None).unwrap_err().message;
    assert!(
        message.starts_with("no built-in model `yolo5s.onnx` (did you mean `yolov5s`?); there are "),
        "{message}"
    );
    for name in names() {
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn mistakes_in_a_description_name_their_line_and_the_remedy() {
    let good = NETWORKS[0].1;
    let rows = [
        ("kernel: 6,", "kernal: 6,", "line 14", "did you mean `kernel`?"),
        ("- sppf:", "- spff:", "line 25", "did you mean `sppf`?"),
        ("multiple_of", "multipleof", "line 7", "did you mean `multiple_of`?"),
        ("activation: silu", "activation: sillu", "line 11", "did you mean `silu`?"),
        ("- upsample: 2", "- id: up", "line 31", "a block needs a kind"),
        ("{ out: 64, kernel: 6, stride: 2, pad: 2 }", "{ kernel: 6 }", "line 14", "missing field `out`"),
    ];
    for (right, wrong, line, remedy) in rows {
        let text = good.replacen(right, wrong, 1);
        let message = Spec::parse(&text, "models/yolov5n.yaml").unwrap_err().message;
        assert!(message.starts_with("models/yolov5n.yaml"), "{message}");
        assert!(message.contains(line) && message.contains(remedy), "{wrong}: {message}");
    }
}

#[test]
fn wiring_that_leads_nowhere_names_the_block_and_the_nearest_id() {
    let expand = |right: &str, wrong: &str| {
        let spec = Spec::parse(&NETWORKS[0].1.replacen(right, wrong, 1), "net.yaml").unwrap();
        blocks::expand(&spec, &spec.input.shape, false).map(|_| ()).unwrap_err().message
    };
    let message = expand("[previous, back16]", "[previous, bck16]");
    assert!(message.contains("block 12: no block above has id `bck16`; did you mean `back16`?"), "{message}");
    let message = expand("[previous, back16]", "[previous, back8]");
    assert!(message.contains("joins images of one size, not 1x128x40x40 and 1x64x80x80"), "{message}");
}
