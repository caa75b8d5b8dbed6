//! The record of what an app measured: its profiles take the place of workers' answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::raw::{Raw, RawFork, RawVariant};
use super::{Measurement, Planned, Rest, Subject, Until, assemble};
use crate::engine::{Imported, Process};
use crate::figures;
use crate::protocol::{Abilities, Load, Loaded};
use crate::record::{Environment, Fork, Margin, ProfiledRound, Record};
use crate::units;

/// What the target of an imported record is called.
const TARGET: &str = "app";

/// The share of the ops' time above which it is a warning that no node is known for it.
const UNTIED: f64 = 0.03;

/// What profiles are imported as.
#[derive(Clone, Debug)]
pub struct Import {
    /// The command line, for the record.
    pub command: Vec<String>,
    /// The profiles' names.
    pub files: Vec<String>,
    /// The model that the app ran.
    pub subject: Subject,
    pub planned: Planned,
    pub confidence: f64,
}

/// The record, and how many of the ops are tied to nodes, in a line.
pub fn import(import: Import, imported: Imported) -> (Record, String) {
    let Import { command, files, subject, planned, confidence } = import;
    let forks = imported.processes.len();
    let measurement = Measurement {
        command,
        subjects: vec![subject],
        variants: Arc::new(vec![planned]),
        load: Load { threads: imported.threads.unwrap_or(0), ..Load::default() },
        targets: vec![TARGET.to_owned()],
        cpus: None,
        forks,
        time: Duration::ZERO,
        until: Until::End,
        confidence,
        margin: Margin::default(),
        limit: None,
        cold: false,
        only: super::Only::Everything,
        rest: Rest::default(),
    };
    let environment = Environment { target: TARGET.to_owned(), ..Environment::default() };
    let begins = imported.processes.iter().all(|p| p.load_ns.or(p.optimise_ns).is_some());
    let (engine, notes) = (imported.engine.clone(), imported.notes.clone());
    let raw = raw(imported);
    let mut record = assemble::record(&measurement, raw, engine, environment, SystemTime::now());
    record.settings.elapsed_ns = None;
    figures::make(&mut record);
    let tied = tied(&record);
    let mut warnings = vec![whence(&record, &files)];
    warnings.extend((!begins).then(|| "no loading is in the profile: cold figures are unknown".to_owned()));
    warnings.extend(notes);
    warnings.extend((tied.untied > UNTIED).then(|| {
        format!(
            "{} of the ops' time can't be tied to nodes of the model: is it the one that the app ran? --optimised \
             with the model that the app's session wrote tells more",
            units::share(tied.untied)
        )
    }));
    record.environment.warnings.extend(warnings);
    record.imported = files;
    (record, tied.told)
}

/// What the profiles are, and what they can't tell.
fn whence(record: &Record, files: &[String]) -> String {
    let version = match record.engine.version.as_str() {
        "" => format!("{}'s version, ", record.engine.name),
        _ => String::new(),
    };
    let threads = if record.settings.threads == 0 { "threads, " } else { "" };
    format!(
        "imported from {}: profiled runs of an app; no unprofiled ones. Latency, {version}{threads}memory and the machine are \
         unknown, and there is nothing to pair",
        files.join(" and ")
    )
}

/// Answers as a worker in the app would have given them.
fn raw(imported: Imported) -> Raw {
    let Imported { engine, described, inputs, processes, .. } = imported;
    let first = processes.first();
    let loaded = Loaded {
        load_ns: first.and_then(|p| p.load_ns).unwrap_or(0),
        optimise_ns: first.and_then(|p| p.optimise_ns).unwrap_or(0),
        inputs,
        ops: described.ops,
        shapes: described.shapes,
        macs: None,
        rss_bytes: None,
        engine,
        abilities: Abilities::default(),
    };
    let fork = |(number, process): (usize, Process)| {
        let Process { load_ns, optimise_ns, first_run_ns, profile } = process;
        let round = ProfiledRound { round: 0, runs_ns: profile.runs_ns, around_ns: profile.around_ns };
        let fork = Fork {
            number: Some(number),
            load_ns: load_ns.unwrap_or(0),
            optimise_ns: optimise_ns.unwrap_or(0),
            first_run_ns: first_run_ns.unwrap_or(0),
            profiled_rounds: vec![round],
            ..Fork::default()
        };
        RawFork { fork, ops_ns: profile.ops_ns, ..RawFork::default() }
    };
    let order = vec![vec![]; processes.len()];
    let forks = processes.into_iter().enumerate().map(fork).collect();
    let variant = RawVariant { loaded: Some(loaded), forks, ..RawVariant::default() };
    Raw { variants: vec![variant], order, ..Raw::default() }
}

