//! An index of a model's graph: who makes a value, who reads it, and what is constant.
//!
//! Graphs nest (the bodies of If, Loop and Scan) and inner graphs read outer values by name. The index
//! resolves names once, over all graphs, so that whoever walks it need not think of scopes.

use std::collections::HashMap;

use super::external::DataFolder;
use super::infer::{self, Facts};
use super::messages::{GraphProto, NodeProto, TensorProto, TypeValue, ValueInfoProto};
use super::{Model, bodies};

/// A value of the model: dense, unique over all graphs.
pub type ValueId = usize;

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'m> {
    /// The input of a graph (of the model, or of a body).
    Input,
    Initializer(&'m TensorProto),
    /// Output `1` of node `0`.
    Node(usize, usize),
    /// A name that nothing defines.
    Missing,
}

/// Who reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Node and position among its inputs.
    Node(usize, usize),
    /// An output of the model.
    ModelOutput,
    /// An output of a body, which becomes an output of the node that owns it.
    BodyOutput(usize),
}

/// A node with its names resolved.
#[derive(Debug)]
pub struct Node<'m> {
    pub proto: &'m NodeProto,
    /// `None` for an optional input that is left out.
    pub inputs: Vec<Option<ValueId>>,
    pub outputs: Vec<ValueId>,
    /// The node in whose body this one stands.
    pub owner: Option<usize>,
    /// Serial number of the graph in which it stands.
    pub graph: usize,
    /// What each of its bodies gives back.
    pub results: Vec<Vec<ValueId>>,
}

impl Node<'_> {
    pub fn op(&self) -> &str {
        self.proto.op_type.as_deref().unwrap_or("")
    }

    /// The operator's domain, "" for the standard one.
    pub fn domain(&self) -> &str {
        match self.proto.domain.as_deref() {
            None | Some("ai.onnx") => "",
            Some(domain) => domain,
        }
    }

    /// Whether it is this operator of the standard domain.
    pub fn is(&self, op: &str) -> bool {
        self.op() == op && self.domain().is_empty()
    }

    pub fn attribute(&self, name: &str) -> Option<&super::messages::AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name.as_deref() == Some(name))
    }
}

#[derive(Debug)]
struct Value<'m> {
    name: &'m str,
    source: Source<'m>,
    uses: Vec<Use>,
    info: Option<&'m ValueInfoProto>,
    /// Serial number of the graph that defines it.
    graph: usize,
}

/// The index of a model. Nodes are in the order of [`super::for_each_node`].
pub struct Index<'m> {
    pub nodes: Vec<Node<'m>>,
    values: Vec<Value<'m>>,
    dir: Option<&'m DataFolder>,
    constant: Vec<bool>,
    facts: Vec<Facts>,
}

/// Names that a graph defines, and the graph around it.
struct Scope<'m> {
    names: HashMap<&'m str, ValueId>,
    /// Its serial number.
    graph: usize,
    parent: Option<usize>,
}

impl<'m> Index<'m> {
    pub fn new(model: &'m Model) -> Self {
        let dir = model.dir.as_ref();
        let mut index = Self { nodes: vec![], values: vec![], dir, constant: vec![], facts: vec![] };
        let mut scopes = vec![];
        index.add_graph(model.graph(), None, None, &mut scopes);
        index.constant = index.find_constants();
        index.facts = infer::facts(&index);
        index
    }

    fn add_graph(
        &mut self,
        graph: &'m GraphProto,
        parent: Option<usize>,
        owner: Option<usize>,
        scopes: &mut Vec<Scope<'m>>,
    ) {
        let scope = scopes.len();
        scopes.push(Scope { names: HashMap::new(), graph: scope, parent });
        for input in &graph.input {
            self.define(input.name.as_deref().unwrap_or(""), Source::Input, &mut scopes[scope]);
        }
        for initializer in &graph.initializer {
            let name = initializer.name.as_deref().unwrap_or("");
            self.define(name, Source::Initializer(initializer), &mut scopes[scope]);
        }
        for sparse in &graph.sparse_initializer {
            if let Some(values) = &sparse.values {
                let name = values.name.as_deref().unwrap_or("");
                self.define(name, Source::Initializer(values), &mut scopes[scope]);
            }
        }
        // Nodes are in topological order, so a name is defined before it is read; outputs are defined as the
        // walk meets them, which also keeps a cyclic (hostile) graph from resolving to itself.
        for proto in &graph.node {
            let node = self.nodes.len();
            let inputs = proto.input.iter().enumerate().map(|(position, name)| {
                (!name.is_empty()).then(|| self.read(name, Use::Node(node, position), scope, scopes))
            });
            let inputs = inputs.collect();
            self.nodes.push(Node { proto, inputs, outputs: vec![], owner, graph: scope, results: vec![] });
            for body in bodies(proto) {
                self.add_graph(body, Some(scope), Some(node), scopes);
            }
            let outputs = proto.output.iter().enumerate();
            let outputs = outputs
                .map(|(i, name)| self.define(name, Source::Node(node, i), &mut scopes[scope]))
                .collect();
            self.nodes[node].outputs = outputs;
        }
        let mut results = vec![];
        for output in &graph.output {
            let reader = owner.map_or(Use::ModelOutput, Use::BodyOutput);
            results.push(self.read(output.name.as_deref().unwrap_or(""), reader, scope, scopes));
        }
        if let Some(owner) = owner {
            self.nodes[owner].results.push(results);
        }
        for info in graph.value_info.iter().chain(&graph.input).chain(&graph.output) {
            if let Some(&id) = info.name.as_deref().and_then(|name| scopes[scope].names.get(name)) {
                self.values[id].info = Some(info);
            }
        }
    }

