//! The engine's errors in one line that names the ONNX node.

use tract_onnx::tract_hir::internal::TractError;

use super::names;
use crate::worker::protocol::Failure;

/// Longest line that is passed on, in characters.
const LENGTH: usize = 240;

/// Makes a failure of an error chain: the sentences that say most, and the node that they name.
pub fn from_error(doing: &str, error: &TractError) -> Failure {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
    let node = causes.iter().find_map(|cause| names::decode(cause));
    let missing = causes.iter().find_map(|cause| between(cause, "Unimplemented(", ")"));
    let message = match missing {
        Some(op) => format!("tract has no operator {op}"),
        None => {
            // What follows is a dump of the engine's graph.
            let said = |cause: &String| line(cause.split("ModelPatch {").next().unwrap_or_default());
            let reason = causes.iter().rev().map(said).find(|c| !c.is_empty());
            format!("tract cannot {doing} it: {}", reason.unwrap_or_default())
        }
    };
    Failure { message, node, solo: None }
}

/// A failure in our own words.
pub fn plain(message: impl Into<String>) -> Failure {
    Failure::new(message)
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// The text in one line of bounded length.
pub fn line(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(LENGTH) {
        words.truncate(end);
        words.push('…');
    }
    words
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
