//! Formats for viewers and services: what they must hold for the programs that read them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixture::{MS, delta, record};
use super::{Breakdowns, Document, Format, Metric, NamedRecord, OnGraph, records, render};
use crate::compare;
use crate::record::bench::Bench;
use crate::record::{Record, Role, Verdict};

const ALL: [Format; 5] =
    [Format::Trace, Format::Netron, Format::ModelExplorer, Format::Bencher, Format::GithubBenchmark];

fn shown(
    record: &Record,
    format: Format,
    metrics: &[Metric],
    variant: Option<&str>,
) -> Result<Value, String> {
    let on_graph = OnGraph { metrics: metrics.to_vec(), variant: variant.map(str::to_owned) };
    let text = render(record, format, &Breakdowns { on_graph, ..Breakdowns::default() });
    text.map(|text| serde_json::from_str(&text).expect("JSON")).map_err(|error| error.message)
}

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/fixtures/records/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All sorts of records: several engines' worth of nulls, imported ones, older ones.
fn sorts() -> Vec<Record> {
    let mut imported = record();
    imported.imported = vec!["profile.json".into()];
    for variant in &mut imported.variants {
        (variant.latency, variant.delta, variant.memory) = (None, None, None);
        if let Some(profiled) = &mut variant.profiled {
            profiled.bookkeeping = None;
        }
        for op in &mut variant.ops {
            (op.output_bytes, op.scratch_bytes, op.live_bytes, op.allocator_ns) = (None, None, None, None);
        }
        if let Some(op) = variant.ops.first_mut() {
            op.mean_ns = 0;
        }
    }
    vec![record(), imported, fixture("1-minidet-silu"), fixture("1-fanout-silu")]
}

#[test]
fn slices_of_a_track_nest_and_a_run_is_as_long_as_profiled_runs_are() {
    for record in sorts() {
        let trace = shown(&record, Format::Trace, &[], None).expect("a trace");
        let events = trace["traceEvents"].as_array().unwrap();
        let mut runs = vec![];
        for process in events.iter().filter(|e| e["name"] == "process_name") {
            let mut open: Vec<&Value> = vec![];
            for slice in events.iter().filter(|e| e["pid"] == process["pid"]) {
                if slice["ph"] == "B" {
                    open.push(slice);
                }
                if slice["ph"] == "E" {
                    let start = open.pop().expect("a slice that is open");
                    assert_eq!([&start["name"], &start["cat"]], [&slice["name"], &slice["cat"]]);
                    let length = slice["ts"].as_f64().unwrap() - start["ts"].as_f64().unwrap();
                    assert!(
                        start.get("args").is_none(),
                        "speedscope takes it for a part of the name: {start}"
                    );
                    assert_eq!(slice.get("args").is_some(), length > 0.0, "{slice}");
                    if slice["cat"] == "run" {
                        runs.push(length);
                    }
                }
            }
            assert!(open.is_empty(), "{open:?}");
        }
        let profiled: Vec<_> = record.variants.iter().filter(|v| v.profiled.is_some()).collect();
        assert_eq!(runs.len(), profiled.len());
        for (variant, dur) in profiled.iter().zip(runs) {
            let ops: u64 = variant.ops.iter().map(|op| op.mean_ns).sum();
            let whole = (ops + variant.profiled.unwrap().unaccounted_ns) as f64 / 1e3;
            assert!((dur - whole).abs() < 0.002, "{dur} of {whole}");
        }
    }
}

#[test]
fn a_trace_keeps_to_the_rules_of_its_format() {
    let number = |value: &Value| value.as_f64().is_some_and(f64::is_finite);
    for record in sorts() {
        let trace = shown(&record, Format::Trace, &[], None).expect("a trace");
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        for event in trace["traceEvents"].as_array().expect("events") {
            assert!(event["name"].is_string() && event["pid"].is_u64(), "{event}");
            let track = match event["ph"].as_str() {
                Some("M") => continue,
                Some("B" | "E") => format!("{} {}", event["pid"], event["tid"]),
                Some("C") => {
                    let args = event["args"].as_object().expect("arguments");
                    assert!(!args.is_empty() && args.values().all(number), "{event}");
                    format!("{} {}", event["pid"], event["name"])
                }
                _ => panic!("{event}"),
            };
            let at = event["ts"].as_f64().filter(|at| at.is_finite() && *at >= 0.0).expect("a time");
            let before = last.insert(track, at);
            assert!(before.is_none_or(|before| before <= at), "{event} is before {before:?}");
        }
        assert!(!last.is_empty());
    }
}

