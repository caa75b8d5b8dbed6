//! A world of scripted workers: its time passes only as they say, and it counts who is alive.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{End, Lost, Target, Worker};
use crate::error::{Error, Result};
use crate::measure::{Clock, Interrupt, Measurement, Only, Planned, Rest, Subject, Until};
use crate::onnx::Model;
use crate::onnx::messages::{GraphProto, ModelProto, NodeProto};
use crate::protocol::{
    self, Batched, Failure, Load, Loaded, Memory, OpMemory, Outputs, Profile, Reply, Request, Runs,
};
use crate::record::{self, InTurns, Role};
use crate::swap::{Variant, VariantSite};

/// What a scripted worker knows when it is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    pub variant: usize,
    /// Workers of this variant started so far, this one included.
    pub start: usize,
    /// Turns, plain and profiled, that this worker has been asked for.
    pub turns: usize,
}

/// An answer out of the ordinary; `None` for the ordinary one.
pub type Script = dyn Fn(Moment, &Request) -> Option<Result<Reply, Lost>>;

pub struct World {
    pub now: Cell<Duration>,
    /// Nanoseconds of a run of each variant.
    run_ns: Vec<u64>,
    pub load: Duration,
    starts: RefCell<HashMap<usize, usize>>,
    pub alive: Cell<usize>,
    /// Workers that can still be started.
    pub startable: Cell<usize>,
    /// Whether the target can be reached when it is looked for.
    pub reachable: Cell<bool>,
    /// How many runs the memory of a variant takes; its outputs take half as many.
    pub survey_runs: Cell<u64>,
    /// Step of its clock.
    pub timer_ns: Cell<u64>,
    /// Whether its engine can repeat an op, and whether it shows the numbers that ops put out.
    pub batches: Cell<bool>,
    pub counts: Cell<bool>,
    /// CPUs on which workers may be made ready at once.
    pub ready_on: RefCell<Vec<usize>>,
    /// Workers that were asked to load and haven't answered, and the most that there were at once.
    loading: Cell<usize>,
    pub most_loading: Cell<usize>,
    /// The most that the first process of a variant takes; each later one takes a byte more.
    pub peak_rss_bytes: Cell<u64>,
    /// Memory that the machine says it has to give.
    pub available_bytes: Cell<Option<u64>>,
    files: RefCell<HashMap<String, Vec<u8>>>,
    noise: Cell<u64>,
    /// What processes draw when they start.
    lots: Cell<u64>,
    pub climate: Climate,
    /// Where a machine-wide wave stands.
    wave: Cell<f64>,
    script: Box<Script>,
}

/// What a machine does to the runs of its workers, beside a little noise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Climate {
    /// Each fork has a speed of its own, the same for all of its variants.
    #[default]
    Usual,
    /// Every run takes this share longer than the one before.
    Warming(f64),
    /// A third of the processes run 1.2 times as long, all their life.
    TwoModes,
    /// One process in sixteen takes twice as long, all its life.
    Odd,
    /// Run times hang together: a wave of 5% that lasts for about twenty runs.
    Waves,
    /// From then on everything takes 1.6 times as long.
    Throttled(Duration),
    /// One run in ten waits for something else, for up to twice its own time.
    Interrupted,
}

impl Clock for Rc<World> {
    fn elapsed(&self) -> Duration {
        self.now.get()
    }
}

