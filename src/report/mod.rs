//! Reports: records, comparisons of them and activations on their own, in the formats that people or programs read.
//! Reports know records, and nothing of how they were made.
//!
//! What people read is a document of sections (`section`), which hold lines, warnings and tables (`grid`). There are
//! three: `record` (its sections are `header`, `verdict`, `variants`, `networks`, `memory`, `cold_start`, `steadiness`, `machine`,
//! and the breakdowns `types`, `ops`, `sites` and `activations`; `across` stands before those of several devices),
//! `comparison` and `bench`. A format that draws them is a `Writer`, in a file of its own: `text` (`terminal` is the same with
//! colours), `markdown`. `html` draws them too, and plots beside them.
//!
//! What programs read is written from the data itself: `json`, CSV (`csv` has what `record_csv`, `across_csv`, `comparison_csv` and
//! `bench_csv` share), `junit`, `tracked` for services that follow figures, `trace` for viewers of traces, and `netron` and
//! `model_explorer`, whose figures by node are made in `heat`. `earlier` tells any of them from a file of somebody else's. To add a format for people, write a `Writer` and name it in `draw`.

mod across;
mod across_csv;
#[cfg(test)]
mod across_tests;
mod activations;
mod bench;
mod bench_csv;
mod cold_start;
mod comparison;
mod comparison_csv;
mod csv;
pub(crate) mod digits;
mod earlier;
#[cfg(test)]
mod every_tests;
pub(crate) mod facts;
mod fit;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod grid;
mod header;
mod heat;
mod html;
pub(crate) mod json;
mod junit;
mod list;
mod machine;
mod markdown;
mod memory;
mod model_explorer;
mod netron;
mod networks;
mod ops;
mod record;
mod record_csv;
mod screen;
#[cfg(test)]
mod screen_tests;
mod search;
mod search_plot;
mod section;
mod sites;
mod steadiness;
mod terminal;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod trace;
mod tracked;
mod types;
pub mod variants;
mod verdict;
#[cfg(test)]
mod viewers_tests;

use crate::compare::Comparison;
use crate::compare::across::{Across, across as over_devices, why_not};
use crate::error::{Error, Result};
use crate::files::Kind;
use crate::plot;
use crate::record::Record;
use crate::record::bench::Bench;
use crate::search::Search;
use markdown::Markdown;
use section::{Section, Writer};
use terminal::Terminal;
use text::Text;

pub use crate::compare::NamedRecord;
pub use earlier::{JUNIT, REPORT};
pub use heat::{Heat, Metric, OnGraph};
pub use list::Listed;

/// The formats of records, comparisons and benches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: the verdict, then tables, at most 100 columns wide
    #[default]
    Table,
    /// The same with colours
    #[value(skip)]
    Terminal,
    /// Everything that is known, one JSON document
    Json,
    /// Full figures, one header: `row` tells variants, types, ops, … apart
    Csv,
    /// For a pull request: verdict, variants and warnings, the rest folded away
    Markdown,
    /// For a browser: plots and tables in one file that needs nothing else
    Html,
    /// A run of each variant, operator by operator: open it in Perfetto, chrome://tracing or speedscope
    Trace,
    /// Figures of nodes: drop the file on the model in Netron
    Netron,
    /// One figure of nodes as colours: node data for Model Explorer
    ModelExplorer,
    /// Bencher's metric format
    Bencher,
    /// For github-action-benchmark: customSmallerIsBetter
    GithubBenchmark,
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    Records,
    Across,
    Comparison,
    Bench,
    Search,
    List,
}

