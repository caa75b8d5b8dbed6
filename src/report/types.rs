//! Types of operator, or shapes of their outputs, across variants: where the difference between two variants lies.

use std::collections::BTreeMap;

use super::digits::Mean;
use super::facts;
use super::grid::{Grid, UNKNOWN, known};
use super::section::Section;
use super::text::shorten;
use crate::compare::distinct;
use crate::record::{Bookkeeping, Op, Profiled, Record, Variant};
use crate::units::{self, Scale};

/// What ops are grouped by.
#[derive(Clone, Copy)]
pub struct Group {
    /// `type`, `shape`.
    pub name: &'static str,
    pub of: fn(&Op) -> &str,
}

pub const TYPE: Group = Group { name: "type", of: |op| &op.op };

/// The shape of the first output; an op without outputs has none.
pub const SHAPE: Group = Group { name: "shape", of: |op| op.outputs.first().map_or(UNKNOWN, String::as_str) };

/// The most variants side by side in one table; more go into another below it.
pub const BAND: usize = 5;
/// Width of a variant's name above its column.
const TITLE: usize = 13;

pub fn sections(record: &Record, group: Group, top: usize) -> Vec<Section> {
    let variants: Vec<&Variant> = facts::broken_down(record).collect();
    let bands = variants.chunks(BAND);
    if !variants.iter().any(|v| facts::profiled(record, v)) {
        let counted =
            |band| Section::details(format!("ops by {}", group.name)).table(counts(record, group, band));
        return bands.map(counted).collect();
    }
    let rows = by_time(&variants, group);
    let mut sections: Vec<Section> = bands.map(|band| times(record, group, band, &rows, top)).collect();
    if let Some(last) = sections.pop() {
        let last = last.lines(overhead(record, &variants)).lines(bookkeeping(record, &variants));
        let slower = match record.imported.is_empty() {
            true => "; whole runs above say which variant is slower",
            false => "",
        };
        sections.push(last.line(format!("means of profiled runs: they say where time goes{slower}")));
    }
    sections
}

/// The groups, those first that take the most time in any variant.
pub fn by_time<'r>(variants: &[&'r Variant], group: Group) -> Vec<&'r str> {
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for variant in variants {
        for (name, total) in totals(variant, group) {
            let most = most.entry(name).or_default();
            *most = total.ns().unwrap_or(0).max(*most);
        }
    }
    let mut names: Vec<(&str, u64)> = most.into_iter().collect();
    names.sort_by_key(|&(_, ns)| std::cmp::Reverse(ns));
    names.into_iter().map(|(name, _)| name).collect()
}

/// All ops of a group.
#[derive(Clone, Default)]
pub struct Total {
    pub ops: usize,
    /// `None` if the variant was not profiled.
    pub mean: Option<Mean>,
}

impl Total {
    pub fn ns(&self) -> Option<u64> {
        self.mean.as_ref().map(|mean| mean.ns)
    }
}

pub fn totals(variant: &Variant, group: Group) -> Totals<'_> {
    let mut ops: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in &variant.ops {
        ops.entry((group.of)(op)).or_default().push(op);
    }
    let total = |ops: Vec<&Op>| Total { ops: ops.len(), mean: variant.profiled.map(|_| Mean::of(ops)) };
    ops.into_iter().map(|(name, ops)| (name, total(ops))).collect()
}

/// From this ratio on, profiled runs are told to take longer.
const LONGER: f64 = 1.005;
/// From this ratio on, a mean run is told to be longer than the median one beside it, beyond what observing costs.
const HELD_UP: f64 = 1.2;

