//! The machine where workers run. A worker of its own watches it: what a board or a phone is, and how it fared, only
//! it can say.

use std::time::Duration;

use super::Interrupt;
use crate::device::{Lost, Target, Worker};
use crate::environment;
use crate::error::{Error, Result};
use crate::protocol::{Machine, Reply, Request};
use crate::record::Environment;

/// Far more than an emulated worker needs to start and to read some files.
const PATIENCE: Duration = Duration::from_secs(60);

/// The worker that watches its machine, and what it last said of it.
pub struct MachineClient<'t> {
    target: &'t dyn Target,
    worker: Box<dyn Worker>,
    machine: Machine,
    ready_on: Vec<usize>,
    own_ticks: Option<u64>,
}

impl<'t> MachineClient<'t> {
    /// Starts a worker that chooses the CPUs and notes the state of its machine.
    ///
    /// Fails if none can be started, if it is of another version than this program, or if the CPUs that were
    /// asked for can't be used there.
    pub fn start(
        cpus: Option<&str>,
        threads: usize,
        target: &'t dyn Target,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut worker = target.start(interrupt)?;
        let request = Request::Watch { cpus: cpus.map(str::to_owned), threads };
        let mut machine = match worker.ask(&request, PATIENCE) {
            Ok(Reply::Machine(machine)) => *machine,
            Ok(Reply::Unknown { .. }) => return Err(stranger(target)),
            Ok(Reply::Error(failure)) => return Err(failure.into_error()),
            Ok(_) => return Err(stranger(target)),
            Err(Lost::Interrupted) => return Err(Error::lost("interrupted before anything was measured")),
            Err(lost) => return Err(Error::lost(format!("target {}: worker {lost}", target.name()))),
        };
        if machine.oplat.version != environment::this_program().version {
            return Err(stranger(target));
        }
        let own_ticks = environment::own_ticks().filter(|_| target.is_here());
        let ready_on = std::mem::take(&mut machine.ready_on);
        Ok(Self { target, worker, machine, ready_on, own_ticks })
    }

    /// The target whose machine it is.
    pub fn target(&self) -> &'t dyn Target {
        self.target
    }

    /// The machine as it was when it was last looked at.
    pub fn environment(&self) -> &Environment {
        &self.machine.environment
    }

    /// The CPUs to pin to.
    pub fn cpus(&self) -> &[usize] {
        &self.machine.environment.affinity
    }

    /// The CPUs on which workers may be made ready at once: those to pin to, and others like them.
    pub fn ready_on(&self) -> &[usize] {
        &self.ready_on
    }

    /// Memory that workers can have without anything being swapped out; `None` where the system doesn't say.
    pub fn available_bytes(&self) -> Option<u64> {
        self.machine.environment.available_bytes
    }

    /// Whether the processor is emulated, so that times say nothing of a device.
    pub fn emulated(&self) -> bool {
        self.target.emulated() || self.machine.environment.emulated
    }

    /// Looks at the machine in the middle of a measurement, so that it is known how it fared even if it is lost later.
    pub fn look(&mut self) -> Option<&Environment> {
        match self.worker.ask(&Request::Watched { own_ticks: None }, PATIENCE) {
            Ok(Reply::Machine(machine)) => {
                self.machine = *machine;
                Some(&self.machine.environment)
            }
            _ => None,
        }
    }

    /// The hottest zone now, thousandths of a degree Celsius; `None` if none is known.
    pub fn hottest_mc(&mut self) -> Option<i64> {
        let environment = self.look()?;
        let battery = environment.android.as_ref().and_then(|android| android.battery_mc.after);
        environment.temperature_mc.values().filter_map(|zone| zone.after).chain(battery).max()
    }

    /// What the machine was like during the measurement; if it can't be asked any more, what it was like when it was
    /// last looked at. `isa` are the instruction sets that the engine says it uses.
    pub fn finish(mut self, isa: &[String]) -> Environment {
        let ticks = |before| Some(environment::own_ticks()?.saturating_sub(before));
        let own_ticks = self.own_ticks.and_then(ticks);
        if let Ok(Reply::Machine(machine)) = self.worker.ask(&Request::Watched { own_ticks }, PATIENCE) {
            // On a device, it is the machine that knows what our workers took of it, and only as long as they live:
            // what it said last counts.
            let others = if own_ticks.is_some() { machine.others } else { self.machine.others };
            self.machine = Machine { others, ..*machine };
        }
        environment::complete(self.machine, &self.target.name(), self.target.emulated(), isa)
    }
}

fn stranger(target: &dyn Target) -> Error {
    Error::input(format!(
        "target {}: its oplat is not version {}, as this one is: use the same on both sides",
        target.name(),
        environment::this_program().version
    ))
}
