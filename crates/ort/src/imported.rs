//! Profiles that an app wrote with ONNX Runtime: any version, any execution provider, without the library.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use oplat_engine::{Described, Imported, Process};
use oplat_graph::onnx::Model;
use oplat_graph::onnx::index::{Index, Source, Use};
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::{Failure, Input, Op};
use oplat_ground::record::Engine;
use oplat_ground::{limits, units};

use crate::events::read::{self, Event, Profile};
use crate::events::tie::{self, Row};
use crate::events::{Keys, Session, dims, keys, op, row, rows};
use crate::profile::{WARM_UP, shapes};

/// What the profiles tell, all of the same session's settings.
pub fn imported(
    profiles: &[PathBuf],
    model: &Model,
    optimised: Option<&Model>,
) -> std::result::Result<Imported, Failure> {
    of_files(profiles, model, optimised).map_err(|e| Failure::new(e.message))
}

fn of_files(files: &[PathBuf], model: &Model, optimised: Option<&Model>) -> Result<Imported> {
    let mut notes = vec![];
    let mut read: Vec<Session> = vec![];
    for file in files {
        let profile = read::read(file)?;
        let named = |note: String| if files.len() > 1 { format!("{}: {note}", file.display()) } else { note };
        notes.extend(oddities(&profile).into_iter().map(named));
        read.push(Session::of(profile, file)?);
    }
    let Some(first) = read.first() else { return Err(Error::input("there is no profile")) };
    let rows = rows(first);
    for (session, file) in read.iter().zip(files).skip(1) {
        session.is_like(&rows).map_err(|why| {
            let first = files[0].display();
            Error::input(format!(
                "{} is not of the same session as {first}: {why}; import it by itself",
                file.display()
            ))
        })?;
    }
    limits::check(rows.len() as u64, limits::NODES, "ops").map_err(|e| e.context(files[0].display()))?;
    let times = read.iter().map(|session| session.runs.len()).sum::<usize>().saturating_mul(rows.len());
    limits::check(times as u64, limits::PROFILE_TIMES, "ops times runs")
        .map_err(|e| e.context(files[0].display()))?;
    let mut tied: Vec<Row> = rows.iter().map(|event| row(event)).collect();
    let missing = optimised.map_or(0, |optimised| tie::look_up(optimised, &mut tied));
    if missing > 0 {
        let of = units::count(rows.len(), "op");
        notes.push(format!("the optimised model is of another session: it hasn't {missing} of {of}"));
    }
    let nodes = tie::tie(model, &tied);
    let ops: Vec<Op> = rows.iter().zip(nodes).map(|(event, onnx)| op(event, onnx)).collect();
    let keys = keys(rows.iter().copied());
    let processes = read.iter().map(|session| session.process(rows.len(), &keys, &mut notes)).collect();
    Ok(Imported {
        engine: Engine { name: "ONNX Runtime".to_owned(), op_clock_ns: Some(1000), ..Engine::default() },
        inputs: inputs(model, &ops),
        described: Described { shapes: shapes(model, &ops), ops },
        threads: read.iter().flat_map(Session::events).filter_map(|event| event.threads).max(),
        processes,
        notes,
    })
}

/// What is wrong with a file that can be used nevertheless.
fn oddities(profile: &Profile) -> Vec<String> {
    /// The most events that ONNX Runtime writes unless it is told otherwise.
    const FULL: u64 = 1_000_000;
    let mut told = vec![];
    if profile.is_cut {
        told.push("the profile's file is cut off: what is left of it is used".to_owned());
    }
    if profile.entries >= FULL {
        told.push(format!(
            "the profile is full: ONNX Runtime writes no more than {} events, so later runs are missing",
            units::integer(FULL)
        ));
    }
    if profile.skipped > 0 {
        told.push(format!(
            "{} of the profile {} unknown and left out",
            units::count(profile.skipped, "entry").replace("entrys", "entries"),
            if profile.skipped == 1 { "is" } else { "are" }
        ));
    }
    told
}

