//! A piece of a graph as a function of one number: element-wise operators, step by step.
//!
//! `curve` evaluates it, `text` shows it as a formula. Calls of functions that the model brings along are steps, too, where
//! all in them is element-wise.

use std::collections::HashMap;
use std::rc::Rc;

use crate::onnx::constants::Numbers;
use crate::onnx::inline::Functions;
use crate::onnx::messages::{AttributeProto, FunctionProto, NodeProto, TensorProto, data_type};
use crate::onnx::operators::{self, Operator};
use crate::onnx::tensor;

/// More steps are no activation.
pub const MOST_STEPS: usize = 160;

/// What a step reads.
#[derive(Clone, Debug)]
pub enum Arg {
    /// An input of the program, by its number.
    Input(usize),
    /// The result of an earlier step.
    Step(usize),
    Number(f64),
    /// A number for each channel, with the constant's name.
    Tensor(Rc<Numbers>, Rc<str>),
    /// A constant that isn't looked into, by its name.
    Unread(Rc<str>),
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum What {
    /// An operator, with the values of its attributes.
    Operator {
        operator: &'static Operator,
        numbers: Vec<f64>,
        text: Rc<str>,
    },
    /// Gives on its first input: it changes a number's representation and nothing else.
    Pass,
    Call(Rc<Program>),
}

#[derive(Clone, Debug)]
pub struct Step {
    pub what: What,
    pub args: Vec<Arg>,
}

impl Step {
    /// Whether it adds a constant, multiplies by one, or gives on its input.
    pub fn is_affine(&self) -> bool {
        let constant = |i: usize| !matches!(self.args.get(i), Some(Arg::Input(_) | Arg::Step(_)));
        match &self.what {
            What::Pass => true,
            What::Call(program) => program.steps.iter().all(Self::is_affine),
            What::Operator { operator, .. } => match operator.name {
                "Neg" => true,
                "Add" | "Sub" | "Mul" => constant(0) || constant(1),
                "Div" => constant(1),
                "Sum" => (0..self.args.len()).filter(|&i| !constant(i)).count() == 1,
                _ => false,
            },
        }
    }
}

/// Steps, of which the last is the result.
#[derive(Clone, Debug)]
pub struct Program {
    pub steps: Vec<Step>,
}

/// The step that a node is, given what it reads; `None` for a node that isn't element-wise, and for an input left out
/// that it needs.
pub fn step(node: &NodeProto, args: Vec<Option<Arg>>, functions: &Functions) -> Option<Step> {
    build(node, args, functions, &Call { attributes: &[], defaults: &[] })
}

/// The attributes of the call in which a function's node stands.
struct Call<'c> {
    attributes: &'c [AttributeProto],
    defaults: &'c [AttributeProto],
}

impl Call<'_> {
    /// A node's attribute, or what the call has for the one that it refers to.
    fn attribute<'n>(&'n self, node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
        let own = node.attribute.iter().find(|a| a.name.as_deref() == Some(name))?;
        match own.ref_attr_name.as_deref().filter(|r| !r.is_empty()) {
            None => Some(own),
            Some(reference) => {
                self.attributes.iter().chain(self.defaults).find(|a| a.name.as_deref() == Some(reference))
            }
        }
    }
}

