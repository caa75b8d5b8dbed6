//! `oplat report`: saved records again, in any form.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::flags::ReportFlags;
use super::{annotate, kept, output};
use crate::compare::{across, distinct};
use crate::error::{Error, Result};
use crate::record::bench::{self, Bench};
use crate::record::{self, Record};
use crate::report::{self, Breakdowns, By, Document, Metric, NamedRecord, OnGraph};
use crate::search::document::SCHEMA as SEARCH;
use crate::{files, limits};

#[derive(clap::Args)]
pub struct Args {
    /// Records, as `--save` or `--format json` wrote them, one of `bench` by itself; a folder of them; or kept measurements:
    /// last, last~1, …
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
    /// Of records of several devices: only what each variant is over all devices, and on each
    #[arg(long, conflicts_with_all = ["list", "by", "metric", "variant", "annotate"])]
    across: bool,
    /// All devices and all tables, of however many records
    #[arg(long, conflicts_with = "list")]
    detail: bool,
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
    let files = &files_of(&args.records)?;
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
    if args.across {
        return over_devices(&args, files, &records, out);
    }
    let on_graph = OnGraph { metrics: distinct(args.metric), variant: args.variant };
    if let (Some(model), Some(to)) = (&args.annotate, &show.output) {
        let [record] = records.as_slice() else {
            return Err(Error::input("--annotate: give one record"));
        };
        return annotate::run(model, record, &on_graph, to, files, out);
    }
    let file = show.destination(&record::KIND, files)?;
    let mut breakdowns = Breakdowns { detail: args.detail, top: show.top, on_graph, ..Breakdowns::default() };
    if !args.by.is_empty() {
        breakdowns.by.clone_from(&args.by);
    }
    let names = names(files);
    let records = named(&names, &records);
    output::report(file.as_ref(), show.format(), out, |format| report::records(&records, format, &breakdowns))
}

/// The files that were named, with those of folders.
fn files_of(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    for path in named {
        let path = kept::named(path)?;
        if path.is_dir() { files.extend(inside(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

/// The records of a folder, by name. Other files may lie there, too.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let refuse = |why: String| Error::input(format!("{}: {why}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(|e| refuse(e.to_string()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.retain(|path| File::open(path).is_ok_and(|file| (record::KIND.is)(&file)));
    files.sort();
    if files.is_empty() {
        // What `oplat run` writes of several targets.
        let deeper = folder.join("*").join("*.json").display().to_string();
        let has_folders =
            std::fs::read_dir(folder).is_ok_and(|all| all.flatten().any(|entry| entry.path().is_dir()));
        return Err(refuse(match has_folders {
            true => format!(
                "no record is in this folder; there are folders in it: give their records, as {deeper}"
            ),
            false => "no record is in this folder: oplat profile --save FILE.json writes one".into(),
        }));
    }
    Ok(files)
}

/// What the records show over their devices.
fn over_devices(args: &Args, files: &[PathBuf], records: &[Record], out: &mut dyn Write) -> Result<()> {
    let show = &args.show;
    show.format().check(Document::Across)?;
    let names = names(files);
    let named = named(&names, records);
    let over = across::across(&named).ok_or_else(|| {
        Error::input(across::why_not(&named).map_or_else(
            || {
                "--across: give records of two devices or more; a device is told by its target, its host name and its CPU"
                    .to_owned()
            },
            |why| format!("--across: {why}"),
        ))
    })?;
    let file = show.destination(&across::KIND, files)?;
    output::report(file.as_ref(), show.format(), out, |format| report::across(&over, format, args.detail))
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