#[test]
fn ops_stand_under_their_site_and_counters_beside_them() {
    let trace = shown(&record(), Format::Trace, &[], None).expect("a trace");
    let events = trace["traceEvents"].as_array().unwrap();
    let names = |category: &str, pid: u64| {
        let all = events.iter().filter(|e| e["ph"] == "B" && e["cat"] == category && e["pid"] == pid);
        all.map(|e| e["name"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names("site", 2), ["mish /model.0/act/Mul", "mish /model.1/act/Mul"]);
    assert_eq!(names("op", 2)[2..5], ["OptMatMul /model.2/conv/Conv", "Exp", "Add"]);
    let counters: Vec<&str> =
        events.iter().filter(|e| e["ph"] == "C").map(|e| e["name"].as_str().unwrap()).collect();
    for counter in ["live memory", "frequency of CPU 1", "temperature of 1 (x86_pkg_temp)"] {
        assert!(counters.contains(&counter), "{counter}: {counters:?}");
    }
    let live: Vec<&Value> = events.iter().filter(|e| e["pid"] == 2 && e["name"] == "live memory").collect();
    assert!(live[0]["args"]["MB"].as_f64() > Some(0.0));
    assert_eq!(live.last().unwrap()["args"]["MB"], 0.0, "nothing is needed any more when a run has ended");
}

#[test]
fn the_nodes_of_a_figure_add_up_to_all_ops() {
    for record in sorts() {
        for variant in record.variants.iter().filter(|v| v.profiled.is_some()) {
            let shown = shown(&record, Format::ModelExplorer, &[Metric::Latency], Some(&variant.name))
                .expect("figures");
            let nodes = shown["results"].as_object().unwrap().values();
            let sum: f64 = nodes.map(|figure| figure["value"].as_f64().unwrap()).sum();
            let all = variant.ops.iter().map(|op| op.mean_ns).sum::<u64>() as f64 / 1e6;
            assert!((sum - all).abs() < 1e-6, "{}: {sum} of {all}", variant.name);
        }
    }
}

#[test]
fn a_folded_activation_is_on_its_host_even_where_it_gave_the_op_its_name() {
    let mut record = record();
    let mish = &mut record.variants[1];
    mish.ops[2].node = "/model.2/act/Mul".into();
    mish.ops[2].onnx = vec!["/model.2/conv/Conv".into(), "/model.2/act/Mul".into()];
    let netron = shown(&record, Format::Netron, &[Metric::Latency], Some("mish, exported")).expect("figures");
    let at = |list: &str, node: &str| {
        let all = netron[list].as_array().unwrap();
        all.iter().find(|entry| entry["target"] == node).map(|entry| entry["value"].clone())
    };
    assert_eq!(at("metrics", "/model.2/conv/Conv"), Some(json!(85.0)));
    assert_eq!(at("metrics", "/model.2/act/Mul"), None);
    assert_eq!(at("metadata", "/model.2/act/Mul"), Some(json!("/model.2/conv/Conv")));
    // Exp, Add, Ln, Tanh and Mul are one site.
    assert_eq!(at("metrics", "/model.0/act/Mul"), Some(json!(40.0)));
    // Folded on one side only: host and activation together, on both.
    let ratios = shown(&record, Format::ModelExplorer, &[Metric::Ratio], None).expect("figures");
    let expected = json!(((85.0f64 / 84.4) * 1e4).round() / 1e4);
    assert_eq!(ratios["results"]["/model.2/conv/Conv"]["value"], expected);
    assert_eq!(ratios["results"]["/model.2/act/Mul"]["value"], expected);
    assert_eq!(ratios["results"]["/model.0/act/Mul"]["bgColor"], "#f46d43", "ten times as slow");
}

#[test]
fn an_original_in_a_further_engine_is_compared_with_that_of_the_first() {
    let mut record = record();
    let mut other = record.variants[0].clone();
    (other.name, other.engine) = ("original, ort".into(), "ort".into());
    other.across = delta(0.5, 0.4, 0.6, Verdict::Faster);
    other.ops.iter_mut().for_each(|op| op.mean_ns /= 2);
    record.variants.push(other);
    let ratios =
        shown(&record, Format::ModelExplorer, &[Metric::Ratio], Some("original, ort")).expect("figures");
    assert_eq!(ratios["results"]["/model.0/conv/Conv"]["value"], 0.5);
}

#[test]
fn an_attachment_is_as_netron_reads_it() {
    let netron = shown(&record(), Format::Netron, &[], None).expect("figures");
    assert_eq!(netron["signature"], "netron:attachment");
    let metrics = netron["metrics"].as_array().unwrap();
    let named = |name: &str| metrics.iter().filter(|m| m["name"] == name && m["kind"] == "node").count();
    assert_eq!(["latency, ms", "share, %", "memory, MB"].map(named), [7; 3]);
    assert_eq!(named("ratio"), 6, "the last op is in one of the two");
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&netron["metrics"].as_array().unwrap()[..9]).unwrap()
    );
}

