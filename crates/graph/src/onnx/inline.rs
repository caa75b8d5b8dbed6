//! A model with calls of its functions replaced by what the functions hold, to look at it as a whole.

use std::collections::{BTreeSet, HashMap};

use super::build::Names;
use super::messages::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use super::{bodies, label};
use oplat_ground::{limits, units};

/// The functions of a model by domain, name and overload.
pub struct Functions<'m> {
    all: &'m [FunctionProto],
    by_name: HashMap<[&'m str; 3], usize>,
    /// Those whose calls end, each behind those that it calls.
    callees_first: Vec<usize>,
    /// What [`Self::size`] says of their nodes.
    sizes: Vec<Option<usize>>,
}

impl<'m> Functions<'m> {
    pub fn of(model: &'m ModelProto) -> Self {
        let all = model.functions.as_slice();
        let by_name =
            all.iter().enumerate().map(|(i, f)| ([f.domain(), f.name(), f.overload()], i)).collect();
        let mut functions = Self { all, by_name, callees_first: vec![], sizes: vec![None; all.len()] };
        functions.measure();
        functions
    }

    /// The number, in the model's list, of the function that a node calls.
    pub fn number(&self, node: &NodeProto) -> Option<usize> {
        // A model without functions has nothing to look up for every node.
        if self.by_name.is_empty() {
            return None;
        }
        self.by_name.get(&[node.domain(), node.op_type(), node.overload()]).copied()
    }

    /// The function that a node calls.
    pub fn get(&self, node: &NodeProto) -> Option<&'m FunctionProto> {
        self.number(node).map(|i| &self.all[i])
    }

    fn measure(&mut self) {
        let callees: Vec<Vec<usize>> =
            self.all.iter().map(|f| every(&f.node).filter_map(|node| self.number(node)).collect()).collect();
        let mut callers = vec![vec![]; self.all.len()];
        for (caller, callees) in callees.iter().enumerate() {
            callees.iter().for_each(|&callee| callers[callee].push(caller));
        }
        let mut waits_for: Vec<usize> = callees.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..self.all.len()).filter(|&i| waits_for[i] == 0).collect();
        while let Some(function) = ready.pop() {
            self.sizes[function] = self.size(&self.all[function].node);
            self.callees_first.push(function);
            for &caller in &callers[function] {
                waits_for[caller] -= 1;
                if waits_for[caller] == 0 {
                    ready.push(caller);
                }
            }
        }
    }

    /// How many nodes these are, with those in their bodies, and with those of functions at each call; `None` where calls
    /// don't end.
    pub fn size(&self, nodes: &[NodeProto]) -> Option<usize> {
        every(nodes).try_fold(0usize, |sum, node| {
            let inside = self.number(node).map_or(Some(0), |callee| self.sizes[callee])?;
            Some(sum.saturating_add(inside).saturating_add(1))
        })
    }

    /// By its number, whether a function holds a node that is so, itself or through others. One whose calls don't end holds
    /// none.
    pub fn holding(&self, is: impl Fn(&NodeProto) -> bool) -> Vec<bool> {
        let mut holding = vec![false; self.all.len()];
        for &function in &self.callees_first {
            let held = |node| is(node) || self.number(node).is_some_and(|callee| holding[callee]);
            holding[function] = every(&self.all[function].node).any(held);
        }
        holding
    }

    /// The numbers of the functions that nodes call, themselves or through others.
    pub fn called(&self, nodes: &'m [NodeProto]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = every(nodes).filter_map(|node| self.number(node)).collect();
        while let Some(function) = open.pop() {
            if found.insert(function) {
                open.extend(every(&self.all[function].node).filter_map(|node| self.number(node)));
            }
        }
        found
    }

    /// A function that calls itself, among those that nodes call.
    fn endless(&self, nodes: &'m [NodeProto]) -> Option<&'m FunctionProto> {
        let mut seen = BTreeSet::new();
        let mut nodes = nodes;
        loop {
            let endless = |&function: &usize| self.sizes[function].is_none();
            let function = every(nodes).filter_map(|node| self.number(node)).find(endless)?;
            if !seen.insert(function) {
                return Some(&self.all[function]);
            }
            nodes = &self.all[function].node;
        }
    }
}

