//! A record as a trace in Chrome's JSON, which Perfetto, chrome://tracing and speedscope open.
//!
//! Each variant is a process with one run in it. A record keeps no single run, so this one is made of means: ops in the
//! engine's order, each as long as its mean over all profiled runs, ops of a site under it. Between ops is what the engine takes
//! there on average, the same everywhere, so that the run is as long as profiled runs are on average.
//!
//! What is known of a slice stands where it ends: speedscope takes what stands where one begins for a part of its name.

use serde_json::{Map, Value, json};

use super::{NamedRecord, facts, heat, json};
use crate::error::{Error, Result};
use crate::record::{BeforeAfter, Bookkeeping, Op, Record, Variant};

pub fn render(records: &[NamedRecord]) -> Result<String> {
    let mut trace = Trace::default();
    for named in records {
        let of = if records.len() > 1 { format!("{}: ", named.name) } else { String::new() };
        trace.record(&of, named.record);
    }
    if trace.runs == 0 {
        let emulated = records.iter().any(|named| !facts::timed(named.record));
        return Err(Error::input(match emulated {
            true => heat::EMULATED,
            false => {
                "no variant has profiled runs, so that no times of operators are known: there is no trace"
            }
        }));
    }
    let first = records.first().map(|named| named.record);
    json::line(&json!({
        "displayTimeUnit": "ms",
        "otherData": {
            "oplat": first.map(|record| &record.oplat.version),
            "model": first.map(|record| &record.model.name),
            "started_at": first.map(|record| &record.started_at),
            "what": "each run is made of means over profiled runs: ops in order, what is between them spread evenly",
        },
        "traceEvents": trace.events,
    }))
}

/// The only thread of each process. It is no process's number: Perfetto would call it that one's main thread.
const THREAD: usize = 1000;

#[derive(Default)]
struct Trace {
    events: Vec<Value>,
    processes: usize,
    /// How many of these are runs.
    runs: usize,
}

impl Trace {
    fn record(&mut self, of: &str, record: &Record) {
        let timed = facts::timed(record);
        let mut longest = 0;
        for variant in record.variants.iter().filter(|variant| !variant.ops.is_empty()) {
            if timed && variant.profiled.is_some() {
                let name = format!("{of}{}", facts::label(record, variant));
                longest = longest.max(self.variant(&name, variant));
            }
        }
        if longest > 0 {
            self.machine(of, record, longest);
        }
    }

    /// A new process, of which later events are.
    fn process(&mut self, name: &str) {
        self.processes += 1;
        self.metadata("process_name", json!({ "name": name }));
        self.metadata("process_sort_index", json!({ "sort_index": self.processes }));
    }

    fn metadata(&mut self, name: &str, args: Value) {
        self.events
            .push(json!({ "name": name, "ph": "M", "pid": self.processes, "tid": THREAD, "args": args }));
    }

    fn begin(&mut self, name: &str, category: &str, at: u64) {
        self.events.push(json!({
            "name": name, "cat": category, "ph": "B", "ts": us(at), "pid": self.processes, "tid": THREAD,
        }));
    }

    /// One of no length is told nothing of: speedscope would take its end for another's.
    fn end(&mut self, name: &str, category: &str, [start, end]: [u64; 2], args: Value) {
        let args = if start < end { args } else { json!({}) };
        let mut event = json!({
            "name": name, "cat": category, "ph": "E", "ts": us(end), "pid": self.processes, "tid": THREAD,
        });
        if args.as_object().is_some_and(|args| !args.is_empty()) {
            event["args"] = args;
        }
        self.events.push(event);
    }

    fn counter(&mut self, name: &str, at: u64, unit: &str, value: f64) {
        let args = json!({ unit: value });
        let event = json!({ "name": name, "ph": "C", "ts": us(at), "pid": self.processes, "tid": THREAD, "args": args });
        self.events.push(event);
    }

