//! Finding the sites of a model.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::curve::Curve;
use super::flow::{Flow, Segment, is_float};
use super::functions;
use super::fused::{self, Fused};
use super::place::{self, Places, Purpose};
use super::program::Program;
use super::{Found, NotSite, Refusal, Site, UNKNOWN, own};
use crate::activation::recognise::{Clues, recognise};
use crate::activation::{Activation, Place};
use crate::onnx::index::{Index, Node, ValueId};
use crate::onnx::messages::data_type;
use crate::onnx::{Model, label};

/// Of a chain of segments, so many together are looked at as one function, with so many nodes. The longest spelling of an
/// activation of the registry that anyone writes has half of either.
const MOST_SEGMENTS: usize = 12;
const MOST_NODES: usize = 64;
/// Of segments that are no lines, so many: the logarithm of an exponential has two.
const MOST_CURVED: usize = 3;

/// Finds the sites of a model.
pub fn find(model: &Model) -> Found {
    functions::opened(model).map_or_else(|| look(model), |opened| opened.closed(look(&opened.model)))
}

/// A model in which every node of a site has an index, since functions in which one may stand are opened, and its sites: the same
/// as [`find`] finds. It is the model itself where it is so already, or where its functions can't be opened.
pub fn flat(model: &Model) -> (Cow<'_, Model>, Found) {
    let opened = functions::opened(model).and_then(|opened| {
        let mut found = opened.within_borders(look(&opened.model));
        found.not_sites.sort_by_key(|s| s.node);
        Some((Cow::Owned(opened.flat(model)?), found))
    });
    opened.unwrap_or_else(|| (Cow::Borrowed(model), find(model)))
}

/// Finds the sites among a model's nodes.
fn look(model: &Model) -> Found {
    let index = Index::new(model);
    let flow = Flow::new(model, &index);
    let places = Places::new(model, &flow);
    let mut finder = Finder {
        flow: &flow,
        places,
        names: names(&index),
        numbers: HashMap::new(),
        known: HashMap::new(),
        shared: HashSet::new(),
        found: Found::default(),
    };
    for (id, node) in index.nodes.iter().enumerate() {
        if let Some(activation) = own::read(node.proto) {
            finder.own(id, node, activation);
        } else if let Some(fused) = fused::look_into(node.proto) {
            finder.fused(id, node, &fused);
        } else if let Some(&output) = node.outputs.first().filter(|&&o| finder.is_end(o)) {
            finder.chain(output);
        }
    }
    let Finder { mut found, shared, .. } = finder;
    // A piece of an activation is none, though something else reads it.
    found.sites.retain(|site| !site.nodes.iter().any(|node| shared.contains(node)));
    found.sites.sort_by_key(|s| s.node);
    found.not_sites.sort_by_key(|s| s.node);
    found
}

struct Finder<'f, 'i, 'm> {
    flow: &'f Flow<'i, 'm>,
    places: Places<'f, 'i, 'm>,
    /// By the index of the node.
    names: Vec<String>,
    /// Each different program's number, by its key.
    numbers: HashMap<Vec<u64>, usize>,
    /// What programs are, by their numbers, one behind the other.
    known: HashMap<Vec<usize>, Nature>,
    /// The nodes of activations whose values something else reads.
    shared: HashSet<usize>,
    found: Found,
}

/// What a function is.
#[derive(Clone, Debug, PartialEq)]
enum Nature {
    /// Gives back its input.
    Identity,
    /// A line: a constant is added, or it is multiplied by one.
    Affine,
    Activation(Activation),
    Unknown,
    /// No number somewhere, or one number everywhere: nothing that is made of it is an activation.
    Dead,
}

/// A segment of a chain, as a function.
struct Link {
    segment: Segment,
    /// `None` where it can't be told.
    program: Option<Program>,
    /// The program's number.
    number: usize,
    nature: Nature,
}

/// Some segments of a chain, as one function.
struct Window {
    segments: std::ops::Range<usize>,
    activation: Activation,
    nodes: Vec<usize>,
}

