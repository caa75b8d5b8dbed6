//! Comma-separated values: how the rows of a file are declared and written. Quoting is that of RFC 4180 with line
//! feeds.

use crate::record::Role;

/// Declares the columns of a file once, as a row of texts and as its header.
macro_rules! columns {
    (struct $row:ident { $($(#[$doc:meta])* $name:ident,)* }) => {
        #[derive(Clone, Default)]
        struct $row { $($(#[$doc])* $name: String,)* }

        impl $row {
            const HEADER: &[&str] = &[$(stringify!($name)),*];

            fn write(&self, out: &mut String) {
                $crate::report::csv::line(out, &[$(&self.$name),*]);
            }
        }
    };
}
pub(super) use columns;

/// A line of cells, each quoted if it must be.
pub fn line<T: AsRef<str>>(out: &mut String, cells: &[T]) {
    for (i, cell) in cells.iter().enumerate() {
        let cell = cell.as_ref();
        if i > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) || cell.trim() != cell {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push('\n');
}

/// A number in full; empty where there is none.
pub fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// A value; empty where there is none.
pub fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// The ends of an interval; empty where there is none.
pub fn ends(interval: Option<[f64; 2]>) -> [String; 2] {
    interval.map_or_else(Default::default, |ends| ends.map(number))
}

/// The role as records spell it.
pub fn role(role: Role) -> String {
    let json = serde_json::to_value(role).ok();
    json.as_ref().and_then(|json| json.as_str()).unwrap_or_default().to_owned()
}
