//! A variant's sites: what computes each of them, and how long that takes.

use super::digits::Mean;
use super::facts;
use super::grid::{Grid, known};
use super::section::Section;
use crate::record::{Op, Record, Site, Variant};
use crate::units::{self, Scale};

pub fn sections(record: &Record, top: usize) -> Vec<Section> {
    let variants = facts::broken_down(record).filter(|v| !v.sites.is_empty());
    variants.map(|v| section(record, v, top)).collect()
}

/// A site and the mean time of its ops together; `None` where it has no op of its own, or none was timed.
pub struct SiteTime<'r> {
    pub site: &'r Site,
    pub mean: Option<Mean>,
    /// What computes it.
    pub place: String,
}

impl SiteTime<'_> {
    pub fn ns(&self) -> Option<u64> {
        self.mean.as_ref().map(|mean| mean.ns)
    }
}

pub fn section(record: &Record, variant: &Variant, top: usize) -> Section {
    let timed = facts::profiled(record, variant);
    let mut sites: Vec<SiteTime> = variant.sites.iter().map(|site| time(variant, site)).collect();
    if timed {
        sites.sort_by_key(|site| std::cmp::Reverse(site.ns()));
    }
    let shown = top.min(sites.len());
    Section::headed(title(record, variant, shown)).table(grid(record, variant, &sites, shown, timed))
}

fn title(record: &Record, variant: &Variant, shown: usize) -> String {
    let (name, all) = (facts::label(record, variant), units::count(variant.sites.len(), "site"));
    let order = if facts::profiled(record, variant) { " by time" } else { "" };
    let folded = match variant.sites.iter().filter(|s| s.folded_into.is_some()).count() {
        0 => String::new(),
        n => format!(", {} folded into other ops", units::integer(n as u64)),
    };
    format!("{name}: {shown} of {all}{order}{folded}")
}

fn grid(record: &Record, variant: &Variant, sites: &[SiteTime], shown: usize, timed: bool) -> Grid {
    let scale = Scale::time(sites.iter().filter_map(SiteTime::ns).max().unwrap_or(0));
    let times = |mean: Option<&Mean>| {
        let share = mean.and_then(|mean| mean.share(record, variant));
        let cells = [known(mean, |mean| mean.text(record, scale)), known(share, |share| share)];
        cells.into_iter().filter(|_| timed)
    };
    let mut grid = Grid::new().name("site").name("activation").name("shape");
    if timed {
        grid = grid.number(&format!("mean {}", scale.unit)).number("share");
    }
    grid = grid.name("computed by");
    let (shown, rest) = sites.split_at(shown);
    for SiteTime { site, mean, place } in shown {
        let Site { node, from, to, shape, .. } = site;
        let change = if from == to { from.clone() } else { format!("{from} -> {to}") };
        let shape = known((!shape.is_empty()).then_some(shape), |shape| units::shape(shape));
        grid.row(
            [node.clone(), change, shape].into_iter().chain(times(mean.as_ref())).chain([place.clone()]),
        );
    }
    if timed && !rest.is_empty() {
        let means: Vec<&Mean> = rest.iter().filter_map(|site| site.mean.as_ref()).collect();
        let sum = (!means.is_empty()).then(|| means.into_iter().collect::<Mean>());
        let more = [units::count(rest.len(), "more site"), String::new(), String::new()];
        grid.row(more.into_iter().chain(times(sum.as_ref())));
    }
    grid
}

/// What computes a site, and for how long.
pub fn time<'r>(variant: &'r Variant, site: &'r Site) -> SiteTime<'r> {
    let own: Vec<&Op> = variant.ops.iter().filter(|o| o.site.as_ref() == Some(&site.node)).collect();
    if !own.is_empty() {
        let mut names: Vec<String> = own.iter().map(|o| o.op.clone()).collect();
        let partly = variant.ops.iter().filter(|o| o.folded.contains(&site.node));
        names.extend(partly.map(|o| format!("and a part of {}", o.op)));
        let mean = variant.profiled.map(|_| Mean::of(own));
        return SiteTime { site, mean, place: names.join(" ") };
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
    SiteTime { site, mean: None, place }
}
