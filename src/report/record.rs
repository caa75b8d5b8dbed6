//! The report for people: first what it means, then what it rests on.

use super::section::Section;
use super::{
    By, Options, activations, cold_start, header, machine, memory, ops, sites, steadiness, types, variants,
    verdict,
};
use crate::record::Record;

/// Header and warnings, the verdict, the variants, and the breakdowns that were asked for.
pub fn sections(record: &Record, options: &Options) -> Vec<Section> {
    let mut sections = vec![
        header::section(record),
        verdict::section(record),
        variants::section(record),
        memory::section(record),
        memory::curve(record),
        cold_start::section(record),
        steadiness::section(record),
        machine::section(record),
    ];
    for by in &options.by {
        sections.extend(match by {
            By::Type => types::sections(record, types::TYPE, options.top),
            By::Shape => types::sections(record, types::SHAPE, options.top),
            By::Op => ops::sections(record, options.top),
            By::Site => sites::sections(record, options.top),
            By::Activation => activations::sections(record),
        });
    }
    sections
}
