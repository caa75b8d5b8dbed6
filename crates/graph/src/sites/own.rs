//! Our own operators in a file: calls of functions of domain `oplat`, named after the activation that they are.

use crate::activation::{self, Activation, Kind};
use crate::onnx::messages::NodeProto;

/// The domain of our operators.
pub const DOMAIN: &str = "oplat";

/// The operator of a kind: `gelu_tanh` is GeluTanh.
pub fn operator(kind: &Kind) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    kind.name.split('_').map(word).collect()
}

/// The activation that a node of our domain is; `None` for other nodes, and where a function's own attributes
/// leave its parameters open.
pub fn read(node: &NodeProto) -> Option<Activation> {
    if node.domain.as_deref() != Some(DOMAIN) {
        return None;
    }
    // A number behind tells functions of one operator apart.
    let name = node.op_type.as_deref()?.split('_').next()?;
    let kind = activation::kinds().find(|kind| operator(kind) == name)?;
    let mut activation = Activation::new(kind);
    for attribute in &node.attribute {
        let i = kind.parameters.iter().position(|p| Some(p.name) == attribute.name.as_deref())?;
        // As the author wrote it: the shortest number that is this single float.
        let value = attribute.f.filter(|_| attribute.ref_attr_name.as_deref().unwrap_or("").is_empty())?;
        activation.parameters[i] = Some(value.to_string().parse().unwrap_or(f64::from(value)));
    }
    Some(activation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::kinds;
    use std::collections::HashSet;

    #[test]
    fn operators_are_named_after_kinds() {
        let names: Vec<String> = kinds().map(operator).collect();
        assert!(names.contains(&"GeluTanh".to_owned()) && names.contains(&"Relu6".to_owned()), "{names:?}");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
