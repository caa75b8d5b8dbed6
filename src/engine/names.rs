//! Names that survive the engine's optimiser.
//!
//! tract derives the names of its operators from those of the ONNX nodes (`NAME.low`, `NAME.im2col`, …), so a
//! node's index is written into its name in a fixed width that can be found again in whatever tract makes of
//! it. Neither `.` nor `#` occurs in it, since tract gives those a meaning of their own.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_found_in_derived_names_and_messages() {
        assert_eq!(decode(&encode(12, 0)), Some(12));
        assert_eq!(decode(&format!("{}.conv.im2col-3", encode(1_234_567, 99))), Some(1_234_567));
        assert_eq!(decode(&format!("Translating node #3 \"{}\" Conv", encode(7, 1))), Some(7));
        assert_eq!(decode("onnx is a format; onnx12p3 is no name, nor is onnx0000012x000000"), None);
    }
}
