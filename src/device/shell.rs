//! A device's shell, at the other end of ssh or adb: scripts that are run there, and how they end.
//!
//! Both clients take one string for the device's shell. So whatever is a name or a path goes through [`quote`],
//! and nothing else may come from outside. Neither client tells reliably whether the script failed or the
//! connection did: the script itself says how it ended, and one that doesn't say so was cut off.

use std::io::Seek;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Interrupt;
use super::bounded::{self, LONGEST_NOTE, Patience};
use crate::error::{Error, Result};
use crate::units;

/// What a script says on stderr when it has ended, with its exit code.
pub(super) const ENDED: &str = "oplat-ended ";

/// How often a running client is looked at. Nothing is measured on the device meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// What a script or a client may say that is asked for a word or a list.
const LINES: u64 = 4_000_000;

/// How long a transfer may stand still.
const STILL: Duration = Duration::from_secs(60);

/// What a client may have taken of a file that isn't there yet, and the slowest network that is waited for, bytes a second.
const UNDER_WAY: u64 = 4_000_000;
const SLOWEST: u64 = 20_000;

/// What goes over the network, and how long that may take.
#[derive(Clone, Copy)]
pub(super) enum Traffic<'f> {
    /// Some lines, within this time.
    Lines(Duration),
    /// A file to the device: as long as it is read on.
    Push(&'f Path),
    /// As many bytes from the device: as long as they come.
    Fetch(u64),
}

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
    /// The device sends more bytes than this, which are more than were asked for.
    TooMuch(u64),
}

/// One word for any shell, whatever is in it but line breaks, which csh takes for the end of the line. Some know
/// backslashes and exclamation marks inside of quotes too: these stand outside.
pub(super) fn quote(text: &str) -> String {
    let special = |c: char| matches!(c, '\'' | '\\' | '!');
    let quoted = text.chars().map(|c| if special(c) { format!(r"'\{c}'") } else { c.to_string() });
    format!("'{}'", quoted.collect::<String>())
}

/// A line for any login shell: it has a POSIX shell run the script, which is one line, and say how it ended.
pub(super) fn line(script: &str) -> String {
    let told = format!("({script}); code=$?; echo >&2; echo \"{ENDED}$code\" >&2");
    format!("exec sh -c {}", quote(&told))
}

/// Runs a script on the device; gives what it wrote to stdout.
pub(super) fn run(
    shell: &dyn Shell,
    script: &str,
    traffic: Traffic,
    interrupt: &Interrupt,
) -> Result<Vec<u8>, Failed> {
    let mut command = shell.command(&line(script));
    let (output, said) = transfer(&mut command, traffic, interrupt)?;
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
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<(Vec<u8>, String), Failed> {
    transfer(command, Traffic::Lines(limit), interrupt)
}

fn transfer(
    command: &mut Command,
    traffic: Traffic,
    interrupt: &Interrupt,
) -> Result<(Vec<u8>, String), Failed> {
    // This end and the client's have one position in the file: it says how far the client is.
    let mut file = match traffic {
        Traffic::Push(path) => Some(open(path)?),
        Traffic::Lines(_) | Traffic::Fetch(_) => None,
    };
    let stdin = file.as_ref().map(|(file, _)| file.try_clone().map(Stdio::from)).transpose();
    let stdin = stdin.map_err(|e| Failed::Client(e.to_string()))?.unwrap_or_else(Stdio::null);
    let (most, still) = match (traffic, &file) {
        (Traffic::Lines(limit), _) => (LINES, limit),
        (Traffic::Fetch(bytes), _) => (bytes, STILL),
        (Traffic::Push(_), file) => {
            let bytes = file.as_ref().map_or(0, |(_, bytes)| *bytes);
            (LINES, STILL + Duration::from_secs(bytes.min(UNDER_WAY) / SLOWEST))
        }
    };
    let mut child = spawn(command.stdin(stdin))?;
    let came = Arc::new(AtomicU64::new(0));
    let told = came.clone();
    let out = child.stdout.take().map(|out| {
        std::thread::spawn(move || bounded::read_all(out, most, |bytes| told.store(bytes, Relaxed)))
    });
    let err = child.stderr.take().map(|err| std::thread::spawn(move || bounded::notes(err)));

    let mut patience = Patience::new(still, Instant::now());
    let over = || {
        let came = came.load(Relaxed);
        let moved = match traffic {
            Traffic::Lines(_) => 0,
            Traffic::Fetch(_) => came,
            Traffic::Push(_) => file.as_mut().and_then(|(file, _)| file.stream_position().ok()).unwrap_or(0),
        };
        if came > most {
            return Some(Failed::TooMuch(most));
        }
        let waited = || Failed::Cut(format!("no answer for {}", units::duration(still)));
        patience.is_over(moved, Instant::now()).then(waited)
    };
    wait(&mut child, over, interrupt)?;
    let out = match out.map(|out| out.join()) {
        Some(Ok(Err(e))) if e.kind() == std::io::ErrorKind::FileTooLarge => {
            return Err(Failed::TooMuch(most));
        }
        Some(Ok(Ok(out))) => out,
        _ => vec![],
    };
    Ok((out, err.and_then(|err| err.join().ok()).unwrap_or_default()))
}

/// A file to be pushed, and how many bytes it has.
fn open(path: &Path) -> Result<(std::fs::File, u64), Failed> {
    let file = std::fs::File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (bytes, file) = file.map_err(|e| Failed::Client(format!("{}: {e}", path.display())))?;
    Ok((file, bytes))
}

/// Starts a client in a process group of its own: Ctrl-C is for the parent alone.
pub(super) fn spawn(command: &mut Command) -> Result<Child, Failed> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().map_err(|e| Failed::Client(format!("{}: {e}", command.get_program().display())))
}

