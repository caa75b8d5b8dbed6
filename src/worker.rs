//! The worker's loop: one request a line in, one reply a line out.
//!
//! The engine runs on the main thread, with the heap and the stack that it would have in any program. A second thread
//! only waits for requests, so that a parent's death ends the worker even in the middle of a run.
//!
//! A panic of the engine is the last reply of its worker.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};

use crate::engine::{Backend, LoadedModel, SoloRunner, Turn, at, knobs, outputs};
use crate::error::Exit;
use crate::process::cpu;
use crate::protocol::{EngineChoice, Failure, Load, Machine, Reply, Request, Runs, Solos};
use crate::record::{self, Denormals, InTurns};
use crate::{cleanup, engines, environment};

/// Obeys the requests on stdin until they end, or until the engine panics. Stdout is for replies and nothing else.
/// On a `leash`, the end of the requests ends the process at once, whatever it is doing: on a device, nothing else
/// tells that the parent has let go.
pub fn serve(leash: bool) -> ExitCode {
    // It may have been started under a name of the kernel's.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::thread::set_name(c"oplat");
    cleanup::on_panic(|panic| {
        let failure = at::panicked(&panic.message, &panic.file);
        let exit = if failure.bug { Exit::Bug } else { Exit::Input };
        // Nobody may be left to hear it.
        let _ = say(&Reply::Error(failure));
        exit
    });
    let mut worker = Worker::default();
    for line in requests(leash) {
        let Some(reply) = worker.answer(&line) else { return ExitCode::SUCCESS };
        if say(&reply).is_err() {
            // Nobody listens any more.
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn say(reply: &Reply) -> std::io::Result<()> {
    let line = serde_json::to_string(reply)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// The lines of stdin, read by a thread of their own.
fn requests(leash: bool) -> Receiver<String> {
    let (sender, receiver) = channel();
    let parent = parent();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && sender.send(line).is_err() {
                return;
            }
        }
        if leash {
            std::process::exit(0);
        }
        // What was asked for before the end is still answered, unless nobody is left to read it.
        drop(sender);
        end_with(parent);
    });
    receiver
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn parent() -> Option<rustix::process::Pid> {
    rustix::process::getppid()
}

/// Ends the process when its parent ends. Only from when the requests have ended: the signal comes when the thread that
/// started us ends, and the parent may have had one for that alone.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn end_with(parent: Option<rustix::process::Pid>) {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if rustix::process::getppid() != parent {
        std::process::exit(0);
    }
    // The signal is this thread's and would end with it.
    loop {
        std::thread::park();
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn parent() {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn end_with((): ()) {}

/// The state between requests.
#[derive(Default)]
struct Worker {
    model: Option<Box<dyn LoadedModel>>,
    monitor: Option<environment::Monitor>,
    solos: Option<Box<dyn SoloRunner>>,
}

impl Worker {
    /// The reply to one line; `None` to end.
    fn answer(&mut self, line: &str) -> Option<Reply> {
        let request = match serde_json::from_str(line) {
            Ok(Request::Stop) => return None,
            Ok(request) => request,
            Err(error) => return Some(Reply::Unknown { why: format!("not a request: {error}") }),
        };
        Some(self.obey(request).unwrap_or_else(Reply::Error))
    }

    fn obey(&mut self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::Load(load) => self.load(&load),
            Request::Pin { cpus } => cpu::pin_all(&cpus).map(|()| Reply::Pinned).map_err(Failure::new),
            Request::Watch { cpus, threads } => self.watch(cpus.as_deref(), threads),
            Request::Watched { own_ticks } => self.watched(own_ticks),
            Request::Solos(solos) => self.solos(&solos),
            Request::InPlace { solo, forwards } => {
                self.runner()?.in_place(solo, forwards).map(Reply::InPlace)
            }
            Request::Batches { solo, batch, batches } => {
                self.runner()?.batches(solo, batch as usize, batches as usize).map(Reply::Batches)
            }
            Request::Run { trace } => {
                let turn = Turn { runs_ns: vec![self.model()?.run(trace)?], allocated: None };
                Ok(Reply::Runs(runs(turn, None)))
            }
            Request::Turn { runs: n, warm } => {
                self.model()?.settle()?;
                // Read before the untimed run: reading it later would cool the caches that this run warms.
                let before = usage();
                let turn = self.model()?.turn(n as usize, warm)?;
                let count = u64::from(n) + u64::from(!warm);
                Ok(Reply::Runs(runs(turn, before.map(|before| (count, before)))))
            }
            Request::Engine(EngineChoice { name, library }) => {
                engine(Some(&name))?.open(library.as_deref().map(Path::new)).map(Reply::Engine)
            }
            Request::Plan => Ok(told(self.model()?.plan()?, Reply::Described)),
            Request::Describe => Ok(told(self.model()?.describe()?, Reply::Described)),
            Request::Profile { runs, warm } => {
                Ok(told(self.model()?.profile(runs as usize, warm)?, Reply::Profile))
            }
            Request::Memory => Ok(told(self.model()?.memory()?, Reply::Memory)),
            Request::Batched { ops, least_ns } => {
                Ok(told(self.model()?.batched(&ops, least_ns)?, Reply::Batched))
            }
            Request::Outputs { file } => {
                outputs::write(&self.model()?.outputs()?, Path::new(&file)).map(Reply::Outputs)
            }
            Request::Stop => Err(Failure::new("unexpected")),
        }
    }

    fn model(&mut self) -> Result<&mut dyn LoadedModel, Failure> {
        Ok(self.model.as_mut().ok_or_else(|| Failure::new("no model is loaded"))?.as_mut())
    }

    fn runner(&mut self) -> Result<&mut dyn SoloRunner, Failure> {
        Ok(self.solos.as_mut().ok_or_else(|| Failure::new("no activation is ready"))?.as_mut())
    }

    fn watch(&mut self, cpus: Option<&str>, threads: usize) -> Result<Reply, Failure> {
        let chosen = cpus.is_some();
        let cpus = match cpus {
            Some(text) => environment::parse_cpus(text).map_err(|error| Failure::new(error.message))?,
            None => environment::default_cpus(threads),
        };
        let monitor = self.monitor.insert(environment::Monitor::start(&cpus));
        let mut machine = machine(monitor.now(), None);
        machine.ready_on = if chosen { cpus } else { environment::like(&cpus) };
        Ok(Reply::Machine(Box::new(machine)))
    }

    fn watched(&mut self, own_ticks: Option<u64>) -> Result<Reply, Failure> {
        let Some(monitor) = &mut self.monitor else {
            return Err(Failure::new("nothing is watched"));
        };
        let (environment, others) = monitor.look(own_ticks);
        Ok(Reply::Machine(Box::new(machine(environment, others))))
    }

    fn load(&mut self, load: &Load) -> Result<Reply, Failure> {
        (self.model, self.solos) = (None, None);
        set_up(&load.cpus, load.denormals)?;
        let (model, mut loaded) = engine(load.engine.as_ref().map(|e| e.name.as_str()))?.load(load)?;
        self.model = Some(model);
        loaded.rss_bytes = cpu::resident_bytes();
        Ok(Reply::Loaded(loaded))
    }

    fn solos(&mut self, solos: &Solos) -> Result<Reply, Failure> {
        (self.model, self.solos) = (None, None);
        set_up(&solos.cpus, solos.denormals)?;
        let engine = engine(solos.engine.as_ref().map(|e| e.name.as_str()))?;
        let (runner, ready) = engine.solos(solos, cpu::second_level_cache(solos.cpus.first().copied()))?;
        self.solos = Some(runner);
        Ok(Reply::Solos(ready))
    }
}

/// The engine that does the work of this process: the one of this name, or the default one.
fn engine(name: Option<&str>) -> Result<&'static dyn Backend, Failure> {
    let engine = name.map_or(Ok(engines::default()), engines::named).map_err(|e| Failure::new(e.message))?;
    at::chosen(&engine.about().0.name);
    Ok(engine)
}

/// The answer, or that the engine has none.
fn told<T>(answer: Option<T>, reply: impl FnOnce(T) -> Reply) -> Reply {
    answer.map_or(Reply::Unable, reply)
}

/// Sets the process up as the parent wants it.
fn set_up(cpus: &[usize], denormals: Denormals) -> Result<(), Failure> {
    cpu::pin(cpus).map_err(Failure::new)?;
    if !cpu::set_denormals(denormals) {
        let message = "this processor's way to flush subnormal numbers is not known: use --denormals keep";
        return Err(Failure::new(message));
    }
    Ok(())
}

fn machine(mut environment: record::Environment, others: Option<f64>) -> Machine {
    environment.knobs = knobs::of_environment(&engines::default().knobs());
    Machine { oplat: environment::this_program(), environment, ready_on: vec![], others }
}

/// Minor page faults and involuntary switches since the process started.
fn usage() -> Option<(u64, u64)> {
    Some((cpu::MinorFaults::open().read()?, cpu::involuntary_switches()?))
}

/// `before` says how many runs there were, and what the counters said before them.
fn runs(turn: Turn, before: Option<(u64, (u64, u64))>) -> Runs {
    let after = usage();
    let in_turn = before.zip(after).map(|((runs, before), after)| InTurns {
        runs,
        minor_faults: after.0.saturating_sub(before.0),
        involuntary_switches: after.1.saturating_sub(before.1),
    });
    Runs {
        runs_ns: turn.runs_ns,
        peak_rss_bytes: cpu::peak_resident_bytes(),
        minor_faults: after.map(|(faults, _)| faults),
        involuntary_switches: after.map(|(_, switches)| switches),
        in_turn,
        allocated: turn.allocated,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::engine::RawOutputs;
    use crate::protocol::{Batched, Memory, Profile};

    #[test]
    fn nonsense_is_answered_and_stop_is_not() {
        let mut worker = Worker::default();
        let Some(Reply::Unknown { why }) = worker.answer("{\"request\":\"dance\"}") else {
            panic!("it is not known")
        };
        assert!(why.contains("dance"));
        let Some(Reply::Error(failure)) = worker.answer("{\"request\":\"memory\"}") else {
            panic!("an error")
        };
        assert_eq!(failure.message, "no model is loaded");
        let Some(Reply::Error(failure)) = worker.answer("{\"request\":\"watched\"}") else {
            panic!("an error")
        };
        assert_eq!(failure.message, "nothing is watched");
        assert_eq!(worker.answer("{\"request\":\"stop\"}"), None);
    }

    /// Keeps count of what is asked of it.
    struct Counting(Rc<RefCell<Vec<&'static str>>>);

    impl LoadedModel for Counting {
        fn run(&mut self, _: bool) -> Result<u64, Failure> {
            self.0.borrow_mut().push("run");
            Ok(1)
        }

        fn settle(&mut self) -> Result<(), Failure> {
            self.0.borrow_mut().push("settle");
            Ok(())
        }

        fn profile(&mut self, _: usize, _: bool) -> Result<Option<Profile>, Failure> {
            Ok(None)
        }

        fn memory(&mut self) -> Result<Option<Memory>, Failure> {
            Ok(None)
        }

        fn batched(&mut self, _: &[usize], _: u64) -> Result<Option<Batched>, Failure> {
            Ok(None)
        }

        fn outputs(&mut self) -> Result<RawOutputs, Failure> {
            Ok(RawOutputs { tensors: vec![], non_finite: None, subnormal: None })
        }
    }

    #[test]
    fn a_turn_is_of_a_model_that_has_its_memory_and_a_first_run_is_not() {
        let done = Rc::default();
        let mut worker = Worker { model: Some(Box::new(Counting(Rc::clone(&done)))), ..Worker::default() };
        let mut after = |request: Request| {
            worker.obey(request).expect("an answer");
            std::mem::take(&mut *done.borrow_mut())
        };
        assert_eq!(after(Request::Run { trace: false }), ["run"]);
        assert_eq!(after(Request::Turn { runs: 2, warm: true }), ["settle", "run", "run"]);
        assert_eq!(after(Request::Turn { runs: 1, warm: false }), ["settle", "run", "run"]);
    }
}
