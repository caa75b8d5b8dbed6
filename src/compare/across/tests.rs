//! Devices made up here: which are one, what they show together, and who contradicts.

use super::*;
use crate::record::Record;
use crate::report::fixture::{lab, named, on_device};

fn over(records: &[(String, Record)]) -> Across {
    across(&named(records)).expect("several devices")
}

fn mish(across: &Across) -> &Variant {
    across.variants.iter().find(|v| v.rule == "mish").expect("mish")
}

fn devices(ratios: &[f64], cpu: impl Fn(usize) -> String) -> Vec<(String, Record)> {
    let device = |(at, &ratio): (usize, &f64)| {
        let host = format!("board-{at}");
        (format!("{host}.json"), on_device(&host, &cpu(at), ratio))
    };
    ratios.iter().enumerate().map(device).collect()
}

#[test]
fn three_boards_of_one_kind_and_a_phone_are_two_witnesses() {
    let mut records =
        devices(&[1.20, 1.14, 1.15, 1.17], |at| if at == 0 { "Tensor" } else { "BCM2712" }.into());
    records[0].1.environment.android = Some(crate::record::Android {
        device: "Google Pixel 8".into(),
        soc: Some("Tensor G3".into()),
        ..Default::default()
    });
    let found = over(&records);
    let told: Vec<_> = found.devices.iter().map(|d| (d.name.as_str(), d.soc.as_deref(), d.group)).collect();
    assert_eq!(
        told[0],
        ("board-1", Some("BCM2712"), 0),
        "those of one SoC stand together, the largest first"
    );
    assert_eq!(told[3], ("Google Pixel 8", Some("Tensor G3"), 1));
    let mish = mish(&found);
    let over = mish.over.expect("four devices");
    assert_eq!((over.devices, over.unit, over.units, over.another), (4, Unit::Soc, 2, None));
    let boards = &mish.by_soc[0];
    assert_eq!((boards.soc.as_str(), boards.over.devices, boards.over.unit), ("BCM2712", 3, Unit::Device));
    assert!((boards.over.ratio - 1.153).abs() < 0.01 && boards.over.another.is_some(), "{boards:?}");
    assert_eq!(mish.by_soc.len(), 1, "one phone says nothing of its like");
    let original = found.variants.iter().find(|v| v.role == Role::Original).expect("an original");
    assert!(original.over.is_none() && original.on.iter().flatten().all(|on| on.p50_ns.is_some()));
}

#[test]
fn over_seven_kinds_the_interval_for_another_is_wider_than_that_of_the_mean() {
    let records = devices(&[1.05, 1.18, 1.10, 1.15, 1.12, 1.09, 1.13], |at| format!("cpu {at}"));
    let over = mish(&super::across(&named(&records)).expect("seven")).over.expect("seven");
    assert_eq!((over.devices, over.units, over.within), (7, 7, None));
    let ([low, high], [least, most]) = (over.interval.expect("seven"), over.another.expect("seven"));
    assert!(least < low && low < over.ratio && over.ratio < high && high < most, "{over:?}");
    assert!((over.ratio - 1.116).abs() < 0.01 && (0.02..0.06).contains(&over.between), "{over:?}");
    assert!((0.0005..0.004).contains(&over.again), "{over:?}");
}

#[test]
fn who_contradicts_the_rest_is_named_and_nobody_else() {
    let mut ratios = [1.10, 1.12, 1.11, 1.13, 1.10, 1.12, 1.11, 1.12, 1.13, 1.60];
    let named = |ratios: &[f64]| {
        let found = over(&devices(ratios, |_| "one".into()));
        let found = found.variants.iter().flat_map(|v| v.contradictions.clone());
        found.map(|c| (c.who, c.unit, c.why)).collect::<Vec<_>>()
    };
    assert_eq!(named(&ratios), [("board-9".to_owned(), Unit::Device, Why::Outside)]);
    ratios[9] = 0.93;
    assert_eq!(named(&ratios), [("board-9".to_owned(), Unit::Device, Why::Opposite)]);
    assert_eq!(named(&ratios[..9]), []);
    // All of a SoC.
    let ratios: Vec<f64> =
        (0..16).map(|at| if at < 2 { 1.9 } else { 1.10 + 0.004 * (at % 7) as f64 }).collect();
    let found = over(&devices(&ratios, |at| format!("cpu {}", at / 2)));
    let told: Vec<_> = mish(&found).contradictions.iter().map(|c| (c.who.as_str(), c.unit, c.why)).collect();
    assert_eq!(told, [("cpu 0", Unit::Soc, Why::Outside)]);
    assert_eq!(over(&lab(30, 10)).variants.iter().map(|v| v.contradictions.len()).sum::<usize>(), 0);
}

