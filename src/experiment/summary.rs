//! The table at the end of an experiment: every variant of every measurement in a row.

use crate::record::{Record, Role};
use crate::report::{facts, grid::Grid, text};
use crate::units::{self, Scale};

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
            let against = match (&variant.delta, variant.role) {
                (Some(delta), _) => units::ratio(delta.ratio, delta.interval),
                (None, Role::Original) if variant.latency.is_some() => "1".into(),
                _ => "-".into(),
            };
            let cost = variant.activation_cost.map(|cost| {
                let error = cost.interval.map(|[low, high]| (cost.ns - low).max(high - cost.ns).max(0));
                let error = error.map_or(String::new(), |e| format!(" ±{}", time.text(e as u64)));
                format!("{}{error} {}", time.signed(cost.ns as f64), time.unit)
            });
            grid.row([
                if i == 0 { name.to_owned() } else { String::new() },
                facts::label(record, variant),
                variant.latency.map_or("-".into(), |l| time.with_unit(l.p50_ns)),
                against,
                cost.unwrap_or_else(|| "-".into()),
            ]);
            rows += 1;
        }
    }
    if rows == 0 { String::new() } else { text::table(&grid) }
}
