//! The order of a graph's nodes: a value is written once, and before it is read.

use std::collections::{HashMap, HashSet};

use super::messages::{GraphProto, NodeProto};
use super::{bodies, label};
use oplat_ground::error::{Error, Result};

/// Puts the nodes of a graph, and of all bodies in it, in an order in which each value is written before it is read. A
/// graph that is so already stays as it is.
///
/// Fails, naming the nodes, where two write one value, or where nodes wait for each other.
pub fn sort(graph: &mut GraphProto) -> Result<()> {
    let writers = writers(graph)?;
    let reads: Vec<Vec<usize>> = graph.node.iter().map(|node| read_by(node, &writers)).collect();
    let ordered = reads.iter().enumerate().all(|(reader, reads)| reads.iter().all(|&writer| writer < reader));
    if !ordered {
        let order = order(&reads).map_err(|i| {
            let name = label(&graph.node[i]);
            Error::input(format!(
                "node {name} waits for its own output: the graph has a cycle; export it again"
            ))
        })?;
        let mut nodes: Vec<Option<NodeProto>> =
            std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        graph.node = order.into_iter().filter_map(|i| nodes[i].take()).collect();
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(sort)?;
    }
    Ok(())
}

/// The node that writes each value.
fn writers(graph: &GraphProto) -> Result<HashMap<&str, usize>> {
    let mut writers = HashMap::new();
    for (i, node) in graph.node.iter().enumerate() {
        for value in node.output.iter().filter(|name| !name.is_empty()) {
            if let Some(other) = writers.insert(value.as_str(), i) {
                let [first, second] = [other, i].map(|i| label(&graph.node[i]));
                return Err(Error::input(format!(
                    "nodes {first} and {second} both write the value {value}: export the model again"
                )));
            }
        }
    }
    Ok(writers)
}

/// The nodes of this graph whose values a node reads, itself or in its bodies.
fn read_by(node: &NodeProto, writers: &HashMap<&str, usize>) -> Vec<usize> {
    let mut found: Vec<usize> =
        node.input.iter().filter_map(|name| writers.get(name.as_str())).copied().collect();
    let mut inner = bodies(node).peekable();
    if inner.peek().is_some() {
        // A body's own values may have the names of values outside.
        let (mut read, mut own) = (vec![], HashSet::new());
        inner.for_each(|body| names(body, &mut read, &mut own));
        found
            .extend(read.into_iter().filter(|name| !own.contains(name)).filter_map(|name| writers.get(name)));
    }
    found
}

/// The names that a body reads, and those that it defines, with the bodies in it.
fn names<'g>(body: &'g GraphProto, read: &mut Vec<&'g str>, own: &mut HashSet<&'g str>) {
    own.extend(body.input.iter().filter_map(|v| v.name.as_deref()));
    own.extend(body.initializer.iter().filter_map(|t| t.name.as_deref()));
    read.extend(body.output.iter().filter_map(|v| v.name.as_deref()));
    for node in &body.node {
        read.extend(node.input.iter().map(String::as_str));
        own.extend(node.output.iter().map(String::as_str));
        bodies(node).for_each(|inner| names(inner, read, own));
    }
}

/// An order in which every node stands behind those that it reads, otherwise as near as can be to the given one. Fails
/// with a node of a cycle.
fn order(reads: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; reads.len()];
    let mut order = Vec::with_capacity(reads.len());
    for start in 0..reads.len() {
        let mut open = vec![(start, 0)];
        while let Some((node, next)) = open.pop() {
            if state[node] == State::Done {
                continue;
            }
            state[node] = State::Open;
            match reads[node].get(next) {
                Some(&read) => {
                    open.push((node, next + 1));
                    match state[read] {
                        State::New => open.push((read, 0)),
                        State::Open => return Err(node),
                        State::Done => {}
                    }
                }
                None => {
                    state[node] = State::Done;
                    order.push(node);
                }
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: &[(&str, &[&str], &str)]) -> GraphProto {
        let node = |&(name, input, output): &(&str, &[&str], &str)| NodeProto {
            name: Some(name.into()),
            input: input.iter().map(|s| (*s).into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        };
        GraphProto { node: nodes.iter().map(node).collect(), ..Default::default() }
    }

    fn labels(graph: &GraphProto) -> Vec<&str> {
        graph.node.iter().map(label).collect()
    }

    #[test]
    fn a_reader_before_its_writer_is_moved_and_others_stay() {
        let mut g =
            graph(&[("c", &["a", "b"], "c"), ("a", &["x"], "a"), ("b", &["x"], "b"), ("d", &["c"], "d")]);
        sort(&mut g).unwrap();
        assert_eq!(labels(&g), ["a", "b", "c", "d"]);
        let sorted = g.clone();
        sort(&mut g).unwrap();
        assert_eq!(g, sorted);
    }

    #[test]
    fn two_writers_and_cycles_are_refused_by_name() {
        let mut double = graph(&[("first", &["x"], "t"), ("second", &["t"], "t")]);
        assert_eq!(
            sort(&mut double).unwrap_err().message,
            "nodes first and second both write the value t: export the model again"
        );
        let mut cycle = graph(&[("a", &["b"], "a"), ("b", &["a"], "b")]);
        assert!(sort(&mut cycle).unwrap_err().message.contains("cycle"));
    }

    #[test]
    fn a_body_may_use_the_names_of_the_graph_around_it() {
        use crate::onnx::messages::{AttributeProto, ValueInfoProto};
        let mut g = graph(&[("if", &["x"], "y"), ("relu", &["y"], "z")]);
        let mut body = graph(&[("inner", &["x"], "y")]);
        body.output.push(ValueInfoProto { name: Some("y".into()), ..Default::default() });
        g.node[0].attribute.push(AttributeProto { g: Some(body), ..Default::default() });
        let before = g.clone();
        sort(&mut g).unwrap();
        assert_eq!(g, before);
    }

    #[test]
    fn a_long_chain_backwards_is_no_deep_stack() {
        let names: Vec<String> = (0..=50_000).map(|i| format!("v{i}")).collect();
        let node = |i: usize| NodeProto {
            input: vec![names[i].clone()],
            output: vec![names[i + 1].clone()],
            ..Default::default()
        };
        let mut g = GraphProto { node: (0..50_000).rev().map(node).collect(), ..Default::default() };
        sort(&mut g).unwrap();
        assert_eq!(g.node[0].input[0], "v0");
    }
}
