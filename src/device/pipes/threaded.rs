//! By three threads, where a system can't wait for several pipes at once: two read, one writes. None of them holds more than
//! one line, however much the child says.

use std::io::{BufReader, Result, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use super::super::Interrupt;
use super::super::bounded::{LONGEST_REPLY, Line, next_line, next_note};
use super::Event;

/// How often it is looked whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(50);

pub struct Pipes {
    stdin: Option<Sender<Vec<u8>>>,
    events: Receiver<Event>,
    interrupt: Interrupt,
}

impl Pipes {
    /// Those of a child that was started with pipes.
    pub fn of(child: &mut Child, interrupt: &Interrupt) -> Result<Self> {
        let (sender, events) = sync_channel(1);
        if let Some(out) = child.stdout.take() {
            let mut out = BufReader::new(out);
            let next = move || match next_line(&mut out, LONGEST_REPLY)? {
                Line::Whole(line) => Some(Event::Reply(line)),
                Line::Cut(_) => Some(Event::TooLong),
            };
            pass_on(next, sender.clone(), Event::OutEnded)?;
        }
        if let Some(err) = child.stderr.take() {
            let mut err = BufReader::new(err);
            pass_on(move || next_note(&mut err).map(Event::Said), sender, Event::ErrEnded)?;
        }
        Ok(Self { stdin: child.stdin.take().map(write_to), events, interrupt: interrupt.clone() })
    }

    /// Has bytes sent, as far as the child takes them; false once it is to end.
    pub fn send(&mut self, bytes: Vec<u8>) -> bool {
        // Where nothing can be written, what the child says, and how it ends, is still to be heard.
        self.stdin.as_ref().map(|stdin| stdin.send(bytes)).is_some()
    }

    /// Closes stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// What comes next, if it comes before the deadline. A child that never stops talking wins no time by it. The user's wish
    /// ends the wait, unless it is to be `uninterrupted`.
    pub fn next(&mut self, deadline: Instant, uninterrupted: bool) -> Event {
        loop {
            if !uninterrupted && self.interrupt.is_raised() {
                return Event::Interrupted;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::Late;
            }
            match self.events.recv_timeout(left.min(LOOK)) {
                Ok(event) => return event,
                Err(RecvTimeoutError::Disconnected) => return Event::OutEnded,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Passes on what comes from a pipe, from a thread that ends with the pipe or with its reader.
fn pass_on(
    mut next: impl FnMut() -> Option<Event> + Send + 'static,
    events: SyncSender<Event>,
    end: Event,
) -> Result<()> {
    std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
        while let Some(event) = next() {
            let is_last = matches!(event, Event::TooLong);
            if events.send(event).is_err() || is_last {
                return;
            }
        }
        // Nobody may be left to hear it.
        let _ = events.send(end);
    })?;
    Ok(())
}

/// Writes lines to a pipe, from a thread that ends when there are no more or none can be written.
fn write_to(mut pipe: impl Write + Send + 'static) -> Sender<Vec<u8>> {
    let (sender, lines) = channel::<Vec<u8>>();
    std::thread::spawn(move || {
        lines.iter().try_for_each(|line| pipe.write_all(&line).and_then(|()| pipe.flush()))
    });
    sender
}
