//! The same function in other words is the same activation, and another function is none.

use proptest::prelude::*;

use super::{network_of, told};
use crate::activation::samples::Samples;
use crate::activation::{Activation, Kind, kinds};
use crate::onnx::formula::{Attribute, Expr, Op, evaluate};
use crate::sites::{Refusal, find};

fn op(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Op(Op { domain: String::new(), name: name.into(), args, attributes: vec![] })
}

fn parsed(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

/// Choices, one after the other, from a list that is used up.
struct Choices<'c>(&'c mut dyn Iterator<Item = u8>);

impl Choices<'_> {
    fn one_of(&mut self, n: u8) -> u8 {
        self.0.next().map_or(0, |choice| choice % n)
    }

    fn yes(&mut self) -> bool {
        self.one_of(2) == 1
    }
}

/// The formula with numbers for its parameters.
fn bound(expr: &Expr, parameter: &impl Fn(&str) -> Option<f64>) -> Expr {
    match expr {
        Expr::Param(name) => Expr::Number(parameter(name).unwrap()),
        Expr::Op(o) => {
            let value = |a: &Attribute| match a {
                Attribute::Value(e) => Attribute::Value(Expr::Number(e.constant(parameter).unwrap())),
                Attribute::Text(text) => Attribute::Text(text.clone()),
            };
            Expr::Op(Op {
                args: o.args.iter().map(|a| bound(a, parameter)).collect(),
                attributes: o.attributes.iter().map(|(n, a)| (n.clone(), value(a))).collect(),
                ..o.clone()
            })
        }
        other => other.clone(),
    }
}

/// The formula in other words.
fn rewritten(expr: &Expr, choices: &mut Choices) -> Expr {
    let Expr::Op(o) = expr else { return expr.clone() };
    let args: Vec<Expr> = o.args.iter().map(|a| rewritten(a, choices)).collect();
    let attribute = |name: &str, default: f64| match o.attributes.iter().find(|(n, _)| n == name) {
        Some((_, Attribute::Value(value))) => value.constant(&|_| None).unwrap(),
        _ => default,
    };
    let again = || Expr::Op(Op { args: args.clone(), ..o.clone() });
    let constant = |e: &Expr| e.constant(&|_| None);
    match (o.name.as_str(), args.as_slice()) {
        ("Add", [a, b]) => match choices.one_of(4) {
            0 => op("Add", vec![b.clone(), a.clone()]),
            1 => op("Sum", vec![a.clone(), b.clone()]),
            2 => op("Sub", vec![a.clone(), op("Neg", vec![b.clone()])]),
            _ => again(),
        },
        ("Sub", [a, b]) if choices.yes() => op("Add", vec![a.clone(), op("Neg", vec![b.clone()])]),
        // A factor may go into a sum.
        ("Mul", [Expr::Op(sum), k]) if sum.name == "Add" && constant(k).is_some() && choices.yes() => {
            let scaled = |e: &Expr| op("Mul", vec![e.clone(), k.clone()]);
            op("Add", sum.args.iter().map(scaled).collect())
        }
        ("Mul", [a, b]) => match choices.one_of(3) {
            0 => op("Mul", vec![b.clone(), a.clone()]),
            1 if constant(b).is_some_and(|k| k != 0.0) => {
                op("Div", vec![a.clone(), Expr::Number(1.0 / constant(b).unwrap())])
            }
            _ => again(),
        },
        ("Div", [a, b]) => match (choices.one_of(3), constant(b)) {
            (0, Some(k)) => op("Mul", vec![Expr::Number(1.0 / k), a.clone()]),
            (1, _) => op("Mul", vec![a.clone(), op("Reciprocal", vec![b.clone()])]),
            _ => again(),
        },
        ("Sigmoid", [a]) => match choices.one_of(4) {
            0 => op(
                "Div",
                vec![
                    Expr::Number(1.0),
                    op("Add", vec![op("Exp", vec![op("Neg", vec![a.clone()])]), Expr::Number(1.0)]),
                ],
            ),
            1 => op(
                "Reciprocal",
                vec![op(
                    "Add",
                    vec![Expr::Number(1.0), op("Exp", vec![op("Mul", vec![a.clone(), Expr::Number(-1.0)])])],
                )],
            ),
            2 => op(
                "Add",
                vec![
                    Expr::Number(0.5),
                    op(
                        "Mul",
                        vec![
                            Expr::Number(0.5),
                            op("Tanh", vec![op("Mul", vec![Expr::Number(0.5), a.clone()])]),
                        ],
                    ),
                ],
            ),
            _ => again(),
        },
        ("Softplus", [a]) if choices.yes() => {
            op("Log", vec![op("Add", vec![op("Exp", vec![a.clone()]), Expr::Number(1.0)])])
        }
        ("Relu", [a]) => match choices.one_of(4) {
            0 => op("Max", vec![Expr::Number(0.0), a.clone()]),
            1 => op(
                "Where",
                vec![op("Greater", vec![a.clone(), Expr::Number(0.0)]), a.clone(), Expr::Number(0.0)],
            ),
            2 => op("Mul", vec![op("Add", vec![a.clone(), op("Abs", vec![a.clone()])]), Expr::Number(0.5)]),
            _ => again(),
        },
        ("LeakyRelu", [a]) => {
            let alpha = Expr::Number(attribute("alpha", 0.01));
            let scaled = op("Mul", vec![a.clone(), alpha]);
            match choices.one_of(3) {
                0 => op("Where", vec![op("Less", vec![a.clone(), Expr::Number(0.0)]), scaled, a.clone()]),
                1 => op("Add", vec![op("Relu", vec![a.clone()]), op("Min", vec![scaled, Expr::Number(0.0)])]),
                _ => again(),
            }
        }
        ("Elu", [a]) if choices.yes() => {
            let alpha = Expr::Number(attribute("alpha", 1.0));
            let below =
                op("Mul", vec![op("Sub", vec![op("Exp", vec![a.clone()]), Expr::Number(1.0)]), alpha]);
            op("Where", vec![op("Greater", vec![a.clone(), Expr::Number(0.0)]), a.clone(), below])
        }
        ("Clip", [a, low, high]) if choices.yes() => {
            op("Min", vec![op("Max", vec![a.clone(), low.clone()]), high.clone()])
        }
        ("HardSwish", [a]) => match choices.one_of(3) {
            0 => parsed("x * Clip(x + 3, 0, 6) / 6"),
            1 => parsed("x * Clip(x * 0.16666667 + 0.5, 0, 1)"),
            _ => op("HardSwish", vec![a.clone()]),
        },
        ("Tanh", [a]) if choices.yes() => {
            let sigmoid = op("Sigmoid", vec![op("Mul", vec![Expr::Number(2.0), a.clone()])]);
            op("Sub", vec![op("Mul", vec![sigmoid, Expr::Number(2.0)]), Expr::Number(1.0)])
        }
        _ => again(),
    }
}

