//! Activations by kind: how many sites have it, how many of them the engine merged into other ops, and how
//! long the ops of the others take.

use super::digits::Mean;
use super::facts;
use super::grid::{Grid, known};
use super::section::Section;
use super::sites;
use crate::record::{Record, Variant};
use crate::units::{self, Scale};

/// All sites of a variant that have the same activation.
#[derive(Clone, Debug, Default)]
pub struct ActivationTotal<'r> {
    pub name: &'r str,
    pub sites: usize,
    /// Sites without an op of their own: their time is inside another op's.
    pub folded: usize,
    /// Mean time of the ops that compute nothing else; `None` if there are none.
    pub mean: Option<Mean>,
}

impl ActivationTotal<'_> {
    pub fn ns(&self) -> Option<u64> {
        self.mean.as_ref().map(|mean| mean.ns)
    }
}

pub fn totals(variant: &Variant) -> Vec<ActivationTotal<'_>> {
    let mut kinds: Vec<ActivationTotal> = vec![];
    for site in &variant.sites {
        let at = kinds.iter().position(|kind| kind.name == site.to).unwrap_or_else(|| {
            kinds.push(ActivationTotal { name: &site.to, ..ActivationTotal::default() });
            kinds.len() - 1
        });
        let (kind, mean) = (&mut kinds[at], sites::time(variant, site).mean);
        kind.sites += 1;
        kind.folded += usize::from(site.folded_into.is_some());
        kind.mean = kind.mean.take().into_iter().chain(mean).reduce(|a, b| [a, b].into_iter().collect());
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse((kind.ns(), kind.sites)));
    kinds
}

pub fn sections(record: &Record) -> Vec<Section> {
    let timed = facts::timed(record);
    let variants = || facts::broken_down(record).filter(|v| !v.sites.is_empty());
    let scale = Scale::time(variants().flat_map(totals).filter_map(|kind| kind.ns()).max().unwrap_or(0));
    let mut grid = Grid::new().name("activations").name("of variant").number("sites").number("folded");
    if timed {
        grid = grid.number(&format!("mean {}", scale.unit)).number("share");
    }
    let mut none = true;
    for variant in variants() {
        for kind in totals(variant) {
            none = false;
            let count = |n: usize| units::integer(n as u64);
            let mut cells = vec![kind.name.to_owned(), facts::label(record, variant)];
            cells.extend([count(kind.sites), count(kind.folded)]);
            if timed {
                cells.push(known(kind.mean.as_ref(), |mean| mean.text(record, scale)));
                let share = kind.mean.as_ref().and_then(|mean| mean.share(record, variant));
                cells.push(known(share, |share| share));
            }
            grid.row(cells);
        }
    }
    if none {
        return vec![];
    }
    vec![Section::details("activations").table(grid).line(
        "folded: merged into another op, whose time holds it; the time is that of the other sites' ops",
    )]
}
