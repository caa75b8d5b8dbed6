//! `oplat worker` from outside: what a parent may rely on.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use oplat::onnx::Model;
use oplat::onnx::index::Index;
use oplat::protocol::{Input, Load, Loaded, Reply, Request};

use crate::support::{numbers, path};

struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_oplat"))
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().unwrap());
        Self { child, requests, replies }
    }

    fn ask(&mut self, request: &Request) -> Reply {
        self.send(&serde_json::to_string(request).unwrap());
        self.receive()
    }

    fn send(&mut self, line: &str) {
        writeln!(self.requests.as_mut().unwrap(), "{line}").unwrap();
    }

    fn receive(&mut self) -> Reply {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    fn load(&mut self, load: Load) -> Loaded {
        match self.ask(&Request::Load(load)) {
            Reply::Loaded(loaded) => loaded,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, load: Load) -> oplat::protocol::Failure {
        match self.ask(&Request::Load(load)) {
            Reply::Error(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn outputs(&mut self, dir: &Path) -> (Vec<f64>, oplat::protocol::Outputs) {
        let file = dir.join("outputs");
        let Reply::Outputs(outputs) = self.ask(&Request::Outputs { file: file.to_str().unwrap().into() })
        else {
            panic!("outputs")
        };
        (numbers(&file), outputs)
    }

    /// Everything that was written to stderr, after the end.
    fn end(mut self) -> String {
        drop(self.requests.take());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut text).unwrap();
        assert!(self.child.wait().unwrap().success());
        text
    }
}

fn load(model: &str) -> Load {
    Load { model: path(model).to_str().unwrap().to_owned(), seed: 1, ..Load::default() }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (difference / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

const MODELS: [&str; 12] = [
    "act_zoo",
    "encoder_gelu_erf",
    "fanout_silu",
    "if_branches",
    "minidet_leakyrelu",
    "minidet_mish",
    "minidet_relu",
    "minidet_silu",
    "minidet_silu_external",
    "minidet_silu_t25_dynamoexport",
    "rnn_lstm_gru",
    "siren",
];

#[test]
fn every_operator_has_its_onnx_nodes_and_no_node_is_left_over() {
    let mut worker = Worker::start();
    for name in MODELS {
        let loaded = worker.load(load(name));
        let model = Model::read(&path(name)).unwrap();
        let index = Index::new(&model);
        let covered: BTreeSet<usize> = loaded.ops.iter().flat_map(|op| op.onnx.iter().copied()).collect();
        for (i, node) in index.nodes.iter().enumerate() {
            let constant = node.outputs.iter().all(|&v| index.is_constant(v));
            assert!(constant || covered.contains(&i), "{name}: node {i} ({}) is left over", node.op());
        }
        for (i, op) in loaded.ops.iter().enumerate() {
            assert!(!op.onnx.is_empty(), "{name}: op {i} ({}) has no node", op.op);
            assert!(op.onnx.windows(2).all(|w| w[0] < w[1]), "{name}: op {i} is not ascending");
            let functions = op.onnx.iter().any(|&n| !index.nodes[n].domain().is_empty());
            if op.op == "OptMatMul" && !functions {
                let products = op.onnx.iter().filter(|&&n| {
                    ["Conv", "Gemm", "MatMul", "ConvTranspose", "LSTM", "GRU"].contains(&index.nodes[n].op())
                });
                assert_eq!(products.count(), 1, "{name}: op {i} {op:?}");
                assert!(op.kernel.is_some(), "{name}: op {i} names no kernel");
            }
        }
        assert!(loaded.macs.is_some_and(|n| n > 0), "{name}");
    }
}

#[test]
fn an_activation_merged_into_a_product_is_on_its_host() {
    let mut worker = Worker::start();
    for (name, activation, word) in
        [("minidet_leakyrelu", "LeakyRelu", "leaky_relu"), ("minidet_relu", "Relu", "relu")]
    {
        let loaded = worker.load(load(name));
        let model = Model::read(&path(name)).unwrap();
        let index = Index::new(&model);
        let mut merged = 0;
        for op in loaded.ops.iter().filter(|op| op.op == "OptMatMul") {
            let nodes = op.onnx.iter().filter(|&&n| index.nodes[n].is(activation)).count();
            assert_eq!(nodes, op.fused.iter().filter(|f| *f == word).count(), "{name}: {op:?}");
            merged += nodes;
        }
        assert!(merged > 8, "{name}: {merged}");
    }
}

#[test]
fn a_pattern_that_the_engine_knows_covers_all_its_nodes() {
    let mut worker = Worker::start();
    for (name, op, nodes) in [
        ("minidet_silu", "Silu", vec!["Sigmoid", "Mul"]),
        ("encoder_gelu_erf", "GeluExact", vec!["Div", "Erf", "Add", "Mul", "Mul"]),
    ] {
        let loaded = worker.load(load(name));
        let model = Model::read(&path(name)).unwrap();
        let index = Index::new(&model);
        for row in loaded.ops.iter().filter(|row| row.op == op) {
            let found: Vec<&str> = row.onnx.iter().map(|&n| index.nodes[n].op()).collect();
            assert_eq!(found, nodes, "{name}");
        }
    }
}

#[test]
fn a_body_is_one_row_with_all_its_nodes() {
    let loaded = Worker::start().load(load("if_branches"));
    let model = Model::read(&path("if_branches")).unwrap();
    let index = Index::new(&model);
    let branch = loaded.ops.iter().find(|op| op.op == "IfThenElse").unwrap();
    let inside = (0..index.nodes.len()).filter(|&n| index.nodes[n].owner.is_some());
    assert!(inside.clone().count() > 3);
    assert!(inside.clone().all(|n| branch.onnx.contains(&n)));
    assert!(
        loaded
            .ops
            .iter()
            .filter(|op| op.op != "IfThenElse")
            .all(|op| inside.clone().all(|n| !op.onnx.contains(&n)))
    );
}

#[test]
fn observing_changes_neither_the_order_nor_what_is_allocated() {
    let mut worker = Worker::start();
    for name in ["minidet_silu", "minidet_mish", "if_branches", "rnn_lstm_gru"] {
        let ops = worker.load(load(name)).ops.len();
        // The first run of all also allocates what the engine keeps.
        worker.ask(&Request::Run { trace: false });
        let Reply::Runs(plain) = worker.ask(&Request::Turn { runs: 3, warm: false }) else {
            panic!("a turn")
        };
        let Reply::Profile(profile) = worker.ask(&Request::Profile { runs: 2, warm: false }) else {
            panic!("a profile")
        };
        let Reply::Runs(again) = worker.ask(&Request::Turn { runs: 1, warm: false }) else {
            panic!("a turn")
        };
        assert_eq!((plain.runs_ns.len(), profile.runs_ns.len(), profile.ops_ns.len()), (3, 2, ops));
        assert!(plain.allocated.is_some_and(|allocated| allocated.allocations > 0), "{name}");
        assert!(cfg!(not(target_os = "linux")) || plain.in_turn.is_some_and(|turn| turn.runs == 4), "{name}");
        assert_eq!(profile.allocated, plain.allocated, "{name}");
        assert_eq!(again.allocated, plain.allocated, "{name}");
        assert_eq!(profile.order, (0..ops).collect::<Vec<_>>(), "{name}");
        for run in 0..2 {
            let explained: u64 = profile.ops_ns.iter().map(|op| op[run]).sum();
            assert!(0 < explained && explained <= profile.runs_ns[run], "{name}");
            // What no op explains holds what comes before the first and after the last.
            let [before, after] = profile.around_ns[run];
            assert!(before > 0 && after > 0, "{name}");
            assert!(explained + before + after <= profile.runs_ns[run], "{name}");
        }
    }
}

#[test]
fn repeating_ops_changes_nothing_and_leaves_out_what_has_a_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    for name in ["minidet_silu", "rnn_lstm_gru"] {
        let ops = worker.load(load(name)).ops;
        let plain = |worker: &mut Worker| match worker.ask(&Request::Turn { runs: 1, warm: false }) {
            Reply::Runs(runs) => (runs.allocated, worker.outputs(dir.path()).0),
            other => panic!("{other:?}"),
        };
        // The first run of all also allocates what the engine keeps.
        worker.ask(&Request::Run { trace: false });
        let before = plain(&mut worker);
        let asked: Vec<usize> = (0..ops.len()).skip(1).collect();
        let Reply::Batched(batched) = worker.ask(&Request::Batched { ops: asked.clone(), least_ns: 1 })
        else {
            panic!("batches")
        };
        assert_eq!(plain(&mut worker), before, "{name}");
        let coarse = Request::Batched { ops: asked, least_ns: 3_600_000_000_000 };
        let Reply::Batched(none) = worker.ask(&coarse) else { panic!("batches") };
        assert!(none.ops_ns.iter().all(Option::is_none), "no batch takes an hour");
        assert_eq!((batched.ops_ns.len(), batched.ops_ns[0]), (ops.len(), None));
        for (op, ns) in ops.iter().zip(&batched.ops_ns).skip(1) {
            if op.op.contains("Scan") || op.op == "GruSeq" {
                assert_eq!(*ns, None, "{name}: {op:?}");
            } else if op.elements < 1000 || op.op == "IntoShape" {
                assert!(ns.is_some_and(|ns| ns > 0), "{name}: {op:?}");
            }
        }
    }
    let Reply::Error(failure) = worker.ask(&Request::Batched { ops: vec![9999], least_ns: 1 }) else {
        panic!("refused")
    };
    assert!(failure.message.contains("no op 9999"));
}

#[test]
fn memory_adds_up() {
    let mut worker = Worker::start();
    let loaded = worker.load(load("minidet_silu"));
    let Reply::Memory(memory) = worker.ask(&Request::Memory) else { panic!("memory") };
    assert_eq!(memory.ops.len(), loaded.ops.len());
    assert!(memory.weights_bytes.is_some_and(|bytes| (280_001..320_000).contains(&bytes)));
    assert!(memory.peak_live_bytes <= memory.peak_heap_bytes);
    for (op, row) in loaded.ops.iter().zip(&memory.ops) {
        if op.op == "Silu" {
            assert_eq!(row.output_bytes, Some(0), "SiLU works in place");
        }
        if op.op == "OptMatMul" {
            assert!(row.output_bytes >= Some(4 * op.elements), "{op:?} {row:?}");
        }
        assert!(row.live_bytes <= memory.peak_live_bytes);
    }
}

/// Else glibc may give it back at the end of a run, depending on the blocks that the process has freed before.
#[test]
#[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
fn runs_use_the_memory_of_the_runs_before_them() {
    let faults_a_run = |knobs: &[(&str, &str)]| -> u64 {
        let mut worker = Worker::start();
        worker.load(Load {
            inputs: vec![Input { name: "input".into(), shape: vec![1, 3, 256, 256], dtype: None }],
            knobs: knobs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..load("minidet_silu_dynamic")
        });
        let mut turn = || match worker.ask(&Request::Turn { runs: 19, warm: false }) {
            Reply::Runs(runs) => runs.in_turn.expect("Linux counts them"),
            other => panic!("{other:?}"),
        };
        // Memory that a run asks for is new to the process until about then.
        turn();
        let settled = turn();
        settled.minor_faults / settled.runs
    };
    let of_processes = |knobs| -> u64 { (0..4).map(|_| faults_a_run(knobs)).sum() };
    let (kept, given_back) = (of_processes(&[]), of_processes(&[("OPLAT_KEEP_MEMORY", "0")]));
    // About 0 and 7,000.
    assert!(kept < 40 && kept * 8 < given_back, "{kept} faults where memory is kept, else {given_back}");
}

#[test]
fn one_seed_gives_one_output_in_any_process_and_another_seed_another() {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Worker::start(), Worker::start());
    a.load(load("minidet_mish"));
    b.load(load("minidet_mish"));
    let (first, counts) = a.outputs(dir.path());
    assert_eq!(counts.elements.iter().sum::<u64>(), first.len() as u64);
    assert!(first.iter().all(|x| x.is_finite()) && first.iter().any(|&x| x != 0.0));
    assert_eq!(a.outputs(dir.path()).0, first);
    assert_eq!(b.outputs(dir.path()).0, first);
    b.load(Load { seed: 2, ..load("minidet_mish") });
    assert_ne!(b.outputs(dir.path()).0, first);
}

#[test]
fn a_recurrent_network_begins_every_run_from_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    worker.load(load("rnn_lstm_gru"));
    let (first, _) = worker.outputs(dir.path());
    worker.ask(&Request::Turn { runs: 2, warm: false });
    worker.ask(&Request::Profile { runs: 1, warm: false });
    assert_eq!(worker.outputs(dir.path()).0, first);
}

/// `models/expected/*.f32` are the outputs of ONNX Runtime 1.32, unoptimised, for the inputs of seed 1.
#[test]
fn outputs_are_those_of_another_engine() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let names = [
        "act_zoo",
        "encoder_gelu_erf",
        "encoder_gelu_tanh",
        "if_branches",
        "minidet_mish",
        "rnn_lstm_gru",
        "siren",
    ];
    for name in names {
        worker.load(load(name));
        let bytes = std::fs::read(path(name).with_file_name(format!("expected/{name}.f32"))).unwrap();
        let expected: Vec<f64> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect();
        let far = distance(&worker.outputs(dir.path()).0, &expected);
        assert!(far < 1e-4, "{name}: {far}");
    }
}

#[test]
fn a_panic_in_the_engine_is_the_last_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::read(&path("siren")).unwrap();
    model.graph_mut().output[0].name = Some("nowhere".into());
    let file = dir.path().join("dangling");
    std::fs::write(&file, model.encode()).unwrap();
    let mut worker = Worker::start();
    let failure = worker.refused(Load { model: file.to_str().unwrap().into(), ..load("siren") });
    assert!(failure.message.contains("panicked") && !failure.message.contains('\n'), "{}", failure.message);
    let mut rest = String::new();
    worker.replies.read_line(&mut rest).unwrap();
    assert_eq!(rest, "", "it says no more");
    let output = worker.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.is_empty(), "nothing goes to the terminal");
}

