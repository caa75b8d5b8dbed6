//! A comparison as a JUnit file, which is what build servers read. Each variant is a test case: it has failed if it
//! became slower than is allowed, and is in error if that can't be told.

use std::fmt::Write;

use crate::compare::{Against, Comparison, Matched, Outcome};
use crate::units;

/// The whole file; one suite for each newer side.
pub fn render(comparison: &Comparison) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = || comparison.against.iter().flat_map(|a| &a.variants);
    out += &format!("<testsuites name=\"oplat compare\" {}>\n", counts(all()));
    for against in &comparison.against {
        suite(&mut out, comparison, against);
    }
    out += "</testsuites>\n";
    out
}

fn counts<'m>(variants: impl Iterator<Item = &'m Matched> + Clone) -> String {
    let of = |outcome| variants.clone().filter(|m| m.outcome == Some(outcome)).count();
    let (tests, failures) = (variants.clone().count(), of(Outcome::Regression));
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{}\"", of(Outcome::Inconclusive))
}

fn suite(out: &mut String, comparison: &Comparison, against: &Against) {
    let name = format!("{} against {}", against.new.name, comparison.base.name);
    *out += &format!("  <testsuite name=\"{}\" {}>\n", escape(&name), counts(against.variants.iter()));
    if !against.differences.is_empty() {
        *out += "    <properties>\n";
        for d in &against.differences {
            let value = format!("{} -> {}", d.base, d.new);
            let (what, value) = (escape(d.what), escape(&value));
            *out += &format!("      <property name=\"differs: {what}\" value=\"{value}\"/>\n");
        }
        *out += "    </properties>\n";
    }
    for matched in &against.variants {
        case(out, comparison, against, matched);
    }
    *out += "  </testsuite>\n";
}

fn case(out: &mut String, comparison: &Comparison, against: &Against, matched: &Matched) {
    let (class, name) = (escape(&against.new.model), escape(&matched.name));
    // The newer side's latency is what the case took.
    let time = matched.new.latency.map_or(0.0, |l| l.p50_ns as f64 / 1e9);
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.6}\">");
    let limit = units::percent(comparison.max_regression.unwrap_or(0.0));
    let ratio = match &matched.change {
        Some(change) => format!("new / base {}", units::ratio(change.ratio, change.interval)),
        None => matched.new.error.clone().or_else(|| against.no_latency.clone()).unwrap_or_default(),
    };
    let verdict = match matched.outcome {
        Some(Outcome::Regression) => Some(("failure", "regression", format!("slower by more than {limit}%"))),
        Some(Outcome::Inconclusive) => {
            Some(("error", "inconclusive", format!("can't tell whether slower by more than {limit}%")))
        }
        Some(Outcome::Within) | None => None,
    };
    if let Some((element, kind, what)) = verdict {
        let message = escape(&format!("{what}: {ratio}"));
        let _ = write!(out, "<{element} type=\"{kind}\" message=\"{message}\"/>");
    }
    let _ = writeln!(out, "<system-out>{}</system-out></testcase>", escape(&ratio));
}

/// Text for an attribute or an element. Control characters have no place in XML 1.0, not even escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_text() {
        assert_eq!(escape("a<b>&\"'\u{1b}\n"), "a&lt;b&gt;&amp;&quot;&apos;\u{fffd} ");
    }
}
