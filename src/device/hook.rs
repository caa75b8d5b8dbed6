//! Commands of the lab's owner: `acquire`, which makes a device ours, and `release`, which gives it back.
//!
//! What they say goes to files, not through pipes: a tunnel that a command leaves running holds nobody up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Interrupt;
use super::{bounded, shell};
use crate::cleanup::Guard;
use crate::units;

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long it may take before somebody is told that it does.
const LONG: Duration = Duration::from_secs(10);

/// How long one that is told to end may take.
const GRACE: Duration = Duration::from_secs(2);

/// What it may say.
const MOST: u64 = 1_000_000;

/// The code by which `acquire` says that somebody else has the device: EX_TEMPFAIL of sysexits.h.
const BUSY: i32 = 75;

/// A command, and what it is about.
pub struct Hook<'h> {
    /// For `sh -c`.
    pub line: &'h str,
    /// The device's name, as `OPLAT_TARGET`.
    pub device: &'h str,
    pub variables: &'h BTreeMap<String, String>,
    pub limit: Duration,
    /// Whether it ends where this program does before: what gives a device back goes on.
    pub ends_with_us: bool,
}

/// How a command ended, with what it printed.
pub struct Ran {
    pub end: Ended,
    pub printed: String,
}

#[derive(Debug, PartialEq)]
pub enum Ended {
    Well,
    /// It says that somebody else has the device: its last words.
    Busy(String),
    /// It failed by itself, so it has done nothing that is to be undone: why.
    Failed(String),
    /// It was ended, and nobody knows how far it came: why.
    Cut(String),
    Interrupted,
}

impl Hook<'_> {
    /// Runs it to its end; says so once it takes long.
    pub fn run(&self, say: &mut dyn FnMut(&str), interrupt: &Interrupt) -> Ran {
        self.try_run(say, interrupt).unwrap_or_else(|e| {
            let end = Ended::Failed(format!("sh can't be started: {e}"));
            Ran { end, printed: String::new() }
        })
    }

    fn try_run(&self, say: &mut dyn FnMut(&str), interrupt: &Interrupt) -> std::io::Result<Ran> {
        let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = Command::new("sh");
        let variables = self.variables.iter().filter(|(name, _)| !is_of_the_system(name));
        command.args(["-c", self.line]).envs(variables).env("OPLAT_TARGET", self.device);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
        // Ctrl-C in the terminal is for this program alone, which ends the command.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (mut child, end_with_us) = match self.ends_with_us {
            true => Guard::over(|| -> std::io::Result<_> {
                let child = command.spawn()?;
                let id = child.id();
                Ok((child, move || signal(id, Signal::Kill)))
            })
            .map(|(child, guard)| (child, Some(guard)))?,
            false => (command.spawn()?, None),
        };
        let cut = self.wait(&mut child, [&out, &err], say, interrupt);
        if cut.is_some() {
            end(&mut child);
        }
        let status = child.wait();
        end_with_us.into_iter().for_each(Guard::disarm);
        let full = [&mut out, &mut err].into_iter().find_map(|file| check_room(file).err());
        out.rewind()?;
        err.rewind()?;
        let printed = bounded::read_all(out, MOST, |_| {}).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let words = match bounded::notes(err) {
            said if said.trim().is_empty() => shell::last_words(&printed),
            said => shell::last_words(&said),
        };
        let end = match (cut, status?.code()) {
            (Some(cut), _) => cut,
            // Nobody reads what is said by a command that gives a device back.
            (None, Some(0)) if full.is_none() || !self.ends_with_us => Ended::Well,
            // It may have failed by that alone, or have got something that we don't know of.
            (None, Some(_)) if full.is_some() => Ended::Cut(format!(
                "what it says can't be kept: {}; make room in {}",
                full.map_or_else(String::new, |error| error.to_string()),
                std::env::temp_dir().display()
            )),
            (None, Some(BUSY)) => Ended::Busy(words),
            (None, Some(code @ (126 | 127))) => {
                Ended::Failed(format!("{words} (code {code}); install it, or give its path"))
            }
            (None, Some(code)) => Ended::Failed(format!("{words} (code {code})")),
            (None, None) => Ended::Cut("it was killed".into()),
        };
        Ok(Ran { end, printed })
    }

    /// Waits until it ends by itself, or until there is a reason to end it.
    fn wait(
        &self,
        child: &mut Child,
        said: [&File; 2],
        say: &mut dyn FnMut(&str),
        interrupt: &Interrupt,
    ) -> Option<Ended> {
        let (began, mut is_told) = (Instant::now(), false);
        while let Ok(None) = child.try_wait() {
            if interrupt.is_raised() {
                return Some(Ended::Interrupted);
            }
            if began.elapsed() >= self.limit {
                return Some(Ended::Cut(format!(
                    "it was ended after {}, its limit",
                    units::duration(self.limit)
                )));
            }
            if said.iter().any(|file| file.metadata().is_ok_and(|file| file.len() > MOST)) {
                return Some(Ended::Cut(format!("it said more than {}", units::bytes(MOST))));
            }
            if began.elapsed() >= LONG && !is_told {
                let limit = units::duration(self.limit);
                say(&format!(
                    "{}: still waiting for its command, for {limit} at most: {}",
                    self.device, self.line
                ));
                is_told = true;
            }
            interrupt.wait(LOOK);
        }
        None
    }
}