/// How well ops are tied to nodes.
struct Tied {
    /// The share of the ops' time without a node.
    untied: f64,
    told: String,
}

fn tied(record: &Record) -> Tied {
    let ops = || record.variants.iter().flat_map(|v| &v.ops);
    let ns =
        |untied: bool| ops().filter(|op| op.onnx.is_empty() || !untied).map(|op| op.mean_ns).sum::<u64>();
    let untied = ns(true) as f64 / ns(false).max(1) as f64;
    let (all, without) = (ops().count(), ops().filter(|op| op.onnx.is_empty()).count());
    let told = match without {
        0 => format!("all {} tied to nodes of the model", units::count(all, "op")),
        _ => format!(
            "{} of {} tied to nodes of the model; the others take {} of the ops' time",
            units::integer((all - without) as u64),
            units::count(all, "op"),
            units::share(untied)
        ),
    };
    Tied { untied, told }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Described, Op, Profile};
    use crate::record::{self, Lowering, Role};
    use crate::zoo;

    fn op(name: &str, onnx: &[usize]) -> Op {
        Op {
            op: name.into(),
            onnx: onnx.to_vec(),
            kernel: Some("NnapiExecutionProvider".into()),
            ..Op::default()
        }
    }

    fn process(runs_ns: &[u64], ops_ns: &[&[u64]]) -> Process {
        let profile = Profile {
            around_ns: vec![[1, 2]; runs_ns.len()],
            runs_ns: runs_ns.to_vec(),
            ops_ns: ops_ns.iter().map(|ns| ns.to_vec()).collect(),
            allocated: None,
            order: vec![],
        };
        Process { load_ns: None, optimise_ns: None, first_run_ns: None, profile }
    }

    fn imported(processes: Vec<Process>) -> (Record, String) {
        let model = zoo::build("siren", None).expect("a model");
        let variant = crate::swap::original(&model, &crate::swap::find(&model), &[]);
        let planned = Planned {
            subject: 0,
            name: "original".into(),
            role: Role::Original,
            engine: super::super::PlannedEngine::default(),
            rule: String::new(),
            lowering: Lowering::Exported,
            knobs: Default::default(),
            variant,
        };
        let subject = Subject { model: record::Model::default(), inputs: vec![], dims: vec![] };
        let described = Described { ops: vec![op("MatMul", &[0]), op("Nnapi_7", &[])], shapes: vec![] };
        let imported = Imported { described, processes, ..Imported::default() };
        let files = vec!["a.json".to_owned()];
        import(Import { command: vec![], files, subject, planned, confidence: 0.99 }, imported)
    }

    #[test]
    fn what_no_profile_holds_is_null_and_said() {
        let (record, told) = imported(vec![process(&[100, 120], &[&[60, 80], &[20, 20]])]);
        let variant = &record.variants[0];
        assert!(variant.latency.is_none() && variant.delta.is_none() && variant.memory.is_none());
        assert!(
            variant.steadiness.is_none() && variant.activation_cost.is_none() && record.model.macs.is_none()
        );
        let profiled = variant.profiled.expect("profiled runs");
        assert_eq!((profiled.p50_ns, profiled.overhead_ratio, profiled.unaccounted_ns), (110, None, 20));
        assert_eq!(profiled.bookkeeping.map(|b| (b.before_ns, b.between_ns, b.after_ns)), Some((1, 17, 2)));
        assert_eq!((variant.ops[0].mean_ns, variant.ops[0].share), (70, 70.0 / 110.0));
        assert_eq!(variant.ops[1].kernel.as_deref(), Some("NnapiExecutionProvider"));
        assert_eq!(told, "1 of 2 ops tied to nodes of the model; the others take 22.2% of the ops' time");
        let warnings = record.environment.warnings.join("\n");
        for part in ["no unprofiled ones", "cold figures are unknown", "22.2% of the ops' time can't be tied"]
        {
            assert!(warnings.contains(part), "{part}: {warnings}");
        }
        // It is as good a record as any: what is written can be read.
        let text = serde_json::to_string(&record).expect("JSON");
        assert_eq!(record::read::record(text.as_bytes()).expect("a record"), record);
    }

    #[test]
    fn each_profile_is_a_process() {
        let (record, _) = imported(vec![process(&[100], &[&[60], &[1]]), process(&[300], &[&[100], &[1]])]);
        let variant = &record.variants[0];
        assert_eq!((record.settings.forks, variant.forks.len()), (2, 2));
        assert_eq!(variant.ops[0].fork_mean_ns, [60, 100]);
        assert_eq!(variant.profiled.map(|p| p.p50_ns), Some(200));
    }
}