/// Nodes with those of their bodies.
fn every<'n>(nodes: &'n [NodeProto]) -> impl Iterator<Item = &'n NodeProto> {
    let mut open: Vec<&'n NodeProto> = nodes.iter().rev().collect();
    std::iter::from_fn(move || {
        let node = open.pop()?;
        open.extend(bodies(node).flat_map(|body| &body.node));
        Some(node)
    })
}

/// How many nodes a model has, with those of functions at each call. Fails, with a function's name, where calls don't end.
pub fn size(model: &ModelProto) -> Result<usize, String> {
    let Some(graph) = &model.graph else { return Ok(0) };
    let functions = Functions::of(model);
    functions.size(&graph.node).ok_or_else(|| {
        let endless = functions.endless(&graph.node).map_or("", FunctionProto::name);
        format!("function {endless} calls itself")
    })
}

/// Where a node of an inlined model stands in the model itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The calls that lead to it, the outermost first: each a node's index in its function, the first one in the model.
    pub calls: Vec<usize>,
    /// Its index in the innermost of these functions, or in the model.
    pub node: usize,
}

/// An inlined model.
pub struct Inlined {
    pub model: ModelProto,
    /// By the index of the node.
    pub origins: Vec<Origin>,
    /// What each value is called inside the calls of this path, by its name here.
    pub local: HashMap<(Vec<usize>, String), String>,
}

/// The model with every call inlined whose function `opens` says so of; nodes of bodies count as they do in
/// [`super::for_each_node`]. Fails where calls don't end, with the function's name, or make too many nodes.
pub fn inline(model: &ModelProto, opens: &dyn Fn(&FunctionProto) -> bool) -> Result<Inlined, String> {
    if size(model)? as u64 > limits::INLINED {
        return Err(too_many());
    }
    let mut copy = model.clone();
    let graph = copy.graph.take().unwrap_or_default();
    let mut inliner = Inliner {
        functions: Functions::of(model),
        opens,
        names: Names::of(&graph),
        origins: vec![],
        local: HashMap::new(),
    };
    let graph = inliner.graph(graph, &mut Place::default())?;
    let (origins, local) = (inliner.origins, inliner.local);
    copy.graph = Some(graph);
    import_all(&mut copy);
    Ok(Inlined { model: copy, origins, local })
}

/// A function that is called and imports another version of the standard operators than the model does.
pub fn of_another_opset(model: &ModelProto) -> Option<&FunctionProto> {
    let ours = standard(&model.opset_import)?;
    let nodes = model.graph.as_ref().map_or(&[][..], |graph| &graph.node);
    let called = Functions::of(model).called(nodes);
    let mut called = called.into_iter().map(|i| &model.functions[i]);
    called.find(|function| standard(&function.opset_import).is_some_and(|theirs| theirs != ours))
}

/// Lets the model import the domains that only functions import: their nodes become the model's.
fn import_all(model: &mut ModelProto) {
    let imports = model.functions.iter().flat_map(|f| &f.opset_import).cloned().collect::<Vec<_>>();
    for import in imports {
        let domain = import.domain.as_deref().unwrap_or_default();
        let is_known = |known: &OperatorSetIdProto| known.domain.as_deref().unwrap_or_default() == domain;
        if !model.opset_import.iter().any(is_known) {
            model.opset_import.push(import);
        }
    }
}

/// The version of the standard operators.
pub fn standard(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|o| matches!(o.domain.as_deref(), None | Some("" | "ai.onnx")))?.version
}

/// Where the nodes that are written now come from.
#[derive(Default)]
struct Place {
    calls: Vec<usize>,
    /// Nodes of this function that were passed.
    passed: usize,
    /// What the function's values are called here; empty in the model itself, whose values keep their names.
    values: HashMap<String, String>,
    /// In front of the names of the function's nodes and values.
    prefix: String,
    /// The attributes of the call, and those that it leaves out.
    attributes: Vec<AttributeProto>,
}

struct Inliner<'m, 'o> {
    functions: Functions<'m>,
    opens: &'o dyn Fn(&FunctionProto) -> bool,
    names: Names,
    origins: Vec<Origin>,
    local: HashMap<(Vec<usize>, String), String>,
}

