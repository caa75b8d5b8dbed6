//! The command line: arguments become plain settings, results go to standard output, notes to standard error,
//! and every end has its exit code.

mod acts;
mod annotate;
mod at_once;
mod bench;
mod colour;
mod compare;
mod flags;
mod gate;
mod import;
mod inputs;
mod inspect;
mod kept;
mod knobs;
mod manual;
mod mix;
mod model;
mod models;
mod output;
mod profile;
mod progress;
mod report;
mod run;
#[cfg(test)]
mod schemas;
mod search;
mod settings;
mod subjects;
mod swap;
mod targets;
mod tune;

pub use manual::program;

use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::error::{Error, Exit};
use crate::escape;
use crate::measure::Interrupt;
use crate::{cleanup, files, process};

/// What each activation function costs on this device, in this network, and why.
#[derive(Parser)]
#[command(name = "oplat", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Colours in tables; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", display_order = 900)]
    color: colour::When,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Measure a model as it is, and with other activations
    Profile(Box<settings::Args>),
    /// Measure what a file says: models, activations and threads, each model's variants paired
    Run(run::Args),
    /// Find which activation to put where: what each costs at each site, and the best mixes
    Search(Box<search::Args>),
    /// Make a record of profiles that an app wrote with ONNX Runtime
    Import(import::Args),
    /// Print the last measurement again, or saved records
    Report(report::Args),
    /// Say what changed from one saved record to others
    Compare(compare::Args),
    /// Write a model with other activations, for any engine
    Swap(swap::Args),
    /// Show the activation sites of a model, and what only looks like one
    Inspect(inspect::Args),
    /// Measure activations on their own, over a sweep of sizes
    Bench(Box<bench::Args>),
    /// Describe the activations that are known, or draw them
    Acts(acts::Args),
    /// List the engine's own knobs, for --knob
    Knobs,
    /// List the built-in models, or export one
    Models(models::Args),
    /// Say which targets can be reached, and what is known of them
    Targets(targets::Args),
    /// Print what a shell needs to complete commands and flags
    Completions(manual::CompletionArgs),
    /// Print the manual page, of the program or of a command
    Man(manual::ManArgs),
    /// Run one variant as the parent says, on standard input and output
    #[command(hide = true)]
    Worker {
        /// End with the input, even in the middle of a run
        #[arg(long)]
        leash: bool,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    process::survive_file_size_limit();
    cleanup::on_panic(|panic| {
        let bug = Error::bug(&panic.message);
        note(&format!("oplat: {bug}"));
        bug.exit
    });
    let command = match Cli::try_parse() {
        Ok(cli) => {
            colour::decide(cli.color);
            cli.command
        }
        Err(e) => return usage(&e),
    };
    if let Command::Worker { leash } = command {
        return crate::worker::serve(leash);
    }
    on_signals();
    process::open_many_files();
    files::sweep();
    let done = run(command);
    cleanup::unless_ending();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e),
    }
}

fn run(command: Command) -> crate::error::Result<()> {
    let mut out = output::Stdout::new();
    match command {
        Command::Profile(args) => profile::run(*args, &mut out),
        Command::Run(args) => run::run(args, &mut out),
        Command::Search(args) => search::run(*args, &mut out),
        Command::Import(args) => import::run(args, &mut out),
        Command::Report(args) => report::run(args, &mut out),
        Command::Compare(args) => compare::run(args, &mut out),
        Command::Swap(args) => swap::run(args, &mut out),
        Command::Inspect(args) => inspect::run(args, &mut out),
        Command::Bench(args) => bench::run(*args, &mut out),
        Command::Acts(args) => acts::run(args, &mut out),
        Command::Knobs => knobs::run(&mut out),
        Command::Models(args) => models::run(args, &mut out),
        Command::Targets(args) => targets::run(args, &mut out),
        Command::Completions(args) => manual::completions(&args, &mut out),
        Command::Man(args) => manual::man(&args, &mut out),
        // It has begun already, without all that a command needs.
        Command::Worker { .. } => Ok(()),
    }
}

