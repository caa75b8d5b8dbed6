//! How an activation becomes operators: as the exporter writes it, or as one operator of our own.
//!
//! In a file our operator is a call of a function that the file brings along, of domain `oplat`, whose body is
//! the exported form: any engine can run it, and ours replaces it by its kernel. A function's body can't depend
//! on parameters in older opsets, so that there is one function for each set of them (and for each element
//! type); the parameters stand at the call, too, for us to read.

use std::collections::HashSet;

use super::Assignment;
use crate::activation::Activation;
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::messages::{FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, data_type};
use crate::onnx::{Model, for_each_node};
use crate::sites::own::{DOMAIN, operator};
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::Abilities;
use oplat_ground::record::Lowering;

/// The first version of the format that has functions.
const FUNCTIONS_SINCE: i64 = 8;

/// The lowerings that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lowerings {
    Exported,
    Kernel,
    #[default]
    Both,
}

impl std::str::FromStr for Lowerings {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "exported" => Ok(Self::Exported),
            "kernel" => Ok(Self::Kernel),
            "both" => Ok(Self::Both),
            _ => Err("give `exported`, `kernel` or `both`".into()),
        }
    }
}

impl std::fmt::Display for Lowerings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exported => "exported",
            Self::Kernel => "kernel",
            Self::Both => "both",
        })
    }
}

impl Lowerings {
    pub fn all(self) -> Vec<Lowering> {
        match self {
            Self::Exported => vec![Lowering::Exported],
            Self::Kernel => vec![Lowering::Kernel],
            Self::Both => vec![Lowering::Exported, Lowering::Kernel],
        }
    }
}

/// Those of the lowerings that make a difference to this activation in an engine, each once: where that has no kernel for
/// it, all are the exported form.
pub fn distinct(lowerings: &[Lowering], activation: &Activation, engine: &Abilities) -> Vec<Lowering> {
    let mut distinct = vec![];
    for lowering in lowerings.iter().map(|&lowering| effective(lowering, activation, engine)) {
        if !distinct.contains(&lowering) {
            distinct.push(lowering);
        }
    }
    distinct
}

/// The same for different activations at different sites: a kernel is spoken of where any of them has one.
pub fn of_mix(lowerings: &[Lowering], assignment: &Assignment, engine: &Abilities) -> Vec<Lowering> {
    let kernel = assignment.values().find(|to| runs_kernel(engine, to));
    let any = kernel.or_else(|| assignment.values().next());
    any.map_or(vec![], |activation| distinct(lowerings, activation, engine))
}

/// The lowering that a network gets in an engine where this one is asked for: what has no kernel there keeps its
/// exported form.
pub fn effective(lowering: Lowering, activation: &Activation, engine: &Abilities) -> Lowering {
    if runs_kernel(engine, activation) { lowering } else { Lowering::Exported }
}

/// Whether a network in this engine gets a kernel for the activation: there is one, the engine can run it, and doesn't
/// do better by merging the activation into other operators.
pub fn runs_kernel(engine: &Abilities, activation: &Activation) -> bool {
    engine.own_kernels
        && !engine.merges.iter().any(|name| name == activation.kind.name)
        && has_kernel(activation)
}

/// Whether there is a kernel for the activation.
pub fn has_kernel(activation: &Activation) -> bool {
    let parameters: Option<Vec<f64>> = activation.parameters.iter().copied().collect();
    parameters.is_some_and(|parameters| oplat_kernels::exists(activation.kind.name, &parameters))
}

/// Whether there are kernels for values of this ONNX element type.
pub fn has_type(kind: i32) -> bool {
    matches!(kind, data_type::FLOAT | data_type::FLOAT16)
}

/// The functions of our domain that a model has and gets.
pub struct Functions {
    opset: i64,
    all: Vec<FunctionProto>,
}

impl Functions {
    pub fn of(model: &Model) -> Self {
        let ours = |f: &&FunctionProto| f.domain.as_deref() == Some(DOMAIN);
        Self { opset: model.opset(), all: model.proto.functions.iter().filter(ours).cloned().collect() }
    }

    /// A node that calls the function of an activation, whose body is this formula; the function is added
    /// unless it is there. `None` if a parameter has no value.
    pub fn call(&mut self, to: &Activation, formula: &Expr, data_type: i32) -> Option<NodeProto> {
        let parameters = to.kind.parameters.iter().zip(&to.parameters);
        let attribute = parameters
            .map(|(p, value)| Some(build::float_attribute(p.name, (*value)?)))
            .collect::<Option<Vec<_>>>()?;
        let function = self.function(to, formula, data_type)?;
        let same =
            |f: &&FunctionProto| FunctionProto { name: function.name.clone(), ..(*f).clone() } == function;
        let name = match self.all.iter().find(same) {
            Some(there) => there.name.clone(),
            None => {
                let plain = operator(to.kind);
                let taken: HashSet<&str> = self.all.iter().filter_map(|f| f.name.as_deref()).collect();
                let numbered = (2..).map(|n| format!("{plain}_{n}"));
                let name =
                    std::iter::once(plain.clone()).chain(numbered).find(|n| !taken.contains(n.as_str()));
                self.all.push(FunctionProto { name: name.clone(), ..function });
                name
            }
        };
        Some(NodeProto { op_type: name, domain: Some(DOMAIN.to_owned()), attribute, ..Default::default() })
    }

