//! The measurements that are kept.

use serde::Serialize;

use super::csv::{columns, line};
use super::grid::Grid;
use super::section::Section;

/// One of them, under the name that commands take it by.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listed {
    /// `last`, `last~1`, …
    pub name: String,
    pub started_at: String,
    pub model: String,
    /// Names of the variants.
    pub variants: Vec<String>,
    /// Where it was measured.
    pub target: String,
    pub file: String,
}

pub fn section(all: &[Listed]) -> Section {
    if all.is_empty() {
        return Section::plain().line("No measurement is kept yet: oplat profile MODEL makes one.");
    }
    let mut grid =
        Grid::new().name("name").name("started (UTC)").name("model").name("target").name("variants");
    for one in all {
        let started = one.started_at.replace('T', " ").replace('Z', "");
        let variants = one.variants.join(" | ");
        grid.row([one.name.clone(), started, one.model.clone(), one.target.clone(), variants]);
    }
    Section::plain().table(grid).line("oplat report NAME shows one; oplat compare last~1 last compares two")
}

columns! {
    struct ListRow { name, started_at, model, target, variants, file, }
}

pub fn csv(all: &[Listed]) -> String {
    let mut out = String::new();
    line(&mut out, ListRow::HEADER);
    for Listed { name, started_at, model, variants, target, file } in all.iter().cloned() {
        ListRow { name, started_at, model, target, variants: variants.join(" | "), file }.write(&mut out);
    }
    out
}
