//! How a worker can be lost, in words that tell the user what to do.

use std::fmt;
use std::time::Duration;

use super::bounded::LONGEST_REPLY;
use crate::units;

/// Why no reply came.
#[derive(Clone, Debug, PartialEq)]
pub enum Lost {
    /// The user wants to stop.
    Interrupted,
    /// The worker is gone, or was ended because it can't be trusted any more.
    Died {
        end: End,
        /// The last line that it wrote to stderr, if any.
        last_words: Option<String>,
        /// The ONNX node that it last announced (`Run` with `trace`).
        at: Option<usize>,
    },
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Signal(i32),
    /// An exit code; `None` where the system doesn't say.
    Exit(Option<i32>),
    /// No reply in this time.
    Hung(Duration),
    /// The connection broke: what became of the worker isn't known.
    Disconnected,
    /// What it said is no reply: the start of the line.
    Garbled(String),
    /// It said a number that no time or size can be.
    Absurd,
    /// It said more in one line than any reply has.
    TooLong,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Died { end, last_words, .. } = self else { return f.write_str("interrupted") };
        let words = last_words.as_deref().unwrap_or("");
        match end {
            End::Signal(_) if words.contains("stack overflow") => return f.write_str("overflowed its stack"),
            End::Signal(_) if words.contains("memory allocation") => {
                return write!(f, "ran out of memory ({words})");
            }
            End::Signal(signal) => write!(f, "killed by signal {signal} ({})", signal_name(*signal))?,
            // A launcher that is a shell reports its child's signal so.
            End::Exit(Some(code @ 129..=159)) => {
                write!(
                    f,
                    "ended with code {code} (as after signal {}, {})",
                    code - 128,
                    signal_name(code - 128)
                )?;
            }
            End::Exit(Some(code)) => write!(f, "ended with code {code}")?,
            End::Exit(None) => f.write_str("ended for an unknown reason")?,
            End::Disconnected => f.write_str("is gone, as the connection is")?,
            End::Hung(after) => write!(f, "hung: no answer for {:.0} s", after.as_secs_f64())?,
            End::Absurd => {
                return f.write_str("said a number of more than 14 digits, which no time or size has");
            }
            End::TooLong => {
                let most = units::bytes(LONGEST_REPLY as u64);
                return write!(f, "said more than {most} in one line, which is no reply");
            }
            End::Garbled(line) => return write!(f, "said what is no reply: {line:?}"),
        }
        if !words.is_empty() {
            write!(f, " (last words: {words})")?;
        }
        Ok(())
    }
}

/// The signal's name, with what it usually means.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL: an instruction that this CPU lacks",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL: out of memory?",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU: CPU time limit",
        31 => "SIGSYS: a forbidden system call",
        _ => "unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_said_in_words() {
        let table = [
            (End::Signal(9), None, "killed by signal 9 (SIGKILL: out of memory?)"),
            (End::Signal(11), None, "killed by signal 11 (SIGSEGV)"),
            (End::Signal(6), Some("fatal runtime error: stack overflow, aborting"), "overflowed its stack"),
            (
                End::Signal(6),
                Some("memory allocation of 99 bytes failed"),
                "ran out of memory (memory allocation of 99 bytes failed)",
            ),
            (End::Exit(Some(137)), None, "ended with code 137 (as after signal 9, SIGKILL: out of memory?)"),
            (End::Signal(6), Some("oh"), "killed by signal 6 (SIGABRT) (last words: oh)"),
            (End::Exit(Some(101)), Some("oh"), "ended with code 101 (last words: oh)"),
            (End::Hung(Duration::from_secs(12)), None, "hung: no answer for 12 s"),
            (End::Disconnected, Some("reset"), "is gone, as the connection is (last words: reset)"),
            (End::Absurd, None, "said a number of more than 14 digits, which no time or size has"),
            (End::TooLong, Some("oh"), "said more than 256.0 MB in one line, which is no reply"),
            (End::Garbled("login:".into()), None, "said what is no reply: \"login:\""),
        ];
        for (end, words, expected) in table {
            let lost = Lost::Died { end, last_words: words.map(String::from), at: None };
            assert_eq!(lost.to_string(), expected);
        }
    }
}
