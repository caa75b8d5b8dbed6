//! A device's shell, at the other end of ssh or adb: scripts that are run there, and how they end.
//!
//! Both clients take one string for the device's shell. So whatever is a name or a path goes through [`quote`],
//! and nothing else may come from outside. Neither client tells reliably whether the script failed or the
//! connection did: the script itself says how it ended, and one that doesn't say so was cut off.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Interrupt;
use crate::error::{Error, Result};

/// What a script says on stderr when it has ended, with its exit code.
pub(super) const ENDED: &str = "oplat-ended ";

/// How often a running client is looked at. Nothing is measured on the device meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// A way to the shell of a device.
pub(super) trait Shell: Send + Sync + 'static {
    /// As the user spells the target.
    fn name(&self) -> String;

    /// Where to keep files, as the device's shell understands it inside double quotes.
    fn folder(&self) -> &'static str;

    /// Connects, once. An earlier connection is closed. Fails with what the client said.
    fn connect(&self, interrupt: &Interrupt) -> Result<(), Failed>;

    /// The client's command that runs the line by the device's shell, with the pipes that it is given.
    fn command(&self, line: &str) -> Command;

    /// What to do about what the client may say.
    fn known(&self) -> &'static [Advice];

    /// What to do about what the client said: by the first advice that fits.
    fn advice(&self, said: &str) -> Advice {
        let said = said.to_lowercase();
        let known = self.known().iter().find(|advice| said.contains(advice.part));
        known.copied().unwrap_or(Advice::try_again("", ""))
    }
}

/// What to do about something that a client says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advice {
    /// A part of what it says, in lower case.
    part: &'static str,
    /// For the user, after a semicolon.
    pub remedy: &'static str,
    /// Whether trying again may help.
    pub again: bool,
}

impl Advice {
    pub const fn try_again(part: &'static str, remedy: &'static str) -> Self {
        Self { part, remedy, again: true }
    }

    pub const fn give_up(part: &'static str, remedy: &'static str) -> Self {
        Self { part, remedy, again: false }
    }
}

/// Why something wasn't done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failed {
    Interrupted,
    /// The client itself failed, or was cut off: its last words.
    Cut(String),
    /// The script failed: its exit code and last words.
    Script(i32, String),
    /// The client can't be started at all: why.
    Client(String),
}

/// One word for a POSIX shell, whatever is in it.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A line for any login shell: it has a POSIX shell run the script, and say how it ended.
pub(super) fn line(script: &str) -> String {
    let told = format!("({script}\n); code=$?; echo >&2; echo \"{ENDED}$code\" >&2");
    format!("exec sh -c {}", quote(&told))
}

/// Runs a script on the device; gives what it wrote to stdout.
pub(super) fn run(
    shell: &dyn Shell,
    script: &str,
    stdin: Option<&Path>,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Vec<u8>, Failed> {
    let mut command = shell.command(&line(script));
    let (output, said) = finish(&mut command, stdin, limit, interrupt)?;
    let ended = said.lines().rev().find_map(|l| l.strip_prefix(ENDED)?.trim().parse::<i32>().ok());
    match ended {
        Some(0) => Ok(output),
        Some(code) => Err(Failed::Script(code, last_words(&said))),
        None => Err(Failed::Cut(last_words(&said))),
    }
}

/// Runs a client's command to its end, for no longer than `limit`: what it wrote to stdout and to stderr.
pub(super) fn finish(
    command: &mut Command,
    stdin: Option<&Path>,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<(Vec<u8>, String), Failed> {
    let input = match stdin {
        Some(path) => {
            let file =
                std::fs::File::open(path).map_err(|e| Failed::Client(format!("{}: {e}", path.display())))?;
            Stdio::from(file)
        }
        None => Stdio::null(),
    };
    let mut child = spawn(command.stdin(input))?;
    let out = child.stdout.take().map(read);
    let err = child.stderr.take().map(read);
    let deadline = Instant::now() + limit;
    let ended = wait(&mut child, deadline, interrupt);
    let text =
        |pipe: Option<std::thread::JoinHandle<Vec<u8>>>| pipe.and_then(|p| p.join().ok()).unwrap_or_default();
    match ended {
        Ok(()) => Ok((text(out), String::from_utf8_lossy(&text(err)).into_owned())),
        Err(failed) => Err(failed),
    }
}

/// Starts a client in a process group of its own: Ctrl-C is for the parent alone.
pub(super) fn spawn(command: &mut Command) -> Result<Child, Failed> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().map_err(|e| Failed::Client(format!("{}: {e}", command.get_program().display())))
}

fn wait(child: &mut Child, deadline: Instant, interrupt: &Interrupt) -> Result<(), Failed> {
    let failed = loop {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if interrupt.is_raised() => break Failed::Interrupted,
            Ok(None) if Instant::now() >= deadline => break Failed::Cut("no answer in time".into()),
            Ok(None) => std::thread::sleep(LOOK),
            Err(e) => break Failed::Client(e.to_string()),
        }
    };
    // Fail only if the child is gone.
    let _ = child.kill();
    let _ = child.wait();
    Err(failed)
}

