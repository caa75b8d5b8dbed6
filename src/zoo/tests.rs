//! The built-in networks against what is known of the real ones.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::onnx::index::{Index, Source};
use crate::onnx::messages::{DimensionValue, TypeValue, ValueInfoProto};
use crate::onnx::tensor;

fn text(network: &str) -> &'static str {
    NETWORKS.iter().find(|(name, _)| *name == network).unwrap().1
}

/// A network without its weights, which take their time.
fn skeleton(name: &str, shape: Option<&[i64]>) -> Model {
    assemble(&spec(name).unwrap(), shape, false).unwrap()
}

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

/// Parameters, million multiplications and sites of a network, and how often its activations' last operators
/// occur in the graph.
type Row = (&'static str, u64, u64, &'static [(&'static str, usize)], &'static [(&'static str, usize)]);

/// What the papers and reference implementations say, with batch norm folded.
const KNOWN: &[Row] = &[
    // Darknet's weight files and its own count of operations (twice the multiplications), at 416 pixels; the
    // files are checked to the byte below.
    ("yolov3", 61_922_845, 32_933, &[("leaky_relu", 72)], &[("LeakyRelu", 72), ("Add", 23 + 3), ("Exp", 3)]),
    (
        "yolov3-tiny",
        8_849_182,
        2_783,
        &[("leaky_relu", 11)],
        &[("LeakyRelu", 11), ("MaxPool", 6), ("Exp", 2)],
    ),
    (
        "yolov4",
        64_329_949,
        30_053,
        &[("mish", 72), ("leaky_relu", 35)],
        &[("Softplus", 72), ("LeakyRelu", 35), ("MaxPool", 3), ("Conv", 110)],
    ),
    (
        "yolov4-tiny",
        6_053_502,
        3_454,
        &[("leaky_relu", 19)],
        &[("LeakyRelu", 19), ("Slice", 3), ("Conv", 21)],
    ),
    // Ultralytics prints 4.5, 16.4 and 49.0 GFLOPs, twice the multiplications, at 640 pixels.
    ("yolov5n", 1_867_405, 2_235, &[("silu", 57)], &YOLOV5),
    ("yolov5s", 7_225_885, 8_217, &[("silu", 57)], &YOLOV5),
    ("yolov5m", 21_172_173, 24_437, &[("silu", 79)], &[("Conv", 82), ("Sigmoid", 82), ("Add", 14 + 3)]),
    // torchvision: 0.301, 0.057 and 0.217 giga-multiplications; its parameters are checked below.
    (
        "mobilenet_v2",
        3_487_816,
        301,
        &[("relu6", 35)],
        &[("Clip", 35), ("Conv", 52), ("Add", 10), ("Gemm", 1)],
    ),
    (
        "mobilenet_v3_small",
        2_536_800,
        57,
        &[("hard_swish", 19), ("relu", 14)],
        &[("HardSwish", 19), ("Relu", 14), ("HardSigmoid", 9), ("Conv", 52), ("Add", 6), ("Gemm", 2)],
    ),
    (
        "mobilenet_v3_large",
        5_470_832,
        217,
        &[("hard_swish", 21), ("relu", 19)],
        &[("HardSwish", 21), ("Relu", 19), ("HardSigmoid", 8), ("Conv", 62), ("Add", 10), ("Gemm", 2)],
    ),
    // Three hidden layers of 256 x 256 behind one of 2 x 256, and one output, for 256 x 256 pixels.
    ("siren", 198_401, 12_936, &[("sine", 4)], &[("Sin", 4), ("Gemm", 5), ("Mul", 4)]),
];

#[test]
fn every_network_has_the_size_and_the_operators_of_the_real_one() {
    assert_eq!(names(), KNOWN.iter().map(|row| row.0).collect::<Vec<_>>());
    for &(name, elements, million_macs, sites, operators) in KNOWN {
        let model = skeleton(name, None);
        assert_eq!(parameters(&model), elements, "{name}");
        let counts = histogram(&model);
        for (op, count) in operators {
            assert_eq!(counts.get(op), Some(count), "{name}: {op}");
        }
        let described = describe(name).unwrap();
        let expected: Vec<_> = sites.iter().map(|&(kind, count)| (kind.to_owned(), count)).collect();
        assert_eq!(described.sites, expected, "{name}");
        assert_eq!(
            (described.parameters, described.macs.div_ceil(1_000_000)),
            (elements, million_macs),
            "{name}"
        );
    }
}

#[test]
fn yolov5n_and_yolov5s_have_the_operators_of_the_real_ones_and_no_others() {
    for name in ["yolov5n", "yolov5s"] {
        assert_eq!(histogram(&skeleton(name, None)), BTreeMap::from(YOLOV5), "{name}");
    }
}

/// Channels of the layers that have batch norm in the real network: those with an activation or in a residual,
/// which are neither heads nor gates.
fn normalised_channels(name: &str) -> u64 {
    let model = skeleton(name, None);
    let norm = |name: &str| name.ends_with(".conv.bias") || name.ends_with(".project.bias");
    let named = |t: &&crate::onnx::messages::TensorProto| norm(t.name.as_deref().unwrap());
    model.graph().initializer.iter().filter(named).map(|t| tensor::elements(t).unwrap()).sum()
}

#[test]
fn darknet_weight_files_have_four_numbers_a_channel_where_ours_has_a_bias() {
    // Sizes of the published files in bytes; their headers have 20.
    let files = [
        ("yolov3", 248_007_048),
        ("yolov3-tiny", 35_434_956),
        ("yolov4", 257_717_640),
        ("yolov4-tiny", 24_251_276),
    ];
    for (name, bytes) in files {
        let folded = describe(name).unwrap().parameters;
        assert_eq!(folded + 3 * normalised_channels(name), (bytes - 20) / 4, "{name}");
    }
}

#[test]
fn torchvision_has_two_parameters_a_channel_where_ours_has_a_bias() {
    let published =
        [("mobilenet_v2", 3_504_872), ("mobilenet_v3_small", 2_542_856), ("mobilenet_v3_large", 5_483_032)];
    for (name, unfolded) in published {
        assert_eq!(describe(name).unwrap().parameters + normalised_channels(name), unfolded, "{name}");
    }
}

#[test]
fn the_head_follows_the_input() {
    for (shape, boxes) in [([1, 3, 640, 640], 25_200), ([1, 3, 320, 320], 6_300), ([2, 3, 64, 96], 378)] {
        let model = skeleton("yolov5n", Some(&shape));
        assert_eq!(dims(&model.graph().input[0]), shape);
        assert_eq!(dims(&model.graph().output[0]), [shape[0], boxes, 85]);
        assert_eq!(model.graph().output[0].name.as_deref(), Some("output0"));
    }
}

#[test]
fn other_inputs_are_followed_too() {
    for (name, shape, output) in [
        ("yolov4", &[1, 3, 96, 64][..], vec![1, 3 * (12 * 8 + 6 * 4 + 3 * 2), 85]),
        ("mobilenet_v3_small", &[3, 3, 65, 33], vec![3, 1000]),
        ("siren", &[7, 2], vec![7, 1]),
    ] {
        let model = skeleton(name, Some(shape));
        assert_eq!(dims(&model.graph().output[0]), output, "{name}");
    }
    let message = build("siren", Some(&[4, 3])).unwrap_err().message;
    assert!(message.contains("input coords can't be 4x3: give Nx2"), "{message}");
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
        let model = skeleton(name, None);
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
    assert_eq!(hash, "29c5ae45de97aa36");
}

#[test]
fn every_weight_is_there_and_finite() {
    for name in ["yolov5n", "yolov4-tiny", "mobilenet_v3_small", "siren"] {
        for weight in &build(name, None).unwrap().graph().initializer {
            let raw = weight.raw_data.as_deref().unwrap();
            assert_eq!(raw.len() as u64, 4 * tensor::elements(weight).unwrap(), "{name}");
            let numbers = raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            assert!(numbers.into_iter().all(|w| w.is_finite() && w.abs() < 20.0), "{name} {:?}", weight.name);
        }
    }
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
    let good = text("yolov5n");
    let rows = [
        ("kernel: 6,", "kernal: 6,", "line 14", "did you mean `kernel`?"),
        ("- sppf:", "- spff:", "line 25", "did you mean `sppf`?"),
        ("multiple_of", "multipleof", "line 7", "did you mean `multiple_of`?"),
        ("activation: silu", "activation: sillu", "line 11", "did you mean silu?"),
        ("- upsample: 2", "- id: up", "line 31", "a block needs a kind"),
        (
            "- upsample: 2",
            "- { upsample: 2, sppf: { out: 8, kernel: 5 } }",
            "line 31",
            "one kind, and this one has two",
        ),
        ("- concat: [", "- from: back8\n    concat: [", "line 32", "leave out `from`"),
        ("{ out: 64, kernel: 6, stride: 2, pad: 2 }", "{ kernel: 6 }", "line 14", "`out` is missing"),
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
        let spec = Spec::parse(&text("yolov5n").replacen(right, wrong, 1), "net.yaml").unwrap();
        blocks::expand(&spec, &spec.input.shape, false).map(|_| ()).unwrap_err().message
    };
    let message = expand("[previous, back16]", "[previous, bck16]");
    assert!(message.contains("block 12: no block above has id `bck16`; did you mean `back16`?"), "{message}");
    let message = expand("id: back16", "id: back8");
    assert!(message.contains("block 6: `back8` is the name of something above already"), "{message}");
    let message = expand("kernel: 3, stride: 2", "kernel: 3, stride: 0");
    assert!(message.contains("block 1: nothing is left of it: 1x32x0x0"), "{message}");
    let message = expand("[previous, back16]", "[previous, back8]");
    assert!(message.contains("joins images of one size, not 1x128x40x40 and 1x64x80x80"), "{message}");
}
