//! oplat measures what each activation function costs in a neural network on the device that will run it.
//!
//! The floors, from the ground up; imports run downwards only, and `tests/it/floors.rs` holds that:
//!
//! - ground (a crate): [`error`], [`escape`] (others' text, made safe to show), [`units`], [`limits`], [`cleanup`], [`files`], [`elf`],
//!   [`random`], [`suggest`], [`stats`], [`record`], [`figures`] (made of a record's forks), [`protocol`] (what crosses between
//!   parent and worker), [`process`] (allocator and CPUs)
//! - kernels (a crate): [`kernel`], all SIMD
//! - graph (a crate): [`onnx`] (files, losslessly), [`activation`] (the registry), [`sites`] (where they stand in a graph),
//!   [`swap`] (variants)
//! - engine (a crate): [`engine`], the seam between the program and what runs models; `oplat-tract` behind it is the only
//!   importer of tract, `oplat-ort` of ONNX Runtime
//! - models: [`yaml`], [`zoo`] (built-in models)
//! - execution: [`engines`] (those that are linked in), [`environment`] (the machine), [`worker`] (the child process),
//!   [`device`] (how a worker is started), [`measure`] (schedule and forks)
//! - use: [`search`] (which activation where), [`compare`] (record against record), [`plot`], [`report`], [`experiment`] (many measurements from one file),
//!   [`mod@bench`] (activations on their own)
//! - top: [`cli`]

pub use oplat_engine as engine;
pub use oplat_graph::{activation, onnx, sites, swap};
pub use oplat_ground::{
    cleanup, elf, error, escape, figures, files, limits, process, protocol, random, record, stats, suggest,
    units,
};
pub use oplat_kernels as kernel;

pub mod bench;
pub mod cli;
pub mod compare;
pub mod device;
pub mod engines;
pub mod environment;
pub mod experiment;
pub mod measure;
pub mod plot;
pub mod report;
pub mod search;

pub mod worker;
pub mod yaml;
pub mod zoo;
