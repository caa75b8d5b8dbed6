//! The copy of a model that ONNX Runtime gets: the same computation, with nodes named by their index.

use std::path::{Path, PathBuf};

use oplat_engine::{Backend, inline, names, own, prepare};
use oplat_graph::onnx::messages::ModelProto;
use oplat_graph::onnx::{Model, for_each_node};
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::{Failure, Input, Load};
use prost::Message;

use crate::OnnxRuntime;

/// A model ready for ONNX Runtime.
pub struct Copy {
    /// The model as it was, by whose nodes the copy's are named.
    pub model: Model,
    pub bytes: Vec<u8>,
    /// Where its external data lies.
    pub dir: PathBuf,
    /// What must be fed, in the model's order.
    pub inputs: Vec<Input>,
    pub weights_bytes: u64,
    labels: Vec<String>,
}

impl Copy {
    /// Fails with the file's name, or that of an input that can't be made concrete.
    pub fn of(load: &Load) -> Result<Self> {
        let mut model = Model::read(Path::new(&load.model))?;
        if let Some(data) = &load.data {
            model.dir = Some(Path::new(data).into());
        }
        Self::made(model, load)
    }

    /// As [`of`](Self::of), of a model that is here already.
    pub fn made(model: Model, load: &Load) -> Result<Self> {
        let prepare::Prepared { mut proto, inputs, weights_bytes } = prepare::named(&model, load)?;
        own::claim(&mut proto, &OnnxRuntime.about().1);
        // ONNX Runtime would do the same, but leave what it inlines without names, and it infers no shapes of custom operators
        // inside functions.
        if oplat_graph::onnx::inline::of_another_opset(&proto).is_none() {
            inline::functions(&mut proto)?;
        }
        let mut labels = vec![];
        for_each_node(model.graph(), &mut |node| labels.push(oplat_graph::onnx::label(node).to_owned()));
        let dir = model.dir.as_ref().map_or_else(PathBuf::new, |dir| dir.path().to_path_buf());
        Ok(Self { bytes: proto.encode_to_vec(), model, dir, inputs, weights_bytes, labels })
    }

    /// The model as ONNX Runtime gets it.
    pub fn named(&self) -> Result<Model> {
        let proto = ModelProto::decode(&self.bytes[..]);
        let proto = proto.map_err(|e| Error::bug(format!("our own copy of the model can't be read: {e}")))?;
        Ok(Model { proto, dir: None })
    }

    /// An error of ONNX Runtime's, with the user's names of nodes and the node that it names.
    pub fn failure(&self, doing: &str, error: &ort::Error) -> Failure {
        let text = error.to_string();
        let message = names::restore(&text, |node| self.labels.get(node).cloned());
        let message = oplat_engine::at::one_line(&format!("ONNX Runtime cannot {doing} it: {message}"));
        Failure { message, node: names::decode(&text), ..Failure::default() }
    }
}
