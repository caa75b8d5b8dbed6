//! The report for people: first what it means, then what it rests on.

use super::{By, Options, header, memory, ops, sites, types, variants, verdict};
use crate::record::Record;

/// Header and warnings, the verdict, the variants, and the breakdowns that were asked for.
pub fn render(record: &Record, options: &Options) -> String {
    let mut sections = vec![
        header::render(record),
        verdict::render(record),
        variants::render(record),
        memory::render(record),
    ];
    for by in &options.by {
        sections.push(match by {
            By::Type => types::render(record, options.top),
            By::Op => ops::render(record, options.top),
            By::Site => sites::render(record, options.top),
        });
    }
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}
