//! Records made up for tests: plausible figures, no measurement.

use crate::record::*;

pub const MS: u64 = 1_000_000;
const MB: u64 = 1_000_000;

/// A small detector with a folded site, an op of each sort and mish in five passes.
pub fn record() -> Record {
    Record {
        schema: SCHEMA.into(),
        oplat: Oplat { version: "0.1.0".into(), profile: "dev".into(), debug_assertions: false },
        started_at: "2026-01-02T03:04:05Z".into(),
        command: vec!["oplat".into(), "profile".into(), "yolov5s.onnx".into()],
        engine: Engine {
            name: "tract".into(),
            version: "0.23.9".into(),
            isa: vec!["avx512".into(), "fma".into()],
            libc: "glibc 2.36".into(),
            allocator: "system".into(),
            ..Default::default()
        },
        engines: vec![],
        environment: Environment {
            target: "local".into(),
            affinity: vec![1],
            cores: 2,
            timer_ns: 25,
            host: "board".into(),
            arch: "x86_64".into(),
            cpu: Some("Some CPU 9".into()),
            os: "Board Linux 12, Linux 6.1.0".into(),
            memory_bytes: Some(8_000_000_000),
            available_bytes: Some(6_500_000_000),
            clusters: vec![Cluster {
                cpus: vec![0, 1],
                core: None,
                capacity: None,
                max_khz: Some(3_400_000),
            }],
            governor: vec!["performance".into()],
            frequency_khz: [("1".to_owned(), readings([3_400_000, 3_100_000, 3_400_000]))].into(),
            temperature_mc: [
                ("0 (acpitz)".to_owned(), readings([41_000, 42_000, 42_000])),
                ("1 (x86_pkg_temp)".to_owned(), readings([52_000, 67_000, 61_000])),
            ]
            .into(),
            throttle: [(
                "cpu 1 core".to_owned(),
                Throttle { kind: ThrottleKind::Counter, reading: readings([3, 3, 3]) },
            )]
            .into(),
            steal: Some(0.03),
            huge_pages: Some("madvise".into()),
            hypervisor: Some("KVM".into()),
            warnings: vec!["shared machine: 3% of the CPU time was stolen".into(); 2],
            ..Default::default()
        },
        imported: vec![],
        model: Model {
            name: "yolov5s".into(),
            source: "built in".into(),
            inputs: vec![Input { name: "images".into(), shape: vec![1, 3, 640, 640], dtype: "f32".into() }],
            parameters: 7_225_885,
            ..Default::default()
        },
        models: vec![],
        settings: Settings {
            forks: 8,
            rounds: vec![3; 8],
            runs_per_turn: 2,
            time_limit_ns: 40_000 * MS,
            threads: 1,
            confidence: 0.99,
            elapsed_ns: Some(41_300 * MS),
            ..Default::default()
        },
        order: vec![],
        variants: vec![original(), mish(), control()],
    }
}

fn readings([before, during, after]: [i64; 3]) -> BeforeAfter {
    let mut readings = BeforeAfter::first(before);
    readings.note(during);
    readings.note(after);
    readings
}

fn skipped() -> Vec<Skipped> {
    let decode = |i| Skipped {
        node: format!("/model.24/Sigmoid_{i}"),
        op: "Sigmoid".into(),
        reason: "decode: it turns a prediction into a number".into(),
    };
    (0..3).map(decode).collect()
}

fn sites(to: &str, folded_into: Option<usize>) -> Vec<Site> {
    let site = |i: usize| Site {
        node: format!("/model.{i}/act/Mul"),
        from: "silu".into(),
        to: to.into(),
        lowering: None,
        shape: vec![1, 32 << i, 320 >> i, 320 >> i],
        folded_into: folded_into.filter(|_| i == 2),
    };
    (0..3).map(site).collect()
}

