//! Profiles that an app wrote with ONNX Runtime: any version, any execution provider, without the library.
//!
//! - `read`: the file, as lenient as can be
//! - `tie`: which nodes of the model its operators compute

mod read;
mod tie;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use oplat_engine::{Described, Imported, Process};
use oplat_graph::onnx::Model;
use oplat_graph::onnx::index::{Index, Source, Use};
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::{self, Failure, Input, Op};
use oplat_ground::record::Engine;
use oplat_ground::{limits, units};

use crate::profile::{WARM_UP, shapes};
use read::{Event, Profile};
use tie::Row;

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
    let processes = read.iter().map(|session| session.process(&keys, &mut notes)).collect();
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

/// What one file tells: its runs with their operators.
struct Session {
    profile: Profile,
    /// By whole run, in order: places of its operators in the profile, in the order in which they ran.
    runs: Vec<(usize, Vec<usize>)>,
    /// Operators of runs that did not end, or that can't be told from others' at the same time.
    outside: usize,
    overlapping: bool,
}

impl Session {
    /// Fails with the file's name where it holds no whole run.
    fn of(mut profile: Profile, file: &Path) -> Result<Self> {
        profile.wholes.sort_by_key(|whole| (whole.ts, std::cmp::Reverse(whole.dur)));
        profile.ops.sort_by_key(|op| (op.ts, std::cmp::Reverse(op.dur)));
        let wholes = &profile.wholes;
        let overlapping = wholes.windows(2).any(|two| two[1].ts < two[0].end());
        let on_thread = by_thread(wholes);
        let mut runs: Vec<(usize, Vec<usize>)> = (0..wholes.len()).map(|at| (at, vec![])).collect();
        let mut outside = 0;
        for (at, op) in profile.ops.iter().enumerate() {
            let holds = |&whole: &usize| op.ts <= wholes[whole].end();
            let own = on_thread.get(&op.thread).and_then(|of_it| last_begun(of_it, wholes, op.ts));
            // Operators may run on another thread than the run was asked for on.
            let any = || wholes.partition_point(|whole| whole.ts <= op.ts).checked_sub(1);
            let any = || if overlapping { None } else { any() };
            match own.filter(holds).or_else(|| any().filter(holds)) {
                Some(whole) => runs[whole].1.push(at),
                None => outside += 1,
            }
        }
        let mut session = Self { profile, runs, outside, overlapping };
        session.runs.iter_mut().for_each(|(_, ops)| without_bodies(&session.profile.ops, ops));
        session.runs.retain(|(_, ops)| !ops.is_empty());
        if session.runs.is_empty() {
            let found = match (session.profile.wholes.len(), session.profile.ops.len()) {
                (0, 0) => "no run",
                (0, _) => "no run that ended",
                _ => "no operator of a run",
            };
            return Err(Error::input(format!(
                "{}: it holds {found}: run the model in the session that profiles, and end profiling after it",
                file.display()
            )));
        }
        Ok(session)
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.runs.iter().flat_map(|run| self.ops(run))
    }

    fn ops<'s>(&'s self, run: &'s (usize, Vec<usize>)) -> impl Iterator<Item = &'s Event> {
        run.1.iter().map(|&op| &self.profile.ops[op])
    }

    /// Fails, with what is missing, where its operators aren't those of the rows.
    fn is_like(&self, rows: &[&Event]) -> std::result::Result<(), String> {
        let known: HashSet<(&str, &str)> = rows.iter().map(|row| (&*row.name, &*row.op)).collect();
        match self.events().find(|event| !known.contains(&(&*event.name, &*event.op))) {
            Some(event) => Err(format!("that one has no {} {:?}", event.op, event.name)),
            None => Ok(()),
        }
    }

