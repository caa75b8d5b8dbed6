//! A comparison as a JUnit file, which is what build servers read. Each variant of the base is a test case: it has failed if
//! it became slower than is allowed, failed in the newer record or is missing there, and is in error if that can't be told.

use std::fmt::Write;

use crate::compare::{Against, Comparison, Matched, Outcome};
use crate::escape::xml;
use crate::units;

/// The whole file; one suite for each newer side.
pub fn render(comparison: &Comparison) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<Case> = comparison.against.iter().flat_map(|a| cases(comparison, a)).collect();
    out += &format!("<testsuites name=\"oplat compare\" {}>\n", counts(&all));
    for against in &comparison.against {
        suite(&mut out, comparison, against);
    }
    out += "</testsuites>\n";
    out
}

/// What a build server shows of a variant.
struct Case<'c> {
    name: &'c str,
    outcome: Option<Outcome>,
    seconds: f64,
    /// The figure, or why there is none.
    found: String,
}

fn cases<'c>(comparison: &'c Comparison, against: &'c Against) -> Vec<Case<'c>> {
    let missing = |name: &'c String| Case {
        name,
        outcome: comparison.max_regression.map(|_| Outcome::Missing),
        seconds: 0.0,
        found: format!("{} has no such variant", against.new.name),
    };
    let judged = against.variants.iter().map(|matched| judged(against, matched));
    judged.chain(against.only_base.iter().map(missing)).collect()
}

fn judged<'c>(against: &Against, matched: &'c Matched) -> Case<'c> {
    let error = matched.new.error.clone();
    let found = match &matched.change {
        _ if matched.outcome == Some(Outcome::Failed) => error.unwrap_or_default(),
        Some(change) => format!("new / base {}", units::ratio(change.ratio, change.interval)),
        None => error.or_else(|| against.no_latency.clone()).unwrap_or_default(),
    };
    // The newer side's latency is what the case took.
    let seconds = matched.new.latency.map_or(0.0, |l| l.p50_ns as f64 / 1e9);
    Case { name: &matched.name, outcome: matched.outcome, seconds, found }
}

fn counts(cases: &[Case]) -> String {
    let of = |is: fn(Outcome) -> bool| cases.iter().filter(|case| case.outcome.is_some_and(is)).count();
    let (failures, errors) = (of(Outcome::is_failure), of(|outcome| outcome == Outcome::Inconclusive));
    format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", cases.len())
}

fn suite(out: &mut String, comparison: &Comparison, against: &Against) {
    let name = format!("{} against {}", against.new.name, comparison.base.name);
    let cases = cases(comparison, against);
    *out += &format!("  <testsuite name=\"{}\" {}>\n", xml(&name), counts(&cases));
    if !against.differences.is_empty() {
        *out += "    <properties>\n";
        for d in &against.differences {
            let value = format!("{} -> {}", d.base, d.new);
            let (what, value) = (xml(d.what), xml(&value));
            *out += &format!("      <property name=\"differs: {what}\" value=\"{value}\"/>\n");
        }
        *out += "    </properties>\n";
    }
    for case in &cases {
        write_case(out, comparison, against, case);
    }
    *out += "  </testsuite>\n";
}

fn write_case(out: &mut String, comparison: &Comparison, against: &Against, case: &Case) {
    let (class, name, time) = (xml(&against.new.model), xml(case.name), case.seconds);
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.6}\">");
    let limit = units::percent(comparison.max_regression.unwrap_or(0.0));
    let told = |outcome: &Outcome| match outcome {
        Outcome::Regression => Some(("failure", format!("slower by more than {limit}%"))),
        Outcome::Failed => Some(("failure", "failed in the newer record".into())),
        Outcome::Missing => Some(("failure", "missing in the newer record".into())),
        Outcome::Inconclusive => Some(("error", format!("can't tell whether slower by more than {limit}%"))),
        Outcome::Within => None,
    };
    if let Some((outcome, (element, what))) = case.outcome.and_then(|o| Some((o, told(&o)?))) {
        let message = xml(&format!("{what}: {}", case.found));
        let _ = write!(out, "<{element} type=\"{}\" message=\"{message}\"/>", outcome.name());
    }
    let _ = writeln!(out, "<system-out>{}</system-out></testcase>", xml(&case.found));
}
