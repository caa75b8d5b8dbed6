//! How an earlier report is told from a file of somebody else's: by how reports begin.

use std::fs::File;
use std::io::BufReader;

use serde_json::Value;

use super::{across, html, model_explorer, netron, tracked};
use crate::files::{Kind, start_of_text};

/// Tables, Markdown, CSV and HTML, of whatever they are.
pub const REPORT: Kind =
    Kind { what: "a report of oplat's", is: |file| start_of_text(file).is_some_and(|text| is_report(&text)) };

/// JUnit files of comparisons.
pub const JUNIT: Kind = Kind {
    what: "a JUnit file of oplat's",
    is: |file| start_of_text(file).is_some_and(|text| text.contains("\n<testsuites name=\"oplat compare\" ")),
};

/// Traces of runs.
pub const TRACE: Kind = Kind {
    what: "a trace of oplat's",
    is: |file| json(file).is_some_and(|trace| trace["otherData"]["oplat"].is_string()),
};

/// Figures for Netron.
pub const NETRON: Kind = Kind {
    what: "an attachment for Netron of oplat's",
    is: |file| {
        let ours = |json: Value| {
            json["signature"] == netron::SIGNATURE && json["metadata"][0]["name"] == netron::MARK
        };
        json(file).is_some_and(ours)
    },
};

/// Figures for Model Explorer.
pub const MODEL_EXPLORER: Kind = Kind {
    what: "node data of oplat's",
    is: |file| {
        let named = |name: &str| name.starts_with(model_explorer::MARK);
        json(file).is_some_and(|json| json["results"].is_object() && json["name"].as_str().is_some_and(named))
    },
};

/// Figures for Bencher.
pub const BENCHER: Kind = Kind {
    what: "metrics of oplat's",
    is: |file| {
        let ours = |json: &Value| {
            let all = json.as_object()?;
            Some(!all.is_empty() && all.keys().all(|name| name.starts_with(tracked::MARK)))
        };
        json(file).as_ref().and_then(ours).unwrap_or(false)
    },
};

/// Figures for github-action-benchmark.
pub const GITHUB_BENCHMARK: Kind = Kind {
    what: "benchmark results of oplat's",
    is: |file| {
        let named =
            |entry: &Value| entry["name"].as_str().is_some_and(|name| name.starts_with(tracked::MARK));
        let ours = |json: &Value| json.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(named));
        json(file).as_ref().is_some_and(ours)
    },
};

fn json(file: &File) -> Option<Value> {
    serde_json::from_reader(BufReader::new(file)).ok()
}

/// The first columns of all CSV files.
const COLUMNS: [&str; 4] = [
    "record,started_at,model,",
    "base,new,row,",
    "started_at,oplat,engine,",
    "row,model,model_sha256,engine,",
];

/// Tables that stand before the first header, where several records are shown.
const OVERVIEWS: [&str; 4] = ["new / base ", "| new / base |", "variant ", "| variant |"];

fn is_report(text: &str) -> bool {
    if COLUMNS.iter().any(|columns| text.starts_with(columns)) || text.starts_with(html::START) {
        return true;
    }
    let mut paragraphs = text.split("\n\n").peekable();
    if paragraphs
        .peek()
        .is_some_and(|first| first.lines().next().is_some_and(|line| line.contains(across::BEGINS)))
    {
        return true;
    }
    while paragraphs.next_if(|p| OVERVIEWS.iter().any(|o| p.starts_with(o)) || is_note(p)).is_some() {}
    let is_title = |p: &&str| ["record ", "### `"].iter().any(|title| p.starts_with(title));
    let _ = paragraphs.next_if(is_title);
    paragraphs.next().is_some_and(|paragraph| is_header(paragraph) || is_inspection(paragraph))
}

/// What is said below an overview in Markdown.
fn is_note(paragraph: &str) -> bool {
    paragraph.starts_with("- original: p50 of whole runs; ")
}

/// `net (net.onnx)  1x3x24x24 f32 | tract 0.23.9, AVX2 | 1 thread on cpu 1 | 8 forks, 38 s`, also over several lines.
fn is_header(paragraph: &str) -> bool {
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let text = words.join(" ");
    let starts_with_digit = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let is_engine = |part: &str| {
        let mut words = part.split(' ');
        words.next().is_some_and(|name| !name.is_empty())
            && words.next().is_some_and(|version| starts_with_digit(version) && version.contains('.'))
    };
    let forks = words.windows(2).any(|pair| match pair {
        [n, noun] => {
            starts_with_digit(n) && ["fork", "forks", "round", "rounds"].contains(&noun.trim_end_matches(','))
        }
        _ => false,
    });
    forks && text.split(" | ").skip(1).any(is_engine)
}

