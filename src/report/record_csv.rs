//! Records as comma-separated values: one header, one row for every variant, op, type, site, …, for whoever goes
//! on in pandas, R or a spreadsheet.
//!
//! The column `row` says what a row is of: `variant` always, then the breakdowns that were asked for. Filter by it
//! first: a variant's time is in its own row, again in the sum of its ops, and so on. Times are nanoseconds, sizes
//! bytes, shares and ratios fractions of one; nothing is rounded, what isn't known is empty.

use super::csv::{columns, ends, known, line, number, role};
use super::verdict::word;
use super::{Breakdowns, By, NamedRecord, activations, facts, sites, types};
use crate::compare::across;
use crate::record::{Op, Record, Variant};
use crate::units;

columns! {
    struct RecordRow {
        /// The file; empty for a fresh record.
        record, started_at, model, model_sha256, target,
        /// What tells it from the other devices; those of the machine's own.
        device, host, soc,
        cpu, engine, denormals,
        /// `variant`, `type`, `op`, `site`, `shape` or `activation`.
        row,
        variant, role, rule, lowering, threads,
        /// `NAME=VALUE`, separated by spaces.
        knobs,
        /// Of an op in the engine's order.
        index,
        /// Operator; of a site: what computes it.
        op, kernel,
        /// Of an op: the ONNX node it is named by; of a site: its name.
        node,
        /// The site whose activation an op computes.
        site,
        activation_from, activation_to,
        /// Outputs of an op, as `1x64x40x40xf32`; of a site `1x64x40x40`.
        shape,
        /// Forks of a variant; ops of a type or shape; sites of an activation.
        count,
        /// Sites of an activation, or whether this one, merged into another op.
        folded,
        p50_ns, mean_ns, sd_ns, min_ns, p90_ns, p99_ns,
        /// Of the profiled run's mean.
        share,
        against, ratio, ratio_low, ratio_high, confidence, verdict,
        /// The paired difference to the control.
        activation_ns, activation_low_ns, activation_high_ns,
        /// Median of profiled runs, and these over plain ones.
        profiled_p50_ns, overhead_ratio, overhead_low, overhead_high, unaccounted_ns,
        /// Of what no op explains.
        before_ops_ns, between_ops_ns, after_ops_ns,
        output_bytes, scratch_bytes, live_bytes, allocator_ns, minor_faults,
        /// Of an op that is too short for the clock within a run.
        batched_ns,
        weights_bytes, peak_live_bytes, peak_heap_bytes, retained_bytes, peak_rss_bytes,
        error,
    }
}

/// Name and version of the engine that ran a variant.
fn engine(record: &Record, variant: &Variant) -> String {
    let engine = facts::engine(record, variant);
    format!("{} {}", engine.name, engine.version)
}

/// All records under one header.
pub fn render(records: &[NamedRecord], breakdowns: &Breakdowns) -> String {
    let mut out = String::new();
    line(&mut out, RecordRow::HEADER);
    for (named, device) in records.iter().zip(across::device_names(records)) {
        for variant in &named.record.variants {
            rows(named, &device, variant, breakdowns, &mut out);
        }
    }
    out
}

fn rows(named: &NamedRecord, device: &str, variant: &Variant, breakdowns: &Breakdowns, out: &mut String) {
    let timed = facts::timed(named.record);
    let common = RecordRow { device: device.to_owned(), ..common(named.name, named.record, variant) };
    whole(&common, variant, timed).write(out);
    for by in &breakdowns.by {
        match by {
            By::Type => grouped(&common, variant, types::TYPE, timed, out),
            By::Shape => grouped(&common, variant, types::SHAPE, timed, out),
            By::Op => variant.ops.iter().for_each(|o| op(&common, variant, o, timed).write(out)),
            By::Site => site_rows(&common, variant, timed, out),
            By::Activation => kind_rows(&common, variant, timed, out),
        }
    }
}

/// What every row of a variant begins with.
fn common(name: &str, record: &Record, variant: &Variant) -> RecordRow {
    let knobs = variant.knobs.iter().map(|(name, value)| format!("{name}={value}"));
    RecordRow {
        record: name.to_owned(),
        started_at: record.started_at.clone(),
        model: record.model.name.clone(),
        model_sha256: record.model.sha256.clone(),
        target: record.environment.target.clone(),
        host: record.environment.host.clone(),
        soc: across::soc(record).unwrap_or_default(),
        cpu: record.environment.cpu.clone().unwrap_or_default(),
        engine: engine(record, variant),
        denormals: record.settings.denormals.name().to_owned(),
        variant: variant.name.clone(),
        role: role(variant.role),
        rule: variant.rule.clone(),
        lowering: variant.lowering.name().to_owned(),
        threads: variant.threads.to_string(),
        knobs: knobs.collect::<Vec<_>>().join(" "),
        ..RecordRow::default()
    }
}

/// A variant's own row.
fn whole(common: &RecordRow, variant: &Variant, timed: bool) -> RecordRow {
    let mut row = RecordRow {
        row: "variant".into(),
        count: variant.forks.len().to_string(),
        error: variant.error.clone().unwrap_or_default(),
        ..common.clone()
    };
    if let Some(memory) = &variant.memory {
        row.weights_bytes = known(memory.weights_bytes);
        row.peak_live_bytes = known(memory.peak_live_bytes);
        row.peak_heap_bytes = known(memory.peak_heap_bytes);
        row.retained_bytes = known(memory.retained_bytes);
        row.peak_rss_bytes = known(memory.peak_rss_bytes);
    }
    if timed {
        row.times_of(variant);
    }
    row
}

