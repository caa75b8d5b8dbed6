//! The program: its allocator, its arguments, its exit code. All else is in the library.

use std::process::ExitCode;

#[global_allocator]
static HEAP: oplat::worker::heap::Counting = oplat::worker::heap::Counting;

fn main() -> ExitCode {
    // The engine's errors would hold backtraces where RUST_BACKTRACE asks for them. Nobody would see one; they would cost
    // time while a model is loaded, and the small program for devices has no tables to make them from.
    // SAFETY: no other thread has been started.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    oplat::cli::main()
}
