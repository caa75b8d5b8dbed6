//! Which ONNX nodes an operator of the optimised graph computes.
//!
//! An operator's name leads to one ONNX node: the last that was merged into it, as a rule, or one in the
//! middle of a pattern that the engine knows (SiLU, GELU). The others have vanished. They are found in the ONNX
//! graph, by what the engine is known to merge: a matrix product absorbs what follows it and takes the
//! successor's name, so from there one walks back to the product; a normalisation is folded into the weights
//! before it; a pattern covers the arithmetic around the node that it is named by. What is still left, such as
//! reshapes that became nothing, goes to the nearest operator.

use std::collections::{BTreeSet, VecDeque};

use oplat_graph::onnx::index::{Index, Use};

/// An operator of the engine, as far as attribution needs it.
#[derive(Clone, Debug, Default)]
pub struct EngineOp {
    /// The ONNX node in its name.
    pub name: Option<usize>,
    pub role: Role,
    /// The operators that read its outputs.
    pub readers: Vec<usize>,
}

/// What an operator of the engine is, as far as attribution hangs on it. The engine's own names are known to its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    Other,
    /// A matrix product or convolution: what follows it may be merged into it.
    Product,
    /// It only lays out data: where a linear node has other operators too, it doesn't compute the node.
    Layout,
    /// Made of several arithmetic nodes, at most so many, and named by one in the middle.
    Pattern { most: usize },
    /// Several steps of arithmetic in one operator, named by the last.
    Chain,
    /// It runs a whole graph inside.
    Body,
}

/// The ONNX nodes of each operator, ascending, never empty where the model has nodes at all.
///
/// Every node whose value isn't constant is in at least one of them, those of bodies included.
pub fn attribute(index: &Index, ops: &[EngineOp]) -> Vec<Vec<usize>> {
    attribute_beside(index, ops, &[])
}

/// As [`attribute`], where it is known of some operators, by their place, that they compute these nodes.
pub fn attribute_beside(index: &Index, ops: &[EngineOp], known: &[(usize, Vec<usize>)]) -> Vec<Vec<usize>> {
    let mut work = Attribution::new(index, ops);
    known.iter().for_each(|(op, nodes)| nodes.iter().for_each(|&node| work.cover(*op, node)));
    work.add_bodies();
    work.absorb_patterns();
    work.fold_into_producers();
    work.walk_back();
    work.find_products();
    work.assign_rest();
    work.covers.into_iter().map(|nodes| nodes.into_iter().collect()).collect()
}

const LINEAR: [&str; 5] = ["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"];
/// Nodes that hold products of their own.
const RECURRENT: [&str; 3] = ["LSTM", "GRU", "RNN"];
/// Arithmetic with constants that is folded into the weights of a linear operator before it.
const AFFINE: [&str; 5] = ["BatchNormalization", "Add", "Sub", "Mul", "Div"];
/// What may be a step of a chain.
const STEPS: [&str; 4] = ["Add", "Sub", "Mul", "Div"];
const ARITHMETIC: [&str; 16] = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Sqrt",
    "Erf",
    "Tanh",
    "Sigmoid",
    "Exp",
    "Neg",
    "Reciprocal",
    "ReduceMean",
    "Cast",
    "Identity",
    "HardSigmoid",
];

struct Attribution<'i, 'm> {
    index: &'i Index<'m>,
    ops: &'i [EngineOp],
    /// `covers[op]`: ONNX nodes.
    covers: Vec<BTreeSet<usize>>,
    /// `owners[node]`: operators.
    owners: Vec<Vec<usize>>,
    /// `folded[node]`: the linear node in whose weights it vanished.
    folded: Vec<Option<usize>>,
}

impl<'i, 'm> Attribution<'i, 'm> {
    fn new(index: &'i Index<'m>, ops: &'i [EngineOp]) -> Self {
        let mut work = Self {
            index,
            ops,
            covers: vec![BTreeSet::new(); ops.len()],
            owners: vec![vec![]; index.nodes.len()],
            folded: vec![None; index.nodes.len()],
        };
        // An operator without a name of ours serves the next one that has one.
        for op in 0..ops.len() {
            let mut queue = VecDeque::from([op]);
            let mut seen = BTreeSet::new();
            while let Some(at) = queue.pop_front() {
                match ops[at].name.filter(|&node| node < index.nodes.len()) {
                    Some(node) => {
                        work.cover(op, node);
                        break;
                    }
                    None if seen.insert(at) => queue.extend(&ops[at].readers),
                    None => {}
                }
            }
        }
        work
    }

