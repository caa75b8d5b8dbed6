//! Which nodes of the user's model the operators of somebody else's session compute.
//!
//! An operator that ONNX Runtime left alone has its node's name and number; one that it made of several has the name of one of
//! them, or of the value that it puts out, with something behind; one that it invented has neither. What has no name is told by
//! the order: an operator that others wait for has computed what they need and no other has. What an execution provider took as
//! a whole is what it could have computed when its turn came, and no other has.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use oplat_engine::attribution::{self, EngineOp, Role};
use oplat_graph::onnx::Model;
use oplat_graph::onnx::index::Index;
use oplat_graph::onnx::messages::NodeProto;

use crate::ops::{self, addition_behind, function_behind, role, values};

#[cfg(test)]
mod tests;

/// An operator of a session, in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row<'t> {
    pub name: &'t str,
    pub op: &'t str,
    pub provider: &'t str,
    pub node_index: Option<usize>,
    /// Whether it is a convolution that adds another value to its sums.
    pub adds: bool,
    /// What it puts out, and who reads that, where the optimised model tells.
    pub values: Vec<&'t str>,
    pub readers: Option<Vec<usize>>,
}

impl<'t> Row<'t> {
    /// The function that it was a node of, if ONNX Runtime put that function's nodes in the place of its call.
    fn function(&self) -> Option<&'t str> {
        self.name.strip_prefix("_inlfunc_")?.split('_').next()
    }

    /// Whether an execution provider computes a part of the graph as one operator: it is named by the provider.
    fn is_subgraph(&self) -> bool {
        let rest = self.name.strip_prefix(self.provider).filter(|_| !self.provider.is_empty());
        rest.is_some_and(|rest| rest.starts_with('_'))
    }

    fn role(&self) -> Role {
        role(self.op)
    }

    /// Whether its name says nothing of the model: an invented one is made of the operator's type, of the provider, or of what
    /// was done to a node without a name.
    fn is_nameless(&self) -> bool {
        let own = self.name.strip_prefix('/').unwrap_or(self.name);
        let done = own.split('/').next().unwrap_or_default();
        own.is_empty()
            || self.function().is_some()
            || own.starts_with(self.op)
            || done.ends_with("Fusion")
            || self.is_subgraph()
    }

    /// Whether it may be there for the operator behind it.
    fn serves(&self) -> bool {
        self.role() == Role::Layout || ["QuantizeLinear", "DequantizeLinear"].contains(&self.op)
    }
}

/// The operators of an optimised model as rows, in the order of its file.
pub fn rows_of(optimised: &Model) -> Vec<Row<'_>> {
    let nodes = computing(optimised);
    let readers = ops::readers(optimised.graph(), &nodes);
    let all = nodes.into_iter().zip(readers);
    all.map(|(node, readers)| Row { readers: Some(readers), ..told_by(node) }).collect()
}

fn computing(optimised: &Model) -> Vec<&NodeProto> {
    optimised.graph().node.iter().filter(|n| n.op_type() != "Constant").collect()
}

/// What a node of the optimised model says of itself.
fn told_by(node: &NodeProto) -> Row<'_> {
    /// Which input of a convolution it adds to its sums, before its activation.
    const ADDED: usize = 3;
    Row {
        name: node.name(),
        op: node.op_type(),
        adds: node.op_type().ends_with("Conv")
            && node.input.get(ADDED).is_some_and(|input| !input.is_empty()),
        values: node.output.iter().map(String::as_str).collect(),
        ..Row::default()
    }
}

/// The nodes of each row, ascending; empty for one that can't be tied to any.
pub fn tie(model: &Model, rows: &[Row]) -> Vec<Vec<usize>> {
    let index = Index::new(model);
    let names = Names::new(&index);
    let mut ties = Ties::new(&index, rows, &names);
    ties.follow();
    ties.join();
    ties.fold();
    ties.nodes()
}

