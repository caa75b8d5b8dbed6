//! Names that survive the engine's optimiser.
//!
//! Engines derive the names of their operators from those of the ONNX nodes (`NAME.low`, `NAME.im2col`, …), so a node's
//! index is written into its name in a fixed width that can be found again in whatever an engine makes of it. Neither `.`
//! nor `#` occurs in it, since engines give those a meaning of their own.

const MARK: &str = "onnx";
const INDEX: usize = 7;
const PART: usize = 6;

/// The name of the `part`th engine node that computes ONNX node `index` (an inlined function has many).
pub fn encode(index: usize, part: usize) -> String {
    format!("{MARK}{index:0INDEX$}p{part:0PART$}")
}

/// The ONNX node whose name occurs first in `text`, be it a derived name or an error message.
pub fn decode(text: &str) -> Option<usize> {
    let digits = |t: &str, n: usize| t.get(..n).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).is_some();
    text.match_indices(MARK).find_map(|(at, _)| {
        let rest = text.get(at + MARK.len()..)?;
        let (index, part) = (rest.get(..INDEX)?, rest.get(INDEX..)?.strip_prefix('p')?);
        (digits(index, INDEX) && digits(part, PART)).then(|| index.parse().ok()).flatten()
    })
}

/// Which of the engine nodes of its ONNX node this is the name of.
pub fn part(name: &str) -> Option<usize> {
    let (_, part) = name.strip_prefix(MARK)?.split_once('p')?;
    part.get(..PART)?.parse().ok()
}

/// The ONNX node that this is the name of, with nothing before or after.
pub fn exact(name: &str) -> Option<usize> {
    decode(name).filter(|&index| name == encode(index, 0))
}

/// `text` with each such name, but not what the engine appended to it, replaced by what the user knows the node as.
pub fn restore(text: &str, label: impl Fn(usize) -> Option<String>) -> String {
    const WIDTH: usize = MARK.len() + INDEX + 1 + PART;
    let mut restored = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, from) = rest.split_at(at);
        restored.push_str(before);
        let label = from.get(..WIDTH).and_then(decode).and_then(&label);
        let width = if label.is_some() { WIDTH } else { MARK.len() };
        restored.push_str(label.as_deref().unwrap_or(MARK));
        rest = &from[width..];
    }
    restored + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_speak_of_the_users_nodes() {
        let text = format!("onnx: {}.low and {} after {}", encode(1, 0), encode(2, 3), encode(9, 0));
        let label = |i: usize| ["a", "b", "c"].get(i).map(|s| s.to_string());
        assert_eq!(restore(&text, label), format!("onnx: b.low and c after {}", encode(9, 0)));
    }

    #[test]
    fn an_index_is_found_in_derived_names_and_messages() {
        assert_eq!(decode(&encode(12, 0)), Some(12));
        assert_eq!(decode(&format!("{}.conv.im2col-3", encode(1_234_567, 99))), Some(1_234_567));
        assert_eq!(decode(&format!("Translating node #3 \"{}\" Conv", encode(7, 1))), Some(7));
        assert_eq!(decode("onnx is a format; onnx12p3 is no name, nor is onnx0000012x000000"), None);
    }
}