    fn cover(&mut self, op: usize, node: usize) {
        if self.covers[op].insert(node) {
            self.owners[node].push(op);
        }
    }

    /// Not computed by any operator yet, and not a constant.
    fn is_left(&self, node: usize) -> bool {
        self.owners[node].is_empty() && !self.is_constant(node)
    }

    fn is_constant(&self, node: usize) -> bool {
        self.index.nodes[node].outputs.iter().all(|&v| self.index.is_constant(v))
    }

    fn is_any(&self, node: usize, ops: &[&str]) -> bool {
        ops.contains(&self.index.nodes[node].op())
    }

    /// Nodes whose values `node` reads, constants aside.
    fn producers(&self, node: usize) -> Vec<usize> {
        let values = self.index.nodes[node].inputs.iter().flatten();
        values.filter_map(|&v| self.index.producer(v)).filter(|&p| !self.is_constant(p)).collect()
    }

    /// Nodes that read the values of `node`.
    fn consumers(&self, node: usize) -> Vec<usize> {
        let uses = self.index.nodes[node].outputs.iter().flat_map(|&v| self.index.uses(v));
        uses.filter_map(|u| match u {
            Use::Node(reader, _) => Some(*reader),
            Use::BodyOutput(owner) => Some(*owner),
            Use::ModelOutput => None,
        })
        .collect()
    }

    /// The inputs of `node` that aren't constant.
    fn variables(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.index.nodes[node].inputs.iter().flatten().copied().filter(|&v| !self.index.is_constant(v))
    }

    /// SiLU and its like: the arithmetic that reads only the pattern's own values and its input.
    fn absorb_patterns(&mut self) {
        for op in 0..self.ops.len() {
            let Some(anchor) = self.ops[op].name.filter(|&n| n < self.index.nodes.len()) else { continue };
            // An ONNX operator of that name covers itself.
            let Role::Pattern { most } = self.ops[op].role else { continue };
            if !self.is_any(anchor, &ARITHMETIC) {
                continue;
            }
            let mut region = BTreeSet::from([anchor]);
            while region.len() < most {
                let candidate = |node: &usize| {
                    self.is_left(*node) && !region.contains(node) && self.is_any(*node, &ARITHMETIC)
                };
                let inputs: BTreeSet<usize> = region.iter().flat_map(|&n| self.variables(n)).collect();
                let inside = |v: usize| self.index.producer(v).is_some_and(|p| region.contains(&p));
                // Forward: all that it reads is inside, or an input of the pattern.
                let after = region.iter().flat_map(|&n| self.consumers(n)).filter(candidate);
                let forward = after.filter(|&n| self.variables(n).all(|v| inside(v) || inputs.contains(&v)));
                // Backward: all that read it are inside.
                let before = region.iter().flat_map(|&n| self.producers(n)).filter(candidate);
                let backward = before.filter(|&n| self.consumers(n).iter().all(|c| region.contains(c)));
                let found: Vec<usize> = forward.chain(backward).collect();
                if found.is_empty() {
                    break;
                }
                region.extend(found);
            }
            for node in region {
                self.cover(op, node);
            }
        }
    }

    /// Arithmetic with constants right behind a linear node, which no operator is named by.
    fn fold_into_producers(&mut self) {
        for node in 0..self.index.nodes.len() {
            if !self.is_left(node) || !self.is_any(node, &AFFINE) {
                continue;
            }
            if let [producer] = self.producers(node)[..]
                && self.variables(node).count() == 1
                && self.consumers(producer).len() == 1
            {
                self.folded[node] =
                    self.folded[producer].or(self.is_any(producer, &LINEAR).then_some(producer));
            }
        }
    }