/// Waits for the client's end; ends it itself if the user wants to stop, or if it is `over` for another reason.
fn wait(
    child: &mut Child,
    mut over: impl FnMut() -> Option<Failed>,
    interrupt: &Interrupt,
) -> Result<(), Failed> {
    let failed = loop {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if interrupt.is_raised() => break Failed::Interrupted,
            Ok(None) => match over() {
                Some(failed) => break failed,
                None => std::thread::sleep(LOOK),
            },
            Err(e) => break Failed::Client(e.to_string()),
        }
    };
    // Fail only if the child is gone.
    let _ = child.kill();
    let _ = child.wait();
    Err(failed)
}

/// The last line that says something.
pub(super) fn last_words(said: &str) -> String {
    let line = said.lines().rev().map(str::trim).find(|l| !l.is_empty() && !l.starts_with(ENDED));
    let line = line.unwrap_or("no reason given");
    line.char_indices()
        .nth(LONGEST_NOTE)
        .map_or_else(|| line.to_owned(), |(end, _)| format!("{}…", &line[..end]))
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
            Self::TooMuch(most) => Error::lost(format!(
                "target {name}: cannot {doing}: it sends more than {}, which nobody asked for",
                units::bytes(most)
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
        run(&Here, script, Traffic::Lines(PLENTY), &Interrupt::default())
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
        for text in [
            "plain",
            "two words",
            "it's",
            "$(reboot)",
            "`x`",
            "a\nb",
            "\\",
            "\"",
            "-n",
            ";&|*?",
            "!!",
            "a\\'!\\!'",
        ] {
            let expected = format!("{text}\n").into_bytes();
            assert_eq!(done(&format!("printf '%s\\n' {}", quote(text))), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn waiting_ends_with_the_limit_and_with_the_interrupt() {
        let cut = run(&Here, "read never", Traffic::Lines(Duration::ZERO), &Interrupt::default());
        assert!(matches!(cut, Err(Failed::Cut(_)) | Err(Failed::Script(..))), "{cut:?}");
        let interrupt = Interrupt::default();
        interrupt.raise();
        let ended = run(&Here, "exec sleep 60", Traffic::Lines(PLENTY), &interrupt);
        assert_eq!(ended, Err(Failed::Interrupted));
    }

    #[test]
    fn more_than_was_asked_for_is_refused() {
        let fetch = |script: &str, bytes| run(&Here, script, Traffic::Fetch(bytes), &Interrupt::default());
        assert_eq!(fetch("printf 1234", 4), Ok(b"1234".to_vec()));
        assert_eq!(fetch("printf 12345", 4), Err(Failed::TooMuch(4)));
        let failed = fetch("cat /dev/zero", 1000).expect_err("it never ends");
        assert!(failed.explain(&Here, "fetch x").message.contains("more than 1.000 kB"));
        assert_eq!(done("cat /dev/zero"), Err(Failed::TooMuch(LINES)));
        // Of what is said to a person, the end is kept.
        let failed = done("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo why >&2; exit 3");
        assert_eq!(failed, Err(Failed::Script(3, "why".into())));
    }

    #[test]
    fn a_pushed_file_is_what_the_script_reads() {
        let file = tempfile::NamedTempFile::new().expect("temp");
        std::fs::write(file.path(), vec![7; 300_000]).expect("written");
        let pushed = run(&Here, "cat", Traffic::Push(file.path()), &Interrupt::default());
        assert_eq!(pushed, Ok(vec![7; 300_000]));
    }

    #[test]
    fn a_full_disk_is_told_with_its_remedy() {
        let failed = Failed::Script(1, "cat: write error: No space left on device".into());
        assert!(failed.explain(&Here, "push it").message.contains("make room"));
    }
}
