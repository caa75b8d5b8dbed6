//! Sessions of ONNX Runtime, and runs of them.

use std::time::Instant;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::DynTensor;

use oplat_ground::protocol::{Failure, Load};
use oplat_ground::record::Denormals;

use crate::model::Copy;
use crate::{knobs, operators};

/// A session on as many threads as asked for, which don't spin, with the knobs that the process was given.
pub fn session(
    copy: &Copy,
    load: &Load,
    more: &dyn Fn(SessionBuilder) -> ort::Result<SessionBuilder>,
) -> Result<Session, Failure> {
    let made = || -> ort::Result<Session> {
        let flush = if load.denormals == Denormals::Flush { "1" } else { "0" };
        let builder = Session::builder()?
            .with_log_level(ort::logging::LogLevel::Error)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(load.threads.max(1))?
            .with_inter_threads(1)?
            .with_config_entry("session.set_denormal_as_zero", flush)?
            .with_config_entry("session.intra_op.allow_spinning", "0")?
            .with_config_entry("session.inter_op.allow_spinning", "0")?
            .with_operators(operators::domain(load.threads)?)?
            .with_config_entry(
                "session.model_external_initializers_file_folder_path",
                copy.dir.to_string_lossy(),
            )?;
        more(knobs::set(builder, load)?)?.commit_from_memory(&copy.bytes)
    };
    made().map_err(|e| copy.failure("load", &e))
}

/// One run of a session on these inputs: its wall time, and what it put out.
pub fn run<'s>(
    session: &'s mut Session,
    inputs: &[(String, DynTensor)],
) -> ort::Result<(u64, ort::session::SessionOutputs<'s>)> {
    let fed: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
    let start = Instant::now();
    let outputs = session.run(fed)?;
    Ok((start.elapsed().as_nanos() as u64, outputs))
}
