//! What measuring costs: our runs against a bare loop around the engine, and profiled runs against plain ones. Sizes and engines
//! may be given: `cargo bench --bench overhead -- 640 ort`.
//!
//! Everybody is a process of its own, started anew for each fork, pinned to the same CPU and on the clock by turns, since
//! processes of one program differ more than any of this costs. There are two bare loops around tract. glibc may give a run's memory
//! back at its end, page by page, or keep it; which of them a program gets hangs on the blocks that it has freed before.
//! So one is left alone, and one is told to keep it once it has loaded, as ours is
//! (see [`oplat::process::heap::Counting::settle`]).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use oplat::device::{self, Interrupt, Target, Worker};
use oplat::environment::default_cpus;
use oplat::process::cpu;
use oplat::protocol::{EngineChoice, Input, Load, Reply, Request};
use oplat::stats::{Mean, Samples};
use oplat::zoo;

/// With yolov5n at 640 a fork's ratio scatters by 2 to 3%, and an interval should show a difference of 1%.
const FORKS: usize = 100;
const ROUNDS: usize = 4;
const CONFIDENCE: f64 = 0.99;
/// What a turn takes, about, but it has two timed runs at least.
const TURN: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(60);

/// The argument that makes this program a bare loop.
const BARE: &str = "bare-loop";
/// Its last argument: around which engine, and whether memory is kept from run to run.
const KEPT: &str = "kept";
const LEFT: &str = "left";
const ORT: &str = "ort";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [first, file, size, cpu, which] if first == BARE => {
            let (size, cpu) = (size.parse().expect("a size"), cpu.parse().expect("a CPU"));
            cpu::pin(&[cpu]).expect("a CPU that is there");
            let (file, shape) = (Path::new(file), shape(size));
            match which.as_str() {
                ORT => oplat_ort::bare::serve(file, &shape).expect("the bare loop runs"),
                memory => {
                    oplat_tract::bare::serve(file, &shape, memory == KEPT).expect("the bare loop runs");
                }
            }
        }
        // Cargo adds an argument of its own.
        asked => {
            let sizes: Vec<usize> = asked.iter().filter_map(|size| size.parse().ok()).collect();
            let sizes = if sizes.is_empty() { vec![160, 320, 640] } else { sizes };
            let engines: Vec<&str> =
                ["tract", ORT].into_iter().filter(|e| asked.iter().any(|a| a == e)).collect();
            let engines = if engines.is_empty() { vec!["tract"] } else { engines };
            for engine in engines {
                sizes.iter().for_each(|&size| compare(engine, size));
            }
        }
    }
}

fn shape(size: usize) -> [usize; 4] {
    [1, 3, size, size]
}

/// One of those that take turns.
trait Runner {
    /// One run that isn't timed, and `runs` that are, ns.
    fn turn(&mut self, runs: u32) -> Vec<u64>;
}

struct Bare {
    child: Child,
    orders: ChildStdin,
    times: BufReader<ChildStdout>,
}

