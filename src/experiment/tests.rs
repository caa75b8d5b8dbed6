//! Experiments on scripted workers: what is kept, what is told, and what an interrupted one comes to.

use std::fs;
use std::path::Path;

use super::*;
use crate::error::{Error, Exit, Result};
use crate::measure::{Measurement, scripted};
use crate::record::Record;
use crate::report::Format;

const CONFIG: &str = "about: a test\nthreads: [1, 2]\nmodels:\n- model: a\n- model: b\n";
const NAMES: [&str; 4] = ["a-threads1", "a-threads2", "b-threads1", "b-threads2"];

type Before = Box<dyn Fn(&str) -> Result<()>>;

/// An executor that remembers what it was asked for and what it was told.
struct Fake {
    /// What happens to a measurement before its record is there.
    before: Before,
    interrupt_in: Option<&'static str>,
    seconds: u64,
    measured: Vec<String>,
    interrupted: bool,
    printed: String,
    notes: Vec<String>,
}

impl Fake {
    fn new() -> Self {
        Self {
            before: Box::new(|_| Ok(())),
            interrupt_in: None,
            seconds: 40,
            measured: vec![],
            interrupted: false,
            printed: String::new(),
            notes: vec![],
        }
    }

    fn run(&mut self, folder: &Path, resume: bool) -> Result<()> {
        let cases = Config::parse(CONFIG, "test.yaml")?.cases()?;
        let folder = Folder::open(folder, &cases, resume)?;
        let begun = begin(&cases, &folder, resume, self)?;
        finish(&cases, &folder, begun, self)
    }
}

impl Executor for Fake {
    fn prepare(&mut self, case: &Case) -> Result<Measurement> {
        let mut measurement = scripted::measurement();
        measurement.subjects[0].model.name = case.name.clone();
        measurement.load.threads = case.threads;
        measurement.time = std::time::Duration::from_secs(self.seconds);
        Ok(measurement)
    }

    fn measure(&mut self, measurement: &Measurement, _: Position) -> Result<Record> {
        let name = measurement.name();
        self.measured.push(name.clone());
        (self.before)(&name)?;
        self.interrupted = self.interrupt_in == Some(name.as_str());
        scripted::measured(measurement, self.interrupted)
    }

    fn interrupted(&self) -> bool {
        self.interrupted
    }

    fn print(&mut self, text: &dyn Fn(Format) -> Result<String>) -> Result<()> {
        self.printed += &text(Format::Table)?;
        Ok(())
    }

    fn note(&mut self, line: &str) {
        self.notes.push(line.into());
    }
}

fn record(folder: &Path, name: &str) -> Record {
    let bytes = fs::read(folder.join(format!("{name}.json"))).expect("kept");
    serde_json::from_slice(&bytes).expect("a record")
}