/// Fails where a file can't take more, so that it may not have all that was said.
fn check_room(file: &mut File) -> std::io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    // Some of it may fit.
    let written = file.write_all(&[0; 4096]);
    let cut = file.set_len(end);
    written.and(cut)
}

/// Whether a variable says how programs are found and started: those of one command would keep another from its own.
fn is_of_the_system(name: &str) -> bool {
    ["PATH", "HOME", "IFS", "ENV", "BASH_ENV", "SHELLOPTS"].contains(&name)
        || ["LD_", "DYLD_"].iter().any(|start| name.starts_with(start))
}

/// Tells a command and all that it started to end, and after a while makes them.
fn end(child: &mut Child) {
    let deadline = Instant::now() + GRACE;
    signal(child.id(), Signal::Term);
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
    signal(child.id(), Signal::Kill);
    // Fails only if it is gone.
    let _ = child.kill();
}

enum Signal {
    Term,
    Kill,
}

fn signal(group: u32, signal: Signal) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        // Fails only if all of the group are gone.
        let _ = rustix::process::kill_process_group(group, signal);
    }
    #[cfg(not(unix))]
    let _ = (group, signal);
}

/// What gives a device back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub line: String,
    pub limit: Duration,
    /// What `acquire` printed.
    pub variables: BTreeMap<String, String>,
}

impl Release {
    /// Fails with the reason.
    pub fn run(&self, device: &str, interrupt: &Interrupt) -> Result<(), String> {
        let (line, variables, limit) = (&self.line, &self.variables, self.limit);
        let hook = Hook { line, device, variables, limit, ends_with_us: false };
        match hook.run(&mut |_| {}, interrupt).end {
            Ended::Well => Ok(()),
            Ended::Busy(why) | Ended::Failed(why) | Ended::Cut(why) => Err(why),
            Ended::Interrupted => Err("interrupted".into()),
        }
    }
}