    /// The times of the rows, in the runs after the first ones.
    fn process(&self, keys: &HashMap<Key, Vec<usize>>, notes: &mut Vec<String>) -> Process {
        let ns = |us: u64| us * 1000;
        // A file without a session's beginning may begin in the middle of its life.
        let begins = self.profile.initialization.is_some();
        let cold = if begins { warm_up(self.runs.len()) } else { 0 };
        let whole = |run: &(usize, Vec<usize>)| &self.profile.wholes[run.0];
        let timed = &self.runs[cold..];
        notes.extend(self.told(cold));
        let mut ops_ns = vec![vec![0; timed.len()]; keys.values().map(Vec::len).sum()];
        for (number, run) in timed.iter().enumerate() {
            for (key, events) in grouped(self.ops(run)) {
                let rows = keys.get(&key).into_iter().flatten();
                rows.zip(events).for_each(|(&row, event)| ops_ns[row][number] += ns(event.dur));
            }
        }
        let around = |run: &(usize, Vec<usize>)| {
            let whole = whole(run);
            let first = self.ops(run).map(|op| op.ts).min().unwrap_or(whole.ts);
            let last = self.ops(run).map(Event::end).max().unwrap_or(whole.ts);
            [first.saturating_sub(whole.ts), whole.end().saturating_sub(last)].map(ns)
        };
        Process {
            load_ns: self.profile.loading.map(ns),
            optimise_ns: self.profile.initialization.map(ns),
            first_run_ns: self.runs.first().filter(|_| begins).map(|run| ns(whole(run).dur)),
            profile: protocol::Profile {
                runs_ns: timed.iter().map(|run| ns(whole(run).dur)).collect(),
                around_ns: timed.iter().map(around).collect(),
                ops_ns,
                allocated: None,
                order: vec![],
            },
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

/// The whole runs that were asked for on each thread, in order.
fn by_thread(wholes: &[Event]) -> HashMap<u64, Vec<usize>> {
    let mut on_thread: HashMap<u64, Vec<usize>> = HashMap::new();
    wholes.iter().enumerate().for_each(|(at, whole)| on_thread.entry(whole.thread).or_default().push(at));
    on_thread
}

fn last_begun(of_it: &[usize], wholes: &[Event], ts: u64) -> Option<usize> {
    let begun = of_it.partition_point(|&whole| wholes[whole].ts <= ts);
    Some(of_it[begun.checked_sub(1)?])
}

/// Leaves out what runs within another operator: its time is in that one's. On one thread nothing else does.
fn without_bodies(events: &[Event], ops: &mut Vec<usize>) {
    let mut open: HashMap<u64, [u64; 2]> = HashMap::new();
    ops.retain(|&at| {
        let op = &events[at];
        let [start, end] = open.entry(op.thread).or_default();
        // One that took no time may have run before another that began in the same microsecond.
        let is_inside = op.ts < *end && (op.ts > *start || op.dur > 0);
        if !is_inside && op.end() >= *end {
            [*start, *end] = [op.ts, op.end()];
        }
        !is_inside
    });
}

/// What tells an operator from others of its session.
type Key = (Rc<str>, Rc<str>);

/// The operators of a run by name and type; of several alike in the order of their numbers.
fn grouped<'e>(events: impl Iterator<Item = &'e Event>) -> HashMap<Key, Vec<&'e Event>> {
    let mut groups: HashMap<Key, Vec<&Event>> = HashMap::new();
    events.for_each(|e| groups.entry((e.name.clone(), e.op.clone())).or_default().push(e));
    groups.values_mut().for_each(|group| group.sort_by_key(|event| (event.node_index, event.ts)));
    groups
}

/// The operators of a session in the order in which its last run ran them; behind them those that only others have.
fn rows(session: &Session) -> Vec<&Event> {
    let mut known: HashMap<Key, usize> = HashMap::new();
    let mut rows: Vec<&Event> = vec![];
    for run in session.runs.iter().rev() {
        let mut more: Vec<&Event> = vec![];
        for (key, events) in grouped(session.ops(run)) {
            let known = known.entry(key).or_default();
            more.extend(events.get(*known..).unwrap_or_default());
            *known = events.len().max(*known);
        }
        more.sort_by_key(|event| (event.ts, event.node_index));
        rows.extend(more);
    }
    rows
}

/// The rows of each key, in the order of their numbers.
fn keys<'e>(rows: impl Iterator<Item = &'e Event>) -> HashMap<Key, Vec<usize>> {
    let mut keys: HashMap<Key, Vec<(Option<usize>, usize)>> = HashMap::new();
    rows.enumerate().for_each(|(at, e)| {
        keys.entry((e.name.clone(), e.op.clone())).or_default().push((e.node_index, at));
    });
    let in_order = |mut rows: Vec<(Option<usize>, usize)>| {
        rows.sort_unstable();
        rows.into_iter().map(|(_, at)| at).collect()
    };
    keys.into_iter().map(|(key, rows)| (key, in_order(rows))).collect()
}

fn row(event: &Event) -> Row<'_> {
    Row {
        name: &event.name,
        op: &event.op,
        provider: &event.provider,
        node_index: event.node_index,
        // Beside its input and its weights it may have a bias, which is a list.
        adds: event.op.ends_with("Conv")
            && event.inputs.split(' ').skip(2).any(|input| input.matches('x').count() > 1),
        ..Row::default()
    }
}

fn op(event: &Event, onnx: Vec<usize>) -> Op {
    let facts = |facts: &str| facts.split(' ').filter(|f| !f.is_empty()).map(str::to_owned).collect();
    let outputs: Vec<String> = facts(&event.outputs);
    let elements =
        outputs.iter().map(|fact| dims(fact).iter().product::<usize>() as u64).fold(0, u64::saturating_add);
    Op {
        op: if event.op.is_empty() { event.name.to_string() } else { event.op.to_string() },
        kernel: Some(event.provider.to_string()).filter(|provider| !provider.is_empty()),
        onnx,
        inputs: facts(&event.inputs),
        outputs,
        elements,
        ..Op::default()
    }
}

fn dims(fact: &str) -> Vec<usize> {
    fact.split('x').filter_map(|d| d.parse().ok()).collect()
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
        let process = session.process(&keys, &mut notes);
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
