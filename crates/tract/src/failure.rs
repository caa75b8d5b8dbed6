//! The engine's errors in one line that names the ONNX node.

use tract_onnx::tract_hir::internal::TractError;

use oplat_engine::at::one_line;
use oplat_engine::names;
use oplat_graph::onnx::{Model, for_each_node, label};
use oplat_ground::error::Error;
use oplat_ground::protocol::Failure;

/// Makes a failure of an error chain: the sentences that say most, and the node that they name.
pub fn from_error(doing: &str, error: &TractError) -> Failure {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
    let node = causes.iter().find_map(|cause| names::decode(cause));
    let missing = causes.iter().find_map(|cause| between(cause, "Unimplemented(", ")"));
    let message = match missing {
        Some(op) => format!("tract has no operator {op}"),
        None => {
            // What follows is a dump of the engine's graph.
            let said = |cause: &String| one_line(cause.split("ModelPatch {").next().unwrap_or_default());
            let reason = causes.iter().rev().map(said).find(|c| !c.is_empty());
            format!("tract cannot {doing} it: {}", reason.unwrap_or_default())
        }
    };
    Failure { message, node, ..Failure::default() }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// The failure that an error of our own is.
pub fn own(error: Error) -> Failure {
    Failure::new(error.message)
}

/// What the user knows the nodes as: label and operator, by index.
pub struct Labels(Vec<(String, String)>);

impl Labels {
    pub fn new(model: &Model) -> Self {
        let mut labels = vec![];
        for_each_node(model.graph(), &mut |node| {
            labels.push((label(node).to_owned(), node.op_type.clone().unwrap_or_default()));
        });
        Self(labels)
    }

    /// The failure that an error of the engine is: with the user's names of nodes, and the node that it is
    /// about in front.
    pub fn failure(&self, doing: &str, error: &TractError) -> Failure {
        let mut failure = from_error(doing, error);
        let known = |i: usize| self.0.get(i);
        failure.message = names::restore(&failure.message, |i| known(i).map(|(label, _)| label.clone()));
        if let Some((label, op)) = failure.node.and_then(known) {
            let helps = if doing == "translate" { "; `inspect` and `swap` still work" } else { "" };
            failure.message = format!("node {label:?} ({op}): {}{helps}", failure.message);
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::tract_hir::internal::format_err;

    #[test]
    fn a_missing_operator_is_named_with_its_node() {
        let name = names::encode(78, 0);
        let error = format_err!("Operator can not be made a TypedOp.")
            .context("ToTypedTranslator")
            .context(format!("Translating node #78 \"{name}\" Unimplemented(FusedConv)"));
        let failure = from_error("load", &error);
        assert_eq!(failure.node, Some(78));
        assert_eq!(failure.message, "tract has no operator FusedConv");
    }

    #[test]
    fn a_long_chain_becomes_one_line() {
        let error =
            format_err!("wrong\n  shapes {} ModelPatch {{ context", "x".repeat(5000)).context("somewhere");
        let failure = from_error("optimise", &error);
        assert!(failure.message.starts_with("tract cannot optimise it: wrong shapes xxx"));
        assert!(failure.message.chars().count() < 300 && !failure.message.contains('\n'));
    }
}