/// Adds what the optimised model tells that the app kept. Gives the number of rows that it hasn't.
pub fn look_up<'t>(optimised: &'t Model, rows: &mut [Row<'t>]) -> usize {
    let nodes = computing(optimised);
    let mut by_name: HashMap<(&str, &str), VecDeque<usize>> = HashMap::new();
    for (at, node) in nodes.iter().enumerate().filter(|(_, node)| !node.name().is_empty()) {
        by_name.entry((node.name(), node.op_type())).or_default().push_back(at);
    }
    let find = |row: &Row<'t>| by_name.get_mut(&(row.name, row.op)).and_then(VecDeque::pop_front);
    let found: Vec<Option<usize>> = rows.iter().map(find).collect();
    let of_node: HashMap<usize, usize> =
        found.iter().enumerate().filter_map(|(row, node)| Some(((*node)?, row))).collect();
    let readers = ops::readers(optimised.graph(), &nodes);
    for (row, node) in rows.iter_mut().zip(&found).filter_map(|(row, node)| Some((row, (*node)?))) {
        let told = told_by(nodes[node]);
        (row.values, row.adds) = (told.values, told.adds);
        let known = readers[node].iter().filter_map(|reader| of_node.get(reader).copied());
        row.readers = Some(known.collect());
    }
    // What has no name is called by its type and its number, which the model doesn't tell.
    let has_name = |row: &&Row| row.node_index.is_none_or(|n| row.name != format!("{}_{n}", row.op));
    rows.iter().filter(|row| row.values.is_empty()).filter(has_name).count()
}

/// Names of the model. One that several nodes have says none.
struct Names<'m> {
    nodes: HashMap<&'m str, Option<usize>>,
    values: HashMap<&'m str, usize>,
    /// The main graph's nodes by ONNX Runtime's numbers: constants have none.
    numbered: Vec<usize>,
}

impl<'m> Names<'m> {
    fn new(index: &Index<'m>) -> Self {
        let mut nodes: HashMap<&'m str, Option<usize>> = HashMap::new();
        for (at, node) in index.nodes.iter().enumerate().filter(|(_, node)| !node.proto.name().is_empty()) {
            nodes.entry(node.proto.name()).and_modify(|known| *known = None).or_insert(Some(at));
        }
        let main = index.nodes.iter().enumerate().filter(|(_, node)| node.owner.is_none());
        let numbered = main.filter(|(_, node)| !node.is("Constant")).map(|(at, _)| at).collect();
        Self { nodes, values: values(index), numbered }
    }

    fn exact(&self, name: &str) -> Option<usize> {
        self.nodes.get(name).copied().flatten()
    }

    fn value(&self, name: &str) -> Option<usize> {
        self.values.get(name.strip_suffix("_nchwc").unwrap_or(name)).copied()
    }

    /// The node of that number, if it is one that a session would call so.
    fn numbered(&self, index: &Index, row: &Row) -> Option<usize> {
        let number = row.node_index?;
        let node = *self.numbered.get(number)?;
        let (name, op) = (index.nodes[node].proto.name(), index.nodes[node].op());
        let nameless = || row.name.is_empty() || row.name == format!("{op}_{number}");
        let same = name == row.name || name.is_empty() && nameless();
        (same && op == row.op).then_some(node)
    }

    /// The node or the maker of the value that the name begins with, as far as it is a name by itself.
    fn derived(&self, name: &str, op: &str) -> Option<usize> {
        const ENDS: usize = 32;
        let name = ops::BEFORE.iter().find_map(|before| name.strip_prefix(before)).unwrap_or(name);
        let ends_here = |rest: &str| {
            let mut rest = rest.chars();
            match (rest.next(), rest.next()) {
                (None, _) | (Some('/' | ' '), _) => true,
                // `Conv_1` is not derived from `Conv`.
                (Some('_'), Some(next)) => !next.is_ascii_digit(),
                _ => false,
            }
        };
        let ends = (1..=name.len()).rev().filter(|&end| name.is_char_boundary(end));
        ends.filter(|&end| ends_here(&name[end..])).take(ENDS).find_map(|end| {
            let start = &name[..end];
            // `Gelu_token_40`, `Transpose`: an operator that it invented.
            if start == op { None } else { self.exact(start).or_else(|| self.value(start)) }
        })
    }
}

struct Ties<'i, 'm, 'r> {
    index: &'i Index<'m>,
    rows: &'r [Row<'r>],
    /// `named[row]`: the node that it is named by.
    named: Vec<Option<usize>>,
    /// The same, or the product among what a row computes: what comes first there.
    starts: Vec<Option<usize>>,
    /// What providers took as a whole, by row, and what nameless operators must have computed.
    known: HashMap<usize, Vec<usize>>,
    /// `owned[node]`: whether some row computes it.
    owned: Vec<bool>,
    /// `when[node]`: the place of the row after which its values are there.
    when: Vec<Option<usize>>,
    /// Rows so far that nothing names, and those that are a part of the graph, ascending.
    nameless: Nameless<'r>,
    subgraphs: Vec<usize>,
}