fn build(node: &NodeProto, args: Vec<Option<Arg>>, functions: &Functions, call: &Call) -> Option<Step> {
    if let Some(function) = functions.get(node) {
        let bound = |a: &AttributeProto| {
            let value = call.attribute(node, a.name())?;
            Some(AttributeProto { name: a.name.clone(), ref_attr_name: None, ..value.clone() })
        };
        let attributes: Vec<AttributeProto> = node.attribute.iter().filter_map(bound).collect();
        let outer = Call { attributes: &attributes, defaults: &function.attribute_proto };
        let program = body(function, functions, &outer)?;
        return Some(Step {
            what: What::Call(Rc::new(program)),
            args: args.into_iter().collect::<Option<_>>()?,
        });
    }
    let domain = if node.domain() == "ai.onnx" { "" } else { node.domain() };
    let op = node.op_type();
    let number = |name: &str| call.attribute(node, name).and_then(|a| a.f).map(f64::from);
    let pass =
        |args: Vec<Option<Arg>>| Some(Step { what: What::Pass, args: vec![args.into_iter().next()??] });
    let args = match (domain, op) {
        ("", "Identity") => return pass(args),
        ("", "Dropout") => {
            // In training it draws numbers; where the mode is an input, it must be known not to be.
            let training = !matches!(args.get(2), None | Some(None | Some(Arg::Number(0.0))));
            return if training { None } else { pass(args) };
        }
        ("", "Cast") => {
            let to = call.attribute(node, "to")?.i?;
            return if is_float(i32::try_from(to).ok()?) { pass(args) } else { None };
        }
        ("", "CastLike") => return pass(args),
        ("", "Clip") => {
            let mut args = args.into_iter();
            let x = args.next()??;
            let low = args
                .next()
                .flatten()
                .or(number("min").map(Arg::Number))
                .unwrap_or(Arg::Number(f64::NEG_INFINITY));
            let high = args
                .next()
                .flatten()
                .or(number("max").map(Arg::Number))
                .unwrap_or(Arg::Number(f64::INFINITY));
            vec![Some(x), Some(low), Some(high)]
        }
        _ => args,
    };
    let args = args.into_iter().collect::<Option<Vec<Arg>>>()?;
    let operator = operators::in_domain(domain, op, args.len())?;
    let numbers = operator.numbers.iter().map(|&(name, default)| number(name).unwrap_or(default)).collect();
    let text = operator.text.map(|(name, default)| {
        let given = call.attribute(node, name).and_then(|a| a.s.as_deref()).map(String::from_utf8_lossy);
        given.map_or(default.to_owned(), |text| text.into_owned())
    });
    Some(Step { what: What::Operator { operator, numbers, text: text.unwrap_or_default().into() }, args })
}

fn is_float(kind: i32) -> bool {
    matches!(kind, data_type::FLOAT | data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE)
}

/// Whether a function is taken as it is: it is element-wise, and computes something of one value, or no more than sums and
/// products of several.
pub fn is_one_step(function: &FunctionProto, functions: &Functions) -> bool {
    const PLAIN: [&str; 6] = ["Add", "Sub", "Mul", "Div", "Neg", "Sum"];
    let body = body(function, functions, &Call { attributes: &[], defaults: &function.attribute_proto });
    let plain = |body: &Program| body.operators().iter().all(|op| PLAIN.contains(op));
    body.is_some_and(|body| function.input.len() == 1 || plain(&body))
}

/// A function's body as a program of the function's inputs; `None` unless all in it is element-wise and it puts out one
/// value.
fn body(function: &FunctionProto, functions: &Functions, call: &Call) -> Option<Program> {
    let too_long = || functions.size(&function.node).is_none_or(|size| size > MOST_STEPS);
    if function.output.len() != 1 || function.node.len() > MOST_STEPS || too_long() {
        return None;
    }
    let mut known: HashMap<&str, Arg> =
        function.input.iter().enumerate().map(|(i, name)| (name.as_str(), Arg::Input(i))).collect();
    let mut steps = vec![];
    for node in &function.node {
        let [output] = node.output.as_slice() else { return None };
        if node.op_type() == "Constant" {
            known.insert(output, constant(node, call)?);
            continue;
        }
        let args = node.input.iter().map(|name| {
            if name.is_empty() { Some(None) } else { known.get(name.as_str()).cloned().map(Some) }
        });
        let step = build(node, args.collect::<Option<_>>()?, functions, call)?;
        known.insert(output, folded(&step).map_or(Arg::Step(steps.len()), Arg::Number));
        steps.push(step);
    }
    // The last step is the result; one that isn't goes on to it.
    let result = known.remove(function.output[0].as_str())?;
    if !matches!(result, Arg::Step(i) if i + 1 == steps.len()) {
        steps.push(Step { what: What::Pass, args: vec![result] });
    }
    Some(Program { steps })
}

