//! Recurrent operators that read their sequence from its end.
//!
//! tract 0.23.9 translates `direction=reverse` as it does `forward`, and runs it so. Its loops can run backwards, as the second
//! half of a bidirectional operator does: the loops of reverse operators are turned round here.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_hir::tract_core::ops::scan::{InputMapping, Scan};

use oplat_graph::onnx::for_each_node;
use oplat_graph::onnx::messages::ModelProto;

/// The names of the recurrent operators of a model that read from the end.
pub fn backwards(model: &ModelProto) -> Vec<String> {
    let mut found = vec![];
    for_each_node(model.graph.as_ref().unwrap_or(&Default::default()), &mut |node| {
        let direction = node.attribute.iter().find(|a| a.name() == "direction").and_then(|a| a.s.as_deref());
        if ["LSTM", "GRU", "RNN"].contains(&node.op_type()) && direction == Some(b"reverse") {
            found.push(node.name().to_owned());
        }
    });
    found
}

/// Turns the loops of these operators round. Fails, naming it, for one whose loop isn't found: it stands in a body that
/// tract keeps closed.
pub fn turn(model: &mut TypedModel, backwards: &[String]) -> TractResult<()> {
    let mut turned = vec![];
    turn_in(model, backwards, &mut turned);
    for name in backwards {
        ensure!(turned.contains(&name), "{name}: a recurrence in reverse inside a body is not supported");
    }
    Ok(())
}

fn turn_in<'n>(model: &mut TypedModel, backwards: &'n [String], turned: &mut Vec<&'n String>) {
    for node in model.nodes_mut() {
        let name = backwards.iter().find(|name| node.name.starts_with(name.as_str()));
        if let Some(gru) = node.op_as_mut::<GruSeq>() {
            if let Some(name) = name {
                gru.chunk = -gru.chunk;
                turned.push(name);
            }
        } else if let Some(scan) = node.op_as_mut::<Scan>() {
            match name {
                Some(name) => {
                    turn_scan(scan);
                    turned.push(name);
                }
                None => turn_in(&mut scan.body, backwards, turned),
            }
        }
    }
}

fn turn_scan(scan: &mut Scan) {
    for mapping in &mut scan.input_mapping {
        if let InputMapping::Scan(info) = mapping {
            info.chunk = -info.chunk;
        }
    }
    for mapping in &mut scan.output_mapping {
        if let Some((_, info)) = &mut mapping.scan {
            info.chunk = -info.chunk;
        }
    }
}
