//! Boards that are reached by the OpenSSH client: one connection, which every worker shares.
//!
//! The connection is a client of our own that stays as long as we hold its input: if this program dies, so does
//! it, and with it all that it carries.

use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::bounded::next_note;
use super::shell::{self, Advice, Failed, Shell};
use super::{Interrupt, Options, ssh_words};
use crate::error::{Error, Result};
use crate::files::Folder;

/// How long connecting may take: the client's own limit, and what comes after it.
const LIMIT: Duration = Duration::from_secs(30);

/// What the device says when it is connected.
const HERE: &str = "oplat-here";

/// In batch mode, the client asks the user nothing. It notices a silent network within 15 s.
const OPTIONS: [&str; 9] = [
    "-oBatchMode=yes",
    "-oConnectTimeout=10",
    "-oServerAliveInterval=5",
    "-oServerAliveCountMax=3",
    "-oClearAllForwardings=yes",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oRequestTTY=no",
    "-oControlPersist=no",
];

const ADVICE: [Advice; 7] = [
    Advice::give_up("host key verification failed", "; connect once by hand with ssh and check its key"),
    Advice::give_up(
        "remote host identification has changed",
        "; it is another machine, or somebody in between",
    ),
    Advice::give_up("permission denied", "; give ssh a key that it accepts without a password"),
    Advice::give_up("could not resolve", "; check the name"),
    Advice::try_again("connection refused", "; check that it is on, and that sshd runs there"),
    Advice::try_again("timed out", "; check that it is on and in this network"),
    Advice::try_again("no route to host", "; check that it is on and in this network"),
];

/// `ssh:[user@]host[:port]`.
pub(super) struct Ssh {
    host: String,
    port: Option<u16>,
    /// The host to go through.
    jump: Option<String>,
    /// More words for the client, which can't change what is ours.
    words: Vec<String>,
    /// The folder of the connection's socket, readable for us alone.
    sockets: Folder,
    master: Mutex<Option<Child>>,
}

impl Ssh {
    /// Reads what comes after `ssh:`.
    pub fn parse(text: &str, options: &Options) -> Result<Self> {
        let wrong = || {
            Error::input(format!(
                "target ssh:{text}: give ssh:[user@]host[:port], as ssh:pi@board or ssh:[::1]:2222"
            ))
        };
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        let plain = |c: char| !(c.is_whitespace() || c.is_control());
        if host.is_empty() || host.starts_with('-') || host.ends_with('@') || !host.chars().all(plain) {
            return Err(wrong());
        }
        let words = ssh_words::read(options.jump.as_deref(), options.ssh_options.as_deref())?;
        let jump = options.jump.clone();
        Ok(Self { host, port, jump, words, sockets: Folder::temporary()?, master: Mutex::new(None) })
    }

    /// The client with what is ours first: of an option that is there twice, it takes the first.
    fn client(&self, is_master: bool) -> Command {
        let mut command = Command::new("ssh");
        command.args(OPTIONS);
        command.arg(format!("-oControlMaster={}", if is_master { "yes" } else { "no" }));
        // A client of its own goes to a jump host, and isn't told of batch mode: it is to ask nobody.
        command.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
        // The client would expand percent signs.
        let socket = self.sockets.path().join("s").to_string_lossy().replace('%', "%%");
        command.arg(format!("-oControlPath={socket}"));
        if let Some(port) = self.port {
            command.arg(format!("-p{port}"));
        }
        command.args(&self.words);
        command
    }