impl Inliner<'_, '_> {
    /// A graph with its calls inlined: the model's own, or a body, whose values in a function are the function's.
    fn graph(&mut self, mut graph: GraphProto, place: &mut Place) -> Result<GraphProto, String> {
        let nodes = std::mem::take(&mut graph.node);
        graph.node = self.nodes(nodes, place)?;
        if !place.calls.is_empty() {
            graph.value_info.clear();
            let weights = graph.initializer.iter_mut().map(|t| &mut t.name);
            let ends = graph.input.iter_mut().chain(&mut graph.output).map(|v| &mut v.name);
            for name in weights.chain(ends) {
                *name = name.take().map(|name| self.value(&name, place));
            }
        }
        Ok(graph)
    }

    fn nodes(&mut self, nodes: Vec<NodeProto>, place: &mut Place) -> Result<Vec<NodeProto>, String> {
        let mut written = Vec::with_capacity(nodes.len());
        for node in nodes {
            let index = place.passed;
            place.passed += 1;
            let mut node = self.instance(node, place);
            match self.functions.get(&node).filter(|f| (self.opens)(f)) {
                Some(function) => written.extend(self.call(&node, function, index, place)?),
                None => {
                    self.origins.push(Origin { calls: place.calls.clone(), node: index });
                    for body in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
                        *body = self.graph(std::mem::take(body), place)?;
                    }
                    written.push(node);
                }
            }
            // What a function hands straight on takes nodes, too.
            if self.origins.len() as u64 > limits::INLINED {
                return Err(too_many());
            }
        }
        Ok(written)
    }

    /// A node of a function with the names and attributes that it has in this call.
    fn instance(&mut self, mut node: NodeProto, place: &mut Place) -> NodeProto {
        if place.calls.is_empty() {
            return node;
        }
        node.name = Some(format!("{}{}", place.prefix, label(&node)));
        node.doc_string = None;
        for name in node.input.iter_mut().chain(&mut node.output) {
            *name = self.value(name, place);
        }
        node.attribute =
            std::mem::take(&mut node.attribute).into_iter().filter_map(|a| bind(a, place)).collect();
        node
    }

    fn value(&mut self, name: &str, place: &mut Place) -> String {
        if name.is_empty() {
            return String::new();
        }
        if let Some(here) = place.values.get(name) {
            return here.clone();
        }
        let here = self.names.fresh(format!("{}{name}", place.prefix));
        place.values.insert(name.to_owned(), here.clone());
        self.local.insert((place.calls.clone(), here.clone()), name.to_owned());
        here
    }

    fn call(
        &mut self,
        call: &NodeProto,
        function: &FunctionProto,
        index: usize,
        place: &Place,
    ) -> Result<Vec<NodeProto>, String> {
        if place.calls.len() as u64 >= limits::CALLS {
            return Err(format!(
                "function {} is called from {} others, one in the other",
                function.name(),
                limits::CALLS
            ));
        }
        let mut inner = Place {
            calls: place.calls.iter().copied().chain([index]).collect(),
            prefix: format!("{}/", label(call)),
            attributes: call.attribute.iter().chain(&function.attribute_proto).cloned().collect(),
            ..Place::default()
        };
        let mut passed_on = vec![];
        // An input that the call leaves out is left out inside, too.
        let given = call.input.iter().cloned().chain(std::iter::repeat(String::new()));
        for (formal, actual) in function.input.iter().zip(given) {
            inner.values.insert(formal.clone(), actual.clone());
            self.local.insert((inner.calls.clone(), actual.clone()), formal.clone());
        }
        for (formal, actual) in
            function.output.iter().zip(&call.output).filter(|(_, actual)| !actual.is_empty())
        {
            match inner.values.get(formal) {
                // An input handed straight on, or one value put out twice.
                Some(value) => passed_on.push((value.clone(), actual.clone())),
                None => {
                    inner.values.insert(formal.clone(), actual.clone());
                    self.local.insert((inner.calls.clone(), actual.clone()), formal.clone());
                }
            }
        }
        let mut nodes = self.nodes(function.node.clone(), &mut inner)?;
        for (value, actual) in passed_on {
            self.origins.push(Origin { calls: place.calls.clone(), node: index });
            nodes.push(NodeProto {
                op_type: Some("Identity".into()),
                name: Some(format!("{}{actual}", inner.prefix)),
                input: vec![value],
                output: vec![actual],
                ..Default::default()
            });
        }
        Ok(nodes)
    }
}

/// An attribute that refers to one of the function's, with the value that this has in the call; `None` without.
fn bind(attribute: AttributeProto, place: &Place) -> Option<AttributeProto> {
    let Some(reference) = attribute.ref_attr_name.as_deref().filter(|r| !r.is_empty()) else {
        return Some(attribute);
    };
    let value = place.attributes.iter().find(|a| a.name.as_deref() == Some(reference))?;
    Some(AttributeProto { name: attribute.name, ref_attr_name: None, ..value.clone() })
}

