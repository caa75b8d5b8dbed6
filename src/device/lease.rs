//! A device that has to be had before it can be used: one of a pool, or one that a command acquires.
//!
//! It is had from when it is opened until it is dropped. It is given back in every case: by a guard when the program ends before,
//! and by the next program that wants it where this one was killed (see [`super::lock`]).

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::claims::Claims;
use super::hook::{Ended, Hook, Release};
use super::lock::{Attempt, Holder, Lock};
use super::variables::{Printed, has_names};
use super::{Device, Interrupt, Options, Target, Worker, parse};
use crate::cleanup::Guard;
use crate::error::{Error, Exit, Result};
use crate::protocol::EngineChoice;
use crate::{escape, units};

/// Pauses between looks whether a device is free: twice as long each time, up to the longest.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// A device of the lab, and what was chosen of it.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub device: Device,
    pub options: Options,
    /// What it is called once it is open; `None` if only its `acquire` tells.
    address: Option<String>,
}

impl Member {
    /// Fails if it can't be as it is described.
    pub fn new(name: String, device: Device, options: Options) -> Result<Self> {
        let mut member = Self { name, device, options, address: None };
        let (device, options) = (&member.device, &member.options);
        let more = [&options.adb_server, &options.jump, &options.ssh_options];
        let has_open = more.into_iter().flatten().chain([&device.target]).any(|text| has_names(text));
        let is_open = device.target.is_empty() || has_open;
        if !(device.acquire.is_some() && is_open) {
            member.address = Some(member.at_once()?.name());
        }
        Ok(member)
    }

    /// What it is called once it is open, if that is known before.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether two of them are known to be one device.
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name || self.place().is_some_and(|place| other.place() == Some(place))
    }

    /// Where it always is: an address may lead to another device after each `acquire`.
    fn place(&self) -> Option<&str> {
        self.address.as_deref().filter(|_| self.device.acquire.is_none())
    }

    /// Where it is, with what is known of it by now.
    pub fn target(&self, printed: &Printed) -> Result<Box<dyn Target + Send>> {
        let fill_in = |text: &str| {
            printed.fill_in(text).map_err(|name| {
                let by = if self.device.acquire.is_some() { "neither `acquire` nor" } else { "nothing in" };
                Error::input(format!("{by} the environment says what ${{{name}}} is"))
            })
        };
        let some = |text: &Option<String>| text.as_deref().map(fill_in).transpose();
        let options = Options {
            adb_server: some(&self.options.adb_server)?,
            jump: some(&self.options.jump)?,
            ssh_options: some(&self.options.ssh_options)?,
            ..self.options.clone()
        };
        let address = match (self.device.target.as_str(), &printed.last) {
            ("", Some(last)) => last.as_str(),
            ("", None) => "",
            (target, _) => target,
        };
        parse(&fill_in(address)?, &options)
    }

    /// The same where nothing has to be acquired before.
    pub fn at_once(&self) -> Result<Box<dyn Target + Send>> {
        self.target(&Printed::default()).map_err(|e| if self.is_named() { e.context(&self.name) } else { e })
    }

    /// Whether it has a name of its own beside its address.
    fn is_named(&self) -> bool {
        self.name != self.device.target
    }

    /// By what a device is known on this machine, whatever a lab calls it; one whose address isn't known by its name.
    pub fn id(&self) -> String {
        self.address.clone().unwrap_or_else(|| format!("{} {}", self.name, self.device.target))
    }
}

/// Who has a device now, if anybody; what a killed program left is given back.
pub fn holder(member: &Member, interrupt: &Interrupt) -> Result<Option<String>> {
    match Lock::take(&member.id())? {
        Attempt::Held(holder) => Ok(Some(describe(holder))),
        Attempt::Locked(mut lock) => {
            give_back_left(&mut lock, &member.name, &mut tell, interrupt)?;
            Ok(None)
        }
    }
}

fn describe(holder: Option<Holder>) -> String {
    match holder {
        None => "another oplat, or another target of this command".into(),
        Some(holder) if holder.is_us() => "another target of this command".into(),
        Some(holder) => holder.describe(),
    }
}

/// Gives back what a program left that was killed. It is tried once, and left to the next program by who interrupts.
fn give_back_left(
    lock: &mut Lock,
    name: &str,
    say: &mut dyn FnMut(&str),
    interrupt: &Interrupt,
) -> Result<()> {
    let Some((holder, release)) = lock.left().and_then(|mut left| left.release.take().map(|r| (left, r)))
    else {
        return Ok(());
    };
    let released = release.run(&holder.device, interrupt);
    if released.is_err() && interrupt.is_raised() {
        return Err(interrupted());
    }
    let done = match released {
        Ok(()) => "it is released now".to_owned(),
        Err(why) => format!("releasing it now failed: {why}; release it by hand: {}", release.line),
    };
    say(&format!("{name} was not released by {}; {done}", holder.describe()));
    let _ = lock.clear();
    Ok(())
}

