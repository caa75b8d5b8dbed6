//! Pages as browsers take them: every element closed, nothing asked of anybody, and whatever others wrote is text.

use crate::compare::{self, Comparison, NamedRecord};
use crate::record::bench::Bench;
use crate::record::*;
use crate::report::{Breakdowns, Format, Listed, bench, comparison, fixture, json, list, records};

fn saved<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/fixtures/records/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn named(all: &[Record]) -> Vec<NamedRecord<'_>> {
    all.iter().map(|record| NamedRecord { name: "dir/a.json", record }).collect()
}

fn page(all: &[Record]) -> String {
    checked(records(&named(all), Format::Html, &Breakdowns::default()).unwrap())
}

fn compared(base: &Record, new: &Record) -> Comparison {
    let [base, new] = [base, new].map(|record| [NamedRecord { name: "a.json", record }]);
    compare::compare(&base, &[&new], compare::Options::default()).unwrap()
}

/// The page, which is well-formed and asks for nothing.
pub fn checked(page: String) -> String {
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">") && page.ends_with("</html>\n"));
    let tags = tags(&page);
    let mut open: Vec<&str> = vec![];
    let mut ids: Vec<&str> = vec![];
    for tag in &tags {
        let name = tag.split([' ', '/', '>']).find(|part| !part.is_empty()).unwrap();
        match (tag.starts_with('/'), name) {
            (true, _) => assert_eq!(open.pop(), Some(name), "closed by {tag}"),
            (false, "meta" | "br" | "!doctype") => {}
            (false, _) if tag.ends_with('/') => {}
            (false, _) => open.push(name),
        }
        let names: String = tag.split('"').step_by(2).collect();
        for asking in [" src=", " srcset=", " style=", " action=", "xlink", " on"] {
            assert!(!names.contains(asking), "<{tag}>");
        }
        assert!(attribute(tag, " href=\"").is_none_or(|place| place.starts_with('#')), "<{tag}>");
        ids.extend(attribute(tag, " id=\""));
    }
    assert_eq!(open, [""; 0]);
    for tag in &tags {
        for id in attribute(tag, "aria-labelledby=\"").into_iter().flat_map(|all| all.split(' ')) {
            assert!(ids.contains(&id), "{id}");
        }
        if let Some(id) = attribute(tag, "href=\"#") {
            assert!(ids.contains(&id), "{id}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an identifier is one thing's");
    assert!(!page.contains("NaN\"") && !page.contains("\"inf"), "coordinates are numbers");
    page
}

fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    tag.split_once(name)?.1.split('"').next()
}

/// All tags, those within scripts and styles left out.
fn tags(page: &str) -> Vec<&str> {
    let (mut tags, mut rest) = (vec![], page);
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').expect("a tag that ends");
        tags.push(tag);
        let raw = ["script", "style"].into_iter().find(|name| tag.split(' ').next() == Some(name));
        rest = match raw {
            Some(name) => &after[after.find(&format!("</{name}>")).expect("an end")..],
            None => after,
        };
    }
    tags
}

/// The tables that the script is given.
fn data(page: &str) -> serde_json::Value {
    let (_, json) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(json.split_once("</script>").unwrap().0).unwrap()
}

fn table<'d>(data: &'d serde_json::Value, id: &str) -> Option<&'d serde_json::Value> {
    data["tables"].as_array().unwrap().iter().find(|table| table["id"] == id)
}

/// The fixture with processes and their runs.
pub fn with_runs(mut record: Record) -> Record {
    for (at, variant) in record.variants.iter_mut().enumerate() {
        let run = |fork: u64, run: u64| {
            300 * fixture::MS + at as u64 * 9 * fixture::MS + fork * 100_000 + run * 7_000
        };
        let rounds =
            |fork: u64| (0..3).map(|round| (0..4).map(|n| run(fork, round * 4 + n)).collect()).collect();
        variant.forks = (0..4).map(|fork| Fork { rounds: rounds(fork), ..Fork::default() }).collect();
    }
    record
}

