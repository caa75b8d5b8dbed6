//! The same work in several runs of a network: which operators of one do what those of another do. Engines split and merge nodes
//! in their own ways, so that one operator may stand beside many.

use std::collections::{BTreeMap, HashMap};

use super::breakdown::JoinedBy;
use crate::record::Op;

/// Operators that do the same work.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// Of each side, places in its list; none where it has nothing of the kind.
    pub ops: Vec<Vec<usize>>,
    pub by: JoinedBy,
}

/// Puts the operators of all sides beside each other, in the order of the first side that has them: by the ONNX nodes and sites
/// that they compute, then, of what only one side has, by type and shape.
pub fn align(sides: &[&[Op]]) -> Vec<Aligned> {
    let mut groups: Vec<Aligned> = by_node(sides);
    let mut known: HashMap<(String, &[String]), Vec<usize>> = HashMap::new();
    let mut gone = vec![false; groups.len()];
    for at in 0..groups.len() {
        let Some((side, key)) = alone(&groups[at], sides) else { continue };
        let candidates = known.entry(key).or_default();
        let free = candidates.iter().copied().find(|&other| groups[other].ops[side].is_empty());
        match free {
            Some(other) => {
                groups[other].ops[side] = std::mem::take(&mut groups[at].ops[side]);
                groups[other].by = JoinedBy::Shape;
                gone[at] = true;
            }
            None => candidates.push(at),
        }
    }
    groups.into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(group, _)| group).collect()
}

/// The only side of a group, and what its operators are like; `None` if it has several.
fn alone<'o>(group: &Aligned, sides: &[&'o [Op]]) -> Option<(usize, (String, &'o [String]))> {
    let mut filled = group.ops.iter().enumerate().filter(|(_, ops)| !ops.is_empty());
    let ((side, ops), None) = (filled.next()?, filled.next()) else { return None };
    let types: Vec<&str> = ops.iter().map(|&op| sides[side][op].op.as_str()).collect();
    Some((side, (types.join(" "), &sides[side][*ops.last()?].outputs)))
}

/// Operators are of one group if a chain of common nodes leads from one to the other.
fn by_node(sides: &[&[Op]]) -> Vec<Aligned> {
    let all: Vec<(usize, usize)> =
        sides.iter().enumerate().flat_map(|(side, ops)| (0..ops.len()).map(move |op| (side, op))).collect();
    let mut leader: Vec<usize> = (0..all.len()).collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (at, &(side, op)) in all.iter().enumerate() {
        let op = &sides[side][op];
        let names =
            op.onnx.iter().chain(&op.site).chain(&op.folded).chain(op.onnx.is_empty().then_some(&op.node));
        for name in names.filter(|name| !name.is_empty()) {
            let other = *first.entry(name).or_insert(at);
            let (a, b) = (find(&mut leader, at), find(&mut leader, other));
            leader[a.max(b)] = a.min(b);
        }
    }
    let mut groups: BTreeMap<usize, Aligned> = BTreeMap::new();
    for (at, &(side, op)) in all.iter().enumerate() {
        let empty = || Aligned { ops: vec![vec![]; sides.len()], by: JoinedBy::Nothing };
        groups.entry(find(&mut leader, at)).or_insert_with(empty).ops[side].push(op);
    }
    let by = |group: &Aligned| match group.ops.iter().filter(|ops| !ops.is_empty()).count() {
        1 => JoinedBy::Nothing,
        _ => JoinedBy::Name,
    };
    groups.into_values().map(|group| Aligned { by: by(&group), ..group }).collect()
}

fn find(leader: &mut [usize], mut at: usize) -> usize {
    while leader[at] != at {
        leader[at] = leader[leader[at]];
        at = leader[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: &str, nodes: &[&str], site: Option<&str>) -> Op {
        Op {
            op: op.into(),
            onnx: nodes.iter().map(ToString::to_string).collect(),
            site: site.map(str::to_owned),
            outputs: vec!["1x8xf32".into()],
            ..Op::default()
        }
    }

    #[test]
    fn one_operator_stands_beside_the_many_that_do_its_work() {
        let tract = [
            op("Pad", &["conv"], None),
            op("MatMul", &["conv"], None),
            op("Silu", &["sig", "act"], None),
            op("Cast", &[], None),
        ];
        let ort = [op("Reorder", &[], None), op("FusedConv", &["conv", "act"], None), op("Cast", &[], None)];
        let aligned = align(&[&tract, &ort]);
        let told: Vec<_> = aligned.iter().map(|a| (a.ops.clone(), a.by)).collect();
        assert_eq!(
            told,
            [
                (vec![vec![0, 1, 2], vec![1]], JoinedBy::Name),
                (vec![vec![3], vec![2]], JoinedBy::Shape),
                (vec![vec![], vec![0]], JoinedBy::Nothing),
            ]
        );
    }

    #[test]
    fn all_operators_of_a_site_stand_together_and_none_is_lost() {
        let original = [op("Silu", &["act"], Some("act"))];
        let swapped = [op("Softplus", &["act/a"], Some("act")), op("Tanh", &["act/b"], Some("act"))];
        assert_eq!(align(&[&original, &swapped])[0].ops, [vec![0], vec![0, 1]]);
        let same = vec![op("Add", &[], None); 3];
        let aligned = align(&[&same, &same[..2], &[]]);
        assert_eq!(aligned.iter().map(|a| a.ops[0].len()).sum::<usize>(), 3);
        assert_eq!(aligned.iter().filter(|a| a.by == JoinedBy::Shape).count(), 2);
    }
}
