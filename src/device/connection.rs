//! A child process that answers JSON lines: its deadline and its end. All that it says comes by its [`Pipes`].

use std::collections::VecDeque;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::bounded::is_plausible;
use super::pipes::{Event, Pipes};
use super::{End, Interrupt, Lost, Worker, shell};
use crate::cleanup::Guard;
use crate::protocol::{Reply, Request};

/// How long the pipes of an ended child are read for its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many lines of stderr are kept.
const KEPT_LINES: usize = 20;

/// How the worker at the other end of a client ended, which the end of the client doesn't tell.
#[derive(Default)]
struct Remote {
    code: Option<i32>,
}

/// A child and its pipes.
pub(super) struct Connection {
    child: Child,
    pipes: Pipes,
    said: VecDeque<String>,
    at: Option<usize>,
    err_ended: bool,
    /// For a client of a device's shell: how that shell said the worker ended.
    remote: Option<Remote>,
    /// Kills the child and all that it started, also where this process ends before; `None` once it has.
    killer: Option<Guard>,
    interrupt: Interrupt,
}

impl Connection {
    /// Starts the command with pipes, in a process group of its own: Ctrl-C in the terminal is for the parent alone,
    /// which then decides what becomes of the children.
    pub fn open(command: &mut Command, interrupt: &Interrupt) -> std::io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let (mut child, killer) = Guard::over(|| {
            let child = command.spawn()?;
            let group = child.id();
            std::io::Result::Ok((child, move || kill_group(group)))
        })?;
        Ok(Self {
            pipes: Pipes::of(&mut child, interrupt)?,
            child,
            said: VecDeque::new(),
            at: None,
            err_ended: false,
            remote: None,
            killer: Some(killer),
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
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        self.pipes.send(line)
    }

    /// Waits for the next line of stdout; listens to stderr meanwhile.
    fn receive(&mut self, patience: Duration) -> Result<String, Lost> {
        let deadline = Instant::now() + patience;
        loop {
            match self.pipes.next(deadline, false) {
                Event::Reply(line) => return Ok(line),
                Event::TooLong => {
                    self.kill();
                    return Err(self.lost(End::TooLong));
                }
                Event::Said(line) => self.hear(line),
                Event::ErrEnded => self.err_ended = true,
                Event::Interrupted => return Err(Lost::Interrupted),
                Event::OutEnded => {
                    let end = self.last_end();
                    return Err(self.lost(end));
                }
                Event::Late => {
                    self.kill();
                    self.drain();
                    return Err(self.lost(End::Hung(patience)));
                }
            }
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
            match self.pipes.next(deadline, true) {
                Event::Said(line) => self.hear(line),
                Event::ErrEnded => self.err_ended = true,
                Event::Late => return,
                _ => {}
            }
        }
    }

    /// How the child ended. It has closed its stdout, so it ends now by itself, or is made to.
    fn last_end(&mut self) -> End {
        self.pipes.close();
        self.drain();
        // One that has ended by itself stays so, and what it started ends with it. Until it is waited for, its id is its own.
        self.kill();
        let status = self.child.wait();
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
        self.pipes.close();
        if self.killer.take().is_some() {
            // Fails only if the child is gone.
            let _ = self.child.kill();
        }
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
        self.kill();
        // Nothing is left to be told.
        let _ = self.child.wait();
    }
}

/// Kills a child that was not waited for yet, with all that it started and that is still in its group.
fn kill_group(id: u32) {
    #[cfg(unix)]
    if let Ok(id) = i32::try_from(id)
        && let Some(group) = rustix::process::Pid::from_raw(id)
    {
        // Fails only if all of the group are gone.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = id;
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
    fn a_child_that_takes_nothing_is_heard_to_its_end() {
        let mut worker = child("exec <&-; echo '{\"reply\":\"unable\"}'; echo noise", &Interrupt::default());
        assert_eq!(worker.ask(&Request::Memory, PLENTY), Ok(Reply::Unable));
        let (end, ..) = died(worker.ask(&Request::Memory, PLENTY));
        assert_eq!(end, End::Garbled("noise".into()));
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
