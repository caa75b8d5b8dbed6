//! The record as it is: everything that was measured, for programs.

use crate::error::{Error, Result};
use crate::record::Record;

/// One JSON document, its last line ended.
pub fn render(record: &Record) -> Result<String> {
    let mut text = serde_json::to_string_pretty(record)
        .map_err(|e| Error::input(format!("the record cannot be written as JSON: {e}")))?;
    text.push('\n');
    Ok(text)
}