#[test]
fn what_can_not_be_shown_is_refused_with_the_reason() {
    let refused = |record: &Record, format, metrics: &[Metric], variant| {
        let told = shown(record, format, metrics, variant).expect_err("refused");
        assert_eq!(told.lines().count(), 1, "{told}");
        told
    };
    let mut emulated = record();
    emulated.environment.emulated = true;
    assert!(refused(&emulated, Format::Trace, &[], None).contains("emulator"));
    assert!(refused(&emulated, Format::Netron, &[Metric::Latency], None).contains("emulator"));
    let memory = shown(&emulated, Format::Netron, &[], None).expect("memory is no time");
    assert!(!memory.to_string().contains("latency, ms") && memory.to_string().contains("memory, MB"));
    let followed = shown(&emulated, Format::Bencher, &[], None).expect("memory is no time").to_string();
    assert!(followed.contains("peak-memory") && !followed.contains("latency") && !followed.contains("ratio"));

    let told = refused(&record(), Format::Netron, &[], Some("mish"));
    assert!(told.contains("--variant mish") && told.contains("mish, exported"), "{told}");
    let told = refused(&record(), Format::Netron, &[Metric::Ratio], Some("original"));
    assert!(told.contains("compared with"), "{told}");
    let told = refused(&record(), Format::ModelExplorer, &[Metric::Latency, Metric::Share], None);
    assert!(told.contains("one --metric"), "{told}");
    let mut only = record();
    only.variants.retain(|v| v.role == Role::Original);
    assert!(refused(&only, Format::Netron, &[Metric::Ratio], None).contains("second variant"));
    only.variants[0].profiled = None;
    assert!(refused(&only, Format::Trace, &[], None).contains("no variant has profiled runs"));
    only.variants.clear();
    for format in ALL {
        refused(&only, format, &[], None);
    }
    for format in [Format::Trace, Format::Netron, Format::ModelExplorer] {
        for document in [Document::Comparison, Document::Bench, Document::List] {
            assert!(format.check(document).unwrap_err().message.contains("oplat report RECORD"));
        }
    }
}

