//! Every document in every format: of records of any age, and of names that anybody may have chosen.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::Value;

use super::html::tests::{checked, with_runs};
use super::text::{PAGE, width};
use super::{
    Breakdowns, By, Document, Format, Listed, NamedRecord, bench, comparison, fixture, junit, list, records,
    verdict,
};
use crate::compare::{self, Options, across};
use crate::escape;
use crate::record::bench::Bench;
use crate::record::{Engine, Record, read};

/// All of them, also those that no flag asks for.
fn formats(document: Document) -> impl Iterator<Item = Format> {
    let all = Format::value_variants().iter().copied().chain([Format::Terminal]);
    all.filter(move |format| format.fits(document))
}

/// What is made of two records, by name and format, as it is written. A record that lacks what a format for programs is about
/// `may_lack` that document.
fn documents(one: &Record, other: &Record, name: &str, may_lack: bool) -> Vec<(String, Format, String)> {
    let mut all = vec![];
    let named = [one, other].map(|record| NamedRecord { name, record });
    let by = vec![By::Type, By::Shape, By::Op, By::Site, By::Activation];
    let mut add = |what: &str, format: Format, text: crate::error::Result<String>| {
        let text = match text {
            Err(_) if may_lack && !shows_all(format) => return,
            text => text.unwrap_or_else(|error| panic!("{what} as {format:?}: {error}")),
        };
        let escaped = match format {
            Format::Terminal => escape::coloured(&text),
            _ => escape::visible(&text).into_owned(),
        };
        all.push((what.to_owned(), format, escaped));
    };
    for format in formats(Document::Records) {
        let whole = Breakdowns { by: by.clone(), ..Breakdowns::default() };
        let glance = Breakdowns { at_a_glance: true, ..Breakdowns::default() };
        add("a record", format, records(&named[..1], format, &whole));
        add("a screen", format, records(&named[..1], format, &glance));
        if !format.is_on_graph() {
            add("two records", format, records(&named, format, &whole));
        }
        if format.is_table() {
            add("a verdict", format, Ok(verdict(one, format)));
        }
    }
    let mut elsewhere = other.clone();
    elsewhere.environment.host += " elsewhere";
    if let Some(over) = across::across(&[named[0], NamedRecord { name, record: &elsewhere }]) {
        for format in formats(Document::Across) {
            add("devices", format, super::across(&over, format, true));
            add("devices at a glance", format, super::across(&over, format, false));
        }
    }
    let options = Options { limit: "5%".parse().ok(), ..Options::default() };
    for sides in [&[&named[1..]][..], &[&named[1..], &named[..1]], &[&named]] {
        let compared = compare::compare(&named[..1], sides, options).expect("a comparison");
        for format in formats(Document::Comparison) {
            add("a comparison", format, comparison(&compared, format, 15));
        }
        add("JUnit", Format::default(), Ok(junit(&compared)));
    }
    all
}

fn saved(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/records/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("read")).expect("JSON")
}

