//! Where an engine is while it works, so that a crash can be named.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use oplat_ground::protocol::Failure;

use crate::names;

/// The number of what is being worked on, if anything is.
pub struct Place(AtomicUsize);

impl Place {
    const NOWHERE: usize = usize::MAX;

    pub fn set(&self, number: usize) {
        self.0.store(number, Relaxed);
    }

    pub fn clear(&self) {
        self.set(Self::NOWHERE);
    }

    fn get(&self) -> Option<usize> {
        Some(self.0.load(Relaxed)).filter(|&number| number != Self::NOWHERE)
    }
}

/// The ONNX node that a traced run is at.
pub static NODE: Place = Place(AtomicUsize::new(Place::NOWHERE));

/// The activation on its own that is being made ready.
pub static SOLO: Place = Place(AtomicUsize::new(Place::NOWHERE));

/// The engine of this process, once it has been chosen.
static ENGINE: OnceLock<String> = OnceLock::new();

/// From now on a panic outside of our own code is taken for this engine's. A process has one engine.
pub fn chosen(engine: &str) {
    ENGINE.get_or_init(|| engine.to_owned());
}

/// Announces an ONNX node to the parent, before it is evaluated.
pub fn announce(node: usize) {
    NODE.set(node);
    eprintln!("at {node}");
}

/// The failure that a panic is: whose it was, what it said, and the node or activation at which it happened, where that is
/// known. `file` is the source file from which it came.
pub fn panicked(message: &str, file: &str) -> Failure {
    let engine = ENGINE.get().filter(|_| !is_own(Path::new(file)));
    let whose = engine.map_or("oplat", String::as_str);
    Failure {
        message: one_line(&format!("{whose} panicked: {message}")),
        node: NODE.get().or_else(|| names::decode(message)),
        solo: SOLO.get(),
        machine: false,
        bug: engine.is_none(),
    }
}

/// Whether a source file is our own. The compiler knows files of the workspace by their paths in it, or by its folder, and
/// those of dependencies by the folder that is named after their crate.
fn is_own(file: &Path) -> bool {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let file = workspace.and_then(|folder| file.strip_prefix(folder).ok()).unwrap_or(file);
    let file = file.strip_prefix(".").unwrap_or(file);
    let folders: Vec<_> = file.iter().map(|f| f.to_string_lossy()).collect();
    let package = folders.iter().rposition(|f| f == "src").and_then(|src| folders.get(src.checked_sub(1)?));
    file.starts_with("src")
        || file.starts_with("crates")
        || package.is_some_and(|package| package.starts_with("oplat-"))
}

/// Longest line that is passed on, in characters.
const LENGTH: usize = 240;

/// The text in one line of bounded length.
pub fn one_line(text: &str) -> String {
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

    #[test]
    fn a_panic_is_told_with_whose_it_was() {
        chosen("tract");
        let registry = "/home/u/.cargo/registry/src/index.crates.io-1/";
        for (file, whose) in [
            ("crates/tract/src/ops.rs".to_owned(), "oplat"),
            ("src/worker.rs".to_owned(), "oplat"),
            (format!("{registry}oplat-tract-0.1.0/src/ops.rs"), "oplat"),
            (file!().to_owned(), "oplat"),
            (format!("{}/src/at.rs", env!("CARGO_MANIFEST_DIR")), "oplat"),
            ("./src/worker.rs".to_owned(), "oplat"),
            (format!("{registry}tract-core-0.23.9/src/ops/cnn/conv.rs"), "tract"),
            (format!("{registry}ndarray-0.17.1/src/lib.rs"), "tract"),
            ("vendor/tract-core/src/lib.rs".to_owned(), "tract"),
        ] {
            let failure = panicked("index\n out of bounds", &file);
            assert_eq!(failure.message, format!("{whose} panicked: index out of bounds"), "{file}");
            assert_eq!(failure.bug, whose == "oplat", "{file}");
        }
    }

    #[test]
    fn a_panic_names_the_node_in_its_message() {
        let message = format!("in {}.low: boom", names::encode(12, 0));
        assert_eq!(panicked(&message, "src/lib.rs").node, Some(12));
    }

    #[test]
    fn a_long_text_becomes_one_short_line() {
        let line = one_line(&format!("wrong\n  shapes {}", "x".repeat(5000)));
        assert!(line.starts_with("wrong shapes xxx") && line.ends_with('…') && line.chars().count() == 241);
    }
}