/// Where the time goes in so many rows, the last of which is all the rest.
pub fn glance(record: &Record, variants: &[&Variant], rows: usize) -> Section {
    let names = by_time(variants, TYPE);
    let (mut grid, scale, all) = begun(record, TYPE, variants);
    let shown = if names.len() < rows { &names[..] } else { &names[..rows - 1] };
    for name in shown {
        grid.row(row(record, name, &all, scale));
    }
    let rest = variants.iter().map(|variant| {
        let ops = variant.ops.iter().filter(|op| !shown.contains(&(TYPE.of)(op)));
        known(variant.profiled, |p| Mean::of(ops).and(p.unaccounted_ns).text(record, scale))
    });
    grid.row(std::iter::once("all else".to_owned()).chain(rest));
    let overheads = variants.iter().filter_map(|v| v.profiled?.overhead_ratio);
    let section = Section::plain().table(grid);
    let overhead = overheads.reduce(f64::max);
    let means = variants
        .iter()
        .filter_map(|v| Some(profiled_run(v)? as f64 / (v.latency.filter(|l| l.p50_ns > 0)?.p50_ns as f64)));
    let expected = overhead.unwrap_or(1.0).max(1.0);
    if let Some(most) = means.reduce(f64::max).filter(|most| *most > HELD_UP * expected) {
        return section.line(format!(
            "means of profiled runs, up to {most:.1} times the medians above: means count runs that were held up"
        ));
    }
    match overhead {
        Some(most) if most < LONGER => {
            section.line("means of profiled runs, which take no longer than the unprofiled ones above")
        }
        Some(most) => section.line(format!(
            "means of profiled runs, which take up to {} times as long as the unprofiled ones above",
            units::times(most)
        )),
        None => section.line("means of profiled runs"),
    }
}

pub type Totals<'r> = BTreeMap<&'r str, Total>;

/// The table's titles, its scale, and what each variant's groups come to.
fn begun<'r>(record: &Record, group: Group, variants: &[&'r Variant]) -> (Grid, Scale, Vec<Totals<'r>>) {
    let longest = variants.iter().filter_map(|v| profiled_run(v)).max();
    let scale = Scale::time(longest.unwrap_or(0));
    let title = format!("mean {} by {}", scale.unit, group.name);
    (titled(record, &title, variants), scale, variants.iter().map(|v| totals(v, group)).collect())
}

/// A group's name and what it takes in each variant.
fn row(record: &Record, name: &str, all: &[Totals], scale: Scale) -> Vec<String> {
    let figure = |totals: &Totals| {
        known(totals.get(name).and_then(|total| total.mean.as_ref()), |mean| mean.text(record, scale))
    };
    std::iter::once(name.to_owned()).chain(all.iter().map(figure)).collect()
}

fn times(record: &Record, group: Group, variants: &[&Variant], rows: &[&str], top: usize) -> Section {
    let (mut grid, scale, all) = begun(record, group, variants);
    let (shown, rest) = rows.split_at(top.min(rows.len()));
    for name in shown {
        grid.row(row(record, name, &all, scale));
    }
    if !rest.is_empty() {
        let sum = |totals: &Totals| {
            let means: Vec<&Mean> = rest.iter().filter_map(|name| totals.get(name)?.mean.as_ref()).collect();
            known((!means.is_empty()).then(|| means.into_iter().collect::<Mean>()), |sum| {
                sum.text(record, scale)
            })
        };
        let more = units::count(rest.len(), &format!("more {}", group.name));
        grid.row(std::iter::once(more).chain(all.iter().map(sum)));
    }
    let profiled = |of: &dyn Fn(&Variant) -> Option<String>| {
        variants.iter().map(|v| of(v).unwrap_or_else(|| UNKNOWN.into())).collect::<Vec<_>>()
    };
    let unaccounted = profiled(&|v| v.profiled.map(|p| scale.text(p.unaccounted_ns)));
    grid.row(std::iter::once("unaccounted".to_string()).chain(unaccounted));
    let run =
        |v: &&Variant| known(v.profiled, |p| Mean::of(&v.ops).and(p.unaccounted_ns).text(record, scale));
    let runs = variants.iter().map(run);
    grid.row(std::iter::once("profiled run".to_string()).chain(runs));
    Section::details(format!("mean {} by {}", scale.unit, group.name)).table(grid)
}