#[test]
fn the_same_network_in_other_clothes_gives_the_same_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    worker.load(load("minidet_silu"));
    let (plain, _) = worker.outputs(dir.path());
    worker.load(load("minidet_silu_external"));
    assert!(distance(&worker.outputs(dir.path()).0, &plain) < 1e-5, "weights in another file");
    let dims = [("batch", 1), ("h", 96), ("w", 96)].map(|(n, v)| (n.to_owned(), v)).to_vec();
    worker.load(Load { dims, ..load("minidet_silu_dynamic") });
    assert!(distance(&worker.outputs(dir.path()).0, &plain) < 1e-5, "symbolic dimensions");
    let inputs = vec![Input { name: "input".into(), shape: vec![1, 3, 96, 96], dtype: None }];
    worker.load(Load { inputs, ..load("minidet_silu_dynamic") });
    assert!(distance(&worker.outputs(dir.path()).0, &plain) < 1e-5, "a shape instead");
    worker.load(Load { threads: 2, ..load("minidet_silu") });
    assert!(distance(&worker.outputs(dir.path()).0, &plain) < 1e-5, "two threads");
}

#[test]
fn a_bad_file_is_answered_and_the_worker_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let whole = std::fs::read(path("siren")).unwrap();
    let rows: [(&str, &[u8], &str); 3] = [
        ("empty", b"", "empty"),
        ("text", b"this is no model", "not an ONNX model"),
        ("cut", &whole[..whole.len() / 2], "cut short"),
    ];
    for (name, bytes, expected) in rows {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let failure = worker.refused(Load { model: file.to_str().unwrap().into(), ..load(name) });
        assert!(failure.message.contains(name) && failure.message.contains(expected), "{}", failure.message);
    }
    assert!(worker.refused(load("absent")).message.contains("cannot read"));
    let failure = worker.refused(load("minidet_silu_dynamic"));
    assert!(failure.message.contains("--dim batch=N"), "{}", failure.message);
    let mut model = Model::read(&path("siren")).unwrap();
    let last = model.graph_mut().node.last_mut().unwrap();
    last.op_type = Some("Nonsense".into());
    let unknown = dir.path().join("unknown");
    model.write(&unknown).unwrap();
    let failure = worker.refused(Load { model: unknown.to_str().unwrap().into(), ..load("siren") });
    assert!(failure.message.contains("no operator Nonsense"), "{}", failure.message);
    assert_eq!(Index::new(&model).nodes[failure.node.unwrap()].op(), "Nonsense");
    worker.load(load("siren"));
    assert!(matches!(worker.ask(&Request::Turn { runs: 1, warm: false }), Reply::Runs(_)));
    assert_eq!(worker.end(), "", "nothing goes to the terminal");
}