/// Every key, by the keys that lead to it.
fn keys(value: &Value, path: &mut Vec<String>, all: &mut BTreeSet<Vec<String>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| keys(item, path, all)),
        Value::Object(fields) => {
            for (key, value) in fields {
                path.push(key.clone());
                all.insert(path.clone());
                keys(value, path, all);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The document without a key, wherever it stands, or with null there.
fn without(document: &Value, path: &[String], null: bool) -> Value {
    fn walk(value: &mut Value, path: &[String], null: bool) {
        match (value, path) {
            (Value::Array(items), _) => items.iter_mut().for_each(|item| walk(item, path, null)),
            (Value::Object(fields), [key]) if null => {
                fields.get_mut(key).into_iter().for_each(|field| *field = Value::Null);
            }
            (Value::Object(fields), [key]) => {
                fields.remove(key);
            }
            (Value::Object(fields), [key, rest @ ..]) => {
                fields.get_mut(key).into_iter().for_each(|field| walk(field, rest, null));
            }
            _ => {}
        }
    }
    let mut document = document.clone();
    walk(&mut document, path, null);
    document
}

/// What older versions left out, or didn't know, is what the reader does without: each of it by itself, and all of it at once.
fn older<T>(newest: &Value, read: impl Fn(&[u8]) -> crate::error::Result<T>) -> Vec<(String, T)> {
    let mut paths = BTreeSet::new();
    keys(newest, &mut vec![], &mut paths);
    let parse = |document: &Value| read(document.to_string().as_bytes()).ok();
    let mut all = vec![];
    let mut oldest = newest.clone();
    for path in &paths {
        for null in [false, true] {
            if let Some(record) = parse(&without(newest, path, null)) {
                all.push((format!("{} {}", path.join("."), if null { "null" } else { "missing" }), record));
            }
        }
        let older = without(&oldest, path, false);
        if parse(&older).is_some() {
            oldest = older;
        }
    }
    all.push(("the oldest".into(), parse(&oldest).expect("readable")));
    all
}

/// The made-up record with all that one may hold.
fn newest() -> Record {
    let mut record = with_runs(fixture::record());
    record.models = vec![record.model.clone()];
    record.engines = vec![Engine { id: "tract".into(), ..record.engine.clone() }];
    record
}

#[test]
fn records_of_every_age_are_shown_in_every_format_and_compared() {
    let newest = newest();
    let kept = ["1-minidet-silu", "1-fanout-silu"].map(saved);
    let mut ages = older(&serde_json::to_value(&newest).expect("JSON"), read::record);
    assert!(ages.len() > 60, "{} ages", ages.len());
    for record in &kept {
        ages.extend(older(record, read::record).into_iter().filter(|(age, _)| age == "the oldest"));
        ages.push(("kept".into(), read::record(record.to_string().as_bytes()).expect("read")));
    }
    for (age, record) in &ages {
        if age.ends_with("null") || age.ends_with("missing") {
            alone(age, record);
            continue;
        }
        for (one, other) in [(record, &newest), (&newest, record)] {
            for (what, format, text) in documents(one, other, "a.json", age == "the oldest") {
                assert!(!text.is_empty() || what == "a verdict", "{age}: {what} as {format:?}");
                check(&format!("{age}: {what}"), format, &text);
            }
        }
    }
}

/// A record of which one thing isn't known: all formats show it that aren't about just that.
fn alone(age: &str, record: &Record) {
    let named = [NamedRecord { name: "a.json", record }];
    for format in formats(Document::Records) {
        match records(&named, format, &Breakdowns::default()) {
            Ok(text) => check(age, format, &text),
            Err(error) => assert!(!shows_all(format), "{age} as {format:?}: {error}"),
        }
    }
    if let Ok(compared) = compare::compare(&named, &[&named], Options::default()) {
        check(age, Format::Table, &comparison(&compared, Format::Table, 15).expect("a comparison"));
    }
}

/// Whether a format shows whatever there is.
fn shows_all(format: Format) -> bool {
    format.is_table() || [Format::Json, Format::Csv, Format::Markdown, Format::Html].contains(&format)
}

#[test]
fn benches_of_every_age_are_shown_in_every_format() {
    let ages = older(&saved("bench/1-mish-silu"), read::bench);
    assert!(ages.len() > 5, "{} ages", ages.len());
    for (age, record) in ages {
        for format in formats(Document::Bench) {
            let text = bench(&record, format).unwrap_or_else(|error| panic!("{age} as {format:?}: {error}"));
            check("a bench", format, &text);
        }
    }
}

/// What ends elements, attributes, scripts, cells, lines and code, formats, computes, moves a cursor, turns the direction, links,
/// calls people, and is long.
fn hostile() -> String {
    "=1+1\"'><img src=x onerror=alert(1)></script></title><script>alert(1)</script>|`*_[x](//x.y)@a#1&amp;&#10;;,\n! fake\n\
     \r\t\u{0}\u{7}\u{8}\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1m\u{202e}\u{2066}\u{61c}\u{200b}\u{2028}\u{feff}\u{7f}\\]]>--></testcase>\0"
        .to_owned()
        + &"x".repeat(10_000)
}

fn spoilt<T: serde::Serialize + serde::de::DeserializeOwned>(whole: &T) -> T {
    fn spoil(value: &mut Value, key: &str) {
        const WORDS: [&str; 8] =
            ["schema", "role", "lowering", "denormals", "verdict", "kind", "inputs", "outputs"];
        match value {
            Value::String(text) if !WORDS.contains(&key) => *text = hostile() + text,
            Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, key)),
            Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| spoil(value, key)),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(whole).expect("JSON");
    spoil(&mut value, "");
    serde_json::from_value(value).expect("the same")
}

#[test]
fn hostile_names_are_text_in_every_format() {
    let mut record = newest();
    for variant in &mut record.variants {
        variant.model = Some(record.model.name.clone());
        variant.error = Some("node".into());
    }
    let record = spoilt(&record);
    for (what, format, text) in documents(&record, &record, &hostile(), false) {
        check(&what, format, &text);
        assert!(format.is_table() || text.contains("u202e"), "{what} as {format:?} leaves names out");
    }
    let alone: Bench = spoilt(&serde_json::from_value(saved("bench/1-mish-silu")).expect("a bench"));
    for format in formats(Document::Bench) {
        check("a bench", format, &escape::visible(&bench(&alone, format).expect("a bench")));
    }
    let [name, started_at, model, target, file] = std::array::from_fn(|_| hostile());
    let listed = [Listed { name, started_at, model, variants: vec![hostile(); 3], target, file }];
    for format in formats(Document::List) {
        check("a list", format, &escape::visible(&list(&listed, format).expect("a list")));
    }
}

/// Reads a document by the grammar of its format, in which names are text and nothing else.
fn check(what: &str, format: Format, text: &str) {
    let place = format!("{what} as {format:?}");
    let colours = escape::COLOURS;
    let plain = colours.iter().fold(text.to_owned(), |text, colour| match format {
        Format::Terminal => text.replace(colour, ""),
        _ => text,
    });
    let hidden = |c: char| {
        c != '\n' && c.is_control() || "\u{202e}\u{2066}\u{61c}\u{200b}\u{2028}\u{feff}".contains(c)
    };
    assert!(!plain.contains(hidden), "{place} has hidden characters");
    match format {
        _ if what.ends_with("JUnit") => xml(&place, &plain),
        Format::Table | Format::Terminal => {
            let fits = |line: &str| width(line) <= PAGE || !line.contains("1+1");
            assert!(!plain.lines().any(|line| line.starts_with("! fake")), "{place}");
            plain.lines().for_each(|line| assert!(fits(line), "{place}: {line}"));
        }
        Format::Csv => csv(&place, &plain),
        Format::Markdown => markdown(&place, &plain),
        Format::Html => {
            let page = checked(plain);
            assert!(!page.contains("<img") && !page.contains("alert(1)</script>"), "{place}");
            assert_eq!(page.matches("<script").count(), 2, "{place}: the data and our own");
        }
        _ => drop(serde_json::from_str::<Value>(&plain).unwrap_or_else(|error| panic!("{place}: {error}"))),
    }
}

/// As RFC 4180 has it: every row has a cell for each column, and none is a formula.
fn csv(place: &str, text: &str) {
    let (mut rows, mut row, mut cell, mut quoted) = (vec![], vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            '"' => panic!("{place}: a quote within {cell}"),
            ',' | '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                if c == '\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            c => cell.push(c),
        }
    }
    assert!(!quoted && row.is_empty() && cell.is_empty(), "{place} ends early");
    for row in &rows {
        assert_eq!(row.len(), rows[0].len(), "{place}: {:?}", row.first());
        let formula = |cell: &&String| cell.trim_start().starts_with(['=', '+', '-', '@']);
        let formula = row.iter().filter(formula).find(|cell| cell.parse::<f64>().is_err());
        assert_eq!(formula, None, "{place}");
    }
}