impl Format {
    /// What a report in this format may take the place of; `json` is what the document is as JSON.
    pub fn kind(self, json: &'static Kind) -> &'static Kind {
        match self {
            Self::Json => json,
            Self::Table | Self::Terminal | Self::Csv | Self::Markdown | Self::Html => &REPORT,
            Self::Trace => &earlier::TRACE,
            Self::Netron => &earlier::NETRON,
            Self::ModelExplorer => &earlier::MODEL_EXPLORER,
            Self::Bencher => &earlier::BENCHER,
            Self::GithubBenchmark => &earlier::GITHUB_BENCHMARK,
        }
    }

    /// Whether it shows figures on a model's graph: those of one record.
    pub fn is_on_graph(self) -> bool {
        matches!(self, Self::Netron | Self::ModelExplorer)
    }

    /// Whether such a document can be in this format.
    pub fn fits(self, document: Document) -> bool {
        match self {
            Self::Table | Self::Terminal | Self::Json | Self::Csv | Self::Markdown | Self::Html => true,
            Self::Bencher | Self::GithubBenchmark => {
                !matches!(document, Document::Across | Document::Search | Document::List)
            }
            Self::Trace | Self::Netron | Self::ModelExplorer => document == Document::Records,
        }
    }

    /// Fails if it can't, before it is made.
    pub fn check(self, document: Document) -> Result<()> {
        if self.fits(document) { Ok(()) } else { Err(self.unfit()) }
    }

    fn unfit(self) -> Error {
        let name =
            clap::ValueEnum::to_possible_value(&self).map_or(String::new(), |v| v.get_name().to_owned());
        Error::input(format!("--format {name} is for a record: oplat report RECORD --format {name}"))
    }

    /// Whether people read it.
    pub fn is_for_people(self) -> bool {
        self.is_table() || matches!(self, Self::Markdown | Self::Html)
    }

    /// Whether it is text as a terminal shows it.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Terminal)
    }
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

/// How much of a record a report shows.
#[derive(Clone, Debug)]
pub struct Breakdowns {
    /// One screen only, of what people read as text.
    pub at_a_glance: bool,
    /// Every record's own tables, of however many records.
    pub detail: bool,
    /// Rows of each; the rest is summed up in one more. CSV has them all.
    pub top: usize,
    /// In order.
    pub by: Vec<By>,
    /// Which figures viewers of the model's graph show.
    pub on_graph: OnGraph,
}

impl Default for Breakdowns {
    fn default() -> Self {
        Self {
            at_a_glance: false,
            detail: false,
            top: 15,
            by: vec![By::Type, By::Op, By::Site],
            on_graph: OnGraph::default(),
        }
    }
}

/// The record in this format, ready to print. Fails only if the record can't be written as JSON.
pub fn render(record: &Record, format: Format, breakdowns: &Breakdowns) -> Result<String> {
    records(&[NamedRecord { name: "", record }], format, breakdowns)
}

/// Records one after another, ready to print: as JSON a list of them unless there is one only, as CSV all under one
/// header. Fails only if they can't be written as JSON.
pub fn records(records: &[NamedRecord], format: Format, breakdowns: &Breakdowns) -> Result<String> {
    let json = || match records {
        [one] => json::record(one.record),
        _ => json::document(&records.iter().map(|named| named.record).collect::<Vec<_>>()),
    };
    let is_told = records.len() > 1 && format.is_for_people();
    let over = if is_told { over_devices(records) } else { None };
    let many = over.as_ref().filter(|_| records.len() > across::MANY && !breakdowns.detail);
    if let Some(over) = many {
        return self::across(over, format, false);
    }
    let sections = || {
        let one = |named: &NamedRecord| {
            let title = (records.len() > 1).then(|| Section::title(named.name));
            let sections = match breakdowns.at_a_glance && format.is_table() {
                true => screen::sections(named.record),
                false => record::sections(named.record, breakdowns),
            };
            title.into_iter().chain(sections).collect::<Vec<_>>()
        };
        let glance = breakdowns.at_a_glance && format.is_table();
        let why = if is_told && over.is_none() { why_not(records) } else { None };
        let why = why.map(|why| Section::plain().line(format!("No table over devices: {why}.")));
        let over = over.iter().flat_map(|over| across::sections(over, glance));
        why.into_iter().chain(over).chain(records.iter().flat_map(one)).collect()
    };
    if format == Format::Html {
        return Ok(html::records(records, over.as_ref(), breakdowns));
    }
    let other = || match format {
        Format::Trace => trace::render(records),
        Format::Netron => netron::render(records, &breakdowns.on_graph),
        Format::ModelExplorer => model_explorer::render(records, &breakdowns.on_graph),
        _ => tracked::render(tracked::records(records), format),
    };
    draw(format, json, || record_csv::render(records, breakdowns), sections, other)
}

/// What several devices show together, in this format: on one screen where that is a table, unless all of it is wanted. Fails only
/// if it can't be written as JSON.
pub fn across(over: &Across, format: Format, detail: bool) -> Result<String> {
    if format == Format::Html {
        return Ok(html::across(over));
    }
    let glance = format.is_table() && !detail;
    let other = || Err(format.unfit());
    let sections = || across::sections(over, glance);
    draw(format, || json::document(over), || across_csv::render(over), sections, other)
}

/// What was found, in a sentence a variant; of several engines with their times side by side. With colours if that is the
/// format, else without.
pub fn verdict(record: &Record, format: Format) -> String {
    let sections = [screen::found(record), networks::section(record)];
    if format == Format::Terminal { Terminal.document(&sections) } else { Text.document(&sections) }
}

/// The comparison in this format; `top` limits the rows of each breakdown. Fails only if it can't be written as
/// JSON.
pub fn comparison(comparison: &Comparison, format: Format, top: usize) -> Result<String> {
    if format == Format::Html {
        return Ok(html::comparison(comparison, top));
    }
    let json = || json::document(comparison);
    let other = || tracked::render(tracked::comparison(comparison), format);
    draw(format, json, || comparison_csv::render(comparison), || comparison::sections(comparison, top), other)
}

/// Activations on their own in this format. Fails only if they can't be written as JSON.
pub fn bench(bench: &Bench, format: Format) -> Result<String> {
    if format == Format::Html {
        return Ok(html::bench(bench));
    }
    let other = || tracked::render(tracked::bench(bench), format);
    draw(format, || json::document(bench), || bench_csv::render(bench), || bench::sections(bench), other)
}

/// A search in this format. Fails only if it can't be written as JSON.
pub fn search(found: &Search, format: Format) -> Result<String> {
    if format == Format::Html {
        return Ok(html::search(found));
    }
    let other = || Err(format.unfit());
    draw(format, || json::document(found), || search::csv(found), || search::sections(found), other)
}

/// The front of a search as a drawing.
pub fn front(found: &Search) -> String {
    plot::standing_alone(&search_plot::front(found).svg("front"))
}

/// The measurements that are kept, as a table or as JSON. Fails only if they can't be written as JSON.
pub fn list(all: &[Listed], format: Format) -> Result<String> {
    let other = || Err(format.unfit());
    draw(format, || json::document(&all), || list::csv(all), || vec![list::section(all)], other)
}

/// Any document in a format: its data as JSON or CSV, its sections in those for people, and `other` in those that not every
/// document has.
fn draw(
    format: Format,
    json: impl FnOnce() -> Result<String>,
    csv: impl FnOnce() -> String,
    sections: impl FnOnce() -> Vec<Section>,
    other: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let writer: &dyn Writer = match format {
        Format::Json => return json(),
        Format::Csv => return Ok(csv()),
        Format::Html => return Ok(html::document("oplat", &sections())),
        Format::Table => &Text,
        Format::Terminal => &Terminal,
        Format::Markdown => &Markdown,
        Format::Trace
        | Format::Netron
        | Format::ModelExplorer
        | Format::Bencher
        | Format::GithubBenchmark => return other(),
    };
    Ok(writer.document(&sections()))
}

/// The comparison as a JUnit file, for a build server.
pub fn junit(comparison: &Comparison) -> String {
    junit::render(comparison)
}
