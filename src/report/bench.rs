//! Activations on their own, for people: a table for each size, how time and memory grow with the size, what the
//! study's method does to its data, and whether the study's claims hold here.

use std::slice::from_ref;
use std::time::Duration;

use super::grid::Grid;
use super::header;
use super::section::Section;
use crate::record::bench::{Bench, Claim, Memcpy, Row, Values, Verdict};
use crate::record::{Denormals, Lowering};
use crate::units;

pub fn sections(bench: &Bench) -> Vec<Section> {
    let timed = !bench.environment.emulated;
    let mut sections = vec![head(bench)];
    for elements in sizes(bench) {
        let rows: Vec<&Row> = bench.rows.iter().filter(|row| row.elements == elements).collect();
        let copies: Vec<&Memcpy> = bench.memcpy.iter().filter(|copy| copy.elements == elements).collect();
        sections.push(size(bench, &rows, &copies, timed));
    }
    sections.push(notes(bench, timed));
    sections.push(growth(bench, timed));
    sections.push(in_place(bench, timed));
    if timed {
        let heading = (!bench.claims.is_empty()).then(|| "what the study says, here:".to_owned());
        let mut told = Section::plain().lines(heading);
        told.parts.extend(claims(bench).parts);
        sections.push(told);
    }
    sections.push(left_out(bench));
    sections
}

pub fn sizes(bench: &Bench) -> Vec<u64> {
    let mut sizes: Vec<u64> = bench.rows.iter().map(|row| row.elements).collect();
    sizes.dedup();
    sizes
}

