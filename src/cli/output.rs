//! Where text leaves the program: standard output, which its reader may close early, or a file. Nothing in it moves a cursor.

use std::io::{self, BufWriter, Write};

use super::{colour, note};
use crate::error::{Error, Result};
use crate::escape;
use crate::files::Destination;
use crate::report::Format;

/// Standard output. A reader that goes away (`| head -1`) has what it wanted: the rest is dropped quietly.
pub struct Stdout {
    inner: BufWriter<io::Stdout>,
    closed: bool,
}

impl Stdout {
    pub fn new() -> Self {
        Self { inner: BufWriter::new(io::stdout()), closed: false }
    }

    fn quietly<T>(&mut self, done: io::Result<T>, dropped: T) -> io::Result<T> {
        match done {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(dropped)
            }
            done => done,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let done = self.inner.write(bytes);
        self.quietly(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.inner.flush();
        self.quietly(done, ())
    }
}

/// Writes the text to the file, or prints it where there is none.
pub fn deliver(file: Option<&Destination>, text: &str, out: &mut dyn Write) -> Result<()> {
    match file {
        Some(file) => file.write(escape::visible(text).as_bytes()),
        None => print(out, text),
    }
}

/// Makes a report and writes it to the file, or prints it: for a terminal with colours.
pub fn report(
    file: Option<&Destination>,
    format: Format,
    out: &mut dyn Write,
    make: impl FnOnce(Format) -> Result<String>,
) -> Result<()> {
    if format == Format::Table && file.is_none() && colour::on() {
        return written(out, &escape::coloured(&make(Format::Terminal)?));
    }
    deliver(file, &make(format)?, out)
}

/// Prints one line, whatever is in it.
pub fn print_line(out: &mut dyn Write, line: &str) -> Result<()> {
    print(out, &format!("{}\n", escape::line(line)))
}

/// Says in one line that a model was written: beside it, where it went to the standard output itself.
pub fn told(file: &Destination, line: &str, out: &mut dyn Write) -> Result<()> {
    if file.is_standard_output() {
        note(line);
        return Ok(());
    }
    print_line(out, line)
}

/// Writes all of the text and flushes it.
pub fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    written(out, &escape::visible(text))
}

fn written(out: &mut dyn Write, text: &str) -> Result<()> {
    let done = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    done.map_err(|e| Error::input(format!("cannot write to the standard output: {e}")))
}