#[test]
fn a_record_has_its_verdicts_plots_and_tables_in_this_order() {
    let page = page(&[with_runs(fixture::record())]);
    let headings: Vec<&str> = page
        .split("<h2 id=")
        .skip(1)
        .map(|h| h.split_once('>').unwrap().1.split('<').next().unwrap())
        .collect();
    insta::assert_snapshot!(headings.join("\n"));
    for told in [
        "mish as exported is 15.1% slower than silu",
        "<strong>Warning: </strong>weights are not retrained",
        "1.151 [1.144, 1.159] slower",
        "profiled run 322.3 ms, unprofiled p50 325.1 ms",
        "hosts of folded activations",
        "oplat profile yolov5s.onnx",
        "1 site is folded into other operators",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let data = data(&page);
    let ops = table(&data, "ops").unwrap();
    assert_eq!(ops["chunks"], serde_json::json!([7, 13]));
    let titles = |table: &serde_json::Value| {
        table["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(
        titles(ops).contains(&"mean time, ms".into()) && titles(ops).contains(&"live after it, MB".into())
    );
    assert!(titles(table(&data, "aligned-1").unwrap()).contains(&"mish, exported: mean, ms".into()));
}

#[test]
fn every_plot_says_what_it_shows_to_those_who_dont_see_it() {
    let page = page(&[with_runs(fixture::record())]);
    let plots: Vec<&str> =
        page.split("<svg ").skip(1).map(|svg| svg.split_once("</svg>").unwrap().0).collect();
    assert!(plots.len() >= 8, "{}", plots.len());
    for plot in plots {
        assert!(plot.contains("role=\"img\" aria-labelledby=") && plot.contains("<title id="), "{plot}");
        let description = plot.split_once("<desc id=").unwrap().1.split_once("</desc>").unwrap().0;
        assert!(description.split_once('>').unwrap().1.len() > 8, "{description}");
    }
}

#[test]
fn an_emulated_target_has_no_times_and_an_imported_profile_no_verdicts() {
    let mut record = with_runs(fixture::record());
    record.environment.emulated = true;
    let emulated = page(&[record]);
    assert!(emulated.contains("so none are shown") && emulated.contains("Live memory after each operator"));
    for time in ["322.3", "325.1", "1.151", "mean time, ms"] {
        assert!(!emulated.contains(time), "{time}");
    }
    let mut record = fixture::record();
    record.imported = vec!["profile.json".into()];
    for variant in &mut record.variants {
        (variant.latency, variant.delta, variant.memory) = (None, None, None);
        variant
            .ops
            .iter_mut()
            .for_each(|op| (op.live_bytes, op.output_bytes, op.scratch_bytes) = (None, None, None));
    }
    let imported = page(&[record]);
    assert!(imported.contains("no unprofiled runs") && imported.contains("profile.json"));
    assert!(!imported.contains("Live memory after"));
}

#[test]
fn what_is_not_there_is_not_drawn() {
    let mut record = fixture::record();
    record.variants.truncate(1);
    let alone = page(std::slice::from_ref(&record));
    assert!(alone.contains("Nothing was compared"));
    record.variants[0].ops.clear();
    record.variants[0].sites.clear();
    page(std::slice::from_ref(&record));
    (record.variants[0].latency, record.variants[0].profiled, record.variants[0].memory) = (None, None, None);
    record.variants[0].error = Some("the worker was lost".into());
    assert!(page(std::slice::from_ref(&record)).contains("failed: the worker was lost"));
    record.variants.clear();
    page(&[record]);
}

#[test]
fn several_records_stand_side_by_side() {
    let (here, mut there) = (fixture::record(), fixture::record());
    there.environment.target = "ssh:board".into();
    let page = page(&[here, there]);
    assert!(
        page.contains(">Side by side</h2>")
            && page
                .contains("mish, exported by device: ratio of times to the same device&apos;s own original")
    );
    let data = data(&page);
    assert_eq!(table(&data, "ops").unwrap()["columns"][0]["title"], "record");
    assert_eq!(table(&data, "aligned-1").unwrap()["columns"].as_array().unwrap().len(), 2 + 4 * 2);
}

#[test]
fn older_records_comparisons_benches_and_lists_are_pages_too() {
    let all: Vec<Record> = ["1-minidet-silu", "1-fanout-silu"].map(saved).to_vec();
    for record in &all {
        page(std::slice::from_ref(record));
    }
    page(&all);
    let change = comparison(&compared(&all[0], &all[0]), Format::Html, 15).unwrap();
    let change = checked(change);
    assert!(change.contains("Ratio of times, new over base") && change.contains("unpaired"));
    assert!(table(&data(&change), "ops").unwrap()["chunks"].as_array().unwrap().len() == 3);
    let alone = checked(bench(&saved::<Bench>("bench/1-mish-silu"), Format::Html).unwrap());
    for told in ["memcpy (a copy)", "Time over ReLU&apos;s", "What the study says"] {
        assert!(alone.contains(told), "{told}");
    }
    checked(list(&[Listed { name: "last".into(), ..Listed::default() }], Format::Html).unwrap());
}

#[test]
fn a_comparison_says_on_what_both_sides_were_measured_and_what_differs() {
    let (base, mut new) = (fixture::record(), fixture::record());
    new.environment.cpu = Some("Another CPU".into());
    new.environment.governor = vec!["powersave".into()];
    new.command.push("--act".into());
    let change = checked(comparison(&compared(&base, &new), Format::Html, 15).unwrap());
    let (_, table) = change.split_once("What both were measured on, and how").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    let rows: Vec<Vec<&str>> = table
        .split("<tr>")
        .map(|row| row.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text))
        .map(|texts| texts.filter(|text| !text.is_empty()).collect())
        .collect();
    for told in [
        vec!["host", "yes", "board", "board"],
        vec!["CPU", "NO", "Some CPU 9", "Another CPU"],
        vec!["engine", "yes", "tract 0.23.9", "tract 0.23.9"],
        vec!["command", "NO", "oplat profile yolov5s.onnx", "oplat profile yolov5s.onnx --act"],
        vec!["machine: governor", "NO", "performance", "powersave"],
    ] {
        assert!(rows.contains(&told), "{told:?} in {rows:?}");
    }
}

/// Ends elements, attributes, scripts, lines and cells, turns the direction, and never ends itself.
fn hostile() -> String {
    let evil = "</script></title></svg><script>alert(1)</script>\"'><img src=x onerror=alert(1)>|`&amp;\n\r\u{1b}[2J\u{202e}\u{2028}\u{200b}]]>-->";
    evil.to_owned() + &"x".repeat(10_000)
}

#[test]
fn hostile_names_are_text() {
    fn spoil(value: &mut serde_json::Value, key: &str) {
        const WORDS: [&str; 8] =
            ["schema", "role", "lowering", "denormals", "verdict", "kind", "inputs", "outputs"];
        match value {
            serde_json::Value::String(text) if !WORDS.contains(&key) => text.push_str(&hostile()),
            serde_json::Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, key)),
            serde_json::Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| spoil(value, key)),
            _ => {}
        }
    }
    fn spoilt<T: serde::Serialize + serde::de::DeserializeOwned>(whole: T) -> T {
        let mut value = serde_json::to_value(whole).unwrap();
        spoil(&mut value, "");
        serde_json::from_value(value).unwrap()
    }
    let mut record = with_runs(fixture::record());
    record.variants[0].ops[2].kernel = Some("k".into());
    record.models = vec![record.model.clone()];
    let record = spoilt(record);
    let change = comparison(&compared(&record, &record), Format::Html, 15).unwrap();
    let alone = bench(&spoilt(saved::<Bench>("bench/1-mish-silu")), Format::Html).unwrap();
    for page in [
        page(std::slice::from_ref(&record)),
        page(&[record.clone(), record]),
        checked(change),
        checked(alone),
    ] {
        let scripts = tags(&page).into_iter().filter(|tag| tag.starts_with("script")).count();
        assert_eq!(scripts, 2, "the data and our own");
        assert!(!page.contains("<img") && !page.contains("alert(1)</script>"));
        for hidden in ['\u{1b}', '\u{202e}', '\u{2028}', '\u{200b}', '\r'] {
            assert!(!page.contains(hidden), "{hidden:?}");
        }
        assert!(!data(&page)["tables"].as_array().unwrap().is_empty());
    }
}

