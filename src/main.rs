//! The program: its allocator, its arguments, its exit code. All else is in the library.

use std::process::ExitCode;

#[global_allocator]
static HEAP: oplat::process::heap::Counting = oplat::process::heap::Counting;

fn main() -> ExitCode {
    oplat::cli::main()
}
