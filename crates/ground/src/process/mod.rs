//! The process itself, as a worker sets it up and reads it: its memory and its processors.

pub mod cpu;
pub mod heap;
