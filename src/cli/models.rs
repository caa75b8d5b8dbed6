//! `oplat models`: what is built in, and any of it as an ONNX file.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::inputs::InputFlag;
use super::output;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::onnx::mark;
use crate::report::grid::Grid;
use crate::report::text;
use crate::{units, zoo};

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
        input: Option<InputFlag>,
    },
}

/// Lists the models on `out`, or writes one to the file that is asked for.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    match args.command {
        None => output::print(out, &list()?),
        Some(Command::Export { name, output, input }) => {
            let (usual, shape) = zoo::describe(&name)?.input;
            if let Some(given) = input.as_ref().filter(|given| given.name() != usual) {
                return Err(Error::input(format!(
                    "--input {}: give {name}'s one input as in `{usual}={}`",
                    given.name(),
                    units::shape(&shape)
                )));
            }
            let shape = input.as_ref().map(InputFlag::dimensions);
            let destination = Destination::replacing(&output, &mark::KIND, &[])?;
            zoo::build(&name, shape.as_deref())?.write_to(&destination)?;
            let written = output.display();
            let line = format!("{name} written to {written}; its weights are seeded, not trained");
            output::told(&destination, &line, out)
        }
    }
}

fn list() -> Result<String> {
    let columns = Grid::new().name("model").number("parameters").number("M MACs");
    let mut table = columns.name("input").name("sites").name("what it is");
    for name in zoo::names() {
        let model = zoo::describe(name)?;
        let (input, shape) = model.input;
        let sites: Vec<String> = model.sites.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        table.row([
            model.name,
            units::integer(model.parameters),
            units::integer(model.macs.div_ceil(1_000_000)),
            format!("{input} {}", units::shape(&shape)),
            sites.join(", "),
            model.about,
        ]);
    }
    Ok(text::table(&table))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn export(name: &str, output: PathBuf, input: Option<&str>) -> Args {
        let input = input.map(|input| input.parse().unwrap());
        let command = Command::Export { name: name.into(), output, input };
        Args { command: Some(command) }
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
    fn an_exported_file_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("n.onnx");
        run(export("yolov5n", file.clone(), Some("images=1x3x64x64")), &mut io::sink()).unwrap();
        let model = crate::onnx::Model::read(&file).unwrap();
        assert_eq!(
            mark::encode(&model),
            mark::encode(&zoo::build("yolov5n", Some(&[1, 3, 64, 64])).unwrap())
        );
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
