//! The page of activations on their own.

use super::data::{Cell, Table, Unit};
use super::markup::Html;
use super::page::{Page, beside, figure};
use super::{repeat, sections};
use crate::compare::distinct;
use crate::plot::{Estimate, Forest, Line, Lines, Quantity};
use crate::record::Lowering;
use crate::record::bench::{Bench, Memcpy, Row};
use crate::report::bench as tables;
use crate::report::section::Section;
use crate::units;

/// Activations in one plot, beside ReLU and the copy.
const LINES: usize = 6;
const RELU: &str = "relu";

pub fn page(bench: &Bench) -> String {
    let timed = !bench.environment.emulated;
    let mut page = Page::new("Activations on their own", sections::section(&tables::head(bench), false));
    if timed {
        page.section("What the study says, here", [sections::section(&tables::claims(bench), false)]);
        page.section("Cost against size", [beside(sweeps(bench))]);
        page.section("Against ReLU", [beside([against_relu(bench)])]);
    }
    let sizes: Vec<Section> = tables::sizes(bench)
        .into_iter()
        .map(|elements| {
            let rows: Vec<&Row> = bench.rows.iter().filter(|row| row.elements == elements).collect();
            let copies: Vec<&Memcpy> = bench.memcpy.iter().filter(|copy| copy.elements == elements).collect();
            tables::size(bench, &rows, &copies, timed)
        })
        .collect();
    page.section(
        "By size",
        [sections::sections(&sizes, false), sections::section(&tables::notes(bench, timed), false)],
    );
    let growth = [tables::growth(bench, timed), tables::in_place(bench, timed), tables::left_out(bench)];
    page.section("Growth, and what was left out", [sections::sections(&growth, false)]);
    page.tables(vec![all(bench, timed)]);
    page.section("Environment, and how to repeat it", [repeat::bench(bench)]);
    page.finish()
}

/// A plot for each engine and lowering, of a few activations each.
fn sweeps(bench: &Bench) -> Vec<Html> {
    let kinds = distinct(bench.rows.iter().map(|row| (row.engine.as_str(), row.lowering)));
    let mut figures = vec![];
    for (engine, lowering) in kinds {
        let of_kind = bench.rows.iter().filter(|row| row.engine == engine && row.lowering == lowering);
        let names = distinct(of_kind.map(|row| row.activation.as_str()).filter(|name| *name != RELU));
        for names in names.chunks(LINES) {
            figures.push(sweep(bench, figures.len(), engine, lowering, names));
        }
    }
    figures
}

fn sweep(bench: &Bench, at: usize, engine: &str, lowering: Lowering, names: &[&str]) -> Html {
    let points = |name: &str, lowering: Option<Lowering>| {
        let of = |row: &&Row| {
            row.activation == name && row.engine == engine && lowering.is_none_or(|l| row.lowering == l)
        };
        bench.rows.iter().filter(of).map(|row| [row.elements as f64, row.ns_per_element]).collect::<Vec<_>>()
    };
    // Not every engine has ReLU as a kernel.
    let own = points(RELU, Some(lowering));
    let relu = if own.is_empty() { points(RELU, None) } else { own };
    let copies = bench.memcpy.iter().filter(|copy| copy.engine == engine);
    let copies = copies.map(|copy| [copy.elements as f64, copy.ns_per_element]).collect();
    let line = |(name, points): (&str, Vec<[f64; 2]>)| Line { name: name.to_owned(), points };
    let references = [("memcpy (a copy)", copies), ("relu", relu)];
    let lines: Vec<Line> = references
        .into_iter()
        .chain(names.iter().map(|name| (*name, points(name, Some(lowering)))))
        .map(line)
        .collect();
    let of_engine = if engine.is_empty() { String::new() } else { format!(" in {engine}") };
    let title = format!("Time an element against the number of elements, {lowering}{of_engine}");
    let description = lines.iter().filter_map(|line| {
        let last = line.points.last()?;
        Some(format!("{} {} ns at {}", line.name, tables::figure(last[1]), units::integer(last[0] as u64)))
    });
    let description = description.collect::<Vec<_>>().join("; ");
    let axes = [("elements", Quantity::Count), ("ns an element", Quantity::Number)];
    let plot = Lines { title: &title, description: &description, axes, lines, steps: false };
    let caption = format!(
        "{title}; relu and a copy of memory are there to compare with. The tables below have figures and intervals."
    );
    figure(plot.svg(&format!("sweep-{at}")), &caption, Html::default())
}

/// Every row of the largest size over ReLU's.
fn against_relu(bench: &Bench) -> Html {
    let Some(largest) = bench.rows.iter().map(|row| row.elements).max() else { return Html::default() };
    let row = |row: &Row| {
        let ratio = row.ratio_to_relu?;
        let engine = tables::in_engine(&row.engine);
        Some(Estimate {
            name: format!("{}, {}{engine}", row.activation, row.lowering),
            ratio: Some(ratio),
            interval: row.relu_interval,
            told: units::ratio(ratio, row.relu_interval),
            sure: row.relu_interval.is_some_and(|[low, high]| low > 1.0 || high < 1.0),
        })
    };
    let rows: Vec<Estimate> =
        bench.rows.iter().filter(|row| row.elements == largest).filter_map(row).collect();
    if rows.is_empty() {
        return Html::default();
    }
    let title = format!("Time over ReLU's at {} elements", units::integer(largest));
    let plot = Forest { title: &title, axis: "times as long as ReLU", rows, margin: 0.0 };
    let confidence = units::percent(bench.settings.confidence);
    let caption = format!(
        "{title}, paired in the same rounds [{}% interval over forks].",
        confidence.trim_end_matches(".0")
    );
    figure(plot.svg("relu"), &caption, Html::default())
}

fn all(bench: &Bench, timed: bool) -> Table {
    let mut table =
        Table::new("rows", "Activations by size").choice("activation").choice("lowering").choice("engine");
    table = table
        .number("elements", Unit::COUNT)
        .figure("ns an element ± interval")
        .figure("GB/s")
        .figure("times relu");
    table = table
        .figure("times memcpy")
        .number("output, bytes", Unit::COUNT)
        .number("scratch, bytes", Unit::COUNT)
        .name("computed by");
    for row in &bench.rows {
        let known = |text: String| if timed { text } else { String::new() };
        let ratio = |ratio: Option<f64>, interval| {
            known(ratio.map_or(String::new(), |ratio| units::ratio(ratio, interval)))
        };
        let texts = [
            known(tables::time(row.ns_per_element, row.interval)),
            known(tables::figure(row.gb_per_s)),
            ratio(row.ratio_to_relu, row.relu_interval),
            ratio(row.ratio_to_memcpy, row.memcpy_interval),
        ];
        let names = [&row.activation, row.lowering.name(), &row.engine].map(Cell::Text);
        let sizes = [row.output_bytes, row.scratch_bytes].map(Cell::Number);
        let cells = names
            .into_iter()
            .chain([Cell::Number(Some(row.elements))])
            .chain(texts.iter().map(|text| Cell::Text(text)));
        table.row(cells.chain(sizes).chain([Cell::Text(&row.kernel)]));
    }
    table
}
