//! The program: its allocator, its arguments, its exit code. All else is in the library.

use std::process::ExitCode;

#[global_allocator]
static HEAP: oplat::worker::heap::Counting = oplat::worker::heap::Counting;

fn main() -> ExitCode {
    oplat::cli::main()
}