impl Bare {
    fn start(file: &Path, size: usize, cpu: usize, memory: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([
                BARE,
                file.to_str().expect("a path in UTF-8"),
                &size.to_string(),
                &cpu.to_string(),
                memory,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a bare loop starts");
        let orders = child.stdin.take().expect("piped");
        let times = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, orders, times }
    }
}

impl Runner for Bare {
    fn turn(&mut self, runs: u32) -> Vec<u64> {
        let mut times = String::new();
        writeln!(self.orders, "{runs}").expect("the bare loop listens");
        self.times.read_line(&mut times).expect("the bare loop answers");
        times.split_whitespace().map(|ns| ns.parse().expect("nanoseconds")).collect()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // What can't be ended has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our worker, plain or profiled.
struct Ours {
    worker: Box<dyn Worker>,
    profiled: bool,
}

impl Ours {
    fn start(engine: &str, file: &Path, size: usize, cpu: usize, profiled: bool) -> Self {
        let target = device::Command::new(env!("CARGO_BIN_EXE_oplat")).expect("a path");
        let mut worker = target.start(&Interrupt::default()).expect("a worker starts");
        let load = Load {
            model: file.display().to_string(),
            inputs: vec![Input { name: "images".into(), shape: shape(size).to_vec(), dtype: None }],
            cpus: vec![cpu],
            engine: Some(EngineChoice { name: engine.to_owned(), library: None }),
            ..Load::default()
        };
        match worker.ask(&Request::Load(load), PATIENCE).expect("a worker answers") {
            Reply::Loaded(_) => Self { worker, profiled },
            other => panic!("the worker says {other:?}"),
        }
    }
}

impl Runner for Ours {
    fn turn(&mut self, runs: u32) -> Vec<u64> {
        let request = match self.profiled {
            false => Request::Turn { runs, warm: false },
            true => Request::Profile { runs, warm: false },
        };
        match self.worker.ask(&request, PATIENCE).expect("the worker runs") {
            Reply::Runs(runs) => runs.runs_ns,
            Reply::Profile(profile) => profile.runs_ns,
            other => panic!("the worker says {other:?}"),
        }
    }
}

/// Those that take turns: the bare loops, ours, and ours profiled.
fn runners(engine: &str, file: &Path, size: usize, cpu: usize) -> Vec<Box<dyn Runner>> {
    let loops = if engine == ORT { &[ORT][..] } else { &[LEFT, KEPT] };
    let bare = loops.iter().map(|which| -> Box<dyn Runner> { Box::new(Bare::start(file, size, cpu, which)) });
    let ours = [false, true]
        .map(|profiled| -> Box<dyn Runner> { Box::new(Ours::start(engine, file, size, cpu, profiled)) });
    bare.chain(ours).collect()
}

/// The median of each of them in one fork, ns.
fn fork(engine: &str, file: &Path, size: usize, cpu: usize) -> Vec<f64> {
    let mut all = runners(engine, file, size, cpu);
    let first = all.iter_mut().map(|one| one.turn(1)[0]).min().expect("there are some");
    let runs = (TURN.as_nanos() as u64 / first).max(2) as u32;
    let mut times = vec![Vec::<u64>::new(); all.len()];
    for round in 0..ROUNDS {
        // Everybody is first, and last, and comes after others than in the round before.
        for turn in 0..all.len() {
            let turn = if round % 2 == 0 { turn } else { all.len() - 1 - turn };
            let who = (round + turn) % all.len();
            times[who].extend(all[who].turn(runs));
        }
    }
    times.iter().map(|times| Samples::from_ns(times).expect("there were runs").median()).collect()
}

fn compare(engine: &str, size: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("model.onnx");
    zoo::build("yolov5n", Some(&shape(size).map(|n| n as i64)))
        .and_then(|model| model.write(&file))
        .expect("a built-in model");
    let cpu = default_cpus(1)[0];
    let forks: Vec<Vec<f64>> = (0..FORKS).map(|_| fork(engine, &file, size, cpu)).collect();
    let ratio = |of: usize, to: usize| {
        let ratios = Samples::new(forks.iter().map(|fork| (fork[of] / fork[to]).ln())).expect("forks");
        let ratio = Mean::of(&ratios).estimate(CONFIDENCE).exp();
        let interval = ratio.interval.expect("more than one fork");
        format!("{:.4} [{:.4}, {:.4}]", ratio.point, interval.low, interval.high)
    };
    println!("yolov5n at {size} in {engine}, {FORKS} forks:");
    if engine == ORT {
        println!("  ours / bare loop                   {}", ratio(1, 0));
        println!("  profiled / plain                   {}", ratio(2, 1));
    } else {
        println!("  ours / bare loop with memory kept  {}", ratio(2, 1));
        println!("  ours / bare loop left alone        {}", ratio(2, 0));
        println!("  left alone / with memory kept      {}", ratio(0, 1));
        println!("  profiled / plain                   {}", ratio(3, 2));
    }
}
