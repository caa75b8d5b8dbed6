//! Comma-separated values: how the rows of a file are declared and written. Quoting is that of RFC 4180 with line
//! feeds. A spreadsheet takes a cell for a formula that begins with a sign of one: such a cell has a single quote in front, but
//! for numbers.

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
        let cell = if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() };
        if cell.contains(['"', ',', ';', '\n', '\r', '\t']) || cell.trim() != cell {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push('\n');
}

/// Whether a spreadsheet would compute the cell.
fn is_formula(cell: &str) -> bool {
    const SIGNS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    cell.trim_start_matches(' ').starts_with(SIGNS) && cell.parse::<f64>().is_err()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_never_computed() {
        for (cell, written) in [
            ("/model.0/act", "/model.0/act"),
            ("a,b", "\"a,b\""),
            ("say \"x\"\nand y", "\"say \"\"x\"\"\nand y\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3,1", "\"'-2+3,1\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("-", "'-"),
            ("-0.3", "-0.3"),
            ("+1e5", "+1e5"),
            ("", ""),
        ] {
            let mut out = String::new();
            line(&mut out, &[cell]);
            assert_eq!(out, format!("{written}\n"), "{cell:?}");
        }
    }
}