#[test]
fn figures_that_are_followed_have_their_intervals() {
    let mut record: Record = fixture("1-minidet-silu");
    let bencher = shown(&record, Format::Bencher, &[], None).expect("figures");
    let original = &bencher["oplat/minidet_silu/original"]["latency"];
    let [low, value, high] =
        ["lower_value", "value", "upper_value"].map(|key| original[key].as_f64().unwrap_or(f64::NAN));
    assert!(low <= value && value <= high, "{bencher:#}");
    let p50 = record.variants[0].latency.unwrap().p50_ns as f64;
    assert!((value / p50 - 1.0).abs() < 0.2, "{value} ns, p50 {p50}");
    let github = shown(&record, Format::GithubBenchmark, &[], None).expect("figures");
    let first = &github[0];
    assert_eq!(
        (&first["name"], &first["unit"]),
        (&json!("oplat/minidet_silu/original: latency"), &json!("ms"))
    );
    assert!(first["range"].as_str().unwrap().contains(" to "), "{first}");
    record.settings.cold = true;
    let cold = shown(&record, Format::Bencher, &[], None).expect("figures");
    assert!(cold["oplat/minidet_silu/original"]["cold-latency"].is_object(), "not the same as a warm one");
    // Two records of one name are two benchmarks.
    let named = NamedRecord { name: "a.json", record: &record };
    let text = records(&[named, named], Format::Bencher, &Breakdowns::default()).unwrap();
    assert!(
        text.contains("\"oplat/a.json/minidet_silu/original\"") && text.contains("original #2\""),
        "{text}"
    );
}

#[test]
fn comparisons_and_benches_are_followed_too() {
    let record: Record = fixture("1-minidet-silu");
    let side = [NamedRecord { name: "a.json", record: &record }];
    let compared = compare::compare(&side, &[&side], compare::Options::default()).unwrap();
    let bencher: Value =
        serde_json::from_str(&super::comparison(&compared, Format::Bencher, 15).unwrap()).unwrap();
    assert_eq!(bencher["oplat/minidet_silu/original"]["ratio"]["value"], 1.0);
    let bench: Bench = fixture("bench/1-mish-silu");
    let github: Value =
        serde_json::from_str(&super::bench(&bench, Format::GithubBenchmark).unwrap()).unwrap();
    let row = &bench.rows[0];
    assert_eq!(
        github[0]["name"],
        format!("oplat/bench/{}, {}/{}: latency", row.activation, row.lowering, row.elements)
    );
}

#[test]
fn hostile_names_are_values_and_nothing_else() {
    let long = "n".repeat(10_000);
    for evil in ["</script><script>alert(1)</script>", "\"|`'\\", "a\nb\r\t", "\u{202e}\u{1b}[2J\u{0}", &long]
    {
        let mut record = record();
        record.model.name = evil.into();
        record.environment.frequency_khz = [(evil.to_owned(), crate::record::BeforeAfter::first(1))].into();
        for variant in &mut record.variants {
            variant.name += evil;
            variant.sites.iter_mut().for_each(|site| (site.node += evil, site.to += evil).0);
            for op in &mut variant.ops {
                (op.op, op.node) = (format!("{}{evil}", op.op), format!("{}{evil}", op.node));
                op.site.iter_mut().chain(&mut op.onnx).chain(&mut op.folded).for_each(|name| *name += evil);
            }
        }
        for format in ALL {
            let shown = shown(&record, format, &[], None).expect("a document");
            let mut names = 0;
            count(&shown, evil, &mut names);
            assert!(names > 0, "{format:?} has lost {evil:?}");
        }
        let sum: f64 = shown(&record, Format::ModelExplorer, &[], None).unwrap()["results"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(node, figure)| if node.ends_with(evil) { figure["value"].as_f64().unwrap() } else { 0.0 })
            .sum();
        assert!(
            (sum * MS as f64 - record.variants[0].ops.iter().map(|op| op.mean_ns).sum::<u64>() as f64).abs()
                < 1.0
        );
    }
}

/// How often a text stands in keys and values. Netron takes the first line of a node's name.
fn count(value: &Value, text: &str, found: &mut usize) {
    match value {
        Value::String(string) => *found += usize::from(string.contains(text)),
        Value::Array(all) => all.iter().for_each(|value| count(value, text, found)),
        Value::Object(all) => all.iter().for_each(|(key, value)| {
            *found += usize::from(key.contains(text));
            count(value, text, found);
        }),
        _ => {}
    }
}