/// Help and the version are answers; anything else that clap has to say is a usage error, in one line.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render().to_string();
            match output::print(&mut output::Stdout::new(), &text) {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => fail(&e),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.render().to_string().trim_end().lines().for_each(note);
            ExitCode::from(Exit::Input as u8)
        }
        _ => fail(&Error::input(one_line(&error.render().to_string()))),
    }
}

/// clap's message without its frame: what is wrong, then its tips, then where to read more.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let told = lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let told: Vec<&str> = told.map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect();
    let told = told.join(" ").replace(" tip: ", "; ");
    format!("{told} (--help says more)")
}

/// What the user typed, for records.
fn command_line() -> Vec<String> {
    std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

fn fail(error: &Error) -> ExitCode {
    note(&format!("oplat: {error}"));
    ExitCode::from(error.exit_code())
}

/// A line for the person at the terminal, in which nothing moves the cursor. That nobody reads it is no failure.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", escape::line(line.trim_end()));
}

/// The flag of a command that ends by itself when it is interrupted.
static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Signals that come together are one wish: a terminal and a shell may each send one.
const ONE_WISH: Duration = Duration::from_secs(1);

/// From now on Ctrl-C, or being told to terminate, raises the flag of the command; where it has none yet, or never, or if that
/// takes too long for who asks again, the process ends, and leaves nothing behind.
fn on_signals() {
    let mut raised: Option<Instant> = None;
    let handler = move || match (INTERRUPT.get(), raised) {
        (Some(interrupt), None) => {
            raised = Some(Instant::now());
            interrupt.raise();
        }
        (Some(_), Some(at)) if at.elapsed() < ONE_WISH => {}
        (_, before) => cleanup::end(|| {
            let again = before.map_or("", |_| " again: what was not saved yet is lost");
            note(&format!("oplat: interrupted{again}"));
            Exit::Lost
        }),
    };
    if let Err(e) = ctrlc::set_handler(handler) {
        note(&format!("Ctrl-C will end the program without tidying up: {e}"));
    }
}

/// A flag that Ctrl-C, or being told to terminate, raises.
fn interrupt() -> Interrupt {
    INTERRUPT.get_or_init(Interrupt::default).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_shell_completes_every_command_and_every_command_has_a_page() {
        let mut out = vec![];
        let all: Vec<String> = manual::program().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert!(all.iter().any(|name| name == "profile") && !all.iter().any(|name| name == "worker"));
        for shell in ["bash", "zsh", "fish", "powershell"] {
            let command = ["oplat", "completions", shell];
            let Command::Completions(args) = Cli::try_parse_from(command).expect("a shell").command else {
                panic!("completions")
            };
            out.clear();
            manual::completions(&args, &mut out).expect("written");
            let script = String::from_utf8_lossy(&out);
            for word in all.iter().map(String::as_str).chain(["max-regression", "no-control"]) {
                assert!(script.contains(word), "{shell}: no {word}");
            }
            assert!(!script.contains("leash"), "{shell}: the worker is not for people");
        }
        for command in &all {
            let Command::Man(args) =
                Cli::try_parse_from(["oplat", "man", command]).expect("a command").command
            else {
                panic!("man")
            };
            out.clear();
            manual::man(&args, &mut out).expect("written");
            let page = String::from_utf8_lossy(&out);
            assert!(page.contains(&format!(".TH oplat-{command} 1")), "{page}");
        }
    }

    #[test]
    fn usage_errors_are_one_line() {
        for wrong in [
            vec!["oplat", "raport", "x"],
            vec!["oplat", "compare"],
            vec!["oplat", "report", "x", "--tap", "3"],
        ] {
            let error = Cli::try_parse_from(&wrong).err().expect("wrong usage");
            let line = one_line(&error.render().to_string());
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.ends_with("(--help says more)") && !line.contains("Usage"), "{line}");
        }
    }
}
