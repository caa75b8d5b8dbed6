//! What each place with an activation costs, against its size.

use super::markup::Html;
use super::page;
use super::part::Part;
use crate::plot::{Point, Points, Quantity, Series};
use crate::record::{Site, Variant};
use crate::report::{facts, sites, text};
use crate::units;

pub fn figure_of(part: &Part, variants: &[&Variant]) -> Html {
    let series: Vec<Series> = variants.iter().map(|variant| series(part, variant)).collect();
    if series.iter().all(|s| s.points.is_empty()) {
        return Html::default();
    }
    let title = "Time of each activation against its elements";
    let axes =
        [("elements of the site's output", Quantity::Count), ("mean time of its operators", Quantity::Time)];
    let count = series.iter().map(|s| format!("{}: {}", s.name, units::count(s.points.len(), "site")));
    let description = count.collect::<Vec<_>>().join("; ");
    let plot = Points { title, description: &description, axes, series, spread: true };
    let folded = variants.iter().flat_map(|v| &v.sites).filter(|site| site.folded_into.is_some()).count();
    let folded = match folded {
        0 => String::new(),
        n => format!(" {} folded into other operators, whose times hold theirs: not drawn.", have(n)),
    };
    let caption = format!(
        "Mean time in profiled runs of the operators that compute a site, against its elements; a straight line upwards is a fixed \
         cost an element.{folded} The table of sites has all."
    );
    page::figure(plot.svg(&format!("{}-sites", part.id)), &caption, Html::default())
}

pub fn figure(part: &Part) -> Html {
    let profiled =
        part.drawn.iter().copied().filter(|v| facts::profiled(part.record, v) && !v.sites.is_empty());
    figure_of(part, &profiled.collect::<Vec<_>>())
}

fn have(n: usize) -> String {
    if n == 1 { "1 site is".into() } else { format!("{} sites are", units::integer(n as u64)) }
}

fn series(part: &Part, variant: &Variant) -> Series {
    let name = facts::label(part.record, variant);
    let point = |site: &Site| {
        let elements = elements(site)?;
        let ns = sites::time(variant, site).ns()?;
        let node = text::shorten(&site.node, 60);
        let told = format!("{name}, {node}: {} elements, {}", units::integer(elements), units::time(ns));
        Some(Point { x: elements as f64, y: ns as f64, told, name: String::new() })
    };
    Series { points: variant.sites.iter().filter_map(point).collect(), name: name.clone() }
}

/// Elements of a site's output, if its shape is known.
pub fn elements(site: &Site) -> Option<u64> {
    let product = || site.shape.iter().try_fold(1u64, |all, &n| all.checked_mul(n as u64));
    (!site.shape.is_empty()).then(product).flatten()
}
