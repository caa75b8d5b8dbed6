//! The program from outside, and what runs across its crates: one program, since each would link all engines again.

mod bench;
mod cases;
mod cleanup;
mod cli;
mod commands;
mod documents;
mod experiments;
#[cfg(unix)]
mod files;
mod floors;
mod hostile;
mod hostile_text;
mod import;
mod kept;
#[cfg(unix)]
mod lab;
mod limits;
mod many_targets;
mod mixes;
mod mutants;
mod mutate;
mod neon;
mod nodes;
mod ort;
#[cfg(unix)]
mod pools;
mod schemas;
mod search;
mod sites;
mod support;
#[cfg(unix)]
mod targets;
mod viewers;
mod worker;
