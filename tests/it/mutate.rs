//! Damage with a seed: models, records and YAML as nobody would write them, the same for the same seed. What runs in the gate
//! (`mutants`) and the fuzz targets share it.

use oplat::onnx::messages::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto,
    TensorShapeProto, TypeValue, ValueInfoProto,
};
use oplat::random::SplitMix64;
use prost::Message;

/// Numbers at which sums, products and indices go wrong.
const EDGES: [i64; 14] = [
    0,
    1,
    -1,
    2,
    7,
    255,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
];

/// The same in a text.
const WORDS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
    "1e308",
    "-1e-320",
    "0.5",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"\\u202e\\u001b[31m\"",
];

/// Operators with rules of their own.
const OPERATORS: [&str; 24] = [
    "Relu",
    "Sigmoid",
    "Mul",
    "Add",
    "Clip",
    "Softplus",
    "Tanh",
    "Identity",
    "Cast",
    "Constant",
    "Conv",
    "Gemm",
    "If",
    "Loop",
    "Scan",
    "Split",
    "PRelu",
    "Gelu",
    "Swish",
    "HardSwish",
    "DequantizeLinear",
    "Reshape",
    "LSTM",
    "",
];

pub struct Damage {
    random: SplitMix64,
}

impl Damage {
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed) }
    }

    /// A number below `n`, and 0 if there is none.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.random.bits() % n as u64) as usize }
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    fn edge(&mut self) -> i64 {
        EDGES[self.below(EDGES.len())]
    }

    /// Bytes flipped, cut off, doubled or put elsewhere.
    pub fn bytes(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(8) {
            let (at, to) = (self.below(bytes.len()), self.below(bytes.len()));
            let (from, end) = (at.min(to), at.max(to).min(at.min(to) + 64));
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(from..end)),
                2 => {
                    let piece = bytes[from..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ if bytes.is_empty() => return,
                3 => bytes[at] = 0xff,
                4 => bytes[at] ^= 1 << self.below(8),
                _ => bytes[at] = self.random.bits() as u8,
            }
        }
    }

    /// A text in which numbers, words and lines are others, missing or there twice.
    pub fn text(&mut self, text: &str) -> String {
        let mut pieces = pieces(text);
        for _ in 0..=self.below(4) {
            let at = self.below(pieces.len());
            let Some(piece) = pieces.get(at).cloned() else { break };
            match self.below(7) {
                0 => drop(pieces.remove(at)),
                1 => pieces.insert(at, piece),
                2 => {
                    let other = self.below(pieces.len());
                    pieces.swap(at, other);
                }
                3 => pieces[at] = (*self.pick(&pieces.clone()).unwrap_or(&piece)).clone(),
                // All numbers of a kind at once: no sum may come out wrong because only one of its parts is too large.
                4 => {
                    let word = WORDS[self.below(WORDS.len())];
                    let every = 1 + self.below(5);
                    pieces.iter_mut().filter(|p| is_number(p)).step_by(every).for_each(|p| *p = word.into());
                }
                // All values of one key.
                5 => {
                    let word = WORDS[self.below(WORDS.len())];
                    let keys: Vec<usize> = (0..pieces.len()).filter(|&i| pieces[i] == piece).collect();
                    for key in keys {
                        let value = (key..pieces.len().min(key + 8)).find(|&i| is_number(&pieces[i]));
                        value.into_iter().for_each(|i| pieces[i] = word.into());
                    }
                }
                _ => pieces[at] = WORDS[self.below(WORDS.len())].into(),
            }
        }
        pieces.concat()
    }

    /// A model in which something is no more what it was: an edge, a name, a node, an attribute, a size, a type or an opset.
    pub fn model(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut model = ModelProto::decode(bytes).ok()?;
        for _ in 0..=self.below(4) {
            match self.below(12) {
                0 => {
                    let version = Some(self.edge());
                    let at = self.below(model.opset_import.len());
                    model.opset_import.get_mut(at)?.version = version;
                }
                1 if !model.functions.is_empty() => {
                    let at = self.below(model.functions.len());
                    let mut function = model.functions[at].clone();
                    self.nodes(&mut function.node);
                    match self.below(3) {
                        0 => model.functions.push(function),
                        1 => drop(model.functions.remove(at)),
                        _ => model.functions[at] = function,
                    }
                }
                _ => self.graph(model.graph.as_mut()?),
            }
        }
        Some(model.encode_to_vec())
    }

    fn graph(&mut self, graph: &mut GraphProto) {
        match self.below(10) {
            0 => self.values(&mut graph.input),
            1 => self.values(&mut graph.output),
            2 => self.values(&mut graph.value_info),
            3 | 4 => {
                let at = self.below(graph.initializer.len());
                match graph.initializer.get_mut(at) {
                    Some(_) if self.below(6) == 0 => drop(graph.initializer.remove(at)),
                    Some(tensor) => self.tensor(tensor),
                    None => {}
                }
            }
            _ => self.nodes(&mut graph.node),
        }
    }

    fn nodes(&mut self, nodes: &mut Vec<NodeProto>) {
        let (at, other) = (self.below(nodes.len()), self.below(nodes.len()));
        let Some(node) = nodes.get(at).cloned() else { return };
        let names: Vec<String> = nodes[other].output.iter().chain(&nodes[other].input).cloned().collect();
        match self.below(8) {
            0 => drop(nodes.remove(at)),
            1 => nodes.insert(other, node),
            2 => nodes.swap(at, other),
            3 => {
                let mut twin = node;
                twin.output.iter_mut().for_each(|o| o.push_str("_twin"));
                nodes.push(twin);
            }
            _ => self.node(&mut nodes[at], &names),
        }
    }

    fn node(&mut self, node: &mut NodeProto, names: &[String]) {
        let name = self.pick(names).cloned().unwrap_or_default();
        match self.below(9) {
            0 => node.op_type = Some(OPERATORS[self.below(OPERATORS.len())].into()),
            1 => node.name = Some(["", "a", "\u{202e}", "x/y#z.w"][self.below(4)].into()),
            2 => node.domain = Some(["com.microsoft", "ai.onnx", "oplat", ""][self.below(4)].into()),
            3 => node.output.reverse(),
            4 => node.input.reverse(),
            5 => node.input.push(name),
            6 => {
                let at = self.below(node.input.len());
                if let Some(input) = node.input.get_mut(at) {
                    *input = name;
                }
            }
            _ => {
                let at = self.below(node.attribute.len());
                match node.attribute.get_mut(at) {
                    Some(_) if self.below(6) == 0 => drop(node.attribute.remove(at)),
                    Some(attribute) => self.attribute(attribute),
                    None => drop(node.input.pop()),
                }
            }
        }
    }

    fn attribute(&mut self, attribute: &mut AttributeProto) {
        if let Some(body) = attribute.g.as_mut().filter(|_| self.below(4) > 0) {
            return self.graph(body);
        }
        if let Some(tensor) = attribute.t.as_mut().filter(|_| self.below(4) > 0) {
            return self.tensor(tensor);
        }
        match self.below(6) {
            0 => attribute.r#type = Some(self.below(16) as i32),
            1 => attribute.f = Some([0.0, -1.0, f32::NAN, f32::INFINITY, 1e-30, 1e30][self.below(6)]),
            2 => attribute.ints.push(self.edge()),
            3 => attribute.name = Some(["axis", "to", "alpha", "perm", "body", ""][self.below(6)].into()),
            4 => {
                let at = self.below(attribute.ints.len());
                let edge = self.edge();
                attribute.ints.get_mut(at).into_iter().for_each(|i| *i = edge);
            }
            _ => attribute.i = Some(self.edge()),
        }
    }

    fn tensor(&mut self, tensor: &mut TensorProto) {
        match self.below(6) {
            0 => tensor.data_type = Some(self.below(30) as i32 - 2),
            1 => tensor.raw_data = None,
            2 => tensor.raw_data = tensor.raw_data.as_ref().map(|raw| raw.slice(..self.below(raw.len()))),
            3 => tensor.dims.push(self.edge()),
            4 => drop(tensor.dims.pop()),
            _ => {
                let (at, edge) = (self.below(tensor.dims.len()), self.edge());
                tensor.dims.get_mut(at).into_iter().for_each(|d| *d = edge);
            }
        }
    }

    fn values(&mut self, values: &mut Vec<ValueInfoProto>) {
        let at = self.below(values.len());
        let Some(value) = values.get_mut(at) else { return };
        if self.below(6) == 0 {
            return drop(values.remove(at));
        }
        let Some(TypeValue::Tensor(tensor)) = value.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            return;
        };
        let size = match self.below(4) {
            0 => Some(DimensionValue::Param(["N", "", "batch"][self.below(3)].into())),
            1 => None,
            _ => Some(DimensionValue::Value(self.edge())),
        };
        let shape = tensor.shape.get_or_insert_with(TensorShapeProto::default);
        match self.below(4) {
            0 => tensor.elem_type = Some(self.below(30) as i32 - 2),
            1 => shape.dim.push(Dimension { value: size, denotation: None }),
            2 => tensor.shape = None,
            _ => {
                let at = self.below(shape.dim.len());
                shape.dim.get_mut(at).into_iter().for_each(|d| d.value = size.clone());
            }
        }
    }
}

fn is_number(piece: &str) -> bool {
    piece.starts_with(|c: char| c.is_ascii_digit())
}

/// A text cut into words, numbers, and what is between them.
fn pieces(text: &str) -> Vec<String> {
    let kind = |c: char| match c {
        _ if c.is_alphanumeric() || "_.".contains(c) => 0,
        _ if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut pieces: Vec<String> = vec![];
    for c in text.chars() {
        match pieces.last_mut() {
            Some(last) if kind(c) < 2 && last.ends_with(|before| kind(before) == kind(c)) => last.push(c),
            _ => pieces.push(c.into()),
        }
    }
    pieces
}
