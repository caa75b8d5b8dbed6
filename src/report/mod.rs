//! Reports: a saved or fresh record in a form that people or programs read. They know records and nothing
//! of how they were made.

pub(crate) mod facts;
#[cfg(test)]
mod fixture;
pub(crate) mod grid;
mod header;
pub(crate) mod json;
mod memory;
mod ops;
mod sites;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod variants;
pub(crate) mod verdict;

use crate::error::Result;
use crate::record::Record;

/// The forms in which a record can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: the verdict, then tables, at most 100 columns wide
    #[default]
    Table,
    /// The whole record, one JSON document
    Json,
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
}

/// What a table shows.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of each breakdown; the rest is summed up in one more.
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
    match format {
        Format::Table => Ok(table::render(record, options)),
        Format::Json => json::document(record),
    }
}