    /// From the node that names an operator back over all that no other operator finishes.
    fn walk_back(&mut self) {
        let lays_out = |op: usize| self.ops[op].role == Role::Layout;
        let finisher = |node: usize| {
            let owners = &self.owners[node];
            let other = owners.iter().copied().find(|&op| !lays_out(op));
            // What changes the layout of a product's data doesn't compute it.
            other.or_else(|| owners.first().copied().filter(|_| !self.is_any(node, &LINEAR)))
        };
        let finishers: Vec<Option<usize>> = (0..self.owners.len()).map(finisher).collect();
        let mut finished: Vec<bool> = finishers.iter().map(Option::is_some).collect();
        for start in 0..self.index.nodes.len() {
            let Some(op) = finishers[start] else { continue };
            let mut queue = VecDeque::from([start]);
            while let Some(node) = queue.pop_front() {
                for producer in self.producers(node) {
                    if finished[producer] {
                        continue;
                    }
                    // What vanished in weights belongs to their operator, if that one is another's. (A chain
                    // of arithmetic is named by its last step.)
                    let chain = self.ops[op].role == Role::Chain;
                    let folded = self.folded[producer].filter(|_| !chain || !self.is_any(producer, &STEPS));
                    let host = folded.and_then(|linear| finishers[linear]);
                    self.cover(host.unwrap_or(op), producer);
                    finished[producer] = true;
                    queue.push_back(producer);
                }
            }
        }
    }

    /// A matrix product whose name leads to none: one linear node became several products.
    fn find_products(&mut self) {
        for op in (0..self.ops.len()).filter(|&op| self.ops[op].role == Role::Product) {
            // A call of a function may be anything.
            let call = |n: usize| !self.index.nodes[n].domain().is_empty();
            let products = |&n: &usize| self.is_any(n, &LINEAR) || self.is_any(n, &RECURRENT) || call(n);
            let Some(name) = self.ops[op].name else { continue };
            if self.covers[op].iter().any(products) {
                continue;
            }
            let mut queue = VecDeque::from([name]);
            let mut seen = BTreeSet::from([name]);
            while let Some(node) = queue.pop_front() {
                let producers = self.producers(node);
                if let Some(linear) = producers.iter().copied().find(|n| products(n)) {
                    self.cover(op, linear);
                    break;
                }
                let passable = |n: &usize| self.owners[*n].iter().all(|&owner| owner == op);
                queue.extend(producers.into_iter().filter(|n| passable(n) && seen.insert(*n)));
            }
        }
    }

    /// What is left goes to the nearest operator that reads it, or else that feeds it.
    fn assign_rest(&mut self) {
        loop {
            let mut found = vec![];
            for node in (0..self.index.nodes.len()).filter(|&n| self.is_left(n)) {
                let near =
                    |nodes: Vec<usize>| nodes.into_iter().find_map(|n| self.owners[n].first().copied());
                let owner = self.index.nodes[node].owner.and_then(|o| self.owners[o].first().copied());
                if let Some(op) =
                    owner.or_else(|| near(self.consumers(node))).or_else(|| near(self.producers(node)))
                {
                    found.push((op, node));
                }
            }
            if found.is_empty() {
                break;
            }
            for (op, node) in found {
                self.cover(op, node);
            }
        }
        // An operator that nothing names and that feeds none that has a name: the model's last node.
        if let Some(last) = (0..self.index.nodes.len()).rev().find(|&n| !self.is_constant(n)) {
            for op in 0..self.ops.len() {
                if self.covers[op].is_empty() {
                    self.cover(op, last);
                }
            }
        }
    }

    /// The operator that runs a node's body: others may lay out data for it.
    fn runs_body(&self, node: usize) -> Option<usize> {
        let owners = || self.owners[node].iter().copied();
        owners().find(|&op| self.ops[op].role == Role::Body).or_else(|| owners().next())
    }

