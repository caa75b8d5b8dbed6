//! The table at the end of an experiment: every variant of every measurement in a row.

use crate::record::Record;
use crate::report::{digits, facts, grid::Grid, text, variants};
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
        let latencies = digits::latencies(record, time);
        for (i, (variant, latency)) in record.variants.iter().zip(latencies).enumerate() {
            grid.row([
                if i == 0 { name.to_owned() } else { String::new() },
                facts::label(record, variant),
                latency.map_or("-".into(), |[p50, _]| format!("{p50} {}", time.unit)),
                variants::against(record, variant),
                variants::cost(variant, time, &format!(" {}", time.unit)).unwrap_or_else(|| "-".into()),
            ]);
            rows += 1;
        }
    }
    if rows == 0 { String::new() } else { text::table(&grid) }
}
