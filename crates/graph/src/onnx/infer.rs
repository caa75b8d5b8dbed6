//! What can be said of values without running the model: their element types, and how many dimensions they have.

use super::index::{Index, Node, Source, ValueId};
use super::messages::{TensorProto, data_type};
use super::operators;
use oplat_ground::limits;

/// What is known of a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// ONNX element type.
    pub data_type: Option<i32>,
    /// Number of dimensions.
    pub rank: Option<usize>,
}

/// The facts of every value: as the file declares them, or as the operators make them. A value is defined after those
/// that it is made from, so that one pass settles all.
pub fn facts(index: &Index) -> Vec<Facts> {
    let mut known: Vec<Facts> = Vec::with_capacity(index.len());
    for value in 0..index.len() {
        let declared = Facts { data_type: index.declared_type(value), rank: index.declared_rank(value) };
        let made = match index.source(value) {
            Source::Initializer(tensor) => of_tensor(tensor),
            Source::Node(node, output) => {
                let node = &index.nodes[node];
                let made = Made { index, node, output, known: &known };
                Facts { data_type: made.data_type(), rank: made.rank() }
            }
            Source::Input | Source::Missing => Facts::default(),
        };
        known.push(Facts {
            data_type: declared.data_type.or(made.data_type),
            rank: declared.rank.or(made.rank),
        });
    }
    known
}

fn of_tensor(tensor: &TensorProto) -> Facts {
    Facts { data_type: tensor.data_type, rank: Some(tensor.dims.len()) }
}

/// An output of a node, and what is known of all values before it.
struct Made<'a, 'm> {
    index: &'a Index<'m>,
    node: &'a Node<'m>,
    output: usize,
    known: &'a [Facts],
}

impl Made<'_, '_> {
    fn input(&self, i: usize) -> Option<ValueId> {
        self.node.inputs.get(i).copied().flatten()
    }

    /// What is known of an input; of one that is defined later (in a file out of order), nothing.
    fn of_input(&self, i: usize) -> Facts {
        self.input(i).and_then(|value| self.known.get(value)).copied().unwrap_or_default()
    }

    fn type_of(&self, i: usize) -> Option<i32> {
        self.of_input(i).data_type
    }

    fn rank_of(&self, i: usize) -> Option<usize> {
        self.of_input(i).rank
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.node.attribute(name)?.i
    }

    fn attribute_tensor(&self) -> Option<&TensorProto> {
        self.node.attribute("value")?.t.as_ref()
    }

    /// The result of a node's bodies that becomes this output.
    fn result(&self) -> Facts {
        // A loop's body says first whether to go on.
        let at = self.output + usize::from(self.node.is("Loop"));
        let results = self.node.results.iter().filter_map(|body| self.known.get(*body.get(at)?).copied());
        results
            .reduce(|a, b| Facts { data_type: a.data_type.or(b.data_type), rank: a.rank.or(b.rank) })
            .unwrap_or_default()
    }

    fn data_type(&self) -> Option<i32> {
        let kind = |name: &str| self.integer(name).and_then(|kind| i32::try_from(kind).ok());
        match self.node.op() {
            "Cast" => kind("to"),
            "Constant" => self.of_constant().data_type,
            "ConstantOfShape" => {
                Some(self.attribute_tensor().and_then(|t| t.data_type).unwrap_or(data_type::FLOAT))
            }
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" => Some(data_type::INT64),
            "TopK" | "Unique" if self.output > 0 => Some(data_type::INT64),
            "MaxPool" if self.output == 1 => Some(data_type::INT64),
            "Dropout" if self.output == 1 => Some(data_type::BOOL),
            "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Equal" | "And" | "Or" | "Xor"
            | "Not" | "IsNaN" | "IsInf" => Some(data_type::BOOL),
            "EyeLike" | "RandomNormalLike" | "RandomUniformLike" => kind("dtype").or(self.type_of(0)),
            "RandomNormal" | "RandomUniform" => Some(kind("dtype").unwrap_or(data_type::FLOAT)),
            "QuantizeLinear" => self.type_of(2).or(kind("output_dtype")).or(Some(data_type::UINT8)),
            "DynamicQuantizeLinear" if self.output != 1 => Some(data_type::UINT8),
            "DynamicQuantizeLinear" => Some(data_type::FLOAT),
            "ConvInteger" | "MatMulInteger" => Some(data_type::INT32),
            "QLinearConv" | "QLinearMatMul" => self.type_of(7).or(self.type_of(0)),
            "DequantizeLinear" | "CastLike" => self.type_of(1),
            "Where" => self.type_of(1).or(self.type_of(2)),
            "OneHot" => self.type_of(2),
            "If" | "Loop" | "Scan" => self.result().data_type,
            // The weights of a linear operator are in the file.
            "Conv" | "Gemm" | "MatMul" | "ConvTranspose" => self.type_of(1).or(self.type_of(0)),
            _ if self.node.domain().is_empty()
                || operators::in_domain(self.node.domain(), self.node.op(), 1).is_some() =>
            {
                (0..self.node.inputs.len()).find_map(|i| self.type_of(i))
            }
            _ => self.type_of(0),
        }
    }