fn files(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> =
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

/// All of a record that doesn't differ from one measurement to the next.
fn shape(record: &Record) -> impl PartialEq + std::fmt::Debug + use<> {
    let variants = record.variants.iter().map(|v| {
        let delta = v.delta.as_ref().map(|d| (d.against.clone(), d.interval.is_some()));
        let ops: Vec<String> = v.ops.iter().map(|op| op.node.clone()).collect();
        (v.name.clone(), v.forks.len(), delta, v.activation_cost.is_some(), ops, v.error.clone())
    });
    let settings = &record.settings;
    let settings = (settings.forks, settings.forks_wanted, settings.threads, settings.interrupted);
    (record.model.name.clone(), settings, variants.collect::<Vec<_>>())
}

#[test]
fn every_measurement_is_kept_and_told_and_the_table_has_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut executor = Fake::new();
    executor.run(&folder.path().join("made/for it"), false).expect("measured");
    assert_eq!(executor.measured, NAMES);
    assert_eq!(files(&folder.path().join("made/for it")), NAMES.map(|name| format!("{name}.json")));
    let table = executor.printed.rsplit("\n\n").next().unwrap();
    assert_eq!(table.lines().count(), 1 + 4 * 3, "{table}");
    for part in NAMES.iter().chain(&["original", "mish", "control", "measurement", "against original"]) {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(executor.printed.contains("\na-threads2\nmish"), "a verdict each: {}", executor.printed);
    assert!(
        executor.notes[0].starts_with("measurement 1 of 4: a-threads1, 3 variants, 40 s; about 2 min more")
    );
    assert!(executor.notes[3].ends_with("b-threads2, 3 variants, 40 s"), "{:?}", executor.notes);
}

#[test]
fn an_interrupted_and_resumed_experiment_equals_an_uninterrupted_one() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut uninterrupted = Fake::new();
    uninterrupted.run(whole.path(), false).expect("measured");

    let mut executor = Fake { interrupt_in: Some("a-threads2"), ..Fake::new() };
    let error = executor.run(parts.path(), false).expect_err("interrupted");
    assert_eq!(error.exit, Exit::Lost);
    assert!(
        error.message.contains("after 1 of 4 measurements") && error.message.contains("--resume"),
        "{error}"
    );
    assert_eq!(files(parts.path()), ["a-threads1.json", "a-threads2.json"]);
    assert!(record(parts.path(), "a-threads2").settings.interrupted, "what there was of it is kept");

    let mut executor = Fake::new();
    executor.run(parts.path(), true).expect("the rest is measured");
    assert_eq!(executor.measured, NAMES[1..]);
    assert_eq!(
        executor.notes[..2],
        ["a-threads1: measured already", "a-threads2: measured again, since it was interrupted"]
    );
    assert_eq!(files(parts.path()), files(whole.path()));
    for name in NAMES {
        assert_eq!(shape(&record(parts.path(), name)), shape(&record(whole.path(), name)));
    }
    let rows = |executor: &Fake| executor.printed.rsplit("\n\n").next().map(|table| table.lines().count());
    assert_eq!(rows(&executor), rows(&uninterrupted));
}

#[test]
fn a_record_of_another_plan_is_measured_again_and_said_why() {
    let folder = tempfile::tempdir().unwrap();
    Fake::new().run(folder.path(), false).expect("measured");
    let mut again = Fake::new();
    again.run(folder.path(), true).expect("nothing is left");
    assert!(again.measured.is_empty());
    assert!(again.printed.contains("b-threads2"), "the table is of all: {}", again.printed);

    fs::write(folder.path().join("b-threads1.json"), "{\"schema\": \"oplat.record/1\", \"opl").unwrap();
    let mut executor = Fake { seconds: 20, ..Fake::new() };
    executor.run(folder.path(), true).expect("measured");
    assert_eq!(executor.measured, NAMES);
    assert_eq!(executor.notes[0], "a-threads1: measured again, since the time was 40 s and is 20 s now");
    assert!(executor.notes[2].contains("b-threads1: measured again, since its record can't be read"));
}

#[test]
fn other_sites_and_other_types_of_input_are_another_plan() {
    let record = scripted::measured(&scripted::measurement(), false).expect("measured");
    let otherwise = |change: fn(&mut Measurement, &mut Record)| {
        let (mut planned, mut record) = (scripted::measurement(), record.clone());
        change(&mut planned, &mut record);
        planned_otherwise(&record, &planned)
    };
    assert_eq!(otherwise(|_, _| ()), None);
    let sites = otherwise(|_, record| record.variants[1].sites[0].node = "/other".into());
    assert_eq!(sites.as_deref(), Some("the sites of mish were others"));
    let types = otherwise(|planned, record| {
        let fed =
            |dtype: &str| crate::record::Input { name: "x".into(), shape: vec![1, 3], dtype: dtype.into() };
        record.model.inputs = vec![fed("f32")];
        let (name, shape) = ("x".into(), vec![1, 3]);
        planned.subjects[0].inputs = vec![crate::protocol::Input { name, shape, dtype: Some("f16".into()) }];
    });
    assert_eq!(types.as_deref(), Some("input x was 1x3 f32 and is 1x3 f16 now"));
    let margin = otherwise(|planned, _| planned.margin = crate::record::Margin(0.05));
    assert_eq!(margin.as_deref(), Some("the margin was 0.02 and is 0.05 now"));
}

