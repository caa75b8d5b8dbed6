//! The table at the end of an experiment: every variant of every measurement in a row.

use crate::record::Record;
use crate::report::{facts, grid::Grid, text, variants};
use crate::units::Scale;

/// Rows by measurement, in the order of the experiment.
pub fn render<'r>(measured: impl IntoIterator<Item = (&'r str, &'r Record)>) -> String {
    let mut grid = Grid::new()
        .name("measurement")
        .name("variant")
        .number("p50")
        .number("against original")
        .number("activation");
    let mut rows = 0;
    for (name, record) in measured.into_iter().filter(|(_, record)| facts::timed(record)) {
        let largest = record.variants.iter().filter_map(|v| v.latency).map(|l| l.p50_ns).max();
        let time = Scale::time(largest.unwrap_or(0));
        for (i, variant) in record.variants.iter().enumerate() {
            grid.row([
                if i == 0 { name.to_owned() } else { String::new() },
                facts::label(record, variant),
                variant.latency.map_or("-".into(), |l| time.with_unit(l.p50_ns)),
                variants::against(variant),
                variants::cost(variant, time, &format!(" {}", time.unit)).unwrap_or_else(|| "-".into()),
            ]);
            rows += 1;
        }
    }
    if rows == 0 { String::new() } else { text::table(&grid) }
}
