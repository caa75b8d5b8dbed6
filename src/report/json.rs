//! JSON, for programs: all that is known, as it is.

use serde::Serialize;

use crate::error::{Error, Result};

/// One JSON document, its last line ended.
pub fn document(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::input(format!("the result cannot be written as JSON: {e}")))?;
    text.push('\n');
    Ok(text)
}
