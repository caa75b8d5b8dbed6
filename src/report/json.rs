//! JSON, for programs: all that is known, as it is.

use serde::Serialize;

use crate::error::{Error, Result};

/// One JSON document, its last line ended.
pub fn document(value: &impl Serialize) -> Result<String> {
    ended(serde_json::to_string_pretty(value))
}

/// The same in one line, for what only programs read.
pub fn line(value: &impl Serialize) -> Result<String> {
    ended(serde_json::to_string(value))
}

fn ended(text: serde_json::Result<String>) -> Result<String> {
    text.map(|text| text + "\n")
        .map_err(|e| Error::input(format!("the result cannot be written as JSON: {e}")))
}
