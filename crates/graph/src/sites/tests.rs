//! What is a site and what is none, by the values that a graph computes.

use super::*;

#[test]
fn a_recorded_reason_gives_its_refusal_back() {
    for refusal in Refusal::ALL {
        let text = refusal.with_reason("stands in /a: b");
        assert_eq!(text, format!("{}: stands in /a: b", refusal.name()));
        assert_eq!(Refusal::of_reason(&text), Some(refusal));
    }
    for text in ["", "gate", "frelu needs a feature map of a known number of channels", "a gate: no"] {
        assert_eq!(Refusal::of_reason(text), None, "{text}");
    }
}
