//! The network in its order: one operator after another along a run.

use super::markup::Html;
use super::page::{beside, figure};
use super::part::Part;
use crate::plot::{Mark, Span, Spans};
use crate::record::{Op, Variant};
use crate::report::{facts, ops, text, types};
use crate::units;

pub fn figures(part: &Part) -> Html {
    let profiled = part.drawn.iter().filter(|v| facts::profiled(part.record, v));
    beside(profiled.enumerate().map(|(at, variant)| waterfall(part, at, variant)))
}

fn waterfall(part: &Part, at: usize, variant: &Variant) -> Html {
    let label = facts::label(part.record, variant);
    let spans: Vec<Span> = variant.ops.iter().enumerate().map(|(at, op)| span(variant, at, op)).collect();
    let count = |mark: Mark| spans.iter().filter(|span| span.mark == mark).count();
    let share = types::share(variant, of(&spans, variant))
        .map_or(String::new(), |share| format!(", {} of the profiled run", units::share(share)));
    let title = format!("{label}: the run in its order");
    let description = format!(
        "{} one after another by their mean times. Those that compute an activation: {}{share}; those that hold a folded one: {}.",
        units::count(spans.len(), "operator"),
        units::integer(count(Mark::Whole) as u64),
        units::integer(count(Mark::Part) as u64)
    );
    let plot = Spans {
        title: &title,
        description: &description,
        axis: "time along a profiled run, means",
        names: ["other operators", "activations", "hosts of folded activations"],
        spans: &spans,
    };
    let caption = format!(
        "{title}. {description} Point at an operator to see what it is; the table of operators has all."
    );
    figure(plot.svg(&format!("{}-run-{at}", part.id)), &caption, Html::default())
}

/// The time of operators that compute an activation and nothing else.
fn of(spans: &[Span], variant: &Variant) -> u64 {
    spans
        .iter()
        .zip(&variant.ops)
        .filter(|(span, _)| span.mark == Mark::Whole)
        .map(|(_, op)| op.mean_ns)
        .sum()
}

fn span(variant: &Variant, at: usize, op: &Op) -> Span {
    let mark = match (&op.site, op.folded.is_empty()) {
        (Some(_), _) => Mark::Whole,
        (None, false) => Mark::Part,
        (None, true) => Mark::None,
    };
    let (what, node) = (text::shorten(&ops::what(variant, op), 60), text::shorten(&op.node, 60));
    let told = format!("{} {what}  {node}  {}, {}", at + 1, units::time(op.mean_ns), units::share(op.share));
    Span { ns: op.mean_ns as f64, mark, told }
}