/// The first word of a command line if the shell knows no such command.
pub fn missing(line: &str) -> Option<String> {
    let word = line.split_whitespace().find(|word| !word.contains('='))?;
    // Of what is more than a name, only the shell knows what it comes to.
    let is_plain = word.chars().all(|c| c.is_alphanumeric() || "._/-+".contains(c));
    let mut ask = Command::new("sh");
    ask.args(["-c", "command -v \"$1\"", "sh", word]);
    ask.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let known = ask.status().is_ok_and(|status| status.success());
    (is_plain && !known).then(|| word.to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Far more than any of these needs.
    const PLENTY: Duration = Duration::from_secs(60);

    fn run(line: &str, limit: Duration, interrupt: &Interrupt) -> Ran {
        let variables = BTreeMap::from([("TOKEN".to_owned(), "t 1".to_owned())]);
        Hook { line, device: "board1", variables: &variables, limit, ends_with_us: true }
            .run(&mut |_| {}, interrupt)
    }

    #[test]
    fn a_command_tells_how_it_ended_and_what_it_printed() {
        let ran = |line| run(line, PLENTY, &Interrupt::default());
        let well = ran("echo \"$OPLAT_TARGET $TOKEN\"; echo note >&2");
        assert_eq!((well.end, well.printed.as_str()), (Ended::Well, "board1 t 1\n"));
        assert_eq!(ran("echo in use by ann >&2; exit 75").end, Ended::Busy("in use by ann".into()));
        assert_eq!(ran("echo no; exit 3").end, Ended::Failed("no (code 3)".into()));
        assert!(matches!(ran("no-such-command").end, Ended::Failed(why) if why.contains("install it")));
        assert_eq!(ran("kill -9 $$").end, Ended::Cut("it was killed".into()));
    }

    #[test]
    fn what_a_command_printed_does_not_change_how_another_finds_its_programs() {
        let names = ["PATH", "IFS", "LD_PRELOAD", "HOME", "BASH_ENV", "OPLAT_TARGET"];
        let variables = BTreeMap::from(names.map(|name| (name.to_owned(), "/nowhere".to_owned())));
        let line = "sh -c 'echo $OPLAT_TARGET'";
        let hook = Hook { line, device: "board1", variables: &variables, limit: PLENTY, ends_with_us: true };
        let ran = hook.run(&mut |_| {}, &Interrupt::default());
        assert_eq!((ran.end, ran.printed.as_str()), (Ended::Well, "board1\n"));
        let home = Hook { line: "echo \"$HOME$LD_PRELOAD\"", ..hook }.run(&mut |_| {}, &Interrupt::default());
        assert!(!home.printed.contains("nowhere"), "{}", home.printed);
    }

    #[test]
    fn what_it_leaves_running_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("temp");
        let fifo = folder.path().join("fifo");
        let line = format!("mkfifo '{0}'; cat '{0}' & echo ssh:board", fifo.display());
        assert_eq!(run(&line, PLENTY, &Interrupt::default()).printed, "ssh:board\n");
        std::fs::write(fifo, "").expect("it was still reading");
    }

    #[test]
    fn one_that_is_ended_may_say_what_it_has_by_then() {
        let folder = tempfile::tempdir().expect("temp");
        let fifo = folder.path().join("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.is_ok_and(|made| made.success()));
        let line = format!(
            "trap 'echo TOKEN=late; exit 1' TERM; cat /dev/zero >/dev/null & echo >'{}'; wait",
            fifo.display()
        );
        let interrupt = Interrupt::default();
        let raiser = interrupt.clone();
        // It has come to its trap when it opens the pipe.
        let thread = std::thread::spawn(move || std::fs::read(fifo).map(|_| raiser.raise()));
        let ran = run(&line, PLENTY, &interrupt);
        assert_eq!((ran.end, ran.printed.as_str()), (Ended::Interrupted, "TOKEN=late\n"));
        thread.join().expect("joined").expect("read");
    }

    #[test]
    fn one_that_takes_too_long_or_says_too_much_is_ended() {
        let ran = run("sleep 60", Duration::from_millis(1), &Interrupt::default());
        assert!(matches!(ran.end, Ended::Cut(why) if why.contains("ended after 1 ms")));
        let ran = run("cat /dev/zero", PLENTY, &Interrupt::default());
        assert!(matches!(ran.end, Ended::Cut(why) if why.contains("1.000 MB")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_known_by_what_cannot_be_written_any_more() {
        let mut full = File::options().write(true).open("/dev/full").expect("there");
        assert_eq!(check_room(&mut full).map_err(|e| e.kind()), Err(std::io::ErrorKind::StorageFull));
        let mut file = tempfile::tempfile().expect("temp");
        file.write_all(b"said").expect("written");
        check_room(&mut file).expect("room");
        assert_eq!(file.metadata().expect("there").len(), 4);
    }

    #[test]
    fn a_command_that_is_not_there_is_known() {
        assert_eq!(missing("no-such-command -p x"), Some("no-such-command".into()));
        assert_eq!(missing("A=b no-such-command -p x"), Some("no-such-command".into()));
        for line in ["until false; do :; done", "sh -c true", "$TOOL x", "(cd /; true)"] {
            assert_eq!(missing(line), None, "{line}");
        }
    }
}
