//! Profiled runs. ONNX Runtime writes what a session did into a file when the session's profiling ends, which can't begin
//! again: so every request gets a session of its own, and what it calls its operators holds for that session alone.

use std::collections::HashMap;

use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::DynTensor;

use oplat_engine::{Described, at};
use oplat_graph::onnx::Model;
use oplat_ground::files::Folder;
use oplat_ground::protocol::{Failure, Load, Memory, Op, Profile};

use crate::events::{Args, Event, KERNEL_TIME, Run, facts, runs};
use crate::model::Copy;
use crate::{memory, ops, plan, providers, session};

/// What ONNX Runtime makes of a model, and how profiled runs of it are made.
pub struct Profiled {
    pub described: Described,
    pub memory: Memory,
    load: Load,
}

/// Runs until a session has its memory: the first allocates, the second follows the pattern of that, the third finds all of it.
pub const WARM_UP: usize = 3;

impl Profiled {
    /// Learns what ONNX Runtime makes of the model, from the optimised model that it writes and one run.
    pub fn new(copy: &Copy, load: &Load, inputs: &[(String, DynTensor)]) -> Result<Self, Failure> {
        let Seen { ops, rows, events, .. } = observe(copy, load, inputs, 1)?;
        let run = runs(&events).pop().ok_or_else(|| Failure::new("ONNX Runtime profiled no run"))?;
        let shapes = shapes(&copy.model, &ops);
        let memory = memory::of(placed(&rows, &run), ops.len(), copy.weights_bytes);
        Ok(Self { described: Described { ops, shapes }, memory, load: load.clone() })
    }

    /// So many profiled runs, after those in which the new session still gets its memory together.
    pub fn runs(&self, copy: &Copy, inputs: &[(String, DynTensor)], n: usize) -> Result<Profile, Failure> {
        let seen = observe(copy, &self.load, inputs, WARM_UP + n)?;
        if seen.ops != self.described.ops {
            return Err(Failure::new("ONNX Runtime makes other operators of it in each session"));
        }
        let timed = runs(&seen.events).split_off(WARM_UP);
        let mut profile = Profile {
            ops_ns: vec![vec![0; n]; self.described.ops.len()],
            around_ns: timed.iter().map(Run::around_ns).collect(),
            runs_ns: seen.runs_ns[WARM_UP..].to_vec(),
            allocated: None,
            order: vec![],
        };
        for (number, run) in timed.iter().enumerate() {
            for (row, event) in with_rows(placed(&seen.rows, run)) {
                profile.ops_ns[row][number] += event.dur * 1000;
            }
        }
        Ok(profile)
    }
}

/// What a session of its own has shown.
struct Seen {
    ops: Vec<Op>,
    /// The rows of operators, by their name in this session; of several with one name in the order in which they run.
    rows: HashMap<String, Vec<usize>>,
    runs_ns: Vec<u64>,
    events: Vec<Event>,
}

/// So many runs of a new session. What changes the layout of data has another name in each session, so each is described by the
/// optimised model that it writes.
fn observe(copy: &Copy, load: &Load, inputs: &[(String, DynTensor)], n: usize) -> Result<Seen, Failure> {
    let folder = Folder::temporary().map_err(|e| Failure::new(e.message))?;
    let profiling = |builder: SessionBuilder| Ok(builder.with_profiling(folder.path().join("profile"))?);
    let (mut session, optimised) = plan::optimised(copy, load, &profiling)?;
    let mut named = ops::describe(&copy.model, &optimised);
    drop(optimised);
    let mut run =
        || session::run(&mut session, inputs).map(|(ns, _)| ns).map_err(|e| copy.failure("run", &e));
    let runs_ns = (0..n).map(|_| run()).collect::<Result<Vec<u64>, _>>()?;
    let events = end(copy, &mut session)?;
    let all = runs(&events);
    let Some(last) = all.last().filter(|_| all.len() == n) else {
        return Err(Failure::new(format!("ONNX Runtime profiled {} of {n} runs", all.len())));
    };
    for (row, event) in with_rows(placed(&rows(&named), last)) {
        observed(&mut named[row].1, &event.args);
    }
    ops::order(&mut named);
    let rows = rows(&named);
    Ok(Seen { ops: named.into_iter().map(|(_, op)| op).collect(), rows, runs_ns, events })
}

