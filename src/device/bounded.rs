//! What a device says, of which nothing can fill the memory, and how long it may take to say it.

use std::io::{BufRead, Read, Result};
use std::time::{Duration, Instant};

use crate::limits;

/// The longest reply: 256 MB. That of a graph of 100,000 operators has about 40 MB, and a turn's times of them fewer.
pub const LONGEST_REPLY: usize = limits::ANSWER_BYTES as usize;

/// The longest line that a person reads: what is beyond it is dropped.
pub const LONGEST_NOTE: usize = 300;

/// What is kept of all that a client says to a person: the end of it.
const KEPT_NOTES: usize = 64_000;

/// A line without its end.
#[derive(Debug, PartialEq)]
pub enum Line {
    Whole(String),
    /// The start of one that is longer than is allowed. The rest isn't read.
    Cut(String),
}

/// The next line, of which at most so many bytes are read; `None` when there are no more, or none can be read.
pub fn next_line(pipe: &mut impl BufRead, most: usize) -> Option<Line> {
    let mut bytes = vec![];
    match pipe.by_ref().take(most as u64).read_until(b'\n', &mut bytes) {
        Ok(1..) => {}
        Ok(0) | Err(_) => return None,
    }
    let is_cut = bytes.len() == most && bytes.last() != Some(&b'\n');
    let text =
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    let text = text.trim_end().to_owned();
    Some(if is_cut { Line::Cut(text) } else { Line::Whole(text) })
}

/// The next line for a person, with a mark where it was cut; the rest of it is read and dropped.
pub fn next_note(pipe: &mut impl BufRead) -> Option<String> {
    match next_line(pipe, LONGEST_NOTE)? {
        Line::Whole(text) => Some(text),
        Line::Cut(text) => {
            // Whether it ends with the line or with the pipe, the next call finds out.
            let _ = pipe.skip_until(b'\n');
            Some(text + "…")
        }
    }
}

/// Lines of what comes in parts.
#[derive(Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins, and up to where no end of it was found.
    start: usize,
    searched: usize,
}

impl Lines {
    pub fn add(&mut self, part: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(part);
    }

    /// The next line, of which at most so many bytes are waited for; `None` if more has to come first.
    pub fn next(&mut self, most: usize) -> Option<Line> {
        let end = self.bytes.len().min(self.start + most);
        let found = self.bytes.get(self.searched..end)?.iter().position(|&byte| byte == b'\n');
        match found {
            Some(at) => Some(Line::Whole(self.take(self.searched + at + 1))),
            None if end == self.start + most => Some(Line::Cut(self.take(end))),
            None => {
                self.searched = end;
                None
            }
        }
    }

    /// What comes after the last line's end, if there is anything.
    pub fn rest(&mut self) -> Option<String> {
        (self.start < self.bytes.len()).then(|| self.take(self.bytes.len()))
    }

    /// Drops the rest of a line; false if its end has yet to come.
    pub fn skip(&mut self) -> bool {
        let found = self.bytes[self.start..].iter().position(|&byte| byte == b'\n');
        self.start = found.map_or(self.bytes.len(), |at| self.start + at + 1);
        self.searched = self.start;
        found.is_some()
    }

    fn take(&mut self, end: usize) -> String {
        let text = String::from_utf8_lossy(&self.bytes[self.start..end]).trim_end().to_owned();
        (self.start, self.searched) = (end, end);
        text
    }
}