/// A line for the person at the terminal, where nobody else can tell it any more.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", escape::line(line));
}

/// One of several devices, or a single one.
pub struct Leased {
    /// As the user named it.
    name: String,
    /// Whether it is one of a pool.
    is_pool: bool,
    members: Vec<Member>,
    /// What the command's targets have.
    claims: Claims,
    /// The only one that will do.
    wanted: RefCell<Option<String>>,
    held: RefCell<Option<Held>>,
}

/// A device that is ours. It is given back after all that is on it was put in order.
struct Held {
    target: Box<dyn Target + Send>,
    member: String,
    _lease: Lease,
}

/// What became of an attempt to have a device.
enum Taken {
    Held(Held),
    /// It can't be had now: why.
    Busy(String),
    /// It is another target's of this command: whose.
    Gone(String),
    Failed(Error),
}

impl Leased {
    /// One of the `members`; `is_pool` tells whether their names say more than its own does.
    pub fn new(name: &str, is_pool: bool, members: Vec<Member>, claims: Claims) -> Self {
        let (wanted, held) = (RefCell::default(), RefCell::default());
        Self { name: name.into(), is_pool, members, claims, wanted, held }
    }

    fn take(
        &self,
        engines: &[EngineChoice],
        say: &mut dyn FnMut(&str),
        interrupt: &Interrupt,
    ) -> Result<Held> {
        let limit = self.members.iter().map(|m| m.device.acquire_limit).max().unwrap_or_default();
        let deadline = Instant::now() + limit;
        let (mut left, mut failed) = (self.candidates()?, None);
        let mut pause = PAUSES[0];
        let (mut told, mut gone) = (String::new(), vec![]);
        loop {
            let mut busy = vec![];
            for member in std::mem::take(&mut left) {
                // The one before will not do; this one may.
                failed.take().iter().for_each(|error: &Error| say(&error.message));
                match self.try_one(member, engines, say, interrupt)? {
                    Taken::Held(held) => return Ok(held),
                    Taken::Busy(who) => {
                        busy.push(format!("{} is {who}", member.name));
                        left.push(member);
                    }
                    Taken::Gone(other) => gone.push(format!("{} is measured as {other}", member.name)),
                    Taken::Failed(error) => failed = Some(error),
                }
            }
            if left.is_empty() {
                return Err(self.none(failed, &gone));
            }
            failed.take().iter().for_each(|error| say(&error.message));
            let busy = busy.join(", ");
            let now = Instant::now();
            if now >= deadline {
                return Err(Error::lost(format!(
                    "target {}: it was not free within {}: {busy}; wait, or give more `acquire_limit`",
                    self.name,
                    units::duration(limit)
                )));
            }
            if told != busy {
                say(&format!("waiting for {}: {busy}", self.name));
                told = busy;
            }
            interrupt.wait(pause.min(deadline - now));
            if interrupt.is_raised() {
                return Err(interrupted());
            }
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    /// Those that may be taken.
    fn candidates(&self) -> Result<Vec<&Member>> {
        let wanted = self.wanted.borrow();
        let may = |member: &&Member| match (&member.address, wanted.as_ref()) {
            (Some(address), Some(wanted)) => address == wanted,
            _ => true,
        };
        let some: Vec<&Member> = self.members.iter().filter(may).collect();
        match (some.is_empty(), wanted.as_ref()) {
            (true, Some(wanted)) => {
                Err(Error::input(format!("target {}: {wanted} is none of it", self.name)))
            }
            _ => Ok(some),
        }
    }

    /// None is left: the last one that failed, and those that are `gone` to others.
    fn none(&self, last: Option<Error>, gone: &[String]) -> Error {
        let exit = last.as_ref().map_or(Exit::Lost, |last| last.exit);
        match (self.members.len(), last) {
            (1, Some(last)) => last,
            (n, last) => {
                let why: Vec<String> =
                    last.map(|last| last.message).into_iter().chain(gone.to_vec()).collect();
                let (pool, why) = (&self.name, why.join("; "));
                Error {
                    message: format!("pool {pool}: none of its {} will do: {why}", units::count(n, "device")),
                    exit,
                }
            }
        }
    }

    fn try_one(
        &self,
        member: &Member,
        engines: &[EngineChoice],
        say: &mut dyn FnMut(&str),
        interrupt: &Interrupt,
    ) -> Result<Taken> {
        let attempt = Lock::take(&member.id())?;
        // Who had it before the lock was free has noted that by now.
        let other = member.address().and_then(|address| self.claims.other(address, &self.name));
        if let Some(other) = other.filter(|_| self.is_pool) {
            return Ok(Taken::Gone(other));
        }
        let mut lock = match attempt {
            Attempt::Locked(lock) => lock,
            Attempt::Held(holder) => return Ok(Taken::Busy(format!("used by {}", describe(holder)))),
        };
        give_back_left(&mut lock, &member.name, say, interrupt)?;
        let lease = Lease::new(lock, member);
        let printed = match lease.acquire(member, say, interrupt)? {
            Ok(printed) => printed,
            Err(taken) => return Ok(taken),
        };
        let target = match member.target(&printed) {
            Ok(target) => target,
            Err(error) if member.device.acquire.is_none() => return Err(error.context(&member.name)),
            Err(error) => return Ok(Taken::Failed(no_address(member, &printed, &error))),
        };
        if let Some(wanted) = self.wanted.borrow().as_ref().filter(|wanted| **wanted != target.name()) {
            let (name, is) = (&member.name, target.name());
            let why = format!("{name} is {is}, and the record is of {wanted}; measure anew without --resume");
            return Ok(Taken::Failed(Error::input(why)));
        }
        // It is ours from here on: two devices may turn out to be one when they are acquired.
        if let Some(other) = self.claims.note(&target.name(), &self.name).filter(|_| self.is_pool) {
            return Ok(Taken::Gone(other));
        }
        match target.open(engines, say, interrupt) {
            Ok(()) => {}
            Err(error) if error.exit == Exit::Lost && !interrupt.is_raised() => {
                self.claims.give_up(&target.name(), &self.name);
                return Ok(Taken::Failed(error));
            }
            Err(error) => return Err(error),
        }
        if self.is_pool {
            say(&format!("{} is {} ({})", self.name, member.name, target.name()));
        }
        Ok(Taken::Held(Held { target, member: member.name.clone(), _lease: lease }))
    }

    fn with<T>(&self, use_it: impl FnOnce(&dyn Target) -> T) -> Option<T> {
        self.held.borrow().as_ref().map(|held| use_it(held.target.as_ref()))
    }

    fn not_held(&self) -> Error {
        Error::lost(format!("target {}: it was not reached yet", self.name))
    }
}

fn interrupted() -> Error {
    Error::lost("interrupted before anything was measured")
}

/// What `acquire` printed leads nowhere.
fn no_address(member: &Member, printed: &Printed, error: &Error) -> Error {
    let name = &member.name;
    let last = printed.last.as_deref().unwrap_or_default();
    let last: String = last.chars().take(80).collect();
    Error::lost(match member.device.target.is_empty() {
        true => format!(
            "target {name}: the last line that `acquire` printed is no address: {last:?}; have it print ssh:… or adb:…, or give \
             `target`"
        ),
        false => format!("target {name}: {error}; have `acquire` print NAME=VALUE"),
    })
}

/// A device that nobody else has, as long as this lives.
struct Lease {
    debt: Arc<Mutex<Debt>>,
    _guard: Guard,
}

/// What is owed for a device: the note of who has it, and that it is given back.
struct Debt {
    lock: Lock,
    holder: Holder,
}

impl Lease {
    fn new(mut lock: Lock, member: &Member) -> Self {
        let holder = Holder::here(&member.name, None);
        lock.note(&holder);
        let debt = Arc::new(Mutex::new(Debt { lock, holder }));
        let paid = debt.clone();
        let _guard = Guard::new(move || of(&paid, Debt::pay));
        Self { debt, _guard }
    }

    /// Runs the command that makes the device ours, if it has one. Gives what that printed.
    fn acquire(
        &self,
        member: &Member,
        say: &mut dyn FnMut(&str),
        interrupt: &Interrupt,
    ) -> Result<Result<Printed, Taken>> {
        let Device { acquire: Some(line), release, acquire_limit, release_limit, .. } = &member.device else {
            return Ok(Ok(Printed::default()));
        };
        let release = Release {
            line: release.clone().unwrap_or_default(),
            limit: *release_limit,
            variables: Default::default(),
        };
        // It may be ended at any moment, and have the device by then.
        of(&self.debt, |debt| debt.owe(Some(release.clone())));
        let none = Default::default();
        let (device, limit) = (&member.name, *acquire_limit);
        let hook = Hook { line, device, variables: &none, limit, ends_with_us: true };
        let ran = hook.run(say, interrupt);
        let printed = Printed::read(&ran.printed);
        // One that fails after it said what it got has something to give back.
        let is_undone = match ran.end {
            Ended::Busy(_) => true,
            Ended::Failed(_) => printed.variables.is_empty(),
            _ => false,
        };
        let variables = printed.variables.clone();
        of(&self.debt, |debt| debt.owe((!is_undone).then_some(Release { variables, ..release })));
        let failed = |why: String| {
            let name = &member.name;
            Ok(Err(Taken::Failed(Error::lost(format!(
                "target {name}: `acquire` failed: {why}; run it by hand to see more"
            )))))
        };
        match ran.end {
            Ended::Well => Ok(Ok(printed)),
            Ended::Busy(why) => Ok(Err(Taken::Busy(format!("not free: {why}")))),
            Ended::Failed(why) | Ended::Cut(why) => failed(why),
            Ended::Interrupted => Err(interrupted()),
        }
    }
}

fn of(debt: &Mutex<Debt>, act: impl FnOnce(&mut Debt)) {
    act(&mut debt.lock().unwrap_or_else(PoisonError::into_inner));
}

impl Release {
    /// Runs it. A program that is ended meanwhile, because somebody will not wait for that, says that it didn't come to its end.
    fn run_or_tell(&self, device: &str) -> Result<(), String> {
        let cut = format!("{device}: `release` was cut short; release it by hand: {}", self.line);
        let if_ended = Guard::new(move || tell(&cut));
        let done = self.run(device, &Interrupt::default());
        if_ended.disarm();
        done
    }
}

impl Debt {
    fn owe(&mut self, release: Option<Release>) {
        self.holder.release = release;
        self.lock.note(&self.holder);
    }

    /// Gives the device back. Where that fails, the next program that wants it tries again.
    fn pay(&mut self) {
        let device = &self.holder.device;
        match self.holder.release.take().map(|release| (release.run_or_tell(device), release)) {
            Some((Err(why), release)) => {
                tell(&format!("{device}: `release` failed: {why}; release it by hand: {}", release.line));
            }
            _ => {
                let _ = self.lock.clear();
            }
        }
    }
}

impl Target for Leased {
    fn name(&self) -> String {
        self.with(|target| target.name()).unwrap_or_else(|| self.name.clone())
    }

    fn names(&self) -> Vec<String> {
        match self.with(|target| target.names()) {
            Some(names) => names,
            None => self.members.iter().map(|m| m.address.clone()).collect::<Option<_>>().unwrap_or_default(),
        }
    }

    fn member(&self) -> Option<String> {
        self.held.borrow().as_ref().filter(|_| self.is_pool).map(|held| held.member.clone())
    }

    fn go_on_at(&self, name: &str) {
        self.claims.note(name, &self.name);
        *self.wanted.borrow_mut() = Some(name.into());
    }

    fn emulated(&self) -> bool {
        self.with(|target| target.emulated()).unwrap_or(false)
    }

    fn is_here(&self) -> bool {
        self.with(|target| target.is_here()).unwrap_or(false)
    }

    fn open(&self, engines: &[EngineChoice], say: &mut dyn FnMut(&str), interrupt: &Interrupt) -> Result<()> {
        match self.with(|target| target.open(engines, &mut *say, interrupt)) {
            Some(done) => done,
            None => {
                let held = self.take(engines, say, interrupt)?;
                *self.held.borrow_mut() = Some(held);
                Ok(())
            }
        }
    }

    fn engine(&self, asked: &EngineChoice) -> EngineChoice {
        self.with(|target| target.engine(asked)).unwrap_or_else(|| asked.clone())
    }

    fn library(&self, there: String) -> String {
        self.with(|target| target.library(there.clone())).unwrap_or(there)
    }

    fn check(&self, interrupt: &Interrupt) -> Result<()> {
        self.with(|target| target.check(interrupt)).unwrap_or_else(|| Err(self.not_held()))
    }

    fn put(&self, folder: &Path) -> Result<String> {
        self.with(|target| target.put(folder)).unwrap_or_else(|| Err(self.not_held()))
    }

    fn get(&self, path: &str, bytes: u64) -> Result<Vec<u8>> {
        self.with(|target| target.get(path, bytes)).unwrap_or_else(|| Err(self.not_held()))
    }

    fn start(&self, interrupt: &Interrupt) -> Result<Box<dyn Worker>> {
        self.with(|target| target.start(interrupt)).unwrap_or_else(|| Err(self.not_held()))
    }
}
