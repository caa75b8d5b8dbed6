//! Time by type of operator, a bar a variant.

use super::markup::Html;
use super::page::{beside, figure};
use super::part::Part;
use crate::compare::distinct;
use crate::plot::{Bar, Bars, Quantity};
use crate::record::Variant;
use crate::report::digits::{self, Mean};
use crate::report::{facts, types};
use crate::units::Scale;

/// Types that have a part of their own.
const TYPES: usize = 6;
/// The most bars below each other.
const BARS: usize = 40;

pub fn figures(part: &Part) -> Html {
    let record = part.record;
    let profiled: Vec<&Variant> = facts::broken_down(record).filter(|v| facts::profiled(record, v)).collect();
    let engines = distinct(profiled.iter().map(|v| v.engine.as_str()));
    let of_engine =
        |engine: &str| profiled.iter().copied().filter(|v| v.engine == engine).collect::<Vec<_>>();
    let longest =
        profiled.iter().flat_map(|v| [types::profiled_run(v), v.latency.map(|l| l.p50_ns)]).flatten().max();
    let reach = longest.unwrap_or(0) as f64;
    beside(engines.iter().enumerate().map(|(at, engine)| bars(part, at, engine, &of_engine(engine), reach)))
}

fn bars(part: &Part, at: usize, engine: &str, variants: &[&Variant], reach: f64) -> Html {
    let record = part.record;
    let shown = &variants[..variants.len().min(BARS)];
    let names = types::by_time(shown, types::TYPE);
    let names = &names[..names.len().min(TYPES)];
    let scale = Scale::time(reach as u64);
    let medians = digits::latencies(record, scale);
    let median = |variant: &Variant| {
        let at = record.variants.iter().position(|known| std::ptr::eq(known, variant))?;
        Some(medians[at].as_ref()?[0].clone())
    };
    let bar = |variant: &&Variant| {
        let totals = types::totals(variant, types::TYPE);
        let ns = |name: &str| totals.get(name).and_then(|total| total.ns());
        let own: Vec<Option<u64>> = names.iter().map(|name| ns(name)).collect();
        let drawn: u64 = own.iter().flatten().sum();
        let unaccounted = variant.profiled.map_or(0, |p| p.unaccounted_ns);
        let run = types::profiled_run(variant).unwrap_or(0);
        let rest = [Some(run.saturating_sub(drawn + unaccounted)), Some(unaccounted)];
        let unit = scale.unit;
        let plain =
            median(variant).map_or("no unprofiled runs".into(), |p50| format!("unprofiled p50 {p50} {unit}"));
        let told = Mean::of(&variant.ops).and(unaccounted).text(record, scale);
        Bar {
            name: facts::label(record, variant),
            parts: own.into_iter().chain(rest).map(|ns| Some(ns? as f64)).collect(),
            mark: variant.latency.map(|l| l.p50_ns as f64),
            told: format!("profiled run {told} {unit}, {plain}"),
        }
    };
    let title = match facts::has_engines(record) {
        true => format!("Mean time by type of operator in {engine}"),
        false => "Mean time by type of operator".into(),
    };
    let parts = names.iter().copied().chain(["all other types", "no operator (unaccounted)"]);
    let plot = Bars {
        title: &title,
        axis: "mean time in a profiled run",
        quantity: Quantity::Time,
        parts: parts.map(str::to_owned).collect(),
        bars: shown.iter().map(bar).collect(),
        mark: if shown.iter().any(|v| v.latency.is_some()) { "p50 of unprofiled runs" } else { "" },
        reach,
    };
    let first = match variants.len() {
        n if n > shown.len() => format!(" The first {} of {n} variants.", shown.len()),
        _ => String::new(),
    };
    let line = match plot.mark {
        "" => "",
        _ => {
            "; the upright line is the median of runs without profiling, which says how long the network takes"
        }
    };
    let caption = format!(
        "{title}: bars are means of profiled runs and say where time goes{line}.{first} The numbers are those above; the tables below \
         have the figures."
    );
    figure(plot.svg(&format!("{}-time-{at}", part.id)), &caption, Html::default())
}