/// What profiling costs, which the breakdowns hold and the latencies don't.
fn overhead(record: &Record, variants: &[&Variant]) -> Option<String> {
    let told = variants.iter().filter_map(|v| {
        let Profiled { overhead_ratio, overhead_interval, .. } = v.profiled?;
        Some(format!("{} {}", facts::label(record, v), units::ratio(overhead_ratio?, overhead_interval)))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("profiled/plain: {}", told.join(" | ")))
}

/// Where the time is that no op explains, in the first variant of which it is known: it is much the same in others.
fn bookkeeping(record: &Record, variants: &[&Variant]) -> Option<String> {
    let (variant, b) = variants.iter().find_map(|v| Some((v, v.profiled?.bookkeeping?)))?;
    let Bookkeeping { before_ns, between_ns, after_ns, clock_ns } = b;
    let [before, between, after, clock] = [before_ns, between_ns, after_ns, clock_ns].map(units::time);
    let clock = if clock_ns > 0 { format!(" (about {clock} of it reads the clock)") } else { String::new() };
    Some(format!(
        "unaccounted in {}: {before} before the first op, {between} between ops{clock}, {after} after the last",
        facts::label(record, variant)
    ))
}

/// Mean wall time of a profiled run, its ops and what none of them explains; `None` if there was none.
pub fn profiled_run(variant: &Variant) -> Option<u64> {
    Some(variant.ops.iter().map(|o| o.mean_ns).sum::<u64>() + variant.profiled?.unaccounted_ns)
}

/// A mean time as a share of the profiled run; `None` if there was none.
pub fn share(variant: &Variant, ns: u64) -> Option<f64> {
    Some(ns as f64 / profiled_run(variant)?.max(1) as f64)
}

fn counts(record: &Record, group: Group, variants: &[&Variant]) -> Grid {
    let all: Vec<Vec<(&str, usize)>> =
        variants.iter().map(|v| facts::counted(v.ops.iter().map(group.of))).collect();
    let rows = distinct(all.iter().flatten().map(|(name, _)| *name));
    let mut grid = titled(record, &format!("ops by {}", group.name), variants);
    for row in rows {
        let count = |ops: &Vec<(&str, usize)>| {
            known(ops.iter().find(|(name, _)| *name == row), |(_, n)| units::integer(*n as u64))
        };
        grid.row(std::iter::once(row.to_string()).chain(all.iter().map(count)));
    }
    grid
}

fn titled(record: &Record, first: &str, variants: &[&Variant]) -> Grid {
    variants.iter().fold(Grid::new().name(first), |grid, variant| {
        let lines = title(&facts::label(record, variant), variant.model.as_deref());
        let lines: Vec<String> = lines.iter().map(|line| shorten(line, TITLE)).collect();
        grid.number(lines.join("\n").trim_end())
    })
}

/// A variant's name on several lines: its model if there are several, the activation, the lowering.
fn title(name: &str, model: Option<&str>) -> Vec<String> {
    let own = match model {
        Some(model) => name.strip_prefix(model).unwrap_or(name).trim_start_matches([':', ' ', '(']),
        None => name,
    };
    let (head, tail) = own.split_once([',', '(']).unwrap_or((own, ""));
    let own = [head, tail].map(|part| part.trim_matches([' ', ')']).to_owned());
    model.map(str::to_owned).into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_name_is_split_where_it_has_parts() {
        assert_eq!(title("original (silu)", None), ["original", "silu"]);
        assert_eq!(title("mish, exported", None), ["mish", "exported"]);
        assert_eq!(title("v5: mish, exported", Some("v5")), ["v5", "mish", "exported"]);
        assert_eq!(title("v5 (silu)", Some("v5")), ["v5", "silu", ""]);
        assert_eq!(title("control", None), ["control", ""]);
    }
}
