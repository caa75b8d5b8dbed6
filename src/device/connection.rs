//! A child process that answers JSON lines: its pipes, its deadline and its end.
//!
//! Two threads read what it says and pass it on through one channel, so that waiting needs no polling: a
//! reply, the end of the child, the deadline and the user's interrupt all end the same wait. A third one writes, so that a
//! child which doesn't read keeps nobody. None of them holds more than one line, however much the child says.

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use super::bounded::{LONGEST_REPLY, Line, is_plausible, next_line, next_note};
use super::{End, Interrupt, Lost, Worker, shell};
use crate::protocol::{Reply, Request};

/// How long the pipes of an ended child are read for its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many lines of stderr are kept.
const KEPT_LINES: usize = 20;

/// What may come while a connection waits.
#[derive(Debug)]
pub(super) enum Event {
    Reply(String),
    /// A line of stdout is longer than any reply.
    TooLong,
    Said(String),
    /// stdout is closed: the child is ending.
    OutEnded,
    ErrEnded,
    Interrupted,
}

/// How the worker at the other end of a client ended, which the end of the client doesn't tell.
#[derive(Default)]
struct Remote {
    code: Option<i32>,
}

/// A child and its pipes.
pub(super) struct Connection {
    child: Child,
    /// Lines for its stdin; `None` once the child is to end.
    stdin: Option<Sender<Vec<u8>>>,
    events: Receiver<Event>,
    /// Kept so that the interrupt can wake the wait as long as the connection lives.
    _waker: Arc<SyncSender<Event>>,
    said: VecDeque<String>,
    at: Option<usize>,
    err_ended: bool,
    /// For a client of a device's shell: how that shell said the worker ended.
    remote: Option<Remote>,
    /// The child has been waited for: its id may be another's by now.
    reaped: bool,
    interrupt: Interrupt,
}

