//! Finding a formula in a graph.
//!
//! Exporters write one function in many ways: factors in any order, a division by six as a product with a
//! sixth, a half in front or behind. So a formula's products are compared as products (a number times a set of
//! factors) and its sums without regard to order; everything else node by node. A symbol that occurs twice
//! must be the same value, so `x * Sigmoid(x)` finds SiLU and not a gate.

use super::formula::{Attribute, Expr, Op};
use super::index::{Index, ValueId};
use super::operators;

/// What a parameter of a formula stands for in the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Number(f64),
    /// A constant tensor of several elements.
    Tensor(ValueId),
}

/// One way in which a formula explains a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// What `x` stands for.
    pub input: Option<ValueId>,
    pub parameters: Vec<(String, Bound)>,
    /// The nodes that compute it, ascending, constants apart. Never empty.
    pub nodes: Vec<usize>,
}

impl Match {
    /// The number that a parameter is bound to.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.parameters.iter().find(|(n, _)| n == name).and_then(|(_, bound)| match bound {
            Bound::Number(value) => Some(*value),
            Bound::Tensor(_) => None,
        })
    }
}

/// The ways in which `formula` explains `value`; the one of most nodes first.
pub fn find(index: &Index, formula: &Expr, value: ValueId) -> Vec<Match> {
    let mut found: Vec<Match> = Matcher { index }
        .explain(formula, value, &Match::default())
        .into_iter()
        .filter(|m| !m.nodes.is_empty() && m.input.is_some())
        .collect();
    for m in &mut found {
        m.nodes.sort_unstable();
        m.nodes.dedup();
    }
    found.sort_by_key(|m| std::cmp::Reverse(m.nodes.len()));
    found
}

/// Constants are compared with the precision of half floats, in which models keep them. Only 0 equals 0: the larger of
/// a norm and 1e-12, by which exporters avoid a division by 0, is no ReLU.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 6e-4 * a.abs().max(b.abs())
}

/// More factors or deeper products than any formula has are not looked into.
const MOST_FACTORS: usize = 4;
const DEEPEST_PRODUCT: usize = 4;

/// A value read as a product: a number times values to the power 1 or -1.
#[derive(Clone)]
struct Product {
    number: f64,
    factors: Vec<(ValueId, i32)>,
    nodes: Vec<usize>,
}