/// A variant without figures.
pub fn variant(name: &str, role: Role, rule: &str, sites: Vec<Site>) -> Variant {
    Variant {
        name: name.into(),
        engine: "tract".into(),
        across: None,
        role,
        rule: rule.into(),
        lowering: Lowering::Exported,
        threads: 1,
        knobs: Default::default(),
        sites,
        skipped: skipped(),
        forks: vec![],
        latency: None,
        delta: None,
        steadiness: None,
        profiled: None,
        activation_cost: None,
        memory: None,
        output_change: None,
        ops: vec![],
        error: None,
        model: None,
        group: 0,
        refused: false,
        bug: false,
    }
}

pub fn op(index: usize, op: &str, node: &str, mean_ns: u64) -> Op {
    Op {
        index,
        op: op.into(),
        node: node.into(),
        onnx: vec![node.into()],
        mean_ns,
        share: mean_ns as f64 / (325.0 * MS as f64),
        output_bytes: Some(13_107_200),
        scratch_bytes: Some(74_000),
        live_bytes: Some(41 * MB),
        allocator_ns: Some(mean_ns / 40),
        ..Default::default()
    }
}

fn convolution(index: usize, node: &str, mean_ns: u64) -> Op {
    Op { kernel: Some("avx512_mmm_f32_16x12".into()), ..op(index, "OptMatMul", node, mean_ns) }
}

fn latency(p50: f64) -> Option<Latency> {
    let ns = |ms: f64| (ms * MS as f64) as u64;
    Some(Latency {
        p50_ns: ns(p50),
        mean_ns: ns(p50 * 1.002),
        sd_ns: ns(p50 * 0.01),
        min_ns: ns(p50 * 0.98),
        p90_ns: ns(p50 * 1.018),
        p99_ns: ns(p50 * 1.04),
    })
}

pub fn delta(ratio: f64, low: f64, high: f64, verdict: Verdict) -> Option<Delta> {
    Some(Delta {
        against: "original".into(),
        ratio,
        interval: Some([low, high]),
        confidence: 0.995,
        verdict,
        resolution: Some((high - low) / 2.0),
    })
}

fn memory(heap: u64) -> Option<Memory> {
    Some(Memory {
        weights_bytes: Some(28_903_540),
        peak_live_bytes: Some(heap - 4 * MB),
        peak_heap_bytes: Some(heap),
        retained_bytes: Some(1_200_000),
        peak_rss_bytes: Some(heap + 56 * MB),
    })
}

fn profiled(p50: f64, unaccounted_ns: u64) -> Option<Profiled> {
    let part = unaccounted_ns / 10;
    let bookkeeping =
        Bookkeeping { before_ns: part, between_ns: 8 * part, after_ns: part, clock_ns: unaccounted_ns / 50 };
    Some(Profiled {
        p50_ns: (p50 * MS as f64) as u64,
        overhead_ratio: Some(1.004),
        overhead_interval: Some([1.002, 1.006]),
        unaccounted_ns,
        bookkeeping: Some(bookkeeping),
    })
}

fn original() -> Variant {
    let at = |o: Op, node: &str| Op { site: Some(node.into()), ..o };
    Variant {
        latency: latency(325.1),
        profiled: profiled(326.4, 900_000),
        memory: memory(41 * MB),
        activation_cost: Some(ActivationCost {
            ns: 7_900_000,
            interval: Some([6_800_000, 9_000_000]),
            share: 0.0243,
        }),
        output_change: Some(OutputChange::default()),
        ops: vec![
            convolution(0, "/model.0/conv/Conv", 120 * MS),
            at(op(1, "Silu", "/model.0/act/Mul", 4 * MS), "/model.0/act/Mul"),
            convolution(2, "/model.1/conv/Conv", 110 * MS),
            at(op(3, "Silu", "/model.1/act/Mul", 3 * MS), "/model.1/act/Mul"),
            convolution(4, "/model.2/conv/Conv", 84 * MS),
            at(op(5, "Silu", "/model.2/act/Mul", 400_000), "/model.2/act/Mul"),
            op(6, "Reshape", "/model.24/Reshape", 800),
        ],
        ..variant("original", Role::Original, "", sites("silu", None))
    }
}

