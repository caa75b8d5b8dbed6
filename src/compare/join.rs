//! Which variant, op or site of one record is which of another.
//!
//! Keys are tried one after another, the most telling first: what a better key has joined, a worse one leaves
//! alone. Things with the same key are joined in order.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What two things must have in common to be joined; `None` for a thing that this key can't join.
pub type Key<T, K> = fn(&T) -> Option<K>;

#[derive(Debug)]
pub struct Joined<'r, T> {
    /// In the order of the base.
    pub pairs: Vec<JoinedPair<'r, T>>,
    pub only_base: Vec<&'r T>,
    pub only_new: Vec<&'r T>,
}

#[derive(Debug)]
pub struct JoinedPair<'r, T> {
    pub base: &'r T,
    pub new: &'r T,
    /// Which of the keys joined them.
    pub key: usize,
}

/// Joins the things of two records; `keys` are in the order in which they are tried.
pub fn join<'r, T, K: Eq + Hash>(base: &'r [T], new: &'r [T], keys: &[Key<T, K>]) -> Joined<'r, T> {
    let mut partner: Vec<Option<(usize, usize)>> = vec![None; base.len()];
    let mut taken = vec![false; new.len()];
    for (which, key) in keys.iter().enumerate() {
        let mut free: HashMap<K, VecDeque<usize>> = HashMap::new();
        for (at, thing) in new.iter().enumerate().filter(|&(at, _)| !taken[at]) {
            if let Some(key) = key(thing) {
                free.entry(key).or_default().push_back(at);
            }
        }
        for (thing, partner) in base.iter().zip(&mut partner).filter(|(_, partner)| partner.is_none()) {
            let found = key(thing).and_then(|key| free.get_mut(&key)?.pop_front());
            if let Some(at) = found {
                taken[at] = true;
                *partner = Some((at, which));
            }
        }
    }
    let mut joined = Joined { pairs: vec![], only_base: vec![], only_new: vec![] };
    for (base, partner) in base.iter().zip(partner) {
        match partner {
            Some((at, key)) => joined.pairs.push(JoinedPair { base, new: &new[at], key }),
            None => joined.only_base.push(base),
        }
    }
    joined.only_new = new.iter().zip(taken).filter(|(_, taken)| !taken).map(|(thing, _)| thing).collect();
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_key_goes_first_and_equals_are_joined_in_order() {
        let whole: Key<&str, String> = |text| Some((*text).to_owned());
        let first: Key<&str, String> = |text| text.chars().next().map(String::from);
        let joined = join(&["a1", "a2", "b1", "c"], &["b9", "a2", "a7", "d", "b8"], &[whole, first]);
        let pairs: Vec<_> = joined.pairs.iter().map(|p| (*p.base, *p.new, p.key)).collect();
        assert_eq!(pairs, [("a1", "a7", 1), ("a2", "a2", 0), ("b1", "b9", 1)]);
        assert_eq!((joined.only_base, joined.only_new), (vec![&"c"], vec![&"d", &"b8"]));
    }
}
