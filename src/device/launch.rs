//! Targets whose workers are children of this machine: started as they are, or by a launcher.

use std::path::{Path, PathBuf};
use std::process;

use super::connection::Connection;
use super::{Interrupt, Target, Worker, own};
use crate::error::{Error, Result};

/// This machine, this program.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl Target for Local {
    fn name(&self) -> String {
        "local".into()
    }

    fn emulated(&self) -> bool {
        false
    }

    fn start(&self, interrupt: &Interrupt) -> Result<Box<dyn Worker>> {
        start(own::command()?, &self.name(), interrupt)
    }
}

/// A launcher in front of the worker: `nice -n 5`, `taskset -c 1`, `qemu-aarch64-static ./oplat-aarch64`.
///
/// The worker is this program, unless the launcher's last word is a file named `oplat…`: then it is that one.
/// The launcher sees this machine's files under their own paths.
#[derive(Clone, Debug)]
pub struct Command {
    prefix: String,
    words: Vec<String>,
}

impl Command {
    /// Splits the prefix into words as a shell does, with quotes and backslashes but without variables.
    pub fn new(prefix: &str) -> Result<Self> {
        let words = split(prefix)
            .ok_or_else(|| Error::input(format!("target cmd:{prefix}: a quote is not closed; close it")))?;
        if words.is_empty() {
            return Err(Error::input("target cmd: needs a launcher, for example cmd:nice -n 5"));
        }
        Ok(Self { prefix: prefix.into(), words })
    }

    /// The launcher's words with the worker's program at the end.
    fn line(&self) -> Result<Vec<PathBuf>> {
        let mut line: Vec<PathBuf> = self.words.iter().map(PathBuf::from).collect();
        if !line.last().is_some_and(|last| starts_with(last, "oplat")) {
            line.push(own::for_others()?);
        }
        Ok(line)
    }
}

impl Target for Command {
    fn name(&self) -> String {
        format!("cmd:{}", self.prefix)
    }

    fn emulated(&self) -> bool {
        self.words.iter().any(|word| starts_with(Path::new(word), "qemu"))
    }

    fn start(&self, interrupt: &Interrupt) -> Result<Box<dyn Worker>> {
        let line = self.line()?;
        let (program, arguments) = line.split_first().ok_or_else(|| Error::input("target cmd: is empty"))?;
        let mut command = process::Command::new(program);
        command.args(arguments);
        start(command, &self.name(), interrupt)
    }
}

fn start(mut command: process::Command, name: &str, interrupt: &Interrupt) -> Result<Box<dyn Worker>> {
    // The engine's errors would hold backtraces where RUST_BACKTRACE asks for them: nobody would see one, and they cost time
    // while a model is loaded.
    command.arg("worker").env("RUST_LIB_BACKTRACE", "0");
    let connection = Connection::open(&mut command, interrupt).map_err(|error| {
        let program = command.get_program().display();
        Error::lost(format!("target {name}: cannot start {program}: {error}; check that it can be run"))
    })?;
    Ok(Box::new(connection))
}

/// Whether the file's name, without its folder, starts so.
fn starts_with(path: &Path, start: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(start))
}

/// The words of a line; `None` if a quote is left open.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(q), _) if letter == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(letters.next()?),
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_split_as_a_shell_does() {
        let table: [(&str, Option<&[&str]>); 7] = [
            ("nice  -n 5 ", Some(&["nice", "-n", "5"])),
            ("sh -c 'exec \"$@\"' x", Some(&["sh", "-c", "exec \"$@\"", "x"])),
            (r#"a\ b "c d"e ''"#, Some(&["a b", "c de", ""])),
            (r#""a\"b" 'a\b'"#, Some(&["a\"b", r"a\b"])),
            ("", Some(&[])),
            ("'open", None),
            ("end\\", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|words| words.iter().map(|w| w.to_string()).collect::<Vec<_>>());
            assert_eq!(split(line), expected, "{line}");
        }
    }

    #[test]
    fn a_launcher_that_names_its_own_oplat_keeps_it() {
        let emulated = Command::new("qemu-aarch64-static -L /sysroot ./oplat-aarch64").expect("a launcher");
        assert_eq!(emulated.line().expect("a line").len(), 4);
        assert!(emulated.emulated());
        let nice = Command::new("nice -n 5").expect("a launcher");
        assert_eq!(nice.line().expect("a line").len(), 4);
        assert!(!nice.emulated());
    }
}
