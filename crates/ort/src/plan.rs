//! What ONNX Runtime makes of a model before anything runs: a session writes its optimised model when it is made.

use ort::session::Session;
use ort::session::builder::SessionBuilder;

use oplat_graph::onnx::Model;
use oplat_graph::onnx::index::Index;
use oplat_ground::files::Folder;
use oplat_ground::protocol::{Failure, Load, Op};

use crate::events::tie;
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
    Ok(described(&copy.named().map_err(|e| Failure::new(e.message))?, &optimised))
}

/// The operators of an optimised model, and the nodes of the copy that they compute.
pub fn described(copy: &Model, optimised: &Model) -> Vec<Op> {
    let rows = tie::rows_of(optimised);
    let index = Index::new(copy);
    let op = |(row, onnx): (&tie::Row, Vec<usize>)| {
        let mut op = Op { op: row.op.to_owned(), onnx, ..Op::default() };
        if let Some(&node) = op.onnx.last() {
            ops::show_own(&mut op, index.nodes[node].proto);
        }
        ((), op)
    };
    let mut all: Vec<((), Op)> = rows.iter().zip(tie::tie(copy, &rows)).map(op).collect();
    ops::order(&mut all);
    all.into_iter().map(|((), op)| op).collect()
}
