//! Files of the user's: read once ([`read`]), written whole or not at all ([`Destination`]), and never lost. Beside them
//! stand temporary folders ([`Folder`]).
//!
//! What an output may take the place of:
//!
//! - nothing, or an empty file;
//! - an earlier output of the same [`Kind`]: a record that of a record, a report in any form for people or as CSV that of a
//!   report, JSON that of JSON with the same schema, a drawing that of a drawing, a model that of a model which oplat wrote and
//!   nobody has changed since. What a file is, is told from what is in it, not from its name;
//! - a pipe, a terminal or `/dev/null`, to which it is written as it comes.
//!
//! It never takes the place of a file that the same command reads, under whatever name (a link, a hard link), of a file that is
//! write-protected, or of any other. It is refused before anything is measured; the user may remove the file, or give another
//! name.

mod destination;
mod folder;
mod source;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use serde::Deserialize;

pub use destination::Destination;
pub use folder::{Folder, sweep};
pub use source::{read, read_text};

/// Where oplat keeps what the user hasn't named a place for, among the user's files (XDG base directories); `None` where the
/// system doesn't say where those are.
pub fn state_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME")
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .or_else(|| set("LOCALAPPDATA"))?;
    Some(state.join("oplat"))
}

/// A kind of output.
#[derive(Debug)]
pub struct Kind {
    /// What a file of it is: `a record that oplat saved`.
    pub what: &'static str,
    /// Whether this is a file of it.
    pub is: fn(&File) -> bool,
}

/// Whether the file is JSON of this schema, in any version of it: one document, or a list of them. One that is cut short is known
/// by its beginning.
pub fn is_json(file: &File, schema: &str) -> bool {
    #[derive(Deserialize)]
    struct Document {
        schema: String,
    }
    // Nothing but JSON is read to its end.
    let mut text = BufReader::new(file);
    let start: Vec<u8> = text.fill_buf().unwrap_or_default().trim_ascii_start().to_vec();
    let documents: Result<Vec<Document>, serde_json::Error> = match start.starts_with(b"[") {
        true => serde_json::from_reader(text),
        false => serde_json::from_reader(text).map(|one| vec![one]),
    };
    let is = |document: &Document| document.schema.rsplit_once('/').is_some_and(|(name, _)| name == schema);
    match documents {
        Ok(documents) => !documents.is_empty() && documents.iter().all(is),
        Err(e) if e.is_eof() => {
            let start: Vec<u8> = start.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
            start.starts_with(format!("{{\"schema\":\"{schema}/").as_bytes())
        }
        Err(_) => false,
    }
}

/// The beginning of a text; `None` if it is none.
pub fn start_of_text(file: &File) -> Option<String> {
    const ENOUGH: u64 = 1 << 14;
    let mut start = vec![];
    file.take(ENOUGH).read_to_end(&mut start).ok()?;
    let valid = match std::str::from_utf8(&start) {
        Ok(_) => start.len(),
        // The last character may be cut.
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        Err(_) => return None,
    };
    start.truncate(valid);
    String::from_utf8(start).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_its_schema() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [
            (r#"{"schema": "oplat.record/1", "more": [1]}"#, true),
            (r#"{"more": [1], "schema": "oplat.record/7"}"#, true),
            (r#"[{"schema": "oplat.record/1"}, {"schema": "oplat.record/1"}]"#, true),
            (r#"[{"schema": "oplat.record/1"}, {"schema": "oplat.bench/1"}]"#, false),
            (r#"{"schema": "oplat.recorder/1"}"#, false),
            (r#"{"schema": "oplat.record"}"#, false),
            (r#"{"schema": "oplat.record/1", "oplat": {"ver"#, true),
            (r#"{"schema": "oplat.bench/1", "oplat": {"ver"#, false),
            (r#"{"name": "oplat.record/1", "oplat": {"ver"#, false),
            (r#"{"name": "oplat.record/1"}"#, false),
            ("[]", false),
            ("oplat.record/1", false),
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(is_json(&File::open(file.path()).unwrap(), "oplat.record"), expected, "{text}");
        }
    }
}