/// No tags but ours, and as many cells in every row of a table.
fn markdown(place: &str, text: &str) {
    const OURS: [&str; 7] =
        ["<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<!-- -->"];
    let mut columns = None;
    for line in text.lines() {
        // What is in a code span is text already.
        let outside: String = line.split('`').step_by(2).collect();
        assert_eq!(line.matches('`').count() % 2, 0, "{place}: {line}");
        let rest = OURS.iter().fold(outside, |text, tag| text.replace(tag, ""));
        assert!(!rest.contains('<'), "{place}: {rest}");
        let cells = line.starts_with('|').then(|| line.matches('|').count());
        assert!(columns.is_none() || cells.is_none() || cells == columns, "{place}: {line}");
        columns = cells;
    }
}

/// Elements that are closed in order, attributes in quotes, entities that XML knows.
fn xml(place: &str, text: &str) {
    let (head, mut rest) = text.split_once("?>\n").expect("a declaration");
    assert!(head.starts_with("<?xml version=\"1.0\""), "{place}");
    let mut open: Vec<&str> = vec![];
    let entities = |text: &str| {
        for part in text.split('&').skip(1) {
            let name = part.split(';').next().unwrap_or_default();
            assert!(["amp", "lt", "gt", "quot", "apos"].contains(&name), "{place}: &{name}");
        }
    };
    while let Some((before, after)) = rest.split_once('<') {
        entities(before);
        let (tag, after) = after.split_once('>').expect("a tag that ends");
        rest = after;
        let name = tag.trim_matches('/').split(' ').next().unwrap_or_default();
        assert!(
            [
                "testsuites",
                "testsuite",
                "testcase",
                "failure",
                "error",
                "system-out",
                "properties",
                "property",
                "skipped"
            ]
            .contains(&name),
            "{place}: {tag}"
        );
        assert_eq!(tag.matches('"').count() % 2, 0, "{place}: {tag}");
        entities(tag);
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{place}"),
            (_, false) => open.push(name),
            _ => {}
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{place}");
}