    /// A run of the variant; gives how long it is.
    fn variant(&mut self, name: &str, variant: &Variant) -> u64 {
        self.process(name);
        self.metadata("thread_name", json!({ "name": "a run made of mean times" }));
        self.runs += 1;
        let (places, end) = places(variant);
        let runs: usize =
            variant.forks.iter().flat_map(|f| &f.profiled_rounds).map(|p| p.runs_ns.len()).sum();
        let mut args = json!({ "ops": variant.ops.len() });
        if let Value::Object(args) = &mut args {
            add(args, "profiled runs that it is the mean of", (runs > 0).then_some(runs));
            add(args, "median of profiled runs, ms", variant.profiled.map(|p| ms(p.p50_ns)));
            add(args, "p50 of unprofiled runs, ms", variant.latency.map(|latency| ms(latency.p50_ns)));
            add(args, "not in any op, ms", variant.profiled.map(|p| ms(p.unaccounted_ns)));
        }
        self.begin("run", "run", 0);
        let mut at = 0;
        while let Some(first) = variant.ops.get(at) {
            let together = match &first.site {
                Some(_) => variant.ops[at..].iter().take_while(|op| op.site == first.site).count(),
                None => 1,
            };
            let until = at + together;
            let title = first.site.as_ref().map(|site| {
                let activation = variant.sites.iter().find(|known| known.node == *site);
                activation.map_or(site.clone(), |known| format!("{} {site}", known.to))
            });
            if let Some(title) = &title {
                self.begin(title, "site", places[at][0]);
            }
            for (op, place) in variant.ops[at..until].iter().zip(&places[at..until]) {
                self.op(op, *place);
            }
            if let Some(title) = &title {
                self.end(title, "site", [places[at][0], places[until - 1][1]], json!({ "ops": together }));
            }
            at = until;
        }
        if variant.ops.iter().any(|op| op.live_bytes.is_some()) {
            self.live(end, 0);
        }
        self.end("run", "run", [0, end], args);
        end
    }

    fn op(&mut self, op: &Op, place: [u64; 2]) {
        let name = match heat::place(op).filter(|_| op.site.is_none()) {
            Some(node) => format!("{} {node}", op.op),
            None => op.op.clone(),
        };
        self.begin(&name, "op", place[0]);
        if let Some(bytes) = op.live_bytes {
            self.live(place[0], bytes);
        }
        self.end(&name, "op", place, described(op));
    }

    fn live(&mut self, at: u64, bytes: u64) {
        self.counter("live memory", at, "MB", bytes as f64 / 1e6);
    }

    /// How fast and how hot the machine was when the measurement began, and when it ended.
    fn machine(&mut self, of: &str, record: &Record, end: u64) {
        let e = &record.environment;
        let known = |readings: &&BeforeAfter| readings.before.or(readings.after).is_some();
        if !e.frequency_khz.values().chain(e.temperature_mc.values()).any(|readings| known(&readings)) {
            return;
        }
        self.process(&format!("{of}machine, before and after the measurement"));
        let sorts = [
            (&e.frequency_khz, "frequency of CPU", "MHz"),
            (&e.temperature_mc, "temperature of", "degrees Celsius"),
        ];
        for (all, what, unit) in sorts {
            for (name, readings) in all {
                let ends = [(0, readings.before), (end, readings.after)];
                for (at, value) in ends.into_iter().filter_map(|(at, value)| Some((at, value?))) {
                    self.counter(&format!("{what} {name}"), at, unit, value as f64 / 1e3);
                }
            }
        }
    }
}

/// Where each op begins and ends in the run, and where the run ends, ns.
fn places(variant: &Variant) -> (Vec<[u64; 2]>, u64) {
    let (unaccounted, bookkeeping) =
        variant.profiled.map_or((0, None), |p| (p.unaccounted_ns, p.bookkeeping));
    // What isn't known to be elsewhere is behind the ops.
    let unknown = Bookkeeping { after_ns: unaccounted, ..Bookkeeping::default() };
    let Bookkeeping { before_ns, between_ns, after_ns, .. } = bookkeeping.unwrap_or(unknown);
    let gaps = variant.ops.len().saturating_sub(1).max(1) as u128;
    let gone = |gap: usize| (u128::from(between_ns) * gap as u128 / gaps) as u64;
    let mut ops = 0;
    let place = |(i, op): (usize, &Op)| {
        let start = before_ns + gone(i) + ops;
        ops += op.mean_ns;
        [start, start + op.mean_ns]
    };
    let places: Vec<[u64; 2]> = variant.ops.iter().enumerate().map(place).collect();
    let end = before_ns + between_ns + ops + after_ns;
    (places, end)
}

/// What is known of an op beside its time.
fn described(op: &Op) -> Value {
    let mut args = Map::new();
    let nodes: Vec<&String> = op.onnx.iter().filter(|node| !node.is_empty()).collect();
    add(&mut args, "nodes", (!nodes.is_empty()).then_some(nodes));
    add(&mut args, "kernel", op.kernel.as_ref());
    add(&mut args, "folded", (!op.folded.is_empty()).then_some(&op.folded));
    add(&mut args, "output", (!op.outputs.is_empty()).then_some(&op.outputs));
    add(
        &mut args,
        "share of the run, %",
        Some((op.share * 1e4).round() / 1e2).filter(|share| share.is_finite()),
    );
    add(&mut args, "in a batch, ms", op.batched_ns.map(ms));
    add(&mut args, "output bytes", op.output_bytes);
    add(&mut args, "scratch bytes", op.scratch_bytes);
    add(&mut args, "in the allocator, ms", op.allocator_ns.map(ms));
    Value::Object(args)
}

fn add(args: &mut Map<String, Value>, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        args.insert(name.into(), json!(value));
    }
}

/// Chrome's unit.
fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