/// All that the pipe has to say to a person, or the end of it.
pub fn notes(mut pipe: impl Read) -> String {
    let (mut kept, mut part) = (vec![], vec![0; KEPT_NOTES]);
    while let Ok(read @ 1..) = pipe.read(&mut part) {
        kept.extend_from_slice(part.get(..read).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(KEPT_NOTES));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Reads to the end, but no more than `most` bytes; tells after each part how many there are. Fails where there are more.
pub fn read_all(mut pipe: impl Read, most: u64, mut told: impl FnMut(u64)) -> Result<Vec<u8>> {
    let (mut all, mut part) = (vec![], vec![0; 1 << 16]);
    loop {
        match pipe.read(&mut part)? {
            0 => return Ok(all),
            read => all.extend_from_slice(part.get(..read).unwrap_or_default()),
        }
        told(all.len() as u64);
        if all.len() as u64 > most {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// Whether no number in a reply is larger than any time or size that is measured: 10^14 ns are more than a day, as many
/// bytes 100 TB, and sums of 100,000 of them are still numbers.
pub fn is_plausible(json: &str) -> bool {
    let (mut in_text, mut is_escaped, mut digits, mut in_fraction) = (false, false, 0, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'0'..=b'9' if in_fraction => {}
            b'0'..=b'9' => digits += 1,
            b'.' | b'e' | b'E' => in_fraction = true,
            _ => (digits, in_fraction) = (0, false),
        }
        if digits > 14 {
            return false;
        }
    }
    true
}

/// How long something may take that moves bytes: so long without any.
pub struct Patience {
    still: Duration,
    moved: u64,
    since: Instant,
}

impl Patience {
    /// Fewer bytes than this are no progress: who sends one now and then would never end.
    const STEP: u64 = 4096;

    pub fn new(still: Duration, now: Instant) -> Self {
        Self { still, moved: 0, since: now }
    }

    /// Whether it is over, at a time when so many bytes were moved in all.
    pub fn is_over(&mut self, moved: u64, now: Instant) -> bool {
        if moved >= self.moved + Self::STEP {
            (self.moved, self.since) = (moved, now);
        }
        now.saturating_duration_since(self.since) >= self.still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_is_allowed() {
        let mut pipe = &b"four\n\nlonger\nfour"[..];
        let mut next = |most| next_line(&mut pipe, most);
        let (whole, cut) =
            (|text: &str| Some(Line::Whole(text.into())), |text: &str| Some(Line::Cut(text.into())));
        assert_eq!([next(5), next(5), next(5)], [whole("four"), whole(""), cut("longe")]);
        assert_eq!([next(5), next(5), next(5)], [whole("r"), whole("four"), None]);
        // One that never ends is no reason to wait for its end.
        assert_eq!(next_line(&mut std::io::BufReader::new(std::io::repeat(b'x')), 3), cut("xxx"));
        assert_eq!(next_line(&mut &b"\xff\n"[..], 9), whole("\u{fffd}"));
    }

    #[test]
    fn lines_that_come_in_parts_are_the_same_lines() {
        let text = b"four\n\nlonger\nfour";
        for part in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), vec![]);
            for part in text.chunks(part) {
                lines.add(part);
                found.extend(std::iter::from_fn(|| lines.next(5)));
            }
            let whole = |text: &str| Line::Whole(text.into());
            assert_eq!(found, [whole("four"), whole(""), Line::Cut("longe".into()), whole("r")], "{part}");
            assert_eq!((lines.rest().as_deref(), lines.rest()), (Some("four"), None));
        }
        let mut lines = Lines::default();
        lines.add(b"xxxxx");
        assert!(matches!(lines.next(2), Some(Line::Cut(_))) && !lines.skip());
        lines.add(b"xx\nnext\n");
        assert!(lines.skip());
        assert_eq!(lines.next(9), Some(Line::Whole("next".into())));
    }

    #[test]
    fn of_a_long_note_the_start_is_kept_and_the_next_is_found() {
        let text = format!("{}\nnext\n", "x".repeat(5000));
        let mut pipe = text.as_bytes();
        assert_eq!(next_note(&mut pipe).map(|note| note.chars().count()), Some(LONGEST_NOTE + 1));
        assert_eq!(next_note(&mut pipe).as_deref(), Some("next"));
        assert_eq!(next_note(&mut pipe), None);
        let flood = std::io::repeat(b'x').take(10_000_000).chain(&b"\nlast words\n"[..]);
        let notes = notes(flood);
        assert!(notes.len() == KEPT_NOTES && notes.ends_with("x\nlast words\n"));
    }

    #[test]
    fn more_than_was_asked_for_is_not_read() {
        let mut told = vec![];
        assert_eq!(read_all(&b"1234"[..], 4, |moved| told.push(moved)).expect("four"), b"1234");
        assert_eq!(told, [4]);
        assert!(read_all(std::io::repeat(0), 1_000_000, |_| {}).is_err());
    }

    #[test]
    fn no_number_is_larger_than_what_is_measured() {
        for json in [
            r#"{"a":[99999999999999,0.1234567890123456789],"b":1e-9}"#,
            r#"{"a":"1234567890123456789","b\"9":3}"#,
            "-1",
        ] {
            assert!(is_plausible(json), "{json}");
        }
        for json in
            ["100000000000000", r#"{"a\\":"\"","b":[1,18446744073709551615]}"#, "9223372036854775808.5"]
        {
            assert!(!is_plausible(json), "{json}");
        }
    }

    #[test]
    fn time_is_given_as_long_as_bytes_move() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::new(Duration::from_secs(60), start);
        for (seconds, moved, over) in [
            (59, 0, false),
            (59, 5000, false),
            (118, 5001, false),
            (119, 5001, true),
            (119, 10_000, false),
            (179, 14_000, true),
        ] {
            assert_eq!(patience.is_over(moved, after(seconds)), over, "{seconds} s, {moved} bytes");
        }
    }
}