/// So many variants of so many operators, none of whose figures is another's.
fn large(variants: usize, ops: usize) -> Record {
    let mut record = fixture::record();
    let mut seed = 1u64;
    let mut random = move |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let base = with_runs(record.clone()).variants.swap_remove(1);
    record.variants = (0..variants)
        .map(|number| {
            let mut variant = Variant { name: format!("variant {number}, exported"), ..base.clone() };
            if number == 0 {
                (variant.role, variant.delta) = (Role::Original, None);
            }
            variant.ops = (0..ops)
                .map(|at| {
                    let node = format!("/model.{}/part.{}/conv/Conv", at / 10, at);
                    let shape = format!("1x{}x{}x{}xf32", 8 + at % 56, 10 + at % 30, 10 + at % 40);
                    Op {
                        kernel: Some(format!("avx512_mmm_f32_{}x8", 8 * (1 + at % 6))),
                        inputs: vec![shape.clone()],
                        outputs: vec![shape],
                        fork_mean_ns: vec![1],
                        output_bytes: Some(random(90_000_000)),
                        scratch_bytes: Some(random(9_000_000)),
                        live_bytes: Some(random(90_000_000)),
                        ..fixture::op(
                            at,
                            ["OptMatMul", "Silu", "Pad", "Add"][random(4) as usize],
                            &node,
                            1 + random(2_000_000),
                        )
                    }
                })
                .collect();
            let site = |at: usize| Site {
                node: format!("/model.{}/part.{}/conv/Conv", at / 10, at),
                from: "silu".into(),
                to: "mish".into(),
                lowering: None,
                shape: vec![1, 8 + at % 56, 40, 40],
                folded_into: None,
            };
            variant.sites = (0..ops / 10).map(|at| site(at * 10)).collect();
            variant
        })
        .collect();
    record
}

#[test]
fn many_variants_of_many_operators_stay_below_five_megabytes() {
    let record = large(200, 1_000);
    let json = json::record(&record).unwrap();
    assert!(read::record(json.as_bytes()).unwrap() == record, "what is written is read again");
    let page = page(std::slice::from_ref(&record));
    let ops = table(&data(&page), "ops").unwrap()["chunks"].as_array().unwrap().len();
    assert_eq!(ops, 200, "all are there");
    assert!(page.len() < 5_000_000, "{}", page.len());
}
