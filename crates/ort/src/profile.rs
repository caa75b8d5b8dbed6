//! Profiled runs. ONNX Runtime writes what a session did into a file when the session's profiling ends, which can't begin
//! again: so every request gets a session of its own, and what it calls its operators holds for that session alone.

use std::path::Path;

use ort::session::builder::SessionBuilder;
use ort::value::DynTensor;

use oplat_engine::Described;
use oplat_graph::onnx::Model;
use oplat_graph::onnx::index::Index;
use oplat_ground::files::Folder;
use oplat_ground::protocol::{Failure, Load, Memory, Op, Profile};

use crate::events::read::{self, Event};
use crate::events::{Keys, Session, keys, op, row, rows, tie};
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
        let Seen { ops, keys, session, .. } = observe(copy, load, inputs, 1)?;
        let shapes = shapes(&copy.model, &ops);
        let mut events: Vec<(usize, &Event)> =
            session.runs.first().map(|run| session.placed(run, &keys).collect()).unwrap_or_default();
        events.sort_by_key(|(_, event)| event.ts);
        let memory = memory::of(events.into_iter(), ops.len(), copy.weights_bytes);
        Ok(Self { described: Described { ops, shapes }, memory, load: load.clone() })
    }

    /// So many profiled runs, after those in which the new session still gets its memory together.
    pub fn runs(&self, copy: &Copy, inputs: &[(String, DynTensor)], n: usize) -> Result<Profile, Failure> {
        let seen = observe(copy, &self.load, inputs, WARM_UP + n)?;
        if seen.ops != self.described.ops {
            return Err(Failure::new("ONNX Runtime makes other operators of it in each session"));
        }
        let runs_ns = seen.runs_ns[WARM_UP..].to_vec();
        Ok(Profile {
            runs_ns,
            ..seen.session.profile(&seen.session.runs[WARM_UP..], seen.ops.len(), &seen.keys)
        })
    }
}

/// What a session of its own has shown.
struct Seen {
    ops: Vec<Op>,
    keys: Keys,
    /// By our own clock.
    runs_ns: Vec<u64>,
    session: Session,
}

/// So many runs of a new session, with its operators in an order that is the same in every session.
fn observe(copy: &Copy, load: &Load, inputs: &[(String, DynTensor)], n: usize) -> Result<Seen, Failure> {
    let failure = |e: oplat_ground::error::Error| Failure::new(e.message);
    let folder = Folder::temporary().map_err(failure)?;
    let profiling = |builder: SessionBuilder| Ok(builder.with_profiling(folder.path().join("profile"))?);
    let (mut made, optimised) = plan::optimised(copy, load, &profiling)?;
    let mut run = || session::run(&mut made, inputs).map(|(ns, _)| ns).map_err(|e| copy.failure("run", &e));
    let runs_ns = (0..n).map(|_| run()).collect::<Result<Vec<u64>, _>>()?;
    let file = made.end_profiling().map_err(|e| copy.failure("profile", &e))?;
    drop(made);
    let file = Path::new(&file);
    let session = Session::of(read::read(file).map_err(failure)?, file).map_err(failure)?;
    if session.runs.len() != n {
        return Err(Failure::new(format!("ONNX Runtime profiled {} of {n} runs", session.runs.len())));
    }
    let (ops, keys) = described(&session, &copy.named().map_err(failure)?, &optimised);
    Ok(Seen { ops, keys, runs_ns, session })
}

/// The operators of a session of this copy, and how they are found in its runs.
fn described(session: &Session, copy: &Model, optimised: &Model) -> (Vec<Op>, Keys) {
    let events = rows(session);
    let mut tied: Vec<tie::Row> = events.iter().map(|event| row(event)).collect();
    tie::look_up(optimised, &mut tied);
    let nodes = tie::tie(copy, &tied);
    let index = Index::new(copy);
    let named = |(at, onnx): (usize, Vec<usize>)| {
        let mut op = op(events[at], onnx);
        op.kernel = providers::other_than_cpu(&events[at].provider);
        if let Some(&node) = op.onnx.last() {
            ops::show_own(&mut op, index.nodes[node].proto);
        }
        (at, op)
    };
    let mut all: Vec<(usize, Op)> = nodes.into_iter().enumerate().map(named).collect();
    ops::order(&mut all);
    let keys = keys(all.iter().map(|&(at, _)| events[at]));
    (all.into_iter().map(|(_, op)| op).collect(), keys)
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