pub fn head(bench: &Bench) -> Section {
    let settings = &bench.settings;
    let mut names: Vec<&str> = bench.rows.iter().map(|row| row.activation.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let what = match names.len() {
        1 => "1 activation on its own, f32".to_owned(),
        n => format!("{n} activations on their own, f32"),
    };
    let engines = if bench.engines.is_empty() { from_ref(&bench.engine) } else { &bench.engines };
    let engines = engines.iter().map(header::engine).collect::<Vec<_>>().join(" and ");
    let effort = format!(
        "{}, {}",
        units::count(settings.forks, "fork"),
        units::duration(Duration::from_nanos(settings.elapsed_ns))
    );
    let place = header::place(settings.threads, &bench.environment);
    let denormals =
        if settings.denormals == Denormals::Flush { ", subnormal numbers flushed to zero" } else { "" };
    let inputs = format!(
        "input: {} numbers, fresh for every forward, just written and as near in the caches as their size allows\
         {denormals}",
        settings.inputs
    );
    let warnings = bench.environment.warnings.iter().chain(&bench.warnings);
    let emulated = bench.environment.emulated.then(|| {
        "The target is emulated: the emulator's times say nothing about a device, so none are shown. Operators, \
         memory and values hold."
            .to_owned()
    });
    Section::plain()
        .line([what, engines, place, effort].join(" | "))
        .line(inputs)
        .warnings(warnings.cloned())
        .lines(emulated)
}

/// The rows of one size.
pub fn size(bench: &Bench, rows: &[&Row], copies: &[&Memcpy], timed: bool) -> Section {
    let Some(first) = rows.first() else { return Section::plain() };
    let mut title =
        format!("{} ({})", units::count(first.elements as usize, "element"), units::shape(&first.shape));
    let copy = |copy: &&Memcpy| {
        let time = time(copy.ns_per_element, copy.interval);
        let engine = in_engine(&copy.engine);
        format!("memcpy{engine} {time} ns/element, {} GB/s", figure(copy.gb_per_s))
    };
    let copies: Vec<String> = copies.iter().filter(|_| timed).map(copy).collect();
    if !copies.is_empty() {
        title += &format!(": {}", copies.join("; "));
    }
    let across = bench.engines.first().map(|engine| format!("x {}", engine.id));
    let errors = bench.rows.iter().any(|row| row.largest_error.is_some());
    let mut grid = named(bench).number("ns/element");
    if across.is_none() {
        grid = grid.number("GB/s");
    }
    grid = grid.number("x relu").number("x memcpy");
    // A page has no room for all of it.
    grid = grid.number(across.as_deref().unwrap_or("scratch\nkB"));
    if errors {
        grid = grid.number("largest\nerror");
    }
    grid = grid.name("computed by");
    for row in rows {
        let known = |text: String| if timed { text } else { String::new() };
        let ratio = |ratio: Option<f64>| known(ratio.map_or("-".into(), figure));
        let mut cells = names(bench, &row.activation, row.lowering, &row.engine);
        cells.push(known(time(row.ns_per_element, row.interval)));
        cells.extend(Some(known(figure(row.gb_per_s))).filter(|_| across.is_none()));
        cells.extend([ratio(row.ratio_to_relu), ratio(row.ratio_to_memcpy)]);
        cells.push(match across {
            Some(_) => ratio(row.across),
            None => known_kilobytes(row.scratch_bytes),
        });
        cells.extend(Some(error(row.largest_error)).filter(|_| errors));
        cells.push(match &row.isa {
            Some(isa) => format!("{} {isa}", row.kernel),
            None => row.kernel.clone(),
        });
        grid.row(cells);
    }
    Section::plain().line(title).table(grid)
}

/// A table whose rows begin with the names that [`names`] gives.
fn named(bench: &Bench) -> Grid {
    let grid = Grid::new().name("activation").name("lowering");
    if bench.engines.is_empty() { grid } else { grid.name("engine") }
}

/// What a row begins with: its engine only where there are several.
fn names(bench: &Bench, activation: &str, lowering: Lowering, engine: &str) -> Vec<String> {
    let engine = Some(engine.to_owned()).filter(|_| !bench.engines.is_empty());
    [activation.to_owned(), lowering.to_string()].into_iter().chain(engine).collect()
}

/// ` in ort`, of several engines.
pub fn in_engine(engine: &str) -> String {
    if engine.is_empty() { String::new() } else { format!(" in {engine}") }
}

/// `6e-8`
fn error(largest: Option<f64>) -> String {
    match largest {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(error) => format!("{error:.0e}"),
    }
}

pub fn notes(bench: &Bench, timed: bool) -> Section {
    let mut section = Section::plain();
    if timed {
        let percent = bench.settings.confidence * 100.0;
        let time = format!(
            "ns/element: time of a forward over its elements, ± half the {percent}% interval over forks"
        );
        section = section.line(match bench.engines.first() {
            None => format!(
                "{time}; GB/s: the input read and the output written once, 8 bytes an element; x relu, x memcpy: paired \
                 in the same rounds; scratch: allocated inside a forward, beyond its output"
            ),
            Some(first) => format!(
                "{time}; x relu, x memcpy: in the same engine, x {0}: the same in {0}, all paired in the same rounds",
                first.id
            ),
        });
        if let Some(ns) = bench.settings.run_ns {
            section = section.line(format!(
                "ONNX Runtime runs only whole models: a batch is one run of a graph with an operator for each forward, and what a \
                 run costs beside these, {ns} ns, is taken off; memcpy is its Identity operator; kernels run as operators"
            ));
        }
        let kernels = bench.rows.iter().any(|row| row.isa.is_some());
        if let Some(ns) = bench.settings.operator_ns.filter(|_| kernels) {
            section = section.line(format!(
                "kernels{} are timed bare, the engine's operators with what it does around their loops; that is about \
                 {ns:.0} ns a call for a kernel as an operator, which the claims below have in them",
                bench.engines.iter().find(|e| e.library.is_none()).map_or(String::new(), |e| in_engine(&e.id))
            ));
        }
        if bench.rows.iter().any(|row| row.ratio_to_memcpy.is_some_and(|ratio| ratio < 1.0)) {
            section = section.line("below 1 x memcpy: a pass in place touches one buffer, a copy two");
        }
    }
    if bench.rows.iter().any(|row| row.largest_error.is_some()) {
        section = section.line(
            "largest error: of an output against the function in double precision, as a share of the value where that is above 1",
        );
    }
    for row in bench.rows.iter().filter(|row| is_odd(&row.output)) {
        section = section.warning(format!(
            "{}, {}, {}{}: {} of fresh input",
            row.activation,
            row.lowering,
            units::count(row.elements as usize, "element"),
            in_engine(&row.engine),
            odd(&row.output)
        ));
    }
    section
}

fn is_odd(values: &Values) -> bool {
    values.subnormal + values.infinite + values.nan > 0
}

fn odd(values: &Values) -> String {
    format!("{} subnormal, {} infinite, {} NaN outputs", values.subnormal, values.infinite, values.nan)
}

/// Time from the smallest to the largest size, and memory at the largest.
pub fn growth(bench: &Bench, timed: bool) -> Section {
    let Some(first) = bench.growth.first() else { return Section::plain() };
    let title = format!(
        "from {} to {} elements, {} times as many",
        units::integer(first.from_elements),
        units::integer(first.to_elements),
        if first.linear.fract() == 0.0 { first.linear.to_string() } else { figure(first.linear) }
    );
    let mut grid = named(bench).number("times as long").number("output\nkB").number("scratch\nkB");
    for growth in &bench.growth {
        let same = |row: &&Row| {
            (&row.activation, row.lowering, &row.engine, row.elements)
                == (&growth.activation, growth.lowering, &growth.engine, growth.to_elements)
        };
        let largest = bench.rows.iter().find(same);
        let mut cells = names(bench, &growth.activation, growth.lowering, &growth.engine);
        cells.push(if timed { time(growth.ratio, growth.interval) } else { String::new() });
        cells.push(largest.map_or(String::new(), |row| known_kilobytes(row.output_bytes)));
        cells.push(largest.map_or(String::new(), |row| known_kilobytes(row.scratch_bytes)));
        grid.row(cells);
    }
    let note = "less than as many times longer: each call has a fixed part, which small sizes feel most; output: \
                newly allocated and left behind, 0 for what works in place; both at the larger size";
    Section::plain().line(title).table(grid).line(note)
}

/// The study's method beside fresh input.
pub fn in_place(bench: &Bench, timed: bool) -> Section {
    let rows: Vec<_> = bench.rows.iter().filter_map(|row| Some((row, row.in_place.as_ref()?))).collect();
    if rows.is_empty() {
        return Section::plain();
    }
    let mut grid = named(bench)
        .number("elements")
        .number("fresh\nns/element")
        .number("in place\nns/element")
        .number("forwards")
        .number("zero")
        .number("subnormal")
        .number("infinite")
        .number("NaN");
    for (row, run) in rows {
        let known = |text: String| if timed { text } else { String::new() };
        let share = |count: u64| match count {
            0 => "0".to_owned(),
            n => units::share(n as f64 / row.elements.max(1) as f64),
        };
        let cells = [
            units::integer(row.elements),
            known(figure(run.fresh_ns_per_element)),
            known(figure(run.ns_per_element)),
            units::integer(run.forwards),
            share(run.end.zero),
            share(run.end.subnormal),
            share(run.end.infinite),
            share(run.end.nan),
        ];
        grid.row(names(bench, &row.activation, row.lowering, &row.engine).into_iter().chain(cells));
    }
    Section::plain()
        .line(
            "the study's method, in place: one buffer, never filled anew, so that each forward is of the last one's \
             output; what is in it at the end, in shares of its elements",
        )
        .table(grid)
        .line("in place: mean over all forwards, of one process; no interval")
}

pub fn claims(bench: &Bench) -> Section {
    let line = |claim: &Claim| {
        let verdict = match claim.verdict {
            Verdict::Confirmed => "confirmed",
            Verdict::Refuted => "refuted",
            Verdict::Inconclusive => "can't be told",
        };
        let engine = in_engine(&claim.engine);
        format!("{} ({}{engine}): {verdict}: {}.", claim.claim, claim.lowering, claim.figures)
    };
    Section::plain().lines(bench.claims.iter().map(line))
}

/// What can't be measured, each reason once.
pub fn left_out(bench: &Bench) -> Section {
    let mut told: Vec<(String, &str)> = vec![];
    for left in &bench.left_out {
        let name = format!("{}, {}{}", left.activation, left.lowering, in_engine(&left.engine));
        if !told.iter().any(|(known, reason)| *known == name && *reason == left.reason) {
            told.push((name, &left.reason));
        }
    }
    let lines = told.into_iter().map(|(name, reason)| format!("left out: {name}: {reason}"));
    Section::plain().lines(lines)
}

/// A figure with half its interval in per cent, on the scale of ratios: `0.412 ±0.8%`.
pub fn time(value: f64, interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) if low > 0.0 => {
            let half = (high / low).sqrt() - 1.0;
            let half = if half < 1.0 { format!("{}%", units::percent(half)) } else { ">100%".into() };
            format!("{} ±{half}", figure(value))
        }
        _ => figure(value),
    }
}