/// The two first lines of what `inspect` prints.
fn is_inspection(paragraph: &str) -> bool {
    let second = paragraph.lines().nth(1).unwrap_or_default();
    second.starts_with("opset ") && second.contains(" by ") && second.contains(" parameters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{self, NamedRecord};
    use crate::record::{Record, bench::Bench};
    use crate::report::{Breakdowns, Format, bench, comparison, fixture, junit, records};

    fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
        let path = format!("{}/tests/fixtures/records/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// All that there is to write in this format.
    fn reports(format: Format) -> Vec<String> {
        let mut elsewhere = fixture::record();
        (elsewhere.environment.target, elsewhere.environment.host) = ("adb".into(), "a phone".into());
        let mut long = fixture::record();
        long.model.name = "a_network_".repeat(30);
        let mut cold = fixture::record();
        cold.settings.cold = true;
        let all: Vec<Record> = vec![
            fixture::record(),
            elsewhere,
            long,
            cold,
            fixture("1-minidet-silu"),
            fixture("1-fanout-silu"),
        ];
        let named: Vec<NamedRecord> =
            all.iter().map(|record| NamedRecord { name: "a.json", record }).collect();
        let compared = |sides: &[&[NamedRecord]]| {
            comparison(
                &compare::compare(&named[4..5], sides, compare::Options::default()).unwrap(),
                format,
                15,
            )
            .unwrap()
        };
        let shown = |named: &[NamedRecord]| records(named, format, &Breakdowns::default()).unwrap();
        let mut texts: Vec<String> = named.chunks(1).map(shown).collect();
        texts.extend([shown(&named[..2]), shown(&named[4..]), shown(&named)]);
        texts.extend([compared(&[&named[4..5]]), compared(&[&named[4..5], &named[4..5]])]);
        let over = compare::across::across(&named[..2]).unwrap();
        texts.extend([false, true].map(|detail| super::super::across(&over, format, detail).unwrap()));
        texts.push(bench(&fixture::<Bench>("bench/1-mish-silu"), format).unwrap());
        texts
    }

    #[test]
    fn every_report_is_known_again() {
        for format in [Format::Table, Format::Markdown, Format::Csv, Format::Html] {
            for text in reports(format) {
                assert!(is_report(&text), "{}", text.chars().take(500).collect::<String>());
            }
        }
        let named = [NamedRecord { name: "", record: &fixture("1-minidet-silu") }];
        let options = compare::Options { limit: "5%".parse().ok(), ..Default::default() };
        let compared = compare::compare(&named, &[&named], options).unwrap();
        assert!(junit(&compared).contains("\n<testsuites name=\"oplat compare\" "));
    }

    #[test]
    fn files_for_viewers_and_services_are_known_again_by_their_own_format_alone() {
        let formats =
            [Format::Trace, Format::Netron, Format::ModelExplorer, Format::Bencher, Format::GithubBenchmark];
        let file = tempfile::NamedTempFile::new().unwrap();
        for written in formats {
            let text = records(
                &[NamedRecord { name: "", record: &fixture::record() }],
                written,
                &Breakdowns::default(),
            );
            std::fs::write(file.path(), text.unwrap()).unwrap();
            for format in formats {
                let is = (format.kind(&REPORT).is)(&std::fs::File::open(file.path()).unwrap());
                assert_eq!(is, format == written, "{written:?} as {format:?}");
            }
        }
        for others in [
            "{}",
            "[]",
            "{\"traceEvents\": []}",
            "{\"signature\": \"netron:attachment\"}",
            "[{\"name\": \"x\"}]",
        ] {
            std::fs::write(file.path(), others).unwrap();
            for format in formats {
                assert!(!(format.kind(&REPORT).is)(&std::fs::File::open(file.path()).unwrap()), "{others}");
            }
        }
    }

    #[test]
    fn what_others_wrote_is_not_taken_for_one() {
        for text in [
            include_str!("../../README.md"),
            include_str!("../../CHANGELOG.md"),
            include_str!("../../Cargo.toml"),
            include_str!("../../configs/yolo-study.yaml"),
            include_str!("earlier.rs"),
            include_str!("../../tests/fixtures/activations.csv"),
            include_str!("../../tests/fixtures/records/1-minidet-silu.json"),
            "notes\n\n| model | tract 0.23.9 | 8 forks |\n",
            "variant of mine\n\nThis is 3 | 4.5 | of 8 spoons\n",
            "| set | 8 forks | 3 spoons |\n",
            "",
        ] {
            assert!(!is_report(text), "{}", text.chars().take(80).collect::<String>());
        }
    }
}
