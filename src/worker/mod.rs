//! `oplat worker`: the child process in which one variant lives.

pub mod cpu;
pub mod heap;
pub mod protocol;
mod serve;

pub use serve::serve;
