//! What shells and `man` are told of the program: made from its own command line, so that they can't say anything else.

use std::io::Write;

use clap::CommandFactory;

use super::{Cli, output};
use crate::error::{Error, Result};
use crate::suggest;

#[derive(clap::Args)]
pub struct CompletionArgs {
    /// The shell that completes: what is printed goes where it looks for such files
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

#[derive(clap::Args)]
pub struct ManArgs {
    /// The command whose page is printed [default: the program's own]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub fn completions(args: &CompletionArgs, out: &mut dyn Write) -> Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut program(), "oplat", &mut script);
    output::print(out, &String::from_utf8_lossy(&script))
}

pub fn man(args: &ManArgs, out: &mut dyn Write) -> Result<()> {
    let mut program = program();
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| unknown(name, &program))?,
    };
    let mut text = vec![];
    let made =
        clap_mangen::Man::new(page).source(concat!("oplat ", env!("CARGO_PKG_VERSION"))).render(&mut text);
    made.map_err(|e| Error::input(format!("cannot write the page: {e}")))?;
    output::print(out, &String::from_utf8_lossy(&text))
}

/// The command line without what is not for people.
pub fn program() -> clap::Command {
    let whole = Cli::command();
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("oplat")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .args(whole.get_arguments().cloned())
        .subcommands(shown.collect::<Vec<_>>())
}

fn unknown(name: &str, program: &clap::Command) -> Error {
    let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    let near = suggest::nearest(name, names.iter().copied());
    let near = near
        .map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean {near}?"));
    Error::input(format!("there is no command {name}: {near}"))
}