fn mish() -> Variant {
    let mut ops = vec![
        convolution(0, "/model.0/conv/Conv", 120 * MS),
        convolution(1, "/model.1/conv/Conv", 111 * MS),
        Op {
            generic_kernel: true,
            kernel: Some("generic_f32_4x4".into()),
            folded: vec!["/model.2/act/Mul".into()],
            ..convolution(2, "/model.2/conv/Conv", 85 * MS)
        },
    ];
    for site in 0..2 {
        for (i, name) in ["Exp", "Add", "Ln", "Tanh", "Mul"].into_iter().enumerate() {
            let node = format!("/model.{site}/act/Mul");
            let ns = (6 - i as u64) * 2 * MS / (site + 1);
            ops.push(Op { site: Some(node.clone()), ..op(ops.len(), name, &node, ns) });
        }
    }
    ops[3].minor_faults = Some(1_600);
    Variant {
        latency: latency(374.2),
        delta: delta(1.151, 1.144, 1.159, Verdict::Slower),
        profiled: profiled(375.3, 1_100_000),
        memory: memory(54 * MB),
        activation_cost: Some(ActivationCost {
            ns: 56_400_000,
            interval: Some([55_000_000, 57_800_000]),
            share: 0.151,
        }),
        output_change: Some(OutputChange {
            max_abs: 3.1,
            relative_l2: 0.412,
            non_finite: Some(0),
            subnormal: Some(12_345),
        }),
        ops,
        ..variant("mish, exported", Role::Swap, "mish", sites("mish", Some(2)))
    }
}

fn control() -> Variant {
    Variant {
        latency: latency(317.2),
        delta: delta(0.976, 0.970, 0.982, Verdict::Faster),
        profiled: profiled(318.0, 900_000),
        memory: memory(41 * MB),
        output_change: Some(OutputChange {
            max_abs: 9.4,
            relative_l2: 1.203,
            non_finite: Some(0),
            subnormal: Some(0),
        }),
        ops: vec![convolution(0, "/model.0/conv/Conv", 315 * MS)],
        ..variant("control", Role::Control, "identity", sites("identity", None))
    }
}

/// The record as a device of this name and CPU would make it, in 8 forks whose ratios scatter by half a per cent: mish takes
/// so many times as long as the original there.
pub fn on_device(host: &str, cpu: &str, mish: f64) -> Record {
    let mut record = record();
    record.environment.host = host.into();
    record.environment.cpu = Some(cpu.into());
    let mut random = crate::random::SplitMix64::named(host);
    for (at, ratio) in [1.0, mish, 0.976].into_iter().enumerate() {
        let mut fork = |number| {
            let noise = (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0;
            let ns = 325.0 * MS as f64 * ratio * (0.0035 * noise).exp();
            Fork { number: Some(number), rounds: vec![vec![ns as u64]], ..Fork::default() }
        };
        record.variants[at].forks = (0..8).map(&mut fork).collect();
    }
    crate::figures::make(&mut record);
    record
}

/// So many devices of so many CPUs, in turn, that differ by some per cent.
pub fn lab(devices: usize, cpus: usize) -> Vec<(String, Record)> {
    let mut random = crate::random::SplitMix64::new(25);
    let spread: Vec<f64> = (0..devices.max(cpus)).map(|_| random.symmetric()).collect();
    let device = |at: usize| {
        let (host, cpu) = (format!("board-{at}"), at % cpus);
        let mish = 1.12 * (0.05 * spread[cpu] + 0.01 * spread[at]).exp();
        (format!("{host}.json"), on_device(&host, &format!("Cortex-A7{cpu}"), mish))
    };
    (0..devices).map(device).collect()
}

pub fn named(records: &[(String, Record)]) -> Vec<crate::compare::NamedRecord<'_>> {
    records.iter().map(|(name, record)| crate::compare::NamedRecord { name, record }).collect()
}
