//! A variant's sites: what each application of an activation became and takes.

use super::facts;
use super::grid::Grid;
use super::section::Section;
use super::types::profiled_run;
use crate::record::{Op, Record, Site, Variant};
use crate::units::{self, Scale};

pub fn sections(record: &Record, top: usize) -> Vec<Section> {
    let variants = facts::broken_down(record).filter(|v| !v.sites.is_empty());
    variants.map(|v| section(record, v, top)).collect()
}

/// A site and its ops' mean time together; `None` where it has no op of its own.
pub struct Row<'r> {
    pub site: &'r Site,
    pub ns: Option<u64>,
    /// What computes it.
    pub place: String,
}

fn section(record: &Record, variant: &Variant, top: usize) -> Section {
    let timed = facts::timed(record);
    let folded = variant.sites.iter().filter(|s| s.folded_into.is_some()).count();
    let mut rows: Vec<Row> = variant.sites.iter().map(|site| row(variant, site)).collect();
    if timed {
        rows.sort_by_key(|row| std::cmp::Reverse(row.ns));
    }
    let (shown, rest) = rows.split_at(top.min(rows.len()));
    let name = facts::label(record, variant);
    let mut title = format!("{name}: {} of {}", shown.len(), units::count(rows.len(), "site"));
    if timed {
        title += " by time";
    }
    if folded > 0 {
        title += &format!(", {} folded into other ops", units::integer(folded as u64));
    }

    let scale = Scale::time(rows.iter().filter_map(|r| r.ns).max().unwrap_or(0));
    let run = profiled_run(variant).max(1) as f64;
    let mut grid = Grid::new().name("site").name("activation").name("shape");
    if timed {
        grid = grid.number(&format!("mean {}", scale.unit)).number("share");
    }
    grid = grid.name("computed by");
    let times = |ns: Option<u64>| match ns {
        Some(ns) => [scale.text(ns), units::share(ns as f64 / run)],
        None => ["-".to_string(), "-".to_string()],
    };
    for row in shown {
        let Site { node, from, to, .. } = row.site;
        let change = if from == to { from.clone() } else { format!("{from} -> {to}") };
        let known = if row.site.shape.is_empty() { "-".into() } else { units::shape(&row.site.shape) };
        let mut cells = vec![node.clone(), change, known];
        if timed {
            cells.extend(times(row.ns));
        }
        cells.push(row.place.clone());
        grid.row(cells);
    }
    if timed && !rest.is_empty() {
        let sum = rest.iter().filter_map(|r| r.ns).reduce(|a, b| a + b);
        let mut cells = vec![units::count(rest.len(), "more site"), String::new(), String::new()];
        cells.extend(times(sum));
        grid.row(cells);
    }
    Section::headed(title).table(grid)
}

pub fn row<'r>(variant: &'r Variant, site: &'r Site) -> Row<'r> {
    let own: Vec<&Op> = variant.ops.iter().filter(|o| o.site.as_ref() == Some(&site.node)).collect();
    if !own.is_empty() {
        let mut names: Vec<String> = own.iter().map(|o| o.op.clone()).collect();
        let partly = variant.ops.iter().filter(|o| o.folded.contains(&site.node));
        names.extend(partly.map(|o| format!("and a part of {}", o.op)));
        return Row { site, ns: Some(own.iter().map(|o| o.mean_ns).sum()), place: names.join(" ") };
    }
    let host = |op: &Op| match &op.node {
        node if node.is_empty() => op.op.clone(),
        node => format!("{} {node}", op.op),
    };
    let folded = site.folded_into.and_then(|i| variant.ops.iter().find(|o| o.index == i));
    let inside = || variant.ops.iter().find(|o| o.onnx.contains(&site.node));
    let place = match (folded, site.to.as_str()) {
        (Some(op), _) => format!("folded into {}", host(op)),
        (None, "identity") => "removed".into(),
        (None, _) => inside().map_or("no op found".into(), |op| format!("inside {}", host(op))),
    };
    Row { site, ns: None, place }
}
