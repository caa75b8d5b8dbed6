//! `oplat import`: profiles that an app wrote with ONNX Runtime, as a record.

use std::io::Write;
use std::path::PathBuf;

use super::flags::ReportFlags;
use super::profile::CONFIDENCE;
use super::{model, note, output, report};
use crate::engines;
use crate::error::{Error, Result};
use crate::experiment::{self, Swaps, planned_engines};
use crate::files::Destination;
use crate::limits;
use crate::measure::{self, Import, Subject};
use crate::onnx::Model;
use crate::protocol::Failure;
use crate::record;
use crate::report::{Breakdowns, json};
use crate::swap::{Lowering, Selection};

/// The engine that writes such profiles.
const ENGINE: &str = "ort";

#[derive(clap::Args)]
pub struct Args {
    /// Profiles that ONNX Runtime wrote in an app, in any version and with any execution provider; of several, all of the same
    /// model and settings, each is a process
    #[arg(required = true, value_name = "PROFILE.json")]
    profiles: Vec<PathBuf>,
    /// The model that the app ran: an ONNX file; failing that `models/FILE`, failing that the built-in model of that name
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// The optimised model, if the app's session wrote it: ops are tied to nodes by it
    #[arg(long, value_name = "OPTIMISED.onnx")]
    optimised: Option<PathBuf>,
    /// Keep the record in this file, whatever the format
    #[arg(long, value_name = "RECORD")]
    save: Option<PathBuf>,
    #[command(flatten)]
    show: ReportFlags,
}

/// Reads the profiles, keeps the record and prints it.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let chosen = model::resolve(&args.model, &[], &mut |text| note(text))?.whole()?;
    let inputs: Vec<PathBuf> =
        args.profiles.iter().chain(&args.optimised).cloned().chain(chosen.files()).collect();
    let replacing = |path: &PathBuf| Destination::replacing(path, &record::KIND, &inputs);
    let save = args.save.as_ref().map(replacing).transpose()?;
    let file = args.show.destination(&record::KIND, &inputs)?;
    Destination::distinct(save.iter().chain(&file))?;
    let optimised = args.optimised.as_deref().map(Model::read).transpose()?;
    let imported = engines::named(ENGINE)?.imported(&args.profiles, &chosen.model, optimised.as_ref());
    let imported = imported.map_err(Failure::into_error)?;
    let swaps = Swaps {
        mixes: vec![],
        lowerings: vec![Lowering::Exported],
        selection: Selection::default(),
        control: false,
        engines: planned_engines(&[ENGINE.to_owned()])?,
        knobs: vec![],
    };
    let planned = experiment::variants(&[(&chosen.name, &chosen.model)], &swaps, &mut |text| note(text))?;
    let Some(planned) = planned.into_iter().next() else { return Err(Error::bug("no original")) };
    let (sites, ops) = (planned.variant.sites.len() as u64, imported.described.ops.len() as u64);
    limits::check(sites.saturating_mul(ops), limits::PROFILE_SITES, "sites times ops")
        .map_err(|e| e.context(args.profiles[0].display()))?;
    let import = Import {
        command: super::command_line(),
        files: report::names(&args.profiles),
        subject: Subject { model: chosen.describe(), inputs: vec![], dims: vec![] },
        planned,
        confidence: CONFIDENCE,
    };
    let (record, tied) = measure::import(import, imported);
    note(&tied);
    let document = json::document(&record)?;
    // What is written must be readable: the figures of a profile may be anything.
    record::read::record(document.as_bytes()).map_err(|e| e.context("no record can be made of it"))?;
    if let Some(save) = &save {
        save.write(document.as_bytes())?;
    }
    let breakdowns = Breakdowns { top: args.show.top, ..Breakdowns::default() };
    output::report(file.as_ref(), args.show.format(), out, |format| {
        crate::report::render(&record, format, &breakdowns)
    })
}
