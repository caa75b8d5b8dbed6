//! Operators of several variants, engines or records that do the same work, side by side.

use super::data::{Cell, Table, Unit};
use super::part::Part;
use crate::compare::{JoinedBy, align, distinct};
use crate::record::{Op, Variant};
use crate::report::facts;
use crate::units::Scale;

/// The most sides in one table.
const SIDES: usize = 8;
const IDS: [&str; 4] = ["aligned-1", "aligned-2", "aligned-3", "aligned-4"];

struct Side<'r> {
    label: String,
    variant: &'r Variant,
    timed: bool,
}

/// A table for each model: nodes of two models that have a name in common are not the same.
pub fn tables(parts: &[Part]) -> Vec<Table> {
    let model = |part: &Part, v: &Variant| v.model.clone().unwrap_or_else(|| part.record.model.name.clone());
    let models =
        distinct(parts.iter().flat_map(|part| part.drawn.iter().map(|v| model(part, v)).collect::<Vec<_>>()));
    let of_model = |name: &String| {
        let sides = parts.iter().flat_map(|part| {
            let own = part.drawn.iter().filter(|v| model(part, v) == *name);
            own.map(|v| side(part, v, parts.len() > 1)).collect::<Vec<_>>()
        });
        sides.take(SIDES).collect::<Vec<Side>>()
    };
    let tables = models.iter().zip(IDS).map(|(name, id)| (id, of_model(name)));
    tables.filter(|(_, sides)| sides.len() > 1).map(|(id, sides)| table(id, &sides)).collect()
}

fn side<'r>(part: &Part<'r>, variant: &'r Variant, several: bool) -> Side<'r> {
    let label = facts::label(part.record, variant);
    let label = if several { format!("{}: {label}", part.name) } else { label };
    Side { label, variant, timed: facts::profiled(part.record, variant) }
}

fn table(id: &'static str, sides: &[Side]) -> Table {
    let ops: Vec<&[Op]> = sides.iter().map(|side| side.variant.ops.as_slice()).collect();
    let aligned = align(&ops);
    let sum = |side: usize, places: &[usize]| places.iter().map(|&op| ops[side][op].mean_ns).sum::<u64>();
    let all =
        aligned.iter().flat_map(|row| row.ops.iter().enumerate().map(|(side, places)| sum(side, places)));
    let scale = Scale::time(all.max().unwrap_or(0));
    let title =
        "Operators side by side: those that compute the same nodes stand in one row, however many they are";
    let mut table = Table::new(id, title).name("nodes").choice("put together by");
    for side in sides {
        table = table
            .name(&format!("{}: operators", side.label))
            .number(&format!("{}: mean", side.label), Unit::of_some(scale));
    }
    for row in &aligned {
        let nodes = distinct(row.ops.iter().enumerate().flat_map(|(side, places)| {
            places.iter().map(|&op| ops[side][op].node.as_str()).collect::<Vec<_>>()
        }));
        let nodes = nodes.into_iter().filter(|node| !node.is_empty()).collect::<Vec<_>>().join(", ");
        let by = match row.by {
            JoinedBy::Name => "ONNX node",
            JoinedBy::Shape => "type and shape",
            JoinedBy::Nothing => "nothing: in one only",
        };
        let names: Vec<String> = row
            .ops
            .iter()
            .enumerate()
            .map(|(side, places)| {
                places.iter().map(|&op| ops[side][op].op.as_str()).collect::<Vec<_>>().join(" + ")
            })
            .collect();
        let mut cells = vec![Cell::Text(&nodes), Cell::Text(by)];
        for (at, places) in row.ops.iter().enumerate() {
            let ns = (!places.is_empty() && sides[at].timed).then(|| sum(at, places));
            cells.extend([Cell::Text(&names[at]), Cell::Number(ns)]);
        }
        table.row(cells);
    }
    table
}
