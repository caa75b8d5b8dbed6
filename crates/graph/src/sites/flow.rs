//! Which values are functions of which: what hangs on one value through element-wise operators alone.
//!
//! A value hangs on the nearest one that all of its inputs hang on. Where that is all that a value goes into, too, the
//! two are the ends of a segment: between them the network does nothing but compute a function, number by number.

use super::own;
use super::program::{self, Arg, MOST_STEPS, Program, Step, What};
use super::tree::Forest;
use crate::onnx::Model;
use crate::onnx::constants::Constants;
use crate::onnx::index::{Index, Node, Source, Use, ValueId};
use crate::onnx::inline::Functions;
use crate::onnx::messages::data_type;
use crate::onnx::tensor;

/// A node that is element-wise.
pub struct Element {
    /// What it computes; its inputs are numbered as the values are.
    step: Step,
    pub output: ValueId,
    /// The values that it reads, without constants, each once.
    pub inputs: Vec<ValueId>,
    /// The quantiser whose numbers it turns back, which counts as a part of it.
    quantiser: Option<usize>,
}

impl Element {
    /// Whether it changes a number's representation and nothing else.
    pub fn passes(&self) -> bool {
        matches!(self.step.what, What::Pass)
    }

    /// The nodes that it is.
    pub fn nodes(&self, index: &Index) -> Vec<usize> {
        index.producer(self.output).into_iter().chain(self.quantiser).collect()
    }

    /// Whether it adds a constant, multiplies by one, or gives on its input.
    pub fn is_affine(&self) -> bool {
        self.inputs.len() == 1 && self.step.is_affine()
    }
}

pub struct Flow<'i, 'm> {
    pub index: &'i Index<'m>,
    pub constants: Constants<'i, 'm>,
    /// By the index of the node; `None` for those that aren't element-wise.
    elements: Vec<Option<Element>>,
    /// Each value hangs on what it is a function of.
    before: Forest,
    /// Each value hangs on what all that reads it goes into.
    after: Forest,
}

/// What lies between a value and another that is a function of it.
#[derive(Clone, Debug)]
pub struct Segment {
    pub from: ValueId,
    pub to: ValueId,
    /// The nodes that compute it, ascending.
    pub nodes: Vec<usize>,
}

impl<'i, 'm> Flow<'i, 'm> {
    pub fn new(model: &'m Model, index: &'i Index<'m>) -> Self {
        let functions = Functions::of(&model.proto);
        let mut flow = Self {
            index,
            constants: Constants::new(index),
            elements: vec![],
            before: Forest::new(index.len()),
            after: Forest::new(index.len()),
        };
        flow.elements = index.nodes.iter().map(|node| flow.element(node, &functions)).collect();
        flow.hang_on_inputs();
        flow.hang_on_readers();
        flow
    }

    fn element(&self, node: &Node, functions: &Functions) -> Option<Element> {
        let output = *node.outputs.first()?;
        // Only the first output of any operator here is a number for each; others must not be read.
        let others_read = node.outputs[1..].iter().any(|&other| !self.index.uses(other).is_empty());
        if self.index.is_constant(output) || others_read || node.domain() == own::DOMAIN {
            return None;
        }
        let quantiser = self.quantiser(node);
        let (step, sources) = match quantiser {
            Some(quantiser) => {
                let x = self.index.nodes[quantiser].inputs.first().copied().flatten()?;
                (Step { what: What::Pass, args: vec![Arg::Input(x)] }, vec![x])
            }
            None => {
                let args = node.inputs.iter().map(|input| input.map(|value| self.arg(value))).collect();
                (program::step(node.proto, args, functions)?, node.inputs.iter().flatten().copied().collect())
            }
        };
        let varies = |&v: &ValueId| !self.index.is_constant(v) && self.same_everywhere(v).is_none();
        let mut inputs: Vec<ValueId> = sources.into_iter().filter(varies).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let numbers = inputs.iter().chain([&output]).all(|&v| self.may_be_float(v));
        (numbers && !inputs.is_empty()).then_some(Element { step, output, inputs, quantiser })
    }

    /// The node that a dequantiser reads from, where that is a quantiser and their scales are known.
    fn quantiser(&self, node: &Node) -> Option<usize> {
        let quantised = node.inputs.first().copied().flatten().filter(|_| node.is("DequantizeLinear"))?;
        let producer = self.index.producer(quantised)?;
        let both = [node, &self.index.nodes[producer]];
        let known =
            both.iter().all(|n| n.inputs.iter().skip(1).flatten().all(|&v| self.index.is_constant(v)));
        (known && both[1].is("QuantizeLinear")).then_some(producer)
    }

