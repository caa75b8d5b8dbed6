//! What a measurement is asked to do, after everything typed has been checked.

use std::path::PathBuf;
use std::time::Duration;

use super::inputs::{DimFlag, InputFlag};
use super::profile::Args;
use crate::activation::Activation;
use crate::environment;
use crate::error::{Error, Result};
use crate::experiment::Swaps;
use crate::files::Destination;
use crate::report::{Format, Options};
use crate::swap::Selection;
use crate::target::{self, Target};

/// Settings that can be acted on: names are known, files can be written, numbers are in range.
pub struct Settings {
    pub models: Vec<String>,
    pub swaps: Swaps,
    pub inputs: Vec<InputFlag>,
    pub dims: Vec<DimFlag>,
    pub threads: usize,
    /// As typed; a list that can be used, where that is known already.
    pub cpus: Option<String>,
    pub time: Duration,
    pub forks: usize,
    pub cold: bool,
    pub flush_denormals: bool,
    pub tune: bool,
    pub seed: u64,
    pub target: Box<dyn Target>,
    pub format: Format,
    pub options: Options,
    pub output: Option<Destination>,
    pub save: Option<Destination>,
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
        if args.output.is_some() && args.output == args.save {
            return Err(Error::input("-o and --save name the same file: give each its own"));
        }
        let target = target::parse(&args.target, &target::Options::default())?;
        if let Some(text) = args.cpus.as_ref().filter(|_| args.target == "local") {
            environment::parse_cpus(text)?;
        }
        let destination = |path: Option<PathBuf>| path.map(|path| Destination::check(&path)).transpose();
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
            target,
            format: args.format,
            options: Options { top: args.top, ..Options::default() },
            output: destination(args.output)?,
            save: destination(args.save)?,
        })
    }
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
