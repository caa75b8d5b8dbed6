//! `oplat report`: a saved record again, in any form.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::output;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::record::{self, Record};
use crate::report::{self, By, Format, Options};

#[derive(clap::Args)]
pub struct Args {
    /// A record, as `--save` or `--format json` wrote it
    record: PathBuf,
    /// Which breakdowns to show (all unless given)
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BREAKDOWN")]
    by: Vec<By>,
    /// Rows of each breakdown
    #[arg(long, value_name = "N", default_value_t = Options::default().top)]
    top: usize,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Write to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let record = read(&args.record)?;
    let mut options = Options { top: args.top, ..Options::default() };
    if !args.by.is_empty() {
        options.by = args.by;
    }
    let text = report::render(&record, args.format, &options)?;
    match args.output {
        Some(path) => Destination::check(&path)?.write(text.as_bytes()),
        None => output::print(out, &text),
    }
}

/// Reads a record of the schema that this version knows.
fn read(path: &Path) -> Result<Record> {
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let text = std::fs::read(path).map_err(|e| Error::file("read", path, &e))?;
    let refuse = |what: String| Error::input(format!("{}: {what}", path.display()));
    let found: Schema = serde_json::from_slice(&text)
        .map_err(|e| refuse(format!("not a record: {e}; `oplat profile --save FILE` writes one")))?;
    if found.schema != record::SCHEMA {
        return Err(refuse(format!(
            "its schema is {:?} and this version reads {}; measure again or use the version that wrote it",
            found.schema,
            record::SCHEMA
        )));
    }
    serde_json::from_slice(&text).map_err(|e| refuse(format!("the record is damaged: {e}")))
}
