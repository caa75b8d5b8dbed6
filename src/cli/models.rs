//! `oplat models`: what is built in, and any of it as an ONNX file.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;
use comfy_table::{CellAlignment, Table, presets};

use crate::error::{Error, Result};
use crate::zoo::{self, spec::shape_text};

/// List the built-in models, or write one as ONNX
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Write a built-in model, with seeded weights, as an ONNX file
    Export {
        /// The model's name, as `oplat models` lists it
        name: String,
        /// The file to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Another shape for the input
        #[arg(long, value_name = "NAME=1x3x320x320")]
        input: Option<String>,
    },
}

/// Lists the models on `out`, or writes one to the file that is asked for. That nobody reads `out` any more is
/// no error.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    match args.command {
        None => print(&list()?, out),
        Some(Command::Export { name, output, input }) => {
            let shape = input.map(|input| parse_input(&name, &input)).transpose()?;
            let model = zoo::build(&name, shape.as_deref())?;
            std::fs::write(&output, model.encode()).map_err(|e| Error::file("write", &output, &e))?;
            // Nobody needs to be there to read a note.
            let _ =
                writeln!(io::stderr(), "{} written; its weights are seeded, not trained", output.display());
            Ok(())
        }
    }
}

fn print(text: &str, out: &mut dyn Write) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::input(format!("cannot print: {e}"))),
        _ => Ok(()),
    }
}

fn list() -> Result<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header([
        "model",
        "parameters",
        "M MACs",
        "input",
        "sites",
        "about",
    ]);
    for name in zoo::names() {
        let model = zoo::describe(name)?;
        let (input, shape) = model.input;
        let sites: Vec<String> = model.sites.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        table.add_row([
            model.name,
            grouped(model.parameters),
            grouped(model.macs.div_ceil(1_000_000)),
            format!("{input} {}", shape_text(&shape)),
            sites.join(", "),
            model.about,
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        // A margin on the right only, so that the first column stands at the edge of the screen.
        column.set_padding((0, 2));
        if (1..=2).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    Ok(lines.concat())
}

/// The shape in `images=1x3x320x320`, which must name the model's input.
fn parse_input(model: &str, text: &str) -> Result<Vec<i64>> {
    let (name, shape) = zoo::describe(model)?.input;
    let example = format!("{name}={}", shape_text(&shape));
    let wrong = || Error::input(format!("--input {text}: give {model}'s one input as in `{example}`"));
    let (given, dims) = text.split_once('=').ok_or_else(wrong)?;
    let dims: Option<Vec<i64>> = dims.trim_end_matches(":f32").split('x').map(|d| d.parse().ok()).collect();
    dims.filter(|_| given == name).ok_or_else(wrong)
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(name: &str, output: PathBuf, input: Option<&str>) -> Args {
        let command = Command::Export { name: name.into(), output, input: input.map(str::to_owned) };
        Args { command: Some(command) }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_list_fits_the_screen_and_has_every_model() {
        let mut out = vec![];
        run(Args { command: None }, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.starts_with("model "), "{text}");
        for name in zoo::names() {
            assert!(text.lines().any(|line| line.starts_with(&format!("{name} "))), "{text}");
        }
        assert!(text.contains(" 7,225,885   8,217  images 1x3x640x640  57 silu "), "{text}");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        run(Args { command: None }, &mut Closed).unwrap();
    }

    #[test]
    fn an_exported_file_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("n.onnx");
        run(export("yolov5n", file.clone(), Some("images=1x3x64x64")), &mut io::sink()).unwrap();
        let model = crate::onnx::Model::read(&file).unwrap();
        assert_eq!(model.encode(), zoo::build("yolov5n", Some(&[1, 3, 64, 64])).unwrap().encode());
    }

    #[test]
    fn what_cannot_be_done_names_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("n.onnx");
        let missing = folder.path().join("none/n.onnx");
        for (args, expected) in [
            (export("yolov5x", file.clone(), None), "did you mean"),
            (export("yolov5n", file.clone(), Some("image=1x3x64x64")), "as in `images=1x3x640x640`"),
            (export("yolov5n", file.clone(), Some("images=1x3x65x64")), "multiples of 32"),
            (export("yolov5n", missing, None), "cannot write"),
        ] {
            let error = run(args, &mut io::sink()).unwrap_err();
            assert!(error.message.contains(expected), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        assert!(!file.exists());
    }
}
