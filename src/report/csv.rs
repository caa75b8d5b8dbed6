//! Comma-separated values: how the rows of a file are declared and written. Quoting is that of RFC 4180 with line
//! feeds.

use crate::record::{Role, Verdict};

/// Declares the columns of a file once, as a row of texts and as its header.
macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Clone, Default)]
        struct Row { $($(#[$doc])* $name: String,)* }

        impl Row {
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

pub fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Slower => "slower",
        Verdict::Faster => "faster",
        Verdict::None => "none",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The role as records spell it.
pub fn role(role: Role) -> String {
    let json = serde_json::to_value(role).ok();
    json.as_ref().and_then(|json| json.as_str()).unwrap_or_default().to_owned()
}
