//! Tables of any number of rows, as data that the page's script shows on demand.
//!
//! Columns are kept as texts of characters of six bits each: figures as they are, names as places in a dictionary. A table is cut
//! into chunks (a variant each), and equal chunks of a column are written once: variants of one model have most in common.

use std::collections::HashMap;

use serde::Serialize;

use super::markup::{Html, element};
use crate::escape;
use crate::units::Scale;

/// Six bits a character, none of which means anything to JSON or HTML.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A table under construction: columns, then rows.
pub struct Table {
    pub id: &'static str,
    pub title: String,
    pub columns: Vec<Column>,
    /// How many rows each chunk has.
    chunks: Vec<usize>,
}

pub struct Column {
    title: String,
    kind: Kind,
    /// Of names and figures places in `names`; 0 stands for what isn't known, all else is one more than it says.
    values: Vec<u64>,
    names: Vec<String>,
    places: HashMap<String, u64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Ordered by letters; `choice` offers each in a list.
    Name { choice: bool },
    /// Written already; ordered by the number that it begins with.
    Figure,
    /// Whole numbers, shown in a unit.
    Number(Unit),
}

/// How whole numbers are shown: over the divisor, in so many decimals.
#[derive(Clone, Copy, PartialEq)]
pub struct Unit {
    pub name: &'static str,
    pub divisor: f64,
    pub decimals: usize,
    /// Whether 0 is only less than could be seen.
    pub some: bool,
}

impl Unit {
    /// How many of something.
    pub const COUNT: Self = Self { name: "", divisor: 1.0, decimals: 0, some: false };
    /// Ten-thousandths, shown as per cent.
    pub const SHARE: Self = Self { name: "%", divisor: 100.0, decimals: 1, some: false };

    /// What the numbers that are kept count.
    fn step(self) -> f64 {
        (self.divisor / 10f64.powi(self.decimals as i32 + 1)).max(1.0)
    }

    /// Times of what took some.
    pub fn of_some(scale: Scale) -> Self {
        Self { some: true, ..scale.into() }
    }
}

impl From<Scale> for Unit {
    fn from(scale: Scale) -> Self {
        let (divisor, decimals) = scale.parts();
        Self { name: scale.unit, divisor, decimals, some: false }
    }
}

/// A share as [`Unit::SHARE`] has it.
pub fn share(share: f64) -> Option<u64> {
    share.is_finite().then(|| (share * 1e4).round().max(0.0) as u64)
}

/// A cell of a row.
pub enum Cell<'t> {
    Text(&'t str),
    Number(Option<u64>),
}

impl Table {
    pub fn new(id: &'static str, title: impl Into<String>) -> Self {
        Self { id, title: escape::line(&title.into()).into_owned(), columns: vec![], chunks: vec![] }
    }

    fn column(mut self, title: &str, kind: Kind) -> Self {
        let title = escape::line(title).into_owned();
        self.columns.push(Column { title, kind, values: vec![], names: vec![], places: HashMap::new() });
        self
    }

    pub fn name(self, title: &str) -> Self {
        self.column(title, Kind::Name { choice: false })
    }

    /// Names that are few enough to choose one from a list.
    pub fn choice(self, title: &str) -> Self {
        self.column(title, Kind::Name { choice: true })
    }

    pub fn figure(self, title: &str) -> Self {
        self.column(title, Kind::Figure)
    }

    pub fn number(self, title: &str, unit: Unit) -> Self {
        let title = if unit.name.is_empty() { title.to_owned() } else { format!("{title}, {}", unit.name) };
        self.column(&title, Kind::Number(unit))
    }

    /// Adds a row, a cell a column, to the last chunk.
    pub fn row<'t>(&mut self, cells: impl IntoIterator<Item = Cell<'t>>) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            let value = match cell {
                Cell::Text("" | "-") | Cell::Number(None) => 0,
                Cell::Text(text) => column.place(text) + 1,
                Cell::Number(Some(n)) => column.kept(n).saturating_add(1).min(MOST),
            };
            column.values.push(value);
        }
        match self.chunks.last_mut() {
            Some(rows) => *rows += 1,
            None => self.chunks.push(1),
        }
    }

    /// Lets the rows from here on be a chunk of their own.
    pub fn cut(&mut self) {
        if self.chunks.last() != Some(&0) {
            self.chunks.push(0);
        }
    }

    pub fn rows(&self) -> usize {
        self.chunks.iter().sum()
    }
}

/// The largest number that is exact in JavaScript.
const MOST: u64 = (1 << 53) - 1;

impl Column {
    /// A number in tenths of the last digit that is shown: more is nobody's. What is not zero stays so.
    fn kept(&self, n: u64) -> u64 {
        match self.kind {
            Kind::Number(unit) => ((n as f64 / unit.step()).round() as u64).max(u64::from(n > 0)),
            _ => n,
        }
    }

    fn place(&mut self, text: &str) -> u64 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let place = self.names.len() as u64;
        self.places.insert(text.to_owned(), place);
        self.names.push(escape::line(text).into_owned());
        place
    }
}