fn too_many() -> String {
    format!("its functions make more than the {} nodes that oplat takes", units::integer(limits::INLINED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            domain: op.starts_with('f').then(|| "local".into()),
            name: Some(output.to_uppercase()),
            input: input.iter().map(|s| (*s).into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    fn function(name: &str, nodes: Vec<NodeProto>) -> FunctionProto {
        FunctionProto {
            name: Some(name.into()),
            domain: Some("local".into()),
            input: vec!["a".into()],
            output: vec!["b".into()],
            node: nodes,
            ..Default::default()
        }
    }

    fn model(functions: Vec<FunctionProto>, nodes: Vec<NodeProto>) -> ModelProto {
        ModelProto {
            functions,
            graph: Some(GraphProto { node: nodes, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn each_call_has_its_own_values_and_each_node_its_origin() {
        let inner = function("f", vec![node("Conv", &["a"], "t"), node("Relu", &["t"], "b")]);
        let outer = function("g", vec![node("f", &["a"], "u"), node("f", &["u"], "b")]);
        let call = NodeProto { domain: Some("local".into()), ..node("g", &["x"], "y") };
        let inlined =
            inline(&model(vec![inner, outer], vec![node("Abs", &["w"], "x"), call]), &|_| true).unwrap();
        let nodes = &inlined.model.graph.as_ref().unwrap().node;
        let names: Vec<&str> = nodes.iter().map(NodeProto::name).collect();
        assert_eq!(names, ["X", "Y/U/T", "Y/U/B", "Y/B/T", "Y/B/B"]);
        assert_eq!((nodes[1].input[0].as_str(), nodes[4].output[0].as_str()), ("x", "y"));
        assert_eq!(nodes[2].output[0], nodes[3].input[0]);
        assert_eq!(inlined.origins[0], Origin { calls: vec![], node: 0 });
        assert_eq!(inlined.origins[4], Origin { calls: vec![1, 1], node: 1 });
        let local =
            |calls: &[usize], name: &str| inlined.local.get(&(calls.to_vec(), name.to_owned())).cloned();
        assert_eq!(local(&[1, 0], "x").as_deref(), Some("a"));
        assert_eq!(local(&[1, 1], &nodes[3].output[0]).as_deref(), Some("t"));
        assert_eq!(local(&[1, 1], "y").as_deref(), Some("b"));
    }

    #[test]
    fn a_function_that_calls_itself_is_an_error() {
        let endless = function("f", vec![node("f", &["a"], "b")]);
        let error = inline(&model(vec![endless], vec![node("f", &["x"], "y")]), &|_| true).err().unwrap();
        assert!(error.contains("function f calls itself"), "{error}");
    }

    #[test]
    fn calls_that_double_are_counted_and_not_made() {
        let half = |i: usize| {
            let twice = ["t", "b"].map(|output| node(&format!("f{}", i + 1), &["a"], output));
            function(&format!("f{i}"), twice.to_vec())
        };
        // Nothing at all in the end: it is the calls that are too many.
        let mut functions: Vec<FunctionProto> = (0..60).map(half).collect();
        functions.push(function("f60", vec![]));
        let model = model(functions, vec![node("f58", &["x"], "z"), node("f0", &["z"], "y")]);
        let nodes = &model.graph.as_ref().unwrap().node;
        let functions = Functions::of(&model);
        assert_eq!(functions.size(&nodes[..1]), Some(1 + 2 + 4));
        assert_eq!(
            functions.holding(|node| node.op_type() == "f60").iter().filter(|held| **held).count(),
            60
        );
        assert!(
            inline(&model, &|_| true).err().unwrap().contains("more than the 150,000 nodes that oplat takes")
        );
    }

    #[test]
    fn what_is_called_through_others_is_called() {
        let functions =
            vec![function("f", vec![]), function("f2", vec![node("f", &["a"], "b")]), function("f3", vec![])];
        let model = model(functions, vec![node("f2", &["x"], "y")]);
        let called = Functions::of(&model).called(&model.graph.as_ref().unwrap().node);
        assert_eq!(called.into_iter().collect::<Vec<_>>(), [0, 1]);
    }
}
