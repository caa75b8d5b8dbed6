//! oplat measures what each activation function costs in a neural network on the device that will run it.
//!
//! The floors, from the ground up; imports run downwards only:
//!
//! - ground: [`error`], [`ending`] (what a panic leaves to do), [`files`], [`units`], [`stats`], [`record`]
//! - graph: [`onnx`] (files, losslessly), [`activation`] (the registry), [`kernel`] (all SIMD),
//!   [`swap`] (sites and variants),
//!   [`zoo`] (built-in models), [`yaml`]
//! - execution: [`engine`] (the only importer of tract), [`worker`] (the child process), [`target`] (how a
//!   worker is started), [`measure`] (schedule and forks), [`environment`]
//! - use: [`compare`] (record against record), [`report`], [`plot`], [`experiment`] (many measurements from one file),
//!   [`mod@bench`] (activations on their own)
//! - top: [`cli`]

pub mod activation;
pub mod bench;
pub mod cli;
pub mod compare;
pub mod ending;
pub mod engine;
pub mod environment;
pub mod error;
pub mod experiment;
pub mod files;
pub mod kernel;
pub mod measure;
pub mod onnx;
pub mod plot;
pub mod record;
pub mod report;
pub mod stats;
pub mod swap;
pub mod target;
pub mod units;
pub mod worker;
pub mod yaml;
pub mod zoo;
