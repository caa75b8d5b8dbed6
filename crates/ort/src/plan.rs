//! What ONNX Runtime makes of a model before anything runs: a session writes its optimised model when it is made.

use ort::session::Session;
use ort::session::builder::SessionBuilder;

use oplat_graph::onnx::Model;
use oplat_ground::files::Folder;
use oplat_ground::protocol::{Failure, Load, Op};

use crate::model::Copy;
use crate::ops;
use crate::session::session;

/// A session, and the optimised model that it wrote.
pub fn optimised(
    copy: &Copy,
    load: &Load,
    more: &dyn Fn(SessionBuilder) -> ort::Result<SessionBuilder>,
) -> Result<(Session, Model), Failure> {
    let folder = Folder::temporary().map_err(|e| Failure::new(e.message))?;
    let file = folder.path().join("optimised.onnx");
    let session = session(copy, load, &|builder| Ok(more(builder)?.with_optimized_model_path(&file)?))?;
    let model = Model::read(&file).map_err(|e| Failure::new(e.message))?;
    Ok((session, model))
}

/// The operators.
pub fn ops(copy: &Copy, load: &Load) -> Result<Vec<Op>, Failure> {
    let (_, optimised) = optimised(copy, load, &|builder| Ok(builder))?;
    Ok(ops::describe(&copy.model, &optimised).into_iter().map(|(_, op)| op).collect())
}
