//! Self-gated functions: x times something between 0 and 1 of x.

use super::sigmoid::{hard_sigmoid, sigmoid, softplus};
use super::{Exporter, Form, Kind, Parameter, Place};

pub const KINDS: &[Kind] = &[
    Kind {
        name: "silu",
        aliases: &["swish", "swish1"],
        formula: "x sigmoid(x)",
        source: "arXiv 1702.03118; ONNX Swish with alpha 1",
        parameters: &[],
        value: |x, _| x * sigmoid(x),
        recognised: &[
            "Swish(x, alpha=1)",
            "com.microsoft.QuickGelu(x, alpha=1)",
            "x / (Exp(-1 * x) + 1)",
            "x / (Exp(Neg(x)) + 1)",
        ],
        exported: &[Form::since(1, "x * Sigmoid(x)")],
        place: Place::Anywhere,
    },
    Kind {
        name: "quick_gelu",
        aliases: &[],
        formula: "x sigmoid(1.702 x)",
        source: "arXiv 1606.08415, section 2",
        parameters: &[],
        value: |x, _| x * sigmoid(1.702 * x),
        recognised: &["Swish(x, alpha=1.702)", "com.microsoft.QuickGelu(x, alpha=1.702)"],
        exported: &[Form::since(1, "x * Sigmoid(x * 1.702)")],
        place: Place::Anywhere,
    },
    Kind {
        name: "swish",
        aliases: &["swish_beta"],
        formula: "x sigmoid(beta x)",
        source: "arXiv 1710.05941; ONNX Swish",
        parameters: &[Parameter { name: "beta", default: 1.0 }],
        value: |x, p| x * sigmoid(p[0] * x),
        recognised: &["Swish(x, alpha=beta)", "com.microsoft.QuickGelu(x, alpha=beta)"],
        exported: &[Form::since(1, "x * Sigmoid(x * beta)")],
        place: Place::Anywhere,
    },
    Kind {
        name: "hard_swish",
        aliases: &["h_swish"],
        formula: "x min(max(x + 3, 0), 6) / 6",
        source: "arXiv 1905.02244; ONNX HardSwish",
        parameters: &[],
        value: |x, _| x * hard_sigmoid(x),
        recognised: &[
            "x * Clip(x + 3, 0, 6) / 6",
            "x * Min(Relu(x + 3), 6) / 6",
            "x * Min(Max(x + 3, 0), 6) / 6",
            "x * Clip(x / 6 + 0.5, 0, 1)",
        ],
        exported: &[
            Form::since(14, "HardSwish(x)"),
            Form::since(1, "x * HardSigmoid(x, alpha=1/6, beta=0.5)"),
        ],
        place: Place::Anywhere,
    },
    Kind {
        name: "mish",
        aliases: &[],
        formula: "x tanh(ln(1 + exp(x)))",
        source: "arXiv 1908.08681; ONNX Mish",
        parameters: &[],
        value: |x, _| x * softplus(x).tanh(),
        recognised: &["x * Tanh(Log(Exp(x) + 1))"],
        exported: &[
            Form { formula: "Mish(x)", since: 18, only: Some(Exporter::Dynamo), f32_only: false },
            Form::since(1, "x * Tanh(Softplus(x))"),
        ],
        place: Place::Anywhere,
    },
];
