//! `oplat report`: saved records again, in any form.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::flags::ReportFlags;
use crate::error::{Error, Result};
use crate::record::bench::{self, Bench};
use crate::record::{self, Record};
use crate::report::{self, Breakdowns, By, NamedRecord};

#[derive(clap::Args)]
pub struct Args {
    /// Records, as `--save` or `--format json` wrote them; one of `bench` by itself
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// Which breakdowns to show; several by commas [default: type,op,site]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BREAKDOWN,…")]
    by: Vec<By>,
    #[command(flatten)]
    show: ReportFlags,
}

pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    if let [path] = args.records.as_slice()
        && let Some(bench) = alone(path)?
    {
        return args.show.deliver(&report::bench(&bench, args.show.format)?, out);
    }
    let records = args.records.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let mut breakdowns = Breakdowns { top: args.show.top, ..Breakdowns::default() };
    if !args.by.is_empty() {
        breakdowns.by = args.by;
    }
    let names = names(&args.records);
    let named = named(&names, &records);
    let text = report::records(&named, args.show.format, &breakdowns)?;
    args.show.deliver(&text, out)
}

/// Paths as texts.
pub fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

pub fn named<'r>(names: &'r [String], records: &'r [Record]) -> Vec<NamedRecord<'r>> {
    names.iter().zip(records).map(|(name, record)| NamedRecord { name, record }).collect()
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
}

/// The record of activations on their own, if it is one of these.
fn alone(path: &Path) -> Result<Option<Bench>> {
    let text = std::fs::read(path).map_err(|e| Error::file("read", path, &e))?;
    match serde_json::from_slice(&text) {
        Ok(Schema { schema }) if schema == bench::SCHEMA => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| Error::input(format!("{}: the record is damaged: {e}", path.display()))),
        _ => Ok(None),
    }
}

/// Reads a record of the schema that this version knows.
pub fn read(path: &Path) -> Result<Record> {
    let text = std::fs::read(path).map_err(|e| Error::file("read", path, &e))?;
    let refuse = |what: String| Error::input(format!("{}: {what}", path.display()));
    let found: Schema = serde_json::from_slice(&text)
        .map_err(|e| refuse(format!("not a record: {e}; `oplat profile --save FILE` writes one")))?;
    if found.schema == bench::SCHEMA {
        return Err(refuse("it is of activations on their own: `oplat report` prints it by itself".into()));
    }
    if found.schema != record::SCHEMA {
        return Err(refuse(format!(
            "its schema is {:?} and this version reads {}; measure again or use the version that wrote it",
            found.schema,
            record::SCHEMA
        )));
    }
    serde_json::from_slice(&text).map_err(|e| refuse(format!("the record is damaged: {e}")))
}
