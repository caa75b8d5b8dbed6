//! Devices side by side, in every format; what a screen shows is kept beside this file.

use super::fixture::{lab, named, on_device};
use super::screen::LINES;
use super::text::{PAGE, width};
use super::{Breakdowns, Format, across, records};
use crate::compare::across::across as over_devices;
use crate::record::Record;

fn screen(all: &[(String, Record)]) -> String {
    let over = over_devices(&named(all)).expect("several devices");
    let text = across(&over, Format::Table, false).expect("text");
    assert!(text.lines().all(|line| width(line) <= PAGE), "{text}");
    assert!(text.lines().count() <= LINES, "{text}");
    text
}

#[test]
fn each_device_is_measured_against_its_own_original() {
    let mut all = lab(3, 3);
    if let Some(original) = all[1].1.variants.first_mut().and_then(|v| v.latency.as_mut()) {
        original.p50_ns *= 10;
    }
    insta::assert_snapshot!("three_devices", screen(&all));
    assert!(over_devices(&named(&all[..1])).is_none(), "one device needs no such table");
}

#[test]
fn two_devices_are_said_to_be_few() {
    let text = screen(&lab(2, 2));
    assert!(text.contains("two devices are few"), "{text}");
    assert!(screen(&lab(2, 1)).contains("two devices are few"));
    let text = screen(&lab(6, 2)).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("two SoCs are few"), "{text}");
}

#[test]
fn devices_of_one_soc_stand_together_under_its_name() {
    insta::assert_snapshot!("nine_devices_of_three_socs", screen(&lab(9, 3)));
}

#[test]
fn a_hundred_devices_fit_a_screen_and_all_are_there_if_they_are_asked_for() {
    let mut all = lab(100, 7);
    all[50].1 = on_device("board-50", "Cortex-A71", 2.5);
    all[51].1.variants[1].error = Some("lost".into());
    insta::assert_snapshot!("a_hundred_devices", screen(&all));
    for cpus in [1, 100] {
        screen(&lab(100, cpus));
    }
    let over = over_devices(&named(&all)).expect("a hundred devices");
    let text = across(&over, Format::Table, true).expect("text");
    assert!(text.lines().all(|line| width(line) <= PAGE), "{text}");
    for at in 0..100 {
        assert!(text.contains(&format!("board-{at} ")), "board-{at}: {text}");
    }
}

#[test]
fn of_many_records_people_see_the_devices_first_and_the_rest_if_they_ask() {
    let all = lab(8, 4);
    let named = named(&all);
    for format in [Format::Table, Format::Markdown, Format::Html] {
        let text =
            |detail| records(&named, format, &Breakdowns { detail, ..Breakdowns::default() }).expect("text");
        let (short, long) = (text(false), text(true));
        assert!(short.contains("times as long") && long.contains("times as long"), "{format:?}");
        assert!(!short.contains("OptMatMul") && long.contains("OptMatMul"), "{format:?}");
    }
    let few = records(&named[..3], Format::Table, &Breakdowns::default()).expect("text");
    assert!(few.contains("times as long") && few.contains("OptMatMul"));
    let html = records(&named, Format::Html, &Breakdowns::default()).expect("HTML");
    assert!(html.contains("a device that was not measured") && html.contains("<svg"), "a forest by device");
}

#[test]
fn json_and_csv_have_all_that_was_found() {
    let all = lab(8, 4);
    let over = over_devices(&named(&all)).expect("eight devices");
    let json: serde_json::Value =
        serde_json::from_str(&across(&over, Format::Json, false).expect("JSON")).expect("JSON");
    assert_eq!(json["schema"], "oplat.across/1");
    assert_eq!(json["variants"][1]["over"]["units"], 4);
    assert_eq!(json["variants"][1]["on"].as_array().map(Vec::len), Some(8));
    let csv = across(&over, Format::Csv, false).expect("CSV");
    let cells = |line: &str| line.split(',').count();
    let columns = cells(csv.lines().next().expect("a header"));
    // Names of variants have a comma.
    let lines: Vec<&str> = csv.lines().skip(1).filter(|line| line.contains("control")).collect();
    assert!(lines.iter().all(|line| cells(line) == columns), "{csv}");
    assert_eq!(lines.len(), 1 + 4 + 8);
}