/// Parameters from a quarter of the default ones to four times as much.
fn with_parameters(kind: &'static Kind, factors: &[f64]) -> Activation {
    let parameters = kind.parameters.iter().zip(factors).map(|(p, f)| Some(p.default * f));
    Activation { kind, parameters: parameters.collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_activation_is_found_in_other_words(
        choices in proptest::collection::vec(any::<u8>(), 200),
        factors in proptest::collection::vec(0.3f64..3.0, 3),
    ) {
        let mut given = choices.iter().copied().cycle();
        let mut choices = Choices(&mut given);
        for kind in kinds().filter(|k| k.is_found()) {
            let activation = with_parameters(kind, &factors);
            let parameter = |name: &str| activation.parameter(name);
            for form in kind.exported {
                let formula = bound(&parsed(form.formula), &parameter);
                let mut other = rewritten(&formula, &mut choices);
                if choices.yes() {
                    other = rewritten(&other, &mut choices);
                }
                let found = find(&network_of(&other, 22));
                let [site] = found.sites.as_slice() else {
                    return Err(TestCaseError::fail(format!("{activation} as {other}: {}", told(&found))));
                };
                let is = &site.activation;
                let far = Samples::of(|x| activation.value(x)).distance(|x| is.value(x));
                prop_assert!(far <= 2e-3, "{} as {} is told as {}, {} away", activation, other, is, far);
                if std::ptr::eq(is.kind, kind) {
                    for (a, b) in is.parameters.iter().zip(&activation.parameters) {
                        let (a, b) = (a.unwrap(), b.unwrap());
                        prop_assert!((a - b).abs() <= 1e-3 * b.abs(), "{} as {} is told as {}", activation, other, is);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_told_is_what_the_graph_computes(
        choices in proptest::collection::vec(any::<u8>(), 24),
        points in proptest::collection::vec(-30.0f64..30.0, 200),
    ) {
        let mut given = choices.iter().copied();
        let formula = random(&mut Choices(&mut given), 0);
        let found = find(&network_of(&formula, 22));
        prop_assert!(found.not_sites.iter().all(|n| n.refusal == Refusal::Unknown), "{}: {}", formula, told(&found));
        let told = told(&found);
        prop_assert!(found.sites.len() + found.not_sites.len() <= 1, "{}: {}", formula, told);
        for x in points {
            let is = evaluate(&formula, x, &|_| None).unwrap();
            let should = found.sites.first().map_or(is, |site| site.activation.value(x));
            let near = (is - should).abs() <= 2e-3 * should.abs().max(1.0) || !is.is_finite();
            prop_assert!(near, "{} is {} at {}, and {} is {}", formula, is, x, told, should);
        }
    }
}

/// A diamond of x and functions of it.
fn random(choices: &mut Choices, depth: u8) -> Expr {
    let curved = ["Sin", "Tanh", "Sigmoid", "Relu", "Erf", "Exp", "Abs", "Softplus", "Softsign", "Cos"];
    let number = |choices: &mut Choices| Expr::Number(f64::from(choices.one_of(31)) / 10.0 - 1.5);
    let inner = if depth < 2 && choices.yes() { random(choices, depth + 1) } else { Expr::X };
    let scaled = op("Mul", vec![inner, number(choices)]);
    let bent = op(curved[usize::from(choices.one_of(10))], vec![scaled]);
    let outer = ["Add", "Mul", "Sub", "Max"][usize::from(choices.one_of(4))];
    op(outer, vec![Expr::X, op("Mul", vec![bent, number(choices)])])
}