#[test]
fn a_record_in_groups_is_not_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    Fake::new().run(folder.path(), false).expect("measured");
    let mut grouped = record(folder.path(), NAMES[0]);
    grouped.settings.groups = Some(2);
    let mut original = grouped.variants[0].clone();
    original.name += ", group 2";
    grouped.variants.push(original);
    let file = folder.path().join(format!("{}.json", NAMES[0]));
    fs::write(&file, serde_json::to_string(&grouped).unwrap()).unwrap();
    let mut again = Fake::new();
    again.run(folder.path(), true).expect("nothing is left");
    assert!(again.measured.is_empty());

    grouped.variants.remove(1);
    fs::write(&file, serde_json::to_string(&grouped).unwrap()).unwrap();
    again.run(folder.path(), true).expect("measured");
    assert_eq!(again.measured, [NAMES[0]]);
}

#[test]
fn an_interrupt_ends_the_planning() {
    let folder = tempfile::tempdir().unwrap();
    let mut executor = Fake { interrupted: true, ..Fake::new() };
    let error = executor.run(folder.path(), false).expect_err("interrupted");
    assert!(error.exit == Exit::Lost && error.message.contains("before anything was measured"), "{error}");
    assert!(executor.measured.is_empty());
}

#[test]
fn what_was_measured_is_not_thrown_away_unasked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("b-threads2.json"), "precious").unwrap();
    let mut executor = Fake::new();
    let error = executor.run(folder.path(), false).expect_err("refused");
    assert!(error.exit == Exit::Input && error.message.contains("--resume"), "{error}");
    assert!(executor.measured.is_empty(), "before any time was spent");
    assert_eq!(fs::read_to_string(folder.path().join("b-threads2.json")).unwrap(), "precious");

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(executor.run(&file, false).expect_err("no folder").exit, Exit::Input);
    assert!(executor.measured.is_empty());
}

#[test]
fn a_record_that_cannot_be_written_is_printed_and_the_rest_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("records");
    let (there, gone) = (folder.clone(), home.path().join("gone"));
    let before: Before = Box::new(move |name| {
        match name {
            "a-threads2" => fs::rename(&there, &gone).expect("moved away"),
            "b-threads1" => fs::rename(&gone, &there).expect("moved back"),
            _ => {}
        }
        Ok(())
    });
    let mut executor = Fake { before, ..Fake::new() };
    let error = executor.run(&folder, false).expect_err("one isn't kept");
    assert_eq!(error.exit_code(), 2);
    assert!(error.message.contains("a-threads2.json"), "{error}");
    assert_eq!(files(&folder), ["a-threads1.json", "b-threads1.json", "b-threads2.json"]);
    assert!(
        executor.printed.contains("mean ms by type") || executor.printed.contains("/conv"),
        "{}",
        executor.printed
    );
    assert!(
        executor.notes.iter().any(|note| note.contains("a-threads2 is printed instead")),
        "{:?}",
        executor.notes
    );
}

#[test]
fn a_measurement_that_fails_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let before: Before = Box::new(|name| match name {
        "a-threads1" => Err(Error::input("no such operator")),
        "b-threads1" => Err(Error::lost("the worker is gone")),
        _ => Ok(()),
    });
    let mut executor = Fake { before, ..Fake::new() };
    let error = executor.run(folder.path(), false).expect_err("two failed");
    assert_eq!(error, Error::lost("b-threads1: the worker is gone"), "the worse one");
    assert_eq!(files(folder.path()), ["a-threads2.json", "b-threads2.json"]);
    assert!(executor.notes.contains(&"a-threads1: no such operator".to_owned()), "{:?}", executor.notes);
}