/// The rows of each name.
fn rows(named: &[(String, Op)]) -> HashMap<String, Vec<usize>> {
    let mut rows: HashMap<String, Vec<usize>> = HashMap::new();
    named.iter().enumerate().for_each(|(row, (name, _))| rows.entry(name.clone()).or_default().push(row));
    rows
}

/// Notes what an operator reads and puts out, and what runs it where that isn't the CPU's provider.
fn observed(op: &mut Op, args: &Args) {
    (op.inputs, op.outputs) = (facts(&args.input_type_shape), facts(&args.output_type_shape));
    let sizes = args.output_type_shape.iter().flat_map(|o| o.values());
    op.elements = sizes.map(|dims| dims.iter().product::<u64>()).sum();
    op.kernel = op.kernel.take().or_else(|| providers::other_than_cpu(args.provider.as_deref()?));
}

/// What the session did, which is the last of it.
fn end(copy: &Copy, session: &mut Session) -> Result<Vec<Event>, Failure> {
    let file = session.end_profiling().map_err(|e| copy.failure("profile", &e))?;
    let cannot = |e: &dyn std::fmt::Display| Failure::new(at::one_line(&format!("{file}: {e}")));
    let text = std::fs::read(&file).map_err(|e| cannot(&e))?;
    serde_json::from_slice(&text).map_err(|e| cannot(&e))
}

/// The operators of a run with their rows, in order. One that runs in a body has none: it is a part of the operator that has the
/// body.
fn placed<'r, 'e>(
    rows: &'r HashMap<String, Vec<usize>>,
    run: &'r Run<'e>,
) -> impl Iterator<Item = (Option<usize>, &'e Event)> + use<'r, 'e> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    run.ops.iter().map(move |event| {
        let name = event.name.strip_suffix(KERNEL_TIME).unwrap_or(&event.name);
        let number = seen.entry(name).or_default();
        *number += 1;
        (rows.get(name).and_then(|of_name| of_name.get(*number - 1)).copied(), *event)
    })
}

fn with_rows<'e>(
    events: impl Iterator<Item = (Option<usize>, &'e Event)>,
) -> impl Iterator<Item = (usize, &'e Event)> {
    events.filter_map(|(row, event)| Some((row?, event)))
}

/// The shape of the first output of every node that an operator is named by.
pub fn shapes(model: &Model, ops: &[Op]) -> Vec<Option<Vec<usize>>> {
    let mut shapes = vec![];
    oplat_graph::onnx::for_each_node(model.graph(), &mut |_| shapes.push(None));
    for op in ops {
        let shape = op.outputs.first().and_then(|fact| {
            let (dims, _) = fact.rsplit_once('x')?;
            dims.split('x').map(|d| d.parse().ok()).collect::<Option<Vec<usize>>>()
        });
        if let (Some(&node), Some(shape)) = (op.onnx.last(), shape)
            && let Some(slot) = shapes.get_mut(node)
        {
            *slot = Some(shape);
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cat: &str, name: &str, ts: u64, dur: u64) -> Event {
        Event { cat: cat.into(), name: name.into(), ts, dur, args: Args::default() }
    }

    #[test]
    fn runs_are_told_apart_and_operators_of_one_name_by_their_order() {
        let events = [
            event("Session", "session_initialization", 0, 90),
            event("Node", "a_kernel_time", 105, 10),
            event("Node", "_kernel_time", 116, 3),
            event("Node", "inside a body_kernel_time", 121, 2),
            event("Node", "_kernel_time", 120, 5),
            event("Session", "model_run", 100, 30),
            event("Node", "a_kernel_time", 201, 7),
            event("Session", "model_run", 200, 10),
        ];
        let runs = runs(&events);
        assert_eq!(runs.iter().map(Run::around_ns).collect::<Vec<_>>(), [[5000, 5000], [1000, 2000]]);
        let rows = HashMap::from([("a".to_owned(), vec![0]), (String::new(), vec![1, 2])]);
        let placed =
            |run| with_rows(placed(&rows, run)).map(|(row, event)| (row, event.dur)).collect::<Vec<_>>();
        assert_eq!(placed(&runs[0]), [(0, 10), (1, 3), (2, 5)]);
        assert_eq!(placed(&runs[1]), [(0, 7)]);
    }
}