fn read(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        // What was read until an error counts.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// The last line that says something.
pub(super) fn last_words(said: &str) -> String {
    let line = said.lines().rev().map(str::trim).find(|l| !l.is_empty() && !l.starts_with(ENDED));
    line.unwrap_or("no reason given").to_owned()
}

impl Failed {
    /// In the user's words: what was to be done on which target, why not, and what to do about it.
    pub fn explain(self, shell: &dyn Shell, doing: &str) -> Error {
        let name = shell.name();
        match self {
            Self::Interrupted => Error::lost("interrupted"),
            Self::Client(why) => Error::lost(format!(
                "target {name}: cannot {doing}: {why}; install the client, or check its file"
            )),
            Self::Cut(why) => {
                let remedy = shell.advice(&why).remedy;
                Error::lost(format!("target {name}: cannot {doing}: {why}{remedy}"))
            }
            Self::Script(code, why) => {
                let advice = match why.to_lowercase() {
                    why if why.contains("no space left") => "; make room there, or name another `folder`",
                    why if why.contains("denied") || why.contains("read-only") => "; name another `folder`",
                    _ => "",
                };
                Error::lost(format!("target {name}: cannot {doing}: {why} (code {code}){advice}"))
            }
        }
    }

    /// Whether trying again may help.
    pub fn may_pass(&self, shell: &dyn Shell) -> bool {
        matches!(self, Self::Cut(why) if shell.advice(why).again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that is this machine's own shell.
    struct Here;

    impl Shell for Here {
        fn name(&self) -> String {
            "here".into()
        }

        fn folder(&self) -> &'static str {
            "/tmp"
        }

        fn connect(&self, _: &Interrupt) -> Result<(), Failed> {
            Ok(())
        }

        fn command(&self, line: &str) -> Command {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        }

        fn known(&self) -> &'static [Advice] {
            const { &[Advice::try_again("later", "; try again"), Advice::give_up("never", "")] }
        }
    }

    const PLENTY: Duration = Duration::from_secs(60);

    fn done(script: &str) -> Result<Vec<u8>, Failed> {
        run(&Here, script, None, PLENTY, &Interrupt::default())
    }

    #[test]
    fn a_script_tells_how_it_ended() {
        assert_eq!(done("printf 'a\\0b'"), Ok(b"a\0b".to_vec()));
        assert_eq!(done("echo no >&2; exit 7"), Err(Failed::Script(7, "no".into())));
        assert_eq!(done("printf unfinished >&2; false"), Err(Failed::Script(1, "unfinished".into())));
    }

    #[test]
    fn one_that_does_not_tell_was_cut_off() {
        let failed = done("echo come later >&2; kill -9 $$").expect_err("cut off");
        assert_eq!(failed, Failed::Cut("come later".into()));
        assert!(failed.may_pass(&Here) && !Failed::Cut("never".into()).may_pass(&Here));
        let error = failed.explain(&Here, "push x");
        assert_eq!(error.message, "target here: cannot push x: come later; try again");
    }

    #[test]
    fn whatever_is_quoted_stays_one_word() {
        for text in ["plain", "two words", "it's", "$(reboot)", "`x`", "a\nb", "\\", "\"", "-n", ";&|*?"] {
            let expected = format!("{text}\n").into_bytes();
            assert_eq!(
                done(&format!("cat <<END\n$(printf %s {})\nEND", quote(text))),
                Ok(expected),
                "{text:?}"
            );
        }
    }

    #[test]
    fn waiting_ends_with_the_limit_and_with_the_interrupt() {
        let cut = run(&Here, "read never", None, Duration::ZERO, &Interrupt::default());
        assert!(matches!(cut, Err(Failed::Cut(_)) | Err(Failed::Script(..))), "{cut:?}");
        let interrupt = Interrupt::default();
        interrupt.raise();
        let ended = run(&Here, "exec sleep 60", None, PLENTY, &interrupt);
        assert_eq!(ended, Err(Failed::Interrupted));
    }

    #[test]
    fn a_full_disk_is_told_with_its_remedy() {
        let failed = Failed::Script(1, "cat: write error: No space left on device".into());
        assert!(failed.explain(&Here, "push it").message.contains("make room"));
    }
}