#[test]
fn records_of_one_device_are_one_and_an_older_setup_gives_way() {
    let mut records = devices(&[1.1, 1.2], |_| "one".into());
    let mut again = on_device("board-0", "one", 1.1);
    again.started_at = "2026-03-01T00:00:00Z".into();
    let mut older = again.clone();
    older.started_at = "2025-01-01T00:00:00Z".into();
    older.engine.version = "0.22.0".into();
    records.extend([("again.json".to_owned(), again), ("older.json".to_owned(), older)]);
    let found = over(&records);
    assert_eq!(found.devices.len(), 2);
    assert_eq!(found.devices[0].records, ["board-0.json", "again.json", "older.json"]);
    assert!(found.notes.iter().any(|note| note.starts_with("board-0: 2 records")), "{:?}", found.notes);
    assert_eq!(found.left_out.len(), 1);
    assert!(
        found.left_out[0].what.contains("older.json") && found.left_out[0].why.contains("another engine")
    );
    assert!(found.differences.is_empty(), "{:?}", found.differences);
    assert!(across(&named(&records[2..])).is_none(), "one device has nothing to be compared with");
    assert_eq!(why_not(&named(&records[2..])), None, "nobody waits for a table over one device");
}

#[test]
fn where_fewer_than_two_devices_can_be_compared_it_is_said_why() {
    let mut records = devices(&[1.1, 1.2, 1.3], |_| "one".into());
    assert_eq!(why_not(&named(&records)), None);
    for (_, record) in &mut records[1..] {
        record.environment.emulated = true;
    }
    assert!(across(&named(&records)).is_none());
    let why = why_not(&named(&records)).expect("a reason");
    assert!(why.starts_with("only one of 3 devices can be compared; left out: "), "{why}");
    assert!(why.contains("board-1.json (emulated") && !why.contains("board-0"), "{why}");
    let text = crate::report::records(&named(&records), crate::report::Format::Table, &Default::default());
    assert!(text.expect("a report").starts_with("No table over devices: only one of 3"));
}

#[test]
fn runs_on_other_inputs_or_with_other_knobs_are_not_put_together() {
    let changes: [fn(&mut Record); 2] = [
        |record| record.model.inputs[0].shape = vec![1, 3, 64, 64],
        |record| {
            record.variants.iter_mut().for_each(|v| v.knobs = [("a.b".to_owned(), "1".to_owned())].into())
        },
    ];
    for change in changes {
        let mut records = devices(&[1.1, 1.2], |_| "one".into());
        let mut older = on_device("board-0", "one", 1.9);
        older.started_at = "2025-01-01T00:00:00Z".into();
        change(&mut older);
        records.push(("older.json".into(), older));
        let found = over(&records);
        assert_eq!(found.notes, [""; 0]);
        assert!(found.left_out[0].what.contains("older.json"), "{:?}", found.left_out);
    }
}

#[test]
fn a_record_without_the_machines_number_is_of_the_machine_that_is_alike_in_all_else() {
    let mut records = devices(&[1.1, 1.2], |_| "one".into());
    records.push(("again.json".into(), on_device("board-0", "one", 1.1)));
    records.iter_mut().take(2).for_each(|(name, record)| record.environment.id = Some(name.clone()));
    for _ in 0..2 {
        let found = over(&records);
        assert_eq!(found.devices.len(), 2, "{:?}", found.devices);
        assert!(found.devices.iter().any(|d| d.name == "board-0" && d.records.len() == 2));
        let mut names = device_names(&named(&records));
        names.sort();
        assert_eq!(names, ["board-0", "board-0", "board-1"]);
        records.reverse();
    }
}

