//! A model with calls of its functions replaced by what the functions hold, to look at it as a whole.

use std::collections::{BTreeSet, HashMap};

use super::build::Names;
use super::messages::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};
use super::{bodies, label};

/// Deepest nesting of calls; ONNX forbids recursion, a hostile file may not care.
const DEEPEST: usize = 64;
/// Most nodes that inlining may make.
const MOST_NODES: usize = 1_000_000;

/// The functions of a model by domain, name and overload.
pub struct Functions<'m> {
    by_name: HashMap<[&'m str; 3], &'m FunctionProto>,
}

impl<'m> Functions<'m> {
    pub fn of(model: &'m ModelProto) -> Self {
        Self { by_name: model.functions.iter().map(|f| ([f.domain(), f.name(), f.overload()], f)).collect() }
    }

    /// The function that a node calls.
    pub fn get(&self, node: &NodeProto) -> Option<&'m FunctionProto> {
        // A model without functions has nothing to look up for every node.
        if self.by_name.is_empty() {
            return None;
        }
        self.by_name.get(&[node.domain(), node.op_type(), node.overload()]).copied()
    }
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
/// [`super::for_each_node`]. Fails, with the function's name, where calls don't end.
pub fn inline(model: &ModelProto, opens: &dyn Fn(&FunctionProto) -> bool) -> Result<Inlined, String> {
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
    Ok(Inlined { model: copy, origins, local })
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
            if self.origins.len() > MOST_NODES {
                return Err(format!("its functions make more than {MOST_NODES} nodes"));
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
        if place.calls.len() >= DEEPEST {
            return Err(format!("function {} calls itself, or is nested too deeply", function.name()));
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

/// The functions that some nodes call, themselves or through others.
pub fn called<'n>(
    nodes: impl Iterator<Item = &'n NodeProto>,
    functions: &[FunctionProto],
) -> BTreeSet<usize> {
    let at: HashMap<[&str; 3], usize> =
        functions.iter().enumerate().map(|(i, f)| ([f.domain(), f.name(), f.overload()], i)).collect();
    let mut found = BTreeSet::new();
    let mut open: Vec<&NodeProto> = nodes.collect();
    while let Some(node) = open.pop() {
        open.extend(bodies(node).flat_map(|body| &body.node));
        if let Some(&i) = at.get(&[node.domain(), node.op_type(), node.overload()])
            && found.insert(i)
        {
            open.extend(&functions[i].node);
        }
    }
    found
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
    fn what_is_called_through_others_is_called() {
        let functions =
            vec![function("f", vec![]), function("f2", vec![node("f", &["a"], "b")]), function("f3", vec![])];
        let nodes = [node("f2", &["x"], "y")];
        assert_eq!(called(nodes.iter(), &functions).into_iter().collect::<Vec<_>>(), [0, 1]);
    }
}