#[test]
fn a_traced_run_announces_every_operator() {
    let mut worker = Worker::start();
    let loaded = worker.load(load("siren"));
    assert!(matches!(worker.ask(&Request::Run { trace: true }), Reply::Runs(_)));
    let announced: Vec<String> = worker.end().lines().map(str::to_owned).collect();
    let expected: Vec<String> =
        loaded.ops.iter().map(|op| format!("at {}", op.onnx.last().unwrap())).collect();
    assert_eq!(announced, expected);
}

#[test]
fn requests_before_the_end_of_input_are_answered() {
    let mut worker = Worker::start();
    worker.send(&serde_json::to_string(&Request::Load(load("siren"))).unwrap());
    worker.send("{\"request\":\"turn\",\"runs\":2}");
    drop(worker.requests.take());
    assert!(matches!(worker.receive(), Reply::Loaded(_)));
    assert!(matches!(worker.receive(), Reply::Runs(_)));
    assert!(worker.child.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn an_impossible_cpu_is_refused() {
    let failure = Worker::start().refused(Load { cpus: vec![1000], ..load("siren") });
    assert!(failure.message.contains("cannot pin"), "{}", failure.message);
}

#[test]
fn a_kernel_works_in_place() {
    use oplat::activation::Activation;
    use oplat::swap::{self, Lowering};
    let model = Model::read(&path("minidet_silu")).unwrap();
    let found = swap::find(&model);
    let all: Vec<usize> = (0..found.sites.len()).collect();
    let mish = Activation::parse("mish").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kernel");
    swap::rewrite(&model, &found, &all, &mish, Lowering::Kernel).unwrap().model.write(&file).unwrap();
    let mut worker = Worker::start();
    let loaded = worker.load(Load { model: file.to_str().unwrap().into(), ..load("minidet_silu") });
    let Reply::Memory(memory) = worker.ask(&Request::Memory) else { panic!("memory") };
    let own = loaded.ops.iter().zip(&memory.ops).filter(|(op, _)| op.op == "oplat.Mish");
    let own: Vec<_> = own.collect();
    assert_eq!(own.len(), 18);
    for (op, memory) in own {
        // One allocation is the handle of the value, as for every operator of the engine.
        assert_eq!((memory.output_bytes, memory.scratch_bytes), (Some(0), Some(0)), "{op:?}");
    }
    worker.end();
}