#[test]
fn what_is_not_counted_is_said() {
    let mut records = devices(&[1.1, 1.2, 1.15, 1.12, 1.11], |at| format!("cpu {at}"));
    records[0].1.environment.emulated = true;
    records[1].1.variants[1].forks.truncate(1);
    crate::figures::make(&mut records[1].1);
    let failed = &mut records[2].1.variants[1];
    (failed.forks, failed.error) = (vec![], Some("out of memory".into()));
    crate::figures::make(&mut records[2].1);
    records[3].1.settings.threads = 4;
    let found = over(&records);
    let left: Vec<_> =
        found.left_out.iter().map(|l| (l.what.as_str(), l.variant.is_some(), l.why.as_str())).collect();
    assert_eq!(left[0].0, "board-0.json");
    assert!(left[0].2.starts_with("emulated"));
    assert_eq!(left[1], ("board-1", true, "a single fork gives no interval"));
    assert_eq!(left[2], ("board-2", true, "failed: out of memory"));
    assert_eq!(left.len(), 3);
    assert_eq!(mish(&found).over.expect("two").devices, 2);
    let threads = Unlike { what: "threads", values: vec![("1".into(), 3), ("4".into(), 1)] };
    assert_eq!(found.differences, [threads]);
}

#[test]
fn a_device_that_was_measured_roughly_is_left_out() {
    let mut records = devices(&[1.1, 1.1, 1.11, 1.12], |_| "one".into());
    for (at, fork) in records[3].1.variants[1].forks.iter_mut().enumerate() {
        fork.rounds[0][0] = fork.rounds[0][0] / 10 * if at % 2 == 0 { 6 } else { 15 };
    }
    crate::figures::make(&mut records[3].1);
    let found = over(&records);
    assert_eq!(mish(&found).over.expect("three").devices, 3);
    assert!(found.left_out[0].why.starts_with("measured too roughly"), "{:?}", found.left_out);
}

#[test]
fn models_and_variants_that_only_some_have_are_not_mixed() {
    let mut records = devices(&[1.1, 1.2, 1.15], |_| "one".into());
    records[2].1.variants.remove(1);
    let mut other = on_device("board-2", "one", 2.0);
    other.model.name = "resnet".into();
    records.push(("other.json".into(), other));
    let found = over(&records);
    assert_eq!(found.devices.len(), 3);
    let told: Vec<_> = found
        .variants
        .iter()
        .map(|v| (v.label.as_str(), v.on.iter().flatten().count(), v.over.map_or(0, |over| over.devices)))
        .collect();
    assert_eq!(
        told,
        [
            ("yolov5s: original (silu)", 3, 0),
            ("yolov5s: mish, exported", 2, 2),
            ("yolov5s: control", 3, 3),
            ("resnet: original (silu)", 1, 0),
            ("resnet: mish, exported", 1, 0),
            ("resnet: control", 1, 0),
        ]
    );
}

#[test]
fn devices_are_called_by_what_tells_them_apart() {
    let mut records = devices(&[1.1, 1.2, 1.15], |_| "one".into());
    for (at, (_, record)) in records.iter_mut().enumerate() {
        record.environment.host = "raspberrypi".into();
        record.environment.target = format!("ssh:pi@10.0.0.{at}");
    }
    let found = over(&records);
    for (at, (_, record)) in records.iter_mut().enumerate() {
        record.environment.target = "local".into();
        record.environment.id = Some(format!("{at:016x}"));
        record.environment.cpu = Some(format!("Raspberry Pi 5 Model B Rev 1.{at}"));
    }
    let same = over(&records);
    assert_eq!((same.devices.len(), same.socs, same.notes.len()), (3, 1, 0), "{:?}", same.notes);
    assert_eq!(same.devices[2].name, "board-2.json");
    for (at, (_, record)) in records.iter_mut().enumerate() {
        record.environment.target = format!("ssh:pi@10.0.0.{at}");
        record.environment.id = None;
    }
    assert_eq!(found.devices[2].name, "ssh:pi@10.0.0.2");
    assert!(
        found.notes[0].starts_with("3 targets have a machine's name and CPU in common"),
        "{:?}",
        found.notes
    );
    assert_eq!(device_names(&named(&records))[1], "ssh:pi@10.0.0.1");
}