impl Session {
    /// Fails, with what is missing, where its operators aren't those of the rows.
    fn is_like(&self, rows: &[&Event]) -> std::result::Result<(), String> {
        let key = |event: &Event| (event.name.clone(), event.op.clone());
        let (known, own): (HashSet<_>, HashSet<_>) =
            (rows.iter().map(|row| key(row)).collect(), self.events().map(key).collect());
        let told =
            |whose: &str, (name, op): &(Rc<str>, Rc<str>)| Err(format!("{whose} has no {op} {name:?}"));
        match (own.difference(&known).next(), known.difference(&own).next()) {
            (Some(missing), _) => told("that one", missing),
            (_, Some(missing)) => told("it", missing),
            _ => Ok(()),
        }
    }

    /// The times of the rows, in the runs after the first ones.
    fn process(&self, rows: usize, keys: &Keys, notes: &mut Vec<String>) -> Process {
        let ns = |us: u64| us * 1000;
        // A file without a session's beginning may begin in the middle of its life.
        let begins = self.profile.initialization.is_some();
        let cold = if begins { warm_up(self.runs.len()) } else { 0 };
        notes.extend(self.told(cold));
        let first = self.runs.first().filter(|_| begins);
        Process {
            load_ns: self.profile.loading.map(ns),
            optimise_ns: self.profile.initialization.map(ns),
            first_run_ns: first.map(|run| ns(self.profile.wholes[run.0].dur)),
            profile: self.profile(&self.runs[cold..], rows, keys),
        }
    }

    /// What is to be said of its runs.
    fn told(&self, cold: usize) -> Vec<String> {
        let mut told = vec![];
        if self.runs.len() == 1 {
            told.push("only one run: the first of a session allocates its memory".to_owned());
        } else if cold > 0 {
            let (kept, all) = (self.runs.len() - cold, units::count(self.runs.len(), "run"));
            told.push(format!("{kept} of {all} counted: the first ones of a session allocate its memory"));
        }
        if self.outside > 0 {
            let ops = units::count(self.outside, "op");
            told.push(format!("{ops} of runs that did not end, or ran beside others, left out"));
        }
        if self.overlapping {
            told.push("runs overlap: their times hold what they took from each other".to_owned());
        } else if self.runs.iter().any(|run| at_once(self.ops(run))) {
            told.push(
                "operators ran beside each other: their times add up to more than the run's".to_owned(),
            );
        }
        told
    }
}

/// Whether one operator begins before another has ended.
fn at_once<'e>(mut ops: impl Iterator<Item = &'e Event>) -> bool {
    let mut end = 0;
    ops.any(|op| {
        let before = end;
        end = end.max(op.end());
        op.ts < before
    })
}

/// Runs that a session begins with, in which it still gets its memory together.
fn warm_up(runs: usize) -> usize {
    if runs > 2 * WARM_UP { WARM_UP } else { usize::from(runs > 1) }
}

