//! Functions that look beyond their own element: across channels, or at its neighbours.

use super::sigmoid::{sigmoid, sigmoid_slope};
use super::{Form, Kind, Parameter};

/// The larger of x and 0, and NaN for NaN.
fn positive(x: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { x }
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "softmax",
        formula: "exp(x) / sum of exp over the channels",
        derivative: "softmax(x) (1 - softmax(x))",
        source: "ONNX Softmax",
        value: |x, _| sigmoid(x),
        slope: |x, _| sigmoid_slope(x),
        range: [0.0, 1.0],
        monotonic: true,
        exported: &[
            Form::since(13, "Softmax(x, axis=1)"),
            // Below, the operator flattens all axes from this one on.
            Form::since(
                1,
                "Exp(x - ReduceMax(x, axes=[1], keepdims=1)) \
                 / ReduceSum(Exp(x - ReduceMax(x, axes=[1], keepdims=1)), axes=[1], keepdims=1)",
            ),
        ],
        // In exported models it is attention, or decodes an output.
        detectable: false,
        not_elementwise_because: Some("looks across channels; values are for two channels, the other one 0"),
        ..Kind::PLAIN
    },
    Kind {
        name: "frelu",
        aliases: &["funnel_relu"],
        formula: "max(x, 3x3 depthwise convolution of x)",
        derivative: "1 where x is the larger, else that of the convolution",
        source: "arXiv 2007.11824 (the batch normalisation is folded into the convolution)",
        value: |x, _| positive(x),
        slope: |x, _| f64::from(x > 0.0),
        kinks: |_| vec![0.0],
        range: [0.0, f64::INFINITY],
        monotonic: true,
        exported: &[Form::since(
            8,
            "Max(x, Conv(x, funnel(channels, 1, 3, 3), funnel_bias(channels), group=channels, \
             kernel_shape=[3, 3], pads=[1, 1, 1, 1]))",
        )],
        detectable: false,
        not_elementwise_because: Some(
            "looks at its neighbours, through seeded weights; values are for a convolution that is 0",
        ),
        ..Kind::PLAIN
    },
    Kind {
        name: "maxout",
        formula: "the largest of k channels",
        derivative: "1 for the largest, else 0",
        source: "arXiv 1302.4389",
        parameters: &[Parameter::new("k", 2.0)],
        value: |x, _| positive(x),
        slope: |x, _| f64::from(x > 0.0),
        kinks: |_| vec![0.0],
        range: [0.0, f64::INFINITY],
        monotonic: true,
        exported: &[Form::since(5, "ReduceMax(Reshape(x, [0, -1, k]), axes=[2], keepdims=0)")],
        detectable: false,
        unswappable_because: Some("it leaves a k-th of the channels"),
        not_elementwise_because: Some(
            "looks across channels, and is written for values of shape [batch, channels]; values are for \
             other channels that are 0",
        ),
        ..Kind::PLAIN
    },
];