/// All tables of a page as the script reads them.
#[derive(Serialize)]
struct Document<'t> {
    /// Chunks of columns.
    pool: Vec<String>,
    tables: Vec<TableData<'t>>,
}

#[derive(Serialize)]
struct TableData<'t> {
    id: &'t str,
    title: &'t str,
    chunks: Vec<usize>,
    columns: Vec<ColumnData<'t>>,
}

#[derive(Serialize)]
struct ColumnData<'t> {
    title: &'t str,
    kind: &'static str,
    divisor: f64,
    decimals: usize,
    some: bool,
    /// Characters of a value.
    width: usize,
    names: &'t [String],
    /// The chunks, by their places in the pool.
    data: Vec<usize>,
}

/// Places where the script puts the tables, and their data. What a table would say of nothing is left out.
pub fn script(tables: &[Table]) -> Html {
    let mut pool = Pool::default();
    let filled = tables.iter().filter(|table| table.rows() > 0);
    let tables = filled.map(|table| table.data(&mut pool)).collect();
    let json = serde_json::to_string(&Document { pool: pool.texts, tables }).unwrap_or_default();
    // Nothing in it may end the element.
    let json = json.replace('<', "\\u003c");
    element("script", &[("type", "application/json"), ("id", "data")], [Html::trusted(json)])
}

#[derive(Default)]
struct Pool {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

impl Pool {
    fn place(&mut self, text: String) -> usize {
        let texts = &mut self.texts;
        *self.places.entry(text).or_insert_with_key(|text| {
            texts.push(text.clone());
            texts.len() - 1
        })
    }
}

impl Table {
    fn data(&self, pool: &mut Pool) -> TableData<'_> {
        let columns = self.columns.iter().filter(|column| column.values.iter().any(|value| *value > 0));
        let columns = columns.map(|column| column.data(&self.chunks, pool)).collect();
        TableData { id: self.id, title: &self.title, chunks: self.chunks.clone(), columns }
    }
}

impl Column {
    fn data(&self, chunks: &[usize], pool: &mut Pool) -> ColumnData<'_> {
        let largest = self.values.iter().copied().max().unwrap_or(0);
        let width = (1..).find(|width| largest >> (6 * width) == 0).unwrap_or(9);
        let mut rest = self.values.as_slice();
        let data = chunks.iter().map(|rows| {
            let (chunk, after) = rest.split_at((*rows).min(rest.len()));
            rest = after;
            // A chunk of equal values is one of them.
            let equal = chunk.windows(2).all(|pair| pair[0] == pair[1]);
            let written = if equal { &chunk[..chunk.len().min(1)] } else { chunk };
            pool.place(written.iter().flat_map(|value| digits(*value, width)).collect())
        });
        let data = data.collect();
        let (kind, unit) = match self.kind {
            Kind::Name { choice: true } => ("choice", None),
            Kind::Name { choice: false } => ("name", None),
            Kind::Figure => ("figure", None),
            Kind::Number(unit) => ("number", Some(unit)),
        };
        let unit = unit.unwrap_or(Unit::COUNT);
        let (divisor, Unit { decimals, some, .. }) = (unit.divisor / unit.step(), unit);
        ColumnData { title: &self.title, kind, divisor, decimals, some, width, names: &self.names, data }
    }
}

/// The value in so many digits, the most significant first.
fn digits(value: u64, width: usize) -> impl Iterator<Item = char> {
    (0..width).rev().map(move |at| char::from(DIGITS[(value >> (6 * at)) as usize & 63]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: Unit = Unit { name: "ms", divisor: 1e6, decimals: 3, some: true };

    #[test]
    fn equal_chunks_are_written_once_and_the_unknown_is_zero() {
        let mut table = Table::new("ops", "Operators").choice("variant").name("op").number("mean", NS);
        for variant in ["a", "b"] {
            table.cut();
            for (op, ns) in [("Conv", Some(64 * 64 * 100)), ("-", None)] {
                table.row([Cell::Text(variant), Cell::Text(op), Cell::Number(ns)]);
            }
        }
        let text = script(&[table, Table::new("none", "").name("x")]).into_string();
        let json = text.split_once('>').unwrap().1.strip_suffix("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(data["pool"], serde_json::json!(["B", "C", "BA", "BABAAA"]));
        assert_eq!(data["tables"].as_array().unwrap().len(), 1);
        assert_eq!(data["tables"][0]["columns"][2]["data"], serde_json::json!([3, 3]));
        assert_eq!(data["tables"][0]["columns"][2]["title"], "mean, ms");
    }

    #[test]
    fn no_text_ends_the_element() {
        let mut table = Table::new("ops", "</script>").name("op");
        table.row([Cell::Text("</script><script>\u{2028}\u{202e}\"")]);
        let text = script(&[table]).into_string();
        assert_eq!(text.matches('<').count(), 2, "{text}");
        assert!(text.contains(r"\\u2028\\u202e") && !text.contains('\u{2028}'), "{text}");
    }
}
