//! `oplat report`: saved records again, in any form.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::flags::ReportFlags;
use super::{annotate, kept, output};
use crate::compare::distinct;
use crate::error::{Error, Result};
use crate::record::bench::{self, Bench};
use crate::record::{self, Record};
use crate::report::{self, Breakdowns, By, Document, Metric, NamedRecord, OnGraph};
use crate::search::document::SCHEMA as SEARCH;
use crate::{files, limits};

#[derive(clap::Args)]
pub struct Args {
    /// Records, as `--save` or `--format json` wrote them, one of `bench` by itself; or kept measurements: last, last~1, …
    #[arg(default_value = kept::LAST, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// List the measurements that are kept: the last 50, of profile and of bench
    #[arg(long, conflicts_with = "records")]
    list: bool,
    /// Which breakdowns to show; several by commas [default: type,op,site]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BREAKDOWN,…")]
    by: Vec<By>,
    /// Which figures of nodes to show, for --format netron, model-explorer (one) and --annotate [default: all that are
    /// known; in model-explorer the first]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "METRIC,…")]
    metric: Vec<Metric>,
    /// Whose figures these are, by its name in tables [default: the original; of ratios the first swap]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Write this model, which must be the one that was measured, to -o with the figures in its nodes' metadata
    #[arg(long, value_name = "MODEL", requires = "output", conflicts_with_all = ["format", "by", "top", "list"])]
    annotate: Option<String>,
    #[command(flatten)]
    show: ReportFlags,
}

pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let show = &args.show;
    check_figures(&args)?;
    if args.list {
        show.format().check(Document::List)?;
        let file = show.destination(&report::REPORT, &[])?;
        return output::report(file.as_ref(), show.format(), out, kept::list);
    }
    let files = &args.records.iter().map(|path| kept::named(path)).collect::<Result<Vec<_>>>()?;
    let texts =
        files.iter().map(|path| files::read(path, limits::RECORD_BYTES)).collect::<Result<Vec<_>>>()?;
    if let ([path], [text]) = (files.as_slice(), texts.as_slice())
        && args.annotate.is_none()
        && let Some(bench) = alone(text, path)?
    {
        show.format().check(Document::Bench)?;
        let file = show.destination(&bench::KIND, files)?;
        return output::report(file.as_ref(), show.format(), out, |format| report::bench(&bench, format));
    }
    let records =
        files.iter().zip(&texts).map(|(path, text)| parse(text, path)).collect::<Result<Vec<_>>>()?;
    let on_graph = OnGraph { metrics: distinct(args.metric), variant: args.variant };
    if let (Some(model), Some(to)) = (&args.annotate, &show.output) {
        let [record] = records.as_slice() else {
            return Err(Error::input("--annotate: give one record"));
        };
        return annotate::run(model, record, &on_graph, to, files, out);
    }
    let file = show.destination(&record::KIND, files)?;
    let mut breakdowns = Breakdowns { top: show.top, on_graph, ..Breakdowns::default() };
    if !args.by.is_empty() {
        breakdowns.by.clone_from(&args.by);
    }
    let names = names(files);
    let records = named(&names, &records);
    output::report(file.as_ref(), show.format(), out, |format| report::records(&records, format, &breakdowns))
}

/// Fails where figures of nodes are asked for and none are shown.
fn check_figures(args: &Args) -> Result<()> {
    let shown = args.annotate.is_some() || args.show.format().is_on_graph();
    let flag =
        if args.metric.is_empty() { args.variant.as_ref().map(|_| "--variant") } else { Some("--metric") };
    match flag.filter(|_| !shown) {
        Some(flag) => Err(Error::input(format!(
            "{flag} is about figures on a graph: give --format netron, --format model-explorer or --annotate too"
        ))),
        None => Ok(()),
    }
}

/// What records are called, by their files.
pub fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| kept::title(path)).collect()
}

pub fn named<'r>(names: &'r [String], records: &'r [Record]) -> Vec<NamedRecord<'r>> {
    names.iter().zip(records).map(|(name, record)| NamedRecord { name, record }).collect()
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
}

/// The record of activations on their own, if it is one of these.
fn alone(text: &[u8], path: &Path) -> Result<Option<Bench>> {
    match serde_json::from_slice(text) {
        Ok(Schema { schema }) if schema == bench::SCHEMA => {
            record::read::bench(text).map(Some).map_err(|e| e.context(path.display()))
        }
        _ => Ok(None),
    }
}

/// Reads a record of the schema that this version knows.
pub fn read(path: &Path) -> Result<Record> {
    parse(&files::read(path, limits::RECORD_BYTES)?, path)
}

fn parse(text: &[u8], path: &Path) -> Result<Record> {
    let refuse = |what: String| Error::input(format!("{}: {what}", path.display()));
    let found: Schema = serde_json::from_slice(text)
        .map_err(|e| refuse(format!("not a record: {e}; `oplat profile --save FILE` writes one")))?;
    if found.schema == bench::SCHEMA {
        return Err(refuse("it is of activations on their own: `oplat report` prints it by itself".into()));
    }
    let family = |schema: &str| schema.split('/').next().unwrap_or_default().to_owned();
    if family(&found.schema) == family(SEARCH) {
        return Err(refuse(
            "it is of a search: `oplat search` with the same flags and --resume reports it again".into(),
        ));
    }
    if family(&found.schema) != family(record::SCHEMA) {
        return Err(refuse(format!(
            "it is no record but {:?}: give what `oplat profile --save` or --format json wrote",
            found.schema
        )));
    }
    if found.schema != record::SCHEMA {
        return Err(refuse(format!(
            "its schema is {:?} and this version reads {}; measure again or use the version that wrote it",
            found.schema,
            record::SCHEMA
        )));
    }
    record::read::record(text).map_err(|e| e.context(path.display()))
}
