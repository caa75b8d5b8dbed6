//! What a search found, drawn: the front, and what each change costs.

use super::search::{is_sure, largest_first};
use crate::plot::{Estimate, Forest, Point, Points, Quantity, Series};
use crate::search::document::{self, Against, Search};
use crate::units;

/// Changes that are drawn: the table has the others.
const DRAWN: usize = 20;

/// The front: latency against what is changed, as predicted and as measured.
pub fn front(search: &Search) -> Points<'static> {
    let weighed = match search.settings.against {
        Against::Sites => "sites changed",
        Against::Outputs => "output change, summed over sites",
        Against::File => "drop, summed over sites",
    };
    let x = |point: &document::Point| match search.settings.against {
        Against::Sites => point.changed as f64,
        _ => point.price,
    };
    let original = search.original_ns.unwrap_or_default();
    let told = |name: &str, ns: f64, how: &str| format!("{name}: {} {how}", Quantity::Time.text(ns));
    let mut measured: Vec<Point> = search
        .front
        .iter()
        .filter_map(|point| {
            // By the ratio, which is paired.
            let ns = point.measured?.ratio * original;
            Some(Point {
                x: x(point),
                y: ns,
                told: told(&point.name, ns, "by its pairs"),
                name: point.name.clone(),
            })
        })
        .collect();
    measured.insert(
        0,
        Point { x: 0.0, y: original, told: told("original", original, ""), name: "original".into() },
    );
    let predicted = search.front.iter().map(|point| Point {
        x: x(point),
        y: point.predicted_ns,
        told: told(&point.name, point.predicted_ns, "predicted"),
        name: String::new(),
    });
    Points {
        title: "Latency against what is changed",
        description: "Each mark is a design of the front.",
        axes: [(weighed, Quantity::Number), ("latency", Quantity::Time)],
        series: vec![
            Series { name: "measured".into(), points: measured },
            Series { name: "predicted".into(), points: predicted.collect() },
        ],
        spread: false,
    }
}

/// What each change makes of the latency, by itself: the largest first. `None` if that isn't known.
pub fn costs(search: &Search) -> Option<Forest<'static>> {
    let original = search.original_ns.filter(|ns| *ns > 0.0)?;
    let ratio = |cost: f64| 1.0 + cost / original;
    let row = |site: &document::SiteCost| {
        let interval = site.interval.map(ratio);
        Estimate {
            name: format!("{}: {}", site.node, site.activation),
            ratio: Some(ratio(site.cost_ns)),
            interval: Some(interval),
            told: units::ratio(ratio(site.cost_ns), Some(interval)),
            sure: is_sure(site),
        }
    };
    let rows: Vec<Estimate> = largest_first(search).into_iter().take(DRAWN).map(row).collect();
    let axis = "latency with this change alone, of the original's: below 1 is faster";
    (!rows.is_empty()).then_some(Forest {
        title: "What each change costs by itself",
        axis,
        rows,
        margin: 0.0,
    })
}