impl RecordRow {
    fn times_of(&mut self, variant: &Variant) {
        if let Some(latency) = &variant.latency {
            self.p50_ns = latency.p50_ns.to_string();
            self.mean_ns = latency.mean_ns.to_string();
            self.sd_ns = latency.sd_ns.to_string();
            self.min_ns = latency.min_ns.to_string();
            self.p90_ns = latency.p90_ns.to_string();
            self.p99_ns = latency.p99_ns.to_string();
        }
        if let Some(delta) = &variant.delta {
            self.against = delta.against.clone();
            self.ratio = number(delta.ratio);
            [self.ratio_low, self.ratio_high] = ends(delta.interval);
            self.confidence = number(delta.confidence);
            self.verdict = word(delta.verdict).into();
        }
        if let Some(cost) = &variant.activation_cost {
            let interval = cost.interval.map(|ends| ends.map(|ns| ns.to_string()));
            self.activation_ns = cost.ns.to_string();
            [self.activation_low_ns, self.activation_high_ns] = interval.unwrap_or_default();
        }
        if let Some(profiled) = &variant.profiled {
            self.overhead_ratio = profiled.overhead_ratio.map_or(String::new(), number);
            self.profiled_p50_ns = profiled.p50_ns.to_string();
            [self.overhead_low, self.overhead_high] = ends(profiled.overhead_interval);
            self.unaccounted_ns = profiled.unaccounted_ns.to_string();
            self.before_ops_ns = known(profiled.bookkeeping.map(|b| b.before_ns));
            self.between_ops_ns = known(profiled.bookkeeping.map(|b| b.between_ns));
            self.after_ops_ns = known(profiled.bookkeeping.map(|b| b.after_ns));
        }
    }
}

fn op(common: &RecordRow, variant: &Variant, op: &Op, timed: bool) -> RecordRow {
    let site = op.site.as_ref().and_then(|node| variant.sites.iter().find(|s| s.node == *node));
    let mut row = RecordRow {
        row: "op".into(),
        index: op.index.to_string(),
        op: op.op.clone(),
        kernel: op.kernel.clone().unwrap_or_default(),
        node: op.node.clone(),
        site: op.site.clone().unwrap_or_default(),
        activation_from: site.map(|s| s.from.clone()).unwrap_or_default(),
        activation_to: site.map(|s| s.to.clone()).unwrap_or_default(),
        shape: op.outputs.join(" "),
        folded: op.folded.len().to_string(),
        ..common.clone()
    };
    if variant.memory.is_some() {
        row.output_bytes = known(op.output_bytes);
        row.scratch_bytes = known(op.scratch_bytes);
        row.live_bytes = known(op.live_bytes);
        row.minor_faults = known(op.minor_faults);
    }
    if timed && !op.fork_mean_ns.is_empty() {
        row.p50_ns = op.p50_ns.to_string();
        row.mean_ns = op.mean_ns.to_string();
        row.sd_ns = op.sd_ns.to_string();
        row.min_ns = op.min_ns.to_string();
        row.p90_ns = op.p90_ns.to_string();
        row.share = number(op.share);
        row.allocator_ns = known(op.allocator_ns);
        row.batched_ns = known(op.batched_ns);
    }
    row
}

/// Mean and share of several ops together.
fn timing(row: &mut RecordRow, variant: &Variant, ns: Option<u64>, timed: bool) {
    if let Some(ns) = ns.filter(|_| timed && variant.profiled.is_some()) {
        row.mean_ns = ns.to_string();
        row.share = types::share(variant, ns).map_or(String::new(), number);
    }
}

fn grouped(common: &RecordRow, variant: &Variant, group: types::Group, timed: bool, out: &mut String) {
    for (name, total) in types::totals(variant, group) {
        let mut row = RecordRow { row: group.name.into(), count: total.ops.to_string(), ..common.clone() };
        match group.name {
            "shape" => row.shape = name.to_owned(),
            _ => row.op = name.to_owned(),
        }
        timing(&mut row, variant, total.ns(), timed);
        row.write(out);
    }
}

fn site_rows(common: &RecordRow, variant: &Variant, timed: bool, out: &mut String) {
    for site in &variant.sites {
        let found = sites::time(variant, site);
        let ns = found.ns();
        let mut row = RecordRow {
            row: "site".into(),
            op: found.place,
            node: site.node.clone(),
            activation_from: site.from.clone(),
            activation_to: site.to.clone(),
            shape: units::dimensions(&site.shape),
            folded: u8::from(site.folded_into.is_some()).to_string(),
            ..common.clone()
        };
        timing(&mut row, variant, ns, timed);
        row.write(out);
    }
}

fn kind_rows(common: &RecordRow, variant: &Variant, timed: bool, out: &mut String) {
    for kind in activations::totals(variant) {
        let mut row = RecordRow {
            row: "activation".into(),
            activation_to: kind.name.to_owned(),
            count: kind.sites.to_string(),
            folded: kind.folded.to_string(),
            ..common.clone()
        };
        timing(&mut row, variant, kind.ns(), timed);
        row.write(out);
    }
}
