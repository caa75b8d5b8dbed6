//! A record for people: first what it means, then what that rests on.

use super::section::Section;
use super::{
    Breakdowns, By, activations, cold_start, header, machine, memory, networks, ops, sites, steadiness,
    types, variants, verdict,
};
use crate::record::Record;

/// Header and warnings, the verdict, the variants, and the breakdowns that were asked for.
pub fn sections(record: &Record, breakdowns: &Breakdowns) -> Vec<Section> {
    let mut sections = vec![
        header::section(record),
        verdict::section(record),
        variants::section(record),
        networks::section(record),
        memory::section(record),
        memory::curve(record),
        cold_start::section(record),
        steadiness::section(record),
        machine::section(record),
    ];
    for by in &breakdowns.by {
        sections.extend(match by {
            By::Type => types::sections(record, types::TYPE, breakdowns.top),
            By::Shape => types::sections(record, types::SHAPE, breakdowns.top),
            By::Op => ops::sections(record, breakdowns.top),
            By::Site => sites::sections(record, breakdowns.top),
            By::Activation => activations::sections(record),
        });
    }
    sections
}