    fn arg(&self, value: ValueId) -> Arg {
        if !self.index.is_constant(value) {
            return self.same_everywhere(value).map_or(Arg::Input(value), Arg::Number);
        }
        match self.constants.get(value) {
            Some(numbers) => match numbers.single() {
                Some(number) => Arg::Number(number),
                None => Arg::Tensor(numbers, self.index.name(value).into()),
            },
            None => Arg::Unread(self.index.name(value).into()),
        }
    }

    /// The number that every element of a value is, though its shape follows another value's: as zeros like that one.
    fn same_everywhere(&self, value: ValueId) -> Option<f64> {
        let node = &self.index.nodes[self.index.producer(value)?];
        let input = |i: usize| node.inputs.get(i).copied().flatten();
        match node.op() {
            "ConstantOfShape" if node.domain().is_empty() => {
                let tensor = node.attribute("value").and_then(|a| a.t.as_ref());
                tensor.map_or(Some(0.0), |t| tensor::numbers(t, None, 1)?.first().copied())
            }
            "Expand" if node.domain().is_empty() => self.constants.get(input(0)?)?.single(),
            _ => None,
        }
    }

    /// Whether a value is a float, or the truth of a comparison, as far as can be told.
    fn may_be_float(&self, value: ValueId) -> bool {
        self.index.data_type(value).is_none_or(|kind| is_float(kind) || kind == data_type::BOOL)
    }

    fn hang_on_inputs(&mut self) {
        for element in self.elements.iter().flatten() {
            let common = element.inputs.iter().copied().map(Some);
            let common = common.reduce(|a, b| self.before.common(a?, b?)).flatten();
            if let Some(parent) = common {
                self.before.hang(element.output, parent);
            }
        }
    }

    fn hang_on_readers(&mut self) {
        // A value is defined before its readers' outputs are.
        for value in (0..self.index.len()).rev() {
            let readers = self.readers(value).filter(|readers| !readers.is_empty());
            let common = readers.and_then(|readers| {
                readers.into_iter().map(Some).reduce(|a, b| self.after.common(a?, b?)).flatten()
            });
            if let Some(parent) = common {
                self.after.hang(value, parent);
            }
        }
    }

    /// The values that are made of a value element-wise, if that is all that it is used for.
    fn readers(&self, value: ValueId) -> Option<Vec<ValueId>> {
        let mut readers = vec![];
        for user in self.index.uses(value) {
            let Use::Node(node, _) = *user else { return None };
            // A body may not run, or may run often.
            if self.index.nodes[node].graph != self.index.graph(value) {
                return None;
            }
            if self.index.nodes[node].is("QuantizeLinear") {
                readers.extend(self.dequantised(node)?);
            } else {
                readers.push(self.elements[node].as_ref()?.output);
            }
        }
        Some(readers)
    }

    /// The values that a quantiser's numbers are turned back to, if that is all that they are used for.
    fn dequantised(&self, quantiser: usize) -> Option<Vec<ValueId>> {
        let quantised = *self.index.nodes[quantiser].outputs.first()?;
        let back = |user: &Use| match *user {
            Use::Node(node, _) => {
                let element = self.elements[node].as_ref()?;
                (element.quantiser == Some(quantiser)).then_some(element.output)
            }
            _ => None,
        };
        self.index.uses(quantised).iter().map(back).collect()
    }

    /// The element that makes a value.
    pub fn maker(&self, value: ValueId) -> Option<&Element> {
        match self.index.source(value) {
            Source::Node(node, 0) => self.elements[node].as_ref(),
            _ => None,
        }
    }

    /// The nearest value that a value is a function of.
    pub fn base(&self, value: ValueId) -> Option<ValueId> {
        self.before.parent(value)
    }

    /// The nearest value that all that is made of a value goes into.
    pub fn goes_into(&self, value: ValueId) -> Option<ValueId> {
        self.after.parent(value)
    }

    /// Whether two values are functions of one value, which may be one of them.
    pub fn hang_together(&self, a: ValueId, b: ValueId) -> bool {
        self.before.common(a, b).is_some()
    }

