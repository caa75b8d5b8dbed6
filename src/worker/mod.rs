//! `oplat worker`: the child process in which one variant lives.

pub mod heap;
pub mod protocol;
