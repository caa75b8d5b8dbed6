//! By the thread that waits, with none of their own: a lab of hundreds of workers has as many threads as targets.
//!
//! What the child doesn't take at once is sent while it is waited for, so that a child which doesn't read keeps nobody.

use std::fs::File;
use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::Interrupt;
use super::super::bounded::{LONGEST_NOTE, LONGEST_REPLY, Line, Lines};
use super::Event;

pub struct Pipes {
    stdin: Option<File>,
    /// What the child has not taken yet.
    unsent: Vec<u8>,
    /// Whether it takes nothing any more: it has closed its stdin, or is ending.
    is_deaf: bool,
    out: Pipe,
    err: Pipe,
    /// Whether what comes from stderr is the rest of a line that was cut.
    is_cut: bool,
    interrupt: Interrupt,
}

/// A pipe that is read from.
struct Pipe {
    /// `None` once it has ended.
    file: Option<File>,
    lines: Lines,
    /// Whether its end has been told.
    is_told: bool,
}

impl Pipes {
    /// Those of a child that was started with pipes.
    pub fn of(child: &mut Child, interrupt: &Interrupt) -> Result<Self> {
        // From now on it can be waited for.
        interrupt.pipe()?;
        let stdin = child.stdin.take().map(|pipe| File::from(OwnedFd::from(pipe)));
        if let Some(stdin) = &stdin {
            rustix::io::ioctl_fionbio(stdin, true)?;
        }
        Ok(Self {
            stdin,
            unsent: vec![],
            is_deaf: false,
            out: Pipe::new(child.stdout.take().map(OwnedFd::from)),
            err: Pipe::new(child.stderr.take().map(OwnedFd::from)),
            is_cut: false,
            interrupt: interrupt.clone(),
        })
    }

    /// Has bytes sent, as far as the child takes them; false once it is to end.
    pub fn send(&mut self, bytes: Vec<u8>) -> bool {
        if !self.is_deaf {
            self.unsent.extend(bytes);
            self.write();
        }
        self.stdin.is_some()
    }

    /// Closes stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// What comes next, if it comes before the deadline. A child that never stops talking wins no time by it. The user's wish
    /// ends the wait, unless it is to be `uninterrupted`.
    pub fn next(&mut self, deadline: Instant, uninterrupted: bool) -> Event {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if !uninterrupted && self.interrupt.is_raised() {
                return Event::Interrupted;
            }
            if left.is_zero() {
                return Event::Late;
            }
            if let Some(event) = self.heard() {
                return event;
            }
            self.wait(left, uninterrupted);
        }
    }

    /// What has come already.
    fn heard(&mut self) -> Option<Event> {
        match self.out.lines.next(LONGEST_REPLY) {
            Some(Line::Whole(line)) => return Some(Event::Reply(line)),
            Some(Line::Cut(_)) => return Some(Event::TooLong),
            None if self.out.file.is_none() => match self.out.lines.rest() {
                Some(line) => return Some(Event::Reply(line)),
                None if !std::mem::replace(&mut self.out.is_told, true) => return Some(Event::OutEnded),
                None => {}
            },
            None => {}
        }
        if self.is_cut {
            self.is_cut = !self.err.lines.skip();
        }
        match self.err.lines.next(LONGEST_NOTE) {
            Some(Line::Whole(line)) => return Some(Event::Said(line)),
            Some(Line::Cut(line)) => {
                self.is_cut = true;
                return Some(Event::Said(line + "…"));
            }
            None if self.err.file.is_none() => match self.err.lines.rest() {
                Some(line) => return Some(Event::Said(line)),
                None if !std::mem::replace(&mut self.err.is_told, true) => return Some(Event::ErrEnded),
                None => {}
            },
            None => {}
        }
        (self.out.file.is_none() && self.err.file.is_none()).then_some(Event::OutEnded)
    }

    /// Waits until something can be read or sent, or for so long.
    fn wait(&mut self, left: Duration, uninterrupted: bool) {
        let stdin = self
            .stdin
            .as_ref()
            .filter(|_| !self.unsent.is_empty())
            .map(|pipe| (pipe.as_fd(), PollFlags::OUT));
        let read = [&self.out, &self.err].map(|pipe| Some((pipe.file.as_ref()?.as_fd(), PollFlags::IN)));
        let interrupt = self.interrupt.pipe().ok().filter(|_| !uninterrupted);
        let interrupt = interrupt.map(|pipe| (pipe.as_fd(), PollFlags::IN));
        let asked = [read[0], read[1], stdin, interrupt];
        let mut polled: Vec<PollFd> =
            asked.iter().flatten().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        // A day is as good as for ever.
        let left = Timespec::try_from(left.min(Duration::from_secs(86_400))).ok();
        let failed = poll(&mut polled, left.as_ref()).is_err_and(|e| e != rustix::io::Errno::INTR);
        let mut ready = polled.iter().map(|fd| failed || !fd.revents().is_empty());
        let [out, err, stdin, _] = asked.map(|fd| fd.is_some() && ready.next() == Some(true));
        if out {
            self.out.read();
        }
        if err {
            self.err.read();
        }
        if stdin {
            self.write();
        }
    }

    /// Writes as much as the child takes. Where nothing can be written, it is ending.
    fn write(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        let mut sent = 0;
        while sent < self.unsent.len() {
            match stdin.write(&self.unsent[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    // What it says, and how it ends, is still to be heard.
                    self.is_deaf = true;
                    sent = self.unsent.len();
                }
            }
        }
        self.unsent.drain(..sent);
    }
}

impl Pipe {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Self { file: pipe.map(File::from), lines: Lines::default(), is_told: false }
    }

    /// Reads what there is, or that there is nothing more.
    fn read(&mut self) {
        let Some(file) = &mut self.file else { return };
        let mut part = [0; 1 << 16];
        match file.read(&mut part) {
            Ok(0) => self.file = None,
            Ok(bytes) => self.lines.add(part.get(..bytes).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.file = None,
        }
    }
}