    /// A function with this formula as its body, still without a name.
    fn function(&self, to: &Activation, formula: &Expr, data_type: i32) -> Option<FunctionProto> {
        let mut names = Names::default();
        let [input, output] = ["x", "y"].map(|name| names.fresh(name.to_owned()));
        let spot = build::Site {
            input: &input,
            output: &output,
            node: Some(operator(to.kind)),
            prefix: to.kind.name,
            data_type,
            opset: self.opset,
            parameter: &|name| to.parameter(name),
        };
        let node = build::nodes(formula, &spot, &mut names)?;
        Some(FunctionProto {
            domain: Some(DOMAIN.to_owned()),
            doc_string: Some(to.kind.formula.to_owned()),
            attribute: to.kind.parameters.iter().map(|p| p.name.to_owned()).collect(),
            input: vec![input],
            output: vec![output],
            node,
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(self.opset) }],
            ..Default::default()
        })
    }

    /// Gives a rewritten model the functions that it calls, and takes away those that it calls no more. The
    /// format's version is raised where it has no functions yet.
    pub fn put_into(self, model: &mut Model) {
        let mut called = HashSet::new();
        let mut note = |node: &NodeProto| {
            if node.domain.as_deref() == Some(DOMAIN) {
                called.extend(node.op_type.clone());
            }
        };
        for_each_node(model.graph(), &mut |node| note(node));
        model.proto.functions.iter().flat_map(|f| &f.node).for_each(&mut note);
        let ModelProto { functions, opset_import, ir_version, .. } = &mut model.proto;
        let had = functions.len();
        functions.retain(|f| f.domain.as_deref() != Some(DOMAIN));
        let only_others = functions.len() == had;
        functions
            .extend(self.all.into_iter().filter(|f| f.name.as_ref().is_some_and(|n| called.contains(n))));
        let imported = opset_import.iter().any(|o| o.domain.as_deref() == Some(DOMAIN));
        if called.is_empty() {
            if !only_others {
                opset_import.retain(|o| o.domain.as_deref() != Some(DOMAIN));
            }
            return;
        }
        if !imported {
            opset_import.push(OperatorSetIdProto { domain: Some(DOMAIN.to_owned()), version: Some(1) });
        }
        if ir_version.is_none_or(|version| version < FUNCTIONS_SINCE) {
            *ir_version = Some(FUNCTIONS_SINCE);
        }
    }
}

/// The node of an activation's kernel between two values. Fails, naming the site, for a parameter that is no
/// number.
pub fn kernel_node(
    functions: &mut Functions,
    to: &Activation,
    formula: &Expr,
    data_type: i32,
    [site, input, output]: [&str; 3],
) -> Result<NodeProto> {
    let call = functions.call(to, formula, data_type);
    let call = call.ok_or_else(|| Error::input(format!("{site}: {to} has a parameter without a value")))?;
    Ok(NodeProto { input: vec![input.to_owned()], output: vec![output.to_owned()], ..call })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_back() {
        for text in ["mish", "swish:1.1", "hard_sigmoid:0.2:0.5", "gelu_tanh"] {
            let activation = Activation::parse(text).unwrap();
            let mut functions = Functions { opset: 17, all: vec![] };
            let call = functions.call(&activation, &Expr::X, data_type::FLOAT).unwrap();
            assert_eq!(crate::sites::own::read(&call), Some(activation), "{text}");
        }
    }

    #[test]
    fn each_set_of_parameters_has_one_function() {
        let mut functions = Functions { opset: 17, all: vec![] };
        let mut call = |text: &str, kind| {
            let activation = Activation::parse(text).unwrap();
            let formula = Expr::parse(activation.kind.exported[0].formula).unwrap();
            functions.call(&activation, &formula, kind).unwrap().op_type.unwrap()
        };
        let calls = [("swish:1.5", 1), ("swish:0.3", 1), ("swish:1.5", 1), ("swish:1.5", 10), ("mish", 1)];
        let names: Vec<String> = calls.iter().map(|&(text, kind)| call(text, kind)).collect();
        assert_eq!(names, ["Swish", "Swish_2", "Swish", "Swish_3", "Mish"]);
    }

    #[test]
    fn both_lowerings_are_one_where_there_is_no_kernel() {
        let engine = Abilities { own_kernels: true, merges: vec!["relu".into()], ..Abilities::default() };
        let of =
            |text: &str, asked: Lowerings| distinct(&asked.all(), &Activation::parse(text).unwrap(), &engine);
        assert_eq!(of("mish", Lowerings::Both), [Lowering::Exported, Lowering::Kernel]);
        assert_eq!(of("relu", Lowerings::Both), [Lowering::Exported]);
        assert_eq!(
            of("relu", Lowerings::Kernel),
            [Lowering::Exported],
            "no kernel is spoken of where none runs"
        );
        for text in ["exported", "kernel", "both"] {
            assert_eq!(text.parse::<Lowerings>().unwrap().to_string(), text);
        }
        assert!("fast".parse::<Lowerings>().is_err());
    }
}