/// The model's inputs as their first readers were fed, as far as the profile tells.
fn inputs(model: &Model, ops: &[Op]) -> Vec<Input> {
    let index = Index::new(model);
    let readers: HashMap<usize, &Op> = ops.iter().filter_map(|op| Some((*op.onnx.first()?, op))).collect();
    let fed = |value: usize| {
        let Use::Node(node, position) = *index.uses(value).first()? else { return None };
        // Inputs that are left out have no types.
        let place = index.nodes[node].inputs.get(..position)?.iter().flatten().count();
        let fact = readers.get(&node)?.inputs.get(place)?;
        let dtype = fact.rsplit('x').next().map(str::to_owned);
        Some(Input { name: index.name(value).to_owned(), shape: dims(fact), dtype })
    };
    let main = (0..index.len()).filter(|&value| index.graph(value) == 0);
    main.filter(|&value| matches!(index.source(value), Source::Input)).filter_map(fed).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use serde_json::json;

    /// `(name, ts, dur, thread)`; what is called `model_run` is a run.
    fn session(events: &[(&str, u64, u64, u64)]) -> Result<Session> {
        let mut all = vec![json!({"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 1})];
        all.extend(events.iter().map(|&(name, ts, dur, tid)| match name {
            "model_run" => json!({"cat": "Session", "name": name, "ts": ts, "dur": dur, "tid": tid}),
            _ => {
                json!({"cat": "Node", "name": format!("{name}_kernel_time"), "ts": ts, "dur": dur, "tid": tid,
                        "args": {"op_name": "Op"}})
            }
        }));
        Session::of(read::parse(json!(all).to_string().as_bytes())?, Path::new("p.json"))
    }

    fn names(session: &Session) -> Vec<Vec<&str>> {
        session.runs.iter().map(|run| session.ops(run).map(|op| &*op.name).collect()).collect()
    }

    #[test]
    fn what_a_body_runs_is_within_its_operator_and_neighbours_are_not() {
        let session = session(&[
            ("model_run", 10, 40, 1),
            ("before", 12, 3, 1),
            ("If", 15, 20, 1),
            ("inner", 15, 5, 1),
            ("innermost", 20, 15, 1),
            ("after", 35, 0, 1),
            ("last", 35, 4, 1),
            ("model_run", 60, 10, 1),
            ("before", 61, 2, 1),
        ])
        .expect("runs");
        assert_eq!(names(&session), [vec!["before", "If", "last", "after"], vec!["before"]]);
        assert_eq!((session.outside, session.overlapping), (0, false));
    }

    #[test]
    fn runs_at_the_same_time_are_told_apart_by_their_threads() {
        let session = session(&[
            ("model_run", 10, 40, 1),
            ("a", 12, 10, 1),
            ("model_run", 20, 40, 2),
            ("b", 25, 10, 2),
            ("whose", 30, 5, 7),
            ("c", 40, 5, 1),
            ("after it failed", 70, 5, 1),
        ])
        .expect("runs");
        assert_eq!(names(&session), [vec!["a", "c"], vec!["b"]]);
        assert_eq!((session.outside, session.overlapping), (2, true));
        let told = session.told(0).join("; ");
        assert!(
            told.contains("2 ops of runs that did not end, or ran beside others") && told.contains("overlap"),
            "{told}"
        );
    }

    #[test]
    fn a_run_on_several_threads_has_the_operators_of_all() {
        let session =
            session(&[("model_run", 10, 40, 1), ("a", 12, 30, 3), ("b", 15, 10, 4)]).expect("a run");
        assert_eq!(names(&session), [["a", "b"]]);
        assert!(session.told(0).join("; ").contains("ran beside each other"));
    }

    #[test]
    fn operators_of_one_name_keep_their_places_and_the_first_runs_are_left_out() {
        let run =
            |at: u64| [("model_run", at, 9, 1), ("same", at + 1, 1 + at / 10, 1), ("same", at + 5, 2, 1)];
        let session = session(&[run(10), run(20), run(30)].concat()).expect("runs");
        let rows = rows(&session);
        assert_eq!(rows.len(), 2);
        let (keys, mut notes) = (keys(rows.into_iter()), vec![]);
        let process = session.process(2, &keys, &mut notes);
        assert_eq!(process.profile.runs_ns, [9000, 9000]);
        assert_eq!(process.profile.ops_ns, [vec![3000, 4000], vec![2000, 2000]]);
        assert_eq!(process.profile.around_ns, [[1000, 2000], [1000, 2000]]);
        assert_eq!(
            (process.first_run_ns, process.load_ns, process.optimise_ns),
            (Some(9000), None, Some(1000))
        );
        assert_eq!([1, 2, 6, 7, 100].map(warm_up), [0, 1, 1, 3, 3]);
    }

    #[test]
    fn a_file_without_a_run_says_what_it_has() {
        for (events, told) in [
            (&[][..], "it holds no run:"),
            (&[("a", 1, 2, 1)][..], "it holds no run that ended"),
            (&[("model_run", 1, 2, 1)][..], "it holds no operator of a run"),
        ] {
            let error = session(events).err().expect("no run").message;
            assert!(error.starts_with("p.json: ") && error.contains(told), "{error}");
        }
    }
}