impl World {
    pub fn new(
        run_ns: &[u64],
        script: impl Fn(Moment, &Request) -> Option<Result<Reply, Lost>> + 'static,
    ) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::default(),
            run_ns: run_ns.to_vec(),
            load: Duration::from_millis(50),
            starts: RefCell::default(),
            alive: Cell::default(),
            startable: Cell::new(usize::MAX),
            reachable: Cell::new(true),
            survey_runs: Cell::default(),
            timer_ns: Cell::default(),
            batches: Cell::new(true),
            counts: Cell::new(true),
            ready_on: RefCell::default(),
            loading: Cell::default(),
            peak_rss_bytes: Cell::new(1001),
            most_loading: Cell::default(),
            available_bytes: Cell::default(),
            files: RefCell::default(),
            noise: Cell::new(1),
            lots: Cell::new(1),
            climate: Climate::default(),
            wave: Cell::default(),
            script: Box::new(script),
        })
    }

    /// The same machine on another day.
    pub fn on_day(run_ns: &[u64], climate: Climate, day: u64) -> Rc<Self> {
        let world = Rc::into_inner(Self::new(run_ns, |_, _| None)).expect("just made");
        Rc::new(Self { climate, noise: Cell::new(day), lots: Cell::new(!day), ..world })
    }

    /// The same, with answers out of the ordinary.
    pub fn scripted(
        self,
        script: impl Fn(Moment, &Request) -> Option<Result<Reply, Lost>> + 'static,
    ) -> Rc<Self> {
        Rc::new(Self { script: Box::new(script), ..self })
    }

    fn uniform(&self) -> f64 {
        Self::draw(&self.noise)
    }

    fn draw(state: &Cell<u64>) -> f64 {
        let next = state.get().wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state.set(next);
        (next >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Up to 1% either way, the same in every test run.
    fn jitter(&self) -> f64 {
        1.0 + 0.02 * (self.uniform() - 0.5)
    }

    /// How many times its usual time the next run of a process takes.
    fn weather(&self, process: f64, run: usize) -> f64 {
        match self.climate {
            Climate::Usual => 1.0,
            Climate::Warming(share) => (share * run as f64).exp(),
            Climate::TwoModes if process < 1.0 / 3.0 => 1.2,
            Climate::Odd if process < 1.0 / 16.0 => 2.0,
            Climate::TwoModes | Climate::Odd => 1.0,
            Climate::Waves => {
                self.wave.set(0.95 * self.wave.get() + 0.05 * (self.uniform() - 0.5));
                self.wave.get().exp()
            }
            Climate::Throttled(at) if self.now.get() >= at => 1.6,
            Climate::Throttled(_) => 1.0,
            Climate::Interrupted if self.uniform() < 0.1 => 1.0 + 2.0 * self.uniform(),
            Climate::Interrupted => 1.0,
        }
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }
}

pub struct Fake(pub Rc<World>);

struct FakeWorker {
    world: Rc<World>,
    moment: Moment,
    /// What the process drew when it started, 0 to 1.
    lot: f64,
    /// Runs that it has made.
    ran: Cell<usize>,
    /// What it was asked and hasn't answered yet.
    asked: VecDeque<Request>,
}

impl Target for Fake {
    fn name(&self) -> String {
        "fake".into()
    }

    fn emulated(&self) -> bool {
        false
    }

    fn check(&self, _: &Interrupt) -> Result<()> {
        if self.0.reachable.get() { Ok(()) } else { Err(Error::lost("target fake: no route to it")) }
    }

    fn put(&self, folder: &Path) -> Result<String> {
        Ok(folder.display().to_string())
    }

    fn get(&self, path: &str, _: u64) -> Result<Vec<u8>> {
        self.0.files.borrow().get(path).cloned().ok_or_else(|| Error::lost("no such file"))
    }

    fn start(&self, _: &Interrupt) -> Result<Box<dyn Worker>> {
        if self.0.startable.get() == 0 {
            return Err(Error::lost("cannot start"));
        }
        self.0.startable.set(self.0.startable.get() - 1);
        self.0.alive.set(self.0.alive.get() + 1);
        Ok(Box::new(FakeWorker {
            world: Rc::clone(&self.0),
            moment: Moment::default(),
            lot: World::draw(&self.0.lots),
            ran: Cell::default(),
            asked: VecDeque::new(),
        }))
    }
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.world.alive.set(self.world.alive.get() - 1);
    }
}

impl FakeWorker {
    /// Runs, the untimed one included: each fork has a speed of its own, which is the same for all variants.
    fn runs(&self, runs: u32, warm: bool, slower: f64) -> Vec<u64> {
        let fork = 1.0 + 0.1 * (self.moment.start as f64).sin();
        let ns = self.world.run_ns[self.moment.variant] as f64 * fork * slower;
        let run = || {
            let run = self.ran.replace(self.ran.get() + 1);
            let ns = (ns * self.world.jitter() * self.world.weather(self.lot, run)) as u64;
            self.world.pass(Duration::from_nanos(ns));
            ns
        };
        if !warm {
            run();
        }
        (0..runs).map(|_| run()).collect()
    }

