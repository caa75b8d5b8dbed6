//! Flags that several commands have, and the limits of what can be given.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::error::{Error, Result};
use crate::files::{Destination, Kind};
use crate::limits;
use crate::measure::Until;
use crate::record::Denormals;
use crate::report::{Breakdowns, Document, Format};
use crate::swap::{Now, Selection};

/// Which sites are meant.
#[derive(clap::Args)]
pub struct SiteFlags {
    /// Swap only sites that are now one of these
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    from: Vec<String>,
    /// Swap only sites with such a name (`*`, `?`); may be repeated
    #[arg(long, value_name = "GLOB")]
    site: Vec<String>,
    /// Leave sites with such a name alone; may be repeated
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
}

impl SiteFlags {
    /// Whether no flag is given, so that all sites are meant.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.site.is_empty() && self.skip.is_empty()
    }

    /// The selection. Fails if `--from` names what is no activation.
    pub fn check(&self) -> Result<Selection> {
        let from = self.from.iter().map(|name| Now::parse(name)).collect::<Result<_>>()?;
        Ok(Selection { from, sites: self.site.clone(), skip: self.skip.clone() })
    }
}

/// How a saved record or a comparison is shown.
#[derive(clap::Args)]
pub struct ReportFlags {
    /// Rows of each breakdown
    #[arg(long, value_name = "N", default_value_t = Breakdowns::default().top)]
    pub top: usize,
    /// How it is written [default: what the name after -o ends with (.html, .md, .csv, .json), or table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write to this file and not to the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl ReportFlags {
    pub fn format(&self) -> Format {
        format(self.format, self.output.as_deref())
    }

    /// The file that was named. `json` is what the report is as JSON, `inputs` what it is made of.
    pub fn destination(&self, json: &'static Kind, inputs: &[PathBuf]) -> Result<Option<Destination>> {
        let path = self.output.as_deref();
        path.map(|path| Destination::replacing(path, self.format().kind(json), inputs)).transpose()
    }
}

/// The format that was asked for, or else the one that the output's name ends with.
pub fn format(asked: Option<Format>, output: Option<&Path>) -> Format {
    let extension = output.and_then(|path| path.extension()?.to_str()).unwrap_or_default();
    asked.unwrap_or(match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => Format::Html,
        "md" => Format::Markdown,
        "csv" => Format::Csv,
        "json" => Format::Json,
        _ => Format::Table,
    })
}

/// Reads `--format` where not every format will do.
pub fn formats(document: Document) -> impl TypedValueParser<Value = Format> {
    let named = Format::value_variants().iter().filter(move |format| format.fits(document));
    PossibleValuesParser::new(named.filter_map(Format::to_possible_value))
        .map(|name| Format::from_str(&name, false).unwrap_or_default())
}

/// Reads the argument of `--denormals`.
pub fn denormals() -> impl TypedValueParser<Value = Denormals> {
    PossibleValuesParser::new(Denormals::ALL.map(Denormals::name))
        .map(|text| Denormals::ALL.into_iter().find(|mode| mode.name() == text).unwrap_or_default())
}

/// Reads the argument of `--until`.
pub fn until() -> impl TypedValueParser<Value = Until> {
    PossibleValuesParser::new(Until::ALL.map(Until::name))
        .map(|text| Until::ALL.into_iter().find(|until| until.name() == text).unwrap_or_default())
}

/// The formats of commands that measure nothing.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub enum TableOrJson {
    #[default]
    Table,
    Json,
}

/// Fails unless the flag's number is from 1 to `most`.
pub fn check_number(flag: &str, n: usize, most: u64) -> Result<()> {
    match n {
        0 => Err(Error::input(format!("{flag} 0: give at least 1"))),
        n if n as u64 > most => Err(Error::input(format!("{flag} {n}: give at most {most}"))),
        _ => Ok(()),
    }
}

/// Fails unless the flag's time can be waited for.
pub fn check_time(flag: &str, time: Duration) -> Result<()> {
    if time.is_zero() || time > limits::TIME {
        return Err(Error::input(format!(
            "{flag}: give more than nothing and at most a day, as in 40s, 2m or 500ms"
        )));
    }
    Ok(())
}
