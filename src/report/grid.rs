//! A table's titles and cells, apart from the format in which it is drawn.

/// A table under construction: titles, then rows of as many cells.
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

pub struct Column {
    /// A line break makes it two lines, where a format can show that.
    pub title: String,
    /// Whether its cells are names: left-aligned, and cut in the middle where room is short. Others are numbers.
    pub is_name: bool,
}

/// What of a table is drawn.
pub struct Shown<'g> {
    pub columns: Vec<&'g Column>,
    /// A cell for each of the columns.
    pub rows: Vec<Vec<&'g str>>,
}

impl Grid {
    pub fn new() -> Self {
        Self { columns: vec![], rows: vec![] }
    }

    /// Adds a column of names.
    pub fn name(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.into(), is_name: true });
        self
    }

    /// Adds a column of numbers.
    pub fn number(mut self, title: &str) -> Self {
        self.columns.push(Column { title: title.into(), is_name: false });
        self
    }

    /// Adds a row: a cell for every column, in order; missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Leaves the first rows.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// The first column, and the others in which something is known.
    pub fn shown(&self) -> Shown<'_> {
        let known = |i: usize| self.rows.iter().any(|row| row.get(i).is_some_and(|cell| !is_blank(cell)));
        let shown: Vec<usize> = (0..self.columns.len()).filter(|&i| i == 0 || known(i)).collect();
        Shown {
            columns: shown.iter().map(|&i| &self.columns[i]).collect(),
            rows: self.rows.iter().map(|row| shown.iter().map(|&i| row[i].as_str()).collect()).collect(),
        }
    }
}

/// The cell of what isn't known.
pub const UNKNOWN: &str = "-";

/// The cell of what may not be known.
pub fn known<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), text)
}

/// Whether a cell says nothing.
fn is_blank(cell: &str) -> bool {
    matches!(cell, "" | UNKNOWN)
}