    fn define(&mut self, name: &'m str, source: Source<'m>, scope: &mut Scope<'m>) -> ValueId {
        let id = self.values.len();
        self.values.push(Value { name, source, uses: vec![], info: None, graph: scope.graph });
        if !name.is_empty() {
            scope.names.insert(name, id);
        }
        id
    }

    fn read(&mut self, name: &'m str, reader: Use, scope: usize, scopes: &mut [Scope<'m>]) -> ValueId {
        let mut at = Some(scope);
        while let Some(s) = at {
            if let Some(&id) = scopes[s].names.get(name) {
                self.values[id].uses.push(reader);
                return id;
            }
            at = scopes[s].parent;
        }
        let id = self.define(name, Source::Missing, &mut scopes[scope]);
        self.values[id].uses.push(reader);
        id
    }

    /// A value is constant if it is an initialiser or all that its node reads is.
    fn find_constants(&self) -> Vec<bool> {
        let mut constant: Vec<bool> =
            self.values.iter().map(|v| matches!(v.source, Source::Initializer(_))).collect();
        for node in &self.nodes {
            let pure = bodies(node.proto).next().is_none() && !node.op().starts_with("Random");
            if pure && node.inputs.iter().flatten().all(|&v| constant[v]) {
                for &output in &node.outputs {
                    constant[output] = true;
                }
            }
        }
        constant
    }

    pub fn name(&self, value: ValueId) -> &'m str {
        self.values[value].name
    }

    pub fn source(&self, value: ValueId) -> Source<'m> {
        self.values[value].source
    }

    pub fn uses(&self, value: ValueId) -> &[Use] {
        &self.values[value].uses
    }

    pub fn is_constant(&self, value: ValueId) -> bool {
        self.constant[value]
    }

    /// The node that makes the value, if one does.
    pub fn producer(&self, value: ValueId) -> Option<usize> {
        match self.source(value) {
            Source::Node(node, _) => Some(node),
            _ => None,
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The folder to which external data is relative.
    pub fn dir(&self) -> Option<&'m DataFolder> {
        self.dir
    }

    /// Serial number of the graph that defines the value.
    pub fn graph(&self, value: ValueId) -> usize {
        self.values[value].graph
    }

    /// ONNX element type, as far as the file says it or the operators tell.
    pub fn data_type(&self, value: ValueId) -> Option<i32> {
        self.facts[value].data_type
    }

    /// How many dimensions the value has, likewise.
    pub fn rank(&self, value: ValueId) -> Option<usize> {
        self.facts[value].rank
    }

    pub(super) fn declared_type(&self, value: ValueId) -> Option<i32> {
        self.values[value].info.and_then(tensor_type)?.elem_type
    }

    pub(super) fn declared_rank(&self, value: ValueId) -> Option<usize> {
        Some(self.values[value].info.and_then(tensor_type)?.shape.as_ref()?.dim.len())
    }

    /// The shape that the file declares, if all of it is a number.
    pub fn shape(&self, value: ValueId) -> Option<Vec<usize>> {
        self.sizes(value)?.into_iter().collect()
    }

    /// The dimensions that the file declares, each with its size where that is a number.
    pub fn sizes(&self, value: ValueId) -> Option<Vec<Option<usize>>> {
        let size = |n: i64| usize::try_from(n).ok();
        if let Some(shape) = self.values[value].info.and_then(tensor_type).and_then(|t| t.shape.as_ref()) {
            let dimension = |d: &super::messages::Dimension| match d.value {
                Some(super::messages::DimensionValue::Value(n)) => size(n),
                _ => None,
            };
            return Some(shape.dim.iter().map(dimension).collect());
        }
        match self.source(value) {
            Source::Initializer(t) => Some(t.dims.iter().map(|&n| size(n)).collect()),
            Source::Node(node, _) if self.nodes[node].is("Constant") => {
                let t = self.nodes[node].attribute("value")?.t.as_ref()?;
                Some(t.dims.iter().map(|&n| size(n)).collect())
            }
            _ => None,
        }
    }
}

fn tensor_type(info: &ValueInfoProto) -> Option<&super::messages::TensorType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        TypeValue::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}