/// Rows without a node, and the same by the type of what they may be.
#[derive(Default)]
struct Nameless<'r> {
    rows: BTreeSet<usize>,
    by_op: HashMap<&'r str, BTreeSet<usize>>,
}

impl<'r> Nameless<'r> {
    fn add(&mut self, at: usize, row: &Row<'r>) {
        // What changes the layout is nothing but that, and what can be told by a node needs no other.
        if row.role() != Role::Layout && cores(row.op).is_empty() {
            self.rows.insert(at);
        }
        for op in may_be(row) {
            self.by_op.entry(op).or_default().insert(at);
        }
    }

    /// Takes the first from a place on that is of this type, or that may be of any.
    fn take(&mut self, op: Option<&str>, from: usize) -> Option<usize> {
        let found = match op {
            Some(op) => *self.by_op.get(op)?.range(from..).next()?,
            None => *self.rows.range(from..).next()?,
        };
        self.rows.remove(&found);
        Some(found)
    }

    fn forget(&mut self, at: usize, row: &Row<'r>) {
        for op in may_be(row) {
            self.by_op.entry(op).or_default().remove(&at);
        }
    }
}

/// Types of nodes that a row may compute.
fn may_be<'r>(row: &Row<'r>) -> impl Iterator<Item = &'r str> + use<'r> {
    std::iter::once(row.op).chain(cores(row.op)).chain(row.function())
}