    /// Runs of which no time is told.
    fn survey(&self, runs: u64) {
        self.world.pass(Duration::from_nanos(runs * self.world.run_ns[self.moment.variant]));
    }

    fn plain(&self, runs: u32, warm: bool) -> Reply {
        Reply::Runs(Runs {
            runs_ns: self.runs(runs, warm, 1.0),
            peak_rss_bytes: Some(self.world.peak_rss_bytes.get() + self.moment.start as u64 - 1),
            minor_faults: Some(7),
            involuntary_switches: None,
            in_turn: Some(InTurns { runs: u64::from(runs), minor_faults: 2, involuntary_switches: 0 }),
            allocated: None,
        })
    }

    fn loaded(&self) -> Reply {
        self.world.pass(self.world.load);
        let op = |op: &str, onnx: &[usize]| protocol::Op {
            op: op.into(),
            onnx: onnx.to_vec(),
            outputs: vec!["1x4xf32".into()],
            ..Default::default()
        };
        Reply::Loaded(Loaded {
            load_ns: 30,
            optimise_ns: 20,
            inputs: vec![protocol::Input { name: "x".into(), shape: vec![1, 4], dtype: Some("f32".into()) }],
            ops: vec![op("Conv", &[0]), op("Relu", &[1])],
            macs: Some(99),
            shapes: vec![],
            rss_bytes: None,
            engine: record::Engine { name: "fake".into(), ..Default::default() },
            abilities: protocol::Abilities { batched: self.world.batches.get(), ..Default::default() },
        })
    }

    fn profile(&self, runs: u32, warm: bool) -> Reply {
        let runs_ns = self.runs(runs, warm, 1.004);
        let around_ns = runs_ns.iter().map(|ns| [ns / 500, ns / 1000]).collect();
        let part = |share: f64| runs_ns.iter().map(|&ns| (ns as f64 * share) as u64).collect();
        Reply::Profile(Profile {
            ops_ns: vec![part(0.75), part(0.24)],
            runs_ns,
            around_ns,
            allocated: None,
            order: vec![0, 1],
        })
    }

    fn ordinary(&self, request: &Request) -> Reply {
        match request {
            Request::Load(_) => self.loaded(),
            Request::Pin { cpus } => {
                assert_eq!(cpus, &[1], "the CPU that is measured on");
                Reply::Pinned
            }
            Request::Solos(_) | Request::Batches { .. } | Request::InPlace { .. } => {
                panic!("variants are not measured so")
            }
            Request::Describe | Request::Plan => Reply::Unable,
            Request::Engine(_) => panic!("no engine of these has a library"),
            Request::Run { .. } => self.plain(1, true),
            Request::Turn { runs, warm } => self.plain(*runs, *warm),
            Request::Profile { runs, warm } => self.profile(*runs, *warm),
            Request::Memory => {
                self.survey(self.world.survey_runs.get());
                Reply::Memory(Memory {
                    weights_bytes: Some(11),
                    peak_live_bytes: Some(22),
                    peak_heap_bytes: Some(33),
                    retained_bytes: Some(44),
                    ops: vec![OpMemory { scratch_bytes: Some(5), ..Default::default() }, OpMemory::default()],
                })
            }
            // The second op is the only one that is ever too short.
            Request::Batched { ops, least_ns } => {
                assert_eq!((ops.as_slice(), *least_ns), (&[1][..], 10 * self.world.timer_ns.get()));
                Reply::Batched(Batched { ops_ns: vec![None, Some(2_222_222)] })
            }
            Request::Outputs { file } => {
                self.survey(self.world.survey_runs.get() / 2);
                let values = [3.0, 4.0 + 0.5 * self.moment.variant as f64];
                let bytes = values.iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
                self.world.files.borrow_mut().insert(file.clone(), bytes);
                let counted = |n: u64| Some(n).filter(|_| self.world.counts.get());
                Reply::Outputs(Outputs { elements: vec![2], non_finite: counted(0), subnormal: counted(6) })
            }
            Request::Watch { .. } | Request::Watched { .. } => Reply::Machine(Box::new(protocol::Machine {
                oplat: crate::environment::this_program(),
                environment: record::Environment {
                    affinity: vec![1],
                    available_bytes: self.world.available_bytes.get(),
                    timer_ns: self.world.timer_ns.get(),
                    ..Default::default()
                },
                ready_on: self.world.ready_on.borrow().clone(),
                others: None,
            })),
            Request::Stop => Reply::Error(Failure::new("stop has no answer")),
        }
    }
}