    fn let_go(&self) {
        let master = self.master.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(mut master) = master {
            // Fail only if it is gone.
            let _ = master.kill();
            let _ = master.wait();
        }
        // A client that was killed leaves its socket, and the next would not take its place.
        let _ = std::fs::remove_file(self.sockets.path().join("s"));
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Shell for Ssh {
    fn name(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        // Boards behind different hosts may have one address.
        let jump = self.jump.as_ref().map_or_else(String::new, |jump| format!(" through {jump}"));
        format!("ssh:{}{port}{jump}", self.host)
    }

    fn folder(&self) -> &'static str {
        "${XDG_CACHE_HOME:-$HOME/.cache}/oplat"
    }

    fn connect(&self, interrupt: &Interrupt) -> Result<(), Failed> {
        self.let_go();
        let mut command = self.client(true);
        let script = format!("echo {HERE}; exec cat >/dev/null");
        command.args(["--", &self.host, &shell::line(&script)]);
        let mut child = shell::spawn(command.stdin(Stdio::piped()))?;
        let (sender, lines) = sync_channel(1);
        for pipe in [child.stdout.take().map(boxed), child.stderr.take().map(boxed)].into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut pipe = BufReader::new(pipe);
                while let Some(line) = next_note(&mut pipe) {
                    // Once it is connected, nobody listens.
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        *self.master.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(child);
        let (deadline, mut said) = (Instant::now() + LIMIT, String::new());
        loop {
            if interrupt.is_raised() {
                return Err(Failed::Interrupted);
            }
            if Instant::now() >= deadline {
                return Err(Failed::Cut("connecting timed out".into()));
            }
            match lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) if line == HERE => return Ok(()),
                Ok(line) if !line.is_empty() && !line.starts_with(shell::ENDED) => said = line,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Failed::Cut(shell::last_words(&said))),
            }
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.client(false);
        command.args(["--", &self.host, line]);
        command
    }

    fn known(&self) -> &'static [Advice] {
        &ADVICE
    }
}

fn boxed(pipe: impl std::io::Read + Send + 'static) -> Box<dyn std::io::Read + Send> {
    Box::new(pipe)
}

/// Host, and port if there is one; an IPv6 address is in brackets if a port follows. `None` if the port is none.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let (user, host) = text.rsplit_once('@').map_or(("", text), |(user, _)| text.split_at(user.len() + 1));
    let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None if host.matches(':').count() > 1 => (host, None),
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse::<u16>).transpose().ok()?;
    (port != Some(0) && !host.is_empty()).then(|| (format!("{user}{host}"), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_host_and_port_are_told_apart() {
        for (text, host, port) in [
            ("board", "board", None),
            ("pi@board:2222", "pi@board", Some(2222)),
            ("::1", "::1", None),
            ("pi@[::1]:22", "pi@::1", Some(22)),
            ("[fe80::1%eth0]", "fe80::1%eth0", None),
        ] {
            assert_eq!(split_port(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in ["board:", "board:x", "board:0", "board:99999", "pi@"] {
            assert_eq!(split_port(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_that_could_be_an_option_or_more_words_is_refused() {
        for text in ["", "-oProxyCommand=reboot", "a b", "pi@", "board\n", ":22"] {
            assert!(Ssh::parse(text, &Options::default()).is_err(), "{text:?}");
        }
        assert_eq!(
            Ssh::parse("pi@board:2222", &Options::default()).expect("a board").name(),
            "ssh:pi@board:2222"
        );
    }

    #[test]
    fn boards_of_one_address_behind_different_hosts_are_two() {
        let name = |jump: &str| {
            let options = Options { jump: Some(jump.into()), ..Options::default() };
            Ssh::parse("10.0.0.2", &options).expect("a board").name()
        };
        assert_eq!([name("a"), name("b")], ["ssh:10.0.0.2 through a", "ssh:10.0.0.2 through b"]);
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        let ssh = Ssh::parse("board", &Options::default()).expect("a board");
        assert!(ssh.advice("ssh: connect to host board port 22: Connection refused").again);
        assert!(ssh.advice("kex_exchange_identification: Connection closed by remote host").again);
        for said in ["Host key verification failed.", "pi@board: Permission denied (publickey)."] {
            let advice = ssh.advice(said);
            assert!(!advice.again && !advice.remedy.is_empty(), "{said}");
        }
    }
}