impl<'i, 'm, 'r> Ties<'i, 'm, 'r> {
    fn new(index: &'i Index<'m>, rows: &'r [Row<'r>], names: &Names) -> Self {
        let named = rows.iter().map(|row| {
            let known = names.exact(row.name).or_else(|| names.numbered(index, row));
            // What changes the layout serves the operator behind it, whatever it is called.
            known.or_else(|| {
                let free = row.role() != Role::Layout && !row.is_subgraph();
                let by_value = || row.values.iter().find_map(|value| names.value(value));
                free.then(|| by_value().or_else(|| names.derived(row.name, row.op))).flatten()
            })
        });
        let named: Vec<Option<usize>> = named.collect();
        let mut owned = vec![false; index.nodes.len()];
        named.iter().flatten().for_each(|&node| owned[node] = true);
        let when = index.nodes.iter().map(|n| n.outputs.iter().all(|&v| index.is_constant(v)).then_some(0));
        let when = when.collect();
        let (known, nameless) = (HashMap::new(), Nameless::default());
        Self { index, rows, starts: named.clone(), named, known, owned, when, nameless, subgraphs: vec![] }
    }

    /// Goes through the rows in order: what a row needs and none is named by, those without a name have computed.
    fn follow(&mut self) {
        let known: HashSet<&str> = self.index.nodes.iter().map(|node| node.op()).collect();
        // Names that the model doesn't know, more than it does, are of another model: their order tells nothing.
        let foreign = |at: &usize| {
            self.named[*at].is_none() && !self.rows[*at].is_nameless() && !self.rows[*at].serves()
        };
        let foreigners = (0..self.rows.len()).filter(foreign).count();
        let is_other = foreigners > self.named.iter().flatten().count();
        for (at, row) in self.rows.iter().enumerate() {
            match self.named[at] {
                Some(node) => {
                    let start = self.own_product(at, node);
                    self.starts[at] = Some(start);
                    let needed = self.needed(start);
                    self.settle(&needed);
                    self.when[node].get_or_insert(at);
                }
                None if row.is_subgraph() && !known.contains(row.op) => self.subgraphs.push(at),
                None if is_other && !row.is_nameless() => {}
                None => self.nameless.add(at, row),
            }
        }
        let main = |node: &usize| self.index.nodes[*node].owner.is_none();
        let left = (0..self.owned.len()).filter(|&node| !self.owned[node] && self.when[node].is_none());
        let left: Vec<usize> = left.filter(main).collect();
        self.settle(&left);
    }

    /// The product that a row computes which is named by what stands behind it: the row's own, with all in between. Gives the
    /// node that it reads others' values for.
    fn own_product(&mut self, at: usize, node: usize) -> usize {
        /// Nodes of the longest activation that ONNX Runtime folds.
        const MOST: usize = 4;
        let is_product = |node: usize| role(self.index.nodes[node].op()) == Role::Product;
        if self.rows[at].role() != Role::Product || is_product(node) {
            return node;
        }
        let (mut between, mut queue) = (BTreeSet::new(), vec![node]);
        while let Some(next) = queue.pop() {
            let open = |&n: &usize| self.when[n].is_none() && !self.owned[n];
            for before in self.producers(next).filter(open).collect::<Vec<_>>() {
                if is_product(before) {
                    between.iter().chain([&before]).for_each(|&n| self.owned[n] = true);
                    self.when[before] = Some(at);
                    return before;
                }
                if between.len() < MOST && between.insert(before) {
                    queue.push(before);
                }
            }
        }
        node
    }

    fn producers(&self, node: usize) -> impl Iterator<Item = usize> {
        self.index.nodes[node].inputs.iter().flatten().filter_map(|&value| self.index.producer(value))
    }

    /// The nodes before this one that nobody has computed yet, and that no row is named by; ascending.
    fn needed(&self, node: usize) -> Vec<usize> {
        let open = |node: &usize| self.when[*node].is_none() && !self.owned[*node];
        let mut needed = BTreeSet::new();
        let mut queue: Vec<usize> = self.producers(node).filter(open).collect();
        while let Some(next) = queue.pop() {
            if needed.insert(next) {
                queue.extend(self.producers(next).filter(open));
            }
        }
        needed.into_iter().collect()
    }

    /// Shares the nodes that are needed, which are ascending, among the rows that may have computed them.
    fn settle(&mut self, needed: &[usize]) {
        let mut rest = vec![];
        for &node in needed {
            let ready = self.ready(&[node]);
            match self.nameless.take(Some(self.index.nodes[node].op()), ready) {
                Some(row) => {
                    self.named[row] = Some(node);
                    self.own(node, row);
                }
                None => {
                    // It became nothing, or a part of what isn't known yet: it is there when all is that it needs.
                    self.when[node] = Some(ready);
                    rest.push(node);
                }
            }
        }
        if !self.subgraphs.is_empty() {
            return rest.iter().for_each(|&node| self.give(node));
        }
        for part in self.parts(&rest) {
            let Some(row) = self.nameless.take(None, self.ready(&part)) else { continue };
            self.named[row] = part.last().copied();
            part.iter().for_each(|&node| self.own(node, row));
            self.known.insert(row, part);
        }
    }

    fn own(&mut self, node: usize, row: usize) {
        self.nameless.forget(row, &self.rows[row]);
        (self.owned[node], self.when[node]) = (true, Some(row));
    }

    /// The place among the rows at which all is there that nodes need.
    fn ready(&self, nodes: &[usize]) -> usize {
        let before = nodes.iter().flat_map(|&node| self.producers(node));
        before.filter_map(|node| self.when[node]).max().unwrap_or(0)
    }

    /// Gives a node to the first part of the graph that could have computed it: a provider takes as much at once as it can.
    fn give(&mut self, node: usize) {
        let ready = self.ready(&[node]);
        let first = self.subgraphs.partition_point(|&row| row < ready);
        let Some(&row) = self.subgraphs.get(first) else { return };
        self.own(node, row);
        self.known.entry(row).or_default().push(node);
    }

    /// The nodes, which are ascending, as those that hang together, by their first ones.
    fn parts(&self, nodes: &[usize]) -> Vec<Vec<usize>> {
        let place: HashMap<usize, usize> = nodes.iter().enumerate().map(|(at, &node)| (node, at)).collect();
        let mut first: Vec<usize> = (0..nodes.len()).collect();
        fn root(first: &mut [usize], mut at: usize) -> usize {
            while first[at] != at {
                first[at] = first[first[at]];
                at = first[at];
            }
            at
        }
        for (at, &node) in nodes.iter().enumerate() {
            for before in self.producers(node).filter_map(|before| place.get(&before).copied()) {
                let (a, b) = (root(&mut first, at), root(&mut first, before));
                first[a.max(b)] = a.min(b);
            }
        }
        let mut parts: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
        (0..nodes.len()).for_each(|at| parts[root(&mut first, at)].push(nodes[at]));
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Nameless rows that are left are further steps of what the nameless row before them has begun: of a function in whose place
    /// ONNX Runtime put its nodes.
    fn join(&mut self) {
        let mut begun: Option<usize> = None;
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            match (self.named[at], begun) {
                (Some(node), _) => begun = row.is_nameless().then_some(node),
                (None, Some(node)) if row.is_nameless() && !row.serves() && !row.is_subgraph() => {
                    self.named[at] = Some(node);
                    self.nameless.forget(at, row);
                }
                (None, _) => {}
            }
        }
    }

    /// What nobody computes and stands right behind a matrix product is folded into it.
    fn fold(&mut self) {
        /// Nodes of the longest activation that ONNX Runtime folds.
        const MOST: usize = 2;
        let mut seen = HashSet::new();
        for at in 0..self.rows.len() {
            let product = self.named[at].filter(|_| self.rows[at].role() == Role::Product);
            let Some(mut node) = product.filter(|&node| seen.insert(node)) else { continue };
            let addition = addition_behind(self.index, node).filter(|_| self.rows[at].adds);
            if let Some(add) = addition.filter(|&add| !self.owned[add]) {
                self.owned[add] = true;
                node = add;
            }
            while let Some(behind) = function_behind(self.index, node).filter(|nodes| nodes.len() <= MOST) {
                let free = |&node: &usize| {
                    let op = self.index.nodes[node].op();
                    let apart = [Role::Layout, Role::Product, Role::Body].contains(&role(op));
                    !self.owned[node] && !apart && op != "DequantizeLinear"
                };
                if !behind.iter().all(free) {
                    break;
                }
                behind.iter().for_each(|&node| self.owned[node] = true);
                node = behind.last().copied().unwrap_or(node);
            }
            self.named[at] = Some(node);
        }
    }

    fn nodes(self) -> Vec<Vec<usize>> {
        // Layout is changed for who reads it: as a rule the next one, at the end for who wrote it.
        let is_free =
            |at: usize| self.named[at].is_none() && !self.known.contains_key(&at) && self.rows[at].serves();
        let last = (0..self.rows.len()).rev().find(|&at| !is_free(at));
        let (mut next, mut readers) = (last, vec![vec![]; self.rows.len()]);
        for at in (0..self.rows.len()).rev() {
            if !is_free(at) {
                next = Some(at);
                continue;
            }
            let told = self.rows[at].readers.iter().flatten().copied().find(|&row| self.named[row].is_some());
            readers[at] = told.or(next.filter(|&row| self.named[row].is_some())).into_iter().collect();
        }
        let engine_op = |at: usize| EngineOp {
            // It serves the product and not what is folded into that.
            name: self.named[at].or_else(|| self.starts[*readers[at].first()?]),
            role: self.rows[at].role(),
            readers: readers[at].clone(),
        };
        let engine_ops: Vec<EngineOp> = (0..self.rows.len()).map(engine_op).collect();
        let is_tied =
            |at: usize| self.named[at].is_some() || !readers[at].is_empty() || self.known.contains_key(&at);
        let tied: Vec<bool> = (0..self.rows.len()).map(is_tied).collect();
        let known: Vec<(usize, Vec<usize>)> = self.known.into_iter().collect();
        let mut nodes = attribution::attribute_beside(self.index, &engine_ops, &known);
        // Attribution leaves no operator without a node; here one may be of another model.
        nodes.iter_mut().zip(tied).filter(|(_, tied)| !tied).for_each(|(nodes, _)| nodes.clear());
        nodes
    }
}

/// Types of nodes that an operator made of several can be told by: `Conv` of `NhwcFusedConv`, `Sigmoid` of `QuickGelu`.
fn cores(op: &str) -> Vec<&str> {
    const CORES: [(&str, &[&str]); 10] = [
        ("QuickGelu", &["Sigmoid"]),
        ("Gelu", &["Erf", "Tanh"]),
        ("BiasGelu", &["Erf", "Tanh"]),
        ("FastGelu", &["Tanh", "Erf"]),
        ("HardSwish", &["HardSigmoid"]),
        ("Gemm", &["MatMul"]),
        ("SkipLayerNormalization", &["LayerNormalization"]),
        ("DynamicQuantizeMatMul", &["MatMulInteger"]),
        ("MatMulIntegerToFloat", &["MatMulInteger"]),
        ("Upsample", &["Resize"]),
    ];
    const BEFORE: [&str; 4] = ["NhwcFused", "Fused", "Nhwc", "QLinear"];
    match CORES.iter().find(|(made, _)| *made == op) {
        Some((_, cores)) => cores.to_vec(),
        None => BEFORE.iter().find_map(|before| op.strip_prefix(before)).into_iter().collect(),
    }
}