impl Worker for FakeWorker {
    fn send(&mut self, request: &Request) -> Result<(), Lost> {
        if matches!(request, Request::Load(_)) {
            self.world.loading.set(self.world.loading.get() + 1);
            self.world.most_loading.set(self.world.most_loading.get().max(self.world.loading.get()));
        }
        self.asked.push_back(request.clone());
        Ok(())
    }

    fn reply(&mut self, patience: Duration) -> Result<Reply, Lost> {
        let request = &self.asked.pop_front().expect("a question");
        match request {
            Request::Load(load) => {
                self.world.loading.set(self.world.loading.get() - 1);
                let number = load.model.rsplit("variant-").next().and_then(|n| n.strip_suffix(".onnx"));
                self.moment.variant = number.and_then(|n| n.parse().ok()).expect("a written variant");
                let mut starts = self.world.starts.borrow_mut();
                let start = starts.entry(self.moment.variant).or_default();
                *start += 1;
                self.moment.start = *start;
            }
            Request::Turn { .. } | Request::Profile { .. } => self.moment.turns += 1,
            // Scripts are about variants.
            Request::Watch { .. } | Request::Watched { .. } => return Ok(self.ordinary(request)),
            _ => {}
        }
        let answer = (self.world.script)(self.moment, request).unwrap_or_else(|| Ok(self.ordinary(request)));
        if let Err(Lost::Died { end: End::Hung(_), .. }) = answer {
            self.world.pass(patience);
        }
        answer
    }
}

pub fn planned(name: &str, role: Role) -> Planned {
    let node = |name: &str, op: &str| NodeProto {
        name: Some(name.into()),
        op_type: Some(op.into()),
        output: vec![format!("{name}_out")],
        ..Default::default()
    };
    let graph = GraphProto { node: vec![node("/conv", "Conv"), node("/act", "Relu")], ..Default::default() };
    let proto = ModelProto { graph: Some(graph), ..Default::default() };
    let site = VariantSite {
        lowering: None,
        is_part: false,
        node: "/act".into(),
        from: "relu".into(),
        to: name.into(),
        selected: true,
        nodes: vec![1],
    };
    let variant = Variant { model: Model { proto, dir: None }, sites: vec![site], skipped: vec![] };
    Planned {
        subject: 0,
        name: name.into(),
        role,
        engine: Default::default(),
        rule: name.into(),
        lowering: record::Lowering::Exported,
        knobs: Default::default(),
        variant,
    }
}

pub fn subject(name: &str) -> Subject {
    let model = record::Model { name: name.into(), ..Default::default() };
    Subject { model, inputs: vec![], dims: vec![] }
}

pub fn measurement() -> Measurement {
    Measurement {
        command: vec!["oplat".into(), "profile".into()],
        subjects: vec![subject("tiny")],
        variants: Arc::new(vec![
            planned("original", Role::Original),
            planned("mish", Role::Swap),
            planned("control", Role::Control),
        ]),
        load: Load { seed: 3, threads: 1, ..Load::default() },
        targets: vec!["fake".into()],
        cpus: None,
        forks: 8,
        time: Duration::from_secs(40),
        until: Until::End,
        confidence: 0.99,
        margin: record::Margin::default(),
        limit: None,
        cold: false,
        only: Only::Everything,
        rest: Rest::default(),
    }
}