    fn of_constant(&self) -> Facts {
        let attributes = [
            ("value_float", data_type::FLOAT, 0),
            ("value_int", data_type::INT64, 0),
            ("value_floats", data_type::FLOAT, 1),
            ("value_ints", data_type::INT64, 1),
        ];
        if let Some(tensor) = self.attribute_tensor() {
            return of_tensor(tensor);
        }
        let given = attributes.into_iter().find(|(name, ..)| self.node.attribute(name).is_some());
        given.map_or_else(Facts::default, |(_, kind, rank)| Facts { data_type: Some(kind), rank: Some(rank) })
    }

    /// How many integers an input lists.
    fn length(&self, i: usize) -> Option<usize> {
        match self.index.sizes(self.input(i)?)?.as_slice() {
            // What it lists are dimensions, or some of them.
            &[Some(length)] => Some(length).filter(|&n| n as u64 <= limits::DIMENSIONS),
            _ => None,
        }
    }

    /// How many axes a node names, in its attribute or its second input.
    fn axes(&self) -> Option<usize> {
        self.node.attribute("axes").map(|a| a.ints.len()).or_else(|| self.length(1))
    }

    fn rank(&self) -> Option<usize> {
        let first = || self.rank_of(0);
        match self.node.op() {
            "Constant" => self.of_constant().rank,
            "ConstantOfShape" => self.length(0),
            "Shape" | "NonZero" => Some(1),
            "Size" => Some(0),
            "Conv" | "ConvTranspose" | "FusedConv" => first().or(self.rank_of(1)),
            "Gemm" | "Flatten" => Some(2),
            "MatMul" => match (first()?, self.rank_of(1)?) {
                // A number is no matrix: a file can say so all the same.
                (0, _) | (_, 0) => None,
                (1, 1) => Some(0),
                (1, b) => Some(b - 1),
                (a, 1) => Some(a - 1),
                (a, b) => Some(a.max(b)),
            },
            "Reshape" => self.length(1).or_else(|| Some(self.node.attribute("shape")?.ints.len())),
            "Expand" => Some(first()?.max(self.length(1)?)),
            "Unsqueeze" => first()?.checked_add(self.axes()?),
            "Squeeze" => first()?.checked_sub(self.axes()?),
            "Gather" => first()?.checked_add(self.rank_of(1)?)?.checked_sub(1),
            "LSTM" | "GRU" | "RNN" => Some(if self.output == 0 { 4 } else { 3 }),
            "If" | "Scan" | "Loop" => self.result().rank,
            op if op.starts_with("Reduce") || op == "ArgMax" || op == "ArgMin" => {
                if self.integer("keepdims") == Some(0) {
                    let axes = if op.starts_with("Arg") { Some(1) } else { self.axes() };
                    return axes.map_or(Some(0), |axes| first()?.checked_sub(axes));
                }
                first()
            }
            "PRelu" => first(),
            op if operators::in_domain(self.node.domain(), op, self.node.inputs.len()).is_some() => {
                let ranks: Option<Vec<usize>> =
                    (0..self.node.inputs.len()).map(|i| self.rank_of(i)).collect();
                ranks?.into_iter().max()
            }
            op if keeps_rank(op) => first(),
            _ => None,
        }
    }
}

/// Operators whose outputs have as many dimensions as their first input.
fn keeps_rank(op: &str) -> bool {
    matches!(
        op,
        "Transpose"
            | "Concat"
            | "Slice"
            | "Split"
            | "Pad"
            | "Resize"
            | "Upsample"
            | "Tile"
            | "Cast"
            | "CastLike"
            | "Dropout"
            | "Clip"
            | "QuantizeLinear"
            | "DequantizeLinear"
            | "DepthToSpace"
            | "SpaceToDepth"
            | "MaxPool"
            | "AveragePool"
            | "LpPool"
            | "GlobalAveragePool"
            | "GlobalMaxPool"
            | "GlobalLpPool"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization"
            | "LpNormalization"
            | "LRN"
            | "Softmax"
            | "LogSoftmax"
            | "CumSum"
            | "TopK"
            | "BiasGelu"
            | "FastGelu"
            | "QLinearConv"
            | "ConvInteger"
    )
}