/// Three digits of a figure that may be small or large: `0.0512`, `0.412`, `4.99`, `37.6`, `147`.
pub fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 0.0995 => 4,
        small if small < 0.9995 => 3,
        middle if middle < 9.995 => 2,
        large if large < 99.95 => 1,
        _ => 0,
    };
    match decimals {
        0 if value.is_finite() => units::integer(value.round() as u64),
        _ => format!("{value:.decimals$}"),
    }
}

/// `-` for what the engine doesn't tell.
fn known_kilobytes(bytes: Option<u64>) -> String {
    bytes.map_or("-".into(), kilobytes)
}

fn kilobytes(bytes: u64) -> String {
    match bytes {
        0 => "0".into(),
        few if few < 50 => "<0.1".into(),
        bytes => {
            let text = format!("{:.1}", bytes as f64 / 1e3);
            let (whole, tenths) = text.split_once('.').unwrap_or((&text, "0"));
            format!("{}.{tenths}", units::integer(whole.parse().unwrap_or(0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits() {
        for (value, text) in [
            (0.05121, "0.0512"),
            (0.4123, "0.412"),
            (4.987, "4.99"),
            (37.62, "37.6"),
            (147.3, "147"),
            (12_345.6, "12,346"),
        ] {
            assert_eq!(figure(value), text);
        }
        assert_eq!(time(0.4123, Some([0.409, 0.4156])), "0.412 ±0.8%");
        assert_eq!(time(0.4123, Some([0.01, 90.0])), "0.412 ±>100%");
        assert_eq!(time(0.4123, None), "0.412");
    }

    #[test]
    fn sizes_are_in_kilobytes_and_no_zero_stands_for_a_few_bytes() {
        for (bytes, text) in
            [(0, "0"), (16, "<0.1"), (160, "0.2"), (36_864, "36.9"), (13_107_200, "13,107.2")]
        {
            assert_eq!(kilobytes(bytes), text);
        }
    }
}
