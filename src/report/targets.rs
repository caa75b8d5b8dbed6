//! Targets side by side: one row a variant, one column a device, and every ratio to that device's own original.

use super::facts;
use super::grid::{Grid, UNKNOWN};
use super::section::Section;
use super::variants;
use crate::compare::NamedRecord;
use crate::escape;
use crate::record::{Record, Role, Variant};
use crate::units;

/// The table across targets; empty unless the records are of several.
pub fn section(records: &[NamedRecord]) -> Section {
    let mut targets: Vec<&str> = records.iter().map(|n| n.record.environment.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    if targets.len() < 2 || targets.len() != records.len() {
        return Section::plain();
    }
    let interval = records.first().map(|named| facts::interval_note(named.record)).unwrap_or_default();
    let mut section = Section::plain().table(grid(records)).line(format!(
        "original: p50 of whole runs; others: ratio to the same target's own original{interval}"
    ));
    if records.iter().any(|named| !facts::timed(named.record)) {
        section = section.line("emulated: its times say nothing of a device");
    }
    section
}

fn grid(records: &[NamedRecord]) -> Grid {
    let mut variants: Vec<(String, &Variant)> = vec![];
    for record in records.iter().map(|named| named.record) {
        for variant in &record.variants {
            if !variants.iter().any(|(_, known)| known.name == variant.name) {
                variants.push((facts::label(record, variant), variant));
            }
        }
    }
    let mut grid = records.iter().fold(Grid::new().name("variant"), |grid, named| grid.number(&title(named)));
    for (label, variant) in variants {
        let cells = records.iter().map(|named| cell(named.record, &variant.name));
        grid.row(std::iter::once(label).chain(cells));
    }
    grid
}

/// The target as the user named it, and the machine's name below.
fn title(named: &NamedRecord) -> String {
    let environment = &named.record.environment;
    let name = if named.name.is_empty() { &environment.target } else { named.name };
    match environment.host.as_str() {
        "" => escape::line(name).into_owned(),
        host => format!("{}\n{}", escape::line(name), escape::line(host)),
    }
}

fn cell(record: &Record, name: &str) -> String {
    let Some(variant) = record.variants.iter().find(|v| v.name == name) else { return String::new() };
    if variant.error.is_some() {
        return "failed".into();
    }
    if !facts::timed(record) {
        return "emulated".into();
    }
    match (&variant.delta, variant.role, variant.latency) {
        (Some(delta), ..) => variants::ratio(delta),
        (None, Role::Original, Some(latency)) => units::time(latency.p50_ns),
        _ => UNKNOWN.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::section::Writer;
    use crate::report::text::Text;

    #[test]
    fn each_device_is_measured_against_its_own_original() {
        let (mut here, mut there) = (fixture::record(), fixture::record());
        here.environment.target = "local".into();
        there.environment.target = "ssh:board".into();
        there.environment.host = "board".into();
        if let Some(original) = there.variants.first_mut().and_then(|v| v.latency.as_mut()) {
            original.p50_ns *= 10;
        }
        there.variants.pop();
        let named =
            [NamedRecord { name: "local", record: &here }, NamedRecord { name: "pi", record: &there }];
        let text = Text.section(&section(&named));
        insta::assert_snapshot!("targets_side_by_side", text);
        assert!(section(&named[..1]).is_empty(), "one target needs no such table");
        there.environment.emulated = true;
        let named =
            [NamedRecord { name: "local", record: &here }, NamedRecord { name: "pi", record: &there }];
        assert!(Text.section(&section(&named)).contains("emulated"));
    }
}
