//! What ONNX Runtime's profiles tell: the runs of a session, and their operators with the nodes that these compute.
//!
//! - `read`: the file, as lenient as can be, since apps write them with any version
//! - `tie`: which nodes of the model the operators compute

pub mod read;
pub mod tie;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::{self, Op};

use read::{Event, Profile};
use tie::Row;

/// A whole run: its place among those of the file, and the places of its operators in the order in which they ran.
pub type OneRun = (usize, Vec<usize>);

/// What one file tells: its runs with their operators.
pub struct Session {
    pub profile: Profile,
    /// In order.
    pub runs: Vec<OneRun>,
    /// Operators of runs that did not end, or that can't be told from others' at the same time.
    pub outside: usize,
    pub overlapping: bool,
}

impl Session {
    /// Fails with the file's name where it holds no whole run.
    pub fn of(mut profile: Profile, file: &Path) -> Result<Self> {
        profile.wholes.sort_by_key(|whole| (whole.ts, std::cmp::Reverse(whole.dur)));
        profile.ops.sort_by_key(|op| (op.ts, std::cmp::Reverse(op.dur)));
        let wholes = &profile.wholes;
        let overlapping = wholes.windows(2).any(|two| two[1].ts < two[0].end());
        let on_thread = by_thread(wholes);
        let mut runs: Vec<OneRun> = (0..wholes.len()).map(|at| (at, vec![])).collect();
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

    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.runs.iter().flat_map(|run| self.ops(run))
    }

    pub fn ops<'s>(&'s self, run: &'s OneRun) -> impl Iterator<Item = &'s Event> {
        run.1.iter().map(|&op| &self.profile.ops[op])
    }

    /// These runs, with the times of the rows that the keys have.
    pub fn profile(&self, runs: &[OneRun], rows: usize, keys: &Keys) -> protocol::Profile {
        let ns = |us: u64| us * 1000;
        let mut ops_ns = vec![vec![0; runs.len()]; rows];
        for (number, run) in runs.iter().enumerate() {
            self.placed(run, keys).for_each(|(row, event)| ops_ns[row][number] += ns(event.dur));
        }
        let whole = |run: &OneRun| &self.profile.wholes[run.0];
        let around = |run: &OneRun| {
            let whole = whole(run);
            let first = self.ops(run).map(|op| op.ts).min().unwrap_or(whole.ts);
            let last = self.ops(run).map(Event::end).max().unwrap_or(whole.ts);
            [first.saturating_sub(whole.ts), whole.end().saturating_sub(last)].map(ns)
        };
        protocol::Profile {
            runs_ns: runs.iter().map(|run| ns(whole(run).dur)).collect(),
            around_ns: runs.iter().map(around).collect(),
            ops_ns,
            allocated: None,
            order: vec![],
        }
    }

    /// The operators of a run with their rows, those of one name together.
    pub fn placed<'s>(&'s self, run: &'s OneRun, keys: &'s Keys) -> impl Iterator<Item = (usize, &'s Event)> {
        grouped(self.ops(run)).into_iter().flat_map(|(key, events)| {
            let rows = keys.get(&key).into_iter().flatten().copied();
            rows.zip(events).collect::<Vec<_>>()
        })
    }
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
pub type Key = (Rc<str>, Rc<str>);

/// The rows of each, in the order of their numbers.
pub type Keys = HashMap<Key, Vec<usize>>;

/// The operators of a run by name and type; of several alike in the order of their numbers.
fn grouped<'e>(events: impl Iterator<Item = &'e Event>) -> HashMap<Key, Vec<&'e Event>> {
    let mut groups: HashMap<Key, Vec<&Event>> = HashMap::new();
    events.for_each(|e| groups.entry((e.name.clone(), e.op.clone())).or_default().push(e));
    groups.values_mut().for_each(|group| group.sort_by_key(|event| (event.node_index, event.ts)));
    groups
}

/// The operators of a session in the order in which its last run ran them; behind them those that only others have.
pub fn rows(session: &Session) -> Vec<&Event> {
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
pub fn keys<'e>(rows: impl Iterator<Item = &'e Event>) -> Keys {
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

pub fn row(event: &Event) -> Row<'_> {
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

pub fn op(event: &Event, onnx: Vec<usize>) -> Op {
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

/// The dimensions of `1x64x40x40xf32`.
pub fn dims(fact: &str) -> Vec<usize> {
    fact.split('x').filter_map(|d| d.parse().ok()).collect()
}
