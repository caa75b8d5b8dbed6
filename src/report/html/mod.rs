//! HTML: one file with all that a record, a comparison, a bench or a search tells, to be opened anywhere, with nothing beside it.
//!
//! `markup` is the one place where text becomes HTML, `page` what is around a document, `sections` draws what text and Markdown
//! show too, `data` holds tables of any length for the page's script. What is drawn of a record is in `ratios`, `time`, `run`,
//! `memory`, `sites`, `samples` and `convolutions`, its long tables in `tables` and `aligned`; `record`, `compare`, `bench` and `search` put
//! the pages together. Without its script a page still says all but the long tables.

mod across;
mod aligned;
mod bench;
mod compare;
mod convolutions;
mod data;
mod markup;
mod memory;
mod page;
mod part;
mod ratios;
mod record;
mod repeat;
mod run;
mod samples;
mod search;
mod sections;
mod sites;
mod tables;
#[cfg(test)]
pub(super) mod tests;
mod time;

pub use across::page as across;
pub use bench::page as bench;
pub use compare::page as comparison;
pub use page::START;
pub use record::page as records;
pub use search::page as search;

use super::section::Section;
use page::Page;

/// Any other document.
pub fn document(title: &str, all: &[Section]) -> String {
    Page::new(title, sections::sections(all, false)).finish()
}