impl Finder<'_, '_, '_> {
    fn index(&self) -> &Index<'_> {
        self.flow.index
    }

    /// Whether a value is where a function ends: it is made element-wise, and goes on elsewhere or with other tensors.
    fn is_end(&self, value: ValueId) -> bool {
        let number = self.index().data_type(value).is_none_or(is_float);
        let goes_on = || self.flow.goes_into(value).is_some_and(|next| self.flow.base(next).is_some());
        self.flow.base(value).is_some() && number && !goes_on()
    }

    /// The segments that end in a value, one behind the other, the first one first.
    fn segments(&self, end: ValueId) -> Vec<Segment> {
        let mut segments = vec![];
        let mut at = end;
        while let Some(segment) = self.flow.segment(at) {
            let from = segment.from;
            segments.push(segment);
            if self.flow.goes_into(from) != Some(at) {
                break;
            }
            at = from;
        }
        segments.reverse();
        segments
    }

    /// Finds the sites in the chain of segments that ends in a value.
    fn chain(&mut self, end: ValueId) {
        if self.places.is_of_shapes(end) {
            return;
        }
        let links: Vec<Link> = self.segments(end).into_iter().map(|segment| self.link(segment)).collect();
        let windows = self.windows(&links);
        let mut covered = vec![false; links.len()];
        windows.iter().for_each(|w| covered[w.segments.clone()].fill(true));
        let is_piece = links.iter().zip(covered).any(|(link, covered)| link.nature.is_curved() && !covered);
        // Where nobody knows the whole, its pieces are no sites; the whole is told where an activation would stand.
        let told = is_piece && self.unknown(&links);
        let [Some(first), Some(last)] = [links.first(), links.last()].map(|link| link.map(|l| &l.segment))
        else {
            return;
        };
        for window in windows {
            let [start, end] = [window.segments.start, window.segments.end - 1].map(|i| &links[i].segment);
            let (from, to) = (start.from, end.to);
            // Where all of a chain is known, its functions stand where it does.
            let place = if is_piece { [from, to] } else { [first.from, last.to] };
            let judged = self.judge(&window, [from, to], place);
            match judged {
                Ok(site) if !is_piece => self.found.sites.push(site),
                Err((Refusal::Gate | Refusal::Decode, _)) if told => {}
                Err((Refusal::Shared, reason)) if !is_piece => {
                    self.shared.extend(&window.nodes);
                    self.refuse(to, Refusal::Shared, reason);
                }
                Err((refusal, reason)) if !is_piece || matches!(refusal, Refusal::Gate | Refusal::Decode) => {
                    self.refuse(to, refusal, reason);
                }
                _ => {}
            }
        }
    }

    fn link(&mut self, segment: Segment) -> Link {
        let program = self.flow.program(segment.from, &segment.nodes);
        let Some(program) = program else {
            return Link { segment, program, number: 0, nature: Nature::Unknown };
        };
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(program.key()).or_insert(next);
        let nature = self.known.entry(vec![number]).or_insert_with(|| nature(&program)).clone();
        Link { segment, program: Some(program), number, nature }
    }

    /// The functions of the registry in a chain, the largest first and none over another.
    fn windows(&mut self, links: &[Link]) -> Vec<Window> {
        let mut all: Vec<Window> = vec![];
        for start in 0..links.len() {
            if links[start].nature != Nature::Identity && self.is_float(links[start].segment.from) {
                all.extend(self.windows_from(start, links));
            }
        }
        all.sort_by_key(|w| (std::cmp::Reverse(w.nodes.len()), w.segments.start));
        let mut taken = vec![false; links.len()];
        all.retain(|w| {
            let free = !taken[w.segments.clone()].contains(&true);
            if free {
                taken[w.segments.clone()].fill(true);
            }
            free
        });
        all
    }

    /// The functions of the registry that begin with a segment of a chain.
    fn windows_from(&mut self, start: usize, links: &[Link]) -> Vec<Window> {
        let (mut found, mut nodes, mut numbers) = (vec![], vec![], vec![]);
        let mut so_far = SoFar::default();
        for end in start..links.len().min(start + MOST_SEGMENTS) {
            let link = &links[end];
            nodes.extend(&link.segment.nodes);
            numbers.push(link.number);
            let curved = links[start..=end].iter().filter(|link| link.nature.is_curved()).count();
            if link.program.is_none() || nodes.len() > MOST_NODES || curved > MOST_CURVED {
                break;
            }
            let nature = match self.known.get(&numbers) {
                Some(known) => known.clone(),
                None => {
                    let nature =
                        so_far.nature(links[start..=end].iter().filter_map(|link| link.program.as_ref()));
                    self.known.insert(numbers.clone(), nature.clone());
                    nature
                }
            };
            match nature {
                Nature::Dead => break,
                Nature::Activation(activation)
                    if link.nature != Nature::Identity && self.is_float(link.segment.to) =>
                {
                    found.push(Window { segments: start..end + 1, activation, nodes: nodes.clone() });
                }
                _ => {}
            }
        }
        found
    }

    fn is_float(&self, value: ValueId) -> bool {
        self.index().data_type(value).is_none_or(is_float)
    }

    /// Tells a function that the registry doesn't have, if it stands where an activation would.
    fn unknown(&mut self, links: &[Link]) -> bool {
        let curved = |link: &Link| link.nature.is_curved();
        let (Some(first), Some(last)) = (links.iter().position(curved), links.iter().rposition(curved))
        else {
            return false;
        };
        let (from, to) = (links[first].segment.from, links[last].segment.to);
        let nodes = links[first..=last].iter().flat_map(|link| link.segment.nodes.iter().copied());
        let nodes: Vec<usize> = nodes.collect();
        let stands = self.places.is_between_linear(from, to) && self.is_float(from) && self.is_float(to);
        if !stands || self.flow.read_elsewhere(&nodes, to).is_some() {
            return false;
        }
        let formula =
            self.flow.program(from, &nodes).map_or("a long chain of operators".to_owned(), |p| p.formula());
        let activation = Activation { kind: &UNKNOWN, parameters: vec![] };
        let site = self.site(activation, from, to, nodes).ok();
        let reason = format!("computes {formula}: no activation that oplat knows");
        self.refuse(to, Refusal::Unknown, reason);
        if let Some(told) = self.found.not_sites.last_mut() {
            told.if_asked = site.map(Box::new);
        }
        true
    }

    /// The site that a window is, or why it is none.
    fn judge(
        &self,
        window: &Window,
        [from, to]: [ValueId; 2],
        place: [ValueId; 2],
    ) -> Result<Site, (Refusal, String)> {
        if let Some((value, reader)) = self.flow.read_elsewhere(&window.nodes, to) {
            let by = |id: usize| format!("by {}", label(self.index().nodes[id].proto));
            let reader = reader.map_or("as an output".to_owned(), by);
            let (value, kind) = (self.index().name(value), window.activation.kind.name);
            return Err((Refusal::Shared, format!("is a {kind} whose {value} is also read {reader}")));
        }
        self.judge_place(&window.activation, place, self.places.is_after_linear(place[0]))?;
        self.site(window.activation.clone(), from, to, window.nodes.clone())
            .map_err(|why| (Refusal::Other, why))
    }

    fn judge_place(
        &self,
        activation: &Activation,
        [from, to]: [ValueId; 2],
        after_linear: bool,
    ) -> Result<(), (Refusal, String)> {
        match activation.kind.place {
            Place::Anywhere => Ok(()),
            Place::AfterLinear if self.is_encoding(from) => {
                Err((Refusal::Other, "encodes a position: its cosine is taken, too".to_owned()))
            }
            Place::AfterLinear if after_linear => Ok(()),
            Place::AfterLinear => {
                Err((Refusal::Other, "has an input that doesn't come from a linear operator".to_owned()))
            }
            Place::BetweenLinear => match self.places.purpose(from, to, after_linear) {
                Purpose::Activation => Ok(()),
                _ if !activation.kind.name.ends_with("sigmoid") => {
                    Err((Refusal::Other, "doesn't stand between linear operators".to_owned()))
                }
                Purpose::Gate(scaled) => {
                    let scaled = label(self.index().nodes[scaled].proto);
                    Err((Refusal::Gate, format!("scales another tensor in {scaled}")))
                }
                Purpose::Elsewhere => Err((
                    Refusal::Decode,
                    "doesn't stand between linear operators: it decodes an output".to_owned(),
                )),
            },
        }
    }

    /// Whether both sine and cosine are taken of a value.
    fn is_encoding(&self, value: ValueId) -> bool {
        self.index().uses(value).iter().any(
            |user| matches!(*user, crate::onnx::index::Use::Node(id, _) if self.index().nodes[id].is("Cos")),
        )
    }

    /// The site of an activation between two values. Fails with the reason where nothing else can stand there.
    fn site(
        &self,
        activation: Activation,
        from: ValueId,
        to: ValueId,
        nodes: Vec<usize>,
    ) -> Result<Site, String> {
        let raised = self.flow.raised_rank(from, &nodes)?;
        let (from, nodes) = self.without_common_start(from, nodes);
        let index = self.index();
        let types = [from, to].map(|value| index.data_type(value));
        if let [Some(before), Some(after)] = types
            && before != after
        {
            return Err("has a value of another element type than its input".to_owned());
        }
        let node = index.producer(to).ok_or("no node makes its value")?;
        Ok(Site {
            name: self.names[node].clone(),
            activation,
            node,
            nodes,
            input: index.name(from).to_owned(),
            data_type: types[0].or(types[1]).unwrap_or(data_type::FLOAT),
            channels: place::channels(index, from),
            raised,
            is_fused: false,
            within: None,
        })
    }

    /// Where each reader of a value first quantises it, or casts it, for itself: one of these stays, as what the activation
    /// is applied to.
    fn without_common_start(&self, from: ValueId, nodes: Vec<usize>) -> (ValueId, Vec<usize>) {
        let readers: Vec<_> = nodes
            .iter()
            .filter_map(|&n| self.flow.maker(*self.index().nodes[n].outputs.first()?))
            .filter(|element| element.inputs.contains(&from))
            .collect();
        match readers.first() {
            Some(first) if readers.iter().all(|reader| reader.passes()) => {
                let stays = first.nodes(self.index());
                (first.output, nodes.into_iter().filter(|n| !stays.contains(n)).collect())
            }
            _ => (from, nodes),
        }
    }

    /// A call of one of our own functions is what its name says, wherever it stands: nothing else writes these.
    fn own(&mut self, id: usize, node: &Node, activation: Activation) {
        let (Some(input), Some(&output)) = (node.inputs.first().copied().flatten(), node.outputs.first())
        else {
            return;
        };
        if let Ok(site) = self.site(activation, input, output, vec![id]) {
            self.found.sites.push(site);
        }
    }

    /// An activation inside another operator.
    fn fused(&mut self, id: usize, node: &Node, fused: &Fused) {
        let value = |i: usize| node.inputs.get(i).copied().flatten();
        let (Some(input), Some(&output), Some(typed)) =
            (value(0), node.outputs.first(), value(fused.typed_by()))
        else {
            return;
        };
        let Some(activation) = &fused.activation else {
            return self.refuse(
                output,
                Refusal::Other,
                format!("holds an activation that oplat doesn't know, in its {}", node.op()),
            );
        };
        let after_linear = fused.is_after_linear() || self.places.is_after_linear(input);
        if let Err((refusal, reason)) = self.judge_place(activation, [input, output], after_linear) {
            return self.refuse(output, refusal, reason);
        }
        if let Some(why) = fused.closed_because() {
            return self.refuse(output, Refusal::Other, format!("is a {activation} {why}"));
        }
        self.found.sites.push(Site {
            name: self.names[id].clone(),
            activation: activation.clone(),
            node: id,
            nodes: vec![id],
            input: self.index().name(input).to_owned(),
            data_type: self.index().data_type(typed).unwrap_or(data_type::FLOAT),
            channels: place::channels(self.index(), output),
            raised: 0,
            is_fused: true,
            within: None,
        });
    }

    fn refuse(&mut self, value: ValueId, refusal: Refusal, reason: String) {
        let Some(node) = self.index().producer(value) else { return };
        let (name, op) = (self.names[node].clone(), self.index().nodes[node].op().to_owned());
        self.found.not_sites.push(NotSite { name, node, op, refusal, reason, if_asked: None });
    }
}

