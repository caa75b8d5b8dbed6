//! `oplat compare`: what changed from one record to others, for people and for a build that must not get slower.

use std::io::Write;
use std::path::PathBuf;

use super::flags::{ReportFlags, formats};
use super::report::{named, names, read};
use super::{kept, output};
use crate::compare::{self, Against, Comparison, Limit, Options, Outcome};
use crate::error::{Error, Exit, Result};
use crate::files::Destination;
use crate::record::Margin;
use crate::report::{self, Document, NamedRecord};
use crate::units;

#[derive(clap::Args)]
#[command(mut_arg("format", |arg| arg.value_parser(formats(Document::Comparison))))]
pub struct Args {
    /// The record to compare against: a file, or a kept measurement: last, last~1, …
    base: PathBuf,
    /// Newer records: each is compared to the base, unless they are pooled
    #[arg(required = true, value_name = "NEW")]
    newer: Vec<PathBuf>,
    /// Another record of the base's side (repeatable); NEW records are pooled then
    #[arg(long = "base", value_name = "BASE")]
    more_base: Vec<PathBuf>,
    /// NEW records are one side that was measured several times, best in turn with the base's (A B A B)
    #[arg(long)]
    pool: bool,
    /// Exit with 1 if a variant became slower by more than this (5% or 0.05), failed or is gone, with 4 if that can't be
    /// told
    #[arg(long, value_name = "SHARE")]
    max_regression: Option<Limit>,
    /// The largest difference that doesn't matter to you: "no difference" means one below this, either way [default: the
    /// base's own, 2%]
    #[arg(long, value_name = "SHARE")]
    margin: Option<Margin>,
    /// Also write a JUnit file: one case a variant, failed or in error as the exit code would be
    #[arg(long, value_name = "FILE", requires = "max_regression")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    show: ReportFlags,
}

/// Compares and prints; then the exit code is the outcome's.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let found =
        |paths: Vec<&PathBuf>| paths.into_iter().map(|path| kept::named(path)).collect::<Result<Vec<_>>>();
    let base_files = found(std::iter::once(&args.base).chain(&args.more_base).collect())?;
    let new_files = found(args.newer.iter().collect())?;
    let (base_names, new_names) = (names(&base_files), names(&new_files));
    let inputs: Vec<PathBuf> = base_files.iter().chain(&new_files).cloned().collect();
    let base = base_files.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let newer = new_files.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let newer = named(&new_names, &newer);
    let pooled = args.pool || base.len() > 1;
    let sides: Vec<&[NamedRecord]> = if pooled { vec![&newer] } else { newer.chunks(1).collect() };
    let options = Options { limit: args.max_regression, margin: args.margin };
    let comparison = compare::compare(&named(&base_names, &base), &sides, options)?;
    let file = args.show.destination(&compare::KIND, &inputs)?;
    let junit = args.junit.as_deref();
    let junit = junit.map(|path| Destination::replacing(path, &report::JUNIT, &inputs)).transpose()?;
    Destination::distinct(file.iter().chain(&junit))?;
    if let Some(junit) = &junit {
        junit.write(report::junit(&comparison).as_bytes())?;
    }
    let show = &args.show;
    output::report(file.as_ref(), show.format(), out, |format| {
        report::comparison(&comparison, format, show.top)
    })?;
    judged(&comparison)
}

/// The outcome as an error that names the variants it is about.
fn judged(comparison: &Comparison) -> Result<()> {
    let (Some(outcome), Some(share)) = (comparison.outcome, comparison.max_regression) else { return Ok(()) };
    let limit = units::percent(share);
    if outcome.is_failure() {
        let regression = format!("slower by more than {limit}%");
        let sorts = [
            (Outcome::Regression, regression.as_str()),
            (Outcome::Failed, "failed"),
            (Outcome::Missing, "missing in the newer record"),
        ];
        let told = sorts.into_iter().filter_map(|(outcome, what)| {
            let about = about(comparison, outcome);
            (!about.is_empty()).then(|| format!("{what}: {about}"))
        });
        let message = told.collect::<Vec<_>>().join("; ");
        return Err(Error { exit: Exit::Regression, message });
    }
    if outcome == Outcome::Within {
        return Ok(());
    }
    let emulated = comparison.against.iter().find_map(|a| a.no_latency.as_deref());
    let drifting = comparison.against.iter().any(|a| a.drift > share).then_some(
        "records drift apart by more than that: give several a side (--base, --pool), or measure both sides in one profile",
    );
    let why = emulated.or(drifting).unwrap_or("give more --time or --forks, and an idle machine");
    let about = about(comparison, Outcome::Inconclusive);
    let message = format!("can't tell whether slower by more than {limit}%: {about}; {why}");
    Err(Error { exit: Exit::Inconclusive, message })
}

/// The variants with this outcome, each with the newer record that it is about if there are several.
fn about(comparison: &Comparison, outcome: Outcome) -> String {
    let several = comparison.against.len() > 1;
    let of = |against: &Against| {
        let missing = against.only_base.iter().filter(|_| outcome == Outcome::Missing);
        let judged = against.variants.iter().filter(|m| m.outcome == Some(outcome)).map(|m| &m.name);
        let told = |name: &String| match several {
            true => format!("{name} ({})", against.new.name),
            false => name.clone(),
        };
        judged.chain(missing).map(told).collect::<Vec<_>>()
    };
    comparison.against.iter().flat_map(of).collect::<Vec<_>>().join(" | ")
}
