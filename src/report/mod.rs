//! Reports: saved or fresh records, and comparisons of them, in forms that people or programs read. They know
//! records and nothing of how they were made.

mod activations;
mod bench;
mod bench_csv;
mod comparison;
mod comparison_csv;
mod csv;
pub(crate) mod facts;
#[cfg(test)]
mod fixture;
pub(crate) mod grid;
mod header;
pub(crate) mod json;
mod junit;
mod machine;
mod markdown;
mod memory;
mod ops;
mod section;
mod sites;
mod steadiness;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod types;
mod variants;
pub(crate) mod verdict;

use crate::compare::Comparison;
use crate::error::Result;
use crate::record::Record;
use crate::record::bench::Bench;
use section::Section;

pub use crate::compare::Named;

/// The forms in which records and comparisons can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: the verdict, then tables, at most 100 columns wide
    #[default]
    Table,
    /// Everything that is known, one JSON document
    Json,
    /// Full figures, one header: `row` tells variants, types, ops, … apart
    Csv,
    /// For a pull request: verdict, variants and warnings, the rest folded away
    Markdown,
}

/// How a table breaks a variant's time down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Mean time of each type of operator, a column a variant
    Type,
    /// The operators that take longest
    Op,
    /// The places where the model applies an activation
    Site,
    /// Mean time of the operators with each shape of output, a column a variant
    Shape,
    /// Kinds of activation: sites, folded ones, mean time
    Activation,
}

/// What a report shows.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of each breakdown; the rest is summed up in one more. CSV has them all.
    pub top: usize,
    /// The breakdowns, in order.
    pub by: Vec<By>,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 15, by: vec![By::Type, By::Op, By::Site] }
    }
}

/// The record in this format, ready to print. Fails only if the record can't be written as JSON.
pub fn render(record: &Record, format: Format, options: &Options) -> Result<String> {
    records(&[Named { name: "", record }], format, options)
}

/// Records one after another: as JSON a list of them unless it is one, as CSV all under one header.
pub fn records(records: &[Named], format: Format, options: &Options) -> Result<String> {
    match (format, records) {
        (Format::Json, [one]) => json::document(one.record),
        (Format::Json, _) => json::document(&records.iter().map(|n| n.record).collect::<Vec<_>>()),
        (Format::Csv, _) => Ok(csv::records(records, options)),
        (Format::Table | Format::Markdown, _) => {
            let one = |named: &Named| {
                let text = written(&table::sections(named.record, options), format);
                match format {
                    _ if records.len() == 1 => text,
                    Format::Markdown => format!("### {}\n\n{text}", markdown::code(named.name)),
                    _ => grid::wrap(&format!("record {}", named.name), "  ") + "\n" + &text,
                }
            };
            let across = targets::section(records);
            let across = (!across.is_empty()).then(|| written(&[across], format));
            Ok(across.into_iter().chain(records.iter().map(one)).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// The comparison in this format; `top` limits the rows of each breakdown. Fails only if it can't be written as
/// JSON.
pub fn comparison(comparison: &Comparison, format: Format, top: usize) -> Result<String> {
    match format {
        Format::Json => json::document(comparison),
        Format::Csv => Ok(comparison_csv::render(comparison)),
        Format::Table | Format::Markdown => Ok(written(&comparison::sections(comparison, top), format)),
    }
}

/// The comparison as a JUnit file, for a build server.
pub fn junit(comparison: &Comparison) -> String {
    junit::render(comparison)
}

/// Activations on their own in this format. Fails only if they can't be written as JSON.
pub fn bench(bench: &Bench, format: Format) -> Result<String> {
    match format {
        Format::Json => json::document(bench),
        Format::Csv => Ok(bench_csv::render(bench)),
        Format::Table | Format::Markdown => Ok(written(&bench::sections(bench), format)),
    }
}

fn written(sections: &[Section], format: Format) -> String {
    match format {
        Format::Markdown => section::markdown(sections),
        _ => section::text(sections),
    }
}
