//! A piece of a graph as a function of one number: element-wise operators, step by step.
//!
//! It is evaluated in double precision, whatever the model's type, and shown as a formula. Calls of functions that the
//! model brings along are steps, too, where all in them is element-wise.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::activation::samples::{Samples, points};
use crate::onnx::constants::Numbers;
use crate::onnx::inline::Functions;
use crate::onnx::messages::{AttributeProto, FunctionProto, NodeProto, TensorProto, data_type};
use crate::onnx::operators::{self, Operator};
use crate::onnx::tensor;

/// More steps are no activation.
pub const MOST_STEPS: usize = 160;
/// Functions that call functions, so deep at most.
const DEEPEST_CALL: usize = 8;
/// Of constants that differ by channel, so many channels are looked at.
const CHANNELS: usize = 8;

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
    build(node, args, functions, &Call { attributes: &[], defaults: &[] }, 0)
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

fn build(
    node: &NodeProto,
    args: Vec<Option<Arg>>,
    functions: &Functions,
    call: &Call,
    depth: usize,
) -> Option<Step> {
    if let Some(function) = functions.get(node) {
        let bound = |a: &AttributeProto| {
            let value = call.attribute(node, a.name())?;
            Some(AttributeProto { name: a.name.clone(), ref_attr_name: None, ..value.clone() })
        };
        let attributes: Vec<AttributeProto> = node.attribute.iter().filter_map(bound).collect();
        let outer = Call { attributes: &attributes, defaults: &function.attribute_proto };
        let program = body(function, functions, &outer, depth + 1)?;
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
    let body = body(function, functions, &Call { attributes: &[], defaults: &function.attribute_proto }, 0);
    let plain = |body: &Program| body.operators().iter().all(|op| PLAIN.contains(op));
    body.is_some_and(|body| function.input.len() == 1 || plain(&body))
}

/// A function's body as a program of the function's inputs; `None` unless all in it is element-wise and it puts out one
/// value.
fn body(function: &FunctionProto, functions: &Functions, call: &Call, depth: usize) -> Option<Program> {
    if depth > DEEPEST_CALL || function.node.len() > MOST_STEPS || function.output.len() != 1 {
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
        let step = build(node, args.collect::<Option<_>>()?, functions, call, depth)?;
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
    /// Its values at the points where functions are sampled: of the whole where it has no constants that differ by
    /// channel, else of some channels. `None` where it reads a constant that isn't looked into, or constants of
    /// different channels.
    pub fn samples(&self) -> Option<Vec<Samples>> {
        let channels = self.channels()?;
        let picked =
            (0..channels.min(CHANNELS)).map(|i| i * (channels - 1) / (channels.min(CHANNELS) - 1).max(1));
        picked.map(|channel| self.sample(channel)).collect()
    }

    /// The function of its one input in a channel.
    fn sample(&self, channel: usize) -> Option<Samples> {
        let at = |&x: &f64| self.value(&[x], channel);
        Some(Samples(points().iter().map(at).collect::<Option<_>>()?))
    }

    fn value(&self, inputs: &[f64], channel: usize) -> Option<f64> {
        let mut values: Vec<f64> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let read = |arg: &Arg| match arg {
                Arg::Input(i) => inputs.get(*i).copied(),
                Arg::Step(i) => values.get(*i).copied(),
                Arg::Number(v) => Some(*v),
                Arg::Tensor(numbers, _) => numbers.values.get(channel).copied(),
                Arg::Unread(_) => None,
            };
            let args = step.args.iter().map(read).collect::<Option<Vec<f64>>>()?;
            values.push(match &step.what {
                What::Operator { operator, numbers, text } => operator.value(&args, numbers, text)?,
                What::Pass => args[0],
                What::Call(program) => program.value(&args, channel)?,
            });
        }
        values.last().copied()
    }

    fn args(&self) -> impl Iterator<Item = &Arg> {
        self.steps.iter().flat_map(|step| &step.args)
    }

    /// How many channels its constants tell apart.
    fn channels(&self) -> Option<usize> {
        let mut channels: Option<Vec<usize>> = None;
        for arg in self.args() {
            if let Arg::Tensor(numbers, _) = arg {
                let own = stripped(&numbers.dims);
                if channels.as_ref().is_some_and(|other| *other != own) {
                    return None;
                }
                channels = Some(own);
            }
        }
        Some(channels.map_or(1, |dims| dims.iter().product()))
    }

    /// Whether each step adds a constant, multiplies by one, or gives on its input.
    pub fn is_affine_by_steps(&self) -> bool {
        self.steps.iter().all(Step::is_affine)
    }

    /// The names of its operators, those of called functions included.
    pub fn operators(&self) -> Vec<&str> {
        let of = |step: &'_ Step| -> Vec<&'static str> {
            match &step.what {
                What::Operator { operator, .. } => vec![operator.name],
                What::Pass => vec![],
                What::Call(program) => program
                    .steps
                    .iter()
                    .filter_map(|s| match &s.what {
                        What::Operator { operator, .. } => Some(operator.name),
                        _ => None,
                    })
                    .collect(),
            }
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

    /// The formula of its result, `x` being its input; cut short where it is long.
    pub fn formula(&self) -> String {
        const LONGEST: usize = 100;
        const MOST_PARTS: usize = 400;
        let writer = Writer { program: self, left: Cell::new(MOST_PARTS) };
        let text = writer.result(&[Text { text: "x".to_owned(), binds: Binds::Alone }]).text;
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

fn stripped(dims: &[usize]) -> Vec<usize> {
    dims.iter().copied().filter(|&d| d != 1).collect()
}

/// How tightly a part of a formula holds together.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Binds {
    Comparison,
    Sum,
    Product,
    Alone,
}

/// A part of a formula.
#[derive(Clone)]
struct Text {
    text: String,
    binds: Binds,
}

impl Text {
    /// In brackets unless it holds together as tightly as asked.
    fn at_least(&self, binds: Binds) -> String {
        if self.binds >= binds { self.text.clone() } else { format!("({})", self.text) }
    }
}

struct Writer<'p> {
    program: &'p Program,
    /// Parts that may still be written: what occurs twice is written twice, and could double with each step.
    left: Cell<usize>,
}

impl Writer<'_> {
    /// The text of the last step, given those of the inputs.
    fn result(&self, inputs: &[Text]) -> Text {
        self.step(self.program.steps.len() - 1, inputs)
    }

    fn step(&self, i: usize, inputs: &[Text]) -> Text {
        if self.left.get() == 0 {
            return Text { text: "…".to_owned(), binds: Binds::Alone };
        }
        self.left.set(self.left.get() - 1);
        let step = &self.program.steps[i];
        let args: Vec<Text> = step.args.iter().map(|arg| self.arg(arg, inputs)).collect();
        match &step.what {
            What::Pass => args[0].clone(),
            What::Call(program) => Writer { program, left: self.left.clone() }.result(&args),
            What::Operator { operator, numbers, text } => match (operator.sign, args.as_slice()) {
                (Some(sign), [a, b]) => infix(sign, a, b),
                _ => call(operator, &args, numbers, text),
            },
        }
    }

    fn arg(&self, arg: &Arg, inputs: &[Text]) -> Text {
        let alone = |text: String| Text { text, binds: Binds::Alone };
        match arg {
            Arg::Input(i) => inputs.get(*i).cloned().unwrap_or_else(|| alone("?".to_owned())),
            Arg::Step(i) => self.step(*i, inputs),
            Arg::Number(v) if *v < 0.0 => Text { text: (*v as f32).to_string(), binds: Binds::Sum },
            Arg::Number(v) => alone((*v as f32).to_string()),
            Arg::Tensor(_, name) | Arg::Unread(name) => alone(name.to_string()),
        }
    }
}

fn infix(sign: &str, a: &Text, b: &Text) -> Text {
    let binds = match sign {
        "+" | "-" => Binds::Sum,
        "*" | "/" => Binds::Product,
        _ => Binds::Comparison,
    };
    let tighter = match binds {
        Binds::Comparison => Binds::Sum,
        Binds::Sum => Binds::Product,
        _ => Binds::Alone,
    };
    // a - (b + c) and a / (b * c) need their brackets.
    let right = if matches!(sign, "+" | "*") { binds } else { tighter };
    let left = if binds == Binds::Comparison { tighter } else { binds };
    Text { text: format!("{} {sign} {}", a.at_least(left), b.at_least(right)), binds }
}

fn call(operator: &Operator, args: &[Text], numbers: &[f64], text: &str) -> Text {
    let inputs = args.iter().map(|arg| arg.text.clone());
    let numbers = operator.numbers.iter().zip(numbers).map(|((name, _), v)| format!("{name}={}", *v as f32));
    let text = operator.text.map(|(name, _)| format!("{name}={text}"));
    let parts: Vec<String> = inputs.chain(numbers).chain(text).collect();
    Text { text: format!("{}({})", operator.name, parts.join(", ")), binds: Binds::Alone }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, args: Vec<Arg>) -> Step {
        let operator = operators::find(name, args.len()).unwrap();
        Step { what: What::Operator { operator, numbers: vec![], text: "".into() }, args }
    }

    fn snake() -> Program {
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

    #[test]
    fn a_formula_has_the_brackets_that_it_needs() {
        assert_eq!(snake().formula(), "x + Pow(Sin(x * 0.5), 2) * 2");
        let difference = Program {
            steps: vec![
                operator("Add", vec![Arg::Input(0), Arg::Number(1.0)]),
                operator("Sub", vec![Arg::Number(2.0), Arg::Step(0)]),
                operator("Div", vec![Arg::Step(1), Arg::Step(0)]),
            ],
        };
        assert_eq!(difference.formula(), "(2 - (x + 1)) / (x + 1)");
    }

    #[test]
    fn a_program_is_evaluated_at_every_point() {
        let samples = snake().samples().unwrap();
        assert_eq!(samples.len(), 1);
        assert!((samples[0].at(1.0) - (1.0 + 2.0 * 0.5f64.sin().powi(2))).abs() < 1e-15);
    }

    #[test]
    fn constants_of_channels_are_looked_at_channel_by_channel() {
        let tensor = |dims: Vec<usize>, values: Vec<f64>| {
            Arg::Tensor(Rc::new(Numbers { dims, values }), "slope".into())
        };
        let scaled = |arg| Program { steps: vec![operator("Mul", vec![Arg::Input(0), arg])] };
        let samples = scaled(tensor(vec![1, 3, 1, 1], vec![1.0, 2.0, 3.0])).samples().unwrap();
        assert_eq!(samples.iter().map(|s| s.at(1.0)).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        let mut different = scaled(tensor(vec![3, 1], vec![1.0, 2.0, 3.0]));
        different.steps.push(operator("Add", vec![Arg::Step(0), tensor(vec![4], vec![1.0; 4])]));
        assert!(different.samples().is_none());
    }

    #[test]
    fn a_doubling_formula_is_cut_short() {
        let doubled = |i: usize| {
            operator("Add", if i == 0 { vec![Arg::Input(0); 2] } else { vec![Arg::Step(i - 1); 2] })
        };
        let text = Program { steps: (0..100).map(doubled).collect() }.formula();
        assert!(text.chars().count() <= 101 && text.ends_with('…'), "{text}");
    }

    #[test]
    fn different_programs_have_different_keys() {
        let with = |v| Program { steps: vec![operator("Mul", vec![Arg::Input(0), Arg::Number(v)])] }.key();
        assert_eq!(with(1.0), with(1.0));
        assert_ne!(with(1.0), with(2.0));
        assert_ne!(with(1.0), snake().key());
    }
}