    /// The nodes between a value and the one that it hangs on; `None` where there are too many for an activation.
    pub fn segment(&self, to: ValueId) -> Option<Segment> {
        let from = self.base(to)?;
        let mut nodes = vec![];
        let mut open = vec![to];
        while let Some(value) = open.pop() {
            let producer = self.index.producer(value)?;
            if value == from || nodes.contains(&producer) {
                continue;
            }
            let element = self.elements[producer].as_ref()?;
            nodes.push(producer);
            nodes.extend(element.quantiser);
            open.extend(element.inputs.iter().filter(|&&v| v != from));
            if nodes.len() > MOST_STEPS {
                return None;
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        let graph = self.index.graph(to);
        nodes.iter().all(|&n| self.index.nodes[n].graph == graph).then_some(Segment { from, to, nodes })
    }

    /// The function that nodes compute between two values.
    pub fn program(&self, from: ValueId, nodes: &[usize]) -> Option<Program> {
        let elements: Vec<&Element> = nodes.iter().filter_map(|&n| self.elements[n].as_ref()).collect();
        // Outputs are numbered in the order of the nodes.
        let local = |arg: &Arg| match arg {
            Arg::Input(value) if *value == from => Some(Arg::Input(0)),
            Arg::Input(value) => elements.binary_search_by_key(value, |e| e.output).ok().map(Arg::Step),
            other => Some(other.clone()),
        };
        let step = |element: &&Element| {
            let args = element.step.args.iter().map(local).collect::<Option<_>>()?;
            Some(Step { what: element.step.what.clone(), args })
        };
        let steps: Vec<Step> = elements.iter().map(step).collect::<Option<_>>()?;
        (!steps.is_empty()).then_some(Program { steps })
    }

    /// The first value among those that nodes make, other than their last, that something else reads, and the reader:
    /// `None` for an output.
    pub fn read_elsewhere(&self, nodes: &[usize], last: ValueId) -> Option<(ValueId, Option<usize>)> {
        let values = nodes.iter().flat_map(|&n| &self.index.nodes[n].outputs).copied().filter(|&v| v != last);
        for value in values {
            for user in self.index.uses(value) {
                match *user {
                    Use::Node(reader, _) if nodes.binary_search(&reader).is_ok() => {}
                    Use::Node(reader, _) => return Some((value, Some(reader))),
                    Use::ModelOutput | Use::BodyOutput(_) => return Some((value, None)),
                }
            }
        }
        None
    }

    /// How many dimensions the result of nodes has more than `from`, by the constants that they read. Fails with a reason
    /// where that can't be told, or where a constant makes the value larger.
    pub fn raised_rank(&self, from: ValueId, nodes: &[usize]) -> Result<usize, String> {
        let sizes = self.index.sizes(from);
        let rank = self.index.rank(from);
        let (mut most, mut of_ones) = (0, 0);
        for &node in nodes {
            // A slope is spread over the input, never the input over it; scales have no say in shapes.
            if ["PRelu", "QuantizeLinear", "DequantizeLinear"].contains(&self.index.nodes[node].op()) {
                continue;
            }
            for &value in
                self.index.nodes[node].inputs.iter().flatten().filter(|&&v| self.index.is_constant(v))
            {
                let Some(dims) = self.dims(value) else { continue };
                most = most.max(dims.len());
                if dims.iter().all(|&d| d == 1) {
                    of_ones = of_ones.max(dims.len());
                }
                let larger = |(i, &own): (usize, &usize)| {
                    let theirs = sizes.as_ref().and_then(|sizes| *sizes.iter().rev().nth(i)?);
                    own != 1 && theirs.is_some_and(|theirs| theirs != own)
                };
                let beyond = |(i, &own): (usize, &usize)| own != 1 && rank.is_some_and(|rank| i >= rank);
                if dims.iter().rev().enumerate().any(|at| larger(at) || beyond(at)) {
                    return Err(format!(
                        "has a constant, {}, that makes its value larger",
                        self.index.name(value)
                    ));
                }
            }
        }
        match rank {
            Some(rank) => Ok(most.saturating_sub(rank)),
            None if of_ones > 1 => Err(format!(
                "has a constant of {of_ones} dimensions, and the file doesn't say how many its input has"
            )),
            None => Ok(0),
        }
    }

    fn dims(&self, value: ValueId) -> Option<Vec<usize>> {
        self.index
            .sizes(value)
            .and_then(|sizes| sizes.into_iter().collect())
            .or_else(|| Some(self.constants.get(value)?.dims.clone()))
    }
}

/// Whether an ONNX element type is one of floats.
pub fn is_float(kind: i32) -> bool {
    matches!(kind, data_type::FLOAT | data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE)
}