/// A formula read as a product.
#[derive(Default)]
struct Terms<'e> {
    constants: Vec<(&'e Expr, i32)>,
    factors: Vec<(&'e Expr, i32)>,
}

impl<'e> Terms<'e> {
    fn add(&mut self, expr: &'e Expr, power: i32) {
        match expr {
            Expr::Op(op) if matches!(op.name.as_str(), "Mul" | "Div") => {
                for (position, arg) in op.args.iter().enumerate() {
                    let inverse = position == 1 && op.name == "Div";
                    self.add(arg, if inverse { -power } else { power });
                }
            }
            _ if expr.has_input() => self.factors.push((expr, power)),
            _ => self.constants.push((expr, power)),
        }
    }
}

struct Matcher<'a, 'm> {
    index: &'a Index<'m>,
}

/// An argument of an operator, which older opsets keep in an attribute.
#[derive(Clone, Copy)]
enum Operand {
    Value(ValueId),
    Number(f64),
}

impl Matcher<'_, '_> {
    /// Every way in which `expr` explains `value` beyond what is known.
    fn explain(&self, expr: &Expr, value: ValueId, known: &Match) -> Vec<Match> {
        match expr {
            Expr::X => match known.input {
                Some(input) if input == value => vec![known.clone()],
                None if !self.index.is_constant(value) => {
                    vec![Match { input: Some(value), ..known.clone() }]
                }
                _ => vec![],
            },
            Expr::Param(name) => match self.index.scalar(value) {
                Some(number) => bind(known, name, Bound::Number(number)),
                None if self.index.is_constant(value) => bind(known, name, Bound::Tensor(value)),
                None => vec![],
            },
            _ if !expr.has_input() => {
                let expected = expr.constant(&|name| known.number(name));
                let is = expected.zip(self.index.scalar(value)).is_some_and(|(a, b)| close(a, b));
                if is { vec![known.clone()] } else { vec![] }
            }
            Expr::Number(_) | Expr::List(_) | Expr::Weights(..) => vec![],
            Expr::Op(op) if matches!(op.name.as_str(), "Mul" | "Div") => self.product(expr, value, known),
            Expr::Op(op) => self.operator(op, value, known),
        }
    }

    fn product(&self, expr: &Expr, value: ValueId, known: &Match) -> Vec<Match> {
        let mut terms = Terms::default();
        terms.add(expr, 1);
        let mut found = vec![];
        for product in self.products(value, 0) {
            if product.factors.len() != terms.factors.len() {
                continue;
            }
            let mut known = known.clone();
            known.nodes.extend(&product.nodes);
            for m in self.assign(&terms.factors, &product.factors, &known) {
                found.extend(solve(&terms.constants, product.number, m));
            }
        }
        found
    }

    /// Every way to give the formula's factors to the graph's.
    fn assign(&self, wanted: &[(&Expr, i32)], given: &[(ValueId, i32)], known: &Match) -> Vec<Match> {
        let Some((&(expr, power), rest)) = wanted.split_first() else { return vec![known.clone()] };
        let mut found = vec![];
        for (i, &(value, p)) in given.iter().enumerate() {
            if p != power {
                continue;
            }
            let mut left = given.to_vec();
            left.remove(i);
            for m in self.explain(expr, value, known) {
                found.extend(self.assign(rest, &left, &m));
            }
        }
        found
    }

    /// The value as it is, and every way to read it as a product.
    fn products(&self, value: ValueId, depth: usize) -> Vec<Product> {
        if let Some(number) = self.index.scalar(value) {
            return vec![Product { number, factors: vec![], nodes: vec![] }];
        }
        let mut found = vec![Product { number: 1.0, factors: vec![(value, 1)], nodes: vec![] }];
        let Some(id) = self.index.producer(value) else { return found };
        let node = &self.index.nodes[id];
        let inverse = node.is("Div");
        if depth == DEEPEST_PRODUCT || !(inverse || node.is("Mul")) {
            return found;
        }
        let &[Some(a), Some(b)] = node.inputs.as_slice() else { return found };
        let right = self.products(b, depth + 1);
        for left in self.products(a, depth + 1) {
            for right in &right {
                let mut product = left.clone();
                product.number =
                    if inverse { left.number / right.number } else { left.number * right.number };
                product.factors.extend(right.factors.iter().map(|&(v, p)| (v, if inverse { -p } else { p })));
                product.nodes.extend(&right.nodes);
                product.nodes.push(id);
                if product.factors.len() <= MOST_FACTORS {
                    found.push(product);
                }
            }
        }
        found
    }

    fn operator(&self, op: &Op, value: ValueId, known: &Match) -> Vec<Match> {
        let Some(id) = self.index.producer(value) else { return vec![] };
        let node = &self.index.nodes[id];
        if node.outputs.first() != Some(&value) {
            return vec![];
        }
        let mut known = known.clone();
        known.nodes.push(id);
        if node.op() != op.name || node.domain() != op.domain {
            return match self.seen_through(id) {
                // Only inside a formula: a site is never named after the node behind it.
                Some((inner, nodes)) if known.nodes.len() > 1 => {
                    known.nodes.extend(nodes);
                    self.explain(&Expr::Op(op.clone()), inner, &known)
                }
                _ => vec![],
            };
        }
        let mut found = vec![known];
        for (name, wanted) in &op.attributes {
            found = found.iter().flat_map(|m| self.attribute(id, name, wanted, m)).collect();
        }
        let Some(operands) = self.operands(id) else { return vec![] };
        if operands.len() != op.args.len() {
            return vec![];
        }
        let commutes = operators::find(&op.name, op.args.len()).is_some_and(|operator| operator.commutes);
        let in_order = |order: &dyn Fn(usize) -> usize| {
            op.args.iter().enumerate().fold(found.clone(), |found, (i, arg)| {
                found.iter().flat_map(|m| self.argument(arg, operands[order(i)], m)).collect()
            })
        };
        let mut explained = in_order(&|i| i);
        if commutes {
            explained.extend(in_order(&|i| 1 - i));
        }
        explained
    }

    /// The value behind a node that changes no number but its representation, and the nodes passed.
    fn seen_through(&self, id: usize) -> Option<(ValueId, Vec<usize>)> {
        let node = &self.index.nodes[id];
        let first = || node.inputs.first().copied().flatten();
        if node.is("Identity") || node.is("Cast") {
            return Some((first()?, vec![]));
        }
        if node.op() != "DequantizeLinear" {
            return None;
        }
        let quantiser = self.index.producer(first()?)?;
        let node = &self.index.nodes[quantiser];
        (node.op() == "QuantizeLinear").then(|| Some((node.inputs.first().copied()??, vec![quantiser])))?
    }

    /// Inputs of a node; `None` if an optional one is left out before the last.
    fn operands(&self, id: usize) -> Option<Vec<Operand>> {
        let node = &self.index.nodes[id];
        let given = node.inputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut operands: Vec<Operand> =
            node.inputs[..given].iter().map(|v| v.map(Operand::Value)).collect::<Option<_>>()?;
        if node.is("Clip") && operands.len() == 1 {
            let bound = |name| node.attribute(name).and_then(|a| a.f).map(f64::from);
            match (bound("min"), bound("max")) {
                (Some(low), high) => {
                    operands.extend([Some(low), high].into_iter().flatten().map(Operand::Number));
                }
                (None, Some(_)) => return None,
                (None, None) => {}
            }
        }
        Some(operands)
    }

    fn argument(&self, arg: &Expr, operand: Operand, known: &Match) -> Vec<Match> {
        match operand {
            Operand::Value(value) => self.explain(arg, value, known),
            Operand::Number(number) => constant(arg, number, known),
        }
    }

    fn attribute(&self, id: usize, name: &str, wanted: &Attribute, known: &Match) -> Vec<Match> {
        let node = &self.index.nodes[id];
        let given = node.attribute(name);
        let operator = operators::named(node.op());
        match wanted {
            Attribute::Text(text) => {
                let default = operator.and_then(|o| o.default_text(name)).map(str::as_bytes);
                let is = given.and_then(|a| a.s.as_deref()).or(default) == Some(text.as_bytes());
                if is { vec![known.clone()] } else { vec![] }
            }
            Attribute::Value(expr) => {
                let default = operator.and_then(|o| o.default_number(name));
                match given.and_then(|a| a.f).map(f64::from).or(default) {
                    Some(number) => constant(expr, number, known),
                    None => vec![],
                }
            }
        }
    }
}

fn constant(expr: &Expr, number: f64, known: &Match) -> Vec<Match> {
    match expr {
        Expr::Param(name) => bind(known, name, Bound::Number(number)),
        _ => {
            let is =
                expr.constant(&|name| known.number(name)).is_some_and(|expected| close(expected, number));
            if is { vec![known.clone()] } else { vec![] }
        }
    }
}

fn bind(known: &Match, name: &str, bound: Bound) -> Vec<Match> {
    let mut m = known.clone();
    match known.parameters.iter().find(|(n, _)| n == name).map(|(_, b)| *b) {
        None => {
            m.parameters.push((name.to_owned(), bound));
            vec![m]
        }
        Some(Bound::Number(a)) if matches!(bound, Bound::Number(b) if close(a, b)) => vec![m],
        Some(b) if b == bound => vec![m],
        Some(_) => vec![],
    }
}

/// Compares a product's number with the formula's, which may hold one parameter that isn't known yet.
fn solve(constants: &[(&Expr, i32)], number: f64, m: Match) -> Vec<Match> {
    let mut left = number;
    let mut unknown = None;
    for &(expr, power) in constants {
        match (expr.constant(&|name| m.number(name)), expr) {
            (Some(value), _) => left /= value.powi(power),
            (None, Expr::Param(name)) if unknown.is_none() => unknown = Some((name, power)),
            _ => return vec![],
        }
    }
    match unknown {
        Some((name, power)) => bind(&m, name, Bound::Number(left.powi(power))),
        None if close(left, 1.0) => vec![m],
        None => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::close;

    #[test]
    fn constants_of_half_floats_are_equal_and_only_zero_is_zero() {
        assert!(close(1.0 / 6.0, 0.166_63) && close(0.0, 0.0));
        assert!(!close(0.0, 1e-12) && !close(1.0, 1.002));
    }
}
