//! JSON, for programs: all that is known, as it is.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::limits;
use crate::record::Record;

/// A record as it is kept. What is written can be read again: a large one has no line breaks, and one that would still be too
/// large is refused.
pub fn record(record: &Record) -> Result<String> {
    readable(record, limits::RECORD_BYTES)
}

fn readable(record: &Record, most: u64) -> Result<String> {
    let text = document(record)?;
    if text.len() as u64 <= most {
        return Ok(text);
    }
    let text = line(record)?;
    let remedy = "the record is too large to be read again: measure fewer variants at once";
    limits::check(text.len() as u64, most, "bytes").map_err(|e| e.context(remedy))?;
    Ok(text)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::read;
    use crate::report::fixture;

    #[test]
    fn a_large_record_is_written_so_that_it_is_read_again_or_not_at_all() {
        let record = fixture::record();
        let [indented, plain] = [document(&record).unwrap(), line(&record).unwrap()];
        let most = plain.len() as u64;
        assert_eq!(readable(&record, indented.len() as u64).unwrap(), indented);
        assert_eq!(readable(&record, most).unwrap(), plain);
        assert_eq!(read::record(plain.as_bytes()).unwrap(), record);
        let told = readable(&record, most - 1).unwrap_err().message;
        assert!(told.contains("measure fewer variants at once: it has") && told.contains("bytes"), "{told}");
    }
}