impl Connection {
    /// Starts the command with pipes, in a process group of its own: Ctrl-C in the terminal is for the parent alone,
    /// which then decides what becomes of the children.
    pub fn open(command: &mut Command, interrupt: &Interrupt) -> std::io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn()?;
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
            pass_on(move || next_note(&mut err).map(Event::Said), sender.clone(), Event::ErrEnded)?;
        }
        let stdin = child.stdin.take().map(write_to);
        let waker = Arc::new(sender);
        interrupt.wake(&waker);
        Ok(Self {
            stdin,
            child,
            events,
            _waker: waker,
            said: VecDeque::new(),
            at: None,
            err_ended: false,
            remote: None,
            reaped: false,
            interrupt: interrupt.clone(),
        })
    }

    /// As [`Connection::open`], for a client that runs the line of [`shell::line`] on a device.
    pub fn remote(command: &mut Command, interrupt: &Interrupt) -> std::io::Result<Self> {
        let mut connection = Self::open(command, interrupt)?;
        connection.remote = Some(Remote::default());
        Ok(connection)
    }

    /// Has the request written; `false` once the child is to end. Where it can't be written, the child is ending.
    fn write(&mut self, request: &Request) -> bool {
        let Some(stdin) = &self.stdin else { return false };
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        let _ = stdin.send(line);
        true
    }

    /// Waits for the next line of stdout; listens to stderr meanwhile.
    fn receive(&mut self, patience: Duration) -> Result<String, Lost> {
        let deadline = Instant::now() + patience;
        loop {
            if self.interrupt.is_raised() {
                return Err(Lost::Interrupted);
            }
            match self.next_event(deadline) {
                Ok(Event::Reply(line)) => return Ok(line),
                Ok(Event::TooLong) => {
                    self.kill();
                    return Err(self.lost(End::TooLong));
                }
                Ok(Event::Said(line)) => self.hear(line),
                Ok(Event::ErrEnded) => self.err_ended = true,
                Ok(Event::Interrupted) => return Err(Lost::Interrupted),
                Ok(Event::OutEnded) | Err(RecvTimeoutError::Disconnected) => {
                    let end = self.last_end();
                    return Err(self.lost(end));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    self.drain();
                    return Err(self.lost(End::Hung(patience)));
                }
            }
        }
    }

    /// What comes next, if it comes before the deadline. A child that never stops talking wins no time by it.
    fn next_event(&self, deadline: Instant) -> Result<Event, RecvTimeoutError> {
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(RecvTimeoutError::Timeout),
            left => self.events.recv_timeout(left),
        }
    }

    /// Keeps a line of stderr, and the node it announces if it is a trace line.
    fn hear(&mut self, line: String) {
        if let Some(node) = line.strip_prefix("at ").and_then(|n| n.trim().parse().ok()) {
            self.at = Some(node);
            return;
        }
        if let (Some(remote), Some(code)) = (&mut self.remote, line.strip_prefix(shell::ENDED)) {
            remote.code = code.trim().parse().ok();
            return;
        }
        if self.said.len() == KEPT_LINES {
            self.said.pop_front();
        }
        self.said.push_back(line);
    }

    /// Hears the rest of stderr. A grandchild may hold the pipe open, hence the limit.
    fn drain(&mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        while !self.err_ended {
            match self.next_event(deadline) {
                Ok(Event::Said(line)) => self.hear(line),
                Ok(Event::ErrEnded) => self.err_ended = true,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// How the child ended. It has closed its stdout, so it ends now by itself, or is made to.
    fn last_end(&mut self) -> End {
        self.stdin = None;
        self.drain();
        let by_itself = self.child.try_wait();
        if matches!(by_itself, Ok(None)) {
            self.kill();
        }
        let status = self.child.wait();
        self.reaped = true;
        match &self.remote {
            Some(remote) => remote.code.map_or(End::Disconnected, |code| End::Exit(Some(code))),
            None => status.map_or(End::Exit(None), end_of),
        }
    }

    fn lost(&self, end: End) -> Lost {
        let noise = |line: &&String| !line.trim().is_empty() && !line.starts_with("note: run with");
        Lost::Died { end, last_words: self.said.iter().rev().find(noise).cloned(), at: self.at }
    }

    /// Kills the child, and all that it started, at once.
    fn kill(&mut self) {
        self.stdin = None;
        #[cfg(unix)]
        if let Ok(id) = i32::try_from(self.child.id())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            // Fails only if all of the group are gone.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        // Fails only if the child is gone.
        let _ = self.child.kill();
    }
}

impl Worker for Connection {
    fn send(&mut self, request: &Request) -> Result<(), Lost> {
        if self.interrupt.is_raised() {
            return Err(Lost::Interrupted);
        }
        if !self.write(request) {
            let end = self.last_end();
            return Err(self.lost(end));
        }
        Ok(())
    }

    fn reply(&mut self, patience: Duration) -> Result<Reply, Lost> {
        let line = self.receive(patience)?;
        if !is_plausible(&line) {
            self.kill();
            return Err(self.lost(End::Absurd));
        }
        Reply::read(&line).map_err(|_| {
            self.kill();
            self.lost(End::Garbled(line.chars().take(80).collect()))
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // Nothing is left to be told.
            let _ = self.child.wait();
        }
    }
}

#[cfg(unix)]
fn end_of(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    status.signal().map_or(End::Exit(status.code()), End::Signal)
}

#[cfg(not(unix))]
fn end_of(status: ExitStatus) -> End {
    End::Exit(status.code())
}

/// Passes on what comes from a pipe, from a thread that ends with the pipe or with the connection.
fn pass_on(
    mut next: impl FnMut() -> Option<Event> + Send + 'static,
    events: SyncSender<Event>,
    end: Event,
) -> std::io::Result<()> {
    // Hundreds of workers have two each.
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::protocol::Failure;

    /// Far more than any of these needs; no test waits for it.
    const PLENTY: Duration = Duration::from_secs(60);

    /// A shell that reads one line and then does as the script says.
    fn child(script: &str, interrupt: &Interrupt) -> Connection {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read line; {script}")]);
        Connection::open(&mut command, interrupt).expect("sh starts")
    }

    fn ask(script: &str) -> Result<Reply, Lost> {
        child(script, &Interrupt::default()).ask(&Request::Memory, PLENTY)
    }

    fn died(answer: Result<Reply, Lost>) -> (End, Option<String>, Option<usize>) {
        match answer {
            Err(Lost::Died { end, last_words, at }) => (end, last_words, at),
            other => panic!("expected a lost worker, got {other:?}"),
        }
    }

    #[test]
    fn a_reply_is_read_from_its_line() {
        let reply = ask(r#"echo '{"reply":"error","message":"no","node":3}'"#);
        let expected = Failure { node: Some(3), ..Failure::new("no") };
        assert_eq!(reply, Ok(Reply::Error(expected)));
    }

    #[test]
    fn a_child_that_is_killed_is_told_by_its_signal_and_its_last_node() {
        let (end, words, at) = died(ask("echo at 7 >&2; echo at 12 >&2; echo oh no >&2; kill -9 $$"));
        assert_eq!((end, words.as_deref(), at), (End::Signal(9), Some("oh no"), Some(12)));
    }

    #[test]
    fn a_child_that_exits_is_told_by_its_code() {
        let (end, words, _) = died(ask("echo 'note: run with `RUST_BACKTRACE=1`' >&2; exit 3"));
        assert_eq!((end, words), (End::Exit(Some(3)), None));
    }

    #[test]
    fn a_child_that_is_gone_before_the_question_is_told_too() {
        let mut worker = child("exit 4", &Interrupt::default());
        let (end, ..) = died(worker.ask(&Request::Memory, PLENTY));
        assert_eq!(end, End::Exit(Some(4)));
        assert!(matches!(worker.ask(&Request::Memory, PLENTY), Err(Lost::Died { .. })));
    }

    #[test]
    fn a_child_that_hangs_is_ended_at_the_deadline() {
        let mut worker = child("echo at 5 >&2; read again", &Interrupt::default());
        let (end, ..) = died(worker.ask(&Request::Memory, Duration::from_millis(1)));
        assert_eq!(end, End::Hung(Duration::from_millis(1)));
    }

    #[test]
    fn a_line_that_is_no_reply_ends_the_worker() {
        let (end, ..) = died(ask("echo Welcome to the launcher"));
        assert_eq!(end, End::Garbled("Welcome to the launcher".into()));
    }

    #[test]
    fn a_child_that_never_stops_talking_is_ended_at_the_deadline() {
        let mut worker = child("while :; do echo noise >&2; done", &Interrupt::default());
        let (end, words, _) = died(worker.ask(&Request::Memory, Duration::from_millis(1)));
        assert_eq!(end, End::Hung(Duration::from_millis(1)));
        assert!(words.is_none_or(|words| words == "noise"));
    }

    #[test]
    fn a_reply_with_a_number_that_nothing_measured_can_have_ends_the_worker() {
        let (end, ..) = died(ask(r#"echo '{"reply":"batched","ops_ns":[1,18446744073709551615]}'"#));
        assert_eq!(end, End::Absurd);
    }

    #[test]
    fn a_line_that_never_ends_ends_the_worker() {
        let (end, ..) = died(ask("exec tr '\\0' x </dev/zero"));
        assert_eq!(end, End::TooLong);
        let (end, words, _) = died(ask("head -c 9000000 /dev/zero | tr '\\0' x >&2; exit 3"));
        assert_eq!((end, words.map(|words| words.chars().count())), (End::Exit(Some(3)), Some(301)));
    }

    #[test]
    fn a_child_that_does_not_read_keeps_nobody_waiting() {
        let mut worker = child("exec sleep 60", &Interrupt::default());
        let request = Request::Batched { ops: vec![123_456; 100_000], least_ns: 0 };
        let (end, ..) = died(worker.ask(&request, Duration::from_millis(1)));
        assert_eq!(end, End::Hung(Duration::from_millis(1)));
    }

    #[test]
    fn an_interrupt_wakes_the_wait() {
        let interrupt = Interrupt::default();
        let mut worker = child("read again", &interrupt);
        let raiser = interrupt.clone();
        let thread = std::thread::spawn(move || raiser.raise());
        assert_eq!(worker.ask(&Request::Memory, PLENTY), Err(Lost::Interrupted));
        thread.join().expect("raised");
    }
}