    /// A body that runs inside one operator: all its nodes are the operator's.
    fn add_bodies(&mut self) {
        for op in 0..self.ops.len() {
            let Some(name) = self.ops[op].name.filter(|&n| n < self.index.nodes.len()) else { continue };
            // The engine may name it by a node of the body.
            if self.ops[op].role == Role::Body
                && let Some(owner) = self.index.nodes[name].owner
            {
                self.cover(op, owner);
            }
        }
        for node in 0..self.index.nodes.len() {
            if let Some(owner) = self.index.nodes[node].owner
                && self.owners[node].is_empty()
                && let Some(op) = self.runs_body(owner)
            {
                self.cover(op, node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_graph::onnx::Model;
    use oplat_graph::onnx::messages::{
        AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
    };

    /// A graph of `op inputs… -> output`, one a line; `w` is a weight.
    fn model(lines: &[&str]) -> Model {
        let node = |line: &&str| {
            let (left, output) = line.split_once(" -> ").unwrap();
            let mut words = left.split(' ').map(str::to_owned);
            NodeProto {
                op_type: words.next(),
                input: words.collect(),
                output: vec![output.to_owned()],
                ..Default::default()
            }
        };
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        let graph = GraphProto {
            node: lines.iter().map(node).collect(),
            input: vec![value("x")],
            output: vec![value("y")],
            initializer: vec![TensorProto { name: Some("w".into()), ..Default::default() }],
            ..Default::default()
        };
        Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, dir: None }
    }

    fn attributed(lines: &[&str], ops: &[(Role, usize)]) -> Vec<Vec<usize>> {
        let ops: Vec<EngineOp> =
            ops.iter().map(|&(role, name)| EngineOp { name: Some(name), role, readers: vec![] }).collect();
        attribute(&Index::new(&model(lines)), &ops)
    }

    #[test]
    fn a_product_takes_what_follows_and_leaves_the_layout_alone() {
        let lines = ["Conv x w -> a", "BatchNormalization a w -> b", "Relu b -> y"];
        assert_eq!(
            attributed(&lines, &[(Role::Layout, 0), (Role::Product, 2), (Role::Layout, 0)]),
            [vec![0], vec![0, 1, 2], vec![0]]
        );
    }

    #[test]
    fn a_folded_normalisation_stays_with_its_convolution() {
        let lines = ["Conv x w -> a", "BatchNormalization a w -> b", "Sigmoid b -> s", "Mul b s -> y"];
        assert_eq!(
            attributed(&lines, &[(Role::Product, 0), (Role::Pattern { most: 2 }, 2)]),
            [vec![0, 1], vec![2, 3]]
        );
    }

    #[test]
    fn silu_takes_its_product_and_no_more() {
        let lines = ["Conv x w -> a", "Sigmoid a -> s", "Mul a s -> m", "Add a m -> r", "Conv r w -> y"];
        let rows =
            attributed(&lines, &[(Role::Product, 0), (Role::Pattern { most: 2 }, 1), (Role::Product, 4)]);
        assert_eq!(rows, [vec![0], vec![1, 2], vec![3, 4]]);
    }

    #[test]
    fn the_steps_of_a_chain_are_its_own() {
        let lines = ["Conv x w -> a", "Add a w -> b", "Clip b w w -> c", "Div c w -> y"];
        let rows = attributed(&lines, &[(Role::Product, 0), (Role::Chain, 3)]);
        assert_eq!(rows, [vec![0], vec![1, 2, 3]]);
    }

    #[test]
    fn a_convolution_that_became_two_products_is_in_both() {
        let lines = ["Relu x -> p", "Concat p x -> c", "Conv c w -> a", "LeakyRelu a -> y"];
        let rows = attributed(&lines, &[(Role::Other, 0), (Role::Product, 2), (Role::Product, 3)]);
        assert_eq!(rows, [vec![0], vec![1, 2], vec![2, 3]]);
    }

    #[test]
    fn a_body_is_of_the_operator_that_runs_it_and_not_of_its_layout() {
        let body = model(&["Relu a -> b"]).proto.graph;
        let mut outer = model(&["Conv x w -> a", "If a -> y"]);
        let attribute = AttributeProto { name: Some("then_branch".into()), g: body, ..Default::default() };
        outer.graph_mut().node[1].attribute.push(attribute);
        let op = |role, name| EngineOp { name: Some(name), role, readers: vec![] };
        let ops = [op(Role::Product, 0), op(Role::Layout, 1), op(Role::Body, 1)];
        assert_eq!(super::attribute(&Index::new(&outer), &ops), [vec![0], vec![1], vec![1, 2]]);
    }

    #[test]
    fn what_became_nothing_is_with_its_neighbour() {
        let lines = ["Identity x -> a", "Relu a -> b", "Reshape b w -> y"];
        assert_eq!(attributed(&lines, &[(Role::Other, 1)]), [vec![0, 1, 2]]);
    }
}
