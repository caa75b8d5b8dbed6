//! Lines of the protocol: a worker reads each as a request; a parent measures with a worker that answers with them.

#![no_main]

mod buffer;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use oplat::device::{End, Interrupt, Lost, Target, Worker};
use oplat::engine::knobs::Knobs;
use oplat::error::Result;
use oplat::measure::{self, Measurement, Planned, PlannedEngine, Rest, Silent, Subject};
use oplat::onnx::Model;
use oplat::protocol::{Input, Load, Reply, Request};
use oplat::record::Role;
use oplat::report::{self, Breakdowns, Format};
use oplat::swap::{self, Lowering, Selection};
use oplat::{activation::Activation, record};

/// The one model that is measured: an activation or two.
const MODEL: &[u8] = include_bytes!("../../tests/models/fanout_silu.onnx");

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines: Rc<[String]> = text.lines().map(str::to_owned).collect();
    for line in lines.iter() {
        if let Ok(request) = serde_json::from_str::<Request>(line) {
            if let Request::Solos(solos) = &request {
                solos.solos.iter().for_each(|solo| drop(solo.to_string()));
            }
            serde_json::to_string(&request).expect("what was read can be written");
        }
    }
    let scripted = Scripted { lines, next: Rc::default() };
    let measured = measure::measure(&measurement(), None, &scripted, &mut Silent, &Interrupt::default());
    if let Ok(record) = measured {
        for format in [Format::Table, Format::Json, Format::Csv] {
            let _ = report::render(&record, format, &Breakdowns::default());
        }
        let _ = measure::complete(&record, false);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    buffer::changed(data, size, max, seed, buffer::text).unwrap_or_else(|| fuzzer_mutate(data, size, max))
});

fn measurement() -> Measurement {
    let model = Model::decode(MODEL, None).expect("a model");
    let (found, chosen) = Selection::default().choose(swap::find(&model)).expect("sites");
    let mish = Activation::parse("mish").expect("known");
    let swapped = swap::rewrite(&model, &found, &chosen, &mish, Lowering::Exported).expect("swapped");
    let planned = |name: &str, role, variant| Planned {
        subject: 0,
        name: name.into(),
        role,
        engine: PlannedEngine::default(),
        rule: name.into(),
        lowering: Lowering::Exported,
        knobs: Knobs::new(),
        variant,
    };
    let variants = vec![
        planned("original", Role::Original, swap::original(&model, &found, &chosen)),
        planned("mish", Role::Swap, swapped),
    ];
    Measurement {
        command: vec![],
        subjects: vec![Subject {
            model: record::Model { name: "m".into(), ..Default::default() },
            inputs: vec![Input { name: "x".into(), shape: vec![1], dtype: None }],
            dims: vec![],
        }],
        variants: Arc::new(variants),
        load: Load { threads: 1, ..Load::default() },
        target: "scripted".into(),
        cpus: None,
        forks: 3,
        time: Duration::from_millis(20),
        confidence: 0.99,
        margin: record::Margin::default(),
        cold: false,
        rest: Rest::default(),
    }
}

/// Workers that answer with the next line that fits the question, or with the next one where none does.
#[derive(Clone)]
struct Scripted {
    lines: Rc<[String]>,
    next: Rc<Cell<usize>>,
}

impl Target for Scripted {
    fn name(&self) -> String {
        "scripted".into()
    }

    fn emulated(&self) -> bool {
        false
    }

    fn get(&self, _: &str, _: u64) -> Result<Vec<u8>> {
        Ok(vec![0x40; 64])
    }

    fn start(&self, _: &Interrupt) -> Result<Box<dyn Worker>> {
        Ok(Box::new(self.clone()))
    }
}

impl Worker for Scripted {
    fn ask(&mut self, request: &Request, _: Duration) -> Result<Reply, Lost> {
        let lost = |end| Lost::Died { end, last_words: None, at: None };
        let sign = match request {
            Request::Load(_) => "\"loaded\"",
            Request::Run { .. } | Request::Turn { .. } => "\"runs\"",
            Request::Profile { .. } => "\"profile\"",
            Request::Memory => "\"memory\"",
            Request::Batched { .. } => "\"batched\"",
            Request::Outputs { .. } => "\"outputs\"",
            Request::Watch { .. } | Request::Watched { .. } => "\"machine\"",
            _ => "\"error\"",
        };
        let from = self.next.get();
        let order = (0..self.lines.len()).map(|i| (from + i) % self.lines.len());
        let fits = order.clone().find(|&i| self.lines[i].contains(sign));
        let Some(at) = fits.or_else(|| order.clone().next()) else { return Err(lost(End::Exit(Some(0)))) };
        self.next.set(at + 1);
        let reply = Reply::read(&self.lines[at]).map_err(|_| lost(End::Garbled(String::new())))?;
        Ok(fitted(reply, request))
    }
}

/// As many runs as were asked for, so that the rest of an answer is looked at.
fn fitted(mut reply: Reply, request: &Request) -> Reply {
    let n = match request {
        Request::Run { .. } => 1,
        Request::Turn { runs, .. } | Request::Profile { runs, .. } => *runs as usize,
        _ => return reply,
    };
    let of = |times: &mut Vec<u64>| {
        if let Some(&last) = times.last() {
            times.resize(n.min(100), last);
        }
    };
    match &mut reply {
        Reply::Runs(runs) => of(&mut runs.runs_ns),
        Reply::Profile(profile) => {
            of(&mut profile.runs_ns);
            profile.ops_ns.iter_mut().for_each(of);
        }
        _ => {}
    }
    reply
}
