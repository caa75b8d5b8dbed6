//! What a measurement is asked to do, after everything typed has been checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::inputs::{DimFlag, InputFlag};
use super::profile::Args;
use super::targets::Where;
use crate::activation::Activation;
use crate::environment;
use crate::error::{Error, Result};
use crate::experiment::Swaps;
use crate::files::Destination;
use crate::report::{Format, Options};
use crate::swap::Selection;
use crate::{target, units};

/// Settings that can be acted on: names are known, files can be written, numbers are in range.
pub struct Settings {
    pub models: Vec<String>,
    pub swaps: Swaps,
    pub inputs: Vec<InputFlag>,
    pub dims: Vec<DimFlag>,
    pub threads: usize,
    /// As typed, for all targets.
    pub cpus: Option<String>,
    pub time: Duration,
    pub forks: usize,
    pub cold: bool,
    pub flush_denormals: bool,
    pub tune: bool,
    pub seed: u64,
    /// Where it is measured; never empty.
    pub places: Vec<Where>,
    pub format: Format,
    pub options: Options,
    pub output: Option<Destination>,
    /// Where the records are kept, one for each target.
    pub save: Vec<Destination>,
    /// Whether records that are there already are gone on with.
    pub resume: bool,
}

/// Fresh processes of each variant, unless told.
const FORKS: usize = 8;

/// More of either is a slip of the finger.
pub(super) const MOST_FORKS: usize = 1000;
pub(super) const MOST_THREADS: usize = 1024;
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Settings {
    /// Checks what was typed. Whatever can be refused is refused here, before anything takes time.
    pub fn check(args: Args) -> Result<Self> {
        let activations = activations_of("--act", &args.act)?;
        let selection =
            Selection { from: activations_of("--from", &args.from)?, sites: args.site, skip: args.skip };
        let selects = !(selection.from.is_empty() && selection.sites.is_empty() && selection.skip.is_empty());
        if activations.is_empty() && (selects || args.no_control) {
            return Err(Error::input(
                "--from, --site, --skip and --no-control are about swapping: give --act too",
            ));
        }
        if args.tune && args.models.len() > 1 {
            return Err(Error::input("--tune is for one model at a time: give one"));
        }
        let forks = args.forks.unwrap_or(if args.cold { MOST_FORKS } else { FORKS });
        within("--forks", forks, MOST_FORKS)?;
        within("--threads", args.threads, MOST_THREADS)?;
        check_time("--time", args.time)?;
        if let Some(pause) = args.cool_down.filter(|&pause| pause >= args.time) {
            return Err(Error::input(format!(
                "--cool-down {} leaves nothing of --time {}: give more --time",
                units::duration(pause),
                units::duration(args.time)
            )));
        }
        if args.output.is_some() && args.output == args.save {
            return Err(Error::input("-o and --save name the same file: give each its own"));
        }
        let mut places = args.targets.places()?;
        let limit =
            args.max_temperature.map(|degrees| target::limit_mc("--max-temperature", degrees)).transpose()?;
        for place in &mut places {
            place.rest.pause = args.cool_down.unwrap_or(place.rest.pause);
            place.rest.below_mc = limit.or(place.rest.below_mc);
        }
        if let Some(text) = args.cpus.as_ref().filter(|_| args.targets.target == ["local"]) {
            environment::parse_cpus(text)?;
        }
        let destination = |path: Option<PathBuf>| path.map(|path| Destination::check(&path)).transpose();
        if args.resume && args.save.is_none() {
            return Err(Error::input("--resume goes on with the record that --save names: give that too"));
        }
        let save = match &args.save {
            Some(path) => places
                .iter()
                .map(|p| Destination::check(&save_as(path, p, &places)))
                .collect::<Result<_>>()?,
            None => vec![],
        };
        Ok(Self {
            models: args.models,
            swaps: Swaps {
                activations,
                lowerings: args.lowering.all(),
                selection,
                control: !args.no_control,
                knobs: super::knobs::settings(&args.knob)?,
            },
            inputs: args.input,
            dims: args.dim,
            threads: args.threads,
            cpus: args.cpus,
            time: args.time,
            forks,
            cold: args.cold,
            flush_denormals: args.denormals == super::profile::Denormals::Flush,
            tune: args.tune,
            seed: args.seed,
            places,
            resume: args.resume,
            format: args.format,
            options: Options { top: args.top, ..Options::default() },
            output: destination(args.output)?,
            save,
        })
    }
}

/// Where a target's record is kept: the file that was named, and of several targets one for each, with the
/// target's name before its extension.
fn save_as(path: &Path, place: &Where, all: &[Where]) -> PathBuf {
    if all.len() == 1 {
        return path.into();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
    path.with_file_name(format!("{stem}.{}{extension}", place.file_name()))
}

fn activations_of(flag: &str, names: &[String]) -> Result<Vec<Activation>> {
    names.iter().map(|name| Activation::parse(name).map_err(|e| e.context(flag))).collect()
}

/// A time that can be waited for.
pub(super) fn check_time(flag: &str, time: Duration) -> Result<()> {
    if time.is_zero() || time > LONGEST {
        return Err(Error::input(format!(
            "{flag}: give more than nothing and at most a day, as in 40s, 2m or 500ms"
        )));
    }
    Ok(())
}

pub(super) fn within(flag: &str, n: usize, most: usize) -> Result<()> {
    match n {
        0 => Err(Error::input(format!("{flag} 0: give at least 1"))),
        n if n > most => Err(Error::input(format!("{flag} {n}: give at most {most}"))),
        _ => Ok(()),
    }
}