impl Nature {
    /// Whether it is no line.
    fn is_curved(&self) -> bool {
        matches!(self, Self::Activation(_) | Self::Unknown | Self::Dead)
    }
}

/// The values of programs, one behind the other, as far as they were asked for.
#[derive(Default)]
struct SoFar {
    curve: Option<Curve>,
    programs: usize,
}

impl SoFar {
    /// What all of these are together; the first ones are those that were given before.
    fn nature<'p>(&mut self, programs: impl Iterator<Item = &'p Program> + Clone) -> Nature {
        let mut curve = self.curve.take().unwrap_or_else(Curve::start);
        for program in programs.clone().skip(self.programs) {
            let Some(next) = curve.through(program) else { return Nature::Dead };
            curve = next;
            self.programs += 1;
        }
        let operators: Vec<&str> = programs.clone().flat_map(Program::operators).collect();
        let nature = told(&curve, &operators);
        self.curve = Some(curve);
        nature
    }
}

/// What one program is.
fn nature(program: &Program) -> Nature {
    match Curve::start().through(program) {
        Some(curve) => told(&curve, &program.operators()),
        // A constant that isn't looked into may still be no more than added.
        None if program.is_affine_by_steps() => Nature::Affine,
        None => Nature::Unknown,
    }
}

fn told(curve: &Curve, operators: &[&str]) -> Nature {
    if curve.is_dead() {
        Nature::Dead
    } else if curve.is_identity() {
        Nature::Identity
    } else if curve.is_line() {
        Nature::Affine
    } else {
        recognise(&curve.samples, &Clues { operators }).map_or(Nature::Unknown, Nature::Activation)
    }
}

/// Every node's name as a user knows it, made different where the file's aren't.
fn names(index: &Index) -> Vec<String> {
    let mut count = HashMap::new();
    for node in &index.nodes {
        *count.entry(label(node.proto)).or_insert(0) += 1;
    }
    let name = |(i, node): (usize, &Node)| {
        let label = label(node.proto);
        if count.get(label) == Some(&1) { label.to_owned() } else { format!("{label}@{i}") }
    };
    index.nodes.iter().enumerate().map(name).collect()
}
