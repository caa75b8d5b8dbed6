//! A program as a formula that people read.

use std::cell::Cell;

use super::program::{Arg, Program, What};
use crate::onnx::operators::Operator;

impl Program {
    /// The formula of its result, `x` being its input; cut short where it is long.
    pub fn formula(&self) -> String {
        const MOST_PARTS: usize = 400;
        let writer = Writer { program: self, left: &Cell::new(MOST_PARTS) };
        let text = writer.result(&[Text::new("x".to_owned(), Binds::Alone)]).text;
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// A formula is shown so far, in characters.
const LONGEST: usize = 100;

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
    /// Only what could be shown of it: what an input is made of can double with each call that reads it twice.
    fn new(mut text: String, binds: Binds) -> Self {
        if let Some((end, _)) = text.char_indices().nth(LONGEST + 1) {
            text.truncate(end);
        }
        Self { text, binds }
    }

    /// In brackets unless it holds together as tightly as asked.
    fn at_least(&self, binds: Binds) -> String {
        if self.binds >= binds { self.text.clone() } else { format!("({})", self.text) }
    }
}

struct Writer<'p> {
    program: &'p Program,
    /// Parts that may still be written: what occurs twice is written twice, and could double with each step.
    left: &'p Cell<usize>,
}

impl Writer<'_> {
    /// The text of the last step, given those of the inputs.
    fn result(&self, inputs: &[Text]) -> Text {
        self.step(self.program.steps.len() - 1, inputs)
    }

    fn step(&self, i: usize, inputs: &[Text]) -> Text {
        if self.left.get() == 0 {
            return Text::new("…".to_owned(), Binds::Alone);
        }
        self.left.set(self.left.get() - 1);
        let step = &self.program.steps[i];
        let args: Vec<Text> = step.args.iter().map(|arg| self.arg(arg, inputs)).collect();
        match &step.what {
            What::Pass => args[0].clone(),
            What::Call(program) => Writer { program, left: self.left }.result(&args),
            What::Operator { operator, numbers, text } => match (operator.sign, args.as_slice()) {
                (Some(sign), [a, b]) => infix(sign, a, b),
                _ => call(operator, &args, numbers, text),
            },
        }
    }

    fn arg(&self, arg: &Arg, inputs: &[Text]) -> Text {
        let alone = |text: String| Text::new(text, Binds::Alone);
        match arg {
            Arg::Input(i) => inputs.get(*i).cloned().unwrap_or_else(|| alone("?".to_owned())),
            Arg::Step(i) => self.step(*i, inputs),
            Arg::Number(v) if *v < 0.0 => Text::new((*v as f32).to_string(), Binds::Sum),
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
    Text::new(format!("{} {sign} {}", a.at_least(left), b.at_least(right)), binds)
}

fn call(operator: &Operator, args: &[Text], numbers: &[f64], text: &str) -> Text {
    let inputs = args.iter().map(|arg| arg.text.clone());
    let numbers = operator.numbers.iter().zip(numbers).map(|((name, _), v)| format!("{name}={}", *v as f32));
    let text = operator.text.map(|(name, _)| format!("{name}={text}"));
    let parts: Vec<String> = inputs.chain(numbers).chain(text).collect();
    Text::new(format!("{}({})", operator.name, parts.join(", ")), Binds::Alone)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::program::Step;
    use super::super::program::example::{operator, snake};
    use super::*;

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
    fn a_doubling_formula_is_cut_short() {
        let doubled = |i: usize| {
            operator("Add", if i == 0 { vec![Arg::Input(0); 2] } else { vec![Arg::Step(i - 1); 2] })
        };
        let text = Program { steps: (0..100).map(doubled).collect() }.formula();
        assert!(text.chars().count() <= 101 && text.ends_with('…'), "{text}");
    }

    #[test]
    fn calls_that_double_their_input_are_cut_short() {
        let square = Rc::new(Program { steps: vec![operator("Mul", vec![Arg::Input(0); 2])] });
        let call = |i: usize| Step {
            what: What::Call(square.clone()),
            args: vec![if i == 0 { Arg::Input(0) } else { Arg::Step(i - 1) }],
        };
        let text = Program { steps: (0..100).map(call).collect() }.formula();
        assert!(text.starts_with("x * x * x * x * ") && text.ends_with('…'), "{text}");
        assert_eq!(text.chars().count(), 101);
    }
}