/// The number that a step of numbers makes.
fn folded(step: &Step) -> Option<f64> {
    let numbers = step.args.iter().map(|arg| if let Arg::Number(v) = arg { Some(*v) } else { None });
    let numbers: Vec<f64> = numbers.collect::<Option<_>>()?;
    match &step.what {
        What::Operator { operator, numbers: attributes, text } => operator.value(&numbers, attributes, text),
        What::Pass => numbers.first().copied(),
        What::Call(_) => None,
    }
}

fn constant(node: &NodeProto, call: &Call) -> Option<Arg> {
    let float = |name: &str| call.attribute(node, name)?.f.map(f64::from);
    let integer = |name: &str| call.attribute(node, name)?.i.map(|i| i as f64);
    let of = |t: &TensorProto| tensor::numbers(t, None, 1)?.first().copied();
    let value = call.attribute(node, "value").and_then(|a| of(a.t.as_ref()?));
    value.or_else(|| float("value_float")).or_else(|| integer("value_int")).map(Arg::Number)
}

impl Program {
    /// Whether each step adds a constant, multiplies by one, or gives on its input.
    pub fn is_affine_by_steps(&self) -> bool {
        self.steps.iter().all(Step::is_affine)
    }

    /// The names of its operators, those of called functions included.
    pub fn operators(&self) -> Vec<&'static str> {
        let of = |step: &Step| match &step.what {
            What::Operator { operator, .. } => vec![operator.name],
            What::Pass => vec![],
            What::Call(program) => program.operators(),
        };
        self.steps.iter().flat_map(of).collect()
    }

    /// Words that are the same for two programs only if the programs are.
    pub fn key(&self) -> Vec<u64> {
        let mut words = vec![];
        self.write_key(&mut words);
        words
    }

    fn write_key(&self, words: &mut Vec<u64>) {
        words.push(self.steps.len() as u64);
        for step in &self.steps {
            match &step.what {
                What::Operator { operator, numbers, text } => {
                    words.push(std::ptr::from_ref(*operator) as u64);
                    words.extend(numbers.iter().map(|v| v.to_bits()));
                    words.push(text.len() as u64);
                    words.extend(text.bytes().map(u64::from));
                }
                What::Pass => words.push(1),
                What::Call(program) => program.write_key(words),
            }
            words.push(step.args.len() as u64);
            for arg in &step.args {
                match arg {
                    Arg::Input(i) => words.extend([2, *i as u64]),
                    Arg::Step(i) => words.extend([3, *i as u64]),
                    Arg::Number(v) => words.extend([4, v.to_bits()]),
                    // Its name stands for it.
                    Arg::Tensor(numbers, _) => words.extend([5, Rc::as_ptr(numbers) as u64]),
                    Arg::Unread(name) => words.extend([6, Rc::as_ptr(name).addr() as u64]),
                }
            }
        }
    }
}

/// Programs for tests.
#[cfg(test)]
pub mod example {
    use super::*;

    pub fn operator(name: &str, args: Vec<Arg>) -> Step {
        let operator = operators::find(name, args.len()).unwrap();
        Step { what: What::Operator { operator, numbers: vec![], text: "".into() }, args }
    }

    pub fn snake() -> Program {
        let half = Arg::Number(0.5);
        Program {
            steps: vec![
                operator("Mul", vec![Arg::Input(0), half]),
                operator("Sin", vec![Arg::Step(0)]),
                operator("Pow", vec![Arg::Step(1), Arg::Number(2.0)]),
                operator("Mul", vec![Arg::Step(2), Arg::Number(2.0)]),
                operator("Add", vec![Arg::Input(0), Arg::Step(3)]),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::example::{operator, snake};
    use super::*;

    #[test]
    fn different_programs_have_different_keys() {
        let with = |v| Program { steps: vec![operator("Mul", vec![Arg::Input(0), Arg::Number(v)])] }.key();
        assert_eq!(with(1.0), with(1.0));
        assert_ne!(with(1.0), with(2.0));
        assert_ne!(with(1.0), snake().key());
    }
}
